//! The functions people know from a lakehouse.

use serde_json::json;

use super::{check_refused, check_rows, check_values};

#[tokio::test]
async fn dates_are_written_and_read_by_patterns() {
    check_values(&[
        (
            "date_format(TIMESTAMP '2026-03-15 22:05:07.25', 'yyyy-MM-dd HH:mm')",
            json!("2026-03-15 22:05"),
        ),
        (
            "date_format(TIMESTAMP '2026-03-15 22:05:07.25', 'EEE d MMM yy, h a')",
            json!("Sun 15 Mar 26, 10 PM"),
        ),
        (
            "date_format(DATE '2026-03-05', '%d.%m.%Y')",
            json!("05.03.2026"),
        ),
        ("date_format('2026-03-05', 'MM/yyyy')", json!("03/2026")),
        ("to_date('05.03.2026', 'dd.MM.yyyy')", json!("2026-03-05")),
        ("to_date('2026-03-05')", json!("2026-03-05")),
        (
            "to_timestamp('05.03.2026 08:09', 'dd.MM.yyyy HH:mm')",
            json!("2026-03-05T08:09:00Z"),
        ),
        (
            "to_timestamp('2026-03-05T08:09:10+02:00')",
            json!("2026-03-05T06:09:10Z"),
        ),
        ("try_to_timestamp('x', 'yyyy')", json!(null)),
    ])
    .await;
}

#[tokio::test]
async fn what_the_engine_means_otherwise_has_the_meaning_people_know() {
    check_values(&[
        ("round(log(exp(2.0)), 9)", json!(2.0)),
        ("array_remove(array(1, 2, 1), 1)", json!([2])),
        ("array_sort(array(3, NULL, 1))", json!([1, 3, null])),
    ])
    .await;
}

#[tokio::test]
async fn days_and_units_are_counted() {
    check_values(&[
        ("datediff(DATE '2026-03-05', DATE '2026-03-01')", json!(4)),
        ("datediff('2026-03-05', '2026-03-01')", json!(4)),
        (
            "datediff(HOUR, TIMESTAMP '2026-03-05 08:00:00', TIMESTAMP '2026-03-05 10:59:00')",
            json!(2),
        ),
        (
            "datediff(MONTH, DATE '2026-01-31', DATE '2026-03-30')",
            json!(1),
        ),
        (
            "timestampdiff(DAY, DATE '2026-01-31', DATE '2026-02-02')",
            json!(2),
        ),
        ("dateadd(DATE '2026-01-31', 1)", json!("2026-02-01")),
        ("date_add(DATE '2026-01-31', 1)", json!("2026-02-01")),
        ("date_sub(DATE '2026-03-01', 1)", json!("2026-02-28")),
        (
            "dateadd(MONTH, 1, TIMESTAMP '2026-01-31 10:00:00')",
            json!("2026-02-28T10:00:00Z"),
        ),
        ("add_months(DATE '2026-01-31', 1)", json!("2026-02-28")),
        (
            "months_between(DATE '2026-03-31', DATE '2026-02-28')",
            json!(1.0),
        ),
    ])
    .await;
}

