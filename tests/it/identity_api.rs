//! The endpoints of organizations, users, API keys and roles: shapes, permissions, conflicts and limits.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ADMINISTRATOR, AMIGO_ADMINISTRATOR, Answer, Client, Data, SUPER_ADMINISTRATOR, Server, USER,
};

mod grants;
mod roles;

const ORG: &str = "acme";

fn acme(data: &Data) {
    data.org(ORG);
    data.org("globex");
}

/// What one field says in each element of a list.
fn column(answer: &Answer, list: &str, field: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json()[list].as_array().unwrap().clone();
    list.iter()
        .map(|one| one[field].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_organization_tells_anybody_its_name_and_more_to_those_who_may_know() {
    let server = Server::start(|data| {
        data.ok([
            "org",
            "create",
            ORG,
            "--name",
            "Acme Air",
            "--cluster",
            "europe",
        ]);
        data.user(ORG, USER, "DefaultUserRole");
        data.user(ORG, ADMINISTRATOR, "DefaultAdministratorRole");
    });
    let path = format!("/v1/{ORG}/organization/");
    let public = json!({
        "org_id": ORG, "org_name": "Acme Air", "default_user_preferences": null, "tenant_id": null,
    });
    let nobody = Answer::of(server.request(Method::GET, &path)).await;
    assert_eq!((nobody.status, nobody.json()), (200, public.clone()));
    let user = Client::new(&server, ORG, USER).get("organization/").await;
    assert_eq!((user.status, user.json()), (200, public));
    let administrator = Client::new(&server, ORG, ADMINISTRATOR)
        .get("organization/")
        .await
        .json();
    assert_eq!(
        (
            &administrator["tenant_id"],
            &administrator["default_user_preferences"]
        ),
        (&json!("europe"), &json!({}))
    );
    server.get("a.b.c", &path).await.detail(401);
    let nowhere = Answer::of(server.request(Method::GET, "/v1/nix/organization/")).await;
    nowhere.detail(404);
}

#[tokio::test]
async fn an_api_key_is_made_listed_used_and_deleted() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, AMIGO_ADMINISTRATOR);
    let body = json!({"name": "nightly", "duration": "P30D"});
    let made = client.post("organization/api_key/", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(made.as_object().unwrap().len(), 3);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let key = (text("api_key_id"), text("api_key"));
    let left = chrono::DateTime::parse_from_rfc3339(&text("expires_at"))
        .unwrap()
        .to_utc()
        - chrono::Utc::now();
    assert_eq!((left + chrono::TimeDelta::minutes(1)).num_days(), 30);

    let listed = client.get("organization/api_key/").await.json()["api_keys"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let fields: Vec<&String> = listed[0].as_object().unwrap().keys().collect();
    let expected = [
        "_id",
        "created_at",
        "creator",
        "expires_at",
        "key_id",
        "name",
        "org_id",
        "role_id",
        "updated_at",
    ];
    assert_eq!(fields, expected);
    assert_eq!(
        listed[0]["creator"],
        json!({"org_id": ORG, "user_id": AMIGO_ADMINISTRATOR})
    );
    assert_eq!(
        (&listed[0]["key_id"], &listed[0]["name"]),
        (&made["api_key_id"], &json!("nightly"))
    );

    let token = server.sign_in(ORG, &key, ADMINISTRATOR).await.json();
    let token = token["id_token"].as_str().unwrap();
    let path = format!("/v1/{ORG}/user/");
    assert_eq!(server.get(token, &path).await.status, 200);
    let one = format!("organization/api_key/{}/", key.0);
    Client::new(&server, ORG, USER)
        .delete(&one)
        .await
        .detail(403);
    let deleted = client.delete(&one).await;
    assert_eq!(
        (deleted.status, deleted.json()),
        (200, json!({"deleted_key_id": key.0}))
    );
    client.delete(&one).await.detail(404);
    server.get(token, &path).await.detail(401);
}

#[tokio::test]
async fn nobody_deletes_who_and_what_has_more_privileges() {
    let server = Server::start(acme);
    let administrator = Client::new(&server, ORG, ADMINISTRATOR);
    let greater = Client::new(&server, ORG, AMIGO_ADMINISTRATOR);
    let path = format!("user/{AMIGO_ADMINISTRATOR}");
    let detail = administrator.delete(&path).await.detail(403);
    assert!(detail.contains("that user's role"), "{detail}");
    let own = json!({"name": null, "duration": "P1D", "role_name": "DefaultAdministratorRole"});
    let key = greater.post("organization/api_key/", own).await.json();
    let one = |key: &Value| {
        let id = key["api_key_id"].as_str().unwrap();
        format!("organization/api_key/{id}/")
    };
    assert_eq!(administrator.delete(&one(&key)).await.status, 200);
    let (id, _) = server.data.api_key(ORG);
    let of_operator = json!({"api_key_id": id});
    let detail = administrator.delete(&one(&of_operator)).await.detail(403);
    assert!(detail.contains("that key's role"), "{detail}");
    assert_eq!(
        administrator.delete(&format!("user/{USER}")).await.status,
        204
    );
}

#[tokio::test]
async fn a_key_is_made_only_by_who_outranks_its_role_and_twenty_at_most() {
    let server = Server::start(acme);
    let post = async |user: &str, role: &str| {
        let body = json!({"name": null, "duration": "PT24H", "role_name": role});
        Client::new(&server, ORG, user)
            .post("organization/api_key/", body)
            .await
    };
    for (user, role, status) in [
        (USER, "DefaultUserRole", 403),
        (ADMINISTRATOR, "DefaultUserRole", 201),
        (ADMINISTRATOR, "DefaultAdministratorRole", 403),
        (AMIGO_ADMINISTRATOR, "DefaultAdministratorRole", 201),
        (SUPER_ADMINISTRATOR, "DefaultSuperAdministratorRole", 403),
        (SUPER_ADMINISTRATOR, "Nobody", 404),
    ] {
        let answer = post(user, role).await;
        assert_eq!(answer.status, status, "{user} {role}: {}", answer.text());
    }
    for _ in 2..20 {
        assert_eq!(
            post(SUPER_ADMINISTRATOR, "DefaultUserRole").await.status,
            201
        );
    }
    let detail = post(SUPER_ADMINISTRATOR, "DefaultUserRole")
        .await
        .detail(400);
    assert!(detail.contains("20 API keys"), "{detail}");
    // A user sees no key; nobody those of another organization.
    let seen = Client::new(&server, ORG, USER)
        .get("organization/api_key/")
        .await;
    assert_eq!(seen.json(), json!({"api_keys": []}));
    let other = server
        .get(
            &server.token("globex", SUPER_ADMINISTRATOR),
            "/v1/globex/organization/api_key/",
        )
        .await;
    assert_eq!(other.json(), json!({"api_keys": []}));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_before_who_sent_it_is_asked() {
    let server = Server::start(acme);
    let nobody = Client {
        server: &server,
        org: ORG,
        token: "a.b.c".to_owned(),
    };
    for (path, body, places) in [
        (
            "organization/api_key/",
            json!({}),
            vec!["body.name", "body.duration"],
        ),
        (
            "organization/api_key/",
            json!({"name": "", "duration": "P91D"}),
            vec!["body.name", "body.duration"],
        ),
        (
            "organization/api_key/",
            json!({"name": null, "duration": 3}),
            vec!["body.duration"],
        ),
        ("organization/api_key/", json!([]), vec!["body"]),
        (
            "user/",
            json!({"email": "none"}),
            vec![
                "body.first_name",
                "body.last_name",
                "body.email",
                "body.role_name",
            ],
        ),
        (
            "role/",
            json!({"role_name": "x", "description": "y", "frontend_view": "z"}),
            vec!["body.permission_grants", "body.frontend_view"],
        ),
        (
            "role/x",
            json!({"permission_grants": [{"permission_name": "No"}]}),
            vec!["body.permission_grants"],
        ),
        ("role/x/assign", json!({}), vec!["body.user_id"]),
        (
            "role/temporary_permission_grant/",
            json!({"user_id": "u", "duration": "P1M", "permission_grant": {"permission_name": "*", "conditions": {}},
                "tags": {"a/b": null}, "justification": "short"}),
            vec!["body.duration", "body.tags", "body.justification"],
        ),
    ] {
        let answer = nobody.post(path, body.clone()).await;
        assert_eq!(answer.violations(), places, "{path} {body}");
    }
}

#[tokio::test]
async fn so_is_what_is_wrong_with_a_parameter() {
    let server = Server::start(acme);
    let nobody = Client {
        server: &server,
        org: ORG,
        token: "a.b.c".to_owned(),
    };
    for (path, places) in [
        (
            "user/?limit=101&sort_by=+age",
            vec!["query.limit", "query.sort_by"],
        ),
        (
            "user/?continuation_token=-1",
            vec!["query.continuation_token"],
        ),
        (
            "role/?id=7&return_permission_grants=maybe",
            vec!["query.return_permission_grants", "query.id"],
        ),
        (
            "role/temporary_permission_grants/?limit=11&tag=x&is_expired=2",
            vec!["query.is_expired", "query.tag", "query.limit"],
        ),
    ] {
        assert_eq!(nobody.get(path).await.violations(), places, "{path}");
    }
}

#[tokio::test]
async fn the_value_of_a_sensitive_variable_is_not_kept() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    let body = invitation("mia@example.com", "DefaultUserRole");
    assert_eq!(client.post("user/", body).await.status, 201);
    for file in server
        .data
        .files("directory.db")
        .iter()
        .chain(&server.data.files("directory.db-wal"))
    {
        let bytes = std::fs::read(file).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes).contains("C01X00T47"),
            "the value is kept"
        );
    }
}

