//! The HTTP interface: one line an endpoint in `router`, one file an endpoint.
//!
//! A handler parses, asks who is calling and whether they may, has the work done below, and answers. The order of checks
//! is the wire contract's (section 3). Only `problem` knows what status an error is.

mod api_keys;
mod audited;
mod body;
mod caller;
mod client;
mod console;
mod fields;
mod health;
mod jwks;
mod layers;
mod limited;
mod maintenance;
mod metrics;
mod openapi;
mod organization;
mod otlp;
mod page;
mod problem;
mod prompt_logs;
mod roles;
mod router;
mod security_headers;
mod sign_in;
mod slow_body;
mod sql_query;
mod sql_result;
mod sql_schema;
mod temporary_grants;
mod users;
mod write_prompt_logs;

pub use metrics::metrics_router;
pub use router::router;
