//! Files of which not even all keys can be read: what is known is told, and what may be missing breaks the transfer.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use super::damage::damage;
use super::transfer::{rest, start_download};
use super::{ORG, check, expected, noise};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log};

/// Imports logs; returns the data file they are in.
fn import(data: &Data, logs: &[Value]) -> PathBuf {
    let known: BTreeSet<_> = data.files(".parquet").into_iter().collect();
    data.import_logs(ORG, logs);
    let new = data.files(".parquet").into_iter();
    let new: Vec<PathBuf> = new.filter(|file| !known.contains(file)).collect();
    assert_eq!(new.len(), 1);
    new[0].clone()
}

fn small(keys: &[&str]) -> Vec<Value> {
    keys.iter().map(|key| log(key, key, &["h"])).collect()
}

fn serve(setup: impl FnOnce(&Data)) -> (Server, String) {
    serve_with(&[], setup)
}

fn serve_with(settings: &[(&str, &str)], setup: impl FnOnce(&Data)) -> (Server, String) {
    let server = Server::start_with(settings, |data| {
        data.org(ORG);
        setup(data);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    (server, token)
}

/// A download that breaks; what came of it.
fn broken(server: &Server, token: &str, prefix: &str) -> String {
    let sent = rest(start_download(server, token, prefix));
    assert!(
        sent.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&sent)
    );
    assert!(
        !sent.ends_with(b"\r\n0\r\n\r\n"),
        "an archive that lacks logs looks like a whole one"
    );
    // The zip's directory is not there either: no reader takes it for whole.
    assert!(!sent.windows(4).any(|bytes| bytes == b"PK\x05\x06"));
    String::from_utf8_lossy(&sent).into_owned()
}

fn spoil_end(file: &Path) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(&[0xA5; 64], length - 64).unwrap();
}

#[tokio::test]
async fn the_keys_of_a_lost_file_of_one_or_two_logs_are_all_told() {
    let (server, token) = serve(|data| {
        data.import_logs(ORG, &small(&["k/1", "k/4", "k/6"]));
        let (two, one) = (
            import(data, &small(&["k/2", "k/5"])),
            import(data, &small(&["k/3"])),
        );
        std::fs::remove_file(two).unwrap();
        spoil_end(&one);
    });
    let answer = server.logs(&token, ORG, "k/").await;
    let entries = answer.entries();
    let (errors, whole): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|(name, _)| name.ends_with("-error"));
    let names: Vec<&str> = errors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["k/2-error", "k/3-error", "k/5-error"]);
    for (_, text) in &errors {
        let text = String::from_utf8_lossy(text);
        assert!(text.contains("could not be read"), "{text}");
    }
    assert_eq!(whole, expected(&small(&["k/1", "k/4", "k/6"])));
    assert_eq!(answer.header("x-prompt-log-count"), Some("6"));

    let path = format!("/v1/{ORG}/admin/get_prompt_logs/?prompt_log_prefix=k/");
    let head = Answer::of(server.request(Method::HEAD, &path).bearer_auth(&token)).await;
    assert_eq!(
        (head.status, head.header("x-prompt-log-count")),
        (200, Some("6"))
    );
    // The operator learns which file it is, the caller does not.
    let line = server.log_line(|line| line.contains("a data file cannot be read"));
    assert!(line.contains(".parquet"), "{line}");
}

#[tokio::test]
async fn a_lost_file_that_may_hold_more_breaks_the_transfer_after_all_that_is_known() {
    let (server, token) = serve(|data| {
        data.import_logs(ORG, &small(&["k/1", "k/9", "z/1"]));
        std::fs::remove_file(import(data, &small(&["k/2", "k/3", "k/4"]))).unwrap();
    });
    let sent = broken(&server, &token, "k/");
    for name in ["k/1-system", "k/2-error", "k/4-error", "k/9-history"] {
        assert!(sent.contains(name), "{name}");
    }
    assert!(!sent.contains("k/3"));
    assert!(sent.contains("x-prompt-log-count: 4"), "{sent}");
    // A key of it that is known is told, and beside it nothing is missing.
    let one = server.logs(&token, ORG, "k/9").await;
    check(&one, &small(&["k/9"]));
    check(&server.logs(&token, ORG, "z/").await, &small(&["z/1"]));
    // Of what lies between its keys nothing can be delivered.
    server.logs(&token, ORG, "k/3").await.detail(503);
}

#[tokio::test]
async fn a_page_of_an_archive_is_whole_until_the_gap_begins() {
    let (server, token) = serve_with(&[("LIMITS__ARCHIVE_LOGS", "2")], |data| {
        data.import_logs(ORG, &small(&["k/1", "k/2", "k/3", "k/8", "k/9"]));
        std::fs::remove_file(import(data, &small(&["k/4", "k/5", "k/6"]))).unwrap();
    });
    let first = server.logs(&token, ORG, "k/").await;
    check(&first, &small(&["k/1", "k/2"]));
    assert_eq!(first.header("x-prompt-log-next-after"), Some("k%2F2"));
    // k/3 and k/4 are known; what is missing comes after k/4.
    let page = async |after: &str| {
        let query = [("prompt_log_prefix", "k/"), ("after", after)];
        Answer::of(server.logs_request(&token, ORG, &query)).await
    };
    assert_eq!(
        page("k/2").await.names(),
        ["k/3-system", "k/3-history", "k/4-error"]
    );
    let sent = broken(&server, &token, "k/&after=k/4");
    assert!(sent.contains("k/6-error") && sent.contains("k/8-history"));
    check(&page("k/6").await, &small(&["k/8", "k/9"]));
}

#[tokio::test]
async fn damaged_keys_cost_their_own_logs_and_no_others() {
    // One log a row group, so that the footer's bounds are the keys.
    let logs: Vec<Value> = (0..6)
        .map(|n| log(&format!("k/{n}"), &noise(n, 2_200_000), &["x"]))
        .collect();
    let lost = std::cell::Cell::new(0..0);
    let (server, token) = serve(|data| {
        let file = import(data, &logs);
        lost.set(damage(&file, "log_key", 2));
    });
    assert_eq!(lost.take(), 2..3);
    let names = server.logs(&token, ORG, "k/").await.names();
    let expected_names = ["k/0", "k/1", "k/2", "k/3", "k/4", "k/5"]
        .iter()
        .flat_map(|key| {
            let parts: &[&str] = if *key == "k/2" {
                &["error"]
            } else {
                &["system", "history"]
            };
            parts.iter().map(move |part| format!("{key}-{part}"))
        });
    assert_eq!(names, expected_names.collect::<Vec<_>>());
}

#[tokio::test]
async fn nobody_gets_a_log_whose_required_permissions_are_damaged() {
    let logs: Vec<Value> = (0..4)
        .map(|n| {
            let mut log = log(&format!("k/{n}"), &noise(n, 2_200_000), &["x"]);
            log["required_permissions"] =
                json!([{"permission_name": "Vault:Open", "attributes": {"n": noise(n, 400)}}]);
            log
        })
        .collect();
    let (server, token) = serve(|data| {
        let file = import(data, &logs);
        damage(&file, "required_permissions", 1);
    });
    let entries = server.logs(&token, ORG, "k/").await.entries();
    let errors: Vec<_> = entries
        .iter()
        .filter(|(name, _)| name.ends_with("-error"))
        .collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, "k/1-error");
    let text = String::from_utf8_lossy(&errors[0].1);
    assert!(
        text.contains("permissions this log requires cannot be read"),
        "{text}"
    );
    assert_eq!(entries.len(), 7);
}
