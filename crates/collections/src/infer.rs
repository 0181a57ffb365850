//! The columns of a collection that nobody has declared, from some of its documents.

use std::collections::HashMap;

use bson::RawDocument;

use crate::column::{Column, Kind, Path};
use crate::decimal::Decimal;
use crate::elements::{Elements, Value};

/// A table has no more inferred columns: the fields beyond are those that appear last.
pub const INFERRED_COLUMNS_MAX: usize = 1_000;

/// Digits that a column of decimals has, and how many of them can be behind the point: no fewer than 18 are before it.
const PRECISION: u8 = 38;
const SCALE_MAX: u32 = 20;

/// One column for each field of the documents themselves, in the order of their appearance but `_id` first.
///
/// A field has the kind that all its values fit; values of several types, documents and arrays are JSON, and so is a
/// field that is always null. Integers among doubles are doubles, integers among decimals are decimals. Names are kept
/// as they are, also those that differ only in the case of their letters. A field without a name, or whose name is not
/// UTF-8, becomes no column, and neither do those beyond [`INFERRED_COLUMNS_MAX`]. What is not BSON is read as far as
/// it is.
pub fn infer<'a>(documents: impl IntoIterator<Item = &'a RawDocument>) -> Vec<Column> {
    let mut fields = Fields::default();
    for document in documents {
        fields.read(document.as_bytes());
    }
    fields.columns()
}

#[derive(Default)]
struct Fields {
    /// In the order of their appearance.
    seen: Vec<(String, Seen)>,
    places: HashMap<String, usize>,
}

/// Which values a field has.
#[derive(Default)]
struct Seen {
    strings: bool,
    object_ids: bool,
    booleans: bool,
    integers: bool,
    doubles: bool,
    decimals: bool,
    dates: bool,
    binaries: bool,
    others: bool,
    /// The most digits that a decimal has behind its point.
    scale: u32,
}

impl Fields {
    fn read(&mut self, document: &[u8]) {
        let Ok(mut elements) = Elements::of(document) else {
            return;
        };
        while let Ok(Some((key, value))) = elements.next() {
            if let Ok(name) = std::str::from_utf8(key)
                && let Some(seen) = self.field(name)
            {
                seen.add(value);
            }
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut Seen> {
        let place = match self.places.get(name) {
            Some(&place) => place,
            None if name.is_empty() => return None,
            // There is always room for `_id`.
            None if self.seen.len() >= INFERRED_COLUMNS_MAX && name != "_id" => return None,
            None => {
                self.seen.push((name.to_owned(), Seen::default()));
                self.places.insert(name.to_owned(), self.seen.len() - 1);
                self.seen.len() - 1
            }
        };
        self.seen.get_mut(place).map(|(_, seen)| seen)
    }

    fn columns(self) -> Vec<Column> {
        let mut columns: Vec<Column> = self
            .seen
            .into_iter()
            .map(|(name, seen)| Column {
                path: Path::field(name.as_str()),
                name,
                kind: seen.kind(),
            })
            .collect();
        columns.sort_by_key(|column| column.name != "_id");
        columns.truncate(INFERRED_COLUMNS_MAX);
        columns
    }
}

impl Seen {
    fn add(&mut self, value: Value<'_>) {
        match value {
            Value::Null | Value::Undefined => {}
            Value::String(_) => self.strings = true,
            Value::ObjectId(_) => self.object_ids = true,
            Value::Boolean(_) => self.booleans = true,
            Value::Int32(_) | Value::Int64(_) => self.integers = true,
            Value::Double(_) => self.doubles = true,
            Value::Decimal128(bits) => {
                self.decimals = true;
                let digits = Decimal::from_bits(bits).digits_behind_point();
                self.scale = self.scale.max(digits.unwrap_or(0));
            }
            Value::DateTime(_) => self.dates = true,
            Value::Binary(_) => self.binaries = true,
            _ => self.others = true,
        }
    }

    fn kind(&self) -> Kind {
        let numbers = [self.integers, self.doubles, self.decimals];
        let rest = [
            (self.strings, Kind::String),
            (self.object_ids, Kind::ObjectId),
            (self.booleans, Kind::Boolean),
            (self.dates, Kind::Timestamp),
            (self.binaries, Kind::Binary),
            (self.others, Kind::Json),
        ];
        let number = match numbers {
            [false, false, false] => None,
            [true, false, false] => Some(Kind::BigInt),
            [_, true, false] => Some(Kind::Double),
            [_, false, true] => Some(Kind::Decimal {
                precision: PRECISION,
                scale: self.scale.min(SCALE_MAX) as i8,
            }),
            [_, true, true] => Some(Kind::Json),
        };
        let seen = rest.into_iter().filter(|(seen, _)| *seen);
        let mut kinds = seen.map(|(_, kind)| kind).chain(number);
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => kind,
            _ => Kind::Json,
        }
    }
}
