//! The two rows of an act, made of what its caller knows.

use chrono::{DateTime, Utc};
use rules::{Caller, Error, Kind, OrgId, UserId};
use serde_json::Value;

use super::{AUDIT_OPENED, AuditRow, Deed, millis};

/// A reason is a sentence; one that quotes much is cut.
const REASON_CHARS_MAX: usize = 1_000;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A user of this organization or another one, with a token.
    User(OrgId, UserId),
    /// Who the caller of a sign-in says they are; nobody, where it cannot be a user's id.
    Claimed(OrgId, Option<UserId>),
    /// Whoever holds a signed URL.
    UrlHolder,
    /// A user of the machine, with a command.
    Operator(String),
}

impl Actor {
    /// A caller that was authenticated.
    pub fn of(caller: &Caller) -> Self {
        Self::User(caller.org_id.clone(), caller.user_id.clone())
    }
}

/// What is known before the work.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// The organization in whose chain the act is; none: the server's own.
    pub org_id: Option<OrgId>,
    pub actor: Actor,
    pub deed: Deed,
    pub request_id: Option<String>,
    pub client_address: Option<String>,
}

impl Opening {
    pub(super) fn row(self, entry_id: String, now: DateTime<Utc>) -> AuditRow {
        let (actor, org, id) = match self.actor {
            Actor::User(org, user) => ("user", Some(org), Some(user.to_string())),
            Actor::Claimed(org, user) => ("claimed", Some(org), user.map(String::from)),
            Actor::UrlHolder => ("url_holder", None, None),
            Actor::Operator(name) => ("operator", None, Some(name)),
        };
        let Deed {
            action,
            resource,
            detail,
        } = self.deed;
        AuditRow {
            org_id: self.org_id.map(String::from).unwrap_or_default(),
            at: millis(now),
            entry_id,
            event: AUDIT_OPENED.to_owned(),
            actor: actor.to_owned(),
            actor_org_id: org.map(String::from),
            actor_id: id,
            action: action.name().to_owned(),
            resource,
            request_id: self.request_id,
            client_address: self.client_address,
            detail: detail.map(|detail| detail.to_string()),
            ..AuditRow::default()
        }
    }
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// The actor may not do it.
    Denied,
    Failed,
    /// It came to no end: a caller hung up, a server was killed.
    Interrupted,
}

impl Outcome {
    /// As the audit log names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What is known after the work.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    pub outcome: Outcome,
    /// Of the answer over HTTP.
    pub status: Option<u16>,
    /// Why it did not succeed, in words the actor got as well.
    pub reason: Option<String>,
    /// Rows of an answer, logs of an archive.
    pub rows: Option<u64>,
    /// Of an answer's body.
    pub bytes: Option<u64>,
    /// A JSON object; never a secret.
    pub detail: Option<Value>,
}

impl End {
    /// An end of which no more is known.
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: None,
            reason: None,
            rows: None,
            bytes: None,
            detail: None,
        }
    }

    /// Something cut the act off.
    pub fn interrupted(reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::new(Outcome::Interrupted)
        }
    }

    /// The act did not succeed.
    pub fn of_error(error: &Error) -> Self {
        let outcome = match error.kind() {
            Kind::Forbidden | Kind::Unauthenticated => Outcome::Denied,
            _ => Outcome::Failed,
        };
        let reason: String = error.message().chars().take(REASON_CHARS_MAX).collect();
        Self {
            reason: Some(reason),
            ..Self::new(outcome)
        }
    }

    /// The second row of an act; `entry` is its first, or what both have in common.
    pub(super) fn row(&self, entry: &AuditRow, now: DateTime<Utc>) -> AuditRow {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        AuditRow {
            at: millis(now),
            event: "completed".to_owned(),
            resource: None,
            request_id: None,
            client_address: None,
            outcome: Some(self.outcome.name().to_owned()),
            status: self.status.map(i64::from),
            reason: self.reason.clone(),
            rows: self.rows.map(number),
            bytes: self.bytes.map(number),
            detail: self.detail.as_ref().map(Value::to_string),
            ..entry.clone()
        }
    }
}
