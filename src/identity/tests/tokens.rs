//! Tokens: round trips, ages, forgeries, keys.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::directory::SigningKey;
use crate::identity::tokens::new_signing_key;

const EXPIRED: &str = "the token is expired; sign in again";
const NOT_VALID: &str = "the token is not valid; sign in again";

/// The three parts of a token.
fn parts(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token of this payload, properly signed with a key of the directory.
fn signed(key: &SigningKey, payload: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(key.kid.clone());
    let private = EncodingKey::from_ed_der(&key.private_key);
    jsonwebtoken::encode(&header, payload, &private).unwrap()
}

#[tokio::test]
async fn a_token_names_its_user_until_the_second_it_expires() {
    let house = House::new().await;
    let (airline, admin) = (org("airline"), user_id("admin"));
    let token = house.identity.issue(&airline, &admin).await.unwrap();
    let issued_at = DateTime::from_timestamp(house.clock.now().timestamp(), 0).unwrap();
    assert_eq!(token.expires_at, issued_at + TimeDelta::seconds(3600));
    let claims = house.identity.verify(&token.id_token).await.unwrap();
    let expected = Claims {
        org: airline,
        user: admin,
        api_key_id: None,
        issued_at,
        expires_at: token.expires_at,
    };
    assert_eq!(claims, expected);

    house
        .clock
        .advance(token.expires_at - house.clock.now() - TimeDelta::microseconds(1));
    house.identity.verify(&token.id_token).await.unwrap();
    house.clock.advance(TimeDelta::microseconds(1));
    refused(house.identity.verify(&token.id_token).await, EXPIRED);
}

#[tokio::test]
async fn a_token_says_what_the_standard_claims_are_for() {
    let house = House::new().await;
    let token = house
        .identity
        .issue(&org("airline"), &user_id("admin"))
        .await;
    let [header, payload, _] = parts(&token.unwrap().id_token).map(|part| part.to_owned());
    let kid = &house.directory.signing_keys().await.unwrap()[0].kid;
    assert_eq!(
        decoded(&header),
        json!({"typ": "JWT", "alg": "EdDSA", "kid": kid})
    );
    let mut payload = decoded(&payload);
    let jti = payload["jti"].take();
    assert_eq!(jti.as_str().unwrap().len(), 36);
    let issued_at = house.clock.now().timestamp();
    let expected = json!({
        "iss": "amigo-admin", "aud": "amigo-admin", "sub": "admin", "org": "airline",
        "iat": issued_at, "exp": issued_at + 3600, "jti": null,
    });
    assert_eq!(payload, expected);
}

#[tokio::test]
async fn an_authenticated_caller_has_the_role_of_now_and_must_still_exist() {
    let house = House::new().await;
    let token = house
        .identity
        .issue(&org("airline"), &user_id("admin"))
        .await;
    let token = token.unwrap().id_token;
    let caller = house.identity.authenticate(&token).await.unwrap();
    assert_eq!(caller.org_id, org("airline"));
    assert_eq!(caller.user_id, user_id("admin"));
    assert_eq!(caller.role.name.as_str(), rules::DEFAULT_ADMINISTRATOR_ROLE);

    let key = &house.directory.signing_keys().await.unwrap()[0];
    let [_, payload, _] = parts(&token);
    let mut payload = decoded(&payload);
    payload["sub"] = json!("gone");
    let of_nobody = signed(key, &payload);
    refused(
        house.identity.authenticate(&of_nobody).await,
        "the token's user no longer exists; sign in again",
    );
}

#[tokio::test]
async fn no_token_is_issued_for_whom_the_directory_does_not_know() {
    let house = House::new().await;
    for (org_id, user, message) in [
        ("nix", "admin", "there is no organization nix; check its id"),
        (
            "airline",
            "gone",
            "organization airline has no user gone; create the user first",
        ),
    ] {
        let error = house.identity.issue(&org(org_id), &user_id(user)).await;
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.message()), (&Kind::NotFound, message));
    }
}

