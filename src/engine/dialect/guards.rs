//! Conditions that keep a row from what would fail.
//!
//! `k <> 0 AND 10 / k > 1` is read from the left by people and by Spark. The engine computes both sides of a whole batch,
//! and divides by zero. So what may fail on the right is only computed where the left leaves it a say.

use std::collections::HashSet;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::{conjunction, disjunction, split_binary};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, lit, when};

/// Guards larger than that are left out: each guard may hold those before it.
const NODES_MAX: usize = 100;

/// The right side of `left AND right`, or OR, where it may fail: its parts that may are NULL where the left decides alone.
pub(super) fn guarded(
    left: &Expr,
    op: Operator,
    right: &Expr,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    if !right.exists(|expr| may_fail(expr, schema))? {
        return Ok(None);
    }
    let parts = split_binary(left, op);
    let rewritten = right.clone().transform_down(|expr| {
        // In there the left side's columns mean nothing, or other rows.
        if matches!(
            expr,
            Expr::Lambda(_)
                | Expr::ScalarSubquery(_)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
        ) {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        }
        if !may_fail(&expr, schema)? {
            return Ok(Transformed::no(expr));
        }
        // A guard that names another table would keep a join from using it for its key.
        let tables = tables(&expr);
        let guards = parts
            .iter()
            .filter(|part| tables_of(part).is_some_and(|guard| guard.is_subset(&tables)));
        let guards = guards.map(|part| (*part).clone());
        let decided = match op {
            Operator::And => conjunction(guards).map(Expr::is_false),
            _ => disjunction(guards).map(Expr::is_true),
        };
        let Some(decided) = decided else {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        };
        let null = lit(ScalarValue::try_new_null(&expr.get_type(schema)?)?);
        let guarded = when(decided, null).otherwise(expr)?;
        Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump))
    })?;
    Ok(rewritten.transformed.then_some(rewritten.data))
}

/// Whether computing it for some row may end the query: divisions, and casts of texts.
fn may_fail(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let may = match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            matches!(op, Operator::Divide | Operator::Modulo)
        }
        Expr::ScalarFunction(ScalarFunction { func, .. }) => func.name() == "divide",
        Expr::Cast(Cast { expr, field }) => {
            let is_text = |of: &DataType| of.is_string() || of.is_null();
            !is_text(field.data_type()) && expr.get_type(schema)?.is_string()
        }
        _ => false,
    };
    Ok(may && !expr.column_refs().is_empty())
}

fn tables(expr: &Expr) -> HashSet<Option<&TableReference>> {
    let columns = expr.column_refs().into_iter();
    columns.map(|column| column.relation.as_ref()).collect()
}

/// The tables of a guard; `None` for one that cannot be computed twice, or would take long.
fn tables_of(guard: &Expr) -> Option<HashSet<Option<&TableReference>>> {
    let mut nodes = 0;
    let is_too_much = guard.exists(|expr| {
        nodes += 1;
        let is_query = matches!(
            expr,
            Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        );
        Ok(is_query || nodes > NODES_MAX)
    });
    match is_too_much {
        Ok(false) if !guard.is_volatile() => Some(tables(guard)),
        _ => None,
    }
}
