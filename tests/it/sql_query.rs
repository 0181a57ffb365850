//! `sql_query` (the wire contract, section 2): what runs, what comes back, and as what.

mod values;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMINISTRATOR, Answer, Data, SUPER_ADMINISTRATOR, Server, log};

pub(crate) const ORG: &str = "acme";

/// Two users, three conversations and two visits, whose shapes are those of the contract's section 6.
pub(crate) fn acme(data: &Data) {
    data.org(ORG);
    let conversation = |id: &str, user: &str, at: &str, finished: bool| {
        let interactions = json!([{"score": id.len(), "tags": ["a", null]}]);
        json!({"_id": id, "created_at": at, "interactions": interactions, "is_finished": finished, "user_id": user})
    };
    let conversations = [
        conversation("c1", "ann", "2026-01-05T08:30:00Z", true),
        conversation("c2", "ann", "2026-01-05T23:59:59.5Z", false),
        conversation("c33", "bob", "2026-01-06T01:00:00+02:00", true),
    ];
    data.import_table(ORG, "conversations", &conversations);
    let users = [
        json!({"first_name": "Ann", "preferences": {"language": "en"}, "user_id": "ann"}),
        json!({"first_name": "Bob", "preferences": null, "user_id": "bob"}),
        json!({"first_name": null, "preferences": {}, "user_id": "cy"}),
    ];
    data.import_table(ORG, "users", &users);
}

/// The columns of an answer as `name TYPE`, `name TYPE*` where numbers are written as text.
pub(crate) fn columns(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let columns = answer["columns"].as_array().unwrap().iter();
    columns
        .map(|column| {
            let mark = match column.get("encoding") {
                Some(encoding) if encoding == "string" => "*",
                Some(other) => panic!("encoding {other}"),
                None => "",
            };
            let text = |name: &str| column[name].as_str().unwrap().to_owned();
            format!("{} {}{mark}", text("name"), text("type"))
        })
        .collect()
}

#[tokio::test]
async fn the_response_holds_its_four_fields_and_no_other() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let answer = server
        .sql(&token, ORG, "SELECT 1 AS a, 'x' AS b WHERE FALSE")
        .await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let mut fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        ["columns", "execution_time_ms", "result", "truncated"]
    );
    assert!(body["execution_time_ms"].is_u64(), "{body}");
    assert_eq!(body["result"], json!([]), "an empty answer has its columns");
    assert_eq!(columns(&answer), ["a BIGINT", "b STRING"]);
}

