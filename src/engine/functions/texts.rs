//! Functions of texts that cut them with regular expressions.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::types::{NativeType, logical_int64};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::regex::compile_regex;
use datafusion::logical_expr::{
    Coercion, ScalarUDF, Signature, TypeSignature, TypeSignatureClass, Volatility,
};

use super::kernel::{Kernel, text, text_arguments, texts};

pub(super) fn functions() -> Vec<ScalarUDF> {
    let group = Coercion::new_implicit(
        TypeSignatureClass::Native(logical_int64()),
        vec![TypeSignatureClass::Integer],
        NativeType::Int64,
    );
    let signature = Signature::one_of(
        vec![
            TypeSignature::Coercible(vec![text(), text()]),
            TypeSignature::Coercible(vec![text(), text(), group]),
        ],
        Volatility::Immutable,
    );
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    vec![
        Kernel::udf(
            "regexp_extract(text, pattern, group)",
            "What a group of the first match matched, by default group 1, with 0 all of the match; empty where nothing \
             matched.",
            signature,
            DataType::Utf8,
            regexp_extract,
        ),
        Kernel::udf(
            "split(text, pattern)",
            "The parts of the text between the matches of a regular expression.",
            text_arguments(2),
            list,
            split,
        ),
    ]
}

/// Calls `each` with every text and its compiled pattern, `None` where either is missing.
macro_rules! for_each_match {
    ($args:expr, |$row:ident, $found:ident| $body:expr) => {{
        let (values, patterns) = (texts(&$args[0])?, texts(&$args[1])?);
        // The pattern is nearly always one constant.
        let mut known = None;
        for ($row, (value, pattern)) in values.iter().zip(&patterns).enumerate() {
            let $found = match (value, pattern) {
                (Some(value), Some(pattern)) => {
                    if known.as_ref().is_none_or(|(text, _)| *text != pattern) {
                        known = Some((pattern, compile_regex(pattern, None)?));
                    }
                    known.as_ref().map(|(_, regex)| (value, regex))
                }
                _ => None,
            };
            $body
        }
    }};
}

fn regexp_extract(args: &[ArrayRef]) -> Result<ArrayRef> {
    let groups = match args.get(2) {
        Some(groups) => Some(cast(groups, &DataType::Int64)?),
        None => None,
    };
    let groups = groups
        .as_ref()
        .map(|groups| groups.as_primitive::<Int64Type>());
    let mut extracts = StringBuilder::new();
    for_each_match!(args, |row, found| {
        let group = groups.map_or(Some(1), |groups| {
            groups.is_valid(row).then(|| groups.value(row))
        });
        let (Some((value, regex)), Some(group)) = (found, group) else {
            extracts.append_null();
            continue;
        };
        let group = usize::try_from(group).ok();
        let group = group.filter(|group| *group < regex.captures_len());
        let Some(group) = group else {
            return Err(DataFusionError::Execution(format!(
                "regexp_extract is asked for a group that the pattern does not have; it has {} (0 is all of the match)",
                regex.captures_len() - 1
            )));
        };
        let captures = regex.captures(value);
        let extract = captures.and_then(|captures| captures.get(group));
        extracts.append_value(extract.map_or("", |extract| extract.as_str()));
    });
    Ok(Arc::new(extracts.finish()) as ArrayRef)
}

fn split(args: &[ArrayRef]) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for_each_match!(args, |_row, found| {
        if let Some((value, regex)) = found {
            for part in regex.split(value) {
                lists.values().append_value(part);
            }
        }
        lists.append(found.is_some());
    });
    Ok(Arc::new(lists.finish()) as ArrayRef)
}
