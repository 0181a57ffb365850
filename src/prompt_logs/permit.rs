//! Decides, log by log, whether the caller may read what was found.
//!
//! `select` → here → `files`. Reads what each log requires, nothing else. What a log requires and cannot be read is
//! granted to nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use parquet::errors::ParquetError;
use rules::{Caller, Decision, OrgId, RequiredPermission, decide_all, required_for_log};

use super::files::{self, LogFile, OpenFile};
use super::search::Candidate;
use super::select::{Entry, FILES_AT_ONCE, Refusal};
use crate::lake::prompt_log_table::{CONVERSATION_ID, REQUIRED_PERMISSIONS, SERVICE_ID, USER_ID};

const COLUMNS: [&str; 4] = [REQUIRED_PERMISSIONS, USER_ID, SERVICE_ID, CONVERSATION_ID];

/// The values of [`COLUMNS`].
type Ids = [Option<String>; 4];

/// The candidates with a decision each, in their order.
pub(super) async fn authorise(
    store: &Arc<dyn ObjectStore>,
    files: &[Arc<LogFile>],
    candidates: Vec<Candidate>,
    org: &OrgId,
    caller: &Caller,
) -> Vec<Entry> {
    let mut by_file: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.readable {
            let rows = by_file.entry(candidate.file).or_default();
            rows.push((candidate.row, index));
        }
    }
    let reads = by_file.into_iter().map(|(file, mut rows)| async move {
        rows.sort_unstable();
        ids_of(store, &files[file], &rows).await
    });
    let mut reads = futures::stream::iter(reads).buffer_unordered(FILES_AT_ONCE);
    let mut ids: Vec<Option<Ids>> = candidates.iter().map(|_| None).collect();
    while let Some(read) = reads.next().await {
        for (index, of_log) in read {
            ids[index] = Some(of_log);
        }
    }
    let mut decisions = Decisions {
        org,
        caller,
        known: HashMap::new(),
    };
    let entries = candidates.into_iter().zip(ids);
    entries
        .map(|(candidate, ids)| decisions.entry(candidate, ids))
        .collect()
}

/// What the rows (with the indexes of their candidates) say, as far as it can be read.
async fn ids_of(
    store: &Arc<dyn ObjectStore>,
    file: &LogFile,
    rows: &[(usize, usize)],
) -> Vec<(usize, Ids)> {
    let failed = |error: &ParquetError| {
        tracing::error!(
            file = file.path,
            error = error as &dyn std::error::Error,
            "what logs require cannot be read; nobody gets them"
        );
    };
    let open = match OpenFile::open(Arc::clone(store), file).await {
        Ok(open) => open,
        Err(error) => {
            failed(&error);
            return Vec::new();
        }
    };
    let error = match read(&open, rows).await {
        Ok(ids) => return ids,
        Err(error) => error,
    };
    failed(&error);
    // One by one: a damaged page costs its own logs and no others.
    let mut ids = Vec::new();
    for row in rows {
        ids.extend(
            read(&open, std::slice::from_ref(row))
                .await
                .unwrap_or_default(),
        );
    }
    ids
}

async fn read(open: &OpenFile, rows: &[(usize, usize)]) -> Result<Vec<(usize, Ids)>, ParquetError> {
    let numbers: Vec<usize> = rows.iter().map(|(row, _)| *row).collect();
    let mut batches = open.rows(&COLUMNS, &numbers)?;
    let mut ids = Vec::with_capacity(rows.len());
    let mut indexes = rows.iter().map(|(_, index)| *index);
    while let Some(batch) = batches.try_next().await? {
        for (row, index) in (0..batch.num_rows()).zip(&mut indexes) {
            ids.push((
                index,
                COLUMNS.map(|column| files::text(&batch, column, row)),
            ));
        }
    }
    Ok(ids)
}

/// Logs of one conversation require the same: what was decided once is known.
struct Decisions<'a> {
    org: &'a OrgId,
    caller: &'a Caller,
    known: HashMap<Ids, Option<Arc<[RequiredPermission]>>>,
}

impl Decisions<'_> {
    fn entry(&mut self, candidate: Candidate, ids: Option<Ids>) -> Entry {
        let Candidate {
            key,
            created_at,
            file,
            row,
            readable,
        } = candidate;
        let required = ids.and_then(|ids| self.required(ids));
        let access = match &required {
            _ if !readable => Err(Refusal::Lost),
            None => Err(Refusal::Unreadable),
            Some(required) => match decide_all(self.caller, required) {
                Decision::Allowed => Ok(()),
                Decision::Denied(denial) => Err(Refusal::Denied(denial)),
            },
        };
        Entry {
            key,
            created_at,
            file,
            row,
            required: required.unwrap_or_default(),
            access,
        }
    }

    fn required(&mut self, ids: Ids) -> Option<Arc<[RequiredPermission]>> {
        let org = self.org;
        let required = self.known.entry(ids).or_insert_with_key(|ids| {
            let [stored, user, service, conversation] = ids.each_ref().map(Option::as_deref);
            let required = required_for_log(org, stored, user, service, conversation);
            required.ok().map(Arc::from)
        });
        required.clone()
    }
}
