//! Words of a lakehouse that the engine does not have, and what is meant by a second reading of a statement.

use serde_json::json;

use super::{check_refused, check_rows, check_values};

/// Where something has no end people write the year 9999, which no count of nanoseconds reaches.
#[tokio::test]
async fn instants_compare_with_days_and_texts_of_any_year() {
    check_rows(&[
        (
            "SELECT count(*) FROM events WHERE CAST(createdAt AS TIMESTAMP) < DATE '9999-12-31'",
            json!([[2]]),
        ),
        (
            "SELECT count(*) FROM events WHERE CAST(createdAt AS TIMESTAMP) < '9999-12-31'",
            json!([[2]]),
        ),
        (
            "SELECT userId FROM events WHERE CAST(createdAt AS TIMESTAMP) IN ('2026-01-05 08:30:00', '9999-12-31')",
            json!([["ann"]]),
        ),
        (
            "SELECT userId FROM events WHERE CAST(createdAt AS TIMESTAMP) BETWEEN DATE '0001-01-01' AND '2026-02-01'",
            json!([["ann"]]),
        ),
        (
            "SELECT CAST(createdAt AS TIMESTAMP) AS at FROM events WHERE userId = 'ann' UNION ALL SELECT DATE '9999-12-31' \
             ORDER BY at DESC LIMIT 1",
            json!([["9999-12-31T00:00:00Z"]]),
        ),
        (
            "SELECT max(at) FROM (SELECT DATE '9999-12-31' AS at UNION SELECT CAST(createdAt AS TIMESTAMP) FROM events)",
            json!([["9999-12-31T00:00:00Z"]]),
        ),
    ])
    .await;
    check_values(&[
        (
            "now() BETWEEN DATE '2020-01-01' AND DATE '9999-12-31'",
            json!(true),
        ),
        ("DATE '9999-12-31' > now()", json!(true)),
        (
            "TIMESTAMP '2026-01-01 00:00:00.000001' > DATE '2026-01-01'",
            json!(true),
        ),
        (
            "TIMESTAMP '2026-01-01 00:00:00' = DATE '2026-01-01'",
            json!(true),
        ),
        (
            "current_timestamp() NOT IN (DATE '9999-12-31', NULL)",
            json!(null),
        ),
        (
            "coalesce(NULLIF(now(), now()), DATE '9999-12-31')",
            json!("9999-12-31T00:00:00Z"),
        ),
        (
            "greatest(now(), DATE '9999-12-31')",
            json!("9999-12-31T00:00:00Z"),
        ),
        (
            "CASE WHEN now() IS NULL THEN now() ELSE DATE '9999-12-31' END",
            json!("9999-12-31T00:00:00Z"),
        ),
        (
            "date_trunc('month', DATE '9999-12-31')",
            json!("9999-12-01T00:00:00"),
        ),
        (
            "CASE now() WHEN DATE '9999-12-31' THEN 1 ELSE 2 END",
            json!(2),
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_item_may_use_the_names_of_those_before_it() {
    check_rows(&[
        (
            "SELECT amount + 1 AS more, more * 2 AS twice, twice + more FROM events LIMIT 1",
            json!([[11, 22, 33]]),
        ),
        (
            "SELECT amount, amount AS b, b, b + 1 AS c, c AS d FROM events LIMIT 1",
            json!([[10, 10, 10, 11, 11]]),
        ),
        (
            "SELECT count(*) AS n, n / 4 AS share FROM events",
            json!([[2, 0.5]]),
        ),
        (
            "WITH e AS (SELECT userId AS who, upper(who) AS loud FROM events) SELECT loud FROM e ORDER BY 1",
            json!([["ANN"], ["BOB"]]),
        ),
        // Each SELECT has its own, also where several have such a name.
        (
            "SELECT count(*) AS total, total / 2 AS half FROM (VALUES (1), (2)) t(a) \
             UNION ALL SELECT count(*) AS total, total / 4 FROM (VALUES (1)) t(a) ORDER BY total DESC",
            json!([[2, 1.0], [1, 0.25]]),
        ),
        (
            "WITH c AS (SELECT a AS n, n + 1 AS w FROM (VALUES (1)) t(a)), \
             d AS (SELECT w AS n, n + 1 AS z FROM (SELECT w FROM c)) SELECT * FROM d",
            json!([[2, 3]]),
        ),
        (
            "WITH c AS (SELECT 5 AS amount, amount + 1 AS w FROM events LIMIT 1), \
             d AS (SELECT w AS amount, amount + 1 AS z FROM (SELECT w FROM c)) SELECT * FROM d",
            json!([[11, 12]]),
        ),
        // A function's parameter is its own.
        (
            "SELECT a AS x, transform(array(1, 2), x -> x + 1) AS s, x + 1 AS c FROM (VALUES (10)) t(a)",
            json!([[10, [2, 3], 11]]),
        ),
        // A column of that name is what is meant, where there is one.
        (
            "SELECT 5 AS amount, amount + 1 FROM events LIMIT 1",
            json!([[5, 11]]),
        ),
    ])
    .await;
    check_refused(&[
        (
            "SELECT amount AS n FROM events WHERE n > 1",
            &["there is no column n"],
        ),
        (
            "SELECT amount AS n, n + missing FROM events",
            &["there is no column missing"],
        ),
        ("SELECT random() AS r, r FROM events", &["no column r"]),
        (
            "SELECT a AS n, n + 1 AS m, transform(array(1, 2), a -> a * 10 + n) AS l FROM (VALUES (7)) t(a)",
            &["no column n"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_text_can_be_cut_and_searched_like_one() {
    check_values(&[
        ("left(DATE '2026-11-30', 7)", json!("2026-11")),
        ("substring(DATE '2026-11-30', 6, 2)", json!("11")),
        ("DATE '2026-11-30' LIKE '2026-%'", json!(true)),
        (
            "left(TIMESTAMP '2026-11-30 10:00:00', 10)",
            json!("2026-11-30"),
        ),
        ("upper(true)", json!("TRUE")),
        ("trim(5)", json!("5")),
        ("hour('2026-11-30 10:20:30')", json!(10)),
        (
            "extract(MINUTE FROM s) FROM (VALUES ('2026-11-30 10:20:30')) t(s)",
            json!(20),
        ),
        ("year(s) FROM (VALUES ('2026-11-30')) t(s)", json!(2026)),
        (
            "left(d, 4) || length(unhex('AB')) FROM (VALUES (DATE '2026-01-02')) t(d)",
            json!("20261"),
        ),
        ("position('11' IN DATE '2026-11-30')", json!(6)),
        (
            "date_trunc('month', s) FROM (VALUES ('2026-11-30')) t(s)",
            json!("2026-11-01T00:00:00"),
        ),
    ])
    .await;
    check_refused(&[
        ("SELECT upper(array(1))", &["upper"]),
        ("SELECT length(array(1, 2))", &["length", "size(list)"]),
        ("SELECT hour(5)", &["timestamp from '5'"]),
        (
            "SELECT left(DATE '2026-11-30', 7), nothing(1)",
            &["there is no function nothing"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn subqueries_stand_in_aggregates_and_their_keys() {
    check_rows(&[
        (
            "SELECT sum(CASE WHEN userId IN (SELECT 'ann') THEN 1 ELSE 0 END), count_if(userId IN (SELECT 'ann')), \
             count(*) FILTER (WHERE userId NOT IN (SELECT 'ann')) FROM events",
            json!([[1, 1, 1]]),
        ),
        (
            "SELECT count(CASE WHEN EXISTS (SELECT 1 FROM events f WHERE f.userId = e.userId AND f.userId = 'bob') THEN 1 END) \
             FROM events e",
            json!([[1]]),
        ),
        (
            "SELECT sum((SELECT max(x) FROM (VALUES (1), (2)) u(x) WHERE x = a)) FROM (VALUES (1), (2), (3)) t(a)",
            json!([[3]]),
        ),
        (
            "SELECT userId IN (SELECT 'ann') AS known, count(*) FROM events GROUP BY 1 ORDER BY 1",
            json!([[false, 1], [true, 1]]),
        ),
        (
            "SELECT CASE WHEN userId IN (SELECT 'ann') THEN 'a' ELSE 'b' END AS kind, sum(amount) AS s FROM events \
             GROUP BY kind HAVING s > 1 ORDER BY kind",
            json!([["a", 10], ["b", 10]]),
        ),
        (
            "SELECT count_if(x IN (SELECT * FROM (VALUES (1), (CAST(NULL AS BIGINT))) v(y))), \
             count_if((x IN (SELECT * FROM (VALUES (1), (CAST(NULL AS BIGINT))) v(y))) IS NULL) \
             FROM (VALUES (1), (2), (NULL)) t(x)",
            json!([[1, 2]]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn joins_and_aggregates_have_their_shorter_words() {
    check_rows(&[
        (
            "SELECT a.x FROM (VALUES (1), (2)) a(x) ANTI JOIN (VALUES (1)) b(x) ON a.x = b.x",
            json!([[2]]),
        ),
        (
            "SELECT a.x FROM (VALUES (1), (2)) a(x) SEMI JOIN (VALUES (1)) b(x) USING (x)",
            json!([[1]]),
        ),
        (
            "SELECT count(DISTINCT a, b), count(a, b), count(DISTINCT a) FROM \
             (VALUES (1, 1), (1, 1), (1, 2), (NULL, 1), (2, NULL)) t(a, b)",
            json!([[2, 3, 2]]),
        ),
        (
            "SELECT listagg(a, ',') WITHIN GROUP (ORDER BY a DESC) FROM (VALUES ('x'), ('y')) t(a)",
            json!([["y,x"]]),
        ),
        (
            "SELECT collect_list(struct(a, t.b, a + 1))[0].b FROM (VALUES (1, 'x')) t(a, b)",
            json!([["x"]]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn calls_are_made_of_others() {
    check_values(&[
        (
            "DATE '2026-01-01' + 3 * INTERVAL '1' DAY",
            json!("2026-01-04"),
        ),
        (
            "DATE '2026-01-01' + n * INTERVAL 1 MONTH FROM (VALUES (2)) t(n)",
            json!("2026-03-01"),
        ),
        (
            "DATE '2026-01-01' + INTERVAL '2 days' * 2",
            json!("2026-01-05"),
        ),
        ("sort_array(array(3, NULL, 2), false)", json!([3, 2, null])),
        ("sort_array(array(3, NULL, 2), true)", json!([null, 2, 3])),
        ("exists(array(1, 2), x -> x > 1)", json!(true)),
        ("exists(array(1, 2), x -> x > 2)", json!(false)),
        ("EXISTS (SELECT 1)", json!(true)),
        ("EXISTS ((SELECT 1))", json!(true)),
        ("locate('b', 'abcb')", json!(2)),
        ("locate('b', 'abcb', 3)", json!(4)),
        ("locate('b', 'abcb', 5)", json!(0)),
        ("locate('a', 'abcb', 0)", json!(0)),
        ("position('a', 'banana')", json!(2)),
        ("position('a' IN 'banana')", json!(2)),
        ("decode(encode('ü', 'UTF-8'), 'utf-8')", json!("ü")),
        ("struct(1, 2).col1", json!(1)),
        (
            "coalesce(TIMESTAMP '9999-12-31 00:00:00', now())",
            json!("9999-12-31T00:00:00Z"),
        ),
        (
            "greatest(TIMESTAMP '9999-12-31 00:00:00', CURRENT_TIMESTAMP)",
            json!("9999-12-31T00:00:00Z"),
        ),
        (
            "to_timestamp('9999-12-31 00:00:00')",
            json!("9999-12-31T00:00:00Z"),
        ),
        ("charindex('c', 'abc')", json!(3)),
        ("equal_null(NULL, NULL)", json!(true)),
        ("zeroifnull(CAST(NULL AS BIGINT))", json!(0)),
        ("nullifzero(0)", json!(null)),
        ("log1p(0)", json!(0.0)),
        ("dayname(DATE '2026-11-30')", json!("Mon")),
        ("date_from_unix_date(1)", json!("1970-01-02")),
        (
            "make_timestamp(2026, 11, 30, 10, 20, 30.5)",
            json!("2026-11-30T10:20:30.500Z"),
        ),
        (
            "convert_timezone('Europe/Berlin', TIMESTAMP '2026-01-01 00:00:00')",
            json!("2026-01-01T01:00:00Z"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn elements_and_matches_have_their_calls() {
    check_values(&[
        ("map_contains_key(map('a', 1), 'a')", json!(true)),
        ("regexp_substr('a12', '[0-9]+')", json!("12")),
        ("regexp_substr('a', '[0-9]+')", json!(null)),
        (
            "regexp_extract_all('a1b22', '[a-z]([0-9]+)')",
            json!(["1", "22"]),
        ),
        (
            "regexp_extract_all('a1b22', '[0-9]', 0)",
            json!(["1", "2", "2"]),
        ),
        ("regexp_extract_all('a', '([0-9])', 1)", json!([])),
        ("get(array(1, 2), 1)", json!(2)),
        ("get(array(1, 2), 5)", json!(null)),
        ("get(array(1, 2), -1)", json!(null)),
        ("element_at(array('a', 'b'), 1)", json!("a")),
        ("element_at(split('a/b', '/'), -1)", json!("b")),
        ("element_at(map('a', 1), 'a')", json!(1)),
        ("decode(2, 1, 'one', 2, 'two', 'more')", json!("two")),
        ("decode(NULL, NULL, 'none', 'some')", json!("none")),
        ("decode(3, 1, 'one')", json!(null)),
        ("format_number(1234567.891, 2)", json!("1,234,567.89")),
        ("format_number(-999, 0)", json!("-999")),
        (
            "format_number(9007199254740993, 1)",
            json!("9,007,199,254,740,993.0"),
        ),
        ("current_timezone()", json!("UTC")),
        ("current_schema()", json!("default")),
    ])
    .await;
    check_refused(&[
        ("SELECT 0.5 * INTERVAL '1' DAY", &["smaller unit"]),
        (
            "SELECT element_at(a, a) FROM (VALUES (1)) t(a)",
            &["list[0]"],
        ),
        ("SELECT mode(userId) FROM events", &["max_by"]),
        (
            "SELECT * FROM (SELECT userId FROM events) PIVOT (count(*) FOR userId IN ('ann'))",
            &["FILTER (WHERE"],
        ),
        ("SELECT format_number(1, 99)", &["0 to 20"]),
        ("SELECT decode(*) FROM events", &["decode"]),
    ])
    .await;
}
