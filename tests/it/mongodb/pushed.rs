//! What is asked of the cluster for a query: as little as can be, told by `EXPLAIN`, and nothing that could harm it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use reqwest::Method;
use serde_json::{Value, json};

use super::proxy::Fate;
use super::server::Mongodb;
use super::{Live, ORG, Set};
use crate::support::{Answer, Data};

/// Everything that the server may ever ask; none of them writes.
const ALLOWED: [&str; 16] = [
    "hello",
    "isMaster",
    "ismaster",
    "ping",
    "buildInfo",
    "connectionStatus",
    "find",
    "aggregate",
    "getMore",
    "killCursors",
    "listCollections",
    "listIndexes",
    "collStats",
    "count",
    "endSessions",
    "saslStart",
];

fn numbers(count: i32) -> impl Iterator<Item = Document> {
    (0..count).map(
        |n| doc! {"_id": n, "n": n, "text": format!("number {n}"), "group": format!("g{}", n % 7)},
    )
}

async fn live(count: i32, set: Set<'_>) -> Option<Live> {
    let mongodb = Mongodb::start()?;
    let numbers = mongodb.load(ORG, "numbers", numbers(count)).await;
    let index = mongodb::IndexModel::builder().keys(doc! {"n": 1}).build();
    numbers.create_index(index).await.unwrap();
    let live = Live::start(mongodb, set).await;
    // The sample and the listing are behind us.
    live.rows(ORG, "SELECT count(*) FROM numbers").await;
    live.proxy.forget_commands();
    Some(live)
}

