//! What every request passes before the work: rate limits, places, and the audit log.

mod audit;
mod places;
mod rate_limit;

pub use audit::{Act, Action, Actor, Audit, Deed, End, KEYS_NAMED, Opening, Outcome};
pub use places::{Place, Places};
pub use rate_limit::{Endpoint, RateLimits, network};
