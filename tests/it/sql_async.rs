//! Asynchronous queries (the wire contract, section 2): submitted, fetched by their URL, cancelled, gone in time.

mod ends;

use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log};

const ORG: &str = "acme";

fn acme(data: &Data) {
    data.org(ORG);
}

fn submission(server: &Server, token: &str, sql: &str, format: Option<&str>) -> RequestBuilder {
    let mut body = json!({"sql_query": sql, "async_query": true});
    if let Some(format) = format {
        body["result_format"] = format.into();
    }
    server
        .request(Method::POST, &format!("/v1/{ORG}/admin/sql_query"))
        .bearer_auth(token)
        .json(&body)
}

/// Submits a query; returns its handle.
async fn submit(server: &Server, token: &str, sql: &str, format: Option<&str>) -> Value {
    let answer = Answer::of(submission(server, token, sql, format)).await;
    assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
    answer.json()
}

/// A path of this server that an answer names with its base URL.
fn path<'a>(server: &Server, url: &'a Value) -> &'a str {
    let url = url.as_str().unwrap();
    url.strip_prefix(&server.base_url).unwrap()
}

/// The first answer of a signed URL that is no 202. Sends no credentials.
async fn fetch(server: &Server, handle: &Value) -> Answer {
    let path = path(server, &handle["signed_url"]).to_owned();
    let started = Instant::now();
    loop {
        let answer = Answer::of(server.request(Method::GET, &path)).await;
        if answer.status != 202 {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn status(server: &Server, token: &str, handle: &Value) -> Value {
    let id = handle["query_id"].as_str().unwrap();
    let path = format!("/v1/{ORG}/admin/sql_query/{id}");
    server.get(token, &path).await.json()
}

const NUMBERS: &str = "SELECT value AS n, CASE WHEN value % 2 = 0 THEN 'a,\"b\"' END AS t, \
                       TIMESTAMP '2026-01-20T12:34:56Z' AS at FROM generate_series(1, 5000)";

#[tokio::test]
async fn the_whole_result_comes_in_each_format() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);

    let handle = submit(&server, &token, NUMBERS, None).await;
    let csv = fetch(&server, &handle).await;
    assert_eq!(csv.status, 200, "{}", csv.text());
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.text();
    let mut lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(
        lines.len(),
        5002,
        "a header, the rows, and the end of the last line"
    );
    assert_eq!(lines[0], "n,t,at");
    lines[1..5001].sort_by_key(|line| line.split(',').next().unwrap().parse::<u32>().unwrap());
    assert!(
        lines[1].starts_with("1,,2026-01-20T12:34:56"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].starts_with("2,\"a,\"\"b\"\"\",2026"),
        "{}",
        lines[2]
    );

    let handle = submit(&server, &token, NUMBERS, Some("json")).await;
    let json = fetch(&server, &handle).await;
    assert_eq!(json.header("content-type"), Some("application/x-ndjson"));
    let rows: Vec<Value> = json
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 5000);
    assert!(rows.contains(&json!({"n": 4, "t": "a,\"b\"", "at": rows[0]["at"]})));

    let handle = submit(&server, &token, NUMBERS, Some("parquet")).await;
    let parquet = fetch(&server, &handle).await;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(Bytes::from(parquet.body.clone())).unwrap();
    check_numbers(reader.build().unwrap().map(Result::unwrap));

    let handle = submit(&server, &token, NUMBERS, Some("arrow")).await;
    let arrow = fetch(&server, &handle).await;
    let reader = FileReader::try_new(std::io::Cursor::new(arrow.body.clone()), None).unwrap();
    check_numbers(reader.map(Result::unwrap));
}

