//! The answer's rows as JSON, and the names of their types (the wire contract, section 2).
//!
//! Every value survives the journey through a JavaScript or Python JSON reader: whole numbers a double cannot hold and
//! all decimals travel as text. Not here: how many rows, which `execute` decides.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, NaiveDate, TimeDelta};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array,
    RecordBatch, RecordBatchOptions,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Field, FieldRef, Fields, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use rules::{Error, Result};
use serde_json::{Value, json};

use super::execute::Page;
use super::problem::from_engine;

/// The largest whole number every JSON reader keeps exact: 2^53 − 1.
const EXACT_INTEGER_MAX: u64 = (1 << 53) - 1;

/// The response body: `execution_time_ms` since `started`, `result`, `truncated`, `columns`.
///
/// # Errors
/// `Invalid` when the JSON is larger than `bytes_max`, or a value cannot be shown.
pub(super) fn response(page: &Page, started: Instant, bytes_max: usize) -> Result<Vec<u8>> {
    let batches = page.batches.iter().map(plain).collect::<Result<Vec<_>>>()?;
    let fields = plain_schema(&page.schema);
    let as_text: Vec<bool> = (0..fields.len())
        .map(|index| {
            batches
                .iter()
                .any(|batch| has_large_integer(batch.column(index)))
        })
        .collect();
    let mut rows = Encoder {
        out: b"{\"result\":[".to_vec(),
        integers_as_text: false,
    };
    let mut first = true;
    for batch in &batches {
        for row in 0..batch.num_rows() {
            rows.out.extend_from_slice(if first { b"[" } else { b",[" });
            first = false;
            for (index, column) in batch.columns().iter().enumerate() {
                if index > 0 {
                    rows.out.push(b',');
                }
                rows.integers_as_text = as_text[index];
                rows.value(column, row)?;
            }
            rows.out.push(b']');
            if rows.out.len() > bytes_max {
                return Err(Error::invalid(format!(
                    "the answer is larger than {bytes_max} bytes; select fewer columns or rows"
                )));
            }
        }
    }
    let columns: Vec<Value> = fields
        .iter()
        .zip(as_text)
        .map(|(field, as_text)| {
            let mut column = json!({"name": field.name(), "type": type_name(field.data_type())});
            if as_text {
                column["encoding"] = "string".into();
            }
            column
        })
        .collect();
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let tail =
        json!({"truncated": page.truncated, "columns": columns, "execution_time_ms": millis})
            .to_string();
    rows.out.extend_from_slice(b"],");
    rows.out
        .extend_from_slice(tail.trim_start_matches('{').as_bytes());
    Ok(rows.out)
}

/// The batch without encodings that are no types: dictionaries, run lengths, views.
fn plain(batch: &RecordBatch) -> Result<RecordBatch> {
    let fields = plain_schema(&batch.schema());
    let columns = batch
        .columns()
        .iter()
        .zip(&fields)
        .map(|(column, field)| cast(column, field.data_type()));
    let columns = columns
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(unshowable)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(unshowable)
}

fn plain_schema(schema: &Schema) -> Fields {
    schema.fields().iter().map(plain_field).collect()
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let data_type = plain_type(field.data_type());
    Arc::new(Field::new(field.name(), data_type, true))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(plain_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        other => other.clone(),
    }
}

/// The lakehouse name of a type.
pub(super) fn type_name(data_type: &DataType) -> String {
    let data_type = &plain_type(data_type);
    let name = match data_type {
        DataType::Null => "VOID",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 | DataType::UInt8 => "SMALLINT",
        DataType::Int32 | DataType::UInt16 => "INT",
        // Of 64 bits only functions such as `row_number` give unsigned numbers, and people know those as this type.
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "BIGINT",
        DataType::Float16 | DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Binary => "BINARY",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP",
        DataType::Timestamp(_, None) => "TIMESTAMP_NTZ",
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => return format!("DECIMAL({precision},{scale})"),
        DataType::List(item) => return format!("ARRAY<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
                .collect();
            return format!("STRUCT<{}>", fields.join(", "));
        }
        DataType::Map(entries, _) => {
            return match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    let [key, value] =
                        [&fields[0], &fields[1]].map(|field| type_name(field.data_type()));
                    format!("MAP<{key}, {value}>")
                }
                _ => "MAP".to_owned(),
            };
        }
        _ => "STRING",
    };
    name.to_owned()
}

