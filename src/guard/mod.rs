//! What every request passes before the work: rate limits, and the audit log.

mod audit;
mod rate_limit;

pub use audit::{Act, Action, Actor, Audit, Deed, End, Opening, Outcome};
pub use rate_limit::{Endpoint, RateLimits};
