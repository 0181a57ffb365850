//! Dates and instants as a lakehouse writes, reads and counts them.

use std::sync::Arc;

use chrono::format::{Parsed, parse};
use chrono::{DateTime, Datelike, NaiveDateTime, NaiveTime};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Coercion, ScalarUDF, Signature, Volatility};

use super::kernel::{Kernel, instant, text, text_arguments, texts};
use super::pattern::items;

const UTC: &str = "UTC";

/// Microseconds, which are what instants are counted in here.
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;

pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut functions = days_and_texts();
    functions.extend(counts());
    functions
}

fn coercible(arguments: Vec<Coercion>) -> Signature {
    Signature::coercible(arguments, Volatility::Immutable)
}

fn days_and_texts() -> Vec<ScalarUDF> {
    let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    vec![
        Kernel::udf(
            "date(value)",
            "The day of an instant or a text; a text that names none fails.",
            Signature::any(1, Volatility::Immutable),
            DataType::Date32,
            |args| day(&args[0], false),
        ),
        Kernel::udf(
            "try_to_date(text, pattern)",
            "The day that a text names, NULL where it names none; a pattern such as dd.MM.yyyy may say how it is written, as for to_date.",
            Signature::any(1, Volatility::Immutable),
            DataType::Date32,
            |args| day(&args[0], true),
        ),
        Kernel::udf(
            "date_format(instant, pattern)",
            "The instant as text, by a pattern such as yyyy-MM-dd HH:mm (or %Y-%m-%d %H:%M).",
            coercible(vec![instant(), text()]),
            DataType::Utf8,
            date_format,
        ),
        Kernel::udf(
            "parse_timestamp(text, pattern)",
            "The instant that a text names by a pattern such as dd.MM.yyyy HH:mm; a text that does not follow it fails. \
             to_timestamp and to_date with a pattern use it.",
            text_arguments(2),
            utc(),
            parse_timestamp,
        ),
        Kernel::udf(
            "try_to_timestamp(text, pattern)",
            "The same, NULL where the text does not follow the pattern; try_to_timestamp(text) takes 2026-01-31 10:00:00.",
            text_arguments(2),
            utc(),
            try_to_timestamp,
        ),
    ]
}

fn counts() -> Vec<ScalarUDF> {
    vec![
        Kernel::udf(
            "timestampdiff(unit, start, end)",
            "How many whole units lie between two instants; datediff(unit, start, end) is the same. Units: MICROSECOND to \
             WEEK, MONTH, QUARTER, YEAR.",
            coercible(vec![text(), instant(), instant()]),
            DataType::Int64,
            timestampdiff,
        ),
        Kernel::udf(
            "unix_seconds(instant)",
            "The Unix time of an instant: the whole seconds since 1970. A text may have a pattern: unix_timestamp(text, \
             pattern).",
            coercible(vec![instant()]),
            DataType::Int64,
            |args| unix_time(args, SECOND),
        ),
        Kernel::udf(
            "unix_millis(instant)",
            "The whole milliseconds since 1970.",
            coercible(vec![instant()]),
            DataType::Int64,
            |args| unix_time(args, SECOND / 1000),
        ),
        Kernel::udf(
            "months_between(end, start)",
            "The months between two instants, a day being a 31st of a month.",
            coercible(vec![instant(), instant()]),
            DataType::Float64,
            months_between,
        ),
    ]
}

fn instants(column: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let column = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    Ok(column.as_primitive::<TimestampMicrosecondType>().clone())
}

fn civil(micros: i64) -> Result<NaiveDateTime> {
    let instant = DateTime::from_timestamp_micros(micros);
    instant
        .map(|instant| instant.naive_utc())
        .ok_or_else(beyond_calendar)
}

pub(super) fn beyond_calendar() -> DataFusionError {
    DataFusionError::Execution("an instant lies beyond the calendar".to_owned())
}

/// What follows the day in a text is not looked at, as in Spark. `safe` gives `NULL` for what is no day.
fn day(column: &ArrayRef, safe: bool) -> Result<ArrayRef> {
    if column.data_type().is_numeric() {
        return Err(DataFusionError::Execution(
            "a number names no DATE; write to_date(CAST(x AS STRING), 'yyyyMMdd') where its digits do".to_owned(),
        ));
    }
    let options = CastOptions {
        safe,
        ..CastOptions::default()
    };
    let column: ArrayRef = match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = texts(column)?;
            let days = texts.iter().map(|text| text.map(first_word));
            Arc::new(days.collect::<StringArray>())
        }
        _ => Arc::clone(column),
    };
    cast_with_options(&column, &DataType::Date32, &options).map_err(|error| {
        let told = error.to_string();
        let told = told.trim_start_matches("Cast error: ");
        DataFusionError::Execution(format!("{told}; try_to_date(x) gives NULL instead"))
    })
}

