use super::*;
use proptest::prelude::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

const QUOTA: Quota = Quota {
    limit: 3,
    period: TimeDelta::seconds(60),
};

#[test]
fn up_to_the_limit_is_allowed_and_counted_down() {
    let mut usage = Usage::default();
    for (second, remaining) in [(0, 2), (10, 1), (20, 0)] {
        let verdict = usage.take(QUOTA, at(second));
        assert_eq!(
            verdict,
            Verdict {
                allowed: true,
                limit: 3,
                remaining,
                reset_at: at(60),
                retry_after: TimeDelta::zero()
            }
        );
    }
    assert_eq!(
        usage.take(QUOTA, at(25)),
        Verdict {
            allowed: false,
            limit: 3,
            remaining: 0,
            reset_at: at(60),
            retry_after: seconds(35)
        }
    );
}

#[test]
fn a_place_is_free_exactly_one_period_after_it_was_taken() {
    let mut usage = Usage::default();
    for second in [0, 10, 20] {
        usage.take(QUOTA, at(second));
    }
    assert!(
        !usage
            .take(QUOTA, at(60) - TimeDelta::nanoseconds(1))
            .allowed
    );
    let verdict = usage.take(QUOTA, at(60));
    assert!(verdict.allowed);
    assert_eq!(verdict.reset_at, at(70));
    assert!(!usage.take(QUOTA, at(69)).allowed);
    assert!(usage.take(QUOTA, at(70)).allowed);
}

#[test]
fn a_refused_request_does_not_count() {
    let mut usage = Usage::default();
    for second in [0, 0, 0] {
        usage.take(QUOTA, at(second));
    }
    for second in 1..60 {
        assert!(!usage.take(QUOTA, at(second)).allowed);
    }
    assert_eq!(usage.take(QUOTA, at(60)).remaining, 2);
}

#[test]
fn a_limit_of_zero_refuses_everything() {
    let none = Quota { limit: 0, ..QUOTA };
    assert_eq!(
        Usage::default().take(none, at(5)),
        Verdict {
            allowed: false,
            limit: 0,
            remaining: 0,
            reset_at: at(5),
            retry_after: seconds(60)
        }
    );
}

#[test]
fn a_limit_lowered_meanwhile_waits_for_enough_places() {
    let mut usage = Usage::default();
    for second in [0, 10, 20] {
        usage.take(QUOTA, at(second));
    }
    let one = Quota { limit: 1, ..QUOTA };
    let verdict = usage.take(one, at(30));
    assert_eq!((verdict.allowed, verdict.remaining), (false, 0));
    assert_eq!(verdict.retry_after, seconds(50));
    assert!(!usage.take(one, at(79)).allowed);
    assert!(usage.take(one, at(80)).allowed);
}

#[test]
fn a_clock_that_went_back_locks_nobody_out_for_longer_than_a_period() {
    let mut usage = Usage::default();
    for _ in 0..3 {
        usage.take(QUOTA, at(1_000_000));
    }
    let verdict = usage.take(QUOTA, at(0));
    assert_eq!((verdict.allowed, verdict.retry_after), (false, seconds(60)));
    assert!(usage.take(QUOTA, at(60)).allowed);
}

proptest! {
    #[test]
    fn no_window_ever_holds_more_than_the_limit_and_none_is_refused_for_nothing(
        limit in 0_u32..5,
        steps in prop::collection::vec(0_i64..30, 0..60),
    ) {
        let quota = Quota { limit, ..QUOTA };
        let mut usage = Usage::default();
        let mut taken: Vec<i64> = Vec::new();
        let mut now = 0;
        for step in steps {
            now += step;
            let in_window = taken.iter().filter(|&&then| now - then < 60).count();
            let verdict = usage.take(quota, at(now));
            prop_assert_eq!(verdict.allowed, in_window < limit as usize);
            if verdict.allowed {
                taken.push(now);
                prop_assert_eq!(verdict.retry_after, TimeDelta::zero());
            } else if limit > 0 {
                // After the wait that was promised, and not before, a request is allowed.
                let then = at(now) + verdict.retry_after;
                prop_assert!(usage.clone().take(quota, then).allowed);
                prop_assert!(!usage.clone().take(quota, then - TimeDelta::nanoseconds(1)).allowed);
            }
            let counted = taken.iter().filter(|&&then| now - then < 60).count();
            prop_assert_eq!(verdict.remaining as usize, limit as usize - counted);
        }
    }
}
