//! OTLP in JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use super::model::{Event, Item, Signal};
use super::value::{Budget, Fault, Fields, Value, parse};
use crate::{NESTING_MAX, Object, Reason, nesting};

/// Each level of OpenTelemetry's values is up to four of JSON (`{"kvlistValue": {"values": [{"value": …`); the rest is
/// what surrounds them.
const LEVELS_MAX: usize = 4 * NESTING_MAX + 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Request<'a> {
    #[serde(borrow, default, alias = "resourceLogs")]
    resource_spans: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Group<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "scopeLogs")]
    scope_spans: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Scope<'a> {
    #[serde(borrow, default, alias = "logRecords")]
    spans: Option<&'a RawValue>,
}

/// Calls `visit` with each element of a list. Nothing is gathered: `{},` has three bytes, and whatever stands for it in
/// memory has many times as many.
struct Each<'v, 'a> {
    visit: &'v mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
    failed: &'v mut Option<Reason>,
}

impl<'de> Visitor<'de> for Each<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element::<&'de RawValue>()? {
            if let Err(reason) = (self.visit)(element.get().as_bytes()) {
                *self.failed = Some(reason);
                break;
            }
        }
        Ok(())
    }
}

fn each<'a>(
    list: Option<&'a RawValue>,
    visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
) -> Result<(), Reason> {
    let Some(list) = list else { return Ok(()) };
    let mut failed = None;
    let each = Each {
        visit,
        failed: &mut failed,
    };
    let mut json = serde_json::Deserializer::from_str(list.get());
    let read = json.deserialize_seq(each);
    match failed {
        Some(reason) => Err(reason),
        None => read.map_err(|_| wrong("a list")),
    }
}

/// Visits the groups of a request: a resource and its items.
pub(super) fn groups<'a>(
    request: &'a [u8],
    visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
) -> Result<(), Reason> {
    // This reads all of it once: what is wrong further in is of the wrong kind, and no longer a matter of syntax.
    let Object(request): Object<Request<'_>> = serde_json::from_slice(request)
        .map_err(|error| Reason::new(format!("this is no OTLP request in JSON: {error}")))?;
    each(request.resource_spans, visit)
}

fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Reason> {
    let object = serde_json::from_slice::<Object<T>>(json);
    object
        .map(|Object(object)| object)
        .map_err(|_| wrong("an object"))
}

/// Finds a group's resource.
pub(super) fn resource_of(group: &[u8]) -> Result<Option<&[u8]>, Reason> {
    let group: Group<'_> = object(group)?;
    Ok(group.resource.map(|json| json.get().as_bytes()))
}

/// Visits a group's items.
pub(super) fn items<'a>(
    group: &'a [u8],
    visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
) -> Result<(), Reason> {
    let group: Group<'_> = object(group)?;
    each(group.scope_spans, &mut |scope| {
        let scope: Scope<'_> = object(scope)?;
        each(scope.spans, visit)
    })
}

pub(super) fn resource(json: &[u8]) -> Result<Fields<'_>, Reason> {
    let mut fields = fields(value(json)?)?;
    key_values(take(&mut fields, "attributes"), &mut Budget::new())
}

pub(super) fn item(signal: Signal, json: &[u8]) -> Result<Item<'_>, Reason> {
    let mut fields = fields(value(json)?)?;
    let mut budget = Budget::new();
    let mut item = Item {
        trace_id: id(take(&mut fields, "traceId"), 32)?,
        span_id: id(take(&mut fields, "spanId"), 16)?,
        ..Item::default()
    };
    let (name, time) = match signal {
        Signal::Traces => ("name", "startTimeUnixNano"),
        Signal::Logs => ("eventName", "timeUnixNano"),
    };
    item.event = Event {
        name: text(take(&mut fields, name))?,
        time: nanoseconds(take(&mut fields, time))?,
        attributes: key_values(take(&mut fields, "attributes"), &mut budget)?,
        body: any_value(take(&mut fields, "body"), NESTING_MAX, &mut budget)?,
    };
    if item.event.time == 0 && signal == Signal::Logs {
        item.event.time = nanoseconds(take(&mut fields, "observedTimeUnixNano"))?;
    }
    for event in list(take(&mut fields, "events"))? {
        let mut fields = self::fields(event)?;
        item.events.push(Event {
            name: text(take(&mut fields, "name"))?,
            time: nanoseconds(take(&mut fields, "timeUnixNano"))?,
            attributes: key_values(take(&mut fields, "attributes"), &mut budget)?,
            body: Value::Null,
        });
    }
    Ok(item)
}

