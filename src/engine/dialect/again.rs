//! A second reading of statements that the engine can make no plan of, by what its first failure tells.
//!
//! Which names are columns and what has which type is known only once a plan is made. So what is meant in two ways is tried
//! as it stands first: a name that is no column may be what an earlier item of the SELECT is called, and what is no text
//! may be cut and searched like one. What runs as it stands is never read in another way.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Select, SelectItem,
    Statement, VisitMut, VisitorMut,
};

use super::{bare, calls, having, literals, take};

/// Names of earlier items that one statement may use.
const NAMES_MAX: usize = 32;
/// Functions whose calls are read again.
const TYPED_MAX: usize = 8;
/// Nodes of what such names stand for, all together: a name may stand for what uses another one twice.
const NODES_MAX: usize = 2_000;

/// Their answers differ from call to call, so that a name for one cannot be written out.
const VOLATILE: [&str; 3] = ["random", "rand", "uuid"];

/// Refuses what people do not mean by their texts, such as lists.
const AS_TEXT: &str = "as_text";

/// Calls whose texts may be dates, instants and numbers too: the names they are called by, the engine's name in its errors,
/// and where their texts stand.
const OF_TEXTS: &[(&[&str], &str, &[usize])] = &[
    (&["ascii"], "ascii", &[0]),
    (&["btrim", "trim"], "btrim", &[0]),
    (
        &["char_length", "character_length", "len", "length"],
        "length",
        &[0],
    ),
    (&["contains"], "contains", &[0, 1]),
    (&["endswith", "ends_with"], "ends_with", &[0, 1]),
    (&["initcap"], "initcap", &[0]),
    (&["instr", "strpos"], "strpos", &[0, 1]),
    (&["lcase", "lower"], "lower", &[0]),
    (&["left"], "left", &[0]),
    (&["levenshtein"], "levenshtein", &[0, 1]),
    (&["lpad"], "lpad", &[0]),
    (&["ltrim"], "ltrim", &[0]),
    (&["md5"], "md5", &[0]),
    (&["regexp_extract"], "regexp_extract", &[0]),
    (&["regexp_extract_all"], "regexp_extract_all", &[0]),
    (&["regexp", "regexp_like", "rlike"], "regexp_like", &[0]),
    (&["regexp_replace"], "regexp_replace", &[0]),
    (&["repeat"], "repeat", &[0]),
    (&["replace"], "replace", &[0]),
    (&["reverse"], "reverse", &[0]),
    (&["right"], "right", &[0]),
    (&["rpad"], "rpad", &[0]),
    (&["rtrim"], "rtrim", &[0]),
    (&["sha1"], "sha1", &[0]),
    (&["sha2"], "sha2", &[0]),
    (&["split"], "split", &[0]),
    (&["split_part"], "split_part", &[0]),
    (&["startswith", "starts_with"], "starts_with", &[0, 1]),
    (&["substr", "substring"], "substring", &[0]),
    (&["substring_index", "substr_index"], "substr_index", &[0]),
    (&["translate"], "translate", &[0]),
    (&["ucase", "upper"], "upper", &[0]),
];

/// Calls whose instants may be texts that name one.
const OF_INSTANTS: &[(&str, usize)] =
    &[("date_part", 1), ("hour", 0), ("minute", 0), ("second", 0)];

