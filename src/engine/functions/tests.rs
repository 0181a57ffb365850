use std::collections::BTreeSet;

use super::*;

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
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
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

/// One function as a line of the page.
fn line(
    name: &str,
    aliases: &[String],
    documentation: Option<&datafusion::logical_expr::Documentation>,
) -> String {
    let usage = documentation.map_or(String::new(), |text| text.syntax_example.trim().to_owned());
    let usage = match usage.is_empty() {
        true => format!("{name}(…)"),
        false => usage.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let description = documentation.map_or("", |text| text.description.trim());
    let mut aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
    aliases.sort_unstable();
    row(&usage, description, &aliases)
}

fn row(usage: &str, description: &str, aliases: &[&str]) -> String {
    let first = description.split("\n\n").next().unwrap_or_default();
    let sentence = first.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = sentence
        .replace('|', "\\|")
        .replace("DataFusion", "the engine");
    let also = match aliases {
        [] => String::new(),
        names => format!(" Also: `{}`.", names.join("`, `")),
    };
    format!("| `{}` | {}{also} |\n", usage.replace('|', "\\|"), sentence)
}

fn page() -> String {
    let functions = Functions::all();
    let mut sections: Vec<(&str, BTreeSet<String>)> = Vec::new();
    // A later function replaces an earlier one of its name.
    let mut scalar = std::collections::BTreeMap::new();
    for function in &functions.scalar {
        scalar.insert(function.name(), function);
    }
    let scalar = scalar.values();
    let scalar = scalar.map(|f| line(f.name(), f.aliases(), f.documentation()));
    sections.push(("Of one row", scalar.collect()));
    let aggregate = functions.aggregate.iter();
    let aggregate = aggregate.map(|f| line(f.name(), f.aliases(), f.documentation()));
    sections.push(("Of many rows", aggregate.collect()));
    let window = functions.window.iter();
    let window = window.map(|f| line(f.name(), f.aliases(), f.documentation()));
    sections.push(("Of windows", window.collect()));
    let higher = functions.higher_order.iter();
    let higher = higher.map(|f| line(f.name(), f.aliases(), f.documentation()));
    sections.push(("Of functions", higher.collect()));
    let table = functions.table.iter();
    let table = table.map(|f| {
        row(
            &format!("{}(start, stop, step)", f.name()),
            "Whole numbers or instants as a table.",
            &[],
        )
    });
    sections.push(("In the place of a table", table.collect()));
    let rewritten = super::super::dialect::REWRITTEN.iter();
    let rewritten = rewritten.map(|(_, usage, description)| row(usage, description, &[]));
    sections.push(("In other words", rewritten.collect()));
    let mut page = "# SQL functions\n\nAll functions of [SQL](sql.md) here; a test holds this page to the program. \
                    Generated: `UPDATE_DOCS=1 cargo test --lib sql_functions`.\n"
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
