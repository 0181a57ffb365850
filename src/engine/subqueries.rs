//! Subqueries as SQL means them, where the engine's joins would not.
//!
//! The engine makes joins of `IN` and `EXISTS`, and a join knows two answers where SQL has three: `5 NOT IN (1, NULL)` is
//! NULL. It is right of `NOT IN` only where a column stands on its left, nothing around it, and the subquery names no
//! column of the query around it. Everywhere else `IN` is written with `EXISTS`, which has two answers in SQL too. What
//! the engine would answer wrongly in another way is refused.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue, Spans};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, Filter, JoinType, LogicalPlan,
    LogicalPlanBuilder, Operator, Subquery, lit, not, when,
};

use super::as_is::may_be_null;

const ELSEWHERE: &str = "a subquery behind IN or EXISTS stands in WHERE, HAVING, QUALIFY, the SELECT or GROUP BY only; join it, or select its \
                         answer in a subquery first";

/// The plan with subqueries that the engine answers rightly. Copies of subqueries add `nodes_max` nodes at most.
///
/// # Errors
/// `Plan` for what it would not, with what to write instead.
pub(super) fn rewrite(plan: LogicalPlan, nodes_max: usize) -> Result<LogicalPlan> {
    let mut rewriter = Rewriter {
        nodes_left: nodes_max,
        copies: 0,
    };
    let rewritten = plan.transform_up_with_subqueries(|node| rewriter.node(node))?;
    if !rewritten.transformed {
        return Ok(rewritten.data);
    }
    // What may be NULL now may be NULL above it.
    let plan = rewritten
        .data
        .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?;
    Ok(plan.data)
}

struct Rewriter {
    nodes_left: usize,
    copies: usize,
}

/// What a subquery becomes where its rows are asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// A join, in a condition.
    Exists,
    /// A count, where there is a value.
    Count,
}

