//! The names of an answer's columns, as the query wrote them.
//!
//! The engine calls `SELECT 1` `Int64(1)` and `min(x)` `min(t.x)`; people look for what they wrote. Only names of the
//! outermost select change, and only where it is plain which expression a column comes from.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement as Sql};

/// For each column its text in the query, where it has no name of its own; `None` when the columns are not those of the
/// outermost select.
pub(super) fn written(statement: &Statement) -> Option<Vec<Option<String>>> {
    let Statement::Statement(statement) = statement else {
        return None;
    };
    let Sql::Query(query) = statement.as_ref() else {
        return None;
    };
    select_items(query)?.iter().map(name).collect()
}

fn select_items(query: &Query) -> Option<&[SelectItem]> {
    match query.body.as_ref() {
        SetExpr::Select(select) => Some(&select.projection),
        SetExpr::Query(query) => select_items(query),
        _ => None,
    }
}

fn name(item: &SelectItem) -> Option<Option<String>> {
    match item {
        // Columns and aliases have names of their own.
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => Some(None),
        SelectItem::ExprWithAlias { .. } => Some(None),
        SelectItem::UnnamedExpr(expr) => Some(Some(expr.to_string())),
        // A wildcard stands for any number of columns.
        _ => None,
    }
}
