//! Conditions that keep a row from what would fail.
//!
//! `k <> 0 AND 10 / k > 1` is read from the left by people and by Spark. The engine computes both sides of a whole batch,
//! and divides by zero. So what may fail on the right is only computed where the left leaves it a say; and where the engine
//! makes one condition of those of a query and its subqueries, only where all that cannot fail are true.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::{conjunction, disjunction, split_binary, split_conjunction};
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit, when,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

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
        let (decided, by) = match op {
            Operator::And => (conjunction(guards), false),
            _ => (disjunction(guards), true),
        };
        let decided =
            decided.map(|decided| binary_expr(decided, Operator::IsNotDistinctFrom, lit(by)));
        let Some(decided) = decided else {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        };
        let null = lit(ScalarValue::try_new_null(&expr.get_type(schema)?)?);
        let guarded = when(decided, null).otherwise(expr)?;
        Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump))
    })?;
    Ok(rewritten.transformed.then_some(rewritten.data))
}

/// Guards conditions that the engine put beside each other. Belongs behind the rules that do.
#[derive(Debug)]
pub(in super::super) struct GuardedFilters;

impl OptimizerRule for GuardedFilters {
    fn name(&self) -> &'static str {
        "guarded_filters"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(mut filter) = plan else {
            return Ok(Transformed::no(plan));
        };
        let schema = Arc::clone(filter.input.schema());
        let (mut safe, mut others) = (Vec::new(), Vec::new());
        for part in split_conjunction(&filter.predicate) {
            match part.exists(|expr| may_fail(expr, &schema))? {
                true => others.push(part),
                false => safe.push(part.clone()),
            }
        }
        let Some(guard) = conjunction(safe.iter().cloned()) else {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        };
        let mut is_guarded = false;
        let mut parts = safe;
        for part in others {
            let guarded = match is_open(part, &schema)? {
                true => guarded(&guard, Operator::And, part, &schema)?,
                false => None,
            };
            is_guarded |= guarded.is_some();
            parts.push(guarded.unwrap_or_else(|| part.clone()));
        }
        if let Some(predicate) = conjunction(parts).filter(|_| is_guarded) {
            filter.predicate = predicate;
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Filter(filter),
            is_guarded,
        ))
    }
}

/// Whether something outside of every CASE may fail; inside, it has a guard.
fn is_open(part: &Expr, schema: &DFSchema) -> Result<bool> {
    let mut is_open = false;
    part.apply(|expr| {
        if matches!(expr, Expr::Case(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
        is_open |= may_fail(expr, schema)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(is_open)
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
