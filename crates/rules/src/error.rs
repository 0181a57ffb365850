//! The one error that crosses layers.
//!
//! Made where something goes wrong, handed up unchanged, logged once and turned into a status by the HTTP layer.
//! Promises: `message` holds nothing of `source`, so it may always be shown to the caller.
//! Not here: status codes and response bodies.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

/// A fallible answer of this project.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request cannot be served.
///
/// `kind` decides the status (in the HTTP layer only), `message` is for the caller (one lower-case sentence that
/// names the thing and the next step), `source` is for the log only.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the caller should do next, one kind for each different answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The request can never succeed as it stands: change it.
    Invalid,
    /// The request has the right shape but these parts of it fail validation: change them.
    Unprocessable(Vec<Violation>),
    /// Nobody, or nobody known, is calling: sign in.
    Unauthenticated,
    /// The caller is known and may not do this: ask for the permission.
    Forbidden,
    /// There is no such thing, or none the caller may know of.
    NotFound,
    /// There was such a thing, and it is no more: make it again.
    Gone,
    /// The thing changed or exists already: look again.
    Conflict,
    /// The work took longer than its limit and was stopped: ask for less.
    TimedOut,
    /// The request or its content passes a size limit: send less.
    TooLarge,
    /// The caller's rate limit is used up: wait.
    TooMany,
    /// Something needed does not answer, or maintenance is on: try again later.
    Unavailable,
    /// There is no room left to store what was sent: an operator must act.
    StorageFull,
    /// A defect of this server: the operator finds it in the log.
    Internal,
}

/// One entry of an unprocessable request's list: `{"loc": ["body", "sql_query"], "msg": "…", "type": "…"}`
/// (the wire contract, section 4).
#[derive(Serialize, Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where: `body`, `query`, `path` or `header`, then the names that lead to the value.
    pub loc: Vec<String>,
    /// What is wrong with it, for a person.
    pub msg: String,
    /// What is wrong with it, for a program, for example `missing` or `string_too_long`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Error {
    /// An error without a source.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// [`Kind::Invalid`].
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// [`Kind::Unprocessable`] with one violation; `message` serves as both the error's and the violation's.
    pub fn unprocessable(
        loc: &[&str],
        message: impl Into<Cow<'static, str>>,
        kind: impl Into<String>,
    ) -> Self {
        let message = message.into();
        let violation = Violation {
            loc: loc.iter().map(|&part| part.to_owned()).collect(),
            msg: message.clone().into_owned(),
            kind: kind.into(),
        };
        Self::new(Kind::Unprocessable(vec![violation]), message)
    }

    /// [`Kind::Unauthenticated`].
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unauthenticated, message)
    }

    /// [`Kind::Forbidden`].
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// [`Kind::NotFound`].
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// [`Kind::Conflict`].
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// [`Kind::TimedOut`].
    pub fn timed_out(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TimedOut, message)
    }

    /// [`Kind::TooLarge`].
    pub fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// [`Kind::TooMany`].
    pub fn too_many(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::TooMany, message)
    }

    /// [`Kind::Unavailable`].
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// [`Kind::StorageFull`].
    pub fn storage_full(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::StorageFull, message)
    }

    /// [`Kind::Internal`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// The same error with what lies behind it, for the log; the caller never sees it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller should do next.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The sentence for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_sees_the_message_and_never_the_source() {
        let error = Error::unavailable("log storage did not answer; try again")
            .because("connect /var/run/secret: refused");
        assert_eq!(error.kind(), &Kind::Unavailable);
        assert_eq!(error.to_string(), "log storage did not answer; try again");
        let source = std::error::Error::source(&error).expect("a source was given");
        assert_eq!(source.to_string(), "connect /var/run/secret: refused");
    }

    #[test]
    fn an_error_without_a_source_has_none() {
        assert!(std::error::Error::source(&Error::conflict("it exists")).is_none());
    }

    #[test]
    fn a_violation_serializes_as_the_contract_says() {
        let error = Error::unprocessable(&["body", "sql_query"], "is missing", "missing");
        let Kind::Unprocessable(violations) = error.kind() else {
            panic!("wrong kind: {error:?}");
        };
        assert_eq!(
            serde_json::to_string(violations).unwrap(),
            r#"[{"loc":["body","sql_query"],"msg":"is missing","type":"missing"}]"#
        );
        assert_eq!(error.message(), "is missing");
    }

    #[test]
    fn each_constructor_makes_its_own_kind() {
        let made = [
            (Error::invalid("x"), Kind::Invalid),
            (Error::unauthenticated("x"), Kind::Unauthenticated),
            (Error::forbidden("x"), Kind::Forbidden),
            (Error::not_found("x"), Kind::NotFound),
            (Error::conflict("x"), Kind::Conflict),
            (Error::timed_out("x"), Kind::TimedOut),
            (Error::too_large("x"), Kind::TooLarge),
            (Error::too_many("x"), Kind::TooMany),
            (Error::unavailable("x"), Kind::Unavailable),
            (Error::storage_full("x"), Kind::StorageFull),
            (Error::internal("x"), Kind::Internal),
        ];
        for (error, kind) in made {
            assert_eq!(error.kind(), &kind);
        }
    }
}
