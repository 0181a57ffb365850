//! Writes prompt logs into an organization's table, durably and each key once.
//!
//! The table itself is exact: a key that exists is replaced in the same commit that adds its new record, an identical
//! record changes nothing, so every reader of Delta sees one row a log. Not here: the formats logs come in, and who may
//! write them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use chrono::{DateTime, SubsecRound, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::{Add, Remove};
use deltalake_core::protocol::SaveMode;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use rules::{Error, Kind, LogKey, OrgId, Result};

use super::files::{self, LogFile, OpenFile};
use super::key_index::KeyIndex;
use super::record::{Prompt, Record};
use super::rows;
use crate::lake::prompt_log_table::{self as table_shape, DAY, LOG_KEY, file_schema};
use crate::lake::{self, DataFileWriter, Lake, Locked, unavailable};

/// How often a write that another writer overtook reads the table again and decides again.
const ATTEMPTS: u32 = 20;

/// Files that no version names are left over after `keeping.unused_seconds`, a minute at least: who needs longer than this
/// looks whether the first ones are still there.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
/// How long such a one waits for a merge to end.
const LOCKED_WITHIN: Duration = Duration::from_secs(60);

/// What became of a batch of records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Records that are now in the table and were not before.
    pub written: usize,
    /// Records that were there already, identical.
    pub unchanged: usize,
    /// Keys whose older record was still shown, and another one.
    pub replaced: HashSet<LogKey>,
}

/// Records gathered to be written together. Prompts that recur are held once.
#[derive(Debug, Default)]
pub struct Chunk {
    records: Vec<Record>,
    prompts: HashSet<Prompt>,
    bytes: usize,
}

impl Chunk {
    /// Memory and the size of a commit: distinct text, and the number of records.
    const FULL_BYTES: usize = 64 * 1024 * 1024;
    const FULL_RECORDS: usize = 20_000;

    pub fn push(&mut self, mut record: Record) {
        let (prompts, bytes) = (&mut self.prompts, &mut self.bytes);
        for prompt in record
            .history
            .iter_mut()
            .flatten()
            .chain(&mut record.system)
        {
            *bytes += size_of::<Prompt>();
            match prompts.get(prompt) {
                Some(known) => *prompt = Arc::clone(known),
                None => {
                    *bytes += prompt.len();
                    prompts.insert(Arc::clone(prompt));
                }
            }
        }
        self.bytes += size_of::<Record>()
            + record.log_key.as_str().len()
            + record
                .labels
                .iter()
                .flatten()
                .map(String::len)
                .sum::<usize>();
        self.records.push(record);
    }

