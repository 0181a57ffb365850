//! Answers that the engine's optimiser would change.

use serde_json::json;

use super::{check_refused, check_rows, check_values};

/// Three rows, and a table that has one of them.
const PADDED: &str = "WITH t AS (SELECT * FROM (VALUES (1), (2), (3)) v(k)), \
                      b AS (SELECT k, g, 1 AS f FROM (VALUES (2, 'a'), (9, 'z')) v(k, g))";

#[tokio::test]
async fn a_constant_of_a_joins_padded_side_is_none_above_the_join() {
    let query = |rest: &str| format!("{PADDED} {rest}");
    let numbered = |order: &str| {
        query(&format!(
            "SELECT t.k, b.g, row_number() OVER (PARTITION BY b.g ORDER BY t.k) r, count(*) OVER (PARTITION BY b.g) c \
             FROM t LEFT JOIN b ON b.k = t.k AND b.g = 'a' ORDER BY {order}"
        ))
    };
    let of_join = |join: &str| {
        query(&format!(
            "SELECT t.k, f FROM {join} ORDER BY f DESC, t.k LIMIT 2"
        ))
    };
    let unequal = query(
        "SELECT t.k, b.f FROM t LEFT JOIN b ON b.k > t.k + 6 AND b.g <> 'a' ORDER BY b.f, t.k",
    );
    let ranked = query(
        "SELECT t.k, rank() OVER (ORDER BY b.f DESC) FROM t LEFT JOIN b ON b.k = t.k ORDER BY 2, 1",
    );
    check_rows(&[
        (
            &numbered("t.k"),
            json!([[1, null, 1, 2], [2, "a", 1, 1], [3, null, 2, 2]]),
        ),
        (
            &numbered("b.g, t.k"),
            json!([[1, null, 1, 2], [3, null, 2, 2], [2, "a", 1, 1]]),
        ),
        (
            &of_join("t LEFT JOIN b ON b.k = t.k"),
            json!([[2, 1], [1, null]]),
        ),
        (
            &of_join("b RIGHT JOIN t ON b.k = t.k"),
            json!([[2, 1], [1, null]]),
        ),
        (
            &of_join("t FULL JOIN b ON b.k = t.k"),
            json!([[null, 1], [2, 1]]),
        ),
        (&unequal, json!([[3, null], [1, 1], [2, 1]])),
        (&ranked, json!([[2, 1], [1, 2], [3, 2]])),
    ])
    .await;
}

#[tokio::test]
async fn a_constant_of_each_input_is_none_of_their_union() {
    const BOTH: &str = "SELECT k, 'a' AS x FROM (VALUES (1), (2), (3)) v(k) \
                        UNION ALL SELECT k, 'b' FROM (VALUES (4), (5), (6)) v(k)";
    let last = format!("{BOTH} ORDER BY x DESC, k LIMIT 3");
    let numbered = format!(
        "SELECT k, x, row_number() OVER (PARTITION BY x ORDER BY k) FROM ({BOTH}) ORDER BY x DESC, k LIMIT 4"
    );
    let last_rows = json!([[4, "b"], [5, "b"], [6, "b"]]);
    let mut cases = vec![(last.as_str(), last_rows); 5];
    cases.push((
        &numbered,
        json!([[4, "b", 1], [5, "b", 2], [6, "b", 3], [1, "a", 1]]),
    ));
    check_rows(&cases).await;
}

#[tokio::test]
async fn a_constant_key_is_none_where_a_grouping_set_leaves_it_out() {
    const ROWS: &str =
        "SELECT g, count(*) c FROM (VALUES ('a'), ('a')) v(g) WHERE g = 'a' GROUP BY";
    let rollup = format!("{ROWS} ROLLUP (g) ORDER BY g DESC");
    let cube = format!("{ROWS} CUBE (g) ORDER BY g LIMIT 1");
    let sets = format!("{ROWS} GROUPING SETS ((g), ()) ORDER BY g DESC LIMIT 1");
    check_rows(&[
        (&rollup, json!([["a", 2], [null, 2]])),
        (&cube, json!([[null, 2]])),
        (&sets, json!([["a", 2]])),
    ])
    .await;
}

/// Three rows of a number that may be NULL and a text.
const ROWS: &str = "(VALUES (1, 'a', true), (2, 'b', false), (NULL, 'c', NULL)) t(id, g, f)";