fn value(json: &[u8]) -> Result<Value<'_>, Reason> {
    let json = std::str::from_utf8(json).map_err(|_| Reason::new("a text is not UTF-8"))?;
    parse(json, LEVELS_MAX).map_err(|fault| match fault {
        Fault::Syntax(_) => wrong("a JSON value"),
        Fault::Limit(reason) => reason,
    })
}

fn wrong(expected: &str) -> Reason {
    Reason::new(format!(
        "this is no OTLP in JSON: {expected} is expected where something else is"
    ))
}

fn take<'a>(fields: &mut Fields<'a>, name: &str) -> Value<'a> {
    let found = fields.iter_mut().find(|(known, _)| known == name);
    found.map_or(Value::Null, |(_, value)| {
        std::mem::replace(value, Value::Null)
    })
}

fn fields(value: Value<'_>) -> Result<Fields<'_>, Reason> {
    match value {
        Value::Map(fields) => Ok(fields),
        Value::Null => Ok(Fields::new()),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
            Err(wrong("an object"))
        }
    }
}

fn list(value: Value<'_>) -> Result<Vec<Value<'_>>, Reason> {
    match value {
        Value::List(values) => Ok(values),
        Value::Null => Ok(Vec::new()),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => Err(wrong("a list")),
    }
}

fn text(value: Value<'_>) -> Result<Cow<'_, str>, Reason> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Null => Ok(Cow::Borrowed("")),
        Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => Err(wrong("a text")),
    }
}

/// 64-bit numbers are texts in OTLP's JSON; some emitters write numbers.
fn digits<N: std::str::FromStr>(value: Value<'_>) -> Result<N, Reason> {
    match &value {
        Value::Text(digits) | Value::Number(digits) => {
            digits.parse().map_err(|_| wrong("a whole number"))
        }
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
            Err(wrong("a whole number"))
        }
    }
}

fn nanoseconds(value: Value<'_>) -> Result<u64, Reason> {
    match value {
        Value::Null => Ok(0),
        value @ (Value::Bool(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::List(_)
        | Value::Map(_)) => digits(value),
    }
}

fn id(value: Value<'_>, length: usize) -> Result<String, Reason> {
    let id = text(value)?.to_ascii_lowercase();
    if id.bytes().all(|digit| digit == b'0') {
        return Ok(String::new());
    }
    if id.len() != length || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong("an id in hexadecimal digits"));
    }
    Ok(id)
}

fn key_values<'a>(value: Value<'a>, budget: &mut Budget) -> Result<Fields<'a>, Reason> {
    let pairs = list(value)?.into_iter();
    pairs
        .map(|pair| key_value(pair, NESTING_MAX, budget))
        .collect()
}

fn key_value<'a>(
    pair: Value<'a>,
    depth_left: usize,
    budget: &mut Budget,
) -> Result<(Cow<'a, str>, Value<'a>), Reason> {
    budget.take()?;
    let mut fields = fields(pair)?;
    let key = text(take(&mut fields, "key"))?;
    Ok((
        key,
        any_value(take(&mut fields, "value"), depth_left, budget)?,
    ))
}

fn any_value<'a>(
    value: Value<'a>,
    depth_left: usize,
    budget: &mut Budget,
) -> Result<Value<'a>, Reason> {
    let known = fields(value)?
        .into_iter()
        .rfind(|(_, value)| *value != Value::Null);
    let Some((kind, value)) = known else {
        return Ok(Value::Null);
    };
    match (kind.as_ref(), value) {
        ("stringValue" | "bytesValue", value) => Ok(Value::Text(text(value)?)),
        ("boolValue", value @ Value::Bool(_)) => Ok(value),
        ("intValue", value) => Ok(Value::Number(Cow::Owned(digits::<i64>(value)?.to_string()))),
        ("doubleValue", Value::Number(digits) | Value::Text(digits)) => {
            let number: f64 = digits.parse().map_err(|_| wrong("a number"))?;
            Ok(Value::double(number))
        }
        ("arrayValue" | "kvlistValue", value) => {
            let depth_left = depth_left.checked_sub(1).ok_or_else(nesting::too_deep)?;
            let values = list(take(&mut fields(value)?, "values"))?.into_iter();
            if kind == "kvlistValue" {
                let pairs = values.map(|pair| key_value(pair, depth_left, budget));
                return Ok(Value::Map(pairs.collect::<Result<_, _>>()?));
            }
            let values = values.map(|value| any_value(value, depth_left, budget));
            Ok(Value::List(values.collect::<Result<_, _>>()?))
        }
        _ => Err(wrong("a value of a known type")),
    }
}
