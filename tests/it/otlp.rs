//! OpenTelemetry exports over HTTP (the wire contract, section 7): what real emitters send, and what is refused.

use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::prompt_logs::ORG;
use crate::real_input::python;
use crate::support::{ADMINISTRATOR, Answer, SUPER_ADMINISTRATOR, Server, USER, stderr};

const TRACES: &str = "/v1/acme/otlp/v1/traces";
const LOGS: &str = "/v1/acme/otlp/v1/logs";

/// What `tests/otlp/emit.py` tells the model, and how it is rendered.
const SYSTEM: &str = "Du buchst Flüge. Be brief ✈\n---\nNever guess a price.";
const HISTORY: [&str; 5] = [
    "user\nWas kostet der Flug nach Zürich? 😀",
    "assistant\ntool_call find_fare call_1\n",
    "tool\ntool_result call_1\n{\"price\": 129.50, \"currency\": \"CHF\"}",
    "assistant\n129,50 Franken.",
    "user\nUnd zurück?",
];

fn server(settings: &[(&str, &str)]) -> (Server, String) {
    let server = Server::start_with(settings, |data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    (server, token)
}

fn post(server: &Server, token: &str, path: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
    let request = server.request(Method::POST, path).bearer_auth(token);
    let request = request.header("content-type", "application/json");
    request.body(body.into())
}

fn attributes(attributes: &[(&str, &str)]) -> Value {
    let one = |(key, value): &(&str, &str)| json!({"key": key, "value": {"stringValue": value}});
    attributes.iter().map(one).collect()
}

/// A span of this moment.
fn span(number: u32, given: &[(&str, &str)]) -> Value {
    let now = chrono::Utc::now().timestamp_nanos_opt().unwrap();
    json!({
        "traceId": format!("{:032x}", 7), "spanId": format!("{number:016x}"), "name": "chat",
        "startTimeUnixNano": now.to_string(), "attributes": attributes(given),
    })
}

fn export(spans: &[Value]) -> Vec<u8> {
    let resource = json!({"attributes": attributes(&[("service.name", "airline")])});
    let request =
        json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]});
    request.to_string().into_bytes()
}

