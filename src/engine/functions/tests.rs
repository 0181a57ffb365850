mod undocumented;

use std::collections::{BTreeMap, BTreeSet};

use datafusion::logical_expr::Documentation;

use super::*;
use undocumented::UNDOCUMENTED;

/// The page of all functions; `UPDATE_DOCS=1` writes it anew.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sql-functions.md");

/// Whether a list names exactly what there is.
#[track_caller]
fn check_listed(what: &str, listed: &[&[&str]], there: BTreeSet<&str>) {
    let all = listed.iter().flat_map(|list| list.iter().copied());
    let listed: BTreeSet<&str> = all.collect();
    let missing: Vec<_> = listed.difference(&there).collect();
    assert!(
        missing.is_empty(),
        "{what}: listed, but not there: {missing:?}"
    );
    let more: Vec<_> = there.difference(&listed).collect();
    assert!(more.is_empty(), "{what}: there, but not listed: {more:?}");
}

#[test]
fn the_session_holds_exactly_the_functions_of_the_list() {
    let functions = Functions::all();
    let ours = [
        dates::functions(),
        json::functions(),
        numbers::functions(),
        texts::functions(),
    ];
    let ours: Vec<String> = ours.iter().flatten().map(|f| f.name().to_owned()).collect();
    let mut ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    ours.extend(meaning::MEANINGS.iter().map(|meaning| meaning.name));
    check_listed(
        "scalar",
        &[
            list::ENGINE_SCALAR,
            list::SPARK_SCALAR,
            list::JSON_SCALAR,
            &ours,
        ],
        functions.scalar.iter().map(|f| f.name()).collect(),
    );
    check_listed(
        "aggregate",
        &[list::ENGINE_AGGREGATE, list::SPARK_AGGREGATE],
        functions.aggregate.iter().map(|f| f.name()).collect(),
    );
    check_listed(
        "window",
        &[list::WINDOW],
        functions.window.iter().map(|f| f.name()).collect(),
    );
    check_listed(
        "table",
        &[list::TABLE],
        functions.table.iter().map(|f| f.name()).collect(),
    );
    check_listed(
        "higher order",
        &[list::HIGHER_ORDER],
        functions.higher_order.iter().map(|f| f.name()).collect(),
    );
}

#[test]
fn what_tells_of_the_engine_or_its_files_is_no_function() {
    let names = Functions::all().names();
    for hidden in [
        "version",
        "input_file_name",
        "file_row_index",
        "arrow_typeof",
        "arrow_cast",
        "arrow_metadata",
        "with_metadata",
        "json_get",
    ] {
        assert!(!names.contains(hidden), "{hidden}");
    }
}

/// An alias that `dialect` reads in its own way: it is of lists and of maps.
const REFUSED: &str = "element_at";

/// One function as a line of the page; `taken` are names that lead to another one.
fn line(
    name: &str,
    aliases: &[String],
    documentation: Option<&Documentation>,
    taken: &BTreeSet<&str>,
) -> String {
    let own = |(usage, _): &&(&str, &str)| usage.split('(').next() == Some(name);
    let (usage, description) = match (documentation, UNDOCUMENTED.iter().find(own)) {
        (_, Some((usage, description))) => (*usage, *description),
        (Some(text), None) => (text.syntax_example.as_str(), text.description.as_str()),
        (None, None) => panic!("{name} has no documentation: describe it in undocumented.rs"),
    };
    let called = usage.split('(').next().unwrap_or_default();
    let mut names: Vec<&str> = aliases.iter().map(String::as_str).collect();
    names.retain(|alias| !taken.contains(alias) && *alias != REFUSED);
    names.push(name);
    assert!(
        names.contains(&called),
        "{name} is documented as {called}: describe it in undocumented.rs"
    );
    names.retain(|name| *name != called);
    names.sort_unstable();
    row(usage, description, &names)
}

