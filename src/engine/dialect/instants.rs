//! Instants beside days, texts and instants of other units.
//!
//! To compare them, or to take one of them, the engine would count all in nanoseconds, of which the year 9999 has too many;
//! people write it where something has no end. Here they are counted in microseconds, as tables store them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::expr_rewriter::coerce_plan_expr_for_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Union, cast};

/// The sides of a comparison, in microseconds where one of them is an instant.
pub(super) fn compared<const N: usize>(sides: [Expr; N], schema: &DFSchema) -> Result<[Expr; N]> {
    let Some(common) = common(&sides.each_ref(), schema)? else {
        return Ok(sides);
    };
    let mut counted = sides;
    for side in &mut counted {
        count(side, &common, schema)?;
    }
    Ok(counted)
}

/// The type in which all are instants of microseconds; `None` where they are something else, or are such already.
pub(super) fn common(sides: &[&Expr], schema: &DFSchema) -> Result<Option<DataType>> {
    let types = sides.iter().map(|side| {
        let is_stored = !side.column_refs().is_empty();
        Ok((side.get_type(schema)?, is_stored))
    });
    Ok(of_types(&types.collect::<Result<Vec<_>>>()?))
}

/// The same of types, each with whether values of it are read from a table.
fn of_types(types: &[(DataType, bool)]) -> Option<DataType> {
    let (mut zone, mut is_instant, mut is_other) = (None, false, false);
    for (data_type, is_stored) in types {
        match data_type {
            DataType::Timestamp(unit, of) => {
                is_instant = true;
                let is_exact = *unit == TimeUnit::Microsecond;
                if !is_exact && *is_stored {
                    // A file of nanoseconds is read by its own statistics.
                    return None;
                }
                is_other |= !is_exact;
                zone = zone.or_else(|| of.clone());
            }
            DataType::Date32 | DataType::Date64 => is_other = true,
            data_type if data_type.is_string() => is_other = true,
            DataType::Null => {}
            _ => return None,
        }
    }
    let common = DataType::Timestamp(TimeUnit::Microsecond, zone);
    (is_instant && is_other).then_some(common)
}

/// Days among instants, of which one is taken, as instants; whether there are such. Beside a text all stay what they are.
pub(super) fn one_of(mut values: Vec<&mut Expr>, schema: &DFSchema) -> Result<bool> {
    for value in &values {
        if value.get_type(schema)?.is_string() {
            return Ok(false);
        }
    }
    let sides: Vec<&Expr> = values.iter().map(|value| &**value).collect();
    let common = common(&sides, schema)?;
    if let Some(common) = &common {
        for value in &mut values {
            count(value, common, schema)?;
        }
    }
    Ok(common.is_some())
}

/// What a CASE compares, and what it may become.
pub(super) fn of_case(case: &mut Case, schema: &DFSchema) -> Result<bool> {
    let (mut compared, mut results) = (Vec::new(), Vec::new());
    for (when, then) in &mut case.when_then_expr {
        compared.push(when.as_mut());
        results.push(then.as_mut());
    }
    results.extend(case.else_expr.as_deref_mut());
    let mut is_changed = one_of(results, schema)?;
    if let Some(expr) = case.expr.as_deref_mut() {
        compared.push(expr);
        is_changed |= one_of(compared, schema)?;
    }
    Ok(is_changed)
}

/// Columns of days under those of instants.
pub(super) fn of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let mut fields: Vec<_> = union.schema.iter().map(owned).collect();
    let mut is_changed = false;
    for (place, (_, field)) in fields.iter_mut().enumerate() {
        let inputs = union.inputs.iter().map(|input| input.schema().fields());
        let types =
            inputs.filter_map(|fields| Some((fields.get(place)?.data_type().clone(), true)));
        let types: Vec<_> = types.collect();
        if types.iter().any(|(data_type, _)| data_type.is_string()) {
            continue;
        }
        if let Some(common) = of_types(&types) {
            *field = Arc::new(field.as_ref().clone().with_data_type(common));
            is_changed = true;
        }
    }
    if !is_changed {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let schema = DFSchema::new_with_metadata(fields, union.schema.metadata().clone())?;
    let counted = |input| {
        let plan = coerce_plan_expr_for_schema(Arc::unwrap_or_clone(input), &schema)?;
        Ok(Arc::new(plan))
    };
    let inputs = union
        .inputs
        .into_iter()
        .map(counted)
        .collect::<Result<_>>()?;
    let schema = Arc::new(schema);
    Ok(Transformed::yes(LogicalPlan::Union(Union {
        inputs,
        schema,
    })))
}

fn owned((of, field): (Option<&TableReference>, &FieldRef)) -> (Option<TableReference>, FieldRef) {
    (of.cloned(), Arc::clone(field))
}

/// A day as the instant it begins with; whether it is one.
pub(super) fn of_day(value: &mut Expr, schema: &DFSchema) -> Result<bool> {
    let is_day = matches!(value.get_type(schema)?, DataType::Date32 | DataType::Date64);
    if is_day {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, None);
        *value = cast(std::mem::take(value), instant);
    }
    Ok(is_day)
}

/// One of them in that type.
pub(super) fn count(side: &mut Expr, common: &DataType, schema: &DFSchema) -> Result<()> {
    let is_counted = match side.get_type(schema)? {
        DataType::Timestamp(unit, _) => unit == TimeUnit::Microsecond,
        DataType::Null => true,
        _ => false,
    };
    if !is_counted {
        let other = std::mem::take(side);
        *side = cast(other, common.clone());
    }
    Ok(())
}
