//! The names of an answer's columns, as the query wrote them.
//!
//! The engine calls `SELECT 1` `Int64(1)` and `min(x)` `min(t.x)`; people look for what they wrote. Only names of the
//! outermost select change, and only where it is plain which expression a column comes from.

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement as Sql};

/// For each column its text in the query, where it has no name of its own; `None` when the columns are not those of the
/// outermost select.
///
/// Where nothing else of the query can refer to them, these columns get aliases too: the engine wants every name once,
/// and takes `1, 1` or two casts of one value for the same name.
pub(super) fn take(statement: &mut Statement) -> Option<Vec<Option<String>>> {
    let Statement::Statement(statement) = statement else {
        return None;
    };
    let Sql::Query(query) = statement.as_mut() else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    let names: Vec<Option<String>> = select.projection.iter().map(name).collect::<Option<_>>()?;
    if query.order_by.is_none() && select.distinct.is_none() {
        for (number, (item, name)) in select.projection.iter_mut().zip(&names).enumerate() {
            if let (SelectItem::UnnamedExpr(expr), Some(_)) = (&*item, name) {
                let alias = Ident::with_quote('"', format!("column {number}"));
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias,
                };
            }
        }
    }
    Some(names)
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
