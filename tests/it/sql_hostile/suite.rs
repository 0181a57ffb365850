//! A set of queries made to do harm: each ends within its limit in a clear error or a right answer, while another
//! organization's queries keep answering and the server's memory stays flat.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ORG, RIVAL, check_discreet, rivals};
use crate::support::{SUPER_ADMINISTRATOR, Server, children, memory, ticks};

const SECONDS: u64 = 2;
/// How much later than its limit a query may be answered on a machine that other tests keep busy.
const SLACK: Duration = Duration::from_secs(4);
/// What the server may grow by, whatever queries want: answers of a few megabytes pass through it.
const GROWTH: u64 = 96 * 1024 * 1024;

/// Many of something, as a list.
fn many(count: usize, separator: &str, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(separator)
}

/// Queries as they are.
const PLAIN: &[&str] = &[
    // Memory: values, and aggregates of them.
    "SELECT sum(length(repeat('xxxxxxxxxx', 100000 + value))) FROM generate_series(1, 8192)",
    "SELECT repeat('x', 2000000000)",
    "SELECT lpad('x', 2147483647, 'y'), rpad('x', 2147483647, 'y')",
    "SELECT array_repeat(array_repeat('x', 1000000), 100000)",
    "SELECT string_agg(repeat('x', 10000), ',') FROM generate_series(1, 1000000)",
    "SELECT array_agg(repeat('x', 10000)) FROM generate_series(1, 1000000)",
    "SELECT array_agg(DISTINCT value) FROM generate_series(1, 50000000)",
    "SELECT count(DISTINCT value) FROM generate_series(1, 100000000)",
    "SELECT value % 50000000, count(*) FROM generate_series(1, 100000000) GROUP BY 1 ORDER BY 2 LIMIT 1",
    "SELECT generate_series(1, 1000000000)",
    "SELECT range(0, 9223372036854775807)",
    "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 1000000))",
    "SELECT translate(repeat('x', 100000000), 'x', 'y') || repeat('x', 100000000)",
    "SELECT concat_ws(repeat(',', 1000000), 'a', 'b', repeat('c', 200000000))",
    "SELECT split_part(repeat('x,', 100000000), ',', 3)",
    "SELECT string_to_array(repeat('x,', 50000000), ',')",
    "SELECT to_hex(9223372036854775807), repeat(repeat(repeat('x', 10000), 10000), 10000)",
    // Folding while the query is planned.
    "EXPLAIN SELECT repeat('x', 1000000000)",
    "SELECT 1 WHERE length(repeat('x', 500000000)) = 1",
    "SELECT CASE WHEN length(repeat(repeat('x', 40000), 40000)) > 0 THEN 1 END",
    "SELECT array_length(array_repeat(1, 500000000))",
    // Joins.
    "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value < b.value",
    "SELECT count(*) FROM (SELECT 1 AS k FROM generate_series(1, 1000000)) a JOIN (SELECT 1 AS k FROM generate_series(1, 1000000)) b ON a.k = b.k",
    "SELECT count(*) FROM generate_series(1, 3000) a, generate_series(1, 3000) b, generate_series(1, 3000) c WHERE a.value + b.value = c.value * 2",
    "SELECT a.value FROM generate_series(1, 100000000) a LEFT JOIN generate_series(1, 100000000) b ON a.value = b.value WHERE b.value IS NULL",
    "SELECT count(*) FROM generate_series(1, 1000000) a WHERE NOT EXISTS (SELECT 1 FROM generate_series(1, 1000000) b WHERE b.value > a.value + 10)",
    // Without end.
    "SELECT count(*) FROM generate_series(1, 9223372036854775807)",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r ORDER BY n",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT a.n FROM r a, r b) SELECT count(*) FROM r",
    "WITH RECURSIVE r AS (SELECT 'x' AS s UNION ALL SELECT s || s FROM r) SELECT max(length(s)) FROM r",
    // Sorts and windows.
    "SELECT value FROM generate_series(1, 100000000) ORDER BY md5(CAST(value AS VARCHAR))",
    "SELECT repeat(CAST(value AS VARCHAR), 100) AS s FROM generate_series(1, 20000000) ORDER BY s DESC OFFSET 10000000",
    "SELECT max(s) FROM (SELECT sum(value) OVER (ORDER BY value ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM generate_series(1, 50000000))",
    "SELECT max(m) FROM (SELECT max(value) OVER (ORDER BY value ROWS BETWEEN 1000000 PRECEDING AND 1000000 FOLLOWING) AS m FROM generate_series(1, 10000000))",
    "SELECT approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY value), median(value) FROM generate_series(1, 200000000)",
    // Regular expressions.
    "SELECT regexp_like(repeat('a', 100000), '^(a+)+$b')",
    "SELECT regexp_replace(repeat('ab', 1000000), '(a|b|ab)*', 'x', 'g')",
    "SELECT regexp_like('x', '((((a{1000}){1000}){1000}){1000})')",
    "SELECT regexp_like(repeat('a', 30), concat(repeat('a?', 30000), repeat('a', 30000)))",
    "SELECT count(*) FROM generate_series(1, 10000000) WHERE regexp_like(CAST(value AS VARCHAR), '(.*)(.*)(.*)(.*)(.*)[^0-9]')",
    "SELECT 'x' LIKE repeat('%_', 100000)",
    // Answers.
    "SELECT repeat('x', 1000000) FROM generate_series(1, 1000)",
    "SELECT chr(1) || repeat(chr(1), 30000000)",
    "SELECT * FROM generate_series(1, 1000) a, generate_series(1, 1000000) b",
    // JSON.
    "SELECT get_json_object(repeat('[', 1000000), '$[0]')",
    "SELECT get_json_object(concat(repeat('[', 100000), repeat(']', 100000)), concat('$', repeat('[0]', 99999)))",
    "SELECT get_json_object(concat('{\"a\":', repeat('[', 200), repeat(']', 200), '}'), '$.a')",
    // Errors in the middle of things.
    "SELECT 1 / (value - 5000000) FROM generate_series(1, 10000000)",
    "SELECT CAST(repeat('9', 10000000) AS BIGINT)",
    "SELECT unnest(array_repeat(array_repeat(1, 10000), 10000))",
];

