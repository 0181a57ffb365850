//! Instants cut to a unit, and numbers rounded, where the engine loses what it counts with.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{
    ArrayRef, AsArray, Float32Array, Float64Array, Int64Array, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl};
use datafusion::scalar::ScalarValue;

use super::dates::{DAY, SECOND, beyond_calendar};

/// The engine's own counts nanoseconds, of which the years before 1677 and from 2262 on have too many. It answers for other
/// zones and units.
pub(super) fn date_trunc(
    inner: &dyn ScalarUDFImpl,
    args: ScalarFunctionArgs,
) -> Result<ColumnarValue> {
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = args.args[1].data_type() else {
        return inner.invoke_with_args(args);
    };
    let ColumnarValue::Scalar(unit) = &args.args[0] else {
        return inner.invoke_with_args(args);
    };
    let unit = unit.try_as_str().flatten().and_then(Unit::of);
    let (Some(unit), None | Some("UTC")) = (unit, zone.as_deref()) else {
        return inner.invoke_with_args(args);
    };
    let instants = args.args[1].clone().into_array(args.number_rows)?;
    let instants = instants.as_primitive::<TimestampMicrosecondType>();
    let cut: TimestampMicrosecondArray =
        instants.try_unary(|micros| unit.begin(micros).ok_or_else(beyond_calendar))?;
    Ok(ColumnarValue::Array(Arc::new(cut.with_timezone_opt(zone))))
}

#[derive(Clone, Copy)]
enum Unit {
    Micros(i64),
    Week,
    /// So many to a year.
    Months(u32),
}

impl Unit {
    fn of(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "second" => Self::Micros(SECOND),
            "minute" => Self::Micros(60 * SECOND),
            "hour" => Self::Micros(3_600 * SECOND),
            "day" => Self::Micros(DAY),
            "week" => Self::Week,
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            _ => return None,
        })
    }

    /// Where the unit begins in which the instant lies, in microseconds.
    fn begin(self, micros: i64) -> Option<i64> {
        let days = micros.div_euclid(DAY);
        let begin = match self {
            Self::Micros(unit) => return micros.checked_sub(micros.rem_euclid(unit)),
            // The first day of all, a Thursday, was the fourth of its week.
            Self::Week => days - (days + 3).rem_euclid(7),
            Self::Months(months) => {
                let day = NaiveDate::from_epoch_days(i32::try_from(days).ok()?)?;
                let month = day.month0() / months * months + 1;
                i64::from(day.with_day(1)?.with_month(month)?.to_epoch_days())
            }
        };
        begin.checked_mul(DAY)
    }
}

/// No number has so many digits, and the engine's overflows beyond.
const DIGITS_MAX: i32 = 1000;

/// A DOUBLE is rounded as it is written, halves up: `1.005` to `1.01`. The engine's own multiplies first, which may make a
/// half of what is none, and none of what is one. It answers for other types.
pub(super) fn round(
    inner: &dyn ScalarUDFImpl,
    mut args: ScalarFunctionArgs,
) -> Result<ColumnarValue> {
    let digits = match args.args.get_mut(1) {
        Some(ColumnarValue::Scalar(ScalarValue::Int32(Some(digits)))) => {
            *digits = (*digits).clamp(-DIGITS_MAX, DIGITS_MAX);
            usize::try_from(*digits).ok()
        }
        _ => None,
    };
    let numbers = args.args[0].clone();
    let (Some(digits), data_type) = (digits, numbers.data_type()) else {
        return inner.invoke_with_args(args);
    };
    let rounded: ArrayRef = match data_type {
        DataType::Float64 => {
            let numbers = numbers.into_array(args.number_rows)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            let rounded: Float64Array = numbers.unary(|number| as_written(number, digits));
            Arc::new(rounded)
        }
        DataType::Float32 => {
            let numbers = numbers.into_array(args.number_rows)?;
            let numbers = numbers.as_primitive::<Float32Type>();
            let rounded: Float32Array =
                numbers.unary(|number| as_written(f64::from(number), digits) as f32);
            Arc::new(rounded)
        }
        _ => return inner.invoke_with_args(args),
    };
    Ok(ColumnarValue::Array(rounded))
}