/// The commands that ask for documents of the collection.
fn questions(live: &Live) -> Vec<Document> {
    let mut questions = live.proxy.named("find");
    questions.extend(live.proxy.named("aggregate"));
    questions
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_what_is_asked_and_that_is_what_is_asked() {
    let Some(live) = live(50, Set::default()).await else {
        return;
    };
    for (sql, shown) in [
        (
            "SELECT text FROM numbers WHERE n > 40 AND text LIKE 'number 4%'",
            &[
                "find({",
                "\"$gt\":40",
                "\"number 4\"",
                "{\"text\":1,\"_id\":0}",
            ] as &[&str],
        ),
        (
            "SELECT n FROM numbers LIMIT 3",
            &["find({}, {\"n\":1,\"_id\":0}).limit(3)"],
        ),
        (
            "SELECT n FROM numbers WHERE n < 9 LIMIT 3",
            &["\"$lt\":9", ".limit(3)"],
        ),
        (
            "SELECT count(*) FROM numbers",
            &["aggregate([{\"$count\":\"n\"}])"],
        ),
        (
            "SELECT count(*) FROM numbers WHERE n = 7",
            &["\"$match\"", "\"$eq\":7", "\"$count\""],
        ),
        (
            "SELECT max(n) FROM numbers",
            &[".sort({\"n\":-1})", ".limit(1)"],
        ),
        (
            "SELECT text FROM numbers ORDER BY n DESC LIMIT 5",
            &[".sort({\"n\":-1})", ".limit(5)"],
        ),
        (
            "SELECT `group`, count(*) FROM numbers GROUP BY `group`",
            &["\"$group\"", "\"$sum\":1"],
        ),
    ] {
        let explained = live.explained(ORG, sql).await;
        for part in shown {
            assert!(
                explained.contains(part),
                "{sql}: {part} is not in {explained}"
            );
        }
        assert!(!explained.contains("127.0.0.1"), "{explained}");
        assert!(
            questions(&live).is_empty(),
            "EXPLAIN asks nothing of the collection: {:?}",
            questions(&live)
        );
        live.rows(ORG, sql).await;
        let asked = questions(&live);
        assert!(!asked.is_empty(), "{sql}");
        for part in [".limit(3)", ".limit(1)", ".limit(5)"] {
            let limit = part[7..8].parse::<i64>().unwrap();
            if shown.concat().contains(part) {
                let is_limited =
                    |find: &Document| find.get_i64("limit").is_ok_and(|of| of == limit);
                assert!(asked.iter().all(is_limited), "{sql}: {asked:?}");
            }
        }
        live.proxy.forget_commands();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_evaluated_here() {
    let Some(live) = live(50, Set::default()).await else {
        return;
    };
    for (sql, rows) in [
        (
            "SELECT n FROM numbers WHERE text LIKE '%9' AND n + 1 = 50",
            json!([[49]]),
        ),
        (
            "SELECT n FROM numbers WHERE upper(text) = 'NUMBER 7'",
            json!([[7]]),
        ),
        (
            "SELECT count(*) FROM numbers WHERE text RLIKE '^number [0-4]$'",
            json!([[5]]),
        ),
        (
            "SELECT count(*) FROM numbers WHERE text ILIKE 'NUMBER 1%'",
            json!([[11]]),
        ),
        ("SELECT sum(n) FROM numbers WHERE n % 2 = 0", json!([[600]])),
    ] {
        let explained = live.explained(ORG, sql).await;
        assert!(explained.contains("FilterExec"), "{explained}");
        live.proxy.forget_commands();
        assert_eq!(live.rows(ORG, sql).await, rows, "{sql}");
        for question in questions(&live) {
            let text = question.to_string();
            for never in [
                "$where",
                "$regex",
                "$expr",
                "$function",
                "$out",
                "$merge",
                "regularExpression",
            ] {
                assert!(!text.contains(never), "{sql}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subqueries_that_differ_are_asked_each() {
    let Some(live) = live(50, Set::default()).await else {
        return;
    };
    live.check(&[
        (
            "SELECT (SELECT count(*) FROM numbers WHERE n > 9), (SELECT count(*) FROM numbers WHERE n > 39), \
             (SELECT max(n) FROM numbers WHERE n < 20), (SELECT max(n) FROM numbers WHERE n < 30)",
            json!([[40, 10, 19, 29]]),
        ),
        (
            "SELECT (SELECT count(DISTINCT `group`) FROM numbers WHERE n < 3), \
             (SELECT count(DISTINCT `group`) FROM numbers WHERE n < 5)",
            json!([[3, 5]]),
        ),
        (
            "SELECT (SELECT n FROM numbers ORDER BY n LIMIT 1), (SELECT n FROM numbers ORDER BY n DESC LIMIT 1)",
            json!([[0, 49]]),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_has_a_time_limit_and_the_querys_id() {
    let set = Set {
        cluster: "batch_documents = 700\nread_concern = \"local\"",
        settings: &[("LIMITS__SQL_SECONDS", "10")],
        ..Set::default()
    };
    let Some(live) = live(2_000, set).await else {
        return;
    };
    live.check(&[
        ("SELECT sum(n) FROM numbers", json!([[1_999_000]])),
        ("SELECT count(*) FROM numbers WHERE n > 5", json!([[1_994]])),
    ])
    .await;
    let history = "SELECT query_id FROM query_history WHERE sql_query LIKE '%numbers%'";
    let ids = live.rows(ORG, history).await;
    let ids: HashSet<String> = ids
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect();
    let asked = questions(&live);
    assert!(asked.len() >= 2, "{asked:?}");
    for question in asked {
        let limit = question
            .get("maxTimeMS")
            .unwrap_or_else(|| panic!("{question}"));
        let limit = limit.as_i64().or(limit.as_i32().map(i64::from)).unwrap();
        assert!((1..=10_000).contains(&limit), "{question}");
        let comment = question.get_str("comment").unwrap();
        assert!(
            ids.iter().any(|id| comment.contains(id.as_str())),
            "{comment}"
        );
        let concern = question.get_document("readConcern").unwrap();
        assert_eq!(concern, &doc! {"level": "local"});
    }
    let [find] = &live.proxy.named("find")[..] else {
        panic!("{:?}", live.proxy.named("find"))
    };
    assert!(find.to_string().contains("\"batchSize\": 700"), "{find}");
    let more = live.proxy.named("getMore");
    assert_eq!(more.len(), 2, "{more:?}");
    for more in more {
        assert!(more.to_string().contains("\"batchSize\": 700"), "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_reading_is_ever_asked() {
    let Some(live) = live(300, Set::default()).await else {
        return;
    };
    for sql in [
        "SELECT * FROM numbers",
        "SELECT n FROM numbers WHERE text = '{\"$where\": \"1\"}' OR text = '$out'",
        "SELECT `group`, count(*) FROM numbers GROUP BY `group`",
        "DESCRIBE numbers",
        "SHOW TABLES",
    ] {
        live.rows(ORG, sql).await;
    }
    for sql in [
        "INSERT INTO numbers VALUES (1)",
        "DELETE FROM numbers",
        "UPDATE numbers SET n = 1",
        "DROP TABLE numbers",
        "CREATE TABLE t AS SELECT * FROM numbers",
        "TRUNCATE TABLE numbers",
        "COPY numbers TO 'x.csv'",
    ] {
        live.sql(ORG, sql).await.detail(400);
    }
    for command in live.proxy.commands() {
        let name = command.keys().next().unwrap();
        assert!(ALLOWED.contains(&name.as_str()), "{command}");
    }
    assert_eq!(
        live.rows(ORG, "SELECT count(*) FROM numbers").await,
        json!([[300]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_stops_the_reading() {
    let Some(live) = live(60_000, Set::default()).await else {
        return;
    };
    // A condition that is evaluated here has its rows of 8,192 documents at a time, on each core.
    let rows = live
        .rows(ORG, "SELECT n FROM numbers WHERE n % 100 = 3 LIMIT 2")
        .await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let read = live.proxy.named("getMore").len();
    assert!(read <= 40, "{read} more batches were read of 60");
    // A page is 1,000 rows; of the others nobody asked for more than one.
    live.proxy.forget_commands();
    let answer = live.sql(ORG, "SELECT n FROM numbers").await.json();
    assert_eq!(answer["truncated"], true);
    let read = live.proxy.named("getMore").len();
    assert!(read <= 8, "{read} more batches were read of 60");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_reads_than_allowed_are_in_flight() {
    let set = Set {
        cluster: "concurrent_scans = 2\nbatch_documents = 100",
        settings: &[("LIMITS__SQL_WORKERS", "6")],
        ..Set::default()
    };
    let Some(live) = live(1_000, set).await else {
        return;
    };
    let token = live.token(ORG);
    let sql = "SELECT sum(a.n), sum(b.n) FROM numbers a JOIN numbers b ON a.n = b.n JOIN numbers c ON c.n = b.n";
    live.proxy
        .set("find", Fate::Late(Duration::from_millis(300)));
    live.proxy
        .set("getMore", Fate::Late(Duration::from_millis(20)));
    let asked = (0..4).map(|_| live.server.sql(&token, ORG, sql));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["result"], json!([[499_500, 499_500]]));
    }
    assert!(live.proxy.most_reads() <= 2);
    assert!(live.proxy.named("find").len() >= 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_joins_a_table_of_the_lake() {
    let set = Set {
        before: Some(&|data: &Data| {
            let rows: Vec<Value> = (0..7)
                .map(|n| json!({"name": format!("g{n}"), "weight": n * 10}))
                .collect();
            data.import_table(ORG, "groups", &rows);
        }),
        ..Set::default()
    };
    let Some(live) = live(70, set).await else {
        return;
    };
    live.check(&[
        (
            "SELECT g.weight, count(*), max(x.n) FROM numbers x JOIN groups g ON g.name = x.`group` \
             WHERE g.weight >= 50 GROUP BY g.weight ORDER BY 1",
            json!([[50, 10, 68], [60, 10, 69]]),
        ),
        (
            "SELECT count(*) FROM groups WHERE name NOT IN (SELECT `group` FROM numbers WHERE n < 3)",
            json!([[4]]),
        ),
        (
            "WITH both AS (SELECT `group` AS name FROM numbers UNION ALL SELECT name FROM groups) \
             SELECT name, count(*) FROM both GROUP BY name ORDER BY name LIMIT 1",
            json!([["g0", 11]]),
        ),
    ])
    .await;
}

/// Submits an asynchronous query; its handle.
async fn submit(live: &Live, sql: &str, format: &str) -> Value {
    let body = json!({"sql_query": sql, "async_query": true, "result_format": format});
    let path = format!("/v1/{ORG}/admin/sql_query");
    let request = live.server.request(Method::POST, &path);
    let answer = Answer::of(request.bearer_auth(live.token(ORG)).json(&body)).await;
    assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
    answer.json()
}

async fn fetched(live: &Live, handle: &Value) -> Answer {
    let url = handle["signed_url"].as_str().unwrap();
    let path = url.strip_prefix(&live.server.base_url).unwrap();
    let started = Instant::now();
    loop {
        let answer = Answer::of(live.server.request(Method::GET, path)).await;
        if answer.status != 202 {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "it never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asynchronous_queries_have_every_document_and_their_place_in_the_history() {
    let Some(live) = live(5_000, Set::default()).await else {
        return;
    };
    let handle = submit(&live, "SELECT n, text FROM numbers", "json").await;
    let answer = fetched(&live, &handle).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut seen: Vec<u64> = answer
        .text()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["n"]
                .as_u64()
                .unwrap()
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..5_000).collect::<Vec<u64>>());
    let id = handle["query_id"].as_str().unwrap();
    let history = format!(
        "SELECT status, rows, bytes_scanned > 100000, warning FROM query_history WHERE query_id = '{id}'"
    );
    live.check(&[(&history, json!([["succeeded", 5_000, true, null]]))])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_deleted_kills_its_cursor() {
    let Some(live) = live(20_000, Set::default()).await else {
        return;
    };
    let handle = submit(&live, "SELECT n, text FROM numbers", "csv").await;
    live.proxy
        .set("getMore", Fate::Late(Duration::from_millis(100)));
    wait(&live, "getMore").await;
    let id = handle["query_id"].as_str().unwrap();
    let path = format!("/v1/{ORG}/admin/sql_query/{id}");
    let request = live.server.request(Method::DELETE, &path);
    let answer = Answer::of(request.bearer_auth(live.token(ORG))).await;
    assert!(answer.status < 300, "{}", answer.text());
    let killed = wait(&live, "killCursors").await;
    // It is the cursor of the query that is gone, on the cluster too.
    let more = live.proxy.named("getMore");
    let cursor = more[0].get_i64("getMore").unwrap();
    assert!(killed.to_string().contains(&cursor.to_string()), "{killed}");
    live.proxy.clear();
    let database = live.mongodb.database(ORG).await;
    let gone = database
        .run_command(doc! {"getMore": cursor, "collection": "numbers"})
        .await;
    assert!(gone.is_err(), "{gone:?}");
    let more = live.proxy.named("getMore").len();
    assert!(more < 19, "it read on to the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_takes_the_cursor_along() {
    let Some(live) = live(20_000, Set::default()).await else {
        return;
    };
    live.proxy
        .set("getMore", Fate::Late(Duration::from_millis(100)));
    let request = live
        .server
        .sql_request(&live.token(ORG), ORG, "SELECT sum(n + 0) FROM numbers");
    let query = tokio::spawn(request.send());
    wait(&live, "getMore").await;
    query.abort();
    wait(&live, "killCursors").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_opens_for_nobody_is_killed_on_every_server() {
    let Some(live) = live(20_000, Set::default()).await else {
        return;
    };
    let (live, second) = live.with_two_servers().await;
    live.rows(ORG, "SELECT count(*) FROM numbers").await;
    for proxy in [&live.proxy, &second] {
        proxy.forget_commands();
        proxy.set("find", Fate::Late(Duration::from_millis(500)));
    }
    let request = live
        .server
        .sql_request(&live.token(ORG), ORG, "SELECT sum(n + 0) FROM numbers");
    let query = tokio::spawn(request.send());
    while live.proxy.named("find").is_empty() && second.named("find").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    query.abort();
    let started = Instant::now();
    while live.proxy.named("killCursors").is_empty() || second.named("killCursors").is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "the cursor lives on"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_nest_deeply_are_answered_and_cost_no_worker() {
    let Some(live) = live(50, Set::default()).await else {
        return;
    };
    let deeper = |inner: &str| {
        (0..10).fold(inner.to_owned(), |inner, n| {
            format!("(n = {n} OR (n < {} AND {inner}))", 1_000 + n)
        })
    };
    let sql = format!(
        "WITH a AS (SELECT n, text, {} AS p FROM numbers), b AS (SELECT n, text, {} AS p FROM a), \
         c AS (SELECT n, text, {} AS p FROM b) SELECT count(*) FROM c WHERE p",
        deeper("text <> 'number 30'"),
        deeper("p"),
        deeper("p"),
    );
    assert_eq!(live.rows(ORG, &sql).await, json!([[49]]));
}

/// Waits for a command of this name.
async fn wait(live: &Live, name: &str) -> Document {
    let started = Instant::now();
    loop {
        if let Some(command) = live.proxy.named(name).pop() {
            return command;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "no {name}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
