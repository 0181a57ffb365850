//! Answers that the engine alone would give otherwise than SQL and Spark.

use serde_json::{Value, json};

use super::{check_refused, check_refused_in, check_rows_in, check_values};
use crate::sql_query::{ORG, acme};
use crate::support::Data;

/// Two tables whose `k` is NULL in places.
fn lake(data: &Data) {
    acme(data);
    let ks = [
        Some(10),
        Some(20),
        None,
        Some(10),
        Some(30),
        None,
        Some(20),
        Some(-7),
    ];
    let a = (1..).zip(ks).map(|(id, k)| {
        let text = if id % 2 == 0 { "no number" } else { "12" };
        json!({"id": id, "k": k, "text": text, "at": format!("2026-01-0{id}T10:00:00Z")})
    });
    let b = [
        json!({"id": 1, "k": 10, "v": "x"}),
        json!({"id": 2, "k": 10, "v": "y"}),
        json!({"id": 3, "k": 20, "v": "z"}),
        json!({"id": 4, "k": null, "v": "n"}),
        json!({"id": 5, "k": 40, "v": "q"}),
        json!({"id": 6, "k": 20, "v": null}),
    ];
    data.import_table(ORG, "a", &a.collect::<Vec<_>>());
    data.import_table(ORG, "b", &b);
}

/// How many rows of `a` each condition is true of.
async fn check_counts(cases: &[(&str, u64)]) {
    let cases: Vec<(String, Value)> = cases
        .iter()
        .map(|(condition, count)| {
            let sql = format!("SELECT count(*) FROM a WHERE {condition}");
            (sql, json!([[count]]))
        })
        .collect();
    let cases: Vec<(&str, Value)> = cases
        .iter()
        .map(|(sql, rows)| (sql.as_str(), rows.clone()))
        .collect();
    check_rows_in(lake, &cases).await;
}

#[tokio::test]
async fn in_and_not_in_know_null() {
    check_counts(&[
        ("k NOT IN (SELECT k FROM b)", 0),
        ("k NOT IN (SELECT k FROM b WHERE k IS NOT NULL)", 2),
        ("k NOT IN (SELECT k FROM b WHERE false)", 8),
        ("k NOT IN (SELECT k FROM b) OR id = 5", 1),
        ("NOT (k IN (SELECT k FROM b) AND id > 3)", 3),
        ("(k IN (SELECT k FROM b)) IS NULL", 4),
        ("5 NOT IN (SELECT k FROM b)", 0),
        ("5 NOT IN (SELECT k FROM b WHERE k IS NOT NULL)", 8),
        ("k + 1 NOT IN (SELECT k FROM b WHERE k IS NOT NULL)", 6),
        ("k NOT IN (SELECT b.k FROM b WHERE b.id > a.id)", 5),
        ("k NOT IN (SELECT b.k FROM b WHERE b.id = a.id)", 4),
        ("k NOT IN (SELECT a.k FROM a WHERE a.k > 0) OR id = 1", 2),
        (
            "NOT (k IN (SELECT b.k FROM b WHERE b.id = a.id) AND id > 0)",
            4,
        ),
        (
            "CASE WHEN k IN (SELECT k FROM b) THEN true ELSE false END",
            4,
        ),
        (
            "NOT CASE WHEN k IN (SELECT k FROM b) THEN true ELSE false END",
            4,
        ),
    ])
    .await;
}

