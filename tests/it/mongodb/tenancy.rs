//! Whose documents a query sees: those of its organization, whatever it says.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::proxy::Fate;
use super::server::Mongodb;
use super::{Live, ORG, RIVAL, Set, cases, seed};
use crate::support::Data;

/// What no answer to [`ORG`] may hold.
const SECRET: &str = "secret";

fn orders() -> Vec<Document> {
    let mut orders = Vec::new();
    for n in 0..20 {
        orders.push(doc! {"_id": format!("a{n:02}"), "org_id": ORG, "n": n, "text": "ours", "owner": {"org": ORG}});
        orders.push(doc! {"_id": format!("g{n:02}"), "org_id": RIVAL, "n": n, "text": SECRET, "owner": {"org": RIVAL}});
    }
    // Nobody's: of another type, in a list, missing, of another spelling.
    orders.extend([
        doc! {"_id": "x1", "org_id": [ORG, RIVAL], "n": 1, "text": SECRET},
        doc! {"_id": "x2", "n": 1, "text": SECRET},
        doc! {"_id": "x3", "org_id": ORG.to_uppercase(), "n": 1, "text": SECRET},
        doc! {"_id": "x4", "org_id": {"org_id": ORG}, "n": 1, "text": SECRET},
        doc! {"_id": "x5", "org_id": mongodb::bson::Bson::Null, "n": 1, "text": SECRET},
        doc! {"_id": "x6", "org_id": "", "n": 1, "text": SECRET},
    ]);
    orders
}

/// Both organizations share a database.
async fn shared() -> Option<Live> {
    let mongodb = Mongodb::start()?;
    mongodb.load("shared", "orders", orders()).await;
    mongodb.load("shared", "others", orders()).await;
    mongodb.load("shared", "unseen", orders()).await;
    let set = Set {
        cluster: "[clusters.main.collections.blind]\ncollection = \"unseen\"\n\
                  columns = [ { name = \"_id\", type = \"STRING\" }, { name = \"text\", type = \"STRING\" } ]\n\
                  [clusters.main.collections.nowhere]\ncolumns = [ { name = \"_id\", type = \"STRING\" } ]",
        is_shared: true,
        is_patient: true,
        before: Some(&|data: &Data| {
            data.import_table(ORG, "lake", &[json!({"org_id": RIVAL, "n": 3})]);
        }),
        ..Set::default()
    };
    Some(Live::start(mongodb, set).await)
}

