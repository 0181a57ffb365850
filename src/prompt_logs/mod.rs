//! Prompt logs: written durably, chosen by key prefix, streamed as one zip.
//!
//! Reading: `http/prompt_logs` → [`select`] (which logs, and which of them may this caller read) → [`archive`] (only
//! what was selected, as zip bytes). Writing: the command line → [`ingest`]. Every log lies in the organization's
//! `prompt_logs` table; `lake::prompt_log_table` says how.

mod access;
pub mod archive;
mod files;
pub mod ingest;
mod permit;
mod record;
mod search;
pub mod select;
#[cfg(test)]
mod tests;

pub use access::{Access, LookUp};
pub use ingest::{Chunk, Written};
pub use record::Record;
pub use select::{Selection, list_keys};