#[tokio::test]
async fn instants_have_the_parts_and_intervals_of_a_lakehouse() {
    check_values(&[
        ("last_day(DATE '2026-02-03')", json!("2026-02-28")),
        (
            "date_add(TIMESTAMP '2026-01-31 10:00:00', 1)",
            json!("2026-02-01"),
        ),
        ("string(1) || int('2')", json!("12")),
        ("trunc(DATE '2026-02-03', 'MM')", json!("2026-02-01")),
        (
            "date_trunc('MM', TIMESTAMP '2026-02-03 10:00:00')",
            json!("2026-02-01T00:00:00Z"),
        ),
        (
            "date_trunc('week', DATE '2026-01-01')",
            json!("2025-12-29T00:00:00"),
        ),
        ("year(DATE '2026-02-03')", json!(2026)),
        ("month('2026-02-03')", json!(2)),
        ("dayofweek(DATE '2026-02-01')", json!(1)),
        ("extract(YEAR FROM DATE '2026-02-03')", json!(2026)),
        ("hour(TIMESTAMP '2026-02-03 10:00:00')", json!(10)),
        (
            "unix_timestamp(TIMESTAMP '1970-01-02 00:00:00')",
            json!(86400),
        ),
        ("from_unixtime(86400)", json!("1970-01-02 00:00:00")),
        (
            "DATE '2026-01-13' - INTERVAL '7 days' = DATE '2026-01-06'",
            json!(true),
        ),
        (
            "DATE '2026-01-13' - INTERVAL 7 DAY = DATE '2026-01-06'",
            json!(true),
        ),
        (
            "DATE '2026-01-13' - INTERVAL 7 DAYS = DATE '2026-01-06'",
            json!(true),
        ),
        (
            "DATE '2026-01-13' - INTERVAL '7' DAY = DATE '2026-01-06'",
            json!(true),
        ),
        ("current_date() = current_date", json!(true)),
    ])
    .await;
    check_refused(&[
        (
            "SELECT date_format(now(), 'yyyy-ww')",
            &["'ww'", "yyyy-MM-dd"],
        ),
        (
            "SELECT to_date('x', 'yyyy')",
            &["'x' does not follow the pattern"],
        ),
        (
            "SELECT timestampdiff(FORTNIGHT, now(), now())",
            &["fortnight", "DAY"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn texts_and_lists_have_the_functions_of_a_lakehouse() {
    check_values(&[
        ("array_contains(array(1, 2), 2)", json!(true)),
        ("size(array(1, 2))", json!(2)),
        ("cardinality(array(1, 2))", json!(2)),
        ("sort_array(array(2, 1))", json!([1, 2])),
        ("array_distinct(array(2, 2))", json!([2])),
        ("array_join(array('a', 'b'), '-')", json!("a-b")),
        ("flatten(array(array(1), array(2)))", json!([1, 2])),
        ("slice(array(1, 2, 3), 2, 2)", json!([2, 3])),
        ("sequence(1, 3)", json!([1, 2, 3])),
        ("map_keys(map('a', 1))", json!(["a"])),
        ("split('a1b2c', '[0-9]')", json!(["a", "b", "c"])),
        ("regexp_extract('id=42;', 'id=([0-9]+)', 1)", json!("42")),
        ("regexp_extract('id=42;', 'id=([0-9]+)')", json!("42")),
        ("regexp_extract('id=42;', 'id=([0-9]+)', 0)", json!("id=42")),
        ("regexp_extract('none', 'id=([0-9]+)', 1)", json!("")),
        ("regexp_replace('a-b-c', '-', '+')", json!("a+b+c")),
        ("regexp_replace('ab', '(a)(b)', '$2$1')", json!("ba")),
        ("concat('a', 1, 'b')", json!("a1b")),
        ("concat('a', NULL)", json!(null)),
        ("concat_ws('-', 'a', NULL, 'b')", json!("a-b")),
        ("nvl(NULL, 1)", json!(1)),
        ("if(1 > 2, 'a', 'b')", json!("b")),
        ("iff(1 > 2, 'a', 'b')", json!("b")),
        ("coalesce(NULL, 2)", json!(2)),
        ("isnull(NULL)", json!(true)),
        ("length('abc')", json!(3)),
        ("substring('abcdef', 2, 3)", json!("bcd")),
        ("substr('abcdef', -2)", json!("ef")),
        ("substring_index('a.b.c', '.', 2)", json!("a.b")),
        ("instr('abc', 'c')", json!(3)),
        ("locate('c', 'abc')", json!(3)),
        ("startswith('abc', 'a')", json!(true)),
        ("initcap('ann lee')", json!("Ann Lee")),
        ("lpad('7', 3, '0')", json!("007")),
        ("space(2)", json!("  ")),
        ("repeat('ab', 2)", json!("abab")),
        ("replace('a-b', '-', '+')", json!("a+b")),
        ("translate('abc', 'ab', 'xy')", json!("xyc")),
        ("trim('  a ')", json!("a")),
        ("reverse('abc')", json!("cba")),
        ("ucase('a')", json!("A")),
        ("format_string('%s-%03d', 'a', 7)", json!("a-007")),
        ("base64('ab')", json!("YWI=")),
        ("hex(255)", json!("FF")),
        ("md5('a')", json!("0cc175b9c0f1b6a831c399e269772661")),
        ("round(2.345, 2)", json!(2.35)),
        ("ceil(1.2)", json!(2)),
        ("floor(-1.2)", json!(-2)),
        ("pmod(-7, 3)", json!(2)),
        ("greatest(1, 3, 2)", json!(3)),
    ])
    .await;
}

#[tokio::test]
async fn aggregates_have_the_names_of_a_lakehouse() {
    check_rows(&[
        ("SELECT array_sort(collect_list(user_id)) FROM conversations", json!([[["ann", "ann", "bob"]]])),
        ("SELECT array_sort(collect_set(user_id)) FROM conversations", json!([[["ann", "bob"]]])),
        ("SELECT count_if(is_finished), count_if(NOT is_finished) FROM conversations", json!([[2, 1]])),
        ("SELECT approx_count_distinct(user_id) FROM conversations", json!([[2]])),
        ("SELECT max_by(_id, created_at), min_by(_id, created_at) FROM conversations", json!([["c2", "c1"]])),
        ("SELECT any_value(user_id) FROM users WHERE user_id = 'cy'", json!([["cy"]])),
        ("SELECT first(x, true) FROM (VALUES (NULL), (1), (NULL)) t(x)", json!([[1]])),
        ("SELECT last(x) FROM (VALUES (1)) t(x)", json!([[1]])),
        ("SELECT percentile(value, 0.5), median(value), percentile_approx(value, 0.5, 100) FROM generate_series(1, 3)", json!([[2.0, 2.0, 2.0]])),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY value) FROM generate_series(1, 3)", json!([[2.0]])),
        ("SELECT bool_and(is_finished), every(is_finished), bool_or(is_finished) FROM conversations", json!([[false, false, true]])),
        ("SELECT listagg(user_id, ',') FROM users WHERE user_id = 'cy'", json!([["cy"]])),
        ("SELECT std(value), variance(value) FROM generate_series(1, 3)", json!([[1.0, 1.0]])),
        ("SELECT count(DISTINCT user_id), avg(1), sum(2) FROM conversations", json!([[2, 1.0, 6]])),
        ("SELECT count_if(is_finished) OVER (PARTITION BY user_id) FROM conversations ORDER BY _id", json!([[1], [1], [1]])),
        ("SELECT lag(_id) OVER (ORDER BY _id), rank() OVER (ORDER BY user_id) FROM conversations ORDER BY _id LIMIT 2", json!([[null, 1], ["c1", 1]])),
    ])
    .await;
}

#[tokio::test]
async fn what_would_be_huge_is_refused_before_it_is_made() {
    let doubled = |twice: &str| {
        let steps = (0..40).map(|n| format!("c{} AS (SELECT {twice} AS a FROM c{n})", n + 1));
        let steps: Vec<String> = steps.collect();
        format!(
            "WITH c0 AS (SELECT 'xxxxxxxxxx' AS a), {} SELECT * FROM c40",
            steps.join(", ")
        )
    };
    let (doubled, lists) = (doubled("a || a"), doubled("array(a, a)"));
    check_refused(&[
        ("SELECT repeat('x', 20000000)", &["repeat", "memory"]),
        ("EXPLAIN ANALYZE SELECT repeat('x', 2000000000)", &["repeat", "memory"]),
        ("SELECT sum(length(repeat('xxxxxxxxxx', 100000 + value))) FROM generate_series(1, 8192)", &["repeat", "memory"]),
        ("SELECT lpad('x', 2147483647, 'y')", &["lpad", "memory"]),
        ("SELECT space(2147483647)", &["space", "memory"]),
        ("SELECT array_repeat(1, 1000000000)", &["array_repeat", "memory"]),
        ("SELECT generate_series(1, 1000000000000)", &["generate_series", "memory"]),
        ("SELECT range(1000000000)", &["range", "memory"]),
        ("SELECT array_resize(array(1), 1000000000, 1)", &["array_resize", "memory"]),
        ("SELECT replace(repeat('x', 1000000), 'x', repeat('y', 1000))", &["replace", "memory"]),
        ("SELECT regexp_replace(repeat('x', 1000000), '.', repeat('y', 1000))", &["regexp_replace", "memory"]),
        ("SELECT format_string('%1000000000d', 1)", &["format_string", "memory"]),
        (&doubled, &["concat", "memory"]),
        (&lists, &["array", "memory"]),
    ])
    .await;
    check_values(&[
        ("length(repeat('x', 10000000))", json!(10_000_000)),
        (
            "length(replace(repeat('x', 100000), 'x', 'yy'))",
            json!(200_000),
        ),
    ])
    .await;
    let fans = (0..14).map(|n| {
        format!(
            "c{} AS (SELECT * FROM c{n} UNION ALL SELECT * FROM c{n})",
            n + 1
        )
    });
    let fans: Vec<String> = fans.collect();
    let fan = format!(
        "WITH c0 AS (SELECT 1 AS x), {} SELECT count(*) FROM c14",
        fans.join(", ")
    );
    check_refused(&[(&fan, &["too large", "5000"])]).await;
}
