//! What is asked of a collection for a query, as plans show it.

use std::sync::Arc;

use collections::{Column, Kind, Path, Table, Tenant};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};
use rules::TableName;

use super::*;

fn table() -> Table {
    let column = |name: &str, path: &str, kind| Column {
        name: name.to_owned(),
        path: Path::parse(path).unwrap(),
        kind,
    };
    Table {
        columns: vec![
            column("_id", "_id", Kind::ObjectId),
            column("name", "name", Kind::String),
            column("age", "age", Kind::BigInt),
            column("score", "score", Kind::Double),
            column("active", "active", Kind::Boolean),
            column("created_at", "created_at", Kind::Timestamp),
            column("city", "address.city", Kind::String),
            column("tags", "tags", Kind::Json),
        ],
        is_strict: false,
        tenant: None,
        indexed: vec![Path::field("_id"), Path::field("created_at")],
        documents: 1000,
        origin: "declared".to_owned(),
    }
}

/// The lines of the plan that ask, and whether something above them still filters.
async fn asked_of(table: Table, sql: &str) -> String {
    let config = SessionConfig::new().with_target_partitions(1);
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_optimizer_rule(Arc::new(PushedDown))
        .build();
    let context = SessionContext::new_with_state(state);
    let name = TableName::parse("people").unwrap();
    let people = CollectionTable::new(name, table, Server::silent());
    context.register_table("people", Arc::new(people)).unwrap();
    let frame = context.sql(sql).await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    let filters = shown.contains("FilterExec");
    let asking = shown.lines().filter(|line| line.contains("people."));
    let mut asking: Vec<&str> = asking.map(str::trim).collect();
    if filters {
        asking.push("+ filter");
    }
    asking.join("\n")
}

/// Conditions, and the filter that they are asked as; `+ filter` where the engine looks at the rows again.
const CONDITIONS: &[(&str, &str)] = &[
    ("name = 'Mia'", ""),
    ("name <> 'Mia'", ""),
    ("NOT (name = 'Mia')", ""),
    ("name IS NULL", ""),
    ("name IS NOT NULL", ""),
    ("name IN ('Mia', 'Ben')", ""),
    ("name NOT IN ('Mia', 'Ben', 'Tom', 'Eva')", ""),
    ("name NOT IN ('Mia', NULL)", ""),
    ("name LIKE 'Mi%'", ""),
    ("name LIKE 'M%a'", ""),
    ("name LIKE '%a'", ""),
    ("name NOT LIKE 'M%'", ""),
    ("upper(name) = 'MIA'", ""),
    ("age > 30", ""),
    ("30 >= age", ""),
    ("age BETWEEN 20 AND 30", ""),
    ("NOT (age BETWEEN 20 AND 30)", ""),
    ("age > 30.5", ""),
    ("age = name", ""),
    ("age + 1 > 30", ""),
    ("score > 0.5", ""),
    ("score < 0.0", ""),
    ("active", ""),
    ("NOT active", ""),
    ("active IS TRUE", ""),
    ("created_at >= TIMESTAMP '2024-01-01T00:00:00Z'", ""),
    ("created_at > '2024-01-01 00:00:00.0005'", ""),
    ("CAST(created_at AS DATE) = DATE '2024-01-01'", ""),
    ("created_at < DATE '2024-01-01'", ""),
    ("_id = '65ab00000000000000000001'", ""),
    ("_id = 'x'", ""),
    ("_id > '65ab00000000000000000001'", ""),
    ("city = 'Oslo'", ""),
    ("tags IS NOT NULL", ""),
    ("tags = 'x'", ""),
    ("age > 30 OR name = 'Mia'", ""),
    ("age > 30 OR upper(name) = 'MIA'", ""),
    ("age > 30 AND upper(name) = 'MIA'", ""),
    ("NOT (age > 30 AND name = 'Mia')", ""),
];

#[tokio::test]
async fn conditions_are_asked_where_the_answer_is_the_same() {
    for (condition, filter) in CONDITIONS {
        let sql = format!("SELECT age FROM people WHERE {condition}");
        println!("{condition}\n    {}\n", asked_of(table(), &sql).await);
        let _ = filter;
    }
    for sql in [
        "SELECT count(*) FROM people",
        "SELECT count(*) FROM people p WHERE p.age > 3",
        "SELECT count(*), min(created_at) AS first, max(created_at) FROM people WHERE name = 'x'",
        "SELECT max(score) FROM people",
        "SELECT count(age) FROM people",
        "SELECT count(*) FROM people WHERE upper(name) = 'X'",
        "SELECT city, count(*) AS n FROM people GROUP BY city",
        "SELECT DISTINCT city, name FROM people",
        "SELECT count(DISTINCT city) FROM people",
        "SELECT age, count(*) FROM people GROUP BY age",
        "SELECT city, sum(age) FROM people GROUP BY city",
        "SELECT name FROM people ORDER BY created_at DESC LIMIT 3",
        "SELECT name FROM people WHERE age > 3 ORDER BY created_at NULLS LAST LIMIT 3",
        "SELECT name FROM people ORDER BY age LIMIT 3",
        "SELECT * FROM people LIMIT 3",
        "SELECT name FROM people WHERE age > 30 LIMIT 3",
        "SELECT name FROM people WHERE upper(name) = 'X' LIMIT 3",
        "SELECT count(*) FROM (SELECT * FROM people LIMIT 3)",
        "SELECT city, count(*) AS n FROM people GROUP BY city HAVING count(*) > 3 ORDER BY n DESC LIMIT 2",
    ] {
        println!("{sql}\n    {}\n", asked_of(table(), sql).await);
    }
    panic!();
}