/// Whether any whole number in the column, however deep, is beyond what a JSON reader keeps exact.
fn has_large_integer(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Int64 => {
            let integers = column.as_primitive::<Int64Type>();
            integers
                .iter()
                .flatten()
                .any(|integer| integer.unsigned_abs() > EXACT_INTEGER_MAX)
        }
        DataType::UInt64 => {
            let integers = column.as_primitive::<UInt64Type>();
            integers
                .iter()
                .flatten()
                .any(|integer| integer > EXACT_INTEGER_MAX)
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            // Only what the offsets reach: a slice carries its whole parent.
            let (first, last) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
            let (first, last) = (
                usize::try_from(first).unwrap_or(0),
                usize::try_from(last).unwrap_or(0),
            );
            has_large_integer(&list.values().slice(first, last - first))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().any(has_large_integer),
        DataType::Map(..) => {
            let map = column.as_map();
            has_large_integer(map.keys()) || has_large_integer(map.values())
        }
        _ => false,
    }
}

struct Encoder {
    out: Vec<u8>,
    integers_as_text: bool,
}

impl Encoder {
    fn value(&mut self, column: &ArrayRef, row: usize) -> Result<()> {
        if column.is_null(row) {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        match column.data_type() {
            DataType::Null => self.raw("null"),
            DataType::Boolean => self.raw(if column.as_boolean().value(row) {
                "true"
            } else {
                "false"
            }),
            DataType::Int8 => self.number(column.as_primitive::<Int8Type>().value(row)),
            DataType::Int16 => self.number(column.as_primitive::<Int16Type>().value(row)),
            DataType::Int32 => self.number(column.as_primitive::<Int32Type>().value(row)),
            DataType::UInt8 => self.number(column.as_primitive::<UInt8Type>().value(row)),
            DataType::UInt16 => self.number(column.as_primitive::<UInt16Type>().value(row)),
            DataType::UInt32 => self.number(column.as_primitive::<UInt32Type>().value(row)),
            DataType::Int64 if self.integers_as_text => {
                self.text(&column.as_primitive::<Int64Type>().value(row).to_string())
            }
            DataType::Int64 => self.number(column.as_primitive::<Int64Type>().value(row)),
            DataType::UInt64 if self.integers_as_text => {
                self.text(&column.as_primitive::<UInt64Type>().value(row).to_string());
            }
            DataType::UInt64 => self.number(column.as_primitive::<UInt64Type>().value(row)),
            DataType::Float16 => self.float(
                f64::from(column.as_primitive::<Float16Type>().value(row).to_f32()),
                None,
            ),
            DataType::Float32 => {
                let value = column.as_primitive::<Float32Type>().value(row);
                self.float(f64::from(value), Some(value));
            }
            DataType::Float64 => self.float(column.as_primitive::<Float64Type>().value(row), None),
            DataType::Utf8 => self.text(column.as_string::<i32>().value(row)),
            DataType::Binary => {
                self.text(&BASE64_STANDARD.encode(column.as_binary::<i32>().value(row)))
            }
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => {
                let text = decimal(column, row);
                self.text(&text);
            }
            DataType::Date32 | DataType::Date64 => {
                let text = date(column, row)?;
                self.text(&text);
            }
            DataType::Timestamp(unit, zone) => {
                let text = timestamp(column, row, *unit, zone.is_some())?;
                self.text(&text);
            }
            DataType::List(_) => return self.list(&column.as_list::<i32>().value(row)),
            DataType::Struct(fields) => {
                return self.object(fields, column.as_struct().columns(), row);
            }
            DataType::Map(..) => return self.map(column, row),
            _ => {
                let formatter = ArrayFormatter::try_new(column, &FormatOptions::default())
                    .map_err(unshowable)?;
                let text = formatter.value(row).try_to_string().map_err(unshowable)?;
                self.text(&text);
            }
        }
        Ok(())
    }

    fn list(&mut self, items: &ArrayRef) -> Result<()> {
        self.out.push(b'[');
        for index in 0..items.len() {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(items, index)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, fields: &Fields, columns: &[ArrayRef], row: usize) -> Result<()> {
        self.out.push(b'{');
        for (index, (field, column)) in fields.iter().zip(columns).enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.text(field.name());
            self.out.push(b':');
            self.value(column, row)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// An object where the keys are text, else a list of `{"key", "value"}`.
    fn map(&mut self, column: &ArrayRef, row: usize) -> Result<()> {
        let entries = column.as_map().value(row);
        let [keys, values] = [0, 1].map(|index| entries.column(index));
        let [keys, values] =
            [keys, values].map(|column| cast(column, &plain_type(column.data_type())));
        let (keys, values) = (keys.map_err(unshowable)?, values.map_err(unshowable)?);
        let object = keys.data_type() == &DataType::Utf8;
        self.out.push(if object { b'{' } else { b'[' });
        for index in 0..keys.len() {
            if index > 0 {
                self.out.push(b',');
            }
            if !object {
                self.raw("{\"key\":");
            }
            self.value(&keys, index)?;
            self.raw(if object { ":" } else { ",\"value\":" });
            self.value(&values, index)?;
            if !object {
                self.out.push(b'}');
            }
        }
        self.out.push(if object { b'}' } else { b']' });
        Ok(())
    }

    fn raw(&mut self, json: &str) {
        self.out.extend_from_slice(json.as_bytes());
    }

    fn number(&mut self, number: impl std::fmt::Display) {
        write!(self.out, "{number}").expect("memory takes every byte");
    }

    /// The shortest text that reads back as the same number; `single` where the column's precision is that.
    fn float(&mut self, value: f64, single: Option<f32>) {
        if value.is_nan() {
            return self.raw("\"NaN\"");
        }
        if value.is_infinite() {
            return self.raw(if value > 0.0 {
                "\"Infinity\""
            } else {
                "\"-Infinity\""
            });
        }
        let written = match single {
            Some(single) => serde_json::to_writer(&mut self.out, &single),
            None => serde_json::to_writer(&mut self.out, &value),
        };
        written.expect("a finite number is JSON");
    }

    fn text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.out, text).expect("text is JSON");
    }
}

fn decimal(column: &ArrayRef, row: usize) -> String {
    let any = column.as_any();
    any.downcast_ref::<Decimal128Array>()
        .map(|column| column.value_as_string(row))
        .or_else(|| {
            any.downcast_ref::<Decimal256Array>()
                .map(|column| column.value_as_string(row))
        })
        .or_else(|| {
            any.downcast_ref::<Decimal64Array>()
                .map(|column| column.value_as_string(row))
        })
        .or_else(|| {
            any.downcast_ref::<Decimal32Array>()
                .map(|column| column.value_as_string(row))
        })
        .unwrap_or_default()
}

fn date(column: &ArrayRef, row: usize) -> Result<String> {
    let days = match column.data_type() {
        DataType::Date64 => column
            .as_primitive::<Date64Type>()
            .value(row)
            .div_euclid(86_400_000),
        _ => i64::from(column.as_primitive::<Date32Type>().value(row)),
    };
    let epoch = NaiveDate::default();
    let date = TimeDelta::try_days(days).and_then(|days| epoch.checked_add_signed(days));
    Ok(date
        .ok_or_else(|| beyond("date"))?
        .format("%Y-%m-%d")
        .to_string())
}

/// ISO 8601, the fraction in 3, 6 or 9 digits only as needed.
fn timestamp(column: &ArrayRef, row: usize, unit: TimeUnit, zoned: bool) -> Result<String> {
    let (value, per_second) = match unit {
        TimeUnit::Second => (column.as_primitive::<TimestampSecondType>().value(row), 1),
        TimeUnit::Millisecond => (
            column.as_primitive::<TimestampMillisecondType>().value(row),
            1_000,
        ),
        TimeUnit::Microsecond => (
            column.as_primitive::<TimestampMicrosecondType>().value(row),
            1_000_000,
        ),
        TimeUnit::Nanosecond => (
            column.as_primitive::<TimestampNanosecondType>().value(row),
            1_000_000_000,
        ),
    };
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let nanos = u32::try_from(nanos).expect("less than a second in nanoseconds");
    let instant = DateTime::from_timestamp(value.div_euclid(per_second), nanos)
        .ok_or_else(|| beyond("timestamp"))?;
    let mut text = instant.format("%Y-%m-%dT%H:%M:%S").to_string();
    let written = match nanos {
        0 => Ok(()),
        nanos if nanos % 1_000_000 == 0 => write!(text, ".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => write!(text, ".{:06}", nanos / 1_000),
        nanos => write!(text, ".{nanos:09}"),
    };
    written.expect("memory takes every character");
    if zoned {
        text.push('Z');
    }
    Ok(text)
}

fn beyond(what: &str) -> Error {
    Error::invalid(format!(
        "the answer holds a {what} beyond the years that can be shown; cast it to a number"
    ))
}

fn unshowable(error: ArrowError) -> Error {
    from_engine(DataFusionError::from(error))
}

#[cfg(test)]
mod tests;
