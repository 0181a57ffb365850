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

use crate::column::{Column, Kind, Path};

/// Which documents: a condition that every one of them meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    Everything,
    Nothing,
    And(Vec<Self>),
    Or(Vec<Self>),
    /// The value at the path fits the kind, and passes the test.
    Value {
        path: Path,
        kind: Kind,
        test: Test,
    },
    /// There is no value at the path that fits the kind.
    NoValue {
        path: Path,
        kind: Kind,
    },
    /// Something lies at the path, or an array is on the way to it.
    Exists {
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
    /// Within a [`Kind::Double`]: not a number.
    IsNan,
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
    /// Finite.
    Double(f64),
    /// Milliseconds since 1970, UTC.
    Timestamp(i64),
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
    match (column.kind, constant) {
        // An ObjectId's digits are in the order of its bytes; other texts are somewhere between them.
        (Kind::ObjectId, Constant::String(text)) => match object_id(&text) {
            Some(id) => Asked::exact(is(Constant::ObjectId(id))?),
            None if comparison == Eq => Some(Asked::nothing()),
            None if comparison == NotEq => is_not_null(column),
            None => None,
        },
        (Kind::Double, Constant::Double(number)) if number.abs() < INTEGERS_END => {
            // There is one zero.
            let constant = Constant::Double(number + 0.0);
            // SQL has NaN behind all numbers, MongoDB compares it with none of them.
            let filter = match comparison {
                Gt | GtEq => is(constant)? | value(column, Test::IsNan)?,
                Eq | NotEq | Lt | LtEq => is(constant)?,
            };
            Asked::exact(filter)
        }
        (Kind::Decimal { .. }, Constant::BigInt(number)) if comparison != NotEq => {
            Asked::more(is(Constant::BigInt(number))?)
        }
        (Kind::String, constant @ Constant::String(_))
        | (Kind::Boolean, constant @ Constant::Boolean(_))
        | (Kind::BigInt, constant @ Constant::BigInt(_))
        | (Kind::Timestamp, constant @ Constant::Timestamp(_)) => Asked::exact(is(constant)?),
        _ => None,
    }
}

/// `column IN (…)` or `column NOT IN (…)`; constants that are null are the caller's business.
pub fn one_of(column: &Column, constants: Vec<Constant>, negated: bool) -> Option<Asked> {
    let fit = |constant| match (column.kind, constant) {
        (Kind::ObjectId, Constant::String(text)) => Some(object_id(&text).map(Constant::ObjectId)),
        (Kind::Double, Constant::Double(number)) if number.abs() < INTEGERS_END => {
            Some(Some(Constant::Double(number + 0.0)))
        }
        (Kind::String, constant @ Constant::String(_))
        | (Kind::Boolean, constant @ Constant::Boolean(_))
        | (Kind::BigInt, constant @ Constant::BigInt(_))
        | (Kind::Timestamp, constant @ Constant::Timestamp(_)) => Some(Some(constant)),
        _ => None,
    };
    // Of none of the kind's values: equal to none.
    let constants: Vec<Option<Constant>> = constants.into_iter().map(fit).collect::<Option<_>>()?;
    let constants = constants.into_iter().flatten().collect();
    Asked::exact(value(
        column,
        match negated {
            true => Test::NotIn(constants),
            false => Test::In(constants),
        },
    )?)
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

fn value(column: &Column, test: Test) -> Option<Filter> {
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
            (Self::And(mut filters), Self::And(others)) => {
                filters.extend(others);
                Self::And(filters)
            }
            (Self::And(mut filters), filter) => {
                filters.push(filter);
                Self::And(filters)
            }
            (filter, other) => Self::And(vec![filter, other]),
        }
    }
}

impl BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, filter) | (filter, Self::Nothing) => filter,
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
            (Self::Or(mut filters), Self::Or(others)) => {
                filters.extend(others);
                Self::Or(filters)
            }
            (Self::Or(mut filters), filter) => {
                filters.push(filter);
                Self::Or(filters)
            }
            (filter, other) => Self::Or(vec![filter, other]),
        }
    }
}

impl BitAnd for Asked {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self {
            filter: self.filter & other.filter,
            is_exact: self.is_exact && other.is_exact,
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
            Self::And(filters) => {
                doc! {"$and": filters.iter().map(Self::document).collect::<Vec<_>>()}
            }
            Self::Or(filters) => {
                doc! {"$or": filters.iter().map(Self::document).collect::<Vec<_>>()}
            }
            Self::Value { path, kind, test } => within(path, fits(*kind, test)),
            Self::NoValue { path, kind } => {
                doc! {"$nor": [within(path, fits(*kind, &Test::Any))]}
            }
            Self::Exists { path } => doc! {path.to_string(): {"$exists": true}},
            Self::Ids { from, to } => ids(*from, *to),
        }
    }
}

/// The condition on the value, and that no array is on the way to it.
fn within(path: &Path, condition: Document) -> Document {
    let mut document = doc! {path.to_string(): condition};
    for parent in path.parents() {
        document.insert(parent.to_string(), doc! {"$not": {"$type": "array"}});
    }
    document
}

fn fits(kind: Kind, test: &Test) -> Document {
    let constants = |constants: &[Constant]| constants.iter().map(Constant::bson).collect();
    let (operator, operand) = match test {
        Test::Any => (None, Bson::Null),
        Test::Is(comparison, constant) => (Some(comparison.operator()), constant.bson()),
        Test::IsNan => (Some("$eq"), Bson::Double(f64::NAN)),
        Test::In(list) => (Some("$in"), Bson::Array(constants(list))),
        Test::NotIn(list) => (Some("$nin"), Bson::Array(constants(list))),
    };
    let mut condition = Document::new();
    if let Some(operator) = operator {
        condition.insert(operator, operand);
    }
    condition.insert("$type", kind.bson_types().to_vec());
    condition.insert("$not", doc! {"$type": "array"});
    condition
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