/// Queries that would see more if anything could; each answers with rows, none of them another's.
const ESCAPES: &[&str] = &[
    "SELECT * FROM orders",
    "SELECT * FROM orders AS o WHERE o.org_id = 'globex'",
    "SELECT * FROM orders WHERE org_id = 'globex' OR 1 = 1",
    "SELECT * FROM orders WHERE org_id <> 'acme'",
    "SELECT * FROM orders WHERE org_id IS NULL OR org_id IS NOT NULL",
    "SELECT * FROM orders WHERE NOT (org_id = 'acme')",
    "SELECT * FROM orders WHERE org_id IN ('acme', 'globex', '')",
    "SELECT * FROM orders WHERE org_id NOT IN ('acme')",
    "SELECT * FROM orders WHERE org_id LIKE '%'",
    "SELECT * FROM orders WHERE org_id BETWEEN '' AND 'zzzz'",
    "SELECT * FROM orders WHERE org_id > 'acme' OR org_id < 'acme'",
    "SELECT * FROM orders WHERE lower(org_id) = 'globex' OR upper(org_id) = 'ACME'",
    "SELECT * FROM orders WHERE _id LIKE 'g%' OR _id = 'x1'",
    "SELECT * FROM orders WHERE _id IN ('g00', 'g01', 'x1', 'x2', 'x3', 'a01')",
    "SELECT * FROM orders WHERE org_id = '{\"$ne\": null}' OR _id = '{\"$gt\": \"\"}' OR n = 1",
    "SELECT * FROM orders WHERE org_id = 'acme'' OR ''1'' = ''1'",
    "SELECT * FROM orders o JOIN orders p ON o.n = p.n AND o.org_id <> p.org_id",
    "SELECT p.* FROM lake l LEFT JOIN orders p ON l.org_id = p.org_id OR l.n = p.n",
    "SELECT o.* FROM orders o FULL OUTER JOIN others p ON o._id <> p._id AND o.n = p.n",
    "SELECT o.* FROM orders o, others p WHERE o.n = p.n AND p.org_id = 'globex' OR o.n = 2",
    "SELECT * FROM orders o CROSS JOIN (VALUES ('globex')) AS v(org_id) WHERE o.org_id = v.org_id OR o.n < 3",
    "SELECT text FROM orders UNION SELECT text FROM others",
    "SELECT text FROM orders UNION ALL SELECT text FROM others WHERE org_id = 'globex'",
    "SELECT text FROM others EXCEPT SELECT 'ours'",
    "SELECT _id FROM orders INTERSECT SELECT _id FROM others",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM orders) a) b WHERE b.org_id <> 'acme' OR true",
    "WITH acme AS (SELECT * FROM orders), o AS (SELECT * FROM acme) SELECT * FROM o, acme WHERE o.n = acme.n",
    "WITH orders AS (SELECT * FROM others) SELECT * FROM orders",
    "SELECT (SELECT max(text) FROM others) AS t, (SELECT count(*) FROM orders WHERE org_id = 'globex') AS n",
    "SELECT n FROM lake WHERE EXISTS (SELECT 1 FROM orders o WHERE o.org_id = lake.org_id)",
    "SELECT * FROM others WHERE n IN (SELECT n FROM orders WHERE org_id <> 'acme') OR n NOT IN (SELECT n FROM orders)",
    "SELECT org_id, count(*) AS n FROM orders GROUP BY org_id",
    "SELECT text, count(*) AS n FROM orders GROUP BY text",
    "SELECT org_id, text, max(_id) FROM orders GROUP BY CUBE (org_id, text)",
    "SELECT DISTINCT org_id, text FROM orders",
    "SELECT min(org_id), max(org_id), min(text), max(text), count(*) FROM orders",
    "SELECT max(_id) FROM orders WHERE org_id <> 'acme'",
    "SELECT max(_id), max(org_id) FROM orders ORDER BY 1",
    "SELECT * FROM orders ORDER BY _id DESC LIMIT 5",
    "SELECT * FROM orders ORDER BY org_id DESC NULLS FIRST LIMIT 30",
    "SELECT * FROM orders LIMIT 1000 OFFSET 5",
    "SELECT first_value(text) OVER (ORDER BY org_id DESC), lag(text) OVER (ORDER BY _id DESC) FROM orders",
    "SELECT owner, owner:org FROM orders WHERE owner:org = 'globex' OR owner IS NOT NULL",
    "SELECT * FROM blind",
    "SELECT * FROM blind WHERE text <> 'ours'",
    "SELECT max(text), min(text) FROM blind",
    "SELECT DISTINCT text FROM blind",
    "SELECT * FROM amigo.default.orders",
    "SELECT column_name FROM information_schema.columns",
    "EXPLAIN SELECT * FROM orders WHERE org_id = 'acme'",
    "EXPLAIN SELECT count(*) FROM orders",
];

