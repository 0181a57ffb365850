use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

mod dialects;
mod gathered;
mod permissions;

/// OTLP's form of a value.
fn any_value(value: &Json) -> Json {
    match value {
        Json::Null => json!({}),
        Json::Bool(is) => json!({ "boolValue": is }),
        Json::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Json::Number(number) => json!({ "intValue": number.to_string() }),
        Json::String(text) => json!({ "stringValue": text }),
        Json::Array(values) => {
            json!({ "arrayValue": { "values": values.iter().map(any_value).collect::<Vec<_>>() } })
        }
        Json::Object(_) => json!({ "kvlistValue": { "values": key_values(value) } }),
    }
}

fn key_values(fields: &Json) -> Json {
    let fields = fields.as_object().unwrap().iter();
    fields
        .map(|(key, value)| json!({ "key": key, "value": any_value(value) }))
        .collect()
}

fn span(number: u64, attributes: &Json) -> Json {
    json!({
        "traceId": format!("{:032x}", 7), "spanId": format!("{number:016x}"), "name": "chat",
        "startTimeUnixNano": "1700000000000000001", "attributes": key_values(attributes),
    })
}

fn record(name: &str, time: u64, attributes: &Json, body: &Json) -> Json {
    json!({
        "traceId": format!("{:032x}", 7), "spanId": format!("{:016x}", 1), "eventName": name,
        "timeUnixNano": time, "attributes": key_values(attributes), "body": any_value(body),
    })
}

fn export(spans: &[Json]) -> Export {
    export_of(&json!({ "service.name": "airline" }), spans)
}

/// Spans of a resource with these attributes.
fn export_of(resource: &Json, spans: &[Json]) -> Export {
    let request = json!({ "resourceSpans": [{
        "resource": { "attributes": key_values(resource) },
        "scopeSpans": [{ "spans": spans }],
    }] });
    traces(
        request.to_string().as_bytes(),
        Encoding::Json,
        &KeyTemplate::default(),
    )
    .unwrap()
}

fn export_logs(records: &[Json]) -> Export {
    export_logs_of(&[(json!({}), records)])
}

/// Log records of resources with these attributes.
fn export_logs_of(groups: &[(Json, &[Json])]) -> Export {
    let groups = groups.iter().map(|(resource, records)| {
        json!({
            "resource": { "attributes": key_values(resource) },
            "scopeLogs": [{ "logRecords": records }],
        })
    });
    let request = json!({ "resourceLogs": groups.collect::<Vec<_>>() });
    logs(
        request.to_string().as_bytes(),
        Encoding::Json,
        &KeyTemplate::default(),
    )
    .unwrap()
}

#[track_caller]
fn one(export: Export) -> Draft {
    assert_eq!(export.rejected, Rejected::default());
    let [draft] = export.drafts.try_into().expect("one draft");
    draft
}

/// The dialect, the system prompt and the history of a span with these attributes.
#[track_caller]
fn check(attributes: &Json, dialect: &str, system: Option<&str>, history: &[&str]) {
    check_draft(
        &one(export(&[span(1, attributes)])),
        dialect,
        system,
        history,
    );
}

#[track_caller]
fn check_draft(draft: &Draft, dialect: &str, system: Option<&str>, history: &[&str]) {
    let attributes: Json = serde_json::from_str(draft.attributes.as_ref().unwrap()).unwrap();
    assert_eq!(attributes["source_dialect"], dialect);
    assert_eq!(draft.system.as_deref(), system);
    assert_eq!(draft.history.as_deref().unwrap_or_default(), history);
}

fn reasons(export: &Export) -> String {
    export.rejected.message()
}

#[test]
fn attributes_are_read_as_json_and_as_structures() {
    let instructions = json!([{ "type": "text", "content": "be kind" }, { "type": "text", "content": "be brief" }]);
    let messages = json!([
        { "role": "user", "parts": [{ "type": "text", "content": "hi" }] },
        { "role": "tool", "parts": [{ "type": "tool_call_response", "id": "c", "result": { "n": 1 } }] },
    ]);
    let history = ["user\nhi", "tool\ntool_result c\n{\"n\":1}"];
    for (instructions, messages) in [
        (instructions.clone(), messages.clone()),
        (json!(instructions.to_string()), json!(messages.to_string())),
    ] {
        let attributes = json!({ "gen_ai.system_instructions": instructions, "gen_ai.input.messages": messages });
        check(
            &attributes,
            "gen_ai.input.messages",
            Some("be kind\n\nbe brief"),
            &history,
        );
        let details = record(DETAILS, 5, &attributes, &Json::Null);
        check_draft(
            &one(export_logs(&[details])),
            DETAILS,
            Some("be kind\n\nbe brief"),
            &history,
        );
        let mut on_event = span(1, &json!({}));
        on_event["events"] = json!([{ "name": DETAILS, "timeUnixNano": "1", "attributes": key_values(&attributes) }]);
        check_draft(
            &one(export(&[on_event])),
            DETAILS,
            Some("be kind\n\nbe brief"),
            &history,
        );
    }
}

