//! The API's document and the page to try it: served to anybody, complete without another host, and true. That it is true,
//! schemathesis finds out: it makes requests of the document and compares what comes back.

use std::borrow::Cow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::real_input::python;
use crate::support::{Answer, Data, Server, stderr};

async fn get(server: &Server, path: &str) -> Answer {
    Answer::of(server.request(Method::GET, path)).await
}

#[tokio::test]
async fn the_document_is_served_to_anybody() {
    let server = Server::start(|data| data.org("acme"));
    let answer = get(&server, "/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let committed = std::fs::read_to_string(file).unwrap();
    let committed: Value = serde_json::from_str(&committed).unwrap();
    assert_eq!(answer.json(), committed);
    let wrong = Answer::of(server.request(Method::POST, "/v1/openapi.json")).await;
    wrong.detail(405);
}

#[test]
fn the_document_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut validator = Command::new(python(root));
    validator.args(["-m", "openapi_spec_validator", "--schema", "3.1"]);
    let output = validator.arg(root.join("openapi.json")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", stderr(&output));
}

/// The values of `src` and `href` in a page.
fn links(page: &str) -> Vec<&str> {
    let behind = |name: &str| -> Vec<&str> {
        let parts = page.split(name).skip(1);
        parts
            .map(|part| part.split('"').next().unwrap_or_default())
            .collect()
    };
    [behind("src=\""), behind("href=\"")].concat()
}

#[tokio::test]
async fn the_page_to_try_it_comes_whole_from_this_server() {
    let server = Server::start(|data| data.org("acme"));
    let page = get(&server, "/docs").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let page = page.text();
    let links = links(&page);
    assert!(links.len() >= 5, "{links:?}");
    for link in links {
        let is_here = !link.contains("//") && !link.starts_with('/');
        assert!(is_here, "{link} is elsewhere");
        let file = link.trim_start_matches("./");
        let asset = get(&server, &format!("/docs/{file}")).await;
        assert_eq!(asset.status, 200, "{link}");
        assert!(!asset.body.is_empty(), "{link}");
        // Styles and the page's own script may name nothing outside. The library's script names a validator online and
        // the authors of its parts; the validator is off, and a browser is told to ask nobody else (security headers).
        if link.ends_with(".css") {
            let text = asset.text();
            assert!(
                !text.contains("url(http") && !text.contains("@import"),
                "{link}"
            );
        }
    }
    let script = get(&server, "/docs/swagger-initializer.js").await.text();
    assert!(!script.contains("://"), "{script}");
    assert!(script.contains("\"url\": \"/v1/openapi.json\""), "{script}");
    assert!(script.contains("\"validatorUrl\": \"none\""), "{script}");
    assert_eq!(get(&server, "/docs/nothing.js").await.status, 404);
}

/// A query whose result is there.
async fn submitted(server: &Server, token: &str) -> Value {
    let body = json!({"sql_query": "SELECT 1 AS one", "async_query": true});
    let submission = server.request(Method::POST, "/v1/demo/admin/sql_query");
    let submission = submission.bearer_auth(token).json(&body);
    let submitted = Answer::of(submission).await.json();
    let path = submitted["signed_url"].as_str().unwrap();
    let path = path.strip_prefix(&server.base_url).unwrap();
    while get(server, path).await.status == 202 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    submitted
}

/// The parameters of a signed URL, each as a variable of the environment.
fn signed(submitted: &Value) -> Vec<(String, String)> {
    let url = url::Url::parse(submitted["signed_url"].as_str().unwrap()).unwrap();
    let variable = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        (format!("AMIGO_TEST_RESULT_{name}"), value.into_owned())
    };
    url.query_pairs().map(variable).collect()
}

#[tokio::test]
async fn requests_made_of_the_document_get_the_answers_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = python(root);
    assert!(
        python.exists(),
        "{} is missing: install tests/requirements.txt there or set AMIGO_TEST_PYTHON",
        python.display()
    );
    let data = Data::new();
    let mut demo = data.command();
    demo.args(["demo", "--listen", "127.0.0.1:0", "--json"])
        .env("AMIGO_ADMIN_LIMITS__RATE_LIMITS", "false");
    let server = Server::spawn(&data, demo);
    let token = server.token("demo", "super-administrator");
    // What generated requests may change and delete, so that they change and delete nothing of the caller.
    data.user("demo", "subject", "DefaultUserRole");
    let (cancelled, fetched) = (
        submitted(&server, &token).await,
        submitted(&server, &token).await,
    );
    let role = json!({"role_name": "Subject", "description": "d", "frontend_view": "client", "permission_grants": []});
    let create = server
        .request(Method::POST, "/v1/demo/role/")
        .bearer_auth(&token);
    assert_eq!(Answer::of(create.json(&role)).await.status, 201);

    let mut schemathesis = Command::new(&python);
    schemathesis
        .args(["-m", "schemathesis.cli"])
        .arg("--config-file")
        .arg(root.join("tests/schemathesis/schemathesis.toml"))
        .args(["run", &format!("{}/v1/openapi.json", server.base_url)])
        .env("AMIGO_TEST_TOKEN", &token)
        .env("AMIGO_TEST_QUERY", cancelled["query_id"].as_str().unwrap())
        .env("AMIGO_TEST_RESULT", fetched["query_id"].as_str().unwrap())
        .envs(signed(&fetched))
        .env(
            "SCHEMATHESIS_HOOKS",
            root.join("tests/schemathesis/hooks.py"),
        )
        .env("NO_PROXY", "*")
        .current_dir(data.file(""));
    let output = tokio::task::spawn_blocking(move || schemathesis.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", stderr(&output));

    // The caller is still who it was: nothing passed only because everything was refused.
    let users = server.get(&token, "/v1/demo/user/").await;
    assert_eq!(users.status, 200, "{}", users.text());
}
