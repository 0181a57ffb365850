//! Clusters that are down, slow, refuse and break off: whole answers or clear errors, and everything else goes on.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use reqwest::Method;
use serde_json::{Value, json};

use super::proxy::{Fate, error};
use super::server::Mongodb;
use super::{Live, ORG, RIVAL, Set, config, config_file, serve};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR};

/// What a caller is told of a cluster that cannot be reached.
const UNREACHABLE: &str = "the MongoDB cluster of this organization does not answer; try again";
const COUNT: &str = "SELECT sum(n) FROM numbers";

fn numbers() -> impl Iterator<Item = Document> {
    (0..5_000).map(|n| doc! {"_id": n, "n": n, "text": "some text"})
}

/// [`ORG`] has the collection `numbers` of 5,000 documents, [`RIVAL`] none, and both a table in the lake.
async fn live_on(mongodb: Mongodb, settings: &[(&str, &str)]) -> Live {
    mongodb.load(ORG, "numbers", numbers()).await;
    let set = Set {
        cluster: "batch_documents = 500",
        settings,
        before: Some(&|data: &Data| data.import_table(ORG, "lake", &[json!({"id": 1})])),
        ..Set::default()
    };
    Live::start(mongodb, set).await
}

async fn live(settings: &[(&str, &str)]) -> Option<Live> {
    Some(live_on(Mongodb::start()?, settings).await)
}

async fn ready(live: &Live) -> Answer {
    Answer::of(live.server.request(Method::GET, "/readyz")).await
}

/// Asserts that collections answer 503 with the sentence, and that everything else goes on, quickly.
async fn check_down(live: &Live) {
    let token = live.token(ORG);
    for sql in [
        COUNT,
        "SELECT count(*) FROM numbers",
        "SELECT n FROM numbers LIMIT 1",
    ] {
        let began = Instant::now();
        let answer = live.server.sql(&token, ORG, sql).await;
        assert_eq!(answer.detail(503), UNREACHABLE, "{sql}");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{sql}: {:?}",
            began.elapsed()
        );
    }
    let began = Instant::now();
    assert_eq!(
        live.server.rows(&token, ORG, "SELECT id FROM lake").await,
        json!([[1]])
    );
    assert_eq!(
        live.server.rows(&token, ORG, "SELECT 1").await,
        json!([[1]])
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let answer = ready(live).await;
    // Told, but in nobody else's way.
    assert_eq!(answer.status, 200, "{}", answer.text());
    let checks = answer.json()["checks"].clone();
    let of_clusters = |check: &&Value| check["name"] == "clusters";
    let check = checks.as_array().unwrap().iter().find(of_clusters).cloned();
    let check = check.unwrap_or_else(|| panic!("{checks}"));
    assert_eq!(check["ready"], false);
    assert!(
        check["detail"].as_str().unwrap().contains("main"),
        "{check}"
    );
    discreet(live, &answer.text());
}

