//! All ways to say who is calling (the wire contract, section 3), each alone, with the others, and against them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::json;

use crate::support::{AMIGO_ADMINISTRATOR, Answer, Data, SUPER_ADMINISTRATOR, Server, USER, log};

const ORG: &str = "acme";
/// With an underscore, so that `{org_id}_{user_id}` can be cut in several places.
const OTHER: &str = "acme_east";

/// Two organizations, each with users and one prompt log.
fn both(data: &Data) {
    for org in [ORG, OTHER] {
        data.org(org);
        data.import_logs(org, &[log("chat/1", "You greet.", &["Hello."])]);
    }
    data.user(ORG, "east_mia", "DefaultSuperAdministratorRole");
    data.user(OTHER, "mia", "DefaultSuperAdministratorRole");
}

fn basic(username: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{username}:{password}"))
    )
}

/// Asks for the prompt logs of [`ORG`] with these headers alone.
async fn ask(server: &Server, headers: &[(&str, String)]) -> Answer {
    let path = format!("/v1/{ORG}/admin/get_prompt_logs/?prompt_log_prefix=chat");
    let request = server.request(Method::GET, &path);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, value)
    });
    Answer::of(request).await
}

/// Every `Authorization` header there can be: what it is, its value, and the organization whose user it proves.
fn authorizations(
    own: &str,
    foreign: &str,
) -> Vec<(&'static str, Option<String>, Option<&'static str>)> {
    vec![
        ("none", None, None),
        ("bearer", Some(format!("Bearer {own}")), Some(ORG)),
        (
            "bearer of the other",
            Some(format!("bearer {foreign}")),
            Some(OTHER),
        ),
        ("basic", Some(basic("acme_east_mia", own)), Some(ORG)),
        (
            "basic of the other",
            Some(basic("acme_east_mia", foreign)),
            Some(OTHER),
        ),
        ("basic of another user", Some(basic("acme_mia", own)), None),
        ("basic without a user", Some(basic("", own)), None),
        (
            "basic that is no base64",
            Some(format!("Basic {own}")),
            None,
        ),
        ("malformed", Some(own.to_owned()), None),
        ("a bad token", Some("Bearer a.b.c".to_owned()), None),
    ]
}