fn check_numbers(batches: impl Iterator<Item = RecordBatch>) {
    let mut numbers: Vec<i64> = batches
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=5000).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_handle_names_the_query_its_url_and_their_end() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, "SELECT 1 AS x", None).await;
    let mut fields: Vec<&String> = handle.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["expires_at", "query_id", "signed_url"]);
    let expires_at = handle["expires_at"].as_str().unwrap();
    let expires_at: chrono::DateTime<chrono::Utc> = expires_at.parse().unwrap();
    let hours = (expires_at - chrono::Utc::now()).as_seconds_f64() / 3600.0;
    assert!((23.9..=24.0).contains(&hours), "{hours}");
    assert_eq!(fetch(&server, &handle).await.text(), "x\r\n1\r\n");

    let status = status(&server, &token, &handle).await;
    assert_eq!(status["status"], "succeeded", "{status}");
    assert_eq!((&status["rows"], &status["bytes"]), (&json!(1), &json!(6)));
    assert_eq!(status["signed_url"], handle["signed_url"]);
    assert_eq!(status["sql_query"], "SELECT 1 AS x");
}

#[tokio::test]
async fn the_url_is_the_one_the_operator_set() {
    let settings = [("SERVER__PUBLIC_URL", "https://data.example.com/amigo")];
    let server = Server::start_with(&settings, acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, "SELECT 1", None).await;
    let url = handle["signed_url"].as_str().unwrap();
    assert!(
        url.starts_with("https://data.example.com/amigo/v1/acme/"),
        "{url}"
    );
}

#[tokio::test]
async fn without_a_host_to_name_in_the_url_nothing_runs() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let request = submission(&server, &token, "SELECT 1", None).header("host", "user@inner");
    assert_eq!(Answer::of(request).await.violations(), ["header.host"]);
    let sql = "SELECT count(*) FROM query_history WHERE async_query";
    assert_eq!(server.rows(&token, ORG, sql).await, json!([[0]]));
}

