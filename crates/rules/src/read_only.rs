//! The first of three walls around SQL: what a statement may be (the wire contract, section 2).
//!
//! Asked before a text reaches the engine; the second wall is on the plan, the third is a session that holds nothing
//! else. Promises: what is not on the list of allowed statements is refused, wherever in the text it hides; so are clauses
//! that the engine would overlook; and no text overflows the stack of the caller, whatever its size.
//! Not here: which tables and scalar functions exist, and every limit on what a query may cost.

mod dialect;
mod nesting;
mod overlooked;
mod place;
mod words;

use crate::{Error, Result};
use sqlparser::ast::{
    DescribeAlias, Expr, ObjectName, ObjectNamePart, Query, Select, SetExpr,
    Statement as SqlStatement, TableFactor, Visit, Visitor,
};
use sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use std::ops::ControlFlow;
use std::panic::catch_unwind;

pub use place::excerpt;

/// What kind of statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// `SELECT`, `WITH` or `VALUES`.
    Query,
    /// `EXPLAIN` of a query, with or without `ANALYZE`.
    Explain,
    /// `SHOW TABLES`.
    ShowTables,
    /// `SHOW COLUMNS`.
    ShowColumns,
    /// `DESCRIBE` of a table or a query.
    Describe,
}

const ALLOWED: &str = "only one read-only statement (SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES, SHOW COLUMNS, \
                       DESCRIBE) runs here";

/// What an allowed statement begins with, and words that are no keywords, whose place the parser reports.
const FIRST_WORDS: [Keyword; 9] = [
    Keyword::NoKeyword,
    Keyword::SELECT,
    Keyword::WITH,
    Keyword::VALUES,
    Keyword::FROM,
    Keyword::EXPLAIN,
    Keyword::DESCRIBE,
    Keyword::DESC,
    Keyword::SHOW,
];

/// The stack that parsing has, in bytes: the caller's where that much is left of it. The parser takes up to 100 KiB a level
/// in a debug build, and several of its recursions neither grow the stack nor count their depth; [`nesting`] bounds the
/// levels, this pays for them. The pages are only touched when they are needed.
const STACK_BYTES: usize = 16 << 20;

/// What an allowed text says.
#[derive(Debug)]
pub struct Parsed {
    pub kind: Statement,
    /// The tree that was judged, for a planner to run: nobody parses the text a second time in another way.
    pub tree: SqlStatement,
}

/// How names are read.
#[derive(Debug, Clone, Copy)]
pub enum Names<'a> {
    /// As they are written.
    Written,
    /// Without regard to ASCII case, as a lakehouse does: quoted names in lower case, for planners fold the others by
    /// themselves. A name spelled exactly like one of these stays as it is, quoted.
    Folded { exact: &'a [String] },
}

/// Says what kind of statement `sql` is, if it is exactly one read-only statement.
///
/// Comments and a trailing semicolon are fine.
///
/// # Errors
/// [`crate::Kind::Invalid`] with the reason: no statement or several, a statement or clause that is not read-only,
/// nesting beyond the limits, or a syntax error with its line and column.
pub fn inspect(sql: &str) -> Result<Statement> {
    parse(sql, Names::Written).map(|parsed| parsed.kind)
}

/// The tree of `sql`, if it is exactly one read-only statement.
///
/// # Errors
/// As [`inspect`].
pub fn parse(sql: &str, names: Names) -> Result<Parsed> {
    let parsed =
        catch_unwind(|| stacker::maybe_grow(STACK_BYTES, STACK_BYTES, || parse_here(sql, names)));
    parsed.unwrap_or_else(|_| Err(Error::invalid("the query cannot be parsed")))
}

