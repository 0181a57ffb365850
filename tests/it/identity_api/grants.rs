//! Temporary permission grants over HTTP.

use serde_json::{Value, json};

use super::{ORG, acme, column};
use crate::support::Client;
use crate::support::{ADMINISTRATOR, Server, USER};

const PATH: &str = "role/temporary_permission_grant/";
const LIST: &str = "role/temporary_permission_grants/";

fn grant(permission: &str, tags: &Value) -> Value {
    json!({
        "user_id": USER, "duration": "PT2H", "tags": tags, "justification": "looks into ticket 4711",
        "permission_grant": {
            "permission_name": permission, "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"}},
        },
    })
}

#[tokio::test]
async fn a_temporary_grant_counts_at_once_and_shows_who_gave_it() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    let user = Client::new(&server, ORG, USER);
    let seen = async || column(&user.get("role/").await, "roles", "name").len();
    assert_eq!(seen().await, 0);
    let made = client
        .post(
            PATH,
            grant("Role:GetRole", &json!({"ticket": "4711", "urgent": null})),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(seen().await, 4);
    let listed = client.get(LIST).await.json();
    let mut one = listed["temporary_permission_grants"][0].clone();
    assert_eq!(one["_id"], made.json()["temporary_permission_grant_id"]);
    assert_eq!(one["expires_at"], made.json()["expires_at"]);
    for field in ["_id", "created_at", "updated_at", "expires_at"] {
        assert!(
            one.as_object_mut()
                .unwrap()
                .remove(field)
                .unwrap()
                .is_string()
        );
    }
    let expected = json!({
        "org_id": ORG, "user_id": USER, "justification": "looks into ticket 4711",
        "creator": {"org_id": ORG, "user_id": ADMINISTRATOR}, "tags": {"ticket": "4711", "urgent": null},
        "permission_grant": {
            "permission_name": "Role:GetRole", "action": "Allow",
            "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"}},
        },
    });
    assert_eq!(one, expected);
    let id = made.json()["temporary_permission_grant_id"].clone();
    server
        .data
        .ok(["grant", "revoke", ORG, id.as_str().unwrap()]);
    assert_eq!(seen().await, 0);
}

#[tokio::test]
async fn temporary_grants_make_no_role_greater() {
    let server = Server::start(acme);
    let [user, administrator] = [USER, ADMINISTRATOR];
    let to = |user: &str, permission: &str| {
        let args = ["grant", "create", ORG, user, "--permission", permission];
        let rest = ["--hours", "1", "--justification", "looks into ticket 4711"];
        server.data.ok([&args[..], &rest].concat());
    };
    to(user, "*");
    to(administrator, "*");
    for user in [user, administrator] {
        let client = Client::new(&server, ORG, user);
        // They may use everything, yet nothing that takes a greater role.
        assert_eq!(
            client.get("role/").await.json()["roles"]
                .as_array()
                .unwrap()
                .len(),
            4
        );
        let sql = json!({"sql_query": "SELECT 1", "async_query": false});
        client.post("admin/sql_query", sql).await.detail(403);
        let assign = json!({"user_id": USER});
        client
            .post("role/DefaultAdministratorRole/assign", assign)
            .await
            .detail(403);
        let key = json!({"name": null, "duration": "P1D"});
        client.post("organization/api_key/", key).await.detail(403);
        let grants = json!([{"permission_name": "Admin:GetSqlQueries", "conditions": {}}]);
        let role = json!({
            "role_name": "More", "description": "More.", "frontend_view": "admin", "permission_grants": grants,
        });
        client.post("role/", role).await.detail(403);
    }
}

#[tokio::test]
async fn nobody_gives_what_their_role_does_not_have() {
    let server = Server::start(acme);
    let administrator = Client::new(&server, ORG, ADMINISTRATOR);
    administrator
        .post(PATH, grant("*", &json!({})))
        .await
        .detail(403);
    administrator
        .post(PATH, grant("Admin:RunAnything", &json!({})))
        .await
        .detail(403);
    let mut everywhere = grant("Role:GetRole", &json!({}));
    everywhere["permission_grant"]["conditions"] = json!({});
    administrator.post(PATH, everywhere).await.detail(403);
    Client::new(&server, ORG, USER)
        .post(PATH, grant("User:GetUserInfo", &json!({})))
        .await
        .detail(403);
    let mut denies = grant("Role:GetRole", &json!({}));
    denies["permission_grant"]["action"] = json!("Deny");
    assert_eq!(
        administrator.post(PATH, denies).await.violations(),
        ["body.permission_grant"]
    );
    let mut nobody = grant("Role:GetRole", &json!({}));
    nobody["user_id"] = json!("nobody");
    administrator.post(PATH, nobody).await.detail(404);
}

#[tokio::test]
async fn grants_are_found_by_what_is_known_of_them() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    for (permission, tags) in [
        ("Role:GetRole", json!({"ticket": "1", "urgent": null})),
        ("Tool:GetTool", json!({"ticket": "2"})),
        ("Agent:GetAgent", json!({})),
    ] {
        assert_eq!(
            client.post(PATH, grant(permission, &tags)).await.status,
            201
        );
    }
    let found = async |query: &str| {
        let answer = client
            .get(&format!(
                "{LIST}?sort_by=-permission_grant.permission_name&{query}"
            ))
            .await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let grants = answer.json()["temporary_permission_grants"].clone();
        let grants = grants.as_array().unwrap().clone();
        let name = |grant: &Value| {
            grant["permission_grant"]["permission_name"]
                .as_str()
                .unwrap()[..4]
                .to_owned()
        };
        grants.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("").await, "Tool Role Agen");
    assert_eq!(found("tag=ticket:1").await, "Role");
    assert_eq!(found("tag=ticket:*").await, "Tool Role");
    assert_eq!(found("tag=urgent:&tag=ticket:1").await, "Role");
    assert_eq!(found("tag=ticket:").await, "");
    assert_eq!(found("permission_grant_name=Tool:GetTool").await, "Tool");
    assert_eq!(found("is_expired=true").await, "");
    assert_eq!(
        found("is_expired=false&limit=1&continuation_token=1").await,
        "Role"
    );
    assert_eq!(found("creator=nobody").await, "");
    assert_eq!(
        found(&format!("creator={ADMINISTRATOR}&user_id={USER}")).await,
        "Tool Role Agen"
    );
    let own = Client::new(&server, ORG, USER).get(LIST).await.json();
    assert_eq!(own["temporary_permission_grants"], json!([]));
}
