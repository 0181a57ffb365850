//! Single values as JSON, written straight to the output.

use std::io::Write as _;

use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike};

use crate::{Error, Result};

/// A memory buffer takes every byte.
const WRITTEN: &str = "memory takes every byte";

pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text is JSON");
}

/// A whole number; as text where its column is.
pub(crate) fn integer(number: impl Into<serde_json::Number>, as_text: bool, out: &mut Vec<u8>) {
    let number = number.into();
    if as_text {
        write!(out, "\"{number}\"").expect(WRITTEN);
    } else {
        serde_json::to_writer(out, &number).expect("a whole number is JSON");
    }
}

/// The shortest text that reads back as the same single.
pub(crate) fn single(value: f32, out: &mut Vec<u8>) {
    if !not_json(f64::from(value), out) {
        serde_json::to_writer(out, &value).expect("a finite number is JSON");
    }
}

/// The shortest text that reads back as the same double.
pub(crate) fn double(value: f64, out: &mut Vec<u8>) {
    if !not_json(value, out) {
        serde_json::to_writer(out, &value).expect("a finite number is JSON");
    }
}

/// Writes what JSON has no number for.
fn not_json(value: f64, out: &mut Vec<u8>) -> bool {
    let name: &[u8] = match value {
        value if value.is_nan() => b"\"NaN\"",
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => return false,
    };
    out.extend_from_slice(name);
    true
}

/// A decimal in text, with all digits of its scale. Of a negative scale the zeros are written.
pub(crate) fn decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    out.extend_from_slice(if unscaled < 0 { b"\"-" } else { b"\"" });
    let unscaled = unscaled.unsigned_abs();
    let fraction = usize::from(scale.max(0).unsigned_abs());
    let digits = unscaled.checked_ilog10().map_or(1, |log| log as usize + 1);
    if fraction > 0 && digits <= fraction {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + fraction - digits, b'0');
    }
    write!(out, "{unscaled}").expect(WRITTEN);
    if scale < 0 && unscaled != 0 {
        out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
    }
    if fraction > 0 && digits > fraction {
        out.insert(out.len() - fraction, b'.');
    }
    out.push(b'"');
}

pub(crate) fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write!(out, "\"{}\"", Base64Display::new(bytes, &BASE64_STANDARD)).expect(WRITTEN);
}

/// The day so many days after 1970-01-01.
pub(crate) fn date(days: i64, out: &mut Vec<u8>) -> Result<()> {
    let epoch = NaiveDate::default();
    let date = TimeDelta::try_days(days).and_then(|days| epoch.checked_add_signed(days));
    out.push(b'"');
    day(date.ok_or(Error::Beyond("date"))?, out);
    out.push(b'"');
    Ok(())
}

/// ISO 8601, the fraction in 3, 6 or 9 digits only as needed; `value` counts parts of a second.
pub(crate) fn instant(value: i64, per_second: i64, zoned: bool, out: &mut Vec<u8>) -> Result<()> {
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let nanos = u32::try_from(nanos).expect("less than a second in nanoseconds");
    let instant = DateTime::from_timestamp(value.div_euclid(per_second), nanos)
        .ok_or(Error::Beyond("timestamp"))?;
    out.push(b'"');
    day(instant.date_naive(), out);
    for (mark, part) in [
        (b'T', instant.hour()),
        (b':', instant.minute()),
        (b':', instant.second()),
    ] {
        out.push(mark);
        two_digits(part, out);
    }
    let written = match nanos {
        0 => Ok(()),
        nanos if nanos % 1_000_000 == 0 => write!(out, ".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => write!(out, ".{:06}", nanos / 1_000),
        nanos => write!(out, ".{nanos:09}"),
    };
    written.expect(WRITTEN);
    out.extend_from_slice(if zoned { b"Z\"" } else { b"\"" });
    Ok(())
}

/// Years beyond four digits have a sign and six, which is how JavaScript reads them.
fn day(date: NaiveDate, out: &mut Vec<u8>) {
    let year = date.year();
    let written = match year {
        0..=9999 => write!(out, "{year:04}-"),
        _ => write!(out, "{year:+07}-"),
    };
    written.expect(WRITTEN);
    two_digits(date.month(), out);
    out.push(b'-');
    two_digits(date.day(), out);
}

fn two_digits(number: u32, out: &mut Vec<u8>) {
    let digit = |digit: u32| b'0' + u8::try_from(digit % 10).unwrap_or(0);
    out.extend_from_slice(&[digit(number / 10), digit(number)]);
}
