//! Tables that were opened before: the next opening goes on from the last one instead of reading the whole log again.
//!
//! Another process may commit, replace or delete a table at any time, so every opening asks the store what has happened
//! since: whether there is a next commit, and whether the last one and the checkpoint are still the files that were read.
//! Whoever opens a table therefore sees every commit that was acknowledged before. Not here: data files and what is in
//! them (`log_files`).

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use deltalake_core::DeltaTable;
use futures::try_join;
use hashlink::LruCache;
use object_store::ObjectStoreExt;
use object_store::path::Path as StorePath;
use rules::{OrgId, Result, TableName};

use super::log_files::{self, Footers, LogFile};
use super::{Lake, unavailable};

/// Tables kept open; each takes as much memory as its list of files.
const TABLES_MAX: usize = 64;
/// After as many steps from commit to commit a table is read anew: each step leaves a batch of its own.
const STEPS_MAX: u32 = 256;
/// Attempts at reading a table that somebody is replacing.
const ATTEMPTS: u32 = 3;

#[derive(Debug)]
pub(super) struct Warm {
    tables: Mutex<LruCache<(OrgId, TableName), Arc<Slot>>>,
    pub(super) footers: Arc<Footers>,
}

/// The place of one table.
#[derive(Debug, Default)]
pub(super) struct Slot {
    last: Mutex<Option<Arc<Known>>>,
    /// Held while the log is read, so that many requests read it once.
    turn: tokio::sync::Mutex<()>,
}

/// A table at the version it was last seen at.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) table: DeltaTable,
    seen: Seen,
    steps: u32,
    logs: OnceLock<Arc<Vec<Arc<LogFile>>>>,
    /// The list of an earlier version: most files are still the same.
    earlier: Option<Arc<Vec<Arc<LogFile>>>>,
}

/// The files that tell one state of a table from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    commit: Option<Stamp>,
    checkpoint: Option<Stamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    e_tag: Option<String>,
    modified: DateTime<Utc>,
    size: u64,
}

/// What has happened to a table since it was last seen.
enum Since {
    Nothing,
    Commits,
    /// It is another table, or none.
    Replaced,
}

impl Default for Warm {
    fn default() -> Self {
        Self {
            tables: Mutex::new(LruCache::new(TABLES_MAX)),
            footers: Arc::default(),
        }
    }
}

impl Warm {
    fn slot(&self, org: &OrgId, name: &TableName) -> Arc<Slot> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (org.clone(), name.clone());
        if let Some(slot) = tables.get(&key) {
            return Arc::clone(slot);
        }
        let slot = Arc::<Slot>::default();
        tables.insert(key, Arc::clone(&slot));
        slot
    }
}

