//! `x -> x + 1` in a call that takes a function.
//!
//! The parser takes every arrow for the operator of JSON, which binds more tightly than what follows: `x -> x + 1` is
//! `(x -> x) + 1` to it. Where a call takes a function, the leftmost arrow is its arrow.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    LambdaFunction, LambdaFunctionParameter, LambdaSyntax, OneOrManyWithParens, VisitMut,
    VisitorMut,
};
use rules::Result;

use super::{calls, composed, take, text};

/// Calls whose second argument is a function.
const TAKE_FUNCTIONS: [&str; 10] = [
    "any_match",
    "array_any_match",
    "array_filter",
    "array_transform",
    "exists",
    "filter",
    "list_any_match",
    "list_filter",
    "list_transform",
    "transform",
];

pub(super) fn rewrite(function: &mut Function) -> Result<()> {
    let takes = calls::name(function).is_some_and(|name| TAKE_FUNCTIONS.contains(&name.as_str()));
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(());
    };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_mut_slice()
    else {
        return Ok(());
    };
    if takes && let Some(params) = cut_arrow(argument) {
        let _ = argument.visit(&mut Parts(params.iter().map(|param| &param.name).collect()));
        *argument = Expr::Lambda(LambdaFunction {
            params,
            body: Box::new(take(argument)),
            syntax: LambdaSyntax::Arrow,
        });
    }
    Ok(())
}

/// Takes the leftmost arrow and what stands before it out of the tree, which is the body then.
fn cut_arrow(expr: &mut Expr) -> Option<OneOrManyWithParens<LambdaFunctionParameter>> {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            if *op == BinaryOperator::Arrow
                && let Some(params) = params(left)
            {
                *expr = take(right);
                return Some(params);
            }
            cut_arrow(left)
        }
        Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsDistinctFrom(inner, _)
        | Expr::IsNotDistinctFrom(inner, _)
        | Expr::Cast { expr: inner, .. }
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::RLike { expr: inner, .. }
        | Expr::InList { expr: inner, .. }
        | Expr::Between { expr: inner, .. }
        | Expr::JsonAccess { value: inner, .. } => cut_arrow(inner),
        _ => None,
    }
}

fn params(expr: &Expr) -> Option<OneOrManyWithParens<LambdaFunctionParameter>> {
    let param = |name: &Ident| LambdaFunctionParameter {
        name: name.clone(),
        data_type: None,
    };
    match expr {
        Expr::Identifier(name) => Some(OneOrManyWithParens::One(param(name))),
        Expr::Nested(inner) => params(inner),
        Expr::Tuple(names) => {
            let names = names.iter().map(|name| match name {
                Expr::Identifier(name) => Some(param(name)),
                _ => None,
            });
            Some(OneOrManyWithParens::Many(names.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// `x.a` of a function's parameter as `x['a']`: to the engine `x` would be a table.
struct Parts<'a>(Vec<&'a Ident>);

impl VisitorMut for Parts<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr
            && let Some((first, parts)) = names.split_first()
            && let mut params = self.0.iter()
            && params.any(|param| param.value.eq_ignore_ascii_case(&first.value))
        {
            let root = Expr::Identifier(first.clone());
            let part_of = |value, part: &Ident| composed::element(value, text(&part.value));
            *expr = parts.iter().fold(root, part_of);
        }
        ControlFlow::Continue(())
    }
}
