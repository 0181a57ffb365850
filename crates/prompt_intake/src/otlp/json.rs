//! OTLP in JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::model::{Event, Group, Item, Signal};
use super::value::{Budget, Fault, Fields, Value, parse};
use crate::{NESTING_MAX, Object, Reason, nesting};

/// Each level of OpenTelemetry's values is up to four of JSON (`{"kvlistValue": {"values": [{"value": …`); the rest is
/// what surrounds them.
const LEVELS_MAX: usize = 4 * NESTING_MAX + 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Request<'a> {
    #[serde(borrow, default, alias = "resourceLogs")]
    resource_spans: Option<Vec<Object<OfResource<'a>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct OfResource<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "scopeLogs")]
    scope_spans: Option<Vec<Object<OfScope<'a>>>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct OfScope<'a> {
    #[serde(borrow, default, alias = "logRecords")]
    spans: Option<Vec<&'a RawValue>>,
}

/// Finds the items of a request and their resources, and reads none of them.
pub(super) fn groups(request: &[u8]) -> Result<Vec<Group<'_>>, Reason> {
    let Object(request): Object<Request<'_>> = serde_json::from_slice(request)
        .map_err(|error| Reason::new(format!("this is no OTLP request in JSON: {error}")))?;
    let groups = request.resource_spans.unwrap_or_default().into_iter();
    Ok(groups
        .map(|Object(group)| {
            let scopes = group.scope_spans.unwrap_or_default().into_iter();
            Group {
                resource: group.resource.map(|json| json.get().as_bytes()),
                items: scopes
                    .flat_map(|Object(scope)| scope.spans.unwrap_or_default())
                    .map(|json| json.get().as_bytes())
                    .collect(),
            }
        })
        .collect())
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
