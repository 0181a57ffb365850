//! `get_prompt_logs` (the wire contract, sections 1 and 5): which logs an archive has, for whom, and in which bytes.

mod damage;
mod import;
mod keeping;
mod permissions;
mod table;
pub(crate) mod transfer;
mod unreadable;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMINISTRATOR, Answer, SUPER_ADMINISTRATOR, Server, USER, log};

pub(crate) const ORG: &str = "acme";

/// A server whose organization has these logs, and its super administrator's token.
pub(crate) fn serve(logs: &[Value]) -> (Server, String) {
    let server = Server::start(|data| {
        data.org(ORG);
        data.import_logs(ORG, logs);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    (server, token)
}

/// What the archive of these logs holds, in any order of `logs`.
pub(crate) fn expected(logs: &[Value]) -> Vec<(String, Vec<u8>)> {
    let mut logs: Vec<&Value> = logs.iter().collect();
    logs.sort_by_key(|log| log["log_key"].as_str().unwrap().as_bytes());
    let entries = logs.into_iter().flat_map(|log| {
        let key = log["log_key"].as_str().unwrap();
        let system = log["system"].as_str().map(str::to_owned);
        let history = log["history"].as_array().map(|prompts| {
            let prompts: Vec<&str> = prompts.iter().map(|one| one.as_str().unwrap()).collect();
            prompts.join("\n---\n")
        });
        let entry = |part: &str, text: String| (format!("{key}-{part}"), text.into_bytes());
        [
            system.map(|text| entry("system", text)),
            history.map(|text| entry("history", text)),
        ]
    });
    entries.flatten().collect()
}

/// Compares names first, so that a failure can be read.
#[track_caller]
pub(crate) fn check(answer: &Answer, logs: &[Value]) {
    let (found, expected) = (answer.entries(), expected(logs));
    let names = |entries: &[(String, Vec<u8>)]| -> Vec<String> {
        entries.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&found), names(&expected));
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        assert!(found == expected, "{name} has other bytes");
    }
    assert_eq!(
        answer.header("x-prompt-log-count"),
        Some(logs.len().to_string().as_str())
    );
}

/// Text that does not compress away and that no two seeds share.
pub(crate) fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state >> 58) as u8)
    });
    letters.take(length).collect()
}

pub(crate) fn at(instant: DateTime<Utc>, mut log: Value) -> Value {
    log["created_at"] = json!(instant);
    log
}

#[tokio::test]
async fn an_archive_holds_exactly_the_prompts_that_were_imported() {
    let texts = [
        "",
        "\n",
        "---",
        "\n---\n",
        "a\n---\nb",
        "PK\u{3}\u{4}PK\u{1}\u{2}PK\u{5}\u{6}",
        "nul \0 bell \u{7} escape \u{1b}[2J",
        "\r\nwindows\r\n",
        "😀👩‍👩‍👧 e\u{301} \u{202e}txt.exe\u{202c} שלום مرحبا",
        "\u{feff}BOM \u{fffd} \u{10ffff}",
        "-system\n../../etc/passwd",
    ];
    let mut logs: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| log(&format!("hostile/{index:02}"), text, &[text, "then", text]))
        .collect();
    let long = noise(1, 10 * 1024 * 1024);
    logs.extend([
        json!({"log_key": "hostile/all", "system": "", "history": texts}),
        json!({"log_key": "hostile/empty-history", "history": []}),
        json!({"log_key": "hostile/history-only", "history": ["one"]}),
        json!({"log_key": "hostile/long", "system": long, "history": [long, "", long]}),
        json!({"log_key": "hostile/null-history", "system": "s", "history": null}),
        json!({"log_key": "hostile/null-system", "system": null, "history": [""]}),
        json!({"log_key": "hostile/system-only", "system": "s"}),
    ]);
    let (server, token) = serve(&logs);
    let first = server.logs(&token, ORG, "hostile/").await;
    check(&first, &logs);
    assert_eq!(first.header("content-type"), Some("application/zip"));
    assert_eq!(first.header("x-prompt-log-truncated"), Some("false"));
    assert_eq!(first.header("x-prompt-log-next-after"), None);
    assert_eq!(first.comment(), "");

    let again = server.logs(&token, ORG, "hostile/").await;
    assert!(first.body == again.body, "the same logs gave other bytes");
    let path = format!("/v1/{ORG}/admin/get_prompt_logs?prompt_log_prefix=hostile/");
    let without_slash = server.get(&token, &path).await;
    assert!(
        first.body == without_slash.body,
        "without its slash the path gave other bytes"
    );

    let exact = server.logs(&token, ORG, "hostile/empty-history").await;
    assert_eq!(
        exact.entries(),
        [("hostile/empty-history-history".to_owned(), Vec::new())]
    );
}

