//! Looks into one data file for the logs that are asked for, and says what of them cannot be known.
//!
//! `select` → here → `files`. Reads only pages of keys and instants that may hold a wanted key. What cannot be read is
//! narrowed down: to row groups, to pages, to the keys that bounds in the footer and in the table's log still name. A
//! damaged file hides as few logs as it must, and never silently: what it may hide beyond them is a [`Gap`].

use std::collections::Bound;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveTime, Utc};
use futures::TryStreamExt;
use object_store::ObjectStore;
use parquet::errors::ParquetError;

use super::files::{self, LogFile, OpenFile};
use crate::lake::prompt_log_table::{CREATED_AT, LOG_KEY};
use crate::lake::{Group, Page};

/// Which logs are asked for, as the files have them.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The least key asked for; with `after`, that key itself, which does not count.
    pub from: String,
    pub after: Option<String>,
    /// Below which byte string; `None`: without end.
    pub until: Option<Vec<u8>>,
    pub oldest: DateTime<Utc>,
}

impl Wanted {
    fn key(&self, key: &str) -> bool {
        key >= self.from.as_str()
            && self.after.as_deref().is_none_or(|after| key > after)
            && self
                .until
                .as_ref()
                .is_none_or(|until| key.as_bytes() < until.as_slice())
    }

    /// Whether a wanted key may lie in the gap.
    fn meets(&self, gap: &Gap) -> bool {
        let from = self.from.as_bytes();
        let excluded = self.after.as_deref() == Some(&self.from);
        let above = match &gap.until {
            Bound::Unbounded => true,
            Bound::Included(until) if !excluded => until.as_slice() >= from,
            Bound::Included(until) | Bound::Excluded(until) => until.as_slice() > from,
        };
        let below = match (&gap.from, &self.until) {
            (Bound::Unbounded, _) | (_, None) => true,
            (Bound::Included(from) | Bound::Excluded(from), Some(until)) => from < until,
        };
        above && below
    }
}

/// A log that is asked for.
#[derive(Debug)]
pub(super) struct Candidate {
    pub key: String,
    pub created_at: DateTime<Utc>,
    pub file: usize,
    pub row: usize,
    /// Whether there is more of it than a key.
    pub readable: bool,
}

/// Logs of unknown number whose keys lie between these bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    from: Bound<Vec<u8>>,
    until: Bound<Vec<u8>>,
}

impl Gap {
    /// Whether a key of it may be `key` or come before it.
    pub(super) fn begins_before(&self, key: &str) -> bool {
        match &self.from {
            Bound::Unbounded => true,
            Bound::Included(from) => from.as_slice() <= key.as_bytes(),
            Bound::Excluded(from) => from.as_slice() < key.as_bytes(),
        }
    }
}

/// What a search brought.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub candidates: Vec<Candidate>,
    pub gaps: Vec<Gap>,
    /// What could not be read, the first of it, for the operator.
    pub failure: Option<String>,
}

impl Found {
    pub(super) fn add(&mut self, other: Self) {
        self.candidates.extend(other.candidates);
        self.gaps.extend(other.gaps);
        self.failure = self.failure.take().or(other.failure);
    }
}

/// Finds the wanted logs of the file: all of them, or at least the first `enough`.
pub(super) async fn search(
    store: Arc<dyn ObjectStore>,
    file: &LogFile,
    number: usize,
    wanted: &Wanted,
    enough: usize,
) -> Found {
    let mut search = Search {
        file,
        number,
        wanted,
        found: Found::default(),
    };
    match OpenFile::open(store, file).await {
        Ok(open) => search.groups(&open, enough).await,
        Err(error) => {
            search.failed(&error);
            let bounds = file.keys.as_ref();
            let bounds = bounds.map(|(least, greatest)| (least.as_bytes(), greatest.as_bytes()));
            search.lose(bounds, true, file.rows);
        }
    }
    search.found
}

struct Search<'a> {
    file: &'a LogFile,
    number: usize,
    wanted: &'a Wanted,
    found: Found,
}

