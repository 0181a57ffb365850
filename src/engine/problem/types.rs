//! The engine's names of types, in messages, as the answers name them.

use std::collections::BTreeSet;

/// Longer names before those that they begin with.
const NAMES: [(&str, &str); 27] = [
    ("LargeUtf8", "STRING"),
    ("Utf8View", "STRING"),
    ("Utf8", "STRING"),
    ("LargeBinary", "BINARY"),
    ("BinaryView", "BINARY"),
    ("Binary", "BINARY"),
    ("Boolean", "BOOLEAN"),
    ("UInt8", "SMALLINT"),
    ("UInt16", "INT"),
    ("UInt32", "BIGINT"),
    ("UInt64", "DECIMAL(20,0)"),
    ("Int8", "TINYINT"),
    ("Int16", "SMALLINT"),
    ("Int32", "INT"),
    ("Int64", "BIGINT"),
    ("Float16", "FLOAT"),
    ("Float32", "FLOAT"),
    ("Float64", "DOUBLE"),
    ("Decimal128", "DECIMAL"),
    ("Decimal256", "DECIMAL"),
    ("Date32", "DATE"),
    ("Date64", "DATE"),
    ("LargeList", "ARRAY"),
    ("List", "ARRAY"),
    ("Struct", "STRUCT"),
    ("Timestamp", "TIMESTAMP"),
    ("Interval", "INTERVAL"),
];

/// What is only in messages about instants that no calendar has.
const ARROW_TYPE: &str = "arrow_array::types::";
const BEYOND_CALENDAR: &str =
    "an instant lies beyond the calendar and has no day or hour; leave it out with a condition";

/// The message with the types of answers in the place of the engine's, and without what only its developers can read.
pub(super) fn named(text: &str) -> String {
    let text = text.strip_prefix("Internal error: ").unwrap_or(text);
    if text.contains(ARROW_TYPE) {
        return BEYOND_CALENDAR.to_owned();
    }
    let text = renamed(&without_fields(text));
    if let Some(told) = arguments(&text).or_else(|| condition(&text)) {
        return told;
    }
    // The parser's own structures.
    match text.find(" { ") {
        Some(at) if text.contains("Span(") || text.contains("Field {") => text[..at].to_owned(),
        _ => text,
    }
}

/// Lists without what the engine says of their elements beside the type: `List(non-null Int64, field: 'x')`.
fn without_fields(text: &str) -> String {
    const FIELD: &str = ", field: '";
    let mut text = text.replace("(non-null ", "(");
    while let Some(start) = text.find(FIELD) {
        let name = &text[start + FIELD.len()..];
        let end = name.find('\'').map_or(name.len(), |end| end + 1);
        text.replace_range(start..start + FIELD.len() + end, "");
    }
    text
}

/// What a call was given, and what it takes.
fn arguments(text: &str) -> Option<String> {
    let takes = |takes: BTreeSet<&str>| takes.into_iter().collect::<Vec<_>>().join(" or ");
    if let Some((name, errors)) = text
        .strip_prefix("Function '")
        .and_then(|rest| rest.split_once("' failed to match any signature, errors: "))
    {
        let parts = || errors.split("requires ").skip(1);
        let required = parts().filter_map(|part| part.split_once(", but received "));
        let types: BTreeSet<&str> = required.clone().map(|(required, _)| required).collect();
        let (_, given) = required.clone().next()?;
        let given = given.split_once("(DataType: ")?.1.split(')').next()?;
        return Some(format!(
            "{name} takes {}, not {given}; cast it",
            takes(types)
        ));
    }
    let (reason, rest) =
        text.split_once("No function matches the given name and argument types '")?;
    let (given, rest) = rest.split_once('\'')?;
    let (_, candidates) = rest.split_once("Candidate functions:").unwrap_or_default();
    let is_plain =
        |line: &&str| !line.is_empty() && !line.contains(['/', '{']) && !line.contains("Class");
    let candidates: BTreeSet<&str> = candidates.lines().map(str::trim).filter(is_plain).collect();
    let name = given.split('(').next().unwrap_or(given);
    let takes = match candidates.is_empty() {
        // The reason is all there is.
        true => reason.trim().trim_end_matches('.').to_owned(),
        false => format!("it takes {}", takes(candidates)),
    };
    Some(format!("{name} cannot be called as {given}: {takes}"))
}

fn condition(text: &str) -> Option<String> {
    let rest = text.strip_prefix("Cannot create filter with non-boolean predicate ")?;
    let (condition, given) = rest.rsplit_once(" returning ")?;
    Some(format!(
        "a condition must be BOOLEAN, and {condition} is {given}"
    ))
}

