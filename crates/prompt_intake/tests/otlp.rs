//! What real emitters sent (`tests/otlp/capture.py` of the repository captured it), and the drafts made of it.
//!
//! `UPDATE=1` writes the expected drafts anew.

#![expect(
    clippy::unwrap_used,
    reason = "a helper's failure fails its test, which is what it is for"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use prompt_intake::otlp::{Encoding, Export, KeyTemplate, logs, traces};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp")
}

fn read(name: &str, encoding: Encoding) -> Export {
    let suffix = match encoding {
        Encoding::Protobuf => "protobuf",
        Encoding::Json => "json",
    };
    let request = std::fs::read(folder().join(format!("{name}.{suffix}"))).unwrap();
    let read = if name.ends_with(".logs") {
        logs
    } else {
        traces
    };
    let export = read(&request, encoding, &KeyTemplate::default()).unwrap();
    let again = read(&request, encoding, &KeyTemplate::default());
    assert_eq!(
        again.as_ref(),
        Ok(&export),
        "a request sent again makes the same drafts"
    );
    export
}

/// The drafts as text, with names for what differs from capture to capture.
fn shown(export: &Export) -> String {
    let mut text = format!(
        "{} drafts, {} ignored, {} rejected {:?}\n",
        export.drafts.len(),
        export.ignored,
        export.rejected.count,
        export.rejected.reasons
    );
    for draft in &export.drafts {
        let attributes: serde_json::Value =
            serde_json::from_str(draft.attributes.as_ref().unwrap()).unwrap();
        let time = draft.created_at.unwrap().timestamp_nanos_opt().unwrap();
        let mut one = String::new();
        writeln!(one, "\n======== {}", draft.log_key).unwrap();
        for (name, value) in [
            ("conversation_id", &draft.conversation_id),
            ("interaction_id", &draft.interaction_id),
            ("user_id", &draft.user_id),
            ("service_id", &draft.service_id),
            ("prompt_type", &draft.prompt_type),
            ("model", &draft.model),
            ("attributes", &draft.attributes),
            ("required_permissions", &draft.required_permissions),
        ] {
            writeln!(one, "{name}: {}", value.as_deref().unwrap_or("-")).unwrap();
        }
        writeln!(
            one,
            "-------- system\n{}",
            draft.system.as_deref().unwrap_or("(none)")
        )
        .unwrap();
        for (number, prompt) in draft.history.iter().flatten().enumerate() {
            writeln!(one, "-------- history {number}\n{prompt}").unwrap();
        }
        let id = |name: &str| attributes[name].as_str().unwrap().to_owned();
        let names = [
            (id("trace_id"), "TRACE"),
            (id("span_id"), "SPAN"),
            (format!("{time:020}"), "TIME"),
        ];
        for (value, name) in names {
            one = one.replace(&value, name);
        }
        // The stub model's port.
        let port = attributes["server.port"].to_string();
        one = one.replace(&format!("\"server.port\":{port}"), "\"server.port\":PORT");
        if let Some((before, behind)) = one.split_once("127.0.0.1:") {
            let behind = behind.trim_start_matches(|digit: char| digit.is_ascii_digit());
            one = format!("{before}127.0.0.1:PORT{behind}");
        }
        text.push_str(&one);
    }
    text
}

#[track_caller]
fn check(name: &str) {
    let protobuf = shown(&read(name, Encoding::Protobuf));
    assert_eq!(
        protobuf,
        shown(&read(name, Encoding::Json)),
        "both encodings say the same"
    );
    let expected = folder().join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, &protobuf).unwrap();
    }
    assert_eq!(protobuf, std::fs::read_to_string(expected).unwrap());
}

#[test]
fn the_conventions_as_an_event_for_each_message() {
    check("opentelemetry-events.traces");
    check("opentelemetry-events.logs");
}

#[test]
fn the_conventions_as_attributes() {
    check("opentelemetry-latest.traces");
    check("opentelemetry-latest.logs");
}

#[test]
fn the_conventions_as_one_event() {
    check("opentelemetry-latest-details.traces");
    check("opentelemetry-latest-details.logs");
}

#[test]
fn openinference() {
    check("openinference.traces");
}

#[test]
fn openllmetry() {
    check("traceloop.traces");
    check("openllmetry-prompts.traces");
}
