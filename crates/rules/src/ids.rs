//! Names that come from outside: parsed once at the border, trusted everywhere after.
//!
//! Promises: an organization, cluster or table name fits where it is used (a folder, a part of a URL, a SQL
//! identifier) without escaping; every serialized form is the plain string, checked again when it is read.
//! Not here: whether the named thing exists.

use crate::{Error, Result};

/// A string type whose every value has passed `$check`, with the traits all names share.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes `text` exactly as it is, or says what is wrong with it ([`crate::Kind::Invalid`]).
            pub fn parse(text: &str) -> $crate::Result<Self> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }

            /// The text that was parsed.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::Error;

            fn try_from(text: String) -> $crate::Result<Self> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
pub(crate) use checked_string;

checked_string! {
    /// An organization: 1 to 64 of `A-Z a-z 0-9 _ -`, the first a letter or digit.
    ///
    /// It is a folder name and a part of a URL.
    OrgId, |text| ORGANIZATION.check(text)
}

checked_string! {
    /// A user within an organization: 1 to 128 of `A-Z a-z 0-9 _ . @ + : -`, the first a letter or digit.
    UserId, |text| USER.check(text)
}

checked_string! {
    /// A table of an organization: 1 to 64 of `a-z 0-9 _`, the first no digit.
    ///
    /// Lower case only, because SQL folds unquoted names to lower case.
    TableName, |text| TABLE.check(text)
}

checked_string! {
    /// A database cluster: 1 to 64 of `A-Z a-z 0-9 _ -`, the first a letter or digit.
    ClusterName, |text| CLUSTER.check(text)
}

checked_string! {
    /// A role within an organization: 1 to 256 characters, no control characters, no space at either end.
    RoleName, check_role_name
}

/// What an ASCII name may look like. `thing` and `rule` are parts of the sentence a caller reads.
struct Shape {
    thing: &'static str,
    chars_max: usize,
    is_first: fn(u8) -> bool,
    is_later: fn(u8) -> bool,
    rule: &'static str,
}

const ORGANIZATION: Shape = Shape {
    thing: "an organization id",
    chars_max: 64,
    is_first: |byte| byte.is_ascii_alphanumeric(),
    is_later: |byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
    rule: "letters, digits, _ and -, and starts with a letter or digit",
};

const CLUSTER: Shape = Shape {
    thing: "a cluster name",
    ..ORGANIZATION
};

const USER: Shape = Shape {
    thing: "a user id",
    chars_max: 128,
    is_first: |byte| byte.is_ascii_alphanumeric(),
    is_later: |byte| byte.is_ascii_alphanumeric() || b"_.@+:-".contains(&byte),
    rule: "letters, digits and _ . @ + : -, and starts with a letter or digit",
};

const TABLE: Shape = Shape {
    thing: "a table name",
    chars_max: 64,
    is_first: |byte| byte.is_ascii_lowercase() || byte == b'_',
    is_later: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_',
    rule: "lower-case letters, digits and _, and starts with no digit",
};

impl Shape {
    fn check(&self, text: &str) -> Result<()> {
        let Self {
            thing,
            chars_max,
            rule,
            ..
        } = self;
        let Some((&first, later)) = text.as_bytes().split_first() else {
            return Err(Error::invalid(format!("{thing} may not be empty")));
        };
        if !(self.is_first)(first) || !later.iter().all(|&byte| (self.is_later)(byte)) {
            return Err(Error::invalid(format!("{thing} holds only {rule}")));
        }
        if text.len() > *chars_max {
            return Err(Error::invalid(format!(
                "{thing} has at most {chars_max} characters, this one has {}",
                text.len()
            )));
        }
        Ok(())
    }
}

/// The most characters of a role name.
const ROLE_NAME_CHARS_MAX: usize = 256;

fn check_role_name(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid("a role name may not be empty"));
    }
    let chars = text.chars().count();
    if chars > ROLE_NAME_CHARS_MAX {
        return Err(Error::invalid(format!(
            "a role name has at most {ROLE_NAME_CHARS_MAX} characters, this one has {chars}"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid("a role name holds no control characters"));
    }
    if text.trim() != text {
        return Err(Error::invalid(
            "a role name neither starts nor ends with a space",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
