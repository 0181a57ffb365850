//! API keys and signing in with them.

use std::sync::atomic::Ordering;

use chrono::TimeDelta;

use super::*;

const NO_SIGN_IN: &str = "the API key, its id or the user is not valid for this organization";

#[tokio::test]
async fn an_api_key_signs_in_exactly_the_users_whose_role_its_role_covers() {
    let house = House::new().await;
    for (key_rank, (_, role)) in USERS.iter().enumerate() {
        let key = house.key(role).await;
        for (user_rank, (user, _)) in USERS.iter().enumerate() {
            let signed_in = house
                .sign_in("airline", (&key.api_key_id, &key.api_key), user)
                .await;
            if user_rank <= key_rank {
                let token = signed_in.unwrap().id_token;
                let caller = house.identity.authenticate(&token).await.unwrap();
                assert_eq!(caller.user_id, user_id(user));
            } else {
                refused(signed_in, NO_SIGN_IN);
            }
        }
    }
}

#[tokio::test]
async fn everything_wrong_with_a_sign_in_is_answered_by_one_sentence() {
    let house = House::new().await;
    let key = house.key(rules::DEFAULT_ADMINISTRATOR_ROLE).await;
    let other = house.key(rules::DEFAULT_ADMINISTRATOR_ROLE).await;
    let (id, secret) = (key.api_key_id.as_str(), key.api_key.as_str());
    house
        .sign_in("airline", (id, secret), "admin")
        .await
        .unwrap();
    for (org_id, key, user) in [
        ("airline", (id, other.api_key.as_str()), "admin"),
        ("airline", (id, ""), "admin"),
        ("airline", (id, &secret[..42]), "admin"),
        ("airline", ("0123456789abcdef01234567", secret), "admin"),
        ("airline", ("", secret), "admin"),
        ("airline", (secret, id), "admin"),
        ("airline", (id, secret), "gone"),
        ("airline", ("", ""), "gone"),
        ("bank", (id, secret), "admin"),
    ] {
        refused(house.sign_in(org_id, key, user).await, NO_SIGN_IN);
    }
    let error = house
        .sign_in("nix", (id, secret), "admin")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &Kind::NotFound);
    assert_eq!(
        error.message(),
        "there is no organization nix; check its id"
    );
}

#[tokio::test]
async fn every_sign_in_costs_one_verification_whatever_is_wrong_with_it() {
    let house = House::new().await;
    let key = house.key(rules::DEFAULT_ADMINISTRATOR_ROLE).await;
    let old = house.key(rules::DEFAULT_ADMINISTRATOR_ROLE).await;
    house.clock.advance(TimeDelta::days(1));
    let (id, secret) = (key.api_key_id.as_str(), key.api_key.as_str());
    let verified = || house.identity.hashing.verified.load(Ordering::SeqCst);
    for (what, org_id, key, user) in [
        ("nothing", "airline", (id, secret), "admin"),
        ("the secret", "airline", (id, "wrong"), "admin"),
        ("the secret, which is empty", "airline", (id, ""), "admin"),
        (
            "the id",
            "airline",
            ("0123456789abcdef01234567", secret),
            "admin",
        ),
        (
            "the id, which can be none",
            "airline",
            ("\n", secret),
            "admin",
        ),
        ("the user", "airline", (id, secret), "gone"),
        ("the user's role", "airline", (id, secret), "super"),
        ("the organization", "bank", (id, secret), "admin"),
        (
            "the key of another",
            "airline",
            (old.api_key_id.as_str(), secret),
            "admin",
        ),
        ("everything", "airline", ("", ""), "gone"),
    ] {
        let before = verified();
        let signed_in = house.sign_in(org_id, key, user).await;
        assert_eq!(signed_in.is_ok(), what == "nothing", "{what}");
        assert_eq!(verified(), before + 1, "{what}");
    }
}

#[tokio::test]
async fn an_api_key_works_until_the_instant_it_was_said_to_expire() {
    let house = House::new().await;
    let key = house.key(rules::DEFAULT_ADMINISTRATOR_ROLE).await;
    let stored = house
        .directory
        .api_key(&org("airline"), &key.api_key_id)
        .await;
    assert_eq!(stored.unwrap().unwrap().expires_at, key.expires_at);
    let credentials = (key.api_key_id.as_str(), key.api_key.as_str());
    house
        .clock
        .advance(key.expires_at - house.clock.now() - TimeDelta::milliseconds(1));
    house
        .sign_in("airline", credentials, "admin")
        .await
        .unwrap();
    house.clock.advance(TimeDelta::milliseconds(1));
    refused(
        house.sign_in("airline", credentials, "admin").await,
        NO_SIGN_IN,
    );
}

#[tokio::test]
async fn an_api_key_is_random_hashed_and_never_in_debug_output() {
    let house = House::new().await;
    let one = house.key(rules::DEFAULT_USER_ROLE).await;
    let other = house.key(rules::DEFAULT_USER_ROLE).await;
    assert_ne!(one.api_key, other.api_key);
    assert_ne!(one.api_key_id, other.api_key_id);
    assert_eq!((one.api_key.len(), one.api_key_id.len()), (43, 24));
    assert!(!format!("{one:?}").contains(&one.api_key));
    let stored = house
        .directory
        .api_key(&org("airline"), &one.api_key_id)
        .await;
    let hash = stored.unwrap().unwrap().secret_hash;
    assert!(!hash.contains(&one.api_key));
    // A key that does not exist must cost what one that does costs.
    let cost = |hash: &str| hash.rsplitn(3, '$').nth(2).map(str::to_owned);
    assert_eq!(
        cost(&hash).as_deref(),
        Some("$argon2id$v=19$m=19456,t=2,p=1")
    );
    assert_eq!(cost(secrets::NOBODYS_HASH), cost(&hash));
    let length = |hash: &str| hash.len();
    assert_eq!(length(secrets::NOBODYS_HASH), length(&hash));
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_refused_with_the_reason() {
    let house = House::new().await;
    let role = role_name(rules::DEFAULT_USER_ROLE);
    for life in [
        TimeDelta::zero(),
        TimeDelta::hours(23),
        TimeDelta::days(90) + TimeDelta::seconds(1),
        TimeDelta::MAX,
        TimeDelta::MIN,
    ] {
        let key = house
            .identity
            .create_api_key(&org("airline"), &role, life, None, None)
            .await;
        let error = key.unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (&Kind::Invalid, "an API key lives 1 to 90 days")
        );
    }
    for (org_id, role, name, kind) in [
        ("nix", rules::DEFAULT_USER_ROLE, None, Kind::NotFound),
        ("airline", "Nobody", None, Kind::NotFound),
        (
            "airline",
            rules::DEFAULT_USER_ROLE,
            Some(" "),
            Kind::Invalid,
        ),
    ] {
        let key = house
            .identity
            .create_api_key(
                &org(org_id),
                &role_name(role),
                TimeDelta::days(90),
                name,
                None,
            )
            .await;
        let error = key.unwrap_err();
        assert_eq!(error.kind(), &kind, "{error}");
    }
}
