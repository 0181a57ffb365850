//! The cells of a column while they become many.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMillisecondBuilder,
};

use crate::column::Kind;
use crate::decimal::{self, Decimal};
use crate::elements::Value;
use crate::error::Error;
use crate::json;

/// Where the bytes of one column's texts end: their places are 32-bit numbers.
const BYTES_MAX: usize = i32::MAX as usize;

#[derive(Debug)]
pub(crate) enum Cells {
    String(StringBuilder),
    ObjectId(StringBuilder),
    Boolean(BooleanBuilder),
    BigInt(Int64Builder),
    Double(Float64Builder),
    /// With the digits there can be, and those of them behind the point.
    Decimal(Decimal128Builder, (u8, i8)),
    Timestamp(TimestampMillisecondBuilder),
    Binary(BinaryBuilder),
    Json(StringBuilder),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fit {
    /// There is one cell more.
    Fits,
    Misfit,
    TooLarge,
}

impl Cells {
    pub(crate) fn new(kind: Kind, rows: usize, text_bytes: usize) -> Self {
        let text = || StringBuilder::with_capacity(rows, text_bytes);
        match kind {
            Kind::String => Self::String(text()),
            Kind::ObjectId => Self::ObjectId(text()),
            Kind::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            Kind::BigInt => Self::BigInt(Int64Builder::with_capacity(rows)),
            Kind::Double => Self::Double(Float64Builder::with_capacity(rows)),
            Kind::Decimal { .. } => {
                let builder = Decimal128Builder::with_capacity(rows);
                Self::Decimal(builder.with_data_type(kind.data_type()), kind.digits())
            }
            Kind::Timestamp => {
                let builder = TimestampMillisecondBuilder::with_capacity(rows);
                Self::Timestamp(builder.with_data_type(kind.data_type()))
            }
            Kind::Binary => Self::Binary(BinaryBuilder::with_capacity(rows, text_bytes)),
            Kind::Json => Self::Json(text()),
        }
    }

    /// A value that is not null. `text` is room to write in.
    pub(crate) fn push(&mut self, value: Value<'_>, text: &mut String) -> Result<Fit, Error> {
        match (self, value) {
            // To MongoDB it is a string whatever its bytes are, and conditions find it as one.
            (Self::String(cells), Value::String(bytes)) => {
                return Ok(push_text(cells, &String::from_utf8_lossy(bytes)));
            }
            (Self::ObjectId(cells), Value::ObjectId(id)) => return Ok(push_object_id(cells, id)),
            (Self::Boolean(cells), Value::Boolean(value)) => cells.append_value(value),
            (Self::BigInt(cells), Value::Int32(number)) => cells.append_value(i64::from(number)),
            (Self::BigInt(cells), Value::Int64(number)) => cells.append_value(number),
            (Self::Double(cells), Value::Double(number)) => cells.append_value(plain(number)),
            (Self::Double(cells), Value::Int32(number)) => cells.append_value(f64::from(number)),
            (Self::Double(cells), Value::Int64(number)) => cells.append_value(number as f64),
            (Self::Decimal(cells, digits), value) => match unscaled(value, *digits) {
                Some(number) => cells.append_value(number),
                None => return Ok(Fit::Misfit),
            },
            (Self::Timestamp(cells), Value::DateTime(millis)) => cells.append_value(millis),
            (Self::Binary(cells), Value::Binary(bytes)) => {
                if bytes.len() > BYTES_MAX - cells.values_slice().len() {
                    return Ok(Fit::TooLarge);
                }
                cells.append_value(bytes);
            }
            (Self::Json(cells), value) => {
                text.clear();
                json::append(value, text)?;
                return Ok(push_text(cells, text));
            }
            _ => return Ok(Fit::Misfit),
        }
        Ok(Fit::Fits)
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Self::String(cells) | Self::ObjectId(cells) | Self::Json(cells) => cells.append_null(),
            Self::Boolean(cells) => cells.append_null(),
            Self::BigInt(cells) => cells.append_null(),
            Self::Double(cells) => cells.append_null(),
            Self::Decimal(cells, _) => cells.append_null(),
            Self::Timestamp(cells) => cells.append_null(),
            Self::Binary(cells) => cells.append_null(),
        }
    }

    /// About so many bytes they are, of so many rows.
    pub(crate) fn bytes(&self, rows: usize) -> usize {
        let bytes_of_one = match self {
            Self::Boolean(_) => 1,
            Self::String(_) | Self::ObjectId(_) | Self::Json(_) | Self::Binary(_) => 4,
            Self::BigInt(_) | Self::Double(_) | Self::Timestamp(_) => 8,
            Self::Decimal(..) => 16,
        };
        rows * bytes_of_one + self.text_bytes()
    }

    /// The bytes of all texts.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::String(cells) | Self::ObjectId(cells) | Self::Json(cells) => {
                cells.values_slice().len()
            }
            Self::Binary(cells) => cells.values_slice().len(),
            _ => 0,
        }
    }

    pub(crate) fn finish(mut self) -> ArrayRef {
        match &mut self {
            Self::String(cells) | Self::ObjectId(cells) | Self::Json(cells) => {
                Arc::new(cells.finish())
            }
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::BigInt(cells) => Arc::new(cells.finish()),
            Self::Double(cells) => Arc::new(cells.finish()),
            Self::Decimal(cells, _) => Arc::new(cells.finish()),
            Self::Timestamp(cells) => Arc::new(cells.finish()),
            Self::Binary(cells) => Arc::new(cells.finish()),
        }
    }
}

fn push_text(cells: &mut StringBuilder, text: &str) -> Fit {
    if text.len() > BYTES_MAX - cells.values_slice().len() {
        return Fit::TooLarge;
    }
    cells.append_value(text);
    Fit::Fits
}

/// As hexadecimal digits.
fn push_object_id(cells: &mut StringBuilder, id: &[u8]) -> Fit {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 24];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xF)];
    }
    std::str::from_utf8(&digits).map_or(Fit::Misfit, |text| push_text(cells, text))
}

/// One not-a-number, one zero.
fn plain(number: f64) -> f64 {
    if number.is_nan() {
        f64::NAN
    } else {
        number + 0.0
    }
}

fn unscaled(value: Value<'_>, (precision, scale): (u8, i8)) -> Option<i128> {
    match value {
        Value::Int32(number) => decimal::integer(i64::from(number), precision, scale),
        Value::Int64(number) => decimal::integer(number, precision, scale),
        Value::Decimal128(bits) => Decimal::from_bits(bits).unscaled(precision, scale),
        _ => None,
    }
}
