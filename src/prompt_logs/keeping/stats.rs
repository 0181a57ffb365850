//! What an archive holds, as its table's log says: no data file is read.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rules::{OrgId, Result};

use super::super::files;
use crate::lake::Lake;
use crate::lake::prompt_log_table as table_shape;

/// What is stored, expired logs included as long as their day is not dropped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    pub logs: u64,
    /// Of the data files: compressed.
    pub bytes: u64,
    pub days: usize,
    pub files: usize,
    pub oldest: Option<DateTime<Utc>>,
    pub newest: Option<DateTime<Utc>>,
}

/// Counts what the organization's table holds; nothing when there is no table.
///
/// # Errors
/// `Unavailable` when the store does not answer.
pub async fn stats(lake: &Lake, org: &OrgId) -> Result<Stats> {
    let Some(table) = lake.open(org, &table_shape::name()).await? else {
        return Ok(Stats::default());
    };
    let files = files::list(&table)?;
    let days: BTreeSet<_> = files.iter().map(|file| file.day).collect();
    Ok(Stats {
        logs: files.iter().filter_map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.size).sum(),
        days: days.len(),
        files: files.len(),
        oldest: files.iter().filter_map(|file| file.oldest).min(),
        newest: files.iter().filter_map(|file| file.newest).max(),
    })
}
