//! The one way time comes into the server.
//!
//! Everything that compares, stores or promises an instant asks a [`Clock`], so that a test can stand still or jump
//! a month. Not here: deadlines and timeouts, which are measured with tokio's monotonic clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// A source of the present instant; copies tell the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Unix microseconds.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The time of the operating system.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `instant` (to the microsecond) until [`Clock::advance`] moves it; for tests and for data
    /// that must come out the same every time.
    pub fn fixed(instant: DateTime<Utc>) -> Self {
        Self(Source::Fixed(Arc::new(AtomicI64::new(
            instant.timestamp_micros(),
        ))))
    }

    /// The present instant, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Source::System => Utc::now(),
            Source::Fixed(micros) => DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst))
                .expect("a fixed clock only ever holds microseconds taken from an instant"),
        }
    }

    /// Moves a fixed clock and all its copies; negative moves it back.
    ///
    /// # Panics
    /// On the system clock, which no caller may move, and beyond the years that chrono can tell.
    pub fn advance(&self, by: TimeDelta) {
        let Source::Fixed(micros) = &self.0 else {
            panic!("the system clock cannot be moved: only Clock::fixed can");
        };
        let moved = (self.now() + by).timestamp_micros();
        micros.store(moved, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_521_600, 0).unwrap()
    }

    #[test]
    fn a_fixed_clock_stands_still_until_it_is_moved_and_its_copies_move_along() {
        let clock = Clock::fixed(noon());
        let copy = clock.clone();
        assert_eq!(clock.now(), noon());
        copy.advance(TimeDelta::milliseconds(1_500));
        assert_eq!(clock.now(), noon() + TimeDelta::milliseconds(1_500));
        clock.advance(TimeDelta::days(-30));
        assert_eq!(
            copy.now(),
            noon() + TimeDelta::milliseconds(1_500) - TimeDelta::days(30)
        );
    }

    #[test]
    #[should_panic(expected = "the system clock cannot be moved")]
    fn the_system_clock_refuses_to_be_moved() {
        Clock::system().advance(TimeDelta::seconds(1));
    }
}
