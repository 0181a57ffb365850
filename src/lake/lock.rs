//! Who writes a table for a long time does it alone: a copy, an import, a merge of prompt logs.
//!
//! Their files are no version's until the commit at their end, and [`clean`](super::clean) takes those for left over
//! that are old enough. So whoever cleans such a table, or commits what was decided long before, holds its lock. Who
//! writes prompt logs takes it only where that took longer than it should, and looks then whether the files are there.

use std::fs::File;
use std::time::Duration;

use rules::{Error, Kind, OrgId, Result, TableName};
use tokio::time::{Instant, sleep};

use super::Lake;
use crate::folder::{create_private, lock};

/// The right to write a table, between processes too; dropping it gives it back, as does the end of the process.
#[derive(Debug)]
pub struct Locked {
    _file: Option<File>,
}

/// Between two looks at whether the right is free.
const LOOK: Duration = Duration::from_millis(100);

impl Lake {
    /// As [`Lake::lock`], waiting for as long as `patience` while somebody has it.
    ///
    /// # Errors
    /// As [`Lake::lock`].
    pub async fn lock_within(
        &self,
        org: &OrgId,
        table: &TableName,
        patience: Duration,
    ) -> Result<Locked> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lock(org, table) {
                Err(error) if *error.kind() == Kind::Conflict && Instant::now() < deadline => {
                    sleep(LOOK).await;
                }
                locked => return locked,
            }
        }
    }

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
                "a copy of {table}, an import into it, or the merging or cleaning of its files is running; try again when it has \
                 ended"
            ))
        })?;
        Ok(Locked { _file: Some(file) })
    }
}