/// How often one statement was read again.
#[derive(Debug, Default)]
pub(in super::super) struct Again {
    names: usize,
    nodes: usize,
    typed: usize,
    is_having_read: bool,
    /// Why there was no plan before the texts and instants of the last call were taken for what they are used as.
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
        if let Some(name) = unknown(&error) {
            self.names += 1;
            let place = error.diagnostic().and_then(|told| told.span);
            let place = place.map(|span| (span.start.line, span.start.column));
            let is_written =
                self.names <= NAMES_MAX && write_out(tree, &name, place, &mut self.nodes);
            return if is_written { Ok(()) } else { Err(error) };
        }
        let told = error.to_string();
        if told.contains(having::OTHER_COLUMN) && !self.is_having_read {
            self.is_having_read = true;
            let is_read = having::name_items(tree);
            return if is_read { Ok(()) } else { Err(error) };
        }
        self.typed += 1;
        if self.typed <= TYPED_MAX && !told.contains(AS_TEXT) && with_types(tree, &told) {
            self.untyped = Some(error);
            return Ok(());
        }
        Err(match self.untyped.take() {
            Some(untyped) if told.contains(AS_TEXT) => untyped,
            _ => error,
        })
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

/// Line and column, from 1.
type Place = (u64, u64);

/// Puts what an earlier item of one SELECT is in the place of its name, in the items behind it: of that SELECT which uses the
/// name at `place`. In another it may be a column; where the place is not known, and several have such a name, nothing is
/// done. `nodes` counts what all names stand for.
fn write_out(tree: &mut Statement, name: &str, place: Option<Place>, nodes: &mut usize) -> bool {
    let mut items = Items {
        name,
        place,
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
    place: Option<Place>,
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
        let mut size = Size::default();
        let _ = stands_for.visit(&mut size);
        let mut uses = Uses {
            name: self.name,
            place: self.place,
            free: &size.names,
            stands_for: None,
            count: 0,
            is_there: self.place.is_none(),
            is_caught: false,
        };
        uses.items(later);
        if uses.count == 0 || !uses.is_there {
            return ControlFlow::Continue(());
        }
        self.selects += 1;
        if let Some(nodes) = &mut self.nodes {
            **nodes += size.nodes.saturating_mul(uses.count);
            if size.is_volatile || uses.is_caught || **nodes > NODES_MAX {
                return ControlFlow::Break(());
            }
            uses.stands_for = Some(&stands_for);
            uses.items(later);
        }
        ControlFlow::Continue(())
    }
}

/// The places in items that use the name.
struct Uses<'a> {
    name: &'a str,
    place: Option<Place>,
    /// The names in what it stands for.
    free: &'a [String],
    stands_for: Option<&'a Expr>,
    count: usize,
    /// Whether it is used at the place.
    is_there: bool,
    /// Whether a function around a use has a parameter called like something that it stands for.
    is_caught: bool,
}

impl Uses<'_> {
    fn items(&mut self, items: &mut [SelectItem]) {
        for (at, item) in items.iter_mut().enumerate() {
            match item {
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                    if let Some(expr) = self.found(name, &[]) {
                        // The engine wants every name once, and what it is called is kept elsewhere.
                        let alias = Ident::with_quote('"', format!("{} {at}", self.name));
                        *item = SelectItem::ExprWithAlias { expr, alias };
                    }
                }
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    bare::replace(expr, &mut |name, params| self.found(name, params));
                }
                _ => {}
            }
        }
    }

    /// What to put in the place of a name, within functions of those parameters.
    fn found(&mut self, name: &Ident, params: &[Ident]) -> Option<Expr> {
        if !is(name, self.name) {
            return None;
        }
        let at = name.span.start;
        self.count += 1;
        self.is_there |= self.place == Some((at.line, at.column));
        let mut params = params.iter();
        self.is_caught |= params.any(|param| self.free.iter().any(|free| is(param, free)));
        self.stands_for.cloned()
    }
}

/// How large an expression is, which bare names it has, and whether it is the same each time.
#[derive(Default)]
struct Size {
    nodes: usize,
    names: Vec<String>,
    is_volatile: bool,
}