/// The number with so many digits behind the point.
fn as_written(number: f64, digits: usize) -> f64 {
    /// From here on a DOUBLE has no fraction.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if !number.is_finite() || number.abs() >= WHOLE || digits > 17 {
        return number;
    }
    let shift = 10_f64.powi(i32::try_from(digits).unwrap_or(0));
    let shifted = number.abs() * shift;
    let from_half = (shifted.fract() - 0.5).abs();
    // Far from a half the product tells.
    if shifted < WHOLE && from_half > shifted * 1e-15 + 1e-9 {
        return shifted.round().copysign(number) / shift;
    }
    let text = number.abs().to_string();
    let Some((whole, fraction)) = text.split_once('.') else {
        return number;
    };
    let Some(next) = fraction.as_bytes().get(digits) else {
        return number;
    };
    let mut kept = format!("{whole}{}", &fraction[..digits]).into_bytes();
    if *next >= b'5' {
        increment(&mut kept);
    }
    let point = kept.len() - digits;
    kept.insert(point, b'.');
    let rounded = String::from_utf8(kept).ok();
    let rounded = rounded.and_then(|text| text.parse::<f64>().ok());
    rounded.map_or(number, |rounded| rounded.copysign(number))
}

/// One more than a number in digits.
fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

/// A length below 0 is 0; the engine's own takes it for a very large one.
pub(super) fn padded(
    inner: &dyn ScalarUDFImpl,
    mut args: ScalarFunctionArgs,
) -> Result<ColumnarValue> {
    if let Some(ColumnarValue::Array(lengths)) = args.args.get(1)
        && let Some(lengths) = lengths.as_primitive_opt::<Int64Type>()
    {
        let lengths: Int64Array = lengths.unary(|length| length.max(0));
        args.args[1] = ColumnarValue::Array(Arc::new(lengths));
    }
    inner.invoke_with_args(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_as_they_are_written() {
        for (number, digits, expected) in [
            (1.005, 2, 1.01),
            (0.285, 2, 0.29),
            (8.325, 2, 8.33),
            (59.894_999_999_999_996, 2, 59.89),
            (-2.5, 0, -3.0),
            (9.995, 2, 10.0),
            (2.344_999, 2, 2.34),
            (1e-9, 4, 0.0),
            (1e300, 2, 1e300),
            (0.1, 17, 0.1),
        ] {
            assert_eq!(as_written(number, digits), expected, "{number} to {digits}");
        }
        assert!(as_written(f64::NAN, 2).is_nan());
        assert!(as_written(-0.001, 2).is_sign_negative());
    }

    #[test]
    fn every_year_has_units() {
        let at = |text: &str| {
            let instant = chrono::DateTime::parse_from_rfc3339(text).unwrap();
            instant.timestamp_micros()
        };
        for (unit, instant, begin) in [
            ("year", "9999-12-31T23:59:59Z", "9999-01-01T00:00:00Z"),
            ("quarter", "9999-12-31T23:59:59Z", "9999-10-01T00:00:00Z"),
            ("month", "0001-02-28T01:00:00Z", "0001-02-01T00:00:00Z"),
            ("week", "2026-12-01T10:00:00Z", "2026-11-30T00:00:00Z"),
            ("week", "1969-12-31T23:00:00Z", "1969-12-29T00:00:00Z"),
            ("day", "1600-05-05T10:00:00Z", "1600-05-05T00:00:00Z"),
            ("hour", "1600-05-05T10:59:00Z", "1600-05-05T10:00:00Z"),
        ] {
            let unit = Unit::of(unit).unwrap();
            assert_eq!(unit.begin(at(instant)), Some(at(begin)), "{instant}");
        }
        assert!(Unit::of("month").unwrap().begin(i64::MIN).is_none());
    }
}