#[tokio::test]
async fn a_value_of_a_list_that_depends_on_the_row_is_no_constant() {
    let count = |condition: &str| format!("SELECT count(*) FROM {ROWS} WHERE {condition}");
    let cases = [
        ("id + 0 IN (9, CASE g WHEN 'b' THEN id END)", 1),
        ("id + 0 NOT IN (9, CASE g WHEN 'b' THEN 7 ELSE 1 END)", 1),
        ("id + 0 IN (9, coalesce(id, 5))", 2),
        ("id + 0 IN (9, id)", 2),
        ("id + 0 IN (9, CASE WHEN true THEN 1 END)", 1),
        ("id IN (7, 8, 9, 10, 11, CASE g WHEN 'a' THEN id END)", 1),
    ];
    let cases = cases.map(|(condition, rows)| (count(condition), json!([[rows]])));
    let cases: Vec<_> = cases
        .iter()
        .map(|(sql, rows)| (sql.as_str(), rows.clone()))
        .collect();
    check_rows(&cases).await;
    check_rows(&[(
        "SELECT id + 0 IN (9, CASE WHEN id = 1 THEN id END) x, count(*) FROM (VALUES (1), (2)) t(id) GROUP BY x ORDER BY x",
        json!([[null, 1], [true, 1]]),
    )])
    .await;
}

#[tokio::test]
async fn is_true_stands_wherever_a_value_does() {
    let grouped =
        format!("SELECT f IS TRUE AS x, count(*) FROM {ROWS} GROUP BY f IS TRUE ORDER BY x");
    let rolled = format!(
        "SELECT f IS NOT FALSE, count(*) FROM {ROWS} GROUP BY ROLLUP (f IS NOT FALSE) ORDER BY 2, 1"
    );
    let distinct = format!("SELECT DISTINCT f IS NOT TRUE FROM {ROWS} ORDER BY 1");
    let union = format!(
        "SELECT f IS FALSE FROM {ROWS} UNION SELECT id = 2 FROM {ROWS} WHERE id > 0 ORDER BY 1"
    );
    let two =
        format!("SELECT count_if(f IS TRUE), sum(CASE WHEN f IS TRUE THEN id END) FROM {ROWS}");
    let above = format!(
        "SELECT count(*), bool_or(x) FROM (SELECT f IS TRUE AS x FROM {ROWS}) WHERE x IS FALSE"
    );
    check_rows(&[
        (&grouped, json!([[false, 2], [true, 1]])),
        (&rolled, json!([[false, 1], [true, 2], [null, 3]])),
        (&distinct, json!([[false], [true]])),
        (&union, json!([[false], [true]])),
        (&two, json!([[1, 1]])),
        (&above, json!([[2, false]])),
    ])
    .await;
}

#[tokio::test]
async fn the_item_of_a_subquery_needs_no_name() {
    let count =
        |subquery: &str| format!("SELECT count(*) FROM {ROWS} WHERE id IN ({subquery}) OR g = 'c'");
    let most = count("SELECT max(y) FROM (VALUES (1), (2)) u(y)");
    let distinct = count("SELECT DISTINCT abs(y) FROM (VALUES (-1), (2)) u(y)");
    let union = count("SELECT y + 1 FROM (VALUES (1)) u(y) UNION SELECT 1");
    let of_row = count("SELECT max(y) FROM (VALUES (1), (5)) u(y) WHERE y = t.id GROUP BY y");
    check_rows(&[
        (&most, json!([[2]])),
        (&distinct, json!([[3]])),
        (&union, json!([[3]])),
        (&of_row, json!([[2]])),
    ])
    .await;
}

#[tokio::test]
async fn a_number_called_by_name_is_no_place_of_a_column() {
    check_rows(&[
        (
            "SELECT 2 AS v, g, count(*) FROM (VALUES ('a'), ('a'), ('b')) t(g) GROUP BY v, g ORDER BY g",
            json!([[2, "a", 2], [2, "b", 1]]),
        ),
        (
            "SELECT 5 AS bucket, -1 AS other, count(*) FROM (VALUES ('a'), ('b')) t(g) GROUP BY bucket, other",
            json!([[5, -1, 2]]),
        ),
        (
            "SELECT 5 AS bucket, count(*) FROM (VALUES ('a')) t(g) WHERE g = 'z' GROUP BY bucket",
            json!([]),
        ),
        (
            "SELECT 2 AS v, g, count(*) FROM (VALUES ('a'), ('a')) t(g) GROUP BY 1, 2",
            json!([[2, "a", 2]]),
        ),
    ])
    .await;
    check_refused(&[(
        "SELECT 2 AS v, g, count(*) FROM (VALUES ('a')) t(g) GROUP BY v",
        &["g", "GROUP BY"],
    )])
    .await;
}

