//! Traces, as a collector of OpenTelemetry's own protocol definitions receives them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{ORG, acme};
use crate::real_input::python;
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, wait_for};

/// A collector that runs until it is dropped.
struct Collector {
    child: Child,
    url: String,
    received: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(python(root))
            .arg(root.join("tests/otlp/receive.py"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.next().unwrap().unwrap();
        let received: Arc<Mutex<Vec<Value>>> = Arc::default();
        let sink = Arc::clone(&received);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let span = serde_json::from_str(&line).unwrap();
                sink.lock().unwrap().push(span);
            }
        });
        Self {
            child,
            url,
            received,
        }
    }

    fn spans(&self) -> Vec<Value> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(data: &Data, endpoint: &str) -> Server {
    let mut command = data.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=abc");
    Server::spawn(data, command)
}

/// The bytes of an id, as protobuf's JSON writes them.
fn id(hexadecimal: &str) -> String {
    let bytes: Vec<u8> = (0..hexadecimal.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap())
        .collect();
    BASE64_STANDARD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_their_steps_are_traced_and_say_nothing_that_is_secret() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CALLER: &str = "00f067aa0ba902b7";
    let collector = Collector::start();
    let data = Data::new();
    acme(&data);
    let mut server = serve(&data, &collector.url);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let sql = "SELECT 'literal-of-the-query' FROM prompt_logs";
    let request = server.sql_request(&token, ORG, sql);
    let request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    assert_eq!(Answer::of(request).await.status, 200);
    assert_eq!(server.logs(&token, ORG, "chat/").await.status, 200);
    // What was not sent yet is sent at the end.
    assert_eq!(server.stop().code(), Some(0));
    let spans = wait_for("the last span", || {
        let spans = collector.spans();
        let is_last = |span: &Value| span["span"]["name"] == "send prompt logs";
        spans.iter().any(is_last).then_some(spans)
    });

    let of_trace: Vec<&Value> = spans
        .iter()
        .map(|received| &received["span"])
        .filter(|span| span["traceId"] == id(TRACE))
        .collect();
    let find = |name: &str| {
        let found = of_trace.iter().find(|span| span["name"] == name);
        *found.unwrap_or_else(|| panic!("no span {name}: {of_trace:#?}"))
    };
    let root = find("POST /v1/{organization}/admin/sql_query");
    assert_eq!(root["parentSpanId"], id(CALLER));
    assert_eq!(root["kind"], "SPAN_KIND_SERVER");
    let attributes = root["attributes"].as_array().unwrap();
    let status = json!({"key": "http.response.status_code", "value": {"intValue": "200"}});
    assert!(attributes.contains(&status), "{attributes:#?}");
    for step in ["authenticate", "wait for a query worker", "run query"] {
        assert_eq!(find(step)["parentSpanId"], root["spanId"], "{step}");
    }
    let names: Vec<&Value> = spans.iter().map(|one| &one["span"]["name"]).collect();
    for step in ["select prompt logs", "send prompt logs"] {
        assert!(names.contains(&&json!(step)), "{step}: {names:?}");
    }
    for received in &spans {
        assert_eq!(received["path"], "/v1/traces");
        assert_eq!(received["header"], "abc");
        let service = json!({"key": "service.name", "value": {"stringValue": "amigo-admin"}});
        let resource = received["resource"].as_array().unwrap();
        assert!(resource.contains(&service), "{resource:?}");
        let text = received.to_string();
        for secret in [token.as_str(), "literal-of-the-query", "You greet", "chat/"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_is_told_in_the_log_and_holds_up_nothing() {
    let data = Data::new();
    acme(&data);
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut server = serve(&data, &format!("http://{address}"));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    assert_eq!(server.stop().code(), Some(0));
    server.log_line(|line| line.contains("traces could not be sent"));
}