impl Rewriter {
    fn node(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let (has_any, has_in) = asked_in(&node)?;
        if !has_any && !has_in {
            return Ok(Transformed::no(node));
        }
        let node = node.map_expressions(|expr| {
            let name = NamePreserver::new_for_projection().save(&expr);
            let nullable = expr.transform_up(empty_is_null)?;
            let compared = nullable.transform_data(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::SetComparison(compared) => self.compared(compared),
                    expr => Ok(Transformed::no(expr)),
                })
            })?;
            Ok(compared.update_data(|expr| name.restore(expr)))
        })?;
        if !has_in {
            return Ok(node);
        }
        match node.data {
            LogicalPlan::Filter(Filter {
                predicate, input, ..
            }) => {
                let predicate = self.condition(predicate, input.schema())?;
                let filter = Filter::try_new(predicate, input)?;
                Ok(Transformed::yes(LogicalPlan::Filter(filter)))
            }
            LogicalPlan::Projection(projection) => {
                let schema = Arc::clone(projection.input.schema());
                LogicalPlan::Projection(projection).map_expressions(|expr| {
                    let name = NamePreserver::new_for_projection().save(&expr);
                    let value = self.value(expr, &schema, Asked::Count)?;
                    Ok(Transformed::yes(name.restore(value)))
                })
            }
            LogicalPlan::Join(mut join) if join.join_type == JoinType::Inner => {
                // What an inner join asks may as well be asked of its rows.
                let (asked, kept): (Vec<_>, Vec<_>) =
                    split_conjunction_owned(join.filter.take().unwrap_or_else(|| lit(true)))
                        .into_iter()
                        .partition(holds_subquery);
                join.filter = conjunction(kept);
                let asked = conjunction(asked).unwrap_or_else(|| lit(true));
                let asked = self.condition(asked, &join.schema)?;
                let joined = Arc::new(LogicalPlan::Join(join));
                Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(
                    asked, joined,
                )?)))
            }
            LogicalPlan::Aggregate(aggregate) => self.below(aggregate),
            _ => refused(ELSEWHERE),
        }
    }

    /// An aggregate whose subqueries are asked before, of each row.
    fn below(&mut self, aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
        let Aggregate {
            input,
            group_expr,
            aggr_expr,
            ..
        } = aggregate;
        let schema = Arc::clone(input.schema());
        let mut items: Vec<Expr> = schema.iter().map(Expr::from).collect();
        let mut named = |expr: Expr| -> Result<Expr> {
            let name = NamePreserver::new_for_projection().save(&expr);
            let expr = expr.transform_down(|expr| match expr {
                Expr::AggregateFunction(_) | Expr::Alias(_) => Ok(Transformed::no(expr)),
                Expr::GroupingSet(_) if asks(&expr) => refused(ELSEWHERE),
                expr if asks(&expr) => {
                    self.copies += 1;
                    let asked = format!("asked {}", self.copies);
                    items.push(self.value(expr, &schema, Asked::Count)?.alias(&asked));
                    let column = Expr::Column(Column::new_unqualified(asked));
                    Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
                }
                expr => Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump)),
            })?;
            Ok(name.restore(expr.data))
        };
        let group_expr = group_expr.into_iter().map(&mut named);
        let group_expr = group_expr.collect::<Result<_>>()?;
        let aggr_expr = aggr_expr.into_iter().map(&mut named);
        let aggr_expr = aggr_expr.collect::<Result<_>>()?;
        let input = LogicalPlanBuilder::from(input).project(items)?.build()?;
        let aggregate = Aggregate::try_new(Arc::new(input), group_expr, aggr_expr)?;
        Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
    }

    /// A condition of a filter: what is not true of it has no row.
    fn condition(&mut self, condition: Expr, schema: &DFSchema) -> Result<Expr> {
        let mut parts = Vec::new();
        for part in split_conjunction_owned(condition) {
            let part = match is_left_to_the_engine(&part) {
                true => part,
                false => self.part(part, schema)?,
            };
            parts.push(part);
        }
        Ok(conjunction(parts).unwrap_or_else(|| lit(true)))
    }

    /// Below AND and OR, too, it only counts what is true.
    fn part(&mut self, part: Expr, schema: &DFSchema) -> Result<Expr> {
        let rewritten = part.transform_down(|expr| {
            let expr = match expr {
                Expr::BinaryExpr(BinaryExpr {
                    op: Operator::And | Operator::Or,
                    ..
                }) => return Ok(Transformed::no(expr)),
                Expr::Not(inner) => match *inner {
                    Expr::InSubquery(mut inside) => {
                        inside.negated = !inside.negated;
                        Expr::InSubquery(inside)
                    }
                    inner => Expr::Not(Box::new(inner)),
                },
                expr => expr,
            };
            let expr = match expr {
                Expr::InSubquery(inside) if inside.negated => self.not_in(&inside, schema)?,
                Expr::InSubquery(inside) => Expr::InSubquery(self.with_name(inside)?),
                expr => self.value(expr, schema, Asked::Exists)?,
            };
            Ok(Transformed::new(expr, true, TreeNodeRecursion::Jump))
        })?;
        Ok(rewritten.data)
    }

    /// The same with a name for its item, where the engine would put it together from the item's parts, and not find it.
    fn with_name(&mut self, mut inside: InSubquery) -> Result<InSubquery> {
        let (rows, _) = self.one_item(&inside.subquery)?;
        inside.subquery.subquery = Arc::new(rows.build()?);
        Ok(inside)
    }

    /// The same with a name for its item: both queries may read the same table, and the engine would compare a column with
    /// itself.
    fn compared(&mut self, mut compared: SetComparison) -> Result<Transformed<Expr>> {
        let (rows, _) = self.one_item(&compared.subquery)?;
        compared.subquery.subquery = Arc::new(rows.build()?);
        Ok(Transformed::yes(Expr::SetComparison(compared)))
    }

    /// Whether `x NOT IN (…)` is true: there is no such row, no NULL, and no row at all where `x` is NULL.
    fn not_in(&mut self, inside: &InSubquery, schema: &DFSchema) -> Result<Expr> {
        let (same, unknown) = self.answers(inside, schema, Asked::Exists)?;
        Ok(match unknown {
            Some(unknown) => not(same).and(not(unknown)),
            None => not(same),
        })
    }

    /// The expression with all three answers of each `IN`.
    fn value(&mut self, expr: Expr, schema: &DFSchema, asked: Asked) -> Result<Expr> {
        let rewritten = expr.transform_up(|expr| {
            let (value, negated) = match (expr, asked) {
                (Expr::InSubquery(inside), _) => {
                    let (same, unknown) = self.answers(&inside, schema, asked)?;
                    let value = match unknown {
                        Some(unknown) => when(same, lit(true))
                            .when(unknown, lit(ScalarValue::Boolean(None)))
                            .otherwise(lit(false))?,
                        None => same,
                    };
                    (value, inside.negated)
                }
                (Expr::Exists(Exists { subquery, negated }), Asked::Count) => {
                    let rows = subquery.subquery.as_ref().clone();
                    (self.asked(rows, &subquery.spans, asked)?, negated)
                }
                (expr, _) => return Ok(Transformed::no(expr)),
            };
            Ok(Transformed::yes(if negated { not(value) } else { value }))
        })?;
        Ok(rewritten.data)
    }

    /// Whether the subquery has such a row; and whether, if not, the answer is NULL.
    fn answers(
        &mut self,
        inside: &InSubquery,
        schema: &DFSchema,
        asked: Asked,
    ) -> Result<(Expr, Option<Expr>)> {
        let InSubquery { expr, subquery, .. } = inside;
        if expr.contains_outer() {
            return refused(
                "NOT IN (SELECT …) whose left side belongs to a query further out cannot run here; join both, or write \
                 NOT EXISTS",
            );
        }
        let may_be_null = expr.nullable(schema)?;
        let outer = expr.as_ref().clone().transform_up(|expr| match expr {
            Expr::Column(column) => {
                let (_, field) = schema.qualified_field_from_column(&column)?;
                let field = Arc::clone(field);
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        let same = self.row(subquery, asked, |item| Some(item.eq(outer.data)))?;
        let mut unknown = match subquery.subquery.schema().field(0).is_nullable() {
            true => Some(self.row(subquery, asked, |item| Some(item.is_null()))?),
            false => None,
        };
        if may_be_null {
            let any = self.row(subquery, asked, |_| None)?;
            let of_null = expr.as_ref().clone().is_null().and(any);
            unknown = Some(match unknown {
                Some(unknown) => unknown.or(of_null),
                None => of_null,
            });
        }
        Ok((same, unknown))
    }

    /// Whether the subquery has a row of whose one item that holds.
    fn row(
        &mut self,
        subquery: &Subquery,
        asked: Asked,
        holds: impl FnOnce(Expr) -> Option<Expr>,
    ) -> Result<Expr> {
        let (rows, item) = self.one_item(subquery)?;
        let rows = match holds(item) {
            Some(holds) => rows.filter(holds)?,
            None => rows,
        };
        self.asked(rows.build()?, &subquery.spans, asked)
    }

    /// The subquery's rows, and their item under a name of its own: both queries may read the same table.
    fn one_item(&mut self, subquery: &Subquery) -> Result<(LogicalPlanBuilder, Expr)> {
        self.copies += 1;
        let name = format!("in {}", self.copies);
        let rows = subquery.subquery.as_ref().clone();
        let item = Expr::Column(Column::from(rows.schema().qualified_field(0)));
        let rows = LogicalPlanBuilder::from(rows).project(vec![item.alias(&name)])?;
        Ok((rows, Expr::Column(Column::new_unqualified(name))))
    }

    fn asked(&mut self, rows: LogicalPlan, spans: &Spans, asked: Asked) -> Result<Expr> {
        let mut nodes = 0;
        rows.apply_with_subqueries(|_| {
            nodes += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
        self.nodes_left = match self.nodes_left.checked_sub(nodes) {
            Some(left) => left,
            None => {
                return refused(
                    "NOT IN (SELECT …) is nested too often here; write NOT EXISTS, or join",
                );
            }
        };
        let rows = match asked {
            Asked::Exists => rows,
            Asked::Count => {
                let counted = LogicalPlanBuilder::from(rows)
                    .aggregate(Vec::<Expr>::new(), vec![count(lit(1_i64)).alias("rows")])?;
                let is_some = Expr::Column(Column::from_name("rows")).gt(lit(0_i64));
                counted.project(vec![is_some.alias("is_some")])?.build()?
            }
        };
        let subquery = Subquery {
            outer_ref_columns: rows.all_out_ref_exprs(),
            subquery: Arc::new(rows),
            spans: spans.clone(),
        };
        Ok(match asked {
            Asked::Exists => Expr::Exists(Exists {
                subquery,
                negated: false,
            }),
            Asked::Count => Expr::ScalarSubquery(subquery),
        })
    }
}

/// Whether a node has subqueries of any kind, and whether it has some behind IN or EXISTS, or of each row of an aggregate.
///
/// # Errors
/// `Plan` for those that the engine would answer wrongly.
fn asked_in(node: &LogicalPlan) -> Result<(bool, bool)> {
    let (mut has_any, mut has_in) = (false, false);
    node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::InSubquery(InSubquery { subquery, .. }) => {
                        has_in = true;
                        check(subquery, As::List)?;
                    }
                    Expr::Exists(Exists { subquery, .. }) => {
                        has_in = true;
                        check(subquery, As::Rows)?;
                    }
                    Expr::ScalarSubquery(subquery) => {
                        has_any = true;
                        has_in |= is_of_row(subquery) && matches!(node, LogicalPlan::Aggregate(_));
                        check(subquery, As::Value)?;
                    }
                    Expr::SetComparison(_) => has_any = true,
                    Expr::WindowFunction(_) if matches!(node, LogicalPlan::Filter(_)) => {
                        return refused(
                            "a window function stands in the SELECT or in QUALIFY, not in WHERE or HAVING",
                        );
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
    Ok((has_any, has_in))
}

/// Whether the subquery is another one for each row.
fn is_of_row(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

/// Whether an aggregate's expression asks what the engine can only ask of rows.
fn asks(expr: &Expr) -> bool {
    let found = expr
        .exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(subquery) if is_of_row(subquery))));
    holds_subquery(expr) || found.unwrap_or(true)
}

fn holds_subquery(expr: &Expr) -> bool {
    let found = expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_) | Expr::Exists(_))));
    found.unwrap_or(true)
}

