//! Collections of documents (MongoDB's) as tables.
//!
//! - [`Column`]: what a table's column holds and where in a document it lies. A value that is not of the column's kind
//!   does not fit: the column is null there.
//! - [`Decoder`]: documents as rows, in Arrow's columns.
//! - [`infer`]: columns from some documents, where nobody has declared any.
//! - [`filter`]: the conditions of a query that a collection can be asked, with the same answer as SQL's.
//! - [`Question`]: everything that may be asked of a collection. Both ends of the border between a query worker and the
//!   server know it; the server alone adds whose documents they are ([`Tenant`]).
//! - [`Command`]: a question in MongoDB's own words.
//!
//! Not here: connections, SQL.

mod cells;
mod column;
mod decimal;
mod decode;
mod elements;
mod error;
pub mod filter;
mod infer;
mod json;
mod question;
mod table;

#[cfg(test)]
mod tests;

pub use column::{Column, Kind, Path};
pub use decode::{Decoder, documents};
pub use error::Error;
pub use filter::Filter;
pub use infer::{INFERRED_COLUMNS_MAX, infer};
pub use question::{Command, Find, Order, Question, Tenant};
pub use table::Table;