fn invitation(email: &str, role: &str) -> Value {
    json!({
        "first_name": "Mia", "last_name": "Li", "email": email, "role_name": role, "login_link": "https://example.com",
        "user_preferences": {"preferred_language": "eng"}, "nonsensitive_user_variables": {"seat": "12A"},
        "sensitive_user_variables": {"passport": "C01X00T47"},
    })
}

#[tokio::test]
async fn a_user_is_invited_found_and_deleted() {
    let server = Server::start(acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    let made = client
        .post("user/", invitation("mia@example.com", "DefaultUserRole"))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let id = made["user_id"].as_str().unwrap().to_owned();
    assert!(
        id.starts_with("mia_li_") && made["verify_link"].is_null(),
        "{made}"
    );

    let found = client.get(&format!("user/?user_id={id}")).await.json();
    assert_eq!(
        (&found["has_more"], &found["continuation_token"]),
        (&json!(false), &json!(null))
    );
    let mut user = found["users"][0].clone();
    let role = user["role"].take();
    let roles = client.get("role/?name=DefaultUserRole").await;
    assert_eq!(column(&roles, "roles", "id"), [role.as_str().unwrap()]);
    let expected = json!({
        "org_id": ORG, "user_id": id, "first_name": "Mia", "last_name": "Li", "email": "mia@example.com",
        "user_stats": {"num_conversations": 0, "num_messages": 0, "last_message_time": null}, "role": null,
        "preferences": {"preferred_language": "eng"}, "nonsensitive_variables": {"seat": "12A"},
        "sensitive_variables": ["passport"], "enable_actions_access": false,
    });
    assert_eq!(user, expected);
    client
        .post("user/", invitation("MIA@example.com", "DefaultUserRole"))
        .await
        .detail(409);
    client
        .post(
            "user/",
            invitation("m@example.com", "DefaultAdministratorRole"),
        )
        .await
        .detail(403);
    client
        .post("user/", invitation("m@example.com", "Nobody"))
        .await
        .detail(404);
    let path = format!("user/{id}");
    let token = server.token(ORG, &id);
    let own = server.get(&token, &format!("/v1/{ORG}/user/")).await;
    assert_eq!(
        column(&own, "users", "user_id"),
        [id.as_str()],
        "users see themselves"
    );
    Client::new(&server, ORG, USER)
        .delete(&path)
        .await
        .detail(403);
    let deleted = client.delete(&path).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    client.delete(&path).await.detail(404);
    server
        .get(&token, &format!("/v1/{ORG}/user/"))
        .await
        .detail(401);
}

#[tokio::test]
async fn users_come_in_pages_and_in_the_order_that_was_asked_for() {
    let server = Server::start(|data| {
        data.org(ORG);
        for (id, first, last) in [("u1", "Bo", "Ax"), ("u2", "Al", "Ax"), ("u3", "Cy", "Bo")] {
            let names = [
                "--first-name",
                first,
                "--last-name",
                last,
                "--email",
                &format!("{id}@x.org"),
            ];
            data.ok([
                &["user", "create", ORG, id, "--role", "DefaultUserRole"][..],
                &names,
            ]
            .concat());
        }
    });
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    let filter = "user_id=u1&user_id=u2&user_id=u3";
    let ids = async |query: &str| {
        column(
            &client.get(&format!("user/?{query}")).await,
            "users",
            "user_id",
        )
    };
    assert_eq!(
        ids(&format!(
            "{filter}&sort_by=%2Blast_name&sort_by=-first_name"
        ))
        .await,
        ["u1", "u2", "u3"]
    );
    assert_eq!(
        ids(&format!("{filter}&sort_by=-email")).await,
        ["u3", "u2", "u1"]
    );
    assert_eq!(ids("email=U2@X.org").await, ["u2"]);
    let (mut all, mut token) = (Vec::new(), json!(0));
    while !token.is_null() {
        let page = client
            .get(&format!("user/?limit=2&continuation_token={token}"))
            .await;
        let next = page.json()["continuation_token"].clone();
        assert_eq!(page.json()["has_more"], json!(!next.is_null()));
        all.extend(column(&page, "users", "user_id"));
        token = next;
    }
    assert_eq!(all, ids("").await);
    assert_eq!(all.len(), 7);
}

#[tokio::test]
async fn every_endpoint_has_its_limit() {
    let server = Server::start_with(&[("LIMITS__RATE_LIMITS", "true")], acme);
    let client = Client::new(&server, ORG, ADMINISTRATOR);
    let id = "0".repeat(24);
    for (method, path, limit) in [
        (Method::GET, "organization/api_key/".to_owned(), 10),
        (Method::DELETE, format!("organization/api_key/{id}/"), 10),
        (Method::GET, "user/".to_owned(), 60),
        (Method::DELETE, "user/nobody".to_owned(), 500),
        (Method::GET, "role/".to_owned(), 20),
        (
            Method::GET,
            "role/temporary_permission_grants/".to_owned(),
            100,
        ),
    ] {
        let answer = client.send(method, &path, None).await;
        let limit = format!("{limit}");
        assert_eq!(
            answer.header("x-ratelimit-limit"),
            Some(limit.as_str()),
            "{path}: {}",
            answer.text()
        );
    }
    let grants = json!([]);
    let grant = json!({"permission_name": "Tool:GetTool", "conditions": {"org_id": {"type": "Equals", "value": ORG}}});
    for (path, body, limit) in [
        (
            "organization/api_key/",
            json!({"name": null, "duration": "P1D"}),
            5,
        ),
        ("user/", invitation("x@example.com", "DefaultUserRole"), 50),
        (
            "role/",
            json!({"role_name": "x", "description": "y", "frontend_view": "admin", "permission_grants": grants}),
            20,
        ),
        ("role/x", json!({"description": "z"}), 10),
        ("role/x/assign", json!({"user_id": USER}), 1000),
        (
            "role/temporary_permission_grant/",
            json!({"user_id": USER, "duration": "PT1H", "permission_grant": grant, "tags": {}, "justification": "because it must be"}),
            100,
        ),
    ] {
        let answer = client.post(path, body).await;
        assert!(answer.status < 404, "{path}: {}", answer.text());
        let limit = format!("{limit}");
        assert_eq!(
            answer.header("x-ratelimit-limit"),
            Some(limit.as_str()),
            "{path}"
        );
    }
    for n in 0..5 {
        let body = json!({"name": null, "duration": "P1D"});
        let answer = client.post("organization/api_key/", body).await;
        assert_eq!(answer.status == 429, n == 4, "{n}");
    }
}
