//! How deep a SQL text will nest, known from its tokens alone.
//!
//! [`inspect`](super::inspect) asks before it parses: dropping a deep syntax tree, and later planning it, overflows the
//! stack, and the parser's own limit does not see chains such as `a AND b AND …`, which nest to the left. Promises: one
//! pass, memory for the open brackets only, and a number that errs towards more (tested against the parser's own trees,
//! not proven); long flat lists cost nothing. Signs and `NOT` are not counted as levels, the parser itself takes at most
//! 50 of them.
//! Not here: grammar. A text that makes no sense gets some number and is refused by the parser.

use super::dialect::Lakehouse;
use super::words::{Meaning, is_literal, meaning, retries_before};
use crate::{Error, Result};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The most levels of a query. Planners overflow a 2 MiB stack from 1,500 on; people's queries have tens.
pub(super) const LEVELS_MAX: usize = 500;

/// The most brackets and CASEs open at one time; the parser's own limit lies just below.
const OPEN_MAX: usize = 50;

/// The most constructs within each other that the parser tries in two ways. On a text that it cannot parse each one
/// doubles its work; 14 of them take a fifth of a second at worst.
const RETRIES_MAX: usize = 14;

/// Operators that bind less tightly than this end what a prefix `NOT` or `INTERVAL` reaches over.
const PREFIX_PRECEDENCE: u8 = 15;

/// How tightly BETWEEN binds.
const BETWEEN_PRECEDENCE: u8 = 20;

/// How tightly IS NULL and NOT NULL bind.
const IS_PRECEDENCE: u8 = 17;

/// Refuses a text that nests more than [`LEVELS_MAX`] levels, [`OPEN_MAX`] brackets or [`RETRIES_MAX`] retries.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let levels = levels(tokens)?;
    if levels > LEVELS_MAX {
        return Err(Error::invalid(format!(
            "the query nests too deeply ({levels} levels; the limit is {LEVELS_MAX})"
        )));
    }
    Ok(())
}

/// An upper bound of the depth of the syntax tree, with a level for each join and set operation.
pub(super) fn levels(tokens: &[TokenWithSpan]) -> Result<usize> {
    let dialect = Lakehouse;
    // This parser only says how tightly each token would bind as an operator.
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec());
    let mut walk = Walk::default();
    loop {
        let precedence = parser.get_next_precedence().unwrap_or_default();
        parser.advance_token();
        let next = &parser.peek_token_ref().token;
        match &parser.get_current_token().token {
            Token::EOF => return Ok(walk.end()),
            token => walk.step(token, precedence, next)?,
        }
    }
}

/// One query or list of expressions: the whole text, or what stands between two brackets or `CASE` and `END`.
#[derive(Default)]
struct Frame {
    is_case: bool,
    /// UNION, EXCEPT, INTERSECT: each may nest one level deeper than the one before.
    set_operations: usize,
    /// Depth of the deepest finished SELECT of those.
    deepest_select: usize,
    /// Joined tables and pipe operators of the SELECT at hand, which chain too.
    joins: usize,
    /// Depth of the deepest finished expression of the SELECT at hand.
    deepest: usize,
    /// Operators of the expression at hand that wait for their right side: precedence and depth of the left side. Each
    /// binds tighter than the one before, so there are few.
    waiting: Vec<(u8, usize)>,
    /// Depth of the operand at hand.
    operand: usize,
    /// Within FROM, where a comma joins.
    is_from: bool,
    /// A type such as `STRUCT<a INT, b INT>` was seen, whose commas end no expression.
    is_typed: bool,
    /// Retries around this frame.
    retries: usize,
    /// A BETWEEN waits for its AND.
    is_between: bool,
    /// Retries open in the expression at hand, and in the name at hand.
    prefixes: usize,
    periods: usize,
}

impl Frame {
    /// Completes the waiting operators that bind at least as tightly as `precedence`.
    fn reduce(&mut self, precedence: u8) {
        while let Some((_, left)) = self.waiting.pop_if(|(waiting, _)| *waiting >= precedence) {
            self.operand = self.operand.max(left) + 1;
        }
    }

    fn operator(&mut self, precedence: u8) {
        self.reduce(precedence);
        self.waiting.push((precedence, self.operand));
        self.operand = 0;
        if precedence < PREFIX_PRECEDENCE {
            self.prefixes = 0;
        }
    }

    /// An operator that is complete without an operand on its right, so that whatever follows takes it for its left side.
    fn postfix(&mut self, precedence: u8) {
        self.reduce(precedence);
        self.operand += 1;
    }

    /// The AND of a BETWEEN, which separates two operands of one operator.
    fn between_and(&mut self) {
        self.is_between = false;
        self.reduce(BETWEEN_PRECEDENCE + 1);
        match self.waiting.last_mut() {
            Some((_, left)) => *left = self.operand.max(*left),
            None => return self.operator_or_name(),
        }
        self.operand = 0;
    }

