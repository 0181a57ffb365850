//! Lengths of time as the published API writes them (ISO 8601): `P30D`, `PT12H`, `P1DT30M`, `P4W`.

use chrono::TimeDelta;

use crate::{Error, Result};

/// The length that `text` says. Weeks, days, hours, minutes and seconds, whole and in this order; years and months are none
/// that can be counted.
///
/// # Errors
/// [`crate::Kind::Invalid`] for anything else, and for what is too long to count.
pub fn parse_duration(text: &str) -> Result<TimeDelta> {
    length(text).ok_or_else(|| {
        Error::invalid(
            "a duration is written in ISO 8601 with weeks, days, hours, minutes and seconds, such as P30D or PT12H",
        )
    })
}

fn length(text: &str) -> Option<TimeDelta> {
    const DATE: [(char, i64); 2] = [('W', 7 * 86_400), ('D', 86_400)];
    const TIME: [(char, i64); 3] = [('H', 3_600), ('M', 60), ('S', 1)];
    let text = text.strip_prefix('P')?;
    let (date, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    let seconds = part(date, &DATE)?.checked_add(part(time, &TIME)?)?;
    TimeDelta::try_seconds(seconds)
}

/// The seconds of numbers that are each followed by a unit, in the order of `units`.
fn part(mut text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut units = units.iter();
    let mut seconds = 0_i64;
    while !text.is_empty() {
        let end = text.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, rest) = text.split_at(end);
        let letter = rest.chars().next()?;
        let (_, unit) = units.find(|(name, _)| *name == letter)?;
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(*unit)?)?;
        text = &rest[letter.len_utf8()..];
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_the_sum_of_its_parts() {
        for (text, seconds) in [
            ("P30D", 30 * 86_400),
            ("P4W", 28 * 86_400),
            ("PT12H", 43_200),
            ("P1DT2H3M4S", 86_400 + 7_384),
            ("PT90M", 5_400),
            ("P0D", 0),
        ] {
            assert_eq!(
                parse_duration(text).unwrap().num_seconds(),
                seconds,
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "30D",
            "P1Y",
            "P1M",
            "PD",
            "P-1D",
            "P1.5D",
            "PT1D",
            "P1H",
            "PT1S1H",
            "PT1H1H",
            "P1D ",
            "p1d",
            "P1É",
            "P99999999999999999999D",
            "P9223372036854775807D",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
