//! Tokens of an organization's own OpenID provider: a real one, on loopback, with keys of each kind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::config::OpenId;

mod keys;

const EXPIRED: &str = "the token is expired; sign in again";
const NOT_VALID: &str = "the token is not valid; sign in again";
const ISSUER: &str = "https://id.airline.example";
const AUDIENCE: &str = "amigo-of-airline";

/// The private half of a key, and the algorithm it signs with.
enum Private {
    Rs256(RsaKeyPair),
    Ps256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Private {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Ps256(_) => "PS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The public half as the provider publishes it.
    fn jwk(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Rs256(pair) | Self::Ps256(pair) => json!({
                "kty": "RSA",
                "n": text(pair.public_key().modulus().big_endian_without_leading_zero()),
                "e": text(pair.public_key().exponent().big_endian_without_leading_zero()),
            }),
            Self::Es256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Self::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        };
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |pair: &RsaKeyPair, padding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &random, message, &mut signature)
                .unwrap();
            signature
        };
        match self {
            Self::Rs256(pair) => rsa(pair, &RSA_PKCS1_SHA256),
            Self::Ps256(pair) => rsa(pair, &RSA_PSS_SHA256),
            Self::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A new key of each kind, named after its algorithm.
fn keys() -> Vec<Private> {
    let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    vec![
        Private::Rs256(rsa()),
        Private::Ps256(rsa()),
        Private::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
        Private::EdDsa(Ed25519KeyPair::generate().unwrap()),
    ]
}

fn ed() -> Private {
    Private::EdDsa(Ed25519KeyPair::generate().unwrap())
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token with this header and payload, signed by a key.
fn token_of(header: &Value, payload: &Value, key: &Private) -> String {
    let message = format!("{}.{}", encoded(header), encoded(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.signature(message.as_bytes()));
    format!("{message}.{signature}")
}

fn signed(key: &Private, kid: &str, payload: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": key.algorithm(), "kid": kid});
    token_of(&header, payload, key)
}

/// What the provider answers, and how often it was asked.
#[derive(Default)]
struct Answers {
    answer: Mutex<(u16, String)>,
    asked: AtomicUsize,
}

/// [`House`] and its airline's provider.
struct World {
    house: House,
    answers: Arc<Answers>,
    identity: Identity,
}

impl World {
    /// The claims of the provider's tokens name users by `user_claim`.
    async fn new(user_claim: &str) -> Self {
        let house = House::new().await;
        let answers = Arc::new(Answers::default());
        let router = Router::new().route("/keys", get(answer));
        let router = router.with_state(Arc::clone(&answers));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let settings = OpenId {
            issuer: ISSUER.to_owned(),
            jwks_url: format!("http://{address}/keys"),
            audience: AUDIENCE.to_owned(),
            user_claim: user_claim.to_owned(),
        };
        // The bank has a provider too, at the same address even.
        let of_bank = OpenId {
            issuer: "https://id.bank.example".to_owned(),
            audience: "amigo-of-bank".to_owned(),
            ..settings.clone()
        };
        let (airline, bank) = (org("airline"), org("bank"));
        let declared = [(&airline, &settings), (&bank, &of_bank)];
        let identity = open(&house.directory, &house.clock).await;
        let identity = identity.with_providers(declared.into_iter()).unwrap();
        Self {
            house,
            answers,
            identity,
        }
    }

    /// The provider publishes these keys from now on.
    fn publish(&self, keys: &[Value]) {
        self.say(200, &json!({ "keys": keys }).to_string());
    }

    fn say(&self, status: u16, body: &str) {
        *self.answers.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.answers.asked.load(Ordering::SeqCst)
    }

    fn now(&self) -> i64 {
        self.house.clock.now().timestamp()
    }

    fn wait(&self, seconds: i64) {
        self.house.clock.advance(TimeDelta::seconds(seconds));
    }

    /// The payload of a good token of the airline's user `admin`.
    fn payload(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "admin", "iat": self.now(), "exp": self.now() + 300,
        })
    }

    /// The same with other claims; null takes one away.
    fn payload_but(&self, changes: &Value) -> Value {
        let mut payload = self.payload();
        let claims = payload.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            claims.insert(name.clone(), value.clone());
        }
        claims.retain(|_, value| !value.is_null());
        payload
    }

    /// The user a token authenticates, with the organization.
    async fn who(&self, token: &str) -> Result<(String, String)> {
        let caller = self.identity.authenticate(token).await?;
        Ok((caller.org_id.to_string(), caller.user_id.to_string()))
    }
}

async fn answer(State(answers): State<Arc<Answers>>) -> (StatusCode, String) {
    answers.asked.fetch_add(1, Ordering::SeqCst);
    let (status, body) = answers.answer.lock().unwrap().clone();
    (StatusCode::from_u16(status).unwrap(), body)
}

fn pair(org: &str, user: &str) -> (String, String) {
    (org.to_owned(), user.to_owned())
}

