//! What a column of a file or of a table is: its name and the kind of its values.
//!
//! Promises: a [`Column`] made by this module's parent has a name Delta accepts, and [`Column::arrow_field`] and
//! [`Column::of_field`] are each other's inverse. Not here: how a file's values decide their column's kind (`infer`).

use std::collections::HashMap;
use std::fmt;

use arrow::datatypes::{DataType, Field, TimeUnit};
use rules::{Error, Result};

/// The most characters a column's name may have.
const NAME_CHARS_MAX: usize = 128;

/// The most columns a file may have. Beyond it an object's keys are data (ids, dates), not names of columns.
const COLUMNS_MAX: usize = 4_096;

/// What a table's column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but nulls was seen: fits every column of an existing table; a new table holds it as text.
    Null,
    Boolean,
    /// Whole numbers of 64 bits with a sign.
    BigInt,
    /// Numbers of 64 bits in floating point.
    Double,
    /// Exact numbers of `precision` digits, `scale` of them behind the point; from Parquet only.
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    /// Text that holds one JSON document.
    Json,
    /// Instants in UTC, to the microsecond.
    Timestamp,
    /// Date and time of day of no time zone, to the microsecond.
    TimestampNtz,
    /// Days; from Parquet only.
    Date,
    /// Bytes; from Parquet only.
    Binary,
}

/// The kind as SQL calls it (the wire contract, section 2, "column types").
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "BOOLEAN",
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
            Self::Decimal { precision, scale } => return write!(f, "DECIMAL({precision},{scale})"),
            Self::Null | Self::Text | Self::Json => "STRING",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampNtz => "TIMESTAMP_NTZ",
            Self::Date => "DATE",
            Self::Binary => "BINARY",
        })
    }
}

/// A column of a file or of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

impl Column {
    /// The column as a table holds it; every column may hold nulls.
    pub fn arrow_field(&self) -> Field {
        let data_type = match self.kind {
            Kind::Null | Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Boolean => DataType::Boolean,
            Kind::BigInt => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::TimestampNtz => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Date => DataType::Date32,
            Kind::Binary => DataType::Binary,
        };
        Field::new(&self.name, data_type, true)
    }

    /// The column that an existing table holds as `field`; `None` where no import makes such a column, so that
    /// nothing can be appended to it.
    pub fn of_field(field: &Field) -> Option<Self> {
        let kind = match field.data_type() {
            DataType::Boolean => Kind::Boolean,
            DataType::Int64 => Kind::BigInt,
            DataType::Float64 => Kind::Double,
            DataType::Decimal128(precision, scale) => Kind::Decimal {
                precision: *precision,
                scale: *scale,
            },
            DataType::Utf8 => Kind::Text,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Kind::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Kind::TimestampNtz,
            DataType::Date32 => Kind::Date,
            DataType::Binary => Kind::Binary,
            _ => return None,
        };
        Some(Self {
            name: field.name().clone(),
            kind,
        })
    }
}

/// Whether a file with the columns `file` can be appended to a table with the columns `table`.
///
/// A table's column takes its own kind; text takes everything but bytes, as written in the file; `DOUBLE` takes whole
/// numbers. A table's column that the file lacks becomes null.
///
/// # Errors
/// `Invalid`, naming the column and both kinds, when a column of the file is not in the table or does not fit there.
pub fn reconcile(file: &[Column], table: &[Column]) -> Result<()> {
    let kinds: HashMap<&str, Kind> = table.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    for Column { name, kind } in file {
        let Some(&held) = kinds.get(name.as_str()) else {
            return Err(Error::invalid(format!(
                "column {name:?} ({kind} in the file) is not in the table; \
                 leave it out, or give --replace to make the table anew from this file"
            )));
        };
        if !accepts(held, *kind) {
            return Err(Error::invalid(format!(
                "column {name:?} is {kind} in the file but {held} in the table; \
                 change the file, or give --replace to make the table anew from this file"
            )));
        }
    }
    Ok(())
}

fn accepts(held: Kind, offered: Kind) -> bool {
    match (held, offered) {
        (_, Kind::Null) | (Kind::Double, Kind::BigInt) => true,
        (Kind::Text | Kind::Json | Kind::Null, offered) => offered != Kind::Binary,
        (held, offered) => held == offered,
    }
}

/// The names of a file's columns, each with its place in the order of first appearance.
#[derive(Debug, Default)]
pub(super) struct Names {
    in_order: Vec<String>,
    places: HashMap<String, usize>,
    // In lower case: Delta tells names apart by their letters only, not by case.
    folded: HashMap<String, String>,
}

impl Names {
    pub(super) fn of(columns: &[Column]) -> Self {
        let in_order: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let places = in_order.iter().cloned().zip(0..).collect();
        Self {
            in_order,
            places,
            folded: HashMap::new(),
        }
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.in_order
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The place of `name`, which becomes the last one when it is new.
    ///
    /// # Errors
    /// `Invalid` when a table cannot have such a column, or so many.
    pub(super) fn place_or_add(&mut self, name: &str) -> Result<usize> {
        if let Some(place) = self.place(name) {
            return Ok(place);
        }
        check_name(name)?;
        if let Some(other) = self.folded.insert(name.to_lowercase(), name.to_owned()) {
            return Err(Error::invalid(format!(
                "columns {other:?} and {name:?} differ only in case, which a table cannot hold; rename one"
            )));
        }
        let place = self.in_order.len();
        if place == COLUMNS_MAX {
            return Err(Error::invalid(format!(
                "the file has more than {COLUMNS_MAX} columns; put keys that are data into one nested value"
            )));
        }
        self.in_order.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }
}

/// Whether a Delta table can have columns of these names.
///
/// # Errors
/// `Invalid`, naming the column.
pub fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut known = Names::default();
    for name in names {
        known.place_or_add(name)?;
    }
    Ok(())
}

/// Whether a Delta table can have a column of this name (Delta's PROTOCOL.md: none of ` ,;{}()\n\t=`).
fn check_name(name: &str) -> Result<()> {
    let chars = name.chars().count();
    if chars == 0 {
        return Err(Error::invalid("a column has an empty name; name it"));
    }
    if chars > NAME_CHARS_MAX {
        let start: String = name.chars().take(32).collect();
        return Err(Error::invalid(format!(
            "the name of column {start:?}… has {chars} characters; shorten it to at most {NAME_CHARS_MAX}"
        )));
    }
    match name
        .chars()
        .find(|&c| " ,;{}()=".contains(c) || c.is_control())
    {
        Some(refused) => Err(Error::invalid(format!(
            "column {name:?} has {refused:?} in its name, which a table cannot hold; rename it, for example with '_'"
        ))),
        None => Ok(()),
    }
}
