//! Queries that mean harm, or only do it: refused, stopped, kept among the caller's own data, and no trouble to others
//! (the wire contract, section 2).

mod isolation;
mod resources;
mod suite;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::{AMIGO_ADMINISTRATOR, Data, SUPER_ADMINISTRATOR, Server, log};

const ORG: &str = "acme";
const RIVAL: &str = "globex";

/// Two organizations with the same tables and nothing else in common.
fn rivals(data: &Data) {
    for org in [ORG, RIVAL] {
        data.org(org);
        data.import_table(org, "visits", &[json!({"whose": org})]);
        data.import_logs(org, &[log("chat/1", org, &[])]);
    }
    data.import_table(RIVAL, "rivals_only", &[json!({"whose": RIVAL})]);
}

/// An error's sentence that tells nothing of the house: no folder, no file, no source code.
#[track_caller]
fn check_discreet(server: &Server, sql: &str, told: &str) {
    let data_dir = server.data.path();
    let folder = data_dir.to_string_lossy();
    for inner in [
        &*folder,
        folder.trim_start_matches('/'),
        ".parquet",
        ".rs:",
        "_delta_log",
        RIVAL,
    ] {
        // A message may quote the query, so only what the query did not say counts.
        let leaks = told.contains(inner) && !sql.contains(inner);
        assert!(!leaks, "{sql}: {inner} in {told}");
    }
}

