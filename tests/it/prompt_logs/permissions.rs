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

#[tokio::test]
async fn a_mixed_archive_has_the_permitted_logs_and_an_error_for_each_other_one() {
    let needs = |name: &str, attributes: Value| json!([{"permission_name": name, "attributes": attributes}]);
    let open = [
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
    ];
    let closed = [
        (
            "Vault:Open",
            "is missing",
            requiring(
                "p/4-list",
                json!([
            {"permission_name": "Conversation:GetMessage"}, {"permission_name": "Vault:Open"}]),
            ),
        ),
        (
            "Conversation:GetMessage",
            "is missing (org_id = other)",
            requiring(
                "p/5-condition",
                needs("Conversation:GetMessage", json!({"org_id": "other"})),
            ),
        ),
        (
            "Vault:Read",
            "is missing",
            requiring(
                "p/6-condition-of-grant",
                needs("Vault:Read", json!({"user_id": "eve"})),
            ),
        ),
        (
            "Conversation:GetMessage",
            "is denied by a temporary grant",
            requiring(
                "p/7-deny",
                needs("Conversation:GetMessage", json!({"user_id": "vip"})),
            ),
        ),
        (
            "Vault:Close",
            "is missing",
            requiring("p/8-expired", needs("Vault:Close", json!({}))),
        ),
    ];
    let server = Server::start(|data| {
        data.org(ORG);
        let logs = open.iter().chain(closed.iter().map(|(_, _, log)| log));
        data.import_logs(ORG, &logs.cloned().collect::<Vec<_>>());
        grant(
            data,
            ADMINISTRATOR,
            "Vault:Read",
            &["user_id=mia", "user_id=bo"],
        );
        grant(data, ADMINISTRATOR, "Archive:*", &[]);
        grant(data, USER, "Vault:Open", &[]);
    });
    grant(
        &server.data,
        ADMINISTRATOR,
        "Conversation:GetMessage",
        &["user_id=vip"],
    );
    let deny = "UPDATE temporary_permission_grants SET permission_grant =
        json_set(permission_grant, '$.action', 'Deny') WHERE permission_grant LIKE '%vip%'";
    change(&server.data, deny).await;
    grant(&server.data, ADMINISTRATOR, "Vault:Close", &[]);
    let expire = "UPDATE temporary_permission_grants SET expires_at = created_at
        WHERE permission_grant LIKE '%Vault:Close%'";
    change(&server.data, expire).await;

    let token = server.token(ORG, ADMINISTRATOR);
    let answer = server.logs(&token, ORG, "p/").await;
    let (errors, whole): (Vec<_>, Vec<_>) = answer
        .entries()
        .into_iter()
        .partition(|(name, _)| name.ends_with("-error"));
    assert_eq!(whole, expected(&open));
    assert_eq!(answer.header("x-prompt-log-count"), Some("9"));
    assert_eq!(errors.len(), closed.len());
    for ((name, text), (permission, why, log)) in errors.iter().zip(&closed) {
        assert_eq!(*name, format!("{}-error", log["log_key"].as_str().unwrap()));
        let text = String::from_utf8_lossy(text);
        assert!(text.starts_with("not permitted: "), "{text}");
        assert!(
            text.contains(permission) && text.contains(why),
            "{name}: {text}"
        );
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
