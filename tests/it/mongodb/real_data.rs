//! A real organization's tables, once as collections and once in the lake: every documented query answers the same.
//!
//! Runs where the data set lies beside the repository (`../shared/data`); elsewhere it says that it did not run.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use mongodb::bson::{Bson, DateTime, Document};
use serde_json::{Map, Value};

use super::server::Mongodb;
use super::{Live, ORG, RIVAL, Set};
use crate::real_input::python;
use crate::support::{Data, stderr};

/// [`ORG`] has these as collections, [`RIVAL`] in the lake.
const TABLES: [&str; 5] = [
    "conversations",
    "messages",
    "users",
    "reservations",
    "flights",
];

/// What people ask of the tables that the wire contract names, beside the documented queries.
const MORE: &[&str] = &[
    "SELECT * FROM messages ORDER BY _id LIMIT 1000",
    "SELECT * FROM conversations ORDER BY _id",
    "SELECT * FROM users ORDER BY _id",
    "SELECT _id, created_at FROM conversations WHERE created_at >= CURRENT_DATE - INTERVAL '10 days' ORDER BY created_at, _id",
    "SELECT * FROM users WHERE user_id = 'mia_li_3668'",
    "SELECT count(*) FROM messages WHERE sender = 'user' AND content LIKE 'Hi%'",
    "SELECT count(*) FROM messages WHERE sender <> 'user' OR message_type IS NULL",
    "SELECT sender, message_type, count(*) FROM messages GROUP BY ALL ORDER BY ALL",
    "SELECT max(created_at), min(created_at), count(*) FROM messages WHERE sender IN ('user', 'assistant')",
    "SELECT user_id, count(*) AS n FROM conversations GROUP BY user_id HAVING count(*) > 1 ORDER BY n DESC, user_id LIMIT 20",
    "SELECT _id FROM messages ORDER BY _id DESC LIMIT 7",
    "SELECT u.last_name, m.content FROM users u JOIN conversations c ON c.user_id = u.user_id \
     JOIN messages m ON m.conversation_id = c._id WHERE m.sender = 'user' ORDER BY m._id LIMIT 50",
    "SELECT preferences:address.city AS city, count(*) FROM users GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
    "SELECT reservation_id, flights -> 0 ->> 'flight_number', size(from_json_list) FROM \
     (SELECT reservation_id, flights, array(1) AS from_json_list FROM reservations) ORDER BY 1 LIMIT 20",
    "SELECT cabin, total_baggages, count(*) FROM reservations WHERE total_baggages BETWEEN 1 AND 3 GROUP BY ALL ORDER BY ALL",
    "SELECT is_finished, count_if(region_name = 'us-east-1'), count(DISTINCT user_id) FROM conversations GROUP BY 1 ORDER BY 1",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_query_answers_the_same_from_mongodb_and_from_the_lake() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let convert = root.join("../shared/data/tau-bench-airline/convert.py");
    if !convert.exists() {
        eprintln!("NOT RUN: the data set ../shared/data/tau-bench-airline is not here");
        return;
    }
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(python(root)).arg(&convert).arg(folder.path()));
    for table in TABLES {
        let rows = rows(&folder.path().join(format!("{table}.ndjson")));
        mongodb
            .load(ORG, table, rows.into_iter().map(document))
            .await;
    }
    let import = |data: &Data| {
        for table in TABLES {
            let file = folder.path().join(format!("{table}.ndjson"));
            data.ok(["table", "import", RIVAL, table, file.to_str().unwrap()]);
        }
    };
    let set = Set {
        is_patient: true,
        before: Some(&import),
        ..Set::default()
    };
    let live = Live::start(mongodb, set).await;
    let (live_token, lake_token) = (live.token(ORG), live.token(RIVAL));
    let mut queries = of_the_checks(root);
    queries.extend(of_the_documentation(root));
    queries.extend(MORE.iter().map(|sql| (*sql).to_owned()));
    assert!(queries.len() > 45, "{}", queries.len());
    let mut different = BTreeMap::new();
    for sql in &queries {
        let (of_mongodb, of_lake) = (
            live.server.sql(&live_token, ORG, sql).await,
            live.server.sql(&lake_token, RIVAL, sql).await,
        );
        assert_eq!(of_lake.status, 200, "{sql}: {}", of_lake.text());
        if of_mongodb.status != 200 {
            different.insert(sql, of_mongodb.text());
            continue;
        }
        let (one, other) = (of_mongodb.json(), of_lake.json());
        if let Err(difference) = compare(&one, &other) {
            different.insert(sql, difference);
        }
    }
    assert!(different.is_empty(), "{different:#?}");
}

