//! The engine's names of types, in messages, as the answers name them.

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

/// The message with the types of answers in the place of the engine's.
pub(super) fn named(text: &str) -> String {
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
            out.push_str(&format!("{ours}<{}>", named(inner)));
        }
        "DECIMAL" => out.push_str(&format!("DECIMAL({inner})")),
        "STRING" => out.push_str(&format!("'{}'", inner.trim_matches('"'))),
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
            ("upper(Utf8(\"x\"),Int64(5))", "upper('x',5)"),
            ("MyUtf8 Int64s", "MyUtf8 Int64s"),
        ] {
            assert_eq!(named(engine), ours);
        }
    }
}
