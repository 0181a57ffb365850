use super::*;

fn record(number: usize) -> Record {
    let json = format!(r#"{{"log_key":"log/{number:03}","system":"prompt {number}"}}"#);
    Record::parse(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_checkpoint_that_fails_behind_a_commit_fails_nobodys_write() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(folder.path()).unwrap();
    let org = OrgId::parse("acme").unwrap();
    let (keys, now) = (KeyIndex::default(), DateTime::UNIX_EPOCH);
    // Version 99 is the first with a checkpoint, whose file cannot be written where a folder is.
    let log = folder.path().join("acme/prompt_logs/_delta_log");
    std::fs::create_dir_all(log.join("00000000000000000099.checkpoint.parquet/x")).unwrap();
    for number in 1..=101 {
        write(&lake, &keys, &org, vec![record(number)], now, now)
            .await
            .unwrap();
    }

    let again = write(
        &lake,
        &keys,
        &org,
        (1..=101).map(record).collect(),
        now,
        now,
    )
    .await;
    let unchanged = Written {
        unchanged: 101,
        ..Written::default()
    };
    assert_eq!(again.unwrap(), unchanged);
}

#[tokio::test]
async fn who_writes_beside_a_damaged_file_writes_as_if_it_held_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(folder.path()).unwrap();
    let org = OrgId::parse("acme").unwrap();
    let now = DateTime::UNIX_EPOCH;
    for numbers in [[100, 300], [150, 350]] {
        let records = numbers.map(record).to_vec();
        let keys = KeyIndex::default();
        write(&lake, &keys, &org, records, now, now).await.unwrap();
    }
    let table = lake.open(&org, &table_shape::name()).await.unwrap();
    let files = files::list(&table.unwrap()).unwrap();
    let path = |file: &LogFile| folder.path().join("acme/prompt_logs").join(&file.path);
    std::fs::write(path(&files[0]), b"PAR1 is not what follows, nor PAR1").unwrap();
    let keys = KeyIndex::default();
    for number in [200, 201] {
        let records = vec![record(number)];
        let written = write(&lake, &keys, &org, records, now, now).await;
        assert_eq!(written.unwrap().written, 1);
    }
    // One that is gone is as lost.
    std::fs::remove_file(path(&files[1])).unwrap();
    let keys = KeyIndex::default();
    let written = write(&lake, &keys, &org, vec![record(202)], now, now).await;
    assert_eq!(written.unwrap().written, 1);
}

#[tokio::test]
async fn a_record_that_equals_one_that_has_expired_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(folder.path()).unwrap();
    let (org, keys) = (OrgId::parse("acme").unwrap(), KeyIndex::default());
    let then = DateTime::UNIX_EPOCH;
    let day = chrono::TimeDelta::days(1);
    for (at, oldest, written, replaced) in [
        (then, then, 1, 0),
        (then + day, then, 0, 0),
        (then + day, then + day, 1, 0),
    ] {
        let wrote = write(&lake, &keys, &org, vec![record(1)], at, oldest).await;
        let wrote = wrote.unwrap();
        assert_eq!((wrote.written, wrote.replaced.len()), (written, replaced));
    }
    let other = r#"{"log_key":"log/001","system":"another"}"#;
    let other = Record::parse(other.as_bytes()).unwrap();
    let wrote = write(&lake, &keys, &org, vec![other], then + day, then).await;
    assert_eq!(wrote.unwrap().replaced.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_write_commits_nothing_whose_files_were_taken_for_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::local(folder.path()).unwrap();
    let org = OrgId::parse("acme").unwrap();
    let (keys, now) = (KeyIndex::default(), DateTime::UNIX_EPOCH);
    let records = (1..=3).map(record).collect();
    write(&lake, &keys, &org, records, now, now).await.unwrap();
    let table = lake.open(&org, &table_shape::name()).await.unwrap();
    let store = table.unwrap().object_store();

    let (mut files, log) = (Vec::new(), record(4));
    add_days(&store, &[&log], now, &mut files).await.unwrap();
    let locked = still_there(&lake, &org, &store, &files).await.unwrap();
    // Nobody else has the table now, and while somebody has it nothing is committed.
    let refused = still_there(&lake, &org, &store, &files).await.unwrap_err();
    assert_eq!(*refused.kind(), Kind::Unavailable);
    drop(locked);
    store
        .delete(&StorePath::from(files[0].path.as_str()))
        .await
        .unwrap();
    let refused = still_there(&lake, &org, &store, &files).await.unwrap_err();
    assert_eq!(*refused.kind(), Kind::Unavailable);
}