/// The same columns, in any order, and the same rows of them.
fn compare(one: &Value, other: &Value) -> Result<(), String> {
    let columns = |answer: &Value| -> Vec<(String, Value, usize)> {
        let columns = answer["columns"].as_array().unwrap().iter().enumerate();
        let mut columns: Vec<_> = columns
            .map(|(index, column)| {
                let name = column["name"].as_str().unwrap().to_owned();
                (name, column["type"].clone(), index)
            })
            .collect();
        columns.sort_by(|one, other| one.0.cmp(&other.0));
        columns
    };
    let (ours, theirs) = (columns(one), columns(other));
    for ((name, kind, _), (of_lake, of_lake_kind, _)) in ours.iter().zip(&theirs) {
        if (name, kind) != (of_lake, of_lake_kind) {
            return Err(format!(
                "{name} {kind} is {of_lake} {of_lake_kind} in the lake"
            ));
        }
    }
    let (rows, of_lake) = (rows_of(one), rows_of(other));
    if (ours.len(), rows.len()) != (theirs.len(), of_lake.len()) {
        return Err(format!(
            "{} rows are {} in the lake",
            rows.len(),
            of_lake.len()
        ));
    }
    for (row, of_lake) in rows.iter().zip(of_lake) {
        for ((name, _, index), (_, _, in_lake)) in ours.iter().zip(&theirs) {
            let (cell, of_lake) = (&row[*index], &of_lake[*in_lake]);
            if json_of(cell) != json_of(of_lake) {
                return Err(format!("{name}: {cell} is {of_lake} in the lake"));
            }
        }
    }
    Ok(())
}

fn rows_of(answer: &Value) -> &Vec<Value> {
    answer["result"].as_array().unwrap()
}

/// Of a text that is a JSON document or list, what it says: its keys may have another order.
fn json_of(cell: &Value) -> Value {
    let parsed = cell.as_str().filter(|text| text.starts_with(['{', '[']));
    let parsed = parsed.and_then(|text| serde_json::from_str(text).ok());
    parsed.unwrap_or_else(|| cell.clone())
}

/// The queries that `tests/real_input` asks of the tables.
fn of_the_checks(root: &Path) -> Vec<String> {
    const PRINT: &str = "import json, queries as q\n\
        groups = (q.COUNTS, q.AGGREGATES, q.JOINS, q.DATES, q.JSON)\n\
        print(json.dumps([query.sql for group in groups for query in group if 'prompt_logs' not in query.sql]))";
    let output = Command::new(python(root))
        .args(["-B", "-c", PRINT])
        .env("PYTHONPATH", root.join("tests/real_input"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The SQL of the documentation that asks the tables.
fn of_the_documentation(root: &Path) -> Vec<String> {
    let mut queries = Vec::new();
    for page in std::fs::read_dir(root.join("docs")).unwrap() {
        let text = std::fs::read_to_string(page.unwrap().path()).unwrap();
        let blocks = text.split("```sql\n").skip(1);
        let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
        queries.extend(blocks.filter(|sql| {
            let others = ["prompt_logs", "query_history", "audit_log", "events"];
            let tables = ["FROM users", "FROM conversations", "FROM messages"];
            tables.iter().any(|table| sql.contains(table))
                && !others.iter().any(|other| sql.contains(other))
        }));
    }
    assert!(queries.len() >= 3, "{queries:?}");
    queries
}

fn rows(file: &Path) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// As an application would store the row: its own instants are dates.
fn document(row: Map<String, Value>) -> Document {
    row.into_iter()
        .map(|(name, value)| {
            let instant = value
                .as_str()
                .filter(|text| name.ends_with("_at") && text.ends_with('Z'));
            let value = match instant {
                Some(text) => Bson::DateTime(DateTime::parse_rfc3339_str(text).unwrap()),
                None => bson(value),
            };
            (name, value)
        })
        .collect()
}

fn bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Bson::Int64(number),
            None => Bson::Double(number.as_f64().unwrap()),
        },
        Value::String(text) => Bson::String(text),
        Value::Array(list) => Bson::Array(list.into_iter().map(bson).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Bson::Document(fields.map(|(name, value)| (name, bson(value))).collect())
        }
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}