#[tokio::test]
async fn a_token_by_a_key_of_each_kind_names_the_user_with_the_role_of_now() {
    let world = World::new("sub").await;
    let keys = keys();
    let published: Vec<Value> = keys.iter().map(|key| key.jwk(key.algorithm())).collect();
    world.publish(&published);
    for key in &keys {
        let token = signed(key, key.algorithm(), &world.payload());
        let claims = world.identity.verify(&token).await.unwrap();
        assert_eq!(claims.expires_at.timestamp(), world.now() + 300);
        let caller = world.identity.authenticate(&token).await.unwrap();
        assert_eq!(
            (caller.org_id, caller.role.name),
            (org("airline"), role_name(rules::DEFAULT_ADMINISTRATOR_ROLE))
        );
    }
    assert_eq!(world.asked(), 1);
    // Our own tokens are as good as before.
    let own = world.identity.issue(&org("bank"), &user_id("user")).await;
    assert_eq!(
        world.who(&own.unwrap().id_token).await.unwrap(),
        pair("bank", "user")
    );
}

#[tokio::test]
async fn no_token_is_taken_by_an_algorithm_that_its_key_is_not_for() {
    let world = World::new("sub").await;
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let rs256 = Private::Rs256(rsa);
    let jwk = rs256.jwk("k");
    world.publish(std::slice::from_ref(&jwk));
    let payload = world.payload();
    world.who(&signed(&rs256, "k", &payload)).await.unwrap();

    // The same pair with the other padding.
    let Private::Rs256(rsa) = rs256 else {
        unreachable!("made as such above");
    };
    let ps256 = Private::Ps256(rsa);
    refused(world.who(&signed(&ps256, "k", &payload)).await, NOT_VALID);
    // A key without a word on its algorithm is one for RS256.
    let mut silent = jwk.clone();
    silent.as_object_mut().unwrap().remove("alg");
    world.publish(&[silent]);
    world.wait(11);
    refused(world.who(&signed(&ps256, "k", &payload)).await, NOT_VALID);

    // The classic: the public key, which is no secret, taken as the secret of an HMAC; and no signature at all.
    let public = [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned()];
    for secret in public.iter().map(String::as_bytes).chain([&b""[..]]) {
        for algorithm in ["HS256", "HS384", "HS512", "none", "None", "RS512", "ES384"] {
            let header = json!({"alg": algorithm, "kid": "k"});
            let message = format!("{}.{}", encoded(&header), encoded(&payload));
            let tag = aws_lc_rs::hmac::sign(
                &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret),
                message.as_bytes(),
            );
            for signature in [String::new(), URL_SAFE_NO_PAD.encode(tag)] {
                refused(
                    world.who(&format!("{message}.{signature}")).await,
                    NOT_VALID,
                );
            }
        }
    }
}

#[tokio::test]
async fn nothing_in_a_token_leads_to_a_key() {
    let world = World::new("sub").await;
    let (key, theirs) = (ed(), ed());
    world.publish(&[key.jwk("k")]);
    let payload = world.payload();
    let url = "http://127.0.0.1:1/keys";
    for header in [
        json!({"alg": "EdDSA", "kid": "k"}),
        json!({"alg": "EdDSA", "kid": "other"}),
        json!({"alg": "EdDSA", "kid": ""}),
        json!({"alg": "EdDSA"}),
        json!({"alg": "EdDSA", "jwk": theirs.jwk("k")}),
        json!({"alg": "EdDSA", "kid": "k", "jwk": theirs.jwk("k"), "jku": url, "x5u": url}),
    ] {
        refused(
            world.who(&token_of(&header, &payload, &theirs)).await,
            NOT_VALID,
        );
    }
    // Signed by the right key, but without its name, or with extensions that are to be understood.
    for header in [
        json!({"alg": "EdDSA"}),
        json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false}),
    ] {
        refused(
            world.who(&token_of(&header, &payload, &key)).await,
            NOT_VALID,
        );
    }
    // Each part with something changed or gone.
    let token = signed(&key, "k", &payload);
    let [header, _, signature] =
        <[&str; 3]>::try_from(token.split('.').collect::<Vec<_>>()).unwrap();
    let other = encoded(&world.payload_but(&json!({"sub": "super"})));
    let (payload, signed_again) = (encoded(&payload), signed(&key, "k", &payload));
    assert_eq!(token, signed_again);
    for forged in [
        format!("{header}.{other}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{}", &signature[1..]),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!(
            "{}.{payload}.{signature}",
            encoded(&json!({"alg": "EdDSA", "kid": "k"}))
        ),
    ] {
        refused(world.who(&forged).await, NOT_VALID);
    }
}