    pub fn is_full(&self) -> bool {
        self.bytes >= Self::FULL_BYTES || self.records.len() >= Self::FULL_RECORDS
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What the records take, about: their distinct text.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn into_records(self) -> Vec<Record> {
        self.records
    }
}

/// Writes the records in one commit; when this returns they are on disk. Of one key's records the last one counts. What is
/// older than `oldest` is not shown any more.
///
/// # Errors
/// `StorageFull`, `Unavailable`: acknowledge nothing then, although the records may be there.
pub async fn write(
    lake: &Lake,
    keys: &KeyIndex,
    org: &OrgId,
    records: Vec<Record>,
    now: DateTime<Utc>,
    oldest: DateTime<Utc>,
) -> Result<Written> {
    let mut by_key = BTreeMap::new();
    for record in records {
        by_key.insert(record.log_key.clone(), record);
    }
    let records: Vec<Record> = by_key.into_values().collect();
    let mut attempt = 1;
    loop {
        match attempt_write(lake, keys, org, &records, now, oldest).await {
            Err(error) if *error.kind() == Kind::Conflict && attempt < ATTEMPTS => {
                tracing::debug!(
                    attempt,
                    "another writer was faster; reading the table again"
                );
                tokio::time::sleep(Duration::from_millis(5) * attempt).await;
                attempt += 1;
            }
            Err(error) if *error.kind() == Kind::Conflict => {
                return Err(Error::unavailable(
                    "other writers changed the archive all the time; send it again",
                )
                .because(error));
            }
            result => return result,
        }
    }
}

async fn attempt_write(
    lake: &Lake,
    keys: &KeyIndex,
    org: &OrgId,
    records: &[Record],
    now: DateTime<Utc>,
    oldest: DateTime<Utc>,
) -> Result<Written> {
    if records.is_empty() {
        return Ok(Written::default());
    }
    let mut table = match lake.open(org, &table_shape::name()).await? {
        Some(table) => table,
        None => {
            let columns = table_shape::columns();
            lake.create(
                org,
                &table_shape::name(),
                columns,
                &[DAY],
                Vec::new(),
                SaveMode::ErrorIfExists,
            )
            .await?
        }
    };
    let store = table.object_store();
    let existing = Existing::find(&table, &store, keys, org, records, oldest).await?;
    let fresh: Vec<&Record> = records
        .iter()
        .enumerate()
        .filter(|(index, _)| !existing.identical.contains(index))
        .map(|(_, log)| log)
        .collect();
    let written = Written {
        written: fresh.len(),
        unchanged: existing.identical.len(),
        replaced: existing.replaced_keys.clone(),
    };
    if fresh.is_empty() {
        return Ok(written);
    }
    let (mut new_files, began) = (Vec::new(), Instant::now());
    let stored = async {
        add_days(&store, &fresh, now, &mut new_files).await?;
        let removes = existing
            .replace(&table, &store, now, &mut new_files)
            .await?;
        let is_slow = began.elapsed() > WRITTEN_WITHIN;
        let locked = match is_slow {
            true => Some(still_there(lake, org, &store, &new_files).await?),
            false => None,
        };
        Ok((removes, locked))
    };
    let (removes, _locked) = match stored.await {
        Ok(stored) => stored,
        Err(error) => {
            lake::discard(&store, &new_files).await;
            return Err(error);
        }
    };
    if let Err(error) = lake::commit(&mut table, new_files.clone(), removes).await {
        lake::discard_uncommitted(lake, org, &table_shape::name(), &error, &new_files).await;
        return Err(error);
    }
    Ok(written)
}

/// Makes sure that nobody took new files for left over while others were still written, and that nobody does so before
/// they are committed.
///
/// # Errors
/// `Unavailable` when one is gone, or the table cannot be locked in time.
async fn still_there(
    lake: &Lake,
    org: &OrgId,
    store: &Arc<dyn ObjectStore>,
    files: &[Add],
) -> Result<Locked> {
    let slow = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::unavailable("writing took too long; send it again, which is safe").because(error)
    };
    let name = table_shape::name();
    let locked = lake.lock_within(org, &name, LOCKED_WITHIN).await;
    let locked = locked.map_err(|error| slow(error.into()))?;
    for file in files {
        let path = StorePath::from(file.path.as_str());
        store
            .head(&path)
            .await
            .map_err(|error| slow(error.into()))?;
    }
    Ok(locked)
}

/// What the table already knows of the records' keys.
#[derive(Default)]
struct Existing {
    /// Indexes of records that are stored exactly so.
    identical: HashSet<usize>,
    /// Rows that other records replace, by file, ascending.
    replaced: Vec<(LogFile, Vec<usize>)>,
    /// Of those that were still shown.
    replaced_keys: HashSet<LogKey>,
}

