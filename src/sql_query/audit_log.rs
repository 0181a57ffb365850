//! What `audit_log` shows: the organization's own chain, to those who may read it.

use rules::{Error, Result};

use super::history::{Reader, page};
use crate::directory::AuditRow;
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
            .audit_rows(Some(&self.org_id), after.unwrap_or(0), PAGE_ROWS);
        let line = |row: &AuditRow| {
            serde_json::to_string(row).map_err(|error| {
                Error::internal("a row of the audit log is no JSON").because(error)
            })
        };
        page(rows, PAGE_ROWS, line, |last| last.seq.to_string()).await
    }
}
