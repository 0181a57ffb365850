//! A whole session at the most talkative level of the log: none of its secrets is in it, nor in the arguments and
//! environments of its processes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::json;

use super::{ORG, acme};
use crate::support::{Answer, SUPER_ADMINISTRATOR, Server, children, log};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_session_is_in_the_log_or_in_a_process() {
    let server = Server::start_with(&[("LOGS__LEVEL", "trace")], acme);
    let key = server.data.api_key(ORG);
    let signed_in = server.sign_in(ORG, &key, SUPER_ADMINISTRATOR).await;
    let token = signed_in.json()["id_token"].as_str().unwrap().to_owned();
    let refused = (key.0.clone(), "a-secret-that-is-wrong".to_owned());
    server
        .sign_in(ORG, &refused, SUPER_ADMINISTRATOR)
        .await
        .detail(401);
    let forged = format!("{}x", &token[..token.len() - 1]);
    server.sql(&forged, ORG, "SELECT 1").await.detail(401);

    let sql = "SELECT 'literal-of-the-query' FROM prompt_logs";
    assert_eq!(
        server.rows(&token, ORG, sql).await,
        json!([["literal-of-the-query"]])
    );
    server
        .sql(&token, ORG, "SELECT 'literal-of-a-bad-one' +")
        .await
        .detail(400);
    let basic = BASE64_STANDARD.encode(format!("{ORG}_{SUPER_ADMINISTRATOR}:{token}"));
    let path = format!("/v1/{ORG}/admin/sql_query");
    let submission = json!({"sql_query": sql, "async_query": true});
    let request = server.request(Method::POST, &path).json(&submission);
    let handle = Answer::of(request.header("authorization", format!("Basic {basic}"))).await;
    assert_eq!(handle.status, 200, "{}", handle.text());
    let signed_url = handle.json()["signed_url"].as_str().unwrap().to_owned();
    let url = signed_url
        .strip_prefix(&server.base_url)
        .unwrap()
        .to_owned();
    loop {
        let answer = Answer::of(server.request(Method::GET, &url)).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.status, 202);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (_, signature) = url.rsplit_once("signature=").unwrap();
    let written = server
        .request(Method::POST, &format!("/v1/{ORG}/admin/prompt_logs"))
        .bearer_auth(&token)
        .body(log("new/1", "text-of-the-prompt", &[]).to_string());
    assert_eq!(Answer::of(written).await.status, 200);
    assert_eq!(server.logs(&token, ORG, "new/").await.status, 200);

    // The last line of the session is there, so all of it is.
    server.log_line(|line| line.contains("get_prompt_logs") && line.contains("\"status\":200"));
    let told = told(&server);
    assert!(
        told.contains("TRACE"),
        "the log is not at its most talkative"
    );
    let (head, _) = token.rsplit_once('.').unwrap();
    for (what, secret) in [
        ("the API key", key.1.as_str()),
        ("a wrong API key", &refused.1),
        ("the token", head),
        ("the token as a password", &basic[basic.len() - 60..]),
        ("the signature of a URL", signature),
        ("the text of a query", "literal-of-the-query"),
        ("the text of a query that failed", "literal-of-a-bad-one"),
        ("a prompt", "text-of-the-prompt"),
        ("an older prompt", "You greet."),
    ] {
        let line = told.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{what}");
    }
}

/// The server's log, and the arguments and environments of all its processes.
fn told(server: &Server) -> String {
    let mut told = server.log().join("\n");
    let mut processes = children(server.pid());
    processes.push(server.pid());
    for pid in processes {
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            told.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    told
}