fn parse_here(sql: &str, names: Names) -> Result<Parsed> {
    let dialect = dialect::Lakehouse;
    let mut tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| syntax_error(sql, error.into()))?;
    check_is_one(&tokens)?;
    check_first_word(&tokens)?;
    check_numbers(&tokens)?;
    write_div_as_sign(&mut tokens);
    name_functions(&mut tokens);
    nesting::check(&tokens)?;
    if let Names::Folded { exact } = names {
        fold(&mut tokens, exact);
    }
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let mut statements = parser
        .parse_statements()
        .map_err(|error| syntax_error(sql, error))?;
    // The parser stops at a stray END and ignores what follows.
    let rest = parser.peek_token_ref();
    if rest.token != Token::EOF {
        return Err(Error::invalid(format!(
            "the query goes on after its end{}",
            rest.span.start
        )));
    }
    let (Some(tree), true) = (statements.pop(), statements.is_empty()) else {
        return Err(Error::invalid(
            "one statement at a time: send the others on their own",
        ));
    };
    match tree.visit(&mut ReadOnly) {
        ControlFlow::Break(refused) => Err(*refused),
        ControlFlow::Continue(()) => Ok(Parsed {
            kind: kind(&tree)?,
            tree,
        }),
    }
}

/// `a div b` as `a // b`: the dialect knows this operator by its sign only. Where what follows can be no operand, `div` is
/// a name.
fn write_div_as_sign(tokens: &mut [TokenWithSpan]) {
    let mut is_operand = false;
    for at in 0..tokens.len() {
        match &tokens[at].token {
            Token::Whitespace(_) => {}
            Token::Word(word) if word.keyword == Keyword::DIV && is_operand => {
                if begins_operand(&tokens[at + 1..]) {
                    tokens[at].token = Token::DuckIntDiv;
                    is_operand = false;
                }
            }
            Token::Word(word) => is_operand = !is_between_operands(word.keyword),
            Token::RParen | Token::RBracket | Token::Number(..) | Token::SingleQuotedString(_) => {
                is_operand = true
            }
            _ => is_operand = false,
        }
    }
}

/// `exists(list, x -> …)` is a call: the word stands before a query otherwise.
fn name_functions(tokens: &mut [TokenWithSpan]) {
    for at in 0..tokens.len() {
        let (before, rest) = tokens.split_at_mut(at + 1);
        let Token::Word(word) = &mut before[at].token else {
            continue;
        };
        if word.keyword != Keyword::EXISTS {
            continue;
        }
        let rest = rest.iter().map(|token| &token.token);
        let mut rest = rest.filter(|token| !matches!(token, Token::Whitespace(_)));
        let is_open = rest.next() == Some(&Token::LParen);
        let is_query = match rest.next() {
            Some(Token::Word(word)) => matches!(
                word.keyword,
                Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::FROM | Keyword::TABLE
            ),
            Some(Token::LParen) | None => true,
            Some(_) => false,
        };
        if is_open && !is_query {
            word.keyword = Keyword::NoKeyword;
        }
    }
}

fn begins_operand(tokens: &[TokenWithSpan]) -> bool {
    let tokens = tokens.iter().map(|token| &token.token);
    let mut tokens = tokens.filter(|token| !matches!(token, Token::Whitespace(_)));
    match tokens.next() {
        Some(Token::Word(word)) => match word.keyword {
            Keyword::CASE => true,
            // Functions, too.
            Keyword::LEFT | Keyword::RIGHT => tokens.next() == Some(&Token::LParen),
            keyword => {
                !is_between_operands(keyword)
                    && !RESERVED_FOR_TABLE_ALIAS.contains(&keyword)
                    && !RESERVED_FOR_COLUMN_ALIAS.contains(&keyword)
            }
        },
        Some(
            Token::LParen
            | Token::Minus
            | Token::Plus
            | Token::Number(..)
            | Token::SingleQuotedString(_),
        ) => true,
        _ => false,
    }
}

/// Whether a keyword stands before or behind an operand, and is none.
fn is_between_operands(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::DISTINCT
            | Keyword::ALL
            | Keyword::FROM
            | Keyword::JOIN
            | Keyword::ON
            | Keyword::WHERE
            | Keyword::BY
            | Keyword::HAVING
            | Keyword::QUALIFY
            | Keyword::LIMIT
            | Keyword::AS
            | Keyword::CASE
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::BETWEEN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::ASC
            | Keyword::DESC
            | Keyword::NULLS
            | Keyword::ROWS
            | Keyword::RANGE
    )
}

