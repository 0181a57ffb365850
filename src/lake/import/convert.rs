//! Arrow arrays of any type, as Parquet files have them, as a table's columns.
//!
//! Promises: a value arrives exactly or the conversion fails; nested values arrive as JSON text with explicit nulls
//! (`NaN` and the infinities inside them as null, since JSON has no such numbers).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, PrimitiveArray, StringBuilder, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowTimestampType, DataType, FieldRef, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};

use super::column::{Column, Kind};
use super::infer::as_double;
use super::moment;

/// The digits of the longest decimal number that a table holds.
const DECIMAL_DIGITS_MAX: u8 = 38;

/// The kind of column that holds every value of `data_type` exactly.
pub(super) fn kind_of(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Null => Kind::Null,
        DataType::Boolean => Kind::Boolean,
        DataType::UInt64 => Kind::Decimal {
            precision: 20,
            scale: 0,
        },
        integer if integer.is_integer() => Kind::BigInt,
        float if float.is_floating() => Kind::Double,
        &DataType::Decimal32(precision, scale)
        | &DataType::Decimal64(precision, scale)
        | &DataType::Decimal128(precision, scale)
        | &DataType::Decimal256(precision, scale)
            if precision <= DECIMAL_DIGITS_MAX && scale >= 0 =>
        {
            Kind::Decimal { precision, scale }
        }
        DataType::Timestamp(_, Some(_)) => Kind::Timestamp,
        DataType::Timestamp(_, None) => Kind::TimestampNtz,
        DataType::Date32 | DataType::Date64 => Kind::Date,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Kind::Binary,
        DataType::Dictionary(_, values) => kind_of(values),
        nested if nested.is_nested() => Kind::Json,
        // Strings, and what has no other home: times of day, durations, intervals, decimals too long or too coarse.
        _ => Kind::Text,
    }
}

/// `array`, a file's column described by `field`, as the table's `column`; else the reason why not.
pub(super) fn convert(
    array: &ArrayRef,
    field: &FieldRef,
    column: &Column,
) -> Result<ArrayRef, ArrowError> {
    if let DataType::Dictionary(_, values) = field.data_type() {
        let plain = Arc::new(
            field
                .as_ref()
                .clone()
                .with_data_type(values.as_ref().clone()),
        );
        return convert(&cast(array, values)?, &plain, column);
    }
    let held = column.arrow_field();
    let offered = kind_of(field.data_type());
    match (offered, column.kind) {
        (Kind::Null, _) => Ok(new_null_array(held.data_type(), array.len())),
        (Kind::Json, _) => json(array, field),
        (Kind::BigInt, Kind::Double) => doubles(array),
        (Kind::Timestamp | Kind::TimestampNtz, _) => cast(&micros(array)?, held.data_type()),
        _ => cast(array, held.data_type()),
    }
}

/// A cast that fails where a value has no exact counterpart.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(
        array,
        to,
        &CastOptions {
            safe: false,
            ..CastOptions::default()
        },
    )
}

fn doubles(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let wholes = cast(array, &DataType::Int64)?;
    let doubles: Float64Array = wholes.as_primitive::<Int64Type>().try_unary(|number| {
        as_double(number)
            .ok_or_else(|| ArrowError::CastError(format!("DOUBLE does not hold {number} exactly")))
    })?;
    Ok(Arc::new(doubles))
}

/// Timestamps of any unit in microseconds, those with a zone in UTC.
fn micros(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::Timestamp(unit, zone) = array.data_type() else {
        return Err(ArrowError::CastError(format!(
            "{} is no timestamp",
            array.data_type()
        )));
    };
    let micros = match unit {
        TimeUnit::Second => {
            rescaled::<TimestampSecondType>(array, |seconds| seconds.checked_mul(1_000_000))
        }
        TimeUnit::Millisecond => {
            rescaled::<TimestampMillisecondType>(array, |millis| millis.checked_mul(1_000))
        }
        TimeUnit::Microsecond => rescaled::<TimestampMicrosecondType>(array, Some),
        TimeUnit::Nanosecond => rescaled::<TimestampNanosecondType>(array, |nanos| {
            (nanos % 1_000 == 0).then_some(nanos / 1_000)
        }),
    }?;
    Ok(Arc::new(
        micros.with_timezone_opt(zone.as_ref().map(|_| "UTC")),
    ))
}

fn rescaled<T: ArrowTimestampType>(
    array: &ArrayRef,
    to_micros: impl Fn(i64) -> Option<i64>,
) -> Result<PrimitiveArray<TimestampMicrosecondType>, ArrowError> {
    array.as_primitive::<T>().try_unary(|value| {
        to_micros(value).filter(|micros| moment::RANGE.contains(micros)).ok_or_else(|| {
            ArrowError::CastError(format!(
                "TIMESTAMP, which has microseconds and the years 1 to 9999, does not hold {value} ({:?}s since 1970) \
                 exactly; round or remove it",
                T::UNIT
            ))
        })
    })
}

fn json(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, array.as_ref(), &options)?;
    let mut documents = StringBuilder::new();
    let mut document = Vec::new();
    for row in 0..array.len() {
        if encoder.is_null(row) {
            documents.append_null();
            continue;
        }
        document.clear();
        encoder.encode(row, &mut document);
        let text = std::str::from_utf8(&document)
            .map_err(|error| ArrowError::JsonError(error.to_string()))?;
        documents.append_value(text);
    }
    Ok(Arc::new(documents.finish()))
}
