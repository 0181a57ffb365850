//! Answers that the engine's optimiser would change.

use serde_json::json;

use super::check_rows;

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