#[test]
fn a_system_message_is_lifted_only_where_nothing_is_lost() {
    let messages = json!([
        { "role": "system", "content": "one" }, { "role": "developer", "content": "two" },
        { "role": "user", "content": "hi" }, { "role": "system", "content": "late" },
    ]);
    let attributes = json!({ "gen_ai.input.messages": messages });
    check(
        &attributes,
        "gen_ai.input.messages",
        Some("one\n\ntwo"),
        &["user\nhi", "system\nlate"],
    );
    let attributes =
        json!({ "gen_ai.input.messages": messages, "gen_ai.system_instructions": "zero" });
    let history = ["system\none", "developer\ntwo", "user\nhi", "system\nlate"];
    check(&attributes, "gen_ai.input.messages", Some("zero"), &history);
}

#[test]
fn messages_cut_off_by_a_length_limit_are_kept_as_text() {
    let attributes = json!({ "gen_ai.input.messages": "[{\"role\":\"user\",\"par" });
    let draft = one(export(&[span(1, &attributes)]));
    check_draft(
        &draft,
        "gen_ai.input.messages",
        None,
        &["user\n[{\"role\":\"user\",\"par"],
    );
    assert!(draft.attributes.unwrap().contains("\"degraded\":true"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one request, spelt out")]
fn message_events_of_one_span_are_one_prompt() {
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{\"a\": 1}" } });
    let records = [
        record(
            "gen_ai.tool.message",
            14,
            &json!({}),
            &json!({ "id": "c", "content": "42" }),
        ),
        record(
            "gen_ai.system.message",
            11,
            &json!({ "gen_ai.system": "openai" }),
            &json!({ "content": "be kind" }),
        ),
        record(
            "gen_ai.user.message",
            12,
            &json!({}),
            &json!({ "content": "hi" }),
        ),
        record(
            "gen_ai.assistant.message",
            13,
            &json!({}),
            &json!({ "tool_calls": [call] }),
        ),
        record(
            "gen_ai.choice",
            15,
            &json!({}),
            &json!({ "message": { "content": "no" } }),
        ),
        record("other", 16, &json!({}), &json!("no")),
    ];
    let export = export_logs(&records);
    assert_eq!(export.ignored, 2);
    let history = [
        "user\nhi",
        "assistant\ntool_call f c\n{\"a\": 1}",
        "tool\ntool_result c\n42",
    ];
    let draft = one(export);
    check_draft(&draft, "gen_ai.*.message", Some("be kind"), &history);
    let time = draft.created_at.unwrap().timestamp_nanos_opt();
    assert_eq!(time, Some(11));
    assert!(
        draft
            .attributes
            .unwrap()
            .contains("\"gen_ai.system\":\"openai\"")
    );

    let mut on_span = span(1, &json!({}));
    on_span["events"] = json!([
        { "name": "gen_ai.system.message", "attributes": key_values(&json!({ "content": "be kind", "role": "system" })) },
        { "name": "gen_ai.assistant.message", "attributes": key_values(&json!({ "tool_calls": json!([call]).to_string() })) },
        { "name": "gen_ai.choice", "attributes": key_values(&json!({ "content": "no" })) },
    ]);
    let history = ["assistant\ntool_call f c\n{\"a\": 1}"];
    check_draft(
        &one(self::export(&[on_span])),
        "gen_ai.*.message",
        Some("be kind"),
        &history,
    );

    let mut lost = record(
        "gen_ai.user.message",
        1,
        &json!({}),
        &json!({ "content": "hi" }),
    );
    lost["spanId"] = json!("");
    let export = export_logs(&[lost]);
    assert_eq!((export.drafts.len(), export.rejected.count), (0, 1));
    assert!(reasons(&export).contains("without trace and span"));
}

#[test]
fn spans_around_a_call_do_not_repeat_its_prompt() {
    let messages = json!({ "gen_ai.operation.name": "chat", "gen_ai.input.messages": "hi" });
    let agent = json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": "hi" });
    let tool = json!({ "openinference.span.kind": "TOOL", "input.value": "{}" });
    let silent = json!({ "gen_ai.operation.name": "chat" });
    let spans = [
        span(1, &agent),
        span(2, &messages),
        span(3, &tool),
        span(4, &silent),
    ];
    let all = export(&spans);
    assert_eq!((all.drafts.len(), all.ignored), (1, 3));
    let alone = one(export(&spans[..1]));
    assert!(alone.attributes.unwrap().contains("\"agent_scope\":true"));
}

#[test]
fn columns_come_from_the_span_and_its_resource() {
    let attributes = json!({
        "gen_ai.input.messages": "hi", "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "user.id": 17,
        "session.id": "s/1", "gen_ai.request.temperature": 0.5, "gen_ai.output.messages": "no", "long": "x".repeat(2000),
        "prompt_log.required_permissions": [{ "permission_name": "A:B", "attributes": {} }],
    });
    let draft = one(export(&[span(1, &attributes)]));
    assert_eq!(
        draft.log_key,
        "airline/s%2F1/01700000000000000001-0000000000000001"
    );
    assert_eq!(draft.conversation_id.as_deref(), Some("s/1"));
    assert_eq!(draft.interaction_id, Some(format!("{:032x}", 7)));
    assert_eq!(draft.user_id.as_deref(), Some("17"));
    assert_eq!(draft.service_id.as_deref(), Some("airline"));
    assert_eq!(draft.prompt_type.as_deref(), Some("chat"));
    assert_eq!(draft.model.as_deref(), Some("gpt-4o"));
    let permissions: Json = serde_json::from_str(&draft.required_permissions.unwrap()).unwrap();
    assert_eq!(
        permissions,
        json!([{ "permission_name": "A:B", "attributes": {} }])
    );
    let kept: Json = serde_json::from_str(&draft.attributes.unwrap()).unwrap();
    assert_eq!(kept["gen_ai.request.temperature"], json!(0.5));
    assert_eq!(kept["span_name"], "chat");
    assert!(kept.get("long").is_none() && kept.get("gen_ai.output.messages").is_none());
    let named = json!({ "gen_ai.input.messages": "hi", "prompt_log.key": "my/../key" });
    assert_eq!(one(export(&[span(1, &named)])).log_key, "my/../key");
}

#[test]
fn a_span_that_cannot_be_read_is_rejected_alone() {
    let good = json!({ "gen_ai.input.messages": "hi" });
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let mut deep_value = json!("x");
    for _ in 0..65 {
        deep_value = json!([deep_value]);
    }
    let mut no_time = span(9, &good);
    no_time["startTimeUnixNano"] = json!("0");
    let mut bad_id = span(9, &good);
    bad_id["spanId"] = json!("xyz");
    let mut no_id = span(9, &good);
    no_id["spanId"] = json!(null);
    let mut bad_value = span(9, &good);
    bad_value["attributes"][0]["value"] = json!({ "stringValue": 5 });
    for (bad, reason) in [
        (
            span(2, &json!({ "gen_ai.input.messages": deep })),
            "deeper than 64",
        ),
        (span(2, &json!({ "a": deep_value })), "deeper than 64"),
        (no_time, "there is no time"),
        (bad_id, "hexadecimal"),
        (no_id, "no id"),
        (bad_value, "a text is expected"),
        (json!(7), "an object is expected"),
        (
            span(
                2,
                &json!({ "gen_ai.input.messages": "hi", "session.id": "x".repeat(2000) }),
            ),
            "`session.id` has 2000 bytes",
        ),
        (
            span(
                2,
                &json!({ "gen_ai.input.messages": "hi", "prompt_log.required_permissions": "{" }),
            ),
            "no list of permissions",
        ),
        (
            span(2, &json!({ "gen_ai.input.messages": vec!["x"; 10_001] })),
            "10001 prompts",
        ),
    ] {
        let export = export(&[span(1, &good), bad, span(3, &good)]);
        assert_eq!(
            (export.drafts.len(), export.rejected.count),
            (2, 1),
            "{reason}"
        );
        assert!(
            reasons(&export).contains(reason),
            "{} / {reason}",
            reasons(&export)
        );
    }
    let mut as_deep_as_allowed = json!("x");
    for _ in 0..64 {
        as_deep_as_allowed = json!([as_deep_as_allowed]);
    }
    let attributes = json!({ "gen_ai.input.messages": "hi", "a": as_deep_as_allowed });
    assert_eq!(export(&[span(1, &attributes)]).rejected.count, 0);
}

#[test]
fn a_request_that_is_none_is_refused_whole() {
    for request in ["", "{", "[]x", "{\"resourceSpans\": 5}", "\u{0}"] {
        assert!(
            traces(request.as_bytes(), Encoding::Json, &KeyTemplate::default()).is_err(),
            "{request}"
        );
    }
    for request in [
        "{}",
        "{\"resourceSpans\": null}",
        "{\"resourceSpans\": [{\"resource\": null, \"scopeSpans\": [{}]}]}",
    ] {
        assert_eq!(
            traces(request.as_bytes(), Encoding::Json, &KeyTemplate::default()),
            Ok(Export::default())
        );
    }
    assert_eq!(
        traces(b"", Encoding::Protobuf, &KeyTemplate::default()),
        Ok(Export::default())
    );
    assert!(traces(b"\x0A\x05a", Encoding::Protobuf, &KeyTemplate::default()).is_err());
}

/// A field of a protobuf message with other bytes in it.
fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(bytes);
    field
}

