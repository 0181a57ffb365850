//! Errors, request ids and the log of requests (the wire contract, sections 3 and 4).

mod rate_limits;

use std::io::{Read, Write};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, USER, log};

const ORG: &str = "acme";
const SQL: &str = "/v1/acme/admin/sql_query";
const LOGS: &str = "/v1/acme/admin/get_prompt_logs/";
const SIGN_IN: &str = "/v1/acme/user/signin_with_api_key";

fn acme(data: &Data) {
    data.org(ORG);
    data.import_logs(
        ORG,
        &[log("chat/1", "The prompt of the system.", &["A word."])],
    );
}

/// A POST of a body as it stands, with a token or none.
async fn post(server: &Server, token: Option<&str>, path: &str, body: impl Into<String>) -> Answer {
    let request = server.request(Method::POST, path).body(body.into());
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    Answer::of(request).await
}

#[tokio::test]
async fn every_error_has_the_one_envelope_a_request_id_and_nothing_internal() {
    let server = Server::start(acme);
    let (boss, user) = (
        server.token(ORG, SUPER_ADMINISTRATOR),
        server.token(ORG, USER),
    );
    let data_dir = server.data.path();
    let select = r#"{"sql_query": "SELECT 1", "async_query": false}"#;
    let broken = r#"{"sql_query": "SELEC 1", "async_query": false}"#;
    for (method, path, token, body, status) in [
        ("GET", "/", None, "", 404),
        ("GET", "/v1", None, "", 404),
        (
            "POST",
            "/v1/acme/admin/sql_query/more/of/it",
            None,
            select,
            404,
        ),
        ("GET", "/v1/acme/admin/get_prompt_logs//", None, "", 404),
        ("POST", "/v1/ac%20me/admin/sql_query", None, select, 404),
        ("POST", "/v1/..%2f/admin/sql_query", None, select, 404),
        ("POST", "/v1/%ff/admin/sql_query", None, select, 404),
        ("GET", SQL, None, "", 405),
        ("DELETE", SQL, Some(&boss), "", 405),
        ("POST", LOGS, Some(&boss), "", 405),
        ("GET", SIGN_IN, None, "", 405),
        ("POST", SQL, None, select, 401),
        ("POST", SQL, Some(&user), select, 403),
        ("POST", SQL, Some(&boss), broken, 400),
        (
            "GET",
            "/v1/acme/admin/get_prompt_logs/?prompt_log_prefix=nothing",
            Some(&boss),
            "",
            404,
        ),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let what = format!("{method} {path}");
        let request = server.request(method, path).body(body);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("application/json"), "{what}: {kind}");
        assert!(answer.header("x-request-id").is_some(), "{what}");
        let detail = answer.detail(status);
        // An error in a query shows its place on lines of their own.
        let is_one_line = !detail.contains('\n') || path.ends_with("sql_query");
        assert!(!detail.is_empty() && is_one_line, "{what}: {detail:?}");
        assert!(
            !detail.contains(&*data_dir.to_string_lossy()),
            "{what}: {detail}"
        );
        if status == 405 {
            assert!(answer.header("allow").is_some(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_validate_is_told_where() {
    let server = Server::start(acme);
    let boss = server.token(ORG, SUPER_ADMINISTRATOR);
    let long = "x".repeat(100_001);
    let long = json!({"sql_query": long, "async_query": false}).to_string();
    for (body, places) in [
        ("", vec!["body"]),
        ("{", vec!["body"]),
        ("null", vec!["body"]),
        ("[]", vec!["body"]),
        ("\u{feff}{}", vec!["body"]),
        ("{}", vec!["body.sql_query", "body.async_query"]),
        (r#"{"sql_query": "SELECT 1"}"#, vec!["body.async_query"]),
        (r#"{"async_query": false}"#, vec!["body.sql_query"]),
        (
            r#"{"sql_query": "", "async_query": false}"#,
            vec!["body.sql_query"],
        ),
        (
            r#"{"sql_query": " \n\t ", "async_query": false}"#,
            vec!["body.sql_query"],
        ),
        (
            r#"{"sql_query": null, "async_query": null}"#,
            vec!["body.sql_query", "body.async_query"],
        ),
        (
            r#"{"sql_query": ["x"], "async_query": 0}"#,
            vec!["body.sql_query", "body.async_query"],
        ),
        (
            r#"{"sql_query": "x", "async_query": "false"}"#,
            vec!["body.async_query"],
        ),
        (
            r#"{"sql_query": "x", "async_query": false, "result_format": "xml"}"#,
            vec!["body.result_format"],
        ),
        (&long, vec!["body.sql_query"]),
    ] {
        // With a token and without: what is wrong with a body needs no identity.
        for token in [Some(boss.as_str()), None] {
            let answer = post(&server, token, SQL, body).await;
            let shown: String = body.chars().take(80).collect();
            assert_eq!(answer.violations(), places, "{shown}");
        }
    }
    for bytes in [
        b"\xff".as_slice(),
        b"{\"sql_query\": \"\xff\", \"async_query\": false}",
    ] {
        let request = server.request(Method::POST, SQL).body(bytes.to_vec());
        assert_eq!(Answer::of(request).await.violations(), ["body"]);
    }
    for query in ["", "?prompt_log_prefix=", "?prefix=x", "?prompt_log_prefix"] {
        let answer = server.get(&boss, &format!("{LOGS}{query}")).await;
        assert_eq!(answer.violations(), ["query.prompt_log_prefix"], "{query}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_whatever_is_in_it() {
    let server = Server::start_with(&[("LIMITS__REQUEST_BODY_BYTES", "4096")], acme);
    let boss = server.token(ORG, SUPER_ADMINISTRATOR);
    let padded = |bytes: usize| {
        let body = r#"{"sql_query": "SELECT 1", "async_query": false}"#;
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    assert_eq!(
        post(&server, Some(&boss), SQL, padded(4096)).await.status,
        200
    );
    post(&server, Some(&boss), SQL, padded(4097))
        .await
        .detail(413);
    post(&server, None, SQL, padded(4097)).await.detail(413);
    // A body of unknown length is refused as soon as it is too long: this one never ends.
    let mut connection = std::net::TcpStream::connect(server.address()).unwrap();
    let head = format!("POST {SQL} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("{:x}\r\n{}\r\n", 4097, " ".repeat(4097));
    connection
        .write_all(format!("{head}{chunk}").as_bytes())
        .unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_sane_request_id_is_echoed_and_any_other_replaced() {
    let server = Server::start(acme);
    let answer = async |id: &[u8]| {
        let id = reqwest::header::HeaderValue::from_bytes(id).unwrap();
        let request = server.request(Method::GET, "/nowhere");
        Answer::of(request.header("x-request-id", id)).await
    };
    let longest = "a".repeat(128);
    for sane in [
        "1",
        "8f14e45f-ceea-467a-9575-d5b6b5a4f0c1",
        "a.b:c_d-E",
        &longest,
    ] {
        let answer = answer(sane.as_bytes()).await;
        assert_eq!(answer.header("x-request-id"), Some(sane));
    }
    let too_long = "a".repeat(129);
    for odd in [
        "",
        "a b",
        "a\"b",
        "{}",
        "a\tb",
        "a/b",
        "ü",
        "\u{1f600}",
        &too_long,
    ] {
        let answer = answer(odd.as_bytes()).await;
        let id = answer.header("x-request-id").unwrap();
        assert_ne!(id, odd);
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{odd:?} became {id}");
    }
    let ids = [(); 2].map(|()| answer(b""));
    let ids = futures::future::join_all(ids).await;
    let ids: Vec<_> = ids
        .iter()
        .map(|answer| answer.header("x-request-id"))
        .collect();
    assert_ne!(ids[0], ids[1], "two requests, two ids");
}

/// Everything that may not stand in a log: tokens, keys, queries, prompts, prefixes.
async fn make_requests(server: &Server) -> Vec<String> {
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let key = server.data.api_key(ORG);
    let id = |id: &str| ("x-request-id", id.to_owned());
    let (name, value) = id("query-1");
    let query = server.sql_request(&token, ORG, "SELECT 'a-word-of-the-query'");
    assert_eq!(Answer::of(query.header(name, value)).await.status, 200);
    let (name, value) = id("query-2");
    let query = server.sql_request(&token, ORG, "SELECT a_word_of_the_bad_query");
    assert_eq!(Answer::of(query.header(name, value)).await.status, 400);
    let (name, value) = id("download-1");
    let download = server.logs_request(&token, ORG, &[("prompt_log_prefix", "chat/")]);
    assert_eq!(Answer::of(download.header(name, value)).await.status, 200);
    let (name, value) = id("nobody-1");
    let nobody = server.sql_request("a-bad-token", ORG, "SELECT 1");
    assert_eq!(Answer::of(nobody.header(name, value)).await.status, 401);
    assert_eq!(server.sign_in(ORG, &key, USER).await.status, 200);
    assert_eq!(
        server
            .sign_in(ORG, &(key.0, "a-bad-key".to_owned()), USER)
            .await
            .status,
        401
    );
    let words = [
        &token,
        &key.1,
        "a-word-of-the-query",
        "a_word_of_the_bad_query",
        "a-bad-token",
        "a-bad-key",
        "The prompt of the system",
        "A word.",
        "chat/",
    ];
    words.map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_json_line_without_a_secret() {
    let server = Server::start(acme);
    let secrets = make_requests(&server).await;
    for (id, method, route, status, user) in [
        (
            "query-1",
            "POST",
            "/v1/{organization}/admin/sql_query",
            200,
            Some(SUPER_ADMINISTRATOR),
        ),
        (
            "query-2",
            "POST",
            "/v1/{organization}/admin/sql_query",
            400,
            Some(SUPER_ADMINISTRATOR),
        ),
        (
            "download-1",
            "GET",
            "/v1/{organization}/admin/get_prompt_logs/",
            200,
            Some(SUPER_ADMINISTRATOR),
        ),
        (
            "nobody-1",
            "POST",
            "/v1/{organization}/admin/sql_query",
            401,
            None,
        ),
    ] {
        let line = server.log_line(|line| line.contains(id));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["request_id"], id);
        assert_eq!(line["method"], method, "{line}");
        assert_eq!(line["route"], route, "{line}");
        assert_eq!(line["status"], status, "{line}");
        assert!(line["duration_ms"].is_u64(), "{line}");
        assert_eq!(line["user"].as_str(), user, "{line}");
        assert_eq!(line["org"].as_str(), user.map(|_| ORG), "{line}");
    }
    let lines = server.log();
    for id in ["query-1", "query-2", "download-1", "nobody-1"] {
        let count = lines.iter().filter(|line| line.contains(id)).count();
        assert_eq!(count, 1, "{id} in {lines:#?}");
    }
    check_secrets(&lines, &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_readable_line_without_a_secret() {
    let server = Server::start_with(&[("LOGS__FORMAT", "text")], acme);
    let secrets = make_requests(&server).await;
    let line = server.log_line(|line| line.contains("query-1"));
    assert!(serde_json::from_str::<Value>(&line).is_err(), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours in a file: {line}");
    for part in [
        "POST",
        "/v1/{organization}/admin/sql_query",
        "200",
        "duration_ms=",
        ORG,
        SUPER_ADMINISTRATOR,
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    check_secrets(&server.log(), &secrets);
}

#[track_caller]
fn check_secrets(lines: &[String], secrets: &[String]) {
    for secret in secrets {
        let line = lines.iter().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[tokio::test]
async fn storage_that_is_gone_is_503_and_named_in_the_log_only() {
    let server = Server::start(|data| {
        acme(data);
        data.import_table(ORG, "visits", &[json!({"id": 1})]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let files = server.data.files(".parquet");
    let file = files
        .iter()
        .find(|file| file.iter().any(|part| part == "visits"))
        .unwrap();
    std::fs::remove_file(file).unwrap();
    let answer = server.sql(&token, ORG, "SELECT * FROM visits").await;
    let detail = answer.detail(503);
    assert_eq!(answer.header("retry-after"), Some("5"));
    for inner in ["parquet", "/", "visits"] {
        assert!(!detail.contains(inner), "{detail}");
    }
    let name = file.file_name().unwrap().to_str().unwrap();
    server.log_line(|line| line.contains(name));
    assert_eq!(
        server
            .rows(&token, ORG, "SELECT count(*) FROM prompt_logs")
            .await,
        json!([[1]])
    );
}