/// Folds the names among the tokens; the keys of a path into JSON (`a:b.c[0].d`) are no names.
fn fold(tokens: &mut [TokenWithSpan], exact: &[String]) {
    /// Where in such a path the token at hand stands.
    #[derive(PartialEq)]
    enum Path {
        Outside,
        Key,
        AfterKey,
    }
    let mut path = Path::Outside;
    for token in tokens {
        path = match &mut token.token {
            Token::Whitespace(_) => continue,
            Token::Colon => Path::Key,
            Token::Word(_) if path == Path::Key => Path::AfterKey,
            Token::Period if path == Path::AfterKey => Path::Key,
            Token::LBracket
            | Token::RBracket
            | Token::Number(..)
            | Token::SingleQuotedString(_)
                if path != Path::Outside =>
            {
                Path::AfterKey
            }
            Token::Word(word) if exact.contains(&word.value) => {
                word.quote_style = Some('"');
                word.keyword = Keyword::NoKeyword;
                Path::Outside
            }
            Token::Word(word) if word.quote_style.is_some() => {
                word.value.make_ascii_lowercase();
                Path::Outside
            }
            _ => Path::Outside,
        };
    }
}

/// Refuses no statement and several, before anything is parsed.
fn check_is_one(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut words = tokens
        .iter()
        .map(|token| &token.token)
        .filter(|token| !matches!(token, Token::Whitespace(_) | Token::EOF))
        .skip_while(|token| **token == Token::SemiColon)
        .peekable();
    if words.peek().is_none() {
        return Err(Error::invalid(
            "the query is empty: send one statement, such as SELECT 1",
        ));
    }
    let mut after_first = words.skip_while(|token| **token != Token::SemiColon);
    if after_first.any(|token| *token != Token::SemiColon) {
        return Err(Error::invalid(
            "one statement at a time: send the others on their own",
        ));
    }
    Ok(())
}

/// Refuses by name what begins like another statement, even in a form that the parser does not know. What it does know is
/// judged by its tree.
fn check_first_word(tokens: &[TokenWithSpan]) -> Result<()> {
    let first = tokens.iter().find_map(|token| match &token.token {
        Token::Word(word) => Some(word),
        _ => None,
    });
    match first {
        Some(word) if !FIRST_WORDS.contains(&word.keyword) => {
            Err(*not_allowed(&word.value.to_uppercase()))
        }
        _ => Ok(()),
    }
}

/// Refuses `1_000`, which would be the number 1 called `_000`.
fn check_numbers(tokens: &[TokenWithSpan]) -> Result<()> {
    let split = tokens
        .windows(2)
        .find_map(|pair| match (&pair[0].token, &pair[1].token) {
            (Token::Number(number, _), Token::Word(rest)) if rest.quote_style.is_none() => rest
                .value
                .starts_with('_')
                .then(|| format!("{number}{}", rest.value)),
            _ => None,
        });
    match split {
        Some(number) => Err(Error::invalid(format!(
            "{number} is no number: write {}",
            number.replace('_', "")
        ))),
        None => Ok(()),
    }
}

fn syntax_error(sql: &str, error: ParserError) -> Error {
    match error {
        ParserError::TokenizerError(detail) | ParserError::ParserError(detail) => {
            Error::invalid(place::pointed(sql, &detail))
        }
        ParserError::RecursionLimitExceeded => {
            Error::invalid("the query nests too deeply: use fewer levels")
        }
    }
}

