//! What is asked of a collection for a query, as plans show it.

use std::sync::Arc;

use collections::{Column, Kind, Path, Table, Tenant};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};
use rules::TableName;

use super::*;
use crate::engine::functions::Functions;

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
    let date = Functions::all().scalar("date").unwrap();
    context.register_udf(date.as_ref().clone());
    let name = TableName::parse("people").unwrap();
    let people = CollectionTable::new(name, table, Server::silent());
    context.register_table("people", Arc::new(people)).unwrap();
    let frame = context.sql(sql).await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    let filters = shown.contains("FilterExec");
    let asking = shown.lines().map(str::trim);
    let asking =
        asking.filter(|line| line.starts_with("CollectionExec") || line.starts_with("SummaryExec"));
    let mut asking: Vec<&str> = asking.collect();
    if filters {
        asking.push("+ filter");
    }
    asking.join("\n")
}

/// Queries, and below each what is asked for it. A condition stands for a query with it.
const ASKED: &str = include_str!("asked.txt");

#[tokio::test]
async fn what_is_asked_has_the_same_answer() {
    let queries = ASKED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(' '));
    let mut asked = String::new();
    for query in queries {
        let sql = match query.starts_with("SELECT") {
            true => query.to_owned(),
            false => format!("SELECT age FROM people WHERE {query}"),
        };
        asked.push_str(query);
        for line in asked_of(table(), &sql).await.lines() {
            asked.push_str("\n    ");
            asked.push_str(line);
        }
        asked.push_str("\n\n");
    }
    assert!(
        asked.trim_end() == ASKED.trim_end(),
        "asked.txt would be:\n{asked}"
    );
}

#[tokio::test]
async fn of_a_shared_collection_every_question_is_about_the_tenant() {
    let shared = Table {
        tenant: Some(Tenant {
            path: Path::field("org_id"),
            org_id: "acme".to_owned(),
        }),
        ..table()
    };
    let own = r#""org_id":{"$eq":"acme","$type":["string"],"$not":{"$type":"array"}}"#;
    let queries = ASKED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(' '));
    for query in queries {
        let sql = match query.starts_with("SELECT") {
            true => query.to_owned(),
            false => format!("SELECT age FROM people WHERE {query}"),
        };
        let asked = asked_of(shared.clone(), &sql).await;
        let questions =
            asked.matches("people.find(").count() + asked.matches("people.aggregate(").count();
        // That nothing is wanted is nobody's.
        let none = asked.matches(r#"{"_id":{"$in":[]}}"#).count();
        let owned = asked.matches(own).count();
        assert!(questions > 0 && owned + none == questions, "{sql}\n{asked}");
    }
}

#[tokio::test]
async fn of_a_strict_table_no_value_is_left_to_the_cluster_that_may_not_fit() {
    let strict = Table {
        is_strict: true,
        ..table()
    };
    for sql in [
        "SELECT count(*) FROM people",
        "SELECT max(created_at) FROM people",
        "SELECT city, count(*) FROM people GROUP BY city",
    ] {
        let asked = asked_of(strict.clone(), sql).await;
        assert!(
            asked.contains("CollectionExec: people.find("),
            "{sql}\n{asked}"
        );
    }
}

#[tokio::test]
async fn of_a_strict_table_all_is_asked_for_that_lies_where_a_path_begins() {
    let sql = "SELECT age, city FROM people LIMIT 3";
    for (is_strict, field) in [(false, "address.city"), (true, "address")] {
        let table = Table {
            is_strict,
            ..table()
        };
        let asked = asked_of(table, sql).await;
        let fields = format!(r#"{{"age":1,"{field}":1,"_id":0}}"#);
        assert!(asked.contains(&fields), "{asked}");
    }
}

#[test]
fn the_columns_of_groups_have_the_names_of_the_tables_and_each_its_own() {
    let column = |name: &str| Column {
        name: name.to_owned(),
        path: Path::field(name),
        kind: Kind::String,
    };
    let keys = [column("city"), column("n"), column("n_"), column("city")];
    let columns = pushed_down::group_columns(&keys);
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["city", "n", "n_", "city_", "n__"]);
    assert_eq!(columns[1].path.to_string(), "_id.k1");
    assert_eq!(columns[4].path.to_string(), "n");
}

#[test]
fn what_nests_deeply_is_not_asked() {
    use datafusion::prelude::{col, lit};
    let columns = table().columns;
    let nested = |levels: i64| {
        let alternating = (0..levels).fold(col("age").eq(lit(-1_i64)), |inner, level| {
            let condition = col("age").lt(lit(level));
            match level % 2 {
                0 => condition.and(inner),
                _ => condition.or(inner),
            }
        });
        conditions::asked(&columns, &alternating)
    };
    assert!(nested(29).is_some());
    assert!(nested(30).is_none());
    // Many side by side are as flat as one.
    let many = (0..200_i64).fold(col("age").eq(lit(-1_i64)), |others, n| {
        others.or(col("age").eq(lit(n)))
    });
    assert!(conditions::asked(&columns, &many).is_some());
}
