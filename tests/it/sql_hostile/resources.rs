//! Queries that want more memory, stack or time than one may have: they end alone.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{ORG, RIVAL, check_discreet, rivals};
use crate::support::{SUPER_ADMINISTRATOR, Server, children, is_running, ticks, wait_for, walk};

/// Runs until it is stopped.
const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// The queries that ended, or would end, the process they run in.
fn heavy() -> Vec<String> {
    let and: Vec<String> = (0..3000).map(|n| format!("value <> {n}")).collect();
    let deep = |open: &str, close: &str, n: usize| {
        format!("SELECT {}1{}", open.repeat(n), close.repeat(n))
    };
    let union = vec!["SELECT 1"; 2000].join(" UNION ALL ");
    [
        "SELECT sum(length(repeat('xxxxxxxxxx', 100000 + value))) FROM generate_series(1, 8192)",
        "EXPLAIN SELECT repeat('x', 200000000)",
        "SELECT repeat('x', 2000000000)",
        "SELECT lpad('x', 2147483647, 'y')",
        "SELECT array_agg(repeat('x', 10000)) FROM generate_series(1, 10000000)",
        "SELECT repeat('x', 1000000) FROM generate_series(1, 1000)",
        "SELECT array_repeat(array_repeat('x', 1000000), 100000)",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        format!(
            "SELECT 1 FROM generate_series(1, 1) WHERE {}",
            and.join(" AND ")
        ),
        deep("(", ")", 5000),
        deep("abs(", ")", 5000),
        deep("CASE WHEN TRUE THEN ", " END", 1000),
        deep("(SELECT ", ")", 1000),
        deep("NOT ", "", 20_000),
        deep("1 + ", "", 20_000),
        union,
    ])
    .collect()
}

#[tokio::test]
async fn a_heavy_query_is_answered_and_leaves_the_server_answering_others() {
    // Less memory than by default: the machine that tests may have little.
    let settings = [
        ("LIMITS__SQL_MEMORY_BYTES", "1073741824"),
        ("LIMITS__SQL_WORKERS", "2"),
        ("LIMITS__SQL_SECONDS", "20"),
    ];
    let server = Server::start_with(&settings, rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let rival = server.token(RIVAL, SUPER_ADMINISTRATOR);
    let server_pid = server.pid();
    for sql in heavy() {
        let shown: String = sql.chars().take(70).collect();
        let (answer, other) = tokio::join!(
            server.sql(&token, ORG, &sql),
            server.rows(&rival, RIVAL, "SELECT whose FROM visits"),
        );
        assert_eq!(other, json!([[RIVAL]]), "beside {shown}");
        assert!(
            [200, 400, 408].contains(&answer.status),
            "{shown}: {}",
            answer.text()
        );
        if answer.status != 200 {
            let detail = answer.detail(answer.status);
            check_discreet(&server, &sql, &detail);
        }
        assert_eq!(
            server.rows(&token, ORG, "SELECT 1").await,
            json!([[1]]),
            "after {shown}"
        );
    }
    assert!(is_running(server_pid));
    assert!(children(server_pid).len() <= 6, "no worker is left over");
}

#[tokio::test]
async fn the_three_heavy_queries_of_the_record_are_refused_with_a_reason() {
    let server = Server::start_with(&[("LIMITS__SQL_MEMORY_BYTES", "1073741824")], rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let and: Vec<String> = (0..3000).map(|n| format!("value <> {n}")).collect();
    let and = format!(
        "SELECT 1 FROM generate_series(1, 1) WHERE {}",
        and.join(" AND ")
    );
    for (sql, reason) in [
        (
            "SELECT sum(length(repeat('xxxxxxxxxx', 100000 + value))) FROM generate_series(1, 8192)",
            "memory",
        ),
        ("EXPLAIN ANALYZE SELECT repeat('x', 1000000000)", "memory"),
        (and.as_str(), "nests too deeply"),
    ] {
        let detail = server.sql(&token, ORG, sql).await.detail(400);
        assert!(detail.contains(reason), "{detail}");
    }
}

/// The one worker of a server that has run no query yet and has one.
fn worker(server: &Server) -> u32 {
    wait_for("a worker", || match children(server.pid()).as_slice() {
        [worker] => Some(*worker),
        _ => None,
    })
}

#[tokio::test]
async fn at_the_time_limit_the_query_is_408_and_its_worker_gone() {
    let settings = [("LIMITS__SQL_SECONDS", "3"), ("LIMITS__SQL_WORKERS", "1")];
    let server = Server::start_with(&settings, rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let mut late = Vec::new();
    for sql in [
        ENDLESS,
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "EXPLAIN ANALYZE SELECT count(*) FROM generate_series(1, 1000000000000)",
    ] {
        let (before, asked) = (children(server.pid()), Instant::now());
        let detail = server.sql(&token, ORG, sql).await.detail(408);
        late.push(asked.elapsed() - Duration::from_secs(3));
        assert!(detail.contains("time limit"), "{detail}");
        let ended = before.iter().filter(|worker| !is_running(**worker)).count();
        assert_eq!(ended, 1, "{sql} still runs");
        assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    }
    // Other tests run beside this one: the machine, too, may be late.
    assert!(
        late.iter().min() <= Some(&Duration::from_millis(250)),
        "{late:?} behind the time limit"
    );
}

#[tokio::test]
async fn a_query_spills_as_much_as_it_may_and_no_more() {
    let settings = |spill| {
        [
            ("LIMITS__SQL_MEMORY_BYTES", "268435456"),
            ("LIMITS__SQL_SECONDS", "120"),
            ("LIMITS__SQL_SPILL_BYTES", spill),
        ]
    };
    // Sorted whole: an answer of so few rows would keep only those.
    let sql = "SELECT count(*), max(n) FROM
               (SELECT row_number() OVER (ORDER BY value % 1000, value) AS n FROM generate_series(1, 4500000))";
    for (spill, is_enough) in [("2147483648", true), ("16777216", false), ("0", false)] {
        let server = Server::start_with(&settings(spill), rivals);
        let token = server.token(ORG, SUPER_ADMINISTRATOR);
        let answer = server.sql(&token, ORG, sql).await;
        if is_enough {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json()["result"], json!([[4_500_000, 4_500_000]]));
        } else {
            let detail = answer.detail(400);
            assert!(detail.contains("more memory"), "{spill}: {detail}");
        }
        walk(&server.data.path().join("spill"), &mut |file| {
            assert!(file.ends_with("lock"), "{} is left", file.display());
        });
        assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    }
}

#[tokio::test]
async fn the_time_limit_counts_from_the_request_waiting_included() {
    let settings = [("LIMITS__SQL_SECONDS", "2"), ("LIMITS__SQL_WORKERS", "1")];
    let server = Server::start_with(&settings, rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let waiting = (0..4).map(|_| server.sql(&token, ORG, ENDLESS));
    for answer in futures::future::join_all(waiting).await {
        answer.detail(408);
    }
    let running = children(server.pid());
    assert!(running.len() <= 2, "{running:?}");
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_caller_hangs_up_is_stopped_at_once() {
    let settings = [
        ("LIMITS__SQL_SECONDS", "3600"),
        ("LIMITS__SQL_WORKERS", "1"),
    ];
    let server = Server::start_with(&settings, rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let busy = worker(&server);
    let before = ticks(busy);
    let request = tokio::spawn(server.sql_request(&token, ORG, ENDLESS).send());
    wait_for("the query to run", || {
        (ticks(busy) > before + 50).then_some(())
    });
    request.abort();
    wait_for("the query to end", || (!is_running(busy)).then_some(()));
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
}
