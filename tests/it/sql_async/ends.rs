//! How asynchronous queries end that do not end well.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{NUMBERS, ORG, acme, fetch, path, status, submission, submit};
use crate::sign_in::change;
use crate::support::{Answer, SUPER_ADMINISTRATOR, Server, children, wait_for, walk};

/// Runs until it is stopped.
const ENDLESS: &str =
    "SELECT a.value FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// Everything below the folder of results.
fn results(server: &Server) -> Vec<PathBuf> {
    let (folder, mut found) = (server.data.path().join("results"), Vec::new());
    if folder.is_dir() {
        walk(&folder, &mut |path| found.push(path.to_owned()));
    }
    found
}

async fn delete(server: &Server, token: &str, handle: &Value) -> Answer {
    let id = handle["query_id"].as_str().unwrap();
    let path = format!("/v1/{ORG}/admin/sql_query/{id}");
    Answer::of(server.request(Method::DELETE, &path).bearer_auth(token)).await
}

async fn until_running(server: &Server, token: &str, handle: &Value) -> Value {
    for _ in 0..600 {
        let status = status(server, token, handle).await;
        if status["status"] == "running" && status["rows"].as_u64() > Some(0) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never runs")
}

#[tokio::test]
async fn a_failed_query_says_why_and_leaves_no_file() {
    let server = Server::start_with(&[("LIMITS__SQL_FILE_BYTES", "100000")], acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for (sql, reason) in [
        ("SELECT nonsense", "nonsense"),
        ("DROP TABLE users", "read-only"),
        (
            "SELECT 1 / (value - 4000) FROM generate_series(1, 5000)",
            "zero",
        ),
        (ENDLESS, "larger than 100000 bytes"),
    ] {
        for format in ["csv", "parquet"] {
            if sql == ENDLESS && format == "parquet" {
                continue;
            }
            let handle = submit(&server, &token, sql, Some(format)).await;
            let detail = fetch(&server, &handle).await.detail(400);
            assert!(detail.to_lowercase().contains(reason), "{sql}: {detail}");
            let status = status(&server, &token, &handle).await;
            assert_eq!(
                (&status["status"], &status["error"]),
                (&json!("failed"), &json!(detail))
            );
            assert_eq!(status.get("signed_url"), None);
        }
    }
    assert_eq!(results(&server), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn past_its_limit_a_query_is_408() {
    let server = Server::start_with(&[("LIMITS__SQL_ASYNC_SECONDS", "1")], acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, ENDLESS, None).await;
    fetch(&server, &handle).await.detail(408);
    assert_eq!(
        status(&server, &token, &handle).await["status"],
        "timed_out"
    );
    assert_eq!(results(&server), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_running_query_tells_how_far_it_is_until_it_is_cancelled() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let idle = children(server.pid()).len();
    let handle = submit(&server, &token, ENDLESS, None).await;
    until_running(&server, &token, &handle).await;
    let url = path(&server, &handle["signed_url"]);
    let answer = Answer::of(server.request(Method::GET, url)).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (202, Some("1"))
    );
    let so_far = answer.json();
    assert_eq!(so_far["status"], "running", "{so_far}");
    assert!(so_far["rows"].as_u64() > Some(0) && so_far["seconds"].as_f64() > Some(0.0));

    let canceled = delete(&server, &token, &handle).await.json();
    assert_eq!(canceled["status"], "canceled", "{canceled}");
    // The worker is gone before the answer is here.
    wait_for("the worker to be gone", || {
        (children(server.pid()).len() <= idle).then_some(())
    });
    assert_eq!(results(&server), Vec::<PathBuf>::new());
    let detail = fetch(&server, &handle).await.detail(400);
    assert!(detail.contains("cancelled"), "{detail}");
    assert_eq!(
        delete(&server, &token, &handle).await.json()["status"],
        "canceled"
    );
}

#[tokio::test]
async fn a_result_that_is_deleted_is_gone() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, NUMBERS, None).await;
    assert_eq!(fetch(&server, &handle).await.status, 200);
    assert_eq!(results(&server).len(), 1);
    assert_eq!(
        delete(&server, &token, &handle).await.json()["status"],
        "succeeded"
    );
    assert_eq!(results(&server), Vec::<PathBuf>::new());
    fetch(&server, &handle).await.detail(410);
}

#[tokio::test]
async fn a_result_ends_with_its_time() {
    let mut server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, NUMBERS, None).await;
    let kept = submit(&server, &token, NUMBERS, None).await;
    for handle in [&handle, &kept] {
        assert_eq!(fetch(&server, handle).await.status, 200);
    }
    assert_eq!(results(&server).len(), 2);
    server.stop();
    // A day later, for one of the two.
    change(
        &server.data,
        "UPDATE sql_queries SET expires_at = expires_at - 86400000
         WHERE created_at = (SELECT min(created_at) FROM sql_queries)",
    )
    .await;
    let server = Server::on(&server.data, &[]);
    wait_for("the expired result to be deleted", || {
        (results(&server).len() == 1).then_some(())
    });
    let at_this_server = |handle: &Value| {
        let url = handle["signed_url"].as_str().unwrap();
        let path = &url[url.find("/v1/").unwrap()..];
        json!({"signed_url": format!("{}{path}", server.base_url)})
    };
    fetch(&server, &at_this_server(&handle)).await.detail(410);
    assert_eq!(
        fetch(&server, &at_this_server(&kept)).await.status,
        200,
        "a result is deleted before its time"
    );
    let ended = status(&server, &token, &handle).await;
    assert_eq!(
        (&ended["status"], ended.get("signed_url")),
        (&json!("succeeded"), None)
    );
}

#[tokio::test]
async fn a_query_that_ran_when_the_server_died_has_failed() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut server = Server::start(acme);
        let token = server.token(ORG, SUPER_ADMINISTRATOR);
        let running = submit(&server, &token, ENDLESS, None).await;
        until_running(&server, &token, &running).await;
        let waiting = submit(&server, &token, ENDLESS, None).await;
        server.signal(signal);
        server.wait();
        let again = Server::on(&server.data, &[]);
        for handle in [&running, &waiting] {
            let handle = json!({"signed_url": again.base_url.clone() + path(&server, &handle["signed_url"]), "query_id": handle["query_id"]});
            let detail = fetch(&again, &handle).await.detail(400);
            assert_eq!(detail, "the server restarted; submit it again");
            assert_eq!(status(&again, &token, &handle).await["status"], "failed");
        }
        assert_eq!(results(&again), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn only_so_many_may_be_unfinished() {
    let settings = [
        ("LIMITS__SQL_WAITING", "2"),
        ("LIMITS__SQL_ASYNC_WORKERS", "1"),
    ];
    let server = Server::start_with(&settings, |data| {
        acme(data);
        data.org("rival");
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let first = submit(&server, &token, ENDLESS, None).await;
    let second = submit(&server, &token, NUMBERS, None).await;
    let refused = Answer::of(submission(&server, &token, NUMBERS, None)).await;
    assert!(refused.header("retry-after").is_some());
    refused.detail(503);
    until_running(&server, &token, &first).await;
    assert_eq!(status(&server, &token, &second).await["status"], "queued");
    // Another organization does not wait for this one.
    let rival = server.token("rival", SUPER_ADMINISTRATOR);
    let body = json!({"sql_query": "SELECT 1 AS x", "async_query": true});
    let request = server.request(Method::POST, "/v1/rival/admin/sql_query");
    let theirs = Answer::of(request.bearer_auth(&rival).json(&body))
        .await
        .json();
    assert_eq!(fetch(&server, &theirs).await.text(), "x\r\n1\r\n");
    delete(&server, &token, &first).await;
    assert_eq!(fetch(&server, &second).await.status, 200);
}

#[tokio::test]
async fn submissions_at_once_take_as_many_places_as_there_are_and_one_sent_again_takes_none() {
    let settings = [
        ("LIMITS__SQL_WAITING", "5"),
        ("LIMITS__SQL_ASYNC_WORKERS", "1"),
    ];
    let server = Server::start_with(&settings, acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let with_key = async |sql: &str| {
        let request = submission(&server, &token, sql, None);
        Answer::of(request.header("Idempotency-Key", "one")).await
    };
    let first = with_key(ENDLESS).await.json();
    let many = (0..60).map(|_| Answer::of(submission(&server, &token, ENDLESS, None)));
    let many = futures::future::join_all(many).await;
    let of = |status| many.iter().filter(|answer| answer.status == status).count();
    assert_eq!((of(200), of(503)), (4, 56));
    assert_eq!(with_key(ENDLESS).await.json(), first);
    assert_eq!(with_key("SELECT 1").await.status, 422);
    // An end gives its place back.
    delete(&server, &token, &first).await;
    submit(&server, &token, ENDLESS, None).await;
    let refused = Answer::of(submission(&server, &token, ENDLESS, None)).await;
    assert_eq!(refused.status, 503);
}

/// Puts a file where the folder of a query's result is, which cannot be removed then.
fn block(server: &Server, handle: &Value) -> PathBuf {
    let id = handle["query_id"].as_str().unwrap();
    let folder = server.data.path().join("results").join(ORG).join(id);
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    folder
}

#[tokio::test]
async fn a_query_whose_folder_cannot_be_removed_ends_all_the_same() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, ENDLESS, None).await;
    until_running(&server, &token, &handle).await;
    let blocked = block(&server, &handle);
    let canceled = delete(&server, &token, &handle).await.json();
    assert_eq!(canceled["status"], "canceled", "{canceled}");
    assert_eq!(results(&server), [blocked]);
    server.log_line(|line| line.contains("a result is left behind"));
}

#[tokio::test]
async fn a_result_that_cannot_be_removed_is_in_no_others_way() {
    let mut server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let first = submit(&server, &token, "SELECT 1", None).await;
    assert_eq!(fetch(&server, &first).await.status, 200);
    let second = submit(&server, &token, "SELECT 2", None).await;
    assert_eq!(fetch(&server, &second).await.status, 200);
    // This one stays running for the next server to fail.
    let running = submit(&server, &token, ENDLESS, None).await;
    until_running(&server, &token, &running).await;
    let blocked = [block(&server, &first), block(&server, &running)];
    server.signal(Signal::KILL);
    server.wait();
    let later =
        "UPDATE sql_queries SET expires_at = expires_at - 86400000 WHERE status = 'succeeded'";
    change(&server.data, later).await;
    let server = Server::on(&server.data, &[]);
    wait_for("the result that can be deleted", || {
        let left = results(&server);
        (left.len() == 2 && blocked.iter().all(|one| left.contains(one))).then_some(())
    });
}

#[tokio::test]
async fn queries_of_others_are_not_there() {
    let server = Server::start(|data| {
        acme(data);
        data.org("rival");
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let handle = submit(&server, &token, "SELECT 1", None).await;
    fetch(&server, &handle).await;
    let id = handle["query_id"].as_str().unwrap();
    let rival = server.token("rival", SUPER_ADMINISTRATOR);
    let theirs = format!("/v1/rival/admin/sql_query/{id}");
    server.get(&rival, &theirs).await.detail(404);
    server
        .get(&rival, &format!("/v1/{ORG}/admin/sql_query/{id}"))
        .await
        .detail(401);
    let request = server.request(Method::DELETE, &theirs).bearer_auth(&rival);
    Answer::of(request).await.detail(404);
    assert_eq!(fetch(&server, &handle).await.status, 200);
    assert_eq!(
        server
            .rows(&rival, "rival", "SELECT count(*) FROM query_history")
            .await,
        json!([[0]])
    );
    server
        .get(&token, &format!("/v1/{ORG}/admin/sql_query/nothing"))
        .await
        .detail(404);
}

#[tokio::test]
async fn queries_of_a_user_who_had_the_id_before_are_not_there() {
    let server = Server::start(|data| {
        acme(data);
        data.analyst(ORG, "ann");
    });
    let submitted = async |token: &str| {
        let request = submission(&server, token, "SELECT 1", None);
        let answer = Answer::of(request.header("Idempotency-Key", "one")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let seen = "SELECT count(*) FROM query_history";
    let first = server.token(ORG, "ann");
    let handle = submitted(&first).await;
    fetch(&server, &handle).await;
    let id = handle["query_id"].as_str().unwrap();
    let path = format!("/v1/{ORG}/admin/sql_query/{id}");
    assert_eq!(server.get(&first, &path).await.status, 200);
    assert_eq!(server.rows(&first, ORG, seen).await, json!([[1]]));
    server.data.ok(["user", "delete", ORG, "ann"]);
    server.data.user(ORG, "ann", "Analyst");
    // A token tells to the second when it was issued.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    fetch(&server, &handle).await.detail(410);
    let second = server.token(ORG, "ann");
    server.get(&second, &path).await.detail(404);
    let request = server.request(Method::DELETE, &path).bearer_auth(&second);
    Answer::of(request).await.detail(404);
    assert_eq!(server.rows(&second, ORG, seen).await, json!([[0]]));
    assert_ne!(submitted(&second).await["query_id"], handle["query_id"]);
    // Those who may see everybody's see both, and are told of no result that is not their own.
    let everybody = server.token(ORG, SUPER_ADMINISTRATOR);
    let seen = server.get(&everybody, &path).await;
    assert_eq!(seen.status, 200);
    assert_eq!(seen.json()["signed_url"], Value::Null);
}

#[tokio::test]
async fn a_submission_whose_client_hangs_up_runs_or_is_not_there() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for number in 0..40 {
        let request = submission(&server, &token, "SELECT 1", None).send();
        let _ = tokio::time::timeout(Duration::from_millis(number), request).await;
    }
    let unfinished =
        "SELECT count(*) FROM query_history WHERE status IN ('queued', 'running') AND async_query";
    let started = std::time::Instant::now();
    while server.rows(&token, ORG, unfinished).await != json!([[0]]) {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "one never ends"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_large_result_needs_little_memory() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let sql = "SELECT value, repeat('x', 100) AS t FROM generate_series(1, 400000)";
    for format in ["csv", "parquet"] {
        let handle = submit(&server, &token, sql, Some(format)).await;
        let answer = fetch(&server, &handle).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let sql = "SELECT max(peak_memory_bytes) < 256 * 1024 * 1024, min(rows) FROM query_history WHERE async_query";
    assert_eq!(
        server.rows(&token, ORG, sql).await,
        json!([[true, 400_000]])
    );
}

#[tokio::test]
async fn a_data_directory_has_one_server() {
    let server = Server::start(acme);
    let second = server.data.run(["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = crate::support::stderr(&second);
    assert!(said.contains("another server"), "{said}");
}
