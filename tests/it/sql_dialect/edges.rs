//! Where the engine's meaning and Spark's part: the edges of functions, of constants and of JSON.

use serde_json::json;

use super::{check_refused, check_rows, check_values};

#[tokio::test]
async fn functions_have_sparks_meaning_at_their_edges() {
    check_values(&[
        ("left('hello', 2)", json!("he")),
        ("left('hello', -1)", json!("")),
        ("left('hello', 9)", json!("hello")),
        ("left(NULL, 1)", json!(null)),
        ("left('hello', NULL)", json!(null)),
        ("left(12345, 2)", json!("12")),
        ("right('häuser', 5)", json!("äuser")),
        ("right('hello', -2)", json!("")),
        ("ltrim('x', 'xxa')", json!("a")),
        ("rtrim('x', 'axx')", json!("a")),
        ("ltrim('  a ')", json!("a ")),
        ("trim(LEADING 'x' FROM 'xxa')", json!("a")),
        ("initcap('foo-bar BAZ')", json!("Foo-bar Baz")),
        ("split('abc', '')", json!(["a", "b", "c"])),
        ("split('', '')", json!([""])),
        ("split('a,b,', ',')", json!(["a", "b", ""])),
        ("array_position(array(3, 4), 4)", json!(2)),
        ("array_position(array(3, 4), 9)", json!(0)),
        ("array_position(array(3, NULL), NULL)", json!(null)),
        ("typeof(array_position(array(3), 3))", json!("BIGINT")),
        ("array_prepend(array(2), 1)", json!([1, 2])),
        ("array_append(array(2), 1)", json!([2, 1])),
        ("array_append(NULL, 9)", json!(null)),
        ("sequence(3, 1)", json!([3, 2, 1])),
        ("sequence(1, 5, 2)", json!([1, 3, 5])),
        ("arrays_overlap(array(1, 2), array(2, NULL))", json!(true)),
        ("arrays_overlap(array(1, NULL), array(2))", json!(null)),
        (
            "arrays_overlap(array(1, NULL), array(2, NULL))",
            json!(null),
        ),
        ("arrays_overlap(array(1), array(2))", json!(false)),
        ("arrays_overlap(array('a'), array('b', 'a'))", json!(true)),
    ])
    .await;
}

#[tokio::test]
async fn numbers_and_bytes_have_sparks_meaning_at_their_edges() {
    check_values(&[
        ("ln(0)", json!(null)),
        ("ln(-1)", json!(null)),
        ("log(0)", json!(null)),
        ("log(2, 8)", json!(3.0)),
        ("log(-2, 8)", json!(null)),
        ("log10(100)", json!(2.0)),
        ("log2(0)", json!(null)),
        ("mod(-7, 3)", json!(-1)),
        ("round(5, -2147483648)", json!(0)),
        ("round(1.5, -2147483648)", json!(0.0)),
        ("hex(CAST('ab' AS BINARY))", json!("6162")),
        ("octet_length(CAST('ab' AS BINARY))", json!(2)),
        ("octet_length('ä')", json!(2)),
        ("CAST(1.5 AS DECIMAL)", json!("2")),
        ("typeof(CAST(1 AS DECIMAL))", json!("DECIMAL(10,0)")),
        ("named_struct('a', 1).a", json!(1)),
        ("named_struct('a', named_struct('B', 2)).a.b", json!(2)),
    ])
    .await;
}

