//! Maintenance and health (the wire contract, section 3): what is answered while the API is off, and who can see why.

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, children, log};
use crate::unauthorized::{self, Walk};

const ORG: &str = "acme";

async fn get(server: &Server, path: &str) -> Answer {
    Answer::of(server.request(Method::GET, path)).await
}

async fn pinged(server: &Server) -> Value {
    let answer = get(server, &format!("/v1/{ORG}/admin/ping")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["in_maintenance_mode"].clone()
}

#[tokio::test]
async fn maintenance_counts_at_once_and_comes_before_every_other_check() {
    let server = Server::start(|data| {
        data.org(ORG);
        data.import_logs(ORG, &[log("chat/1", "You greet.", &[])]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let off = json!({"in_maintenance_mode": false, "since": null});
    assert_eq!(server.data.ok(["maintenance", "status"]), off);
    assert_eq!(pinged(&server).await, false);

    let on = server.data.ok(["maintenance", "on"]);
    assert_eq!(on["in_maintenance_mode"], true);
    assert_eq!(server.data.ok(["maintenance", "on"]), on, "it began once");
    assert_eq!(pinged(&server).await, true);
    for (method, path) in [
        (Method::GET, format!("/v1/{ORG}/admin/get_prompt_logs/")),
        (Method::POST, format!("/v1/{ORG}/admin/sql_query")),
        (Method::POST, format!("/v1/{ORG}/user/signin_with_api_key")),
        (Method::DELETE, format!("/v1/{ORG}/admin/sql_query")),
        (Method::GET, "/.well-known/jwks.json".to_owned()),
        (Method::GET, "/nowhere".to_owned()),
        (Method::GET, "/v1/../admin/ping".to_owned()),
    ] {
        let answer = Answer::of(server.request(method, &path)).await;
        let detail = answer.detail(503);
        assert!(detail.contains("maintenance"), "{path}: {detail}");
        assert_eq!(answer.header("retry-after"), Some("60"), "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
    server.logs(&token, ORG, "chat").await.detail(503);
    assert_eq!(get(&server, "/healthz").await.status, 200);
    assert_eq!(get(&server, "/readyz").await.status, 200);

    assert_eq!(server.data.ok(["maintenance", "off"]), off);
    assert_eq!(
        server.data.ok(["maintenance", "off"]),
        off,
        "twice is no error"
    );
    assert_eq!(server.logs(&token, ORG, "chat").await.status, 200);
    assert_eq!(pinged(&server).await, false);
}

#[tokio::test]
async fn in_maintenance_every_operation_is_503_but_ping_and_health() {
    let server = Server::start(unauthorized::data);
    let walk = Walk::on(&server).await;
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    server.data.ok(["maintenance", "on"]);
    let mut up = Vec::new();
    for operation in walk.operations() {
        let answer = Answer::of(walk.request(&operation).bearer_auth(&token)).await;
        match answer.status {
            200 => up.push(operation.0),
            status => {
                assert_eq!(status, 503, "{}: {}", operation.0, answer.text());
                assert_eq!(answer.header("retry-after"), Some("60"), "{}", operation.0);
            }
        }
    }
    let expected = [
        "GET /healthz",
        "GET /readyz",
        "GET /v1/{organization}/admin/ping",
    ];
    assert_eq!(up, expected);
}

#[tokio::test]
async fn readiness_says_what_is_in_the_way() {
    let server = Server::start(|data: &Data| {
        data.org(ORG);
        data.import_logs(ORG, &[log("chat/1", "You greet.", &[])]);
    });
    let answer = get(&server, "/readyz").await;
    let ready = json!({"ready": true, "checks": [
        {"name": "directory", "ready": true, "detail": null},
        {"name": "storage", "ready": true, "detail": null},
        {"name": "queries", "ready": true, "detail": null},
    ]});
    assert_eq!((answer.status, answer.json()), (200, ready));

    let lake = server.data.path().join("lake");
    std::fs::rename(&lake, server.data.file("aside")).unwrap();
    let answer = get(&server, "/readyz").await;
    assert_eq!(answer.status, 503);
    let [directory, storage] = [0, 1].map(|index| answer.json()["checks"][index].clone());
    assert_eq!(
        (&directory["ready"], &storage["ready"]),
        (&json!(true), &json!(false))
    );
    let detail = storage["detail"].as_str().unwrap();
    assert!(
        !detail.contains(server.data.path().to_str().unwrap()),
        "{detail}"
    );
    assert_eq!(
        get(&server, "/healthz").await.status,
        200,
        "a restart would not help"
    );
    std::fs::rename(server.data.file("aside"), &lake).unwrap();
    assert_eq!(get(&server, "/readyz").await.status, 200);
}

#[tokio::test]
async fn a_server_whose_query_workers_hang_is_not_ready_until_it_has_others() {
    let server = Server::start_with(&[("LIMITS__SQL_WORKERS", "1")], |data| data.org(ORG));
    assert_eq!(get(&server, "/readyz").await.status, 200);
    for worker in children(server.pid()) {
        let pid = Pid::from_raw(i32::try_from(worker).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
    }
    let answer = get(&server, "/readyz").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let queries = &answer.json()["checks"][2];
    assert_eq!(queries["name"], "queries");
    assert_eq!(queries["detail"], "a query worker does not answer");
    let answer = get(&server, "/readyz").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
}
