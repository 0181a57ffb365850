//! One prompt log as somebody sent it (the wire contract, section 7).

use std::fmt;

use chrono::{DateTime, FixedOffset, Utc};
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{Object, RECORD_BYTES_MAX, Reason, nesting, record_too_large};

/// A history longer than this is no conversation but a mistake of the writer.
pub const HISTORY_PROMPTS_MAX: usize = 10_000;

/// The most bytes of a log key (the wire contract, section 7).
pub const KEY_BYTES_MAX: usize = 900;

/// A prompt log of the right form whose content nobody has judged yet: neither its key nor its permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    pub log_key: String,
    /// `None`: the moment it is written.
    pub created_at: Option<DateTime<Utc>>,
    /// `None`: there is no such part. At least one of `system` and `history` is there.
    pub system: Option<String>,
    pub history: Option<Vec<String>>,
    pub conversation_id: Option<String>,
    pub interaction_id: Option<String>,
    pub user_id: Option<String>,
    pub service_id: Option<String>,
    pub prompt_type: Option<String>,
    pub model: Option<String>,
    /// JSON, byte for byte as it was written.
    pub attributes: Option<String>,
    /// JSON, as it was written.
    pub required_permissions: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Wire {
    log_key: String,
    #[serde(default, deserialize_with = "instant")]
    created_at: Option<DateTime<Utc>>,
    system: Option<String>,
    history: Option<History>,
    conversation_id: Option<String>,
    interaction_id: Option<String>,
    user_id: Option<String>,
    service_id: Option<String>,
    prompt_type: Option<String>,
    model: Option<String>,
    attributes: Option<Box<RawValue>>,
    required_permissions: Option<Box<RawValue>>,
}

/// An instant with its zone, or none.
fn instant<'de, D: Deserializer<'de>>(json: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(json)? else {
        return Ok(None);
    };
    let instant = text.parse::<DateTime<FixedOffset>>();
    let instant = instant.map_err(|_| {
        let wanted = "created_at is an instant with its zone, such as 2026-01-31T10:00:00Z";
        D::Error::custom(wanted)
    })?;
    Ok(Some(instant.with_timezone(&Utc)))
}

/// The prompts of a history as far as they are accepted: an empty one has three bytes and takes eight times as many. The
/// others are counted.
struct History {
    prompts: Vec<String>,
    count: usize,
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(HistoryVisitor)
    }
}

struct HistoryVisitor;

impl<'de> Visitor<'de> for HistoryVisitor {
    type Value = History;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<History, A::Error> {
        let mut prompts = Vec::new();
        while prompts.len() < HISTORY_PROMPTS_MAX {
            match list.next_element()? {
                Some(prompt) => prompts.push(prompt),
                None => break,
            }
        }
        let mut count = prompts.len();
        while count >= HISTORY_PROMPTS_MAX && list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(History { prompts, count })
    }
}

/// What is wrong with a record is told together with its key.
#[derive(Deserialize)]
struct Named {
    log_key: String,
}

impl Draft {
    /// The key that a record names, even where it is no prompt log; `None` for one that is longer than any key.
    pub fn named(json: &[u8]) -> Option<String> {
        let named = serde_json::from_slice::<Object<Named>>(json);
        let key = named.ok().map(|Object(named)| named.log_key);
        key.filter(|key| key.len() <= KEY_BYTES_MAX)
    }

    /// Reads one JSON object. Fields it does not know are ignored.
    ///
    /// # Errors
    /// The reason: too large, nested too deep, no JSON, a field of the wrong type, neither `system` nor `history`, a
    /// history with too many prompts.
    pub fn parse(json: &[u8]) -> Result<Self, Reason> {
        if json.len() > RECORD_BYTES_MAX {
            return Err(record_too_large());
        }
        nesting::check(json)?;
        let Object(wire): Object<Wire> = serde_json::from_slice(json)
            .map_err(|error| Reason::new(format!("this is no prompt log: {error}")))?;
        if wire.system.is_none() && wire.history.is_none() {
            return Err(Reason::new(
                "a prompt log needs `system`, `history` or both; here both are missing",
            ));
        }
        history_fits(wire.history.as_ref().map_or(0, |history| history.count))?;
        let text = |json: Box<RawValue>| String::from(Box::<str>::from(json));
        Ok(Self {
            log_key: wire.log_key,
            created_at: wire.created_at.map(without_leap_second),
            system: wire.system,
            history: wire.history.map(|history| history.prompts),
            conversation_id: wire.conversation_id,
            interaction_id: wire.interaction_id,
            user_id: wire.user_id,
            service_id: wire.service_id,
            prompt_type: wire.prompt_type,
            model: wire.model,
            attributes: wire.attributes.map(text),
            required_permissions: wire.required_permissions.map(text),
        })
    }
}

/// `23:59:60` is the next second: dates, days and microseconds do not agree on where a leap second is.
fn without_leap_second(instant: DateTime<Utc>) -> DateTime<Utc> {
    let next = instant.timestamp_subsec_nanos().checked_sub(1_000_000_000);
    let next = next.and_then(|nanos| DateTime::from_timestamp(instant.timestamp() + 1, nanos));
    next.unwrap_or(instant)
}