#[tokio::test]
async fn whatever_is_not_one_read_only_statement_is_refused_with_the_reason() {
    // What the server would write by itself, the first time it keeps the archives, is written before.
    let server = Server::start(|data| {
        rivals(data);
        for org in [ORG, RIVAL] {
            data.ok(["prompt-logs", "expire", org]);
        }
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let before = server.data.files("");
    for sql in [
        "INSERT INTO visits VALUES ('x')",
        "INSERT INTO visits SELECT * FROM visits",
        "UPDATE visits SET whose = 'x'",
        "DELETE FROM visits",
        "TRUNCATE visits",
        "MERGE INTO visits USING visits v ON TRUE WHEN MATCHED THEN DELETE",
        "COPY visits TO '/tmp/visits.csv'",
        "COPY (SELECT 1) TO 'visits.parquet' STORED AS PARQUET",
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "CREATE SCHEMA x",
        "CREATE DATABASE x",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE EXTERNAL TABLE x (a INT) STORED AS PARQUET LOCATION 'http://127.0.0.1/'",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "DROP TABLE visits",
        "ALTER TABLE visits ADD COLUMN x INT",
        "GRANT ALL ON visits TO PUBLIC",
        "SET datafusion.execution.batch_size = 1",
        "SET TIME ZONE 'Europe/Berlin'",
        "RESET ALL",
        "USE globex",
        "BEGIN",
        "COMMIT",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "CALL f()",
        "ANALYZE TABLE visits",
        "VACUUM",
        "SHOW ALL",
        "SHOW FUNCTIONS",
        "SHOW CREATE TABLE visits",
        "SHOW datafusion.execution.batch_size",
        "SHOW DATABASES",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE visits",
        "SELECT 1;;SELECT 2",
        "; ;",
        "-- nothing",
        "/* nothing */",
        "EXPLAIN COPY visits TO '/tmp/visits.csv'",
        "EXPLAIN INSERT INTO visits SELECT * FROM visits",
        "EXPLAIN ANALYZE INSERT INTO visits SELECT * FROM visits",
        "EXPLAIN EXPLAIN SELECT 1",
        "WITH x AS (INSERT INTO visits VALUES ('x')) SELECT 1",
        "WITH x AS (DELETE FROM visits RETURNING whose) SELECT * FROM x",
        "SELECT * INTO x FROM visits",
        "SELECT * FROM visits FOR UPDATE",
        "SELEC 1",
        "SELECT (1",
        "SELECT 'open",
        "\u{0}",
        "هذا ليس استعلاما",
    ] {
        let detail = server.sql(&token, ORG, sql).await.detail(400);
        assert!(detail.len() > 10, "{sql}: {detail:?}");
        check_discreet(&server, sql, &detail);
    }
    assert_eq!(server.data.files(""), before, "nothing was written");
    let rows = server.rows(&token, ORG, "SELECT * FROM visits").await;
    assert_eq!(rows, json!([[ORG]]));
}

/// Names of what belongs to others, to the engine or to the machine.
const ELSEWHERE: &[&str] = &[
    "globex.default.visits",
    "globex.visits",
    "amigo.globex.visits",
    "globex.default.rivals_only",
    "rivals_only",
    "amigo.default.rivals_only",
    "acme.visits",
    "\"globex/visits\"",
    "\"../globex/visits\"",
    "\"..\".visits",
    "\"default/../../globex\".visits",
    "lake.globex.visits",
    "delta.visits",
    "datafusion.public.visits",
    "information_schema.df_settings",
    "information_schema.routines",
    "information_schema.parameters",
    "information_schema.views",
    "pg_catalog.pg_class",
    "sqlite_master",
    "system.information_schema.tables",
    "read_csv('/etc/passwd')",
    "read_parquet('x')",
    "parquet_scan('x')",
    "csv_scan('x')",
    "delta_scan('x')",
    "parquet_metadata('x')",
    "metadata_cache()",
    "statistics_cache()",
    "list_files_cache()",
    "generate_series('/etc/passwd')",
    "'/etc/passwd'",
    "\"/etc/passwd\"",
    "\"http://127.0.0.1/x.csv\"",
    "`/etc/passwd`",
];

#[tokio::test]
async fn no_name_leads_to_another_organization_or_to_a_file() {
    let server = Server::start(rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let lake = server.data.path().join("lake");
    let mut files = server.data.files(".parquet").into_iter();
    let file = files.rfind(|file| file.iter().any(|part| part == RIVAL));
    let (lake, file) = (lake.to_string_lossy(), file.unwrap());
    let file = file.to_string_lossy();
    let mut queries: Vec<String> = ELSEWHERE
        .iter()
        .map(|table| format!("SELECT * FROM {table}"))
        .collect();
    queries.extend([
        format!("SELECT * FROM '{file}'"),
        format!("SELECT * FROM \"{file}\""),
        format!("SELECT * FROM \"file://{lake}/{RIVAL}/visits/\""),
        format!("SELECT * FROM read_parquet('{file}')"),
        "SHOW TABLES FROM globex".to_owned(),
        "SHOW COLUMNS FROM globex.default.rivals_only".to_owned(),
        "DESCRIBE globex.default.rivals_only".to_owned(),
        "SELECT version()".to_owned(),
        "SELECT input_file_name() FROM visits".to_owned(),
        "SELECT current_setting('x')".to_owned(),
        "SELECT __delta_rs_file_id__ FROM visits".to_owned(),
    ]);
    for sql in queries {
        let detail = server.sql(&token, ORG, &sql).await.detail(400);
        check_discreet(&server, &sql, &detail);
    }
    for sql in [
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.schemata",
        "SHOW TABLES",
        "SELECT * FROM visits",
        "SELECT system FROM prompt_logs",
        "SELECT v.whose, l.system FROM amigo.default.visits v CROSS JOIN \"default\".prompt_logs l",
    ] {
        let rows = server.rows(&token, ORG, sql).await.to_string();
        assert!(
            !rows.contains(RIVAL) && !rows.contains("rivals_only"),
            "{sql}: {rows}"
        );
    }
}

#[tokio::test]
async fn callers_of_two_organizations_who_share_the_workers_see_each_their_own() {
    let server = Server::start_with(&[("LIMITS__SQL_WORKERS", "1")], rivals);
    let tokens = [ORG, RIVAL].map(|org| (org, server.token(org, SUPER_ADMINISTRATOR)));
    let asked = (0..40).map(|turn| {
        let (org, token) = &tokens[turn % 2];
        let sql = "SELECT whose, system, (SELECT count(*) FROM information_schema.tables) \
                   FROM visits CROSS JOIN prompt_logs";
        let rows = server.rows(token, org, sql);
        async move { (*org, rows.await) }
    });
    for (org, rows) in futures::future::join_all(asked).await {
        // The history and the audit log among them.
        let tables = if org == ORG { 4 } else { 5 };
        assert_eq!(rows, json!([[org, org, tables]]));
    }
}

#[tokio::test]
async fn no_query_tells_of_a_prompt_log_its_caller_may_not_read() {
    let server = Server::start(|data| {
        data.org(ORG);
        let mut secret = log("secret", "a secret", &["more of it"]);
        secret["service_id"] = json!("secret");
        secret["user_id"] = json!("qua");
        secret["required_permissions"] =
            json!([{"permission_name": "Vault:Open", "attributes": {"org_id": "elsewhere"}}]);
        data.import_logs(ORG, &[log("open", "nothing to hide", &[]), secret]);
    });
    let token = server.token(ORG, AMIGO_ADMINISTRATOR);
    let fails = "CASE WHEN service_id = 'secret' THEN 1/0 ELSE 1 END";
    for (sql, rows) in [
        ("SELECT log_key FROM prompt_logs".to_owned(), json!([["open"]])),
        ("SELECT count(*) FROM prompt_logs".to_owned(), json!([[1]])),
        ("SELECT count(*) FROM prompt_logs WHERE service_id = 'secret'".to_owned(), json!([[0]])),
        ("SELECT min(log_key), max(service_id), count(DISTINCT system) FROM prompt_logs".to_owned(),
            json!([["open", "support", 1]])),
        ("SELECT log_key FROM prompt_logs ORDER BY log_key DESC LIMIT 1".to_owned(), json!([["open"]])),
        // An expression that fails on a row tells that the row is there, so it must never meet it.
        (format!("SELECT count(*) FROM prompt_logs WHERE {fails} = 1"), json!([[1]])),
        (format!("SELECT sum({fails}) FROM prompt_logs"), json!([[1.0]])),
        (format!("SELECT log_key FROM prompt_logs ORDER BY {fails}, log_key LIMIT 1"), json!([["open"]])),
        ("SELECT count(*) FROM prompt_logs a JOIN prompt_logs b ON a.log_key = b.log_key AND \
            CASE WHEN b.service_id = 'secret' THEN 1/0 ELSE 1 END = 1".to_owned(), json!([[1]])),
        (format!("SELECT count(*) FROM (SELECT * FROM prompt_logs UNION ALL SELECT * FROM prompt_logs) x \
            WHERE {fails} = 1"), json!([[2]])),
        ("SELECT count(*) FROM prompt_logs WHERE CAST(replace(service_id, 'support', '1') AS INT) = 1".to_owned(),
            json!([[1]])),
        ("SELECT 1 FROM generate_series(1, 1) WHERE EXISTS (SELECT 1 FROM prompt_logs WHERE system LIKE '%secret%')"
            .to_owned(), json!([])),
    ] {
        assert_eq!(server.rows(&token, ORG, &sql).await, rows, "{sql}");
    }
    // Neither does what is told of a query: plans and counts are the same on both sides of a hidden value.
    let mut plans = BTreeSet::new();
    for user in ["qu", "qub"] {
        let sql = format!("SELECT count(*) FROM prompt_logs WHERE user_id < '{user}'");
        assert_eq!(server.rows(&token, ORG, &sql).await, json!([[0]]));
        let plan = server.rows(&token, ORG, &format!("EXPLAIN {sql}")).await;
        plans.insert(plan.to_string().replace(user, "…"));
    }
    assert_eq!(plans.len(), 1, "{plans:?}");
    let told = "SELECT DISTINCT rows, bytes_scanned FROM query_history WHERE sql_query LIKE 'SELECT count(*) FROM prompt_logs WHERE user_id <%'";
    assert_eq!(server.rows(&token, ORG, told).await, json!([[1, 0]]));
}

#[tokio::test]
async fn a_plan_names_no_folder_of_the_machine() {
    let server = Server::start(rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for how in [
        "",
        "VERBOSE ",
        "ANALYZE ",
        "ANALYZE VERBOSE ",
        "FORMAT TREE ",
        "FORMAT GRAPHVIZ ",
    ] {
        for table in ["visits", "prompt_logs"] {
            let sql = format!("EXPLAIN {how}SELECT * FROM {table}");
            let answer = server.sql(&token, ORG, &sql).await;
            assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
            let data_dir = server.data.path();
            let folder = data_dir.to_string_lossy();
            let temporary = data_dir.parent().unwrap().file_name().unwrap();
            for inner in [
                folder.trim_start_matches('/'),
                &*temporary.to_string_lossy(),
                RIVAL,
            ] {
                assert!(!answer.text().contains(inner), "{sql}: {}", answer.text());
            }
        }
    }
}

/// What the texts of the next test are made of.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "visits",
    "whose",
    "*",
    ",",
    "(",
    ")",
    "1",
    "'a'",
    "NULL",
    "=",
    "<",
    "AND",
    "OR",
    "NOT",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "JOIN",
    "ON",
    "USING",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "UNION",
    "WITH x AS",
    "AS",
    "DISTINCT",
    "EXPLAIN",
    "CAST",
    "INTERVAL '1 day'",
    "prompt_logs",
    "history",
    "[",
    "]",
    "{",
    "}",
    "1.5e400",
    "-",
    "/",
    "::INT",
    "::TIMESTAMP",
    "count",
    "max",
    "OVER",
    "BETWEEN",
    "IN",
    "LIKE",
    "EXISTS",
    "unnest",
    "VALUES",
    ";",
    "--",
    "$1",
    "?",
];

#[test]
fn no_text_makes_the_server_fail_or_tell_where_it_keeps_its_data() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::start_with(&[("LIMITS__SQL_SECONDS", "20")], rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let word = proptest::sample::select(WORDS);
    let words = proptest::collection::vec(word, 1..12)
        .prop_map(|words| format!("SELECT {}", words.join(" ")));
    let text =
        prop_oneof![4 => words, 1 => any::<String>().prop_map(|text| format!("SELECT {text}"))];
    let config = Config {
        cases: 150,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..Config::default()
    };
    let check = |sql: String| {
        let answer = runtime.block_on(server.sql(&token, ORG, &sql));
        prop_assert!(
            [200, 400].contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
        let told: Value = answer.json();
        if let Some(detail) = told["detail"].as_str() {
            check_discreet(&server, &sql, detail);
        }
        Ok(())
    };
    TestRunner::new(config).run(&text, check).unwrap();
}

#[tokio::test]
async fn a_plan_does_not_tell_of_prompt_logs_its_reader_may_not_read() {
    let server = Server::start(|data| {
        data.org(ORG);
        let mut secret = log("secret", "a secret", &[]);
        secret["service_id"] = json!("secret");
        secret["required_permissions"] =
            json!([{"permission_name": "Vault:Open", "attributes": {"org_id": "elsewhere"}}]);
        data.import_logs(ORG, &[log("open", "nothing to hide", &[]), secret]);
    });
    let token = server.token(ORG, AMIGO_ADMINISTRATOR);
    for how in ["", "VERBOSE ", "ANALYZE ", "ANALYZE VERBOSE "] {
        let sql =
            format!("EXPLAIN {how}SELECT log_key FROM prompt_logs WHERE service_id = 'secret'");
        let text = server.sql(&token, ORG, &sql).await.text();
        for below in [
            "DataSourceExec",
            "EmptyExec",
            "DeltaScanExec",
            "Rows=Exact",
            "count_files_scanned",
        ] {
            assert!(!text.contains(below), "{sql}: {below} in {text}");
        }
    }
}
