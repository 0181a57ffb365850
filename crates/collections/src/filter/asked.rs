//! A query's conditions as conditions that a collection can be asked.

use std::ops::{BitAnd, BitOr};

use bson::oid::ObjectId;

use super::{Comparison, Constant, Filter, Test};
use crate::column::{Column, Kind, Path};
use crate::decimal;

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
        (Some(constant), Eq) if column.path.is_id() => Asked::more(Filter::Id(constant)),
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
        (Kind::Double | Kind::BigInt, Constant::Double(number))
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