async fn check_up(live: &Live) {
    assert_eq!(live.rows_soon(ORG, COUNT).await, json!([[12_497_500]]));
    let deadline = Instant::now() + super::SOON;
    while !are_clusters_ready(&ready(live).await) {
        assert!(Instant::now() < deadline, "the clusters do not get ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the readiness check says of the clusters.
fn are_clusters_ready(answer: &Answer) -> bool {
    let checks = answer.json()["checks"].clone();
    let of_clusters = |check: &&Value| check["name"] == "clusters";
    let check = checks.as_array().unwrap().iter().find(of_clusters).cloned();
    check.unwrap_or_else(|| panic!("{checks}"))["ready"] == true
}

/// No host and no port of the cluster.
#[track_caller]
fn discreet(live: &Live, text: &str) {
    for address in [live.proxy.address(), &live.mongodb.address()] {
        let (_, port) = address.split_once(':').unwrap();
        assert!(!text.contains(port), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_takes_nothing_else_along_and_comes_back() {
    let Some(live) = live(&[]).await else {
        return;
    };
    check_up(&live).await;
    live.proxy.close();
    check_down(&live).await;
    let said = live.sql(ORG, COUNT).await;
    discreet(&live, &said.text());
    live.proxy.open();
    check_up(&live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_beside_a_cluster_that_is_down() {
    let Some(live) = live(&[]).await else {
        return;
    };
    let data = live.server.data.clone();
    let Live {
        mongodb,
        proxy,
        server,
    } = live;
    drop(server);
    proxy.close();
    let began = Instant::now();
    let set = Set {
        cluster: "batch_documents = 500",
        ..Set::default()
    };
    let server = serve(&data, &config(&data, &mongodb, &proxy, &set), &[]);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let live = Live {
        mongodb,
        proxy,
        server,
    };
    check_down(&live).await;
    live.proxy.open();
    check_up(&live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_started_again_is_found_again() {
    let Some(mongodb) = Mongodb::start_own() else {
        return;
    };
    let mut live = live_on(mongodb, &[]).await;
    check_up(&live).await;
    live.mongodb.kill();
    check_down(&live).await;
    live.mongodb.start_again();
    check_up(&live).await;
}

/// Starts a query and waits until it reads the second batch, which `fate` keeps back.
async fn in_the_middle(live: &Live, fate: Fate) -> tokio::task::JoinHandle<Answer> {
    live.proxy.set("getMore", fate);
    let request = live.server.sql_request(
        &live.token(ORG),
        ORG,
        "SELECT n, text FROM numbers WHERE n + 1 > 0",
    );
    let query = tokio::spawn(Answer::of(request));
    let began = Instant::now();
    while live.proxy.named("getMore").is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it reads no second batch"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    query
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_a_scan_is_a_503_and_no_rows() {
    let Some(mongodb) = Mongodb::start_own() else {
        return;
    };
    let mut live = live_on(mongodb, &[]).await;
    check_up(&live).await;
    let query = in_the_middle(&live, Fate::Held).await;
    live.mongodb.kill();
    let answer = query.await.unwrap();
    assert_eq!(answer.detail(503), UNREACHABLE);
    live.proxy.clear();
    live.mongodb.start_again();
    check_up(&live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_middle_of_a_scan_is_a_503_and_no_rows() {
    let Some(live) = live(&[]).await else {
        return;
    };
    let query = in_the_middle(&live, Fate::Cut).await;
    assert_eq!(query.await.unwrap().detail(503), UNREACHABLE);
    live.proxy.clear();
    check_up(&live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_has_expired_is_a_503() {
    let Some(live) = live(&[]).await else {
        return;
    };
    // What MongoDB says of a cursor that was idle too long, or that an operator has killed.
    for expired in [
        error(43, "CursorNotFound", "cursor id 4711 not found"),
        error(237, "CursorKilled", "cursor was killed"),
        error(11601, "Interrupted", "operation was interrupted"),
        error(11600, "InterruptedAtShutdown", "interrupted at shutdown"),
    ] {
        let query = in_the_middle(&live, Fate::Answered(expired)).await;
        let answer = query.await.unwrap();
        let detail = answer.detail(503);
        assert!(!detail.contains("4711"), "{detail}");
        live.proxy.clear();
        live.proxy.forget_commands();
    }
    check_up(&live).await;
    // The server's own word on a cursor that is gone.
    live.proxy.forget_commands();
    let query = in_the_middle(&live, Fate::Held).await;
    let cursor = live.proxy.named("getMore")[0].get_i64("getMore").unwrap();
    let database = live.mongodb.database(ORG).await;
    let kill = doc! {"killCursors": "numbers", "cursors": [cursor]};
    database.run_command(kill).await.unwrap();
    live.proxy.clear();
    query.await.unwrap().detail(503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_of_the_cluster_is_a_408() {
    let Some(live) = live(&[]).await else {
        return;
    };
    live.rows(ORG, COUNT).await;
    let expired = error(50, "MaxTimeMSExpired", "operation exceeded time limit");
    live.proxy.set("find", Fate::Answered(expired));
    live.sql(ORG, COUNT).await.detail(408);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_hangs_is_a_408_within_the_limit() {
    let Some(mongodb) = Mongodb::start_own() else {
        return;
    };
    let settings = [("LIMITS__SQL_SECONDS", "3")];
    let live = live_on(mongodb, &settings).await;
    check_up(&live).await;
    // In the middle of a scan: the connections stay, nothing comes.
    let query = in_the_middle(&live, Fate::Held).await;
    live.mongodb.freeze();
    live.proxy.clear();
    let began = Instant::now();
    query.await.unwrap().detail(408);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // From the start.
    let began = Instant::now();
    let answer = live.sql(ORG, COUNT).await;
    assert!([408, 503].contains(&answer.status), "{}", answer.text());
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(live.rows(ORG, "SELECT id FROM lake").await, json!([[1]]));
    live.mongodb.thaw();
    check_up(&live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_cluster_is_waited_for() {
    let Some(live) = live(&[]).await else {
        return;
    };
    live.proxy
        .set("getMore", Fate::Late(Duration::from_millis(150)));
    live.proxy
        .set("find", Fate::Late(Duration::from_millis(500)));
    assert_eq!(live.rows(ORG, COUNT).await, json!([[12_497_500]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_refused_is_a_503_without_the_secret() {
    let Some(mongodb) = Mongodb::start_own() else {
        return;
    };
    let live = live_on(mongodb, &[]).await;
    check_up(&live).await;
    let data = live.server.data.clone();
    let Live {
        mongodb,
        proxy,
        server,
    } = live;
    drop(server);
    // FerretDB with SQLite knows no users, so every credential is a wrong one.
    let set = Set::default();
    let config = config(&data, &mongodb, &proxy, &set);
    let config = config.replace("mongodb://", "mongodb://reader:hunter2-s3cret@");
    let server = serve(&data, &config, &[("LOGS__LEVEL", "debug")]);
    let live = Live {
        mongodb,
        proxy,
        server,
    };
    check_down(&live).await;
    let answer = live.sql(ORG, COUNT).await;
    for text in [answer.text(), live.server.log().join("\n")] {
        assert!(!text.contains("hunter2-s3cret"), "the secret is told");
        assert!(
            !text.contains("aHVudGVyMi1zM2NyZXQ"),
            "the secret is told in Base64"
        );
    }
    discreet(&live, &answer.text());
    assert_eq!(data.file("settings.toml"), config_file(&data));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_missing_are_a_503() {
    let Some(live) = live(&[]).await else {
        return;
    };
    live.rows(ORG, COUNT).await;
    let refused = error(
        13,
        "Unauthorized",
        "not authorized on t_acme to execute command { find: \"numbers\" }",
    );
    live.proxy.set("find", Fate::Answered(refused));
    let detail = live.sql(ORG, COUNT).await.detail(503);
    assert!(
        !detail.contains("t_acme") && !detail.contains("find"),
        "{detail}"
    );
    live.server.log_line(|line| line.contains("Unauthorized"));
}

/// What `connectionStatus` says of a credential with such a role.
fn status(role: &str, actions: &[&str]) -> Document {
    doc! {"authInfo": {
        "authenticatedUsers": [{"user": "reader", "db": "admin"}],
        "authenticatedUserRoles": [{"role": role, "db": "admin"}],
        "authenticatedUserPrivileges": [{"resource": {"db": "", "collection": ""}, "actions": actions.to_vec()}],
    }, "ok": 1.0}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_credential_that_may_write_warns() {
    let Some(live) = live(&[]).await else {
        return;
    };
    let data = live.server.data.clone();
    let Live {
        mongodb,
        proxy,
        server,
    } = live;
    drop(server);
    let text = config(&data, &mongodb, &proxy, &Set::default());
    let warned = |line: &str| {
        let line = line.to_lowercase();
        line.contains("\"warn\"") && line.contains("main") && line.contains("write")
    };
    proxy.set(
        "connectionStatus",
        Fate::Answered(status("readWrite", &["find", "insert", "remove"])),
    );
    let server = serve(&data, &text, &[]);
    server.log_line(warned);
    drop(server);
    proxy.set(
        "connectionStatus",
        Fate::Answered(status("read", &["find", "listCollections", "collStats"])),
    );
    let server = serve(&data, &text, &[]);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(server.rows(&token, ORG, COUNT).await, json!([[12_497_500]]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let log = server.log();
    assert!(!log.iter().any(|line| warned(line)), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asynchronous_query_fails_with_the_same_sentence() {
    let Some(live) = live(&[]).await else {
        return;
    };
    live.rows(ORG, COUNT).await;
    live.proxy.set("getMore", Fate::Cut);
    let body = json!({"sql_query": "SELECT n, text FROM numbers", "async_query": true});
    let request = live
        .server
        .request(Method::POST, &format!("/v1/{ORG}/admin/sql_query"));
    let handle = Answer::of(request.bearer_auth(live.token(ORG)).json(&body))
        .await
        .json();
    let url = handle["signed_url"].as_str().unwrap();
    let path = url.strip_prefix(&live.server.base_url).unwrap();
    let began = Instant::now();
    let answer = loop {
        let answer = Answer::of(live.server.request(Method::GET, path)).await;
        if answer.status != 202 {
            break answer;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(answer.status >= 400, "{}", answer.text());
    let id = handle["query_id"].as_str().unwrap();
    let sql = format!("SELECT status, error, rows FROM query_history WHERE query_id = '{id}'");
    let rows = live.rows(ORG, &sql).await;
    assert_eq!(rows[0][0], "failed", "{rows}");
    assert_eq!(rows[0][1], UNREACHABLE, "{rows}");
    // The other organization, whose database is empty, is as it was.
    assert_eq!(live.rows(RIVAL, "SELECT 1").await, json!([[1]]));
}
