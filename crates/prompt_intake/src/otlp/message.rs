//! Messages of every dialect, and how they are rendered.
//!
//! A rendered message is its role (with the name in parentheses, if it has one) on a line of its own, then its parts,
//! one below the other (`parts`). Deterministic: the same message is the same text each time.

use super::parts::{audio, call, content, is_call, is_result, json, kind, known, part, result};
use super::value::{Fields, Value};
use crate::Reason;

/// A message with its parts rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) name: Option<String>,
    pub(super) parts: Vec<String>,
}

impl Message {
    pub(super) fn new(role: &str, parts: Vec<String>) -> Self {
        Self {
            role: role.to_owned(),
            name: None,
            parts,
        }
    }

    /// What models are told before the conversation; newer ones call it `developer`.
    pub(super) fn is_system(&self) -> bool {
        self.role == "system" || self.role == "developer"
    }

    pub(super) fn render(&self) -> String {
        let mut text = self.role.clone();
        if let Some(name) = &self.name {
            text.push_str(&format!(" ({name})"));
        }
        text.push('\n');
        text.push_str(&self.parts.join("\n"));
        text
    }
}

/// The messages of a list, of an object that holds one, or of a plain text.
pub(super) fn messages(value: &Value<'_>) -> Result<Vec<Message>, Reason> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::List(values) => values.iter().map(|value| message(value, "user")).collect(),
        Value::Map(_) => {
            let listed = value.first(&["messages", "items"]).and_then(Value::list);
            let Some(listed) = listed else {
                return Ok(vec![message(value, "user")?]);
            };
            let mut messages = Vec::new();
            if let Some(system) = value.first(&["system", "instructions"]) {
                messages.push(Message::new("system", content(system)));
            }
            for value in listed {
                messages.push(message(value, "user")?);
            }
            Ok(messages)
        }
        Value::Bool(_) | Value::Number(_) | Value::Text(_) => Ok(vec![message(value, "user")?]),
    }
}

/// Fields that make a message of an object.
const CONTENT: [&str; 5] = [
    "parts",
    "content",
    "tool_calls",
    "toolCalls",
    "function_call",
];
/// Fields with the thoughts before an answer.
const REASONING: [&str; 2] = ["reasoning_content", "reasoning"];
/// Fields about a message: nothing that a model is told.
const ABOUT: [&str; 18] = [
    "created_at",
    "extra",
    "finish_reason",
    "hash",
    "id",
    "index",
    "interrupted",
    "kind",
    "metrics",
    "name",
    "role",
    "status",
    "timestamp",
    "toolCallId",
    "tool_call_id",
    "transcript_confidence",
    "type",
    "usage",
];

/// One message; `role` is for those that do not say theirs.
pub(super) fn message(value: &Value<'_>, role: &str) -> Result<Message, Reason> {
    let kind = kind(value);
    let is_reasoning = kind == "reasoning";
    let own_role = value.get("role").and_then(Value::text);
    let role = match own_role {
        Some(role) => role,
        None if is_call(kind) || is_reasoning => "assistant",
        None if is_result(kind) => "tool",
        None => role,
    };
    let mut message = Message::new(role, Vec::new());
    let Value::Map(fields) = value else {
        message.parts = content(value);
        return Ok(message);
    };
    let rest = rest(fields);
    let is_part = is_call(kind) || is_result(kind) || (is_reasoning && own_role.is_none());
    if is_part || value.first(&CONTENT).is_none() {
        if let Some(part) = known(value) {
            message.parts.push(part);
            return Ok(message);
        }
        let says_nothing = kind.is_empty() && rest.is_empty();
        if is_part || (own_role.is_none() && !says_nothing) {
            message.parts.push(part(value));
            return Ok(message);
        }
    }
    let named = value.get("name").and_then(Value::text);
    message.name = named.filter(|name| !name.is_empty()).map(str::to_owned);
    if let Some(thoughts) = value.first(&REASONING).and_then(Value::text) {
        message.parts.push(format!("reasoning\n{thoughts}"));
    }
    let texts = ["parts", "content"].map(|name| value.get(name).map(content).unwrap_or_default());
    let mut texts = texts.concat();
    if role == "tool" && is_answer(value) {
        let answered = value.first(&["tool_call_id", "toolCallId", "id"]);
        texts = vec![result(answered.and_then(Value::text), &texts.join("\n"))];
    }
    message.parts.append(&mut texts);
    for name in ["tool_calls", "toolCalls"] {
        let calls = value.get(name).and_then(Value::list).unwrap_or_default();
        message.parts.extend(calls.iter().map(call));
    }
    if let Some(function) = value.get("function_call").filter(|call| call.is_map()) {
        message.parts.push(call(function));
    }
    if !rest.is_empty() {
        message.parts.push(json(&Value::Map(rest)));
    }
    Ok(message)
}

