//! What each dialect's emitters write, and that none of it is lost.

use serde_json::json;

use super::*;

#[test]
fn instructions_are_read_in_every_form_they_have_been_seen_in() {
    for instructions in [
        json!("be kind"),
        json!("\"be kind\""),
        json!(["be kind"]),
        json!([{ "type": "text", "content": "be kind" }]),
        json!({ "role": "system", "parts": [{ "type": "text", "content": "be kind" }] }),
        json!([{ "role": "system", "parts": [{ "type": "text", "content": "be kind" }] }]),
        json!({ "content": [{ "type": "text", "text": "be kind" }] }),
    ] {
        let attributes = json!({ "gen_ai.system_instructions": instructions });
        check(&attributes, "gen_ai.input.messages", Some("be kind"), &[]);
        assert_eq!(one(export(&[span(1, &attributes)])).history, None);
    }
}

#[test]
fn numbered_attributes_are_read_in_the_order_of_their_numbers() {
    let attributes = json!({
        "gen_ai.prompt.10.role": "user", "gen_ai.prompt.10.content": "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"x\",\"y\":1}]",
        "gen_ai.prompt.9.role": "tool", "gen_ai.prompt.9.content": "42", "gen_ai.prompt.9.tool_call_id": "c",
        "gen_ai.prompt.8.role": "assistant", "gen_ai.prompt.8.tool_calls.0.id": "c",
        "gen_ai.prompt.8.tool_calls.0.name": "f", "gen_ai.prompt.8.tool_calls.0.arguments": "{}",
        "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "be kind",
    });
    let history = [
        "assistant\ntool_call f c\n{}",
        "tool\ntool_result c\n42",
        "user\na\n{\"type\":\"x\",\"y\":1}",
    ];
    check(&attributes, "gen_ai.prompt.N", Some("be kind"), &history);

    let message = |rest: &str| format!("llm.input_messages.{rest}");
    let attributes = json!({
        message("0.message.role"): "system", message("0.message.content"): "be kind",
        message("2.message.role"): "user", message("2.message.name"): "mia",
        message("2.message.contents.1.message_content.image.image.url"): "https://a/b.png",
        message("2.message.contents.0.message_content.type"): "text",
        message("2.message.contents.0.message_content.text"): "hi",
        message("2.message.contents.2.message_content.type"): "audio",
        message("10.message.role"): "assistant",
        message("10.message.tool_calls.0.tool_call.function.name"): "f",
        message("10.message.tool_calls.0.tool_call.id"): "c",
        message("10.message.tool_calls.0.tool_call.function.arguments"): "{}",
        message("11.message.role"): "tool", message("11.message.tool_call_id"): "c", message("11.message.content"): "42",
    });
    let history = [
        "user (mia)\nhi\n[uri https://a/b.png]\n{\"type\":\"audio\"}",
        "assistant\ntool_call f c\n{}",
        "tool\ntool_result c\n42",
    ];
    check(
        &attributes,
        "llm.input_messages.N",
        Some("be kind"),
        &history,
    );
    check(
        &json!({ "llm.prompts.0.prompt.text": "hi" }),
        "llm.input_messages.N",
        None,
        &["user\nhi"],
    );
}

#[test]
fn products_with_ways_of_their_own_are_read() {
    let messages = json!([{ "role": "system", "content": "s" }, { "role": "user", "content": [{ "type": "text", "text": "hi" }] }]);
    check(
        &json!({ "ai.prompt.messages": messages.to_string() }),
        "ai.prompt.messages",
        Some("s"),
        &["user\nhi"],
    );
    let prompt = json!({ "system": "s", "prompt": "hi" }).to_string();
    check(
        &json!({ "ai.prompt": prompt }),
        "ai.prompt",
        Some("s"),
        &["user\nhi"],
    );
    let all = json!([
        { "role": "system", "parts": [{ "type": "text", "content": "s" }] },
        { "role": "user", "parts": [{ "type": "text", "content": "hi" }] },
        { "role": "assistant", "parts": [{ "type": "text", "content": "the answer" }] },
    ]);
    check(
        &json!({ "pydantic_ai.all_messages": all.to_string() }),
        "pydantic_ai.all_messages",
        Some("s"),
        &["user\nhi"],
    );
    let events = json!([
        { "event.name": "gen_ai.system.message", "content": "s", "role": "system" },
        { "event.name": "gen_ai.user.message", "content": "hi", "role": "user" },
        { "event.name": "gen_ai.choice", "message": { "content": "no" } },
    ]);
    check(
        &json!({ "events": events.to_string() }),
        "events",
        Some("s"),
        &["user\nhi"],
    );
    let items = json!({ "items": [
        { "type": "message", "role": "system", "content": ["s"] }, { "type": "message", "role": "user", "content": ["hi"] },
        { "type": "function_call", "name": "f", "call_id": "c", "arguments": "{}" },
    ] });
    let history = ["user\nhi", "assistant\ntool_call f c\n{}"];
    check(
        &json!({ "lk.chat_ctx": items.to_string() }),
        "lk.chat_ctx",
        Some("s"),
        &history,
    );
    let input = json!({ "langfuse.observation.input": messages.to_string() });
    check(
        &input,
        "langfuse.observation.input",
        Some("s"),
        &["user\nhi"],
    );
    check(
        &json!({ "gen_ai.prompt": messages.to_string() }),
        "gen_ai.content.prompt",
        Some("s"),
        &["user\nhi"],
    );
    let last = json!({ "openinference.span.kind": "LLM", "input.value": "hi" });
    check(&last, "input.value", None, &["user\nhi"]);
}

