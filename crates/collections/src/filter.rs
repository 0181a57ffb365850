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

use crate::column::{Column, Kind, Path, dotted};
use crate::decimal;

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
    /// Those with an `_id` in this range, which ends before its end. The range without a start also holds no
    /// identifiers of other types; the one without an end holds all of these.
    Ids {
        from: Option<ObjectId>,
        to: Option<ObjectId>,
    },
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

/// A condition of a query as a collection can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub filter: Filter,
    /// The documents that meet it are those whose rows meet the query's condition. Otherwise they are among them.
    pub is_exact: bool,
}

/// The integers up to here are doubles, and every comparison of a larger one with a smaller one comes out the same when
/// it is rounded to a double.
const INTEGERS_END: f64 = 9_007_199_254_740_992.0;

impl Asked {
    fn exact(filter: Filter) -> Option<Self> {
        Some(Self {
            filter,
            is_exact: true,
        })
    }

    fn more(filter: Filter) -> Option<Self> {
        Some(Self {
            filter,
            is_exact: false,
        })
    }

    /// A condition that no row meets.
    pub fn nothing() -> Self {
        Self {
            filter: Filter::Nothing,
            is_exact: true,
        }
    }
}

/// `column IS NOT NULL`.
pub fn is_not_null(column: &Column) -> Option<Asked> {
    let path = asked_path(column)?;
    match column.kind {
        Kind::Json => Asked::more(Filter::Exists { path }),
        // A decimal may have too many digits.
        Kind::Decimal { .. } => Asked::more(value(column, Test::Any)?),
        _ => Asked::exact(value(column, Test::Any)?),
    }
}

/// `column IS NULL`.
pub fn is_null(column: &Column) -> Option<Asked> {
    let path = asked_path(column)?;
    let kind = column.kind;
    match kind {
        Kind::Json | Kind::Decimal { .. } => None,
        _ => Asked::exact(Filter::NoValue { path, kind }),
    }
}

/// `column <comparison> constant`.
pub fn compare(column: &Column, comparison: Comparison, constant: Constant) -> Option<Asked> {
    use Comparison::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let is = |constant| value(column, Test::Is(comparison, constant));
    let is_not = |comparison, constant| value(column, Test::IsNot(comparison, constant));
    match (fitting(column.kind, constant)?, comparison) {
        // Equal to no value.
        (None, Eq) => Some(Asked::nothing()),
        (None, NotEq) => is_not_null(column),
        // An ObjectId's digits are in the order of its bytes; other texts are somewhere between them.
        (None, Lt | LtEq | Gt | GtEq) => None,
        // Unlike those that equal it, those that do not can have too many digits for the column.
        (Some(constant @ Constant::BigInt(_)), NotEq | Lt | LtEq | Gt | GtEq)
            if matches!(column.kind, Kind::Decimal { .. }) =>
        {
            Asked::more(is(constant)?)
        }
        // SQL has not-a-number behind all numbers, MongoDB compares it with none of them.
        (Some(constant @ Constant::Double(_)), Gt) => Asked::exact(is_not(LtEq, constant)?),
        (Some(constant @ Constant::Double(_)), GtEq) => Asked::exact(is_not(Lt, constant)?),
        (Some(constant), _) => Asked::exact(is(constant)?),
    }
}

/// `column IN (…)` or `column NOT IN (…)`; constants that are null are the caller's business.
pub fn one_of(column: &Column, constants: Vec<Constant>, negated: bool) -> Option<Asked> {
    let fitting = |constant| fitting(column.kind, constant);
    let constants: Vec<Option<Constant>> =
        constants.into_iter().map(fitting).collect::<Option<_>>()?;
    // What is none of the kind's values is equal to none of them.
    let constants = constants.into_iter().flatten().collect();
    match (negated, column.kind) {
        (false, _) => Asked::exact(value(column, Test::In(constants))?),
        (true, Kind::Decimal { .. }) => Asked::more(value(column, Test::NotIn(constants))?),
        (true, _) => Asked::exact(value(column, Test::NotIn(constants))?),
    }
}

/// The constant as a value of the kind. `Some(None)`: it is none. `None`: MongoDB's comparison with it is not SQL's.
fn fitting(kind: Kind, constant: Constant) -> Option<Option<Constant>> {
    match (kind, constant) {
        (Kind::ObjectId, Constant::String(text)) => Some(object_id(&text).map(Constant::ObjectId)),
        // The negative zero is not equal to the other one, and less than it, in Arrow, though not in MongoDB.
        (Kind::Double, Constant::Double(number))
            if number.abs() < INTEGERS_END && number.to_bits() != (-0.0_f64).to_bits() =>
        {
            Some(Some(Constant::Double(number)))
        }
        (Kind::Decimal { .. }, Constant::BigInt(number)) => {
            let (precision, scale) = kind.digits();
            let fits = decimal::integer(number, precision, scale).is_some();
            Some(fits.then_some(Constant::BigInt(number)))
        }
        (Kind::String, constant @ Constant::String(_))
        | (Kind::Boolean, constant @ Constant::Boolean(_))
        | (Kind::BigInt, constant @ Constant::BigInt(_))
        | (Kind::Timestamp, constant @ Constant::Timestamp(_)) => Some(Some(constant)),
        _ => None,
    }
}

/// The texts that begin like this; `is_exact` says whether that is all the query wants.
pub fn starts_with(column: &Column, prefix: &str, is_exact: bool) -> Option<Asked> {
    if column.kind != Kind::String {
        return None;
    }
    let from = Constant::String(prefix.to_owned());
    let mut filter = value(column, Test::Is(Comparison::GtEq, from))?;
    if let Some(end) = end_of_prefix(prefix) {
        let to = Constant::String(end);
        filter = filter & value(column, Test::Is(Comparison::Lt, to))?;
    }
    Some(Asked { filter, is_exact })
}

/// The first text behind all that begin like this, in the order of bytes, which is that of code points.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}

/// Digits as the column shows them: others are no value of it.
fn object_id(text: &str) -> Option<ObjectId> {
    let id = ObjectId::parse_str(text).ok()?;
    (id.to_hex() == text).then_some(id)
}

fn asked_path(column: &Column) -> Option<Path> {
    column.path.is_dotted().then(|| column.path.clone())
}

/// None for values of any type, of which MongoDB's comparisons are about one.
fn value(column: &Column, test: Test) -> Option<Filter> {
    if column.kind.bson_types().is_empty() {
        return None;
    }
    Some(Filter::Value {
        path: asked_path(column)?,
        kind: column.kind,
        test,
    })
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

impl BitAnd for Asked {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let filter = self.filter & other.filter;
        Self {
            // Nothing is less than nothing.
            is_exact: self.is_exact && other.is_exact || filter == Filter::Nothing,
            filter,
        }
    }
}

impl BitOr for Asked {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            filter: self.filter | other.filter,
            is_exact: self.is_exact && other.is_exact,
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
            Self::Ids { from, to } => ids(*from, *to),
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

fn ids(from: Option<ObjectId>, to: Option<ObjectId>) -> Document {
    match (from, to) {
        (None, None) => doc! {},
        (None, Some(to)) => doc! {"_id": {"$lt": to}},
        (Some(from), Some(to)) => doc! {"_id": {"$gte": from, "$lt": to}},
        (Some(from), None) => doc! {"$nor": [{"_id": {"$lt": from}}]},
    }
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
