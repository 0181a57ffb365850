//! Integration tests: real HTTP against the real binary on real data directories. One binary, so that it links once.
//!
//! `support` starts servers and runs commands; every other module is one part of the wire contract.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a helper's failure fails its test, tests compare with the real clock of another process, and what did not run is said"
)]

mod api_document;
mod audit;
mod cli;
mod console;
mod crash;
mod credentials;
mod demo;
mod durability;
mod errors;
mod full_disk;
mod identity_api;
mod maintenance;
mod mongodb;
mod openid;
mod otlp;
mod process;
mod prompt_logs;
mod readers;
mod real_input;
mod roles;
mod round_trip;
mod sdk;
mod serving;
mod sign_in;
mod sql_async;
mod sql_dialect;
mod sql_hostile;
mod sql_query;
mod sql_tables;
mod sql_values;
mod sql_workers;
mod support;
mod tidy;
mod unauthorized;
mod write_prompt_logs;
