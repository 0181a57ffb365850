//! Functions of texts, those that cut them with regular expressions among them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::length::length;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::types::{NativeType, logical_boolean, logical_date, logical_string};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::regex::compile_regex;
use datafusion::logical_expr::{
    Coercion, ScalarUDF, Signature, TypeSignature, TypeSignatureClass, Volatility,
};

use super::kernel::{Kernel, text, text_arguments, texts, whole_number};

pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut functions = by_patterns();
    functions.extend(of_letters());
    functions
}

fn by_patterns() -> Vec<ScalarUDF> {
    let signature = Signature::one_of(
        vec![
            TypeSignature::Coercible(vec![text(), text()]),
            TypeSignature::Coercible(vec![text(), text(), whole_number()]),
        ],
        Volatility::Immutable,
    );
    let list = || DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    vec![
        Kernel::udf(
            "regexp_extract_all(text, pattern, group)",
            "What a group of each match matched, by default group 1, with 0 all of each match; an empty list where nothing \
             matched.",
            signature.clone(),
            list(),
            regexp_extract_all,
        ),
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
            list(),
            split,
        ),
    ]
}

fn of_letters() -> Vec<ScalarUDF> {
    let part = || Signature::coercible(vec![shown(), whole_number()], Volatility::Immutable);
    let bytes = Coercion::new_exact(TypeSignatureClass::Binary);
    let text_or_bytes = Signature::one_of(
        vec![
            TypeSignature::Coercible(vec![text()]),
            TypeSignature::Coercible(vec![bytes]),
        ],
        Volatility::Immutable,
    );
    let scalar = Coercion::new_implicit(
        TypeSignatureClass::Native(logical_string()),
        vec![
            TypeSignatureClass::Numeric,
            TypeSignatureClass::Timestamp,
            TypeSignatureClass::Native(logical_date()),
            TypeSignatureClass::Native(logical_boolean()),
        ],
        NativeType::String,
    );
    vec![
        Kernel::udf(
            "as_text(value)",
            "A number, a day, an instant or a BOOLEAN as text; what cuts and searches texts asks for it where it is given such.",
            Signature::coercible(vec![scalar], Volatility::Immutable),
            DataType::Utf8,
            |args| Ok(Arc::new(texts(&args[0])?) as ArrayRef),
        ),
        Kernel::udf(
            "left(text, count)",
            "The first characters of the text; an empty text where the count is not above 0.",
            part(),
            DataType::Utf8,
            |args| cut(args, |text, count| &text[..start_of(text, count)]),
        ),
        Kernel::udf(
            "right(text, count)",
            "The last characters of the text; an empty text where the count is not above 0.",
            part(),
            DataType::Utf8,
            |args| {
                cut(args, |text, count| {
                    let skipped = text.chars().count().saturating_sub(count);
                    &text[start_of(text, skipped)..]
                })
            },
        ),
        Kernel::udf(
            "initcap(text)",
            "The text with the first letter of each word large and all others small; words stand between spaces.",
            Signature::coercible(vec![shown()], Volatility::Immutable),
            DataType::Utf8,
            initcap,
        ),
        Kernel::udf(
            "octet_length(value)",
            "How many bytes a text or a BINARY has.",
            text_or_bytes,
            DataType::Int32,
            octet_length,
        ),
    ]
}

/// A text; numbers become theirs.
fn shown() -> Coercion {
    Coercion::new_implicit(
        TypeSignatureClass::Native(logical_string()),
        vec![TypeSignatureClass::Numeric],
        NativeType::String,
    )
}

/// A part of each text, by a count of characters.
fn cut(args: &[ArrayRef], part: fn(&str, usize) -> &str) -> Result<ArrayRef> {
    let (values, counts) = (texts(&args[0])?, cast(&args[1], &DataType::Int64)?);
    let rows = values.iter().zip(counts.as_primitive::<Int64Type>());
    let parts = rows.map(|(value, count)| {
        let (value, count) = (value?, count?);
        Some(part(value, usize::try_from(count).unwrap_or(0)))
    });
    Ok(Arc::new(parts.collect::<StringArray>()) as ArrayRef)
}

