//! Chooses the logs of one archive and decides, log by log, whether the caller may read them.
//!
//! `http/prompt_logs` → here → `archive`. Reads keys, instants and permissions only, never a prompt: at most one log
//! more than an archive holds, whose arrival proves that the archive is cut. An entry without a decision does not exist,
//! so only an authorised log can reach the archive.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use deltalake_core::DeltaTable;
use futures::TryStreamExt;
use object_store::ObjectStore;
use rules::{Caller, Denial, Error, OrgId, Result, decide_all, prefix_end, required_for_log};

use super::files::{self, LogFile, OpenFile};
use crate::lake::prompt_log_table::{
    self as table_shape, CONVERSATION_ID, CREATED_AT, LOG_KEY, REQUIRED_PERMISSIONS, SERVICE_ID,
    USER_ID,
};
use crate::lake::{Lake, unavailable};

/// Files looked into at once.
const FILES_AT_ONCE: usize = 4;

/// Which logs are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub prefix: &'a str,
    /// Only keys behind this one.
    pub after: Option<&'a str>,
    /// The logs of one archive.
    pub limit: usize,
    /// Only logs of this age or younger.
    pub age_max: TimeDelta,
}

/// The logs of one archive, planned from one version of the table.
pub struct Selection {
    pub(super) entries: Vec<Entry>,
    pub(super) files: Vec<LogFile>,
    pub(super) store: Option<Arc<dyn ObjectStore>>,
    truncated: bool,
}

/// One log of an archive: permitted, or why not.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub created_at: DateTime<Utc>,
    /// Index into the selection's files, and the row in that file.
    pub file: usize,
    pub row: usize,
    pub access: Result<(), Refusal>,
}

/// Why a log is not delivered.
#[derive(Debug)]
pub(super) enum Refusal {
    Denied(Denial),
    /// What the log requires cannot be read, so nobody gets it.
    Unreadable,
}

impl Selection {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Logs the caller may not read; each becomes an `-error` entry.
    pub fn denied(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.access.is_err())
            .count()
    }

    /// The last key of a cut archive: what `after` continues behind. `None` when nothing was cut.
    pub fn next_after(&self) -> Option<&str> {
        self.entries
            .last()
            .filter(|_| self.truncated)
            .map(|entry| entry.key.as_str())
    }
}

impl std::fmt::Debug for Selection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            entries, truncated, ..
        } = self;
        formatter
            .debug_struct("Selection")
            .field("logs", &entries.len())
            .field("truncated", truncated)
            .finish_non_exhaustive()
    }
}

/// Chooses the logs for `caller`, in ascending key order.
///
/// # Errors
/// `Unavailable` when the store does not answer. No log found is no error: the selection is empty.
pub async fn select(
    lake: &Lake,
    org: &OrgId,
    caller: &Caller,
    query: Query<'_>,
    now: DateTime<Utc>,
) -> Result<Selection> {
    let none = Selection {
        entries: Vec::new(),
        files: Vec::new(),
        store: None,
        truncated: false,
    };
    let Some(table) = lake.open(org, &table_shape::name()).await? else {
        return Ok(none);
    };
    let plan = Plan::new(&table, query, now)?;
    let mut candidates = plan.candidates().await?;
    let truncated = candidates.len() > query.limit;
    candidates.truncate(query.limit);
    let entries = plan.authorise(candidates, org, caller).await?;
    Ok(Selection {
        entries,
        files: plan.files,
        store: Some(plan.store),
        truncated,
    })
}

/// All keys with the prefix and their instants, ascending, whatever their age and however many: the operator's list.
///
/// # Errors
/// `Unavailable` when the store does not answer.
pub async fn list_keys(
    lake: &Lake,
    org: &OrgId,
    prefix: &str,
) -> Result<Vec<(String, DateTime<Utc>)>> {
    let Some(table) = lake.open(org, &table_shape::name()).await? else {
        return Ok(Vec::new());
    };
    let query = Query {
        prefix,
        after: None,
        limit: usize::MAX - 1,
        age_max: TimeDelta::MAX,
    };
    let candidates = Plan::new(&table, query, DateTime::UNIX_EPOCH)?
        .candidates()
        .await?;
    Ok(candidates
        .into_iter()
        .map(|candidate| (candidate.key, candidate.created_at))
        .collect())
}

struct Plan {
    store: Arc<dyn ObjectStore>,
    files: Vec<LogFile>,
    /// The least key asked for; with `after`, that key itself, which does not count.
    from: String,
    after: Option<String>,
    until: Option<Vec<u8>>,
    oldest: DateTime<Utc>,
    limit: usize,
}

#[derive(Debug)]
struct Candidate {
    key: String,
    created_at: DateTime<Utc>,
    file: usize,
    row: usize,
}

impl Plan {
    fn new(table: &DeltaTable, query: Query<'_>, now: DateTime<Utc>) -> Result<Self> {
        let oldest = now
            .trunc_subsecs(6)
            .checked_sub_signed(query.age_max)
            .unwrap_or(DateTime::<Utc>::MIN_UTC);
        let after = query.after.map(str::to_owned);
        let from = after
            .clone()
            .filter(|after| after.as_str() > query.prefix)
            .unwrap_or(query.prefix.to_owned());
        let until = prefix_end(query.prefix);
        let files = files::list(table)?;
        let young = |file: &LogFile| file.day.is_none_or(|day| day >= oldest.date_naive());
        let files = files
            .into_iter()
            .filter(|file| young(file) && file.may_hold(&from, until.as_deref()))
            .collect();
        Ok(Self {
            store: table.object_store(),
            files,
            from,
            after,
            until,
            oldest,
            limit: query.limit,
        })
    }

