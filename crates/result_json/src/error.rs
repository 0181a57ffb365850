//! Why rows cannot be shown.

use std::fmt;

use arrow_schema::ArrowError;

/// An answer of this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why rows cannot be shown; as text one lower-case sentence for the caller, with the next step.
#[derive(Debug)]
pub enum Error {
    /// The JSON would be larger than this many bytes.
    TooLarge(usize),
    /// A value of this kind has no calendar date.
    Beyond(&'static str),
    /// A type has no form in JSON.
    Type(ArrowError),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(
                formatter,
                "the answer is larger than {bytes} bytes; select fewer columns or rows"
            ),
            Self::Beyond(what) => write!(
                formatter,
                "the answer holds a {what} beyond the years that can be shown; cast it to a number"
            ),
            Self::Type(_) => formatter
                .write_str("the answer holds a type that cannot be shown; cast it to STRING"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Type(error) => Some(error),
            Self::TooLarge(_) | Self::Beyond(_) => None,
        }
    }
}