impl VisitorMut for Size {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.nodes += 1;
        match expr {
            Expr::Function(function) => {
                let name = calls::name(function);
                self.is_volatile |= name.is_some_and(|name| VOLATILE.contains(&name.as_str()));
            }
            Expr::Identifier(name) => self.names.push(name.value.to_ascii_lowercase()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a name is that of a column or an alias, as the engine folds names.
pub(super) fn is(name: &Ident, other: &str) -> bool {
    match name.quote_style {
        Some(_) => name.value == other,
        None => name.value.eq_ignore_ascii_case(other),
    }
}

/// Says in the calls that an error is about that what is used as a text is one, and that what is used as an instant is one.
fn with_types(tree: &mut Statement, told: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words = told.split(|letter| !is_part(letter)).collect();
    let mut types = Typed { words, count: 0 };
    let _ = tree.visit(&mut types);
    types.count > 0
}

struct Typed<'a> {
    /// Those of the error.
    words: HashSet<&'a str>,
    count: usize,
}

impl Typed<'_> {
    fn as_text(&mut self, of: &str, expr: &mut Expr) {
        if self.words.contains(of) && literals::text_of(expr).is_none() {
            self.count += 1;
            *expr = calls::call(AS_TEXT, vec![take(expr)]);
        }
    }

    fn as_instant(&mut self, of: &str, expr: &mut Expr) {
        if self.words.contains(of) {
            self.count += 1;
            // By way of its text: a number counts from some beginning, and names no instant.
            *expr = literals::instant(calls::call(AS_TEXT, vec![take(expr)]));
        }
    }

    fn call(&mut self, function: &mut Function) {
        let name = calls::name(function).unwrap_or_default();
        let FunctionArguments::List(list) = &mut function.args else {
            return;
        };
        let texts = OF_TEXTS
            .iter()
            .find(|(names, ..)| names.contains(&name.as_str()));
        let instant = OF_INSTANTS.iter().find(|(of, _)| *of == name);
        for (at, argument) in list.args.iter_mut().enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
                continue;
            };
            match (texts, instant) {
                (Some((_, of, places)), _) if places.contains(&at) => self.as_text(of, argument),
                (_, Some((of, place))) if *place == at => self.as_instant(of, argument),
                _ => {}
            }
        }
    }
}

impl VisitorMut for Typed<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.call(function),
            Expr::Substring { expr, .. } => self.as_text("substring", expr),
            Expr::Trim { expr, .. } => {
                for of in ["btrim", "ltrim", "rtrim"] {
                    self.as_text(of, expr);
                }
            }
            Expr::Position { expr, r#in } => {
                self.as_text("strpos", expr);
                self.as_text("strpos", r#in);
            }
            Expr::Extract { expr, .. } => self.as_instant("date_part", expr),
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
        let mut tree = read_only::parse(sql, Names::Written).unwrap().tree;
        super::super::rewrite(&mut tree).unwrap();
        tree
    }

    #[track_caller]
    fn check(sql: &str, name: &str, expected: Option<&str>) {
        check_at(sql, name, None, expected);
    }

    #[track_caller]
    fn check_at(sql: &str, name: &str, place: Option<Place>, expected: Option<&str>) {
        let mut tree = tree(sql);
        let is_read = write_out(&mut tree, name, place, &mut 0);
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
        let two = "SELECT a AS b, b FROM t UNION ALL SELECT a AS b, b FROM u";
        check(two, "b", None);
        let second = two.rfind("b FROM").map(|at| (1, at as u64 + 1));
        check_at(
            two,
            "b",
            second,
            Some(r#"SELECT a AS b, b FROM t UNION ALL SELECT a AS b, (a) AS "b 0" FROM u"#),
        );
    }

    #[test]
    fn a_function_s_parameter_is_no_item() {
        check("SELECT a AS x, transform(l, x -> x + 1) FROM t", "x", None);
        check(
            "SELECT a AS x, transform(l, x -> x + 1), x FROM t",
            "x",
            Some(r#"SELECT a AS x, array_transform(l, x -> x + 1), (a) AS "x 1" FROM t"#),
        );
        // What the name stands for would be the function's own.
        check("SELECT a AS n, transform(l, a -> a + n) FROM t", "n", None);
    }

    #[test]
    fn names_cannot_grow_without_bound() {
        let doubled = (1..40).map(|n| format!(", a{0} + a{0} AS a{n}", n - 1));
        let mut tree = tree(&format!(
            "SELECT x AS a0{} FROM t",
            doubled.collect::<String>()
        ));
        let mut nodes = 0;
        let read = (0..40).take_while(|n| write_out(&mut tree, &format!("a{n}"), None, &mut nodes));
        assert!((2..12).contains(&read.count()));
        assert!(tree.to_string().len() < 100_000);
    }

    #[test]
    fn what_is_no_text_is_used_as_one() {
        let mut tree = tree("SELECT left(a, 7), hour(b), f(c), left('x', 1) FROM t");
        assert!(!with_types(&mut tree, "upper cannot be called"));
        assert!(with_types(&mut tree, "'left' cannot be called, nor hour"));
        assert_eq!(
            tree.to_string(),
            "SELECT left(as_text(a), 7), hour(CAST(as_text(b) AS TIMESTAMP)), f(c), left('x', 1) FROM t"
        );
    }
}
