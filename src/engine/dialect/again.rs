//! A second reading of statements that the engine can make no plan of, by what its first failure tells.
//!
//! Which names are columns and what has which type is known only once a plan is made. So what is meant in two ways is tried
//! as it stands first: a name that is no column may be what an earlier item of the SELECT is called, and what is no text
//! may be cut and searched like one. What runs as it stands is never read in another way.

use std::ops::ControlFlow;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select,
    SelectItem, Statement, TimezoneInfo, VisitMut, VisitorMut,
};

use super::{calls, literals, take};

/// Names of earlier items that one statement may use.
const NAMES_MAX: usize = 32;
/// Nodes of what such names stand for, all together: a name may stand for what uses another one twice.
const NODES_MAX: usize = 2_000;

/// Their answers differ from call to call, so that a name for one cannot be written out.
const VOLATILE: [&str; 3] = ["random", "rand", "uuid"];

/// Refuses what people do not mean by their texts, such as lists.
const AS_TEXT: &str = "as_text";

/// Calls whose texts may be dates, instants and numbers too, and where their texts stand.
const OF_TEXTS: &[(&str, &[usize])] = &[
    ("ascii", &[0]),
    ("btrim", &[0]),
    ("char_length", &[0]),
    ("character_length", &[0]),
    ("contains", &[0, 1]),
    ("endswith", &[0, 1]),
    ("initcap", &[0]),
    ("instr", &[0, 1]),
    ("lcase", &[0]),
    ("left", &[0]),
    ("len", &[0]),
    ("length", &[0]),
    ("levenshtein", &[0, 1]),
    ("lower", &[0]),
    ("lpad", &[0]),
    ("ltrim", &[0]),
    ("md5", &[0]),
    ("regexp_extract", &[0]),
    ("regexp_like", &[0]),
    ("regexp_replace", &[0]),
    ("repeat", &[0]),
    ("replace", &[0]),
    ("reverse", &[0]),
    ("right", &[0]),
    ("rpad", &[0]),
    ("rtrim", &[0]),
    ("sha1", &[0]),
    ("sha2", &[0]),
    ("split", &[0]),
    ("split_part", &[0]),
    ("startswith", &[0, 1]),
    ("strpos", &[0, 1]),
    ("substr", &[0]),
    ("substring", &[0]),
    ("substring_index", &[0]),
    ("translate", &[0]),
    ("trim", &[0]),
    ("ucase", &[0]),
    ("upper", &[0]),
];

/// Calls whose instants may be texts that name one.
const OF_INSTANTS: &[(&str, usize)] =
    &[("date_part", 1), ("hour", 0), ("minute", 0), ("second", 0)];

/// How often one statement was read again.
#[derive(Debug, Default)]
pub(in super::super) struct Again {
    names: usize,
    nodes: usize,
    /// Why there was no plan before texts and instants were taken for what they are used as.
    untyped: Option<DataFusionError>,
}

impl Again {
    /// Reads the statement in the next way.
    ///
    /// # Errors
    /// This failure, or the one to tell in its place, where there is no other way.
    pub(in super::super) fn read(
        &mut self,
        tree: &mut Statement,
        error: DataFusionError,
    ) -> Result<(), DataFusionError> {
        let is_read = match unknown(&error) {
            Some(name) => {
                self.names += 1;
                self.names <= NAMES_MAX && write_out(tree, &name, &mut self.nodes)
            }
            // A name that is missing stays missing with other types.
            None => self.untyped.is_none() && with_types(tree),
        };
        match (is_read, unknown(&error)) {
            (false, _) => Err(self.untyped.take().unwrap_or(error)),
            (true, Some(_)) => Ok(()),
            (true, None) => {
                self.untyped = Some(error);
                Ok(())
            }
        }
    }
}

/// The bare name that is no column.
fn unknown(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(problem, _) => match problem.as_ref() {
            SchemaError::FieldNotFound { field, .. } if field.relation.is_none() => {
                Some(field.name.clone())
            }
            _ => None,
        },
        DataFusionError::Diagnostic(_, inner) => unknown(inner),
        _ => None,
    }
}

