//! Chooses the logs of one archive and decides, log by log, whether the caller may read them.
//!
//! `http/prompt_logs` → here → `archive`. Reads keys, instants and permissions only, never a prompt: at most one log
//! more than an archive holds, whose arrival proves that the archive is cut. An entry without a decision does not exist,
//! so only an authorised log can reach the archive.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use rules::{Caller, Denial, OrgId, RequiredPermission, Result, prefix_end};

use super::files::LogFile;
use super::permit::authorise;
use super::search::{Found, Wanted, search};
use crate::lake::{Lake, LogTable, unavailable};

/// Files looked into at once.
pub(super) const FILES_AT_ONCE: usize = 16;

/// Which logs are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub prefix: &'a str,
    /// Only keys behind this one.
    pub after: Option<&'a str>,
    /// The logs of one archive.
    pub limit: usize,
    /// Only logs of this instant or younger.
    pub oldest: DateTime<Utc>,
}

/// The logs of one archive, planned from one version of the table.
#[derive(Default)]
pub struct Selection {
    pub(super) entries: Vec<Entry>,
    pub(super) files: Vec<Arc<LogFile>>,
    pub(super) store: Option<Arc<dyn ObjectStore>>,
    truncated: bool,
    /// Among them may be logs of which not even the key is known: the archive of the rest must not come to its end.
    pub(super) incomplete: bool,
}

/// One log of an archive: permitted, or why not.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub created_at: DateTime<Utc>,
    /// Index into the selection's files, and the row in that file.
    pub file: usize,
    pub row: usize,
    /// What it requires, so that it can be decided again; shared by logs that require the same.
    pub required: Arc<[RequiredPermission]>,
    pub access: Result<(), Refusal>,
}

/// Why a log is not delivered.
#[derive(Debug)]
pub(super) enum Refusal {
    Denied(Denial),
    /// What the log requires cannot be read, so nobody gets it.
    Unreadable,
    /// Nothing of the log can be read but its key.
    Lost,
    /// The caller may do nothing any more, for this reason.
    Ended(String),
}

/// The sentence of the `-error` entry.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => write!(formatter, "not permitted: {denial}"),
            Self::Unreadable => formatter
                .write_str("not permitted: the permissions this log requires cannot be read"),
            Self::Lost => formatter
                .write_str("this log could not be read from storage; the operator's log says why"),
            Self::Ended(reason) => write!(formatter, "not permitted: {reason}"),
        }
    }
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

impl fmt::Debug for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Chooses the logs for `caller`, in ascending key order. A log of which only the key can be read is one of them.
///
/// # Errors
/// `Unavailable` when the store does not answer, or nothing that may have been asked for can be read. No log found is no
/// error: the selection is empty.
pub async fn select(
    lake: &Lake,
    org: &OrgId,
    caller: &Caller,
    query: Query<'_>,
) -> Result<Selection> {
    let Some(table) = lake.open_logs(org).await? else {
        return Ok(Selection::default());
    };
    let plan = Plan::new(&table, query);
    let Found {
        mut candidates,
        mut gaps,
        failure,
    } = plan.candidates().await;
    let truncated = candidates.len() > query.limit;
    candidates.truncate(query.limit);
    if truncated && let Some(last) = candidates.last() {
        // What is unknown behind the last log is the next archive's to tell.
        gaps.retain(|gap| gap.begins_before(&last.key));
    }
    let nothing_readable = !candidates.iter().any(|candidate| candidate.readable);
    if nothing_readable && !(candidates.is_empty() && gaps.is_empty()) {
        return Err(unavailable(failure.unwrap_or_default()));
    }
    let entries = authorise(&plan.store, &plan.files, candidates, org, caller).await;
    Ok(Selection {
        entries,
        files: plan.files,
        store: Some(plan.store),
        truncated,
        incomplete: !gaps.is_empty(),
    })
}

/// All keys with the prefix and their instants, ascending, whatever their age and however many: the operator's list.
///
/// # Errors
/// `Unavailable` when the store does not answer or a file cannot be read.
pub async fn list_keys(
    lake: &Lake,
    org: &OrgId,
    prefix: &str,
) -> Result<Vec<(String, DateTime<Utc>)>> {
    let Some(table) = lake.open_logs(org).await? else {
        return Ok(Vec::new());
    };
    let query = Query {
        prefix,
        after: None,
        limit: usize::MAX - 1,
        oldest: DateTime::<Utc>::MIN_UTC,
    };
    let found = Plan::new(&table, query).candidates().await;
    if let Some(failure) = found.failure {
        return Err(unavailable(failure));
    }
    Ok(found
        .candidates
        .into_iter()
        .map(|candidate| (candidate.key, candidate.created_at))
        .collect())
}

struct Plan {
    store: Arc<dyn ObjectStore>,
    files: Vec<Arc<LogFile>>,
    wanted: Wanted,
    limit: usize,
}

impl Plan {
    fn new(table: &LogTable, query: Query<'_>) -> Self {
        let (oldest, after) = (query.oldest, query.after.map(str::to_owned));
        let from = after
            .clone()
            .filter(|after| after.as_str() > query.prefix)
            .unwrap_or(query.prefix.to_owned());
        let until = prefix_end(query.prefix);
        let young = |file: &LogFile| {
            file.day.is_none_or(|day| day >= oldest.date_naive())
                && file.newest.is_none_or(|newest| newest >= oldest)
        };
        let files = table.files.iter();
        let files = files
            .filter(|file| young(file) && file.may_hold(&from, until.as_deref()))
            .cloned()
            .collect();
        Self {
            store: Arc::clone(&table.store),
            files,
            wanted: Wanted {
                from,
                after,
                until,
                oldest,
            },
            limit: query.limit,
        }
    }

    /// The first `limit + 1` logs in key order. Files come by least key, so the search ends at the first file that
    /// begins behind what is found already.
    async fn candidates(&self) -> Found {
        let enough = self.limit + 1;
        let mut found = Found::default();
        let mut wanted = self.wanted.clone();
        for (chunk, files) in self.files.chunks(FILES_AT_ONCE).enumerate() {
            let may_hold = |file: &LogFile| file.may_hold(&wanted.from, wanted.until.as_deref());
            if !files.first().is_some_and(|file| may_hold(file)) {
                break;
            }
            let files = files.iter().enumerate().filter(|(_, file)| may_hold(file));
            let searches = files.map(|(index, file)| {
                let number = chunk * FILES_AT_ONCE + index;
                search(Arc::clone(&self.store), file, number, &wanted, enough)
            });
            for one in futures::future::join_all(searches).await {
                found.add(one);
            }
            found.candidates.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            found.candidates.truncate(enough);
            if let Some(last) = found.candidates.get(self.limit) {
                // What comes behind it is not among the first any more.
                wanted.until = Some(last.key.as_bytes().to_vec());
            }
        }
        found
    }
}
