//! Runs SQL, in processes of its own.
//!
//! `sql_query` → [`Pool`] (this process) → `worker` (a child of the same binary) → `plan` → `execute` → `encode`. The
//! text of a query is looked at only in the child: parsing, planning and running it can exhaust memory or the stack, and
//! all of that then ends the child, never the server. A child serves one query at a time with a session made for that
//! query alone. Not here: who may run a query, and for how long.

mod dialect;
mod encode;
mod execute;
mod functions;
mod joins;
mod names;
mod plan;
mod pool;
mod problem;
mod protocol;
mod sources;
mod spelling;
pub mod worker;

pub use pool::{Pool, PoolSettings};
pub use protocol::{Limits, Request};