#[test]
fn whatever_text_is_imported_comes_back() {
    use proptest::prelude::*;
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = || prop_oneof![any::<String>(), "[-\n]{0,9}", "PK[\u{1}-\u{8}]{2}.{0,30}"];
    let parts = prop_oneof![
        text().prop_map(|system| json!({"system": system})),
        prop::collection::vec(text(), 0..5).prop_map(|history| json!({"history": history})),
        (text(), prop::collection::vec(text(), 0..5))
            .prop_map(|(system, history)| json!({"system": system, "history": history})),
    ];
    let logs =
        prop::collection::btree_map("[a-zä😀][a-z %+~-]{0,4}(/[b-e]{1,3}){0,2}x", parts, 1..60);
    let config = ProptestConfig {
        cases: 8,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..ProptestConfig::default()
    };
    let batch = std::cell::Cell::new(0);
    proptest!(config, |(logs in logs)| {
        // Keys of a folder of their own: earlier batches stay where they are.
        batch.set(batch.get() + 1);
        let folder = format!("batch-{:02}/", batch.get());
        let with_key = |(key, mut log): (String, Value)| {
            log["log_key"] = json!(format!("{folder}{key}"));
            log
        };
        let logs: Vec<Value> = logs.into_iter().map(with_key).collect();
        server.data.import_logs(ORG, &logs);
        check(&runtime.block_on(server.logs(&token, ORG, &folder)), &logs);
    });
}

#[tokio::test]
async fn a_prefix_is_plain_text_and_keys_come_in_byte_order() {
    let keys = [
        "a",
        "a b",
        "a!",
        "a%",
        "a*",
        "a+b",
        "a-b",
        "a.b",
        "a/b",
        "a/b/c",
        "a_",
        "ab",
        "aé",
        "a😀",
        "A",
        "b",
        "urn:x",
        "é",
        "zz/100%/x",
    ];
    let logs: Vec<Value> = keys.iter().rev().map(|key| log(key, key, &[key])).collect();
    let (server, token) = serve(&logs);
    for prefix in [
        "a", "A", "a/", "a%", "a*", "a+b", "a_", "a😀", "é", "urn:", "zz/100%", "a b",
    ] {
        let wanted: Vec<Value> = logs
            .iter()
            .filter(|log| log["log_key"].as_str().unwrap().starts_with(prefix))
            .cloned()
            .collect();
        assert!(!wanted.is_empty(), "{prefix}");
        check(&server.logs(&token, ORG, prefix).await, &wanted);
    }
    for absent in ["c", "B", "a/b/c/", "%", "*", "_", ".", "abc", "a\0", " a"] {
        let detail = server.logs(&token, ORG, absent).await.detail(404);
        assert!(detail.contains("no prompt log"), "{detail}");
    }
    // A + is a space in a query string, which is what the published API's clients send for one.
    let path = format!("/v1/{ORG}/admin/get_prompt_logs/?prompt_log_prefix=a+b");
    assert_eq!(
        server.get(&token, &path).await.names(),
        ["a b-system", "a b-history"]
    );
}

#[tokio::test]
async fn entries_of_colliding_names_are_all_there() {
    // Keys that are names of others' entries, names that are folders of others', and a drive letter.
    let logs =
        ["x", "x-system", "x-system/y", "x-history", "C:/x"].map(|key| log(key, key, &[key]));
    let (server, token) = serve(&logs);
    let names = server.logs(&token, ORG, "x").await.names();
    assert_eq!(names.len(), 8);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 8, "{names:?}");
    assert_eq!(
        server.logs(&token, ORG, "C").await.names(),
        ["C_/x-system", "C_/x-history"]
    );
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let (server, token) = serve(&[log("a", "", &[])]);
    for query in [
        "",
        "?",
        "?prompt_log_prefix=",
        "?prompt_log_prefi=a",
        "?after=a",
        "?prompt_log_prefix=&after=a",
    ] {
        for slash in ["", "/"] {
            let path = format!("/v1/{ORG}/admin/get_prompt_logs{slash}{query}");
            let answer = server.get(&token, &path).await;
            assert_eq!(answer.violations(), ["query.prompt_log_prefix"], "{query}");
        }
    }
    // Decoded to something else, they would be no page behind the last one.
    for (query, place) in [
        ("?prompt_log_prefix=%FCn", "query.prompt_log_prefix"),
        ("?prompt_log_prefix=a&after=%FF", "query.after"),
    ] {
        let path = format!("/v1/{ORG}/admin/get_prompt_logs/{query}");
        assert_eq!(server.get(&token, &path).await.violations(), [place]);
    }
}