/// Queries that are large themselves.
#[expect(clippy::too_many_lines, reason = "a list")]
fn large() -> Vec<(&'static str, String)> {
    let ctes = many(13, ", ", |n| match n {
        0 => "c0 AS (SELECT 1 AS x)".to_owned(),
        n => format!("c{n} AS (SELECT a.x FROM c{0} a, c{0} b)", n - 1),
    });
    let nested = |open: &str, close: &str, n: usize| {
        format!("SELECT {}1{}", open.repeat(n), close.repeat(n))
    };
    vec![
        (
            "3,000 terms of AND",
            format!(
                "SELECT 1 FROM generate_series(1, 1) WHERE {}",
                many(3000, " AND ", |n| format!("value <> {n}"))
            ),
        ),
        (
            "450 terms of OR over many rows",
            format!(
                "SELECT count(*) FROM generate_series(1, 100000000) WHERE {}",
                many(450, " OR ", |n| format!("value * {n} = -1"))
            ),
        ),
        ("20,000 sums", nested("1 + ", "", 20_000)),
        ("5,000 brackets", nested("(", ")", 5000)),
        ("5,000 functions", nested("abs(", ")", 5000)),
        ("1,000 CASEs", nested("CASE WHEN TRUE THEN ", " END", 1000)),
        ("1,000 subqueries", nested("(SELECT ", ")", 1000)),
        ("20,000 NOTs", nested("NOT ", "", 20_000)),
        ("arrays in arrays", nested("[", "]", 3000)),
        ("2,000 unions", vec!["SELECT 1"; 2000].join(" UNION ALL ")),
        (
            "300 distinct unions",
            many(300, " UNION ", |n| format!("SELECT {n}")),
        ),
        (
            "a fan-out of 2^12",
            format!("WITH {ctes} SELECT count(*) FROM c12"),
        ),
        (
            "5,000 columns",
            format!("SELECT {}", many(5000, ", ", |n| format!("{n} AS c{n}"))),
        ),
        (
            "1,000 columns of a join",
            format!(
                "SELECT {} FROM generate_series(1, 100) a, generate_series(1, 100) b",
                many(1000, ", ", |n| format!("a.value * b.value + {n} AS c{n}"))
            ),
        ),
        (
            "an IN of 15,000",
            format!(
                "SELECT count(*) FROM generate_series(1, 1000) WHERE value IN ({})",
                many(15_000, ",", |n| n.to_string())
            ),
        ),
        (
            "10,000 rows of VALUES",
            format!(
                "SELECT count(*) FROM (VALUES {})",
                many(10_000, ",", |n| format!("({n})"))
            ),
        ),
        (
            "a text of 99,000",
            format!("SELECT length('{}')", "x".repeat(99_000)),
        ),
        (
            "a number of 50,000 digits",
            format!("SELECT {}", "9".repeat(50_000)),
        ),
        (
            "a name of 50,000",
            format!("SELECT {} FROM visits", "x".repeat(50_000)),
        ),
        (
            "60 joins",
            format!(
                "SELECT count(*) FROM visits v0 {}",
                many(60, " ", |n| format!(
                    "JOIN visits v{0} ON v{0}.whose = v0.whose",
                    n + 1
                ))
            ),
        ),
        (
            "12 cross joins",
            format!(
                "SELECT count(*) FROM generate_series(1, 100) t {}",
                many(12, " ", |n| format!(
                    "CROSS JOIN generate_series(1, 100) t{n}"
                ))
            ),
        ),
        (
            "200 windows",
            format!(
                "SELECT {} FROM generate_series(1, 100000)",
                many(200, ", ", |n| format!(
                    "sum(value) OVER (PARTITION BY value % {} ORDER BY value) AS w{n}",
                    n + 1
                ))
            ),
        ),
    ]
}

