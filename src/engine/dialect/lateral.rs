//! Lists unnested beside the table they are a column of.
//!
//! The engine unnests a list in a SELECT, but not one that a FROM takes from the table beside it. So
//! `FROM t LATERAL VIEW explode(t.list) v AS x`, and `FROM t CROSS JOIN unnest(t.list) AS v(x)`, become
//! `FROM (SELECT *, unnest(t.list) AS x FROM t) AS t`, and `v.x` becomes `x`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, LateralView,
    ObjectNamePart, Query, Select, SelectFlavor, SelectItem, SetExpr, TableAlias, TableFactor,
    TableWithJoins, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};
use rules::{Error, Result};

use super::composed::element as element_of;
use super::{calls, text, using};

/// A list to unnest, and what its elements are called; of a map what its keys and its values are.
struct Unnested {
    list: Expr,
    function: &'static str,
    table: Ident,
    columns: Vec<Ident>,
}

/// What the entries of a map are called before they are taken apart; nobody can say it by chance.
fn entry() -> Ident {
    Ident::with_quote('"', "in map")
}

pub(super) fn rewrite(select: &mut Select) -> Result<()> {
    let mut lists = joined(select);
    for view in std::mem::take(&mut select.lateral_views) {
        lists.push(viewed(view)?);
    }
    lists.reverse();
    while let Some(unnested) = lists.pop() {
        let mut names = Unqualified(unnested.table.clone(), unnested.columns.clone());
        beside(select, unnested)?;
        let _ = select.visit(&mut names);
        for later in &mut lists {
            let _ = VisitMut::visit(&mut later.list, &mut names);
        }
    }
    Ok(())
}

fn refused() -> Error {
    Error::invalid(
        "a list is unnested beside one table only, as FROM t LATERAL VIEW explode(list) v AS x; or write unnest(list) in \
         the SELECT",
    )
}

fn viewed(view: LateralView) -> Result<Unnested> {
    let Expr::Function(function) = view.lateral_view else {
        return Err(refused());
    };
    let mut args = calls::arguments(&function).ok_or_else(refused)?;
    let name = calls::name(&function);
    let name = match (name.as_deref(), view.outer) {
        (Some("explode"), false) => "unnest",
        (Some("explode"), true) | (Some("explode_outer"), _) => "unnest_outer",
        (Some(other), _) => {
            return Err(Error::invalid(format!(
                "LATERAL VIEW {other} is not there; write LATERAL VIEW explode(list) v AS x, or explode(map) v AS k, x"
            )));
        }
        _ => return Err(refused()),
    };
    let table = view.lateral_view_name.0.first();
    let table = table.and_then(ObjectNamePart::as_ident).cloned();
    let mut columns = view.lateral_col_alias;
    if columns.is_empty() {
        // What Spark calls it.
        columns.push(Ident::new("col"));
    }
    match (args.pop(), table) {
        (Some(list), Some(table)) if columns.len() <= 2 => Ok(Unnested {
            list,
            function: name,
            table,
            columns,
        }),
        _ => Err(refused()),
    }
}

/// Takes `unnest(list) AS v(x)` out of the FROM where the list is made of columns.
fn joined(select: &mut Select) -> Vec<Unnested> {
    let mut lists = Vec::new();
    let mut take = |factor: &TableFactor| {
        let unnested = of_factor(factor);
        let is_taken = unnested.is_some();
        lists.extend(unnested);
        is_taken
    };
    let mut is_first = true;
    select.from.retain(|table| {
        let is_kept = is_first || !table.joins.is_empty() || !take(&table.relation);
        is_first = false;
        is_kept
    });
    for table in &mut select.from {
        table
            .joins
            .retain(|join| !(is_cross(join) && take(&join.relation)));
    }
    lists
}

fn is_cross(join: &Join) -> bool {
    matches!(
        join.join_operator,
        JoinOperator::CrossJoin(JoinConstraint::None)
    )
}

fn of_factor(factor: &TableFactor) -> Option<Unnested> {
    let TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs,
        with_offset: false,
        with_ordinality: false,
        ..
    } = factor
    else {
        return None;
    };
    let ([list], [column]) = (array_exprs.as_slice(), alias.columns.as_slice()) else {
        return None;
    };
    list.visit(&mut FindColumn).is_break().then(|| Unnested {
        list: list.clone(),
        function: "unnest",
        table: alias.name.clone(),
        columns: vec![column.name.clone()],
    })
}

/// Breaks at a column.
struct FindColumn;

impl Visitor for FindColumn {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn beside(select: &mut Select, unnested: Unnested) -> Result<()> {
    let [TableWithJoins { relation, joins }] = select.from.as_mut_slice() else {
        return Err(refused());
    };
    let name = using::name(relation).or(match relation {
        // Nobody can say it, but a table has one.
        TableFactor::Derived { .. } => Some(Ident::with_quote('"', "in view")),
        _ => None,
    });
    let (Some(name), true) = (name, joins.is_empty()) else {
        return Err(refused());
    };
    let (list, element) = match unnested.columns.as_slice() {
        [column] => (unnested.list, column.clone()),
        _ => (calls::call("map_entries", vec![unnested.list]), entry()),
    };
    let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
    let element = SelectItem::ExprWithAlias {
        expr: calls::call(unnested.function, vec![list]),
        alias: element,
    };
    select.from = from_select(vec![all, element], std::mem::take(&mut select.from), &name);
    if let [key, value] = unnested.columns.as_slice() {
        let others = SelectItem::Wildcard(WildcardAdditionalOptions {
            opt_except: Some(ExceptSelectItem {
                first_element: entry(),
                additional_elements: Vec::new(),
            }),
            ..WildcardAdditionalOptions::default()
        });
        let part = |part: &str, name: &Ident| SelectItem::ExprWithAlias {
            expr: element_of(Expr::Identifier(entry()), text(part)),
            alias: name.clone(),
        };
        let items = vec![others, part("key", key), part("value", value)];
        select.from = from_select(items, std::mem::take(&mut select.from), &name);
    }
    Ok(())
}

/// `FROM (SELECT items FROM from) AS name`.
fn from_select(
    items: Vec<SelectItem>,
    from: Vec<TableWithJoins>,
    name: &Ident,
) -> Vec<TableWithJoins> {
    vec![TableWithJoins {
        relation: TableFactor::Derived {
            lateral: false,
            subquery: Box::new(Query {
                with: None,
                body: Box::new(SetExpr::Select(Box::new(plain_select(items, from)))),
                order_by: None,
                limit_clause: None,
                fetch: None,
                locks: Vec::new(),
                for_clause: None,
                settings: None,
                format_clause: None,
                pipe_operators: Vec::new(),
            }),
            alias: Some(TableAlias {
                explicit: true,
                name: name.clone(),
                columns: Vec::new(),
                at: None,
            }),
            sample: None,
        },
        joins: Vec::new(),
    }]
}

fn plain_select(projection: Vec<SelectItem>, from: Vec<TableWithJoins>) -> Select {
    Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

/// `v.x` as `x`.
struct Unqualified(Ident, Vec<Ident>);

impl VisitorMut for Unqualified {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr
            && let [table, column] = names.as_slice()
            && table.value.eq_ignore_ascii_case(&self.0.value)
            && let mut ours = self.1.iter()
            && ours.any(|ours| column.value.eq_ignore_ascii_case(&ours.value))
        {
            *expr = Expr::Identifier(column.clone());
        }
        ControlFlow::Continue(())
    }
}
