//! The log key of a span that brings none: a template filled with the span's values.
//!
//! Different values make different keys: what a key may not hold is percent-encoded, and what is too long is cut and
//! ends in `~` and its hash, which nothing else does.

use sha2::{Digest as _, Sha256};

use super::model::hex;
use crate::{KEY_BYTES_MAX, Reason};

/// The most bytes of a key's segment (the wire contract, section 7).
const SEGMENT_BYTES_MAX: usize = 240;
/// More would leave a segment too few bytes.
const SEGMENTS_MAX: usize = 8;
/// Stands for a value that is not there; a value that reads so is encoded.
const MISSING: &str = "_";

/// How keys are made: text with fields in braces, `/` between segments.
///
/// A field names an attribute of the span or its resource, or `trace_id`, `span_id`, or `start_time` (nanoseconds since
/// 1970 in 20 digits, so that keys sort by time). Of several names with `|` between them the first that has a value is
/// taken; where none has, `_` stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate {
    segments: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field(Vec<String>),
}

impl Default for KeyTemplate {
    fn default() -> Self {
        Self::parse(Self::DEFAULT).unwrap_or(Self {
            segments: Vec::new(),
        })
    }
}

impl KeyTemplate {
    /// By service, then conversation, ordered by time.
    pub const DEFAULT: &str =
        "{service.name}/{gen_ai.conversation.id|session.id|trace_id}/{start_time}-{span_id}";

    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong and where: a brace without its partner, an empty name or segment, a character that no key may
    /// hold, too many or too long segments, no `{span_id}` (spans would replace each other).
    pub fn parse(template: &str) -> Result<Self, Reason> {
        let wrong = |problem: String| Reason::new(format!("the key template {problem}"));
        let mut segments = vec![Vec::new()];
        let mut rest = template.char_indices();
        while let Some((at, char)) = rest.next() {
            let place = template[..at].chars().count() + 1;
            let Some(segment) = segments.last_mut() else {
                break;
            };
            match char {
                '/' => segments.push(Vec::new()),
                '{' => {
                    let behind = &template[at + 1..];
                    let Some(end) = behind
                        .find(['{', '}'])
                        .filter(|&end| behind[end..].starts_with('}'))
                    else {
                        return Err(wrong(format!(
                            "has a brace without its partner at character {place}"
                        )));
                    };
                    let names: Vec<String> = behind[..end].split('|').map(str::to_owned).collect();
                    if names
                        .iter()
                        .any(|name| name.trim() != name || name.is_empty())
                    {
                        return Err(wrong(format!(
                            "has an empty or padded name in the braces at character {place}"
                        )));
                    }
                    segment.push(Piece::Field(names));
                    rest = template.char_indices();
                    rest.by_ref().find(|(index, _)| *index == at + 1 + end);
                }
                '}' => {
                    return Err(wrong(format!(
                        "has a brace without its partner at character {place}"
                    )));
                }
                '~' | '%' => {
                    return Err(wrong(format!(
                        "holds {char} at character {place}, which marks cut and encoded values"
                    )));
                }
                _ if must_encode(char) => {
                    return Err(wrong(format!(
                        "holds a character that no log key may hold (character {place}, U+{:04X})",
                        u32::from(char)
                    )));
                }
                _ => match segment.last_mut() {
                    Some(Piece::Literal(text)) => text.push(char),
                    Some(Piece::Field(_)) | None => segment.push(Piece::Literal(char.to_string())),
                },
            }
        }
        check(&segments).map_err(|problem| wrong(problem.to_string()))?;
        Ok(Self { segments })
    }

