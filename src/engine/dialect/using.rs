//! Columns that `JOIN … USING` makes one of two.
//!
//! The engine takes the left table's for the one, which is NULL where only the right table has a row, and finds it in the
//! SELECT alone. So the bare name is written as the column that it means: of a RIGHT JOIN the right table's, of a FULL
//! JOIN `coalesce(left.id, right.id)`.

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, ObjectNamePart, OrderByKind,
    Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
};
use rules::{Error, Result};

use super::{bare, calls};

/// A column that two tables have in common, and what its bare name means.
struct Merged {
    name: String,
    meaning: Expr,
    /// Whether it is not simply the left table's.
    is_moved: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Both,
    Left,
    Right,
    Full,
}

pub(super) fn in_select(select: &mut Select) -> Result<()> {
    let merged = in_from(&mut select.from)?;
    if merged.is_empty() {
        return Ok(());
    }
    let mut aliases = Vec::new();
    for item in &mut select.projection {
        match item {
            SelectItem::Wildcard(_) if merged.iter().any(|merged| merged.is_moved) => {
                return Err(refused("* over it shows the left table's column"));
            }
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                let name = name.clone();
                let Some(merged) = merged.iter().find(|merged| merged.is(&name)) else {
                    continue;
                };
                let expr = merged.meaning.clone();
                *item = match expr {
                    Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr),
                    expr => SelectItem::ExprWithAlias { expr, alias: name },
                };
            }
            SelectItem::UnnamedExpr(expr) => write_out(expr, &merged),
            SelectItem::ExprWithAlias { expr, alias } => {
                aliases.push(alias.value.clone());
                write_out(expr, &merged);
            }
            _ => {}
        }
    }
    if let GroupByExpr::Expressions(by, _) = &mut select.group_by {
        by.iter_mut().for_each(|by| write_out(by, &merged));
    }
    if let Some(condition) = &mut select.selection {
        write_out(condition, &merged);
    }
    // There the name of an item comes first.
    let is_alias = |merged: &Merged| aliases.iter().any(|alias| merged.is(&Ident::new(alias)));
    let merged: Vec<Merged> = merged
        .into_iter()
        .filter(|merged| !is_alias(merged))
        .collect();
    let conditions = [&mut select.having, &mut select.qualify];
    for condition in conditions.into_iter().flatten() {
        write_out(condition, &merged);
    }
    Ok(())
}

/// ORDER BY names the SELECT's items first.
pub(super) fn in_order_by(query: &mut Query) -> Result<()> {
    let (SetExpr::Select(select), Some(order_by)) = (query.body.as_mut(), &mut query.order_by)
    else {
        return Ok(());
    };
    let OrderByKind::Expressions(keys) = &mut order_by.kind else {
        return Ok(());
    };
    let mut merged = in_from(&mut select.from)?;
    let is_item = |merged: &Merged| {
        select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name))
            | SelectItem::ExprWithAlias { alias: name, .. } => merged.is(name),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                names.last().is_some_and(|name| merged.is(name))
            }
            _ => false,
        })
    };
    merged.retain(|merged| merged.is_moved && !is_item(merged));
    for key in keys {
        write_out(&mut key.expr, &merged);
    }
    Ok(())
}

/// The merged columns of a FROM; the conditions of later joins may name them, too.
fn in_from(from: &mut [TableWithJoins]) -> Result<Vec<Merged>> {
    let is_one = from.len() == 1;
    let mut all = Vec::new();
    for TableWithJoins { relation, joins } in from {
        check_nested(relation)?;
        let mut merged = Vec::new();
        let mut left = name(relation);
        for join in joins {
            check_nested(&mut join.relation)?;
            one_join(join, left.as_ref(), &mut merged)?;
            // From now on there are several on the left.
            left = None;
        }
        if !is_one && merged.iter().any(|merged: &Merged| merged.is_moved) {
            return Err(refused("it stands beside another table in FROM"));
        }
        all.extend(merged);
    }
    match is_one {
        true => Ok(all),
        false => Ok(Vec::new()),
    }
}

fn one_join(join: &mut Join, left: Option<&Ident>, merged: &mut Vec<Merged>) -> Result<()> {
    let right = name(&join.relation);
    let Some((side, constraint)) = constraint(&mut join.join_operator) else {
        return Ok(());
    };
    let is_outer = matches!(side, Side::Right | Side::Full);
    let names = match constraint {
        JoinConstraint::On(condition) => {
            write_out(condition, merged);
            return Ok(());
        }
        JoinConstraint::Natural if is_outer => return Err(refused("NATURAL names no columns")),
        JoinConstraint::Using(names) => names,
        _ => return Ok(()),
    };
    for column in names {
        let Some(column) = column.0.last().and_then(ObjectNamePart::as_ident) else {
            continue;
        };
        let of = |table: &Ident| Expr::CompoundIdentifier(vec![table.clone(), column.clone()]);
        let before = merged.iter().position(|merged| merged.is(column));
        let left = match before {
            Some(at) if merged[at].is_moved => {
                return Err(refused("a second USING of one column follows it"));
            }
            Some(at) => Some(merged[at].meaning.clone()),
            None => left.map(of),
        };
        let right = right.as_ref().map(of);
        let meaning = match side {
            Side::Both => left.or(right),
            Side::Left => left,
            Side::Right => Some(right.ok_or_else(|| refused("the right table has no name"))?),
            Side::Full => match (left, right) {
                (Some(left), Some(right)) => Some(calls::call("coalesce", vec![left, right])),
                _ => return Err(refused("it is not plain which table is on its left")),
            },
        };
        if let Some(at) = before {
            merged.remove(at);
        }
        merged.extend(meaning.map(|meaning| Merged {
            name: column.value.clone(),
            meaning,
            is_moved: is_outer,
        }));
    }
    Ok(())
}

fn constraint(operator: &mut JoinOperator) -> Option<(Side, &mut JoinConstraint)> {
    Some(match operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
            (Side::Both, constraint)
        }
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
            (Side::Left, constraint)
        }
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Side::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Side::Full, constraint),
        _ => return None,
    })
}

/// Between brackets the names of the tables are not looked up.
fn check_nested(factor: &mut TableFactor) -> Result<()> {
    let TableFactor::NestedJoin {
        table_with_joins, ..
    } = factor
    else {
        return Ok(());
    };
    let merged = in_from(std::slice::from_mut(table_with_joins))?;
    match merged.iter().any(|merged| merged.is_moved) {
        true => Err(refused("it stands between brackets")),
        false => Ok(()),
    }
}

/// What a table of a FROM is called.
pub(super) fn name(factor: &TableFactor) -> Option<Ident> {
    match factor {
        TableFactor::Table { name, alias, .. } => match alias {
            Some(alias) => Some(alias.name.clone()),
            None => name.0.last().and_then(ObjectNamePart::as_ident).cloned(),
        },
        TableFactor::Derived { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        _ => None,
    }
}

impl Merged {
    fn is(&self, name: &Ident) -> bool {
        self.name.eq_ignore_ascii_case(&name.value)
    }
}

fn refused(why: &str) -> Error {
    Error::invalid(format!(
        "RIGHT and FULL JOIN with USING or NATURAL cannot run here where {why}: write ON l.id = r.id, and name the column \
         as r.id or coalesce(l.id, r.id)"
    ))
}

/// Bare names as what they mean; those in subqueries may be columns of theirs.
fn write_out(expr: &mut Expr, merged: &[Merged]) {
    bare::replace(expr, &mut |name, _| {
        let merged = merged.iter().find(|merged| merged.is(name));
        merged.map(|merged| merged.meaning.clone())
    });
}
