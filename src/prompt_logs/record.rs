//! One prompt log as it is written (the wire contract, section 7).

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use rules::{Error, LogKey, RequiredPermission, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A history longer than this is no conversation but a mistake of the writer.
const HISTORY_PROMPTS_MAX: usize = 10_000;

/// A prompt log, checked. `created_at` has microseconds, what Delta's timestamps hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub log_key: LogKey,
    /// `None`: now, at the moment it is written.
    pub created_at: Option<DateTime<Utc>>,
    pub system: Option<Prompt>,
    pub history: Option<Vec<Prompt>>,
    pub labels: Labels,
}

/// A rendered prompt. Shared: the same prompt recurs in the history of every later turn.
pub(super) type Prompt = Arc<str>;

/// The columns beside the prompts, in the order of `lake::prompt_log_table::LABELS`; the last two are JSON text.
pub(super) type Labels = [Option<String>; 8];

#[derive(Deserialize)]
struct Wire {
    log_key: String,
    created_at: Option<DateTime<Utc>>,
    system: Option<String>,
    history: Option<Vec<String>>,
    conversation_id: Option<String>,
    interaction_id: Option<String>,
    user_id: Option<String>,
    service_id: Option<String>,
    prompt_type: Option<String>,
    model: Option<String>,
    attributes: Option<Box<RawValue>>,
    required_permissions: Option<Vec<RequiredPermission>>,
}

impl Record {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// `Invalid` with the reason: no JSON, a field of the wrong type, a bad log key, neither `system` nor `history`.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(json).map_err(|error| {
            Error::invalid(format!("this is no prompt log: {error}")).because(error)
        })?;
        let log_key = LogKey::parse(&wire.log_key)?;
        if wire.system.is_none() && wire.history.is_none() {
            return Err(Error::invalid(
                "a prompt log needs `system`, `history` or both; here both are missing",
            ));
        }
        let prompts = wire.history.as_ref().map_or(0, Vec::len);
        if prompts > HISTORY_PROMPTS_MAX {
            return Err(Error::invalid(format!(
                "the history has {prompts} prompts; at most {HISTORY_PROMPTS_MAX} are accepted"
            )));
        }
        // An empty list names no permission, which is what leaving it out means too: the default then applies.
        let required_permissions = wire
            .required_permissions
            .filter(|required| !required.is_empty());
        let required_permissions = required_permissions
            .map(|required| permissions_text(&required))
            .transpose()?;
        Ok(Self {
            log_key,
            created_at: wire.created_at.map(|instant| instant.trunc_subsecs(6)),
            system: wire.system.map(Prompt::from),
            history: wire
                .history
                .map(|prompts| prompts.into_iter().map(Prompt::from).collect()),
            labels: [
                wire.conversation_id,
                wire.interaction_id,
                wire.user_id,
                wire.service_id,
                wire.prompt_type,
                wire.model,
                wire.attributes.map(|json| json.get().to_owned()),
                required_permissions,
            ],
        })
    }
}

fn permissions_text(required: &[RequiredPermission]) -> Result<String> {
    for permission in required {
        permission.validate()?;
    }
    serde_json::to_string(required)
        .map_err(|error| Error::internal("permissions cannot be stored").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, reason: &str) {
        let error = Record::parse(json.as_bytes()).expect_err("a rejection");
        assert!(
            error.message().contains(reason),
            "{:?} does not say {reason:?}",
            error.message()
        );
    }

    #[test]
    fn only_the_key_and_one_part_are_required() {
        let record = Record::parse(br#"{"log_key": "a/b", "history": []}"#).unwrap();
        assert_eq!(
            (record.system, record.history, record.created_at),
            (None, Some(vec![]), None)
        );
    }

    #[test]
    fn attributes_stay_as_they_were_written() {
        let record =
            Record::parse(br#"{"log_key":"a","system":"","attributes":{"b": 1.10, "a":2}}"#)
                .unwrap();
        assert_eq!(record.labels[6].as_deref(), Some(r#"{"b": 1.10, "a":2}"#));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("{}", "missing field `log_key`");
        check(r#"{"log_key":"a"}"#, "`system`, `history` or both");
        check(
            r#"{"log_key":"a","system":null,"history":null}"#,
            "both are missing",
        );
        check(r#"{"log_key":"a//b","system":""}"#, "segment");
        check(r#"{"log_key":"a","history":[1]}"#, "expected a string");
        check(
            r#"{"log_key":"a","system":"","created_at":"yesterday"}"#,
            "line 1",
        );
        check(
            r#"{"log_key":"a","system":"","required_permissions":[{"permission_name":"*"}]}"#,
            "permission",
        );
        check("[", "EOF");
    }
}
