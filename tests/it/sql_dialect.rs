//! What people write against a lakehouse (the wire contract, section 6) runs as they wrote it; what cannot says what to
//! write instead.

mod edges;
mod functions;
mod lakehouse;
mod meaning;
mod optimized;
mod problems;
mod spark;

use serde_json::{Value, json};

use crate::sql_query::{ORG, acme, columns};
use crate::support::{Data, SUPER_ADMINISTRATOR, Server};

/// The tables of `sql_query`, and one whose columns have capitals.
fn lake(data: &Data) {
    acme(data);
    let event = |id: &str, at: &str, list: Value| {
        let payload =
            json!({"kind": "click", "size": {"w": 3}, "tags": [{"k": "x"}, {"k": "y"}], "n": list});
        json!({"userId": id, "createdAt": at, "payload": payload.to_string(), "amount": 10, "parts": 4})
    };
    let events = [
        event("ann", "2026-01-05T08:30:00Z", json!([1, 2])),
        event("bob", "2026-03-15T22:05:07.25Z", json!(null)),
    ];
    data.import_table(ORG, "events", &events);
}

/// Runs each query; all that answer otherwise are told at once.
async fn check_rows(cases: &[(&str, Value)]) {
    check_rows_in(lake, cases).await;
}

async fn check_rows_in(lake: fn(&Data), cases: &[(&str, Value)]) {
    let server = Server::start(lake);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let mut wrong = Vec::new();
    for (sql, rows) in cases {
        let answer = server.sql(&token, ORG, sql).await;
        let told = answer.json();
        if told["result"] != *rows {
            wrong.push(format!("{sql}\n  expected {rows}\n  was {}", answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs `SELECT` with each expression, which must have that value.
async fn check_values(cases: &[(&str, Value)]) {
    let queries: Vec<(String, Value)> = cases
        .iter()
        .map(|(expr, value)| (format!("SELECT {expr}"), json!([[value]])))
        .collect();
    let queries: Vec<(&str, Value)> = queries
        .iter()
        .map(|(sql, rows)| (sql.as_str(), rows.clone()))
        .collect();
    check_rows(&queries).await;
}

/// Every query is refused with a sentence that holds all those words.
async fn check_refused(cases: &[(&str, &[&str])]) {
    check_refused_in(lake, cases).await;
}

async fn check_refused_in(lake: fn(&Data), cases: &[(&str, &[&str])]) {
    let server = Server::start(lake);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let mut wrong = Vec::new();
    for (sql, words) in cases {
        let answer = server.sql(&token, ORG, sql).await;
        let told = answer.json();
        let detail = told["detail"].as_str().unwrap_or_default();
        if answer.status != 400 || !words.iter().all(|word| detail.contains(word)) {
            wrong.push(format!(
                "{sql}\n  expected {words:?}\n  was {}",
                answer.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_published_examples_run_as_written() {
    check_rows(&[
        (
            "SELECT DATE(created_at) AS day, COUNT(DISTINCT user_id) AS users FROM conversations \
             WHERE created_at >= CURRENT_DATE - INTERVAL '7 days' GROUP BY DATE(created_at) ORDER BY day",
            json!([]),
        ),
        (
            "SELECT date_trunc('day', created_at) AS day, COUNT(*) FROM conversations GROUP BY 1 ORDER BY 1",
            json!([["2026-01-05T00:00:00Z", 3]]),
        ),
        (
            "SELECT u.first_name, get_json_object(u.preferences, '$.language'), COUNT(c._id) FROM users u \
             JOIN conversations c ON u.user_id = c.user_id GROUP BY u.first_name, u.preferences ORDER BY 1",
            json!([["Ann", "en", 2], ["Bob", null, 1]]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn clauses_behind_a_group_by_count() {
    check_rows(&[
        (
            "SELECT userId, count(*) FROM events GROUP BY userId WITH ROLLUP ORDER BY 1 NULLS LAST",
            json!([["ann", 1], ["bob", 1], [null, 2]]),
        ),
        (
            "SELECT count(*) FROM (SELECT userId, parts FROM events GROUP BY userId, parts WITH CUBE)",
            json!([[6]]),
        ),
        (
            "SELECT userId, parts FROM events GROUP BY userId, parts GROUPING SETS ((userId), (parts)) ORDER BY 1 NULLS LAST",
            json!([["ann", null], ["bob", null], [null, 4]]),
        ),
    ])
    .await;
    check_refused(&[
        (
            "SELECT count(*) FROM events TABLESAMPLE (10 PERCENT)",
            &["TABLESAMPLE", "random()"],
        ),
        ("FROM events", &["SELECT * FROM"]),
    ])
    .await;
}

#[tokio::test]
async fn null_is_less_than_every_value() {
    const X: &str = "FROM (VALUES (1), (NULL), (2)) AS t(x)";
    let ordered = |order: &str| format!("SELECT x {X} ORDER BY x {order}");
    let [up, down, last] = ["", "DESC", "NULLS LAST"].map(ordered);
    let first = format!("SELECT x, row_number() OVER (ORDER BY x) AS n {X} ORDER BY n LIMIT 1");
    check_rows(&[
        (&up, json!([[null], [1], [2]])),
        (&down, json!([[2], [1], [null]])),
        (&last, json!([[1], [2], [null]])),
        (&first, json!([[null, 1]])),
    ])
    .await;
    let whole = "SELECT CAST(at AS TIMESTAMP(0)) FROM events";
    check_refused(&[(whole, &["TIMESTAMP(0)", "date_trunc"])]).await;
}

#[tokio::test]
async fn a_condition_that_is_null_has_no_rows() {
    check_rows(&[
        (
            "SELECT count(*) FROM events WHERE amount NOT IN (1, NULL)",
            json!([[0]]),
        ),
        (
            "SELECT count(*) FROM events WHERE amount BETWEEN 1 AND NULL",
            json!([[0]]),
        ),
        (
            "SELECT count(*) FROM events WHERE userId = 'ann' AND NULL",
            json!([[0]]),
        ),
        (
            "SELECT count(*) FROM events WHERE userId = 'ann' OR NULL",
            json!([[1]]),
        ),
        ("SELECT count(*) FROM events WHERE NULL", json!([[0]])),
    ])
    .await;
}

#[tokio::test]
async fn names_are_found_whatever_their_case() {
    check_rows(&[
        ("SELECT userId FROM events ORDER BY USERID", json!([["ann"], ["bob"]])),
        ("SELECT E.`UserId` FROM `Events` AS e WHERE e.USERID = 'ann'", json!([["ann"]])),
        ("SELECT \"USERID\" FROM Amigo.Default.EVENTS WHERE createdAt > '2026-02-01'", json!([["bob"]])),
        ("SELECT x.`The Day` FROM (SELECT date(createdat) AS `The DAY` FROM events) X ORDER BY 1 LIMIT 1", json!([["2026-01-05"]])),
        ("SELECT count(*) FROM events JOIN users ON Events.UserID = users.User_Id", json!([[2]])),
        ("WITH Busy AS (SELECT userid AS Who FROM events) SELECT `WHO` FROM busy ORDER BY who", json!([["ann"], ["bob"]])),
        ("SELECT count(*) FROM events WHERE userId LIKE 'a%'", json!([[1]])),
        ("DESCRIBE events", json!([["amount", "BIGINT", null], ["createdAt", "TIMESTAMP", null], ["parts", "BIGINT", null], ["payload", "STRING", null], ["userId", "STRING", null]])),
        ("SELECT column_name FROM information_schema.columns WHERE table_name = 'events' ORDER BY 1 LIMIT 2", json!([["amount"], ["createdAt"]])),
    ])
    .await;
}

#[tokio::test]
async fn columns_have_the_names_they_were_asked_for_by() {
    let server = Server::start(lake);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for (sql, expected) in [
        (
            "SELECT * FROM events",
            "amount BIGINT, createdAt TIMESTAMP, parts BIGINT, payload STRING, userId STRING",
        ),
        (
            "SELECT userId, USERID FROM events",
            "userId STRING, USERID STRING",
        ),
        (
            "SELECT e.*, upper(userId), amount AS Sum FROM events e LIMIT 1",
            "amount BIGINT, createdAt TIMESTAMP, parts BIGINT, payload STRING, userId STRING, upper(userId) STRING, Sum BIGINT",
        ),
        (
            "SELECT * EXCEPT (payload, CreatedAt) FROM events",
            "amount BIGINT, parts BIGINT, userId STRING",
        ),
        (
            "SELECT count(*), count(*) FROM events ORDER BY count(*)",
            "count(*) BIGINT, count(*) BIGINT",
        ),
        (
            "SELECT DISTINCT upper(userid), upper(userid) FROM events ORDER BY upper(userid) DESC",
            "upper(userid) STRING, upper(userid) STRING",
        ),
        (
            "SELECT CAST(1 AS TINYINT), CAST(1 AS SMALLINT) ORDER BY 1",
            "CAST(1 AS TINYINT) TINYINT, CAST(1 AS SMALLINT) SMALLINT",
        ),
        (
            "SELECT *, amount FROM events",
            "amount BIGINT, createdAt TIMESTAMP, parts BIGINT, payload STRING, userId STRING, amount BIGINT",
        ),
    ] {
        let answer = server.sql(&token, ORG, sql).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        assert_eq!(columns(&answer).join(", "), expected, "{sql}");
    }
}

#[tokio::test]
async fn operators_do_what_they_do_in_a_lakehouse() {
    check_values(&[
        ("10 / 4", json!(2.5)),
        ("CAST(10 AS DECIMAL(4,1)) / 4", json!("2.50000")),
        ("7 div 2", json!(3)),
        ("7 % 4", json!(3)),
        ("1 == 1", json!(true)),
        ("NULL <=> NULL", json!(true)),
        ("1 <=> NULL", json!(false)),
        ("try_divide(1, 0)", json!(null)),
        ("'abc' RLIKE '^a.c$'", json!(true)),
        ("'abc' NOT RLIKE 'b'", json!(false)),
        ("rlike('abc', 'b')", json!(true)),
        ("'ABC' ILIKE 'a%'", json!(true)),
        ("'a' || 'b' || 1", json!("ab1")),
        ("'a' || NULL", json!(null)),
        ("array(1, 2)[0]", json!(1)),
        ("array(1, 2)[-1]", json!(2)),
        ("array(1, 2)[7]", json!(null)),
        ("array(1, 2) || array(3)", json!([1, 2, 3])),
        ("named_struct('Ab', 5)['ab']", json!(5)),
        ("map('k', 5)['k']", json!(5)),
        ("'5'::INT + 1", json!(6)),
        ("TRY_CAST('x' AS INT)", json!(null)),
        ("CAST(1 AS STRING)", json!("1")),
        (
            "'2026-01-05T10:00:00Z'::TIMESTAMP",
            json!("2026-01-05T10:00:00Z"),
        ),
        (
            "CAST('2026-01-05 10:00:00' AS TIMESTAMP_NTZ)",
            json!("2026-01-05T10:00:00"),
        ),
        ("CAST('ab' AS BINARY)", json!("YWI=")),
        ("CAST('1.25' AS DECIMAL(5,1))", json!("1.3")),
        ("typeof(CAST(1 AS LONG))", json!("BIGINT")),
        (
            "typeof(CAST('0001-01-01' AS TIMESTAMP))",
            json!("TIMESTAMP"),
        ),
    ])
    .await;
    check_rows(&[
        ("SELECT sum(amount / parts) FROM events", json!([[5.0]])),
        (
            "SELECT amount / (parts - 4) FROM events WHERE amount < 0",
            json!([]),
        ),
    ])
    .await;
    check_refused(&[
        (
            "SELECT amount / (parts - 4) FROM events",
            &["division by zero", "try_divide"],
        ),
        ("SELECT CAST(1 AS NUMBR)", &["no type numbr", "BIGINT"]),
    ])
    .await;
}

#[tokio::test]
async fn json_columns_open_with_paths_and_arrows() {
    let of_ann = |expr: &str| format!("SELECT {expr} FROM events WHERE userId = 'ann'");
    let cases = [
        ("payload:kind", json!("click")),
        ("payload:size.w::INT + 1", json!(4)),
        ("payload:tags[1].k", json!("y")),
        ("payload:['kind']", json!("click")),
        ("payload:tags[*].k", json!("[\"x\",\"y\"]")),
        ("e.payload:size", json!("{\"w\":3}")),
        ("payload -> 'size' ->> 'w'", json!("3")),
        ("payload ->> 'kind'", json!("click")),
        ("(payload -> 'tags' -> 0 ->> 'k')", json!("x")),
        ("get_json_object(payload, '$.n[0]')", json!("1")),
        ("json_array_length(payload, 'n')", json!(2)),
        ("payload:none IS NULL", json!(true)),
    ];
    let cases: Vec<(String, Value)> = cases
        .into_iter()
        .map(|(expr, value)| (of_ann(expr).replace("events", "events e"), json!([[value]])))
        .collect();
    let cases: Vec<(&str, Value)> = cases
        .iter()
        .map(|(sql, rows)| (sql.as_str(), rows.clone()))
        .collect();
    check_rows(&cases).await;
    check_refused(&[
        (
            "SELECT from_json(payload, 'kind STRING').kind FROM events",
            &["get_json_object"],
        ),
        ("SELECT payload:[userId] FROM events", &["get_json_object"]),
    ])
    .await;
}

#[tokio::test]
async fn clauses_of_a_lakehouse_run() {
    check_rows(&[
        ("SELECT user_id, count(*) FROM conversations GROUP BY ALL ORDER BY ALL", json!([["ann", 2], ["bob", 1]])),
        (
            "SELECT _id FROM conversations QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY created_at) = 1 ORDER BY _id",
            json!([["c1"], ["c33"]]),
        ),
        ("SELECT explode(array(1, 2)) AS x ORDER BY x DESC", json!([[2], [1]])),
        ("SELECT x FROM unnest(array(1, 2)) AS t(x) ORDER BY x", json!([[1], [2]])),
        (
            "SELECT userId, x FROM (SELECT userId, array(1, parts) AS l FROM events) e LATERAL VIEW explode(l) v AS x \
             WHERE userId = 'ann' ORDER BY x",
            json!([["ann", 1], ["ann", 4]]),
        ),
        (
            "SELECT user_id, v.x FROM users, unnest(array(user_id, first_name)) AS v(x) WHERE user_id = 'ann' ORDER BY x",
            json!([["ann", "Ann"], ["ann", "ann"]]),
        ),
        ("SELECT p.payload ->> 'kind' FROM (SELECT e.payload AS payload FROM events e) p LIMIT 1", json!([["click"]])),
        ("SELECT transform(array(1, 2), x -> x * 10)", json!([[[10, 20]]])),
        ("SELECT filter(array(1, 2, 3), x -> x > 1)", json!([[[2, 3]]])),
        ("SELECT any_match(array(1, 2, 3), x -> x > 2)", json!([[true]])),
        ("SELECT count(*) FROM users WHERE first_name IS DISTINCT FROM 'Ann'", json!([[2]])),
        ("SELECT CASE WHEN 1 = 1 THEN 'a' END", json!([["a"]])),
    ])
    .await;
}

#[tokio::test]
async fn joins_let_others_run() {
    let server = Server::start(lake);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for condition in ["u.user_id = e.userId", "u.user_id < e.userId"] {
        let sql = format!("EXPLAIN SELECT count(*) FROM users u JOIN events e ON {condition}");
        let plan = server.rows(&token, ORG, &sql).await[1][1].to_string();
        let lines: Vec<&str> = plan.split("\\n").map(str::trim).collect();
        let join = lines
            .iter()
            .position(|line| line.contains("JoinExec"))
            .unwrap();
        assert_eq!(lines[join - 1], "CooperativeExec", "{plan}");
    }
}