#[test]
fn instructions_go_with_the_first_dialect_that_has_messages() {
    let instructions = json!([{ "type": "text", "content": "be kind" }]).to_string();
    let all = json!([
        { "role": "user", "parts": [{ "type": "text", "content": "hi" }] },
        { "role": "assistant", "parts": [{ "type": "text", "content": "the answer" }] },
    ]);
    let agent = json!({
        "gen_ai.operation.name": "invoke_agent", "gen_ai.system_instructions": instructions,
        "pydantic_ai.all_messages": all.to_string(),
    });
    check(
        &agent,
        "pydantic_ai.all_messages",
        Some("be kind"),
        &["user\nhi"],
    );
    let numbered = json!({
        "gen_ai.system_instructions": instructions, "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi",
    });
    check(&numbered, "gen_ai.prompt.N", Some("be kind"), &["user\nhi"]);

    // Where the other dialect has instructions of its own, neither is lost, and the same are not told twice.
    for (system, history) in [
        ("be kind", &["user\nhi"][..]),
        ("be brief", &["system\nbe brief", "user\nhi"]),
    ] {
        let vercel = json!({
            "gen_ai.system_instructions": instructions,
            "ai.prompt": json!({ "system": system, "prompt": "hi" }).to_string(),
        });
        check(&vercel, "ai.prompt", Some("be kind"), history);
    }

    let attributes = json!({ "gen_ai.system_instructions": instructions });
    let mut with_event = span(1, &attributes);
    let content = key_values(&json!({ "content": "hi" }));
    with_event["events"] = json!([{ "name": "gen_ai.user.message", "attributes": content }]);
    let draft = one(export(&[with_event]));
    check_draft(&draft, "gen_ai.*.message", Some("be kind"), &["user\nhi"]);

    let body = json!({ "gen_ai.input.messages": [{ "role": "user", "parts": [{ "type": "text", "content": "hi" }] }] });
    let draft = one(export_logs(&[record(DETAILS, 5, &attributes, &body)]));
    check_draft(&draft, DETAILS, Some("be kind"), &["user\nhi"]);
}

#[test]
fn a_prompt_under_its_role_is_read_and_roles_alone_are_none() {
    let replicate = json!({ "llm.request.type": "chat", "gen_ai.prompt.0.user": "hi" });
    check(&replicate, "gen_ai.prompt.N", None, &["user\nhi"]);
    let both = json!({ "gen_ai.prompt.0.system": "be kind", "gen_ai.prompt.1.user": "hi" });
    check(&both, "gen_ai.prompt.N", Some("be kind"), &["user\nhi"]);
    let more = json!({
        "gen_ai.prompt.0.role": "assistant", "gen_ai.prompt.0.content": "hm", "gen_ai.prompt.0.refusal": "no",
        "gen_ai.prompt.0.finish_reason": "stop",
    });
    check(
        &more,
        "gen_ai.prompt.N",
        None,
        &["assistant\nhm\n{\"refusal\":\"no\"}"],
    );
    let empty = json!({
        "openinference.span.kind": "LLM", "gen_ai.prompt.0.role": "user", "llm.input_messages.0.message.role": "user",
        "input.value": "hi",
    });
    check(&empty, "input.value", None, &["user\nhi"]);
}

#[test]
fn azure_s_events_have_their_message_in_one_attribute() {
    let event = |name: &str, content: &Json| {
        let content = json!({ "gen_ai.system": "az.ai.inference", "gen_ai.event.content": content.to_string() });
        json!({ "name": name, "attributes": key_values(&content) })
    };
    let mut azure = span(1, &json!({}));
    azure["events"] = json!([
        event(
            "gen_ai.system.message",
            &json!({ "role": "system", "content": "be kind" })
        ),
        event(
            "gen_ai.user.message",
            &json!({ "role": "user", "content": "{\"a\": 1}" })
        ),
        event("gen_ai.assistant.message", &json!({})),
        event("gen_ai.choice", &json!({ "message": { "content": "no" } })),
    ]);
    let history = ["user\n{\"a\": 1}"];
    check_draft(
        &one(export(&[azure])),
        "gen_ai.*.message",
        Some("be kind"),
        &history,
    );
}

#[test]
fn texts_of_events_that_look_like_json_stay_as_they_are() {
    for text in ["{\"a\": 1}", "\"quoted\"", "[1, 2]", "[{\"a\": 1}]"] {
        let mut with_event = span(1, &json!({}));
        let content = key_values(&json!({ "content": text }));
        with_event["events"] = json!([{ "name": "gen_ai.user.message", "attributes": content }]);
        let history = format!("user\n{text}");
        check_draft(
            &one(export(&[with_event])),
            "gen_ai.*.message",
            None,
            &[&history],
        );
    }
}

#[test]
fn audio_of_openinference_is_named() {
    let content =
        |rest: &str| format!("llm.input_messages.0.message.contents.0.message_content.{rest}");
    let attributes = json!({
        "llm.input_messages.0.message.role": "user", content("type"): "audio",
        content("audio.audio.url"): "data:audio/wav;base64,aGVsbG8=",
    });
    let draft = one(export(&[span(1, &attributes)]));
    let history = draft.history.unwrap();
    assert!(
        history[0].contains("[blob audio/wav 5 bytes sha256:2cf24d"),
        "{history:?}"
    );
    assert!(!history[0].contains("aGVsbG8="));
}
