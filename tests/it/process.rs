//! The server as a process: it ends when it is told to, nothing of it outlives it, and it starts again on what is there.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{
    Answer, Data, PROGRAM, SUPER_ADMINISTRATOR, Server, busiest, children, is_running, log, ndjson,
    ticks, wait_for,
};

const ORG: &str = "acme";
/// Runs until somebody stops it, on any machine.
const ENDLESS: &str =
    "SELECT count(*) FROM t a, t b, t c, t d, t e WHERE a.n + b.n + c.n + d.n + e.n = -1";
/// Takes a moment.
const SOME_WORK: &str = "SELECT count(*) FROM t a, t b, t c WHERE (a.n * b.n + c.n) % 7 = 3";

/// A server with a few logs that make a large archive and a table to be busy with.
fn serve(settings: &[(&str, &str)]) -> (Server, String) {
    let server = Server::start_with(settings, |data| {
        data.org(ORG);
        let numbers: Vec<Value> = (0..200).map(|n| json!({"n": n})).collect();
        data.import_table(ORG, "t", &numbers);
        data.import_logs(ORG, &large_logs());
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    (server, token)
}

/// Prompts that compress little.
fn large_logs() -> Vec<Value> {
    let text = |n: u64| -> String {
        let hashes =
            (0..20_000_u64).map(|i| blake3::hash(&(n * 1_000_000 + i).to_le_bytes()).to_hex());
        hashes.map(|hash| hash.to_string()).collect()
    };
    (0..16)
        .map(|n| log(&format!("big/{n:02}"), &text(n), &[]))
        .collect()
}

/// Sends a query and returns when a worker is busy with it.
fn start_query(
    server: &Server,
    token: &str,
    sql: &str,
) -> JoinHandle<reqwest::Result<reqwest::Response>> {
    let worked = || -> u64 { children(server.pid()).into_iter().map(ticks).sum() };
    let before = worked();
    let query = tokio::spawn(server.sql_request(token, ORG, sql).send());
    wait_for("a worker to work", || (worked() > before + 1).then_some(()));
    query
}

#[track_caller]
fn wait_for_the_end_of(workers: Vec<u32>) {
    for worker in workers {
        wait_for("a worker to end", || (!is_running(worker)).then_some(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_finishes_what_runs() {
    let (mut server, token) = serve(&[]);
    let workers = children(server.pid());
    assert!(!workers.is_empty());
    let query = start_query(&server, &token, SOME_WORK);
    let download = server.logs_request(&token, ORG, &[("prompt_log_prefix", "big/")]);
    let mut download = download.send().await.unwrap();
    let mut body = download.chunk().await.unwrap().unwrap().to_vec();

    server.signal(Signal::TERM);
    server.log_line(|line| line.contains("stopping"));
    while let Some(chunk) = download.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    let (status, headers) = (download.status().as_u16(), download.headers().clone());
    assert_eq!(
        Answer {
            status,
            headers,
            body
        }
        .entries()
        .len(),
        32
    );
    let query = query.await.unwrap().unwrap();
    assert_eq!(query.status(), 200);
    let page: Value = query.json().await.unwrap();
    assert!(page["result"][0][0].as_u64().unwrap() > 0, "{page}");
    assert_eq!(server.wait().code(), Some(0));
    wait_for_the_end_of(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopping_takes_no_new_connections() {
    let (mut server, token) = serve(&[]);
    let download = server.logs_request(&token, ORG, &[("prompt_log_prefix", "big/")]);
    let mut download = download.send().await.unwrap();
    server.signal(Signal::TERM);
    server.log_line(|line| line.contains("stopping"));
    let refused = || {
        std::net::TcpStream::connect(server.address())
            .is_err()
            .then_some(())
    };
    wait_for("the port to be closed", refused);
    while download.chunk().await.unwrap().is_some() {}
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_waits_no_longer_than_it_may() {
    let (mut server, token) = serve(&[("SERVER__SHUTDOWN_SECONDS", "1")]);
    let query = start_query(&server, &token, ENDLESS);
    let workers = children(server.pid());
    assert_eq!(server.stop().code(), Some(0));
    assert!(
        query.await.unwrap().is_err(),
        "an endless query was answered"
    );
    wait_for_the_end_of(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_die_with_a_server_that_is_killed() {
    let (mut server, token) = serve(&[]);
    let query = start_query(&server, &token, ENDLESS);
    let workers = children(server.pid());
    assert!(!workers.is_empty());
    server.signal(Signal::KILL);
    assert_eq!(server.wait().code(), None);
    assert!(query.await.unwrap().is_err());
    wait_for_the_end_of(workers);

    // Nothing that was left lying about hinders the next one.
    let data = server.data.clone();
    let next = Server::on(&data, &[]);
    assert_eq!(
        next.rows(&token, ORG, "SELECT count(*) FROM t").await,
        json!([[200]])
    );
    assert_eq!(next.logs(&token, ORG, "big/").await.names().len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_can_be_stopped_and_started_again_and_again() {
    let data = Data::new();
    data.org(ORG);
    data.import_logs(ORG, &[log("a/1", "s", &["h"])]);
    let key = data.api_key(ORG);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let mut server = Server::on(&data, &[]);
        let signed_in = server.sign_in(ORG, &key, SUPER_ADMINISTRATOR).await;
        assert_eq!(signed_in.status, 200, "{}", signed_in.text());
        tokens.push(signed_in.json()["id_token"].as_str().unwrap().to_owned());
        // A token of an earlier start is as good as a new one: the signing keys are stored.
        for token in &tokens {
            assert_eq!(
                server.logs(token, ORG, "a/").await.names(),
                ["a/1-system", "a/1-history"]
            );
        }
        assert_eq!(server.stop().code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_from_the_terminal_lets_what_runs_finish_too() {
    let (mut first, token) = serve(&[]);
    first.stop();
    let mut command = first.data.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    command.process_group(0);
    let mut server = Server::spawn(&first.data, command);
    let query = start_query(&server, &token, SOME_WORK);
    // Ctrl-C goes to every process of the group in the foreground, not to the server alone.
    let group = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process_group(group, Signal::INT).unwrap();
    assert_eq!(query.await.unwrap().unwrap().status(), 200);
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_takes_the_query_along() {
    let (server, token) = serve(&[("LIMITS__SQL_WORKERS", "1")]);
    let query = start_query(&server, &token, ENDLESS);
    let busy = vec![busiest(server.pid())];
    query.abort();
    let _ = query.await;
    // The only worker is free again, long before the time limit, so the next query gets its answer.
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    wait_for_the_end_of(busy);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_too_many_on_a_port_says_so_and_ends() {
    let server = Server::start(|data| data.org(ORG));
    let other = Data::new();
    other.org(ORG);
    let output = other.run(["serve", "--listen", server.address()]);
    assert_eq!(output.status.code(), Some(1));
    let said = crate::support::stderr(&output);
    assert!(said.contains("cannot listen on"), "{said}");
    let answer = Answer::of(server.request(Method::GET, "/")).await;
    answer.detail(404);
}

/// Starts an import that reads standard input, and writes the lines to it.
fn importing(data: &Data, lines: &[u8]) -> Child {
    let mut command = data.command();
    command.args(["prompt-logs", "import", ORG, "-"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(lines).unwrap();
    child
}

#[track_caller]
fn keys(data: &Data) -> Vec<String> {
    let listed = data.ok(["prompt-logs", "list", ORG, ""]);
    let logs = listed["prompt_logs"].as_array().unwrap();
    logs.iter()
        .map(|log| log["log_key"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_import_that_is_killed_is_completed_by_importing_again() {
    // More than one commit holds.
    const LOGS: usize = 25_000;
    let data = Data::new();
    data.org(ORG);
    let logs: Vec<Value> = (0..LOGS)
        .map(|n| json!({"log_key": format!("k/{n:05}"), "system": format!("{}", n % 7)}))
        .collect();
    let lines = ndjson(&logs);

    // Killed before anything was committed: while the first data file is there and no commit names it.
    let mut child = importing(&data, lines.as_bytes());
    wait_for("a data file", || {
        (!data.files(".parquet").is_empty()).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let after_first = keys(&data);
    assert!(
        after_first.is_empty() || after_first.len() == 20_000,
        "{} logs",
        after_first.len()
    );

    // Killed between two commits: the first is whole and stays.
    let mut child = importing(&data, lines.as_bytes());
    wait_for("the first commit", || {
        (keys(&data).len() >= 20_000).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(keys(&data).len(), 20_000);

    let server = Server::on(&data, &[]);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let result = data.import_logs(ORG, &logs);
    assert_eq!(
        result,
        json!({"written": 5_000, "unchanged": 20_000, "rejected": 0})
    );
    let all: Vec<String> = (0..LOGS).map(|n| format!("k/{n:05}")).collect();
    assert!(keys(&data) == all, "not every key is there once");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let sql = "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs";
        assert_eq!(server.rows(&token, ORG, sql).await, json!([[LOGS, LOGS]]));
        assert_eq!(
            server.logs(&token, ORG, "k/24999").await.names(),
            ["k/24999-system"]
        );
    });
}

/// Serves the data directory with what begins the command line; ports and logs as everywhere.
fn serve_by(data: &Data, mut command: Command) -> Server {
    command.arg("--data").arg(data.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    Server::spawn(data, command)
}

#[tokio::test]
async fn a_server_that_was_started_to_outlive_its_terminal_does() {
    let data = Data::new();
    data.org(ORG);
    let mut command = Command::new("nohup");
    command.arg(PROGRAM);
    let mut server = serve_by(&data, command);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    server.signal(Signal::HUP);
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    assert!(server.stop().success());

    // The tests themselves may have been started so.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", PROGRAM]);
    let mut server = serve_by(&data, command);
    server.signal(Signal::HUP);
    assert!(server.wait().success());
}

/// An upgrade puts another version where this one lay; the one that runs goes on with workers of its own kind.
#[tokio::test]
async fn a_program_that_was_replaced_on_the_disk_goes_on_as_it_was() {
    let data = Data::new();
    data.org(ORG);
    let program = data.file("amigo-admin");
    if std::fs::hard_link(PROGRAM, &program).is_err() {
        std::fs::copy(PROGRAM, &program).unwrap();
    }
    let server = serve_by(&data, Command::new(&program));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    std::fs::remove_file(&program).unwrap();
    data.write("amigo-admin", "#!/bin/sh\nexit 1\n");

    // One that has just been started has no name of its own yet.
    let workers = wait_for("workers by their name", || {
        let workers = children(server.pid());
        let name = |worker: &u32| std::fs::read_to_string(format!("/proc/{worker}/comm"));
        let are_named = workers
            .iter()
            .all(|worker| name(worker).is_ok_and(|name| name.trim() == "amigo-admin"));
        (are_named && !workers.is_empty()).then_some(workers)
    });
    for worker in &workers {
        let group = Pid::from_raw(i32::try_from(*worker).unwrap()).unwrap();
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
    wait_for_the_end_of(workers);
    // The first may still be given to one that has just ended.
    let mut answer = server.sql(&token, ORG, "SELECT 2").await;
    if answer.status != 200 {
        answer = server.sql(&token, ORG, "SELECT 2").await;
    }
    assert_eq!(answer.json()["result"], json!([[2]]), "{}", answer.text());
}
