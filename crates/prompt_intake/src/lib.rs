//! Everything that outside input passes before it is a prompt log.
//!
//! Bytes come in, [`Draft`]s go out: from a body of JSON records ([`Splitter`], then [`Draft::parse`]) or from an
//! OpenTelemetry export ([`otlp`]). Pure functions over bytes that never panic and hold no more than a small multiple
//! of what they were given. Not here: reading from a socket, decompression, whether a log key and its permissions are
//! good, and writing.

mod draft;
mod nesting;
mod object;
pub mod otlp;
mod splitter;

use std::borrow::Cow;
use std::fmt;

pub use draft::{Draft, HISTORY_PROMPTS_MAX, KEY_BYTES_MAX};
pub use object::Object;
pub use splitter::{BOM, Splitter};

/// The most bytes of one record or one span.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The deepest nesting of JSON, and of OpenTelemetry's values.
pub const NESTING_MAX: usize = 64;

/// The most bytes of a reason: parsers repeat in theirs what they cannot read.
const REASON_BYTES_MAX: usize = 1000;

/// Why something cannot be read as a prompt log: one lower-case sentence for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(Cow<'static, str>);

impl Reason {
    /// A reason in this sentence, cut where it is longer than anybody reads.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        let mut sentence = sentence.into();
        if sentence.len() > REASON_BYTES_MAX {
            let end = sentence.floor_char_boundary(REASON_BYTES_MAX - '…'.len_utf8());
            sentence = Cow::Owned(format!("{}…", &sentence[..end]));
        }
        Self(sentence)
    }

    /// The sentence.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

pub(crate) fn record_too_large() -> Reason {
    Reason::new(format!(
        "the record has more than {RECORD_BYTES_MAX} bytes, the most that is accepted"
    ))
}
