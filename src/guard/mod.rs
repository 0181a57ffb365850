//! What every request passes before the work: rate limits.

mod rate_limit;

pub use rate_limit::{Endpoint, RateLimits};