/// Whether a tool's message is its answer, and not around parts that say whose answers they are.
fn is_answer(value: &Value<'_>) -> bool {
    let content = value.get("content");
    let parts = content.and_then(Value::list).unwrap_or_default();
    content.is_some()
        && value.get("parts").is_none()
        && !parts.iter().any(|part| is_result(kind(part)))
}

/// What a message says in fields that nobody knows. A name with a dot is an event's attribute.
fn rest(fields: &Fields<'_>) -> Fields<'static> {
    let is_rest = |name: &str, value: &Value<'_>| match name {
        "parts" | "content" => false,
        "tool_calls" | "toolCalls" => value.list().is_none(),
        "function_call" => !value.is_map(),
        name if REASONING.contains(&name) => value.text().is_none(),
        name => !ABOUT.contains(&name) && !name.contains('.'),
    };
    let rest = fields.iter().filter(|(name, value)| {
        let is_empty = match value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::List(values) => values.is_empty(),
            Value::Map(fields) => fields.is_empty(),
            Value::Bool(is) => !is,
            Value::Number(_) => false,
        };
        !is_empty && is_rest(name, value)
    });
    let rest = rest.map(|(name, value)| {
        let value = match name.as_ref() {
            "audio" => audio(value),
            _ => value.detached(),
        };
        (name.to_string().into(), value)
    });
    rest.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::value::parse;

    #[track_caller]
    fn check(json: &str, expected: &[&str]) {
        let value = parse(json, 64).unwrap();
        let rendered: Vec<String> = messages(&value)
            .unwrap()
            .iter()
            .map(Message::render)
            .collect();
        assert_eq!(rendered, expected);
    }

    #[test]
    fn the_conventions_parts_are_rendered() {
        check(
            r#"[{"role":"user","name":"mia","parts":[{"type":"text","content":"Grüße"},{"type":"text","content":"two"}]},
                {"role":"assistant","parts":[{"type":"reasoning","content":"hm"},
                  {"type":"tool_call","id":"c1","name":"seats","arguments":{"b":1.0,"a":["x"]}}]},
                {"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":{"free":2}},
                  {"type":"tool_call_response","id":"c2","result":"none"}]}]"#,
            &[
                "user (mia)\nGrüße\ntwo",
                "assistant\nreasoning\nhm\ntool_call seats c1\n{\"b\":1.0,\"a\":[\"x\"]}",
                "tool\ntool_result c1\n{\"free\":2}\ntool_result c2\nnone",
            ],
        );
        check(
            r#"[{"role":"assistant","parts":[{"type":"server_tool_call","id":"s","name":"web","server_tool_call":{"type":"search"}},
                 {"type":"server_tool_call_response","id":"s","server_tool_call_response":[1]}]}]"#,
            &["assistant\ntool_call web s\n{\"type\":\"search\"}\ntool_result s\n[1]"],
        );
    }

    #[test]
    fn binary_content_is_summarised_and_references_are_named() {
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        check(
            r#"[{"role":"user","parts":[{"type":"blob","mime_type":"image/png","modality":"image","content":"aGVsbG8="},
                {"type":"file","mime_type":"text/csv","file_id":"f1"},{"type":"uri","modality":"image","uri":"gs://a"}]},
                {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGVsbG8"}},
                {"type":"image_url","image_url":{"url":"https://a/b.png"}},
                {"type":"image","source":{"type":"base64","media_type":"image/gif","data":"aGVsbG8="}}]},
                {"role":"user","parts":[{"type":"blob","content":"hello!"}]}]"#,
            &[
                &format!(
                    "user\n[blob image/png 5 bytes sha256:{hash}]\n[file text/csv f1]\n[uri image gs://a]"
                ),
                &format!(
                    "user\n[blob image/png 5 bytes sha256:{hash}]\n[uri https://a/b.png]\n[blob image/gif 5 bytes sha256:{hash}]"
                ),
                "user\n[blob application/octet-stream 6 undecodable bytes sha256:ce06092fb948d9ffac7d1a376e404b26b7575bcc11ee05a4615fef4fec3a308b]",
            ],
        );
    }

    #[test]
    fn chat_completions_messages_are_rendered() {
        check(
            r#"{"messages":[{"role":"system","content":"be kind"},
                {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},
                {"role":"tool","tool_call_id":"c1","content":"42"},
                {"role":"assistant","content":"","function_call":{"name":"g","arguments":"{}"}}]}"#,
            &[
                "system\nbe kind",
                "assistant\ntool_call f c1\n{\"a\": 1}",
                "tool\ntool_result c1\n42",
                "assistant\ntool_call g\n{}",
            ],
        );
    }

    #[test]
    fn other_makers_parts_are_rendered() {
        check(
            r#"[{"role":"assistant","content":[{"type":"tool-call","toolCallId":"c","toolName":"f","input":{"x":1}}]},
                {"role":"tool","content":[{"type":"tool-result","toolCallId":"c","toolName":"f","output":{"type":"text","value":"ok"}}]},
                {"type":"function_call","call_id":"k","name":"f","arguments":"{}"},
                {"type":"function_call_output","call_id":"k","output":"done"},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}]"#,
            &[
                "assistant\ntool_call f c\n{\"x\":1}",
                "tool\ntool_result c\nok",
                "assistant\ntool_call f k\n{}",
                "tool\ntool_result k\ndone",
                "user\ntool_result t\na\nb",
            ],
        );
    }

    #[test]
    fn what_is_not_known_stays_as_json() {
        check(
            r#"[{"role":"user","parts":[{"type":"hologram","depth":1.50,"a":null},{"type":"text","content":{"x":1}},7,null,"plain"]},
                {"speaker":"mia"}, 5, true]"#,
            &[
                "user\n{\"type\":\"hologram\",\"depth\":1.50,\"a\":null}\n{\"type\":\"text\",\"content\":{\"x\":1}}\n7\nnull\nplain",
                "user\n{\"speaker\":\"mia\"}",
                "user\n5",
                "user\ntrue",
            ],
        );
        check(r#""just a text""#, &["user\njust a text"]);
    }

    #[test]
    fn no_field_of_a_message_is_lost() {
        check(
            r#"[{"role":"assistant","content":"text","refusal":"no","reasoning_content":"hm","audio":{"id":"a1","data":"aGVsbG8=","format":"wav"},"annotations":[{"u":1}]},
                {"role":"assistant","content":null,"refusal":"no","audio":null,"annotations":[],"example":false},
                {"role":"assistant","content":"x","tool_calls":{"id":"no list"},"function_call":"no object"},
                {"role":"user","content":null,"id":"m1","status":"done","gen_ai.system":"openai"},
                {"role":"user","content":{"parts":[{"text":"hi"}],"role":"user"}}]"#,
            &[
                "assistant\nreasoning\nhm\ntext\n{\"refusal\":\"no\",\"audio\":{\"id\":\"a1\",\"data\":\"[blob audio/wav 5 bytes sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824]\",\"format\":\"wav\"},\"annotations\":[{\"u\":1}]}",
                "assistant\n{\"refusal\":\"no\"}",
                "assistant\nx\n{\"tool_calls\":{\"id\":\"no list\"},\"function_call\":\"no object\"}",
                "user\n",
                "user\nhi",
            ],
        );
    }

    #[test]
    fn reasoning_of_its_own_is_the_assistants() {
        check(
            r#"[{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"hm"}],"content":null,"encrypted_content":null},
                {"type":"reasoning","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],"content":[]},
                {"type":"reasoning","summary":[],"encrypted_content":"x"}]"#,
            &[
                "assistant\nreasoning\nhm",
                "assistant\nreasoning\na\nb",
                "assistant\n{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"x\"}",
            ],
        );
    }

    #[test]
    fn results_keep_whose_they_are_and_whether_they_failed() {
        check(
            r#"[{"role":"tool","tool_call_id":"c","content":"tool_result is fine"},
                {"role":"tool","tool_call_id":"c","content":null},
                {"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"a"}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":"boom"},
                  {"type":"tool_result","is_error":true,"content":"boom"}]},
                {"role":"tool","content":[{"type":"tool_result","tool_use_id":"t","is_error":false,"content":[{"type":"flight","no":1},{"type":"flight","no":2}]}]}]"#,
            &[
                "tool\ntool_result c\ntool_result is fine",
                "tool\ntool_result c\n",
                "tool\ntool_result c\na",
                "user\ntool_result t error\nboom\ntool_result error\nboom",
                "tool\ntool_result t\n[{\"type\":\"flight\",\"no\":1},{\"type\":\"flight\",\"no\":2}]",
            ],
        );
    }

    #[test]
    fn binary_content_is_summarised_whoever_sends_it() {
        for part in [
            r#"{"type":"file","mediaType":"image/png","data":"aGVsbG8="}"#,
            r#"{"type":"image","image":"aGVsbG8=","mediaType":"image/png"}"#,
            r#"{"type":"image","image":"data:image/png;base64,aGVsbG8="}"#,
            r#"{"type":"binary","media_type":"image/png","content":"aGVsbG8="}"#,
            r#"{"kind":"binary","media_type":"image/png","binary_content":"aGVsbG8="}"#,
            r#"{"type":"input_audio","input_audio":{"data":"aGVsbG8=","format":"wav"}}"#,
            r#"{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,aGVsbG8="}"#,
            r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aGVsbG8="}}"#,
            r#"{"type":"document","title":"T","source":{"type":"base64","media_type":"application/pdf","data":"aGVsbG8="}}"#,
            r#"{"inlineData":{"mimeType":"image/png","data":"aGVsbG8="}}"#,
            r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGVsbG8="}}]}"#,
        ] {
            let value = parse(part, 64).unwrap();
            let rendered = crate::otlp::parts::part(&value);
            assert!(rendered.contains(" 5 bytes sha256:2cf24d"), "{rendered}");
            assert!(!rendered.contains("aGVsbG8="), "{rendered}");
        }
        for (part, expected) in [
            (
                r#"{"type":"image","image":"https://a/b.png"}"#,
                "[uri https://a/b.png]",
            ),
            (
                r#"{"type":"image-url","url":"https://a/b.png"}"#,
                "[uri https://a/b.png]",
            ),
            (
                r#"{"type":"image","source":{"type":"url","url":"https://a"}}"#,
                "[uri https://a]",
            ),
            (
                r#"{"media_type":"text/plain","data":"aGVsbG8="}"#,
                r#"{"media_type":"text/plain","data":"aGVsbG8="}"#,
            ),
            (
                r#"{"format":"csv","data":"aGVsbG8="}"#,
                r#"{"format":"csv","data":"aGVsbG8="}"#,
            ),
            (
                r#"{"mime_type":"image/png","data":"no base64!"}"#,
                r#"{"mime_type":"image/png","data":"no base64!"}"#,
            ),
        ] {
            assert_eq!(
                crate::otlp::parts::part(&parse(part, 64).unwrap()),
                expected
            );
        }
    }
}
