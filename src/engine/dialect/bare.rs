//! Bare names that mean in an expression what they mean around it: those of no query inside, and of no function's parameter.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, VisitMut, VisitorMut};

/// Asks `meaning` of each such name, with the parameters of the functions around it, and puts its answer in the name's place.
pub(super) fn replace(expr: &mut Expr, meaning: &mut dyn FnMut(&Ident, &[Ident]) -> Option<Expr>) {
    let mut bare = Bare {
        meaning,
        queries: 0,
        params: Vec::new(),
    };
    let _ = expr.visit(&mut bare);
}

struct Bare<'a> {
    meaning: &'a mut dyn FnMut(&Ident, &[Ident]) -> Option<Expr>,
    queries: usize,
    params: Vec<Ident>,
}

impl VisitorMut for Bare<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(function) = expr {
            let params = function.params.iter();
            self.params.extend(params.map(|param| param.name.clone()));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match &*expr {
            Expr::Lambda(function) => {
                let outer = self.params.len() - function.params.iter().count();
                self.params.truncate(outer);
            }
            Expr::Identifier(name) if self.queries == 0 => {
                let is_it = |param: &Ident| param.value.eq_ignore_ascii_case(&name.value);
                if !self.params.iter().any(is_it)
                    && let Some(meaning) = (self.meaning)(name, &self.params)
                {
                    *expr = meaning;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
