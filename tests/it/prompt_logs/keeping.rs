//! How long logs are kept, and that putting the archive in order changes nothing that anybody sees.

use std::time::Duration;

use chrono::{SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};

use super::import::list;
use super::{ORG, at, check};
use crate::support::{Data, SUPER_ADMINISTRATOR, Server, log, ndjson, stderr};

fn stats(data: &Data) -> Value {
    data.ok(["prompt-logs", "stats", ORG])
}

#[test]
fn a_log_that_is_too_old_is_refused_with_the_reason_unless_forced() {
    let data = Data::new();
    data.org(ORG);
    let now = Utc::now();
    let logs = [
        at(now - TimeDelta::days(31), log("old/1", "s", &[])),
        at(now - TimeDelta::days(29), log("young/1", "s", &[])),
        log("young/2", "s", &[]),
    ];
    let output = data.import_lines(ORG, &ndjson(&logs), &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        printed,
        json!({"written": 2, "unchanged": 0, "rejected": 1})
    );
    let said = stderr(&output);
    let reason = said.lines().find(|line| line.starts_with("line 1: "));
    assert!(
        reason.is_some_and(|reason| reason.contains("are no longer kept")),
        "{said}"
    );
    assert_eq!(list(&data, ""), ["young/1", "young/2"]);

    // Where logs are kept longer, it is not too old.
    let longer = data.ok(["org", "retention", ORG, "60"]);
    assert_eq!(
        longer,
        json!({"org_id": ORG, "retention_days": 60, "days": 60})
    );
    assert_eq!(data.import_logs(ORG, &logs[..1])["written"], 1);
    data.ok(["org", "retention", ORG, "default"]);
    assert_eq!(data.ok(["prompt-logs", "expire", ORG])["logs"], 1);
    data.force_logs(ORG, &logs[..1]);
    assert_eq!(list(&data, ""), ["old/1", "young/1", "young/2"]);
}

#[test]
fn expiry_drops_days_that_are_over_and_nothing_younger() {
    let data = Data::new();
    data.org(ORG);
    let empty =
        json!({"logs": 0, "bytes": 0, "days": 0, "files": 0, "oldest": null, "newest": null});
    assert_eq!(stats(&data), empty);
    let now = Utc::now().trunc_subsecs(6);
    let days = |days: i64, key: &str| at(now - TimeDelta::days(days), log(key, "s", &["h"]));
    let logs = [
        days(29, "kept/1"),
        days(0, "kept/2"),
        days(32, "gone/1"),
        days(32, "gone/2"),
        days(400, "gone/3"),
    ];
    data.force_logs(ORG, &logs);
    let before = stats(&data);
    assert_eq!(
        (&before["logs"], &before["days"], &before["files"]),
        (&json!(5), &json!(4), &json!(4))
    );
    assert_eq!(before["oldest"], logs[4]["created_at"]);
    assert_eq!(before["newest"], logs[1]["created_at"]);

    let dropped = data.ok(["prompt-logs", "expire", ORG]);
    let expected = [("days", 2), ("logs", 3), ("files", 2)];
    for (name, count) in expected {
        assert_eq!(dropped[name], count, "{name}: {dropped}");
    }
    assert_eq!(list(&data, ""), ["kept/1", "kept/2"]);
    let after = stats(&data);
    let bytes = |value: &Value| value["bytes"].as_u64().unwrap();
    assert_eq!(bytes(&before) - bytes(&after), bytes(&dropped));
    assert_eq!(data.ok(["prompt-logs", "expire", ORG])["logs"], 0);

    // Its files are still there, for whoever began to read before, and are deleted later.
    assert_eq!(data.files(".parquet").len(), 4);
    let written = std::time::SystemTime::now() - Duration::from_secs(7200);
    for file in data.files(".parquet") {
        let file = std::fs::File::options().append(true).open(file).unwrap();
        file.set_modified(written).unwrap();
    }
    let again = data.ok(["prompt-logs", "expire", ORG]);
    assert_eq!(again["deleted"]["files"], 0, "{again}");
}

