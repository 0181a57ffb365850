//! Connection strings, which may hold passwords: no error, no `Debug` and no log shows one.

use std::fmt;

use futures::FutureExt;
use mongodb::options::{ClientOptions, ConnectionString, HostInfo};
use rules::{Error, Result};
use serde::{Deserialize, Serialize, Serializer};

/// A connection string, which may hold a password: it is neither printed nor serialized.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct MongoUri(String);

impl MongoUri {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// What the driver makes of it, without connecting or asking DNS.
    ///
    /// # Errors
    /// `Invalid`, beginning with the setting, without anything that may be secret.
    pub(super) fn parse(&self, setting: &str) -> Result<ConnectionString> {
        let text = self.0.trim();
        let parsed = ConnectionString::parse(text).and_then(|uri| {
            // The driver checks the rest when it looks up the hosts, which needs no network where they are named.
            let named = matches!(uri.host_info, HostInfo::HostIdentifiers(_));
            let options = named.then(|| ClientOptions::parse(uri.clone()).into_future());
            match options.and_then(FutureExt::now_or_never) {
                Some(Err(error)) => Err(error),
                _ => Ok(uri),
            }
        });
        parsed.map_err(|_| {
            Error::invalid(format!(
                "{setting} is no MongoDB connection string: {}",
                why_wrong(text)
            ))
        })
    }
}

/// What is wrong with a connection string, without its credentials: the driver's own words may hold parts of a password
/// that is not percent-encoded.
fn why_wrong(text: &str) -> String {
    let scheme_end = text.find("://").map(|at| at + "://".len());
    let Some(scheme_end) = scheme_end.filter(|_| text.starts_with("mongodb")) else {
        return "it must begin with mongodb:// or mongodb+srv://".to_owned();
    };
    let bare = match text.rfind('@') {
        Some(at) if at >= scheme_end => format!("{}{}", &text[..scheme_end], &text[at + 1..]),
        _ => text.to_owned(),
    };
    let holds_secrets = ["properties", "password", "proxy"];
    let reason = match ConnectionString::parse(&bare) {
        Err(error) => error.to_string(),
        Ok(uri) => match ClientOptions::parse(uri).into_future().now_or_never() {
            Some(Err(error)) => error.to_string(),
            _ => return "special characters in user name and password must be percent-encoded, and the options must go together".to_owned(),
        },
    };
    if holds_secrets
        .iter()
        .any(|word| bare.to_lowercase().contains(word))
    {
        return "one of its options is wrong".to_owned();
    }
    reason
}

impl fmt::Debug for MongoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MongoUri(…)")
    }
}

impl Serialize for MongoUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

/// A message with everything left out that stands behind the start of a connection string on the same line.
pub(in crate::config) fn without_credentials(message: &str) -> String {
    let line = |line: &str| match (line.find("mongodb://"), line.find("mongodb+srv://")) {
        (Some(at), _) | (None, Some(at)) => format!("{}…", &line[..at]),
        (None, None) => line.to_owned(),
    };
    let lines: Vec<String> = message.lines().map(line).collect();
    lines.join("\n")
}
