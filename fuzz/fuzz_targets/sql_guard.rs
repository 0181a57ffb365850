//! The rule on statements: no text makes it panic or overflow, and what it accepts is one statement that only reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rules::Kind;
use rules::read_only::{Statement, inspect};
use sqlparser::ast::Statement as Parsed;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

fuzz_target!(|sql: &str| {
    let kind = match inspect(sql) {
        Ok(kind) => kind,
        Err(error) => {
            assert_eq!(error.kind(), &Kind::Invalid);
            assert!(!error.message().is_empty());
            return;
        }
    };
    // On a stack as large as sanitizers make the parser's frames.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 20);
        let thread = thread
            .spawn_scoped(scope, || check(sql, kind))
            .expect("a thread");
        thread
            .join()
            .expect("the statement is what it was said to be");
    });
});

fn check(sql: &str, kind: Statement) {
    let statements = Parser::parse_sql(&GenericDialect {}, sql).expect("it was parsed before");
    let [statement] = statements.as_slice() else {
        panic!("{} statements", statements.len());
    };
    let is_read = match statement {
        Parsed::Query(_) => kind == Statement::Query,
        Parsed::Explain { statement, .. } => {
            matches!(kind, Statement::Explain | Statement::Describe)
                && matches!(**statement, Parsed::Query(_))
        }
        Parsed::ExplainTable { .. } => kind == Statement::Describe,
        Parsed::ShowTables { .. } => kind == Statement::ShowTables,
        Parsed::ShowColumns { .. } => kind == Statement::ShowColumns,
        _ => false,
    };
    assert!(is_read, "{kind:?}: {statement}");
}
