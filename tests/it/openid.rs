//! Tokens of an organization's own OpenID provider, over HTTP: where they count, and what stays out of answers and logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMINISTRATOR, Answer, Data, Server, USER};

const ORG: &str = "acme";
const ISSUER: &str = "https://login.acme.example";

/// The provider of [`ORG`]: its one key, and whether it answers.
struct Provider {
    key: Ed25519KeyPair,
    is_up: Arc<AtomicBool>,
    address: String,
}

impl Provider {
    async fn start() -> Self {
        let key = Ed25519KeyPair::generate().unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(key.public_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k", "alg": "EdDSA"});
        let set = json!({ "keys": [jwk] }).to_string();
        let is_up = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&is_up);
        let answer = move || async move {
            match up.load(Ordering::SeqCst) {
                true => (StatusCode::OK, set),
                false => (StatusCode::BAD_GATEWAY, String::new()),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/keys", listener.local_addr().unwrap());
        let router = Router::new().route("/keys", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            key,
            is_up,
            address,
        }
    }

    /// A token that says this; signed unless `algorithm` is another one.
    fn token(&self, algorithm: &str, changes: &Value) -> String {
        let now = chrono::Utc::now().timestamp();
        let mut payload = json!({
            "iss": ISSUER, "aud": "amigo-admin", "sub": ADMINISTRATOR, "iat": now, "exp": now + 600,
        });
        for (name, value) in changes.as_object().unwrap() {
            payload[name] = value.clone();
        }
        let header = json!({"alg": algorithm, "kid": "k"});
        let [header, payload] =
            [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{payload}");
        let signature = match algorithm {
            "EdDSA" => BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes())),
            _ => String::new(),
        };
        format!("{message}.{signature}")
    }
}

/// A server whose organization has the provider, beside one that has none.
fn serve(provider: &Provider) -> Server {
    let data = Data::new();
    data.org(ORG);
    data.org("globex");
    let settings = format!(
        "[organizations.{ORG}.openid]\nissuer = {ISSUER:?}\njwks_url = {:?}\naudience = \"amigo-admin\"\n",
        provider.address
    );
    let file = data.write("settings.toml", settings);
    let mut command = data.command();
    command.arg("--config").arg(file);
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    command.env("AMIGO_ADMIN_LIMITS__RATE_LIMITS", "false");
    Server::spawn(&data, command)
}

async fn users(server: &Server, org: &str, headers: &[(&str, &str)]) -> Answer {
    let request = server.request(Method::GET, &format!("/v1/{org}/user/"));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    Answer::of(request).await
}

/// Lets the provider answer, and asks with its token until the server has read the keys.
async fn come_up(provider: &Provider, server: &Server, bearer: &str) {
    provider.is_up.store(true, Ordering::SeqCst);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while users(server, ORG, &[("authorization", bearer)])
        .await
        .status
        != 200
    {
        assert!(
            std::time::Instant::now() < deadline,
            "the keys are not read"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn while_the_provider_never_answered_its_tokens_wait_and_ours_count() {
    let provider = Provider::start().await;
    let server = serve(&provider);
    let bearer = format!("Bearer {}", provider.token("EdDSA", &json!({})));
    let ours = format!("Bearer {}", server.token(ORG, USER));
    let answer = users(&server, ORG, &[("authorization", &bearer)]).await;
    let detail = answer.detail(503);
    assert!(detail.contains("OpenID provider"), "{detail}");
    let answer = users(&server, ORG, &[("authorization", &ours)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    come_up(&provider, &server, &bearer).await;
    let log = server.log().join("\n");
    let signature = bearer.rsplit('.').next().unwrap();
    assert!(log.contains("OpenID provider"), "{log}");
    assert!(!log.contains(signature), "{log}");
}

#[tokio::test]
async fn a_providers_token_counts_wherever_ours_do_for_its_own_organization() {
    let provider = Provider::start().await;
    let server = serve(&provider);
    let good = provider.token("EdDSA", &json!({}));
    let bearer = format!("Bearer {good}");
    come_up(&provider, &server, &bearer).await;

    let basic = |user: &str| {
        let pair = BASE64_STANDARD.encode(format!("{ORG}_{user}:{good}"));
        format!("Basic {pair}")
    };
    let (right, wrong) = (basic(ADMINISTRATOR), basic(USER));
    let protocol = format!("auth, {good}");
    for (org, headers, status) in [
        (ORG, vec![("authorization", right.as_str())], 200),
        (ORG, vec![("authorization", wrong.as_str())], 401),
        (
            ORG,
            vec![("sec-websocket-protocol", protocol.as_str())],
            200,
        ),
        (
            ORG,
            vec![("authorization", &bearer), ("x-org-id", ORG)],
            200,
        ),
        (
            ORG,
            vec![("authorization", &bearer), ("x-org-id", "globex")],
            401,
        ),
        ("globex", vec![("authorization", &bearer)], 401),
        (
            "globex",
            vec![("authorization", &bearer), ("x-org-id", "globex")],
            401,
        ),
        (
            "globex",
            vec![("authorization", &bearer), ("x-org-id", ORG)],
            200,
        ),
    ] {
        let answer = users(&server, org, &headers).await;
        assert_eq!(
            answer.status,
            status,
            "{org} {headers:?}: {}",
            answer.text()
        );
        if status == 200 {
            // An administrator sees the whole of the own organization, and nobody of another one.
            let seen = answer.json()["users"].as_array().unwrap().len();
            assert_eq!(seen, if org == ORG { 4 } else { 0 }, "{org} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_providers_token_that_is_not_good_is_refused() {
    let provider = Provider::start().await;
    let server = serve(&provider);
    let bearer = format!("Bearer {}", provider.token("EdDSA", &json!({})));
    come_up(&provider, &server, &bearer).await;
    for token in [
        provider.token("none", &json!({})),
        provider.token("EdDSA", &json!({"aud": "another"})),
        provider.token("EdDSA", &json!({"exp": 1})),
        provider.token("EdDSA", &json!({"sub": "nobody"})),
        provider.token("EdDSA", &json!({"iss": "https://login.globex.example"})),
    ] {
        let bearer = format!("Bearer {token}");
        users(&server, ORG, &[("authorization", &bearer)])
            .await
            .detail(401);
    }
    // The role is looked up at each request, and a deleted user's token ends at once.
    server.data.ok(["user", "delete", ORG, ADMINISTRATOR]);
    let answer = users(&server, ORG, &[("authorization", &bearer)]).await;
    answer.detail(401);
}

#[test]
fn a_provider_that_cannot_be_one_stops_the_start() {
    let data = Data::new();
    data.org(ORG);
    let settings = "[organizations.acme.openid]\nissuer = \"https://id.example\"\njwks_url = \"http://id.example/keys\"\naudience = \"a\"\n";
    let file = data.write("settings.toml", settings);
    let output = data
        .command()
        .arg("--config")
        .arg(file)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = crate::support::stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("organizations.acme.openid.jwks_url"),
        "{said}"
    );
}
