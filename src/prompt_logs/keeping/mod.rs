//! Keeps the archive in order: merges small files, drops what has expired, deletes what nobody needs any more.
//!
//! The server does it in the background ([`Keeper`]), an operator by hand. Of merging and cleaning each table has one at a
//! time (`lake::lock`, held by the callers here): a cleaning would take a merge's new files for left over. Every writer
//! beside them is safe: a merge or an expiry is one commit exactly on top of a version, and a merge that loses the race is made
//! again for the next one only where all its files are still the table's. What a process that was killed left over is no
//! version's, so nobody sees it, and is deleted later. Not here: which logs are shown (`select` and the query engine
//! look at each log's own instant).

mod compact;
mod expire;
mod merge;
mod plan;
mod stats;
mod task;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

pub use compact::{Compacted, compact_all};
pub use expire::{Expired, expire};
pub use stats::{Stats, stats};
pub use task::Keeper;

/// Is told how many logs a merge has written so far, and says whether it goes on.
pub type Progress<'a> = dyn Fn(u64) -> ControlFlow<()> + Send + Sync + 'a;
