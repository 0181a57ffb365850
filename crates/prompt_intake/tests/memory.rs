//! However a body is made, reading it takes no more than a small multiple of its bytes.
//!
//! One test in a process of its own: the kernel counts the memory of all of it.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a helper's failure fails its test, which is what it is for"
)]

use prompt_intake::otlp::{Encoding, KeyTemplate, logs, traces};
use prompt_intake::{Draft, Splitter};

const MIB: usize = 1024 * 1024;
/// What the values or messages of one request may take: a million are accepted.
const MILLION: usize = 96 * MIB;

fn memory(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Reads a body and looks at the most memory meanwhile.
#[track_caller]
fn check(name: &str, body: &[u8], growth_max: usize, read: impl FnOnce(&[u8])) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:");
    read(body);
    let growth = memory("VmHWM:").saturating_sub(before);
    assert!(
        growth < growth_max,
        "{name}: {} MiB for a body of {} MiB",
        growth / MIB,
        body.len() / MIB
    );
}

/// A field of a protobuf message with other bytes in it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7F).unwrap() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    field.extend_from_slice(bytes);
    field
}

fn read_traces(encoding: Encoding, body: &[u8]) {
    traces(body, encoding, &KeyTemplate::default()).unwrap();
}

fn record(number: u64, body: &[u8]) -> Vec<u8> {
    let fields = [
        vec![1 << 3 | 1, 1, 0, 0, 0, 0, 0, 0, 0],
        field(5, body),
        field(9, &[1; 16]),
        field(10, &number.to_be_bytes()),
        field(12, b"gen_ai.user.message"),
    ];
    field(2, &fields.concat())
}

fn span(number: u64, messages: &[u8]) -> Vec<u8> {
    let attribute = [field(1, b"gen_ai.input.messages"), field(2, messages)];
    let fields = [
        vec![7 << 3 | 1, 1, 0, 0, 0, 0, 0, 0, 0],
        field(1, &[1; 16]),
        field(2, &number.to_be_bytes()),
        field(9, &attribute.concat()),
    ];
    field(2, &fields.concat())
}

/// A list of so many nothings, as a value.
fn nulls(count: usize) -> Vec<u8> {
    field(5, &[0x0A, 0].repeat(count))
}

/// The small ones first: memory that was given back may still be counted, and hides what is taken next.
#[test]
fn no_body_takes_many_times_its_bytes() {
    let protobuf = |body: &[u8]| read_traces(Encoding::Protobuf, body);
    let resources = [0x0A, 0].repeat(MIB / 2);
    check("resources", &resources, 6 * MIB, protobuf);
    let spans = field(1, &field(2, &[0x12, 0].repeat(MIB / 2)));
    check("spans", &spans, 6 * MIB, protobuf);

    let list = format!("[{}{{}}]", "{},".repeat(MIB / 4));
    for (name, body) in [
        ("resources", format!(r#"{{"resourceSpans":{list}}}"#)),
        (
            "scopes",
            format!(r#"{{"resourceSpans":[{{"scopeSpans":{list}}}]}}"#),
        ),
        (
            "spans",
            format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":{list}}}]}}]}}"#),
        ),
    ] {
        check(name, body.as_bytes(), 3 * MIB, |body| {
            read_traces(Encoding::Json, body);
        });
    }

    let history = "\"\",".repeat(MIB);
    let history = format!(r#"{{"log_key":"a","history":[{history}""]}}"#);
    check("history", history.as_bytes(), 10 * MIB, |body| {
        let mut splitter = Splitter::new();
        let mut rejected = 0;
        let mut sink = |_, record: Result<&[u8], _>| {
            rejected += usize::from(record.and_then(Draft::parse).is_err());
        };
        splitter.push(body, &mut sink);
        splitter.finish(&mut sink);
        assert_eq!(rejected, 1);
    });

    let spans = (1..=250).map(|number| span(number, &nulls(10_000)));
    let spans = field(1, &field(2, &spans.collect::<Vec<_>>().concat()));
    check("messages", &spans, MILLION, protobuf);

    // Of several prompts, so that each must be kept to the end, with its resource.
    let groups = (1..=24).map(|number| {
        let resource = field(1, &[0x0A, 0].repeat(MIB / 8));
        let records = field(2, &record(number, &nulls(MIB / 8)));
        field(1, &[resource, records].concat())
    });
    let groups = groups.collect::<Vec<_>>().concat();
    check("parts", &groups, MILLION, |body| {
        logs(body, Encoding::Protobuf, &KeyTemplate::default()).unwrap();
    });
}
