//! Where a text is wrong, shown: the line's excerpt with a caret below it.

/// The most characters of the parser's own words that a message repeats; they quote the text.
const DETAIL_CHARS_MAX: usize = 200;

/// The most characters of a line that are shown, and how many of them before the place.
const EXCERPT_CHARS_MAX: usize = 76;
const EXCERPT_CHARS_BEFORE: usize = 40;

/// The parser's complaint about `sql` as a message: a sentence with line and column, the line, a caret.
pub(super) fn pointed(sql: &str, detail: &str) -> String {
    let (what, place) = match detail.rsplit_once(" at Line: ") {
        Some((what, place)) => (what, located(place)),
        None => (detail, None),
    };
    // Without a place the text ended too early.
    let (line, column) = place.unwrap_or_else(|| end(sql));
    let what = what
        .replace("Expected: ", "expected ")
        .replace(", found: ", ", found ")
        .replace("found EOF", "found the end of the query");
    let shown: String = what.chars().take(DETAIL_CHARS_MAX).collect();
    let cut = if shown.len() < what.len() { "…" } else { "" };
    format!(
        "the query has a syntax error in line {line}, column {column}: {shown}{cut}{}",
        excerpt(sql, line, column)
    )
}

/// `1, Column: 8` as line and column, both from one.
fn located(place: &str) -> Option<(usize, usize)> {
    let (line, column) = place.split_once(", Column: ")?;
    match (line.parse().ok()?, column.trim().parse().ok()?) {
        (0, _) | (_, 0) => None,
        place => Some(place),
    }
}

/// The place just behind the text.
fn end(sql: &str) -> (usize, usize) {
    let text = sql.trim_end();
    let last = text.rsplit('\n').next().unwrap_or_default();
    let line = text.matches('\n').count() + 1;
    (line, last.chars().count() + 1)
}

/// Two lines of their own: the excerpt of a line of `sql` around a column, and a caret below that column. Nothing where
/// there is no such line.
pub fn excerpt(sql: &str, line: usize, column: usize) -> String {
    let Some(text) = line
        .checked_sub(1)
        .and_then(|line| sql.split('\n').nth(line))
    else {
        return String::new();
    };
    let chars: Vec<char> = text.trim_end().chars().collect();
    let at = column.saturating_sub(1).min(chars.len());
    let from = match chars.len() <= EXCERPT_CHARS_MAX {
        true => 0,
        false => at
            .saturating_sub(EXCERPT_CHARS_BEFORE)
            .min(chars.len() - EXCERPT_CHARS_MAX),
    };
    let to = chars.len().min(from + EXCERPT_CHARS_MAX);
    let mark = |is_cut: bool| if is_cut { "…" } else { "" };
    let visible = chars[from..to].iter();
    let visible: String = visible
        .map(|char| if char.is_control() { ' ' } else { *char })
        .collect();
    let indent = " ".repeat(at - from + usize::from(from > 0));
    let (before, after) = (mark(from > 0), mark(to < chars.len()));
    format!("\n{before}{visible}{after}\n{indent}^")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_column() {
        assert_eq!(excerpt("SELECT 1\n  FRM t", 2, 3), "\n  FRM t\n  ^");
        assert_eq!(excerpt("a\tü x", 1, 5), "\na ü x\n    ^");
        assert_eq!(excerpt("a", 1, 99), "\na\n ^");
        assert_eq!(excerpt("a", 9, 1), "");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}!{}", "x".repeat(500), "y".repeat(500));
        let shown = excerpt(&line, 1, 501);
        let lines: Vec<&str> = shown.trim_start().lines().collect();
        let [excerpt, caret] = lines[..] else {
            panic!("{shown}")
        };
        assert!(excerpt.chars().count() <= 80, "{excerpt}");
        let at = caret.chars().count() - 1;
        assert_eq!(excerpt.chars().nth(at), Some('!'));
    }

    #[test]
    fn no_place_is_the_end() {
        assert_eq!(
            pointed("SELECT (1\n", "Expected: ), found: EOF"),
            "the query has a syntax error in line 1, column 10: expected ), found the end of the query\nSELECT (1\n         ^"
        );
    }
}
