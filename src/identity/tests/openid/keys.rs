//! The provider's keys: fetched when they are needed, not more often than that, kept while it is down.

use super::*;

#[tokio::test]
async fn keys_that_are_not_for_verifying_tokens_are_passed_over() {
    let world = World::new("sub").await;
    let key = ed();
    let with = |name: &str, value: Value| {
        let mut jwk = key.jwk("k");
        jwk[name] = value;
        jwk
    };
    let good = ed();
    for other in [
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("RS256")),
        with("alg", json!("HS256")),
        with("crv", json!("P-256")),
        with("kid", Value::Null),
        with("kty", json!("new")),
        json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256"}),
        json!("no key"),
    ] {
        world.publish(&[other.clone(), good.jwk("good")]);
        world.wait(11);
        let token = signed(&key, "k", &world.payload());
        assert!(world.who(&token).await.is_err(), "{other}");
        let token = signed(&good, "good", &world.payload());
        world.who(&token).await.unwrap();
    }
    world.publish(&[with("key_ops", json!(["verify"]))]);
    world.wait(11);
    world
        .who(&signed(&key, "k", &world.payload()))
        .await
        .unwrap();
}

#[tokio::test]
async fn new_keys_are_found_soon_and_the_provider_is_not_asked_more_often() {
    let world = World::new("sub").await;
    let (old, new) = (ed(), ed());
    world.publish(&[old.jwk("old")]);
    let payload = world.payload();
    world.who(&signed(&old, "old", &payload)).await.unwrap();
    world.publish(&[new.jwk("new")]);
    // Asked a moment ago: unknown keys, as many as there may be, wait.
    for _ in 0..20 {
        refused(world.who(&signed(&new, "new", &payload)).await, NOT_VALID);
    }
    assert_eq!(world.asked(), 1);
    world.wait(10);
    let tokens = [
        signed(&new, "new", &payload),
        signed(&new, "none", &payload),
    ];
    let asking = (0..20).map(|index| world.who(&tokens[index % 2]));
    let all = futures::future::join_all(asking).await;
    assert_eq!(all.iter().filter(|who| who.is_ok()).count(), 10);
    assert_eq!(world.asked(), 2);
    // What the provider no longer publishes counts no longer.
    refused(world.who(&signed(&old, "old", &payload)).await, NOT_VALID);
}

#[tokio::test]
async fn a_key_that_the_provider_withdraws_ends_without_anybody_waiting() {
    let world = World::new("sub").await;
    let key = ed();
    world.publish(&[key.jwk("k")]);
    let payload = world.payload_but(&json!({"exp": world.now() + 86_400}));
    let token = signed(&key, "k", &payload);
    world.who(&token).await.unwrap();
    world.publish(&[]);
    world.wait(599);
    world.who(&token).await.unwrap();
    assert_eq!(world.asked(), 1);
    world.wait(1);
    // Taken once more while the provider is asked beside it.
    world.who(&token).await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while world.who(&token).await.is_ok() {
        assert!(std::time::Instant::now() < deadline, "the key still counts");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    refused(world.who(&token).await, NOT_VALID);
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn while_the_provider_is_down_its_keys_stay_good_for_a_day() {
    let world = World::new("sub").await;
    let key = ed();
    let payload = world.payload_but(&json!({"exp": world.now() + 10 * 86_400}));
    let token = signed(&key, "k", &payload);
    let unavailable = async || {
        let error = world.who(&token).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::Unavailable);
        let message = error.message();
        assert!(
            message.contains("OpenID provider") && !message.contains("127.0.0.1"),
            "{message}"
        );
    };
    let too_long = " ".repeat(256 * 1024) + &json!({"keys": [key.jwk("k")]}).to_string();
    for (status, body) in [
        (500, ""),
        (404, "{}"),
        (302, ""),
        (200, ""),
        (200, "{}"),
        (200, "<html>"),
        (200, &too_long),
    ] {
        world.say(status, body);
        unavailable().await;
        world.wait(10);
    }
    world.publish(&[key.jwk("k")]);
    world.who(&token).await.unwrap();
    world.say(503, "");
    world.wait(86_399);
    world.who(&token).await.unwrap();
    // Asked in the background meanwhile; then not within the same moment again.
    world.wait(1);
    unavailable().await;
    world.publish(&[key.jwk("k")]);
    world.wait(10);
    world.who(&token).await.unwrap();
}

#[tokio::test]
async fn whoever_hangs_up_keeps_no_key_away() {
    let world = World::new("sub").await;
    let key = ed();
    world.publish(&[key.jwk("k")]);
    let token = signed(&key, "k", &world.payload());
    {
        let mut asking = Box::pin(world.who(&token));
        // Until it waits for the provider, and then no longer.
        assert!(futures::poll!(asking.as_mut()).is_pending());
    }
    // The next one finds the keys, though the provider may not be asked again.
    world.who(&token).await.unwrap();
    assert_eq!(world.asked(), 1);
}
