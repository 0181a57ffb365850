//! Errors of planning that name a place in the text, and what its writer may have meant.
//!
//! Only names that exist for this caller are ever suggested: the columns that the engine had in view, the organization's
//! tables, the session's functions.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Statement, Visit, Visitor};
use rules::read_only::excerpt;
use rules::{Error, Result};

use super::super::spelling::Spelling;
use super::from_engine;

/// How alike a name must be to be suggested: 1 is the same, and half of the letters in place is not enough.
const ALIKE_MIN: f64 = 0.55;
const SUGGESTIONS_MAX: usize = 3;

/// What a query can name.
pub(in super::super) struct Scope<'a> {
    pub(in super::super) sql: &'a str,
    pub(in super::super) tables: Vec<String>,
    pub(in super::super) functions: BTreeSet<String>,
    pub(in super::super) spelling: Spelling,
}

/// An error of planning as the caller reads it.
pub(in super::super) fn of_planning(error: DataFusionError, scope: &Scope) -> Error {
    let told = match error.find_root() {
        DataFusionError::SchemaError(problem, _) => column(problem, scope),
        DataFusionError::Plan(text) => unknown(text, scope),
        DataFusionError::Diagnostic(_, inner) => match inner.find_root() {
            DataFusionError::SchemaError(problem, _) => column(problem, scope),
            DataFusionError::Plan(text) => unknown(text, scope),
            _ => None,
        },
        _ => None,
    };
    let Some((name, sentence)) = told else {
        return from_engine(error);
    };
    let place = place(&error).or_else(|| find(scope.sql, &name));
    let shown = place.map_or_else(String::new, |(line, column)| {
        format!(
            " (line {line}, column {column}){}",
            excerpt(scope.sql, line, column)
        )
    });
    // The sentence ends before the excerpt.
    Error::invalid(format!("{sentence}{shown}")).because(error)
}

/// The name in question, and what to say of it.
type Told = Option<(String, String)>;

fn column(problem: &SchemaError, scope: &Scope) -> Told {
    match problem {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let name = scope.spelling.of(&field.name);
            // What the engine makes up has a space or a bracket in its name.
            let is_plain = |column: &&Column| !column.name.contains(['(', ' ']);
            let valid = valid_fields.iter().filter(is_plain);
            let names: Vec<String> = valid
                .map(|column| scope.spelling.of(&column.name))
                .collect();
            let of = match &field.relation {
                Some(table) => format!(" of {}", table.table()),
                None => String::new(),
            };
            let hint = match nearest(&field.name, names.iter().map(String::as_str)) {
                found if !found.is_empty() => did_you_mean(&found),
                _ if is_text(scope.sql, &field.name) => {
                    "; a text stands in 'single quotes'".to_owned()
                }
                _ => listed(&names),
            };
            Some((
                field.name.clone(),
                format!("there is no column {name}{of}{hint}"),
            ))
        }
        SchemaError::AmbiguousReference { field } => Some((
            field.name.clone(),
            format!(
                "column {0} is in more than one of the tables; write table.{0}",
                scope.spelling.of(&field.name)
            ),
        )),
        _ => None,
    }
}

fn unknown(text: &str, scope: &Scope) -> Told {
    if let Some(name) = between(text, "table '", "' not found") {
        let bare = name.rsplit('.').next().unwrap_or(name);
        let tables = scope.tables.iter().map(String::as_str);
        let hint = match nearest(bare, tables) {
            found if found.is_empty() => "; SHOW TABLES lists the tables".to_owned(),
            found => did_you_mean(&found),
        };
        let name = name.strip_prefix("amigo.default.").unwrap_or(name);
        return Some((bare.to_owned(), format!("there is no table {name}{hint}")));
    }
    let name = between(text, "Invalid function '", "'")
        .or_else(|| between(text, "table function '", "' not found"))?;
    let functions = scope.functions.iter().map(String::as_str);
    let found = nearest(name, functions);
    let hint = match found.is_empty() {
        true => "; the documentation lists the functions".to_owned(),
        false => did_you_mean(&found),
    };
    Some((
        name.to_owned(),
        format!("there is no function {name}{hint}"),
    ))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(name, _)| name)
}