pub(crate) fn history_fits(prompts: usize) -> Result<(), Reason> {
    if prompts <= HISTORY_PROMPTS_MAX {
        return Ok(());
    }
    Err(Reason::new(format!(
        "the history has {prompts} prompts; at most {HISTORY_PROMPTS_MAX} are accepted"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, reason: &str) {
        let error = Draft::parse(json.as_bytes()).expect_err("a rejection");
        assert!(
            error.as_str().contains(reason),
            "{:?} does not say {reason:?}",
            error.as_str()
        );
    }

    #[test]
    fn only_the_key_and_one_part_are_required() {
        let draft = Draft::parse(br#"{"log_key": "a/b", "history": []}"#).unwrap();
        let expected = Draft {
            log_key: "a/b".to_owned(),
            history: Some(vec![]),
            ..Draft::default()
        };
        assert_eq!(draft, expected);
    }

    #[test]
    fn what_is_json_stays_as_it_was_written() {
        let draft = Draft::parse(
            br#"{"log_key":"a","system":"","attributes":{"b": 1.10, "a":2},"required_permissions":[ {} ]}"#,
        )
        .unwrap();
        assert_eq!(draft.attributes.as_deref(), Some(r#"{"b": 1.10, "a":2}"#));
        assert_eq!(draft.required_permissions.as_deref(), Some("[ {} ]"));
    }

    #[test]
    fn null_is_what_leaving_it_out_is_and_unknown_fields_are_ignored() {
        let draft = Draft::parse(
            br#"{"log_key":"a","system":"s","history":null,"attributes":null,"required_permissions":null,"more":[1]}"#,
        )
        .unwrap();
        assert_eq!((draft.history, draft.attributes), (None, None));
        assert_eq!(draft.required_permissions, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("{}", "missing field `log_key`");
        check(r#"{"log_key":"a"}"#, "`system`, `history` or both");
        check(
            r#"{"log_key":"a","system":null,"history":null}"#,
            "both are missing",
        );
        check(r#"{"log_key":"a","history":[1]}"#, "expected a string");
        check(
            r#"{"log_key":"a","history":"h"}"#,
            "expected a list of texts",
        );
        check(
            r#"{"log_key":"a","system":"","created_at":"yesterday"}"#,
            "line 1",
        );
        for list in ["[", "[]", r#"["a",null,"sys",["h"]]"#] {
            check(list, "invalid type: sequence, expected an object");
        }
        check("", "EOF");
        check("\u{1}", "no prompt log");
    }

    #[test]
    fn a_record_is_named_whatever_else_is_wrong_with_it() {
        let named = |json: &str| Draft::named(json.as_bytes());
        let deep = "[".repeat(100) + &"]".repeat(100);
        for wrong in [
            r#"{"log_key":"a"}"#.to_owned(),
            r#"{"system":1,"log_key":"a","created_at":"yesterday"}"#.to_owned(),
            format!(r#"{{"system":"","attributes":{deep},"log_key":"a"}}"#),
        ] {
            assert!(Draft::parse(wrong.as_bytes()).is_err(), "{wrong}");
            assert_eq!(named(&wrong).as_deref(), Some("a"), "{wrong}");
        }
        for nameless in [
            "{}",
            r#"{"log_key":1}"#,
            r#"["a"]"#,
            r#"{"log_key":"a""#,
            "\"a\"",
        ] {
            assert_eq!(named(nameless), None, "{nameless}");
        }
    }

    #[test]
    fn a_key_longer_than_any_is_not_given_back() {
        let named = |bytes: usize| {
            let key = "k".repeat(bytes);
            Draft::named(format!(r#"{{"log_key":"{key}"}}"#).as_bytes())
        };
        assert_eq!(named(900), Some("k".repeat(900)));
        assert_eq!(named(901), None);
    }

    #[test]
    fn a_leap_second_is_the_next_second() {
        for (written, read) in [
            ("2026-11-29T23:59:60Z", "2026-11-30T00:00:00Z"),
            ("2026-11-29T23:59:60.5+02:00", "2026-11-29T22:00:00.5Z"),
            ("2026-11-29T23:59:59.999999Z", "2026-11-29T23:59:59.999999Z"),
        ] {
            let json = format!(r#"{{"log_key":"a","system":"","created_at":"{written}"}}"#);
            let draft = Draft::parse(json.as_bytes()).unwrap();
            let read: DateTime<Utc> = read.parse().unwrap();
            assert_eq!(draft.created_at, Some(read), "{written}");
        }
    }

    #[test]
    fn a_reason_does_not_repeat_what_was_sent() {
        let text = "ü".repeat(1_000_000);
        let json = format!(r#"{{"log_key":"a","history":"{text}"}}"#);
        let reason = Draft::parse(json.as_bytes()).unwrap_err();
        assert!(
            reason
                .as_str()
                .starts_with("this is no prompt log: invalid type")
        );
        assert!(reason.as_str().len() <= 1000 && reason.as_str().ends_with('…'));
    }

    #[test]
    fn limits_are_named() {
        let history = |prompts| {
            let list = vec!["\"\""; prompts].join(",");
            format!(r#"{{"log_key":"a","history":[{list}]}}"#)
        };
        assert!(Draft::parse(history(10_000).as_bytes()).is_ok());
        check(&history(10_001), "has 10001 prompts; at most 10000");
        check(&history(20_000), "has 20000 prompts; at most 10000");
        let nested = |levels: usize| {
            let json = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"log_key":"a","system":"","attributes":{json}}}"#)
        };
        assert!(Draft::parse(nested(63).as_bytes()).is_ok());
        check(&nested(64), "deeper than 64");
        check(&nested(100_000), "deeper than 64");
    }
}
