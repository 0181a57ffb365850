//! Instants as ISO 8601 writes them: `2026-11-23T18:00:00Z`, `2026-11-23 18:00:00.25+02:00`, or without a zone.
//!
//! Promises: what is read is exact, to the microsecond (up to three further digits are cut, as those of a prompt log's
//! `created_at` are), and lies in the years 1 to 9999, which is what tables and their readers can hold. Not here: dates
//! alone and every other notation, which stay text.

use chrono::NaiveDate;

/// A point in time in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// In UTC.
    Instant(i64),
    /// On the clock of a place that is not said.
    Local(i64),
}

const MICROS: i64 = 1_000_000;

/// The microseconds from the start of year 1 to the end of year 9999, the range of SQL timestamps.
pub(super) const RANGE: std::ops::RangeInclusive<i64> =
    -62_135_596_800 * MICROS..=253_402_300_800 * MICROS - 1;

/// `text` as a point in time; `None` when it is not exactly one.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let text = text.as_bytes();
    let (head, tail) = text.split_at_checked("2026-11-23T18:00".len())?;
    let marks = [(4, b"-".as_slice()), (7, b"-"), (10, b"T "), (13, b":")];
    if !marks
        .iter()
        .all(|&(at, allowed)| allowed.contains(&head[at]))
    {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(number(&head[..4])?).ok()?,
        number(&head[5..7])?,
        number(&head[8..10])?,
    )?;
    let (seconds, fraction, zone) = match tail {
        [b':', tens, units, tail @ ..] => {
            let (fraction, zone) = fraction(tail)?;
            (number(&[*tens, *units])?, fraction, zone)
        }
        // Without seconds there is nothing to have a fraction of.
        zone => (0, 0, zone),
    };
    let time = date.and_hms_opt(number(&head[11..13])?, number(&head[14..])?, seconds)?;
    let micros = time.and_utc().timestamp() * MICROS + fraction;
    let moment = match zone {
        b"" => Moment::Local(micros),
        b"Z" => Moment::Instant(micros),
        _ => Moment::Instant(micros - offset(zone)?),
    };
    let (Moment::Instant(micros) | Moment::Local(micros)) = moment;
    RANGE.contains(&micros).then_some(moment)
}

/// The microseconds behind the seconds, without what is finer, and what follows them.
fn fraction(tail: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = tail.strip_prefix(b".") else {
        return Some((0, tail));
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, zone) = digits.split_at(count);
    let kept = &digits[..count.min(6)];
    let places = u32::try_from(kept.len())
        .ok()
        .filter(|_| (1..=9).contains(&count))?;
    Some((i64::from(number(kept)?) * 10_i64.pow(6 - places), zone))
}

/// The microseconds that a zone such as `+02:00` or `+0200` is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let ([sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2]) = *zone else {
        return None;
    };
    let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let micros = i64::from(hours * 60 + minutes) * 60 * MICROS;
    match sign {
        b'+' => Some(micros),
        b'-' => Some(-micros),
        _ => None,
    }
}

/// At most nine digits and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, byte| match byte {
        b'0'..=b'9' => Some(number * 10 + u32::from(byte - b'0')),
        _ => None,
    })
}
