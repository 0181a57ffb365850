//! Finds the prompt in a span or a log record, whichever convention its emitter follows.
//!
//! The dialects are tried in a fixed order; the first one that yields a message wins, because emitters write the same
//! prompt in several ways at once. Not here: dialects of single products (`vendors`).

use std::collections::BTreeMap;

use super::message::{Message, message, messages};
use super::model::{Event, Item};
use super::parts::{address, content, json, part, parts_in_text, result, tool_call};
use super::value::{Fields, Value, document};
use super::vendors;
use crate::Reason;
use crate::draft::history_fits;

/// What a dialect found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Which dialect it was; stored with the prompt.
    pub(super) dialect: &'static str,
    /// The system prompt where the dialect has a place of its own for it.
    pub(super) instructions: Option<Vec<String>>,
    pub(super) messages: Vec<Message>,
    /// The messages could not be told apart and are one text.
    pub(super) degraded: bool,
}

/// The two parts of a prompt log.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) dialect: &'static str,
    pub(super) degraded: bool,
    pub(super) system: Option<String>,
    pub(super) history: Option<Vec<String>>,
}

pub(super) const DETAILS: &str = "gen_ai.client.inference.operation.details";

impl Found {
    fn new(dialect: &'static str, messages: Vec<Message>) -> Self {
        Self {
            dialect,
            messages,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.instructions.is_none() && self.messages.is_empty()
    }

    /// Separates the system prompt from the history.
    ///
    /// Instructions of their own are the system prompt, and a system message stays in the history then: neither is
    /// lost. Without them the system messages in front of all others are the system prompt.
    pub(super) fn prompt(self) -> Result<Prompt, Reason> {
        let mut messages = self.messages;
        let system = self.instructions.or_else(|| {
            let leading = messages
                .iter()
                .take_while(|message| message.is_system())
                .count();
            let leading = messages.drain(..leading);
            let parts: Vec<String> = leading.flat_map(|message| message.parts).collect();
            (!parts.is_empty()).then_some(parts)
        });
        history_fits(messages.len())?;
        let history: Vec<String> = messages.iter().map(Message::render).collect();
        Ok(Prompt {
            dialect: self.dialect,
            degraded: self.degraded,
            history: (system.is_none() || !history.is_empty()).then_some(history),
            system: system.map(|parts| parts.join("\n\n")),
        })
    }
}

/// The prompt of a span; `None`: it has none.
pub(super) fn of_span(span: &Item<'_>) -> Result<Option<Found>, Reason> {
    let attributes = &span.event.attributes;
    let events = || span.events.iter();
    let current = || current(attributes);
    let details = || {
        first(
            events()
                .filter(|event| event.name == DETAILS)
                .map(of_details),
        )
    };
    let per_message = || of_events(&span.events);
    let prompt_event = || {
        let prompts = events().filter(|event| event.name == "gen_ai.content.prompt");
        let in_events = prompts.filter_map(|event| event.get("gen_ai.prompt"));
        let found = first(in_events.chain(span.event.get("gen_ai.prompt")).map(listed))?;
        Ok(Found {
            dialect: "gen_ai.content.prompt",
            ..found
        })
    };
    let indexed = || openllmetry(attributes);
    let openinference = || openinference(attributes);
    let vendors = || vendors::of_span(span);
    let last_resort = || last_resort(span);
    let dialects: [&dyn Fn() -> Result<Found, Reason>; 8] = [
        &current,
        &details,
        &per_message,
        &prompt_event,
        &indexed,
        &openinference,
        &vendors,
        &last_resort,
    ];
    let found = first(dialects.into_iter().map(|read| read()))?;
    Ok((!found.is_empty()).then_some(found))
}

/// The first that found a message. Instructions without one are put in front of it: emitters write them beside every
/// other dialect.
pub(super) fn first(
    attempts: impl Iterator<Item = Result<Found, Reason>>,
) -> Result<Found, Reason> {
    let mut without_messages = Found::default();
    for found in attempts {
        let mut found = found?;
        if !found.messages.is_empty() {
            if let Some(instructions) = without_messages.instructions {
                let others = found.instructions.replace(instructions);
                if let Some(others) =
                    others.filter(|others| found.instructions.as_ref() != Some(others))
                {
                    found.messages.insert(0, Message::new("system", others));
                }
            }
            return Ok(found);
        }
        if without_messages.is_empty() {
            without_messages = found;
        }
    }
    Ok(without_messages)
}

/// A value that is a structure, or a text that holds one as JSON.
pub(super) fn structure<T>(
    value: &Value<'_>,
    read: impl FnOnce(&Value<'_>) -> Result<T, Reason>,
) -> Result<T, Reason> {
    if let Value::Text(text) = value
        && let Some(document) = document(text)?
    {
        return read(&document);
    }
    read(value)
}

/// Messages in a structure; a text that is none is one message.
pub(super) fn listed(value: &Value<'_>) -> Result<Found, Reason> {
    if value.text().is_some_and(str::is_empty) {
        return Ok(Found::default());
    }
    let degraded = structure(value, |value| Ok(value.text().is_some()))?;
    let messages = structure(value, messages)?;
    Ok(Found {
        degraded,
        ..Found::new("", messages)
    })
}

/// Dialect 1: messages and instructions each in one attribute.
fn current(attributes: &Fields<'_>) -> Result<Found, Reason> {
    let get = |name| super::value::field(attributes, name);
    let mut found = match get("gen_ai.input.messages") {
        Some(value) => listed(value)?,
        None => Found::default(),
    };
    found.dialect = "gen_ai.input.messages";
    if let Some(value) = get("gen_ai.system_instructions") {
        let parts = structure(value, |value| Ok(instructions(value)))?;
        found.instructions = (!parts.is_empty()).then_some(parts);
    }
    Ok(found)
}

/// Instructions: a text, a list of texts or parts, or a message around either.
fn instructions(value: &Value<'_>) -> Vec<String> {
    match value.first(&["parts", "content"]) {
        Some(inner) if value.get("type").is_none() => content(inner),
        _ => match value {
            Value::List(values) => values.iter().flat_map(instructions).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                content(value)
            }
        },
    }
}

/// Dialect 2: the same attributes, on an event or in its body.
pub(super) fn of_details(event: &Event<'_>) -> Result<Found, Reason> {
    let in_body = match &event.body {
        Value::Map(fields) => Some(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
    };
    let places = [Some(&event.attributes), in_body];
    let places = places.into_iter().flatten();
    let found = first(places.map(current))?;
    Ok(Found {
        dialect: DETAILS,
        ..found
    })
}

const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// The role a message event is about. An answer (`gen_ai.choice`) is no part of a prompt.
pub(super) fn message_role(event_name: &str) -> Option<&str> {
    let role = event_name
        .strip_prefix("gen_ai.")?
        .strip_suffix(".message")?;
    ROLES.contains(&role).then_some(role)
}

/// Dialect 3: an event for each message.
fn of_events(events: &[Event<'_>]) -> Result<Found, Reason> {
    let messages = events.iter().map(of_message_event);
    let messages = messages.filter_map(Result::transpose);
    Ok(found_events(messages.collect::<Result<_, _>>()?))
}

/// The message of an event; `None`: it is about none, or its content was not captured.
pub(super) fn of_message_event(event: &Event<'_>) -> Result<Option<Message>, Reason> {
    let Some(role) = message_role(event.event_name()) else {
        return Ok(None);
    };
    let read = match &event.body {
        Value::Null => of_attributes(&event.attributes, role)?,
        Value::Text(text) => match document(text)? {
            Some(body) if body.is_map() => message(&body, role)?,
            Some(_) | None => message(&event.body, role)?,
        },
        Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
            message(&event.body, role)?
        }
    };
    Ok((!read.parts.is_empty()).then_some(read))
}

/// Span events have no body: its fields are attributes, structures among them as JSON. Azure's have it in one.
fn of_attributes(attributes: &Fields<'_>, role: &str) -> Result<Message, Reason> {
    if let Some(body) = super::value::field(attributes, "gen_ai.event.content") {
        return structure(body, |body| message(body, role));
    }
    let mut fields = Fields::new();
    for (name, value) in attributes {
        let value = match name.as_ref() {
            "tool_calls" => structure(value, |value| Ok(value.detached()))?,
            "content" => match value.text().map(parts_in_text).transpose()?.flatten() {
                Some(parts) => parts.detached(),
                None => value.detached(),
            },
            // With a dot it is an attribute of the event, not a field of the message.
            name if name.contains('.') => continue,
            _ => value.detached(),
        };
        fields.push((name.to_string().into(), value));
    }
    message(&Value::Map(fields), role)
}

pub(super) fn found_events(messages: Vec<Message>) -> Found {
    Found::new("gen_ai.*.message", messages)
}

/// Attributes `{prefix}{N}.{rest}` by their number: 10 comes after 9.
type Indexed<'v, 'a> = BTreeMap<u64, Vec<(&'v str, &'v Value<'a>)>>;

fn indexed<'v, 'a: 'v>(
    fields: impl Iterator<Item = (&'v str, &'v Value<'a>)>,
    prefix: &str,
) -> Indexed<'v, 'a> {
    let mut found = Indexed::new();
    for (name, value) in fields {
        if let Some(rest) = name.strip_prefix(prefix)
            && let Some((number, rest)) = rest.split_once('.')
            && let Ok(number) = number.parse()
        {
            found.entry(number).or_default().push((rest, value));
        }
    }
    found
}

fn named<'v, 'a>(fields: &'v Fields<'a>) -> impl Iterator<Item = (&'v str, &'v Value<'a>)> {
    fields.iter().map(|(name, value)| (name.as_ref(), value))
}

fn get<'v, 'a>(fields: &[(&'v str, &'v Value<'a>)], name: &str) -> Option<&'v Value<'a>> {
    fields
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| *value)
}

fn get_text<'v>(fields: &[(&'v str, &'v Value<'_>)], name: &str) -> Option<&'v str> {
    get(fields, name).and_then(Value::text)
}

