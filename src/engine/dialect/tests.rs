use rules::read_only::{self, Names};

use super::*;

fn rewritten(sql: &str) -> Result<String> {
    let mut tree = read_only::parse(sql, Names::Written)?.tree;
    rewrite(&mut tree)?;
    Ok(tree.to_string())
}

#[track_caller]
fn check(sql: &str, expected: &str) {
    assert_eq!(
        rewritten(&format!("SELECT {sql}")).unwrap(),
        format!("SELECT {expected}")
    );
}

#[track_caller]
fn check_refused(sql: &str, instead: &str) {
    let error = rewritten(&format!("SELECT {sql}")).unwrap_err();
    assert!(error.message().contains(instead), "{sql}: {error}");
}

#[test]
fn calls_take_the_engines_words() {
    check(
        "count_if(a > 1) OVER (ORDER BY b)",
        "count(CASE WHEN a > 1 THEN 1 END) OVER (ORDER BY b)",
    );
    check("YEAR(created_at)", "date_part('year', created_at)");
    check("datediff(DAY, a, b)", "timestampdiff('DAY', a, b)");
    check("datediff(a, b)", "datediff(a, b)");
    check("dateadd(MONTH, -1, a)", "(a + make_interval(0, -1))");
    check("date_add(a, 1)", "date_add(date(a), CAST(1 AS INT))");
    check("string(a)", "CAST(a AS STRING)");
    check("log(a), log(2, a)", "ln(a), log(2, a)");
    check("array_remove(a, 1)", "array_remove_all(a, 1)");
    check("array_sort(a)", "array_sort(a, 'ASC', 'NULLS LAST')");
    check(
        "a, f(b) FROM t ORDER BY ALL DESC",
        "a, f(b) FROM t ORDER BY 1 DESC, 2 DESC",
    );
    check(
        "* EXCEPT (aB) FROM t ORDER BY ALL",
        "* EXCEPT (ab) FROM t ORDER BY ALL",
    );
    check(
        "max_by(a, b)",
        "first_value(a ORDER BY b DESC) FILTER (WHERE b IS NOT NULL)",
    );
    check("first(a, true)", "first(a) IGNORE NULLS");
    check(
        "regexp_replace(a, 'b', 'c')",
        "regexp_replace(a, 'b', 'c', 'g')",
    );
    check("to_date(a, 'yyyy')", "date(parse_timestamp(a, 'yyyy'))");
    check("a NOT RLIKE 'x'", "NOT regexp_like(a, 'x')");
    check("INTERVAL 7 DAY", "INTERVAL '7' DAY");
    check("a - INTERVAL b DAY", "a - make_interval(0, 0, 0, b)");
}

#[test]
fn arguments_stand_where_the_engine_looks_for_them() {
    check("mod(a + 1, b)", "((a + 1) % (b))");
    check("ltrim('x', a)", "ltrim(a, 'x')");
    check("array_prepend(a, 1)", "array_prepend(1, a)");
    check("try_to_timestamp(a)", "TRY_CAST(a AS TIMESTAMP)");
    check(
        "try_to_date(a, 'yyyy')",
        "date(try_to_timestamp(a, 'yyyy'))",
    );
    check("f(a).b.c", "f(a)['b']['c']");
    check("unix_timestamp()", "unix_seconds(now())");
}

#[test]
fn constants_are_read_as_people_write_them() {
    check(r"a RLIKE r'\d'", r"regexp_like(a, '\d')");
    check(
        "regexp_replace(a, 'b', '$1_')",
        "regexp_replace(a, 'b', '${1}_', 'g')",
    );
    check(
        "CAST('2026-01-31 10:00' AS TIMESTAMP)",
        "CAST('2026-01-31 10:00:00' AS TIMESTAMP)",
    );
    check_refused(r"a ~ '\\d'", r"write \d");
    check_refused("a AT TIME ZONE 'Nowhere'", "no time zone");
    check_refused("extract(EPOCH FROM a)", "unix_timestamp");
    check_refused("collect_list(a ORDER BY b)", "array_agg");
}

#[test]
fn what_stands_behind_a_group_by_is_an_expression() {
    check(
        "a FROM t GROUP BY a, b WITH ROLLUP",
        "a FROM t GROUP BY ROLLUP (a, b)",
    );
    check(
        "a FROM t GROUP BY a WITH CUBE",
        "a FROM t GROUP BY CUBE (a)",
    );
    check(
        "a FROM t GROUP BY a, b GROUPING SETS ((a), ())",
        "a FROM t GROUP BY GROUPING SETS ((a), ())",
    );
}

