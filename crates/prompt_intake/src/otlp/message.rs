//! Messages of every dialect, and how they are rendered.
//!
//! A rendered message is its role (with the name in parentheses, if it has one) on a line of its own, then its parts,
//! one below the other. Texts stay as they are; a tool call is `tool_call NAME ID` and its arguments below, a tool's
//! result `tool_result ID` and the result below; binary content is named with its type, size and SHA-256; whatever is
//! not known is JSON. Deterministic: the same message is the same text each time.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};

use super::model::hex;
use super::value::{Value, document};
use crate::Reason;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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

/// One message; `role` is for those that do not say theirs.
pub(super) fn message(value: &Value<'_>, role: &str) -> Result<Message, Reason> {
    let kind = value.get("type").and_then(Value::text).unwrap_or_default();
    let role = match value.get("role").and_then(Value::text) {
        Some(role) => role,
        None if CALLS.contains(&kind) => "assistant",
        None if RESULTS.contains(&kind) => "tool",
        None => role,
    };
    let named = value.get("name").and_then(Value::text);
    let mut message = Message {
        role: role.to_owned(),
        name: named.filter(|name| !name.is_empty()).map(str::to_owned),
        parts: Vec::new(),
    };
    if !value.is_map() {
        message.parts = content(value);
        return Ok(message);
    }
    let is_message = MESSAGE_FIELDS.iter().any(|name| value.get(name).is_some());
    if !is_message || CALLS.contains(&kind) || RESULTS.contains(&kind) {
        message.name = None;
        message.parts.push(part(value));
        return Ok(message);
    }
    let mut text = Vec::new();
    for name in ["parts", "content"] {
        text.extend(value.get(name).map(content).unwrap_or_default());
    }
    let answers = value
        .first(&["tool_call_id", "toolCallId", "id"])
        .and_then(Value::text);
    if role == "tool"
        && value.get("parts").is_none()
        && !text.iter().any(|part| part.starts_with(RESULT))
    {
        message.parts.push(result(answers, &text.join("\n")));
    } else {
        message.parts.append(&mut text);
    }
    for name in ["tool_calls", "toolCalls"] {
        let calls = value.get(name).and_then(Value::list).unwrap_or_default();
        message.parts.extend(calls.iter().map(call));
    }
    if let Some(function) = value.get("function_call").filter(|call| call.is_map()) {
        message.parts.push(call(function));
    }
    Ok(message)
}

const MESSAGE_FIELDS: [&str; 5] = [
    "parts",
    "content",
    "tool_calls",
    "toolCalls",
    "function_call",
];
const CALLS: [&str; 5] = [
    "tool_call",
    "tool-call",
    "tool_use",
    "function_call",
    "server_tool_call",
];
const RESULTS: [&str; 5] = [
    "tool_call_response",
    "tool-result",
    "tool_result",
    "function_call_output",
    "server_tool_call_response",
];
/// How the rendering of a tool's result begins.
const RESULT: &str = "tool_result";

/// The parts of a message's content: a text, a part, or a list of parts.
pub(super) fn content(value: &Value<'_>) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Text(text) if text.is_empty() => Vec::new(),
        Value::List(parts) => parts.iter().map(part).collect(),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => vec![part(value)],
    }
}

/// A text that some emitters fill with a list of parts in JSON.
pub(super) fn content_text(text: &str) -> Result<Vec<String>, Reason> {
    if text.starts_with("[{")
        && let Some(value) = document(text)?
        && let Some(parts) = value.list()
        && parts
            .iter()
            .all(|part| part.get("type").is_some_and(|kind| kind.text().is_some()))
    {
        return Ok(parts.iter().map(part).collect());
    }
    Ok(content(&Value::Text(text.into())))
}

