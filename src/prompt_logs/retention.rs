//! How old, and how far ahead of its time, a log may be to be written.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rules::{Error, Result};

/// How far ahead of this machine's clock a log's instant may be: clocks differ by minutes, days by a mistaken zone.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

/// Refuses a log that is older than those which are kept: it would never be shown, and soon be dropped. `created_at` is
/// the record's own instant, `None` for now; `oldest` is what `lake::prompt_log_table::oldest` says for its organization.
///
/// # Errors
/// `Invalid` with the reason.
pub fn refuse_if_expired(created_at: Option<DateTime<Utc>>, oldest: DateTime<Utc>) -> Result<()> {
    match created_at {
        Some(created_at) if created_at < oldest => Err(Error::invalid(format!(
            "the log was produced at {}, and logs from before {} are no longer kept",
            iso(created_at),
            iso(oldest)
        ))),
        _ => Ok(()),
    }
}

/// Refuses a log from the future, which would outlive its retention. `created_at` as in [`refuse_if_expired`].
///
/// # Errors
/// `Invalid` with the reason.
pub fn refuse_if_ahead(created_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
    match created_at {
        Some(created_at) if created_at > now + AHEAD_MAX => Err(Error::invalid(format!(
            "the log was produced at {}, more than a day ahead of this server's clock",
            iso(created_at)
        ))),
        _ => Ok(()),
    }
}

fn iso(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_refused_from_the_microsecond_on_at_which_it_is_no_longer_shown() {
        let oldest = DateTime::from_timestamp(1_795_521_600, 0).unwrap();
        assert!(refuse_if_expired(None, oldest).is_ok());
        assert!(refuse_if_expired(Some(oldest), oldest).is_ok());
        let older = oldest - TimeDelta::microseconds(1);
        let error = refuse_if_expired(Some(older), oldest).unwrap_err();
        assert_eq!(
            error.message(),
            "the log was produced at 2026-11-24T11:59:59.999999Z, and logs from before 2026-11-24T12:00:00Z are no longer kept"
        );
    }

    #[test]
    fn clocks_may_differ_by_a_day_and_no_more() {
        let now = DateTime::from_timestamp(1_795_521_600, 0).unwrap();
        assert!(refuse_if_ahead(None, now).is_ok());
        assert!(refuse_if_ahead(Some(now + AHEAD_MAX), now).is_ok());
        let later = now + AHEAD_MAX + TimeDelta::microseconds(1);
        let error = refuse_if_ahead(Some(later), now).unwrap_err();
        assert!(error.message().contains("ahead of this server's clock"));
    }
}
