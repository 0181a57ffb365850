//! OTLP in Protocol Buffers, read field by field without copying texts.
//!
//! A reader of our own: a generated one reads a request as a whole, so that one span that cannot be read takes all
//! others with it, and it stops at fewer levels of values than are accepted here.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::model::{Event, Item, Signal, hex};
use super::value::{Budget, Fields, Value};
use crate::{NESTING_MAX, Reason, nesting};

#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

struct Reader<'a> {
    rest: &'a [u8],
}

fn broken() -> Reason {
    Reason::new("this is no protobuf message of OTLP: a field is cut off or malformed")
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and content; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Content<'a>)>, Reason> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let content = match tag & 7 {
            0 => Content::Varint(self.varint()?),
            1 => Content::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| broken())?;
                Content::Bytes(self.take(length)?)
            }
            5 => {
                self.array::<4>()?;
                Content::Fixed32
            }
            _ => return Err(broken()),
        };
        Ok(Some((tag >> 3, content)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Reason> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(broken)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(broken)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, Reason> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken())
    }
}

impl<'a> Content<'a> {
    fn bytes(self) -> Result<&'a [u8], Reason> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32 => Err(broken()),
        }
    }

    fn text(self) -> Result<Cow<'a, str>, Reason> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(Cow::Borrowed)
            .map_err(|_| Reason::new("a text is not UTF-8"))
    }

    fn fixed64(self) -> Result<u64, Reason> {
        match self {
            Self::Fixed64(number) => Ok(number),
            Self::Varint(_) | Self::Fixed32 | Self::Bytes(_) => Err(broken()),
        }
    }

    fn varint(self) -> Result<u64, Reason> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Fixed64(_) | Self::Fixed32 | Self::Bytes(_) => Err(broken()),
        }
    }
}

/// Calls `visit` with each field of a message that has this number. Nothing is gathered: an empty field has two bytes,
/// and whatever stands for it in memory has many times as many.
fn each<'a>(
    message: &'a [u8],
    number: u64,
    visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
) -> Result<(), Reason> {
    let mut reader = Reader::new(message);
    while let Some((found, content)) = reader.next()? {
        if found == number {
            visit(content.bytes()?)?;
        }
    }
    Ok(())
}

// `resource_spans` and `resource_logs`, `scope_spans` and `scope_logs`, `spans` and `log_records` have one number each
// in both signals.

/// Visits the groups of a request: a resource and its items.
pub(super) fn groups<'a>(
    request: &'a [u8],
    visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
) -> Result<(), Reason> {
    each(request, 1, visit)
}

/// Finds a group's resource.
pub(super) fn resource_of(group: &[u8]) -> Result<Option<&[u8]>, Reason> {
    let mut found = None;
    each(group, 1, &mut |resource| {
        found = Some(resource);
        Ok(())
    })?;
    Ok(found)
}

/// Visits a group's items.
pub(super) fn items<'a>(
    group: &'a [u8],
    visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
) -> Result<(), Reason> {
    each(group, 2, &mut |scope| each(scope, 2, visit))
}

pub(super) fn resource(bytes: &[u8]) -> Result<Fields<'_>, Reason> {
    let mut fields = Fields::new();
    let mut budget = Budget::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        if number == 1 {
            fields.push(key_value(content.bytes()?, NESTING_MAX, &mut budget)?);
        }
    }
    Ok(fields)
}

pub(super) fn item(signal: Signal, bytes: &[u8]) -> Result<Item<'_>, Reason> {
    match signal {
        Signal::Traces => span(bytes),
        Signal::Logs => log_record(bytes),
    }
}

fn span(bytes: &[u8]) -> Result<Item<'_>, Reason> {
    let mut span = Item::default();
    let mut budget = Budget::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        match number {
            1 => span.trace_id = hex(content.bytes()?),
            2 => span.span_id = hex(content.bytes()?),
            5 => span.event.name = content.text()?,
            7 => span.event.time = content.fixed64()?,
            9 => {
                let attribute = key_value(content.bytes()?, NESTING_MAX, &mut budget)?;
                span.event.attributes.push(attribute);
            }
            11 => span.events.push(event(content.bytes()?, &mut budget)?),
            _ => {}
        }
    }
    Ok(span)
}

fn event<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Event<'a>, Reason> {
    budget.take()?;
    let mut event = Event::default();
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        match number {
            1 => event.time = content.fixed64()?,
            2 => event.name = content.text()?,
            3 => {
                let attribute = key_value(content.bytes()?, NESTING_MAX, budget)?;
                event.attributes.push(attribute);
            }
            _ => {}
        }
    }
    Ok(event)
}

fn log_record(bytes: &[u8]) -> Result<Item<'_>, Reason> {
    let mut record = Item::default();
    let mut observed = 0;
    let mut budget = Budget::new();
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        match number {
            1 => record.event.time = content.fixed64()?,
            5 => record.event.body = any_value(content.bytes()?, NESTING_MAX, &mut budget)?,
            6 => {
                let attribute = key_value(content.bytes()?, NESTING_MAX, &mut budget)?;
                record.event.attributes.push(attribute);
            }
            9 => record.trace_id = hex(content.bytes()?),
            10 => record.span_id = hex(content.bytes()?),
            11 => observed = content.fixed64()?,
            12 => record.event.name = content.text()?,
            _ => {}
        }
    }
    if record.event.time == 0 {
        record.event.time = observed;
    }
    Ok(record)
}

fn key_value<'a>(
    bytes: &'a [u8],
    depth_left: usize,
    budget: &mut Budget,
) -> Result<(Cow<'a, str>, Value<'a>), Reason> {
    budget.take()?;
    let (mut key, mut value) = (Cow::Borrowed(""), Value::Null);
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        match number {
            1 => key = content.text()?,
            2 => value = any_value(content.bytes()?, depth_left, budget)?,
            _ => {}
        }
    }
    Ok((key, value))
}

fn any_value<'a>(
    bytes: &'a [u8],
    depth_left: usize,
    budget: &mut Budget,
) -> Result<Value<'a>, Reason> {
    let mut value = Value::Null;
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        value = match number {
            1 => Value::Text(content.text()?),
            2 => Value::Bool(content.varint()? != 0),
            3 => Value::Number(Cow::Owned(content.varint()?.cast_signed().to_string())),
            4 => Value::double(f64::from_bits(content.fixed64()?)),
            5 | 6 => {
                let depth_left = depth_left.checked_sub(1).ok_or_else(nesting::too_deep)?;
                nested(number == 6, content.bytes()?, depth_left, budget)?
            }
            7 => Value::Text(Cow::Owned(BASE64.encode(content.bytes()?))),
            _ => value,
        };
    }
    Ok(value)
}

fn nested<'a>(
    is_map: bool,
    bytes: &'a [u8],
    depth_left: usize,
    budget: &mut Budget,
) -> Result<Value<'a>, Reason> {
    let (mut values, mut fields) = (Vec::new(), Fields::new());
    let mut reader = Reader::new(bytes);
    while let Some((number, content)) = reader.next()? {
        if number != 1 {
            continue;
        }
        budget.take()?;
        if is_map {
            fields.push(key_value(content.bytes()?, depth_left, budget)?);
        } else {
            values.push(any_value(content.bytes()?, depth_left, budget)?);
        }
    }
    Ok(if is_map {
        Value::Map(fields)
    } else {
        Value::List(values)
    })
}