#[tokio::test]
async fn more_than_a_thousand_logs_are_cut_and_can_be_walked() {
    let many: Vec<Value> = (0..2_500)
        .map(|n| log(&format!("many/ü {n:04}"), "same", &["a", &n.to_string()]))
        .collect();
    let edge: Vec<Value> = (0..1_000)
        .map(|n| log(&format!("edge/{n:04}"), "same", &[]))
        .collect();
    let (server, token) = serve(&[edge.clone(), many.clone()].concat());

    let whole = server.logs(&token, ORG, "edge/").await;
    check(&whole, &edge);
    assert_eq!(whole.header("x-prompt-log-truncated"), Some("false"));
    assert_eq!(whole.header("x-prompt-log-next-after"), None);

    let mut after = String::new();
    for (page, logs) in many.chunks(1_000).enumerate() {
        let query = [("prompt_log_prefix", "many/"), ("after", after.as_str())];
        let answer = Answer::of(server.logs_request(&token, ORG, &query)).await;
        check(&answer, logs);
        let next = answer.header("x-prompt-log-next-after").map(|next| {
            assert!(next.is_ascii() && !next.contains(' '), "{next}");
            percent_encoding::percent_decode_str(next)
                .decode_utf8()
                .unwrap()
                .into_owned()
        });
        let last = logs.last().unwrap()["log_key"].as_str().unwrap();
        if page < 2 {
            assert_eq!(answer.header("x-prompt-log-truncated"), Some("true"));
            assert_eq!(next.as_deref(), Some(last));
            let comment = answer.comment();
            assert!(
                comment.contains("truncated") && comment.contains(last),
                "{comment}"
            );
        } else {
            assert_eq!(
                (answer.header("x-prompt-log-truncated"), next.as_deref()),
                (Some("false"), None)
            );
            assert_eq!(answer.comment(), "");
        }
        after = last.to_owned();
    }
    let query = [("prompt_log_prefix", "many/"), ("after", after.as_str())];
    Answer::of(server.logs_request(&token, ORG, &query))
        .await
        .detail(404);
    let one_more = [("prompt_log_prefix", "edge/"), ("after", "edge/0998")];
    let answer = Answer::of(server.logs_request(&token, ORG, &one_more)).await;
    check(&answer, &edge[999..]);
    // A key before the prefix, or one that does not exist, is a place to continue from as well.
    let before = [("prompt_log_prefix", "edge/"), ("after", "a")];
    check(
        &Answer::of(server.logs_request(&token, ORG, &before)).await,
        &edge,
    );
    let between = [("prompt_log_prefix", "edge/"), ("after", "edge/0997x")];
    check(
        &Answer::of(server.logs_request(&token, ORG, &between)).await,
        &edge[998..],
    );
}

