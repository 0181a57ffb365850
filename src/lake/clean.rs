//! Keeps a table's folder small: deletes data files that no reader can need any more, log entries that lie behind a
//! checkpoint, and what writers that died left over.
//!
//! A reader works with the version it began with, and a writer's files are no version's until it commits. Both are left
//! alone for a while, `keep`: a file goes only when it has been out of the table, or was written and never in it, for
//! longer. Nothing is committed for it, so writers are not held up.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::checkpoints::cleanup_expired_logs_for;
use deltalake_core::operations::vacuum::{Clock, VacuumMode};
use object_store::{ObjectStoreExt, path::Path as StorePath};
use rules::{Error, Kind, OrgId, Result, TableName};

use super::{Lake, commit_failed, commit_properties, unavailable};

/// What was deleted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Cleaned {
    /// Data files, and their bytes.
    pub files: usize,
    pub bytes: u64,
    /// Files of the table's log.
    pub log_files: usize,
}

/// Deletes what the table no longer needs and has not needed for as long as `keep`, at least a second.
///
/// # Errors
/// `Unavailable` when the store does not answer; part of it may be deleted then.
pub async fn clean(
    lake: &Lake,
    org: &OrgId,
    name: &TableName,
    now: DateTime<Utc>,
    keep: TimeDelta,
) -> Result<Cleaned> {
    let Some(table) = lake.open(org, name).await? else {
        return Ok(Cleaned::default());
    };
    let table = with_properties(table, keep).await?;
    let mut cleaned = delete_unneeded(&table, now, keep).await?;
    let snapshot = table.snapshot().map_err(unavailable)?;
    let cutoff = (now - keep).timestamp_millis();
    let (version, log_store) = (snapshot.version(), table.log_store());
    cleaned.log_files = cleanup_expired_logs_for(version, log_store.as_ref(), cutoff, None)
        .await
        .map_err(unavailable)?;
    sweep(lake, org, name, now - keep).await?;
    Ok(cleaned)
}

/// Writes into the table how long its checkpoints remember removed files, and for other programs how long its log is
/// kept. Delta's own defaults, a week and 30 days, make both grow with every commit of that time.
async fn with_properties(table: DeltaTable, keep: TimeDelta) -> Result<DeltaTable> {
    let interval = format!("interval {} seconds", keep.num_seconds());
    let wanted = [
        "delta.deletedFileRetentionDuration",
        "delta.logRetentionDuration",
    ]
    .map(|property| (property.to_owned(), interval.clone()));
    let wanted = HashMap::from(wanted);
    let snapshot = table.snapshot().map_err(unavailable)?;
    let known = snapshot.metadata().configuration();
    if wanted
        .iter()
        .all(|(property, value)| known.get(property) == Some(value))
    {
        return Ok(table);
    }
    let changed = table
        .clone()
        .set_tbl_properties()
        .with_properties(wanted)
        .with_commit_properties(commit_properties())
        .await
        .map_err(commit_failed);
    match changed {
        // Another writer was faster; the next time will do.
        Err(error) if *error.kind() == Kind::Conflict => Ok(table),
        changed => changed,
    }
}

/// Deletes what Delta's own vacuum would; that one also commits twice to say so.
async fn delete_unneeded(
    table: &DeltaTable,
    now: DateTime<Utc>,
    keep: TimeDelta,
) -> Result<Cleaned> {
    let plan = table
        .clone()
        .vacuum()
        .with_mode(VacuumMode::Full)
        .with_retention_period(keep)
        .with_enforce_retention_duration(false)
        .with_clock(Arc::new(At(now)))
        .with_dry_run(true);
    let (_, plan) = plan.await.map_err(unavailable)?;
    let store = table.object_store();
    let mut cleaned = Cleaned::default();
    for path in plan.files_deleted {
        let path = StorePath::from(path);
        // Removed long ago, and deleted by a round before this one.
        let Ok(file) = store.head(&path).await else {
            continue;
        };
        store.delete(&path).await.map_err(unavailable)?;
        cleaned.files += 1;
        cleaned.bytes += file.size;
    }
    Ok(cleaned)
}

#[derive(Debug)]
struct At(DateTime<Utc>);

impl Clock for At {
    fn current_timestamp_millis(&self) -> i64 {
        self.0.timestamp_millis()
    }
}

/// Deletes files that a local store was still writing when its process died. Such a file has a `#` and a number behind
/// its name, and the store itself does not see it.
async fn sweep(lake: &Lake, org: &OrgId, name: &TableName, before: DateTime<Utc>) -> Result<()> {
    let Ok(root) = lake.url().to_file_path() else {
        return Ok(());
    };
    let folder = root.join(org.as_str()).join(name.as_str());
    let swept = tokio::task::spawn_blocking(move || sweep_folder(&folder, before)).await;
    swept
        .map_err(|error| Error::internal("the sweep ended early").because(error))?
        .map_err(unavailable)
}

fn sweep_folder(folder: &Path, before: DateTime<Utc>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sweep_folder(&entry.path(), before)?;
            continue;
        }
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| Some(name.rsplit_once('#')?.1));
        let unfinished = number.is_some_and(|number| number.parse::<u64>().is_ok());
        // One that is gone meanwhile was finished, or swept by another process.
        if unfinished
            && let Ok(metadata) = entry.metadata()
            && DateTime::<Utc>::from(metadata.modified()?) < before
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
