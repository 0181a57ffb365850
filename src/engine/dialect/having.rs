//! Names of items after HAVING, where a column of the same name is there too, of which a group has none:
//! `SELECT x, sum(y) AS y … GROUP BY x HAVING y > 2`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, Statement, VisitMut, VisitorMut,
};

use super::again::is;

/// What the engine's error says of such a column.
pub(super) const OTHER_COLUMN: &str = "Column in HAVING must be";

/// Puts the items in the place of their names; whether there are such.
pub(super) fn name_items(tree: &mut Statement) -> bool {
    let mut having = Having::default();
    let _ = tree.visit(&mut having);
    having.is_read
}

/// Bare names after HAVING as the items that they are the names of. Within a call they are columns.
#[derive(Default)]
struct Having {
    items: Vec<(Ident, Expr)>,
    /// Calls and queries around the place.
    within: usize,
    is_read: bool,
}

impl VisitorMut for Having {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let Some(having) = &mut select.having else {
            return ControlFlow::Continue(());
        };
        let items = select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => Some((alias.clone(), expr.clone())),
            _ => None,
        });
        let mut names = Having {
            items: items.collect(),
            ..Having::default()
        };
        let _ = having.visit(&mut names);
        self.is_read |= names.is_read;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.within += usize::from(matches!(expr, Expr::Function(_)));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match &*expr {
            Expr::Function(_) => self.within -= 1,
            Expr::Identifier(name) if self.within == 0 => {
                let item = self.items.iter().find(|(alias, _)| is(name, &alias.value));
                if let Some((_, item)) = item {
                    *expr = Expr::Nested(Box::new(item.clone()));
                    self.is_read = true;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
