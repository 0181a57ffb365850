//! Roles: made by who covers them, changed by who outranks them, assigned at once.

use serde_json::{Value, json};

use super::{ORG, acme, column};
use crate::support::Client;
use crate::support::{ADMINISTRATOR, AMIGO_ADMINISTRATOR, SUPER_ADMINISTRATOR, Server, USER};

/// A role whose users may list users and roles, as far as their grants reach.
fn role(name: &str, permissions: &[&str]) -> Value {
    let grants = permissions.iter().map(|name| {
        json!({"permission_name": name, "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"}}})
    });
    json!({
        "role_name": name, "description": "Looks after things.", "frontend_view": "admin",
        "permission_grants": grants.collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn roles_are_listed_with_or_without_what_they_grant() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    let all = client.get("role/").await;
    let names = [
        "DefaultUserRole",
        "DefaultAdministratorRole",
        "DefaultAmigoAdministratorRole",
        "DefaultSuperAdministratorRole",
    ];
    assert_eq!(column(&all, "roles", "name"), names);
    let first = all.json()["roles"][0].clone();
    assert_eq!(first.as_object().unwrap().len(), 5);
    assert_eq!(
        (&first["permission_grants"], &first["frontend_view"]),
        (&json!([]), &json!("client"))
    );
    let id = first["id"].as_str().unwrap();
    let one = client
        .get(&format!("role/?id={id}&return_permission_grants=true"))
        .await;
    assert_eq!(column(&one, "roles", "name"), ["DefaultUserRole"]);
    assert_eq!(
        one.json()["roles"][0]["permission_grants"]
            .as_array()
            .unwrap()
            .len(),
        12
    );
    assert_eq!(
        column(
            &Client::new(&server, ORG, USER).get("role/").await,
            "roles",
            "name"
        ),
        [""; 0]
    );
}

#[tokio::test]
async fn nobody_makes_a_role_that_their_own_does_not_cover() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    let made = client
        .post("role/", role("Clerk", &["User:GetUserInfo"]))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["role_id"].as_str().unwrap().len(), 24);
    client.post("role/", role("Clerk", &[])).await.detail(409);
    client
        .post("role/", role("Spy", &["Admin:RunSql"]))
        .await
        .detail(403);
    client
        .post("role/", role("Chief", &["*"]))
        .await
        .detail(403);
    let mut everywhere = role("Wide", &["User:GetUserInfo"]);
    everywhere["permission_grants"][0]["conditions"] = json!({});
    client.post("role/", everywhere.clone()).await.detail(403);
    Client::new(&server, ORG, USER)
        .post("role/", role("Own", &[]))
        .await
        .detail(403);
    let chief = Client::new(&server, ORG, SUPER_ADMINISTRATOR)
        .post("role/", everywhere)
        .await;
    assert_eq!(chief.status, 201, "{}", chief.text());
}

#[tokio::test]
async fn a_misspelt_condition_makes_no_role() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, SUPER_ADMINISTRATOR);
    for field in ["condition", "Action"] {
        let mut misspelt = role("Misspelt", &["User:GetUserInfo"]);
        misspelt["permission_grants"][0][field] = json!("Deny");
        let answer = client.post("role/", misspelt).await;
        assert_eq!(answer.violations(), ["body.permission_grants"]);
        let text = answer.text();
        assert!(text.contains(&format!("unknown field `{field}`")), "{text}");
    }
}

#[tokio::test]
async fn an_assigned_role_counts_at_once_and_only_for_who_outranks_it() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    client
        .post("role/", role("Clerk", &["User:GetUserInfo"]))
        .await;
    let user = Client::new(&server, ORG, USER);
    let seen = async || column(&user.get("user/").await, "users", "user_id").len();
    assert_eq!(seen().await, 1);
    let body = json!({"user_id": USER});
    let assigned = client.post("role/Clerk/assign", body.clone()).await;
    assert_eq!(assigned.status, 200, "{}", assigned.text());
    assert_eq!(seen().await, 4);
    client
        .post("role/DefaultAdministratorRole/assign", body.clone())
        .await
        .detail(403);
    let super_administrator = Client::new(&server, ORG, SUPER_ADMINISTRATOR);
    super_administrator
        .post("role/Nobody/assign", body)
        .await
        .detail(404);
    super_administrator
        .post("role/Clerk/assign", json!({"user_id": "nobody"}))
        .await
        .detail(404);
    // Nobody is taken down by whom they stand above.
    let amigo = Client::new(&server, ORG, AMIGO_ADMINISTRATOR);
    let down = json!({"user_id": SUPER_ADMINISTRATOR});
    amigo
        .post("role/DefaultUserRole/assign", down)
        .await
        .detail(403);
}

#[tokio::test]
async fn a_changed_role_takes_its_users_and_keys_along() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, SUPER_ADMINISTRATOR);
    let made = client
        .post("role/", role("Clerk", &["User:GetUserInfo"]))
        .await
        .json();
    client
        .post("role/Clerk/assign", json!({"user_id": USER}))
        .await;
    let key = json!({"name": null, "duration": "P1D", "role_name": "Clerk"});
    assert_eq!(client.post("organization/api_key/", key).await.status, 201);

    let described = client
        .post("role/Clerk", json!({"description": "Another."}))
        .await;
    assert_eq!(
        (described.status, described.json()),
        (200, made.clone()),
        "the same role"
    );
    let grants = role("Clerk", &["Role:GetRole"])["permission_grants"].clone();
    let changed = client
        .post("role/Clerk", json!({"permission_grants": grants}))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let id = changed.json()["role_id"].as_str().unwrap().to_owned();
    assert_ne!(json!(id), made["role_id"]);
    let listed = client
        .get("role/?name=Clerk&return_permission_grants=true")
        .await
        .json()["roles"]
        .clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["description"]),
        (&json!(id), &json!("Another."))
    );
    let user = Client::new(&server, ORG, USER);
    assert_eq!(column(&user.get("role/").await, "roles", "name").len(), 5);
    assert_eq!(
        column(&user.get("user/").await, "users", "user_id"),
        [""; 0]
    );
    assert_eq!(
        column(
            &client.get("organization/api_key/").await,
            "api_keys",
            "role_id"
        ),
        [id]
    );
}

#[tokio::test]
async fn a_role_is_changed_only_by_who_outranks_what_it_becomes_and_has_what_it_was() {
    let server = Server::start(acme);
    let amigo = Client::new(&server, ORG, AMIGO_ADMINISTRATOR);
    let wide = role("x", &["*"])["permission_grants"].clone();
    let narrow = role("x", &["User:GetUserInfo"])["permission_grants"].clone();
    let change = async |name: &str, grants: &Value| {
        amigo
            .post(
                &format!("role/{name}"),
                json!({"permission_grants": grants}),
            )
            .await
    };
    change("DefaultUserRole", &wide).await.detail(403);
    change("DefaultSuperAdministratorRole", &narrow)
        .await
        .detail(403);
    change("Nobody", &narrow).await.detail(404);
    assert_eq!(change("DefaultUserRole", &narrow).await.status, 200);
    Client::new(&server, ORG, USER)
        .post("role/DefaultUserRole", json!({"description": "Mine."}))
        .await
        .detail(403);
    let view = amigo
        .post("role/DefaultUserRole", json!({"frontend_view": "admin"}))
        .await;
    assert_eq!(view.status, 200, "{}", view.text());
    let listed = server.data.ok(["role", "list", ORG])["roles"].clone();
    let changed = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "DefaultUserRole")
        .unwrap();
    assert_eq!(changed["frontend_view"], "admin");
}