/// The kind of a statement at the top, default deny.
fn kind(statement: &SqlStatement) -> Result<Statement> {
    let is_describe = |alias| match alias {
        DescribeAlias::Describe | DescribeAlias::Desc => Statement::Describe,
        DescribeAlias::Explain => Statement::Explain,
    };
    match statement {
        SqlStatement::Query(_) => Ok(Statement::Query),
        SqlStatement::Explain {
            describe_alias,
            statement,
            ..
        } => match statement.as_ref() {
            SqlStatement::Query(_) => Ok(is_describe(*describe_alias)),
            _ => Err(Error::invalid("EXPLAIN explains queries only")),
        },
        // EXPLAIN of a table name is another way to write DESCRIBE.
        SqlStatement::ExplainTable { .. } => Ok(Statement::Describe),
        SqlStatement::ShowTables { .. } => Ok(Statement::ShowTables),
        SqlStatement::ShowColumns { .. } => Ok(Statement::ShowColumns),
        other => Err(*not_allowed(&first_word(other))),
    }
}

/// What the statement calls itself, for messages.
fn first_word(statement: &SqlStatement) -> String {
    let text = statement.to_string();
    text.split_whitespace().next().unwrap_or("this").to_owned()
}

fn not_allowed(what: &str) -> Box<Error> {
    Box::new(Error::invalid(format!("{what} is not allowed: {ALLOWED}")))
}

/// Walks the whole statement and breaks at the first thing that is not read-only.
struct ReadOnly;

impl Visitor for ReadOnly {
    type Break = Box<Error>;

    /// Statements hide in statements: a CTE or a set expression may hold an INSERT.
    fn pre_visit_statement(&mut self, statement: &SqlStatement) -> ControlFlow<Self::Break> {
        match statement {
            SqlStatement::Query(_)
            | SqlStatement::Explain { .. }
            | SqlStatement::ExplainTable { .. }
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. } => ControlFlow::Continue(()),
            other => ControlFlow::Break(not_allowed(&first_word(other))),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let refused = [
            (!query.locks.is_empty(), "FOR UPDATE or FOR SHARE"),
            (query.for_clause.is_some(), "FOR XML, JSON or BROWSE"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (holds_table_command(&query.body), "TABLE"),
        ];
        if let Some((_, what)) = refused.into_iter().find(|(is_there, _)| *is_there) {
            return ControlFlow::Break(not_allowed(what));
        }
        overlooked::in_query(query)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        match select.into {
            Some(_) => ControlFlow::Break(not_allowed("SELECT … INTO")),
            None => overlooked::in_select(select),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        overlooked::in_expr(expr)
    }

    /// A string where a table's name belongs is a file or an address in some engines.
    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<Self::Break> {
        let is_name = |part: &ObjectNamePart| {
            part.as_ident()
                .is_some_and(|ident| ident.quote_style != Some('\''))
        };
        if name.0.iter().all(is_name) {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Box::new(Error::invalid(
            "a string cannot stand for a table: write the table's name without quotes",
        )))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        overlooked::in_table(factor)?;
        let function = match factor {
            TableFactor::Table {
                name,
                args: Some(_),
                ..
            }
            | TableFactor::Function { name, .. } => name,
            TableFactor::TableFunction {
                expr: Expr::Function(function),
                ..
            } => &function.name,
            _ => return ControlFlow::Continue(()),
        };
        let last = function.0.last().and_then(ObjectNamePart::as_ident);
        match last.map(|ident| ident.value.to_lowercase()) {
            Some(name) if !reads_files(&name) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(Box::new(Error::invalid(format!(
                "table function {function} is not allowed: a query reads the organization's own tables only"
            )))),
        }
    }
}

/// Whether a table function of that lower-case name opens files or addresses in any engine known to have it. The
/// engine's own list of functions decides what exists; this one only gives the better message.
fn reads_files(name: &str) -> bool {
    name.starts_with("read_") || name.starts_with("parquet_") || name.ends_with("_scan")
}

/// Whether `TABLE name` stands for a query anywhere in a set expression. Subqueries are visited on their own.
fn holds_table_command(body: &SetExpr) -> bool {
    let mut left_to_see = vec![body];
    while let Some(body) = left_to_see.pop() {
        match body {
            SetExpr::Table(_) => return true,
            SetExpr::SetOperation { left, right, .. } => left_to_see.extend([left.as_ref(), right]),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests;