impl Existing {
    /// `records` are sorted by key.
    async fn find(
        table: &DeltaTable,
        store: &Arc<dyn ObjectStore>,
        keys: &KeyIndex,
        org: &OrgId,
        records: &[Record],
        oldest: DateTime<Utc>,
    ) -> Result<Self> {
        let by_key: HashMap<&str, usize> = records
            .iter()
            .enumerate()
            .map(|(index, log)| (log.log_key.as_str(), index))
            .collect();
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(Self::default());
        };
        let from = first.log_key.as_str();
        // The least byte string above the last key.
        let until = [last.log_key.as_str().as_bytes(), &[0]].concat();
        let wanted: Vec<u64> = records
            .iter()
            .map(|log| keys.hash(log.log_key.as_str()))
            .collect();
        let files = files::list(table)?;
        keys.keep_only(org, &files.iter().map(|file| file.path.as_str()).collect());
        let mut found = Self::default();
        for file in files
            .into_iter()
            .filter(|file| file.may_hold(from, Some(&until)))
        {
            let open = async || OpenFile::open(Arc::clone(store), &file).await;
            if !keys.may_hold(org, &file, open, &wanted).await? {
                continue;
            }
            let open = open().await.map_err(unavailable)?;
            let mut rows = Vec::new();
            for group in open.row_groups(from, Some(&until)) {
                let mut row = group.first_row;
                let mut keys = open.scan(&[LOG_KEY], &[group]).map_err(unavailable)?;
                while let Some(batch) = keys.next().await.transpose().map_err(unavailable)? {
                    rows.extend((0..batch.num_rows()).filter_map(|index| {
                        let key = files::text(&batch, LOG_KEY, index)?;
                        by_key.contains_key(key.as_str()).then_some(row + index)
                    }));
                    row += batch.num_rows();
                }
            }
            if !rows.is_empty() {
                let replaced = found
                    .compare(&open, &rows, records, &by_key, oldest)
                    .await?;
                if !replaced.is_empty() {
                    found.replaced.push((file, replaced));
                }
            }
        }
        Ok(found)
    }

    /// Sorts `rows` of a file into identical ones and those to replace, which it returns.
    async fn compare(
        &mut self,
        open: &OpenFile,
        rows: &[usize],
        records: &[Record],
        by_key: &HashMap<&str, usize>,
        oldest: DateTime<Utc>,
    ) -> Result<Vec<usize>> {
        let columns: Vec<&str> = rows::columns();
        let mut stored = open.rows(&columns, rows).map_err(unavailable)?;
        let mut numbers = rows.iter().copied();
        let mut replaced = Vec::new();
        while let Some(batch) = stored.try_next().await.map_err(unavailable)? {
            for (index, number) in (0..batch.num_rows()).zip(&mut numbers) {
                let stored = files::record(&batch, index)?;
                let known = by_key
                    .get(stored.log_key.as_str())
                    .map(|index| (*index, &records[*index]));
                let Some((index, record)) = known else {
                    continue;
                };
                // A record without an instant of its own is the same whenever it comes again, while the first one is shown.
                let is_shown = stored.created_at.is_some_and(|at| at >= oldest);
                let same_instant = match record.created_at {
                    Some(at) => stored.created_at == Some(at),
                    None => is_shown,
                };
                let same_rest = record.system == stored.system
                    && record.history == stored.history
                    && record.labels == stored.labels;
                if same_instant && same_rest {
                    self.identical.insert(index);
                } else {
                    replaced.push(number);
                    if is_shown {
                        self.replaced_keys.insert(stored.log_key);
                    }
                }
            }
        }
        Ok(replaced)
    }

    /// Writes the files with replaced rows anew without them; returns what removes the old ones.
    async fn replace(
        &self,
        table: &DeltaTable,
        store: &Arc<dyn ObjectStore>,
        now: DateTime<Utc>,
        new_files: &mut Vec<Add>,
    ) -> Result<Vec<Remove>> {
        let mut removes = Vec::with_capacity(self.replaced.len());
        for (file, replaced) in &self.replaced {
            let open = OpenFile::open(Arc::clone(store), file)
                .await
                .map_err(unavailable)?;
            let partition = file.day.map(|day| (DAY.to_owned(), day.to_string()));
            let mut writer =
                DataFileWriter::new(file_schema(), table_shape::properties(), partition)?;
            let mut kept = 0;
            for group in open.row_groups("", None) {
                let mut row = group.first_row;
                let mut rows = open.scan(&rows::columns(), &[group]).map_err(unavailable)?;
                while let Some(batch) = rows.try_next().await.map_err(unavailable)? {
                    let keep = (row..row + batch.num_rows())
                        .map(|row| replaced.binary_search(&row).is_err());
                    let rest =
                        filter_record_batch(&batch, &BooleanArray::from_iter(keep.map(Some)));
                    let rest = rest.map_err(unavailable)?;
                    writer.write(&rest)?;
                    kept += rest.num_rows();
                    row += batch.num_rows();
                }
                writer.end_row_group()?;
            }
            if kept > 0 {
                new_files.push(
                    writer
                        .finish(store.as_ref(), now.timestamp_millis())
                        .await?,
                );
            }
            removes.push(files::removal(table, file)?);
        }
        Ok(removes)
    }
}

/// Writes the records (sorted by key) as data files, one or more a day.
async fn add_days(
    store: &Arc<dyn ObjectStore>,
    records: &[&Record],
    now: DateTime<Utc>,
    new_files: &mut Vec<Add>,
) -> Result<()> {
    let now = now.trunc_subsecs(6);
    let mut days: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for record in records {
        days.entry(table_shape::day(record.created_at.unwrap_or(now)))
            .or_default()
            .push(record);
    }
    for (day, records) in days {
        let partition = || Some((DAY.to_owned(), day.clone()));
        let mut writer =
            DataFileWriter::new(file_schema(), table_shape::properties(), partition())?;
        for group in rows::row_groups(&records) {
            if writer.is_full() {
                new_files.push(
                    writer
                        .finish(store.as_ref(), now.timestamp_millis())
                        .await?,
                );
                writer =
                    DataFileWriter::new(file_schema(), table_shape::properties(), partition())?;
            }
            writer.write(&rows::batch(group, now)?)?;
            writer.end_row_group()?;
        }
        new_files.push(
            writer
                .finish(store.as_ref(), now.timestamp_millis())
                .await?,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
