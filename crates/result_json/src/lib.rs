//! Rows as JSON, and the names of their types (the wire contract, section 2).
//!
//! Every value survives the journey through a JavaScript or Python JSON reader: decimals travel as text, and so do whole
//! numbers that a double cannot hold, but in newline-delimited files, whose readers have 64 bits. Numbers,
//! decimals, instants and bytes are written straight to the output: nothing is allocated for one of them.
//! Not here: how many rows an answer has, which the engine decides.

mod column;
mod csv;
mod error;
mod lines;
mod page;
mod types;
mod value;

pub use csv::Csv;
pub use error::{Error, Result};
pub use lines::{Lines, unique_names};
pub use page::Page;
pub use types::type_name;

#[cfg(test)]
mod tests;
