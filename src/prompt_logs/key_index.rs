//! Remembers which keys a table's data files hold, so that a write need not read them all to know that its keys are new.
//!
//! Data files never change, so what is remembered of one stays true as long as it exists. Of each key 8 bytes are kept, a
//! hash with a secret of this process: a hit means "look", a miss means "not there". Not here: looking (`ingest`).

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use parquet::errors::ParquetError;
use rules::{OrgId, Result};

use super::files::{self, LogFile, OpenFile};
use crate::lake::prompt_log_table::LOG_KEY;
use crate::lake::unavailable;

/// Keys remembered in all, of all organizations: 64 MiB. Files beyond it are read at every write that may touch them.
const KEYS_MAX: usize = 8 * 1024 * 1024;

/// Keys of data files, of any number of organizations.
#[derive(Debug, Default)]
pub struct KeyIndex {
    hasher: RandomState,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Sorted hashes, by organization and path.
    hashes: HashMap<OrgId, HashMap<String, Arc<[u64]>>>,
    keys: usize,
}

impl KeyIndex {
    /// Whether `open` may hold one of the keys with these hashes (as [`KeyIndex::hash`] makes them).
    ///
    /// What a damaged file held is lost, so it holds none.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be read now.
    pub(super) async fn may_hold(
        &self,
        org: &OrgId,
        file: &LogFile,
        open: impl AsyncFnOnce() -> Result<OpenFile, ParquetError>,
        wanted: &[u64],
    ) -> Result<bool> {
        let hashes = match self.known(org, &file.path) {
            Some(hashes) => hashes,
            None => {
                let read = async { self.read(&open().await?).await };
                let hashes = match read.await {
                    Err(error) if is_damage(&error) => {
                        tracing::error!(
                            org.id = org.as_str(),
                            file = file.path,
                            error = &error as &dyn std::error::Error,
                            "a data file of prompt logs is damaged; new logs are written as if it held none"
                        );
                        Arc::default()
                    }
                    read => read.map_err(unavailable)?,
                };
                self.remember(org, &file.path, &hashes);
                hashes
            }
        };
        Ok(wanted.iter().any(|hash| hashes.binary_search(hash).is_ok()))
    }

    pub(super) fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Forgets the organization's files that are not among these.
    pub(super) fn keep_only(&self, org: &OrgId, paths: &HashSet<&str>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_org) = files.hashes.get_mut(org) else {
            return;
        };
        let mut forgotten = 0;
        of_org.retain(|path, hashes| {
            let keep = paths.contains(path.as_str());
            forgotten += if keep { 0 } else { hashes.len() };
            keep
        });
        files.keys -= forgotten;
    }

    fn known(&self, org: &OrgId, path: &str) -> Option<Arc<[u64]>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.hashes.get(org)?.get(path).map(Arc::clone)
    }

    fn remember(&self, org: &OrgId, path: &str, hashes: &Arc<[u64]>) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.keys + hashes.len() > KEYS_MAX {
            // Those who write now come before those who wrote once.
            let of_org = files.hashes.remove(org).unwrap_or_default();
            files.keys = of_org.values().map(|hashes| hashes.len()).sum();
            files.hashes.clear();
            files.hashes.insert(org.clone(), of_org);
        }
        if files.keys + hashes.len() <= KEYS_MAX {
            let of_org = files.hashes.entry(org.clone()).or_default();
            let before = of_org.insert(path.to_owned(), Arc::clone(hashes));
            files.keys += hashes.len();
            files.keys -= before.map_or(0, |hashes| hashes.len());
        }
    }

    async fn read(&self, open: &OpenFile) -> Result<Arc<[u64]>, ParquetError> {
        let groups = open.row_groups("", None);
        let mut batches = open.scan(&[LOG_KEY], &groups)?;
        let mut hashes = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            hashes.extend((0..batch.num_rows()).filter_map(|row| {
                let key = files::text(&batch, LOG_KEY, row)?;
                Some(self.hash(&key))
            }));
        }
        hashes.sort_unstable();
        Ok(hashes.into())
    }
}

/// Whether the file itself is at fault, and not the way to it.
fn is_damage(error: &ParquetError) -> bool {
    match error {
        ParquetError::External(cause) => matches!(
            cause.downcast_ref(),
            Some(object_store::Error::NotFound { .. })
        ),
        _ => true,
    }
}