/// The byte where that character begins, or the end.
fn start_of(text: &str, character: usize) -> usize {
    let mut places = text.char_indices();
    places.nth(character).map_or(text.len(), |(at, _)| at)
}

fn initcap(args: &[ArrayRef]) -> Result<ArrayRef> {
    let values = texts(&args[0])?;
    let words = values.iter().map(|value| {
        let mut before = ' ';
        let mut words = String::new();
        for letter in value?.chars() {
            match before {
                ' ' => words.extend(letter.to_uppercase()),
                _ => words.extend(letter.to_lowercase()),
            }
            before = letter;
        }
        Some(words)
    });
    Ok(Arc::new(words.collect::<StringArray>()) as ArrayRef)
}

fn octet_length(args: &[ArrayRef]) -> Result<ArrayRef> {
    let value = &args[0];
    Ok(match value.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => {
            length(&texts(value)?)?
        }
        DataType::Utf8 | DataType::Binary => length(value)?,
        _ => length(&cast(value, &DataType::Binary)?)?,
    })
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
    let groups = groups(args)?;
    let mut extracts = StringBuilder::new();
    for_each_match!(args, |row, found| {
        let (Some((value, regex)), Some(group)) = (found, groups(row)) else {
            extracts.append_null();
            continue;
        };
        let group = known_group("regexp_extract", group, regex.captures_len())?;
        let captures = regex.captures(value);
        let extract = captures.and_then(|captures| captures.get(group));
        extracts.append_value(extract.map_or("", |extract| extract.as_str()));
    });
    Ok(Arc::new(extracts.finish()) as ArrayRef)
}

fn regexp_extract_all(args: &[ArrayRef]) -> Result<ArrayRef> {
    let groups = groups(args)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for_each_match!(args, |row, found| {
        let (Some((value, regex)), Some(group)) = (found, groups(row)) else {
            lists.append(false);
            continue;
        };
        let group = known_group("regexp_extract_all", group, regex.captures_len())?;
        for captures in regex.captures_iter(value) {
            let extract = captures.get(group).map_or("", |extract| extract.as_str());
            lists.values().append_value(extract);
        }
        lists.append(true);
    });
    Ok(Arc::new(lists.finish()) as ArrayRef)
}

/// The group that is asked for in each row.
fn groups(args: &[ArrayRef]) -> Result<impl Fn(usize) -> Option<i64>> {
    let groups = args.get(2).map(|groups| cast(groups, &DataType::Int64));
    let groups = groups.transpose()?;
    let groups = groups.map(|groups| groups.as_primitive::<Int64Type>().clone());
    Ok(move |row| match &groups {
        Some(groups) => groups.is_valid(row).then(|| groups.value(row)),
        None => Some(1),
    })
}

/// The group, if the pattern has it.
fn known_group(name: &str, group: i64, groups: usize) -> Result<usize> {
    let known = usize::try_from(group).ok();
    let known = known.filter(|group| *group < groups);
    known.ok_or_else(|| {
        DataFusionError::Execution(format!(
            "{name} is asked for a group that the pattern does not have; it has {} (0 is all of the match)",
            groups - 1
        ))
    })
}

fn split(args: &[ArrayRef]) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for_each_match!(args, |_row, found| {
        if let Some((value, regex)) = found {
            let mut end = 0;
            // Before the first character nothing is cut off.
            for cut in regex.find_iter(value).filter(|cut| cut.end() > 0) {
                // Nor behind the last where the pattern is empty: the parts are the characters.
                if !(regex.as_str().is_empty() && cut.start() == value.len()) {
                    lists.values().append_value(&value[end..cut.start()]);
                    end = cut.end();
                }
            }
            lists.values().append_value(&value[end..]);
        }
        lists.append(found.is_some());
    });
    Ok(Arc::new(lists.finish()) as ArrayRef)
}
