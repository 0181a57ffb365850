//! What people write against a lakehouse, in words that the engine knows.
//!
//! The tree that `rules::read_only` judged is rewritten in place: calls become other calls (`count_if`, `datediff` with a
//! unit), operators become calls (`a:b.c`, `RLIKE`), `LATERAL VIEW explode` becomes a join, `WITH ROLLUP` an expression.
//! Nothing here adds a statement, a table or a clause that could write. What cannot be had is refused with what to write instead.
//! Operators that depend on types are planned in [`operators`], names of types in [`types`].

mod again;
mod bare;
mod calls;
mod composed;
mod guards;
mod having;
mod instants;
mod intervals;
mod lambda;
mod lateral;
mod literals;
mod operators;
mod planned;
mod types;
mod using;
mod words;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, GroupByExpr, GroupByWithModifier, Ident,
    JoinConstraint, JoinOperator, JsonPath, JsonPathElem, ObjectName, ObjectNamePart, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, Statement, Subscript,
    TableFactor, TableWithJoins, UnaryOperator, Value, VisitMut, VisitorMut,
};
use rules::{Error, Result};

pub(super) use again::Again;
pub(super) use guards::GuardedFilters;
pub(super) use intervals::check_order;
pub(super) use operators::Operators;
pub(super) use planned::correct;
pub(super) use types::Types;
pub(super) use words::REWRITTEN;

/// Rewrites a statement for the engine.
///
/// # Errors
/// `Invalid` for what the engine has no words for, with what to write instead.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Rewriter) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Box<Error>;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        // Before what is inside is visited: the arrow of a lambda looks like the operator of JSON.
        flow(match expr {
            Expr::Function(function) => lambda::rewrite(function),
            _ => Ok(()),
        })
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        flow(self.expression(expr))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Self::Break> {
        flow(match table {
            TableFactor::Pivot { .. } => Err(Error::invalid(
                "PIVOT is not there; write an aggregate for each column: count(*) FILTER (WHERE kind = 'a') AS a, …",
            )),
            TableFactor::Unpivot { .. } => Err(Error::invalid(
                "UNPIVOT is not there; write a SELECT for each column, with UNION ALL between them",
            )),
            _ => Ok(()),
        })
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        fold_exceptions(select);
        group_by_modifier(select);
        places_in_sets(select);
        numbers_are_no_places(select);
        select.from.iter_mut().for_each(left_joins);
        flow(using::in_select(select).and_then(|()| lateral::rewrite(select)))
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        order_by_all(query);
        minus(&mut query.body);
        flow(using::in_order_by(query))
    }
}

fn flow(result: Result<()>) -> ControlFlow<Box<Error>> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

impl Rewriter {
    fn expression(&self, expr: &mut Expr) -> Result<()> {
        literals::read(expr)?;
        let rewritten = match expr {
            Expr::Function(function) => calls::rewrite(function)?,
            Expr::JsonAccess { value, path } => {
                let path = text(&json_path(path)?);
                Some(calls::call("get_json_object", vec![take(value), path]))
            }
            Expr::RLike {
                negated,
                expr,
                pattern,
                ..
            } => {
                let like = calls::call("regexp_like", vec![take(expr), take(pattern)]);
                Some(match negated {
                    true => Expr::UnaryOp {
                        op: UnaryOperator::Not,
                        expr: Box::new(like),
                    },
                    false => like,
                })
            }
            Expr::Struct { values, fields } => composed::named_struct(values, fields),
            Expr::Interval(interval) => calls::interval(interval)?,
            Expr::Like {
                pattern,
                escape_char,
                ..
            }
            | Expr::ILike {
                pattern,
                escape_char,
                ..
            } => {
                literals::escape(pattern, escape_char)?;
                None
            }
            Expr::InSubquery { expr, .. } if matches!(expr.as_ref(), Expr::Tuple(_)) => {
                return Err(Error::invalid(
                    "several columns before IN (SELECT …) cannot run here; write EXISTS (SELECT 1 FROM … WHERE x = a AND y = b), \
                     or join",
                ));
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                access_chain.iter_mut().for_each(field_by_name);
                None
            }
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } if [&*low, &*high]
                .iter()
                .any(|end| matches!(end.as_ref(), Expr::Interval(_))) =>
            {
                Some(between(expr, *negated, low, high))
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Multiply,
                right,
            } => composed::times(left, right)?,
            _ => None,
        };
        if let Some(rewritten) = rewritten {
            *expr = rewritten;
        }
        Ok(())
    }
}

