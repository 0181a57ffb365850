use super::*;
use proptest::prelude::*;
use sqlparser::ast::{Expr, Query, SetExpr, Statement, Visit, Visitor};
use sqlparser::tokenizer::Tokenizer;
use std::ops::ControlFlow;

fn tokens(sql: &str) -> Vec<TokenWithSpan> {
    Tokenizer::new(&Lakehouse, sql)
        .tokenize_with_location()
        .unwrap()
}

fn count(sql: &str) -> usize {
    levels(&tokens(sql)).unwrap()
}

#[track_caller]
fn check_refused(sql: &str, reason: &str) {
    let error = check(&tokens(sql)).unwrap_err();
    assert_eq!(error.message(), reason);
}

/// The depth of the deepest expression or set operation of a syntax tree, as the tree has it.
#[derive(Default)]
struct Depth {
    now: usize,
    deepest: usize,
}

impl Depth {
    fn of(statements: &Vec<Statement>) -> usize {
        let mut depth = Self::default();
        let _ = statements.visit(&mut depth);
        depth.deepest
    }
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.now += 1;
        self.deepest = self.deepest.max(self.now);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.now -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut chain = 0;
        let mut body = query.body.as_ref();
        while let SetExpr::SetOperation { left, .. } = body {
            chain += 1;
            body = left;
        }
        self.deepest = self.deepest.max(self.now + chain);
        ControlFlow::Continue(())
    }
}

/// Runs `work` with more stack than any tree of these tests needs, so that what is tested is the count and not luck.
fn with_much_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(512 << 20)
            .spawn_scoped(scope, work)
            .unwrap()
            .join()
            .unwrap()
    })
}

#[test]
fn a_chain_counts_its_operators() {
    for operator in [
        "AND",
        "OR",
        "+",
        "||",
        "*",
        "=",
        "->",
        "IS DISTINCT FROM",
        "LIKE",
        "% 1 +",
    ] {
        let chain = vec!["a"; 301].join(&format!(" {operator} "));
        let levels = count(&format!("SELECT {chain}"));
        assert!((300..=1000).contains(&levels), "{operator}: {levels}");
    }
}

#[test]
fn postfix_chains_count_too() {
    for unit in [
        "::int",
        "[1]",
        " IS NULL",
        " AT TIME ZONE 'UTC'",
        "::int[]",
        ":b",
        "::STRUCT<a INT, b INT>",
    ] {
        let levels = count(&format!("SELECT a{} FROM t", unit.repeat(10)));
        assert!(levels >= 10, "{unit}: {levels}");
    }
    assert!(
        count(&format!(
            "SELECT * FROM t{}",
            " PIVOT(sum(a) FOR b IN (1))".repeat(40)
        )) >= 40
    );
    assert!(count(&format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(40))) >= 40);
    assert!(
        count(&format!(
            "SELECT 1 FROM a{}",
            " JOIN b ON a.x = b.x".repeat(40)
        )) >= 40
    );
    assert!(count(&format!("SELECT 1 FROM a{}", ", b".repeat(40))) >= 40);
    assert!(count(&format!("FROM t{}", " |> WHERE a".repeat(40))) >= 40);
}

#[test]
fn flat_lists_do_not_nest() {
    let items = |item: &str, times: usize| vec![item; times].join(", ");
    for sql in [
        format!("SELECT a FROM t WHERE a IN ({})", items("'x'", 10_000)),
        format!("VALUES {}", items("(1, 'a', -2.5)", 10_000)),
        format!("SELECT {} FROM t", items("t.a + 1 AS a", 300)),
        format!(
            "SELECT {} FROM t",
            items("CAST(name AS text) || '-' AS status", 300)
        ),
        format!(
            "SELECT {} FROM t",
            items("CASE WHEN a > 0 THEN 'x' ELSE NULL END", 300)
        ),
        format!(
            "SELECT CASE {} END",
            vec!["WHEN a = 1 THEN 'x'"; 300].join(" ")
        ),
        format!("SELECT coalesce({})", items("max(a) - min(b)", 1_000)),
    ] {
        let levels = count(&sql);
        assert!(levels < 20, "{levels}: {}…", &sql[..60]);
    }
}

#[test]
fn looser_operators_share_their_operands_depth() {
    let filter = vec!["t.a = 1 AND b LIKE 'x%' AND c IS NOT NULL AND d > -1"; 80].join(" AND ");
    let levels = count(&format!("SELECT * FROM t WHERE {filter}"));
    assert!((320..=LEVELS_MAX).contains(&levels), "{levels}");
}

#[test]
fn clauses_do_not_add_up() {
    let chain = vec!["a = 1"; 200].join(" AND ");
    let sql = format!("SELECT x FROM t JOIN u ON {chain} WHERE {chain} GROUP BY x HAVING {chain}");
    let levels = count(&format!("{sql} UNION ALL {sql}"));
    assert!(levels < 250, "{levels}");
}

