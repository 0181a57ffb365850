//! Names of items after HAVING, where a column of the same name is there too, of which a group has none:
//! `SELECT x, sum(y) AS y … GROUP BY x HAVING y > 2`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Select, SelectItem, Statement, VisitMut, VisitorMut};

use super::again::is;
use super::bare;

/// What the engine's error says of such a column.
pub(super) const OTHER_COLUMN: &str = "Column in HAVING must be";

/// Puts the items in the place of their names; whether there are such.
pub(super) fn name_items(tree: &mut Statement) -> bool {
    let mut having = Having::default();
    let _ = tree.visit(&mut having);
    having.is_read
}

#[derive(Default)]
struct Having {
    is_read: bool,
}

impl VisitorMut for Having {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let Some(having) = &mut select.having else {
            return ControlFlow::Continue(());
        };
        // Within a call they are columns.
        bare::replace_outside_calls(having, &mut |name, _| {
            let mut items = select.projection.iter();
            let item = items.find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if is(name, &alias.value) => Some(expr),
                _ => None,
            })?;
            self.is_read = true;
            Some(Expr::Nested(Box::new(item.clone())))
        });
        ControlFlow::Continue(())
    }
}