/// Puts what an earlier item of one SELECT is in the place of its name, in the items behind it. Where several SELECTs have
/// such a name it is a column in one of them, perhaps, and nothing is done. `nodes` counts what all names stand for.
fn write_out(tree: &mut Statement, name: &str, nodes: &mut usize) -> bool {
    let mut items = Items {
        name,
        selects: 0,
        nodes: None,
    };
    let _ = tree.visit(&mut items);
    if items.selects != 1 {
        return false;
    }
    items.nodes = Some(nodes);
    tree.visit(&mut items).is_continue()
}

/// The SELECTs in which an item uses the name of an earlier one.
struct Items<'a> {
    name: &'a str,
    selects: usize,
    /// How many nodes were written; `None` while the SELECTs are only counted.
    nodes: Option<&'a mut usize>,
}

impl VisitorMut for Items<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let is_named = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { alias, .. } => is(alias, self.name),
            _ => false,
        };
        let Some(at) = select.projection.iter().position(is_named) else {
            return ControlFlow::Continue(());
        };
        let (earlier, later) = select.projection.split_at_mut(at + 1);
        let Some(SelectItem::ExprWithAlias { expr, .. }) = earlier.last() else {
            return ControlFlow::Continue(());
        };
        let mut stands_for = Expr::Nested(Box::new(expr.clone()));
        let mut count = |stands_for: Option<&Expr>| {
            let mut uses = Uses {
                name: self.name,
                stands_for,
                inside: 0,
                count: 0,
            };
            for (at, item) in later.iter_mut().enumerate() {
                match item {
                    SelectItem::UnnamedExpr(Expr::Identifier(name)) if is(name, self.name) => {
                        uses.count += 1;
                        if let Some(expr) = stands_for.cloned() {
                            // The engine wants every name once, and what it is called is kept elsewhere.
                            let alias = Ident::with_quote('"', format!("{} {at}", self.name));
                            *item = SelectItem::ExprWithAlias { expr, alias };
                        }
                    }
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                        let _ = expr.visit(&mut uses);
                    }
                    _ => {}
                }
            }
            uses.count
        };
        let found = count(None);
        if found == 0 {
            return ControlFlow::Continue(());
        }
        self.selects += 1;
        if let Some(nodes) = &mut self.nodes {
            let mut size = Size::default();
            let _ = stands_for.visit(&mut size);
            **nodes += size.nodes.saturating_mul(found);
            if size.is_volatile || **nodes > NODES_MAX {
                return ControlFlow::Break(());
            }
            count(Some(&stands_for));
        }
        ControlFlow::Continue(())
    }
}

/// The places in an item that use the name.
struct Uses<'a> {
    name: &'a str,
    stands_for: Option<&'a Expr>,
    /// Queries around the place, in which the name may be a column.
    inside: usize,
    count: usize,
}

impl VisitorMut for Uses<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && self.inside == 0
            && is(name, self.name)
        {
            self.count += 1;
            if let Some(stands_for) = self.stands_for {
                *expr = stands_for.clone();
            }
        }
        ControlFlow::Continue(())
    }
}

/// How large an expression is, and whether it is the same each time.
#[derive(Default)]
struct Size {
    nodes: usize,
    is_volatile: bool,
}

impl VisitorMut for Size {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.nodes += 1;
        if let Expr::Function(function) = expr {
            let name = calls::name(function);
            self.is_volatile |= name.is_some_and(|name| VOLATILE.contains(&name.as_str()));
        }
        ControlFlow::Continue(())
    }
}

/// Whether a name is that of a column or an alias, as the engine folds names.
fn is(name: &Ident, other: &str) -> bool {
    match name.quote_style {
        Some(_) => name.value == other,
        None => name.value.eq_ignore_ascii_case(other),
    }
}

