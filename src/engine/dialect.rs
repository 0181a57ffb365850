//! What people write against a lakehouse, in words that the engine knows.
//!
//! The tree that `rules::read_only` judged is rewritten in place: calls become other calls (`count_if`, `datediff` with a
//! unit), operators become calls (`a:b.c`, `RLIKE`), `LATERAL VIEW explode` becomes a join. Nothing here adds a statement,
//! a table or a clause that could write. What cannot be had is refused with what to write instead.
//! Operators that depend on types are planned in [`operators`], names of types in [`types`].

mod calls;
mod lambda;
mod operators;
mod types;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, JsonPath, JsonPathElem, LateralView,
    ObjectName, ObjectNamePart, Select, Statement, TableAlias, TableAliasColumnDef, TableFactor,
    UnaryOperator, Value, VisitMut, VisitorMut,
};
use rules::{Error, Result};

pub(super) use calls::REWRITTEN;
pub(super) use operators::Operators;
pub(super) use types::Types;

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

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        flow(lateral_views(select))
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
            Expr::Interval(interval) => calls::interval(interval)?,
            _ => None,
        };
        if let Some(rewritten) = rewritten {
            *expr = rewritten;
        }
        Ok(())
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

/// `FROM t LATERAL VIEW explode(list) v AS x` is `FROM t CROSS JOIN unnest(list) AS v(x)`.
fn lateral_views(select: &mut Select) -> Result<()> {
    for view in std::mem::take(&mut select.lateral_views) {
        let Some(table) = select.from.last_mut() else {
            return Err(Error::invalid("LATERAL VIEW belongs behind a FROM"));
        };
        table.joins.push(Join {
            relation: unnested(view)?,
            global: false,
            join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
        });
    }
    Ok(())
}

fn unnested(view: LateralView) -> Result<TableFactor> {
    let refused = || {
        Error::invalid(
            "LATERAL VIEW takes explode(list) name AS column here; write CROSS JOIN unnest(list) AS name(column), or \
             unnest(list) in the SELECT",
        )
    };
    let Expr::Function(function) = view.lateral_view else {
        return Err(refused());
    };
    let mut list = calls::arguments(&function).ok_or_else(refused)?;
    let name = view.lateral_view_name.0.first();
    let name = name.and_then(ObjectNamePart::as_ident).cloned();
    let is_explode = calls::name(&function).as_deref() == Some("explode");
    let (true, false, Some(list), Some(name)) = (is_explode, view.outer, list.pop(), name) else {
        return Err(refused());
    };
    let columns = view.lateral_col_alias.into_iter();
    let columns = columns.map(|name| TableAliasColumnDef {
        name,
        data_type: None,
    });
    Ok(TableFactor::UNNEST {
        alias: Some(TableAlias {
            explicit: true,
            name,
            columns: columns.collect(),
            at: None,
        }),
        array_exprs: vec![list],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    })
}

fn object_name(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))])
}

#[cfg(test)]
mod tests;