/// Whether an answer holds anything of the other organization: its texts, its ids or nobody's.
fn holds_others(rows: &Value) -> bool {
    let is_others = |cell: &Value| {
        cell.as_str().is_some_and(|text| {
            let is_id = text.len() == 3 && (text.starts_with('g') || text.starts_with('x'));
            text.contains(SECRET) || is_id || (text.contains(RIVAL) && text != "lake")
        })
    };
    let rows = rows.as_array().unwrap().iter();
    rows.flat_map(|row| row.as_array().unwrap()).any(is_others)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_query_of_a_shared_database_sees_anothers_documents() {
    let Some(live) = shared().await else {
        return;
    };
    let token = live.token(ORG);
    for sql in ESCAPES {
        let answer = live.server.sql(&token, ORG, sql).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        let rows = &answer.json()["result"];
        // A caller may write the other's name; then it comes back as the caller's own words.
        let allowed = sql.contains("VALUES ('globex')");
        assert!(allowed || !holds_others(rows), "{sql}: {rows}");
    }
    live.check(&[
        ("SELECT count(*), sum(n) FROM orders", json!([[20, 190]])),
        (
            "SELECT count(*) FROM orders WHERE org_id = 'globex'",
            json!([[0]]),
        ),
        (
            "SELECT count(*) FROM orders WHERE org_id <> 'acme' OR org_id IS NULL",
            json!([[0]]),
        ),
        (
            "SELECT org_id, count(*) FROM orders GROUP BY org_id",
            json!([["acme", 20]]),
        ),
        ("SELECT count(*) FROM blind", json!([[20]])),
        (
            "SELECT count(*) FROM orders o JOIN others p ON o._id = p._id",
            json!([[20]]),
        ),
    ])
    .await;
    assert_eq!(
        live.rows(RIVAL, "SELECT text, count(*) FROM orders GROUP BY text")
            .await,
        json!([[SECRET, 20]])
    );
    // Other catalogs and databases are none.
    for sql in [
        "SELECT * FROM globex.default.orders",
        "SELECT * FROM shared.orders",
        "SELECT * FROM admin.orders",
        "SELECT * FROM `orders.others`",
        "SELECT * FROM `system.users`",
        "SELECT * FROM `$cmd`",
    ] {
        let answer = live.server.sql(&token, ORG, sql).await;
        let detail = answer.detail(400);
        assert!(!detail.contains(SECRET), "{sql}: {detail}");
    }
}

/// Every question that reached MongoDB about a shared collection says whose documents are meant.
fn is_ours(command: &Document) -> bool {
    let filter = format!("\"org_id\": {{ \"$eq\": \"{ORG}\"");
    // Nothing is nobody's.
    let nothing = "{ \"_id\": { \"$in\": [] } }";
    let text = command.to_string();
    text.contains(&filter) || text.contains(nothing)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_about_a_shared_collection_carries_the_organization() {
    let Some(live) = shared().await else {
        return;
    };
    live.rows(ORG, "SELECT count(*) FROM orders").await;
    let token = live.token(ORG);
    live.proxy.forget_commands();
    for sql in ESCAPES {
        live.server.sql(&token, ORG, sql).await;
    }
    let mut questions = live.proxy.named("find");
    questions.extend(live.proxy.named("aggregate"));
    assert!(questions.len() > ESCAPES.len() / 2, "{}", questions.len());
    for question in questions {
        assert!(is_ours(&question), "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_of_shared_collections_are_the_organizations_own() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let documents = [
        doc! {"org_id": ORG, "a": 1},
        doc! {"org_id": RIVAL, "secret_field": "x", "a": "text"},
    ];
    mongodb.load("shared", "orders", documents).await;
    let set = Set {
        is_shared: true,
        ..Set::default()
    };
    let live = Live::start(mongodb, set).await;
    let described = live.rows(ORG, "DESCRIBE orders").await.to_string();
    assert!(described.contains("BIGINT"), "{described}");
    assert!(!described.contains("secret_field"), "{described}");
    let described = live.rows(RIVAL, "DESCRIBE orders").await.to_string();
    assert!(described.contains("secret_field"), "{described}");
}

/// A listing of collections, each with its kind; strings compare without regard to case in those that have a collation.
fn listing(collections: &[(&str, &str, bool)]) -> Fate {
    let entry = |&(name, kind, has_collation): &(&str, &str, bool)| {
        let options = match has_collation {
            true => doc! {"collation": {"locale": "en", "strength": 2}},
            false => doc! {},
        };
        doc! {"name": name, "type": kind, "options": options, "info": {"readOnly": false}}
    };
    let entries: Vec<Document> = collections.iter().map(entry).collect();
    let cursor = doc! {"id": 0_i64, "ns": "shared.$cmd.listCollections", "firstBatch": entries};
    Fate::Answered(doc! {"cursor": cursor, "ok": 1.0})
}

/// Asks the query, and asserts that every question for documents says whether strings compare by their bytes. What the
/// answer is does not matter: FerretDB knows no collation, and refuses it.
async fn assert_compares_by_bytes(live: &Live, sql: &str, by_bytes: bool) {
    live.proxy.forget_commands();
    live.sql(ORG, sql).await;
    let mut questions = live.proxy.named("find");
    questions.extend(live.proxy.named("aggregate"));
    assert!(!questions.is_empty(), "{sql}");
    for question in questions {
        let collation = question.get_document("collation").ok();
        let is_simple =
            collation.is_some_and(|said| matches!(said.get_str("locale"), Ok("simple")));
        assert_eq!(is_simple, by_bytes, "{sql}: {question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_collation_makes_two_organizations_one() {
    let Some(live) = shared().await else {
        return;
    };
    // The sample as well, which is the first question.
    let collections = [
        ("orders", "collection", true),
        ("others", "collection", false),
    ];
    live.proxy.set("listCollections", listing(&collections));
    assert_compares_by_bytes(&live, "SELECT * FROM orders", true).await;
    assert_compares_by_bytes(&live, "SELECT * FROM others", false).await;
    // A view with a collation is no table, but one that is declared is asked.
    let collections = [
        ("orders", "collection", false),
        ("others", "collection", false),
        ("unseen", "view", true),
    ];
    live.proxy.set("listCollections", listing(&collections));
    assert_compares_by_bytes(&live, "SELECT * FROM blind", true).await;
    // What was known long ago is not trusted.
    let collections = [("others", "collection", true)];
    live.proxy.set("listCollections", listing(&collections));
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_compares_by_bytes(&live, "SELECT * FROM others", true).await;
    // One that is not there has no collation.
    assert_eq!(
        live.rows(ORG, "SELECT count(*) FROM nowhere").await,
        json!([[0]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_organizations_are_their_own() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    mongodb
        .load(ORG, "orders", [doc! {"_id": "a1", "text": "ours"}])
        .await;
    mongodb
        .load(RIVAL, "orders", [doc! {"_id": "g1", "text": SECRET}])
        .await;
    mongodb
        .load(RIVAL, "vault", [doc! {"_id": "g2", "text": SECRET}])
        .await;
    let database = mongodb.template().replace("{org_id}", RIVAL);
    let live = Live::start(mongodb, Set::default()).await;
    live.check(&[
        ("SELECT * FROM orders", json!([["a1", "ours"]])),
        ("SELECT count(*) FROM orders WHERE _id = 'g1'", json!([[0]])),
        (
            "SELECT text FROM orders UNION ALL SELECT text FROM amigo.default.orders",
            json!([["ours"], ["ours"]]),
        ),
    ])
    .await;
    assert_eq!(
        live.rows(RIVAL, "SELECT * FROM orders").await,
        json!([["g1", SECRET]])
    );
    for sql in [
        "SELECT * FROM vault".to_owned(),
        "SELECT * FROM globex.default.orders".to_owned(),
        format!("SELECT * FROM `{database}`.orders"),
        format!("SELECT * FROM `{database}.orders`"),
        format!("SELECT * FROM {database}.default.orders"),
    ] {
        let detail = live.sql(ORG, &sql).await.detail(400);
        assert!(!detail.contains(SECRET), "{sql}: {detail}");
    }
    let explained = live
        .explained(ORG, "SELECT text FROM orders WHERE _id = 'a1'")
        .await;
    assert!(!explained.contains(&database), "{explained}");
}

/// Conditions over the columns of `orders`, of any shape.
fn conditions() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("acme"),
        Just("globex"),
        Just(""),
        Just("ACME"),
        Just("g00"),
        Just("x1"),
        Just("z")
    ];
    let column = prop_oneof![Just("org_id"), Just("_id"), Just("text")];
    let comparison = prop_oneof![
        Just("="),
        Just("<>"),
        Just("<"),
        Just(">"),
        Just("<="),
        Just(">=")
    ];
    let leaf = prop_oneof![
        (column.clone(), comparison, text.clone()).prop_map(|(c, op, t)| format!("{c} {op} '{t}'")),
        (column.clone(), prop::bool::ANY)
            .prop_map(|(c, not)| format!("{c} IS {}NULL", if not { "NOT " } else { "" })),
        (column.clone(), text.clone()).prop_map(|(c, t)| format!("{c} LIKE '{t}%'")),
        (column.clone(), text.clone(), text.clone())
            .prop_map(|(c, t, u)| format!("{c} IN ('{t}', '{u}')")),
        (column.clone(), text.clone()).prop_map(|(c, t)| format!("{c} NOT IN ('{t}')")),
        (column, text).prop_map(|(c, t)| format!("lower({c}) = '{t}'")),
        (-1..21).prop_map(|n| format!("n >= {n}")),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_condition_crosses() {
    const AT_ONCE: u64 = 20;
    let Some(live) = shared().await else {
        return;
    };
    let token = live.token(ORG);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), chance);
    let rounds = cases(200).div_ceil(AT_ONCE);
    for _ in 0..rounds {
        let mut selects = Vec::new();
        for _ in 0..AT_ONCE {
            let condition = conditions().new_tree(&mut runner).unwrap().current();
            selects.push(format!(
                "SELECT count(*) AS n, max(text) AS high, min(text) AS low, max(org_id) AS org FROM \
                 (SELECT * FROM orders WHERE {condition})"
            ));
        }
        let sql = selects.join(" UNION ALL ");
        let rows = live.server.rows(&token, ORG, &sql).await;
        for (row, select) in rows.as_array().unwrap().iter().zip(&selects) {
            assert!(row[0].as_u64().unwrap() <= 20, "{select}: {row}");
            for cell in 1..3 {
                assert!(
                    row[cell].is_null() || row[cell] == "ours",
                    "{select}: {row}"
                );
            }
        }
        assert!(!holds_others(&rows), "{sql}");
    }
}
