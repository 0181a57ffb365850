//! Keeping beside writing, on a real store.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use proptest::prelude::*;
use rules::OrgId;
use tempfile::TempDir;

use super::super::files::{self, OpenFile};
use super::super::ingest::{self, Written};
use super::super::key_index::KeyIndex;
use super::super::record::Record;
use super::super::rows;
use super::compact::compact;
use super::plan::Zeal;
use super::*;
use crate::lake::clean::{Cleaned, clean};
use crate::lake::{Lake, prompt_log_table};

/// A lake of its own with one organization.
struct Archive {
    folder: TempDir,
    lake: Lake,
    keys: KeyIndex,
    org: OrgId,
}

impl Archive {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            lake: Lake::local(folder.path()).unwrap(),
            keys: KeyIndex::default(),
            org: OrgId::parse("acme").unwrap(),
            folder,
        }
    }

    async fn write(&self, records: Vec<Record>, now: DateTime<Utc>) -> Written {
        let oldest = DateTime::UNIX_EPOCH;
        ingest::write(&self.lake, &self.keys, &self.org, records, now, oldest)
            .await
            .unwrap()
    }

    async fn compact(&self, zeal: Zeal, now: DateTime<Utc>) -> Compacted {
        let on = |_| ControlFlow::Continue(());
        let (mut unfit, mut merged) = (HashSet::new(), Compacted::default());
        let (lake, org) = (&self.lake, &self.org);
        let ended = compact(lake, org, zeal, now, &mut unfit, &on, &mut merged).await;
        assert_eq!(unfit, HashSet::new());
        ended.unwrap();
        merged
    }

    async fn stats(&self) -> Stats {
        stats(&self.lake, &self.org).await.unwrap()
    }

    async fn clean(&self, now: DateTime<Utc>, keep: TimeDelta) -> Cleaned {
        let name = prompt_log_table::name();
        clean(&self.lake, &self.org, &name, now, keep)
            .await
            .unwrap()
    }

    /// Every row of the table. Each file must be sorted by key.
    async fn rows(&self) -> Vec<Record> {
        let name = prompt_log_table::name();
        let Some(table) = self.lake.open(&self.org, &name).await.unwrap() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for file in files::list(&table).unwrap() {
            let open = OpenFile::open(table.object_store(), &file).await.unwrap();
            let groups = open.row_groups("", None);
            let batches = open.scan(&rows::columns(), &groups).unwrap();
            let batches: Vec<_> = batches.try_collect().await.unwrap();
            let from = found.len();
            for batch in &batches {
                found.extend((0..batch.num_rows()).map(|row| files::record(batch, row).unwrap()));
            }
            let keys = found[from..].iter().map(|record| record.log_key.as_str());
            assert!(keys.is_sorted(), "{} is not sorted", file.path);
        }
        found.sort_by(|a: &Record, b| a.log_key.as_str().cmp(b.log_key.as_str()));
        found
    }

    fn table(&self) -> PathBuf {
        self.folder.path().join("acme/prompt_logs")
    }

    /// The files of a folder of the table whose name ends so.
    fn files(&self, folder: &str, end: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.table().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.to_str().unwrap().ends_with(end))
            .collect();
        paths.sort();
        paths
    }
}