/// Calls of tools, `{prefix}{M}.{name of the field}`.
fn calls(fields: &[(&str, &Value<'_>)], prefix: &str, names: [&str; 3]) -> Vec<String> {
    let calls = indexed(fields.iter().copied(), prefix).into_values();
    calls
        .map(|call| {
            let [name, id, arguments] = names;
            let arguments = get(&call, arguments).map(Value::to_text);
            tool_call(
                get_text(&call, name).unwrap_or_default(),
                get_text(&call, id),
                &arguments.unwrap_or_default(),
            )
        })
        .collect()
}

/// Dialect 5: `gen_ai.prompt.{N}.…`, of OpenLLMetry.
fn openllmetry(attributes: &Fields<'_>) -> Result<Found, Reason> {
    let mut messages = Vec::new();
    for fields in indexed(named(attributes), "gen_ai.prompt.").values() {
        // Some of its instrumentations write `{N}.user` in place of `{N}.role` and `{N}.content`.
        let by_role = ROLES
            .into_iter()
            .find_map(|role| Some((role, get(fields, role)?)));
        let (default_role, by_role) = by_role.unzip();
        let mut parts = match get(fields, "content").or(by_role) {
            Some(Value::Text(text)) => match parts_in_text(text)? {
                Some(parts) => content(&parts),
                None => content(&Value::Text(text.as_ref().into())),
            },
            Some(value) => content(value),
            None => Vec::new(),
        };
        if let Some(id) = get_text(fields, "tool_call_id") {
            parts = vec![result(Some(id), &parts.join("\n"))];
        }
        parts.extend(calls(fields, "tool_calls.", ["name", "id", "arguments"]));
        parts.extend(rest(fields, |name| {
            ["content", "finish_reason", "role", "tool_call_id"].contains(&name)
                || ROLES.contains(&name)
                || name.starts_with("tool_calls.")
        }));
        let role = get_text(fields, "role").or(default_role).unwrap_or("user");
        messages.push(Message::new(role, parts));
    }
    Ok(Found::new("gen_ai.prompt.N", unless_empty(messages)))
}

/// What nobody knows of a message, as JSON.
fn rest(fields: &[(&str, &Value<'_>)], is_known: impl Fn(&str) -> bool) -> Option<String> {
    let rest = fields.iter().filter(|(name, value)| {
        let is_empty = **value == Value::Null || value.text().is_some_and(str::is_empty);
        !is_empty && !is_known(name)
    });
    let rest: Fields<'_> = rest
        .map(|(name, value)| ((*name).into(), value.detached()))
        .collect();
    (!rest.is_empty()).then(|| json(&Value::Map(rest)))
}

/// Roles alone, without content, are no messages: that is what is left where content is not captured.
fn unless_empty(messages: Vec<Message>) -> Vec<Message> {
    if messages.iter().all(|message| message.parts.is_empty()) {
        return Vec::new();
    }
    messages
}

/// Dialect 6: `llm.input_messages.{N}.message.…` and `llm.prompts.{N}.prompt.text`, of OpenInference.
fn openinference(attributes: &Fields<'_>) -> Result<Found, Reason> {
    let mut messages = Vec::new();
    for fields in indexed(named(attributes), "llm.input_messages.").values() {
        let mut parts = get(fields, "message.content")
            .map(content)
            .unwrap_or_default();
        let contents = indexed(fields.iter().copied(), "message.contents.").into_values();
        parts.extend(contents.map(|part| openinference_part(&part)));
        if let Some(id) = get_text(fields, "message.tool_call_id") {
            parts = vec![result(Some(id), &parts.join("\n"))];
        }
        let names = [
            "tool_call.function.name",
            "tool_call.id",
            "tool_call.function.arguments",
        ];
        parts.extend(calls(fields, "message.tool_calls.", names));
        if let Some(name) = get_text(fields, "message.function_call_name") {
            let arguments = get(fields, "message.function_call_arguments_json").map(Value::to_text);
            parts.push(tool_call(name, None, &arguments.unwrap_or_default()));
        }
        let role = get_text(fields, "message.role").unwrap_or("user");
        let mut message = Message::new(role, parts);
        message.name = get_text(fields, "message.name").map(str::to_owned);
        messages.push(message);
    }
    messages = unless_empty(messages);
    if messages.is_empty() {
        for fields in indexed(named(attributes), "llm.prompts.").values() {
            let text = get(fields, "prompt.text").map(content).unwrap_or_default();
            messages.push(Message::new("user", text));
        }
    }
    Ok(Found::new("llm.input_messages.N", messages))
}

fn openinference_part(fields: &[(&str, &Value<'_>)]) -> String {
    if let Some(text) = get_text(fields, "message_content.text") {
        return match get_text(fields, "message_content.type") {
            Some("reasoning") => format!("reasoning\n{text}"),
            _ => text.to_owned(),
        };
    }
    if let Some(url) = get_text(fields, "message_content.image.image.url") {
        return address(url);
    }
    let known = fields.iter().map(|(name, value)| {
        let name = name.strip_prefix("message_content.").unwrap_or(name);
        (name.into(), value.detached())
    });
    part(&Value::Map(known.collect()))
}

/// Dialect 8: whatever a span says went into a model.
fn last_resort(span: &Item<'_>) -> Result<Found, Reason> {
    let is_inference = span.event.attributes.iter().any(|(name, value)| {
        (name == "openinference.span.kind" && value.text() == Some("LLM"))
            || name.starts_with("gen_ai.request.")
            || name.starts_with("llm.model_name")
    });
    let Some(value) = span.event.get("input.value").filter(|_| is_inference) else {
        return Ok(Found::default());
    };
    let text = value.to_text();
    Ok(Found {
        degraded: true,
        ..Found::new("input.value", vec![Message::new("user", vec![text])])
    })
}
