//! `amigo-admin sql`: a query over HTTP, its answer as a table, CSV or JSON.

use std::path::PathBuf;

use clap::ValueEnum;
use rules::Result;
use serde_json::Value;

use super::client::Client;
use super::{Context, print, sql_file};

/// Run one SQL query on a server
///
/// The server and who asks come from the environment: `AMIGO_BASE_URL` (such as `http://127.0.0.1:8080`),
/// `AMIGO_ORGANIZATION_ID`, `AMIGO_API_KEY`, `AMIGO_API_KEY_ID`, `AMIGO_USER_ID`. Each run signs in once, which a server
/// allows 5 times a minute with one key, unless it is told otherwise.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The query
    query: String,
    /// Form of the answer; --json is the same as --format json
    #[arg(long, value_enum, default_value_t = Format::Table, conflicts_with = "output")]
    format: Format,
    /// Write all rows into this file, however many: .csv, .ndjson, .parquet or .arrow says its form
    #[arg(long, short)]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    if let Some(output) = args.output {
        return sql_file::run(&args.query, &output, context).await;
    }
    let answer = Client::sign_in().await?.query(&args.query).await?;
    let format = if context.json {
        Format::Json
    } else {
        args.format
    };
    let names: Vec<String> = items(&answer["columns"])
        .iter()
        .map(|column| cell(&column["name"]))
        .collect();
    let rows: Vec<Vec<String>> = items(&answer["result"])
        .iter()
        .map(|row| items(row).iter().map(cell).collect())
        .collect();
    match format {
        Format::Json => print(&answer),
        Format::Csv => {
            for row in std::iter::once(&names).chain(&rows) {
                print(
                    row.iter()
                        .map(|cell| quoted(cell))
                        .collect::<Vec<_>>()
                        .join(","),
                );
            }
        }
        Format::Table => print(table(&names, &rows).trim_end()),
    }
    if format != Format::Json {
        let more = if answer["truncated"] == true {
            " (there are more: the answer is cut)"
        } else {
            ""
        };
        eprintln!(
            "{} rows{more}, {} ms",
            rows.len(),
            answer["execution_time_ms"]
        );
    }
    Ok(())
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value as text: strings bare, null empty, everything else as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// RFC 4180: quoted where it must be.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Columns as wide as their widest cell, cut at 60 characters; control characters are shown, not obeyed.
fn table(names: &[String], rows: &[Vec<String>]) -> String {
    const WIDTH_MAX: usize = 60;
    let shown = |cell: &String| {
        let safe: String = cell
            .chars()
            .map(|letter| {
                if letter.is_control() {
                    '\u{FFFD}'
                } else {
                    letter
                }
            })
            .collect();
        if safe.chars().count() <= WIDTH_MAX {
            return safe;
        }
        safe.chars().take(WIDTH_MAX - 1).chain(['…']).collect()
    };
    let lines: Vec<Vec<String>> = std::iter::once(names)
        .chain(rows.iter().map(Vec::as_slice))
        .map(|row| row.iter().map(shown).collect())
        .collect();
    let widths: Vec<usize> = (0..names.len())
        .map(|column| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join(" | ").trim_end());
        text.push('\n');
        if index == 0 {
            text.push_str(
                &widths
                    .iter()
                    .map(|width| "-".repeat(*width))
                    .collect::<Vec<_>>()
                    .join("-+-"),
            );
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_shows_no_terminal_codes() {
        let rows = [
            vec!["1".to_owned(), "a\u{1b}[2J".to_owned()],
            vec!["20".to_owned(), String::new()],
        ];
        let names = ["n".to_owned(), "text".to_owned()];
        assert_eq!(
            table(&names, &rows),
            "n  | text\n---+------\n1  | a\u{FFFD}[2J\n20 |\n"
        );
    }

    #[test]
    fn csv_quotes_what_it_must() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
