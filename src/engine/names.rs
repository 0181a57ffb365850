//! The names of an answer's columns, as the query wrote them.
//!
//! The engine calls `SELECT 1` `Int64(1)` and `min(x)` `min(t.x)`, and wants every name once; people look for what they
//! wrote. Only names of the outermost select change, and only where it is plain which expression a column comes from.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Statement, VisitMut, VisitorMut,
};

use super::spelling::Spelling;

/// What the items of the outermost select are called: a name, or `None` for the many columns of a wildcard.
pub(super) type Names = Vec<Option<String>>;

/// The names in a statement as it was written; `None` when its columns are not those of an outermost select.
pub(super) fn written(statement: &Statement) -> Option<Names> {
    let Statement::Query(query) = statement else {
        return None;
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    select.projection.iter().map(name).collect()
}

fn name(item: &SelectItem) -> Option<Option<String>> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(Some(name.value.clone())),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
            Some(names.last().map(|name| name.value.clone()))
        }
        SelectItem::UnnamedExpr(expr) => Some(Some(expr.to_string())),
        SelectItem::ExprWithAlias { alias, .. } => Some(Some(alias.value.clone())),
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Some(None),
        SelectItem::ExprWithAliases { .. } => None,
    }
}

/// A name for each of the `fields` that a query's plan has; `None` where that is not plain.
pub(super) fn of_columns(
    names: &Names,
    fields: &[String],
    spelling: &Spelling,
) -> Option<Vec<Option<String>>> {
    let wildcards = names.iter().filter(|name| name.is_none()).count();
    let others = names.len() - wildcards;
    let width = match wildcards {
        0 if others == fields.len() => 0,
        1 => fields.len().checked_sub(others)?,
        _ => return None,
    };
    let mut columns = Vec::with_capacity(fields.len());
    for name in names {
        match name {
            Some(name) => columns.push(Some(name.clone())),
            None => {
                let expanded = &fields[columns.len()..columns.len() + width];
                columns.extend(expanded.iter().map(|field| Some(spelling.of(field))));
            }
        }
    }
    Some(columns)
}

/// Gives every expression of the outermost select an alias of its own, and lets ORDER BY refer to it: the engine takes
/// `1, 1`, or two casts of one value, for the same name.
pub(super) fn alias(statement: &mut Statement) {
    match statement {
        Statement::Query(query) => alias_query(query),
        Statement::Explain { statement, .. } => alias(statement),
        _ => {}
    }
}

fn alias_query(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let mut aliased = Aliased(Vec::new());
    let is_wildcard = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    let has_wildcard = select.projection.iter().any(is_wildcard);
    let mut columns: Vec<String> = Vec::new();
    for (number, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let column = match &*expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        let alias = Ident::with_quote('"', format!("column {number}"));
        match column.map(|name| name.value.to_ascii_lowercase()) {
            // Columns have names of their own, the first time; a wildcard may be it.
            Some(name) if !has_wildcard && !columns.contains(&name) => {
                columns.push(name);
                continue;
            }
            Some(_) => {}
            None => aliased.0.push((expr.clone(), alias.clone())),
        }
        let expr = expr.clone();
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
    let Some(order_by) = &mut query.order_by else {
        return;
    };
    if let OrderByKind::Expressions(keys) = &mut order_by.kind {
        for key in keys {
            // A number in ORDER BY is a column's place.
            if !matches!(key.expr, Expr::Value(_)) {
                let _ = key.expr.visit(&mut aliased);
            }
        }
    }
}

/// Expressions of the select and what they are called now.
struct Aliased(Vec<(Expr, Ident)>);

impl VisitorMut for Aliased {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some((_, alias)) = self.0.iter().find(|(aliased, _)| aliased == expr) {
            *expr = Expr::Identifier(alias.clone());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use rules::read_only::{self, Names as How};

    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        let mut tree = read_only::parse(sql, How::Written).unwrap().tree;
        alias(&mut tree);
        assert_eq!(tree.to_string(), expected);
    }

    #[test]
    fn order_by_follows_the_aliases() {
        check(
            "SELECT f(a), b, b FROM t ORDER BY f(a) + 1, 2 DESC",
            r#"SELECT f(a) AS "column 0", b, b AS "column 2" FROM t ORDER BY "column 0" + 1, 2 DESC"#,
        );
        check("SELECT a AS x, * FROM t", "SELECT a AS x, * FROM t");
    }
}
