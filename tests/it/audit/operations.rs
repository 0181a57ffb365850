//! Every operation of the API's document, looked for in the audit log.

use serde_json::Value;

use super::failures::execute;
use super::{ORG, rows};
use crate::support::{Answer, SUPER_ADMINISTRATOR, Server, USER, wait_for};
use crate::unauthorized::{self, Walk};

/// What is no act, as `docs/audit.md` says; all other operations are recorded. The result's signed URL is forged here.
const UNRECORDED: [&str; 14] = [
    "GET /.well-known/jwks.json",
    "GET /healthz",
    "GET /readyz",
    "GET /v1/{organization}/admin/ping",
    "GET /v1/{organization}/admin/sql_query/{query_id}",
    "GET /v1/{organization}/admin/sql_query/{query_id}/result",
    "GET /v1/{organization}/organization/",
    "GET /v1/{organization}/organization/api_key/",
    "GET /v1/{organization}/role/",
    "GET /v1/{organization}/role/temporary_permission_grants/",
    "GET /v1/{organization}/user/",
    "POST /v1/{organization}/admin/prompt_logs/",
    "POST /v1/{organization}/otlp/v1/logs",
    "POST /v1/{organization}/otlp/v1/traces",
];

fn is_recorded(place: &str) -> bool {
    !UNRECORDED.contains(&place)
}

/// Calls every operation; returns what and how it was answered.
async fn call(walk: &Walk<'_>, token: &str) -> Vec<(String, Answer)> {
    let mut answers = Vec::new();
    for operation in walk.operations() {
        let answer = Answer::of(walk.request(&operation).bearer_auth(token)).await;
        answers.push((operation.0, answer));
    }
    answers
}

/// The outcome in the second row of the act of a request that has one, once it is there.
fn outcome(rows: &[Value], request_id: &str) -> Option<Option<String>> {
    let first = rows.iter().find(|row| row["request_id"] == request_id);
    let Some(first) = first else {
        return Some(None);
    };
    let mut own = rows
        .iter()
        .filter(|row| row["entry_id"] == first["entry_id"]);
    let second = own.find(|row| row["event"] == "completed")?;
    Some(second["outcome"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_but_those_named_here_is_recorded_and_none_is_done_without_the_log() {
    let server = Server::start(unauthorized::data);
    let walk = Walk::on(&server).await;
    let (may, lesser) = (
        server.token(ORG, SUPER_ADMINISTRATOR),
        server.token(ORG, USER),
    );
    let state = || {
        let of = |command: &[&str]| server.data.ok(command);
        ["user", "api-key", "role", "grant"].map(|what| of(&[what, "list", ORG]))
    };
    let before = state();
    execute(
        &server.data,
        "CREATE TRIGGER broken BEFORE INSERT ON audit_log BEGIN SELECT RAISE(FAIL, 'out of order'); END",
    )
    .await;
    for token in [&lesser, &may] {
        for (place, answer) in call(&walk, token).await {
            let refused = answer.status == 503 && answer.text().contains("audit log");
            assert_eq!(refused, is_recorded(&place), "{place}: {}", answer.text());
        }
    }
    assert_eq!(state(), before);
    execute(&server.data, "DROP TRIGGER broken").await;

    for token in [&lesser, &may] {
        for (place, answer) in call(&walk, token).await {
            let expected = match answer.status {
                _ if !is_recorded(&place) => None,
                200..300 => Some("succeeded"),
                401 | 403 => Some("denied"),
                _ => Some("failed"),
            };
            let id = answer.header("x-request-id").unwrap();
            let found = wait_for("the second row", || outcome(&rows(&server.data, ORG), id));
            assert_eq!(found.as_deref(), expected, "{place}: {}", answer.status);
        }
    }
}
