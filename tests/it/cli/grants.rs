//! `amigo-admin grant`: what it makes, shows and refuses.

use serde_json::json;

use super::{ORG, check, instant};
use crate::support::{ADMINISTRATOR, Data, USER};

fn create<'a>(user: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["grant", "create", ORG, user];
    args.extend(more);
    args
}

const REASON: [&str; 2] = ["--justification", "looks into ticket 4711"];

#[test]
fn a_grant_is_made_listed_and_revoked() {
    let data = Data::new();
    data.org(ORG);
    let when = [
        "--when",
        "user_id=mia",
        "--when",
        "service_id=a",
        "--when",
        "service_id=b",
    ];
    let more = [
        &["--permission", "Conversation:GetMessage", "--hours", "3"],
        &when[..],
        &REASON,
    ]
    .concat();
    let made = data.ok(create(USER, &more));
    let id = made["temporary_permission_grant_id"].as_str().unwrap();
    let left = instant(&made["expires_at"]) - chrono::Utc::now();
    assert!((178..=180).contains(&left.num_minutes()), "{left}");
    data.ok(create(
        ADMINISTRATOR,
        &[&["--permission", "*", "--hours", "1"], &REASON[..]].concat(),
    ));

    let all = data.ok(["grant", "list", ORG])["temporary_permission_grants"].clone();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let one = data.ok(["grant", "list", ORG, USER])["temporary_permission_grants"].clone();
    let listed = &one.as_array().unwrap()[0];
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(listed["_id"], id);
    assert_eq!(
        (&listed["org_id"], &listed["user_id"]),
        (&json!(ORG), &json!(USER))
    );
    assert_eq!(
        listed["permission_grant"],
        json!({
            "permission_name": "Conversation:GetMessage",
            "conditions": {
                "user_id": {"type": "Equals", "value": "mia"},
                "service_id": {"type": "In", "values": ["a", "b"]},
            },
            "action": "Allow",
        })
    );
    assert_eq!(listed["justification"], REASON[1]);
    assert_eq!(
        (&listed["creator"], &listed["tags"]),
        (&json!(null), &json!({}))
    );
    assert_eq!(listed["expires_at"], made["expires_at"]);
    instant(&listed["created_at"]);
    let text = data.run(["grant", "list", ORG]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.starts_with("ID") && text.contains(REASON[1]), "{text}");

    let revoked = data.ok(["grant", "revoke", ORG, id]);
    assert_eq!(revoked, json!({"temporary_permission_grant_id": id}));
    check(
        &data,
        &["grant", "revoke", ORG, id],
        1,
        &["no temporary grant"],
    );
    let rest = data.ok(["grant", "list", ORG, USER])["temporary_permission_grants"].clone();
    assert_eq!(rest, json!([]));
}

#[test]
fn a_grant_that_cannot_be_is_refused() {
    let data = Data::new();
    data.org(ORG);
    let good = ["--permission", "A:B", "--hours", "1"];
    let refused = |user: &str, more: &[&str], code: i32, word: &str| {
        check(&data, &create(user, more), code, &[word]);
    };
    refused(
        USER,
        &[&good[..], &["--justification", "short"]].concat(),
        1,
        "10 to",
    );
    refused(
        "nobody",
        &[&good[..], &REASON].concat(),
        1,
        "no user nobody",
    );
    let permission = ["--permission", "all", "--hours", "1"];
    refused(USER, &[&permission[..], &REASON].concat(), 1, "Family:Name");
    refused(
        USER,
        &[&good[..], &REASON, &["--when", "user_id"]].concat(),
        2,
        "ATTRIBUTE=VALUE",
    );
    refused(USER, &good, 2, "--justification");
    let hours = ["--permission", "A:B", "--hours", "0"];
    refused(USER, &[&hours[..], &REASON].concat(), 2, "--hours");
    check(
        &data,
        &["grant", "list", "nowhere"],
        1,
        &["no organization nowhere"],
    );
    check(
        &data,
        &["grant", "list", ORG, "nobody"],
        1,
        &["no user nobody"],
    );
    let listed = data.ok(["grant", "list", ORG]);
    assert_eq!(listed, json!({"temporary_permission_grants": []}));
}
