//! `role`, `api-key list|revoke` and `user delete`: what they make, show and refuse.

use serde_json::json;

use super::{ORG, check};
use crate::support::{ADMINISTRATOR, Data, USER, stderr};

#[test]
fn a_role_is_made_from_a_file_listed_and_assigned() {
    let data = Data::new();
    data.org(ORG);
    let grants = json!([{"permission_name": "Admin:GetPromptLogs"}]);
    let file = data.write("grants.json", grants.to_string());
    let file = file.to_str().unwrap();
    let create = |name: &str, file: &str| {
        let args = ["role", "create", ORG, name, "--description", "Reads."];
        [&args[..], &["--grants", file]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let made = data.ok(create("Auditor", file));
    let listed = data.ok(["role", "list", ORG])["roles"].clone();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 5);
    assert_eq!(
        (
            &listed[4]["name"],
            &listed[4]["id"],
            &listed[4]["description"]
        ),
        (&json!("Auditor"), &made["role_id"], &json!("Reads."))
    );
    assert_eq!(
        listed[4]["permission_grants"][0]["permission_name"],
        "Admin:GetPromptLogs"
    );
    assert_eq!(data.ok(["role", "assign", ORG, "Auditor", USER]), made);
    let users = data.ok(["user", "list", ORG])["users"].clone();
    let user = users
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["user_id"] == USER)
        .unwrap();
    assert_eq!(user["role"], "Auditor");

    let refused = |args: Vec<String>, words: &[&str]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        check(&data, &args, 1, words);
    };
    refused(create("Auditor", file), &["a role Auditor already"]);
    refused(create("Other", "nowhere.json"), &["cannot be read"]);
    let bad = data.write("bad.json", r#"[{"permission_name": "none"}]"#);
    refused(create("Other", bad.to_str().unwrap()), &["Family:Name"]);
    let bad = data.write("bad.json", "{}");
    refused(
        create("Other", bad.to_str().unwrap()),
        &["no array of permission grants"],
    );
    check(
        &data,
        &["role", "assign", ORG, "Nobody", USER],
        1,
        &["has no role Nobody"],
    );
    check(
        &data,
        &["role", "assign", ORG, "Auditor", "nobody"],
        1,
        &["has no user nobody"],
    );
    check(
        &data,
        &["role", "list", "nix"],
        1,
        &["there is no organization nix"],
    );
}

#[test]
fn the_operator_is_told_why_a_user_may_or_may_not() {
    let data = Data::new();
    data.org(ORG);
    let explain = |more: &[&str]| {
        let args = [
            &["role", "explain", ORG, USER, "Conversation:GetMessage"],
            more,
        ]
        .concat();
        (data.ok(&args), data.run(&args))
    };
    let own = format!("user_id={USER}");
    let (why, lines) = explain(&["--with", &own]);
    assert_eq!(why["allowed"], true);
    let required = json!({"org_id": ORG, "user_id": USER});
    assert_eq!(why["required"]["attributes"], required);
    assert_eq!(why["decided_by"]["role"], "DefaultUserRole");
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert_eq!(
        lines,
        "allowed: role DefaultUserRole allows Conversation:GetMessage where org_id is {self_org_id} and user_id is {self_user_id}\n"
    );

    let (why, lines) = explain(&["--with", "user_id=leo", "--with", "org_id=globex"]);
    assert_eq!(
        (&why["allowed"], &why["decided_by"]),
        (&json!(false), &json!(null))
    );
    let unmet = &why["considered"][0]["unmet"];
    assert_eq!(
        (&unmet[0]["actual"], &unmet[1]["actual"]),
        (&json!("globex"), &json!("leo"))
    );
    let lines = String::from_utf8(lines.stdout).unwrap();
    let end =
        format!("; but org_id is globex instead of {ORG}, and user_id is leo instead of {USER}\n");
    assert!(lines.ends_with(&end), "{lines}");

    // A temporary grant counts while it lasts.
    data.ok([
        "grant",
        "create",
        ORG,
        USER,
        "--permission",
        "Conversation:*",
        "--hours",
        "1",
        "--justification",
        "incident 1234",
    ]);
    let (why, lines) = explain(&["--with", "user_id=leo"]);
    assert_eq!(
        (&why["allowed"], &why["decided_by"]["role"]),
        (&json!(true), &json!(null))
    );
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert!(
        lines.starts_with("allowed: a temporary grant allows Conversation:*\n"),
        "{lines}"
    );
}

#[test]
fn what_cannot_be_explained_is_refused_by_name() {
    let data = Data::new();
    data.org(ORG);
    let refused = |args: [&str; 3], code, words: &[&str]| {
        check(
            &data,
            &[&["role", "explain"], &args[..]].concat(),
            code,
            words,
        );
    };
    refused(["nix", USER, "A:B"], 1, &["there is no organization nix"]);
    refused([ORG, "nobody", "A:B"], 1, &["has no user nobody"]);
    refused([ORG, USER, "A:*"], 2, &["Family:Name"]);
    check(
        &data,
        &["role", "explain", ORG, USER, "A:B", "--with", "user_id"],
        2,
        &["ATTRIBUTE=VALUE"],
    );
}

#[test]
fn keys_and_users_are_listed_and_gone_when_they_are_deleted() {
    let data = Data::new();
    data.org(ORG);
    let (id, secret) = data.api_key(ORG);
    let listed = data.ok(["api-key", "list", ORG])["api_keys"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &listed[0]["key_id"],
            &listed[0]["role"],
            &listed[0]["creator"]
        ),
        (
            &json!(id),
            &json!("DefaultSuperAdministratorRole"),
            &json!(null)
        )
    );
    assert!(!listed.to_string().contains(&secret) && !listed.to_string().contains("argon2"));
    assert_eq!(
        data.ok(["api-key", "revoke", ORG, &id]),
        json!({"deleted_key_id": id})
    );
    assert_eq!(data.ok(["api-key", "list", ORG]), json!({"api_keys": []}));
    check(
        &data,
        &["api-key", "revoke", ORG, &id],
        1,
        &["has no API key of this id"],
    );

    let deleted = data.ok(["user", "delete", ORG, ADMINISTRATOR]);
    assert_eq!(deleted, json!({"deleted_user_id": ADMINISTRATOR}));
    check(
        &data,
        &["user", "delete", ORG, ADMINISTRATOR],
        1,
        &["has no user"],
    );
    check(&data, &["token", ORG, ADMINISTRATOR], 1, &["has no user"]);
    check(&data, &["maintenance", "sideways"], 2, &["sideways"]);
}

#[test]
fn what_to_do_next_works_when_it_is_pasted() {
    let data = Data::new();
    let program = format!("amigo-admin --data {}", data.path().display());
    let said = |args: &[&str]| stderr(&data.run(args));
    let made = said(&["org", "create", ORG]);
    let next = format!("{program} user create {ORG} USER_ID --role DefaultAdministratorRole");
    assert!(made.contains(&next), "{made}");
    for (user, role, key_role) in [
        ("mia", "DefaultAdministratorRole", ""),
        (
            "root",
            "DefaultSuperAdministratorRole",
            " --role DefaultSuperAdministratorRole",
        ),
    ] {
        let made = said(&["user", "create", ORG, user, "--role", role]);
        let next =
            format!("{program} token {ORG} {user}, or {program} api-key create {ORG}{key_role}\n");
        assert!(made.contains(&next), "{made}");
    }
    let missing = said(&["api-key", "list", "nix"]);
    let next = format!("{program} org create nix\n");
    assert!(missing.contains(&next), "{missing}");
}
