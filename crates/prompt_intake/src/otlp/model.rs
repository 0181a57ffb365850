//! What both encodings of OTLP are read into: spans and log records, as far as they matter for prompts.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::value::{Fields, Value, field};

/// What a request exports: spans or log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Logs,
}

/// A span with its events, or a log record, which has none.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    /// Lower-case hexadecimal digits; empty when there is none.
    pub(super) trace_id: String,
    pub(super) span_id: String,
    /// Name, start and attributes of the span; all of a log record.
    pub(super) event: Event<'a>,
    pub(super) events: Vec<Event<'a>>,
}

#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) name: Cow<'a, str>,
    /// Nanoseconds since 1970; 0: unknown.
    pub(super) time: u64,
    pub(super) attributes: Fields<'a>,
    pub(super) body: Value<'a>,
}

impl Default for Event<'_> {
    fn default() -> Self {
        Self {
            name: Cow::Borrowed(""),
            time: 0,
            attributes: Fields::new(),
            body: Value::Null,
        }
    }
}

impl<'a> Event<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        field(&self.attributes, name)
    }

    /// Log records have their event's name in a field of its own, or in an attribute.
    pub(super) fn event_name(&self) -> &str {
        let attribute = self.get("event.name").and_then(Value::text);
        match attribute {
            Some(name) if self.name.is_empty() => name,
            _ => &self.name,
        }
    }
}

/// Bytes as hexadecimal digits; an id of zeros is none.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    if bytes.iter().any(|&byte| byte != 0) {
        for byte in bytes {
            let _ = write!(digits, "{byte:02x}");
        }
    }
    digits
}
