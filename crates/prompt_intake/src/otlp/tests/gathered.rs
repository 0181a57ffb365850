//! Prompts of several log records: what they say beside their messages.

use serde_json::{Value as Json, json};

use super::*;

fn said(time: u64, attributes: &Json) -> Json {
    record(
        "gen_ai.user.message",
        time,
        attributes,
        &json!({ "content": "hi" }),
    )
}

#[test]
fn keys_and_ids_are_found_on_whichever_record_has_them() {
    let records = [
        said(3, &json!({ "user.id": "later", "session.id": "s" })),
        said(
            1,
            &json!({ "gen_ai.request.model": "gpt-4o", "user.id": "mia", "session.id": null }),
        ),
        said(2, &json!({ "prompt_log.key": "my/key" })),
    ];
    let draft = one(export_logs(&records));
    assert_eq!(draft.log_key, "my/key");
    assert_eq!(draft.model.as_deref(), Some("gpt-4o"));
    assert_eq!(
        draft.user_id.as_deref(),
        Some("mia"),
        "the earliest record's"
    );
    assert_eq!(draft.conversation_id.as_deref(), Some("s"));
    let time = draft.created_at.unwrap().timestamp_nanos_opt();
    assert_eq!(time, Some(1));
}

#[test]
fn a_span_s_empty_value_hides_no_value_of_its_resource() {
    let attributes = json!({ "gen_ai.input.messages": "hi", "user.id": "", "session.id": null });
    let resource = json!({ "user.id": "mia", "session.id": "s", "service.name": ["a"] });
    let draft = one(export_of(&resource, &[span(1, &attributes)]));
    assert_eq!(draft.user_id.as_deref(), Some("mia"));
    assert_eq!(draft.conversation_id.as_deref(), Some("s"));
    assert_eq!(draft.service_id.as_deref(), Some("[\"a\"]"));
}

#[test]
fn a_prompt_with_a_record_that_cannot_be_read_is_rejected_whole() {
    let many: Json = (0..257)
        .map(|n| (format!("a{n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let half = |from: u32| -> Json {
        let names = (from..from + 200).map(|n| (format!("a{n}"), json!(n)));
        names.collect::<serde_json::Map<_, _>>().into()
    };
    for records in [
        [said(1, &json!({})), said(2, &many), said(3, &json!({}))],
        [said(1, &half(0)), said(2, &half(100)), said(3, &json!({}))],
    ] {
        let export = export_logs(&records);
        assert_eq!((export.drafts.len(), export.rejected.count), (0, 3));
        assert!(reasons(&export).contains("more than 256 attributes"));
    }
    let records = [said(1, &half(0)), said(2, &half(0)), said(3, &half(0))];
    assert_eq!(one(export_logs(&records)).history.unwrap().len(), 3);
}

#[test]
fn records_without_content_are_no_prompt() {
    let bare =
        |name: &str, body: &Json| record(name, 1, &json!({ "gen_ai.system": "openai" }), body);
    let export = export_logs(&[
        bare("gen_ai.user.message", &Json::Null),
        bare("gen_ai.user.message", &json!({})),
        bare("gen_ai.tool.message", &json!({ "id": "call_1" })),
        bare("gen_ai.system.message", &json!({ "role": "system" })),
    ]);
    assert_eq!(
        export,
        Export {
            ignored: 4,
            ..Export::default()
        }
    );
    let mut on_span = span(1, &json!({ "gen_ai.operation.name": "chat" }));
    let system = key_values(&json!({ "gen_ai.system": "openai" }));
    on_span["events"] = json!([{ "name": "gen_ai.user.message", "attributes": system }]);
    assert_eq!(
        self::export(&[on_span]),
        Export {
            ignored: 1,
            ..Export::default()
        }
    );
}