#[tokio::test]
async fn an_organization_s_own_retention_holds_in_both_endpoints_at_once() {
    let now = Utc::now();
    let logs = [
        at(now - TimeDelta::days(10), log("r/1", "s", &[])),
        at(now - TimeDelta::days(5), log("r/2", "s", &[])),
    ];
    let server = Server::start(|data| {
        data.org(ORG);
        data.import_logs(ORG, &logs);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let shown = async |logs: &[Value]| {
        check(&server.logs(&token, ORG, "r/").await, logs);
        let keys = server
            .rows(&token, ORG, "SELECT log_key FROM prompt_logs ORDER BY 1")
            .await;
        let expected: Vec<Value> = logs.iter().map(|log| json!([log["log_key"]])).collect();
        assert_eq!(keys, json!(expected));
    };
    shown(&logs).await;
    server.data.ok(["org", "retention", ORG, "7"]);
    shown(&logs[1..]).await;
    server.data.ok(["org", "retention", ORG, "1"]);
    let nothing = server.logs(&token, ORG, "r/").await;
    assert!(nothing.detail(404).contains("of the past day has"));
    let rows = server
        .rows(&token, ORG, "SELECT count(*) FROM prompt_logs")
        .await;
    assert_eq!(rows, json!([[0]]));
    server.data.ok(["org", "retention", ORG, "default"]);
    shown(&logs).await;
}

#[tokio::test]
async fn a_log_is_gone_from_both_endpoints_as_soon_as_it_is_thirty_days_old() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let edge = Utc::now() - TimeDelta::days(30) + TimeDelta::seconds(8);
    let log = at(edge, log("edge/1", "s", &[]));
    server.data.import_logs(ORG, std::slice::from_ref(&log));
    let count = async || {
        let sql = "SELECT count(*) FROM prompt_logs";
        server.rows(&token, ORG, sql).await[0][0].clone()
    };
    let (logs, rows) = (server.logs(&token, ORG, "edge/").await, count().await);
    if Utc::now() - edge < TimeDelta::days(30) {
        check(&logs, std::slice::from_ref(&log));
        assert_eq!(rows, 1);
    }
    let left = edge + TimeDelta::days(30) - Utc::now();
    tokio::time::sleep(left.to_std().unwrap_or_default()).await;
    server.logs(&token, ORG, "edge/").await.detail(404);
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn merging_in_the_background_changes_no_byte_of_a_download_or_an_answer() {
    let mut logs = Vec::new();
    // Nothing is merged at first, and then by a server that is told to.
    let mut server = Server::start_with(&[("KEEPING__COMPACT_SECONDS", "0")], |data| {
        data.org(ORG);
        for number in 0..12 {
            let log = log(
                &format!("m/{:02}", number * 5 % 12),
                "system",
                &["a", &format!("{number}")],
            );
            logs.push(at(Utc::now(), log));
            data.import_logs(ORG, &logs[number..]);
        }
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let sql = "SELECT * FROM prompt_logs ORDER BY log_key";
    let before = server.logs(&token, ORG, "m/").await;
    let rows = server.rows(&token, ORG, sql).await;
    check(&before, &logs);
    assert_eq!(stats(&server.data)["files"], 12);

    server.stop();
    let keeper = Server::on(&server.data, &[("KEEPING__COMPACT_SECONDS", "1")]);
    let mut files = 12;
    for _ in 0..200 {
        let answer = keeper.logs(&token, ORG, "m/").await;
        assert!(answer.body == before.body, "other bytes");
        files = stats(&server.data)["files"].as_u64().unwrap();
        if files < 8 {
            break;
        }
    }
    assert!(files < 8, "{files} files: {}", keeper.log().join("\n"));
    assert_eq!(keeper.rows(&token, ORG, sql).await, rows);

    // A log in a merged file is replaced as any other.
    logs[3] = at(Utc::now(), log("m/03", "another", &[]));
    assert_eq!(server.data.import_logs(ORG, &logs[3..4])["written"], 1);
    let merged = server.data.ok(["prompt-logs", "compact", ORG]);
    assert_eq!(merged["files"], 1);
    check(&keeper.logs(&token, ORG, "m/").await, &logs);
    let again = server.data.ok(["prompt-logs", "compact", ORG]);
    assert_eq!(again["merged_files"], 0);
}
