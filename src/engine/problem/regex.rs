//! What is wrong with a regular expression, in one sentence.
//!
//! The engine hands on the report of its parser in many wrappings, as text or as an error of a crate that is not ours, so
//! it is told by its words.

use std::fmt::Display;
use std::str::FromStr;

use datafusion::arrow::error::ArrowError;
use datafusion::functions::regex::compile_regex;

/// `None` where the text is no report of a regular expression.
pub(super) fn told(text: &str) -> Option<String> {
    if let Some(told) = reported(text) {
        return Some(told);
    }
    let (_, pattern) = text.split_once("Regular expression did not compile: ")?;
    // This one leaves the report out.
    let report = report(compile_regex, pattern).unwrap_or_default();
    let unknown = || format!("the regular expression {pattern} cannot be read");
    Some(reported(&report).unwrap_or_else(unknown))
}

fn reported(text: &str) -> Option<String> {
    if text.contains("Compiled regex exceeds") || text.contains("CompiledTooBig(") {
        let told = "the regular expression is too large; let its repetitions be fewer";
        return Some(told.to_owned());
    }
    let (_, report) = text.split_once("regex parse error:\n")?;
    let reason = report
        .lines()
        .find_map(|line| line.strip_prefix("error: "))?;
    // A pattern of several lines is shown in another way.
    let pattern = report.lines().next()?.strip_prefix("    ");
    let pattern = pattern.map_or_else(String::new, |pattern| format!(" {pattern}"));
    Some(format!(
        "the regular expression{pattern} cannot be read: {reason}"
    ))
}

/// What the parser says of the pattern; its type comes from a function that returns it, for it has no name here.
fn report<Regex: FromStr<Err: Display>>(
    _: fn(&str, Option<&str>) -> Result<Regex, ArrowError>,
    pattern: &str,
) -> Option<String> {
    let error = pattern.parse::<Regex>().err()?;
    Some(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_stands_behind_the_pattern() {
        let unclosed = "the regular expression ( cannot be read: unclosed group";
        for text in [
            "regex parse error:\n    (\n    ^\nerror: unclosed group",
            "Regular expression did not compile: Syntax(\n~~~\nregex parse error:\n    (\n    ^\nerror: unclosed \
             group\n~~~\n)",
            "Compute error: Regular expression did not compile: (",
        ] {
            assert_eq!(told(text).as_deref(), Some(unclosed));
        }
        let around = told("Regular expression did not compile: (?!x)a").unwrap();
        assert!(around.contains("look-around"), "{around}");
        let large = told("Compiled regex exceeds size limit of 10485760 bytes.").unwrap();
        assert!(large.contains("too large"), "{large}");
        assert_eq!(told("the file is not there"), None);
    }
}