fn noon() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn log(key: &str, at: DateTime<Utc>, system: &str, history: &[&str]) -> Record {
    let json = serde_json::json!({
        "log_key": key, "created_at": at, "system": system, "history": history, "model": "m",
    });
    Record::parse(json.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn single_writes_do_not_accumulate() {
    let archive = Archive::new();
    let mut expected = Vec::new();
    // Over today and two days that are over, in no order of keys.
    for number in 0..120_i64 {
        let at = noon() - TimeDelta::days(number % 3);
        let record = log(
            &format!("k/{}", number * 7919 % 1000),
            at,
            "system",
            &["a", "b"],
        );
        archive.write(vec![record.clone()], noon()).await;
        expected.push(record);
        if number % 20 == 19 {
            archive.compact(Zeal::Due, noon()).await;
            let stats = archive.stats().await;
            // Each of three days has fewer than eight of the first level.
            assert!(stats.files < 24, "{} files after {number}", stats.files);
        }
    }
    expected.sort_by(|a, b| a.log_key.as_str().cmp(b.log_key.as_str()));
    assert!(archive.rows().await == expected);

    archive.compact(Zeal::All, noon()).await;
    assert!(archive.rows().await == expected);
    let stats = archive.stats().await;
    assert_eq!((stats.files, stats.days, stats.logs), (3, 3, 120));
    let (oldest, newest) = (Some(noon() - TimeDelta::days(2)), Some(noon()));
    assert_eq!((stats.oldest, stats.newest), (oldest, newest));
    assert_eq!(archive.compact(Zeal::All, noon()).await.merged_files, 0);
}

#[tokio::test]
async fn every_kind_of_row_survives_a_merge() {
    let archive = Archive::new();
    let at = noon();
    let none = |json: &str| Record::parse(json.as_bytes()).unwrap();
    let long = "long ".repeat(1_000_000);
    let mut records = vec![
        log("a", at, "", &[]),
        log(
            "b",
            at,
            "nul \0, --- and PK\u{3}\u{4}",
            &["", "\n---\n", "", "ü😀"],
        ),
        log("c", at, &long, &[&long, "short", &long]),
        none(r#"{"log_key":"d","history":["only"],"created_at":"2026-11-24T01:02:03.000001Z"}"#),
        none(r#"{"log_key":"e","system":"only","created_at":"2026-11-24T01:02:03Z"}"#),
        none(
            r#"{"log_key":"f","system":"s","created_at":"2026-11-24T00:00:00Z","user_id":"u","attributes":{"a": 1.10},
               "required_permissions":[{"permission_name":"A:B","attributes":{"c":"d"}}]}"#,
        ),
    ];
    let history: Vec<String> = (0..3000).map(|number| format!("turn {number}")).collect();
    let history: Vec<&str> = history.iter().map(String::as_str).collect();
    records.extend((0..30).map(|n| log(&format!("g/{n:02}"), at, "s", &history[..n * 100])));
    // Interleaved, so that the merge goes back and forth.
    for part in 0..3 {
        let part = records.iter().skip(part).step_by(3).cloned().collect();
        archive.write(part, at).await;
    }
    let before = archive.rows().await;
    let merged = archive.compact(Zeal::All, at).await;
    assert_eq!((merged.merged_files, merged.new_files), (3, 1));
    assert!(before == archive.rows().await && before == records);
    let again = archive.write(records, at + TimeDelta::hours(1)).await;
    assert_eq!((again.written, again.unchanged), (0, 36));
}

#[tokio::test]
async fn whole_days_are_dropped_at_the_edge_and_no_younger_log() {
    let archive = Archive::new();
    let midnight: DateTime<Utc> = "2026-10-26T00:00:00Z".parse().unwrap();
    let last = midnight - TimeDelta::microseconds(1);
    let records = vec![
        log("last-of-its-day", last, "s", &[]),
        log("first-of-its-day", midnight, "s", &[]),
        log("long-ago", midnight - TimeDelta::days(9), "s", &[]),
    ];
    archive.write(records, noon()).await;
    let expire = async |now: DateTime<Utc>| {
        let oldest = prompt_log_table::oldest(now, 30);
        expire(&archive.lake, &archive.org, oldest).await.unwrap()
    };
    let keys = async || {
        let rows = archive.rows().await.into_iter();
        rows.map(|row| row.log_key.to_string()).collect::<Vec<_>>()
    };
    // All of its day would have to be too old, to the microsecond.
    let edge = midnight + TimeDelta::days(30);
    let dropped = expire(edge - TimeDelta::microseconds(1)).await;
    assert_eq!((dropped.days, dropped.logs, dropped.files), (1, 1, 1));
    assert_eq!(keys().await, ["first-of-its-day", "last-of-its-day"]);
    let dropped = expire(edge).await;
    assert_eq!((dropped.days, dropped.logs), (1, 1));
    assert!(dropped.bytes > 0);
    assert_eq!(keys().await, ["first-of-its-day"]);
    assert_eq!(expire(edge).await, Expired::default());
    assert_eq!(expire(edge + TimeDelta::days(1)).await.logs, 1);
    assert_eq!(keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn files_stay_as_long_as_a_reader_may_need_them() {
    let archive = Archive::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the store's files have the system's times"
    )]
    let now = Utc::now();
    let day = format!("day={}", now.date_naive());
    for number in 0..8 {
        archive
            .write(vec![log(&format!("{number}"), now, "s", &[])], now)
            .await;
    }
    // A file without a commit, and one that was being written, as a process that was killed leaves them.
    let left = [".parquet", ".parquet#1"].map(|end| {
        let path = archive.table().join(&day).join(format!("part-left{end}"));
        std::fs::write(&path, "half").unwrap();
        path
    });
    let before = archive.rows().await;
    archive.compact(Zeal::Due, now).await;
    assert_eq!(archive.files(&day, ".parquet").len(), 8 + 1 + 1);
    let hour = TimeDelta::hours(1);
    assert_eq!(archive.clean(now, hour).await, Cleaned::default());
    let cleaned = archive
        .clean(now + hour - TimeDelta::minutes(1), hour)
        .await;
    assert_eq!(cleaned, Cleaned::default());
    assert!(left.iter().all(|path| path.exists()));
    let cleaned = archive
        .clean(now + hour + TimeDelta::minutes(1), hour)
        .await;
    assert_eq!((cleaned.files, cleaned.log_files), (9, 0));
    assert_eq!(archive.files(&day, "").len(), 1);
    assert!(left.iter().all(|path| !path.exists()));
    assert!(archive.rows().await == before);
    assert_eq!(archive.compact(Zeal::All, now).await.merged_files, 0);
}

#[tokio::test]
async fn the_log_of_many_commits_is_cut_behind_a_checkpoint_and_readers_go_on() {
    let archive = Archive::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the store's files have the system's times"
    )]
    let now = Utc::now();
    let name = prompt_log_table::name();
    for number in 0..10 {
        archive
            .write(vec![log(&format!("{number:03}"), now, "s", &[])], now)
            .await;
    }
    let early = archive
        .lake
        .open(&archive.org, &name)
        .await
        .unwrap()
        .unwrap();
    for number in 10..110 {
        archive
            .write(vec![log(&format!("{number:03}"), now, "s", &[])], now)
            .await;
    }
    let before = archive.rows().await;
    assert_eq!(before.len(), 110);
    let entries = || archive.files("_delta_log", ".json").len();
    assert!(entries() >= 110);
    let hour = TimeDelta::hours(1);
    assert_eq!(archive.clean(now, hour).await.log_files, 0);
    let cleaned = archive.clean(now + hour * 2, hour).await;
    assert!(cleaned.log_files >= 99, "{cleaned:?}");
    assert!(entries() < 20, "{}", entries());
    assert!(archive.rows().await == before);
    // A reader that began long before still has its version, and can go on to the newest.
    assert_eq!(files::list(&early).unwrap().len(), 10);
    let mut early = early;
    early.load().await.unwrap();
    assert_eq!(files::list(&early).unwrap().len(), 110);
    // What the log still knows of removed files is known for no longer than they are kept.
    let table = archive
        .lake
        .open(&archive.org, &name)
        .await
        .unwrap()
        .unwrap();
    let metadata = table.snapshot().unwrap().metadata().clone();
    let kept = metadata
        .configuration()
        .get("delta.deletedFileRetentionDuration");
    assert_eq!(kept.map(String::as_str), Some("interval 3600 seconds"));
    archive.write(vec![log("next", now, "s", &[])], now).await;
    assert_eq!(archive.rows().await.len(), 111);
}

#[tokio::test]
async fn a_file_that_cannot_be_merged_is_left_alone_and_the_others_are_merged() {
    let archive = Archive::new();
    let day = "day=2026-11-24";
    for number in 0..9 {
        archive
            .write(vec![log(&format!("{number}"), noon(), "s", &[])], noon())
            .await;
    }
    let file = archive.files(day, ".parquet").remove(3);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"not a Parquet file").unwrap();
    let (mut unfit, on) = (HashSet::new(), |_| ControlFlow::Continue(()));
    let (lake, org, mut merged) = (&archive.lake, &archive.org, Compacted::default());
    let ended = compact(lake, org, Zeal::Due, noon(), &mut unfit, &on, &mut merged).await;
    ended.unwrap();
    assert_eq!((merged.merged_files, merged.commits), (8, 1));
    assert_eq!(unfit.len(), 1);
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(archive.rows().await.len(), 9);
}