#[tokio::test]
async fn a_token_with_any_bit_changed_is_refused() {
    let house = House::new().await;
    let token = house
        .identity
        .issue(&org("airline"), &user_id("admin"))
        .await;
    let token = token.unwrap().id_token;
    let parts = parts(&token);
    for part in 0..3 {
        let bytes = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut parts = parts.clone();
            parts[part] = URL_SAFE_NO_PAD.encode(bytes);
            refused(house.identity.verify(&parts.join(".")).await, NOT_VALID);
        }
    }
}

#[tokio::test]
async fn no_other_algorithm_gets_past_our_keys() {
    let house = House::new().await;
    let token = house
        .identity
        .issue(&org("airline"), &user_id("super"))
        .await;
    let [_, payload, signature] = parts(&token.unwrap().id_token);
    let key = &house.directory.signing_keys().await.unwrap()[0];

    for algorithm in ["none", "None", "HS256", "RS256", "ES256"] {
        let header = encoded(&json!({"typ": "JWT", "alg": algorithm, "kid": key.kid}));
        for signature in ["", &signature] {
            let forged = format!("{header}.{payload}.{signature}");
            refused(house.identity.verify(&forged).await, NOT_VALID);
        }
    }
    // The classic: the public key, which is no secret, taken as the secret of an HMAC.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(key.kid.clone());
    let public = EncodingKey::from_secret(&key.public_key);
    let forged = jsonwebtoken::encode(&header, &decoded(&payload), &public).unwrap();
    refused(house.identity.verify(&forged).await, NOT_VALID);
}

#[tokio::test]
async fn a_token_of_a_key_that_is_not_ours_is_refused() {
    let house = House::new().await;
    let token = house
        .identity
        .issue(&org("airline"), &user_id("super"))
        .await;
    let payload = decoded(&parts(&token.unwrap().id_token)[1]);
    let ours = house.directory.signing_keys().await.unwrap().remove(0);
    let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let theirs = pair.as_ref().to_vec();
    for kid in [ours.kid.as_str(), "theirs", ""] {
        let key = SigningKey {
            kid: kid.to_owned(),
            private_key: theirs.clone(),
            ..ours.clone()
        };
        refused(
            house.identity.verify(&signed(&key, &payload)).await,
            NOT_VALID,
        );
    }
    let private = EncodingKey::from_ed_der(&ours.private_key);
    let header = Header::new(Algorithm::EdDSA);
    let without_kid = jsonwebtoken::encode(&header, &payload, &private).unwrap();
    refused(house.identity.verify(&without_kid).await, NOT_VALID);
}

#[tokio::test]
async fn a_token_of_our_key_but_not_for_this_server_is_refused() {
    let house = House::new().await;
    let token = house
        .identity
        .issue(&org("airline"), &user_id("super"))
        .await;
    let payload = decoded(&parts(&token.unwrap().id_token)[1]);
    let key = house.directory.signing_keys().await.unwrap().remove(0);
    let now = house.clock.now().timestamp();
    house
        .identity
        .verify(&signed(&key, &payload))
        .await
        .unwrap();
    for (claim, value) in [
        ("iss", json!("somebody")),
        ("aud", json!("something")),
        ("org", json!("../bank")),
        ("sub", json!("")),
        ("iat", json!(now + 61)),
        ("exp", json!("tomorrow")),
        ("exp", json!(i64::MAX)),
    ] {
        let mut other = payload.clone();
        other[claim] = value;
        refused(
            house.identity.verify(&signed(&key, &other)).await,
            NOT_VALID,
        );
        other.as_object_mut().unwrap().remove(claim);
        refused(
            house.identity.verify(&signed(&key, &other)).await,
            NOT_VALID,
        );
    }
    for claim in ["iat", "nbf"] {
        let mut skewed = payload.clone();
        skewed[claim] = json!(now + 60);
        house.identity.verify(&signed(&key, &skewed)).await.unwrap();
        skewed[claim] = json!(now + 61);
        refused(
            house.identity.verify(&signed(&key, &skewed)).await,
            NOT_VALID,
        );
    }
}