#[test]
fn beyond_the_limits_the_reason_is_named() {
    check_refused(
        &format!("SELECT {}", vec!["a"; 601].join(" AND ")),
        "the query nests too deeply (600 levels; the limit is 500)",
    );
    check_refused(
        &format!("SELECT {}1", "f(".repeat(51)),
        "the query nests too deeply (more than 50 brackets within each other)",
    );
    check_refused(
        &format!("SELECT {}1", "CAST(".repeat(15)),
        "the query nests too deeply (more than 14 of CASE, CAST, NOT, subqueries and the like within each other)",
    );
}

#[test]
fn words_that_stand_for_names_do_not_hide_a_chain() {
    for operand in [
        "where",
        "t.where",
        "and",
        "or",
        "t.and",
        "t.case",
        "t.end",
        "end",
        "from",
        "union",
        "t.union",
        "join",
        "as",
        "group",
        "on",
        "distinct",
        "is",
        "in",
        "then",
        "by",
        "null",
        "\"where\"",
        "`and`",
        "values",
        "except",
        "t.is",
        "-where",
        "(where)",
        "f(where)",
        "where::int",
        "where[1]",
        "name",
        "'a'",
        "$1",
        ":where",
        "date '2020-01-01'",
        "interval '1 day'",
        "x::struct<a int, b int>",
        "array[1, 2]",
        "{'a': 1}",
        "@where",
        "x at time zone 'UTC'",
        "case when t.end then 1 else 2 end",
        "case end when where then and end",
        "like",
        "limit",
        "with",
        "set",
    ] {
        for operator in [
            "+",
            "*",
            "||",
            "AND",
            "=",
            "OR",
            "IS DISTINCT FROM",
            "LIKE",
            "->",
            "XOR",
            "^",
            "&",
        ] {
            let chain = vec![operand; 400].join(&format!(" {operator} "));
            check_bound(&format!("SELECT {chain}"));
        }
    }
}

/// The count is at least the depth of the tree, less what the parser bounds itself: signs and NOTs.
#[track_caller]
fn check_bound(sql: &str) {
    with_much_stack(|| {
        let Ok(levels) = levels(&tokens(sql)) else {
            return;
        };
        let Ok(statements) = Parser::parse_sql(&Lakehouse, sql) else {
            return;
        };
        let depth = Depth::of(&statements);
        assert!(
            depth <= levels + 52,
            "depth {depth}, counted {levels}: {sql}"
        );
    });
}

const PIECES: &[&str] = &[
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    ",",
    ",",
    "a",
    "b",
    "1",
    "'x'",
    "+",
    "-",
    "*",
    "AND",
    "OR",
    "NOT",
    "=",
    "<",
    "IS NULL",
    "IS NOT NULL",
    "IS DISTINCT FROM",
    "||",
    "::int",
    "BETWEEN 1 AND 2",
    "IN (1, 2)",
    "NOT IN (1)",
    "NOT BETWEEN",
    "BETWEEN",
    "= ANY(b)",
    ". a",
    "LIKE 'x'",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CASE WHEN a THEN b END",
    ".where",
    ".and",
    ".end",
    ".case",
    "where",
    "and",
    "from",
    "end",
    "case",
    "union",
    "on",
    "distinct",
    "by",
    "SELECT",
    "FROM",
    "WHERE",
    "UNION ALL SELECT",
    "EXCEPT SELECT",
    "JOIN b",
    "ON",
    "f(a)",
    "f(",
    "ARRAY[1]",
    "STRUCT<a INT, b INT>",
    "::STRUCT<a INT, b INT>",
    "[1]",
    "{'a': 1}",
    "->",
    "AS c",
    "INTERVAL '1' DAY",
    "GROUP BY",
    "ORDER BY",
    "LIMIT 1",
    "name",
    "type",
    "OVER (PARTITION BY a)",
    "COLLATE c",
    "PRIOR",
    "XOR",
    "~",
    "^",
    "&",
    "|",
    "EXISTS (SELECT 1)",
    "AT TIME ZONE 'x'",
    "FILTER (WHERE a)",
    "ESCAPE 'x'",
    ":b",
    "date",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_count_bounds_the_depth_of_whatever_parses(
        start in prop::sample::select(vec!["SELECT ", "SELECT a FROM b WHERE ", "VALUES (1, "]),
        unit in prop::collection::vec(prop::sample::select(PIECES), 1..6),
        operator in prop::sample::select(vec!["+", "AND", "*", ",", "", "=", "UNION ALL SELECT"]),
        times in prop::sample::select(vec![1_usize, 2, 12, 45, 200]),
        tail in prop::sample::select(vec!["", "a", "1)", "END"]),
    ) {
        let unit = unit.join(" ");
        check_bound(&format!("{start}{}{tail}", format!("{unit} {operator} ").repeat(times)));
        check_bound(&format!("{start}a {operator} {}", vec![unit.as_str(); times].join(&format!(" {operator} "))));
    }
}
