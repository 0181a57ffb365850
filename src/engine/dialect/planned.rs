//! What the engine's planner made of a statement, where the engine would then take it for something else.
//!
//! Days and texts between which an instant shall be, or of which it shall be one, which it would count in nanoseconds; of a
//! list behind IN, values that it takes for constants because an empty batch has one of them; `IS TRUE`, whose logical
//! and physical forms differ in whether they may be NULL; numbers before PRECEDING and FOLLOWING, which are months to it
//! where days are in order.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Between, InList, Like, ScalarFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Operator, WindowFrame, WindowFrameBound, WindowFrameUnits,
    binary_expr, cast, lit,
};

use super::super::as_is::of_each_row;
use super::instants;

/// To the engine every value has one: that of its text.
const LENGTH: &str = "length";

/// The plan in the engine's words.
///
/// # Errors
/// `Plan` for a RANGE that has no unit, with what to write instead.
pub(in super::super) fn correct(plan: LogicalPlan) -> Result<LogicalPlan> {
    let corrected = plan.transform_up_with_subqueries(in_node)?;
    if !corrected.transformed {
        return Ok(corrected.data);
    }
    // What may be NULL now may be NULL above it.
    let plan = corrected
        .data
        .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?;
    Ok(plan.data)
}

fn in_node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let (schema, names) = (merge_schema(&node.inputs()), NamePreserver::new(&node));
    let named = |expr: Expr| {
        if !expr.exists(|expr| Ok(is_mistaken(expr)))? {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        let expr = expr.transform_up(|expr| in_expr(expr, &schema))?;
        Ok(expr.update_data(|expr| name.restore(expr)))
    };
    node.map_expressions(|expr| match expr {
        // Its keys have names, and it has none.
        Expr::GroupingSet(_) => expr.map_children(named),
        expr => named(expr),
    })
}

fn is_mistaken(expr: &Expr) -> bool {
    match expr {
        Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) | Expr::IsNotFalse(_) => true,
        Expr::InList(_) | Expr::Between(_) | Expr::Like(_) => true,
        Expr::ScalarFunction(call) => call.func.name() == LENGTH,
        Expr::WindowFunction(function) => {
            let frame = &function.params.window_frame;
            bounds(frame).any(|bound| unitless(bound).is_some())
        }
        _ => false,
    }
}

