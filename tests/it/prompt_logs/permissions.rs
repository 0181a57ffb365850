//! Who may read which log (the wire contract, section 5): roles, lists with attributes, temporary grants, and what
//! changes while a download is on its way.

use std::io::Read;

use serde_json::{Value, json};

use super::transfer::{bulky, rest, start_download};
use super::{ORG, check, expected};
use crate::sign_in::change;
use crate::support::{ADMINISTRATOR, Data, SUPER_ADMINISTRATOR, Server, USER, log};

fn requiring(key: &str, required: Value) -> Value {
    let mut log = log(key, "secret system", &["secret history"]);
    log["required_permissions"] = required;
    log
}

/// Gives a user a permission; returns the grant's id.
fn grant(data: &Data, user: &str, permission: &str, when: &[&str]) -> String {
    let mut args = vec!["grant", "create", ORG, user, "--permission", permission];
    args.extend(when.iter().flat_map(|when| ["--when", when]));
    args.extend(["--hours", "1", "--justification", "looks into ticket 4711"]);
    let made = data.ok(args);
    made["temporary_permission_grant_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn needs(name: &str, attributes: Value) -> Value {
    json!([{"permission_name": name, "attributes": attributes}])
}

/// Logs the administrator may read with the grants of [`grant_some`].
fn open() -> Vec<Value> {
    vec![
        log("p/1-default", "one", &["1"]),
        requiring(
            "p/2-granted",
            needs("Vault:Read", json!({"user_id": "mia"})),
        ),
        requiring(
            "p/3-granted-too",
            needs("Vault:Read", json!({"user_id": "bo"})),
        ),
        requiring("p/9-family", needs("Archive:Look", json!({}))),
    ]
}

/// Logs the administrator may not read, each with what the `-error` says.
fn closed() -> Vec<(&'static str, Value)> {
    let message = "Conversation:GetMessage";
    let list = json!([{"permission_name": message}, {"permission_name": "Vault:Open"}]);
    let other = needs(message, json!({"org_id": "other"}));
    let eve = needs("Vault:Read", json!({"user_id": "eve"}));
    let vip = needs(message, json!({"user_id": "vip"}));
    vec![
        ("Vault:Open is missing", requiring("p/4-list", list)),
        (
            "Conversation:GetMessage is missing (org_id)",
            requiring("p/5-condition", other),
        ),
        (
            "Vault:Read is missing",
            requiring("p/6-condition-of-grant", eve),
        ),
        (
            "Conversation:GetMessage is denied by a temporary grant",
            requiring("p/7-deny", vip),
        ),
        (
            "Vault:Close is missing",
            requiring("p/8-expired", needs("Vault:Close", json!({}))),
        ),
    ]
}

/// Grants that count, one that belongs to somebody else, a Deny, and one that has expired.
async fn grant_some(data: &Data) {
    grant(
        data,
        ADMINISTRATOR,
        "Vault:Read",
        &["user_id=mia", "user_id=bo"],
    );
    grant(data, ADMINISTRATOR, "Archive:*", &[]);
    grant(data, USER, "Vault:Open", &[]);
    grant(
        data,
        ADMINISTRATOR,
        "Conversation:GetMessage",
        &["user_id=vip"],
    );
    let deny = "UPDATE temporary_permission_grants SET permission_grant =
        json_set(permission_grant, '$.action', 'Deny') WHERE permission_grant LIKE '%vip%'";
    change(data, deny).await;
    grant(data, ADMINISTRATOR, "Vault:Close", &[]);
    let expire = "UPDATE temporary_permission_grants SET expires_at = created_at
        WHERE permission_grant LIKE '%Vault:Close%'";
    change(data, expire).await;
}

#[tokio::test]
async fn a_mixed_archive_has_the_permitted_logs_and_an_error_for_each_other_one() {
    let (open, closed) = (open(), closed());
    let logs = open.iter().chain(closed.iter().map(|(_, log)| log));
    let (server, _) = super::serve(&logs.cloned().collect::<Vec<_>>());
    grant_some(&server.data).await;

    let token = server.token(ORG, ADMINISTRATOR);
    let answer = server.logs(&token, ORG, "p/").await;
    let (errors, whole): (Vec<_>, Vec<_>) = answer
        .entries()
        .into_iter()
        .partition(|(name, _)| name.ends_with("-error"));
    assert_eq!(whole, expected(&open));
    assert_eq!(answer.header("x-prompt-log-count"), Some("9"));
    assert_eq!(errors.len(), closed.len());
    for ((name, text), (why, log)) in errors.iter().zip(&closed) {
        assert_eq!(*name, format!("{}-error", log["log_key"].as_str().unwrap()));
        let text = String::from_utf8_lossy(text);
        let expected = format!("not permitted: permission {why}");
        assert!(text.starts_with(&expected), "{name}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn sql_shows_what_temporary_grants_open() {
    let server = Server::start(|data| {
        data.org(ORG);
        let foreign = json!([{"permission_name": "Vault:Read", "attributes": {"org_id": "other"}}]);
        data.import_logs(ORG, &[log("p/1", "s", &[]), requiring("p/2", foreign)]);
    });
    let token = server.token(ORG, crate::support::AMIGO_ADMINISTRATOR);
    let keys = "SELECT log_key FROM prompt_logs ORDER BY log_key";
    assert_eq!(server.rows(&token, ORG, keys).await, json!([["p/1"]]));
    let user = crate::support::AMIGO_ADMINISTRATOR;
    let id = grant(&server.data, user, "Vault:Read", &["org_id=other"]);
    assert_eq!(
        server.rows(&token, ORG, keys).await,
        json!([["p/1"], ["p/2"]])
    );
    assert_eq!(
        server.logs(&token, ORG, "p/2").await.names(),
        ["p/2-system", "p/2-history"]
    );
    server.data.ok(["grant", "revoke", ORG, &id]);
    assert_eq!(server.rows(&token, ORG, keys).await, json!([["p/1"]]));
}

/// Logs that need a permission of their own, more than a connection holds.
fn bulky_vault() -> Vec<Value> {
    let mut logs = bulky();
    for log in &mut logs {
        log["required_permissions"] = json!([{"permission_name": "Vault:Open"}]);
    }
    logs
}

/// Begins a download of the vault, changes something while its client does not read, and takes the rest.
async fn changed_meanwhile(server: &Server, token: &str, change: impl AsyncFnOnce()) -> String {
    let mut download = start_download(server, token, "big/");
    // So much that the first log has been decided on, and not all of it is under way.
    let mut begun = vec![0; 300_000];
    download.read_exact(&mut begun).unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 200"));
    change().await;
    let whole = [begun, rest(download)].concat();
    assert!(
        whole.ends_with(b"\r\n0\r\n\r\n"),
        "the archive did not end well"
    );
    String::from_utf8_lossy(&whole).into_owned()
}

#[tokio::test]
async fn a_grant_revoked_during_a_download_counts_for_what_was_not_sent_yet() {
    let (server, token) = super::serve(&bulky_vault());
    let reader = server.token(ORG, ADMINISTRATOR);
    let id = grant(&server.data, ADMINISTRATOR, "Vault:Open", &[]);
    let sent = changed_meanwhile(&server, &reader, async || {
        server.data.ok(["grant", "revoke", ORG, &id]);
        // Longer than a decision is good for.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    })
    .await;
    assert!(sent.contains("big/00-system") && !sent.contains("big/00-error"));
    assert!(sent.contains("big/15-error") && !sent.contains("big/15-system"));
    // Whoever has the permission by role goes on as before.
    check(&server.logs(&token, ORG, "big/").await, &bulky_vault());
}

#[tokio::test]
async fn a_user_deleted_during_a_download_gets_nothing_more() {
    let (server, _) = super::serve(&bulky());
    let reader = server.token(ORG, ADMINISTRATOR);
    let sent = changed_meanwhile(&server, &reader, async || {
        change(
            &server.data,
            "DELETE FROM users WHERE user_id = 'administrator'",
        )
        .await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    })
    .await;
    assert!(sent.contains("big/00-system") && !sent.contains("big/00-error"));
    assert!(sent.contains("big/15-error") && !sent.contains("big/15-system"));
}

#[tokio::test]
async fn a_role_that_gains_nothing_changes_nothing_for_a_download() {
    let (server, _) = super::serve(&bulky());
    let reader = server.token(ORG, SUPER_ADMINISTRATOR);
    let sent = changed_meanwhile(&server, &reader, async || {
        grant(&server.data, SUPER_ADMINISTRATOR, "Vault:Open", &[]);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    })
    .await;
    assert!(sent.contains("big/15-system") && !sent.contains("-error"));
}
