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
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, InList, Like, ScalarFunction, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Operator, WindowFrame, WindowFrameBound, WindowFrameUnits,
    binary_expr, cast, lit,
};

use super::super::as_is::of_each_row;
use super::instants;

/// To the engine every value is a text to them, and what people write for lists instead.
const OF_TEXTS: [(&str, &str); 3] = [
    (
        "length",
        "size(list) counts the elements of a list or a map",
    ),
    ("concat", "a || b joins lists"),
    ("reverse", "array_reverse(list) turns a list round"),
];
/// To the engine what is NULL within a struct is greatest.
const ENDS: [&str; 2] = ["max", "min"];
/// Of decimals it has as many digits as they have.
const MEDIAN: &str = "median";
/// One of their arguments is their value.
const ONE_OF: [&str; 4] = ["coalesce", "nvl", "greatest", "least"];
/// Its days become instants.
const DATE_TRUNC: &str = "date_trunc";

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
    if let LogicalPlan::Union(union) = node {
        return instants::of_union(union);
    }
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
        Expr::Case(_) => true,
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            of_texts(name).is_some() || name == DATE_TRUNC || ONE_OF.contains(&name)
        }
        Expr::AggregateFunction(function) => {
            let name = function.func.name();
            name == MEDIAN || ENDS.contains(&name)
        }
        Expr::WindowFunction(function) => {
            let frame = &function.params.window_frame;
            function.fun.name() == MEDIAN || bounds(frame).any(|bound| unitless(bound).is_some())
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
        Expr::Case(mut case) => {
            let is_changed = instants::of_case(&mut case, schema)?;
            return Ok(Transformed::new_transformed(Expr::Case(case), is_changed));
        }
        Expr::ScalarFunction(mut call) => {
            let is_changed = in_call(&mut call, schema)?;
            let call = Expr::ScalarFunction(call);
            return Ok(Transformed::new_transformed(call, is_changed));
        }
        Expr::AggregateFunction(mut function) => {
            let is_changed = of_a_group(&mut function, schema)?;
            let function = Expr::AggregateFunction(function);
            return Ok(Transformed::new_transformed(function, is_changed));
        }
        Expr::WindowFunction(mut function) => {
            with_units(&mut function, schema)?;
            if function.fun.name() == MEDIAN {
                as_doubles(&mut function.params.args, schema)?;
            }
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

/// Whether the arguments of the call are other ones now.
fn in_call(call: &mut ScalarFunction, schema: &DFSchema) -> Result<bool> {
    let name = call.func.name();
    if let Some(instead) = of_texts(name) {
        of_text(call, instead, schema)?;
        return Ok(false);
    }
    match call.args.get_mut(1) {
        Some(day) if name == DATE_TRUNC => instants::of_day(day, schema),
        _ if ONE_OF.contains(&name) => instants::one_of(call.args.iter_mut().collect(), schema),
        _ => Ok(false),
    }
}

/// What to write instead of the call where its value is a list; `None` for other functions.
fn of_texts(name: &str) -> Option<&'static str> {
    let mut functions = OF_TEXTS.iter();
    functions.find_map(|(of, instead)| (*of == name).then_some(*instead))
}

/// Refuses what the function makes of the text of a list, which people do not mean.
fn of_text(call: &ScalarFunction, instead: &str, schema: &DFSchema) -> Result<()> {
    for value in &call.args {
        if value.get_type(schema)?.is_nested() {
            return Err(DataFusionError::Plan(format!(
                "{} is of texts: {instead}; cast it to STRING otherwise",
                call.name()
            )));
        }
    }
    Ok(())
}

/// The greatest and the least struct are the last and the first in the order that ORDER BY has; the median of decimals may
/// lie between two of them. Whether the function is another one now.
fn of_a_group(function: &mut AggregateFunction, schema: &DFSchema) -> Result<bool> {
    let name = function.func.name();
    if name == MEDIAN {
        return as_doubles(&mut function.params.args, schema);
    }
    let is_least = name == "min";
    let [value] = function.params.args.as_slice() else {
        return Ok(false);
    };
    if !ENDS.contains(&name) || !matches!(value.get_type(schema)?, DataType::Struct(_)) {
        return Ok(false);
    }
    let is_there = value.clone().is_not_null();
    let order = value.clone().sort(is_least, is_least);
    function.params.filter = Some(Box::new(match function.params.filter.take() {
        Some(filter) => filter.and(is_there),
        None => is_there,
    }));
    function.params.order_by = vec![order];
    function.func = first_value_udaf();
    Ok(true)
}

fn as_doubles(values: &mut [Expr], schema: &DFSchema) -> Result<bool> {
    let mut is_changed = false;
    for value in values {
        if value.get_type(schema)?.is_decimal() {
            *value = cast(std::mem::take(value), DataType::Float64);
            is_changed = true;
        }
    }
    Ok(is_changed)
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
