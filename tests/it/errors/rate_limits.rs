//! The published limits of requests a minute, and the order in which a request is checked (the wire contract, sections 3
//! and 4).

use chrono::DateTime;
use reqwest::Method;

use super::{ORG, SQL, acme};
use crate::support::{AMIGO_ADMINISTRATOR, Answer, SUPER_ADMINISTRATOR, Server, USER};

const LIMITED: [(&str, &str); 1] = [("LIMITS__RATE_LIMITS", "true")];

/// Checks the headers of the `n`th of `limit` requests a minute.
#[track_caller]
fn check_limit(answer: &Answer, limit: i64, n: i64) {
    let number = |name: &str| -> i64 { answer.header(name).unwrap().parse().unwrap() };
    assert_eq!(number("x-ratelimit-limit"), limit);
    assert_eq!(number("x-ratelimit-remaining"), (limit - n).max(0));
    let date = DateTime::parse_from_rfc2822(answer.header("date").unwrap()).unwrap();
    let wait = number("x-ratelimit-reset") - date.timestamp();
    assert!((0..=61).contains(&wait), "{wait} s until there is room");
    if n > limit {
        let detail = answer.detail(429);
        assert!(
            detail.contains(&format!("{limit} requests a minute")),
            "{detail}"
        );
        assert!((1..=60).contains(&number("retry-after")));
    } else {
        assert_ne!(answer.status, 429, "request {n} of {limit}");
        assert_eq!(answer.header("retry-after"), None);
    }
}

