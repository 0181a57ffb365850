//! SQL queries as the endpoint offers them: answered within a time limit.
//!
//! `http/sql_query` → [`run`] → `engine`. Not here: what the text may be (the worker's business), and HTTP.

mod run;

pub use run::{authorise, run};