#[tokio::test]
async fn every_combination_of_headers_has_its_status() {
    let server = Server::start(both);
    let own = server.token(ORG, "east_mia");
    let foreign = server.token(OTHER, "mia");
    let protocols = [
        ("none", None, None),
        ("own", Some(format!("auth, {own}")), Some(ORG)),
        ("the other's", Some(format!("auth,{foreign}")), Some(OTHER)),
        ("malformed", Some(own.clone()), None),
        ("a bad token", Some("auth, a.b.c".to_owned()), None),
    ];
    let org_ids = [
        None,
        Some(ORG),
        Some(OTHER),
        Some("acme_"),
        Some(""),
        Some("../acme"),
    ];
    let clusters = [None, Some("default"), Some("mars")];
    let mut asked = 0;
    for (authorization, header, proves) in authorizations(&own, &foreign) {
        for (protocol, socket, socket_proves) in &protocols {
            for org_id in org_ids {
                for cluster in clusters {
                    let mut headers = Vec::new();
                    headers.extend(header.clone().map(|value| ("authorization", value)));
                    headers.extend(
                        socket
                            .clone()
                            .map(|value| ("sec-websocket-protocol", value)),
                    );
                    headers.extend(org_id.map(|value| ("x-org-id", value.to_owned())));
                    headers.extend(cluster.map(|value| ("x-mongo-cluster-name", value.to_owned())));
                    // `Authorization` wins, good or bad.
                    let proven = if header.is_some() {
                        proves
                    } else {
                        *socket_proves
                    };
                    let expected = match proven {
                        _ if cluster == Some("mars") => 422,
                        Some(org) if org == org_id.unwrap_or(ORG) => 200,
                        _ => 401,
                    };
                    let answer = ask(&server, &headers).await;
                    let what = format!("{authorization}; {protocol}; {org_id:?}; {cluster:?}");
                    assert_eq!(answer.status, expected, "{what}: {}", answer.text());
                    if expected == 401 {
                        let detail = answer.detail(401);
                        assert!(
                            !detail.contains(&own) && !detail.contains(&foreign),
                            "{what}: {detail}"
                        );
                        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
                    }
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(asked, 10 * 5 * 6 * 3);
}

#[tokio::test]
async fn a_header_that_comes_twice_is_none() {
    let server = Server::start(both);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let other = server.token(ORG, USER);
    let bearer = ("authorization", format!("Bearer {token}"));
    let user = ("authorization", format!("Bearer {other}"));
    let protocol = |token: &str| ("sec-websocket-protocol", format!("auth, {token}"));
    let org_id = |org: &str| ("x-org-id", org.to_owned());
    let cluster = |cluster: &str| ("x-mongo-cluster-name", cluster.to_owned());
    for (headers, expected) in [
        (vec![bearer.clone()], 200),
        (vec![bearer.clone(), bearer.clone()], 401),
        (vec![bearer.clone(), user], 401),
        (vec![protocol(&token)], 200),
        (vec![protocol(&token), protocol(&token)], 401),
        (vec![protocol(&token), protocol(&other)], 401),
        (vec![bearer.clone(), org_id(ORG)], 200),
        (vec![bearer.clone(), org_id(ORG), org_id(ORG)], 401),
        (vec![bearer.clone(), org_id(ORG), org_id(OTHER)], 401),
        (vec![bearer.clone(), cluster("default")], 200),
        (
            vec![bearer.clone(), cluster("default"), cluster("default")],
            422,
        ),
        (vec![bearer, cluster("default"), cluster("mars")], 422),
    ] {
        let answer = ask(&server, &headers).await;
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(answer.status, expected, "{names:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_caller_of_another_organization_needs_grants_that_name_this_one() {
    let server = Server::start(|data| {
        both(data);
        let grant = |permission: &str, org: &str| {
            data.ok([
                "grant",
                "create",
                OTHER,
                USER,
                "--permission",
                permission,
                "--when",
                &format!("org_id={org}"),
                "--hours",
                "1",
                "--justification",
                "helps the other one",
            ]);
        };
        grant("Admin:GetPromptLogs", ORG);
        grant("Conversation:GetMessage", ORG);
    });
    let ask = async |user: &str, org: &str| {
        let token = server.token(OTHER, user);
        let logs = server.logs_request(&token, org, &[("prompt_log_prefix", "chat")]);
        let logs = Answer::of(logs.header("x-org-id", OTHER)).await;
        let sql = server.sql_request(&token, org, "SELECT log_key FROM prompt_logs");
        let sql = Answer::of(sql.header("x-org-id", OTHER)).await;
        (logs.status, sql.status)
    };
    // What is everything at home is nothing elsewhere.
    assert_eq!(ask(AMIGO_ADMINISTRATOR, OTHER).await, (200, 200));
    assert_eq!(ask(AMIGO_ADMINISTRATOR, ORG).await, (403, 403));
    assert_eq!(ask(SUPER_ADMINISTRATOR, ORG).await, (200, 200));
    assert_eq!(ask(USER, OTHER).await, (403, 403));
    assert_eq!(
        ask(USER, ORG).await,
        (200, 403),
        "a temporary grant gives no rank"
    );
    assert_eq!(ask(SUPER_ADMINISTRATOR, "initech").await, (404, 404));
}

#[tokio::test]
async fn a_token_ends_with_the_api_key_that_signed_it_in() {
    let server = Server::start(both);
    let key = server.data.api_key(ORG);
    let signed_in = server.sign_in(ORG, &key, SUPER_ADMINISTRATOR).await.json();
    let signed_in = signed_in["id_token"].as_str().unwrap();
    let operators = server.token(ORG, SUPER_ADMINISTRATOR);
    let status = async |token: &str| server.logs(token, ORG, "chat").await.status;
    assert_eq!(
        (status(signed_in).await, status(&operators).await),
        (200, 200)
    );
    let revoked = server.data.ok(["api-key", "revoke", ORG, &key.0]);
    assert_eq!(revoked, json!({"deleted_key_id": key.0}));
    assert_eq!(
        (status(signed_in).await, status(&operators).await),
        (401, 200)
    );
    server
        .sign_in(ORG, &key, SUPER_ADMINISTRATOR)
        .await
        .detail(401);
}

#[tokio::test]
async fn a_user_who_rises_above_the_key_must_sign_in_otherwise() {
    let server = Server::start(both);
    let key = server.data.ok(["api-key", "create", ORG]);
    let key = ["api_key_id", "api_key"].map(|name| key[name].as_str().unwrap().to_owned());
    let [id, secret] = key;
    let token = server.sign_in(ORG, &(id, secret), USER).await.json();
    let token = token["id_token"].as_str().unwrap();
    let ping = async || server.get(token, &format!("/v1/{ORG}/user/")).await.status;
    assert_eq!(ping().await, 200);
    server
        .data
        .ok(["role", "assign", ORG, "DefaultSuperAdministratorRole", USER]);
    assert_eq!(ping().await, 401, "the key covers administrators only");
    server
        .data
        .ok(["role", "assign", ORG, "DefaultAdministratorRole", USER]);
    assert_eq!(ping().await, 200);
    server.data.ok(["user", "delete", ORG, USER]);
    assert_eq!(ping().await, 401);
}

#[tokio::test]
async fn keys_rotate_without_signing_anyone_out() {
    let server = Server::start(both);
    let key = server.data.api_key(ORG);
    let sign_in = async || {
        let body = server.sign_in(ORG, &key, SUPER_ADMINISTRATOR).await.json();
        body["id_token"].as_str().unwrap().to_owned()
    };
    let kid = |token: &str| {
        let header = jsonwebtoken::decode_header(token).unwrap();
        header.kid.unwrap()
    };
    let published = async || {
        let answer = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await;
        assert_eq!(answer.status, 200);
        answer.json()["keys"].clone()
    };
    let old = sign_in().await;
    let rotated = server.data.ok(["signing-key", "rotate"]);
    assert_eq!(rotated["state"], "signs");
    let new = sign_in().await;
    assert_eq!(
        kid(&new),
        rotated["kid"].as_str().unwrap(),
        "the running server signs with it"
    );
    for token in [&old, &new] {
        assert_eq!(server.logs(token, ORG, "chat").await.status, 200);
    }
    let keys = published().await;
    let kids: Vec<&str> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap())
        .collect();
    assert_eq!(kids, [kid(&new), kid(&old)]);
    for key in keys.as_array().unwrap() {
        assert_eq!(
            [&key["kty"], &key["crv"], &key["alg"], &key["use"]],
            ["OKP", "Ed25519", "EdDSA", "sig"]
        );
        assert_eq!(key.as_object().unwrap().len(), 6, "nothing private: {key}");
    }
    let verifier =
        jsonwebtoken::DecodingKey::from_ed_components(keys[0]["x"].as_str().unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&["amigo-admin"]);
    jsonwebtoken::decode::<serde_json::Value>(&new, &verifier, &validation).unwrap();
    let listed = server.data.ok(["signing-key", "list"])["signing_keys"].clone();
    assert_eq!(
        (&listed[0]["state"], &listed[1]["state"]),
        (&json!("signs"), &json!("verifies"))
    );
}