#[tokio::test]
async fn a_range_over_days_counts_days() {
    const DAYS: &str =
        "(VALUES (date'2024-01-01', 1), (date'2024-01-05', 2), (date'2024-01-20', 4)) t(d, x)";
    let sums = |range: &str| {
        format!("SELECT x, sum(x) OVER (ORDER BY d RANGE BETWEEN {range}) FROM {DAYS} ORDER BY x")
    };
    let [number, text, unquoted, both] = [
        "7 PRECEDING AND CURRENT ROW",
        "INTERVAL '7 days' PRECEDING AND CURRENT ROW",
        "INTERVAL 7 DAYS PRECEDING AND CURRENT ROW",
        "4 PRECEDING AND 15 FOLLOWING",
    ]
    .map(sums);
    let named = format!(
        "SELECT x, sum(x) OVER w FROM {DAYS} WINDOW w AS (ORDER BY d RANGE BETWEEN INTERVAL 1 WEEK PRECEDING AND CURRENT ROW) \
         ORDER BY x"
    );
    let instants = format!(
        "SELECT x, sum(x) OVER (ORDER BY CAST(d AS TIMESTAMP) RANGE BETWEEN INTERVAL 96 HOURS PRECEDING AND CURRENT ROW) \
         FROM {DAYS} ORDER BY x"
    );
    let week = json!([[1, 1], [2, 3], [4, 4]]);
    check_rows(&[
        (&number, week.clone()),
        (&text, week.clone()),
        (&unquoted, week.clone()),
        (&named, week.clone()),
        (&instants, week),
        (&both, json!([[1, 3], [2, 7], [4, 4]])),
        (
            "SELECT x, sum(x) OVER (ORDER BY x RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2), (4)) t(x) \
             ORDER BY x",
            json!([[1, 1], [2, 3], [4, 6]]),
        ),
    ])
    .await;
    let over = |key: &str| {
        format!(
            "SELECT sum(x) OVER (ORDER BY {key} RANGE BETWEEN 7 PRECEDING AND CURRENT ROW) FROM {DAYS}"
        )
    };
    let (instant, text) = (over("CAST(d AS TIMESTAMP)"), over("CAST(d AS STRING)"));
    check_refused(&[
        (&instant, &["TIMESTAMP", "INTERVAL 7 DAYS"]),
        (&text, &["text", "INTERVAL 7 DAYS"]),
    ])
    .await;
}

#[tokio::test]
async fn nvl2_keeps_the_types_of_its_results() {
    check_values(&[
        ("nvl2(1, 'yes', 'no')", json!("yes")),
        ("nvl2(NULL, 'yes', 'no')", json!("no")),
        ("nvl2('x', 1.5, 2)", json!(1.5)),
        ("nvl2(1 = 2, 'there', 'none')", json!("there")),
    ])
    .await;
}

#[tokio::test]
async fn div_stands_before_words() {
    check_rows(&[
        (
            "SELECT sum(x) div count(*), max(x) div nullif(0, 0), 7 div abs(-2) FROM (VALUES (4), (7)) t(x)",
            json!([[5, null, 3]]),
        ),
        (
            "SELECT 9 div year, 9 div value, 9 div count, 9 div CASE WHEN day = 3 THEN 4 END \
             FROM (VALUES (2, 3, 4, 5)) t(year, day, value, count)",
            json!([[4, 2, 1, 2]]),
        ),
        ("SELECT 1 AS div FROM (VALUES (1)) div WHERE true ORDER BY div DESC", json!([[1]])),
    ])
    .await;
}