/// Says of everything that is used as a text that it is one, and of the instants in calls that they are instants.
fn with_types(tree: &mut Statement) -> bool {
    let mut types = Typed { count: 0 };
    let _ = tree.visit(&mut types);
    types.count > 0
}

struct Typed {
    count: usize,
}

impl Typed {
    fn as_text(&mut self, expr: &mut Expr) {
        if literals::text_of(expr).is_none() {
            self.count += 1;
            *expr = calls::call(AS_TEXT, vec![take(expr)]);
        }
    }

    fn as_instant(&mut self, expr: &mut Expr) {
        self.count += 1;
        // By way of its text: a number counts from some beginning, and names no instant.
        let text = calls::call(AS_TEXT, vec![take(expr)]);
        *expr = calls::cast(text, DataType::Timestamp(None, TimezoneInfo::None));
    }
}

impl VisitorMut for Typed {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                let name = calls::name(function).unwrap_or_default();
                let FunctionArguments::List(list) = &mut function.args else {
                    return ControlFlow::Continue(());
                };
                let texts = OF_TEXTS.iter().find(|(of, _)| *of == name);
                let instants = OF_INSTANTS.iter().find(|(of, _)| *of == name);
                for (at, argument) in list.args.iter_mut().enumerate() {
                    let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                        continue;
                    };
                    if texts.is_some_and(|(_, places)| places.contains(&at)) {
                        self.as_text(argument);
                    } else if instants.is_some_and(|(_, place)| *place == at) {
                        self.as_instant(argument);
                    }
                }
            }
            Expr::Substring { expr, .. } | Expr::Trim { expr, .. } => self.as_text(expr),
            Expr::Extract { expr, .. } => self.as_instant(expr),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use rules::read_only::{self, Names};

    use super::*;

    fn tree(sql: &str) -> Statement {
        read_only::parse(sql, Names::Written).unwrap().tree
    }

    #[track_caller]
    fn check(sql: &str, name: &str, expected: Option<&str>) {
        let mut tree = tree(sql);
        let is_read = write_out(&mut tree, name, &mut 0);
        assert_eq!(is_read.then(|| tree.to_string()).as_deref(), expected);
    }

    #[test]
    fn a_name_is_what_an_earlier_item_is() {
        check(
            "SELECT a + 1 AS B, b * 2 AS c, f(b) FROM t",
            "b",
            Some("SELECT a + 1 AS B, (a + 1) * 2 AS c, f((a + 1)) FROM t"),
        );
        // Before its own item, and in a query inside, it is something else.
        check(
            "SELECT b, a AS b, (SELECT b FROM u), b FROM t",
            "b",
            Some(r#"SELECT b, a AS b, (SELECT b FROM u), (a) AS "b 1" FROM t"#),
        );
        check("SELECT b, a AS b FROM t", "b", None);
        check("SELECT random() AS b, b FROM t", "b", None);
        check(
            "SELECT a AS b, b FROM t UNION ALL SELECT a AS b, b FROM u",
            "b",
            None,
        );
    }

    #[test]
    fn names_cannot_grow_without_bound() {
        let doubled = (1..40).map(|n| format!(", a{0} + a{0} AS a{n}", n - 1));
        let mut tree = tree(&format!(
            "SELECT x AS a0{} FROM t",
            doubled.collect::<String>()
        ));
        let mut nodes = 0;
        let read = (0..40).take_while(|n| write_out(&mut tree, &format!("a{n}"), &mut nodes));
        assert!((2..12).contains(&read.count()));
        assert!(tree.to_string().len() < 100_000);
    }

    #[test]
    fn what_is_no_text_is_used_as_one() {
        let mut tree = tree("SELECT left(a, 7), hour(b), f(c), left('x', 1) FROM t");
        assert!(with_types(&mut tree));
        assert_eq!(
            tree.to_string(),
            "SELECT left(as_text(a), 7), hour(CAST(as_text(b) AS TIMESTAMP)), f(c), left('x', 1) FROM t"
        );
    }
}