#[tokio::test]
async fn the_public_key_is_no_secret_to_sign_with() {
    let house = House::new().await;
    let token = house
        .identity
        .issue(&org("airline"), &user_id("super"))
        .await;
    let [_, payload, _] = parts(&token.unwrap().id_token);
    let key = house.directory.signing_keys().await.unwrap().remove(0);
    let x = URL_SAFE_NO_PAD.encode(&key.public_key);
    for secret in [key.public_key.as_slice(), x.as_bytes(), b""] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some(key.kid.clone());
            let secret = EncodingKey::from_secret(secret);
            let forged = jsonwebtoken::encode(&header, &decoded(&payload), &secret).unwrap();
            refused(house.identity.verify(&forged).await, NOT_VALID);
        }
    }
}

#[tokio::test]
async fn a_token_of_a_user_is_none_of_a_later_user_of_the_same_id() {
    let house = House::new().await;
    let (airline, admin) = (org("airline"), user_id("admin"));
    let token = house.identity.issue(&airline, &admin).await.unwrap();
    house.identity.authenticate(&token.id_token).await.unwrap();
    house
        .directory
        .delete_user(&airline, &admin, None)
        .await
        .unwrap();
    let gone = "the token's user no longer exists; sign in again";
    refused(house.identity.authenticate(&token.id_token).await, gone);
    house.clock.advance(TimeDelta::seconds(1));
    let again = NewUser {
        org_id: airline.clone(),
        user_id: admin.clone(),
        role: role_name(rules::DEFAULT_SUPER_ADMINISTRATOR_ROLE),
        email: None,
        first_name: None,
        last_name: None,
    };
    let now = house.clock.now();
    house.directory.create_user(&again, now).await.unwrap();
    refused(house.identity.authenticate(&token.id_token).await, gone);
    let token = house.identity.issue(&airline, &admin).await.unwrap();
    house.identity.authenticate(&token.id_token).await.unwrap();
}

#[tokio::test]
async fn a_token_stands_while_its_api_key_would_sign_the_user_in() {
    let house = House::new().await;
    let ended = "the API key that this token was signed in with no longer counts for its user; sign in again";
    let (airline, admin) = (org("airline"), user_id("admin"));
    let key = house.key(rules::DEFAULT_ADMINISTRATOR_ROLE).await;
    let signed_in = house
        .sign_in("airline", (&key.api_key_id, &key.api_key), "admin")
        .await
        .unwrap()
        .id_token;
    let claims = house.identity.verify(&signed_in).await.unwrap();
    assert_eq!(claims.api_key_id.as_deref(), Some(key.api_key_id.as_str()));
    let assign = async |role: &str| {
        let role = role_name(role);
        let role = house.directory.known_role(&airline, &role).await.unwrap();
        let now = house.clock.now();
        house
            .directory
            .assign_role(&airline, &admin, None, &role.role_id, now)
            .await
            .unwrap();
    };
    assign(rules::DEFAULT_AMIGO_ADMINISTRATOR_ROLE).await;
    refused(house.identity.authenticate(&signed_in).await, ended);
    assign(rules::DEFAULT_USER_ROLE).await;
    let caller = house.identity.authenticate(&signed_in).await.unwrap();
    assert_eq!(caller.role.name, role_name(rules::DEFAULT_USER_ROLE));
    house
        .directory
        .delete_api_key(&airline, &key.api_key_id)
        .await
        .unwrap();
    refused(house.identity.authenticate(&signed_in).await, ended);
    let operators = house.identity.issue(&airline, &admin).await.unwrap();
    house
        .identity
        .authenticate(&operators.id_token)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_retires_when_its_last_token_has_expired() {
    let house = House::new().await;
    let old = house.directory.signing_keys().await.unwrap().remove(0);
    let token = house
        .identity
        .issue(&org("airline"), &user_id("super"))
        .await;
    let payload = decoded(&parts(&token.unwrap().id_token)[1]);
    house.identity.rotate_signing_key().await.unwrap();
    let forge = || {
        let mut forged = payload.clone();
        let now = house.clock.now().timestamp();
        (forged["iat"], forged["exp"]) = (json!(now), json!(now + 3_600));
        signed(&old, &forged)
    };
    let states = async || {
        let now = house.clock.now();
        let keys = house.identity.public_keys().await.unwrap();
        keys.iter().map(|key| key.verifies(now)).collect::<Vec<_>>()
    };
    // An hour is a token's life, a minute what clocks may differ. This server signs nothing meanwhile.
    house.clock.advance(TimeDelta::seconds(3_659));
    house.identity.verify(&forge()).await.unwrap();
    assert_eq!(states().await, [true, true]);
    house.clock.advance(TimeDelta::seconds(1));
    refused(house.identity.verify(&forge()).await, NOT_VALID);
    assert_eq!(states().await, [true, false]);
}

#[tokio::test]
async fn text_that_is_no_token_or_too_long_to_be_one_is_refused() {
    let house = House::new().await;
    let long = format!("{}.a.b", "a".repeat(8 * 1024));
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        "e30.e30.e30",
        "Bearer x",
        "ü.ü.ü",
        &long,
    ] {
        refused(house.identity.verify(text).await, NOT_VALID);
    }
    // Properly signed, but longer than any token of ours.
    let token = house
        .identity
        .issue(&org("airline"), &user_id("super"))
        .await;
    let mut payload = decoded(&parts(&token.unwrap().id_token)[1]);
    payload["more"] = json!("a".repeat(8 * 1024));
    let key = &house.directory.signing_keys().await.unwrap()[0];
    refused(
        house.identity.verify(&signed(key, &payload)).await,
        NOT_VALID,
    );
}