#[tokio::test]
async fn a_filter_below_guards_what_stands_above_it() {
    const ROWS: &str = "(VALUES (1, 2, '7'), (2, 0, 'x'), (3, 50, '9')) v(id, x, t)";
    let divided = format!("SELECT id FROM (SELECT * FROM {ROWS} WHERE x > 0) WHERE 10 / x > 1");
    let whole = format!("SELECT id FROM (SELECT * FROM {ROWS} WHERE x > 0) WHERE 10 div x > 1");
    let read = format!(
        "WITH r AS (SELECT id, t AS n FROM {ROWS} WHERE t RLIKE '[0-9]') SELECT id FROM r WHERE CAST(n AS INT) > 8"
    );
    let twice = format!(
        "SELECT count(*) FROM (SELECT * FROM (SELECT * FROM {ROWS} WHERE x <> 0) WHERE 10 / x > 0) WHERE 5 / x < 1"
    );
    let one = json!([[1]]);
    check_rows(&[
        (&divided, one.clone()),
        (&whole, one.clone()),
        (&read, json!([[3]])),
        (&twice, one),
    ])
    .await;
}

#[tokio::test]
async fn minus_escapes_and_rows_in_subqueries() {
    check_rows(&[
        (
            "SELECT * FROM (VALUES (1), (2)) t(x) MINUS SELECT 2",
            json!([[1]]),
        ),
        (
            "SELECT t LIKE 'a!_%' ESCAPE '!', t LIKE '%!!' ESCAPE '!', t NOT ILIKE 'A|_%' ESCAPE '|' \
             FROM (VALUES ('a_!'), ('ab')) v(t) ORDER BY t",
            json!([[true, true, false], [false, false, true]]),
        ),
    ])
    .await;
    check_refused(&[(
        "SELECT 1 WHERE (1, 2) IN (SELECT 1, 2)",
        &["EXISTS", "x = a AND y = b"],
    )])
    .await;
}

/// The engine's rule that moves filters down finds columns by their names, of which joined tables have the same.
#[tokio::test]
async fn a_filter_over_a_join_tells_columns_of_one_name_apart() {
    let x = "x AS (SELECT * FROM (VALUES (1, 10), (2, 20)) v(id, t))";
    let y = "y AS (SELECT * FROM (VALUES (1, 10), (2, 21), (4, 40)) w(id, t))";
    let over = |join: &str, condition: &str| {
        format!(
            "WITH {x}, {y} SELECT p.t, q.t AS u FROM x p {join} JOIN y q ON p.id = q.id WHERE {condition} ORDER BY u"
        )
    };
    let differ = "(p.t IS NULL OR p.t <> q.t) AND q.t > 5";
    let in_list = "q.t NOT IN (p.t + 1, 99) AND q.t > 5";
    check_rows(&[
        (&over("RIGHT", differ), json!([[20, 21], [null, 40]])),
        (&over("FULL", differ), json!([[20, 21], [null, 40]])),
        (&over("RIGHT", in_list), json!([[10, 10]])),
        (&over("INNER", differ), json!([[20, 21]])),
        (
            "WITH t AS (SELECT * FROM (VALUES (1), (2), (3)) v(a)) SELECT a FROM t WHERE a >= ALL (SELECT a FROM t)",
            json!([[3]]),
        ),
        (
            "WITH t AS (SELECT * FROM (VALUES (1), (2), (3)) v(a)) SELECT a FROM t WHERE a > ANY (SELECT a FROM t) ORDER BY a",
            json!([[2], [3]]),
        ),
    ])
    .await;
}

/// The answer's limit is no order: what a window sorts can be told apart under it.
#[tokio::test]
async fn distinct_rows_of_windows_are_found_under_a_limit() {
    const ROWS: &str = "(VALUES (1, 2), (1, 3), (2, 1), (2, 1)) t(a, b)";
    let distinct = [
        "first_value(b) OVER (PARTITION BY a ORDER BY b)",
        "count(*) OVER (PARTITION BY a)",
        "sum(b) OVER (PARTITION BY a)",
    ]
    .map(|value| format!("SELECT DISTINCT a, {value} AS v FROM {ROWS}"));
    let distinct = distinct.map(|query| format!("{query} LIMIT 3"));
    let ordered = format!("SELECT DISTINCT a FROM (SELECT a, b FROM {ROWS} ORDER BY a LIMIT 3) s");
    check_rows(&[
        (
            &format!("SELECT * FROM ({}) q ORDER BY a, v", distinct[0]),
            json!([[1, 2], [2, 1]]),
        ),
        (
            &format!("SELECT * FROM ({}) q ORDER BY a, v", distinct[1]),
            json!([[1, 2], [2, 2]]),
        ),
        (&distinct[2], json!([[1, 5], [2, 2]])),
        (&ordered, json!([[1], [2]])),
        (&format!("{ordered} LIMIT 1"), json!([[1]])),
    ])
    .await;
}