fn first_word(text: &str) -> &str {
    let text = text.trim();
    text.split([' ', 'T']).next().unwrap_or(text)
}

/// Before 1970 too a unit counts once it has begun.
fn unix_time(args: &[ArrayRef], unit: i64) -> Result<ArrayRef> {
    let instants = instants(&args[0])?;
    let counts: Int64Array = instants.unary(|micros| micros.div_euclid(unit));
    Ok(Arc::new(counts) as ArrayRef)
}

fn date_format(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (instants, patterns) = (instants(&args[0])?, texts(&args[1])?);
    let mut values = StringBuilder::new();
    let mut known = None;
    for (instant, pattern) in instants.iter().zip(&patterns) {
        let (Some(instant), Some(pattern)) = (instant, pattern) else {
            values.append_null();
            continue;
        };
        if known.as_ref().is_none_or(|(text, _)| *text != pattern) {
            known = Some((pattern, items(pattern).map_err(DataFusionError::Execution)?));
        }
        let items = known.iter().flat_map(|(_, items)| items);
        let shown = civil(instant)?.and_utc().format_with_items(items);
        values.append_value(shown.to_string());
    }
    Ok(Arc::new(values.finish()) as ArrayRef)
}

fn parse_timestamp(args: &[ArrayRef]) -> Result<ArrayRef> {
    read(args, |text, pattern| {
        Err(DataFusionError::Execution(format!(
            "'{text}' does not follow the pattern '{pattern}'; try_to_timestamp gives NULL instead"
        )))
    })
}

fn try_to_timestamp(args: &[ArrayRef]) -> Result<ArrayRef> {
    read(args, |_, _| Ok(None))
}

/// Reads texts by patterns; `otherwise` answers for those that do not follow them.
fn read(args: &[ArrayRef], otherwise: fn(&str, &str) -> Result<Option<i64>>) -> Result<ArrayRef> {
    let (values, patterns) = (texts(&args[0])?, texts(&args[1])?);
    let mut instants = TimestampMicrosecondArray::builder(values.len());
    let mut known = None;
    for (value, pattern) in values.iter().zip(&patterns) {
        let (Some(value), Some(pattern)) = (value, pattern) else {
            instants.append_null();
            continue;
        };
        if known.as_ref().is_none_or(|(text, _)| *text != pattern) {
            known = Some((pattern, items(pattern).map_err(DataFusionError::Execution)?));
        }
        let mut parsed = Parsed::new();
        let items = known.iter().flat_map(|(_, items)| items);
        let instant = match parse(&mut parsed, value, items) {
            Ok(()) if has_whole_year(&parsed, value) => instant_of(&parsed),
            Ok(()) => None,
            Err(_) => None,
        };
        instants.append_option(match instant {
            Some(instant) => Some(instant),
            None => otherwise(value, pattern)?,
        });
    }
    Ok(Arc::new(instants.finish().with_timezone(UTC)) as ArrayRef)
}

/// A year before 1000 is written with four digits too: `24` is none of `yyyy`.
fn has_whole_year(parsed: &Parsed, text: &str) -> bool {
    match parsed.year() {
        Some(year @ 0..1000) => text.contains(&format!("{year:04}")),
        _ => true,
    }
}

/// A day without a time is its midnight, a month without a day its first.
fn instant_of(parsed: &Parsed) -> Option<i64> {
    let mut parsed = parsed.clone();
    // As in Spark two digits are a year of this century.
    if parsed.year().is_none() && parsed.year_mod_100().is_some() {
        parsed.set_year_div_100(20).ok()?;
    }
    if parsed.day().is_none() && parsed.ordinal().is_none() {
        parsed.set_day(1).ok()?;
        if parsed.month().is_none() {
            parsed.set_month(1).ok()?;
        }
    }
    let day = parsed.to_naive_date().ok()?;
    let time = match parsed.hour_mod_12() {
        None => NaiveTime::MIN,
        Some(_) => {
            if parsed.minute().is_none() {
                parsed.set_minute(0).ok()?;
            }
            parsed.to_naive_time().ok()?
        }
    };
    let local = day.and_time(time).and_utc().timestamp_micros();
    Some(local - i64::from(parsed.offset().unwrap_or(0)) * SECOND)
}

