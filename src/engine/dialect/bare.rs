//! Bare names that mean in an expression what they mean around it: those of no query inside, and of no function's parameter.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, VisitMut, VisitorMut};

/// Asks `meaning` of each such name, with the parameters of the functions around it, and puts its answer in the name's place.
pub(super) fn replace(expr: &mut Expr, meaning: &mut dyn FnMut(&Ident, &[Ident]) -> Option<Expr>) {
    let _ = expr.visit(&mut Bare::new(meaning));
}

/// The same of those that stand in no call.
pub(super) fn replace_outside_calls(
    expr: &mut Expr,
    meaning: &mut dyn FnMut(&Ident, &[Ident]) -> Option<Expr>,
) {
    let mut bare = Bare::new(meaning);
    bare.is_outside_calls = true;
    let _ = expr.visit(&mut bare);
}

struct Bare<'a> {
    meaning: &'a mut dyn FnMut(&Ident, &[Ident]) -> Option<Expr>,
    is_outside_calls: bool,
    /// Queries, and calls where these count, around the place.
    within: usize,
    params: Vec<Ident>,
}

impl<'a> Bare<'a> {
    fn new(meaning: &'a mut dyn FnMut(&Ident, &[Ident]) -> Option<Expr>) -> Self {
        Self {
            meaning,
            is_outside_calls: false,
            within: 0,
            params: Vec::new(),
        }
    }

    fn is_counted(&self, expr: &Expr) -> bool {
        self.is_outside_calls && matches!(expr, Expr::Function(_))
    }
}

impl VisitorMut for Bare<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(function) = expr {
            let params = function.params.iter();
            self.params.extend(params.map(|param| param.name.clone()));
        }
        self.within += usize::from(self.is_counted(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.within -= usize::from(self.is_counted(expr));
        match &*expr {
            Expr::Lambda(function) => {
                let outer = self.params.len() - function.params.iter().count();
                self.params.truncate(outer);
            }
            Expr::Identifier(name) if self.within == 0 => {
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