/// `f(x).name` as `f(x)['name']`.
fn field_by_name(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(name)) = access {
        let index = text(&name.value);
        *access = AccessExpr::Subscript(Subscript::Index { index });
    }
}

/// `x BETWEEN low AND high` as two comparisons, for which there are planners.
fn between(expr: &mut Expr, negated: bool, low: &mut Expr, high: &mut Expr) -> Expr {
    let compared = |left: Expr, op, right: &mut Expr| Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(take(right)),
    };
    let both = Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(compared(expr.clone(), BinaryOperator::GtEq, low)),
        op: BinaryOperator::And,
        right: Box::new(compared(take(expr), BinaryOperator::LtEq, high)),
    }));
    match negated {
        true => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(both),
        },
        false => both,
    }
}

/// `GROUP BY a, b WITH ROLLUP` as `GROUP BY ROLLUP (a, b)`, and the like: the engine overlooks what stands behind.
fn group_by_modifier(select: &mut Select) {
    let GroupByExpr::Expressions(by, modifiers) = &mut select.group_by else {
        return;
    };
    let sets = |by: &mut Vec<Expr>| by.drain(..).map(|by| vec![by]).collect();
    let by_sets = match modifiers.pop() {
        Some(GroupByWithModifier::Rollup) => Expr::Rollup(sets(by)),
        Some(GroupByWithModifier::Cube) => Expr::Cube(sets(by)),
        Some(GroupByWithModifier::GroupingSets(sets)) => sets,
        Some(GroupByWithModifier::Totals) | None => return,
    };
    *by = vec![by_sets];
}

/// The places of items in `ROLLUP (1)`, and the like, as the items: the engine takes them for numbers.
fn places_in_sets(select: &mut Select) {
    let GroupByExpr::Expressions(by, _) = &mut select.group_by else {
        return;
    };
    let keys = by.iter_mut().filter_map(|by| match by {
        Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => Some(sets),
        _ => None,
    });
    for key in keys.flatten().flatten() {
        let place = key.to_string().parse::<usize>().ok();
        let item = place.and_then(|place| select.projection.get(place.checked_sub(1)?));
        if let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item {
            *key = expr.clone();
        }
    }
}

/// `SELECT 2 AS v … GROUP BY v` with the number behind a cast: the engine puts it in the place of its name, and takes a bare
/// number there for the place of a column.
fn numbers_are_no_places(select: &mut Select) {
    let is_grouped = match &select.group_by {
        GroupByExpr::Expressions(by, _) => !by.is_empty(),
        GroupByExpr::All(_) => false,
    };
    if !is_grouped {
        return;
    }
    for item in &mut select.projection {
        let SelectItem::ExprWithAlias { expr, .. } = item else {
            continue;
        };
        if expr.to_string().parse::<i64>().is_ok() {
            *expr = calls::cast(take(expr), DataType::BigInt(None));
        }
    }
}

/// Takes a part out of a tree that is about to be replaced.
fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()))
}

fn text(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).with_empty_span())
}

fn number(number: &str) -> Expr {
    Expr::Value(Value::Number(number.to_owned(), false).with_empty_span())
}

