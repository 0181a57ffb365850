//! Parts of messages, and how they are rendered.
//!
//! Texts stay as they are; a tool call is `tool_call NAME ID` and its arguments below, a tool's result `tool_result ID`
//! and the result below; binary content is named with its type, size and SHA-256; whatever is not known is JSON.

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

/// What a part or a message says it is.
pub(super) fn kind<'v>(value: &'v Value<'_>) -> &'v str {
    let kind = value.first(&["type", "kind"]).and_then(Value::text);
    kind.unwrap_or_default()
}

pub(super) fn is_call(kind: &str) -> bool {
    [
        "tool_call",
        "tool-call",
        "tool_use",
        "function_call",
        "server_tool_call",
    ]
    .contains(&kind)
}

pub(super) fn is_result(kind: &str) -> bool {
    [
        "tool_call_response",
        "tool-result",
        "tool_result",
        "function_call_output",
        "server_tool_call_response",
    ]
    .contains(&kind)
}

/// The parts of a message's content: a text, a part, or a list of parts.
pub(super) fn content(value: &Value<'_>) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Text(text) if text.is_empty() => Vec::new(),
        Value::List(parts) => parts.iter().map(part).collect(),
        Value::Map(_) if kind(value).is_empty() => {
            match value.get("parts").filter(|parts| parts.list().is_some()) {
                Some(parts) => content(parts),
                None => vec![part(value)],
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => vec![part(value)],
    }
}

/// A list of parts that an emitter wrote into a text as JSON.
pub(super) fn parts_in_text(text: &str) -> Result<Option<Value<'_>>, Reason> {
    if !text.starts_with("[{") {
        return Ok(None);
    }
    Ok(document(text)?.filter(|value| {
        let parts = value.list().unwrap_or_default();
        parts.iter().all(|part| !kind(part).is_empty())
    }))
}

pub(super) fn part(value: &Value<'_>) -> String {
    known(value).unwrap_or_else(|| json(value))
}

/// A part as text, if it is of a kind that is known and in the form that kind has.
pub(super) fn known(value: &Value<'_>) -> Option<String> {
    let text = |names: &[&str]| value.first(names).and_then(Value::text);
    match kind(value) {
        "text" | "input_text" | "output_text" => text(&["content", "text"]).map(str::to_owned),
        "" => match value {
            Value::Map(fields) if fields.len() == 1 => text(&["text"]).map(str::to_owned),
            _ => None,
        },
        "reasoning" | "thinking" => thoughts(value).map(|text| format!("reasoning\n{text}")),
        kind if is_call(kind) => Some(call(value)),
        kind if is_result(kind) => {
            let answered = value.first(&[
                "response",
                "result",
                "output",
                "content",
                "server_tool_call_response",
            ])?;
            let id = text(&["id", "toolCallId", "tool_use_id", "tool_call_id", "call_id"]);
            let is_error = value.first(&["is_error", "isError"]) == Some(&Value::Bool(true));
            let id = match (id, is_error) {
                (id, false) => id.unwrap_or_default().to_owned(),
                (id, true) => format!("{} error", id.unwrap_or_default()),
            };
            Some(result(Some(id.trim_start()), &result_text(answered)))
        }
        "blob" | "binary" | "media" => {
            text(&["content", "data", "binary_content"]).map(|data| given(mime_type(value), data))
        }
        "file" if value.get("filename").is_none() => match text(&["file_id"]) {
            Some(id) => Some(reference("file", mime_type(value), id)),
            None => text(&["data", "url"]).map(|data| given(mime_type(value), data)),
        },
        "uri" => text(&["uri"]).map(|uri| reference("uri", mime_type(value), uri)),
        "image_url" | "input_image" => {
            let url = value.first(&["image_url"])?;
            url.get("url").unwrap_or(url).text().map(address)
        }
        "image-url" | "audio-url" | "video-url" | "document-url" => text(&["url"]).map(address),
        "input_audio" | "audio" => {
            let audio = value.first(&["input_audio", "audio"])?;
            Some(blob(Some(&audio_type(audio)), audio.get("data")?.text()?))
        }
        "image" => match value.get("source") {
            Some(source) => {
                let data = source.first(&["data", "url"])?.text()?;
                Some(given(mime_type(source), data))
            }
            None => text(&["image"]).map(|data| given(mime_type(value), data)),
        },
        _ => None,
    }
}

/// Thoughts, or the summary that is shown of them.
fn thoughts(value: &Value<'_>) -> Option<String> {
    for name in ["content", "text", "thinking", "summary"] {
        let text = match value.get(name) {
            Some(Value::Text(text)) => text.to_string(),
            Some(Value::List(texts)) => {
                let texts = texts.iter().map(|text| text.get("text")?.text());
                texts.collect::<Option<Vec<_>>>()?.join("\n")
            }
            _ => continue,
        };
        if !text.is_empty() {
            return Some(text);
        }
    }
    None
}

