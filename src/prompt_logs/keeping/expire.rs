//! Drops days whose logs are all too old to be shown.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::protocol::DeltaOperation;
use rules::{Error, Kind, OrgId, Result};

use super::super::files::{self, LogFile};
use crate::lake::prompt_log_table as table_shape;
use crate::lake::{self, Lake};

/// How often an expiry that another writer overtook looks again.
const ATTEMPTS: u32 = 50;

/// What was dropped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    pub days: usize,
    pub logs: u64,
    pub files: usize,
    pub bytes: u64,
}

/// Removes every day that ended before `oldest` (see `lake::prompt_log_table::oldest`) from the organization's table, in
/// one commit. The files stay until nobody can need them.
///
/// # Errors
/// `Unavailable`, `StorageFull`; `Conflict` when other writers were faster all the time.
pub async fn expire(lake: &Lake, org: &OrgId, oldest: DateTime<Utc>) -> Result<Expired> {
    for attempt in 1..=ATTEMPTS {
        let Some(mut table) = lake.open(org, &table_shape::name()).await? else {
            return Ok(Expired::default());
        };
        let days = expired(files::list(&table)?, oldest);
        if days.is_empty() {
            return Ok(Expired::default());
        }
        let gone: Vec<&LogFile> = days.values().flatten().collect();
        let paths: HashSet<&str> = gone.iter().map(|file| file.path.as_str()).collect();
        let removes = files::removals(&table, &paths, true)?
            .ok_or_else(|| Error::internal("a data file is not in its own table"))?;
        let operation = DeltaOperation::Delete {
            predicate: Some(format!("day < '{}'", oldest.date_naive())),
        };
        match lake::commit_as(operation, &mut table, Vec::new(), removes).await {
            Ok(()) => {
                return Ok(Expired {
                    days: days.len(),
                    logs: gone.iter().filter_map(|file| file.rows).sum(),
                    files: gone.len(),
                    bytes: gone.iter().map(|file| file.size).sum(),
                });
            }
            Err(error) if *error.kind() == Kind::Conflict => {
                tokio::time::sleep(Duration::from_millis(2) * attempt).await;
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::conflict(
        "other writers changed the table all the time; try again",
    ))
}

/// The files of days that are over since before `oldest`. A partition without a readable day is none, and neither is a
/// day with a log that is younger than its partition says.
fn expired(files: Vec<LogFile>, oldest: DateTime<Utc>) -> BTreeMap<NaiveDate, Vec<LogFile>> {
    let mut days: BTreeMap<NaiveDate, Vec<LogFile>> = BTreeMap::new();
    for file in files {
        if let Some(day) = file.day.filter(|day| *day < oldest.date_naive()) {
            days.entry(day).or_default().push(file);
        }
    }
    days.retain(|_, files| {
        let newest = files.iter().filter_map(|file| file.newest).max();
        newest.is_none_or(|newest| newest < oldest)
    });
    days
}
