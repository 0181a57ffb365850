//! A query's conditions as a collection can be asked them.
//!
//! A row is kept where its condition is true; where it is false or null it is not. So each condition is followed down to
//! its columns as "is true" or, below a `NOT`, "is false". What cannot be asked is left out where that only means that
//! the collection sends more than is wanted, and the engine looks at every row again.

use collections::filter::{self, Asked, Comparison, Constant};
use collections::{Column, Filter, Kind};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// How deeply what is asked may nest. Each level is two of the message to the server and of the question to MongoDB, and
/// both ends read 100 of them or a few more.
const DEPTH_MAX: usize = 30;

/// The documents whose rows meet the condition; `None` where nothing of it can be asked.
pub(super) fn asked(columns: &[Column], condition: &Expr) -> Option<Asked> {
    let asked = Conditions { columns }.are(condition, true)?;
    (asked.filter.depth() <= DEPTH_MAX).then_some(asked)
}

struct Conditions<'a> {
    columns: &'a [Column],
}

/// What a comparison compares: a column as it is, or what is made of it.
enum Compared<'a> {
    Column(&'a Column),
    /// The instant in another unit.
    Instant(&'a Column),
    /// The day of the instant.
    Day(&'a Column),
    /// The integer as a double.
    Double(&'a Column),
}

impl<'a> Conditions<'a> {
    fn are(&self, condition: &Expr, truth: bool) -> Option<Asked> {
        match condition {
            Expr::Literal(ScalarValue::Boolean(value), _) => Some(match value {
                Some(value) if *value == truth => everything(),
                _ => Asked::nothing(),
            }),
            Expr::Column(_) => {
                let column = self.column(condition)?;
                let constant = Constant::Boolean(truth);
                filter::compare(column, Comparison::Eq, constant)
            }
            Expr::Not(condition) => self.are(condition, !truth),
            Expr::IsNull(value) => self.is_null(value, truth),
            Expr::IsNotNull(value) => self.is_null(value, !truth),
            Expr::IsTrue(condition) if truth => self.are(condition, true),
            Expr::IsFalse(condition) if truth => self.are(condition, false),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                self.binary(left, *op, right, truth)
            }
            Expr::Between(between) => {
                let (value, low, high) = (&between.expr, &between.low, &between.high);
                let inside = between.negated != truth;
                let (above, below) = match inside {
                    true => (Operator::GtEq, Operator::LtEq),
                    false => (Operator::Lt, Operator::Gt),
                };
                let above = self.comparison(value, above, low);
                let below = self.comparison(value, below, high);
                match inside {
                    true => all(above, below),
                    false => any(above, below),
                }
            }
            Expr::InList(list) => self.one_of(list, truth),
            Expr::Like(like) => self.like(like, truth),
            _ => None,
        }
    }

    fn column(&self, expr: &Expr) -> Option<&'a Column> {
        let Expr::Column(named) = expr else {
            return None;
        };
        self.columns.iter().find(|column| column.name == named.name)
    }

    fn is_null(&self, value: &Expr, truth: bool) -> Option<Asked> {
        let column = self.column(value)?;
        match truth {
            true => filter::is_null(column),
            false => filter::is_not_null(column),
        }
    }

    fn binary(&self, left: &Expr, operator: Operator, right: &Expr, truth: bool) -> Option<Asked> {
        let both = || (self.are(left, truth), self.are(right, truth));
        match (operator, truth) {
            (Operator::And, true) | (Operator::Or, false) => {
                let (left, right) = both();
                all(left, right)
            }
            (Operator::Or, true) | (Operator::And, false) => {
                let (left, right) = both();
                any(left, right)
            }
            (operator, true) => self.comparison(left, operator, right),
            (operator, false) => self.comparison(left, operator.negate()?, right),
        }
    }

    /// The rows for which the comparison is true.
    fn comparison(&self, left: &Expr, operator: Operator, right: &Expr) -> Option<Asked> {
        let (value, operator, literal) = match (left, right) {
            (value, Expr::Literal(literal, _)) => (value, operator, literal),
            (Expr::Literal(literal, _), value) => (value, operator.swap()?, literal),
            _ => return None,
        };
        let comparison = match operator {
            Operator::Eq => Comparison::Eq,
            Operator::NotEq => Comparison::NotEq,
            Operator::Lt => Comparison::Lt,
            Operator::LtEq => Comparison::LtEq,
            Operator::Gt => Comparison::Gt,
            Operator::GtEq => Comparison::GtEq,
            _ => return None,
        };
        let compared = self.compared(value)?;
        if literal.is_null() {
            return Some(Asked::nothing());
        }
        match compared {
            Compared::Column(column) if column.kind == Kind::Timestamp => {
                instant(column, comparison, literal)
            }
            Compared::Instant(column) => instant(column, comparison, literal),
            Compared::Day(column) => day(column, comparison, literal),
            Compared::Double(column) | Compared::Column(column) => {
                filter::compare(column, comparison, constant(literal)?)
            }
        }
    }

    /// A column, or what the engine makes of one to compare it.
    fn compared(&self, value: &Expr) -> Option<Compared<'a>> {
        match value {
            Expr::Column(_) => self.column(value).map(Compared::Column),
            Expr::Cast(cast) => {
                let column = self.column(&cast.expr)?;
                match (column.kind, cast.field.data_type()) {
                    (Kind::Timestamp, DataType::Timestamp(_, _)) => Some(Compared::Instant(column)),
                    (Kind::Timestamp, DataType::Date32) => Some(Compared::Day(column)),
                    (Kind::BigInt, DataType::Float64) => Some(Compared::Double(column)),
                    (
                        Kind::String | Kind::ObjectId,
                        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
                    ) => Some(Compared::Column(column)),
                    _ => None,
                }
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                let [of] = args.as_slice() else { return None };
                let column = self.column(of)?;
                // The session's own is called the first, the engine's own the second.
                let is_day = matches!(func.name(), "date" | "to_date");
                (is_day && column.kind == Kind::Timestamp).then_some(Compared::Day(column))
            }
            _ => None,
        }
    }

    fn one_of(&self, list: &InList, truth: bool) -> Option<Asked> {
        let Compared::Column(column) = self.compared(&list.expr)? else {
            return None;
        };
        let negated = list.negated == truth;
        let literals = list.list.iter().map(|item| match item {
            Expr::Literal(literal, _) => Some(literal),
            _ => None,
        });
        let literals: Vec<&ScalarValue> = literals.collect::<Option<_>>()?;
        if negated && literals.iter().any(|literal| literal.is_null()) {
            return Some(Asked::nothing());
        }
        let some = literals.iter().filter(|literal| !literal.is_null());
        if column.kind == Kind::Timestamp {
            let (comparison, none) = match negated {
                true => (Comparison::NotEq, everything()),
                false => (Comparison::Eq, Asked::nothing()),
            };
            return some
                .map(|literal| instant(column, comparison, literal))
                .try_fold(none, |list, item| match negated {
                    true => Some(list & item?),
                    false => Some(list | item?),
                });
        }
        let constants = some
            .map(|literal| constant(literal))
            .collect::<Option<_>>()?;
        filter::one_of(column, constants, negated)
    }

    /// Of a pattern, how it begins. No pattern is ever sent as one.
    fn like(&self, like: &Like, truth: bool) -> Option<Asked> {
        let Compared::Column(column) = self.compared(&like.expr)? else {
            return None;
        };
        let Expr::Literal(pattern, _) = like.pattern.as_ref() else {
            return None;
        };
        if like.case_insensitive || like.negated == truth || column.kind != Kind::String {
            return None;
        }
        let Some(pattern) = pattern.try_as_str()? else {
            return Some(Asked::nothing());
        };
        let escape = like.escape_char.unwrap_or('\\');
        let mut prefix = String::new();
        let mut rest = pattern.chars();
        while let Some(next) = rest.next() {
            match next {
                '%' => {
                    let all_behind = rest.all(|next| next == '%');
                    return match prefix.is_empty() && all_behind {
                        true => filter::is_not_null(column),
                        false => filter::starts_with(column, &prefix, all_behind),
                    };
                }
                '_' => return filter::starts_with(column, &prefix, false),
                next if next == escape => prefix.push(rest.next()?),
                next => prefix.push(next),
            }
        }
        filter::compare(column, Comparison::Eq, Constant::String(prefix))
    }
}