#[tokio::test]
async fn subqueries_stand_in_the_select() {
    check_rows_in(
        lake,
        &[
            (
                "SELECT id, k IN (SELECT k FROM b), k NOT IN (SELECT b.k FROM b WHERE b.id = a.id) FROM a WHERE id < 6 ORDER BY id",
                json!([
                    [1, true, false],
                    [2, true, true],
                    [3, null, null],
                    [4, true, null],
                    [5, null, true]
                ]),
            ),
            (
                "SELECT id, EXISTS (SELECT 1 FROM b WHERE b.id = a.id), \
                 CASE WHEN NOT EXISTS (SELECT 1 FROM b WHERE false) THEN 1 END FROM a WHERE id > 5 ORDER BY id",
                json!([[6, true, 1], [7, false, 1], [8, false, 1]]),
            ),
            (
                "SELECT count(*) FROM a JOIN b ON a.id = b.id AND a.k NOT IN (SELECT k FROM b WHERE k IS NOT NULL)",
                json!([[1]]),
            ),
            ("SELECT (SELECT 1 WHERE false)", json!([[null]])),
            (
                "SELECT coalesce((SELECT 1 FROM a WHERE id = 99), 0)",
                json!([[0]]),
            ),
            (
                "SELECT id, (SELECT count(*) FROM b WHERE b.id = a.id) FROM a WHERE id > 5 ORDER BY id",
                json!([[6, 1], [7, 0], [8, 0]]),
            ),
        ],
    )
    .await;
    check_refused_in(
        lake,
        &[
            (
                "SELECT count(*) FROM a WHERE k IN (SELECT count(*) FROM b WHERE b.id = a.id + 100)",
                &["aggregate without GROUP BY", "x = (SELECT"],
            ),
            (
                "SELECT id, (SELECT max(b.k) FROM b WHERE b.id > a.id) FROM a",
                &["join it"],
            ),
            (
                "SELECT a.id, x.k FROM a, LATERAL (SELECT b.k FROM b WHERE b.id = a.id LIMIT 1) x",
                &["QUALIFY"],
            ),
            (
                "SELECT id FROM a WHERE row_number() OVER (ORDER BY id) = 1",
                &["QUALIFY"],
            ),
            (
                "SELECT sum(CASE WHEN id IN (SELECT id FROM b) THEN 1 END) OVER () FROM a",
                &["IN or EXISTS", "join it"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn lengths_of_time_compare_by_hours() {
    check_counts(&[
        (
            "at - CAST('2020-01-01' AS TIMESTAMP) < INTERVAL '7 days'",
            0,
        ),
        (
            "at - CAST('2026-01-01' AS TIMESTAMP) < INTERVAL '3 days'",
            3,
        ),
        (
            "at - CAST('2026-01-01' AS TIMESTAMP) BETWEEN INTERVAL '1 day' AND INTERVAL '72 hours'",
            2,
        ),
        ("now() - at > INTERVAL 7 DAY", 8),
        ("at >= date'2026-01-05' - INTERVAL '12 hours'", 4),
        ("at >= date'2026-01-05' - INTERVAL '16 hours'", 5),
        ("at >= date'2026-01-05' - INTERVAL '1 day'", 5),
    ])
    .await;
    check_values(&[
        ("INTERVAL '36 hours' > INTERVAL '1 day'", json!(true)),
        ("INTERVAL '24 hours' = INTERVAL '1 day'", json!(true)),
        ("INTERVAL '1 week' > INTERVAL '6 days'", json!(true)),
        (
            "date'2024-01-05' - INTERVAL '12 hours'",
            json!("2024-01-04T12:00:00Z"),
        ),
        (
            "INTERVAL '90 minutes' + date'2024-01-05'",
            json!("2024-01-05T01:30:00Z"),
        ),
        ("date'2024-01-05' + INTERVAL '1 day'", json!("2024-01-06")),
        ("date'2024-01-05' + INTERVAL '1 month'", json!("2024-02-05")),
        (
            "dateadd(HOUR, 1, date'2024-01-05')",
            json!("2024-01-05T01:00:00Z"),
        ),
        ("dateadd(DAY, 1, date'2024-01-05')", json!("2024-01-06")),
    ])
    .await;
    check_refused_in(
        lake,
        &[
            (
                "SELECT count(*) FROM a WHERE now() - at > INTERVAL '1 month'",
                &["created_at > now() - INTERVAL", "timestampdiff"],
            ),
            (
                "SELECT max(make_interval(0, 0, 0, id)) FROM a",
                &["no order"],
            ),
            (
                "SELECT id FROM a ORDER BY make_interval(0, 0, 0, id)",
                &["no order"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn using_makes_one_column_of_two() {
    const C: &str = "(SELECT id + 5 AS id, v FROM b) c";
    let right = format!("SELECT id FROM a RIGHT JOIN {C} USING (id) ORDER BY id");
    let full = format!(
        "SELECT id, count(*) FROM a FULL JOIN {C} USING (id) WHERE id > 6 GROUP BY id HAVING id < 11 ORDER BY id"
    );
    let unseen = format!("SELECT k, v FROM a FULL JOIN {C} USING (id) WHERE id > 7 ORDER BY id");
    check_rows_in(
        lake,
        &[
            ("SELECT a.k, v FROM a JOIN b USING (id) WHERE id = 1", json!([[10, "x"]])),
            (
                "SELECT id, a.k, v FROM a LEFT JOIN b USING (id) WHERE id > 6 ORDER BY id",
                json!([[7, 20, null], [8, -7, null]]),
            ),
            (
                "SELECT id, count(*) FROM a JOIN b USING (id) JOIN a AS c USING (id) WHERE id < 3 GROUP BY id HAVING id > 1",
                json!([[2, 1]]),
            ),
            (
                "SELECT id FROM a JOIN b USING (id) QUALIFY row_number() OVER (ORDER BY id DESC) = 1",
                json!([[6]]),
            ),
            (
                "SELECT * EXCEPT (at, text) FROM (SELECT id, at, text FROM a) AS a JOIN b USING (id) WHERE id = 1",
                json!([[1, 10, "x"]]),
            ),
            (&right, json!([[6], [7], [8], [9], [10], [11]])),
            (&full, json!([[7, 1], [8, 1], [9, 1], [10, 1]])),
            (&unseen, json!([[-7, "z"], [null, "n"], [null, "q"], [null, null]])),
        ],
    )
    .await;
    check_refused_in(
        lake,
        &[
            (
                "SELECT * FROM a FULL JOIN b USING (id)",
                &["ON l.id = r.id"],
            ),
            ("SELECT v FROM a NATURAL RIGHT JOIN b", &["ON l.id = r.id"]),
            (
                "SELECT id FROM a RIGHT JOIN b USING (id) JOIN a AS c USING (id)",
                &["ON l.id = r.id"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_the_left_decides_does_not_fail_on_the_right() {
    check_counts(&[
        ("id <> 2 AND 1 / (id - 2) < 0.4", 5),
        ("id = 2 OR 1 / (id - 2) > 0.4", 3),
        ("id % 2 = 1 AND id > 0 AND CAST(text AS INT) > 3", 4),
        ("NOT (id % 2 = 1 AND CAST(text AS INT) > 3)", 4),
        (
            "EXISTS (SELECT 1 FROM b WHERE b.id <> 2 AND 1 / (b.id - 2) = 1 AND b.id = a.id)",
            1,
        ),
        ("1 / (id - 2) < 0.4 AND id <> 2", 5),
    ])
    .await;
    check_refused_in(
        lake,
        &[(
            "SELECT count(*) FROM a WHERE 1 / (id - 2) < 0.4",
            &["division by zero"],
        )],
    )
    .await;
}

#[tokio::test]
async fn div_divides_first() {
    check_values(&[
        ("7 div 2.5", json!(2)),
        ("1.5 div 0.4", json!(3)),
        ("-7 div 2", json!(-3)),
        ("CAST(7.9 AS DECIMAL(5,1)) div 2", json!(3)),
        ("typeof(7 div 2.5)", json!("BIGINT")),
        ("NULL div 2", json!(null)),
        ("array(1, 2)[9223372036854775807]", json!(null)),
        ("'{\"a\":\"x\"}' ->> 'a' || 'b'", json!("xb")),
        ("'{\"a\":\"x\"}' ->> 'a' = 'x'", json!(true)),
        (
            "transform(array('{\"a\":1}'), x -> x ->> 'a' || 'b')",
            json!(["1b"]),
        ),
    ])
    .await;
    check_refused(&[
        ("SELECT 7 div 0", &["by zero"]),
        ("SELECT 'abc' SIMILAR TO 'a%'", &["RLIKE"]),
        ("SELECT 1 INTERSECT ALL SELECT 1", &["write INTERSECT"]),
    ])
    .await;
}