#[tokio::test]
async fn edges_are_met_in_columns_too() {
    check_rows(&[
        (
            "SELECT array_position(l, x), sequence(x, 2), arrays_overlap(l, array(x)) \
             FROM (VALUES (array(7, 1), 1), (array(7), 3), (NULL, 1)) t(l, x)",
            json!([
                [2, [1, 2], true],
                [0, [3, 2], false],
                [null, [1, 2], null]
            ]),
        ),
        (
            "SELECT first(x, true) OVER (ORDER BY y), last(x) OVER (PARTITION BY y) FROM (VALUES (NULL, 1), (5, 2)) t(x, y) \
             ORDER BY y",
            json!([[null, null], [5, 5]]),
        ),
    ])
    .await;
    check_refused(&[
        ("SELECT mod(5, 0)", &["zero"]),
        ("SELECT array_resize(array(1), -1)", &["0 or more"]),
        (
            "SELECT sequence(1000000000000, 1)",
            &["generate_series", "memory"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn patterns_and_replacements_are_read_as_people_write_them() {
    check_values(&[
        ("regexp_replace('ab', '(a)(b)', '$2_$1')", json!("b_a")),
        ("regexp_replace('5', '([0-9])', 'US\\$$1')", json!("US$5")),
        ("regexp_replace('ab', '(?<x>a)', '${x}${x}')", json!("aab")),
        (r"regexp_replace('a1', r'\d', '-')", json!("a-")),
        (r"'a1' RLIKE r'\d$'", json!(true)),
        (r"r'a\b'", json!(r"a\b")),
        ("'C:\\x' RLIKE 'C:\\\\x'", json!(true)),
    ])
    .await;
    check_refused(&[
        (
            "SELECT 'a' RLIKE '('",
            &["expression ( cannot", "unclosed group"],
        ),
        ("SELECT 'a' ~ '('", &["unclosed group"]),
        (
            "SELECT userId RLIKE '(?!x)a' FROM events",
            &["look-around", "not supported"],
        ),
        (
            "SELECT userId RLIKE '(a)\\1' FROM events",
            &["backreferences", "not supported"],
        ),
        (
            "SELECT userId RLIKE '[z-a]' FROM events",
            &["[z-a]", "range"],
        ),
        (
            "SELECT regexp_replace(userId, '(', 'x') FROM events",
            &["unclosed group"],
        ),
        (
            "SELECT userId RLIKE substr('x(', 2) FROM events",
            &["unclosed group"],
        ),
        (
            "SELECT userId RLIKE concat(payload, '(') FROM events",
            &["cannot be read"],
        ),
        (
            "SELECT regexp_extract(userId, '(?=a)') FROM events",
            &["look-around"],
        ),
        ("SELECT split(userId, '(') FROM events", &["unclosed group"]),
        (
            "SELECT userId RLIKE 'a{1000}{1000}{1000}' FROM events",
            &["too large"],
        ),
        ("SELECT 'a' RLIKE '\\\\d'", &["write \\d"]),
        (
            "SELECT split(userId, '\\\\.') FROM events",
            &["write \\.", "[\\\\]"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_instant_is_told() {
    check_values(&[
        ("try_to_date('x')", json!(null)),
        ("try_to_date('2026-03-05')", json!("2026-03-05")),
        (
            "try_to_date('05.03.2026', 'dd.MM.yyyy')",
            json!("2026-03-05"),
        ),
        ("try_to_date('2026-03-05 08:09')", json!("2026-03-05")),
        ("to_date('2026-03-05T08:09:10Z')", json!("2026-03-05")),
        ("try_to_timestamp('x')", json!(null)),
        (
            "try_to_timestamp('2026-03-05 08:09')",
            json!("2026-03-05T08:09:00Z"),
        ),
        ("try_to_timestamp('24-05-06', 'yyyy-MM-dd')", json!(null)),
        (
            "try_to_date('0024-05-06', 'yyyy-MM-dd')",
            json!("0024-05-06"),
        ),
        ("to_date('24-05-06', 'yy-MM-dd')", json!("2024-05-06")),
        (
            "CAST('2024-05-06 07:08' AS TIMESTAMP)",
            json!("2024-05-06T07:08:00Z"),
        ),
        (
            "TIMESTAMP '2024-05-06T07:08'",
            json!("2024-05-06T07:08:00Z"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn unix_times_count_what_has_begun() {
    check_values(&[
        ("unix_seconds(TIMESTAMP '1969-12-31 23:59:59.5')", json!(-1)),
        (
            "unix_millis(TIMESTAMP '1969-12-31 23:59:59.9995')",
            json!(-1),
        ),
        (
            "unix_timestamp(TIMESTAMP '1969-12-31 23:59:59.5')",
            json!(-1),
        ),
        ("unix_timestamp('1970-01-02')", json!(86400)),
        ("unix_timestamp('02.01.1970', 'dd.MM.yyyy')", json!(86400)),
        ("unix_timestamp() = unix_seconds(now())", json!(true)),
    ])
    .await;
}

#[tokio::test]
async fn clocks_are_read_near_a_change_of_summer_time() {
    let cases = [
        (
            "2024-03-10 01:59:00",
            "America/New_York",
            "2024-03-10T06:59:00Z",
        ),
        (
            "2024-03-10 02:30:00",
            "America/New_York",
            "2024-03-10T07:30:00Z",
        ),
        (
            "2024-03-10 04:00:00",
            "America/New_York",
            "2024-03-10T08:00:00Z",
        ),
        (
            "2024-11-03 01:30:00",
            "America/New_York",
            "2024-11-03T05:30:00Z",
        ),
        (
            "2024-10-27 02:30:00",
            "Europe/Berlin",
            "2024-10-27T00:30:00Z",
        ),
        (
            "2024-07-01 12:00:00.25",
            "+02:00",
            "2024-07-01T10:00:00.250Z",
        ),
    ];
    let cases = cases.map(|(shown, zone, instant)| {
        let expr = format!("to_utc_timestamp(TIMESTAMP'{shown}', '{zone}')");
        (expr, json!(instant))
    });
    let cases: Vec<_> = cases
        .iter()
        .map(|(expr, value)| (expr.as_str(), value.clone()))
        .collect();
    check_values(&cases).await;
}

#[tokio::test]
async fn what_names_no_instant_is_refused() {
    check_refused(&[
        ("SELECT to_date('x')", &["'x'", "DATE", "try_to_date"]),
        (
            "SELECT to_date(userId) FROM events",
            &["'ann'", "try_to_date"],
        ),
        (
            "SELECT to_date('24-05-06', 'yyyy-MM-dd')",
            &["does not follow"],
        ),
        (
            "SELECT createdAt AT TIME ZONE 'Nowhere' FROM events",
            &["no time zone Nowhere", "Europe/Berlin"],
        ),
        ("SELECT from_utc_timestamp(now(), 'Nowhere')", &["Nowhere"]),
        ("SELECT to_utc_timestamp(now(), 'Nowhere')", &["Nowhere"]),
        (
            "SELECT count(*) FROM events WHERE createdAt > '2024-05-06 07:08'",
            &["2024-05-06 07:08", "yyyy-MM-dd HH:mm"],
        ),
        (
            "SELECT extract(EPOCH FROM createdAt) FROM events",
            &["EPOCH", "unix_timestamp"],
        ),
        (
            "SELECT date_part('epoch', createdAt) FROM events",
            &["unix_timestamp"],
        ),
        ("SELECT to_date(20260305)", &["number", "yyyyMMdd"]),
    ])
    .await;
}

#[tokio::test]
async fn json_comes_as_it_is_written() {
    const DOCUMENT: &str = r#"'{"z": {"b":1e2, "a":100000000000000000000001}, "t":"x"}'"#;
    let cases = [
        (
            "get_json_object(D, '$.z')",
            json!(r#"{"b":1e2, "a":100000000000000000000001}"#),
        ),
        ("D:z.a", json!("100000000000000000000001")),
        ("D:z.b", json!("1e2")),
        ("D:t", json!("x")),
    ];
    let cases = cases.map(|(expr, value)| {
        let expr = expr.replace('D', "t.d");
        let sql = format!("SELECT {expr} FROM (SELECT {DOCUMENT} AS d) t");
        (sql, json!([[value]]))
    });
    let cases: Vec<_> = cases
        .iter()
        .map(|(sql, rows)| (sql.as_str(), rows.clone()))
        .collect();
    check_rows(&cases).await;
}
