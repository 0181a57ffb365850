use chrono::{DateTime, Utc};
use proptest::prelude::*;
use rules::{ClusterName, OrgId};
use tempfile::TempDir;

use super::chain::{BEGINNING, encoding, hash};
use super::*;
use crate::directory::{CONNECTIONS_MAX, Organization};

fn acme() -> OrgId {
    OrgId::parse("acme").unwrap()
}

fn opened(org: &str, entry: &str) -> AuditRow {
    AuditRow {
        org_id: org.to_owned(),
        at: 1_795_521_600_123,
        entry_id: entry.to_owned(),
        event: AUDIT_OPENED.to_owned(),
        actor: "user".to_owned(),
        actor_org_id: Some("acme".to_owned()),
        actor_id: Some("mia".to_owned()),
        action: "Admin:GetPromptLogs".to_owned(),
        resource: Some("c/1/".to_owned()),
        request_id: Some("r-1".to_owned()),
        client_address: Some("198.51.100.7".to_owned()),
        ..AuditRow::default()
    }
}

fn completed(org: &str, entry: &str) -> AuditRow {
    AuditRow {
        event: "completed".to_owned(),
        outcome: Some("succeeded".to_owned()),
        status: Some(200),
        reason: Some("why".to_owned()),
        rows: Some(2),
        bytes: Some(311),
        detail: Some(r#"{"delivered":["c/1/a"]}"#.to_owned()),
        ..opened(org, entry)
    }
}

async fn directory() -> (TempDir, Directory) {
    let folder = TempDir::new().unwrap();
    let directory = Directory::open(&folder.path().join("directory.db"))
        .await
        .unwrap();
    let organization = Organization {
        org_id: acme(),
        name: "Acme".to_owned(),
        cluster: ClusterName::parse("default").unwrap(),
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        retention_days: None,
    };
    directory.create_organization(&organization).await.unwrap();
    (folder, directory)
}

/// Three acts of two rows each.
async fn six_rows() -> (TempDir, Directory) {
    let (folder, directory) = directory().await;
    for entry in ["e1", "e2", "e3"] {
        let rows = [opened("acme", entry), completed("acme", entry)];
        directory.append_audit(&rows).await.unwrap();
    }
    (folder, directory)
}

/// What somebody does who has the file and knows SQL.
async fn tamper(directory: &Directory, statements: &[&'static str]) {
    let unlock = [
        "DROP TRIGGER audit_log_is_not_changed",
        "DROP TRIGGER audit_log_is_not_deleted",
        "DROP TRIGGER audit_log_is_not_replaced",
        "PRAGMA ignore_check_constraints = ON",
    ];
    // One connection: the pragma counts for it alone.
    let mut connection = directory.pool.acquire().await.unwrap();
    for statement in unlock.iter().chain(statements) {
        sqlx::query(*statement)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

#[track_caller]
fn broken(verdict: &AuditVerdict, seq: i64, word: &str) {
    match verdict {
        AuditVerdict::Broken { seq: found, why } if *found == seq && why.contains(word) => {}
        other => panic!("row {seq} is not found ({word}): {other:?}"),
    }
}

async fn chain_of(
    directory: &Directory,
    org: Option<&OrgId>,
    after: i64,
    limit: u32,
) -> Vec<AuditRow> {
    let rows = directory.audit_rows(org, after, limit);
    rows.try_collect().await.unwrap()
}

async fn verdict(directory: &Directory) -> AuditVerdict {
    directory.verify_audit(Some(&acme()), None).await.unwrap()
}

#[tokio::test]
async fn rows_follow_each_other_in_the_chain_of_their_organization() {
    let (_folder, directory) = six_rows().await;
    let server = [opened("", "s1"), completed("", "s1")];
    directory.append_audit(&server).await.unwrap();
    for (org, count) in [(Some(acme()), 6), (None, 2)] {
        let org = org.as_ref();
        let rows = chain_of(&directory, org, 0, 100).await;
        let places: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        assert_eq!(places, (1..=count).collect::<Vec<_>>());
        assert_eq!(rows[0].previous_hash, BEGINNING);
        for pair in rows.windows(2) {
            assert_eq!(pair[1].previous_hash, pair[0].hash);
        }
        let head = directory.audit_head(org).await.unwrap();
        let intact = AuditVerdict::Intact(head.clone());
        assert_eq!(directory.verify_audit(org, None).await.unwrap(), intact);
        let verdict = directory.verify_audit(org, Some(&head)).await.unwrap();
        assert_eq!(verdict, intact);
    }
    let rows = chain_of(&directory, Some(&acme()), 4, 1).await;
    assert_eq!((rows.len(), rows[0].seq), (1, 5));
}

#[tokio::test]
async fn a_row_that_was_changed_in_any_column_is_found() {
    for change in [
        "UPDATE audit_log SET at = at + 1 WHERE seq = 4",
        "UPDATE audit_log SET entry_id = 'e9' WHERE seq = 4",
        "UPDATE audit_log SET event = 'opened' WHERE seq = 4",
        "UPDATE audit_log SET actor = 'operator' WHERE seq = 4",
        "UPDATE audit_log SET actor_org_id = NULL WHERE seq = 4",
        "UPDATE audit_log SET actor_id = 'tom' WHERE seq = 4",
        "UPDATE audit_log SET action = 'Admin:GetPromptLog' WHERE seq = 4",
        "UPDATE audit_log SET resource = NULL WHERE seq = 4",
        "UPDATE audit_log SET request_id = 'r-2' WHERE seq = 4",
        "UPDATE audit_log SET client_address = '' WHERE seq = 4",
        "UPDATE audit_log SET outcome = 'denied' WHERE seq = 4",
        "UPDATE audit_log SET status = 201 WHERE seq = 4",
        "UPDATE audit_log SET reason = NULL WHERE seq = 4",
        "UPDATE audit_log SET rows = 1 WHERE seq = 4",
        "UPDATE audit_log SET bytes = NULL WHERE seq = 4",
        "UPDATE audit_log SET detail = '{}' WHERE seq = 4",
        "UPDATE audit_log SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE seq = 4",
        // A text that moves from one column into the next.
        "UPDATE audit_log SET actor_org_id = 'acmem', actor_id = 'ia' WHERE seq = 4",
    ] {
        let (_folder, directory) = six_rows().await;
        tamper(&directory, &[change]).await;
        broken(&verdict(&directory).await, 4, "changed");
    }
    let (_folder, directory) = six_rows().await;
    tamper(
        &directory,
        &["UPDATE audit_log SET previous_hash = 'x' WHERE seq = 4"],
    )
    .await;
    broken(&verdict(&directory).await, 4, "follow");
}

#[tokio::test]
async fn a_row_that_was_removed_moved_or_put_in_is_found() {
    for (change, seq, word) in [
        (
            &["DELETE FROM audit_log WHERE seq = 1"][..],
            1,
            "missing",
        ),
        (&["DELETE FROM audit_log WHERE seq = 3"], 3, "missing"),
        (&["DELETE FROM audit_log WHERE seq = 6"], 6, "missing"),
        (&["DELETE FROM audit_log WHERE seq > 2"], 3, "missing"),
        (
            &[
                "UPDATE audit_log SET seq = -3 WHERE seq = 3",
                "UPDATE audit_log SET seq = 3 WHERE seq = 5",
                "UPDATE audit_log SET seq = 5 WHERE seq = -3",
            ],
            3,
            "follow",
        ),
        (
            &[
                "DELETE FROM audit_log WHERE seq = 3",
                "UPDATE audit_log SET seq = seq - 1 WHERE seq > 3",
                "UPDATE audit_heads SET seq = 5",
            ],
            3,
            "follow",
        ),
        (
            &["UPDATE audit_log SET org_id = 'globex' WHERE seq = 2"],
            2,
            "missing",
        ),
        (
            &["INSERT INTO audit_log SELECT org_id, 7, at, 'e9', event, actor, actor_org_id, actor_id, action, resource,
               request_id, client_address, outcome, status, reason, rows, bytes, detail, previous_hash, hash
               FROM audit_log WHERE seq = 6"],
            7,
            "follow",
        ),
    ] {
        let (_folder, directory) = six_rows().await;
        tamper(&directory, change).await;
        broken(&verdict(&directory).await, seq, word);
    }
}

#[tokio::test]
async fn a_chain_that_was_cut_and_mended_is_found_by_an_end_that_was_noted() {
    let (_folder, directory) = six_rows().await;
    let noted = directory.audit_head(Some(&acme())).await.unwrap();
    tamper(
        &directory,
        &[
            "DELETE FROM audit_log WHERE seq > 4",
            "UPDATE audit_heads SET seq = 4, hash = (SELECT hash FROM audit_log WHERE seq = 4)",
        ],
    )
    .await;
    // The database alone cannot tell.
    assert!(matches!(
        verdict(&directory).await,
        AuditVerdict::Intact(AuditHead { seq: 4, .. })
    ));
    let org = acme();
    let expect = async |head| {
        directory
            .verify_audit(Some(&org), Some(head))
            .await
            .unwrap()
    };
    broken(&expect(&noted).await, 5, "missing");
    let rows = [opened("acme", "e8"), completed("acme", "e8")];
    directory.append_audit(&rows).await.unwrap();
    broken(&expect(&noted).await, 6, "hash");
}

#[tokio::test]
async fn the_database_itself_refuses_to_change_a_row() {
    let (_folder, directory) = six_rows().await;
    for statement in [
        "UPDATE audit_log SET actor = 'x'",
        "DELETE FROM audit_log WHERE seq = 6",
        "INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log WHERE seq = 6",
    ] {
        let refused = sqlx::query(statement)
            .execute(&directory.pool)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("only ever added"), "{refused}");
    }
    assert!(matches!(
        verdict(&directory).await,
        AuditVerdict::Intact(AuditHead { seq: 6, .. })
    ));
}

#[tokio::test]
async fn a_second_row_without_its_first_one_is_left_out_and_there_is_one_at_most() {
    let (_folder, directory) = directory().await;
    let rows = [
        completed("acme", "e1"),
        opened("acme", "e2"),
        completed("acme", "e2"),
        completed("acme", "e2"),
    ];
    directory.append_audit(&rows).await.unwrap();
    let rows = chain_of(&directory, Some(&acme()), 0, 10).await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| (&*row.entry_id, &*row.event))
        .collect();
    assert_eq!(found, [("e2", "opened"), ("e2", "completed")]);
}

#[tokio::test]
async fn what_is_left_open_is_told_but_for_operators() {
    let (_folder, directory) = directory().await;
    let operator = AuditRow {
        actor: "operator".to_owned(),
        ..opened("acme", "e3")
    };
    let rows = [
        opened("acme", "e1"),
        opened("", "e2"),
        operator,
        opened("acme", "e4"),
        completed("acme", "e4"),
    ];
    directory.append_audit(&rows).await.unwrap();
    let left = directory.audit_left_open().await.unwrap();
    let left: Vec<_> = left.iter().map(|row| row.entry_id.as_str()).collect();
    assert_eq!(left, ["e2", "e1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_append_at_once_none_is_lost_and_the_chain_has_no_gap() {
    let (folder, _directory) = directory().await;
    let file = folder.path().join("directory.db");
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let file = file.clone();
            tokio::spawn(async move {
                // A handle of its own, as another process has.
                let directory = Directory::open(&file).await.unwrap();
                for act in 0..20 {
                    let entry = format!("{task}-{act}");
                    let org = if act % 4 == 0 { "" } else { "acme" };
                    let rows = [opened(org, &entry), completed(org, &entry)];
                    directory.append_audit(&rows[..1]).await.unwrap();
                    directory.append_audit(&rows[1..]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let directory = Directory::open(&file).await.unwrap();
    for (org, rows) in [(Some(acme()), 240), (None, 80)] {
        let verdict = directory.verify_audit(org.as_ref(), None).await.unwrap();
        assert!(
            matches!(verdict, AuditVerdict::Intact(AuditHead { seq, .. }) if seq == rows),
            "{verdict:?}"
        );
    }
}

/// Reads an encoding back, as docs/audit.md describes it.
fn values(mut encoded: &[u8]) -> Vec<Option<String>> {
    let mut values = Vec::new();
    while !encoded.is_empty() {
        if let Some(rest) = encoded.strip_prefix(b"-,") {
            values.push(None);
            encoded = rest;
            continue;
        }
        let colon = encoded.iter().position(|byte| *byte == b':').unwrap();
        let length: usize = std::str::from_utf8(&encoded[..colon])
            .unwrap()
            .parse()
            .unwrap();
        let (value, rest) = encoded[colon + 1..].split_at(length);
        values.push(Some(String::from_utf8(value.to_vec()).unwrap()));
        encoded = rest.strip_prefix(b",").unwrap();
    }
    values
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[-0-9:,]{0,6}", ".{0,6}"]
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text())
}

proptest! {
    #[test]
    fn an_encoding_says_every_value_and_so_belongs_to_one_row(
        texts in proptest::array::uniform6(text()),
        maybes in proptest::array::uniform8(maybe()),
        numbers in proptest::array::uniform3(proptest::option::of(any::<i64>())),
        seq in any::<i64>(),
        at in any::<i64>(),
    ) {
        let [org_id, entry_id, event, actor, action, previous_hash] = texts.clone();
        let [actor_org_id, actor_id, resource, request_id, client_address, outcome, reason, detail] = maybes.clone();
        let [status, rows, bytes] = numbers;
        let row = AuditRow {
            org_id, seq, at, entry_id, event, actor, actor_org_id, actor_id, action, resource, request_id,
            client_address, outcome, status, reason, rows, bytes, detail, previous_hash, hash: String::new(),
        };
        let [org_id, entry_id, event, actor, action, previous_hash] = texts.map(Some);
        let [actor_org_id, actor_id, resource, request_id, client_address, outcome, reason, detail] = maybes;
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let expected = vec![
            Some("amigo-admin audit 1".to_owned()), previous_hash, org_id, number(Some(seq)), Some(row.instant()),
            entry_id, event, actor, actor_org_id, actor_id, action, resource, request_id, client_address, outcome,
            number(status), reason, number(rows), number(bytes), detail,
        ];
        prop_assert_eq!(values(&encoding(&row)), expected);
    }
}

#[test]
fn instants_that_differ_are_told_apart() {
    let at = |at| {
        AuditRow {
            at,
            ..AuditRow::default()
        }
        .instant()
    };
    assert_eq!(at(1_795_521_600_123), "2026-11-24T12:00:00.123Z");
    assert_eq!(at(i64::MAX), i64::MAX.to_string());
    assert_ne!(at(-1), at(0));
}

#[tokio::test]
async fn a_connection_whose_transaction_the_database_rolled_back_by_itself_is_given_up() {
    let (_folder, directory) = six_rows().await;
    let mut transactions = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut transaction = directory.write().await.unwrap();
        // As when a commit finds the disk full.
        let rollback = sqlx::query("ROLLBACK").execute(&mut *transaction);
        rollback.await.unwrap();
        transactions.push(transaction);
    }
    drop(transactions);
    for entry in ["e7", "e8"] {
        directory
            .append_audit(&[opened("acme", entry)])
            .await
            .unwrap();
    }
    assert!(matches!(
        verdict(&directory).await,
        AuditVerdict::Intact(AuditHead { seq: 8, .. })
    ));
}

#[test]
fn the_hash_of_a_row_stays_what_it_is() {
    let row = AuditRow {
        seq: 2,
        previous_hash: BEGINNING.to_owned(),
        ..completed("acme", "66b0e1f0aabbccdd00112233")
    };
    assert_eq!(
        hash(&row),
        "982acd3dfeaa1d77b7209c818b1fd1b3efe35969880d52a768986afb7b9f2b99"
    );
}