#[tokio::test]
async fn a_result_is_fetched_in_ranges_and_not_twice() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, NUMBERS, None).await;
    let whole = fetch(&server, &handle).await;
    let length = whole.body.len();
    assert_eq!(
        whole.header("content-length"),
        Some(length.to_string().as_str())
    );
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let etag = whole.header("etag").unwrap().to_owned();
    let path = path(&server, &handle["signed_url"]).to_owned();
    let get = async |headers: &[(&'static str, &str)]| {
        let request = server.request(Method::GET, &path);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        Answer::of(request).await
    };

    let part = get(&[("range", "bytes=10-29")]).await;
    assert_eq!(
        (part.status, part.body.as_ref()),
        (206, &whole.body[10..30])
    );
    let range = format!("bytes 10-29/{length}");
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    assert_eq!(
        get(&[("range", "bytes=-5")]).await.body,
        whole.body[length - 5..]
    );
    let same = get(&[("range", "bytes=10-"), ("if-range", &etag)]).await;
    assert_eq!((same.status, same.body.len()), (206, length - 10));
    let other = get(&[("range", "bytes=10-"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, length));
    let beyond = get(&[("range", &format!("bytes={length}-"))]).await;
    let detail = beyond.detail(416);
    assert!(detail.contains(&length.to_string()), "{detail}");
    assert_eq!(
        beyond.header("content-range"),
        Some(format!("bytes */{length}").as_str())
    );
    assert_eq!(get(&[("if-none-match", &etag)]).await.status, 304);

    let head = Answer::of(server.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        Some(length.to_string().as_str())
    );
}

#[tokio::test]
async fn a_changed_url_is_forged() {
    let server = Server::start(|data| {
        acme(data);
        data.org("rival");
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, "SELECT 1", None).await;
    let other = submit(&server, &token, "SELECT 2", None).await;
    assert_eq!(fetch(&server, &handle).await.status, 200);
    let url = path(&server, &handle["signed_url"]).to_owned();
    let expires = url
        .split("expires=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let later = (expires.parse::<u64>().unwrap() + 1).to_string();
    let changed = [
        url.replace("/acme/", "/rival/"),
        url.replace(
            handle["query_id"].as_str().unwrap(),
            other["query_id"].as_str().unwrap(),
        ),
        url.replace("format=csv", "format=json"),
        url.replace("format=csv", "format=xml"),
        url.replace(expires, &later),
        url.replace(expires, "never"),
        url.replace("key=", "key=0"),
        url.replace("signature=", "signature=A"),
        url[..url.find("&signature").unwrap()].to_owned(),
        url[..url.len() - 1].to_owned(),
        url[..url.find('?').unwrap()].to_owned(),
    ];
    for url in changed {
        let answer = Answer::of(server.request(Method::GET, &url)).await;
        assert_eq!(answer.status, 403, "{url}");
    }
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_query() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let send = async |sql: &str, key: &str| {
        Answer::of(submission(&server, &token, sql, None).header("Idempotency-Key", key)).await
    };
    let first = send("SELECT 1 AS x", "one").await.json();
    assert_eq!(fetch(&server, &first).await.text(), "x\r\n1\r\n");
    assert_eq!(send("SELECT 1 AS x", "one").await.json(), first);
    let second = send("SELECT 1 AS x", "two").await.json();
    assert_ne!(second["query_id"], first["query_id"]);
    assert_eq!(send("SELECT 2 AS x", "one").await.status, 422);
    assert_eq!(send("SELECT 1 AS x", " ").await.status, 422);
    assert_eq!(send("SELECT 1 AS x", &"k".repeat(256)).await.status, 422);
    // The key of a query whose result was deleted is free.
    let id = first["query_id"].as_str().unwrap();
    let delete = server.request(Method::DELETE, &format!("/v1/{ORG}/admin/sql_query/{id}"));
    let deleted = Answer::of(delete.bearer_auth(&token)).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    let again = send("SELECT 1 AS x", "one").await.json();
    assert_ne!(again["query_id"], first["query_id"]);
    assert_eq!(fetch(&server, &again).await.text(), "x\r\n1\r\n");
    // A hundred at once are one query.
    let many = (0..20).map(|_| send("SELECT 3 AS x", "many"));
    let many = futures::future::join_all(many).await;
    let ids: std::collections::HashSet<String> = many
        .iter()
        .map(|answer| answer.json()["query_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn every_query_is_in_the_history() {
    let server = Server::start(|data| {
        acme(data);
        data.import_table(ORG, "visits", &[json!({"page": "a"}), json!({"page": "b"})]);
        data.import_logs(ORG, &[log("a/1", "system", &["history"])]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    server
        .rows(&token, ORG, "SELECT value FROM generate_series(1, 7)")
        .await;
    server.sql(&token, ORG, "SELECT nonsense").await.detail(400);
    let handle = submit(&server, &token, NUMBERS, Some("parquet")).await;
    fetch(&server, &handle).await;
    let sql = "SELECT sql_query, async_query, result_format, status, rows, user_id, error IS NULL \
               FROM query_history ORDER BY created_at, query_id";
    assert_eq!(
        server.rows(&token, ORG, sql).await,
        json!([
            [
                "SELECT value FROM generate_series(1, 7)",
                false,
                null,
                "succeeded",
                7,
                SUPER_ADMINISTRATOR,
                true
            ],
            [
                "SELECT nonsense",
                false,
                null,
                "failed",
                0,
                SUPER_ADMINISTRATOR,
                false
            ],
            [
                NUMBERS,
                true,
                "parquet",
                "succeeded",
                5000,
                SUPER_ADMINISTRATOR,
                true
            ],
        ])
    );
    let sql = "SELECT min(peak_memory_bytes) > 1000000, min(bytes) > 0, min(finished_at - created_at) >= INTERVAL '0 seconds' \
               FROM query_history WHERE status = 'succeeded'";
    assert_eq!(
        server.rows(&token, ORG, sql).await,
        json!([[true, true, true]])
    );
    let sql = "SELECT page FROM visits";
    server.rows(&token, ORG, sql).await;
    let scanned =
        format!("SELECT max(bytes_scanned) > 0 FROM query_history WHERE sql_query = '{sql}'");
    assert_eq!(server.rows(&token, ORG, &scanned).await, json!([[true]]));
    let tables = server.rows(&token, ORG, "SHOW TABLES").await;
    assert!(tables.to_string().contains("query_history"), "{tables}");
}
