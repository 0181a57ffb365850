//! Which files are worth merging: pure arithmetic on what the table says of its files.
//!
//! Like the levels of an LSM tree: files of one day and about one size gather until there are enough of them, and are
//! then merged into one of the next size, so that a row is rewritten a handful of times however small the writes were.
//! A day that is over and has come to rest is merged once more, into files whose keys do not overlap.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::super::files::LogFile;

/// Files below the first size are of one level, those below the second of the next, and so on; what is larger than the
/// last is left alone until its day is over. A level holds eight of the one before.
const LEVELS: [u64; 4] = [64 << 10, 512 << 10, 4 << 20, SMALL];
const SMALL: u64 = 32 << 20;
/// So many files of a level are merged: every merge is a commit, behind which a writer must look again.
const ENOUGH: usize = 8;
/// And so many of a day that is over, once the days have gathered this many files below the last level.
const ENOUGH_CROWDED: usize = 2;
const CROWDED: usize = 64;
/// Files of one merge: each is opened, and its footer held.
const FILES_MAX: usize = 256;
/// A day is at rest when nothing was added for this long, and a second more for each of these bytes: what is large is
/// not merged again and again for single late logs.
const REST: TimeDelta = TimeDelta::minutes(10);
const REST_BYTES_PER_SECOND: u64 = 1 << 20;

/// How much is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zeal {
    /// What is due, as the background does it.
    Due,
    /// Everything that overlaps or is small, whatever its day.
    All,
}

/// The files of one day that are best merged next, or `None` when all is well. `files` are the table's, by least key.
pub(super) fn next(files: &[LogFile], zeal: Zeal, now: DateTime<Utc>) -> Option<Vec<LogFile>> {
    let mut days: BTreeMap<NaiveDate, Vec<&LogFile>> = BTreeMap::new();
    for file in files {
        // A partition without a readable day is none of ours.
        if let Some(day) = file.day {
            days.entry(day).or_default().push(file);
        }
    }
    let today = now.date_naive();
    let small = files.iter().filter(|file| file.size < SMALL).count();
    let enough = if small < CROWDED {
        ENOUGH
    } else {
        ENOUGH_CROWDED
    };
    // The newest first: it is the one being written, and read.
    let mut days = days.into_iter().rev();
    days.find_map(|(day, files)| {
        let chosen = match zeal {
            Zeal::All => overlapping(&files),
            Zeal::Due if day >= today => level(&files, ENOUGH),
            Zeal::Due => level(&files, enough)
                .or_else(|| overlapping(&files).filter(|files| at_rest(files, now))),
        };
        chosen.map(|files| files.into_iter().cloned().collect())
    })
}

/// The files of the first level that has enough of them, and all smaller ones.
fn level<'a>(files: &[&'a LogFile], enough: usize) -> Option<Vec<&'a LogFile>> {
    let mut below = 0;
    for above in LEVELS {
        let here = files
            .iter()
            .filter(|file| (below..above).contains(&file.size));
        if here.count() >= enough {
            let mut chosen: Vec<&LogFile> = Vec::new();
            chosen.extend(
                files
                    .iter()
                    .filter(|file| file.size < above)
                    .take(FILES_MAX),
            );
            return Some(chosen);
        }
        below = above;
    }
    None
}

/// The first files (by key) whose keys overlap, or that are neighbours and together still small.
fn overlapping<'a>(files: &[&'a LogFile]) -> Option<Vec<&'a LogFile>> {
    let mut group: Vec<&LogFile> = Vec::new();
    // The greatest key so far; `None` stands above all.
    let mut end = Some("");
    let mut bytes = 0;
    for file in files {
        let overlaps = end.is_none_or(|end| file.least_key() < end);
        if group.is_empty() || overlaps || bytes + file.size <= SMALL {
            if group.len() == FILES_MAX {
                break;
            }
            end = end.and_then(|end| file.greatest_key().map(|key| key.max(end)));
            bytes += file.size;
        } else {
            if group.len() > 1 {
                break;
            }
            group.clear();
            (end, bytes) = (file.greatest_key(), file.size);
        }
        group.push(file);
    }
    (group.len() > 1).then_some(group)
}

fn at_rest(files: &[&LogFile], now: DateTime<Utc>) -> bool {
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    let rest = i64::try_from(bytes / REST_BYTES_PER_SECOND).map_or(TimeDelta::MAX, |seconds| {
        TimeDelta::try_seconds(seconds).map_or(TimeDelta::MAX, |seconds| REST + seconds)
    });
    let newest = files.iter().map(|file| file.modified).max();
    let newest = newest.and_then(DateTime::from_timestamp_millis);
    newest.is_none_or(|newest| now.signed_duration_since(newest) >= rest)
}

/// Of files opened for a merge, by least key, with the memory each takes: which to merge at once so that no more than
/// `budget` is held, but always enough of them to get on. Files whose keys do not overlap are read one after the other.
pub(super) fn within(files: &[(&LogFile, u64)], budget: u64) -> Vec<usize> {
    struct Chain<'a> {
        end: Option<&'a str>,
        memory: u64,
        files: Vec<usize>,
    }
    let mut chains: Vec<Chain<'_>> = Vec::new();
    for (index, (file, memory)) in files.iter().enumerate() {
        let free = chains
            .iter_mut()
            .find(|chain| chain.end.is_some_and(|end| end < file.least_key()));
        let end = file.greatest_key();
        match free {
            Some(chain) => {
                chain.end = end;
                chain.memory = chain.memory.max(*memory);
                chain.files.push(index);
            }
            None => chains.push(Chain {
                end,
                memory: *memory,
                files: vec![index],
            }),
        }
    }
    // The cheapest first, so that one giant file does not keep the others waiting.
    chains.sort_by_key(|chain| chain.memory);
    let mut held = 0;
    let mut chosen = Vec::new();
    for (number, chain) in chains.into_iter().enumerate() {
        held += chain.memory;
        if number >= 2 && held > budget {
            break;
        }
        chosen.extend(chain.files);
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests;
