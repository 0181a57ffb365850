//! Two organizations with the same tables, users and log keys: whatever one asks, nothing of the other appears.
//!
//! The other's values and the names only it has are words that no query here says, so that one of them in an answer can only
//! come from the other's data.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::ORG;
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log};

const OTHER: &str = "initech";
/// In every value of the other organization's tables and prompts, and in the names of what only it has.
const SECRET: &str = "zyzzyva";

/// The same tables, users and keys twice; the other's values are secret.
fn twins(data: &Data) {
    for (org, value) in [(ORG, "ours"), (OTHER, SECRET)] {
        data.org(org);
        let rows = [
            json!({"id": 1, "whose": value, "at": "2026-01-05T08:30:00Z"}),
            json!({"id": 2, "whose": value, "at": "2026-01-06T08:30:00Z"}),
        ];
        data.import_table(org, "visits", &rows);
        data.import_table(org, "users", &[json!({"user_id": "ann", "whose": value})]);
        data.import_logs(org, &[log("chat/1", value, &[value])]);
    }
    data.import_table(
        OTHER,
        &format!("{SECRET}_table"),
        &[json!({"id": 1, &format!("{SECRET}_column"): SECRET})],
    );
}

/// The answer is no failure, and holds nothing of the other organization and no folder of the machine.
fn leak(server: &Server, sql: &str, answer: &Answer) -> Result<(), TestCaseError> {
    let text = answer.text();
    prop_assert!(
        [200, 400].contains(&answer.status),
        "{sql}: {} {text}",
        answer.status
    );
    let folder = server.data.path();
    for secret in [SECRET, &*folder.to_string_lossy()] {
        prop_assert!(!text.contains(secret), "{sql}: {text}");
    }
    Ok(())
}

/// Ways to write names that might lead elsewhere, in every place of a name.
fn tables() -> impl Strategy<Value = String> {
    let catalog = select(vec![
        "",
        "amigo.",
        "AMIGO.",
        "\"amigo\".",
        "initech.",
        "\"initech\".",
        "`initech`.",
        "acme.",
        "lake.",
        "\"../initech\".",
        "\"amigo/../initech\".",
        "memory.",
        "file.",
        "delta.",
        "system.",
        "\"\".",
        "datafusion.",
    ]);
    let schema = select(vec![
        "",
        "default.",
        "\"default\".",
        "DEFAULT.",
        "initech.",
        "\"initech\".",
        "`initech`.",
        "public.",
        "information_schema.",
        "\"../initech\".",
        "\"..\".",
        "\"default/../../initech\".",
        "\"initech/visits\".",
        "pg_catalog.",
        "\"%69nitech\".",
        "\"ini\u{200b}tech\".",
        "\"\u{456}nitech\".",
    ]);
    let table = select(vec![
        "visits",
        "Visits",
        "\"visits\"",
        "`visits`",
        "users",
        "prompt_logs",
        "tables",
        "columns",
        "schemata",
        "views",
        "routines",
        "df_settings",
        "\"../initech/visits\"",
        "\"initech/visits\"",
        "\"initech.default.visits\"",
        "\"/initech/visits\"",
        "\"memory:///initech/visits/\"",
        "'memory:///initech/visits/'",
        "\"visits\u{0}\"",
        "\"visits/../../initech/visits\"",
        "visits@v0",
        "\"visits@0\"",
        "\"visits$files\"",
        "\"visits/_delta_log\"",
        "read_json('initech/visits')",
        "read_parquet('../initech/visits/*.parquet')",
        "delta_scan('initech/visits')",
        "visits FOR VERSION AS OF 0",
        "visits TABLESAMPLE (100 PERCENT)",
        "TABLE(visits)",
    ]);
    (catalog, schema, table)
        .prop_map(|(catalog, schema, table)| format!("{catalog}{schema}{table}"))
}

