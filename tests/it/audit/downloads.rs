//! Downloads: which logs were delivered and which denied, and how far a client came.

use std::io::Read;

use rustix::process::Signal;
use serde_json::json;

use super::{Act, ORG, act, acts};
use crate::prompt_logs::transfer::{bulky, start_download};
use crate::support::{ADMINISTRATOR, Data, SUPER_ADMINISTRATOR, Server, USER, log};

const ACTION: &str = "Admin:GetPromptLogs";

#[tokio::test]
async fn a_mixed_archive_tells_which_logs_were_delivered_and_which_denied() {
    let server = Server::start(|data| {
        data.org(ORG);
        let mut secret = log("c/2", "s", &["h"]);
        secret["required_permissions"] = json!([{"permission_name": "Vault:Read"}]);
        data.import_logs(
            ORG,
            &[log("c/1", "s", &["h"]), secret, log("c/3", "s", &["h"])],
        );
    });
    let data = &server.data;
    let token = server.token(ORG, ADMINISTRATOR);
    let archive = server.logs(&token, ORG, "c/").await;
    assert!(
        archive.names().contains(&"c/2-error".to_owned()),
        "{:?}",
        archive.names()
    );
    let download = act(data, ORG, ACTION);
    download.is_of(ADMINISTRATOR, "c/").ended("succeeded", 200);
    assert_eq!(
        Act::detail(&download.second),
        json!({"delivered": ["c/1", "c/3"], "begun": [], "denied": ["c/2"], "failed": []})
    );
    assert_eq!(download.second["rows"], 2);
    assert_eq!(download.second["bytes"], archive.body.len());

    let user = server.token(ORG, USER);
    server.logs(&user, ORG, "c/").await.detail(403);
    server.logs(&token, ORG, "nothing/").await.detail(404);
    let head = server.logs_request(&token, ORG, &[("prompt_log_prefix", "c/")]);
    let (client, head) = head.build_split();
    let mut head = head.unwrap();
    *head.method_mut() = reqwest::Method::HEAD;
    assert_eq!(client.execute(head).await.unwrap().status(), 200);
    let downloads = acts(data, ORG, ACTION);
    downloads[1].is_of(USER, "c/").ended("denied", 403);
    downloads[2]
        .is_of(ADMINISTRATOR, "nothing/")
        .ended("failed", 404);
    downloads[3]
        .is_of(ADMINISTRATOR, "c/")
        .ended("succeeded", 200);
    assert_eq!(downloads[3].second["bytes"], 0);
    assert_eq!(downloads.len(), 4);
}

fn bulk(data: &Data) {
    data.org(ORG);
    data.import_logs(ORG, &bulky());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_client_that_hangs_up_is_told_how_far_it_came() {
    let server = Server::start(bulk);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let mut download = start_download(&server, &token, "big/");
    let mut begun = vec![0; 4_000_000];
    download.read_exact(&mut begun).unwrap();
    drop(download);
    let download = act(&server.data, ORG, ACTION);
    download
        .is_of(SUPER_ADMINISTRATOR, "big/")
        .ended("interrupted", 200);
    let detail = Act::detail(&download.second);
    let count = |name: &str| detail[name].as_array().unwrap().len();
    // What the client has, and what was on the way to it.
    let bytes = download.second["bytes"].as_u64().unwrap();
    assert!((4_000_000 - 1_000..24_000_000).contains(&bytes), "{bytes}");
    assert!(
        count("delivered") >= 2 && count("delivered") < 16,
        "{detail}"
    );
    assert!(count("begun") <= 1, "{detail}");
    assert_eq!(download.second["rows"], count("delivered"));
    assert_eq!(detail["delivered"][0], "big/00");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_left_open_is_interrupted_at_the_next_start() {
    let mut server = Server::start(bulk);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let mut download = start_download(&server, &token, "big/");
    let mut begun = vec![0; 1_000_000];
    download.read_exact(&mut begun).unwrap();
    server.signal(Signal::KILL);
    server.wait();
    let rows = super::rows(&server.data, ORG);
    let last = rows.last().unwrap();
    assert_eq!(
        (&last["event"], &last["action"]),
        (&json!("opened"), &json!(ACTION))
    );
    let next = Server::on(&server.data, &[]);
    let download = act(&next.data, ORG, ACTION);
    assert_eq!(download.second["outcome"], "interrupted");
    let reason = download.second["reason"].as_str().unwrap();
    assert!(reason.contains("server ended"), "{reason}");
    next.data.ok(["audit", "verify"]);
}

#[tokio::test]
async fn archives_of_the_longest_keys_can_be_read_by_sql() {
    // Of characters that JSON escapes, and JSON within JSON once more.
    let quotes = "\"".repeat(220);
    let logs: Vec<_> = (0..1_000)
        .map(|number| {
            let key = format!("c/{number:03}/{quotes}/{quotes}/{quotes}/{quotes}");
            log(&key, "s", &["h"])
        })
        .collect();
    let server = Server::start(|data| {
        data.org(ORG);
        data.import_logs(ORG, &logs);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for prefix in ["c/0", "c/1", "c/2", "c/3", "c/", "c/"] {
        assert_eq!(server.logs(&token, ORG, prefix).await.status, 200);
    }
    acts(&server.data, ORG, ACTION);
    let sql = "SELECT count(*), max(length(detail)) > 1700000 FROM audit_log
               WHERE action = 'Admin:GetPromptLogs' AND event = 'completed'";
    assert_eq!(server.rows(&token, ORG, sql).await, json!([[6, true]]));
}
