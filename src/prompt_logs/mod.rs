//! Prompt logs: written durably, chosen by key prefix, streamed as one zip.
//!
//! Reading: `http/prompt_logs` → [`select`] (which logs, and which of them may this caller read) → [`archive`] (only
//! what was selected, as zip bytes). Writing: `http` → [`Writers`] →
//! [`ingest`]; the command line → [`ingest`]. Every log lies in the organization's
//! `prompt_logs` table; `lake::prompt_log_table` says how.

mod access;
pub mod archive;
mod export;
mod files;
pub mod ingest;
mod intake;
pub mod keeping;
mod key_index;
mod permit;
mod record;
mod retention;
mod rows;
mod search;
pub mod select;
#[cfg(test)]
mod tests;
mod writer;

pub use access::{Access, LookUp};
pub use archive::{Delivery, Ledger};
pub use export::Received;
pub use ingest::{Chunk, Written};
pub use intake::{Intake, Rejected, Room, Taken};
pub use key_index::KeyIndex;
pub use record::Record;
pub use retention::{refuse_if_ahead, refuse_if_expired};
pub use select::{Selection, list_keys};
pub use writer::Writers;
