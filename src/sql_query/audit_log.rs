//! What `audit_log` shows: the organization's own chain, to those who may read it.

use rules::{Error, Result};

use super::history::{PAGE_BYTES, Reader};
use crate::engine::Rows;

/// A row may hold a long query or the keys of a whole archive.
const PAGE_ROWS: u32 = 200;

impl Reader {
    /// The rows behind the place that `after` names.
    pub(super) async fn audit_log(&self, after: Option<String>) -> Result<Rows> {
        // The worker asks for it only where it was told that the table exists; whoever rules the worker may ask anyway.
        if !self.sees_audit {
            return Err(Error::internal("a worker asked for a table that is none"));
        }
        let parse = |place: String| {
            place.parse::<i64>().map_err(|error| {
                Error::internal("a worker asked for a place that is none").because(error)
            })
        };
        let after = after.map(parse).transpose()?;
        if after.is_none() {
            self.audit.flush().await?;
        }
        let rows = self
            .directory
            .audit_rows(Some(&self.org_id), after.unwrap_or(0), PAGE_ROWS)
            .await?;
        let mut json = String::new();
        let mut last = None;
        for row in &rows {
            let line = serde_json::to_string(row).map_err(|error| {
                Error::internal("a row of the audit log is no JSON").because(error)
            })?;
            json.push_str(&line);
            json.push('\n');
            last = Some(row.seq);
            if json.len() > PAGE_BYTES {
                break;
            }
        }
        let is_last = rows.len() < PAGE_ROWS as usize && last == rows.last().map(|row| row.seq);
        let next = last.filter(|_| !is_last).map(|seq| seq.to_string());
        Ok(Rows { json, next })
    }
}
