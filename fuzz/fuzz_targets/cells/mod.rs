//! Types and values made of arbitrary bytes, as arrays, and what their JSON must decode to.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int64Type,
    TimestampMicrosecondType, TimestampNanosecondType, UInt64Type,
};
use arrow_array::{
    ArrayRef, BinaryViewArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray,
    StringViewArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{Field, Fields};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{NaiveDate, NaiveDateTime};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::Value;

const ITEMS_MAX: usize = 4;
const EXACT_INTEGER_MAX: u64 = (1 << 53) - 1;

#[derive(Clone, Debug)]
pub(crate) enum Type {
    Boolean,
    Byte,
    Long,
    Unsigned,
    Single,
    Double,
    Text,
    View,
    Bytes,
    Decimal(i8),
    Date,
    Micros,
    Nanos,
    List(Box<Type>),
    Struct(Vec<Type>),
    TextMap(Box<Type>),
    LongMap(Box<Type>),
}

impl Type {
    pub(crate) fn any(input: &mut Unstructured<'_>, depth: u8) -> Result<Self> {
        let inner = |input: &mut Unstructured<'_>| Self::any(input, depth - 1);
        let kinds = if depth == 0 { 12 } else { 16 };
        Ok(match input.int_in_range(0..=kinds)? {
            0 => Self::Boolean,
            1 => Self::Byte,
            2 => Self::Long,
            3 => Self::Unsigned,
            4 => Self::Single,
            5 => Self::Double,
            6 => Self::Text,
            7 => Self::View,
            8 => Self::Bytes,
            9 => Self::Decimal(input.int_in_range(-38..=38)?),
            10 => Self::Date,
            11 => Self::Micros,
            12 => Self::Nanos,
            13 => Self::List(Box::new(inner(input)?)),
            14 => {
                let fields = input.int_in_range(1..=3)?;
                Self::Struct((0..fields).map(|_| inner(input)).collect::<Result<_>>()?)
            }
            15 => Self::TextMap(Box::new(inner(input)?)),
            _ => Self::LongMap(Box::new(inner(input)?)),
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Boolean(bool),
    Byte(i8),
    Long(i64),
    Unsigned(u64),
    Single(f32),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Decimal(i128, i8),
    Date(i32),
    Micros(i64),
    Nanos(i64),
    List(Vec<Cell>),
    Struct(Vec<Cell>),
    Map(Vec<(Cell, Cell)>),
}

impl Cell {
    pub(crate) fn any(kind: &Type, input: &mut Unstructured<'_>) -> Result<Self> {
        if input.ratio(1_u8, 8_u8)? {
            return Ok(Self::Null);
        }
        Ok(match kind {
            Type::Boolean => Self::Boolean(input.arbitrary()?),
            Type::Byte => Self::Byte(input.arbitrary()?),
            Type::Long => Self::Long(input.arbitrary()?),
            Type::Unsigned => Self::Unsigned(input.arbitrary()?),
            Type::Single => Self::Single(f32::from_bits(input.arbitrary()?)),
            Type::Double => Self::Double(f64::from_bits(input.arbitrary()?)),
            Type::Text | Type::View => Self::Text(input.arbitrary()?),
            Type::Bytes => Self::Bytes(input.arbitrary()?),
            Type::Decimal(scale) => {
                let end = 10_i128.pow(38) - 1;
                Self::Decimal(input.arbitrary::<i128>()?.clamp(-end, end), *scale)
            }
            Type::Date => Self::Date(input.arbitrary()?),
            Type::Micros => Self::Micros(input.arbitrary()?),
            Type::Nanos => Self::Nanos(input.arbitrary()?),
            Type::List(item) => {
                let items = input.int_in_range(0..=ITEMS_MAX)?;
                Self::List(
                    (0..items)
                        .map(|_| Self::any(item, input))
                        .collect::<Result<_>>()?,
                )
            }
            Type::Struct(fields) => {
                let cells = fields.iter().map(|kind| Self::any(kind, input));
                Self::Struct(cells.collect::<Result<_>>()?)
            }
            Type::TextMap(value) => {
                let keys: BTreeSet<String> = (0..input.int_in_range(0..=ITEMS_MAX)?)
                    .map(|_| input.arbitrary())
                    .collect::<Result<_>>()?;
                let entries = keys
                    .into_iter()
                    .map(|key| Ok((Self::Text(key), Self::any(value, input)?)));
                Self::Map(entries.collect::<Result<_>>()?)
            }
            Type::LongMap(value) => {
                let entries = input.int_in_range(0..=ITEMS_MAX)?;
                let entries = (0..entries)
                    .map(|_| Ok((Self::Long(input.arbitrary()?), Self::any(value, input)?)));
                Self::Map(entries.collect::<Result<_>>()?)
            }
        })
    }

    /// Whether a whole number of 64 bits in it is more than a double holds.
    pub(crate) fn is_large(&self) -> bool {
        match self {
            Self::Long(value) => value.unsigned_abs() > EXACT_INTEGER_MAX,
            Self::Unsigned(value) => *value > EXACT_INTEGER_MAX,
            Self::List(items) | Self::Struct(items) => items.iter().any(Self::is_large),
            Self::Map(entries) => entries
                .iter()
                .any(|(key, value)| key.is_large() || value.is_large()),
            _ => false,
        }
    }

    /// The JSON decodes to this value.
    pub(crate) fn check(&self, json: &Value, as_text: bool) {
        let text = || json.as_str().unwrap_or_else(|| panic!("no text: {json}"));
        match self {
            Self::Null => assert!(json.is_null(), "{json}"),
            Self::Boolean(value) => assert_eq!(json.as_bool(), Some(*value)),
            Self::Byte(value) => assert_eq!(whole(json, false), i128::from(*value)),
            Self::Long(value) => assert_eq!(whole(json, as_text), i128::from(*value)),
            Self::Unsigned(value) => assert_eq!(whole(json, as_text), i128::from(*value)),
            Self::Single(value) => {
                // The shortest text is that of a single: to be read as one.
                let read: f32 = json
                    .as_str()
                    .map_or_else(|| json.to_string(), str::to_owned)
                    .parse()
                    .expect("a number");
                assert!(
                    read.to_bits() == value.to_bits() || read.is_nan() && value.is_nan(),
                    "{json} {value}"
                );
            }
            Self::Double(value) => {
                let read: f64 = json
                    .as_str()
                    .map_or_else(|| json.to_string(), str::to_owned)
                    .parse()
                    .expect("a number");
                assert!(
                    read.to_bits() == value.to_bits() || read.is_nan() && value.is_nan(),
                    "{json} {value}"
                );
            }
            Self::Text(value) => assert_eq!(text(), value),
            Self::Bytes(value) => {
                assert_eq!(&BASE64_STANDARD.decode(text()).expect("base64"), value)
            }
            Self::Decimal(value, scale) => check_decimal(text(), *value, *scale),
            Self::Date(value) => {
                let read = read_day(text());
                assert_eq!(
                    read.signed_duration_since(NaiveDate::default()).num_days(),
                    i64::from(*value)
                );
            }
            Self::Micros(value) => {
                let (day, time) = text()
                    .strip_suffix('Z')
                    .and_then(|text| text.split_once('T'))
                    .expect("an instant");
                let read = read_day(day).and_time(time.parse().expect("a time"));
                assert_eq!(read.and_utc().timestamp_micros(), *value);
            }
            Self::Nanos(value) => {
                let read: NaiveDateTime = text().parse().expect("an instant");
                assert_eq!(read.and_utc().timestamp_nanos_opt(), Some(*value));
            }
            Self::List(items) => {
                let read = json.as_array().expect("a list");
                assert_eq!(read.len(), items.len());
                items
                    .iter()
                    .zip(read)
                    .for_each(|(item, json)| item.check(json, as_text));
            }
            Self::Struct(fields) => {
                let read = json.as_object().expect("an object");
                assert_eq!(read.len(), fields.len());
                for (index, field) in fields.iter().enumerate() {
                    field.check(&read[&format!("f{index}")], as_text);
                }
            }
            Self::Map(entries) => check_map(entries, json, as_text),
        }
    }
}

fn check_map(entries: &[(Cell, Cell)], json: &Value, as_text: bool) {
    match json {
        Value::Object(read) => {
            assert_eq!(read.len(), entries.len());
            for (key, value) in entries {
                let Cell::Text(key) = key else {
                    panic!("{json}")
                };
                value.check(&read[key], as_text);
            }
        }
        Value::Array(read) => {
            assert_eq!(read.len(), entries.len());
            for ((key, value), entry) in entries.iter().zip(read) {
                key.check(&entry["key"], as_text);
                value.check(&entry["value"], as_text);
            }
        }
        _ => panic!("{json}"),
    }
}

fn whole(json: &Value, as_text: bool) -> i128 {
    assert_eq!(json.is_string(), as_text, "{json}");
    let text = json
        .as_str()
        .map_or_else(|| json.to_string(), str::to_owned);
    text.parse().expect("a whole number")
}

fn check_decimal(text: &str, value: i128, scale: i8) {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert_eq!(
        fraction.len(),
        usize::from(scale.max(0).unsigned_abs()),
        "{text}"
    );
    let digits = format!("{whole}{fraction}");
    // Beyond its digits a negative scale has zeros.
    let zeros = "0".repeat(usize::from(scale.min(0).unsigned_abs()));
    let digits = match value {
        0 => digits.as_str(),
        _ => digits
            .strip_suffix(&zeros)
            .unwrap_or_else(|| panic!("{text} {scale}")),
    };
    assert_eq!(digits.parse::<i128>().expect("digits"), value, "{text}");
}

fn read_day(text: &str) -> NaiveDate {
    let (year, rest) = text.split_at(text.len() - "-01-01".len());
    let month = rest[1..3].parse().expect("a month");
    let day = rest[4..].parse().expect("a day");
    NaiveDate::from_ymd_opt(year.parse().expect("a year"), month, day).expect("a day")
}

pub(crate) fn array(kind: &Type, cells: &[&Cell]) -> ArrayRef {
    macro_rules! primitive {
        ($arrow:ty, $cell:ident) => {
            PrimitiveArray::<$arrow>::from_iter(cells.iter().map(|cell| match cell {
                Cell::$cell(value, ..) => Some(*value),
                _ => None,
            }))
        };
    }
    let texts = || {
        cells.iter().map(|cell| match cell {
            Cell::Text(text) => Some(text.as_str()),
            _ => None,
        })
    };
    match kind {
        Type::Boolean => Arc::new(BooleanArray::from_iter(cells.iter().map(
            |cell| match cell {
                Cell::Boolean(value) => Some(*value),
                _ => None,
            },
        ))),
        Type::Byte => Arc::new(primitive!(Int8Type, Byte)),
        Type::Long => Arc::new(primitive!(Int64Type, Long)),
        Type::Unsigned => Arc::new(primitive!(UInt64Type, Unsigned)),
        Type::Single => Arc::new(primitive!(Float32Type, Single)),
        Type::Double => Arc::new(primitive!(Float64Type, Double)),
        Type::Text => Arc::new(StringArray::from_iter(texts())),
        Type::View => Arc::new(StringViewArray::from_iter(texts())),
        Type::Bytes => Arc::new(BinaryViewArray::from_iter(cells.iter().map(
            |cell| match cell {
                Cell::Bytes(bytes) => Some(bytes.as_slice()),
                _ => None,
            },
        ))),
        Type::Decimal(scale) => {
            let decimals = primitive!(Decimal128Type, Decimal);
            Arc::new(
                decimals
                    .with_precision_and_scale(38, *scale)
                    .expect("a scale"),
            )
        }
        Type::Date => Arc::new(primitive!(Date32Type, Date)),
        Type::Micros => Arc::new(primitive!(TimestampMicrosecondType, Micros).with_timezone("UTC")),
        Type::Nanos => Arc::new(primitive!(TimestampNanosecondType, Nanos)),
        Type::List(item) => {
            let (lengths, items) = flat(cells, |cell| match cell {
                Cell::List(items) => items.iter().collect(),
                _ => Vec::new(),
            });
            let items = array(item, &items);
            let field = Arc::new(Field::new("item", items.data_type().clone(), true));
            Arc::new(ListArray::new(field, lengths, items, valid(cells)))
        }
        Type::Struct(fields) => {
            let columns = fields.iter().enumerate().map(|(index, kind)| {
                let cells: Vec<&Cell> = cells
                    .iter()
                    .map(|cell| match cell {
                        Cell::Struct(fields) => &fields[index],
                        _ => &Cell::Null,
                    })
                    .collect();
                array(kind, &cells)
            });
            let columns: Vec<ArrayRef> = columns.collect();
            let named = columns.iter().enumerate().map(|(index, column)| {
                Field::new(format!("f{index}"), column.data_type().clone(), true)
            });
            Arc::new(StructArray::new(
                named.collect::<Fields>(),
                columns.clone(),
                valid(cells),
            ))
        }
        Type::TextMap(value) => map(&Type::Text, value, cells),
        Type::LongMap(value) => map(&Type::Long, value, cells),
    }
}

fn map(key: &Type, value: &Type, cells: &[&Cell]) -> ArrayRef {
    let entries = |cell: &'_ Cell| match cell {
        Cell::Map(entries) => entries.clone(),
        _ => Vec::new(),
    };
    let all: Vec<Vec<(Cell, Cell)>> = cells.iter().map(|cell| entries(cell)).collect();
    let lengths = OffsetBuffer::from_lengths(all.iter().map(Vec::len));
    let keys: Vec<&Cell> = all.iter().flatten().map(|(key, _)| key).collect();
    let values: Vec<&Cell> = all.iter().flatten().map(|(_, value)| value).collect();
    let (keys, values) = (array(key, &keys), array(value, &values));
    let fields = Fields::from(vec![
        Field::new("keys", keys.data_type().clone(), false),
        Field::new("values", values.data_type().clone(), true),
    ]);
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let field = Arc::new(Field::new(
        "entries",
        arrow_schema::DataType::Struct(fields),
        false,
    ));
    Arc::new(MapArray::new(field, lengths, entries, valid(cells), false))
}

fn flat<'a>(
    cells: &[&'a Cell],
    items: impl Fn(&'a Cell) -> Vec<&'a Cell>,
) -> (OffsetBuffer<i32>, Vec<&'a Cell>) {
    let all: Vec<Vec<&Cell>> = cells.iter().map(|cell| items(cell)).collect();
    let lengths = OffsetBuffer::from_lengths(all.iter().map(Vec::len));
    (lengths, all.into_iter().flatten().collect())
}

fn valid(cells: &[&Cell]) -> Option<NullBuffer> {
    Some(NullBuffer::from_iter(
        cells.iter().map(|cell| !matches!(cell, Cell::Null)),
    ))
}