    /// What may be an operator or a name. Whichever it is, the tree is not deeper than all so far with the rest on top.
    fn operator_or_name(&mut self) {
        self.is_between = false;
        let around = self.waiting.len();
        self.reduce(0);
        self.operand += around + 1;
    }

    fn end_expression(&mut self) {
        self.reduce(0);
        self.deepest = self.deepest.max(self.operand);
        self.operand = 0;
        self.prefixes = 0;
        self.is_between = false;
    }

    fn end_select(&mut self) {
        self.end_expression();
        self.deepest_select = self.deepest_select.max(self.deepest + self.joins);
        self.deepest = 0;
        self.joins = 0;
        self.is_from = false;
    }

    fn depth(mut self) -> usize {
        self.end_select();
        self.deepest_select + self.set_operations
    }
}

/// What came before the token at hand. SQL reserves next to nothing: the parser takes `where + and` for a sum of two
/// columns, so a word is a keyword only where a name cannot stand.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Before {
    /// Nothing: a comma or a bracket just opened.
    #[default]
    Start,
    /// A complete operand: here an operator is an operator and a keyword a keyword.
    Operand,
    /// An operator: here every word is an operand or begins one.
    Operator,
    /// A period: here every word is a name.
    Period,
    /// A word that may be a keyword or a name.
    Unknown,
}

/// The frames around the token at hand, outermost first, and what came just before it.
#[derive(Default)]
struct Walk {
    outer: Vec<Frame>,
    frame: Frame,
    before: Before,
    /// In how many ways more than one the parser would try a bracket here.
    retries: usize,
}

