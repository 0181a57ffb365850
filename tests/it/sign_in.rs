//! Who is calling (the wire contract, sections 3 and 5): sign-in, tokens, clusters, and which role may use what.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::support::{
    ADMINISTRATOR, AMIGO_ADMINISTRATOR, Answer, Data, SUPER_ADMINISTRATOR, Server, USER, log,
};

const ORG: &str = "acme";

/// An organization with its users and one prompt log.
fn acme(data: &Data) {
    data.org(ORG);
    data.import_logs(ORG, &[log("chat/1/greet", "You greet.", &["Hello."])]);
}

/// The directory database, to let time pass and people leave.
async fn directory(data: &Data) -> SqliteConnection {
    let file = data.path().join("directory.db");
    SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap()
}

/// Changes rows of the directory database behind the program's back.
pub(crate) async fn change(data: &Data, statement: &'static str) {
    let done = sqlx::query(statement)
        .execute(&mut directory(data).await)
        .await
        .unwrap();
    assert!(done.rows_affected() > 0, "{statement}");
}

/// A query with headers of the test's own choice.
async fn with_headers(server: &Server, org: &str, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"sql_query": "SELECT 1", "async_query": false});
    let path = format!("/v1/{org}/admin/sql_query");
    let request = server.request(Method::POST, &path).json(&body);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    Answer::of(request).await
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn an_api_key_signs_a_user_in_and_the_token_opens_both_endpoints() {
    let server = Server::start(acme);
    let key = server.data.api_key(ORG);
    let answer = server.sign_in(ORG, &key, AMIGO_ADMINISTRATOR).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    let token = body["id_token"].as_str().unwrap();

    let (head, claims) = (part(token, 0), part(token, 1));
    assert_eq!(head["alg"], "EdDSA");
    assert!(head["kid"].is_string(), "keys can be rotated");
    let (issued, expires) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
    );
    assert_eq!(expires - issued, 3600);
    let told = chrono::DateTime::parse_from_rfc3339(body["expires_at"].as_str().unwrap()).unwrap();
    assert_eq!(told.timestamp(), expires);

    assert_eq!(server.rows(token, ORG, "SELECT 1").await, json!([[1]]));
    let names = server.logs(token, ORG, "chat/").await.names();
    assert_eq!(names, ["chat/1/greet-system", "chat/1/greet-history"]);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_the_answer_is_the_same() {
    let server = Server::start(|data| {
        acme(data);
        data.org("globex");
        data.user(ORG, "nobody", "DefaultUserRole");
    });
    let good = server.data.api_key(ORG);
    let other = server.data.api_key("globex");
    let lesser = server.data.ok(["api-key", "create", ORG]);
    let lesser = ["api_key_id", "api_key"].map(|name| lesser[name].as_str().unwrap().to_owned());
    let [id, key] = lesser;
    let lesser = (id, key);
    let wrong_key = (good.0.clone(), other.1.clone());
    let wrong_id = (other.0.clone(), good.1.clone());
    let mut bodies = Vec::new();
    for (what, key, user) in [
        ("another key", &wrong_key, SUPER_ADMINISTRATOR),
        ("another id", &wrong_id, SUPER_ADMINISTRATOR),
        ("a key of another organization", &other, SUPER_ADMINISTRATOR),
        ("an unknown user", &good, "stranger"),
        ("no user id at all", &good, "no/body"),
        ("no user id, with a space", &good, "no body"),
        (
            "a role the key does not cover",
            &lesser,
            AMIGO_ADMINISTRATOR,
        ),
    ] {
        let answer = server.sign_in(ORG, key, user).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        bodies.push(answer.text());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    for user in [USER, ADMINISTRATOR] {
        let answer = server.sign_in(ORG, &lesser, user).await;
        assert_eq!(answer.status, 200, "the default key covers {user}");
    }
    let nowhere = server.sign_in("initech", &good, USER).await;
    nowhere.detail(404);
}

#[tokio::test]
async fn an_expired_key_signs_nobody_in() {
    let server = Server::start(acme);
    let key = server.data.api_key(ORG);
    assert_eq!(server.sign_in(ORG, &key, USER).await.status, 200);
    change(&server.data, "UPDATE api_keys SET expires_at = 1000").await;
    server.sign_in(ORG, &key, USER).await.detail(401);
}

#[tokio::test]
async fn a_sign_in_without_its_headers_or_with_two_of_one_is_told_which() {
    let server = Server::start(acme);
    let path = format!("/v1/{ORG}/user/signin_with_api_key");
    let all = ["x-api-key", "x-api-key-id", "x-user-id"];
    for left_out in 0..all.len() {
        let request = all
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out)
            .fold(server.request(Method::POST, &path), |request, (_, name)| {
                request.header(*name, "x")
            });
        let missing = format!("header.{}", all[left_out]);
        assert_eq!(Answer::of(request).await.violations(), [missing]);
    }
    for twice in all {
        let request = server.request(Method::POST, &path);
        let request = all
            .iter()
            .chain([&twice])
            .fold(request, |request, name| request.header(*name, "x"));
        let place = format!("header.{twice}");
        assert_eq!(Answer::of(request).await.violations(), [place]);
    }
    let none = Answer::of(server.request(Method::POST, &path)).await;
    assert_eq!(none.violations(), all.map(|name| format!("header.{name}")));
}

