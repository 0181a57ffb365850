//! Values as JSON text.
//!
//! What JSON has is written as that. An ObjectId is text of 24 hexadecimal digits, a date is text in RFC 3339, binary
//! data is text in Base64, a number that is none (or a decimal beyond all doubles) is text too. Everything else is an
//! object as MongoDB's Extended JSON has it. Keys stay in their order, and each where it is, even one that comes twice.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Datelike, SecondsFormat};

use crate::decimal::Decimal;
use crate::elements::{DEPTH_MAX, Elements, Value};
use crate::error::Error;

/// Appends a value. The text is not whole when that fails.
pub(crate) fn append(value: Value<'_>, text: &mut String) -> Result<(), Error> {
    append_at(value, text, 0)
}

fn append_at(value: Value<'_>, text: &mut String, depth: usize) -> Result<(), Error> {
    match value {
        Value::Document(document) => return append_document(document, text, depth),
        Value::Array(array) => return append_array(array, text, depth),
        Value::CodeWithScope { code, scope } => {
            text.push_str("{\"$code\":");
            append_text(&lossy(code), text);
            text.push_str(",\"$scope\":");
            append_document(scope, text, depth)?;
            text.push('}');
        }
        Value::String(string) => append_text(&lossy(string), text),
        Value::Null | Value::Undefined => text.push_str("null"),
        Value::Boolean(true) => text.push_str("true"),
        Value::Boolean(false) => text.push_str("false"),
        Value::Int32(number) => append_display(number, text),
        Value::Int64(number) => append_display(number, text),
        Value::Double(number) => append_double(number, text),
        Value::Decimal128(bits) => match Decimal::from_bits(bits) {
            decimal if decimal.is_json_number() => append_display(decimal, text),
            decimal => append_display(format_args!("\"{decimal}\""), text),
        },
        Value::ObjectId(id) => append_display(format_args!("\"{}\"", Hex(id)), text),
        Value::DateTime(millis) => append_date(millis, text),
        Value::Binary(bytes) => {
            let base64 = Base64Display::new(bytes, &BASE64_STANDARD);
            append_display(format_args!("\"{base64}\""), text);
        }
        value => append_other(value, text),
    }
    Ok(())
}

fn append_document(document: &[u8], text: &mut String, depth: usize) -> Result<(), Error> {
    let mut elements = within(document, depth)?;
    text.push('{');
    let mut is_first = true;
    while let Some((key, value)) = elements.next()? {
        if !is_first {
            text.push(',');
        }
        is_first = false;
        append_text(&lossy(key), text);
        text.push(':');
        append_at(value, text, depth + 1)?;
    }
    text.push('}');
    Ok(())
}

fn append_array(array: &[u8], text: &mut String, depth: usize) -> Result<(), Error> {
    let mut elements = within(array, depth)?;
    text.push('[');
    let mut is_first = true;
    while let Some((_, value)) = elements.next()? {
        if !is_first {
            text.push(',');
        }
        is_first = false;
        append_at(value, text, depth + 1)?;
    }
    text.push(']');
    Ok(())
}

fn within(document: &[u8], depth: usize) -> Result<Elements<'_>, Error> {
    if depth == DEPTH_MAX {
        return Err(Error::TooDeep);
    }
    Elements::of(document)
}

/// Types that JSON has no likeness of.
fn append_other(value: Value<'_>, text: &mut String) {
    match value {
        Value::Regex { pattern, options } => {
            text.push_str("{\"$regularExpression\":{\"pattern\":");
            append_text(&lossy(pattern), text);
            text.push_str(",\"options\":");
            append_text(&lossy(options), text);
            text.push_str("}}");
        }
        Value::DbPointer { namespace, id } => {
            text.push_str("{\"$dbPointer\":{\"$ref\":");
            append_text(&lossy(namespace), text);
            append_display(
                format_args!(",\"$id\":{{\"$oid\":\"{}\"}}}}}}", Hex(id)),
                text,
            );
        }
        Value::Code(code) => {
            text.push_str("{\"$code\":");
            append_text(&lossy(code), text);
            text.push('}');
        }
        Value::Symbol(symbol) => {
            text.push_str("{\"$symbol\":");
            append_text(&lossy(symbol), text);
            text.push('}');
        }
        Value::Timestamp { time, increment } => append_display(
            format_args!("{{\"$timestamp\":{{\"t\":{time},\"i\":{increment}}}}}"),
            text,
        ),
        Value::MinKey => text.push_str("{\"$minKey\":1}"),
        // All others are written before.
        _ => text.push_str("{\"$maxKey\":1}"),
    }
}

/// The shortest text that reads back as the same double.
fn append_double(number: f64, text: &mut String) {
    match number {
        number if number.is_nan() => text.push_str("\"NaN\""),
        f64::INFINITY => text.push_str("\"Infinity\""),
        f64::NEG_INFINITY => text.push_str("\"-Infinity\""),
        number => append_display(format_args!("{number:?}"), text),
    }
}

/// RFC 3339 knows four digits of a year; other dates are Extended JSON.
fn append_date(millis: i64, text: &mut String) {
    match DateTime::from_timestamp_millis(millis) {
        Some(date) if (0..=9999).contains(&date.year()) => {
            let date = date.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            append_display(format_args!("\"{date}\""), text);
        }
        _ => append_display(
            format_args!("{{\"$date\":{{\"$numberLong\":\"{millis}\"}}}}"),
            text,
        ),
    }
}

/// A JSON string.
fn append_text(string: &str, text: &mut String) {
    text.push('"');
    let mut from = 0;
    for (at, byte) in string.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        text.push_str(&string[from..at]);
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            _ => append_display(format_args!("\\u{byte:04x}"), text),
        }
        from = at + 1;
    }
    text.push_str(&string[from..]);
    text.push('"');
}

fn lossy(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

fn append_display(value: impl fmt::Display, text: &mut String) {
    write!(text, "{value}").expect("memory takes every text");
}

/// Hexadecimal digits, small letters.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}
