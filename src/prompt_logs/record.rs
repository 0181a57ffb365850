//! One prompt log, checked, as it is written (the wire contract, section 7).

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use prompt_intake::{Draft, Object};
use rules::{Error, LogKey, RequiredPermission, Result};

/// The most bytes of a list of permissions: read, it takes many times as many.
const PERMISSIONS_BYTES_MAX: usize = 64 * 1024;

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

impl Record {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// `Invalid` with the reason: as [`Draft::parse`], and as [`Record::new`].
    pub fn parse(json: &[u8]) -> Result<Self> {
        let draft = Draft::parse(json).map_err(|reason| Error::invalid(reason.to_string()))?;
        Self::new(draft)
    }

    /// Checks what somebody sent.
    ///
    /// # Errors
    /// `Invalid` with the reason: a bad log key, permissions that are none.
    pub fn new(draft: Draft) -> Result<Self> {
        let log_key = LogKey::parse(&draft.log_key)?;
        let required_permissions = draft
            .required_permissions
            .map(|json| permissions_text(&json))
            .transpose()?
            .flatten();
        let history = draft.history;
        Ok(Self {
            log_key,
            created_at: draft.created_at.map(|instant| instant.trunc_subsecs(6)),
            system: draft.system.map(Prompt::from),
            history: history.map(|prompts| prompts.into_iter().map(Prompt::from).collect()),
            labels: [
                draft.conversation_id,
                draft.interaction_id,
                draft.user_id,
                draft.service_id,
                draft.prompt_type,
                draft.model,
                draft.attributes,
                required_permissions,
            ],
        })
    }
}

/// The list as it is stored. An empty one names no permission, which is what leaving it out means too: the default then
/// applies.
fn permissions_text(json: &str) -> Result<Option<String>> {
    if json.len() > PERMISSIONS_BYTES_MAX {
        return Err(Error::invalid(format!(
            "required_permissions has {} bytes; at most {PERMISSIONS_BYTES_MAX} are accepted",
            json.len()
        )));
    }
    let required: Vec<Object<RequiredPermission>> =
        serde_json::from_str(json).map_err(|error| {
            Error::invalid(format!(
                "required_permissions is no list of permissions: {error}"
            ))
            .because(error)
        })?;
    let required: Vec<_> = required.into_iter().map(|Object(one)| one).collect();
    for permission in &required {
        permission.validate()?;
    }
    if required.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(&required);
    text.map(Some)
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
        check(
            r#"{"log_key":"a","system":"","required_permissions":[["A:B",{}]]}"#,
            "sequence, expected an object",
        );
        check("[", "sequence, expected an object");
        let many = vec![r#"{"permission_name":"A:B"}"#; 3_000].join(",");
        check(
            &format!(r#"{{"log_key":"a","system":"","required_permissions":[{many}]}}"#),
            "at most 65536 are accepted",
        );
    }
}
