//! Choosing and streaming over a store that goes wrong, read by read: an archive is right, tells what it lacks, or
//! breaks visibly.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, TryStreamExt};
use rules::{Caller, Error, Grant, Kind, OrgId, Result, Role, RoleName, UserId};
use tempfile::TempDir;

use super::access::{Access, LookUp};
use super::{KeyIndex, Record, Selection, archive, ingest, select};
use crate::lake::Lake;
use crate::lake::faults::{Fault, Faulty};

const LOGS: usize = 12;
const IDLE: Duration = Duration::from_secs(60);

fn org() -> OrgId {
    OrgId::parse("acme").unwrap()
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_521_600, 0).unwrap()
}

fn caller(grant: &str) -> Caller {
    Caller {
        org_id: org(),
        user_id: UserId::parse("mia").unwrap(),
        role: Role {
            name: RoleName::parse("Reader").unwrap(),
            grants: vec![Grant::allow(grant)],
        },
        temporary_grants: Vec::new(),
    }
}

fn key(number: usize) -> String {
    format!("log/{number:02}")
}

/// A text of its own for each log, and not one that could be mistaken for another after damage.
fn text(number: usize) -> String {
    (0..400)
        .map(|word| format!("{} ", word * (number + 7)))
        .collect()
}

/// Three files of different days, four logs each.
async fn written() -> (TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(folder.path()).unwrap();
    for day in 0..3 {
        let record = |number| {
            let created_at = now() - TimeDelta::days(day);
            let (key, text) = (key(number), text(number));
            let json = serde_json::json!({"log_key": key, "created_at": created_at, "system": "s", "history": ["h", text]});
            Record::parse(json.to_string().as_bytes()).unwrap()
        };
        let first = usize::try_from(day).unwrap() * LOGS / 3;
        let records = (first..first + LOGS / 3).map(record).collect();
        let keys = KeyIndex::default();
        let written =
            ingest::write(&lake, &keys, &org(), records, now(), DateTime::UNIX_EPOCH).await;
        written.unwrap();
    }
    (folder, lake)
}

fn query<'a>() -> select::Query<'a> {
    select::Query {
        prefix: "log/",
        after: None,
        limit: 1_000,
        oldest: now() - TimeDelta::days(30),
    }
}

fn same(caller: &Caller) -> LookUp {
    let caller = caller.clone();
    Box::new(move || std::future::ready(Ok(caller.clone())).boxed())
}

/// What became of a download.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// An error before the first byte.
    Refused,
    /// The stream ended with an error.
    Broken,
    /// A whole archive, with so many `-error` entries.
    Whole { errors: usize },
}

async fn download(lake: &Lake) -> Outcome {
    let caller = caller("*");
    let selection = match select::select(lake, &org(), &caller, query()).await {
        Ok(selection) => selection,
        Err(error) => {
            assert_eq!(*error.kind(), Kind::Unavailable);
            return Outcome::Refused;
        }
    };
    let access = Access::new(caller.clone(), same(&caller));
    match stream(selection, access).await {
        Ok(frames) => check(&frames.concat()),
        Err(_) => Outcome::Broken,
    }
}

/// The archive's frames.
async fn stream(selection: Selection, access: Access) -> Result<Vec<Bytes>> {
    let stream = archive::stream(selection, String::new(), IDLE, access, Arc::default());
    stream.try_collect().await
}

/// Every log is there, right or as an error, and nothing else.
fn check(archive: &[u8]) -> Outcome {
    let mut found = entries(archive);
    let mut errors = 0;
    for number in 0..LOGS {
        let mut part = |part: &str| found.remove(&format!("{}-{part}", key(number)));
        if part("error").is_some() {
            errors += 1;
        } else {
            assert_eq!(part("system").as_deref(), Some("s"), "{number}");
            let history = format!("h\n---\n{}", text(number));
            assert!(part("history") == Some(history), "log {number} is wrong");
        }
    }
    assert!(found.is_empty(), "{:?}", found.keys());
    Outcome::Whole { errors }
}

fn entries(archive: &[u8]) -> BTreeMap<String, String> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let count = zip.len();
    let entry = |index| {
        let mut entry = zip.by_index(index).unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (entry.name().unwrap().into_owned(), text)
    };
    (0..count).map(entry).collect()
}