    fn wanted(&self, key: &str, created_at: DateTime<Utc>) -> bool {
        key >= self.from.as_str()
            && self
                .until
                .as_ref()
                .is_none_or(|until| key.as_bytes() < until.as_slice())
            && self.after.as_deref().is_none_or(|after| key > after)
            && created_at >= self.oldest
    }

    /// The first `limit + 1` logs in key order. Files come by least key, so the search ends at the first file that
    /// begins behind what is found already.
    async fn candidates(&self) -> Result<Vec<Candidate>> {
        let enough = self.limit + 1;
        let mut found: Vec<Candidate> = Vec::new();
        for (first, files) in self.files.chunks(FILES_AT_ONCE).enumerate() {
            let behind = files.first().map_or("", LogFile::least_key);
            if found.len() == enough && found.last().is_some_and(|last| last.key.as_str() < behind)
            {
                break;
            }
            let mut searches = Vec::with_capacity(files.len());
            for (index, file) in files.iter().enumerate() {
                searches.push(self.candidates_of(first * FILES_AT_ONCE + index, file));
            }
            found.extend(
                futures::future::try_join_all(searches)
                    .await?
                    .into_iter()
                    .flatten(),
            );
            found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            found.truncate(enough);
        }
        Ok(found)
    }

    async fn candidates_of(&self, number: usize, file: &LogFile) -> Result<Vec<Candidate>> {
        let open = OpenFile::open(Arc::clone(&self.store), file)
            .await
            .map_err(unavailable)?;
        let mut found = Vec::new();
        for group in open.row_groups(&self.from, self.until.as_deref()) {
            let mut row = group.first_row;
            let mut batches = open
                .scan(&[LOG_KEY, CREATED_AT], &[group])
                .map_err(unavailable)?;
            while let Some(batch) = batches.try_next().await.map_err(unavailable)? {
                found.extend((0..batch.num_rows()).filter_map(|index| {
                    let key = files::text(&batch, LOG_KEY, index)?;
                    let created_at = files::created_at(&batch, index)?;
                    let row = row + index;
                    self.wanted(&key, created_at).then_some(Candidate {
                        key,
                        created_at,
                        file: number,
                        row,
                    })
                }));
                row += batch.num_rows();
            }
            // Rows are sorted by key within a file: what follows comes later in the order.
            if found.len() > self.limit {
                break;
            }
        }
        Ok(found)
    }

    /// Reads what each chosen log requires and decides.
    async fn authorise(
        &self,
        candidates: Vec<Candidate>,
        org: &OrgId,
        caller: &Caller,
    ) -> Result<Vec<Entry>> {
        let mut access: Vec<Option<Result<(), Refusal>>> =
            candidates.iter().map(|_| None).collect();
        for (number, file) in self.files.iter().enumerate() {
            let mut chosen: Vec<(usize, usize)> = candidates
                .iter()
                .enumerate()
                .filter(|(_, candidate)| candidate.file == number)
                .map(|(index, candidate)| (candidate.row, index))
                .collect();
            if chosen.is_empty() {
                continue;
            }
            chosen.sort_unstable();
            let rows: Vec<usize> = chosen.iter().map(|(row, _)| *row).collect();
            let open = OpenFile::open(Arc::clone(&self.store), file)
                .await
                .map_err(unavailable)?;
            let columns = [CONVERSATION_ID, USER_ID, SERVICE_ID, REQUIRED_PERMISSIONS];
            let mut batches = open.rows(&columns, &rows).map_err(unavailable)?;
            let mut indexes = chosen.iter().map(|(_, index)| *index);
            while let Some(batch) = batches.try_next().await.map_err(unavailable)? {
                for (row, index) in (0..batch.num_rows()).zip(&mut indexes) {
                    let text = |column| files::text(&batch, column, row);
                    let ids = [text(USER_ID), text(SERVICE_ID), text(CONVERSATION_ID)];
                    let [user_id, service_id, conversation_id] =
                        ids.each_ref().map(Option::as_deref);
                    let stored = text(REQUIRED_PERMISSIONS);
                    let required = required_for_log(
                        org,
                        stored.as_deref(),
                        user_id,
                        service_id,
                        conversation_id,
                    );
                    access[index] = Some(
                        match required.map(|required| decide_all(caller, &required)) {
                            Ok(rules::Decision::Allowed) => Ok(()),
                            Ok(rules::Decision::Denied(denial)) => Err(Refusal::Denied(denial)),
                            Err(_) => Err(Refusal::Unreadable),
                        },
                    );
                }
            }
        }
        let entries = candidates
            .into_iter()
            .zip(access)
            .map(|(candidate, access)| {
                let Candidate {
                    key,
                    created_at,
                    file,
                    row,
                } = candidate;
                let access =
                    access.ok_or_else(|| Error::internal("a log's row was not found again"))?;
                Ok(Entry {
                    key,
                    created_at,
                    file,
                    row,
                    access,
                })
            });
        entries.collect()
    }
}
