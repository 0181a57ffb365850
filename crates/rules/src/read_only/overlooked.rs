//! Clauses that the parser knows and the engine leaves out without a word: an answer without them would be a wrong one.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArguments, GroupByExpr, GroupByWithModifier, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SetExpr, SetOperator, SetQuantifier, TableFactor,
};

use crate::Error;

type Verdict = ControlFlow<Box<Error>>;

pub(super) fn in_query(query: &Query) -> Verdict {
    let order_by = query.order_by.as_ref().map(|order_by| &order_by.kind);
    let fills = match order_by {
        Some(OrderByKind::Expressions(by)) => by.iter().any(|by| by.with_fill.is_some()),
        _ => false,
    };
    refuse(&[
        (fills, "WITH FILL"),
        (
            counts_copies(&query.body),
            "INTERSECT ALL and EXCEPT ALL, which count the copies of a row; write INTERSECT or EXCEPT, or number the copies \
             with row_number() on both sides first",
        ),
    ])
}

/// To the engine `{1, 1} EXCEPT ALL {1}` is empty.
fn counts_copies(body: &SetExpr) -> bool {
    let mut left_to_see = vec![body];
    while let Some(body) = left_to_see.pop() {
        let SetExpr::SetOperation {
            op,
            set_quantifier,
            left,
            right,
        } = body
        else {
            continue;
        };
        let is_all = matches!(
            set_quantifier,
            SetQuantifier::All | SetQuantifier::AllByName
        );
        if is_all && *op != SetOperator::Union {
            return true;
        }
        left_to_see.extend([left.as_ref(), right]);
    }
    false
}

pub(super) fn in_select(select: &Select) -> Verdict {
    let (is_all, modifiers) = match &select.group_by {
        GroupByExpr::All(modifiers) => (true, modifiers),
        GroupByExpr::Expressions(_, modifiers) => (false, modifiers),
    };
    let has_pattern = select.projection.iter().any(|item| match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            options.opt_ilike.is_some()
        }
        _ => false,
    });
    refuse(&[
        (select.prewhere.is_some(), "PREWHERE; write WHERE"),
        (
            !select.connect_by.is_empty(),
            "CONNECT BY; write WITH RECURSIVE",
        ),
        (
            modifiers.contains(&GroupByWithModifier::Totals),
            "WITH TOTALS; write GROUP BY ROLLUP (…)",
        ),
        (
            is_all && !modifiers.is_empty(),
            "GROUP BY ALL WITH …; name the columns",
        ),
        (modifiers.len() > 1, "two modifiers of one GROUP BY"),
        (has_pattern, "* ILIKE; name the columns"),
        (
            select.flavor == SelectFlavor::FromFirstNoSelect,
            "FROM without SELECT; write SELECT * FROM …",
        ),
    ])
}

pub(super) fn in_table(factor: &TableFactor) -> Verdict {
    const SAMPLE: &str = "TABLESAMPLE; write WHERE random() < 0.1, or ORDER BY random() LIMIT …";
    const ORDINALITY: &str = "WITH ORDINALITY; write row_number() OVER ()";
    match factor {
        TableFactor::Table {
            with_ordinality,
            partitions,
            sample,
            ..
        } => refuse(&[
            (sample.is_some(), SAMPLE),
            (
                !partitions.is_empty(),
                "PARTITION (…); write WHERE with the partition's column",
            ),
            (*with_ordinality, ORDINALITY),
        ]),
        TableFactor::Derived { sample, .. } => refuse(&[(sample.is_some(), SAMPLE)]),
        TableFactor::Function {
            with_ordinality, ..
        } => refuse(&[(*with_ordinality, ORDINALITY)]),
        _ => ControlFlow::Continue(()),
    }
}

pub(super) fn in_expr(expr: &Expr) -> Verdict {
    // Of `quantile(0.5)(x)` the engine takes the second brackets alone.
    let has_two = match expr {
        Expr::Function(function) => function.parameters != FunctionArguments::None,
        _ => false,
    };
    refuse(&[
        (
            has_two,
            "two pairs of brackets; write all arguments between one",
        ),
        (
            // Which the engine takes for a regular expression that may lie anywhere in the text.
            matches!(expr, Expr::SimilarTo { .. }),
            "SIMILAR TO; write LIKE, or RLIKE with a regular expression",
        ),
    ])
}

fn refuse(overlooked: &[(bool, &str)]) -> Verdict {
    match overlooked.iter().find(|(is_there, _)| *is_there) {
        Some((_, what)) => ControlFlow::Break(Box::new(Error::invalid(format!(
            "the engine does not know {what}"
        )))),
        None => ControlFlow::Continue(()),
    }
}
