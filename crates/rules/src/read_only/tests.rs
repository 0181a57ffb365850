use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

#[track_caller]
fn check(sql: &str, verdict: Expect) {
    let text = match inspect(sql) {
        Ok(statement) => format!("{statement:?}"),
        Err(error) => {
            assert_eq!(*error.kind(), crate::Kind::Invalid);
            format!("refused: {}", error.message().replace(ALLOWED, "…"))
        }
    };
    verdict.assert_eq(&text);
}

#[track_caller]
fn check_all(statements: &[&str], expected: Statement) {
    for sql in statements {
        match inspect(sql) {
            Ok(statement) => assert_eq!(statement, expected, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }
}

/// Every one is refused with a message that holds `word`.
#[track_caller]
fn check_refused(statements: &[&str], word: &str) {
    for sql in statements {
        let error = inspect(sql).expect_err(sql);
        assert!(error.message().contains(word), "{sql}: {error}");
    }
}

#[test]
fn queries_of_every_shape_run() {
    check_all(
        &[
            "SELECT 1",
            "select * from users;",
            "  -- a comment\n SELECT /* another; one */ 1 ;; -- the end; really",
            "WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a) SELECT * FROM a JOIN b USING (x)",
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n",
            "VALUES (1, 'a'), (2, 'b')",
            "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 3",
            "SELECT 'DELETE FROM users; DROP TABLE users'",
            "SELECT \"insert\", `update` FROM \"delete\"",
            "SELECT count(*) FILTER (WHERE a > 1) FROM t GROUP BY ROLLUP (b) HAVING count(*) > 1",
            "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t QUALIFY row_number() OVER (ORDER BY a) = 1",
            "SELECT * FROM generate_series(1, 10)",
            "SELECT * FROM unnest([1, 2, 3])",
            "SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.x = a.x) c",
        ],
        Statement::Query,
    );
}

#[test]
fn the_lakehouse_queries_people_write_run() {
    check_all(
        &[
            "SELECT DATE(created_at) AS day, COUNT(DISTINCT user_id) FROM conversations \
             WHERE created_at >= CURRENT_DATE - INTERVAL '7 days' GROUP BY DATE(created_at) ORDER BY day DESC",
            "SELECT u.first_name, COUNT(*) AS n FROM users u JOIN conversations c ON u.user_id = c.user_id \
             WHERE NOT c.is_finished AND u.email IS NOT NULL GROUP BY u.first_name HAVING COUNT(*) > 5",
            "SELECT get_json_object(preferences, '$.language') AS language, date_trunc('month', updated_at) FROM users",
            "SELECT CASE WHEN is_finished THEN 'done' ELSE 'open' END AS state, CAST(created_at AS DATE) FROM conversations",
            "SELECT name, version FROM agents WHERE (name LIKE 'A%' OR initials IN ('AB', 'CD')) AND version BETWEEN 1 AND 3",
        ],
        Statement::Query,
    );
}

#[test]
fn the_other_allowed_statements_run() {
    check_all(
        &[
            "EXPLAIN SELECT 1",
            "EXPLAIN ANALYZE SELECT * FROM t",
            "EXPLAIN VERBOSE WITH a AS (SELECT 1) SELECT * FROM a",
        ],
        Statement::Explain,
    );
    check_all(&["SHOW TABLES", "show tables;"], Statement::ShowTables);
    check_all(
        &["SHOW COLUMNS FROM users", "SHOW COLUMNS IN users"],
        Statement::ShowColumns,
    );
    check_all(
        &[
            "DESCRIBE users",
            "DESC users",
            "EXPLAIN users",
            "DESCRIBE SELECT 1",
        ],
        Statement::Describe,
    );
}

#[test]
fn writing_is_refused_by_name() {
    check(
        "INSERT INTO users VALUES (1)",
        expect!["refused: INSERT is not allowed: …"],
    );
    check(
        "update users set a = 1",
        expect!["refused: UPDATE is not allowed: …"],
    );
    check(
        "DELETE FROM users",
        expect!["refused: DELETE is not allowed: …"],
    );
    check(
        "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE",
        expect!["refused: MERGE is not allowed: …"],
    );
    check(
        "CREATE TABLE x (a INT)",
        expect!["refused: CREATE is not allowed: …"],
    );
    check("SHOW ALL", expect!["refused: SHOW is not allowed: …"]);
}

#[test]
fn everything_not_on_the_list_is_refused() {
    check_refused(
        &[
            "CREATE TABLE x AS SELECT 1",
            "CREATE VIEW v AS SELECT 1",
            "CREATE DATABASE d",
            "CREATE SCHEMA s",
            "CREATE FUNCTION f() RETURNS INT RETURN 1",
            "CREATE EXTENSION e",
            "DROP TABLE x",
            "TRUNCATE TABLE x",
            "ALTER TABLE x ADD COLUMN a INT",
            "SET x = 1",
            "RESET x",
            "USE d",
            "COPY x TO 'file'",
            "COPY x FROM 'file'",
            "GRANT SELECT ON x TO y",
            "REVOKE SELECT ON x FROM y",
            "BEGIN",
            "START TRANSACTION",
            "COMMIT",
            "ROLLBACK",
            "CALL f()",
            "EXECUTE p",
            "PREPARE p AS SELECT 1",
            "DEALLOCATE p",
            "DECLARE c CURSOR FOR SELECT 1",
            "KILL 1",
            "ANALYZE TABLE x",
            "VACUUM x",
            "OPTIMIZE TABLE x",
            "ATTACH DATABASE 'x' AS y",
            "LOAD 'x'",
            "INSTALL x",
            "PRAGMA x",
            "LOCK TABLES x READ",
            "SHOW DATABASES",
            "SHOW SCHEMAS",
            "SHOW FUNCTIONS",
            "SHOW VARIABLES",
            "SHOW CREATE TABLE x",
            "SHOW VIEWS",
            "LISTEN x",
            "CACHE TABLE x",
            "REPLACE INTO x VALUES (1)",
            "UNLOAD (SELECT 1) TO 's3://x'",
            "COMMENT ON TABLE x IS 'y'",
            "REFRESH x",
            "RENAME TABLE x TO y",
        ],
        "is not allowed",
    );
}

#[test]
fn a_write_inside_a_query_is_refused() {
    for sql in [
        "WITH w AS (DELETE FROM users RETURNING id) SELECT * FROM w",
        "WITH w AS (SELECT 1) DELETE FROM users",
    ] {
        check(sql, expect!["refused: DELETE is not allowed: …"]);
    }
    for sql in [
        "WITH w AS (INSERT INTO users VALUES (1) RETURNING id) SELECT * FROM w",
        "WITH w AS (SELECT 1) INSERT INTO users SELECT * FROM w",
        "SELECT * FROM (INSERT INTO users VALUES (1)) t",
        "SELECT 1 WHERE 1 IN (INSERT INTO users VALUES (1))",
        "(INSERT INTO users VALUES (1))",
        "EXPLAIN INSERT INTO users VALUES (1)",
        "EXPLAIN ANALYZE INSERT INTO users VALUES (1)",
        "DESCRIBE INSERT INTO users VALUES (1)",
    ] {
        check(sql, expect!["refused: INSERT is not allowed: …"]);
    }
    check(
        "WITH w AS (SELECT 1) UPDATE users SET a = 1",
        expect!["refused: UPDATE is not allowed: …"],
    );
    check(
        "EXPLAIN CREATE TABLE x AS SELECT 1",
        expect!["refused: CREATE is not allowed: …"],
    );
    check(
        "WITH w AS (SELECT 1) MERGE INTO a USING w ON a.x = w.x WHEN MATCHED THEN DELETE",
        expect!["refused: MERGE is not allowed: …"],
    );
}

#[test]
fn clauses_that_write_or_lock_are_refused() {
    check(
        "SELECT 1 INTO x",
        expect!["refused: SELECT … INTO is not allowed: …"],
    );
    check(
        "SELECT * FROM (SELECT * INTO x FROM y) t",
        expect!["refused: SELECT … INTO is not allowed: …"],
    );
    check(
        "SELECT * FROM x FOR UPDATE",
        expect!["refused: FOR UPDATE or FOR SHARE is not allowed: …"],
    );
    check(
        "SELECT * FROM (SELECT * FROM x FOR SHARE NOWAIT) t",
        expect!["refused: FOR UPDATE or FOR SHARE is not allowed: …"],
    );
    check(
        "SELECT * FROM x FOR XML AUTO",
        expect!["refused: FOR XML, JSON or BROWSE is not allowed: …"],
    );
    check(
        "SELECT * FROM x SETTINGS a = 1",
        expect!["refused: SETTINGS is not allowed: …"],
    );
    check(
        "SELECT * FROM x FORMAT CSV",
        expect!["refused: FORMAT is not allowed: …"],
    );
    check("TABLE x", expect!["refused: TABLE is not allowed: …"]);
    check(
        "SELECT 1 UNION TABLE x",
        expect!["refused: TABLE is not allowed: …"],
    );
}

#[test]
fn clauses_that_the_engine_would_overlook_are_refused() {
    check_refused(
        &[
            "SELECT count(*) FROM t TABLESAMPLE (10 PERCENT)",
            "SELECT count(*) FROM t TABLESAMPLE (2 ROWS)",
            "SELECT count(*) FROM (SELECT 1) AS s TABLESAMPLE (0 ROWS)",
            "SELECT * FROM a JOIN t TABLESAMPLE BERNOULLI (5) ON true",
            "SELECT count(*) FROM t SAMPLE 0.1",
            "SELECT x FROM t PREWHERE x = 1",
            "SELECT x FROM t START WITH x = 1 CONNECT BY PRIOR x = y",
            "SELECT x FROM t PARTITION (p0)",
            "SELECT * FROM t WITH ORDINALITY",
            "SELECT * FROM f(1) WITH ORDINALITY",
            "SELECT quantile(0.5)(x) FROM t",
            "SELECT * ILIKE 's%' FROM t",
            "SELECT t.* ILIKE 's%' FROM t",
            "SELECT g, count(*) FROM t GROUP BY g WITH TOTALS",
            "SELECT g FROM t GROUP BY ALL WITH ROLLUP",
            "SELECT g FROM t GROUP BY g WITH ROLLUP WITH CUBE",
            "SELECT (SELECT max(x) FROM t TABLESAMPLE (1 ROWS))",
            "SELECT a FROM t ORDER BY a WITH FILL",
            "FROM t",
            "SELECT a FROM t WHERE a SIMILAR TO 'a%'",
            "SELECT a NOT SIMILAR TO 'a%' FROM t",
            "SELECT a FROM t INTERSECT ALL SELECT a FROM u",
            "SELECT a FROM t UNION ALL (SELECT a FROM u EXCEPT ALL SELECT a FROM v)",
        ],
        "the engine does not know",
    );
    check_all(
        &[
            "SELECT g, count(*) FROM t GROUP BY g WITH ROLLUP",
            "SELECT g, h FROM t GROUP BY g, h GROUPING SETS ((g), (h))",
            "SELECT g FROM t GROUP BY ALL",
            "FROM t SELECT g",
            "SELECT a FROM t INTERSECT SELECT a FROM u UNION ALL SELECT a FROM v EXCEPT DISTINCT SELECT 1",
        ],
        Statement::Query,
    );
}

#[test]
fn a_number_is_written_without_underscores() {
    check_refused(
        &["SELECT 1_000", "SELECT x + 1_000_000 FROM t"],
        "is no number",
    );
    check_all(
        &["SELECT 1 _000", "SELECT x_1, t1_000 FROM t"],
        Statement::Query,
    );
}

#[test]
fn files_are_no_tables() {
    check_refused(
        &[
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM 'https://example.com/x.csv'",
            "SELECT * FROM a JOIN 'b' ON 1 = 1",
            "SELECT * FROM (SELECT * FROM 'x') t",
            "DESCRIBE 'x.parquet'",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM 'x')",
            "SHOW COLUMNS FROM 'x'",
            "SELECT * FROM a.'x.csv'",
        ],
        "",
    );
    check(
        "SELECT * FROM 'x'",
        expect![
            "refused: a string cannot stand for a table: write the table's name without quotes"
        ],
    );
    check(
        "SELECT * FROM read_csv('x')",
        expect![
            "refused: table function read_csv is not allowed: a query reads the organization's own tables only"
        ],
    );
    check_refused(
        &[
            "SELECT * FROM READ_PARQUET('x')",
            "SELECT * FROM a JOIN parquet_scan('x') ON true",
            "SELECT * FROM \"read_json\"('x')",
            "SELECT * FROM s.read_csv('x')",
            "SELECT * FROM LATERAL read_csv('x')",
            "SELECT * FROM TABLE(read_csv('x'))",
            "SELECT * FROM parquet_metadata('x')",
        ],
        "table function",
    );
}

#[test]
fn exactly_one_statement_runs() {
    for sql in [
        "",
        "  \n",
        ";",
        " ; ;",
        "-- only a comment",
        "/* only a comment */;",
    ] {
        check(
            sql,
            expect!["refused: the query is empty: send one statement, such as SELECT 1"],
        );
    }
    for sql in [
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE x",
        "; SELECT 1; SELECT 2;",
        "SELECT 1;;SELECT",
        "SELECT 1; )",
    ] {
        check(
            sql,
            expect!["refused: one statement at a time: send the others on their own"],
        );
    }
    check_all(
        &[
            "SELECT ';'",
            "SELECT 1 -- ; SELECT 2",
            "SELECT 1 /* ; */",
            ";SELECT 1",
        ],
        Statement::Query,
    );
}

#[test]
fn nothing_hides_behind_the_end() {
    for sql in [
        "SELECT 1 SELECT 2",
        "SELECT 1 END DROP TABLE x",
        "SELECT a FROM b END SELECT 2",
        "SHOW TABLES END DROP TABLE x",
    ] {
        assert!(inspect(sql).is_err(), "{sql}");
    }
    check(
        "SHOW TABLES END DROP TABLE x",
        expect!["refused: the query goes on after its end at Line: 1, Column: 13"],
    );
}

#[test]
fn syntax_errors_say_where() {
    check(
        "SELECT 1 FROM\nWHERE x (",
        expect![[r#"
            refused: the query has a syntax error in line 2, column 10: expected identifier, found the end of the query
            WHERE x (
                     ^"#]],
    );
    check(
        "SELECT a\nFROM b c d",
        expect![[r#"
            refused: the query has a syntax error in line 2, column 10: expected end of statement, found d
            FROM b c d
                     ^"#]],
    );
    check(
        "hello world",
        expect![[r#"
            refused: the query has a syntax error in line 1, column 1: expected an SQL statement, found hello
            hello world
            ^"#]],
    );
    check(
        "SELECT 'open",
        expect![[r#"
            refused: the query has a syntax error in line 1, column 8: Unterminated string literal
            SELECT 'open
                   ^"#]],
    );
    let long = inspect(&format!("SELECT 1 1{}", "x".repeat(50_000))).unwrap_err();
    assert!(
        long.message().chars().count() < 500,
        "{}",
        long.message().len()
    );
}

#[track_caller]
fn check_folded(sql: &str, folded: &str) {
    let exact = ["Tag".to_owned(), "tag".to_owned()];
    let parsed = parse(sql, Names::Folded { exact: &exact }).unwrap();
    assert_eq!(parsed.tree.to_string(), folded);
}

#[test]
fn div_is_an_operator_where_one_can_stand() {
    check_folded("SELECT 7 div 2, (a) DIV b", "SELECT 7 // 2, (a) // b");
    check_folded(
        "SELECT sum(x) div count(*), 7 div abs(-2), k div nullif(n, 0), k div year, k div value, 1 div left(a, 1)",
        "SELECT sum(x) // count(*), 7 // abs(-2), k // nullif(n, 0), k // year, k // value, 1 // left(a, 1)",
    );
    check_folded(
        "SELECT CASE WHEN a THEN 4 END div CASE WHEN a THEN 2 END",
        "SELECT CASE WHEN a THEN 4 END // CASE WHEN a THEN 2 END",
    );
    check_folded(
        "SELECT a AS div FROM t div LEFT JOIN u ON div.a = u.a WHERE a > 1 ORDER BY div DESC",
        "SELECT a AS div FROM t div LEFT JOIN u ON div.a = u.a WHERE a > 1 ORDER BY div DESC",
    );
    for sql in [
        "SELECT div, a AS div FROM t",
        "SELECT DISTINCT div FROM t WHERE div IS NULL AND div BETWEEN 1 AND 2",
    ] {
        check_folded(sql, sql);
    }
}

#[test]
fn names_fold_and_keys_of_json_do_not() {
    check_folded(
        "SELECT `User Id` AS \"Who\", Day FROM \"T\"",
        "SELECT `user id` AS \"who\", Day FROM \"t\"",
    );
    check_folded("SELECT Tag, TAG, `Tag`", "SELECT \"Tag\", TAG, \"Tag\"");
    check_folded(
        "SELECT `A`:`Key`.`Other`[0].Tag AS `B`, 'Tag' FROM t",
        "SELECT `a`:\"Key\".\"Other\"[0].Tag AS `b`, 'Tag' FROM t",
    );
}

/// Runs `inspect` with the stack a server's thread has.
#[track_caller]
fn check_small_stack(sql: String) -> Result<Statement> {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || inspect(&sql))
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn ordinary_bulk_is_allowed() {
    let items = |item: &str, times: usize| vec![item; times].join(", ");
    for sql in [
        format!("SELECT a FROM t WHERE a IN ({})", items("'x'", 10_000)),
        format!("VALUES {}", items("(1)", 10_000)),
        format!("SELECT {} FROM t", items("name", 300)),
        format!("SELECT 1 FROM t WHERE {}", vec!["a = 1"; 490].join(" AND ")),
        format!(
            "SELECT 1 FROM t WHERE {}",
            vec!["NOT a IS NOT NULL"; 240].join(" OR ")
        ),
        vec!["SELECT 1"; 400].join(" UNION ALL "),
        format!("SELECT {}1{}", "(".repeat(40), ")".repeat(40)),
        format!("SELECT * FROM {}t{}", "(".repeat(13), ")".repeat(13)),
        format!(
            "SELECT {}a{}",
            "replace(".repeat(40),
            ", 'x', 'y')".repeat(40)
        ),
        format!(
            "SELECT CASE {} END FROM t",
            vec!["WHEN a = 1 THEN 'x'"; 1_000].join(" ")
        ),
    ] {
        let start: String = sql.chars().take(60).collect();
        assert_eq!(
            check_small_stack(sql).map_err(|error| error.to_string()),
            Ok(Statement::Query),
            "{start}"
        );
    }
}

#[test]
fn deep_text_is_refused_with_the_number() {
    check(
        &format!("SELECT {}", vec!["a"; 20_001].join(" AND ")),
        expect!["refused: the query nests too deeply (20000 levels; the limit is 500)"],
    );
    check(
        &vec!["SELECT 1"; 5_000].join(" UNION ALL "),
        expect!["refused: the query nests too deeply (5000 levels; the limit is 500)"],
    );
}

#[test]
fn hostile_text_neither_overflows_nor_panics() {
    let chain = [
        "a AND ",
        "a + ",
        "a || ",
        "(",
        "[",
        "{",
        "{'a': ",
        "f(",
        "NOT ",
        "- ",
        "~ ",
        "+ ",
        "CASE ",
        "CASE WHEN a THEN ",
        "EXISTS (SELECT ",
        "a IN (SELECT ",
        "SELECT ",
        "FROM ",
        "SELECT * FROM (",
        "WITH a AS (",
        "SELECT 1 UNION ",
        "a.",
        "a:",
        "a::",
        "INTERVAL ",
        "CAST(",
        "ARRAY[",
        "ARRAY<",
        "CAST(x AS ARRAY<",
        "x::STRUCT<a ",
        "Nullable(",
        "EXPLAIN ",
        "DESCRIBE ",
        "BEGIN ",
        "IF a THEN ",
        "WHILE a ",
        "/*",
        "--",
        "'",
        "\"",
        "$$",
        "a -> ",
        "JOIN a ",
        "FROM a JOIN ",
        "VALUES (",
        "((",
        "POSITION(",
        "SUBSTRING(",
        "LATERAL (",
        "a BETWEEN 1 AND ",
        "a IS NULL ",
        "PRIOR ",
        "x y -> ",
        "EXTRACT(day FROM ",
        "MATCH_RECOGNIZE(PATTERN((",
        "PIVOT(",
        "OVER (",
        "a ? ",
        "\\",
        "\0",
        "é",
        "\u{202e}",
        "@",
        "#",
        "e'\\",
        "U&'\\",
        "0x",
        "1e",
        "q'",
        "N'",
        "b'",
        "`",
        "%",
        ";",
        "}",
        "]",
        ")",
        "END ",
        "t.case + ",
        "where * ",
        "TUPLE(",
        "UNION(",
        "MAP(",
        "GRANT ",
        "SET a = (",
        "INSERT INTO a ",
        "|> WHERE a ",
    ];
    for unit in chain {
        for start in [
            "",
            "SELECT ",
            "SELECT * FROM ",
            "SELECT * FROM t MATCH_RECOGNIZE(PATTERN (",
        ] {
            for length in [40, 400, 30_000] {
                let sql: String = start
                    .chars()
                    .chain(unit.chars().cycle())
                    .take(length)
                    .collect();
                let _ = check_small_stack(sql);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_panics(sql in any::<String>()) {
        let _ = inspect(&sql);
    }

    #[test]
    fn no_heap_of_words_writes(
        words in prop::collection::vec(prop::sample::select(&[
            "SELECT", "*", "1", "FROM", "t", "(", ")", "WITH", "a", "AS", "INSERT", "INTO", "VALUES", "(1)", "DELETE",
            "UPDATE", "SET", "x = 1", ",", ";", "EXPLAIN", "UNION", "WHERE", "'x'", "END", "FOR UPDATE", "TABLE", "DROP",
        ][..]), 0..12),
        times in prop::sample::select(&[1_usize, 20][..]),
    ) {
        let sql = vec![words.join(" "); times].join(" ");
        if inspect(&sql).is_ok() {
            let parsed = Parser::parse_sql(&dialect::Lakehouse, &sql).unwrap();
            let text = parsed.iter().map(ToString::to_string).collect::<Vec<_>>().join(";");
            prop_assert!(parsed.len() == 1);
            prop_assert!(!text.contains("INSERT INTO") && !text.contains("DELETE FROM") && !text.contains("DROP TABLE"), "{}", text);
        }
    }
}
