//! Rate limit arithmetic: a sliding window that counts exactly.
//!
//! The HTTP layer keeps one [`Usage`] per limited user and endpoint and hands in the time. Promises: never more than
//! `limit` allowed requests in any span of `period`, and a refused request costs nothing.
//! Not here: which limits exist, where usages are kept, and the headers that report them (the wire contract, section 4).

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::VecDeque;

/// At most `limit` requests in any `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The most requests in a period; 0 refuses everything.
    pub limit: u32,
    /// The length of the window, more than zero.
    pub period: TimeDelta,
}

/// The instants of the allowed requests that may still count, oldest first; at most `limit` of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    instants: VecDeque<DateTime<Utc>>,
}

/// Whether one request may go on, and what to tell its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request may go on; it is then counted.
    pub allowed: bool,
    /// The quota's limit.
    pub limit: u32,
    /// How many more would be allowed at this instant.
    pub remaining: u32,
    /// When the oldest counted request leaves the window; now, when none is counted.
    pub reset_at: DateTime<Utc>,
    /// How long until a request would be allowed; zero when this one is. A limit of 0 answers a whole period.
    pub retry_after: TimeDelta,
}

impl Usage {
    /// Counts a request at `now` if the quota allows it.
    ///
    /// Where the clock went back, requests from the time ahead count as made now, so that nobody waits longer than
    /// one period.
    pub fn take(&mut self, quota: Quota, now: DateTime<Utc>) -> Verdict {
        let Quota { limit, period } = quota;
        for instant in &mut self.instants {
            *instant = (*instant).min(now);
        }
        self.instants
            .retain(|instant| now.signed_duration_since(*instant) < period);
        let allowed = self.instants.len() < limit as usize;
        if allowed {
            self.instants.push_back(now);
        }
        let until_it_leaves =
            |instant: &DateTime<Utc>| period - now.signed_duration_since(*instant);
        let oldest = self.instants.front();
        // A free place appears when only limit - 1 are left; a limit lowered since may leave more than one to wait for.
        let in_the_way = (limit as usize)
            .checked_sub(1)
            .and_then(|kept| self.instants.iter().rev().nth(kept));
        Verdict {
            allowed,
            limit,
            remaining: limit.saturating_sub(u32::try_from(self.instants.len()).unwrap_or(u32::MAX)),
            reset_at: oldest.map_or(now, |instant| now + until_it_leaves(instant)),
            retry_after: match allowed {
                true => TimeDelta::zero(),
                false => in_the_way.map_or(period, until_it_leaves),
            },
        }
    }
}

#[cfg(test)]
mod tests;
