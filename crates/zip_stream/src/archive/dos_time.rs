//! The time of an entry as zip writes it: two 16-bit numbers, steps of two seconds, without a zone.

/// 1980-01-01T00:00:00Z, the first time the format can name.
const FIRST: i64 = 315_532_800;
/// 2107-12-31T23:59:58Z, the last one.
const LAST: i64 = 4_354_819_198;
const DAY_SECONDS: i64 = 86_400;

/// Time in the lower half, date in the upper half: the order of the two on the wire, as one
/// little-endian number.
///
/// `unix_seconds` is taken as UTC, clamped to what the format can name and rounded down to an even
/// second.
pub(super) fn dos_time(unix_seconds: i64) -> u32 {
    let seconds = unix_seconds.clamp(FIRST, LAST) - FIRST;
    let (year, month, day) = date(seconds / DAY_SECONDS);
    let second = seconds % DAY_SECONDS;
    let date = ((year - 1980) << 9) | (month << 5) | day;
    let time = ((second / 3600) << 11) | ((second / 60 % 60) << 5) | (second % 60 / 2);
    u32::try_from((date << 16) | time).expect("clamped to 127 years, 7 bits")
}

/// Year, month and day (both from 1) of a day counted from 1980-01-01. At most 128 years and 12
/// months are walked.
fn date(days: i64) -> (i64, i64, i64) {
    let (mut year, mut month, mut rest) = (1980, 1, days);
    while rest >= 365 + leap_day(year) {
        rest -= 365 + leap_day(year);
        year += 1;
    }
    while rest >= days_of(year, month) {
        rest -= days_of(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + leap_day(year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn leap_day(year: i64) -> i64 {
    i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
}

#[cfg(test)]
mod tests {
    use super::dos_time;

    #[track_caller]
    fn check(unix_seconds: i64, expected: &str) {
        let stamp = zip_time(dos_time(unix_seconds));
        assert_eq!(stamp, expected);
    }

    fn zip_time(dos: u32) -> String {
        let (date, time) = ((dos >> 16) as u16, dos as u16);
        zip::DateTime::try_from_msdos(date, time)
            .unwrap()
            .to_string()
    }

    #[test]
    fn a_time_is_rounded_down_to_an_even_second() {
        check(1_795_456_801, "2026-11-23 18:00:00");
        check(1_795_456_802, "2026-11-23 18:00:02");
    }

    #[test]
    fn leap_days_are_where_the_calendar_has_them() {
        check(951_782_400, "2000-02-29 00:00:00");
        check(1_709_251_199, "2024-02-29 23:59:58");
        check(4_107_542_399, "2100-02-28 23:59:58");
        check(4_107_542_400, "2100-03-01 00:00:00");
    }

    #[test]
    fn times_the_format_cannot_name_are_clamped() {
        for early in [i64::MIN, -1, 0, 315_532_799, 315_532_800] {
            check(early, "1980-01-01 00:00:00");
        }
        for late in [4_354_819_198, 4_354_819_199, 4_354_819_200, i64::MAX] {
            check(late, "2107-12-31 23:59:58");
        }
    }
}