#[tokio::test]
async fn columns_are_named_as_they_were_written_even_twice() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let cases = [
        ("SELECT 1, 1", "1 BIGINT, 1 BIGINT"),
        (
            "SELECT CAST(1 AS TINYINT), CAST(1 AS SMALLINT)",
            "CAST(1 AS TINYINT) TINYINT, CAST(1 AS SMALLINT) SMALLINT",
        ),
        (
            "SELECT user_id, count(*), count(*) FROM conversations GROUP BY user_id",
            "user_id STRING, count(*) BIGINT, count(*) BIGINT",
        ),
        (
            "SELECT min(_id), user_id AS u FROM conversations GROUP BY user_id ORDER BY min(_id)",
            "min(_id) STRING, u STRING",
        ),
        (
            "SELECT DISTINCT upper(user_id) FROM users",
            "upper(user_id) STRING",
        ),
    ];
    for (sql, expected) in cases {
        let answer = server.sql(&token, ORG, sql).await;
        assert_eq!(columns(&answer).join(", "), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_limit_holds_where_no_column_is_read() {
    check_rows(&[
        ("SELECT 1 FROM users LIMIT 1", json!([[1]])),
        ("SELECT 1 FROM users OFFSET 2", json!([[1]])),
        (
            "SELECT count(*) FROM (SELECT 1 FROM conversations LIMIT 2)",
            json!([[2]]),
        ),
        ("SELECT count(*) FROM conversations", json!([[3]])),
    ])
    .await;
}

#[tokio::test]
async fn a_thousand_rows_are_a_page_and_one_more_makes_it_truncated() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let series = |last: usize| format!("SELECT value FROM generate_series(1, {last})");
    let ordered = |last: usize| format!("{} ORDER BY value DESC", series(last));
    for (sql, rows, truncated) in [
        (series(0), 0, false),
        (series(999), 999, false),
        (series(1000), 1000, false),
        (series(1001), 1000, true),
        (series(100_000), 1000, true),
        (ordered(1000), 1000, false),
        (ordered(1001), 1000, true),
        (format!("{} LIMIT 1000", series(1001)), 1000, false),
        (format!("{} LIMIT 1001", series(5000)), 1000, true),
        (
            format!("{} UNION ALL {}", series(500), series(501)),
            1000,
            true,
        ),
    ] {
        let answer = server.sql(&token, ORG, &sql).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        let body = answer.json();
        assert_eq!(body["result"].as_array().unwrap().len(), rows, "{sql}");
        assert_eq!(body["truncated"], truncated, "{sql}");
    }
}

#[tokio::test]
async fn an_answer_of_too_many_bytes_is_refused_and_not_cut() {
    let server = Server::start_with(&[("LIMITS__SQL_RESULT_BYTES", "4096")], acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let fits = server
        .sql(&token, ORG, "SELECT repeat('x', 3000) AS x")
        .await;
    assert_eq!(fits.status, 200);
    let detail = server
        .sql(&token, ORG, "SELECT repeat('x', 5000) AS x")
        .await
        .detail(400);
    assert!(detail.contains("4096 bytes"), "{detail}");
}

#[tokio::test]
async fn the_body_is_read_as_the_published_api_reads_it() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let path = format!("/v1/{ORG}/admin/sql_query");
    let post = async |body: Value| {
        let request = server.request(Method::POST, &path).bearer_auth(&token);
        Answer::of(request.body(body.to_string())).await
    };
    // No content type, spaces around the query, fields nobody knows.
    let sql = " \n SELECT 1 AS x ; -- one\n ";
    let answer = post(json!({"sql_query": sql, "async_query": false, "more": {"x": []}})).await;
    assert_eq!(answer.json()["result"], json!([[1]]), "{}", answer.text());
    let long = format!("SELECT '{}' AS x", "x".repeat(99_980));
    let answer = post(json!({"sql_query": long, "async_query": false})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for format in [
        json!("csv"),
        json!("json"),
        json!("parquet"),
        json!("arrow"),
        json!(null),
    ] {
        let later =
            post(json!({"sql_query": "SELECT 1", "async_query": true, "result_format": format}))
                .await;
        assert_eq!(later.status, 200, "{format}: {}", later.text());
    }
}

/// Runs each query, which must answer with those rows.
async fn check_rows(cases: &[(&str, Value)]) {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for (sql, rows) in cases {
        assert_eq!(&server.rows(&token, ORG, sql).await, rows, "{sql}");
    }
}

#[tokio::test]
async fn lakehouse_dates_and_json_paths_run() {
    check_rows(&[(
            "SELECT DATE(created_at) AS day, COUNT(DISTINCT user_id) FROM conversations GROUP BY day ORDER BY day",
            json!([["2026-01-05", 2]]),
        ),(
            "SELECT date_trunc('hour', created_at) FROM conversations WHERE _id = 'c2'",
            json!([["2026-01-05T23:00:00Z"]]),
        ),(
            "SELECT created_at FROM conversations ORDER BY created_at DESC LIMIT 1",
            json!([["2026-01-05T23:59:59.500Z"]]),
        ),(
            "SELECT COUNT(*) FROM conversations WHERE created_at >= '2026-01-05T12:00:00Z'",
            json!([[2]]),
        ),(
            "SELECT COUNT(*) FROM conversations WHERE created_at < DATE '2026-01-13' - INTERVAL '7 days'",
            json!([[3]]),
        ),(
            "SELECT COUNT(*) FROM conversations WHERE created_at > CURRENT_DATE - INTERVAL '7 days'",
            json!([[0]]),
        ),(
            "SELECT get_json_object(interactions, '$[0].score') FROM conversations ORDER BY _id",
            json!([["2"], ["2"], ["3"]]),
        ),(
            "SELECT get_json_object(preferences, '$.language') FROM users ORDER BY user_id",
            json!([["en"], [null], [null]]),
        ),("SELECT now() = current_timestamp", json!([[true]]))]).await;
}

#[tokio::test]
async fn joins_groups_windows_and_sets_run() {
    check_rows(&[(
            "SELECT first_name, COUNT(*) AS n FROM users u JOIN conversations c ON u.user_id = c.user_id \
          GROUP BY first_name ORDER BY n DESC",
            json!([["Ann", 2], ["Bob", 1]]),
        ),(
            "SELECT u.user_id FROM users u LEFT JOIN conversations c USING (user_id) WHERE c._id IS NULL",
            json!([["cy"]]),
        ),(
            "SELECT SUM(CASE WHEN is_finished THEN 1 ELSE 0 END), AVG(1.0) FROM conversations",
            json!([[2, 1.0]]),
        ),(
            "WITH busy AS (SELECT user_id FROM conversations GROUP BY user_id HAVING COUNT(*) > 1) SELECT * FROM busy",
            json!([["ann"]]),
        ),(
            "SELECT _id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY created_at) FROM conversations ORDER BY _id",
            json!([["c1", 1], ["c2", 2], ["c33", 1]]),
        ),(
            "SELECT COUNT(*) FROM conversations c WHERE EXISTS (SELECT 1 FROM users u WHERE u.user_id = c.user_id)",
            json!([[3]]),
        ),(
            "SELECT user_id FROM users WHERE first_name IN ('Ann', 'Bob') EXCEPT SELECT 'bob'",
            json!([["ann"]]),
        ),("VALUES (1, 'a'), (2, NULL)", json!([[1, "a"], [2, null]])),(
            "SELECT USER_ID FROM Amigo.Default.USERS WHERE user_id = 'ann'",
            json!([["ann"]]),
        )]).await;
}

#[tokio::test]
async fn show_describe_and_the_information_schema_tell_of_this_organizations_tables() {
    let server = Server::start(|data| {
        acme(data);
        data.org("globex");
        data.import_table("globex", "secrets", &[json!({"id": 1})]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let rows = async |sql| server.rows(&token, ORG, sql).await;
    let table = |name: &str, kind| json!(["amigo", "default", name, "BASE TABLE", kind]);
    let tables = json!([
        table("audit_log", "SYSTEM"),
        table("conversations", "DELTA"),
        table("query_history", "SYSTEM"),
        table("users", "DELTA")
    ]);
    assert_eq!(rows("SHOW TABLES").await, tables);
    assert_eq!(
        rows("SELECT * FROM information_schema.tables").await,
        tables
    );
    let columns = json!([
        ["_id", "STRING"],
        ["created_at", "TIMESTAMP"],
        ["interactions", "STRING"],
        ["is_finished", "BOOLEAN"],
        ["user_id", "STRING"],
    ]);
    let described = rows("DESCRIBE conversations").await;
    let described: Vec<_> = described.as_array().unwrap().iter().collect();
    for (described, column) in described.iter().zip(columns.as_array().unwrap()) {
        assert_eq!(**described, json!([column[0], column[1], null]));
    }
    assert_eq!(described.len(), 5);
    let listed = rows(
        "SELECT column_name, data_type FROM information_schema.columns \
         WHERE table_name = 'conversations' ORDER BY ordinal_position",
    );
    assert_eq!(listed.await, columns);
    let shown = rows("SHOW COLUMNS FROM users").await;
    let preferences = ["amigo", "default", "users", "preferences", "STRING", "YES"];
    assert_eq!(shown[1], json!(preferences));
    let catalogs = rows("SELECT DISTINCT catalog_name FROM information_schema.schemata").await;
    assert_eq!(catalogs, json!([["amigo"]]));
    let plan = rows("EXPLAIN SELECT * FROM users").await;
    assert!(!plan.as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_query_that_fails_leaves_no_question_behind() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for _ in 0..5 {
        // It fails while the history, which waits for what has just ended, is on its way.
        let failing = "SELECT 1 / (value - 1) FROM generate_series(1, 1) AS t(value) \
                       UNION ALL SELECT rows FROM query_history";
        server.sql(&token, ORG, failing).await.detail(400);
        let count = "SELECT count(*) > 0 FROM query_history";
        assert_eq!(server.rows(&token, ORG, count).await, json!([[true]]));
    }
}

#[tokio::test]
async fn an_organization_without_tables_can_still_be_asked() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(
        server.rows(&token, ORG, "SELECT 1 AS x").await,
        json!([[1]])
    );
    let system = ["audit_log", "query_history"];
    let system = system.map(|name| ["amigo", "default", name, "BASE TABLE", "SYSTEM"]);
    assert_eq!(server.rows(&token, ORG, "SHOW TABLES").await, json!(system));
    server
        .sql(&token, ORG, "SELECT * FROM prompt_logs")
        .await
        .detail(400);
}

#[tokio::test]
async fn what_is_imported_while_the_server_runs_the_next_query_sees() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let count = "SELECT count(*) FROM visits";
    server.sql(&token, ORG, count).await.detail(400);
    for rows in 1..=3 {
        server
            .data
            .import_table(ORG, "visits", &[json!({"at": "2026-01-05T08:30:00Z"})]);
        assert_eq!(server.rows(&token, ORG, count).await, json!([[rows]]));
    }
    let file = server.data.write("new.csv", "place\nhere\nthere\n");
    let file = file.to_str().unwrap();
    server
        .data
        .ok(["table", "import", ORG, "visits", file, "--replace"]);
    assert_eq!(
        server.rows(&token, ORG, "SELECT * FROM visits").await,
        json!([["here"], ["there"]])
    );
}

#[tokio::test]
async fn the_prompt_logs_table_holds_exactly_what_the_caller_can_download() {
    let now = chrono::Utc::now();
    let aged = |key: &str, minutes: i64| {
        let mut log = log(key, "s", &[]);
        let created_at = now - chrono::TimeDelta::minutes(minutes);
        log["created_at"] = json!(created_at.to_rfc3339());
        log
    };
    let guarded = |key: &str, permissions: Value| {
        let mut log = log(key, "s", &[]);
        log["required_permissions"] = permissions;
        log
    };
    let server = Server::start(|data| {
        data.org(ORG);
        let of = |org: &str| json!([{"permission_name": "Conversation:GetMessage", "attributes": {"org_id": org}}]);
        data.force_logs(
            ORG,
            &[
                log("all/plain", "s", &["h"]),
                aged("all/old-enough", 30 * 24 * 60 - 10),
                aged("all/too-old", 30 * 24 * 60 + 1),
                guarded("all/own", of(ORG)),
                guarded("all/others", of("globex")),
                guarded(
                    "all/needs-admin",
                    json!([{"permission_name": "Admin:RunSql", "attributes": {"org_id": ORG}}]),
                ),
                guarded("all/needs-nothing", json!([])),
            ],
        );
    });
    // A role between the two that SQL and downloads ask for shows that it is the log's permissions that decide.
    for user in ["amigo-administrator", SUPER_ADMINISTRATOR] {
        let token = server.token(ORG, user);
        let rows = server
            .rows(
                &token,
                ORG,
                "SELECT DISTINCT log_key FROM prompt_logs ORDER BY log_key",
            )
            .await;
        let in_sql: Vec<String> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[0].as_str().unwrap().to_owned())
            .collect();
        let names = server.logs(&token, ORG, "all/").await.names();
        let readable = names.iter().filter(|name| !name.ends_with("-error"));
        let mut downloaded: Vec<String> = readable
            .map(|name| name.rsplit_once('-').unwrap().0.to_owned())
            .collect();
        downloaded.dedup();
        assert_eq!(in_sql, downloaded, "{user}");
        assert!(in_sql.contains(&"all/old-enough".to_owned()));
        assert!(!in_sql.contains(&"all/too-old".to_owned()));
        assert_eq!(
            in_sql.contains(&"all/others".to_owned()),
            user == SUPER_ADMINISTRATOR
        );
        let count = server
            .rows(&token, ORG, "SELECT count(*) FROM prompt_logs")
            .await;
        assert_eq!(count, json!([[in_sql.len()]]), "{user}");
    }
    let lesser = server.token(ORG, ADMINISTRATOR);
    server
        .sql(&lesser, ORG, "SELECT count(*) FROM prompt_logs")
        .await
        .detail(403);
}

#[tokio::test]
async fn a_prompt_log_has_its_columns() {
    let server = Server::start(|data| {
        data.org(ORG);
        let record = json!({
            "log_key": "c/1", "created_at": chrono::Utc::now().to_rfc3339(), "system": "s", "history": ["a", "b"],
            "conversation_id": "c", "interaction_id": "1", "user_id": "u", "service_id": "v", "prompt_type": "p",
            "model": "m", "attributes": {"any": ["json", 1]},
        });
        data.import_logs(ORG, &[record, json!({"log_key": "c/2", "history": []})]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let sql = "SELECT log_key, system, history, conversation_id, interaction_id, user_id, service_id, prompt_type, \
               model, get_json_object(attributes, '$.any[0]') FROM prompt_logs ORDER BY log_key";
    assert_eq!(
        server.rows(&token, ORG, sql).await,
        json!([
            ["c/1", "s", ["a", "b"], "c", "1", "u", "v", "p", "m", "json"],
            ["c/2", null, [], null, null, null, null, null, null, null],
        ])
    );
    let typed = server
        .sql(
            &token,
            ORG,
            "SELECT created_at, history, day FROM prompt_logs",
        )
        .await;
    assert_eq!(
        columns(&typed),
        ["created_at TIMESTAMP", "history ARRAY<STRING>", "day DATE"]
    );
}
