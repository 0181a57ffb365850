//! Rate limits around an endpoint's work: the `429`, and the headers that every limited answer carries (the wire
//! contract, section 4).

use std::future::Future;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use rules::{Error, Result, Verdict};

use super::problem::Problem;

/// Does the work if the verdict lets it; `None` means that limits are turned off.
pub(super) async fn limited(
    verdict: Option<Verdict>,
    work: impl Future<Output = Result<Response>>,
) -> Response {
    let answer = match &verdict {
        Some(verdict) if !verdict.allowed => {
            let (limit, seconds) = (verdict.limit, whole_seconds(verdict.retry_after));
            Err(Error::too_many(format!(
                "more than {limit} requests a minute; try again in {seconds} s"
            )))
        }
        _ => work.await,
    };
    let mut response = answer.unwrap_or_else(|error| Problem::from(error).into_response());
    if let Some(verdict) = verdict {
        note(response.headers_mut(), &verdict);
    }
    response
}

fn note(headers: &mut HeaderMap, verdict: &Verdict) {
    let mut set = |name, value: i64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    };
    set("x-ratelimit-limit", verdict.limit.into());
    set("x-ratelimit-remaining", verdict.remaining.into());
    // Rounded up: at the second that is named there really is room again.
    let reset = verdict.reset_at;
    set(
        "x-ratelimit-reset",
        reset.timestamp() + i64::from(reset.timestamp_subsec_nanos() > 0),
    );
    if !verdict.allowed {
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from(whole_seconds(verdict.retry_after)),
        );
    }
}

/// Rounded up, and at least one: zero would invite a retry that is refused again.
fn whole_seconds(wait: TimeDelta) -> i64 {
    let rest = i64::from(wait.subsec_nanos() > 0);
    (wait.num_seconds() + rest).max(1)
}