#[tokio::test]
async fn a_user_has_six_queries_a_minute_and_takes_none_from_others() {
    let server = Server::start_with(&LIMITED, acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let second = server.token(ORG, SUPER_ADMINISTRATOR);
    for n in 1..=8 {
        // The limit is the user's: not the token's, and whether the query is a good one does not matter.
        let token = if n % 2 == 0 { &token } else { &second };
        let sql = if n % 3 == 0 { "SELEC 1" } else { "SELECT 1" };
        check_limit(&server.sql(token, ORG, sql).await, 6, n);
    }
    let other = server.token(ORG, AMIGO_ADMINISTRATOR);
    check_limit(&server.sql(&other, ORG, "SELECT 1").await, 6, 1);
    check_limit(&server.logs(&token, ORG, "chat").await, 20, 1);
}

#[tokio::test]
async fn a_user_has_twenty_downloads_a_minute() {
    let server = Server::start_with(&LIMITED, acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for n in 1..=21 {
        let prefix = if n % 2 == 0 { "chat" } else { "nothing" };
        check_limit(&server.logs(&token, ORG, prefix).await, 20, n);
    }
}

#[tokio::test]
async fn a_key_has_five_sign_ins_a_minute() {
    let server = Server::start_with(&LIMITED, acme);
    let key = server.data.api_key(ORG);
    for n in 1..=6 {
        let user = if n % 2 == 0 { "nobody" } else { USER };
        check_limit(&server.sign_in(ORG, &key, user).await, 5, n);
    }
    let other = server.data.api_key(ORG);
    check_limit(&server.sign_in(ORG, &other, USER).await, 5, 1);
}

/// Checks that of answers to requests made at once as many came through as the limit says, each told another remainder.
#[track_caller]
fn check_at_once(answers: &[Answer], limit: usize) {
    let (refused, through): (Vec<&Answer>, Vec<&Answer>) =
        answers.iter().partition(|answer| answer.status == 429);
    assert_eq!(
        (through.len(), refused.len()),
        (limit, answers.len() - limit)
    );
    let remaining = |answer: &&Answer| -> usize {
        let told = answer.header("x-ratelimit-remaining").unwrap();
        told.parse().unwrap()
    };
    let mut told: Vec<usize> = through.iter().map(remaining).collect();
    told.sort_unstable();
    assert_eq!(told, (0..limit).collect::<Vec<_>>());
    assert!(refused.iter().all(|answer| remaining(answer) == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_exactly_as_many_as_the_limit_come_through() {
    let server = Server::start_with(&LIMITED, acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let key = server.data.api_key(ORG);
    let downloads = (0..70).map(|_| server.logs(&token, ORG, "chat"));
    let queries = (0..30).map(|_| server.sql(&token, ORG, "SELECT 1"));
    let sign_ins = (0..25).map(|_| server.sign_in(ORG, &key, USER));
    let (downloads, queries, sign_ins) = futures::join!(
        futures::future::join_all(downloads),
        futures::future::join_all(queries),
        futures::future::join_all(sign_ins),
    );
    check_at_once(&downloads, 20);
    check_at_once(&queries, 6);
    check_at_once(&sign_ins, 5);
}

#[tokio::test]
async fn who_tries_many_keys_from_one_address_is_stopped_and_uses_up_nobody_s_limit() {
    for (proxies, is_believed) in [("[]", false), ("[\"127.0.0.1\"]", true)] {
        let settings = [
            LIMITED[0],
            ("LIMITS__SIGNIN_ADDRESS_PER_MINUTE", "3"),
            ("SERVER__TRUSTED_PROXIES", proxies),
        ];
        let server = Server::start_with(&settings, acme);
        let good = server.data.api_key(ORG);
        let from = async |address: &str, (id, key): (&str, &str)| {
            let path = format!("/v1/{ORG}/user/signin_with_api_key");
            let request = server.request(Method::POST, &path);
            let request = request
                .header("x-forwarded-for", address)
                .header("x-api-key-id", id)
                .header("x-api-key", key);
            Answer::of(request.header("x-user-id", USER)).await
        };
        for id in ["a", "b", "c"] {
            let answer = from("198.51.100.7", (id, "guessed")).await;
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
        for id in ["d", good.0.as_str()] {
            check_limit(&from("198.51.100.7", (id, "guessed")).await, 3, 4);
        }
        let other = from("203.0.113.9", (&good.0, &good.1)).await;
        if is_believed {
            assert_eq!(other.status, 200, "{}", other.text());
            check_limit(&other, 5, 1);
        } else {
            check_limit(&other, 3, 4);
        }
    }
}

#[tokio::test]
async fn limits_that_are_off_leave_no_trace() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for _ in 0..10 {
        let answer = server.sql(&token, ORG, "SELECT 1").await;
        assert_eq!(answer.status, 200);
        let names = ["limit", "remaining", "reset"].map(|name| format!("x-ratelimit-{name}"));
        assert!(names.iter().all(|name| answer.header(name).is_none()));
    }
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_contract() {
    let settings = [LIMITED[0], ("LIMITS__SQL_PER_MINUTE", "2")];
    let server = Server::start_with(&settings, |data| {
        acme(data);
        data.ok(["org", "create", "globex", "--cluster", "europe"]);
    });
    let token = server.token(ORG, USER);
    let ask = async |token: &str, cluster: &str, body: &str| {
        let request = server.request(Method::POST, SQL).bearer_auth(token);
        let request = request.header("x-mongo-cluster-name", cluster);
        Answer::of(request.body(body.to_owned())).await.status
    };
    let good = r#"{"sql_query": "SELECT 1", "async_query": false}"#;
    // Each request breaks every rule that comes later, too.
    assert_eq!(
        ask("bad", "mars", "{}").await,
        422,
        "parameters before credentials"
    );
    assert_eq!(ask("bad", "mars", good).await, 422, "so is the cluster");
    assert_eq!(
        ask("bad", "europe", good).await,
        401,
        "credentials before the organization"
    );
    assert_eq!(
        ask(&token, "europe", good).await,
        404,
        "the organization before permissions"
    );
    assert_eq!(ask(&token, "default", good).await, 403, "permissions last");
    assert_eq!(
        ask(&token, "europe", good).await,
        429,
        "the limit before the organization"
    );
    assert_eq!(
        ask(&token, "default", good).await,
        429,
        "the limit before permissions"
    );
    assert_eq!(
        ask("bad", "default", good).await,
        401,
        "credentials before the limit"
    );
    assert_eq!(
        ask(&token, "default", "{}").await,
        422,
        "parameters before the limit"
    );
}