fn row(usage: &str, description: &str, aliases: &[&str]) -> String {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = description.trim().split("\n\n").next().unwrap_or_default();
    let mut description = one_line(first).replace('|', "\\|");
    for (inner, ours) in [
        ("DataFusion", "the engine"),
        ("Float64", "DOUBLE"),
        ("Int64", "BIGINT"),
        ("Utf8", "STRING"),
    ] {
        description = description.replace(inner, ours);
    }
    let also = match aliases {
        [] => String::new(),
        names => format!(" Also: `{}`.", names.join("`, `")),
    };
    let usage = one_line(usage).replace('|', "\\|");
    format!("| `{usage}` | {description}{also} |\n")
}

fn page() -> String {
    let functions = Functions::all();
    // A later function replaces an earlier one of its name.
    let scalar: BTreeMap<&str, _> = functions.scalar.iter().map(|f| (f.name(), f)).collect();
    let taken: BTreeSet<&str> = scalar.keys().copied().collect();
    let none = BTreeSet::new();
    let aggregate = functions.aggregate.iter();
    let window = functions.window.iter();
    let higher_order = functions.higher_order.iter();
    let table = functions.table.iter().map(|f| {
        let usage = format!("{}(start, stop, step)", f.name());
        row(
            &usage,
            "Whole numbers or instants as a table of one column, `value`.",
            &[],
        )
    });
    let rewritten = super::super::dialect::REWRITTEN.iter();
    let sections: [(&str, BTreeSet<String>); 6] = [
        (
            "Of one row",
            scalar
                .values()
                .map(|f| line(f.name(), f.aliases(), f.documentation(), &taken))
                .collect(),
        ),
        (
            "Of many rows",
            aggregate
                .map(|f| line(f.name(), f.aliases(), f.documentation(), &none))
                .collect(),
        ),
        (
            "Of windows",
            window
                .map(|f| line(f.name(), f.aliases(), f.documentation(), &none))
                .collect(),
        ),
        (
            "Of functions",
            higher_order
                .map(|f| line(f.name(), f.aliases(), f.documentation(), &none))
                .collect(),
        ),
        ("In the place of a table", table.collect()),
        (
            "In other words",
            rewritten
                .map(|(_, usage, description)| row(usage, description, &[]))
                .collect(),
        ),
    ];
    let mut page = "# SQL functions\n\nAll functions that [SQL](sql.md) has here. A test holds this page to the program; \
                    `UPDATE_DOCS=1 cargo test --lib sql_functions` writes it anew.\n"
        .to_owned();
    for (title, lines) in sections {
        page.push_str(&format!("\n## {title}\n\n| call | |\n|---|---|\n"));
        page.extend(lines);
    }
    page
}

#[test]
fn sql_functions_are_documented_as_they_are() {
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        written == page,
        "docs/sql-functions.md is out of date: run with UPDATE_DOCS=1"
    );
}

#[test]
fn a_statement_s_session_has_what_its_words_name_and_nothing_else() {
    let all = Functions::all();
    for (name, places) in &all.by_name {
        let called = all.called_in(&format!("SELECT {}(a) FROM t", name.to_uppercase()));
        assert_eq!(called.scalar(name), all.scalar(name), "{name}");
        let has = |place: &Place| match place {
            Place::Scalar(n) => called.scalar.contains(&all.scalar[*n]),
            Place::Aggregate(n) => called.aggregate.contains(&all.aggregate[*n]),
            Place::Window(n) => called.window.contains(&all.window[*n]),
            Place::HigherOrder(n) => {
                let higher_order = called.higher_order.iter();
                higher_order
                    .clone()
                    .any(|f| f.name() == all.higher_order[*n].name())
            }
        };
        assert!(places.iter().all(has), "{name}");
    }
    let few = all.called_in("SELECT a FROM t");
    assert!(few.scalar.len() < 2 * UNASKED.len(), "{:?}", few.scalar);
}