#[test]
fn the_colon_is_a_path_into_json() {
    check(
        "a:b.c[0].d::INT",
        "get_json_object(a, '$[''b''][''c''][0][''d'']')::INT",
    );
    check("a:['b c'][*]", "get_json_object(a, '$[''b c''][*]')");
}

#[test]
fn the_arrow_of_a_lambda_is_no_operator_of_json() {
    let sql = "SELECT transform(a, x -> x + 1), filter(a, x -> x IS NOT NULL AND x > 2), b -> 'c'";
    let mut tree = read_only::parse(sql, Names::Written).unwrap().tree;
    rewrite(&mut tree).unwrap();
    let shown = tree.to_string();
    assert!(shown.contains("array_transform(a, x -> x + 1)"), "{shown}");
    assert!(
        shown.contains("array_filter(a, x -> x IS NOT NULL AND x > 2)"),
        "{shown}"
    );
    assert!(
        format!("{tree:?}").matches("LambdaFunction").count() >= 2,
        "{tree:?}"
    );
}

#[test]
fn a_list_is_unnested_beside_its_table() {
    let unnested = "x FROM (SELECT *, unnest(t.list) AS x FROM t) AS t WHERE x > 1";
    check(
        "v.x FROM t LATERAL VIEW explode(t.list) v AS x WHERE v.x > 1",
        unnested,
    );
    check("x FROM t, unnest(t.list) AS v(x) WHERE x > 1", unnested);
    check(
        "v.k FROM t LATERAL VIEW explode(t.m) v AS k, x",
        "k FROM (SELECT * EXCEPT (\"in map\"), \"in map\"['key'] AS k, \"in map\"['value'] AS x FROM (SELECT *, \
         unnest(map_entries(t.m)) AS \"in map\" FROM t) AS t) AS t",
    );
    check(
        "x FROM t CROSS JOIN unnest(t.list) AS v(x) WHERE x > 1",
        unnested,
    );
    check(
        "x FROM t CROSS JOIN unnest(array(1)) AS v(x)",
        "x FROM t CROSS JOIN UNNEST(array(1)) AS v (x)",
    );
    check_refused(
        "x FROM t LATERAL VIEW posexplode(list) v AS i, x",
        "LATERAL VIEW posexplode is not there",
    );
    check_refused(
        "x FROM t JOIN u ON true LATERAL VIEW explode(list) v AS x",
        "one table",
    );
}

#[test]
fn a_column_of_using_is_the_one_that_is_there() {
    check(
        "id FROM a JOIN b USING (id) WHERE id = 1 AND EXISTS (SELECT id FROM c)",
        "a.id FROM a JOIN b USING(id) WHERE a.id = 1 AND EXISTS (SELECT id FROM c)",
    );
    check(
        "id FROM a x RIGHT JOIN b y USING (id) ORDER BY id, f(id)",
        "y.id FROM a x RIGHT JOIN b y USING(id) ORDER BY id, f(id)",
    );
    check(
        "v, count(*) AS id FROM a FULL JOIN b USING (id) GROUP BY v HAVING id > 1",
        "v, count(*) AS id FROM a FULL JOIN b USING(id) GROUP BY v HAVING id > 1",
    );
    check(
        "v FROM a FULL JOIN b USING (id) JOIN c ON c.x = id ORDER BY id",
        "v FROM a FULL JOIN b USING(id) JOIN c ON c.x = coalesce(a.id, b.id) ORDER BY coalesce(a.id, b.id)",
    );
    check_refused("* FROM a RIGHT JOIN b USING (id)", "coalesce");
    check_refused("a FROM a NATURAL FULL JOIN b", "write ON");
    check_refused(
        "a FROM x JOIN (a RIGHT JOIN b USING (id)) ON true",
        "write ON",
    );
}

#[test]
fn what_cannot_be_had_names_what_to_write_instead() {
    check_refused("from_json(a, 'b INT').b", "get_json_object");
    check_refused("posexplode(a)", "unnest");
    check_refused("dateadd(FORTNIGHT, 1, a)", "DAY");
    check_refused("INTERVAL '1-2' YEAR TO MONTH", "sum");
}
