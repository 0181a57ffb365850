//! Constants that the engine reads in another way: regular expressions, what replaces their matches, instants, zones.

use datafusion::arrow::array::timezone::Tz;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, TimezoneInfo, Value, ValueWithSpan,
};
use rules::{Error, Result};

/// Reads the constants of an expression as a lakehouse reads them.
///
/// # Errors
/// `Invalid` for what would mean something else here, with what to write instead.
pub(super) fn read(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Value(value) => {
            if let Value::SingleQuotedRawStringLiteral(text)
            | Value::DoubleQuotedRawStringLiteral(text)
            | Value::TripleDoubleQuotedRawStringLiteral(text)
            | Value::TripleSingleQuotedRawStringLiteral(text) = &mut value.value
            {
                value.value = Value::SingleQuotedString(std::mem::take(text));
            }
            Ok(())
        }
        Expr::RLike { pattern, .. } => check_pattern(pattern),
        Expr::BinaryOp {
            op:
                BinaryOperator::PGRegexMatch
                | BinaryOperator::PGRegexIMatch
                | BinaryOperator::PGRegexNotMatch
                | BinaryOperator::PGRegexNotIMatch,
            right,
            ..
        } => check_pattern(right),
        Expr::Cast {
            expr,
            data_type: DataType::Timestamp(..) | DataType::TimestampNtz(_),
            ..
        } => {
            with_seconds(expr);
            Ok(())
        }
        Expr::TypedString(typed) if matches!(typed.data_type, DataType::Timestamp(..)) => {
            complete(&mut typed.value.value);
            Ok(())
        }
        Expr::AtTimeZone { time_zone, .. } => check_zone(time_zone),
        Expr::Extract { field, .. } => match field {
            DateTimeField::Epoch | DateTimeField::Nanosecond | DateTimeField::Nanoseconds => {
                Err(no_part(&field.to_string()))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A cast to an instant, `NULL` where the text names none.
pub(super) fn try_instant(expr: Expr) -> Expr {
    as_instant(expr, CastKind::TryCast)
}

/// A cast to an instant.
pub(super) fn instant(expr: Expr) -> Expr {
    as_instant(expr, CastKind::Cast)
}

fn as_instant(mut expr: Expr, kind: CastKind) -> Expr {
    with_seconds(&mut expr);
    Expr::Cast {
        kind,
        expr: Box::new(expr),
        data_type: DataType::Timestamp(None, TimezoneInfo::None),
        array: false,
        format: None,
    }
}

/// The text that a constant is.
pub(super) fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Refuses a pattern whose backslashes stand twice, as texts of a lakehouse hold them: it would match nothing here, without
/// a word.
pub(super) fn check_pattern(pattern: &Expr) -> Result<()> {
    let Some(text) = text_of(pattern) else {
        return Ok(());
    };
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(r"\\") {
        if let Some(class) = after
            .chars()
            .next()
            .filter(|class| "dwsbDWSB.".contains(*class))
        {
            return Err(Error::invalid(format!(
                "the pattern '{text}' holds \\\\{class}: backslashes of a text stand for themselves here, so write \\{class}; \
                 where a backslash is meant, write [\\\\]"
            )));
        }
        rest = after;
    }
    Ok(())
}

/// What replaces a match: `$1` is the group of that number whatever stands behind it, `\$` and every other `$` themselves.
pub(super) fn replacement(expr: &mut Expr) {
    let Some(text) = text_of(expr) else {
        return;
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let before = before
            .strip_suffix('\\')
            .map_or((before, false), |it| (it, true));
        out.push_str(before.0);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        rest = &after[digits..];
        match digits {
            _ if before.1 => out.push_str(&format!("$${}", &after[..digits])),
            0 if after.starts_with('{') => out.push('$'),
            0 => out.push_str("$$"),
            _ => out.push_str(&format!("${{{}}}", &after[..digits])),
        }
    }
    out.push_str(rest);
    *expr = super::text(&out);
}

/// `LIKE 'a!_b' ESCAPE '!'` with the backslash, the one character that the engine knows for it.
///
/// # Errors
/// `Invalid` for another character where the pattern is no constant.
pub(super) fn escape(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) -> Result<()> {
    let Some(Value::SingleQuotedString(mark)) = escape.as_ref().map(|escape| &escape.value) else {
        return Ok(());
    };
    let mut marks = mark.chars();
    let (Some(mark), None) = (marks.next(), marks.next()) else {
        return Ok(());
    };
    if mark == '\\' {
        return Ok(());
    }
    let Some(text) = text_of(pattern) else {
        return Err(Error::invalid(format!(
            "ESCAPE '{mark}' takes a pattern that is a constant; write replace(pattern, '{mark}', r'\\') without ESCAPE"
        )));
    };
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let (is_escaped, char) = match char == mark {
            true => (true, chars.next().unwrap_or(mark)),
            false => (char == '\\', char),
        };
        if is_escaped && ['%', '_', '\\'].contains(&char) {
            out.push('\\');
        }
        out.push(char);
    }
    *pattern = super::text(&out);
    *escape = None;
    Ok(())
}

/// `2026-01-31 10:00` is an instant as well; the engine wants its seconds.
fn with_seconds(expr: &mut Expr) {
    if let Expr::Value(value) = expr {
        complete(&mut value.value);
    }
}

fn complete(value: &mut Value) {
    let Value::SingleQuotedString(text) = value else {
        return;
    };
    let shape: String = text
        .trim()
        .chars()
        .map(|char| if char.is_ascii_digit() { '0' } else { char })
        .collect();
    if ["0000-00-00 00:00", "0000-00-00T00:00"].contains(&shape.as_str()) {
        *text = format!("{}:00", text.trim());
    }
}

fn check_zone(zone: &Expr) -> Result<()> {
    match text_of(zone) {
        Some(zone) if zone.parse::<Tz>().is_err() => Err(Error::invalid(format!(
            "there is no time zone {zone}; write one such as 'Europe/Berlin', 'UTC' or '+02:00'"
        ))),
        _ => Ok(()),
    }
}

/// Refuses the parts of an instant that are no whole number of 32 bits to the engine.
pub(super) fn check_part(part: &Expr) -> Result<()> {
    let is_large = |part: &str| {
        ["epoch", "nanosecond", "nanoseconds"].contains(&part.to_ascii_lowercase().as_str())
    };
    match text_of(part) {
        Some(part) if is_large(part) => Err(no_part(part)),
        _ => Ok(()),
    }
}

fn no_part(part: &str) -> Error {
    Error::invalid(format!(
        "an instant has no part {part} here; write unix_timestamp(x) for its seconds since 1970, unix_micros(x) for its \
         microseconds"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_from_what_stands_behind_them() {
        for (written, engine) in [
            ("$2_$1", "${2}_${1}"),
            (r"US\$1", "US$$1"),
            ("$x $", "$$x $$"),
            ("${name}", "${name}"),
            ("none", "none"),
        ] {
            let mut expr = super::super::text(written);
            replacement(&mut expr);
            assert_eq!(text_of(&expr), Some(engine), "{written}");
        }
    }

    #[test]
    fn an_escaping_character_becomes_the_backslash() {
        for (written, engine) in [
            ("a!_b%", r"a\_b%"),
            ("!!!%", r"!\%"),
            (r"a\b!", r"a\\b!"),
            ("!a", "a"),
        ] {
            let mut pattern = super::super::text(written);
            let mut mark = Some(Value::SingleQuotedString("!".to_owned()).with_empty_span());
            escape(&mut pattern, &mut mark).unwrap();
            assert_eq!((text_of(&pattern), mark), (Some(engine), None), "{written}");
        }
    }

    #[test]
    fn backslashes_that_stand_twice_are_refused_where_one_was_meant() {
        let check = |pattern| check_pattern(&super::super::text(pattern));
        for pattern in [r"\\d+", r"a\\.b"] {
            assert!(check(pattern).is_err(), "{pattern}");
        }
        for pattern in [r"\d+", r"a\.b", r"C:\\x", r"\\"] {
            assert!(check(pattern).is_ok(), "{pattern}");
        }
    }
}