fn protobuf_span(value: &[u8]) -> Vec<u8> {
    let attribute = [
        bytes_field(1, b"gen_ai.input.messages"),
        bytes_field(2, value),
    ]
    .concat();
    let start = [&[7 << 3 | 1][..], &5_u64.to_le_bytes()].concat();
    let fields = [
        bytes_field(1, &[1; 16]),
        bytes_field(2, &[2; 8]),
        start,
        bytes_field(9, &attribute),
    ];
    bytes_field(2, &fields.concat())
}

#[test]
fn an_undecodable_span_of_protobuf_is_rejected_alone() {
    let mut deep = bytes_field(1, b"x");
    for _ in 0..65 {
        deep = bytes_field(5, &bytes_field(1, &deep));
    }
    for (bad, reason) in [
        (bytes_field(1, b"\xFF"), "not UTF-8"),
        (bytes_field(1, b"x")[..1].to_vec(), "cut off"),
        (deep, "deeper than 64"),
    ] {
        let good = protobuf_span(&bytes_field(1, b"hi"));
        let spans = [good.clone(), protobuf_span(&bad), good].concat();
        let request = bytes_field(1, &bytes_field(2, &spans));
        let export = traces(&request, Encoding::Protobuf, &KeyTemplate::default()).unwrap();
        assert_eq!(
            (export.drafts.len(), export.rejected.count),
            (2, 1),
            "{reason}"
        );
        assert!(reasons(&export).contains(reason), "{}", reasons(&export));
    }
}