#[tokio::test]
async fn a_merge_that_is_stopped_leaves_the_table_as_it_was() {
    let archive = Archive::new();
    let big = "x".repeat(3_000_000);
    for number in 0..8 {
        let big = format!("{number}{big}");
        archive
            .write(vec![log(&format!("{number}"), noon(), &big, &[])], noon())
            .await;
    }
    let stop = |_| ControlFlow::Break(());
    let (lake, org) = (&archive.lake, &archive.org);
    let merged = compact_all(lake, org, noon(), &stop).await.unwrap();
    assert_eq!((merged.merged_files, archive.stats().await.files), (0, 8));
    assert_eq!(archive.files("day=2026-11-24", ".parquet").len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_two_compactions_at_once_lose_nothing() {
    let archive = Arc::new(Archive::new());
    let writers = (0..2).map(|writer| {
        let archive = Arc::clone(&archive);
        tokio::spawn(async move {
            for round in 0..20 {
                // Each key is written by both, again and again.
                let key = |n: usize| {
                    log(
                        &format!("k/{n:02}"),
                        noon(),
                        &format!("{writer}/{round}"),
                        &[],
                    )
                };
                archive
                    .write((round..round + 5).map(key).collect(), noon())
                    .await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let keepers: Vec<_> = [Zeal::Due, Zeal::All]
        .into_iter()
        .map(|zeal| {
            let archive = Arc::clone(&archive);
            tokio::spawn(async move {
                for _ in 0..8 {
                    archive.compact(zeal, noon()).await;
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(keepers) {
        task.await.unwrap();
    }
    let rows = archive.rows().await;
    let keys: Vec<&str> = rows.iter().map(|row| row.log_key.as_str()).collect();
    let expected: Vec<String> = (0..24).map(|n| format!("k/{n:02}")).collect();
    assert_eq!(keys, expected);
    archive.compact(Zeal::All, noon()).await;
    assert!(archive.rows().await == rows);
    assert_eq!(archive.stats().await.files, 1);
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, u8, u8)>),
    Compact(bool),
    Expire(u8),
    Clean,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few keys, so that they are replaced, also onto other days.
    let records = prop::collection::vec((0..12_u8, 0..6_u8, 0..3_u8), 1..6);
    let step = prop_oneof![
        6 => records.prop_map(Step::Write),
        2 => any::<bool>().prop_map(Step::Compact),
        1 => (1..7_u8).prop_map(Step::Expire),
        1 => Just(Step::Clean),
    ];
    prop::collection::vec(step, 1..20)
}

#[test]
fn any_order_of_writes_merges_and_expiries_leaves_exactly_the_expected_rows() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: 8,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        runtime.block_on(async {
            let archive = Archive::new();
            let mut expected: BTreeMap<String, Record> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Write(records) => {
                        let records: Vec<Record> = records.into_iter().map(|(key, day, text)| {
                            let at = noon() - TimeDelta::days(day.into());
                            log(&format!("k/{key}"), at, &format!("{text}"), &["h"])
                        }).collect();
                        for record in &records {
                            expected.insert(record.log_key.to_string(), record.clone());
                        }
                        archive.write(records, noon()).await;
                    }
                    Step::Compact(all) => {
                        let zeal = if all { Zeal::All } else { Zeal::Due };
                        archive.compact(zeal, noon()).await;
                    }
                    Step::Expire(days) => {
                        let oldest = prompt_log_table::oldest(noon(), days.into());
                        let midnight = oldest.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
                        let (lake, org) = (&archive.lake, &archive.org);
                        let dropped = expire(lake, org, oldest).await.unwrap();
                        let before = expected.len();
                        expected.retain(|_, record| record.created_at.unwrap() >= midnight);
                        assert_eq!(dropped.logs, (before - expected.len()) as u64);
                    }
                    Step::Clean => {
                        archive.clean(noon(), TimeDelta::hours(1)).await;
                    }
                }
                let rows = archive.rows().await;
                assert!(rows.iter().eq(expected.values()));
            }
        });
    });
}
