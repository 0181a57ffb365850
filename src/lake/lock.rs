//! Who writes a table for a long time does it alone: a copy, an import.
//!
//! Their files are no version's until the commit at their end, and [`clean`](super::clean) takes those for left over
//! that are old enough. So whoever cleans such a table, or commits what was decided long before, holds its lock. Prompt
//! logs have none: their writers commit within seconds.

use std::fs::File;

use rules::{Error, OrgId, Result, TableName};

use super::Lake;
use crate::folder::{create_private, lock};

/// The right to write a table, between processes too; dropping it gives it back, as does the end of the process.
#[derive(Debug)]
pub struct Locked {
    _file: Option<File>,
}

impl Lake {
    /// Takes the right to write a table, be it there or not.
    ///
    /// # Errors
    /// `Conflict` when somebody has it, `Invalid` when the lake's folder cannot be written.
    pub fn lock(&self, org: &OrgId, table: &TableName) -> Result<Locked> {
        let Ok(root) = self.url().to_file_path() else {
            return Ok(Locked { _file: None });
        };
        let folder = root.join(org.as_str());
        create_private(&folder)?;
        // Beside the table, where it is no file of any; no table's name begins with a dot.
        let path = folder.join(format!(".{table}.lock"));
        let file = lock(&path, || {
            Error::conflict(format!(
                "another copy of this table, or an import into {table}, is running; try again when it has ended"
            ))
        })?;
        Ok(Locked { _file: Some(file) })
    }
}