/// The engine is right of it, and quickest.
fn is_left_to_the_engine(part: &Expr) -> bool {
    let (inside, negated) = match part {
        Expr::InSubquery(inside) => (inside, inside.negated),
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(inside) => (inside, !inside.negated),
            _ => return false,
        },
        _ => return false,
    };
    let is_apart = inside.subquery.outer_ref_columns.is_empty();
    !negated || (is_apart && matches!(inside.expr.as_ref(), Expr::Column(_)))
}

/// What a subquery stands for.
#[derive(Clone, Copy, PartialEq)]
enum As {
    List,
    Rows,
    Value,
}

/// Refuses subqueries that name columns of the query around them below what the engine moves that condition over: it
/// would count, number or cut off the rows of all.
fn check(subquery: &Subquery, stands: As) -> Result<()> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(());
    }
    subquery.subquery.apply(|node| {
        let what = match node {
            LogicalPlan::Window(_) => "a window function",
            LogicalPlan::Limit(_) | LogicalPlan::Distinct(Distinct::On(_))
                if stands == As::List =>
            {
                "LIMIT or DISTINCT ON"
            }
            LogicalPlan::Aggregate(aggregate)
                if stands != As::Value && aggregate.group_expr.is_empty() =>
            {
                "an aggregate without GROUP BY"
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        match node.all_out_ref_exprs().is_empty() {
            true => Ok(TreeNodeRecursion::Continue),
            false => refused(&format!(
                "{what} in a subquery that names columns of the query around it cannot run here; join the subquery, or \
                 compare with its one value: x = (SELECT max(y) …)"
            )),
        }
    })?;
    Ok(())
}

/// A subquery that stands for a value is NULL where it has no row, which the engine forgets of an item that is never NULL.
fn empty_is_null(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::ScalarSubquery(mut subquery) = expr else {
        return Ok(Transformed::no(expr));
    };
    let rows = &subquery.subquery;
    let is_one_value = rows.schema().fields().len() == 1;
    if !is_one_value || rows.schema().field(0).is_nullable() || always_has_a_row(rows) {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let item = Column::from(rows.schema().qualified_field(0));
    let may_be_null = may_be_null().call(vec![Expr::Column(item.clone())]);
    let may_be_null = may_be_null.alias_qualified(item.relation, item.name);
    let rows = LogicalPlanBuilder::from(rows.as_ref().clone());
    subquery.subquery = Arc::new(rows.project(vec![may_be_null])?.build()?);
    Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
}

fn always_has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => always_has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => always_has_a_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

fn refused<T>(why: &str) -> Result<T> {
    Err(DataFusionError::Plan(why.to_owned()))
}