fn everything() -> Asked {
    Asked {
        filter: Filter::Everything,
        is_exact: true,
    }
}

/// Both; one alone is asked too much.
fn all(one: Option<Asked>, other: Option<Asked>) -> Option<Asked> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one & other),
        (Some(asked), None) | (None, Some(asked)) => Some(Asked {
            is_exact: false,
            ..asked
        }),
        (None, None) => None,
    }
}

/// Either; one alone would be too little.
fn any(one: Option<Asked>, other: Option<Asked>) -> Option<Asked> {
    Some(one? | other?)
}

fn constant(literal: &ScalarValue) -> Option<Constant> {
    if let Some(text) = literal.try_as_str() {
        return text.map(|text| Constant::String(text.to_owned()));
    }
    Some(match literal {
        ScalarValue::Boolean(Some(value)) => Constant::Boolean(*value),
        ScalarValue::Int64(Some(number)) => Constant::BigInt(*number),
        ScalarValue::Float64(Some(number)) if number.is_finite() => Constant::Double(*number),
        _ => return None,
    })
}

/// Compares instants of milliseconds with one of any unit, as the instants that they are.
fn instant(column: &Column, comparison: Comparison, literal: &ScalarValue) -> Option<Asked> {
    let (ticks, per_milli) = match literal {
        ScalarValue::TimestampSecond(Some(ticks), _) => (ticks.checked_mul(1000)?, 1),
        ScalarValue::TimestampMillisecond(Some(ticks), _) => (*ticks, 1),
        ScalarValue::TimestampMicrosecond(Some(ticks), _) => (*ticks, 1_000),
        ScalarValue::TimestampNanosecond(Some(ticks), _) => (*ticks, 1_000_000),
        _ => return None,
    };
    between_ticks(column, comparison, ticks, per_milli)
}