impl Walk {
    fn step(&mut self, token: &Token, precedence: u8, next: &Token) -> Result<()> {
        let retries = std::mem::take(&mut self.retries);
        let is_name_going_on = matches!(token, Token::Period | Token::LParen | Token::LBracket);
        if !is_name_going_on && self.before != Before::Period {
            self.frame.periods = 0;
        }
        self.before = match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                self.open(retries, false)?;
                // What a bracket is tried as, one directly within it is tried as too.
                self.retries = usize::from(retries > 0);
                Before::Start
            }
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Comma => self.comma(),
            Token::Period => {
                self.frame.periods += 1;
                self.check_retries(0)?;
                Before::Period
            }
            Token::VerticalBarRightAngleBracket => {
                self.frame.joins += 1;
                Before::Unknown
            }
            Token::Word(word) if word.quote_style.is_some() => Before::Operand,
            Token::Word(word) => {
                self.retries = retries_before(word.keyword);
                self.prefix_word(word.keyword, precedence, next)?;
                match self.before {
                    Before::Period => Before::Operand,
                    _ => self.word(word.keyword, precedence),
                }
            }
            _ if precedence > 0 => self.symbol(token, precedence),
            _ if is_literal(token) => Before::Operand,
            _ => Before::Unknown,
        };
        Ok(())
    }

    fn symbol(&mut self, token: &Token, precedence: u8) -> Before {
        match self.before {
            // A path into JSON.
            Before::Operand if *token == Token::Colon => self.frame.postfix(precedence),
            Before::Operand => self.frame.operator(precedence),
            Before::Unknown => self.frame.operator_or_name(),
            // A sign, or the star of `count(*)`.
            Before::Start | Before::Operator | Before::Period => {}
        }
        // After `SELECT *` and `ARRAY<INT>` a keyword is a keyword.
        let is_star = *token == Token::Mul && self.before != Before::Operand;
        let is_end_of_type = self.frame.is_typed && matches!(token, Token::Gt | Token::ShiftRight);
        match is_star || is_end_of_type {
            true => Before::Unknown,
            false => Before::Operator,
        }
    }

    /// Opens what a word before an expression opens. The parser tries these words so wherever they stand, even in `t.case`.
    fn prefix_word(&mut self, word: Keyword, precedence: u8, next: &Token) -> Result<()> {
        match meaning(word) {
            Meaning::Case => self.open(1, true),
            Meaning::Type if *next == Token::Lt => {
                self.frame.is_typed = true;
                self.prefix()
            }
            Meaning::Interval if !is_literal(next) => self.prefix(),
            Meaning::Not if precedence == 0 || self.before != Before::Operand => self.prefix(),
            _ => Ok(()),
        }
    }

    fn word(&mut self, word: Keyword, precedence: u8) -> Before {
        if precedence > 0 {
            return self.symbol_word(word, precedence);
        }
        match (meaning(word), self.before) {
            (Meaning::Name, _) => Before::Operand,
            (Meaning::SetOperation, _) => self.set_operation(),
            (Meaning::Table, _) => self.table(word),
            (Meaning::Clause, Before::Operator) => Before::Operand,
            (Meaning::End, Before::Operand) if self.frame.is_case => {
                self.close_one();
                Before::Operand
            }
            (Meaning::Clause, Before::Operand) => {
                self.frame.end_expression();
                self.frame.is_from &= matches!(word, Keyword::ON | Keyword::USING);
                Before::Unknown
            }
            (Meaning::Ends, Before::Operator | Before::Operand | Before::Unknown) => {
                self.frame.operator_or_name();
                Before::Unknown
            }
            _ => Before::Unknown,
        }
    }

    /// AND, IS, LIKE and the like; where no operator can stand they are names.
    fn symbol_word(&mut self, word: Keyword, precedence: u8) -> Before {
        match self.before {
            // NOT IN, NOT LIKE, NOT BETWEEN: the next word is the operator.
            Before::Operand if word == Keyword::NOT && precedence != IS_PRECEDENCE => {
                Before::Operand
            }
            Before::Operand if matches!(word, Keyword::IS | Keyword::IN | Keyword::NOT) => {
                self.frame.postfix(precedence);
                Before::Operator
            }
            Before::Operand if word == Keyword::AND && self.frame.is_between => {
                self.frame.between_and();
                Before::Operator
            }
            // `NOT between` may be either.
            Before::Start | Before::Operator if word == Keyword::NOT => Before::Unknown,
            Before::Start | Before::Operator | Before::Period => Before::Operand,
            Before::Operand => {
                self.frame.operator(precedence);
                self.frame.is_between = word == Keyword::BETWEEN;
                Before::Operator
            }
            Before::Unknown => {
                self.frame.operator_or_name();
                Before::Unknown
            }
        }
    }

    fn set_operation(&mut self) -> Before {
        self.frame.set_operations += 1;
        if self.before == Before::Operand {
            self.frame.end_select();
        }
        Before::Unknown
    }

    /// FROM or JOIN.
    fn table(&mut self, word: Keyword) -> Before {
        self.frame.joins += usize::from(word != Keyword::FROM);
        self.frame.is_from = true;
        if self.before == Before::Operand {
            self.frame.end_expression();
        }
        Before::Unknown
    }

    fn comma(&mut self) -> Before {
        // No comma stands in a CASE: what was open is a column of that name.
        while self.frame.is_case && !self.frame.is_typed {
            self.close_one();
        }
        self.frame.joins += usize::from(self.frame.is_from);
        self.retries = usize::from(self.frame.is_from);
        if self.frame.is_typed {
            return Before::Unknown;
        }
        self.frame.end_expression();
        Before::Start
    }

    fn prefix(&mut self) -> Result<()> {
        self.frame.prefixes += 1;
        self.check_retries(0)
    }

    fn check_retries(&self, more: usize) -> Result<()> {
        let Frame {
            retries,
            prefixes,
            periods,
            ..
        } = self.frame;
        if retries + prefixes + periods + more > RETRIES_MAX {
            return Err(Error::invalid(format!(
                "the query nests too deeply (more than {RETRIES_MAX} of CASE, CAST, NOT, subqueries and the like within \
                 each other)"
            )));
        }
        Ok(())
    }

    fn open(&mut self, retries: usize, is_case: bool) -> Result<()> {
        if self.outer.len() >= OPEN_MAX {
            return Err(Error::invalid(format!(
                "the query nests too deeply (more than {OPEN_MAX} brackets within each other)"
            )));
        }
        self.check_retries(retries)?;
        let inner = Frame {
            is_case,
            retries: self.frame.retries + self.frame.prefixes + self.frame.periods + retries,
            ..Frame::default()
        };
        self.outer.push(std::mem::replace(&mut self.frame, inner));
        Ok(())
    }

    /// Closes the innermost bracket, whatever its kind, and every CASE left open in it.
    fn close(&mut self) -> Before {
        while self.frame.is_case {
            self.close_one();
        }
        self.close_one();
        Before::Operand
    }

    fn close_one(&mut self) {
        let Some(outer) = self.outer.pop() else {
            return;
        };
        let mut inner = std::mem::replace(&mut self.frame, outer);
        if inner.is_case {
            // A CASE has none of its own: it is a column or table of that name, and they go on around it.
            self.frame.set_operations += std::mem::take(&mut inner.set_operations);
            self.frame.joins += std::mem::take(&mut inner.joins);
        }
        // What a bracket follows becomes its first part: f(x), a[1][2], t PIVOT (…) PIVOT (…).
        self.frame.operand = (self.frame.operand + 1).max(inner.depth() + 1);
    }

    fn end(mut self) -> usize {
        while !self.outer.is_empty() {
            self.close_one();
        }
        self.frame.depth()
    }
}

#[cfg(test)]
mod tests;
