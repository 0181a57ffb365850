//! The grammar that texts are read by: the parser's generic one, but for the arrows into JSON.

use std::any::{Any, TypeId};

use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// More tightly than `||`, arithmetic and comparisons, less tightly than `::`.
const ARROW_PRECEDENCE: u8 = 45;

/// To the generic grammar `a ->> 'b' = 'c'` is `a ->> ('b' = 'c')`, which nobody means.
#[derive(Debug)]
pub(super) struct Lakehouse;

/// Says of each name what the generic grammar says.
macro_rules! as_generic {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            GenericDialect.$name()
        })*
    };
}

impl Dialect for Lakehouse {
    /// The parser asks in places whether the grammar is the generic one.
    fn dialect(&self) -> TypeId {
        GenericDialect.type_id()
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::Arrow | Token::LongArrow => Some(Ok(ARROW_PRECEDENCE)),
            _ => None,
        }
    }

    fn is_delimited_identifier_start(&self, first: char) -> bool {
        GenericDialect.is_delimited_identifier_start(first)
    }

    fn is_identifier_start(&self, first: char) -> bool {
        GenericDialect.is_identifier_start(first)
    }

    fn is_identifier_part(&self, part: char) -> bool {
        GenericDialect.is_identifier_part(part)
    }

    // All that the generic grammar says otherwise than a grammar does by itself.
    as_generic! {
        supports_unicode_string_literal supports_partition_by_after_order_by supports_array_join_syntax
        supports_group_by_expr supports_group_by_with_modifier supports_left_associative_joins_without_parens
        supports_connect_by supports_match_recognize supports_pipe_operator supports_start_transaction_modifier
        supports_window_function_null_treatment_arg supports_dictionary_syntax
        supports_window_clause_named_window_reference supports_parenthesized_set_variables
        supports_select_wildcard_except support_map_literal_syntax allow_extract_custom
        allow_extract_single_quotes supports_extract_comma_syntax supports_create_view_comment_syntax
        supports_parens_around_table_factor supports_values_as_table_factor supports_create_index_with_clause
        supports_explain_with_utility_options supports_limit_comma supports_update_order_by
        supports_from_first_select supports_projection_trailing_commas supports_asc_desc_in_column_definition
        supports_try_convert supports_bitwise_shift_operators supports_comment_on supports_load_extension
        supports_named_fn_args_with_assignment_operator supports_struct_literal supports_empty_projections
        supports_nested_comments supports_multiline_comment_hints supports_user_host_grantee
        supports_string_escape_constant supports_array_typedef_with_brackets supports_match_against
        supports_set_names supports_comma_separated_set_assignments supports_filter_during_aggregation
        supports_select_wildcard_exclude supports_data_type_signed_suffix supports_interval_options
        supports_quote_delimited_string supports_select_wildcard_replace supports_select_wildcard_ilike
        supports_select_wildcard_rename supports_optimize_table supports_install supports_detach
        supports_prewhere supports_with_fill supports_limit_by supports_interpolate supports_settings
        supports_select_format supports_comment_optimizer_hint supports_constraint_keyword_without_name
        supports_key_column_option supports_comma_separated_trim supports_cte_without_as
        supports_select_item_multi_column_alias supports_xml_expressions
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Expr;

    use super::*;

    /// The expression with brackets around every operator.
    fn bracketed(expr: &Expr) -> String {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                format!("({} {op} {})", bracketed(left), bracketed(right))
            }
            Expr::IsNull(inner) => format!("({} IS NULL)", bracketed(inner)),
            Expr::Like { expr, pattern, .. } => {
                format!("({} LIKE {})", bracketed(expr), bracketed(pattern))
            }
            Expr::InList { expr, .. } => format!("({} IN …)", bracketed(expr)),
            other => other.to_string(),
        }
    }

    #[test]
    fn arrows_bind_more_tightly_than_other_operators() {
        for (sql, expected) in [
            ("a ->> 'b' = 'c'", "((a ->> 'b') = 'c')"),
            ("a ->> 'b' IS NULL", "((a ->> 'b') IS NULL)"),
            ("a ->> 'b' LIKE 'c'", "((a ->> 'b') LIKE 'c')"),
            ("a ->> 'b' IN ('c')", "((a ->> 'b') IN …)"),
            ("'c' || a ->> 'b' || 'd'", "(('c' || (a ->> 'b')) || 'd')"),
            ("a -> 'b' -> 0 ->> 'c'", "(((a -> 'b') -> 0) ->> 'c')"),
            ("a ->> 'b'::INT", "(a ->> 'b'::INT)"),
            ("1 + a.b -> 'c'", "(1 + (a.b -> 'c'))"),
        ] {
            let mut parser = Parser::new(&Lakehouse).try_with_sql(sql).unwrap();
            assert_eq!(bracketed(&parser.parse_expr().unwrap()), expected);
        }
    }

    #[test]
    fn all_else_is_generic() {
        for sql in [
            "SELECT * EXCEPT (a), b FROM t GROUP BY ALL WITH ROLLUP",
            "SELECT map {'a': 1}, [1, 2], STRUCT(1 AS a), f(x => 1) FILTER (WHERE a), e'\\n', a << 1,",
            "FROM (VALUES (1)) t SELECT `a`, \"b\" AS (c, d) ORDER BY 1 LIMIT 1, 2",
            "SELECT first(a IGNORE NULLS), trim(a, b), extract(week FROM a), INTERVAL '1' DAY, a:b, #c, @d",
            "SELECT a FROM b START WITH a = 1 CONNECT BY PRIOR a = c",
            "SELECT a FROM b PREWHERE a SETTINGS c = 1 FORMAT d",
        ] {
            let read = |dialect: &dyn Dialect| Parser::parse_sql(dialect, sql);
            assert_eq!(read(&Lakehouse), read(&GenericDialect));
        }
    }
}
