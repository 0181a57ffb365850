//! The import that feeds the archive: each key once, whoever writes it and how often.

use std::io::Write;
use std::process::{Child, Stdio};

use chrono::{TimeDelta, Utc};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{ORG, at, check};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log, ndjson, stderr, wait_for};

/// The keys the operator's list shows.
#[track_caller]
pub(super) fn list(data: &Data, prefix: &str) -> Vec<String> {
    let listed = data.ok(["prompt-logs", "list", ORG, prefix]);
    let logs = listed["prompt_logs"].as_array().unwrap();
    logs.iter()
        .map(|log| log["log_key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_same_key_again_changes_nothing_or_replaces_the_log() {
    let now = Utc::now();
    let mut logs = vec![
        at(now, log("k/1", "one", &["a"])),
        at(now, log("k/2", "two", &["b"])),
        log("k/3", "no instant of its own", &[]),
    ];
    let server = Server::start(|data| data.org(ORG));
    let import = |logs: &[Value]| {
        let result = server.data.import_logs(ORG, logs);
        (
            result["written"].as_u64().unwrap(),
            result["unchanged"].as_u64().unwrap(),
        )
    };
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    server.logs(&token, ORG, "k/").await.detail(404);
    assert_eq!(import(&logs), (3, 0));
    // Written while the server runs, seen by the very next request.
    check(&server.logs(&token, ORG, "k/").await, &logs);
    assert_eq!(import(&logs), (0, 3));

    logs[1] = at(now, log("k/2", "two", &["b", "c"]));
    assert_eq!(import(&logs), (1, 2));
    check(&server.logs(&token, ORG, "k/").await, &logs);

    // Onto another day: the old one must be gone from its own day's file.
    logs[0] = at(now - TimeDelta::days(3), log("k/1", "one, earlier", &[]));
    assert_eq!(import(&logs), (1, 2));
    check(&server.logs(&token, ORG, "k/").await, &logs);

    // A label alone makes it another record; and of one file's records the last one counts.
    logs[2]["model"] = json!("gpt-4o");
    let twice = [log("k/3", "first", &[]), logs[2].clone()];
    assert_eq!(import(&twice), (1, 0));
    check(&server.logs(&token, ORG, "k/").await, &logs);
    let count = server
        .rows(
            &token,
            ORG,
            "SELECT log_key, count(*) FROM prompt_logs GROUP BY 1 ORDER BY 1",
        )
        .await;
    assert_eq!(count, json!([["k/1", 1], ["k/2", 1], ["k/3", 1]]));
}

#[test]
fn a_line_that_is_too_long_is_left_out_and_everything_else_imported() {
    let data = Data::new();
    data.org(ORG);
    let long = log("long", &"x".repeat(65 * 1024 * 1024), &[]);
    let lines = ndjson(&[log("k/1", "s", &[]), long, log("k/2", "s", &[])]);
    let output = data.import_lines(ORG, &lines, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("line 2: it is longer than"));
    assert_eq!(list(&data, ""), ["k/1", "k/2"]);
}

/// Four imports at once, of 200 logs each, half of which the next one has too. Each has read all it gets before any may
/// end, so that they commit together.
fn import_at_once(data: &Data, round: u32) -> Vec<Child> {
    let mut writers: Vec<Child> = (0..4)
        .map(|number| {
            let mut command = data.command();
            command.args(["--json", "prompt-logs", "import", ORG, "-"]);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut writer = command.spawn().unwrap();
            let keys = number * 100..number * 100 + 200;
            let system = format!("round {round}, writer {number}");
            let logs: Vec<Value> = keys
                .map(|n| log(&format!("c/{n:03}"), &system, &["h"]))
                .collect();
            writer
                .stdin
                .as_mut()
                .unwrap()
                .write_all(ndjson(&logs).as_bytes())
                .unwrap();
            writer
        })
        .collect();
    for writer in &mut writers {
        writer.stdin.take();
    }
    writers
}

/// Each key has one log, and it is one of a writer who wrote that key.
#[track_caller]
fn check_rounds(answer: &Answer, rounds: &[u32]) {
    let entries = answer.entries();
    let systems = entries.iter().filter(|(name, _)| name.ends_with("-system"));
    let found: Vec<(&str, &str)> = systems
        .map(|(name, text)| (name.as_str(), std::str::from_utf8(text).unwrap()))
        .collect();
    assert_eq!(found.len(), 500);
    for (n, (name, system)) in found.into_iter().enumerate() {
        assert_eq!(name, format!("c/{n:03}-system"));
        let writers = [(n / 100).min(3), (n / 100).saturating_sub(1)];
        let possible = rounds
            .iter()
            .flat_map(|round| writers.map(|number| format!("round {round}, writer {number}")));
        assert!(
            possible.into_iter().any(|one| one == system),
            "{name}: {system}"
        );
    }
}

#[tokio::test]
async fn imports_at_the_same_time_keep_each_key_once() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for round in 0..3 {
        // The first round makes the table, the others replace what is in it, while it is being read.
        let mut writers = import_at_once(&server.data, round);
        while round > 0
            && writers
                .iter_mut()
                .any(|writer| writer.try_wait().unwrap().is_none())
        {
            check_rounds(&server.logs(&token, ORG, "c/").await, &[round - 1, round]);
        }
        for writer in writers {
            let output = writer.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(printed["written"], 200);
        }
        check_rounds(&server.logs(&token, ORG, "c/").await, &[round]);
    }
    let keys: Vec<String> = (0..500).map(|n| format!("c/{n:03}")).collect();
    assert_eq!(list(&server.data, ""), keys);
}

#[tokio::test]
async fn rejected_lines_are_named_and_the_good_ones_written() {
    let server = Server::start(|data| data.org(ORG));
    let good = [log("g/1", "s", &[]), log("g/2", "s", &[])];
    let lines = [
        good[0].to_string(),
        "{".to_owned(),
        String::new(),
        json!({"log_key": "../x", "system": ""}).to_string(),
        json!({"log_key": "g/none"}).to_string(),
        json!({"log_key": "g/3", "history": "no list"}).to_string(),
        good[1].to_string(),
    ];
    let output = server.data.import_lines(ORG, &lines.join("\n"), &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        printed,
        json!({"written": 2, "unchanged": 0, "rejected": 4})
    );
    let said = stderr(&output);
    for (line, reason) in [
        (2, "EOF"),
        (4, "segment"),
        (5, "`system`, `history`"),
        (6, "list of texts"),
    ] {
        let said = said
            .lines()
            .find(|said| said.starts_with(&format!("line {line}: ")));
        assert!(
            said.is_some_and(|said| said.contains(reason)),
            "line {line}: {said:?}"
        );
    }
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    check(&server.logs(&token, ORG, "g/").await, &good);
}

#[test]
fn lines_may_begin_with_a_byte_order_mark_and_other_forms_are_refused_with_the_cure() {
    let data = Data::new();
    data.org(ORG);
    let lines = ndjson(&[log("k/1", "one", &[]), log("k/2", "two", &[])]);
    let marked = data.import_lines(ORG, &format!("\u{feff}{lines}"), &[]);
    assert!(marked.status.success(), "{}", stderr(&marked));
    assert_eq!(list(&data, "k/"), ["k/1", "k/2"]);
    let array = json!([log("k/3", "three", &[])]).to_string();
    for (name, bytes, cure) in [
        ("logs.json", format!("\n {array}").into_bytes(), "jq -c"),
        (
            "logs.gz",
            vec![0x1f, 0x8b, 8, 0, 1, 2, b'\n', 3],
            "gzip -dc",
        ),
        (
            "logs.zst",
            vec![0x28, 0xb5, 0x2f, 0xfd, b'\n', 1],
            "zstd -dc",
        ),
    ] {
        let file = data.write(name, bytes);
        let mut command = data.command();
        command.args(["prompt-logs", "import", ORG, file.to_str().unwrap()]);
        let refused = command.output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        let told = stderr(&refused);
        assert!(told.contains(cure), "{told}");
    }
    assert_eq!(list(&data, "k/").len(), 2);
}

#[test]
fn an_import_that_is_told_to_stop_says_what_is_written() {
    let data = Data::new();
    data.org(ORG);
    let mut command = data.command();
    command.args(["prompt-logs", "import", ORG, "-"]);
    let pipes = command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut import = pipes.spawn().unwrap();
    let mut input = import.stdin.take().unwrap();
    let line = |n| format!("{}\n", log(&format!("k/{n}"), "one", &[]));
    // Until it reads, a signal would end it as any other process.
    input.write_all(line(1).as_bytes()).unwrap();
    let pid = Pid::from_child(&import);
    let begun = format!("/proc/{}/status", import.id());
    wait_for("it to wait for signals", || {
        let status = std::fs::read_to_string(&begun).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught?.trim(), 16).ok()?;
        // SIGTERM is 15, the 14th bit.
        (caught & (1 << 14) != 0).then_some(())
    });
    kill_process(pid, Signal::TERM).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    input.write_all(line(2).as_bytes()).unwrap();
    drop(input);
    let output = import.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(
        told.contains("stopped: ") && told.contains(" written"),
        "{told}"
    );
    assert!(list(&data, "k/").len() <= 2);
}