fn timestampdiff(args: &[ArrayRef]) -> Result<ArrayRef> {
    let units = texts(&args[0])?;
    let (starts, ends) = (instants(&args[1])?, instants(&args[2])?);
    let rows = units.iter().zip(&starts).zip(&ends);
    let counts = rows.map(|((unit, start), end)| match (unit, start, end) {
        (Some(unit), Some(start), Some(end)) => Ok(Some(whole_units(unit, start, end)?)),
        _ => Ok(None),
    });
    let counts = counts.collect::<Result<Int64Array>>()?;
    Ok(Arc::new(counts) as ArrayRef)
}

fn whole_units(unit: &str, start: i64, end: i64) -> Result<i64> {
    let micros = end.saturating_sub(start);
    let unit = unit.to_ascii_lowercase();
    Ok(match unit.as_str() {
        "microsecond" => micros,
        "millisecond" => micros / 1000,
        "second" => micros / SECOND,
        "minute" => micros / (60 * SECOND),
        "hour" => micros / (3600 * SECOND),
        "day" => micros / DAY,
        "week" => micros / (7 * DAY),
        "month" => whole_months(civil(start)?, civil(end)?),
        "quarter" => whole_months(civil(start)?, civil(end)?) / 3,
        "year" => whole_months(civil(start)?, civil(end)?) / 12,
        _ => {
            return Err(DataFusionError::Execution(format!(
                "'{unit}' is no unit of time; use MICROSECOND, MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, \
                 QUARTER or YEAR"
            )));
        }
    })
}

fn months(civil: NaiveDateTime) -> i64 {
    i64::from(civil.year()) * 12 + i64::from(civil.month())
}

fn whole_months(start: NaiveDateTime, end: NaiveDateTime) -> i64 {
    let within = |civil: NaiveDateTime| (civil.day(), civil.time());
    let count = months(end) - months(start);
    match count.signum() {
        1 if within(end) < within(start) => count - 1,
        -1 if within(end) > within(start) => count + 1,
        _ => count,
    }
}

fn months_between(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (ends, starts) = (instants(&args[0])?, instants(&args[1])?);
    let counts = ends.iter().zip(&starts).map(|pair| match pair {
        (Some(end), Some(start)) => Ok(Some(fraction_of_months(civil(end)?, civil(start)?))),
        _ => Ok(None),
    });
    let counts = counts.collect::<Result<Float64Array>>()?;
    Ok(Arc::new(counts) as ArrayRef)
}

/// Spark's rule: whole where both are the same day of their months or the last ones, rounded to eight digits.
fn fraction_of_months(end: NaiveDateTime, start: NaiveDateTime) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "years of five digits have few months"
    )]
    let whole = (months(end) - months(start)) as f64;
    let is_last = |civil: NaiveDateTime| {
        civil
            .date()
            .succ_opt()
            .is_none_or(|next| next.month() != civil.month())
    };
    if end.day() == start.day() || (is_last(end) && is_last(start)) {
        return whole;
    }
    let days = |civil: NaiveDateTime| {
        let in_day = civil.time().signed_duration_since(NaiveTime::MIN);
        f64::from(civil.day()) + in_day.as_seconds_f64() / 86_400.0
    };
    let months = whole + (days(end) - days(start)) / 31.0;
    (months * 1e8).round() / 1e8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_counted_as_spark_counts_them() {
        let (end, start) = (at("1997-02-28T10:30:00"), at("1996-10-30T00:00:00"));
        assert_eq!(fraction_of_months(end, start), 3.949_596_77);
        assert_eq!(
            fraction_of_months(at("2026-02-28T00:00:00"), at("2026-01-31T12:00:00")),
            1.0
        );
        assert_eq!(
            whole_months(at("2026-01-31T00:00:00"), at("2026-02-28T23:00:00")),
            0
        );
        assert_eq!(
            whole_months(at("2026-01-15T12:00:00"), at("2026-02-15T12:00:00")),
            1
        );
        assert_eq!(
            whole_months(at("2026-02-15T12:00:00"), at("2026-01-15T13:00:00")),
            0
        );
    }
}
