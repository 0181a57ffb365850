use std::path::PathBuf;

use rules::Kind;

use super::faults::Fault;
use super::*;

fn org() -> OrgId {
    OrgId::parse("acme").unwrap()
}

fn name() -> TableName {
    TableName::parse("visits").unwrap()
}

/// Adds rows to the table as another process would: with a lake of its own.
async fn append(folder: &Path, rows: &str, replace: bool) {
    let file = folder.join("rows.ndjson");
    std::fs::write(&file, rows).unwrap();
    let (org, table) = (org(), name());
    let target = append::Target {
        org: &org,
        table: &table,
        replace,
    };
    let lake = Lake::local(&folder.join("lake")).unwrap();
    let now = chrono::DateTime::UNIX_EPOCH;
    append::import_file(&lake, target, &file, now, &mut |_, _| {})
        .await
        .unwrap();
}

async fn files(lake: &Lake) -> usize {
    let table = lake.open(&org(), &name()).await.unwrap().unwrap();
    table.snapshot().unwrap().log_data().num_files()
}

fn log(folder: &Path) -> PathBuf {
    folder.join("lake/acme/visits/_delta_log")
}

#[tokio::test]
async fn a_table_opened_before_has_every_commit_of_other_processes() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(&folder.path().join("lake")).unwrap();
    assert!(lake.open(&org(), &name()).await.unwrap().is_none());
    for commits in 1..=5 {
        append(folder.path(), "{\"a\": 1}\n", false).await;
        assert_eq!(files(&lake).await, commits);
        assert_eq!(files(&lake).await, commits);
    }
    append(folder.path(), "{\"b\": 1}\n", true).await;
    assert_eq!(files(&lake).await, 1);
    let table = lake.open(&org(), &name()).await.unwrap().unwrap();
    let columns = table.snapshot().unwrap().snapshot().arrow_schema();
    assert_eq!(columns.fields()[0].name(), "b");
}

#[tokio::test]
async fn a_table_that_was_deleted_and_made_again_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(&folder.path().join("lake")).unwrap();
    for _ in 0..3 {
        append(folder.path(), "{\"a\": 1}\n", false).await;
    }
    assert_eq!(files(&lake).await, 3);
    let table = folder.path().join("lake/acme/visits");
    std::fs::remove_dir_all(&table).unwrap();
    assert!(lake.open(&org(), &name()).await.unwrap().is_none());
    // As many commits as before: the version alone tells no difference.
    for commits in 1..=3 {
        append(folder.path(), "{\"other\": 1}\n", false).await;
        assert_eq!(files(&lake).await, commits);
    }
    let table = lake.open(&org(), &name()).await.unwrap().unwrap();
    let columns = table.snapshot().unwrap().snapshot().arrow_schema();
    assert_eq!(columns.fields()[0].name(), "other");
}

#[tokio::test]
async fn a_table_replaced_unseen_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(&folder.path().join("lake")).unwrap();
    append(folder.path(), "{\"a\": 1}\n", false).await;
    append(folder.path(), "{\"a\": 1}\n", false).await;
    assert_eq!(files(&lake).await, 2);
    std::fs::remove_dir_all(folder.path().join("lake/acme/visits")).unwrap();
    append(folder.path(), "{\"other\": 1}\n{\"other\": 2}\n", false).await;
    append(folder.path(), "{\"other\": 1}\n", true).await;
    append(folder.path(), "{\"other\": 3}\n", false).await;
    assert_eq!(files(&lake).await, 2);
    let table = lake.open(&org(), &name()).await.unwrap().unwrap();
    assert_eq!(table.version(), Some(2));
}

#[tokio::test]
async fn a_log_that_was_cleaned_up_meanwhile_is_read_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(&folder.path().join("lake")).unwrap();
    append(folder.path(), "{\"a\": 1}\n", false).await;
    assert_eq!(files(&lake).await, 1);
    // Delta makes a checkpoint every hundred commits.
    for _ in 0..103 {
        append(folder.path(), "{\"a\": 1}\n", false).await;
    }
    let log = log(folder.path());
    assert!(log.join("_last_checkpoint").exists());
    for version in 0..99 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    assert_eq!(files(&lake).await, 104);
    append(folder.path(), "{\"a\": 1}\n", false).await;
    assert_eq!(files(&lake).await, 105);
}

#[tokio::test]
async fn opening_a_warm_table_reads_no_byte_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), "{\"a\": 1}\n", false).await;
    let lake = Lake::local(&folder.path().join("lake")).unwrap();
    let (lake, store) = lake.faulty();
    files(&lake).await;
    let cold = store.reads();
    files(&lake).await;
    // Three questions whether something is there: the next commit, this one, the checkpoint.
    assert_eq!(store.reads() - cold, 3);
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_and_asked_again_later() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), "{\"a\": 1}\n", false).await;
    let lake = Lake::local(&folder.path().join("lake")).unwrap();
    let limit = Duration::from_millis(200);
    let (lake, store) = lake.faulty();
    let lake = lake.with_read_limit(limit);
    store.arm(Fault::Stall, 1..2);
    let error = lake.open(&org(), &name()).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::Unavailable);
    tokio::time::sleep(limit).await;
    assert_eq!(files(&lake).await, 1);
}