/// `a.b[0].c` as the path of `get_json_object`.
fn json_path(path: &JsonPath) -> Result<String> {
    let mut text = "$".to_owned();
    for step in &path.path {
        match step {
            JsonPathElem::Dot { key, .. } => text.push_str(&json_key(key)?),
            JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => match key {
                Expr::Value(value) => match &value.value {
                    Value::Number(index, _) => text.push_str(&format!("[{index}]")),
                    Value::SingleQuotedString(key) => text.push_str(&json_key(key)?),
                    _ => return Err(no_path(key)),
                },
                Expr::Wildcard(_) => text.push_str("[*]"),
                _ => return Err(no_path(key)),
            },
        }
    }
    Ok(text)
}

fn json_key(key: &str) -> Result<String> {
    match key.contains("']") {
        true => Err(Error::invalid("a key of a JSON path cannot hold ']")),
        false => Ok(format!("['{key}']")),
    }
}

fn no_path(key: &Expr) -> Error {
    Error::invalid(format!(
        "a path into JSON is made of names, [0], ['a name'] and [*], not of [{key}]; get_json_object(column, path) takes \
         any text for a path"
    ))
}

/// `ORDER BY ALL`, which the parser takes for a column of that name, as the places of all columns; the engine's own takes
/// no expressions.
fn order_by_all(query: &mut Query) {
    let Some(order_by) = &mut query.order_by else {
        return;
    };
    let OrderByKind::Expressions(keys) = &order_by.kind else {
        return;
    };
    let [OrderByExpr { expr, options, .. }] = keys.as_slice() else {
        return;
    };
    let is_all =
        |name: &Ident| name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
    if !matches!(expr, Expr::Identifier(name) if is_all(name)) {
        return;
    }
    let items = match query.body.as_ref() {
        SetExpr::Select(select) => select.projection.as_slice(),
        _ => &[],
    };
    let is_wildcard = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    if items.is_empty() || items.iter().any(is_wildcard) {
        order_by.kind = OrderByKind::All(*options);
        return;
    }
    let places = (1..=items.len()).map(|place| OrderByExpr {
        expr: number(&place.to_string()),
        options: *options,
        with_fill: None,
    });
    order_by.kind = OrderByKind::Expressions(places.collect());
}

/// `MINUS` in its other word.
fn minus(body: &mut SetExpr) {
    let mut left_to_see = vec![body];
    while let Some(body) = left_to_see.pop() {
        if let SetExpr::SetOperation {
            op, left, right, ..
        } = body
        {
            if *op == SetOperator::Minus {
                *op = SetOperator::Except;
            }
            left_to_see.extend([left.as_mut(), right.as_mut()]);
        }
    }
}

/// `SEMI JOIN` and `ANTI JOIN`, which keep rows of the left side, in their longer words.
fn left_joins(from: &mut TableWithJoins) {
    if let TableFactor::NestedJoin {
        table_with_joins, ..
    } = &mut from.relation
    {
        left_joins(table_with_joins);
    }
    for join in &mut from.joins {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = &mut join.relation
        {
            left_joins(table_with_joins);
        }
        join.join_operator = match std::mem::replace(
            &mut join.join_operator,
            JoinOperator::CrossJoin(JoinConstraint::None),
        ) {
            JoinOperator::Semi(on) => JoinOperator::LeftSemi(on),
            JoinOperator::Anti(on) => JoinOperator::LeftAnti(on),
            other => other,
        };
    }
}

/// The engine looks for the columns of `* EXCEPT (…)` as they are written; bare ones mean no case.
fn fold_exceptions(select: &mut Select) {
    for item in &mut select.projection {
        let (SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options)) = item
        else {
            continue;
        };
        let Some(except) = &mut options.opt_except else {
            continue;
        };
        let others = except.additional_elements.iter_mut();
        for name in std::iter::once(&mut except.first_element).chain(others) {
            if name.quote_style.is_none() {
                name.value.make_ascii_lowercase();
            }
        }
    }
}

fn object_name(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))])
}

#[cfg(test)]
mod tests;