#[tokio::test]
async fn only_a_bearer_token_of_this_organization_opens_an_endpoint() {
    let server = Server::start(|data| {
        acme(data);
        data.org("globex");
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let (head, claims, signature) = {
        let parts: Vec<&str> = token.split('.').collect();
        (parts[0], parts[1], parts[2])
    };
    let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let elsewhere = Data::new();
    elsewhere.org(ORG);
    for (what, header) in [
        ("nothing", String::new()),
        ("no scheme", token.clone()),
        ("another scheme", format!("Token {token}")),
        ("no token", "Bearer ".to_owned()),
        ("no JWT", "Bearer abc".to_owned()),
        ("no signature", format!("Bearer {head}.{claims}.")),
        ("another claim", format!("Bearer {head}.{head}.{signature}")),
        ("no algorithm", format!("Bearer {unsigned}.{claims}.")),
        ("two tokens", format!("Bearer {token} {token}")),
        ("very much", format!("Bearer {}", "a".repeat(20_000))),
        (
            "a token of another server",
            format!("Bearer {}", elsewhere.token(ORG, SUPER_ADMINISTRATOR)),
        ),
        (
            "a token of another organization",
            format!("Bearer {}", server.token("globex", SUPER_ADMINISTRATOR)),
        ),
    ] {
        let answer = with_headers(&server, ORG, &[("authorization", &header)]).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
        let detail = answer.detail(401);
        assert!(!detail.contains(claims), "{what} is quoted: {detail}");
    }
    with_headers(&server, ORG, &[]).await.detail(401);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {token}");
        let answer = with_headers(&server, ORG, &[("authorization", &header)]).await;
        assert_eq!(answer.status, 200, "{scheme}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_token_counts_for_its_hour_its_issuer_and_its_audience_only() {
    let server = Server::start(acme);
    let genuine = part(&server.token(ORG, SUPER_ADMINISTRATOR), 1);
    let (kid, private): (String, Vec<u8>) =
        sqlx::query_as("SELECT kid, private_key FROM signing_keys")
            .fetch_one(&mut directory(&server.data).await)
            .await
            .unwrap();
    let now = genuine["iat"].as_i64().unwrap();
    let sign = |changes: Value| {
        let mut claims = genuine.clone();
        let changes = changes.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(changes);
        let header = Header {
            kid: Some(kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&private)).unwrap()
    };
    let status = async |changes| server.sql(&sign(changes), ORG, "SELECT 1").await.status;
    assert_eq!(status(json!({})).await, 200);
    assert_eq!(status(json!({"exp": now + 5})).await, 200);
    for changes in [
        json!({"iat": now - 3600, "exp": now}),
        json!({"iat": now + 86_400, "exp": now + 90_000}),
        json!({"aud": "another"}),
        json!({"iss": "another"}),
        json!({"org": "globex"}),
        json!({"sub": "nobody"}),
        json!({"sub": "../user"}),
        json!({"exp": null}),
    ] {
        assert_eq!(status(changes.clone()).await, 401, "{changes}");
    }
}

#[tokio::test]
async fn a_token_outlives_a_restart_but_not_a_change_of_the_issuer() {
    let mut server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    server.stop();
    let mut again = Server::on(&server.data, &[]);
    assert_eq!(again.sql(&token, ORG, "SELECT 1").await.status, 200);
    again.stop();
    let renamed = Server::on(&server.data, &[("IDENTITY__ISSUER", "another")]);
    renamed.sql(&token, ORG, "SELECT 1").await.detail(401);
}

#[tokio::test]
async fn a_changed_role_and_a_removed_user_count_at_once() {
    let server = Server::start(acme);
    let token = server.token(ORG, USER);
    server.sql(&token, ORG, "SELECT 1").await.detail(403);
    change(
        &server.data,
        "UPDATE users SET role_id = (SELECT role_id FROM roles WHERE org_id = 'acme' \
         AND name = 'DefaultSuperAdministratorRole') WHERE user_id = 'user'",
    )
    .await;
    assert_eq!(server.sql(&token, ORG, "SELECT 1").await.status, 200);
    change(&server.data, "DELETE FROM users WHERE user_id = 'user'").await;
    server.sql(&token, ORG, "SELECT 1").await.detail(401);
}

#[tokio::test]
async fn each_default_role_may_use_what_the_contract_says() {
    let server = Server::start(acme);
    let mut matrix = Vec::new();
    for user in [
        USER,
        ADMINISTRATOR,
        AMIGO_ADMINISTRATOR,
        SUPER_ADMINISTRATOR,
    ] {
        let token = server.token(ORG, user);
        let logs = server.logs(&token, ORG, "chat/").await;
        let sql = server.sql(&token, ORG, "SELECT 1").await;
        if logs.status == 403 {
            let detail = logs.detail(403);
            assert!(detail.contains("Admin:GetPromptLogs"), "{detail}");
        }
        if sql.status == 403 {
            let detail = sql.detail(403);
            assert!(detail.contains("DefaultAdministratorRole"), "{detail}");
        }
        matrix.push((user, logs.status, sql.status));
    }
    assert_eq!(
        matrix,
        [
            (USER, 403, 403),
            (ADMINISTRATOR, 200, 403),
            (AMIGO_ADMINISTRATOR, 200, 200),
            (SUPER_ADMINISTRATOR, 200, 200),
        ]
    );
}

#[tokio::test]
async fn a_request_may_name_the_cluster_of_its_organization_and_no_other() {
    const CLUSTER: &str = "x-mongo-cluster-name";
    let server = Server::start(|data| {
        acme(data);
        data.ok(["org", "create", "globex", "--cluster", "europe"]);
    });
    let token = format!("Bearer {}", server.token(ORG, SUPER_ADMINISTRATOR));
    let on = async |cluster: &str| {
        let headers = [("authorization", token.as_str()), (CLUSTER, cluster)];
        with_headers(&server, ORG, &headers).await
    };
    assert_eq!(on("default").await.status, 200);
    on("europe").await.detail(404);
    for unknown in ["mars", "", "a b"] {
        let place = format!("header.{CLUSTER}");
        assert_eq!(on(unknown).await.violations(), [place], "{unknown:?}");
    }
    let logs = server
        .logs_request(
            &token["Bearer ".len()..],
            ORG,
            &[("prompt_log_prefix", "c")],
        )
        .header(CLUSTER, "europe");
    Answer::of(logs).await.detail(404);
}

#[tokio::test]
async fn a_sign_in_looks_for_its_organization_on_the_cluster_it_names() {
    const CLUSTER: &str = "x-mongo-cluster-name";
    let server = Server::start(|data| {
        acme(data);
        data.ok(["org", "create", "globex", "--cluster", "europe"]);
    });
    let key = server.data.api_key(ORG);
    let wrong = (key.0.clone(), "wrong".to_owned());
    let path = format!("/v1/{ORG}/user/signin_with_api_key");
    let on = async |(id, key): &(String, String), clusters: &[&str]| {
        let request = server.request(Method::POST, &path);
        let request = request.header("x-api-key-id", id).header("x-api-key", key);
        let request = clusters.iter().fold(request, |request, cluster| {
            request.header(CLUSTER, *cluster)
        });
        Answer::of(request.header("x-user-id", USER)).await
    };
    for (clusters, with_key, with_wrong_key) in [
        (&[][..], 200, 401),
        (&["default"], 200, 401),
        (&["europe"], 404, 404),
        (&["mars"], 422, 422),
        (&[""], 422, 422),
        (&["a b"], 422, 422),
        (&["default", "default"], 422, 422),
        (&["default", "mars"], 422, 422),
    ] {
        for (key, expected) in [(&key, with_key), (&wrong, with_wrong_key)] {
            let answer = on(key, clusters).await;
            assert_eq!(answer.status, expected, "{clusters:?}: {}", answer.text());
            if expected == 422 {
                assert_eq!(answer.violations(), [format!("header.{CLUSTER}")]);
            }
        }
    }
    // What is missing is told before that.
    let request = server.request(Method::POST, &path).header(CLUSTER, "mars");
    assert_eq!(Answer::of(request).await.violations().len(), 3);
}

#[tokio::test]
async fn a_configured_cluster_is_known_though_nobody_lives_there_and_one_that_is_down_stops_nothing()
 {
    let data = Data::new();
    acme(&data);
    let mut command = data.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    command.env(
        "AMIGO_ADMIN_CLUSTERS__MARS__MONGODB",
        "mongodb://reader:s3cret@127.0.0.1:1",
    );
    let server = Server::spawn(&data, command);
    let token = format!("Bearer {}", server.token(ORG, SUPER_ADMINISTRATOR));
    let on = async |cluster: &str| {
        let headers = [
            ("authorization", token.as_str()),
            ("x-mongo-cluster-name", cluster),
        ];
        with_headers(&server, ORG, &headers).await
    };
    assert_eq!(on("default").await.status, 200);
    on("mars").await.detail(404);
    let place = "header.x-mongo-cluster-name".to_owned();
    assert_eq!(on("venus").await.violations(), [place]);
    let ready = Answer::of(server.request(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, 200);
    let checks = ready.json()["checks"].clone();
    let clusters = checks.as_array().unwrap().last().unwrap();
    let detail = "these MongoDB clusters do not answer: mars";
    assert_eq!(
        *clusters,
        json!({"name": "clusters", "ready": false, "detail": detail})
    );
}
