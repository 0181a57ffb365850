//! How types and values travel (the wire contract, section 2).

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{ORG, acme, columns};
use crate::support::{Answer, SUPER_ADMINISTRATOR, Server, ndjson};

/// Selects each expression, whose column must have that type and whose one value must look so.
async fn check_values(cases: &[(&str, &str, Value)]) {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for (expression, data_type, value) in cases {
        let answer = server
            .sql(&token, ORG, &format!("SELECT {expression} AS x"))
            .await;
        assert_eq!(answer.status, 200, "{expression}: {}", answer.text());
        assert_eq!(columns(&answer), [format!("x {data_type}")], "{expression}");
        assert_eq!(answer.json()["result"], json!([[value]]), "{expression}");
    }
}

#[tokio::test]
async fn booleans_and_numbers_are_json_or_text_where_json_is_not_exact() {
    check_values(&[
        ("TRUE", "BOOLEAN", json!(true)),
        ("CAST(-128 AS TINYINT)", "TINYINT", json!(-128)),
        ("CAST(32767 AS SMALLINT)", "SMALLINT", json!(32767)),
        ("CAST(7 AS INT)", "INT", json!(7)),
        ("CAST(7 AS BIGINT)", "BIGINT", json!(7)),
        (
            "9007199254740991",
            "BIGINT",
            json!(9_007_199_254_740_991_i64),
        ),
        ("9007199254740992", "BIGINT*", json!("9007199254740992")),
        ("-9007199254740992", "BIGINT*", json!("-9007199254740992")),
        ("CAST(1.5 AS FLOAT)", "FLOAT", json!(1.5)),
        ("CAST(0.1 AS REAL)", "FLOAT", json!(0.1)),
        ("CAST(0.1 AS DOUBLE)", "DOUBLE", json!(0.1)),
        ("CAST('NaN' AS DOUBLE)", "DOUBLE", json!("NaN")),
        ("CAST('Infinity' AS DOUBLE)", "DOUBLE", json!("Infinity")),
        ("CAST('-Infinity' AS DOUBLE)", "DOUBLE", json!("-Infinity")),
        (
            "CAST(1.5 AS DECIMAL(10,3))",
            "DECIMAL(10,3)",
            json!("1.500"),
        ),
        (
            "CAST('-12345678901234567890123456789.01' AS DECIMAL(38,2))",
            "DECIMAL(38,2)",
            json!("-12345678901234567890123456789.01"),
        ),
        ("CAST(NULL AS INT)", "INT", json!(null)),
    ])
    .await;
}