/// Queries over such a name, of every kind that runs and of some that do not.
fn queries() -> impl Strategy<Value = String> {
    let shape = select(vec![
        "SELECT * FROM {}",
        "SELECT t.* FROM {} AS t, visits",
        "SELECT count(*) FROM {}",
        "SELECT max(whose) FROM {}",
        "WITH visits AS (SELECT * FROM {}) SELECT * FROM visits",
        "WITH RECURSIVE r AS (SELECT * FROM {} UNION ALL SELECT * FROM r) SELECT * FROM r LIMIT 5",
        "SELECT * FROM visits WHERE whose IN (SELECT whose FROM {})",
        "SELECT (SELECT max(whose) FROM {})",
        "SELECT * FROM visits UNION ALL SELECT * FROM {}",
        "SELECT * FROM visits EXCEPT SELECT * FROM {}",
        "SELECT * FROM visits v LEFT JOIN {} t ON true",
        "SELECT * FROM visits v, LATERAL (SELECT * FROM {} LIMIT 3) t",
        "EXPLAIN SELECT * FROM {}",
        "EXPLAIN ANALYZE SELECT * FROM {}",
        "EXPLAIN VERBOSE SELECT * FROM {}",
        "EXPLAIN ANALYZE INSERT INTO visits SELECT * FROM {}",
        "DESCRIBE {}",
        "SHOW COLUMNS FROM {}",
        "SHOW TABLES FROM {}",
        "SELECT 1; SELECT * FROM {}",
        "SELECT 1 /* ; */ FROM {} -- ;",
        "/*! SELECT */ SELECT * FROM {} /**/",
        "SELECT \u{a0}* FROM {}",
        "SELECT * FROM visits WHERE whose = 'ours' OR EXISTS (SELECT 1/0 FROM {})",
        "SELECT CAST(whose AS INT) FROM {}",
        "COPY {} TO '/tmp/x.csv'",
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '{}'",
        "CREATE VIEW v AS SELECT * FROM {}",
        "SET datafusion.catalog.default_catalog = '{}'",
        "TABLE {}",
        "FROM {}",
    ]);
    (shape, tables()).prop_map(|(shape, table)| shape.replace("{}", &table))
}

#[test]
fn nothing_of_another_organization_appears_however_its_tables_are_spelled() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::start(twins);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let config = Config {
        cases: 400,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let check = |sql: String| {
        leak(
            &server,
            &sql,
            &runtime.block_on(server.sql(&token, ORG, &sql)),
        )
    };
    TestRunner::new(config).run(&queries(), check).unwrap();
    // Had the other's tables been empty or unreadable, nothing of them could have appeared.
    let other = server.token(OTHER, SUPER_ADMINISTRATOR);
    let seen =
        "SELECT v.whose, u.whose, l.system FROM visits v, users u, prompt_logs l WHERE id = 1";
    let rows = runtime.block_on(server.rows(&other, OTHER, seen));
    assert_eq!(rows, json!([[SECRET, SECRET, SECRET]]));
}

#[tokio::test]
async fn what_another_organization_has_is_refused_like_what_nobody_has() {
    let server = Server::start(twins);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let theirs = [
        format!("SELECT * FROM {SECRET}_table"),
        format!("SELECT {SECRET}_column FROM visits"),
        format!("SELECT * FROM {OTHER}.default.visits"),
        format!("SELECT * FROM amigo.{OTHER}.visits"),
        format!("SELECT * FROM \"{OTHER}/visits\""),
        format!("DESCRIBE {OTHER}.default.visits"),
        format!("SHOW COLUMNS FROM {OTHER}.default.visits"),
        format!("SELECT * FROM information_schema.tables WHERE table_name = '{SECRET}_table'"),
        format!("SELECT * FROM information_schema.columns WHERE table_schema = '{OTHER}'"),
    ];
    for sql in theirs {
        // Names of the same length that nobody has.
        let nobodys = sql.replace(SECRET, "qqwwxxq").replace(OTHER, "qwxyzzq");
        let [theirs, nobodys] = [&sql, &nobodys].map(|sql| server.sql(&token, ORG, sql));
        let (theirs, nobodys) = (theirs.await, nobodys.await);
        assert_eq!(theirs.status, nobodys.status, "{sql}");
        let text = theirs
            .text()
            .replace(SECRET, "qqwwxxq")
            .replace(OTHER, "qwxyzzq");
        let told = |text: &str| {
            let mut body: serde_json::Value = serde_json::from_str(text).unwrap();
            // It is another at every time.
            body["execution_time_ms"].take();
            body
        };
        assert_eq!(told(&text), told(&nobodys.text()), "{sql}");
    }
}

#[tokio::test]
async fn a_token_of_one_organization_is_none_for_the_other() {
    let server = Server::start(twins);
    // The same user in both.
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let answer = server.sql(&token, OTHER, "SELECT * FROM visits").await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(!answer.text().contains(SECRET));
    // Named as the caller's own organization, the token is good, and its organization's role decides.
    let request = server.sql_request(&token, OTHER, "SELECT * FROM visits");
    let answer = Answer::of(request.header("x-org-id", OTHER)).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
}
