//! Conditions as MongoDB answers them are those that SQL means.

use std::cmp::Ordering;

use bson::{Bson, Document, doc};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::cell::{Cell, cells};
use super::decoding::{KINDS, column};
use super::documents::{decimal, document, double, integer, millis, object_id, raw, string, value};
use super::matching::matches;
use crate::filter::{
    Asked, Comparison, Constant, Filter, compare, is_not_null, is_null, one_of, starts_with,
};
use crate::{Column, Decoder, Kind};

pub(super) const COMPARISONS: &[Comparison] = &[
    Comparison::Eq,
    Comparison::NotEq,
    Comparison::Lt,
    Comparison::LtEq,
    Comparison::Gt,
    Comparison::GtEq,
];

/// A query's condition on one column.
#[derive(Debug, Clone)]
enum Condition {
    IsNull,
    IsNotNull,
    Compare(Comparison, Constant),
    OneOf(Vec<Constant>, bool),
    StartsWith(String),
}

impl Condition {
    fn asked(&self, column: &Column) -> Option<Asked> {
        match self.clone() {
            Self::IsNull => is_null(column),
            Self::IsNotNull => is_not_null(column),
            Self::Compare(comparison, constant) => compare(column, comparison, constant),
            Self::OneOf(constants, negated) => one_of(column, constants, negated),
            Self::StartsWith(prefix) => starts_with(column, &prefix, true),
        }
    }

    /// Of each document's row, whether it meets the condition.
    fn of_rows(&self, column: &Column, documents: &[Document]) -> Vec<bool> {
        let mut decoder = Decoder::new(std::slice::from_ref(column), false);
        for document in documents {
            decoder.push(&raw(document)).unwrap();
        }
        let rows = cells(&decoder.finish(), std::slice::from_ref(column));
        let is_true = |row: &Vec<Option<Cell>>| self.is_true(row[0].as_ref(), column.kind);
        rows.iter().map(is_true).collect()
    }

    /// As SQL has it, in Arrow's order of values.
    fn is_true(&self, cell: Option<&Cell>, kind: Kind) -> bool {
        let Some(cell) = cell else {
            return matches!(self, Self::IsNull);
        };
        match self {
            Self::IsNull => false,
            Self::IsNotNull => true,
            Self::Compare(comparison, constant) => {
                let ordering = order(cell, constant, kind);
                match comparison {
                    Comparison::Eq => ordering.is_eq(),
                    Comparison::NotEq => ordering.is_ne(),
                    Comparison::Lt => ordering.is_lt(),
                    Comparison::LtEq => ordering.is_le(),
                    Comparison::Gt => ordering.is_gt(),
                    Comparison::GtEq => ordering.is_ge(),
                }
            }
            Self::OneOf(constants, negated) => {
                constants
                    .iter()
                    .any(|constant| order(cell, constant, kind).is_eq())
                    != *negated
            }
            Self::StartsWith(prefix) => match cell {
                Cell::Text(text) => text.starts_with(prefix),
                _ => panic!("{cell:?} has no beginning"),
            },
        }
    }
}

/// Only what a column of this cell can be asked comes here.
fn order(cell: &Cell, constant: &Constant, kind: Kind) -> Ordering {
    match (cell, constant) {
        (Cell::Text(text), Constant::String(constant)) => text.as_bytes().cmp(constant.as_bytes()),
        (Cell::Boolean(value), Constant::Boolean(constant)) => value.cmp(constant),
        (Cell::Integer(number), Constant::BigInt(constant)) => number.cmp(constant),
        #[expect(clippy::cast_precision_loss, reason = "as the engine rounds them")]
        (Cell::Integer(number), Constant::Double(constant)) => (*number as f64).total_cmp(constant),
        (Cell::Double(bits), Constant::Double(constant)) => {
            f64::from_bits(*bits).total_cmp(constant)
        }
        (Cell::Decimal(unscaled), Constant::BigInt(constant)) => {
            let Kind::Decimal { scale, .. } = kind else {
                panic!("{kind:?} has decimals");
            };
            let power = 10_i128.pow(u32::try_from(scale).unwrap());
            let whole = unscaled.div_euclid(power).cmp(&i128::from(*constant));
            whole.then(unscaled.rem_euclid(power).cmp(&0))
        }
        (Cell::Millis(millis), Constant::Timestamp(constant)) => millis.cmp(constant),
        (cell, constant) => panic!("{cell:?} is compared with {constant:?}"),
    }
}