/// The most alike names, best first. The name itself is none of them: a declared table may have no files yet.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let others = names.filter(|other| *other != name);
    let name = name.to_lowercase();
    let mut alike: Vec<(f64, &str)> = others
        .map(|other| {
            let likeness = strsim::normalized_damerau_levenshtein(&name, &other.to_lowercase());
            (likeness, other)
        })
        .filter(|(likeness, _)| *likeness >= ALIKE_MIN)
        .collect();
    alike.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then(a_name.cmp(b_name)));
    alike.dedup_by(|(_, a), (_, b)| a == b);
    alike
        .into_iter()
        .take(SUGGESTIONS_MAX)
        .map(|(_, name)| name)
        .collect()
}

fn did_you_mean(names: &[&str]) -> String {
    format!("; did you mean {}?", names.join(" or "))
}

/// A few names are all told; nobody reads many.
fn listed(names: &[String]) -> String {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    match names.len() {
        0 => String::new(),
        1..=12 => {
            let names: Vec<&str> = names.into_iter().collect();
            format!("; there are {}", names.join(", "))
        }
        _ => "; DESCRIBE lists the columns of a table".to_owned(),
    }
}

/// Whether the text has that name in double quotes, as some write texts.
fn is_text(sql: &str, name: &str) -> bool {
    sql.to_ascii_lowercase().contains(&format!("\"{name}\""))
}

/// Line and column that the engine knows of.
fn place(error: &DataFusionError) -> Option<(usize, usize)> {
    let start = error.diagnostic()?.span?.start;
    let place = (
        usize::try_from(start.line).ok()?,
        usize::try_from(start.column).ok()?,
    );
    (place.0 > 0 && place.1 > 0).then_some(place)
}

/// Where the text has that word, if it has it once.
fn find(sql: &str, name: &str) -> Option<(usize, usize)> {
    let (lower, name) = (sql.to_ascii_lowercase(), name.to_ascii_lowercase());
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let mut places = lower.match_indices(&name).filter(|(at, found)| {
        let before = lower[..*at].chars().next_back();
        let after = lower[at + found.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    });
    let (at, _) = places.next()?;
    if places.next().is_some() || name.is_empty() {
        return None;
    }
    let before = &sql[..at];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    Some((line, column))
}

/// Refuses a name that only two columns have which differ from it, and from each other, in case alone.
///
/// # Errors
/// `Invalid` with the names to choose from.
pub(in super::super) fn check_twins(tree: &Statement, twins: &[String]) -> Result<()> {
    match tree.visit(&mut Twins(twins)) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Twins<'a>(&'a [String]);

impl Visitor for Twins<'_> {
    type Break = Box<Error>;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        let name: Option<&Ident> = match expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        let Some(name) = name.filter(|name| !self.0.contains(&name.value)) else {
            return ControlFlow::Continue(());
        };
        let alike = self
            .0
            .iter()
            .filter(|twin| twin.eq_ignore_ascii_case(&name.value));
        let alike: Vec<&str> = alike.map(String::as_str).collect();
        match alike.is_empty() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(Box::new(Error::invalid(format!(
                "column {} is ambiguous; write {}",
                name.value,
                alike.join(" or ")
            )))),
        }
    }
}

#[cfg(test)]
mod tests {
    use rules::read_only;

    use super::*;

    #[test]
    fn the_nearest_names_come_first_and_far_ones_never() {
        let names = [
            "user_id",
            "user_ids",
            "used",
            "created_at",
            "first_name",
            "user_id",
        ];
        assert_eq!(
            nearest("userid", names.into_iter()),
            ["user_id", "user_ids", "used"]
        );
        assert_eq!(nearest("zzz", names.into_iter()), Vec::<&str>::new());
    }

    #[test]
    fn only_the_exact_twin_is_meant() {
        let twins = ["Tag".to_owned(), "tag".to_owned()];
        let check = |sql: &str| {
            let names = read_only::Names::Folded { exact: &twins };
            check_twins(&read_only::parse(sql, names).unwrap().tree, &twins)
        };
        assert!(check("SELECT Tag, t.tag, other FROM t").is_ok());
        let error = check("SELECT TAG FROM t").unwrap_err();
        assert_eq!(error.message(), "column TAG is ambiguous; write Tag or tag");
    }

    #[test]
    fn a_word_is_found_where_it_stands_once() {
        assert_eq!(find("SELECT a,\n  Foo FROM foobar", "foo"), Some((2, 3)));
        assert_eq!(find("SELECT foo, foo", "foo"), None);
        assert_eq!(find("SELECT 1", "foo"), None);
    }
}
