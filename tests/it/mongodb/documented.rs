//! What the documentation says that clusters are asked: each line of its table, by `EXPLAIN` through a real server.

use std::collections::BTreeSet;

use mongodb::bson::{DateTime, Document, doc};

use super::server::Mongodb;
use super::{Live, ORG, Set};

const DOCUMENTATION: &str = include_str!("../../../docs/mongodb.md");

const DECLARED: &str = r#"
    [clusters.main.collections.people]
    columns = [
        { name = "_id", type = "OBJECTID" },
        { name = "name", type = "STRING" },
        { name = "age", type = "BIGINT" },
        { name = "created_at", type = "TIMESTAMP" },
        { name = "city", type = "STRING", path = "address.city" },
    ]"#;

/// What the table has between backticks, a query with it, what is asked, and whether rows are looked at again.
const CASES: [(&str, &str, &[&str], bool); 21] = [
    (
        "name = 'Mia'",
        "WHERE",
        &[r#"{"name":{"$eq":"Mia","$type":["string"],"$not":{"$type":"array"}}}"#],
        false,
    ),
    (
        "name <> 'Mia'",
        "WHERE",
        &[r#"{"name":{"$ne":"Mia","$type":["string"],"$not":{"$type":"array"}}}"#],
        false,
    ),
    (
        "name NOT IN ('Mia', 'Ben', 'Ida', 'Tom')",
        "WHERE",
        &[
            r#"{"name":{"$nin":["Mia","Ben","Ida","Tom"],"$type":["string"],"$not":{"$type":"array"}}}"#,
        ],
        false,
    ),
    (
        "age > 30",
        "WHERE",
        &[r#"{"age":{"$gt":30,"$type":["int","long"],"#],
        false,
    ),
    (
        "age BETWEEN 20 AND 30",
        "WHERE",
        &[r#"{"$and":[{"age":{"$gte":20,"#, r#"{"age":{"$lte":30,"#],
        false,
    ),
    (
        "created_at >= CURRENT_DATE - INTERVAL '7 days'",
        "WHERE",
        &[r#"{"created_at":{"$gte":{"$date":"#, r#""$type":["date"],"#],
        false,
    ),
    (
        "DATE(created_at) = '2026-01-01'",
        "WHERE",
        &[
            r#"{"created_at":{"$gte":{"$date":"2026-01-01T00:00:00Z"},"$type":["date"],"#,
            r#"{"created_at":{"$lt":{"$date":"2026-01-02T00:00:00Z"},"$type":["date"],"#,
        ],
        false,
    ),
    (
        "_id = '65ab00000000000000000001'",
        "WHERE",
        &[r#"{"_id":{"$oid":"65ab00000000000000000001"}}"#],
        true,
    ),
    (
        "city = 'Oslo'",
        "WHERE",
        &[
            r#"{"address.city":{"$eq":"Oslo","#,
            r#""address":{"$not":{"$type":"array"}}}"#,
        ],
        false,
    ),
    (
        "address.city",
        "SELECT city FROM people",
        &[r#"{"address.city":1,"_id":0}"#],
        false,
    ),
    (
        "name LIKE 'Mi%'",
        "WHERE",
        &[r#"{"name":{"$gte":"Mi","#, r#"{"name":{"$lt":"Mj","#],
        false,
    ),
    (
        "name IS NULL",
        "WHERE",
        &[r#"{"$nor":[{"name":{"$type":["string"],"$not":{"$type":"array"}}}]}"#],
        false,
    ),
    (
        "AND",
        "SELECT age FROM people WHERE age > 30 AND upper(name) = 'MIA'",
        &[r#"{"age":{"$gt":30,"#],
        true,
    ),
    (
        "OR",
        "SELECT age FROM people WHERE age > 30 OR name = 'Mia'",
        &[r#"{"$or":[{"age":{"$gt":30,"#, r#"{"name":{"$eq":"Mia","#],
        false,
    ),
    (
        "NOT",
        "SELECT age FROM people WHERE NOT (age > 30 AND name = 'Mia')",
        &[r#"{"$or":[{"age":{"$lte":30,"#, r#"{"name":{"$ne":"Mia","#],
        false,
    ),
    (
        "count(*)",
        "SELECT count(*) FROM people WHERE age > 30",
        &[r#"[{"$match":{"age":{"$gt":30,"#, r#", {"$count":"n"}]"#],
        false,
    ),
    (
        "min(x)",
        "SELECT min(created_at) FROM people",
        &[r#".sort({"created_at":1}).limit(1)"#],
        false,
    ),
    (
        "max(x)",
        "SELECT max(name), max(_id), max(age) FROM people",
        &[
            r#".sort({"name":-1}).limit(1)"#,
            r#".sort({"_id":-1}).limit(1)"#,
            r#".sort({"age":-1}).limit(1)"#,
        ],
        false,
    ),
    (
        "GROUP BY name",
        "SELECT name, count(*) FROM people WHERE age > 30 GROUP BY name",
        &[
            r#"[{"$match":{"age":{"$gt":30,"#,
            r#"{"$group":{"_id":{"t0":{"$type":"$name"},"k0":"$name"},"n":{"$sum":1}}}]"#,
        ],
        false,
    ),
    (
        "ORDER BY created_at DESC LIMIT 3",
        "SELECT age FROM people ORDER BY created_at DESC LIMIT 3",
        &[
            r#".sort({"created_at":-1}).limit(3)"#,
            r#"find({"$nor":[{"created_at":"#,
        ],
        false,
    ),
    (
        "LIMIT 3",
        "SELECT age FROM people WHERE age > 30 LIMIT 3",
        &[r#"{"age":{"$gt":30,"#, ".limit(3)"],
        false,
    ),
];

/// Groups, written in other ways.
const GROUPS: [(&str, &str); 2] = [
    ("SELECT DISTINCT name", "SELECT DISTINCT name FROM people"),
    (
        "count(DISTINCT name)",
        "SELECT count(DISTINCT name) FROM people",
    ),
];

fn people() -> [Document; 2] {
    let created_at = DateTime::from_millis(1_704_067_200_000);
    [
        doc! {"name": "Mia", "age": 31, "created_at": created_at, "address": {"city": "Oslo"}},
        doc! {"name": "Ben", "age": 44_i64, "created_at": created_at},
    ]
}

/// What the first column of the table has between backticks.
fn documented() -> BTreeSet<&'static str> {
    let (_, table) = DOCUMENTATION.split_once("| SQL | asked |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|row| row.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documentation_says_is_asked() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let collection = mongodb.load(ORG, "people", people()).await;
    let index = mongodb::IndexModel::builder()
        .keys(doc! {"created_at": 1})
        .build();
    collection.create_index(index).await.unwrap();
    let set = Set {
        cluster: DECLARED,
        ..Set::default()
    };
    let live = Live::start(mongodb, set).await;
    let group = [r#"{"$group":{"_id":{"t0":{"$type":"$name"},"k0":"$name"},"n":{"$sum":1}}}"#];
    let groups = GROUPS.map(|(told, sql)| (told, sql, &group as &[&str], false));
    for (told, sql, parts, is_looked_at_again) in CASES.into_iter().chain(groups) {
        let sql = match sql {
            "WHERE" => format!("SELECT age FROM people WHERE {told}"),
            sql => sql.to_owned(),
        };
        let explained = live.explained(ORG, &sql).await;
        for part in parts {
            assert!(
                explained.contains(part),
                "{sql}: {part} is not in {explained}"
            );
        }
        let filters = explained.contains("FilterExec");
        assert_eq!(filters, is_looked_at_again, "{sql}: {explained}");
        live.rows(ORG, &sql).await;
    }
    let tried = CASES.iter().map(|(told, ..)| *told);
    let tried: BTreeSet<&str> = tried.chain(GROUPS.map(|(told, _)| told)).collect();
    assert_eq!(documented(), tried);
}