fn renamed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let is_inside = out.chars().next_back().is_some_and(is_word);
        match NAMES
            .iter()
            .find(|(name, _)| !is_inside && starts(rest, name))
        {
            Some((name, ours)) => {
                rest = &rest[name.len()..];
                rest = one(ours, rest, &mut out);
            }
            None => {
                out.push(char);
                rest = &rest[char.len_utf8()..];
            }
        }
    }
    out
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn starts(text: &str, name: &str) -> bool {
    let rest = text.strip_prefix(name);
    rest.is_some_and(|rest| !rest.starts_with(is_word))
}

/// Writes one type with what stands in brackets behind it: `Utf8("x")` is the constant `'x'`, `Timestamp(µs, "UTC")` a
/// type with its parts. Returns what follows.
fn one<'a>(ours: &str, rest: &'a str, out: &mut String) -> &'a str {
    let Some((inner, after)) = bracket(rest) else {
        out.push_str(ours);
        return rest;
    };
    match ours {
        "TIMESTAMP" if inner.contains("None") || !inner.contains(['"', '+']) => {
            out.push_str("TIMESTAMP_NTZ");
        }
        "TIMESTAMP" | "INTERVAL" => out.push_str(ours),
        "ARRAY" | "STRUCT" => {
            out.push_str(&format!("{ours}<{}>", renamed(inner)));
        }
        "DECIMAL" => out.push_str(&format!("DECIMAL({inner})")),
        "STRING" => out.push_str(&format!("'{}'", inner.trim_matches('"'))),
        _ if inner.starts_with(|char: char| !(char.is_ascii_digit() || char == '-')) => {
            out.push_str(&format!("{ours}({inner})"));
        }
        _ => out.push_str(inner),
    }
    after
}

/// What stands between the bracket that the text begins with and its end.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('(')?;
    let mut depth = 1_usize;
    for (at, char) in inner.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inner[..at], &inner[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_constants_are_named_as_answers_name_them() {
        for (engine, ours) in [
            ("Utf8View + Int64", "STRING + BIGINT"),
            ("Timestamp(µs, \"UTC\")", "TIMESTAMP"),
            ("Timestamp(ns)", "TIMESTAMP_NTZ"),
            ("List(Utf8)", "ARRAY<STRING>"),
            (
                "List(non-null List(Int64, field: 'element'), field: 'x'), Utf8",
                "ARRAY<ARRAY<BIGINT>>, STRING",
            ),
            ("upper(Utf8(\"x\"),Int64(5))", "upper('x',5)"),
            ("MyUtf8 Int64s", "MyUtf8 Int64s"),
        ] {
            assert_eq!(named(engine), ours);
        }
    }

    #[test]
    fn an_instant_beyond_the_calendar_is_told_without_the_engines_words() {
        use datafusion::arrow::array::TimestampMillisecondArray;
        use datafusion::arrow::compute::cast;
        use datafusion::arrow::datatypes::{DataType, TimeUnit};
        let beyond = TimestampMillisecondArray::from(vec![i64::MAX]);
        for instants in [beyond.clone(), beyond.with_timezone("UTC")] {
            for to in [DataType::Date32, DataType::Time64(TimeUnit::Microsecond)] {
                let error = cast(&instants, &to).unwrap_err().to_string();
                assert_eq!(named(&error), BEYOND_CALENDAR, "{error}");
            }
        }
    }

    #[test]
    fn a_call_says_what_it_was_given_and_what_it_takes() {
        for (engine, ours) in [
            (
                "Failed to coerce arguments to satisfy a call to 'date_add' function: coercion from Date32, Int64 to the \
                 signature OneOf(Exact(Date32, Int8)) failed. No function matches the given name and argument types \
                 'date_add(Date32, Int64)'. You might need to add explicit type casts.\n\tCandidate functions:\n\t\
                 date_add(Date32, Int8)",
                "date_add cannot be called as date_add(DATE, BIGINT): it takes date_add(DATE, TINYINT)",
            ),
            (
                "Internal error: Function 'sum' failed to match any signature, errors: Error during planning: Function 'sum' \
                 requires Int64, but received String (DataType: Utf8View).,Error during planning: Function 'sum' requires \
                 Float64, but received String (DataType: Utf8View)",
                "sum takes BIGINT or DOUBLE, not STRING; cast it",
            ),
            (
                "Substring without for/from is not valid Substring { expr: Span(1) }",
                "Substring without for/from is not valid Substring",
            ),
        ] {
            assert_eq!(named(engine), ours);
        }
    }
}
