//! Which tables there are, on which cluster, and what is told of them.

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use reqwest::Method;
use serde_json::{Value, json};

use super::proxy::{Fate, error};
use super::server::Mongodb;
use super::{CLUSTER, Live, ORG, RIVAL, Set, config_file};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, stderr};

const SPARE: &str =
    "\n[clusters.spare]\nmongodb = \"mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200\"";

fn people() -> [Document; 2] {
    let created_at = DateTime::from_millis(1_704_067_200_000);
    [
        doc! {"name": "Mia", "age": 31, "created_at": created_at, "address": {"city": "Oslo"}},
        doc! {"name": "Ben", "age": 44_i64, "created_at": created_at, "tags": ["a"]},
    ]
}

/// A query with the header that names a cluster.
async fn on_cluster(live: &Live, org: &str, cluster: &str, sql: &str) -> Answer {
    let token = live.token(org);
    let request = live.server.sql_request(&token, org, sql);
    Answer::of(request.header("x-mongo-cluster-name", cluster)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_names_the_cluster_that_an_organization_must_be_on() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb.load(ORG, "people", people()).await;
    let live = Live::start(
        mongodb,
        Set {
            cluster: SPARE,
            before: Some(&|data: &Data| {
                data.ok(["org", "create", "lonely", "--cluster", "nowhere"]);
                data.user(
                    "lonely",
                    SUPER_ADMINISTRATOR,
                    "DefaultSuperAdministratorRole",
                );
            }),
            ..Set::default()
        },
    )
    .await;
    const SQL: &str = "SELECT name FROM people ORDER BY name";
    let rows = json!([["Ben"], ["Mia"]]);
    // Usually absent: the organization's entry says where it lives.
    assert_eq!(live.rows(ORG, SQL).await, rows);
    let named = on_cluster(&live, ORG, CLUSTER, SQL).await;
    assert_eq!((named.status, &named.json()["result"]), (200, &rows));
    // Known, as the configuration or another organization has it, but the organization is not there.
    for elsewhere in ["spare", "nowhere"] {
        let answer = on_cluster(&live, ORG, elsewhere, SQL).await;
        answer.detail(404);
    }
    // Unknown, or no name; before anybody is asked who they are.
    for unknown in ["unknown", "Main", "a b", "../main", ""] {
        let answer = on_cluster(&live, ORG, unknown, SQL).await;
        assert_eq!(answer.status, 422, "{unknown:?}: {}", answer.text());
        assert!(
            answer.text().contains("x-mongo-cluster-name"),
            "{}",
            answer.text()
        );
        let request = live.server.sql_request("no token", ORG, SQL);
        let answer = Answer::of(request.header("x-mongo-cluster-name", unknown)).await;
        assert_eq!(answer.status, 422, "{unknown:?}: {}", answer.text());
    }
    // Not behind MongoDB: everything else goes on, and the other organization's collections are not there.
    assert_eq!(live.rows("lonely", "SELECT 1").await, json!([[1]]));
    let answer = live.sql("lonely", SQL).await;
    assert!(answer.detail(400).contains("people"), "{}", answer.text());
    // Downloads and the schema look at the header too.
    let token = live.token(ORG);
    for path in ["sql_schema", "get_prompt_logs/?prompt_log_prefix=a"] {
        let path = format!("/v1/{ORG}/admin/{path}");
        for (cluster, status) in [("unknown", 422), ("spare", 404)] {
            let request = live.server.request(Method::GET, &path).bearer_auth(&token);
            let answer = Answer::of(request.header("x-mongo-cluster-name", cluster)).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_are_tables_by_themselves_and_told_of_everywhere() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb.load(ORG, "people", people()).await;
    mongodb.load(RIVAL, "secrets", people()).await;
    let live = Live::start(
        mongodb,
        Set {
            before: Some(&|data: &Data| data.import_table(ORG, "lake", &[json!({"id": 1})])),
            ..Set::default()
        },
    )
    .await;
    let columns = [
        ["_id", "STRING"],
        ["name", "STRING"],
        ["age", "BIGINT"],
        ["created_at", "TIMESTAMP"],
        ["address", "STRING"],
        ["tags", "STRING"],
    ];
    live.check(&[
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'default' ORDER BY table_name",
            json!([["audit_log"], ["lake"], ["people"], ["query_history"]]),
        ),
        (
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'people' \
             ORDER BY ordinal_position",
            json!(columns),
        ),
        ("SELECT count(*) FROM people", json!([[2]])),
        ("SELECT count(*) FROM amigo.default.People", json!([[2]])),
    ])
    .await;
    let shown = live.rows(ORG, "SHOW TABLES").await.to_string();
    assert!(shown.contains("\"people\""), "{shown}");
    assert!(!shown.contains("secrets"), "{shown}");
    let described = live.rows(ORG, "DESCRIBE people").await;
    for (row, [name, kind]) in described.as_array().unwrap().iter().zip(columns) {
        assert_eq!((&row[0], &row[1]), (&json!(name), &json!(kind)));
        let comment = row[2].as_str().unwrap();
        assert!(
            comment.contains("sample"),
            "where {name} comes from: {comment}"
        );
    }
    // The comment tells the kind of what became text.
    for (index, kind) in [(0, "OBJECTID"), (4, "JSON"), (5, "JSON")] {
        let comment = described[index][2].as_str().unwrap();
        assert!(comment.contains(kind), "{comment}");
    }
    let path = format!("/v1/{ORG}/admin/sql_schema");
    let schema = live.server.get(&live.token(ORG), &path).await.json();
    let tables = schema["tables"].as_array().unwrap();
    let told = tables.iter().find(|table| table["name"] == "people");
    let told = told.unwrap_or_else(|| panic!("{schema}"));
    for (column, [name, kind]) in told["columns"].as_array().unwrap().iter().zip(columns) {
        assert_eq!(
            (&column["name"], &column["type"]),
            (&json!(name), &json!(kind))
        );
        assert!(column["comment"].is_string(), "{column}");
    }
    // A collection that is new is a table soon.
    live.mongodb.load(ORG, "newcomers", people()).await;
    let rows = live.rows_soon(ORG, "SELECT count(*) FROM newcomers").await;
    assert_eq!(rows, json!([[2]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_names_renames_and_selects_columns() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb.load(ORG, "Weird-Name", people()).await;
    mongodb.load(ORG, "people", people()).await;
    mongodb.load(ORG, "prompt_logs", people()).await;
    let live = Live::start(
        mongodb,
        Set {
            cluster: r#"
                [clusters.main.collections.citizens]
                collection = "Weird-Name"
                columns = [
                    { name = "id", type = "objectid", path = "_id" },
                    { name = "Age", type = "BIGINT", path = "age" },
                    { name = "city", type = "STRING", path = "address.city" },
                    { name = "address", type = "JSON" },
                ]
                [clusters.main.collections.absent]
                columns = [ { name = "id", type = "STRING" } ]"#,
            before: Some(&|data: &Data| {
                data.import_table(ORG, "people", &[json!({"here": "lake"})]);
            }),
            ..Set::default()
        },
    )
    .await;
    live.check(&[
        (
            "SELECT age, city, address FROM citizens ORDER BY age",
            json!([[31, "Oslo", "{\"city\":\"Oslo\"}"], [44, null, null]]),
        ),
        (
            "SELECT id FROM citizens WHERE id = '000000000000000000000000'",
            json!([]),
        ),
        // What is declared is there without documents, as an empty table.
        ("SELECT count(*), min(id) FROM absent", json!([[0, null]])),
        // The lake's table of the same name wins.
        ("SELECT * FROM people", json!([["lake"]])),
    ])
    .await;
    let described = live.rows(ORG, "DESCRIBE citizens").await;
    assert_eq!(described.as_array().unwrap().len(), 4);
    for (index, words) in [(0, "_id"), (2, "address.city")] {
        let comment = described[index][2].as_str().unwrap();
        assert!(
            comment.contains(words) && comment.contains("declared"),
            "{comment}"
        );
    }
    // The archive's own table stays what it is, and a name that is none of a table is no table.
    let logs = live.sql(ORG, "SELECT age FROM prompt_logs").await;
    logs.detail(400);
    let weird = live.sql(ORG, "SELECT * FROM `Weird-Name`").await;
    weird.detail(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_may_be_read_from_either_place() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb.load(ORG, "people", people()).await;
    mongodb.load(ORG, "others", people()).await;
    let live = Live::start(
        mongodb,
        Set {
            cluster: "[clusters.main.collections.people]\nserve = \"mongodb\"\n\
                      [clusters.main.collections.others]\nserve = \"lake\"",
            before: Some(&|data: &Data| {
                data.import_table(ORG, "people", &[json!({"name": "of the lake"})]);
                data.import_table(ORG, "others", &[json!({"name": "of the lake"})]);
            }),
            ..Set::default()
        },
    )
    .await;
    live.check(&[
        ("SELECT count(*) FROM people", json!([[2]])),
        ("SELECT name FROM others", json!([["of the lake"]])),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_cannot_be_described_is_left_out_of_lists_and_no_others() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    for collection in ["broken", "people", "others"] {
        mongodb.load(ORG, collection, people()).await;
    }
    let live = Live::start(mongodb, Set::default()).await;
    let refused = error(13, "Unauthorized", "not authorized on broken");
    for command in ["aggregate broken", "find broken"] {
        live.proxy.set(command, Fate::Answered(refused.clone()));
    }
    // Names need no samples at all.
    let shown = live.rows(ORG, "SHOW TABLES").await.to_string();
    for collection in ["broken", "people", "others"] {
        assert!(shown.contains(collection), "{shown}");
    }
    assert!(live.proxy.named("find").is_empty());
    assert!(live.proxy.named("aggregate").is_empty());
    let shown = live.rows(ORG, "SHOW COLUMNS FROM people").await;
    assert_eq!(shown.as_array().unwrap().len(), 6, "{shown}");
    const COLUMNS: &str = "SELECT table_name, count(*) FROM information_schema.columns \
                           WHERE table_name IN ('broken', 'people', 'others') GROUP BY 1 ORDER BY 1";
    live.check(&[(COLUMNS, json!([["others", 6], ["people", 6]]))])
        .await;
    let path = format!("/v1/{ORG}/admin/sql_schema");
    let schema = live.server.get(&live.token(ORG), &path).await.json();
    let tables = schema["tables"].as_array().unwrap();
    let names: Vec<&str> = tables
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"people") && !names.contains(&"broken"),
        "{names:?}"
    );
    live.server
        .log_line(|line| line.contains("broken") && line.contains("Unauthorized"));
    // A query that needs it fails, and all is well when it answers again.
    live.sql(ORG, "SELECT name FROM broken").await.detail(503);
    live.proxy.clear();
    let all = json!([["broken", 6], ["others", 6], ["people", 6]]);
    live.check(&[(COLUMNS, all)]).await;
}

/// As one that fails within `$sample` answers, and tells no code of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_sample_is_asked_for_documents() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb.load(ORG, "things", [doc! {"_id": 1, "v": 7}]).await;
    let live = Live::start(mongodb, Set::default()).await;
    let broken = doc! {"ok": 0, "$err": "Unknown error", "errmsg": "Unknown error"};
    live.proxy.set("aggregate", Fate::Answered(broken));
    live.check(&[("SELECT _id, v FROM things", json!([[1, 7]]))])
        .await;
    assert_eq!(live.proxy.named("aggregate").len(), 1, "it was asked first");
}

#[tokio::test(flavor = "multi_thread")]
async fn types_stay_until_they_are_refreshed() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let things = mongodb.load(ORG, "things", [doc! {"_id": 1, "v": 1}]).await;
    let live = Live::start(mongodb, Set::default()).await;
    const COLUMNS: &str = "SHOW COLUMNS FROM things";
    let before = live.rows(ORG, COLUMNS).await;
    things
        .insert_many([
            doc! {"_id": 2, "v": "text", "new": true},
            doc! {"_id": 3, "v": 3.5},
        ])
        .await
        .unwrap();
    assert_eq!(live.rows(ORG, COLUMNS).await, before);
    live.check(&[(
        "SELECT _id, v FROM things ORDER BY _id",
        json!([[1, 1], [2, null], [3, null]]),
    )])
    .await;
    // Also by the next server.
    let data = live.server.data.clone();
    let mut command = data.command();
    command.arg("--config").arg(config_file(&data));
    command.args(["--json", "table", "refresh", ORG, "things"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(printed.to_string().contains("new"), "{printed}");
    // A server that runs meanwhile knows the new types with one of the next queries.
    let sql = "SELECT _id, v, new FROM things ORDER BY _id";
    let rows = live.rows_soon(ORG, sql).await;
    assert_eq!(
        rows,
        json!([[1, "1", null], [2, "\"text\"", true], [3, "3.5", null]])
    );
    let missing = data
        .command()
        .arg("--config")
        .arg(config_file(&data))
        .args(["table", "refresh", ORG, "missing"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_id_is_found_by_its_digits() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let id = ObjectId::parse_str("65ab0000000000000000000f").unwrap();
    mongodb
        .load(ORG, "people", [doc! {"_id": id, "n": 1}, doc! {"n": 2}])
        .await;
    let live = Live::start(mongodb, Set::default()).await;
    live.check(&[
        (
            "SELECT n FROM people WHERE _id = '65ab0000000000000000000f'",
            json!([[1]]),
        ),
        (
            "SELECT n FROM people WHERE _id = '65AB0000000000000000000F'",
            json!([]),
        ),
        (
            "SELECT n FROM people WHERE _id <> '65ab0000000000000000000f'",
            json!([[2]]),
        ),
        (
            "SELECT n FROM people WHERE lower(_id) LIKE '65ab%'",
            json!([[1]]),
        ),
        ("SELECT length(_id) FROM people WHERE n = 2", json!([[24]])),
    ])
    .await;
}
