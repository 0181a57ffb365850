//! Lengths of time compared, and added to days.
//!
//! To the engine a length is months, days and nanoseconds side by side: 36 hours are less than a day, and the difference
//! of two instants, which has no days, is less than any. Here a day is 24 hours, and a month is no length.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::operators::type_of;

const MICROSECONDS: DataType = DataType::Duration(TimeUnit::Microsecond);

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub(super) fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
            | BinaryOperator::Spaceship
    )
}

/// The sides of a comparison; as microseconds, where one is an interval and the other a length of time.
pub(super) fn compared(left: Expr, right: Expr, schema: &DFSchema) -> Result<[Expr; 2]> {
    let types = (type_of(&left, schema)?, type_of(&right, schema)?);
    match &types {
        (DataType::Interval(_), DataType::Interval(_) | DataType::Duration(_))
        | (DataType::Duration(_), DataType::Interval(_)) => Ok([
            microseconds(left, &types.0)?,
            microseconds(right, &types.1)?,
        ]),
        _ => Ok([left, right]),
    }
}

fn microseconds(expr: Expr, data_type: &DataType) -> Result<Expr> {
    let length = match data_type {
        DataType::Duration(_) => cast(expr, MICROSECONDS),
        _ if has(&expr, Part::Months)? => {
            return Err(DataFusionError::Plan(
                "a length with months, or one that is stored, cannot be compared: months differ; compare instants, as in \
                 created_at > now() - INTERVAL '1 month', or count with timestampdiff(MONTH, start, end)"
                    .to_owned(),
            ));
        }
        _ => {
            let epoch = lit(ScalarValue::TimestampMicrosecond(
                Some(0),
                Some("UTC".into()),
            ));
            cast((epoch.clone() + expr) - epoch, MICROSECONDS)
        }
    };
    Ok(cast(length, DataType::Int64))
}

/// A day beside an interval that is no whole number of days, as the instant it begins at.
pub(super) fn with_time(day: Expr, interval: &Expr, schema: &DFSchema) -> Result<Expr> {
    let is_day = type_of(&day, schema)? == DataType::Date32;
    let is_interval = matches!(type_of(interval, schema)?, DataType::Interval(_));
    match is_day && is_interval && has(interval, Part::Time)? {
        true => Ok(cast(day, utc())),
        false => Ok(day),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Months,
    Time,
}

/// Whether an interval may have that part, as far as its expression tells.
fn has(interval: &Expr, part: Part) -> Result<bool> {
    let mut found = false;
    interval.apply(|expr| {
        let (is_there, next) = match expr {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) => (
                match part {
                    Part::Months => value.months != 0,
                    Part::Time => value.nanoseconds != 0,
                },
                TreeNodeRecursion::Continue,
            ),
            Expr::Literal(ScalarValue::IntervalYearMonth(_), _) => {
                (part == Part::Months, TreeNodeRecursion::Continue)
            }
            Expr::Literal(ScalarValue::IntervalDayTime(_), _) => {
                (part == Part::Time, TreeNodeRecursion::Continue)
            }
            Expr::Literal(..) => (false, TreeNodeRecursion::Continue),
            // A text that is read as one.
            Expr::Cast(cast) if let Some(interval) = constant(&cast.expr) => {
                (has(&interval, part)?, TreeNodeRecursion::Jump)
            }
            // make_interval(years, months, weeks, days, hours, minutes, seconds)
            Expr::ScalarFunction(ScalarFunction { func, args })
                if func.name() == "make_interval" =>
            {
                let args = match part {
                    Part::Months => args.get(..2.min(args.len())),
                    Part::Time => args.get(4.min(args.len())..),
                };
                let is_there = args.unwrap_or_default().iter().any(|arg| !is_zero(arg));
                (is_there, TreeNodeRecursion::Jump)
            }
            Expr::BinaryExpr(_) | Expr::Negative(_) | Expr::Alias(_) | Expr::Cast(_) => {
                (false, TreeNodeRecursion::Continue)
            }
            // Nobody knows.
            _ => (true, TreeNodeRecursion::Stop),
        };
        found |= is_there;
        Ok(next)
    })?;
    Ok(found)
}

/// The interval that a constant text names.
fn constant(expr: &Expr) -> Option<Expr> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    let text = value.try_as_str().flatten()?;
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let interval = ScalarValue::from(text).cast_to(&interval).ok()?;
    Some(lit(interval))
}

fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => matches!(
            value.cast_to(&DataType::Int64),
            Ok(ScalarValue::Int64(Some(0)))
        ),
        _ => false,
    }
}

/// Refuses to put intervals in an order, which would be that of their parts.
///
/// # Errors
/// `Plan` with what to write instead.
pub(in super::super) fn check_order(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let inputs = node.inputs();
        let [input] = inputs.as_slice() else {
            return Ok(TreeNodeRecursion::Continue);
        };
        let check = |expr: &Expr| match expr.get_type(input.schema())? {
            DataType::Interval(IntervalUnit::MonthDayNano) => Err(DataFusionError::Plan(
                "intervals have no order: a month is no number of days; order by an instant, as in created_at + …, or by \
                 the difference of two"
                    .to_owned(),
            )),
            _ => Ok(()),
        };
        let is_extreme = |name: &str| matches!(name, "min" | "max");
        match node {
            LogicalPlan::Sort(sort) => sort.expr.iter().try_for_each(|by| check(&by.expr))?,
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => {
                node.apply_expressions(|expr| {
                    expr.apply(|expr| {
                        match expr {
                            Expr::AggregateFunction(AggregateFunction { func, params })
                                if is_extreme(func.name()) =>
                            {
                                params.args.iter().try_for_each(check)?;
                            }
                            Expr::WindowFunction(function) => {
                                let WindowFunction { fun, params } = function.as_ref();
                                params.order_by.iter().try_for_each(|by| check(&by.expr))?;
                                if is_extreme(fun.name()) {
                                    params.args.iter().try_for_each(check)?;
                                }
                            }
                            _ => {}
                        }
                        Ok(TreeNodeRecursion::Continue)
                    })
                })?;
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}
