//! What a row holds: as arrays have it, and as it follows from a whole document.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use bson::{Bson, Decimal128, Document};

use crate::{Column, Kind};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Boolean(bool),
    Integer(i64),
    /// The bits of a double.
    Double(u64),
    Decimal(i128),
    Millis(i64),
    Bytes(Vec<u8>),
}

/// Row by row, column by column.
pub(super) fn cells(batch: &RecordBatch, columns: &[Column]) -> Vec<Vec<Option<Cell>>> {
    (0..batch.num_rows())
        .map(|row| {
            let columns = columns.iter().zip(batch.columns());
            columns
                .map(|(column, array)| at(column.kind, array, row))
                .collect()
        })
        .collect()
}

fn at(kind: Kind, array: &dyn Array, row: usize) -> Option<Cell> {
    if array.is_null(row) {
        return None;
    }
    Some(match kind {
        Kind::String | Kind::ObjectId | Kind::Json => {
            Cell::Text(array.as_string::<i32>().value(row).to_owned())
        }
        Kind::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        Kind::BigInt => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
        Kind::Double => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        Kind::Decimal { .. } => Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        Kind::Timestamp => {
            Cell::Millis(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        Kind::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
    })
}

/// The cell, and whether there is a value that does not fit.
pub(super) fn expected(document: &Document, column: &Column) -> (Option<Cell>, bool) {
    let mut value: Option<&Bson> = None;
    let mut within = Some(document);
    for field in column.path.fields() {
        let Some(document) = within else {
            // Something that is not a document is on the way.
            return (
                None,
                !matches!(value, None | Some(Bson::Null | Bson::Undefined)),
            );
        };
        value = document.get(field);
        within = value.and_then(Bson::as_document);
    }
    match value {
        None | Some(Bson::Null | Bson::Undefined) => (None, false),
        Some(value) => {
            let cell = fitting(value, column.kind);
            let is_misfit = cell.is_none();
            (cell, is_misfit)
        }
    }
}

fn fitting(value: &Bson, kind: Kind) -> Option<Cell> {
    Some(match (kind, value) {
        (Kind::String, Bson::String(text)) => Cell::Text(text.clone()),
        (Kind::ObjectId, Bson::ObjectId(id)) => Cell::Text(id.to_hex()),
        (Kind::Boolean, Bson::Boolean(value)) => Cell::Boolean(*value),
        (Kind::BigInt, Bson::Int32(number)) => Cell::Integer((*number).into()),
        (Kind::BigInt, Bson::Int64(number)) => Cell::Integer(*number),
        (Kind::Double, Bson::Int32(number)) => Cell::Double(f64::from(*number).to_bits()),
        (Kind::Double, Bson::Int64(number)) => Cell::Double((*number as f64).to_bits()),
        (Kind::Double, Bson::Double(number)) if number.is_nan() => Cell::Double(f64::NAN.to_bits()),
        (Kind::Double, Bson::Double(number)) if *number == 0.0 => Cell::Double(0),
        (Kind::Double, Bson::Double(number)) => Cell::Double(number.to_bits()),
        (Kind::Decimal { precision, scale }, number) => {
            let text = match number {
                Bson::Int32(number) => number.to_string(),
                Bson::Int64(number) => number.to_string(),
                Bson::Decimal128(number) => number.to_string(),
                _ => return None,
            };
            Cell::Decimal(unscaled(&text, precision, scale)?)
        }
        (Kind::Timestamp, Bson::DateTime(date)) => Cell::Millis(date.timestamp_millis()),
        (Kind::Binary, Bson::Binary(binary)) => Cell::Bytes(binary.bytes.clone()),
        (Kind::Json, value) => Cell::Text(json(value)),
        _ => return None,
    })
}

/// By moving digits.
fn unscaled(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte == b'0') {
        return Some(0);
    }
    let shift = exponent.parse::<i32>().unwrap() - fraction.len() as i32 + i32::from(scale);
    for _ in shift..0 {
        digits = digits.strip_suffix('0')?.to_owned();
    }
    digits.extend(std::iter::repeat_n('0', shift.max(0) as usize));
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(precision) {
        return None;
    }
    Some(sign * digits.parse::<i128>().unwrap())
}

pub(super) fn json(value: &Bson) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    match value {
        Bson::Null | Bson::Undefined => "null".into(),
        Bson::String(text) => quoted(text),
        Bson::Boolean(value) => value.to_string(),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => number.to_string(),
        Bson::Double(number) if number.is_nan() => "\"NaN\"".into(),
        Bson::Double(number) if number.is_infinite() => if *number > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        }
        .into(),
        Bson::Double(number) => format!("{number:?}"),
        Bson::Decimal128(number) => decimal(*number),
        Bson::ObjectId(id) => quoted(&id.to_hex()),
        Bson::DateTime(date) => match date.try_to_rfc3339_string() {
            Ok(text) if text.len() <= 24 && !text.starts_with(['-', '+']) => {
                quoted(&three_digits(&text))
            }
            _ => value.clone().into_canonical_extjson().to_string(),
        },
        Bson::Binary(binary) => {
            use base64::Engine;
            quoted(&base64::prelude::BASE64_STANDARD.encode(&binary.bytes))
        }
        Bson::Array(values) => {
            let values: Vec<String> = values.iter().map(json).collect();
            format!("[{}]", values.join(","))
        }
        Bson::Document(document) => object(document),
        Bson::JavaScriptCodeWithScope(code) => {
            format!(
                "{{\"$code\":{},\"$scope\":{}}}",
                quoted(&code.code),
                object(&code.scope)
            )
        }
        Bson::JavaScriptCode(code) => format!("{{\"$code\":{}}}", quoted(code)),
        Bson::Symbol(symbol) => format!("{{\"$symbol\":{}}}", quoted(symbol)),
        Bson::RegularExpression(regex) => format!(
            "{{\"$regularExpression\":{{\"pattern\":{},\"options\":{}}}}}",
            quoted(regex.pattern.as_str()),
            quoted(regex.options.as_str())
        ),
        Bson::Timestamp(timestamp) => format!(
            "{{\"$timestamp\":{{\"t\":{},\"i\":{}}}}}",
            timestamp.time, timestamp.increment
        ),
        Bson::MinKey => "{\"$minKey\":1}".into(),
        Bson::MaxKey => "{\"$maxKey\":1}".into(),
        Bson::DbPointer(_) => unreachable!("no test has one"),
    }
}

fn object(document: &Document) -> String {
    let fields = document.iter();
    let fields: Vec<String> = fields
        .map(|(key, value)| format!("{}:{}", serde_json::to_string(key).unwrap(), json(value)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

/// A second's fraction has none or three.
fn three_digits(date: &str) -> String {
    match date.trim_end_matches('Z').split_once('.') {
        Some((seconds, fraction)) => format!("{seconds}.{fraction:0<3}Z"),
        None => date.to_owned(),
    }
}

fn decimal(number: Decimal128) -> String {
    let text = number.to_string();
    let is_number = text.ends_with(|last: char| last.is_ascii_digit());
    if is_number && text.parse::<f64>().unwrap().abs() < 1e308 {
        return text;
    }
    format!("\"{text}\"")
}
