//! Columns: names, places, kinds.

use std::fmt;

use arrow_schema::{DataType, TimeUnit};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// A column of a collection's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub path: Path,
    pub kind: Kind,
}

/// Where a value lies: the field, then the fields within it. A path leads through documents only, never into arrays.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(Vec<String>);

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    String,
    /// As text: 24 hexadecimal digits, small letters.
    ObjectId,
    Boolean,
    /// 32-bit and 64-bit integers.
    BigInt,
    /// Doubles and integers; no NaN but one, no zero but the positive one.
    Double,
    /// Decimal128 values and integers that have no more digits than these.
    Decimal {
        precision: u8,
        scale: i8,
    },
    Timestamp,
    Binary,
    /// Any value, as JSON text.
    Json,
}

impl Path {
    /// A field of the document itself.
    pub fn field(name: impl Into<String>) -> Self {
        Self(vec![name.into()])
    }

    /// From a text with dots between the fields, as configuration files have it.
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<String> = text.split('.').map(str::to_owned).collect();
        fields
            .iter()
            .all(|field| !field.is_empty())
            .then_some(Self(fields))
    }

    /// A field within what lies here.
    pub fn within(mut self, field: impl Into<String>) -> Self {
        self.0.push(field.into());
        self
    }

    pub fn fields(&self) -> &[String] {
        &self.0
    }

    /// Whether this is the field that MongoDB has an index of in every collection.
    pub fn is_id(&self) -> bool {
        self.0 == ["_id"]
    }

    /// Whether MongoDB's dotted form means this path: a field's name may itself hold a dot or begin with a dollar.
    pub(crate) fn is_dotted(&self) -> bool {
        let plain = |field: &String| {
            !field.is_empty() && !field.contains(['.', '\0']) && !field.starts_with('$')
        };
        !self.0.is_empty() && self.0.iter().all(plain)
    }

    /// The paths that this one leads through, outermost first.
    pub(crate) fn parents(&self) -> impl Iterator<Item = Self> {
        (1..self.0.len()).map(|length| Self(self.0[..length].to_vec()))
    }
}

impl Column {
    /// Whether MongoDB has a name for where the values lie.
    pub fn is_askable(&self) -> bool {
        self.path.is_dotted()
    }
}

/// MongoDB's dotted form.
impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("."))
    }
}

/// Reads a path of a question: MongoDB's dotted form means it.
pub(crate) fn dotted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Path, D::Error> {
    let path = Path::deserialize(deserializer)?;
    if path.is_dotted() {
        return Ok(path);
    }
    Err(D::Error::custom("this path has no dotted form"))
}

impl Kind {
    /// From the name of a type, as configuration files have it: `STRING`, `OBJECTID`, `BOOLEAN`, `BIGINT`, `DOUBLE`,
    /// `DECIMAL(p,s)`, `TIMESTAMP`, `BINARY`, `JSON`, in letters of any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        Some(match text.as_str() {
            "STRING" => Self::String,
            "OBJECTID" => Self::ObjectId,
            "BOOLEAN" => Self::Boolean,
            "BIGINT" => Self::BigInt,
            "DOUBLE" => Self::Double,
            "TIMESTAMP" => Self::Timestamp,
            "BINARY" => Self::Binary,
            "JSON" => Self::Json,
            _ => {
                let digits = text.strip_prefix("DECIMAL(")?.strip_suffix(')')?;
                let (precision, scale) = digits.split_once(',')?;
                let precision: u8 = precision.trim().parse().ok()?;
                let scale: i8 = scale.trim().parse().ok()?;
                let fits = (1..=38).contains(&precision) && (0..=precision as i8).contains(&scale);
                fits.then_some(Self::Decimal { precision, scale })?
            }
        })
    }

    /// The type of the column's values in Arrow's terms.
    pub fn data_type(self) -> DataType {
        match self {
            Self::String | Self::ObjectId | Self::Json => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::BigInt => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal { .. } => {
                let (precision, scale) = self.digits();
                DataType::Decimal128(precision, scale)
            }
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Binary => DataType::Binary,
        }
    }

    /// A decimal's precision and scale, as far as there are such.
    pub(crate) fn digits(self) -> (u8, i8) {
        match self {
            Self::Decimal { precision, scale } => {
                let precision = precision.clamp(1, 38);
                (precision, scale.clamp(0, precision.cast_signed()))
            }
            _ => (38, 0),
        }
    }

    /// MongoDB's names of the types whose values may fit; none: every type.
    pub(crate) fn bson_types(self) -> &'static [&'static str] {
        match self {
            Self::String => &["string"],
            Self::ObjectId => &["objectId"],
            Self::Boolean => &["bool"],
            Self::BigInt => &["int", "long"],
            Self::Double => &["int", "long", "double"],
            Self::Decimal { .. } => &["int", "long", "decimal"],
            Self::Timestamp => &["date"],
            Self::Binary => &["binData"],
            Self::Json => &[],
        }
    }
}

/// As [`Kind::parse`] reads it.
impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => {
                write!(formatter, "DECIMAL({precision},{scale})")
            }
            Self::String => formatter.write_str("STRING"),
            Self::ObjectId => formatter.write_str("OBJECTID"),
            Self::Boolean => formatter.write_str("BOOLEAN"),
            Self::BigInt => formatter.write_str("BIGINT"),
            Self::Double => formatter.write_str("DOUBLE"),
            Self::Timestamp => formatter.write_str("TIMESTAMP"),
            Self::Binary => formatter.write_str("BINARY"),
            Self::Json => formatter.write_str("JSON"),
        }
    }
}