impl Slot {
    fn last(&self) -> Option<Arc<Known>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    fn set(&self, known: Option<Arc<Known>>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl Known {
    /// The data files of a `prompt_logs` table.
    pub(super) fn logs(
        &self,
        org: &OrgId,
        footers: &Arc<Footers>,
    ) -> Result<Arc<Vec<Arc<LogFile>>>> {
        if let Some(logs) = self.logs.get() {
            return Ok(Arc::clone(logs));
        }
        let earlier = self
            .earlier
            .as_ref()
            .map_or(&[][..], |files| files.as_slice());
        let logs = Arc::new(log_files::list_warm(&self.table, earlier, org, footers)?);
        Ok(Arc::clone(self.logs.get_or_init(|| logs)))
    }
}

impl Lake {
    /// The table as the newest commit made it; `None` when there is none.
    pub(super) async fn known(&self, org: &OrgId, name: &TableName) -> Result<Option<Arc<Known>>> {
        let slot = self.warm.slot(org, name);
        let log = StorePath::from_iter([org.as_str(), name.as_str(), "_delta_log"]);
        if let Some(known) = slot.last()
            && let Since::Nothing = self.since(&log, &known).await?
        {
            return Ok(Some(known));
        }
        let _turn = slot.turn.lock().await;
        let last = slot.last();
        let step = match &last {
            Some(known) => match self.since(&log, known).await? {
                Since::Nothing => return Ok(last),
                Since::Commits => Some(known.as_ref()).filter(|known| known.steps < STEPS_MAX),
                Since::Replaced => None,
            },
            None => None,
        };
        let known = self.read(org, name, &log, step).await?.map(Arc::new);
        slot.set(known.clone());
        Ok(known)
    }

    async fn since(&self, log: &StorePath, known: &Known) -> Result<Since> {
        let version = known.table.version().unwrap_or(0);
        let (next, seen) = try_join!(
            self.stamp(commit_file(log, version + 1)),
            self.seen(log, version)
        )?;
        Ok(if seen.commit != known.seen.commit {
            Since::Replaced
        } else if next.is_some() || seen.checkpoint != known.seen.checkpoint {
            Since::Commits
        } else {
            Since::Nothing
        })
    }

    /// Reads the table's log: what is new since `last`, or all of it.
    async fn read(
        &self,
        org: &OrgId,
        name: &TableName,
        log: &StorePath,
        mut last: Option<&Known>,
    ) -> Result<Option<Known>> {
        for _ in 0..ATTEMPTS {
            // A checkpoint that comes while the log is read is news at the next opening.
            let checkpoint = self.stamp(checkpoint_file(log)).await?;
            let Some(table) = self.read_log(org, name, last).await? else {
                return Ok(None);
            };
            let version = table.version().unwrap_or(0);
            let commit = self.stamp(commit_file(log, version)).await?;
            let read = table
                .snapshot()
                .map_err(unavailable)?
                .version_timestamp(version);
            let is_same = read.is_none_or(|read| {
                let modified = commit
                    .as_ref()
                    .map(|commit| commit.modified.timestamp_millis());
                modified == Some(read)
            });
            if is_same {
                let earlier = last.and_then(|last| last.logs.get().or(last.earlier.as_ref()));
                return Ok(Some(Known {
                    table,
                    seen: Seen { commit, checkpoint },
                    steps: last.map_or(0, |last| last.steps + 1),
                    logs: OnceLock::new(),
                    earlier: earlier.cloned(),
                }));
            }
            last = None;
        }
        Err(unavailable("the table is being replaced again and again"))
    }

    async fn read_log(
        &self,
        org: &OrgId,
        name: &TableName,
        last: Option<&Known>,
    ) -> Result<Option<DeltaTable>> {
        if let Some(last) = last {
            let mut table = last.table.clone();
            match table.update_incremental(None).await {
                Ok(()) => return Ok(Some(table)),
                // Commits between the two versions may have been cleaned up.
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a table's log is read anew"
                ),
            }
        }
        let mut table = self.builder(org, name)?.build().map_err(unavailable)?;
        let exists = table.verify_deltatable_existence().await;
        if !exists.map_err(unavailable)? {
            return Ok(None);
        }
        table.load().await.map_err(unavailable)?;
        Ok(Some(table))
    }

    async fn seen(&self, log: &StorePath, version: u64) -> Result<Seen> {
        let (commit, checkpoint) = try_join!(
            self.stamp(commit_file(log, version)),
            self.stamp(checkpoint_file(log))
        )?;
        Ok(Seen { commit, checkpoint })
    }

    async fn stamp(&self, file: StorePath) -> Result<Option<Stamp>> {
        match self.store.head(&file).await {
            Ok(meta) => Ok(Some(Stamp {
                e_tag: meta.e_tag,
                modified: meta.last_modified,
                size: meta.size,
            })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn commit_file(log: &StorePath, version: u64) -> StorePath {
    log.clone().join(format!("{version:020}.json"))
}

fn checkpoint_file(log: &StorePath) -> StorePath {
    log.clone().join("_last_checkpoint")
}
