//! `table import`: four formats, appended or replaced, and what is said of a file that does not fit.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::{ORG, check};
use crate::support::{Data, SUPER_ADMINISTRATOR, Server};

/// Two rows as each format writes them.
fn in_all_formats(data: &Data) -> [PathBuf; 4] {
    let texts = StringArray::from(vec![Some("a \"b\", c"), None]);
    let columns: [(&str, ArrayRef); 2] = [
        ("n", Arc::new(Int64Array::from(vec![1, 2]))),
        ("text", Arc::new(texts)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let rows = [
        r#"{"n": 1, "text": "a \"b\", c"}"#,
        r#"{"n": 2, "text": null}"#,
    ];
    [
        data.write("rows.ndjson", format!("{}\n\n{}", rows[0], rows[1])),
        data.write("rows.json", format!(" [{},\n{}]\n", rows[0], rows[1])),
        data.write("rows.csv", "n,text\r\n1,\"a \"\"b\"\", c\"\r\n2,\r\n"),
        data.write("rows.parquet", parquet),
    ]
}

#[tokio::test]
async fn every_format_makes_the_same_table_and_rows_are_appended_or_replaced() {
    let server = Server::start(|data| data.org(ORG));
    let data = &server.data;
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let rows = json!([[1, "a \"b\", c"], [2, null]]);
    for (index, file) in in_all_formats(data).iter().enumerate() {
        let file = file.to_str().unwrap();
        let table = format!("t{index}");
        let import = |more: &[&str]| {
            let args = ["table", "import", ORG, &table, file];
            data.ok(args.iter().chain(more).copied().collect::<Vec<_>>())
        };
        let sql = format!("SELECT n, text FROM {table} ORDER BY n");
        let imported = json!({"table": table, "rows": 2, "columns": 2});
        assert_eq!(import(&[]), imported);
        assert_eq!(server.rows(&token, ORG, &sql).await, rows, "{file}");
        import(&[]);
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(
            server.rows(&token, ORG, &count).await,
            json!([[4]]),
            "{file} appended"
        );
        assert_eq!(import(&["--replace"]), imported);
        assert_eq!(
            server.rows(&token, ORG, &sql).await,
            rows,
            "{file} replaced"
        );
    }
    let types = server.rows(&token, ORG, "DESCRIBE t0").await;
    for table in ["t1", "t2", "t3"] {
        assert_eq!(
            server.rows(&token, ORG, &format!("DESCRIBE {table}")).await,
            types
        );
    }
}

#[tokio::test]
async fn a_file_that_does_not_fit_is_named_by_line_and_column_and_changes_nothing() {
    let server = Server::start(|data| {
        data.org(ORG);
        data.import_table(ORG, "visits", &[json!({"n": 1, "text": "a"})]);
    });
    let data = &server.data;
    for (name, bytes, words) in [
        ("cut.ndjson", "{\"n\": 1}\n{\"n\": \n", &["line 2"][..]),
        (
            "bad.ndjson",
            "{\"n\": 1}\n\n{\"n\": x}\n",
            &["line 3", "column 7"],
        ),
        (
            "list.ndjson",
            "{\"n\": 1}\n[1]\n",
            &["line 2", "JSON object"],
        ),
        ("array.ndjson", "[{\"n\": 1}]", &["line 1", ".json"]),
        (
            "bad.json",
            "[{\"n\": 1},\n {\"n\": }]",
            &["element 2", "line 2"],
        ),
        ("object.json", "{\"n\": 1}", &["line 1", ".ndjson"]),
        ("open.json", "[{\"n\": 1}", &["line"]),
        (
            "wide.csv",
            "n,text\n1,a\n2,b,c\n",
            &["line 3", "3 cells", "2"],
        ),
        ("unclosed.csv", "n,text\n1,\"a\n", &["line"]),
        ("twice.csv", "n,n\n1,2\n", &["\"n\""]),
        (
            "new.ndjson",
            "{\"n\": 1, \"more\": 2}\n",
            &["\"more\"", "not in the table", "--replace"],
        ),
        (
            "text.ndjson",
            "{\"n\": \"one\"}\n",
            &["\"n\"", "STRING", "BIGINT"],
        ),
        ("empty.ndjson", "", &["no rows"]),
        ("empty.json", "[]", &["no rows"]),
        ("empty.csv", "n,text\n", &["no rows"]),
        ("no.parquet", "PAR1 or not", &["Parquet"]),
        ("rows.xlsx", "x", &["rows.xlsx", ".parquet"]),
        ("named.ndjson", "{\"a b\": 1}\n", &["\"a b\"", "' '"]),
    ] {
        let file = data.write(name, bytes);
        check(
            data,
            &["table", "import", ORG, "visits", file.to_str().unwrap()],
            1,
            words,
        );
    }
    let latin = data.write("latin.csv", b"n,text\n1,caf\xe9\n");
    check(
        data,
        &["table", "import", ORG, "visits", latin.to_str().unwrap()],
        1,
        &["line 2", "UTF-8"],
    );
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let rows = server.rows(&token, ORG, "SELECT n, text FROM visits").await;
    assert_eq!(rows, json!([[1, "a"]]));
    let parquet = data.files(".parquet");
    assert_eq!(parquet.len(), 1, "nothing is left behind: {parquet:?}");
}
