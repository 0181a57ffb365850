//! Runs SQL, in processes of its own.
//!
//! `sql_query` → [`Pool`] (this process) → `worker` (a child of the same binary) → `plan` → `execute` → `result_json`. The
//! text of a query is looked at only in the child: parsing, planning and running it can exhaust memory or the stack, and
//! all of that then ends the child, never the server. A child serves one query at a time with a session made for that
//! query alone. Not here: who may run a query, and for how long.

mod as_is;
mod attend;
mod confine;
mod constants;
mod dialect;
mod distinct;
mod execute;
mod file;
mod functions;
mod joins;
mod memory;
mod names;
mod plan;
mod pool;
mod problem;
mod process;
mod protocol;
mod queue;
mod server;
mod sources;
mod spelling;
mod spill;
mod subqueries;
mod twins;
#[cfg(test)]
mod walls;
pub mod worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use attend::{Attendant, Batches};
pub use pool::{Pool, PoolSettings, Ran};
pub use protocol::{Cost, Format, Output, Progress, Request, Rows, ServerTable};

/// For what is whole at every moment, so that a panic elsewhere spoils nothing.
fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
