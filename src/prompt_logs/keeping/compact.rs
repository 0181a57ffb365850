//! Merges the files of a table until there is nothing to merge.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::Add;
use deltalake_core::protocol::DeltaOperation;
use rules::{Error, Kind, OrgId, Result};

use super::super::files::{self, LogFile, OpenFile};
use super::Progress;
use super::merge::{Failed, Source, merge};
use super::plan::{self, Zeal};
use crate::lake::prompt_log_table as table_shape;
use crate::lake::{self, DataFileWriter, Lake, discard, discard_uncommitted, unavailable};

/// Memory of the files a merge reads at once, roughly.
const MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// A decoded row group is held as Arrow's arrays, as records, and in part compressed.
const MEMORY_FACTOR: u64 = 3;
const SOURCE_BYTES: u64 = 256 * 1024;
/// How often a finished merge is offered to a table that other writers change all the time.
const ATTEMPTS: u32 = 50;

/// What was merged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Files that were merged, and the ones that took their place, with their bytes.
    pub merged_files: usize,
    pub merged_bytes: u64,
    pub new_files: usize,
    pub new_bytes: u64,
    pub commits: u64,
    /// The table's version when nothing was left to do.
    pub(super) version: Option<u64>,
}

/// Merges all files whose keys overlap, and all small ones, today's too.
///
/// # Errors
/// `Unavailable`, `StorageFull`; what was merged before stays merged.
pub async fn compact_all(
    lake: &Lake,
    org: &OrgId,
    now: DateTime<Utc>,
    progress: &Progress<'_>,
) -> Result<Compacted> {
    let mut merged = Compacted::default();
    let unfit = &mut HashSet::new();
    compact(lake, org, Zeal::All, now, unfit, progress, &mut merged).await?;
    Ok(merged)
}

/// Merges until nothing is left to, and adds what was merged to `total`, which counts after an error too. Files that
/// cannot be read are named in the log, left alone, and added to `unfit`, as are files that are in it already.
pub(super) async fn compact(
    lake: &Lake,
    org: &OrgId,
    zeal: Zeal,
    now: DateTime<Utc>,
    unfit: &mut HashSet<String>,
    progress: &Progress<'_>,
    total: &mut Compacted,
) -> Result<()> {
    loop {
        let Some(table) = lake.open(org, &table_shape::name()).await? else {
            return Ok(());
        };
        total.version = Some(table.snapshot().map_err(unavailable)?.version());
        let mut files = files::list(&table)?;
        files.retain(|file| !unfit.contains(&file.path));
        let Some(chosen) = plan::next(&files, zeal, now) else {
            return Ok(());
        };
        match merge_files(lake, org, table, chosen, now, progress).await {
            Ok(merged) => {
                total.merged_files += merged.merged_files;
                total.merged_bytes += merged.merged_bytes;
                total.new_files += merged.new_files;
                total.new_bytes += merged.new_bytes;
                total.commits += merged.commits;
            }
            Err(Failed::Source(path, error)) => {
                tracing::warn!(
                    org.id = org.as_str(),
                    file = path,
                    error = &error as &dyn std::error::Error,
                    "a data file cannot be merged; it stays as it is"
                );
                unfit.insert(path);
            }
            Err(Failed::Other(error)) => return Err(error),
            Err(Failed::Stopped) => return Ok(()),
        }
    }
}

/// One merge and its commit. Nothing is merged when a file was removed meanwhile: then the table is to be looked at anew.
async fn merge_files(
    lake: &Lake,
    org: &OrgId,
    table: DeltaTable,
    chosen: Vec<LogFile>,
    now: DateTime<Utc>,
    progress: &Progress<'_>,
) -> Result<Compacted, Failed> {
    let store = table.object_store();
    let mut sources = Vec::with_capacity(chosen.len());
    for file in chosen {
        match OpenFile::open(Arc::clone(&store), &file).await {
            Ok(open) => sources.push(Source { file, open }),
            Err(error) => return Err(Failed::Source(file.path, unavailable(error))),
        }
    }
    let memory = |source: &Source| source.open.row_group_bytes() * MEMORY_FACTOR + SOURCE_BYTES;
    let sized: Vec<(&LogFile, u64)> = sources
        .iter()
        .map(|source| (&source.file, memory(source)))
        .collect();
    let within: HashSet<usize> = plan::within(&sized, MEMORY_BYTES).into_iter().collect();
    let mut index = 0..;
    sources.retain(|_| index.next().is_some_and(|index| within.contains(&index)));

    let Some(day) = sources.first().and_then(|source| source.file.day) else {
        return Err(Error::internal("there is nothing to merge").into());
    };
    let paths: Vec<String> = sources
        .iter()
        .map(|source| source.file.path.clone())
        .collect();
    let merged_bytes = sources.iter().map(|source| source.file.size).sum();
    let new = merge(&store, day, sources, now, progress).await?;
    let new_bytes = new.iter().map(|file| u64::try_from(file.size).unwrap_or(0));
    let merged = Compacted {
        merged_files: paths.len(),
        merged_bytes,
        new_files: new.len(),
        new_bytes: new_bytes.sum(),
        commits: 1,
        version: None,
    };
    match commit(table, &paths, &new).await {
        Ok(true) => Ok(merged),
        Ok(false) => {
            discard(&store, &new).await;
            Ok(Compacted::default())
        }
        Err(error) => {
            discard_uncommitted(lake, org, &table_shape::name(), &error, &new).await;
            Err(error.into())
        }
    }
}

/// Puts the new files in the place of the old ones. Data files never change and each key is in one file only, so where
/// all the old ones are still the table's, the new ones hold exactly their rows, whatever else was written meanwhile.
/// `false` when one is not, or others were faster all the time: nothing was committed then.
async fn commit(mut table: DeltaTable, old: &[String], new: &[Add]) -> Result<bool> {
    let old: HashSet<&str> = old.iter().map(String::as_str).collect();
    for attempt in 1..=ATTEMPTS {
        let Some(removes) = files::removals(&table, &old, false)? else {
            return Ok(false);
        };
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: i64::try_from(DataFileWriter::FULL_BYTES).unwrap_or(i64::MAX),
        };
        match lake::commit_as(operation, &mut table, new.to_vec(), removes).await {
            Err(error) if *error.kind() == Kind::Conflict => {
                tokio::time::sleep(Duration::from_millis(2) * attempt).await;
                table.load().await.map_err(unavailable)?;
            }
            result => return result.map(|()| true),
        }
    }
    Ok(false)
}
