//! What the parser's keywords mean to the count of levels.
//!
//! Read by [`nesting`](super::nesting). A word missing from these lists makes the count too high, never too low: what
//! is not known to end an operand is taken for either.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

/// The part a word plays where it is a keyword.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Case,
    End,
    Not,
    Interval,
    /// Begins a type whose parts stand between `<` and `>`.
    Type,
    /// UNION and its kin.
    SetOperation,
    /// Before a table: FROM, JOIN.
    Table,
    /// Ends an expression and begins another.
    Clause,
    /// Ends an operator: what follows the next operand takes all so far for its left side.
    Ends,
    /// A complete operand: a constant, or a word people call columns by.
    Name,
    Other,
}

pub(super) fn meaning(word: Keyword) -> Meaning {
    match word {
        Keyword::CASE => Meaning::Case,
        Keyword::END => Meaning::End,
        Keyword::NOT => Meaning::Not,
        Keyword::INTERVAL => Meaning::Interval,
        Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP => Meaning::Type,
        Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS => {
            Meaning::SetOperation
        }
        Keyword::FROM | Keyword::JOIN | Keyword::APPLY => Meaning::Table,
        Keyword::ALL | Keyword::ANY | Keyword::SOME | Keyword::ESCAPE => Meaning::Ends,
        Keyword::SELECT
        | Keyword::WHERE
        | Keyword::GROUP
        | Keyword::ORDER
        | Keyword::BY
        | Keyword::HAVING
        | Keyword::QUALIFY
        | Keyword::WINDOW
        | Keyword::LIMIT
        | Keyword::OFFSET
        | Keyword::FETCH
        | Keyword::ON
        | Keyword::USING
        | Keyword::WHEN
        | Keyword::THEN
        | Keyword::ELSE => Meaning::Clause,
        word if is_name(word) => Meaning::Name,
        _ => Meaning::Other,
    }
}

/// Constants, and keywords that begin nothing an operand or a keyword could follow.
fn is_name(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::NoKeyword
            | Keyword::NULL
            | Keyword::TRUE
            | Keyword::FALSE
            | Keyword::CURRENT_DATE
            | Keyword::CURRENT_TIMESTAMP
            | Keyword::ACTION
            | Keyword::CATEGORY
            | Keyword::COMMENT
            | Keyword::DATA
            | Keyword::DATE
            | Keyword::DAY
            | Keyword::DOMAIN
            | Keyword::HOUR
            | Keyword::ID
            | Keyword::INDEX
            | Keyword::KEY
            | Keyword::LEVEL
            | Keyword::LOCATION
            | Keyword::MESSAGE
            | Keyword::METHOD
            | Keyword::MINUTE
            | Keyword::MODE
            | Keyword::MONTH
            | Keyword::NAME
            | Keyword::OWNER
            | Keyword::PASSWORD
            | Keyword::POSITION
            | Keyword::QUARTER
            | Keyword::REGION
            | Keyword::ROLE
            | Keyword::SECOND
            | Keyword::SOURCE
            | Keyword::STATUS
            | Keyword::TAG
            | Keyword::TEXT
            | Keyword::TIME
            | Keyword::TIMESTAMP
            | Keyword::TYPE
            | Keyword::URL
            | Keyword::USER
            | Keyword::VALUE
            | Keyword::VERSION
            | Keyword::WEEK
            | Keyword::YEAR
    )
}

/// In how many ways more than one the parser tries a bracket after this word.
pub(super) fn retries_before(word: Keyword) -> usize {
    match word {
        Keyword::POSITION => 2,
        Keyword::APPLY
        | Keyword::ARRAY
        | Keyword::CAST
        | Keyword::CEIL
        | Keyword::CONVERT
        | Keyword::EXCEPT
        | Keyword::EXISTS
        | Keyword::FLOOR
        | Keyword::FROM
        | Keyword::IN
        | Keyword::INTERSECT
        | Keyword::JOIN
        | Keyword::LATERAL
        | Keyword::MINUS
        | Keyword::OVERLAY
        | Keyword::SAFE_CAST
        | Keyword::STRUCT
        | Keyword::SUBSTR
        | Keyword::SUBSTRING
        | Keyword::TRY_CAST
        | Keyword::TRY_CONVERT
        | Keyword::UNION
        | Keyword::VALUES => 1,
        _ => 0,
    }
}

/// A number or a string, complete in itself.
pub(super) fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::DollarQuotedString(_)
            | Token::Placeholder(_)
    )
}
