//! Writing prompt logs over HTTP (the wire contract, section 7): forms, encodings, limits, and what is refused.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::prompt_logs::{ORG, check, noise};
use crate::support::{
    ADMINISTRATOR, AMIGO_ADMINISTRATOR, Answer, SUPER_ADMINISTRATOR, Server, USER, log, memory,
    ndjson, wait_for,
};

const PATH: &str = "/v1/acme/admin/prompt_logs/";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

fn server(settings: &[(&str, &str)]) -> (Server, String) {
    let server = Server::start_with(settings, |data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    (server, token)
}

fn post(server: &Server, token: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
    let request = server.request(Method::POST, PATH).bearer_auth(token);
    request.body(body.into())
}

/// Writes logs that must all be taken.
async fn written(request: RequestBuilder, count: usize) {
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({"written": count, "rejected": []}));
}

#[tokio::test]
async fn every_form_and_encoding_arrives_as_it_was_sent() {
    let (server, token) = server(&[]);
    let logs = |name: &str| -> Vec<Value> {
        (0..3)
            .map(|n| {
                log(
                    &format!("{name}/{n}"),
                    "s \u{0} ---",
                    &["h", "\n---\n", "ü"],
                )
            })
            .collect()
    };
    let array = |name: &str| serde_json::to_vec(&logs(name)).unwrap();
    let lines = |name: &str| ndjson(&logs(name)).into_bytes();
    let all: [(&str, &str, Vec<u8>); 6] = [
        ("a-plain", "identity", array("a-plain")),
        ("a-gzip", "gzip", gzip(&array("a-gzip"))),
        ("a-zstd", "zstd", zstd(&array("a-zstd"))),
        ("l-plain", "identity", lines("l-plain")),
        ("l-gzip", "gzip", gzip(&lines("l-gzip"))),
        ("l-zstd", "zstd", zstd(&lines("l-zstd"))),
    ];
    for (name, encoding, body) in all {
        let request = post(&server, &token, body).header("content-encoding", encoding);
        written(request, 3).await;
        check(&server.logs(&token, ORG, name).await, &logs(name));
    }
    let without_slash = server.request(Method::POST, PATH.trim_end_matches('/'));
    written(without_slash.bearer_auth(&token).body(lines("x")), 3).await;
}