/// Downloads with each of the reads going wrong, alone and with all after it, over a cold lake and a warm one.
async fn every_read(fault: Fault, limit: Duration) -> Vec<Outcome> {
    let (_folder, lake) = written().await;
    let mut outcomes = Vec::new();
    for warm in [false, true] {
        let prepare = async || -> (Lake, Arc<Faulty>) {
            let (lake, store) = lake.faulty();
            let lake = lake.with_read_limit(limit);
            if warm {
                assert_eq!(download(&lake).await, Outcome::Whole { errors: 0 });
            }
            (lake, store)
        };
        let (whole, store) = prepare().await;
        let before = store.reads();
        assert_eq!(download(&whole).await, Outcome::Whole { errors: 0 });
        let reads = store.reads() - before;
        assert!(reads > 5, "{reads}");
        for first in 1..=reads {
            for last in [first, usize::MAX - 1] {
                let (lake, store) = prepare().await;
                store.arm(fault, first..last + 1);
                outcomes.push(download(&lake).await);
            }
        }
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_fails_costs_logs_and_never_the_truth() {
    let outcomes = every_read(Fault::Fail, IDLE).await;
    assert!(outcomes.contains(&Outcome::Refused));
    let some = |outcome: &Outcome| matches!(outcome, Outcome::Whole { errors: 1.. });
    assert!(outcomes.iter().any(some), "{outcomes:?}");
    assert!(outcomes.contains(&Outcome::Broken), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_brings_other_bytes_costs_logs_and_never_the_truth() {
    let outcomes = every_read(Fault::Corrupt, IDLE).await;
    let some = |outcome: &Outcome| matches!(outcome, Outcome::Whole { errors: 1.. });
    assert!(outcomes.iter().any(some), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_stalls_is_given_up() {
    let (_folder, lake) = written().await;
    let (lake, store) = lake.faulty();
    let lake = lake.with_read_limit(Duration::from_millis(300));
    // While opening the table.
    store.arm(Fault::Stall, 1..2);
    assert_eq!(download(&lake).await, Outcome::Refused);
    // Opened; its three questions are answered, everything after them stalls.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(download(&lake).await, Outcome::Whole { errors: 0 });
    store.arm(Fault::Stall, 4..usize::MAX);
    assert_eq!(download(&lake).await, Outcome::Refused);
    // Chosen, and then the first file's prompts stall: its logs are told, those of other files delivered.
    store.arm(Fault::Stall, 0..0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = store.reads();
    let caller = caller("*");
    let selection = select::select(&lake, &org(), &caller, query()).await;
    assert!(store.reads() > before);
    store.arm(Fault::Stall, 1..2);
    let access = Access::new(caller.clone(), same(&caller));
    let frames = stream(selection.unwrap(), access).await.unwrap();
    let errors = LOGS / 3;
    assert_eq!(check(&frames.concat()), Outcome::Whole { errors });
}

/// Streams all logs with a look-up of its own; the texts of the `-error` entries.
async fn errors_with(look_up: LookUp) -> Vec<String> {
    let (_folder, lake) = written().await;
    let caller = caller("*");
    let selection = select::select(&lake, &org(), &caller, query()).await;
    let access = Access::new(caller, look_up);
    let frames = stream(selection.unwrap(), access).await.unwrap();
    let found = entries(&frames.concat()).into_iter();
    let errors = found.filter(|(name, _)| name.ends_with("-error"));
    errors.map(|(_, text)| text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_may_no_longer_read_is_not_delivered() {
    let none = errors_with(same(&caller("*"))).await;
    assert!(none.is_empty(), "{none:?}");

    let other = errors_with(same(&caller("Admin:GetPromptLogs"))).await;
    assert_eq!(other.len(), LOGS);
    let missing = "not permitted: permission Conversation:GetMessage is missing";
    assert!(other[0].starts_with(missing), "{}", other[0]);

    let failing = |make: fn() -> Error| -> LookUp {
        Box::new(move || std::future::ready(Err(make())).boxed())
    };
    let gone = errors_with(failing(|| {
        Error::unauthenticated("the user no longer exists")
    }))
    .await;
    assert_eq!(gone.len(), LOGS);
    assert_eq!(gone[0], "not permitted: the user no longer exists\n");

    let unknown = errors_with(failing(|| Error::internal("the database is broken"))).await;
    assert_eq!(unknown.len(), LOGS);
    assert_eq!(
        unknown[0],
        "not permitted: what you may read could not be looked up again\n"
    );
}
