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

/// What may be wrong with a connection string. Never the driver's own words: they quote the string, and where the
/// credentials end in it nobody can tell when it is wrong.
fn why_wrong(text: &str) -> &'static str {
    match text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
        false => "it must begin with mongodb:// or mongodb+srv://",
        true => {
            "it is mongodb://USER:PASSWORD@HOST:PORT/?OPTIONS; special characters in user name and password must be \
             percent-encoded, the options known and their values in range"
        }
    }
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

/// A message with everything left out that stands on a line from what may be the start of a connection string, of whatever
/// scheme.
pub(in crate::config) fn without_credentials(message: &str) -> String {
    let line = |line: &str| {
        let found = [line.find("://"), line.find('@')].into_iter().flatten();
        let Some(found) = found.min() else {
            return line.to_owned();
        };
        let is_before = |c: char| c.is_whitespace() || "\"'`".contains(c);
        let start = line[..found].rfind(is_before).map_or(0, |at| at + 1);
        format!("{}…", &line[..start])
    };
    let lines: Vec<String> = message.lines().map(line).collect();
    lines.join("\n")
}