#[tokio::test]
async fn bad_records_are_named_one_by_one_and_good_ones_written() {
    let (server, token) = server(&[]);
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    let body = [
        log("good/1", "s", &["h"]).to_string(),
        "nonsense".to_owned(),
        r#"{"log_key": "a//b", "system": "s"}"#.to_owned(),
        r#"{"log_key": "none"}"#.to_owned(),
        format!(r#"{{"log_key": "deep", "system": "s", "attributes": {deep}}}"#),
        r#"{"log_key": "old", "system": "s", "created_at": "2020-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"log_key": "new", "system": "s", "created_at": "2999-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"log_key": "wild", "system": "s", "required_permissions": [{"permission_name": "*"}]}"#
            .to_owned(),
        r#"["list", null, "s", ["h"]]"#.to_owned(),
        r#"{"log_key": "mistyped", "system": 1}"#.to_owned(),
        log("good/2", "s", &[]).to_string(),
    ];
    let answer = Answer::of(post(&server, &token, body.join("\n"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["written"], 2);
    let expected = [
        (1, None, "no prompt log"),
        (2, Some("a//b"), "segment"),
        (3, Some("none"), "both are missing"),
        (4, Some("deep"), "64"),
        (5, Some("old"), "no longer kept"),
        (6, Some("new"), "ahead"),
        (7, Some("wild"), "permission"),
        (8, None, "expected an object"),
        (9, Some("mistyped"), "expected a string"),
    ];
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), expected.len(), "{answer}");
    for (one, (index, key, reason)) in rejected.iter().zip(expected) {
        assert_eq!(
            (&one["index"], &one["log_key"]),
            (&json!(index), &json!(key))
        );
        let detail = one["detail"].as_str().unwrap();
        assert!(
            detail.contains(reason),
            "{detail:?} does not say {reason:?}"
        );
    }
    let logs = [log("good/1", "s", &["h"]), log("good/2", "s", &[])];
    check(&server.logs(&token, ORG, "good/").await, &logs);
}

#[tokio::test]
async fn an_array_that_breaks_off_is_read_up_to_there() {
    let (server, token) = server(&[]);
    let (good, bad) = (log("k/1", "s", &[]), r#"{"log_key": "k/2", "sys"#);
    let answer = Answer::of(post(&server, &token, format!("[{good}, {bad}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(
        (&answer["written"], &answer["rejected"][0]["index"]),
        (&json!(1), &json!(1))
    );
    let detail = answer["rejected"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("the array is not closed"), "{detail}");
    check(&server.logs(&token, ORG, "k/").await, &[good]);
    let detail = Answer::of(post(&server, &token, format!("[{bad}")))
        .await
        .detail(400);
    assert!(detail.contains("the array is not closed"), "{detail}");
}

#[tokio::test]
async fn what_is_rejected_is_not_sent_back_at_length() {
    let (server, token) = server(&[]);
    let long = "k".repeat(1_000_000);
    let lines = [
        log("good", "s", &[]).to_string(),
        log(&long, "s", &[]).to_string(),
        json!({"log_key": "mistyped", "history": long}).to_string(),
        json!({"log_key": "mistyped", "system": "s", "required_permissions": long}).to_string(),
    ];
    let answer = Answer::of(post(&server, &token, lines.join("\n"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    assert!(text.len() < 4_000, "{} bytes", text.len());
    let rejected = &answer.json()["rejected"];
    assert_eq!(rejected[0]["log_key"], json!(null));
    assert!(
        rejected[0]["detail"]
            .as_str()
            .unwrap()
            .contains("at most 900 bytes")
    );
    assert_eq!(rejected[1]["log_key"], "mistyped");
    assert_eq!(rejected.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn the_same_record_again_changes_nothing_and_another_one_replaces_it() {
    let (server, token) = server(&[]);
    let first = [log("k", "one", &["h"])];
    written(post(&server, &token, ndjson(&first)), 1).await;
    let commits = server.data.files(".json").len();
    written(post(&server, &token, ndjson(&first)), 1).await;
    assert_eq!(server.data.files(".json").len(), commits);
    let second = [log("k", "two", &[])];
    written(post(&server, &token, ndjson(&second)), 1).await;
    check(&server.logs(&token, ORG, "k").await, &second);
    // Of one request's records with one key the last counts.
    let both = [log("k", "three", &[]), log("k", "four", &[])];
    written(post(&server, &token, ndjson(&both)), 2).await;
    check(&server.logs(&token, ORG, "k").await, &both[1..]);
    // Who replaced what is recorded, and nothing of what was new or the same.
    let sql = "SELECT o.actor_id, o.detail, c.rows FROM audit_log o JOIN audit_log c ON c.entry_id = o.entry_id \
               WHERE o.action = 'Admin:WritePromptLogs' AND o.event = 'opened' AND c.event = 'completed'";
    let act = json!([SUPER_ADMINISTRATOR, "{\"replaced\":[\"k\"]}", 1]);
    assert_eq!(server.rows(&token, ORG, sql).await, json!([act, act]));
}

#[tokio::test]
async fn a_request_without_a_good_record_is_refused() {
    let (server, token) = server(&[]);
    for body in ["", "  \n\n", "[]"] {
        let detail = Answer::of(post(&server, &token, body)).await.detail(400);
        assert!(detail.contains("no prompt log"), "{detail}");
    }
    let detail = Answer::of(post(&server, &token, "{}\n{}"))
        .await
        .detail(400);
    assert!(
        detail.contains("none of the 2 records") && detail.contains("log_key"),
        "{detail}"
    );
    let garbage = "x\n".repeat(20_000);
    let detail = Answer::of(post(&server, &token, garbage)).await.detail(400);
    assert!(detail.contains("more than 10000"), "{detail}");
    assert!(server.data.files(".parquet").is_empty());
}

#[tokio::test]
async fn who_may_not_write_writes_nothing() {
    let (server, token) = server(&[]);
    let body = log("k", "s", &[]).to_string();
    Answer::of(server.request(Method::POST, PATH).body(body.clone()))
        .await
        .detail(401);
    let user = server.token(ORG, USER);
    let detail = Answer::of(post(&server, &user, body.clone()))
        .await
        .detail(403);
    assert!(detail.contains("Admin:WritePromptLogs"), "{detail}");
    let elsewhere = server.request(Method::POST, "/v1/other/admin/prompt_logs/");
    Answer::of(elsewhere.bearer_auth(&token).body(body.clone()))
        .await
        .detail(401);
    let encoded = post(&server, &token, body.clone()).header("content-encoding", "br");
    assert_eq!(
        Answer::of(encoded).await.violations(),
        ["header.content-encoding"]
    );
    assert!(server.data.files(".parquet").is_empty());
    for role in [ADMINISTRATOR, AMIGO_ADMINISTRATOR] {
        let token = server.token(ORG, role);
        written(post(&server, &token, body.clone()), 1).await;
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_whole_and_takes_no_memory() {
    let settings = [
        ("LIMITS__WRITE_BODY_BYTES", "1000000"),
        ("LIMITS__WRITE_INFLATED_BYTES", "2000000"),
    ];
    let (server, token) = server(&settings);
    let line = |n: u64| format!("{}\n", log(&format!("k/{n}"), &noise(n, 40_000), &[]));
    let large: String = (0..100).map(line).collect();
    let detail = Answer::of(post(&server, &token, large.clone()))
        .await
        .detail(413);
    assert!(detail.contains("1000000 bytes"), "{detail}");
    let inflated: String = (0..60)
        .map(|n| {
            format!(
                "{}\n",
                log(&format!("k/{n}"), &noise(n, 400).repeat(100), &[])
            )
        })
        .collect();
    for (encoding, body) in [
        ("gzip", gzip(inflated.as_bytes())),
        ("zstd", zstd(inflated.as_bytes())),
    ] {
        let request = post(&server, &token, body).header("content-encoding", encoding);
        let detail = Answer::of(request).await.detail(413);
        assert!(detail.contains("2000000 bytes"), "{detail}");
    }
    // Cut off behind the first good records: nothing of it is written.
    let cut = gzip(&inflated.as_bytes()[..100_000]);
    let request = post(&server, &token, &cut[..cut.len() - 9]).header("content-encoding", "gzip");
    let detail = Answer::of(request).await.detail(400);
    assert!(detail.contains("cut off"), "{detail}");
    assert!(server.data.files(".parquet").is_empty());
}

#[tokio::test]
async fn a_decompression_bomb_ends_in_413_with_memory_flat() {
    let (server, token) = server(&[]);
    written(post(&server, &token, log("k", "s", &[]).to_string()), 1).await;
    let before = memory(server.pid(), "VmRSS:");
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    let bomb = [
        br#"{"log_key": "bomb", "system": ""#.to_vec(),
        vec![b'a'; 200_000_000],
    ]
    .concat();
    for (encoding, body) in [("gzip", gzip(&bomb)), ("zstd", zstd(&bomb))] {
        let request = post(&server, &token, body).header("content-encoding", encoding);
        let detail = Answer::of(request).await.detail(413);
        assert!(detail.contains("times larger"), "{detail}");
    }
    let growth = memory(server.pid(), "VmHWM:").saturating_sub(before);
    assert!(growth < 64 * 1024 * 1024, "the bombs took {growth} bytes");
}

#[tokio::test]
async fn more_text_than_there_is_room_for_is_asked_to_come_later() {
    let (server, token) = server(&[("LIMITS__WRITE_MEMORY_BYTES", "67108864")]);
    let line = |n: u64| format!("{}\n", log(&format!("k/{n}"), &noise(n, 1_000_000), &[]));
    let body: String = (0..70).map(line).collect();
    let answer = Answer::of(post(&server, &token, body)).await;
    let detail = answer.detail(503);
    assert!(detail.contains("too much"), "{detail}");
    assert!(answer.header("retry-after").is_some());
    // The room is free again.
    written(
        post(&server, &token, (0..20).map(line).collect::<String>()),
        20,
    )
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_has_written_nothing() {
    let (server, token) = server(&[]);
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 1000000\r\n\r\n{}\n",
        log("k", "s", &[])
    );
    connection.write_all(head.as_bytes()).unwrap();
    drop(connection);
    server.log_line(|line| line.contains("admin/prompt_logs/"));
    assert!(server.data.files(".parquet").is_empty());
}

#[tokio::test]
async fn who_hangs_up_behind_a_whole_request_replaces_nothing_without_a_record() {
    const LOGS: usize = 10;
    let (server, token) = server(&[]);
    let all = |system| (0..LOGS).map(move |n| log(&format!("k/{n}"), system, &[]));
    written(
        post(&server, &token, ndjson(&all("old").collect::<Vec<_>>())),
        LOGS,
    )
    .await;
    for new in all("new") {
        let (mut connection, body) = (
            TcpStream::connect(server.address()).unwrap(),
            new.to_string(),
        );
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).unwrap();
        // Read by the server, and hardly on disk.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let counts = "SELECT (SELECT count(*) FROM prompt_logs WHERE system = 'new'),
                         (SELECT count(*) FROM audit_log WHERE action = 'Admin:WritePromptLogs' AND event = 'completed')";
    let started = Instant::now();
    loop {
        let rows = server.rows(&token, ORG, counts).await;
        let (replaced, recorded) = (&rows[0][0], &rows[0][1]);
        if *replaced != 0 && replaced == recorded {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{rows}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_share_commits_and_lose_nothing() {
    let (server, token) = server(&[]);
    let write = async |writer: u64| {
        for n in 0..20 {
            let log = log(&format!("w/{writer:02}/{n:02}"), &noise(n, 1_000), &["x"]);
            written(post(&server, &token, log.to_string()), 1).await;
        }
    };
    futures::future::join_all((0..16).map(write)).await;
    let rows = server
        .rows(
            &token,
            ORG,
            "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs",
        )
        .await;
    assert_eq!(rows, json!([[320, 320]]));
    let commits = wait_for("the log of commits", || {
        let files = server.data.files(".json");
        Some(
            files
                .iter()
                .filter(|file| file.to_string_lossy().contains("_delta_log"))
                .count(),
        )
    });
    assert!(commits < 200, "{commits} commits for 320 requests");
}

/// Each commit is a file; merging in the background keeps up with them.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_single_writes_leave_few_files() {
    const WRITERS: u64 = 100;
    let (server, token) = server(&[]);
    let write = async |writer: u64| {
        for n in 0..100 {
            let log = log(&format!("w/{writer:02}/{n:02}"), "system", &["x"]);
            written(post(&server, &token, log.to_string()), 1).await;
        }
    };
    futures::future::join_all((0..WRITERS).map(write)).await;
    let stats = || server.data.ok(["prompt-logs", "stats", ORG]);
    wait_for("few files", || {
        (stats()["files"].as_u64().unwrap() < 100).then_some(())
    });
    let rows = "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs";
    let rows = server.rows(&token, ORG, rows).await;
    assert_eq!(rows, json!([[10_000, 10_000]]));
    assert_eq!(stats()["logs"], 10_000);
}