/// Mostly of the type that the kind is compared with.
fn constant(kind: Kind) -> BoxedStrategy<Constant> {
    let hex = || object_id().prop_map(|id| Constant::String(id.to_hex()));
    let fitting = match kind {
        Kind::ObjectId => hex().boxed(),
        Kind::Boolean => any::<bool>().prop_map(Constant::Boolean).boxed(),
        Kind::BigInt => {
            let integers = integer().prop_map(Constant::BigInt);
            prop_oneof![3 => integers, 1 => double().prop_map(Constant::Double)].boxed()
        }
        Kind::Decimal { .. } => integer().prop_map(Constant::BigInt).boxed(),
        Kind::Double => double().prop_map(Constant::Double).boxed(),
        Kind::Timestamp => millis().prop_map(Constant::Timestamp).boxed(),
        Kind::String | Kind::Binary | Kind::Json => string().prop_map(Constant::String).boxed(),
    };
    let any = prop_oneof![
        string().prop_map(Constant::String),
        hex(),
        object_id().prop_map(Constant::ObjectId),
        any::<bool>().prop_map(Constant::Boolean),
        integer().prop_map(Constant::BigInt),
        double().prop_map(Constant::Double),
        millis().prop_map(Constant::Timestamp),
    ];
    prop_oneof![9 => fitting, 1 => any].boxed()
}

fn condition(kind: Kind) -> impl Strategy<Value = Condition> {
    prop_oneof![
        1 => Just(Condition::IsNull),
        1 => Just(Condition::IsNotNull),
        8 => (select(COMPARISONS), constant(kind))
            .prop_map(|(comparison, constant)| Condition::Compare(comparison, constant)),
        4 => (like(constant(kind)), any::<bool>())
            .prop_map(|(constants, negated)| Condition::OneOf(constants, negated)),
        2 => string().prop_map(Condition::StartsWith),
    ]
}

/// A column, a condition on it, and documents that are about both.
fn case() -> impl Strategy<Value = (Column, Condition, Vec<Document>)> {
    any_column().prop_flat_map(|column| {
        let kind = column.kind;
        (Just(column), condition(kind), documents(kind))
    })
}

/// Constants of one type.
fn like(constant: BoxedStrategy<Constant>) -> impl Strategy<Value = Vec<Constant>> {
    vec(constant, 0..8).prop_map(|mut constants| {
        let first = constants.first().map(std::mem::discriminant);
        constants.retain(|constant| Some(std::mem::discriminant(constant)) == first);
        constants
    })
}

/// Of the kind's types, and of those that MongoDB compares with them; now and then of any type.
fn near(kind: Kind) -> BoxedStrategy<Bson> {
    let near = match kind {
        Kind::String => prop_oneof![
            9 => string().prop_map(Bson::String),
            1 => string().prop_map(Bson::Symbol),
        ]
        .boxed(),
        Kind::ObjectId => object_id().prop_map(Bson::ObjectId).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Bson::Boolean).boxed(),
        Kind::BigInt | Kind::Double | Kind::Decimal { .. } => prop_oneof![
            2 => integer().prop_map(Bson::Int64),
            1 => (-3..7_i32).prop_map(Bson::Int32),
            2 => double().prop_map(Bson::Double),
            2 => decimal().prop_map(Bson::Decimal128),
        ]
        .boxed(),
        Kind::Timestamp => millis()
            .prop_map(|millis| Bson::DateTime(bson::DateTime::from_millis(millis)))
            .boxed(),
        Kind::Binary | Kind::Json => value().boxed(),
    };
    prop_oneof![7 => near, 1 => Just(Bson::Null), 2 => value()].boxed()
}

