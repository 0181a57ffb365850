//! The key of a prompt log, and ranges of keys that share a prefix.
//!
//! Parsed where a log is written; the archive's entry names and the table's sort order follow from it.
//! Promises: a key that parses can be unpacked as a relative path (the wire contract, section 7).
//! Not here: making safe names from keys that were stored under older rules (the archive's own business).

use crate::ids::checked_string;
use crate::{Error, Result};

/// The most bytes of a log key (the wire contract, section 7).
const KEY_BYTES_MAX: usize = 900;

/// The most bytes between two slashes: a file name of 255 bytes, less room for `-system` and a number
/// (the wire contract, section 7).
const SEGMENT_BYTES_MAX: usize = 240;

checked_string! {
    /// A prompt log's key: 1 to 900 bytes of UTF-8 in segments separated by `/`, each 1 to 240 bytes, none `.` or
    /// `..`; no backslash, no control characters, no characters that change the direction of text.
    ///
    /// Keys are ordered by bytes (the wire contract, section 1).
    LogKey, check
}

fn check(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid("a log key may not be empty"));
    }
    if text.len() > KEY_BYTES_MAX {
        return Err(Error::invalid(format!(
            "a log key has at most {KEY_BYTES_MAX} bytes, this one has {}",
            text.len()
        )));
    }
    if text.starts_with('/') {
        return Err(Error::invalid("a log key may not start with /"));
    }
    for (index, char) in text.chars().enumerate() {
        if let Some(name) = forbidden(char) {
            return Err(Error::invalid(format!(
                "a log key may not hold {name} (character {}, U+{:04X})",
                index + 1,
                u32::from(char)
            )));
        }
    }
    for (index, segment) in text.split('/').enumerate() {
        check_segment(index + 1, segment)?;
    }
    Ok(())
}

/// What kind of forbidden character this is, if it is one.
fn forbidden(char: char) -> Option<&'static str> {
    match char {
        '\\' => Some("a backslash"),
        // Marks, embeddings, overrides and isolates: they make one name look like another.
        '\u{061C}'
        | '\u{200E}'
        | '\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}' => Some("a character that changes the direction of text"),
        _ if char.is_control() => Some("a control character"),
        _ => None,
    }
}

fn check_segment(number: usize, segment: &str) -> Result<()> {
    if segment.is_empty() {
        return Err(Error::invalid(format!(
            "a log key may not hold an empty segment (segment {number})"
        )));
    }
    if segment == "." || segment == ".." {
        return Err(Error::invalid(format!(
            "a log key may not hold the segment {segment} (segment {number})"
        )));
    }
    if segment.len() > SEGMENT_BYTES_MAX {
        return Err(Error::invalid(format!(
            "a segment of a log key has at most {SEGMENT_BYTES_MAX} bytes, segment {number} has {}",
            segment.len()
        )));
    }
    Ok(())
}

/// The end of the byte range `prefix..end` that holds exactly the strings starting with `prefix`.
///
/// It is the least byte string greater than all of them and need not be UTF-8. `None` when there is no such end,
/// which for text means the empty prefix.
pub fn prefix_end(prefix: &str) -> Option<Vec<u8>> {
    let mut end = prefix.as_bytes().to_vec();
    // A last byte of 0xFF would have to be dropped instead; UTF-8 has none.
    let last = end.last_mut()?;
    *last += 1;
    Some(end)
}

#[cfg(test)]
mod tests;
