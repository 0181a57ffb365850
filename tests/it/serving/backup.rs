//! Backups, made and restored by the commands that `docs/operations.md` gives.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::{ORG, acme};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log, stderr};

const DOCUMENT: &str = include_str!("../../../docs/operations.md");

/// The commands of the document's first block behind a heading.
fn commands(heading: &str) -> &'static str {
    let section = DOCUMENT.split_once(&format!("\n{heading}\n")).unwrap().1;
    let block = section.split_once("```sh\n").unwrap().1;
    block.split_once("```").unwrap().0
}

#[track_caller]
fn run(commands: &str, folder: &Path) {
    let mut shell = Command::new("sh");
    shell.args(["-euc", commands]).current_dir(folder);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{commands}: {}", stderr(&output));
}

fn folder(data: &Data) -> std::path::PathBuf {
    data.path().parent().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_stopped_server_restores_everything() {
    let mut server = Server::start(acme);
    let data = server.data.clone();
    data.import_table(ORG, "t", &[json!({"n": 1}), json!({"n": 2})]);
    let key = data.api_key(ORG);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let submission = json!({"sql_query": "SELECT n FROM t", "async_query": true});
    let path = format!("/v1/{ORG}/admin/sql_query");
    let request = server.request(Method::POST, &path).bearer_auth(&token);
    let handle = Answer::of(request.json(&submission)).await.json();
    let signed_url = handle["signed_url"].as_str().unwrap().to_owned();
    let result = signed_url
        .strip_prefix(&server.base_url)
        .unwrap()
        .to_owned();
    while Answer::of(server.request(Method::GET, &result))
        .await
        .status
        != 200
    {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    server.stop();
    run(commands("### Backup"), &folder(&data));

    // All is lost.
    std::fs::remove_dir_all(data.path()).unwrap();
    run(commands("### Restore"), &folder(&data));
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(data.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let server = Server::on(&data, &[]);
    let logs = server.logs(&token, ORG, "chat/").await.names();
    assert_eq!(logs, ["chat/1-system", "chat/1-history"]);
    let count = server.rows(&token, ORG, "SELECT count(*) FROM t").await;
    assert_eq!(count, json!([[2]]));
    let signed_in = server.sign_in(ORG, &key, SUPER_ADMINISTRATOR).await;
    assert_eq!(signed_in.status, 200);
    let fetched = Answer::of(server.request(Method::GET, &result)).await;
    assert_eq!(fetched.status, 200, "{}", fetched.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_running_server_holds_all_that_was_acknowledged() {
    let server = Server::start(acme);
    let data = server.data.clone();
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let acknowledged = AtomicUsize::new(0);
    let path = format!("/v1/{ORG}/admin/prompt_logs");
    let write = async || {
        for number in 0..200 {
            let log = log(&format!("new/{number:03}"), "s", &[]).to_string();
            let request = server.request(Method::POST, &path).bearer_auth(&token);
            let answer = Answer::of(request.body(log)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            acknowledged.store(number + 1, Ordering::SeqCst);
        }
    };
    let snapshot = async || {
        while acknowledged.load(Ordering::SeqCst) < 50 {
            tokio::task::yield_now().await;
        }
        // A process that stands still is what a snapshot of the file system sees.
        server.signal(Signal::STOP);
        let before = acknowledged.load(Ordering::SeqCst);
        run("cp -a data snapshot", &folder(&data));
        server.signal(Signal::CONT);
        before
    };
    let ((), before) = tokio::join!(write(), snapshot());
    assert!((50..200).contains(&before), "{before}");

    let restored = Data::new();
    std::fs::rename(folder(&data).join("snapshot"), restored.path()).unwrap();
    let server = Server::on(&restored, &[]);
    let sql =
        "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs WHERE log_key LIKE 'new/%'";
    let rows = server.rows(&token, ORG, sql).await;
    let [logs, keys] = [0, 1].map(|column| rows[0][column].as_u64().unwrap() as usize);
    assert_eq!(logs, keys);
    assert!((before..200).contains(&logs), "{logs} of {before}");
}