impl Search<'_> {
    async fn groups(&mut self, open: &OpenFile, enough: usize) {
        let until = self.wanted.until.as_deref();
        for group in open.groups() {
            let may_hold = |page: &&Page| page.may_hold(&self.wanted.from, until);
            let pages: Vec<&Page> = group.pages.iter().filter(may_hold).collect();
            let mut pages = pages.as_slice();
            // Rows are sorted by key within a file: what follows comes later in the order.
            while !pages.is_empty() && self.found.candidates.len() < enough {
                let missing = enough - self.found.candidates.len();
                let (next, later) = pages.split_at(first(pages, missing));
                if let Err(error) = self.read(open, &[LOG_KEY, CREATED_AT], group, next).await {
                    self.failed(&error);
                    self.salvage(open, group, next).await;
                }
                pages = later;
            }
        }
    }

    /// Page by page, and where instants are lost, keys alone.
    async fn salvage(&mut self, open: &OpenFile, group: &Group, pages: &[&Page]) {
        for page in pages {
            let one = std::slice::from_ref(page);
            let whole = self.read(open, &[LOG_KEY, CREATED_AT], group, one).await;
            if whole.is_ok() || self.read(open, &[LOG_KEY], group, one).await.is_ok() {
                continue;
            }
            let bounds = page.keys.as_ref();
            let bounds = bounds.map(|(least, greatest)| (least.as_slice(), greatest.as_slice()));
            self.lose(bounds, page.exact, u64::try_from(page.rows).ok());
        }
    }

    /// Takes the wanted logs of some pages, of all of them or of none.
    async fn read(
        &mut self,
        open: &OpenFile,
        columns: &[&str],
        group: &Group,
        pages: &[&Page],
    ) -> Result<(), ParquetError> {
        let rows_of = |page: &&Page| page.first_row..page.first_row + page.rows;
        let mut batches = open.ranges(columns, group, pages.iter().map(rows_of))?;
        let mut read = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            read.push(batch);
        }
        let rows = pages
            .iter()
            .flat_map(|page| rows_of(page).map(move |row| (row, *page)));
        check(&read, rows.clone())?;
        let mut rows = rows;
        for batch in read {
            for (index, (row, _)) in (0..batch.num_rows()).zip(&mut rows) {
                self.take(&batch, index, row);
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch, index: usize, row: usize) {
        let Some(key) = files::borrowed(batch, LOG_KEY, index) else {
            let lost = format!("{}: row {row} has no key", self.file.path);
            tracing::error!(lost, "a log cannot be attributed");
            self.found.failure.get_or_insert(lost);
            self.gap(Bound::Unbounded, Bound::Unbounded);
            return;
        };
        if !self.wanted.key(key) {
            return;
        }
        match files::created_at(batch, index) {
            Some(created_at) if created_at < self.wanted.oldest => {}
            Some(created_at) => self.found.candidates.push(Candidate {
                key: key.to_owned(),
                created_at,
                file: self.number,
                row,
                readable: true,
            }),
            None => self.known_only(key),
        }
    }

    /// Remembers what the bounds of `rows` unreadable rows tell: the keys they are, and that there are others.
    fn lose(&mut self, bounds: Option<(&[u8], &[u8])>, exact: bool, rows: Option<u64>) {
        let Some((least, greatest)) = bounds else {
            if rows != Some(0) {
                self.gap(Bound::Unbounded, Bound::Unbounded);
            }
            return;
        };
        let keys = std::str::from_utf8(least)
            .ok()
            .zip(std::str::from_utf8(greatest).ok());
        let Some((first, last)) = keys.filter(|_| exact) else {
            self.gap(
                Bound::Included(least.to_vec()),
                Bound::Included(greatest.to_vec()),
            );
            return;
        };
        for key in [first, last]
            .into_iter()
            .take(if first == last { 1 } else { 2 })
        {
            if self.wanted.key(key) {
                self.known_only(key);
            }
        }
        if !matches!(rows, Some(0..=2)) {
            self.gap(
                Bound::Excluded(least.to_vec()),
                Bound::Excluded(greatest.to_vec()),
            );
        }
    }

    /// A log of which only the key is left. Its instant is unknown, so it counts as young.
    fn known_only(&mut self, key: &str) {
        let day = self
            .file
            .day
            .map(|day| day.and_time(NaiveTime::MIN).and_utc());
        let instant = self.file.oldest.or(day);
        self.found.candidates.push(Candidate {
            key: key.to_owned(),
            created_at: instant.unwrap_or(DateTime::UNIX_EPOCH),
            file: self.number,
            row: 0,
            readable: false,
        });
    }

    fn gap(&mut self, from: Bound<Vec<u8>>, until: Bound<Vec<u8>>) {
        let gap = Gap { from, until };
        if self.wanted.meets(&gap) && !self.found.gaps.contains(&gap) {
            self.found.gaps.push(gap);
        }
    }

    fn failed(&mut self, error: &ParquetError) {
        tracing::error!(
            file = self.file.path,
            error = error as &dyn std::error::Error,
            "a data file cannot be read as it should"
        );
        self.found
            .failure
            .get_or_insert_with(|| format!("{}: {error}", self.file.path));
    }
}