#[tokio::test]
async fn two_servers_on_one_directory_take_each_others_tokens() {
    let house = House::new().await;
    let other = open(&house.directory, &house.clock).await;
    assert_eq!(house.directory.signing_keys().await.unwrap().len(), 1);
    let (airline, admin) = (org("airline"), user_id("admin"));
    let token = house.identity.issue(&airline, &admin).await.unwrap();
    other.verify(&token.id_token).await.unwrap();
    let token = other.issue(&airline, &admin).await.unwrap();
    house.identity.verify(&token.id_token).await.unwrap();
}

#[tokio::test]
async fn servers_that_start_at_once_on_a_new_directory_end_up_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(&folder.path().join("directory.db")).await;
    let directory = directory.unwrap();
    let clock = Clock::system();
    let (one, other) = tokio::join!(open(&directory, &clock), open(&directory, &clock));
    assert_eq!(directory.signing_keys().await.unwrap().len(), 1);
    let token = one
        .tokens
        .issue(&org("airline"), &user_id("admin"), None)
        .await
        .unwrap();
    other.verify(&token.id_token).await.unwrap();
}

#[tokio::test]
async fn a_key_added_later_is_found_by_running_servers_and_old_tokens_stay_good() {
    let house = House::new().await;
    let (airline, admin) = (org("airline"), user_id("admin"));
    let old = house.identity.issue(&airline, &admin).await.unwrap();
    // Uses up the one reading of this second.
    let [_, payload, signature] = parts(&old.id_token);
    let header = encoded(&json!({"typ": "JWT", "alg": "EdDSA", "kid": "unknown"}));
    let unknown = format!("{header}.{payload}.{signature}");
    refused(house.identity.verify(&unknown).await, NOT_VALID);

    let newer = new_signing_key(house.clock.now() + TimeDelta::seconds(1)).unwrap();
    house.directory.add_signing_key(&newer).await.unwrap();
    let new = signed(&newer, &decoded(&payload));
    refused(house.identity.verify(&new).await, NOT_VALID);
    house.clock.advance(TimeDelta::seconds(1));
    house.identity.verify(&new).await.unwrap();
    house.identity.verify(&old.id_token).await.unwrap();
    let newest = house.identity.issue(&airline, &admin).await.unwrap();
    assert_eq!(
        decoded(&parts(&newest.id_token)[0])["kid"],
        json!(newer.kid)
    );
}
