//! Where single products keep their prompts (dialect 7).

use super::dialects::{Found, first, listed, message_role, structure};
use super::message::{Message, message, messages};
use super::model::Item;
use super::parts::content;
use super::value::Value;
use crate::Reason;

type Read = fn(&Value<'_>) -> Result<Found, Reason>;

/// Attribute by attribute; the attribute's name is the dialect's.
const KNOWN: [(&str, Read); 8] = [
    ("ai.prompt.messages", listed),
    ("ai.prompt", vercel),
    ("pydantic_ai.all_messages", pydantic_ai),
    ("all_messages_events", logfire),
    ("events", logfire),
    ("lk.chat_ctx", listed),
    ("langfuse.observation.input", listed),
    ("traceloop.entity.input", listed),
];

pub(super) fn of_span(span: &Item<'_>) -> Result<Found, Reason> {
    first(KNOWN.iter().filter_map(|(name, read)| {
        let value = span.event.get(name)?;
        Some(read(value).map(|found| Found {
            dialect: name,
            ..found
        }))
    }))
}

/// `{system, prompt, messages}`, each of which may be missing.
fn vercel(value: &Value<'_>) -> Result<Found, Reason> {
    structure(value, |value| {
        if value.first(&["system", "prompt", "messages"]).is_none() {
            return listed(value);
        }
        let mut found = Found::default();
        let system = value.first(&["system"]).map(content);
        found.instructions = system.filter(|parts| !parts.is_empty());
        for name in ["prompt", "messages"] {
            found.messages.extend(
                value
                    .get(name)
                    .map(messages)
                    .transpose()?
                    .unwrap_or_default(),
            );
        }
        Ok(found)
    })
}

/// All messages of a run, whose last one is the answer.
fn pydantic_ai(value: &Value<'_>) -> Result<Found, Reason> {
    let mut found = listed(value)?;
    if found.messages.len() > 1
        && found
            .messages
            .last()
            .is_some_and(|last| last.role == "assistant")
    {
        found.messages.pop();
    }
    Ok(found)
}

/// A list of events as they were before they were attributes; anything else of that name is none.
fn logfire(value: &Value<'_>) -> Result<Found, Reason> {
    structure(value, |value| {
        let mut found = Found::default();
        for event in value.list().unwrap_or_default() {
            let name = event.get("event.name").and_then(Value::text);
            if let Some(role) = name.and_then(message_role) {
                let message: Message = message(event, role)?;
                found.messages.push(message);
            }
        }
        Ok(found)
    })
}