#[test]
fn values_of_protobuf_are_read_whatever_their_type() {
    let number = [&[3 << 3][..], &[0xFF; 9], &[1]].concat();
    let double = [&[4 << 3 | 1][..], &0.5_f64.to_le_bytes()].concat();
    let pair = [
        bytes_field(1, b"k"),
        bytes_field(2, &bytes_field(7, b"hello")),
    ]
    .concat();
    let list: Vec<u8> = [
        number,
        double,
        vec![2 << 3, 1],
        vec![],
        bytes_field(6, &bytes_field(1, &pair)),
    ]
    .iter()
    .flat_map(|value| bytes_field(1, value))
    .collect();
    let request = bytes_field(1, &bytes_field(2, &protobuf_span(&bytes_field(5, &list))));
    let draft = one(traces(&request, Encoding::Protobuf, &KeyTemplate::default()).unwrap());
    let history = [
        "user\n-1",
        "user\n0.5",
        "user\ntrue",
        "user\n",
        "user\n{\"k\":\"aGVsbG8=\"}",
    ];
    check_draft(&draft, "gen_ai.input.messages", None, &history);
    assert_eq!(
        draft.log_key,
        format!("_/{}/{:020}-{}", "01".repeat(16), 5, "02".repeat(8))
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let _ = traces(&bytes, encoding, &KeyTemplate::default());
            let _ = logs(&bytes, encoding, &KeyTemplate::default());
        }
    }

    #[test]
    fn texts_come_through_byte_for_byte(system in any::<String>(), prompts in prop::collection::vec(any::<String>(), 1..4)) {
        let messages: Vec<Json> = prompts.iter().map(|text| json!({ "role": "user", "content": text })).collect();
        let attributes = json!({ "gen_ai.system_instructions": [{ "type": "text", "content": system }], "gen_ai.input.messages": Json::from(messages).to_string() });
        let draft = one(export(&[span(1, &attributes)]));
        prop_assert_eq!(draft.system.as_ref(), Some(&system));
        let expected: Vec<String> = prompts.iter().map(|text| format!("user\n{text}")).collect();
        prop_assert_eq!(draft.history, Some(expected));
    }
}
