//! What was sent is what is stored is what comes down, byte for byte, for every way in: hostile texts through each, read
//! back through the archive and through SQL.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};

use crate::prompt_logs::{ORG, check, noise};
use crate::support::{Answer, SUPER_ADMINISTRATOR, Server, log, ndjson};

/// How a way in writes the records down.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Lines,
    Array,
    /// Lines in which every character that JSON can escape is escaped.
    Escaped,
}

/// A way in: the command line, or a request of some form and encoding.
#[derive(Clone, Copy, Debug)]
struct Way {
    form: Form,
    /// `None` for the command line.
    encoding: Option<&'static str>,
}

const WAYS: [Way; 10] = {
    const fn way(form: Form, encoding: Option<&'static str>) -> Way {
        Way { form, encoding }
    }
    [
        way(Form::Lines, None),
        way(Form::Escaped, None),
        way(Form::Lines, Some("identity")),
        way(Form::Lines, Some("gzip")),
        way(Form::Lines, Some("zstd")),
        way(Form::Array, Some("identity")),
        way(Form::Array, Some("gzip")),
        way(Form::Array, Some("zstd")),
        way(Form::Escaped, Some("identity")),
        way(Form::Escaped, Some("gzip")),
    ]
};

impl Form {
    fn write(self, logs: &[Value]) -> String {
        match self {
            Self::Lines => ndjson(logs),
            Self::Array => json!(logs).to_string(),
            Self::Escaped => ndjson(logs).chars().map(escaped).collect(),
        }
    }
}

/// A character of JSON text with `\u` where it is no ASCII; all of it stands in strings.
fn escaped(char: char) -> String {
    if char.is_ascii() {
        return char.to_string();
    }
    let mut units = [0; 2];
    char.encode_utf16(&mut units)
        .iter()
        .map(|unit| format!("\\u{unit:04X}"))
        .collect()
}

fn encoded(encoding: &str, text: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(text, 1).unwrap(),
        _ => text.to_vec(),
    }
}

async fn send(server: &Server, token: &str, way: Way, logs: &[Value]) {
    let text = way.form.write(logs);
    let Some(encoding) = way.encoding else {
        let output = server.data.import_lines(ORG, &text, &[]);
        assert!(
            output.status.success(),
            "{way:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    };
    let request = server
        .request(Method::POST, "/v1/acme/admin/prompt_logs/")
        .bearer_auth(token);
    let request = request
        .header("content-encoding", encoding)
        .body(encoded(encoding, text.as_bytes()));
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200, "{way:?}: {}", answer.text());
    assert_eq!(
        answer.json(),
        json!({"written": logs.len(), "rejected": []}),
        "{way:?}"
    );
}

/// The logs of a folder, through the archive and through SQL.
async fn check_both(server: &Server, token: &str, folder: &str, logs: &[Value]) {
    check(&server.logs(token, ORG, &format!("{folder}/")).await, logs);
    // What begins with `folder/` is below `folder0`, the character behind the slash.
    let sql = format!(
        "SELECT log_key, system, history FROM prompt_logs WHERE log_key >= '{folder}/' AND log_key < '{folder}0' ORDER BY log_key"
    );
    let rows = server.rows(token, ORG, &sql).await;
    let mut sorted = logs.to_vec();
    sorted.sort_by_key(|log| log["log_key"].as_str().unwrap().to_owned());
    let wanted: Vec<Value> = sorted
        .iter()
        .map(|log| json!([log["log_key"], log["system"], log["history"]]))
        .collect();
    assert!(rows == json!(wanted), "SQL has other rows below {folder}/");
}

/// Texts dense in what a store, a format or a terminal may take for its own.
fn text() -> impl Strategy<Value = String> {
    let hostile = "(\0|\r|\n|\n---\n|---|PK\u{3}\u{4}|PK\u{1}\u{2}|PK\u{5}\u{6}|PK\u{7}\u{8}|😀|e\u{301}|\u{202e}|שלום|\u{feff}|\u{ffff}|\u{10ffff}|\"|\\\\|\\\\u0000|<b>|x){0,12}";
    prop_oneof![any::<String>(), hostile.prop_map(String::from)]
}

fn parts() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|system| json!({"system": system})),
        prop::collection::vec(text(), 0..5).prop_map(|history| json!({"history": history})),
        (text(), prop::collection::vec(text(), 0..5))
            .prop_map(|(system, history)| json!({"system": system, "history": history})),
    ]
}

/// Keys of several segments, with letters that need care in a URL or a name.
const KEYS: &str = "[a-zä😀][a-z %+~'-]{0,4}(/[b-e]{1,3}){0,2}x";

/// A case is a dozen requests, so there are few.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 4,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    }
}