/// The processor time that a process and its children have used, in ticks.
fn all_ticks(pid: u32) -> u64 {
    ticks(pid) + children(pid).into_iter().map(ticks).sum::<u64>()
}

/// What another organization's query finds. Tests beside this one may take the machine for longer than its time limit here.
async fn neighbour(server: &Server, token: &str) -> Value {
    const SQL: &str = "SELECT whose FROM visits";
    for _ in 0..2 {
        let answer = server.sql(token, RIVAL, SQL).await;
        if answer.status == 200 {
            return answer.json()["result"].clone();
        }
        answer.detail(408);
    }
    server.rows(token, RIVAL, SQL).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_query_ends_alone_and_in_time() {
    let seconds = SECONDS.to_string();
    let settings = [
        ("LIMITS__SQL_SECONDS", seconds.as_str()),
        ("LIMITS__SQL_WORKERS", "3"),
        // Less than by default: the machine that tests may have little.
        ("LIMITS__SQL_MEMORY_BYTES", "805306368"),
        ("LIMITS__SQL_SPILL_BYTES", "67108864"),
    ];
    let server = Server::start_with(&settings, rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let rival = server.token(RIVAL, SUPER_ADMINISTRATOR);
    let before = memory(server.pid(), "VmRSS");
    let plain = PLAIN.iter().map(|sql| (*sql, (*sql).to_owned()));
    let queries: Vec<(&str, String)> = plain.chain(large()).collect();
    assert!(queries.len() >= 40, "{}", queries.len());
    let (mut failed, mut latest) = (Vec::new(), Duration::ZERO);
    for pair in queries.chunks(2) {
        let asked = pair.iter().map(|(_, sql)| {
            let (started, answer) = (Instant::now(), server.sql(&token, ORG, sql));
            async move { (answer.await, started.elapsed()) }
        });
        let (answers, other) =
            tokio::join!(futures::future::join_all(asked), neighbour(&server, &rival),);
        assert_eq!(other, json!([[RIVAL]]), "beside {} and its pair", pair[0].0);
        for ((name, sql), (answer, took)) in pair.iter().zip(answers) {
            let late = took.saturating_sub(Duration::from_secs(SECONDS));
            if answer.status == 408 {
                latest = latest.max(late);
            }
            if ![200, 400, 408].contains(&answer.status) || late > SLACK {
                let told: String = answer.text().chars().take(300).collect();
                failed.push(format!("{name}: {} after {took:?}: {told}", answer.status));
            } else if answer.status != 200 {
                check_discreet(&server, sql, &answer.detail(answer.status));
            }
        }
    }
    eprintln!(
        "{} hostile queries; a 408 came at most {latest:?} after its deadline",
        queries.len()
    );
    assert!(failed.is_empty(), "{failed:#?}");
    let grown = memory(server.pid(), "VmRSS").saturating_sub(before);
    assert!(grown < GROWTH, "the server grew by {grown} bytes");
    assert!(children(server.pid()).len() <= 6, "no worker is left over");
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_query_uses_no_processor_time_a_second_later() {
    let settings = [("LIMITS__SQL_SECONDS", "1"), ("LIMITS__SQL_WORKERS", "1")];
    let server = Server::start_with(&settings, rivals);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for sql in [
        "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value < b.value",
        "SELECT count(*) FROM (SELECT 1 AS k FROM generate_series(1, 1000000)) a JOIN (SELECT 1 AS k FROM generate_series(1, 1000000)) b ON a.k = b.k",
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
    ] {
        let started = Instant::now();
        server.sql(&token, ORG, sql).await.detail(408);
        let late = started.elapsed().saturating_sub(Duration::from_secs(1));
        eprintln!("the 408 came {late:?} after its deadline: {sql}");
        assert!(late < Duration::from_secs(2), "{late:?}: {sql}");
        // Within this second the new worker starts; after it nothing runs.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = all_ticks(server.pid());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let used = all_ticks(server.pid()) - before;
        assert!(used < 50, "{used} ticks of a second: {sql}");
    }
}
