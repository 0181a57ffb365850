//! How deep JSON nests, found on its bytes before any parser recurses into them.

use crate::{NESTING_MAX, Reason};

/// Checks that no bracket opens deeper than [`NESTING_MAX`]; brackets inside strings do not count.
///
/// # Errors
/// The sentence that names the limit. Bytes that are no JSON pass: the parser says what is wrong with them.
pub(crate) fn check(json: &[u8]) -> Result<(), Reason> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(json, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return Err(too_deep());
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn too_deep() -> Reason {
    Reason::new(format!(
        "the JSON nests deeper than {NESTING_MAX} levels, the most that is accepted"
    ))
}

/// The place behind the string whose content begins at `at`, or the end.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check(deep(64).as_bytes()), Ok(()));
        assert!(check(deep(65).as_bytes()).is_err());
        assert!(check("[".repeat(1_000_000).as_bytes()).is_err());
        let text = format!(
            r#"{{"a":"{}\"{}\\","b":[]}}"#,
            "[".repeat(99),
            "{".repeat(99)
        );
        assert_eq!(check(text.as_bytes()), Ok(()));
        let behind = format!(r#"["\\",{}]"#, deep(64));
        assert!(check(behind.as_bytes()).is_err());
        assert_eq!(check("[]".repeat(1000).as_bytes()), Ok(()));
    }

    #[test]
    fn what_is_no_json_passes() {
        for text in ["", "]]]]", "\"", "\"\\", "{\"a\\"] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }
}