#[test]
fn whatever_is_sent_whichever_way_comes_down_through_the_archive_and_sql() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let logs = prop::collection::btree_map(KEYS, parts(), 1..40);
    let batch = std::cell::Cell::new(0);
    proptest!(config(), |(logs in logs)| {
        for way in WAYS {
            // Keys of a folder of their own: earlier batches stay where they are.
            batch.set(batch.get() + 1);
            let folder = format!("batch-{:03}", batch.get());
            let with_key = |(key, log): (&String, &Value)| {
                let mut log = log.clone();
                log["log_key"] = json!(format!("{folder}/{key}"));
                log
            };
            let logs: Vec<Value> = logs.iter().map(with_key).collect();
            runtime.block_on(async {
                send(&server, &token, way, &logs).await;
                check_both(&server, &token, &folder, &logs).await;
            });
        }
    });
}

/// A value as OTLP writes it in JSON.
fn any_value(value: &Value) -> Value {
    match value {
        Value::Array(values) => {
            let values: Vec<Value> = values.iter().map(any_value).collect();
            json!({"arrayValue": {"values": values}})
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| json!({"key": key, "value": any_value(value)}));
            json!({"kvlistValue": {"values": fields.collect::<Vec<_>>()}})
        }
        other => json!({"stringValue": other.as_str().unwrap()}),
    }
}

/// An OpenTelemetry export of these logs, their prompts as structured values or as JSON text.
fn export(logs: &[Value], structured: bool) -> Value {
    let spans = logs.iter().enumerate().map(|(at, log)| {
        let part = |text: &Value| json!({"type": "text", "content": text});
        let message = |text: &Value| json!({"role": "user", "parts": [part(text)]});
        let messages: Vec<Value> = log["history"].as_array().unwrap().iter().map(message).collect();
        let prompts = [
            ("gen_ai.system_instructions", json!([part(&log["system"])])),
            ("gen_ai.input.messages", json!(messages)),
        ];
        let prompts = prompts.map(|(key, value)| {
            let value = if structured { any_value(&value) } else { json!({"stringValue": value.to_string()}) };
            json!({"key": key, "value": value})
        });
        let key = json!({"key": "prompt_log.key", "value": {"stringValue": log["log_key"]}});
        let attributes: Vec<Value> = prompts.into_iter().chain([key]).collect();
        let now = chrono::Utc::now().timestamp_nanos_opt().unwrap().to_string();
        json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": format!("{:016x}", at + 1), "name": "chat",
            "startTimeUnixNano": now, "endTimeUnixNano": now, "attributes": attributes})
    });
    let spans: Vec<Value> = spans.collect();
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
}

#[test]
fn whatever_an_application_exports_comes_down_through_the_archive_and_sql() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let prompts = (text(), prop::collection::vec(text(), 1..5));
    let logs = prop::collection::btree_map(KEYS, prompts, 1..20);
    let batch = std::cell::Cell::new(0);
    proptest!(config(), |(logs in logs)| {
        for (structured, encoding) in [(true, "identity"), (false, "identity"), (true, "gzip"), (false, "zstd")] {
            batch.set(batch.get() + 1);
            let folder = format!("export-{:03}", batch.get());
            let sent: Vec<Value> = logs
                .iter()
                .map(|(key, (system, history))| json!({"log_key": format!("{folder}/{key}"), "system": system, "history": history}))
                .collect();
            // The history tells who said it, in a line of its own before each message.
            let mut stored = sent.clone();
            for text in stored.iter_mut().flat_map(|log| log["history"].as_array_mut().unwrap()) {
                *text = json!(format!("user\n{}", text.as_str().unwrap()));
            }
            let body = encoded(encoding, export(&sent, structured).to_string().as_bytes());
            let request = server.request(Method::POST, "/v1/acme/otlp/v1/traces").bearer_auth(&token);
            let request = request.header("content-type", "application/json").header("content-encoding", encoding);
            runtime.block_on(async {
                let answer = Answer::of(request.body(body)).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.json(), json!({}), "a part was rejected");
                check_both(&server, &token, &folder, &stored).await;
            });
        }
    });
}

#[tokio::test]
async fn messages_of_10_mb_come_down_as_they_were_sent() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for (at, way) in [WAYS[0], WAYS[3], WAYS[7]].into_iter().enumerate() {
        let long = noise(at as u64 + 1, 10 << 20);
        let folder = format!("long-{at}");
        let logs = [log(
            &format!("{folder}/x"),
            &long,
            &[&long[1..], "", "\0PK\u{3}\u{4}"],
        )];
        send(&server, &token, way, &logs).await;
        check_both(&server, &token, &folder, &logs).await;
    }
}

#[tokio::test]
async fn half_a_character_is_refused_and_not_replaced() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let lines: [&[u8]; 3] = [
        br#"{"log_key": "a/1", "system": "\ud83d"}"#,
        br#"{"log_key": "a/2", "history": ["\ude00\ud83d"]}"#,
        b"{\"log_key\": \"a/3\", \"system\": \"\xff\"}",
    ];
    let request = server
        .request(Method::POST, "/v1/acme/admin/prompt_logs/")
        .bearer_auth(&token);
    let good = log("a/4", "\u{fffd}", &[]);
    let body = [&lines.join(&b'\n')[..], b"\n", good.to_string().as_bytes()].concat();
    let answer = Answer::of(request.body(body)).await.json();
    assert_eq!(answer["written"], 1);
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 3);
    check_both(&server, &token, "a", &[good]).await;
}
