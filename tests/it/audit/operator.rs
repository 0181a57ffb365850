//! What operators do with commands.

use serde_json::{Value, json};

use super::{Act, ORG, act, acts, rows};
use crate::support::{ADMINISTRATOR, Data, USER, log, ndjson};

/// Who runs the tests.
fn me() -> String {
    let output = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Runs every command that works on an organization; returns the id and the secret of a key, and the id of a grant.
fn run_all(data: &Data) -> (String, String, String) {
    data.org(ORG);
    data.token(ORG, USER);
    let (key, secret) = data.api_key(ORG);
    data.ok(["api-key", "revoke", ORG, &key]);
    let grants =
        json!([{"action": "Allow", "permission_name": "Admin:GetPromptLogs", "conditions": {}}]);
    data.role(ORG, "Reader", &grants);
    data.ok(["role", "assign", ORG, "Reader", USER]);
    let grant = data.ok([
        "grant",
        "create",
        ORG,
        USER,
        "--permission",
        "Admin:GetPromptLogs",
        "--hours",
        "2",
        "--justification",
        "an audit of January",
    ]);
    let grant = grant["temporary_permission_grant_id"]
        .as_str()
        .unwrap()
        .to_owned();
    data.ok(["grant", "revoke", ORG, &grant]);
    data.ok(["user", "delete", ORG, ADMINISTRATOR]);
    data.ok(["org", "retention", ORG, "90"]);
    data.import_logs(ORG, &[log("c/1", "s", &["h"]), log("c/2", "s", &["h"])]);
    data.import_table(ORG, "people", &[json!({"a": 1})]);
    data.ok(["prompt-logs", "list", ORG, "c/"]);
    data.ok(["prompt-logs", "compact", ORG]);
    data.ok(["prompt-logs", "expire", ORG]);
    (key, secret, grant)
}

#[test]
fn every_command_that_changes_or_reads_leaves_both_its_rows() {
    let data = Data::new();
    let (key, secret, grant) = run_all(&data);
    for (action, resource) in [
        ("User:IssueToken", json!(USER)),
        ("Organization:CreateAPIKey", json!("")),
        ("Organization:DeleteAPIKey", json!(key)),
        ("Role:CreateRole", json!("Reader")),
        ("Role:AssignRole", json!(USER)),
        ("Role:CreateTemporaryPermissionGrant", json!(USER)),
        ("Role:RevokeTemporaryPermissionGrant", json!(grant)),
        ("User:DeleteUser", json!(ADMINISTRATOR)),
        ("Organization:SetRetention", Value::Null),
        ("Admin:ImportPromptLogs", Value::Null),
        ("Admin:ImportTable", json!("people")),
        ("Admin:ListPromptLogs", json!("c/")),
        ("Admin:CompactPromptLogs", Value::Null),
        ("Admin:ExpirePromptLogs", Value::Null),
    ] {
        let act = act(&data, ORG, action);
        assert_eq!(act.first["resource"], resource, "{action}");
        assert_eq!(act.second["outcome"], "succeeded", "{action}");
        for row in [&act.first, &act.second] {
            assert_eq!(
                (&row["actor"], &row["actor_id"]),
                (&json!("operator"), &json!(me()))
            );
        }
    }
    assert_eq!(acts(&data, ORG, "User:InviteUser").len(), 4);
    let imported = act(&data, ORG, "Admin:ImportPromptLogs");
    assert_eq!(
        Act::detail(&imported.second),
        json!({"written": 2, "unchanged": 0, "rejected": 0})
    );
    // Of a log that another one replaced the audit log tells.
    data.import_logs(ORG, &[log("c/1", "other", &["h"]), log("c/3", "s", &["h"])]);
    let imported = acts(&data, ORG, "Admin:ImportPromptLogs");
    assert_eq!(
        Act::detail(&imported[1].second),
        json!({"written": 2, "unchanged": 0, "rejected": 0, "replaced": 1, "replaced_keys": ["c/1"]})
    );
    let listed = act(&data, ORG, "Admin:ListPromptLogs");
    assert_eq!(Act::detail(&listed.second), json!({"logs": 2}));
    let all: String = rows(&data, ORG).iter().map(Value::to_string).collect();
    assert!(all.contains(&key) && !all.contains(&secret));
}

#[test]
fn what_is_of_no_organization_is_in_the_servers_chain() {
    let data = Data::new();
    data.org(ORG);
    data.ok(["maintenance", "on"]);
    data.ok(["maintenance", "off"]);
    data.ok(["maintenance", "status"]);
    let kid = data.ok(["signing-key", "rotate"])["kid"].clone();
    let server = rows(&data, "--server");
    let actions: Vec<&Value> = server.iter().map(|row| &row["action"]).collect();
    let expected = [
        "Organization:CreateOrganization",
        "Server:BeginMaintenance",
        "Server:EndMaintenance",
        "Server:RotateSigningKey",
    ];
    let expected: Vec<&str> = expected
        .into_iter()
        .flat_map(|action| [action; 2])
        .collect();
    assert_eq!(actions, expected);
    assert_eq!(server[0]["resource"], ORG);
    assert_eq!(Act::detail(&server[7]), json!({ "kid": kid }));
}

#[test]
fn a_command_that_fails_says_so_and_one_for_nobody_is_in_the_servers_chain() {
    let data = Data::new();
    data.org(ORG);
    for (args, chain, action) in [
        (
            &["user", "delete", ORG, "nobody"][..],
            ORG,
            "User:DeleteUser",
        ),
        (
            &["user", "delete", "nix", "nobody"],
            "--server",
            "User:DeleteUser",
        ),
        (
            &["org", "create", ORG],
            "--server",
            "Organization:CreateOrganization",
        ),
    ] {
        assert_eq!(data.run(args).status.code(), Some(1));
        let last = acts(&data, chain, action).pop().unwrap();
        assert_eq!(last.second["outcome"], "failed", "{last:#?}");
        assert!(last.second["reason"].is_string());
    }
    let bad = data.import_lines(ORG, &ndjson(&[json!({"no": "log"})]), &[]);
    assert_eq!(bad.status.code(), Some(1));
    let import = act(&data, ORG, "Admin:ImportPromptLogs");
    assert_eq!(Act::detail(&import.second)["rejected"], 1);
}
