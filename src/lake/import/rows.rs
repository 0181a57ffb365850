//! The rows of a text file, whatever its format: fields with a name and perhaps a value.
//!
//! `json` and `csv` → here → `infer` and `build`. Holds one row at a time. Not here: columns, which need all rows.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use rules::{Error, Result};

use super::Format;
use super::csv::Records;
use super::json::{Elements, Lines};

/// A field's value: as a text column holds it, and what else it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value<'a> {
    /// A string's characters; anything else as it is written in the file.
    pub(super) text: Cow<'a, str>,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Boolean(bool),
    Whole(i64),
    Fraction(f64),
    /// A whole number beyond 64 bits or a number too large for floating point: only its text says it.
    LargeNumber,
    String,
    /// A JSON array or object.
    Nested,
}

impl Shape {
    /// What a number in JSON's notation is.
    pub(super) fn of_number(text: &str) -> Self {
        if !text.contains(['.', 'e', 'E']) {
            return text.parse().map_or(Self::LargeNumber, Self::Whole);
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Fraction(number),
            _ => Self::LargeNumber,
        }
    }
}

/// Where a row begins: its line, and in an array which element it is, both from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) element: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.element {
            Some(element) => write!(f, "element {element} (line {})", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

impl Place {
    /// `Invalid` at this place.
    pub(super) fn error(self, reason: impl fmt::Display) -> Error {
        Error::invalid(format!("{self}: {reason}"))
    }

    /// `bytes` as text.
    pub(super) fn utf8(self, bytes: &[u8]) -> Result<&str> {
        std::str::from_utf8(bytes)
            .map_err(|_| self.error("the text is not UTF-8; save the file as UTF-8"))
    }
}

/// A field with its name; `None` is null.
pub(super) type Named<'a> = (Cow<'a, str>, Option<Value<'a>>);

#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) place: Place,
    /// In the file's order. Of several with one name the last counts.
    pub(super) fields: Vec<Named<'a>>,
}

#[derive(Debug)]
pub(super) enum Rows {
    Lines(Lines),
    Elements(Elements),
    Records(Records),
}

impl Rows {
    /// The rows of a text file; `None` for Parquet, which has columns instead.
    pub(super) fn open(path: &Path, format: Format) -> Result<Option<Self>> {
        Ok(Some(match format {
            Format::NdJson => Self::Lines(Lines::open(path)?),
            Format::JsonArray => Self::Elements(Elements::open(path)?),
            Format::Csv => Self::Records(Records::open(path)?),
            Format::Parquet => return Ok(None),
        }))
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// `Invalid`, naming the line, for what is no row.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Elements(elements) => elements.next(),
            Self::Records(records) => records.next(),
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.bytes_read(),
            Self::Elements(elements) => elements.bytes_read(),
            Self::Records(records) => records.bytes_read(),
        }
    }
}