#[tokio::test]
async fn texts_bytes_and_instants_are_text() {
    check_values(&[
        ("'a \"b\" \u{1f600}'", "STRING", json!("a \"b\" \u{1f600}")),
        ("''", "STRING", json!("")),
        ("X'00ff'", "BINARY", json!("AP8=")),
        ("DATE '2025-01-20'", "DATE", json!("2025-01-20")),
        (
            "CAST('2025-01-20T12:34:56Z' AS TIMESTAMP WITH TIME ZONE)",
            "TIMESTAMP",
            json!("2025-01-20T12:34:56Z"),
        ),
        (
            "CAST('2025-01-20T12:34:56+02:00' AS TIMESTAMP WITH TIME ZONE)",
            "TIMESTAMP",
            json!("2025-01-20T10:34:56Z"),
        ),
        (
            "CAST('2025-01-20 12:34:56' AS TIMESTAMP_NTZ)",
            "TIMESTAMP_NTZ",
            json!("2025-01-20T12:34:56"),
        ),
        (
            "CAST('2025-01-20 12:34:56.5' AS TIMESTAMP_NTZ)",
            "TIMESTAMP_NTZ",
            json!("2025-01-20T12:34:56.500"),
        ),
        (
            "CAST('2025-01-20 12:34:56.000005' AS TIMESTAMP_NTZ)",
            "TIMESTAMP_NTZ",
            json!("2025-01-20T12:34:56.000005"),
        ),
        (
            "to_timestamp('2025-01-20 12:34:56.123456789')",
            "TIMESTAMP",
            json!("2025-01-20T12:34:56.123456789Z"),
        ),
        (
            "TIMESTAMP '2025-01-20 12:34:56'",
            "TIMESTAMP",
            json!("2025-01-20T12:34:56Z"),
        ),
        (
            "CAST('1969-12-31 23:59:59.9' AS TIMESTAMP_NTZ)",
            "TIMESTAMP_NTZ",
            json!("1969-12-31T23:59:59.900"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn lists_structs_and_maps_are_arrays_and_objects() {
    check_values(&[
        (
            "make_array(1, NULL, 3)",
            "ARRAY<BIGINT>",
            json!([1, null, 3]),
        ),
        (
            "make_array(9007199254740993, 1)",
            "ARRAY<BIGINT>*",
            json!(["9007199254740993", "1"]),
        ),
        (
            "named_struct('a', 1, 'b', CAST(NULL AS VARCHAR))",
            "STRUCT<a: BIGINT, b: STRING>",
            json!({"a": 1, "b": null}),
        ),
        (
            "MAP {'k': 1, 'n': NULL}",
            "MAP<STRING, BIGINT>",
            json!({"k": 1, "n": null}),
        ),
        (
            "make_array(named_struct('d', DATE '2025-01-20'))",
            "ARRAY<STRUCT<d: DATE>>",
            json!([{"d": "2025-01-20"}]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_interval_is_text() {
    check_values(&[("INTERVAL '1 day'", "INTERVAL", json!("1 days"))]).await;
}

#[tokio::test]
async fn one_large_number_turns_its_whole_column_into_text_and_no_other_column() {
    let server = Server::start(|data| {
        data.org(ORG);
        let row = |large: i64, small: i64| json!({"large": large, "small": small});
        let rows = [row(1, 1), row(9_007_199_254_740_993, 2), row(-3, 3)];
        data.import_table(ORG, "numbers", &rows);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let answer = server
        .sql(
            &token,
            ORG,
            "SELECT large, small FROM numbers ORDER BY small",
        )
        .await;
    assert_eq!(columns(&answer), ["large BIGINT*", "small BIGINT"]);
    assert_eq!(
        answer.json()["result"],
        json!([["1", 1], ["9007199254740993", 2], ["-3", 3]])
    );
    // It is this response's values that decide, not the table's.
    let answer = server
        .sql(
            &token,
            ORG,
            "SELECT large FROM numbers WHERE small <> 2 ORDER BY small",
        )
        .await;
    assert_eq!(columns(&answer), ["large BIGINT"]);
    assert_eq!(answer.json()["result"], json!([[1], [-3]]));
}

/// A row as it is imported, and as it must come back.
type Row = (String, i64, f64, bool);

/// The rows of an answer. Numbers stay text: the tests' own JSON reader is not exact to the last digit.
fn exact_rows(answer: &Answer) -> Vec<Row> {
    #[derive(serde::Deserialize)]
    struct Body {
        result: Vec<(String, Box<RawValue>, Box<RawValue>, bool)>,
    }
    let body: Body = serde_json::from_slice(&answer.body).unwrap();
    let rows = body.result.into_iter().map(|(text, whole, real, truth)| {
        let whole = whole.get().trim_matches('"').parse().unwrap();
        (text, whole, real.get().parse().unwrap(), truth)
    });
    rows.collect()
}

#[test]
fn texts_and_numbers_come_back_as_they_were_imported() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    // The mark in front keeps a text that looks like an instant a text.
    let row = (
        any::<String>().prop_map(|text| format!("_{text}")),
        any::<i64>(),
        proptest::num::f64::NORMAL,
        any::<bool>(),
    );
    let config = Config {
        cases: 12,
        failure_persistence: None,
        ..Config::default()
    };
    let check = |rows: Vec<Row>| {
        let numbered = rows.iter().enumerate();
        let lines: Vec<Value> = numbered
            .map(|(row, (text, whole, real, truth))| {
                json!({"row": row, "text": text, "whole": whole, "real": real, "truth": truth})
            })
            .collect();
        let file = server.data.write("rows.ndjson", ndjson(&lines));
        let file = file.to_str().unwrap();
        server
            .data
            .ok(["table", "import", ORG, "rows", file, "--replace"]);
        let sql = "SELECT text, whole, real, truth FROM rows ORDER BY row";
        let answer = runtime.block_on(server.sql(&token, ORG, sql));
        prop_assert_eq!(exact_rows(&answer), rows);
        Ok(())
    };
    let rows = proptest::collection::vec(row, 1..20);
    TestRunner::new(config).run(&rows, check).unwrap();
}
