//! Conditions that a collection can be asked.
//!
//! SQL's conditions are about a column's values; MongoDB's are about whatever lies at the path: values of any type, and
//! arrays, of which any element may match. So every condition here also says of which types the value must be, and that
//! neither it nor anything on the way to it is an array. What remains different is never asked, or asked with an answer
//! that holds too much ([`Asked::is_exact`]).

use std::ops::{BitAnd, BitOr};

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde::{Deserialize, Serialize};

use crate::column::{Kind, Path, dotted};

mod asked;

pub use asked::{Asked, compare, is_not_null, is_null, one_of, starts_with};

/// Which documents: a condition that every one of them meets.
///
/// A path that MongoDB's dotted form does not mean is no part of any: read from the other end of a pipe, it is refused,
/// so that no operator can be written as a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    Everything,
    Nothing,
    And(Vec<Self>),
    Or(Vec<Self>),
    /// The value at the path fits the kind, and passes the test.
    Value {
        #[serde(deserialize_with = "dotted")]
        path: Path,
        kind: Kind,
        test: Test,
    },
    /// There is no value at the path that fits the kind.
    NoValue {
        #[serde(deserialize_with = "dotted")]
        path: Path,
        kind: Kind,
    },
    /// Something lies at the path, or an array is on the way to it.
    Exists {
        #[serde(deserialize_with = "dotted")]
        path: Path,
    },
    /// The document's `_id` is equal to the constant, in the one form that every server looks up in its index of them.
    /// Where the collection is a view, lists that hold the constant are found as well, and equal numbers of any type
    /// everywhere.
    Id(Constant),
}

/// What a value that fits must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Test {
    Any,
    Is(Comparison, Constant),
    /// Everything for which the comparison is not true: also what cannot be compared.
    IsNot(Comparison, Constant),
    In(Vec<Constant>),
    NotIn(Vec<Constant>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Constant {
    String(String),
    ObjectId(ObjectId),
    Boolean(bool),
    BigInt(i64),
    /// Finite. As its bits: no text of a number on the way that is read back as another one.
    Double(#[serde(with = "bits")] f64),
    /// Milliseconds since 1970, UTC.
    Timestamp(i64),
}

mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

impl BitAnd for Filter {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, filter) | (filter, Self::Everything) => filter,
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (filter, other) => {
                let mut filters = filter.terms_of_and();
                filters.extend(other.terms_of_and());
                Self::And(filters)
            }
        }
    }
}

impl BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, filter) | (filter, Self::Nothing) => filter,
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
            (filter, other) => {
                let mut filters = filter.terms_of_or();
                filters.extend(other.terms_of_or());
                Self::Or(filters)
            }
        }
    }
}

impl Filter {
    /// As MongoDB's query document.
    pub fn document(&self) -> Document {
        match self {
            Self::Everything => doc! {},
            Self::Nothing => doc! {"_id": {"$in": []}},
            // MongoDB refuses an empty list.
            Self::And(filters) if filters.is_empty() => Self::Everything.document(),
            Self::Or(filters) if filters.is_empty() => Self::Nothing.document(),
            Self::And(filters) => doc! {"$and": documents(filters)},
            Self::Or(filters) => doc! {"$or": documents(filters)},
            Self::Value { path, kind, test } => value_document(path, *kind, test),
            Self::NoValue { path, kind } => {
                doc! {"$nor": [value_document(path, *kind, &Test::Any)]}
            }
            Self::Exists { path } => doc! {path.to_string(): {"$exists": true}},
            Self::Id(constant) => doc! {"_id": constant.bson()},
        }
    }

    /// How many conditions are within each other.
    pub fn depth(&self) -> usize {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                1 + filters.iter().map(Self::depth).max().unwrap_or_default()
            }
            _ => 1,
        }
    }

    fn terms_of_and(self) -> Vec<Self> {
        match self {
            Self::And(filters) => filters,
            filter => vec![filter],
        }
    }

    fn terms_of_or(self) -> Vec<Self> {
        match self {
            Self::Or(filters) => filters,
            filter => vec![filter],
        }
    }
}

fn documents(filters: &[Filter]) -> Vec<Document> {
    filters.iter().map(Filter::document).collect()
}

/// That the value is of the kind's types and passes the test, and that neither it nor anything on the way to it is an
/// array.
fn value_document(path: &Path, kind: Kind, test: &Test) -> Document {
    let constants =
        |constants: &[Constant]| -> Vec<Bson> { constants.iter().map(Constant::bson).collect() };
    let path_name = path.to_string();
    let mut condition = match test {
        Test::Any | Test::IsNot(..) => doc! {},
        Test::Is(comparison, constant) => doc! {comparison.operator(): constant.bson()},
        Test::In(list) => doc! {"$in": constants(list)},
        Test::NotIn(list) => doc! {"$nin": constants(list)},
    };
    condition.insert("$type", kind.bson_types().to_vec());
    condition.insert("$not", doc! {"$type": "array"});
    let mut document = doc! {path_name.as_str(): condition};
    for parent in path.parents() {
        document.insert(parent.to_string(), doc! {"$not": {"$type": "array"}});
    }
    if let Test::IsNot(comparison, constant) = test {
        let comparison = doc! {comparison.operator(): constant.bson()};
        document.insert("$nor", vec![doc! {path_name: comparison}]);
    }
    document
}

impl Comparison {
    fn operator(self) -> &'static str {
        match self {
            Self::Eq => "$eq",
            Self::NotEq => "$ne",
            Self::Lt => "$lt",
            Self::LtEq => "$lte",
            Self::Gt => "$gt",
            Self::GtEq => "$gte",
        }
    }
}

impl Constant {
    fn bson(&self) -> Bson {
        match self {
            Self::String(text) => Bson::String(text.clone()),
            Self::ObjectId(id) => Bson::ObjectId(*id),
            Self::Boolean(value) => Bson::Boolean(*value),
            Self::BigInt(number) => Bson::Int64(*number),
            Self::Double(number) => Bson::Double(*number),
            Self::Timestamp(millis) => Bson::DateTime(bson::DateTime::from_millis(*millis)),
        }
    }
}