fn in_expr(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is = |inner: Expr, operator, value: bool| -> Result<Expr> {
        let inner = match inner.get_type(schema)? {
            DataType::Boolean => inner,
            _ => cast(inner, DataType::Boolean),
        };
        Ok(binary_expr(inner, operator, lit(value)))
    };
    Ok(Transformed::yes(match expr {
        Expr::IsTrue(inner) => is(*inner, Operator::IsNotDistinctFrom, true)?,
        Expr::IsNotTrue(inner) => is(*inner, Operator::IsDistinctFrom, true)?,
        Expr::IsFalse(inner) => is(*inner, Operator::IsNotDistinctFrom, false)?,
        Expr::IsNotFalse(inner) => is(*inner, Operator::IsDistinctFrom, false)?,
        Expr::InList(inside) => return in_list(inside, schema),
        Expr::Between(inside) => return between(inside, schema),
        Expr::Like(like) => return like_text(like, schema),
        Expr::ScalarFunction(call) if call.func.name() == LENGTH => {
            of_text(&call, schema)?;
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
        Expr::WindowFunction(mut function) => {
            with_units(&mut function, schema)?;
            Expr::WindowFunction(function)
        }
        expr => return Ok(Transformed::no(expr)),
    }))
}

fn in_list(mut inside: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let sides: Vec<&Expr> = std::iter::once(inside.expr.as_ref())
        .chain(&inside.list)
        .collect();
    let common = instants::common(&sides, schema)?;
    if let Some(common) = &common {
        for side in std::iter::once(inside.expr.as_mut()).chain(&mut inside.list) {
            instants::count(side, common, schema)?;
        }
    }
    let mut is_changed = common.is_some();
    let computed = of_each_row();
    let list = inside
        .list
        .into_iter()
        .map(|value| match is_computed(&value) {
            true => {
                is_changed = true;
                computed.call(vec![value])
            }
            false => value,
        });
    inside.list = list.collect();
    Ok(Transformed::new_transformed(
        Expr::InList(inside),
        is_changed,
    ))
}

/// Refuses the length of the text of a list, which people do not mean.
fn of_text(call: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    for value in &call.args {
        if value.get_type(schema)?.is_nested() {
            return Err(DataFusionError::Plan(
                "length is of texts: size(list) counts the elements of a list or a map; cast it to STRING otherwise".to_owned(),
            ));
        }
    }
    Ok(())
}

/// What is no text is searched as it is written.
fn like_text(mut like: Like, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let data_type = like.expr.get_type(schema)?;
    let is_shown = data_type.is_temporal() || data_type.is_numeric();
    if is_shown {
        like.expr = Box::new(cast(*like.expr, DataType::Utf8));
    }
    Ok(Transformed::new_transformed(Expr::Like(like), is_shown))
}

fn between(inside: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Between {
        mut expr,
        negated,
        mut low,
        mut high,
    } = inside;
    let common = instants::common(&[&expr, &low, &high], schema)?;
    if let Some(common) = &common {
        for side in [&mut expr, &mut low, &mut high] {
            instants::count(side, common, schema)?;
        }
    }
    let inside = Between {
        expr,
        negated,
        low,
        high,
    };
    Ok(Transformed::new_transformed(
        Expr::Between(inside),
        common.is_some(),
    ))
}

/// Whether a value of a list depends on the row, other than as a column does, which the engine knows of.
fn is_computed(value: &Expr) -> bool {
    let is_of_row = |expr: &Expr| {
        matches!(
            expr,
            Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::LambdaVariable(_)
        )
    };
    match value {
        Expr::Cast(inner) => is_computed(&inner.expr),
        value if is_of_row(value) => false,
        value => value.exists(|expr| Ok(is_of_row(expr))).unwrap_or(true),
    }
}

fn bounds(frame: &WindowFrame) -> impl Iterator<Item = &WindowFrameBound> {
    let is_range = frame.units == WindowFrameUnits::Range;
    let bounds = [&frame.start_bound, &frame.end_bound];
    bounds.into_iter().filter(move |_| is_range)
}

/// The number that a bound of a range is.
fn unitless(bound: &WindowFrameBound) -> Option<&str> {
    match bound {
        WindowFrameBound::Preceding(ScalarValue::Utf8(Some(text)))
        | WindowFrameBound::Following(ScalarValue::Utf8(Some(text))) => {
            text.parse::<f64>().is_ok().then_some(text)
        }
        _ => None,
    }
}

/// Numbers in a range over days count days; over instants and texts they count nothing.
fn with_units(function: &mut WindowFunction, schema: &DFSchema) -> Result<()> {
    let [key] = function.params.order_by.as_slice() else {
        return Ok(());
    };
    let order = key.expr.get_type(schema)?;
    let is_day = matches!(order, DataType::Date32 | DataType::Date64);
    let is_instant = matches!(order, DataType::Timestamp(..));
    if !is_day && !is_instant && !order.is_string() {
        return Ok(());
    }
    let frame = &mut function.params.window_frame;
    let is_range = frame.units == WindowFrameUnits::Range;
    for bound in [&mut frame.start_bound, &mut frame.end_bound] {
        let Some(number) = unitless(bound).filter(|_| is_range) else {
            continue;
        };
        if !is_day || number.parse::<u32>().is_err() {
            return Err(DataFusionError::Plan(format!(
                "RANGE over a {} has no {number}: write an interval over a DATE or a TIMESTAMP, such as RANGE BETWEEN \
                 INTERVAL 7 DAYS PRECEDING AND CURRENT ROW",
                if is_day {
                    "DATE"
                } else if is_instant {
                    "TIMESTAMP"
                } else {
                    "text"
                }
            )));
        }
        let days = ScalarValue::from(format!("{number} days"));
        *bound = match bound {
            WindowFrameBound::Following(_) => WindowFrameBound::Following(days),
            _ => WindowFrameBound::Preceding(days),
        };
    }
    Ok(())
}
