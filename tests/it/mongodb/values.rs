//! Values of every kind, as the wire contract has them; values that do not fit their column.

use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use serde_json::{Value, json};

use super::server::Mongodb;
use super::{Live, ORG, Set};
use crate::support::Answer;

/// 2024-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_704_067_200_000;

fn binary(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

fn everything() -> Document {
    let id = ObjectId::parse_str("65ab0000000000000000000f").unwrap();
    doc! {
        "_id": id,
        "text": "é \u{1F980} \"quoted\" \u{0}",
        "int": 7,
        "long": 9_007_199_254_740_993_i64,
        "double": 0.1,
        "whole": 3.0,
        "yes": true,
        "at": DateTime::from_millis(NEW_YEAR + 123),
        "early": DateTime::from_millis(-1),
        "binary": binary(&[0, 255, 16]),
        "nothing": Bson::Null,
        "nested": {
            "b": 1, "a": {"id": id, "at": DateTime::from_millis(NEW_YEAR), "late": DateTime::from_millis(NEW_YEAR + 5)},
            "list": [1, 2.5, "three", {"four": 4_i64}, Bson::Null, true],
            "binary": binary(b"hi"), "": "no name", "any name": "spaced", "big": i64::MAX,
        },
        "list": ["x", "y"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_kind_are_those_of_the_contract() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb.load(ORG, "all", [everything()]).await;
    let live = Live::start(mongodb, Set::default()).await;
    let answer = live.sql(ORG, "SELECT * FROM `all`").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let columns = answer["columns"].as_array().unwrap().iter();
    let columns: Vec<(&str, &str)> = columns
        .map(|column| {
            let text = |name: &str| column[name].as_str().unwrap();
            (text("name"), text("type"))
        })
        .collect();
    assert_eq!(
        columns,
        [
            ("_id", "STRING"),
            ("text", "STRING"),
            ("int", "BIGINT"),
            ("long", "BIGINT"),
            ("double", "DOUBLE"),
            ("whole", "DOUBLE"),
            ("yes", "BOOLEAN"),
            ("at", "TIMESTAMP"),
            ("early", "TIMESTAMP"),
            ("binary", "BINARY"),
            ("nothing", "STRING"),
            ("nested", "STRING"),
            ("list", "STRING"),
        ]
    );
    assert_eq!(answer["columns"][3]["encoding"], "string");
    let row = answer["result"][0].as_array().unwrap();
    let nested = row[11].as_str().unwrap();
    assert_eq!(
        row[..11],
        [
            json!("65ab0000000000000000000f"),
            json!("é \u{1F980} \"quoted\" \u{0}"),
            json!(7),
            json!("9007199254740993"),
            json!(0.1),
            json!(3.0),
            json!(true),
            json!("2024-01-01T00:00:00.123Z"),
            json!("1969-12-31T23:59:59.999Z"),
            json!("AP8Q"),
            Value::Null,
        ]
    );
    assert_eq!(
        nested,
        "{\"b\":1,\"a\":{\"id\":\"65ab0000000000000000000f\",\"at\":\"2024-01-01T00:00:00Z\",\
         \"late\":\"2024-01-01T00:00:00.005Z\"},\"list\":[1,2.5,\"three\",{\"four\":4},null,true],\
         \"binary\":\"aGk=\",\"\":\"no name\",\"any name\":\"spaced\",\"big\":9223372036854775807}"
    );
    assert_eq!(row[12], "[\"x\",\"y\"]");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialect_reaches_into_documents_and_lists() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb.load(ORG, "all", [everything()]).await;
    let live = Live::start(mongodb, Set::default()).await;
    live.check(&[
        (
            "SELECT nested:b::INT, nested:a.id, nested:list[2], nested:list[3].four::BIGINT, nested:['any name'] FROM `all`",
            json!([[1, "65ab0000000000000000000f", "three", 4, "spaced"]]),
        ),
        (
            "SELECT nested -> 'list', nested ->> 'any name', nested -> 'a' ->> 'late', list[0] FROM \
             (SELECT nested, list -> 0 AS l0, split('x,y', ',') AS list FROM `all`)",
            json!([["[1,2.5,\"three\",{\"four\":4},null,true]", "spaced", "2024-01-01T00:00:00.005Z", "x"]]),
        ),
        (
            "SELECT get_json_object(nested, '$.list[3].four'), get_json_object(list, '$[1]'), nested:missing FROM `all`",
            json!([["4", "y", null]]),
        ),
        (
            "SELECT count(*) FROM `all` WHERE (nested:a.at)::TIMESTAMP = TIMESTAMP '2024-01-01T00:00:00Z' AND nested:b = 1",
            json!([[1]]),
        ),
        ("SELECT date_trunc('year', at), year(early), length(binary) FROM `all`",
            json!([["2024-01-01T00:00:00Z", 1969, 3]])),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decimals_are_exact_where_the_server_has_them() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let numbers = ["1.50", "-0.005", "12345678901234567890.25"];
    let prices = mongodb.database(ORG).await.collection::<Document>("prices");
    for number in numbers {
        let number: mongodb::bson::Decimal128 = number.parse().unwrap();
        if prices.insert_one(doc! {"price": number}).await.is_err() {
            eprintln!("NOT RUN: this MongoDB server has no decimals");
            return;
        }
    }
    let live = Live::start(mongodb, Set::default()).await;
    live.check(&[
        (
            "SELECT price FROM prices ORDER BY price",
            json!([["-0.005"], ["1.500"], ["12345678901234567890.250"]]),
        ),
        (
            "SELECT count(*) FROM prices WHERE price = 1.5",
            json!([[1]]),
        ),
    ])
    .await;
}

fn mixed() -> Vec<Document> {
    vec![
        doc! {"_id": 1, "n": 1},
        doc! {"_id": 2, "n": "two"},
        doc! {"_id": 3, "n": 3.0},
        doc! {"_id": 4, "n": [4]},
        doc! {"_id": 5, "n": Bson::Null},
        doc! {"_id": 6},
        doc! {"_id": 7, "n": 7_i64},
    ]
}

const DECLARED: &str = r#"
    [clusters.main.collections.lenient]
    collection = "mixed"
    columns = [ { name = "_id", type = "BIGINT" }, { name = "n", type = "BIGINT" } ]
    [clusters.main.collections.strict]
    collection = "mixed"
    strict = true
    columns = [ { name = "_id", type = "BIGINT" }, { name = "n", type = "BIGINT" } ]
    [clusters.main.collections.fitting]
    collection = "mixed"
    strict = true
    columns = [ { name = "_id", type = "BIGINT" }, { name = "n", type = "JSON" } ]"#;

async fn mixed_live() -> Option<Live> {
    let mongodb = Mongodb::start()?;
    mongodb.load(ORG, "mixed", mixed()).await;
    let set = Set {
        cluster: DECLARED,
        ..Set::default()
    };
    Some(Live::start(mongodb, set).await)
}

/// The warning of the newest query that has this text in it.
async fn warning(live: &Live, part: &str) -> Value {
    let sql = format!(
        "SELECT warning FROM query_history WHERE sql_query LIKE '%{part}%' AND sql_query NOT LIKE '%query_history%' \
         ORDER BY created_at DESC LIMIT 1"
    );
    let rows = live.rows(ORG, &sql).await;
    assert_eq!(rows.as_array().unwrap().len(), 1, "{part}");
    rows[0][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_null_and_counted_in_the_history() {
    let Some(live) = mixed_live().await else {
        return;
    };
    live.check(&[
        (
            "SELECT /* first */ _id, n FROM lenient ORDER BY _id",
            json!([
                [1, 1],
                [2, null],
                [3, null],
                [4, null],
                [5, null],
                [6, null],
                [7, 7]
            ]),
        ),
        (
            "SELECT _id FROM lenient WHERE n IS NULL ORDER BY _id",
            json!([[2], [3], [4], [5], [6]]),
        ),
        ("SELECT /* second */ sum(_id) FROM lenient", json!([[28]])),
        ("SELECT count(n), sum(n) FROM lenient", json!([[2, 8]])),
    ])
    .await;
    let said = warning(&live, "/* first */").await;
    let said = said.as_str().unwrap();
    for word in ["3", "lenient", "n", "BIGINT", "null"] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(warning(&live, "/* second */").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_a_strict_table_fails_the_query() {
    let Some(live) = mixed_live().await else {
        return;
    };
    for sql in [
        "SELECT n FROM strict",
        "SELECT sum(n) FROM strict",
        "SELECT max(n) FROM strict",
        "SELECT n, count(*) FROM strict GROUP BY n",
        "SELECT _id FROM strict WHERE n IS NULL",
        "SELECT n FROM strict ORDER BY n DESC LIMIT 1",
    ] {
        let answer: Answer = live.sql(ORG, sql).await;
        let detail = answer.detail(400);
        for word in ["strict", "n", "BIGINT"] {
            assert!(detail.contains(word), "{sql}: {detail}");
        }
        assert!(!detail.contains("two"), "no value in a message: {detail}");
    }
    live.check(&[
        // What is not looked at may be as it is.
        ("SELECT sum(_id) FROM strict", json!([[28]])),
        ("SELECT count(*) FROM strict", json!([[7]])),
        // And what a condition keeps away on the cluster.
        ("SELECT n FROM strict WHERE n > 5", json!([[7]])),
        (
            "SELECT n FROM fitting ORDER BY _id",
            json!([["1"], ["\"two\""], ["3.0"], ["[4]"], [null], [null], ["7"]]),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_in_groups_is_counted_by_document_under_the_columns_name() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let names = [
        doc! {"name": "Mia"},
        doc! {"name": 1},
        doc! {"name": 1},
        doc! {"name": 1},
        doc! {"name": true},
    ];
    mongodb.load(ORG, "names", names).await;
    let set = Set {
        cluster: "[clusters.main.collections.names]\ncolumns = [ { name = \"name\", type = \"STRING\" } ]",
        ..Set::default()
    };
    let live = Live::start(mongodb, set).await;
    const GROUPS: &str =
        "SELECT /* groups */ name, count(*) AS n FROM names GROUP BY name ORDER BY n";
    live.check(&[(GROUPS, json!([["Mia", 1], [null, 4]]))])
        .await;
    assert_eq!(
        warning(&live, "/* groups */").await,
        "4 of names.name are no STRING and were read as null"
    );
}