fn mime_type<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    value
        .first(&[
            "mime_type",
            "media_type",
            "mediaType",
            "mimeType",
            "modality",
        ])
        .and_then(Value::text)
}

fn audio_type(audio: &Value<'_>) -> String {
    let format = audio.get("format").and_then(Value::text);
    match (mime_type(audio), format) {
        (Some(mime_type), _) => mime_type.to_owned(),
        (None, Some(format)) => format!("audio/{format}"),
        (None, None) => "audio".to_owned(),
    }
}

/// A call of a tool: `{id, name, arguments}`, or with the last two in `function`.
pub(super) fn call(value: &Value<'_>) -> String {
    let inner = value.first(&["function", "custom"]);
    let inner = inner.filter(|inner| inner.is_map()).unwrap_or(value);
    let name = inner.first(&["name", "toolName"]).and_then(Value::text);
    let arguments = inner.first(&["arguments", "args", "input", "server_tool_call"]);
    let id = value
        .first(&["id", "call_id", "toolCallId"])
        .and_then(Value::text);
    let (Some(name), true) = (
        name,
        arguments.is_some() || value.get("type").is_some() || id.is_some(),
    ) else {
        return json(value);
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
    format!("tool_result{id}\n{text}")
}

/// What a tool answered: a text, parts, or JSON.
fn result_text(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::List(parts) if !parts.is_empty() => {
            // Other lists are the tool's own, and a list on.
            let is_part = |part: &Value<'_>| !kind(part).is_empty();
            let parts = parts
                .iter()
                .map(|part| known(part).filter(|_| is_part(part)));
            let parts: Option<Vec<String>> = parts.collect();
            parts.map_or_else(|| json(value), |parts| parts.join("\n"))
        }
        Value::Map(_) if kind(value) == "text" && value.get("value").is_some() => {
            value.get("value").map(Value::to_text).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
            json(value)
        }
    }
}

/// Text as it is, everything else as JSON, without the binary content in it.
pub(super) fn json(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::List(_) | Value::Map(_) if has_blob(value) => named(value).to_json(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
            value.to_json()
        }
    }
}

/// The type and the text of a field's binary content: a `data:` address, or base64 beside the type of something that is no
/// text.
fn blob_in<'v>(
    fields: &'v Value<'_>,
    name: &str,
    value: &'v Value<'_>,
) -> Option<(&'v str, &'v str)> {
    let text = value.text()?;
    if let Some(inline) = inline(text) {
        return Some(inline);
    }
    let binary = ["audio/", "image/", "video/", "application/pdf"];
    let kind = mime_type(fields).filter(|_| name == "data")?;
    let is_binary = binary.iter().any(|binary| kind.starts_with(binary));
    (is_binary && BASE64.decode(text.trim()).is_ok()).then_some((kind, text))
}

/// A message's `audio` with a name in the place of its content.
pub(super) fn audio(value: &Value<'_>) -> Value<'static> {
    let mut audio = value.detached();
    if let Value::Map(fields) = &mut audio {
        for (name, field) in fields {
            if name == "data"
                && let Some(data) = field.text()
            {
                *field = Value::Text(blob(Some(&audio_type(value)), data).into());
            }
        }
    }
    audio
}

fn has_blob(value: &Value<'_>) -> bool {
    match value {
        Value::List(values) => values.iter().any(has_blob),
        Value::Map(fields) => fields
            .iter()
            .any(|(name, field)| blob_in(value, name, field).is_some() || has_blob(field)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => false,
    }
}

/// A structure with names in the place of binary content.
fn named(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::List(values) => Value::List(values.iter().map(named).collect()),
        Value::Map(fields) => {
            let fields = fields.iter().map(|(name, field)| {
                let field = match blob_in(value, name, field) {
                    Some((kind, text)) => Value::Text(blob(Some(kind), text).into()),
                    None => named(field),
                };
                (name.to_string().into(), field)
            });
            Value::Map(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => value.detached(),
    }
}

/// The type and the base64 of a `data:` address.
fn inline(text: &str) -> Option<(&str, &str)> {
    let (kind, data) = text.strip_prefix("data:")?.split_once(',')?;
    Some((kind.strip_suffix(";base64")?, data))
}

/// Content that is given as base64, or by its address.
fn given(mime_type: Option<&str>, text: &str) -> String {
    if inline(text).is_some() || text.contains("://") {
        address(text)
    } else {
        blob(mime_type, text)
    }
}

/// Content elsewhere, or in a `data:` address.
pub(super) fn address(url: &str) -> String {
    match inline(url) {
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