/// Exports what must be taken whole.
async fn exported(request: RequestBuilder) {
    let answer = Answer::of(request).await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// How many rows the emitter's prompts are, and from which dialect.
async fn rows(server: &Server, token: &str, service: &str) -> Value {
    let sql = format!(
        "SELECT get_json_object(attributes, '$.source_dialect'), count(*), count(DISTINCT log_key) \
         FROM prompt_logs WHERE service_id = '{service}' GROUP BY 1 ORDER BY 1"
    );
    server.rows(token, ORG, &sql).await
}

#[tokio::test]
async fn what_real_emitters_send_can_be_downloaded_and_queried() {
    let (server, token) = server(&[]);
    let emitters = [
        ("opentelemetry-events", "http/protobuf", "gen_ai.*.message"),
        ("opentelemetry-latest", "http/json", "gen_ai.input.messages"),
        (
            "opentelemetry-latest-details",
            "http/protobuf",
            "gen_ai.client.inference.operation.details",
        ),
        ("openinference", "http/protobuf", "llm.input_messages.N"),
        ("openinference", "http/json", "llm.input_messages.N"),
        ("traceloop", "http/protobuf", "gen_ai.input.messages"),
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let service = |emitter: &str, protocol: &str| format!("{emitter}.{}", &protocol[5..]);
    let running = emitters.map(|(emitter, protocol, _)| {
        let mut command = Command::new(python(root));
        command.arg(root.join("tests/otlp/emit.py"));
        command.args([emitter, "--protocol", protocol]);
        let endpoint = format!("{}/v1/{ORG}/otlp", server.base_url);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        let header = format!("authorization=Bearer%20{token}");
        command.env("OTEL_EXPORTER_OTLP_HEADERS", header);
        command.env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
        command.env("OTEL_SERVICE_NAME", service(emitter, protocol));
        std::thread::spawn(move || command.output().unwrap())
    });
    for running in running {
        let output = running.join().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    for (emitter, protocol, dialect) in emitters {
        let service = service(emitter, protocol);
        let found = rows(&server, &token, &service).await;
        assert_eq!(found, json!([[dialect, 3, 3]]), "{service}");
        let answer = server.logs(&token, ORG, &format!("{service}/")).await;
        let entries = answer.entries();
        assert_eq!(entries.len(), 6, "{service}: {:?}", answer.names());
        let mut logs: Vec<&[(String, Vec<u8>)]> = entries.chunks(2).collect();
        // Where an emitter names no conversation, keys are ordered by trace ids, which are random.
        logs.sort_by_key(|log| log[1].1.len());
        for (log, prompts) in logs.into_iter().zip([1, 3, 5]) {
            let [(_, system), (_, history)] = log else {
                panic!("two entries a log");
            };
            assert_eq!(String::from_utf8_lossy(system), SYSTEM, "{service}");
            let mut rest = std::str::from_utf8(history).unwrap();
            for (number, prompt) in HISTORY[..prompts].iter().enumerate() {
                if number > 0 {
                    rest = rest.strip_prefix("\n---\n").unwrap();
                }
                rest = rest
                    .strip_prefix(prompt)
                    .unwrap_or_else(|| panic!("{service}: {rest}"));
                if number == 1 {
                    // Emitters write the arguments with or without blanks.
                    let (arguments, behind) = rest.split_once("\n---\n").unwrap();
                    let arguments: Value = serde_json::from_str(arguments).unwrap();
                    assert_eq!(arguments, json!({"to": "Zürich", "seats": 2}));
                    rest = &rest[rest.len() - behind.len() - 5..];
                }
            }
            assert_eq!(rest, "", "{service}");
        }
    }
}

#[tokio::test]
async fn a_span_sent_again_changes_nothing() {
    let (server, token) = server(&[]);
    let body = export(&[span(
        1,
        &[("gen_ai.input.messages", "hi"), ("session.id", "s/1")],
    )]);
    exported(post(&server, &token, TRACES, body.clone())).await;
    let first = server.logs(&token, ORG, "airline/s%2F1/").await;
    assert_eq!(first.entries()[0].1, b"user\nhi");
    let commits = server.data.files(".json").len();
    exported(post(&server, &token, TRACES, body)).await;
    assert_eq!(server.data.files(".json").len(), commits);
    assert_eq!(
        server.logs(&token, ORG, "airline/").await.names(),
        first.names()
    );
}

#[tokio::test]
async fn permissions_of_a_resource_are_asked_of_readers() {
    let (server, token) = server(&[]);
    let permissions = r#"[{"permission_name": "Safety:ReviewGuardrail"}]"#;
    let named = attributes(&[
        ("service.name", "airline"),
        ("prompt_log.required_permissions", permissions),
    ]);
    let spans = [span(1, &[("gen_ai.input.messages", "hi")])];
    let request = json!({"resourceSpans": [{"resource": {"attributes": named}, "scopeSpans": [{"spans": spans}]}]});
    exported(post(&server, &token, TRACES, request.to_string())).await;
    let sql = "SELECT required_permissions FROM prompt_logs";
    let rows = server.rows(&token, ORG, sql).await;
    let stored: Value = serde_json::from_str(rows[0][0].as_str().unwrap()).unwrap();
    assert_eq!(stored[0]["permission_name"], "Safety:ReviewGuardrail");
}

#[tokio::test]
async fn a_span_that_cannot_be_taken_is_rejected_alone() {
    let (server, token) = server(&[]);
    let good = ("gen_ai.input.messages", "hi");
    let mut old = span(4, &[good]);
    old["startTimeUnixNano"] = json!("1500000000000000000");
    let spans = [
        span(1, &[good, ("prompt_log.key", "one")]),
        span(2, &[good, ("prompt_log.key", "../two")]),
        span(3, &[("gen_ai.input.messages", &"[".repeat(99))]),
        old,
        span(5, &[good, ("prompt_log.key", "five")]),
        span(6, &[("http.method", "GET")]),
    ];
    let answer = Answer::of(post(&server, &token, TRACES, export(&spans))).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "3");
    let message = partial["errorMessage"].as_str().unwrap();
    for reason in ["the segment ..", "deeper than 64", "no longer kept"] {
        assert!(
            message.contains(reason),
            "{message:?} does not say {reason:?}"
        );
    }
    let found = rows(&server, &token, "airline").await;
    assert_eq!(found, json!([["gen_ai.input.messages", 2, 2]]));
    for key in ["one", "five"] {
        assert_eq!(
            server.logs(&token, ORG, key).await.names(),
            [format!("{key}-history")]
        );
    }
}

#[tokio::test]
async fn log_records_are_taken_compressed_or_not() {
    let (server, token) = server(&[]);
    for (number, encoding) in ["identity", "gzip", "zstd"].into_iter().enumerate() {
        let now = chrono::Utc::now().timestamp_nanos_opt().unwrap();
        let record = json!({
            "eventName": "gen_ai.client.inference.operation.details", "timeUnixNano": now.to_string(),
            "attributes": attributes(&[("gen_ai.system_instructions", "be kind"), ("prompt_log.key", encoding)]),
        });
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).to_string();
        let body = match number {
            0 => body.into_bytes(),
            1 => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            _ => zstd::encode_all(body.as_bytes(), 3).unwrap(),
        };
        exported(post(&server, &token, LOGS, body).header("content-encoding", encoding)).await;
        let entries = server.logs(&token, ORG, encoding).await.entries();
        assert_eq!(
            entries,
            [(format!("{encoding}-system"), b"be kind".to_vec())]
        );
    }
}

#[tokio::test]
async fn refusals_speak_the_language_of_the_request() {
    let (server, token) = server(&[("LIMITS__WRITE_BODY_BYTES", "2000")]);
    for body in ["{", "[]", r#"{"resourceSpans": [[]]}"#] {
        let answer = Answer::of(post(&server, &token, TRACES, body)).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(3)));
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("no OTLP"), "{message}");
    }

    let binary = server.request(Method::POST, TRACES).bearer_auth(&token);
    let binary = binary.header("content-type", "application/x-protobuf");
    let answer = Answer::of(binary.body("\n\u{5}a")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("content-type"),
        Some("application/x-protobuf")
    );
    assert_eq!(answer.body[..3], [8, 3, 18]);
    let empty = server.request(Method::POST, LOGS).bearer_auth(&token);
    let answer = Answer::of(empty.header("content-type", "application/x-protobuf")).await;
    assert_eq!((answer.status, answer.body), (200, vec![]));

    let answer = Answer::of(post(&server, &token, TRACES, vec![b' '; 2001])).await;
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!(3)));
    let answer = Answer::of(post(&server, "none", TRACES, "{}")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(16)));
    let lesser = server.token(ORG, USER);
    let answer = Answer::of(post(&server, &lesser, TRACES, "{}")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (403, &json!(7)));
    exported(post(
        &server,
        &server.token(ORG, ADMINISTRATOR),
        TRACES,
        "{}",
    ))
    .await;
    let untyped = server.request(Method::POST, TRACES).bearer_auth(&token);
    let answer = Answer::of(untyped.body("{}")).await;
    assert_eq!(answer.violations().len(), 1);
}

#[tokio::test]
async fn keys_follow_the_template_of_the_settings() {
    let settings = [(
        "PROMPT_LOGS__KEY_TEMPLATE",
        "{team|service.name}/calls/{span_id}",
    )];
    let (server, token) = server(&settings);
    let spans = [
        span(1, &[("gen_ai.input.messages", "a"), ("team", "ops/eu")]),
        span(2, &[("gen_ai.input.messages", "b")]),
    ];
    exported(post(&server, &token, TRACES, export(&spans))).await;
    let keys = server
        .rows(&token, ORG, "SELECT log_key FROM prompt_logs ORDER BY 1")
        .await;
    let expected = json!([
        ["airline/calls/0000000000000002"],
        ["ops%2Feu/calls/0000000000000001"]
    ]);
    assert_eq!(keys, expected);
}