#[tokio::test]
async fn a_token_is_of_this_issuer_for_this_server_and_of_now() {
    let world = World::new("sub").await;
    let key = ed();
    world.publish(&[key.jwk("k")]);
    let now = world.now();
    let check = async |changes: Value, expected: Result<&str, &str>| {
        let token = signed(&key, "k", &world.payload_but(&changes));
        match expected {
            Ok(user) => assert_eq!(world.who(&token).await.unwrap(), pair("airline", user)),
            Err(message) => refused(world.who(&token).await, message),
        }
    };
    check(json!({"aud": ["other", AUDIENCE]}), Ok("admin")).await;
    check(
        json!({"sub": "user", "org": "bank", "email": "x@y.z"}),
        Ok("user"),
    )
    .await;
    for (name, edge, beyond, message) in [
        ("exp", now - 59, now - 60, EXPIRED),
        ("nbf", now + 60, now + 61, NOT_VALID),
        ("iat", now + 60, now + 61, NOT_VALID),
    ] {
        check(json!({name: edge}), Ok("admin")).await;
        check(json!({name: beyond}), Err(message)).await;
    }
    check(
        json!({"exp": now as f64 + 0.5, "iat": now as f64 + 0.5}),
        Ok("admin"),
    )
    .await;
    for changes in [
        json!({"iss": "https://id.airline.example/"}),
        json!({"iss": null}),
        json!({"iss": "amigo-admin"}),
        // The bank's issuer, whose keys these are too, but another audience.
        json!({"iss": "https://id.bank.example"}),
        json!({"aud": "amigo-of-bank"}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"exp": null}),
        json!({"exp": "tomorrow"}),
        json!({"exp": i64::MAX}),
        json!({"exp": 1e300}),
        json!({"iat": null}),
        json!({"nbf": {}}),
        json!({"sub": null}),
        json!({"sub": 7}),
        json!({"sub": ["admin"]}),
        json!({"sub": ""}),
        json!({"sub": "../admin"}),
        json!({"more": "a".repeat(8 * 1024)}),
    ] {
        check(changes, Err(NOT_VALID)).await;
    }
    let nobody = "the token's user no longer exists; sign in again";
    check(json!({"sub": "nobody"}), Err(nobody)).await;
}

#[tokio::test]
async fn a_provider_gives_users_of_its_own_organization_only() {
    let world = World::new("sub").await;
    let key = ed();
    world.publish(&[key.jwk("k")]);
    let only_in_bank = NewUser {
        org_id: org("bank"),
        user_id: user_id("teller"),
        role: role_name(rules::DEFAULT_USER_ROLE),
        email: None,
        first_name: None,
        last_name: None,
    };
    let now = world.house.clock.now();
    world
        .house
        .directory
        .create_user(&only_in_bank, now)
        .await
        .unwrap();
    let of_airline = json!({"sub": "teller", "org": "bank", "org_id": "bank"});
    refused(
        world
            .who(&signed(&key, "k", &world.payload_but(&of_airline)))
            .await,
        "the token's user no longer exists; sign in again",
    );
    let of_bank =
        json!({"sub": "teller", "iss": "https://id.bank.example", "aud": "amigo-of-bank"});
    let token = signed(&key, "k", &world.payload_but(&of_bank));
    assert_eq!(world.who(&token).await.unwrap(), pair("bank", "teller"));
}

#[tokio::test]
async fn the_claim_email_names_a_user_by_an_address_that_the_provider_does_not_doubt() {
    let world = World::new("email").await;
    let key = ed();
    world.publish(&[key.jwk("k")]);
    for (org_id, id, address) in [
        ("airline", "mia_3668", "mia@airline.example"),
        ("bank", "leo", "leo@bank.example"),
    ] {
        let user = NewUser {
            org_id: org(org_id),
            user_id: user_id(id),
            role: role_name(rules::DEFAULT_USER_ROLE),
            email: Some(address.to_owned()),
            first_name: None,
            last_name: None,
        };
        let now = world.house.clock.now();
        world.house.directory.create_user(&user, now).await.unwrap();
    }
    for (claims, expected) in [
        (json!({"email": "mia@airline.example"}), Some("mia_3668")),
        (
            json!({"email": "Mia@Airline.example", "email_verified": true}),
            Some("mia_3668"),
        ),
        (
            json!({"email": "mia@airline.example", "email_verified": "true"}),
            Some("mia_3668"),
        ),
        (
            json!({"email": "mia@airline.example", "email_verified": false}),
            None,
        ),
        (
            json!({"email": "mia@airline.example", "email_verified": "false"}),
            None,
        ),
        (json!({"email": "leo@bank.example"}), None),
        (json!({"email": "mia_3668"}), None),
        (json!({"email": ""}), None),
        (json!({"email": "%"}), None),
        // The subject does not stand in.
        (json!({"sub": "admin"}), None),
    ] {
        let token = signed(&key, "k", &world.payload_but(&claims));
        match expected {
            Some(user) => assert_eq!(world.who(&token).await.unwrap(), pair("airline", user)),
            None => refused(world.who(&token).await, NOT_VALID),
        }
    }
}
