//! Spark's patterns of dates and times (`yyyy-MM-dd HH:mm`) as those of `chrono`.

use chrono::format::{Item, StrftimeItems};

/// The items of a pattern. One that holds `%` is taken as it is, for `strftime` writes such.
///
/// # Errors
/// A sentence that names what the pattern holds and nobody can read.
pub(super) fn items(pattern: &str) -> Result<Vec<Item<'static>>, String> {
    let strftime = match pattern.contains('%') {
        true => pattern.to_owned(),
        false => strftime(pattern)?,
    };
    let items = StrftimeItems::new(&strftime);
    let items = items.map(Item::to_owned).collect::<Vec<_>>();
    match items.contains(&Item::Error) {
        true => Err(format!("'{pattern}' is no pattern of dates")),
        false => Ok(items),
    }
}

fn strftime(pattern: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' => quoted(&mut chars, &mut out),
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                let code = code(letter, count).ok_or_else(|| {
                    let part = String::from(letter).repeat(count);
                    format!(
                        "'{part}' in the pattern '{pattern}' is not supported; there are y M d H h m s S a E D q X x Z \
                         as in yyyy-MM-dd HH:mm:ss.SSS, and text in ''"
                    )
                })?;
                out.push_str(code);
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Text in quotes; two of them are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars>, out: &mut String) {
    if chars.next_if_eq(&'\'').is_some() {
        out.push('\'');
        return;
    }
    while let Some(char) = chars.next() {
        if char != '\'' {
            out.push(char);
        } else if chars.next_if_eq(&'\'').is_some() {
            out.push('\'');
        } else {
            return;
        }
    }
}

fn code(letter: char, count: usize) -> Option<&'static str> {
    Some(match (letter, count) {
        ('y' | 'u', 2) => "%y",
        ('y' | 'u', _) => "%Y",
        ('M' | 'L', 1) => "%-m",
        ('M' | 'L', 2) => "%m",
        ('M' | 'L', 3) => "%b",
        ('M' | 'L', 4) => "%B",
        ('d', 1) => "%-d",
        ('d', 2) => "%d",
        ('D', 1) => "%-j",
        ('D', 3) => "%j",
        ('q' | 'Q', 1) => "%q",
        ('E', 1..=3) => "%a",
        ('E', 4) => "%A",
        ('H', 1) => "%-H",
        ('H', 2) => "%H",
        ('h', 1) => "%-I",
        ('h', 2) => "%I",
        ('m', 1) => "%-M",
        ('m', 2) => "%M",
        ('s', 1) => "%-S",
        ('s', 2) => "%S",
        ('S', 3) => "%3f",
        ('S', 6) => "%6f",
        ('S', 9) => "%9f",
        ('a', 1) => "%p",
        ('X' | 'x', 3) => "%:z",
        ('X' | 'x', 2) | ('Z', 1..=3) => "%z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &str) {
        assert_eq!(strftime(pattern).as_deref(), Ok(expected));
    }

    #[test]
    fn patterns_of_spark_become_those_of_chrono() {
        check("yyyy-MM-dd HH:mm:ss.SSS", "%Y-%m-%d %H:%M:%S.%3f");
        check("EEE, d MMM yy", "%a, %-d %b %y");
        check("yyyy-MM-dd'T'HH:mm", "%Y-%m-%dT%H:%M");
        check("'o''clock' h a", "o'clock %-I %p");
        check("''", "'");
    }

    #[test]
    fn what_nobody_reads_is_named() {
        let error = items("yyyy-ww").unwrap_err();
        assert!(
            error.starts_with("'ww' in the pattern 'yyyy-ww'"),
            "{error}"
        );
        assert!(items("%Y-%Q!").is_err());
        assert!(items("%Y-%m").is_ok());
    }
}