/// Most have such a value at a path of [`any_column`], or in an array on the way.
fn documents(kind: Kind) -> impl Strategy<Value = Vec<Document>> {
    let nested = (near(kind), 0..18).prop_map(|(value, place)| match place {
        0..6 => doc! {"a": value},
        6..9 => doc! {"a": {"b": value}},
        9 => doc! {"a": {"b": {"c": value}}},
        10 => doc! {"a": {"0": value}},
        11 => doc! {"a": [value]},
        12 => doc! {"a": [{"b": value}]},
        13 => doc! {"a": {"b": [value]}},
        14 => doc! {"a": {"b": [{"c": value}]}},
        15 => doc! {"_id": value},
        16 => doc! {"_id": [value]},
        _ => doc! {"b": value},
    });
    vec(prop_oneof![15 => nested, 1 => document()], 1..24)
}

fn any_column() -> impl Strategy<Value = Column> {
    let path = select(&["a", "a", "a", "a", "a.b", "a.b", "a.0", "a.b.c", "_id"][..]);
    (path, select(KINDS)).prop_map(|(path, kind)| column(path, kind))
}

fn check(asked: &Asked, documents: &[Document], is_true: &[bool]) -> Result<(), TestCaseError> {
    let query = asked.filter.document();
    for (document, &is_true) in documents.iter().zip(is_true) {
        let is_match = matches(&query, document);
        let is_right = if asked.is_exact {
            is_match == is_true
        } else {
            is_match || !is_true
        };
        prop_assert!(
            is_right,
            "{document} matches {query}: {is_match}; its row meets the condition: {is_true}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(super::cases(6_000))]

    #[test]
    fn what_is_asked_is_what_sql_means(
        (column, condition, documents) in case(),
    ) {
        if let Some(asked) = condition.asked(&column) {
            check(&asked, &documents, &condition.of_rows(&column, &documents))?;
        }
    }

}

proptest! {
    #![proptest_config(super::cases(600))]

    /// Of several columns; whatever AND and OR make of exact and inexact conditions.
    #[test]
    fn and_and_or_mean_what_they_mean_in_sql(
        cases in [case(), case(), case()],
        [first_is_and, second_is_and] in any::<[bool; 2]>(),
    ) {
        let asked = cases.iter().map(|(column, condition, _)| condition.asked(column));
        let asked: Option<Vec<Asked>> = asked.collect();
        let Some(Ok([a, b, c])) = asked.map(<[Asked; 3]>::try_from) else {
            return Ok(());
        };
        let documents = cases.iter().flat_map(|(_, _, documents)| documents.clone());
        let documents: Vec<Document> = documents.collect();
        let rows = cases
            .iter()
            .map(|(column, condition, _)| condition.of_rows(column, &documents));
        let rows: Vec<Vec<bool>> = rows.collect();
        let both = if first_is_and { a & b } else { a | b };
        let asked = if second_is_and { both & c } else { c | both };
        let rows = (0..documents.len()).map(|row| {
            let (a, b, c) = (rows[0][row], rows[1][row], rows[2][row]);
            let both = if first_is_and { a && b } else { a || b };
            if second_is_and { both && c } else { both || c }
        });
        check(&asked, &documents, &rows.collect::<Vec<_>>())?;
    }

    /// What goes through a pipe comes out the same.
    #[test]
    fn filters_survive_their_journey((column, condition, _) in case()) {
        if let Some(asked) = condition.asked(&column) {
            let text = serde_json::to_string(&asked.filter).unwrap();
            let filter: Filter = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(filter.document(), asked.filter.document());
        }
    }
}