fn part(value: &Value<'_>) -> String {
    let kind = value.get("type").and_then(Value::text).unwrap_or_default();
    let text = |names: &[&str]| value.first(names).and_then(Value::text);
    let rendered = match kind {
        "text" | "input_text" | "output_text" => text(&["content", "text"]).map(str::to_owned),
        "reasoning" | "thinking" => {
            text(&["content", "text", "thinking"]).map(|text| format!("reasoning\n{text}"))
        }
        _ if CALLS.contains(&kind) => Some(call(value)),
        _ if RESULTS.contains(&kind) => {
            let answered = value.first(&[
                "response",
                "result",
                "output",
                "content",
                "server_tool_call_response",
            ]);
            let id = text(&["id", "toolCallId", "tool_use_id", "tool_call_id", "call_id"]);
            answered.map(|answered| result(id, &result_text(answered)))
        }
        "blob" => text(&["content", "data"]).map(|data| blob(mime_type(value), data)),
        "file" if text(&["file_id"]).is_some() => {
            text(&["file_id"]).map(|id| reference("file", mime_type(value), id))
        }
        "uri" => text(&["uri"]).map(|uri| reference("uri", mime_type(value), uri)),
        "image_url" | "input_image" => {
            let url = value.get("image_url");
            let url = url
                .and_then(|url| url.get("url").or(Some(url)))
                .and_then(Value::text);
            url.map(address)
        }
        "image" if value.get("source").is_some() => {
            let source = value.get("source");
            let data = source
                .and_then(|source| source.get("data"))
                .and_then(Value::text);
            data.map(|data| blob(source.and_then(mime_type), data))
        }
        "image" => text(&["image"]).map(address),
        _ => None,
    };
    rendered.unwrap_or_else(|| value.to_text())
}

fn mime_type<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    value
        .first(&["mime_type", "media_type", "mediaType", "modality"])
        .and_then(Value::text)
}

/// A call of a tool: `{id, name, arguments}`, or with the last two in `function`.
fn call(value: &Value<'_>) -> String {
    let inner = value.get("function").filter(|function| function.is_map());
    let inner = inner.unwrap_or(value);
    let name = inner.first(&["name", "toolName"]).and_then(Value::text);
    let arguments = inner.first(&["arguments", "args", "input", "server_tool_call"]);
    let id = value
        .first(&["id", "call_id", "toolCallId"])
        .and_then(Value::text);
    let (Some(name), true) = (
        name,
        arguments.is_some() || value.get("type").is_some() || id.is_some(),
    ) else {
        return value.to_json();
    };
    tool_call(name, id, &arguments.map(Value::to_text).unwrap_or_default())
}

pub(super) fn tool_call(name: &str, id: Option<&str>, arguments: &str) -> String {
    let id = id.filter(|id| !id.is_empty());
    let id = id.map(|id| format!(" {id}")).unwrap_or_default();
    format!("tool_call {name}{id}\n{arguments}")
}

pub(super) fn result(id: Option<&str>, text: &str) -> String {
    let id = id.filter(|id| !id.is_empty());
    let id = id.map(|id| format!(" {id}")).unwrap_or_default();
    format!("{RESULT}{id}\n{text}")
}

/// What a tool answered: a text, parts, or JSON.
fn result_text(value: &Value<'_>) -> String {
    let is_part = |value: &Value<'_>| value.get("type").and_then(Value::text) == Some("text");
    match value {
        Value::List(parts) if !parts.is_empty() && parts.iter().all(is_part) => {
            parts.iter().map(part).collect::<Vec<_>>().join("\n")
        }
        Value::Map(_) if is_part(value) && value.get("value").is_some() => {
            value.get("value").map(Value::to_text).unwrap_or_default()
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_) => value.to_text(),
    }
}

/// Content elsewhere, or in a `data:` address.
pub(super) fn address(url: &str) -> String {
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','));
    match inline.and_then(|(kind, data)| Some((kind.strip_suffix(";base64")?, data))) {
        Some((mime_type, data)) => blob(Some(mime_type), data),
        None => reference("uri", None, url),
    }
}

fn reference(kind: &str, mime_type: Option<&str>, name: &str) -> String {
    match mime_type {
        Some(mime_type) => format!("[{kind} {mime_type} {name}]"),
        None => format!("[{kind} {name}]"),
    }
}

/// Binary content by its type, size and hash: a prompt log is text.
fn blob(mime_type: Option<&str>, data: &str) -> String {
    let mime_type = mime_type.unwrap_or("application/octet-stream");
    let (bytes, unit) = match BASE64.decode(data.trim()) {
        Ok(bytes) => (bytes, "bytes"),
        Err(_) => (data.as_bytes().to_vec(), "undecodable bytes"),
    };
    let hash = hex(&Sha256::digest(&bytes));
    format!("[blob {mime_type} {} {unit} sha256:{hash}]", bytes.len())
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
}
