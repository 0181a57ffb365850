//! Why documents cannot become rows.

use std::fmt;

use crate::column::Kind;

/// Why documents cannot become rows; as text one lower-case sentence for the caller, with the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Bytes that are no document.
    Malformed,
    /// Documents within documents beyond every depth that is stored.
    TooDeep,
    /// A value that is not of its column's kind, in a strict table.
    Misfit {
        column: String,
        kind: Kind,
        /// MongoDB's name of the value's type.
        found: &'static str,
    },
    /// The texts of one column are more than one batch of rows can hold.
    TooLarge { column: String },
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => formatter.write_str(
                "a document of the collection is not BSON; repair it or leave it out of the query",
            ),
            Self::TooDeep => formatter.write_str(
                "a document of the collection is nested too deeply; leave it out of the query",
            ),
            Self::Misfit {
                column,
                kind,
                found,
            } => write!(
                formatter,
                "a value of type {found} does not fit the column `{column}`, which is {kind} and strict; repair the \
                 document or leave it out of the query"
            ),
            Self::TooLarge { column } => write!(
                formatter,
                "the values of the column `{column}` are too large; select fewer columns or rows"
            ),
        }
    }
}

impl std::error::Error for Error {}
