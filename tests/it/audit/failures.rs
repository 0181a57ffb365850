//! What cannot be recorded is not done.

use serde_json::json;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use super::{ORG, acts, rows};
use crate::support::Client;
use crate::support::{Data, SUPER_ADMINISTRATOR, Server, USER, log, stderr};

/// Runs a statement on the directory, as somebody with the file can.
pub(super) async fn execute(data: &Data, statement: &'static str) {
    let file = data.path().join("directory.db");
    let options = SqliteConnectOptions::new().filename(file);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_audit_log_nothing_is_read_and_nothing_changes() {
    let server = Server::start(|data| {
        data.org(ORG);
        data.import_logs(ORG, &[log("c/1", "s", &["h"])]);
    });
    let data = &server.data;
    let root = Client::new(&server, ORG, SUPER_ADMINISTRATOR);
    let key = data.api_key(ORG);
    let users = data.ok(["user", "list", ORG]);
    let before = rows(data, ORG).len();
    execute(
        data,
        "CREATE TRIGGER broken BEFORE INSERT ON audit_log BEGIN SELECT RAISE(FAIL, 'out of order'); END",
    )
    .await;

    let refused = "audit log";
    let token = &root.token;
    let download = server.logs(token, ORG, "c/").await;
    assert!(download.detail(503).contains(refused));
    assert!(download.header("retry-after").is_some());
    let answer = server.sql(token, ORG, "SELECT 1").await;
    assert!(answer.detail(503).contains(refused));
    let submission = json!({"sql_query": "SELECT 1", "async_query": true});
    root.post("admin/sql_query", submission).await.detail(503);
    let path = format!("/v1/{ORG}/admin/sql_schema");
    server.get(token, &path).await.detail(503);
    server.sign_in(ORG, &key, USER).await.detail(503);
    let invitation = json!({
        "first_name": "Mia", "last_name": "Li", "email": "mia@acme.invalid", "role_name": "DefaultUserRole",
    });
    root.post("user/", invitation).await.detail(503);
    root.delete(&format!("user/{USER}")).await.detail(503);
    let path = format!("organization/api_key/{}/", key.0);
    root.delete(&path).await.detail(503);
    for command in [
        &["user", "delete", ORG, USER][..],
        &["user", "create", ORG, "tom", "--role", "DefaultUserRole"],
        &["token", ORG, USER],
        &["prompt-logs", "list", ORG, ""],
        &["maintenance", "on"],
        &["org", "create", "globex"],
    ] {
        let output = data.run(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(output.stdout.is_empty(), "{command:?}");
        let said = stderr(&output);
        assert!(
            said.contains(refused) && said.contains("out of order"),
            "{said}"
        );
    }
    // What records nothing goes on.
    assert_eq!(
        server.get(token, &format!("/v1/{ORG}/user/")).await.status,
        200
    );

    execute(data, "DROP TRIGGER broken").await;
    assert_eq!(rows(data, ORG).len(), before);
    assert_eq!(data.ok(["user", "list", ORG]), users);
    assert_eq!(
        data.ok(["maintenance", "status"])["in_maintenance_mode"],
        false
    );
    assert_eq!(server.sign_in(ORG, &key, USER).await.status, 200);
    assert_eq!(server.logs(token, ORG, "c/").await.status, 200);
    let history = "SELECT count(*) FROM query_history WHERE async_query";
    assert_eq!(server.rows(token, ORG, history).await, json!([[0]]));
    assert_eq!(acts(data, ORG, "Admin:GetPromptLogs").len(), 1);
    data.ok(["audit", "verify"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_server_and_commands_that_write_at_once_every_row_has_its_place() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let before = rows(&server.data, ORG).len();
    const QUERIES: usize = 60;
    const COMMANDS: usize = 12;
    let commands: Vec<_> = (0..COMMANDS)
        .map(|_| {
            let data = server.data.clone();
            std::thread::spawn(move || data.token(ORG, USER))
        })
        .collect();
    let queries = (0..QUERIES).map(|_| server.sql(&token, ORG, "SELECT 1"));
    for answer in futures::future::join_all(queries).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for command in commands {
        command.join().unwrap();
    }
    assert_eq!(acts(&server.data, ORG, "Admin:RunSqlQuery").len(), QUERIES);
    assert_eq!(
        acts(&server.data, ORG, "User:IssueToken").len(),
        COMMANDS + 1
    );
    let rows = rows(&server.data, ORG);
    assert_eq!(rows.len(), before + 2 * (QUERIES + COMMANDS));
    let places = rows.iter().map(|row| row["seq"].as_u64().unwrap());
    assert!(places.eq(1..=rows.len() as u64));
    server.data.ok(["audit", "verify"]);
}