#[tokio::test]
async fn logs_of_the_past_thirty_days_are_served_and_no_older_ones() {
    let now = Utc::now();
    let days = TimeDelta::days(30);
    let young = [
        at(now - days + TimeDelta::minutes(5), log("age/edge", "", &[])),
        at(now, log("age/now", "", &[])),
        at(now + TimeDelta::minutes(5), log("age/soon", "", &[])),
    ];
    let old = [
        at(now - days - TimeDelta::minutes(1), log("age/gone", "", &[])),
        at(now - days * 2, log("age/long-gone", "", &[])),
        at(now - days - TimeDelta::minutes(1), log("old/gone", "", &[])),
    ];
    let server = Server::start(|data| {
        data.org(ORG);
        data.force_logs(ORG, &[&young[..], &old[..]].concat());
        // Stored they are: the operator's list shows them.
        assert_eq!(import::list(data, "").len(), 6);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    check(&server.logs(&token, ORG, "age/").await, &young);
    server.logs(&token, ORG, "old/").await.detail(404);
    let keys = server
        .rows(
            &token,
            ORG,
            "SELECT log_key FROM prompt_logs ORDER BY log_key",
        )
        .await;
    assert_eq!(keys, json!([["age/edge"], ["age/now"], ["age/soon"]]));
}

#[tokio::test]
async fn a_log_the_caller_may_not_read_is_one_error_entry_and_the_rest_is_delivered() {
    let requiring = |key: &str, required: Value| {
        let mut log = log(key, "secret system", &["secret history"]);
        log["required_permissions"] = required;
        log
    };
    let open = [
        log("p/1", "one", &["1"]),
        requiring(
            "p/2",
            json!([{"permission_name": "Conversation:GetMessage", "attributes": {"user_id": "mia"}}]),
        ),
        requiring("p/9", json!([])),
    ];
    let closed = [
        requiring("p/3", json!([{"permission_name": "Admin:ReadSecrets"}])),
        requiring(
            "p/4",
            json!([{"permission_name": "Conversation:GetMessage", "attributes": {"org_id": "other"}}]),
        ),
        requiring(
            "p/5",
            json!([{"permission_name": "Conversation:GetMessage"}, {"permission_name": "Vault:Open"}]),
        ),
    ];
    let missing = ["Admin:ReadSecrets", "Conversation:GetMessage", "Vault:Open"];
    let (server, greater) = serve(&[&open[..], &closed[..]].concat());

    let lesser = server.token(ORG, ADMINISTRATOR);
    let answer = server.logs(&lesser, ORG, "p/").await;
    let entries = answer.entries();
    let errors: Vec<_> = entries
        .iter()
        .filter(|(name, _)| name.ends_with("-error"))
        .collect();
    let names: Vec<&str> = errors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["p/3-error", "p/4-error", "p/5-error"]);
    for ((_, text), missing) in errors.iter().zip(missing) {
        let text = String::from_utf8_lossy(text);
        assert!(
            text.contains("not permitted") && text.contains(missing),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
    let rest: Vec<_> = entries
        .iter()
        .filter(|(name, _)| !name.ends_with("-error"))
        .cloned()
        .collect();
    assert_eq!(rest, expected(&open));
    assert_eq!(answer.header("x-prompt-log-count"), Some("6"));

    check(
        &server.logs(&greater, ORG, "p/").await,
        &[&open[..], &closed[..]].concat(),
    );
    let user = server.token(ORG, USER);
    let detail = server.logs(&user, ORG, "p/").await.detail(403);
    assert!(detail.contains("Admin:GetPromptLogs"), "{detail}");
    // Whether there is such a log at all is not told either.
    assert_eq!(server.logs(&user, ORG, "nothing").await.detail(403), detail);
}

#[tokio::test]
async fn a_head_request_tells_what_a_download_would_and_sends_nothing() {
    let (server, token) = serve(&[log("a/1", "s", &["h"]), log("a/2", "s", &["h"])]);
    let path = format!("/v1/{ORG}/admin/get_prompt_logs/?prompt_log_prefix=a/");
    let head = Answer::of(server.request(Method::HEAD, &path).bearer_auth(&token)).await;
    let get = server.get(&token, &path).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in [
        "content-type",
        "content-disposition",
        "x-prompt-log-count",
        "x-prompt-log-truncated",
    ] {
        assert!(head.header(name).is_some(), "{name}");
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(head.header("content-length"), None);
}

#[tokio::test]
async fn a_file_name_is_made_of_harmless_letters() {
    let keys = ["a\"b; x=y/ü", "plain-1_2.3/x", &"l".repeat(240)];
    let (server, token) = serve(&keys.map(|key| log(key, "", &[])));
    let cases = [
        (
            "a\"b; x=y/ü",
            "attachment; filename=\"acme-a_b__x_y__.zip\"".to_owned(),
        ),
        (
            "plain-1_2.3/",
            "attachment; filename=\"acme-plain-1_2.3_.zip\"".to_owned(),
        ),
        (
            keys[2],
            format!("attachment; filename=\"acme-{}.zip\"", "l".repeat(115)),
        ),
    ];
    for (prefix, expected) in cases {
        let answer = server.logs(&token, ORG, prefix).await;
        assert_eq!(
            answer.header("content-disposition"),
            Some(expected.as_str())
        );
    }
}

#[tokio::test]
async fn an_organization_sees_its_own_logs_only() {
    let server = Server::start(|data| {
        for org in [ORG, "other"] {
            data.org(org);
            data.import_logs(org, &[log("shared/key", &format!("of {org}"), &[])]);
        }
    });
    for org in [ORG, "other"] {
        let token = server.token(org, SUPER_ADMINISTRATOR);
        let entries = server.logs(&token, org, "shared/").await.entries();
        assert_eq!(
            entries[0],
            (
                "shared/key-system".to_owned(),
                format!("of {org}").into_bytes()
            )
        );
        let foreign = if org == ORG { "other" } else { ORG };
        server.logs(&token, foreign, "shared/").await.detail(401);
    }
}