    /// Fills the template. `value` gives what a name stands for.
    pub(super) fn key(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let count = self.segments.len().max(1);
        let bytes_max = SEGMENT_BYTES_MAX.min((KEY_BYTES_MAX + 1) / count - 1);
        let segments = self.segments.iter().map(|pieces| {
            let pieces = pieces.iter().map(|piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Field(names) => {
                    let found = names.iter().filter_map(|name| value(name));
                    match found.into_iter().find(|value| !value.is_empty()) {
                        Some(value) => encoded(&value),
                        None => MISSING.to_owned(),
                    }
                }
            });
            segment(pieces.collect(), bytes_max)
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

fn check(segments: &[Vec<Piece>]) -> Result<(), Reason> {
    if segments.len() > SEGMENTS_MAX {
        return Err(Reason::new(format!(
            "has {} segments; at most {SEGMENTS_MAX} are accepted",
            segments.len()
        )));
    }
    for (index, pieces) in segments.iter().enumerate() {
        let number = index + 1;
        if pieces.is_empty() {
            return Err(Reason::new(format!(
                "has an empty segment (segment {number})"
            )));
        }
        if let [Piece::Literal(text)] = pieces.as_slice()
            && (text == "." || text == "..")
        {
            return Err(Reason::new(format!(
                "has the segment {text} (segment {number})"
            )));
        }
        let literal = |piece: &Piece| match piece {
            Piece::Literal(text) => text.len(),
            Piece::Field(_) => 0,
        };
        if pieces.iter().map(literal).sum::<usize>() > 40 {
            return Err(Reason::new(format!(
                "has more than 40 bytes of text in one segment (segment {number})"
            )));
        }
    }
    let is_unique = |piece: &Piece| matches!(piece, Piece::Field(names) if names[0] == "span_id");
    if !segments.iter().flatten().any(is_unique) {
        return Err(Reason::new(
            "has no {span_id}, without which spans would replace each other",
        ));
    }
    Ok(())
}

/// What no log key may hold (the same as `rules::LogKey`).
fn must_encode(char: char) -> bool {
    char == '\\'
        || char.is_control()
        || matches!(char, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A value without what has a meaning in keys; no two values become one.
fn encoded(value: &str) -> String {
    if value == MISSING {
        return "%5F".to_owned();
    }
    let mut text = String::with_capacity(value.len());
    for char in value.chars() {
        if must_encode(char) || matches!(char, '/' | '%' | '~') {
            let mut utf8 = [0; 4];
            for byte in char.encode_utf8(&mut utf8).bytes() {
                text.push_str(&format!("%{byte:02X}"));
            }
        } else {
            text.push(char);
        }
    }
    text
}

fn segment(text: String, bytes_max: usize) -> String {
    if text == "." || text == ".." {
        return text.replace('.', "%2E");
    }
    if text.len() <= bytes_max {
        return text;
    }
    let hash = hex(&Sha256::digest(&text)[..16]);
    let mut end = bytes_max - hash.len() - 1;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{hash}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(value: &str) -> String {
        let template = KeyTemplate::parse("{a}/{span_id}").unwrap();
        template.key(|name| (name == "a").then(|| value.to_owned()))
    }

    #[test]
    fn the_default_orders_a_conversation_by_time() {
        let key = KeyTemplate::default().key(|name| {
            Some(match name {
                "service.name" => "airline".to_owned(),
                "session.id" => "s/1".to_owned(),
                "start_time" => "01700000000000000000".to_owned(),
                "span_id" => "00f067aa0ba902b7".to_owned(),
                _ => return None,
            })
        });
        assert_eq!(key, "airline/s%2F1/01700000000000000000-00f067aa0ba902b7");
    }

    #[test]
    fn what_a_key_may_not_hold_is_encoded() {
        for (value, expected) in [
            ("a b:ü", "a b:ü"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "..."),
            ("", "_"),
            ("_", "%5F"),
            ("__", "__"),
            ("a/b\\c\n%~", "a%2Fb%5Cc%0A%25%7E"),
            ("\u{202E}", "%E2%80%AE"),
        ] {
            assert_eq!(one(value), format!("{expected}/_"), "{value:?}");
        }
        let long = one(&"ü".repeat(200));
        assert!(long.len() <= 242 && long.contains('~'), "{long}");
        assert_ne!(long, one(&"ü".repeat(201)));
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_with_its_place() {
        for (template, reason) in [
            ("", "empty segment (segment 1)"),
            ("ä{span_id", "partner at character 2"),
            ("{a{span_id}}", "partner at character 1"),
            ("{span_id}}", "partner at character 10"),
            ("{}/{span_id}", "name in the braces at character 1"),
            ("{a| b}/{span_id}", "name in the braces at character 1"),
            ("a//{span_id}", "empty segment (segment 2)"),
            ("/{span_id}", "empty segment (segment 1)"),
            ("{span_id}/", "empty segment (segment 2)"),
            ("../{span_id}", "the segment .. (segment 1)"),
            ("a\\{span_id}", "character 2, U+005C"),
            ("~{span_id}", "holds ~ at character 1"),
            ("{a}/{trace_id}", "no {span_id}"),
            ("{a|span_id}", "no {span_id}"),
            ("{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{span_id}", "at most 8"),
        ] {
            let error = KeyTemplate::parse(template).expect_err(template);
            assert!(error.as_str().starts_with("the key template "), "{error}");
            assert!(error.as_str().contains(reason), "{template}: {error}");
        }
    }

    proptest! {
        #[test]
        fn different_values_make_different_keys_and_each_is_good(
            first in "[a./\\\\%~_\u{202E}\\PC\n]{0,9}",
            second in "[a./\\\\%~_\u{202E}\\PC\n]{0,9}",
            times in prop::sample::select(vec![1_usize, 1, 40, 300]),
        ) {
            let (first, second) = (first.repeat(times), second.repeat(times));
            let (one, other) = (one(&first), one(&second));
            prop_assert_eq!(first == second, one == other);
            let segment = one.strip_suffix("/_").unwrap();
            prop_assert!(!segment.is_empty() && segment.len() <= 240 && segment != "." && segment != "..");
            prop_assert!(!segment.contains(|char| must_encode(char) || char == '/'));
        }

        #[test]
        fn templates_never_panic(template in "[{}|/~.a\\PC]{0,20}") {
            if let Ok(template) = KeyTemplate::parse(&template) {
                prop_assert!(template.key(|_| Some("x".repeat(999))).len() <= 900);
            }
        }
    }
}