/// `column * per_milli <comparison> ticks`, without the product.
fn between_ticks(
    column: &Column,
    comparison: Comparison,
    ticks: i64,
    per_milli: i64,
) -> Option<Asked> {
    use Comparison::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let floor = ticks.div_euclid(per_milli);
    let is_whole = ticks.rem_euclid(per_milli) == 0;
    let comparison = match (comparison, is_whole) {
        (comparison, true) => comparison,
        (Eq, false) => return Some(Asked::nothing()),
        (NotEq, false) => return filter::is_not_null(column),
        (Lt | LtEq, false) => LtEq,
        (Gt | GtEq, false) => Gt,
    };
    filter::compare(column, comparison, Constant::Timestamp(floor))
}

/// Compares the days of instants with a day.
fn day(column: &Column, comparison: Comparison, literal: &ScalarValue) -> Option<Asked> {
    use Comparison::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let ScalarValue::Date32(Some(day)) = literal else {
        return None;
    };
    let begin = Constant::Timestamp(i64::from(*day) * DAY_MILLIS);
    let end = Constant::Timestamp((i64::from(*day) + 1) * DAY_MILLIS);
    let is = |comparison, constant| filter::compare(column, comparison, constant);
    match comparison {
        Eq => all(is(GtEq, begin), is(Lt, end)),
        NotEq => any(is(Lt, begin), is(GtEq, end)),
        Lt => is(Lt, begin),
        LtEq => is(Lt, end),
        Gt => is(GtEq, end),
        GtEq => is(GtEq, begin),
    }
}