/// The number of pages, at least one, that have `rows` rows.
fn first(pages: &[&Page], rows: usize) -> usize {
    let mut taken = 0;
    let has_all = pages.iter().position(|page| {
        taken += page.rows;
        taken >= rows
    });
    has_all.map_or(pages.len(), |last| last + 1)
}

/// Damage that decodes all the same shows in keys beyond the bounds of their page.
fn check<'a>(
    read: &[RecordBatch],
    mut rows: impl Iterator<Item = (usize, &'a Page)>,
) -> Result<(), ParquetError> {
    let damaged = |what: &str| Err(ParquetError::General(what.to_owned()));
    for batch in read {
        for index in 0..batch.num_rows() {
            let Some((_, page)) = rows.next() else {
                return damaged("more rows than were written");
            };
            let key = files::borrowed(batch, LOG_KEY, index);
            let fits = |(least, greatest): &(Vec<u8>, Vec<u8>)| {
                key.is_none_or(|key| {
                    (least.as_slice()..=greatest.as_slice()).contains(&key.as_bytes())
                })
            };
            if !page.keys.as_ref().is_none_or(fits) {
                return damaged("a key lies beyond the bounds of its page");
            }
        }
    }
    if rows.next().is_some() {
        return damaged("fewer rows than were written");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(prefix: &str, after: Option<&str>) -> Wanted {
        Wanted {
            from: after.unwrap_or(prefix).to_owned(),
            after: after.map(str::to_owned),
            until: rules::prefix_end(prefix),
            oldest: DateTime::UNIX_EPOCH,
        }
    }

    #[track_caller]
    fn check(wanted: &Wanted, gap: (Bound<&str>, Bound<&str>), expected: bool) {
        let bytes = |bound: Bound<&str>| bound.map(|key| key.as_bytes().to_vec());
        let gap = Gap {
            from: bytes(gap.0),
            until: bytes(gap.1),
        };
        assert_eq!(wanted.meets(&gap), expected, "{wanted:?} {gap:?}");
    }

    #[test]
    fn a_gap_counts_where_a_wanted_key_may_lie_in_it() {
        use Bound::{Excluded, Included, Unbounded};
        let b = wanted("b/", None);
        check(&b, (Unbounded, Unbounded), true);
        check(&b, (Excluded("a/1"), Excluded("c/1")), true);
        check(&b, (Excluded("a/1"), Excluded("b/")), false);
        check(&b, (Excluded("a/1"), Included("b/")), true);
        check(&b, (Excluded("b/9"), Excluded("c/1")), true);
        check(&b, (Excluded("b0"), Excluded("c/1")), false);
        check(&b, (Unbounded, Excluded("a/9")), false);
        let behind = wanted("b/", Some("b/5"));
        check(&behind, (Excluded("a/1"), Included("b/5")), false);
        check(&behind, (Excluded("a/1"), Excluded("b/6")), true);
    }

    #[test]
    fn a_gap_begins_before_the_keys_behind_its_bound() {
        let gap = |from| Gap {
            from,
            until: Bound::Unbounded,
        };
        assert!(gap(Bound::Unbounded).begins_before("a"));
        assert!(gap(Bound::Included(b"b".to_vec())).begins_before("b"));
        assert!(!gap(Bound::Excluded(b"b".to_vec())).begins_before("b"));
        assert!(!gap(Bound::Included(b"c".to_vec())).begins_before("b"));
    }
}
