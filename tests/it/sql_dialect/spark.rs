//! Answers that Spark 3.5 gives to the same texts.

use serde_json::json;

use super::{check_refused, check_rows, check_values};

#[tokio::test]
async fn numbers_are_rounded_as_they_are_written() {
    check_values(&[
        ("round(CAST(1.005 AS DOUBLE), 2)", json!(1.01)),
        ("round(CAST(59.894999999999996 AS DOUBLE), 2)", json!(59.89)),
        ("round(-2.5)", json!(-3.0)),
        ("round(1250.0, -2)", json!(1300.0)),
        ("round(CAST(1.005 AS FLOAT), 2)", json!(1.0)),
        ("sqrt(-1.0)", json!("NaN")),
        ("log1p(CAST(1e-17 AS DOUBLE))", json!(1e-17)),
        ("isnan(CAST(NULL AS DOUBLE))", json!(false)),
        ("negative(CAST(1.50 AS DECIMAL(12, 2)))", json!("-1.50")),
        ("'1' + 2", json!(3.0)),
        ("7 % '4'", json!(3.0)),
        ("true = 'true'", json!(true)),
        ("to_date('31/12/99', 'dd/MM/yy')", json!("2099-12-31")),
        ("trunc(DATE '9999-12-31', 'MM')", json!("9999-12-01")),
        ("trunc(DATE '2026-05-06', 'week')", json!("2026-05-04")),
        (
            "date_trunc('day', TIMESTAMP '1600-05-05 10:00:00')",
            json!("1600-05-05T00:00:00Z"),
        ),
        ("json_array_length('{\"a\": 1}')", json!(null)),
        ("json_array_length(' [1, 2]')", json!(2)),
        (
            "DATE '2024-01-01' + CAST('2 hours' AS INTERVAL)",
            json!("2024-01-01T02:00:00Z"),
        ),
        (
            "DATE '2024-01-01' + CAST('2 days' AS INTERVAL)",
            json!("2024-01-03"),
        ),
    ])
    .await;
    check_refused(&[
        (
            "SELECT concat(array(1), array(2))",
            &["concat is of texts: a || b joins lists"],
        ),
        (
            "SELECT reverse(array(1, 2))",
            &["array_reverse(list) turns a list round"],
        ),
        (
            "SELECT CAST('1 month' AS INTERVAL) = INTERVAL '31 days'",
            &["a length with months"],
        ),
        (
            "SELECT a LIKE b ESCAPE '!' FROM (VALUES ('a', 'b')) t(a, b)",
            &["ESCAPE '!' takes a pattern that is a constant; write replace(pattern, '!', r'\\') without ESCAPE"],
        ),
        (
            "SELECT 1 FROM (SELECT array(7) a) q LATERAL VIEW posexplode(a) t AS p, x",
            &["LATERAL VIEW posexplode is not there"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn groups_have_spark_s_ends_and_middles() {
    let ends = |rows: &str| {
        format!("SELECT max(struct(a, b)).b, min(struct(a, b)).b FROM (VALUES {rows}) t(a, b)")
    };
    check_rows(&[
        (&ends("(1, 'x'), (NULL, 'y')"), json!([["x", "y"]])),
        (&ends("(NULL, 'y'), (1, 'x')"), json!([["x", "y"]])),
        (&ends("(2, NULL), (2, 'z')"), json!([["z", null]])),
        (
            "SELECT g, max(struct(a, b)).b AS b FROM (VALUES (1, 1, 'x'), (1, NULL, 'y'), (2, NULL, 'z'), (1, 2, 'v')) \
             t(g, a, b) GROUP BY g ORDER BY g",
            json!([[1, "v"], [2, "z"]]),
        ),
        (
            "SELECT median(x), median(x) FILTER (WHERE x > 1) FROM (VALUES (CAST(1.00 AS DECIMAL(12, 2))), (1.01)) t(x)",
            json!([[1.005, 1.01]]),
        ),
        (
            "SELECT DISTINCT median(x) OVER () FROM (VALUES (CAST(1.00 AS DECIMAL(12, 2))), (1.01)) t(x)",
            json!([[1.005]]),
        ),
        (
            "SELECT any(x > 1), some(x > 2) FROM (VALUES (1), (2)) t(x)",
            json!([[true, false]]),
        ),
        (
            "SELECT x, sum(y) AS y FROM (VALUES ('a', 1), ('a', 5), ('b', 2)) t(x, y) GROUP BY x HAVING y > 2",
            json!([["a", 6]]),
        ),
        (
            "SELECT x, max(y) AS y FROM (VALUES ('a', 1), ('a', 5), ('b', 2)) t(x, y) GROUP BY x \
             HAVING y > 1 AND sum(y) > 2",
            json!([["a", 5]]),
        ),
        (
            "SELECT x AS u, count(*) AS n FROM (VALUES ('a'), ('a'), ('b')) t(x) GROUP BY 1 WITH ROLLUP ORDER BY n, u",
            json!([["b", 1], ["a", 2], [null, 3]]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn lists_are_unnested_and_their_parts_named() {
    check_rows(&[
        (
            "SELECT id, w FROM (SELECT 1 id, 'a b' s) LATERAL VIEW explode(split(s, ' ')) v AS w ORDER BY w",
            json!([[1, "a"], [1, "b"]]),
        ),
        (
            "SELECT y FROM (SELECT array(array(1), array(2, 3)) AS l) t LATERAL VIEW explode(t.l) v AS x \
             LATERAL VIEW explode(v.x) w AS y ORDER BY y",
            json!([[1], [2], [3]]),
        ),
        (
            "SELECT id, k, v FROM (SELECT 1 AS id, map('a', 1, 'b', 2) AS m) t LATERAL VIEW explode(t.m) e AS k, v \
             WHERE e.v > 1",
            json!([[1, "b", 2]]),
        ),
        (
            "SELECT * FROM (SELECT map('a', 1) AS m, 7 AS n) t LATERAL VIEW explode(m) e AS k, v",
            json!([[{"a": 1}, 7, "a", 1]]),
        ),
        (
            "SELECT transform(array(named_struct('x', 1, 'y', named_struct('z', 5))), e -> e.x + e.y.z)",
            json!([[[6]]]),
        ),
        (
            "SELECT size(filter(l, e -> e.x > t.n)) FROM (SELECT array(named_struct('x', 1), named_struct('x', 3)) AS l, \
             2 AS n) t",
            json!([[1]]),
        ),
        (
            "SELECT lpad(s, 4 - length(s), '*') FROM (VALUES ('a'), ('a long text')) t(s) ORDER BY 1",
            json!([[""], ["**a"]]),
        ),
        (
            "SELECT l.id FROM (VALUES (1), (2)) l(id) FULL JOIN (VALUES (2), (0)) r(id) USING (id) ORDER BY id",
            json!([[null], [1], [2]]),
        ),
        (
            "SELECT a.x FROM (VALUES (1), (2)) a(x) JOIN ((VALUES (1), (2)) b(x) SEMI JOIN (VALUES (2)) c(x) ON b.x = c.x) \
             ON a.x = b.x",
            json!([[2]]),
        ),
    ])
    .await;
}
