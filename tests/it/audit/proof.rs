//! Export, list and proof: what somebody with the file changes is found, and anybody can compute the hashes.

use serde_json::{Value, json};

use super::failures::execute;
use super::{ORG, rows};
use crate::support::{Data, USER, stderr};

/// The hash of an exported row, computed as docs/audit.md says and with nothing else.
fn hash(row: &Value) -> String {
    const COLUMNS: [&str; 19] = [
        "previous_hash",
        "org_id",
        "seq",
        "at",
        "entry_id",
        "event",
        "actor",
        "actor_org_id",
        "actor_id",
        "action",
        "resource",
        "request_id",
        "client_address",
        "outcome",
        "status",
        "reason",
        "rows",
        "bytes",
        "detail",
    ];
    let mut encoded = "19:amigo-admin audit 1,".to_owned();
    for column in COLUMNS {
        let value = match &row[column] {
            Value::Null => {
                encoded.push_str("-,");
                continue;
            }
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        encoded.push_str(&format!("{}:{value},", value.len()));
    }
    blake3::hash(encoded.as_bytes()).to_hex().to_string()
}

#[test]
fn an_export_can_be_checked_without_this_program() {
    let data = Data::new();
    data.org(ORG);
    data.token(ORG, USER);
    let all = rows(&data, ORG);
    let mut previous = "0".repeat(64);
    for (index, row) in all.iter().enumerate() {
        assert_eq!(row["seq"], index + 1);
        assert_eq!(row["previous_hash"], previous);
        previous = hash(row);
        assert_eq!(row["hash"], previous);
    }
    let head = data.ok(["audit", "verify", ORG]);
    assert_eq!(
        head,
        json!({"chains": [{"chain": ORG, "seq": all.len(), "hash": previous}]})
    );

    let file = data.file("audit.ndjson");
    let file = file.to_str().unwrap();
    let written = data.ok(["audit", "export", ORG, "--after", "4", "--output", file]);
    assert_eq!(written, json!({"rows": all.len() - 4, "last": all.len()}));
    let text = std::fs::read_to_string(file).unwrap();
    let rest: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rest, all[4..]);
    // A file that is there is not written over.
    let again = data.run(["audit", "export", ORG, "--output", file]);
    assert_eq!(again.status.code(), Some(1));
    let listed = data.ok(["audit", "list", ORG, "--limit", "3"]);
    assert_eq!(
        listed["audit_log"].as_array().unwrap(),
        &all[all.len() - 3..]
    );
    let shown = data.run(["audit", "list", ORG]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.lines().count(), all.len() + 1);
    assert!(shown.contains("User:IssueToken"), "{shown}");
}

#[track_caller]
fn is_broken(data: &Data, args: &[&str], words: &[&str]) {
    let args = [&["audit", "verify"][..], args].concat();
    let output = data.run(args);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    for word in words {
        assert!(
            stderr(&output).contains(word),
            "{word}: {}",
            stderr(&output)
        );
    }
}

#[tokio::test]
async fn a_row_that_was_changed_or_removed_is_found_and_named() {
    let data = Data::new();
    data.org(ORG);
    data.org("globex");
    let before = data.ok(["audit", "verify"]);
    let chains = before["chains"].as_array().unwrap();
    let names: Vec<&Value> = chains.iter().map(|chain| &chain["chain"]).collect();
    assert_eq!(names, ["(server)", ORG, "globex"]);
    let end = &chains[1];
    let end = format!("{}:{}", end["seq"], end["hash"].as_str().unwrap());
    data.token(ORG, USER);
    data.ok(["audit", "verify", ORG, "--expect", &end]);

    for trigger in [
        "DROP TRIGGER audit_log_is_not_changed",
        "DROP TRIGGER audit_log_is_not_deleted",
    ] {
        execute(&data, trigger).await;
    }
    execute(
        &data,
        "UPDATE audit_log SET actor_id = 'nobody' WHERE org_id = 'acme' AND seq = 3",
    )
    .await;
    is_broken(&data, &[], &["acme: row 3", "changed"]);
    is_broken(&data, &[ORG], &["acme: row 3"]);
    data.ok(["audit", "verify", "globex"]);
    data.ok(["audit", "verify", "--server"]);
    execute(
        &data,
        "DELETE FROM audit_log WHERE org_id = 'globex' AND seq = 8",
    )
    .await;
    is_broken(&data, &["globex"], &["globex: row 8", "missing"]);
    is_broken(&data, &[], &["acme: row 3", "globex: row 8"]);
    let wrong = format!("1:{}", "0".repeat(64));
    is_broken(
        &data,
        &["--server", "--expect", &wrong],
        &["row 1", "noted"],
    );
    for args in [
        &["audit", "verify", "--expect", &wrong][..],
        &["audit", "verify", ORG, "--expect", "x"],
        &["audit", "verify", ORG, "--server"],
        &["audit", "export"],
        &["audit", "list", ORG, "--limit", "0"],
    ] {
        assert_eq!(data.run(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(data.run(["audit", "list", "nix"]).status.code(), Some(1));
}
