//! What the engine's errors mean for the caller.
//!
//! A query's own fault is told as the engine says it; what concerns storage or the engine itself goes to the log, for it
//! may name paths.

mod nearest;
mod regex;
mod types;

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use rules::Error;

pub(super) use nearest::{Scope, check_twins, of_planning};

/// What a caller is told of a fault of the engine; what it was, the log tells.
pub(super) const CANNOT_RUN: &str = "the engine cannot run this query; write it in another way";

/// An error of this crate on its way through the engine; [`from_engine`] knows it again.
pub(super) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

pub(super) fn from_engine(error: DataFusionError) -> Error {
    let told = told(error.find_root());
    match told {
        // Nothing is left of a message that only spoke of settings.
        Told::Query(message) if message.is_empty() => Error::invalid(CANNOT_RUN).because(error),
        Told::Query(message) => Error::invalid(message).because(error),
        Told::Storage => Error::unavailable("the organization's storage did not answer; try again")
            .because(error),
        Told::Engine => Error::invalid(CANNOT_RUN).because(error),
    }
}

/// A value or a page that cannot be written as the answer wants it.
pub(super) fn unshowable(error: result_json::Error) -> Error {
    Error::invalid(error.to_string()).because(error)
}
pub(super) const TOO_MUCH_MEMORY: &str =
    "the query needed more memory than one query may use; narrow it or aggregate earlier";

/// What the engine's errors of input and output say where a query has spilled all that it may: they have no kind for it.
const SPILLED_ALL: &str = "has exceeded the allowable limit";

enum Told {
    /// The query is at fault, and why.
    Query(String),
    Storage,
    /// A fault of the engine, met by this query.
    Engine,
}

fn told(root: &DataFusionError) -> Told {
    match root {
        DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::Configuration(text) => Told::Query(tidy(text)),
        DataFusionError::NotImplemented(text) => Told::Query(match unplanned(text) {
            Some(told) => told.to_owned(),
            None => format!("not supported: {}", tidy(text)),
        }),
        DataFusionError::SQL(error, _) => Told::Query(tidy(&error.to_string())),
        DataFusionError::SchemaError(error, _) => Told::Query(match error.as_ref() {
            SchemaError::DuplicateUnqualifiedField { name } => twice(name),
            error => tidy(&error.to_string()),
        }),
        DataFusionError::Diagnostic(_, error) => told(error.find_root()),
        DataFusionError::Collection(errors) => errors
            .first()
            .map_or(Told::Engine, |error| told(error.find_root())),
        DataFusionError::ResourcesExhausted(_) => Told::Query(TOO_MUCH_MEMORY.to_owned()),
        // A join of which not one batch fits the memory that is left.
        DataFusionError::Internal(text) if text.contains("no data to spill") => {
            Told::Query(TOO_MUCH_MEMORY.to_owned())
        }
        DataFusionError::Internal(text) => regex::told(text).map_or(Told::Engine, Told::Query),
        DataFusionError::IoError(error) if error.to_string().contains(SPILLED_ALL) => {
            Told::Query(TOO_MUCH_MEMORY.to_owned())
        }
        DataFusionError::ArrowError(error, _) => arrow(error),
        DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ParquetError(_) => Told::Storage,
        // Errors of this crate's sources arrive boxed; so do Delta's, whose texts name files.
        DataFusionError::External(error) => match error.downcast_ref::<Error>() {
            Some(error) if *error.kind() == rules::Kind::Invalid => {
                Told::Query(error.message().to_owned())
            }
            _ => regex::told(&error.to_string()).map_or(Told::Storage, Told::Query),
        },
        _ => Told::Engine,
    }
}

/// What the engine could make no plan of, which it tells in its own words for trees.
fn unplanned(text: &str) -> Option<&'static str> {
    let what = text.strip_prefix("Physical plan does not support logical expression ")?;
    let of = |kinds: &[&str]| kinds.iter().any(|kind| what.starts_with(kind));
    Some(if of(&["InSubquery", "Exists"]) {
        "this subquery behind IN or EXISTS cannot run here: join it, or ask it in WHERE with conditions that compare columns"
    } else if of(&["ScalarSubquery"]) {
        "a subquery that names columns of the query around it may compare them with = only, and not under LIMIT: join it, \
         and group"
    } else if of(&["OuterReferenceColumn"]) {
        "this subquery or LATERAL may not name columns of the tables around it in this place, such as under LIMIT or \
         UNION: join it; for the first rows of each, QUALIFY row_number() OVER (PARTITION BY …) <= n"
    } else if of(&["WindowFunction"]) {
        "a window function stands in the SELECT or in QUALIFY"
    } else {
        return None;
    })
}

fn arrow(error: &ArrowError) -> Told {
    match error {
        ArrowError::IoError(text, _) if text.contains(SPILLED_ALL) => {
            Told::Query(TOO_MUCH_MEMORY.to_owned())
        }
        ArrowError::ExternalError(error) => {
            regex::told(&error.to_string()).map_or(Told::Storage, Told::Query)
        }
        ArrowError::IoError(..) | ArrowError::ParquetError(_) => Told::Storage,
        ArrowError::MemoryError(_) => Told::Query(TOO_MUCH_MEMORY.to_owned()),
        error => Told::Query(tidy(&error.to_string())),
    }
}

/// The engine names expressions without their casts.
fn twice(name: &str) -> String {
    format!(
        "two expressions of one SELECT are called {}; where a cast is all they differ in, cast in a subquery and give it a \
         name: SELECT avg(a), avg(b) FROM (SELECT a, CAST(a AS DOUBLE) AS b FROM t)",
        types::named(name)
    )
}

/// One sentence without the engine's own prefixes and hints for its developers.
fn tidy(text: &str) -> String {
    if let Some(told) = regex::told(text) {
        return told;
    }
    let text = text.split("\n\nbacktrace:").next().unwrap_or(text);
    let text = text
        .split("\nThis issue was likely caused by a bug")
        .next()
        .unwrap_or(text);
    let prefixes = [
        "Error during planning: ",
        "SQL error: ",
        "sql parser error: ",
        "Schema error: ",
        "Execution error: ",
        "[DUPLICATED_MAP_KEY] ",
    ];
    let lines: Vec<String> = text.lines().map(without_settings).collect();
    let text = lines.join("\n");
    let mut text = text.trim();
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    // Said of every column that is not grouped.
    let text = text.replace("While expanding wildcard, ", "");
    let text = types::named(text.trim_end_matches('.'));
    match text.contains("Error parsing timestamp from") {
        true => format!(
            "{text}; an instant is written as 2026-01-31 10:00:00, and to_timestamp(text, 'yyyy-MM-dd HH:mm') reads other \
             forms"
        ),
        false => text,
    }
}

/// A line without the sentences that name the engine's settings, which nobody can set here.
fn without_settings(line: &str) -> String {
    let sentences = line.split_inclusive(". ");
    sentences
        .filter(|sentence| !sentence.contains("datafusion."))
        .collect::<String>()
        .trim_end()
        .to_owned()
}
