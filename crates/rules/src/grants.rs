//! Roles, the permissions they grant, and who is calling (the wire contract, section 5).
//!
//! Read from the directory and from requests, decided on by [`crate::decide`](crate::decide()), compared by
//! [`covers`](crate::covers). Promises: the wire form is that of the published API. A field of a grant that nobody
//! knows is an error: a misspelt condition or `Deny` would widen the grant.
//! Not here: what a grant means for a request.

use crate::{Error, OrgId, Result, RoleName, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// In a condition, stands for the organization of the caller.
pub(crate) const SELF_ORG_ID: &str = "{self_org_id}";

/// In a condition, stands for the user id of the caller.
pub(crate) const SELF_USER_ID: &str = "{self_user_id}";

/// What a grant demands of one attribute of a request. A whole value may be `{self_org_id}` or `{self_user_id}`,
/// which stand for the caller's own.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Hash, Debug)]
#[serde(tag = "type")]
pub enum Condition {
    /// The attribute is this value.
    Equals {
        /// The value.
        value: String,
    },
    /// The attribute is another value.
    NotEquals {
        /// The value it may not be.
        value: String,
    },
    /// The attribute is one of these values.
    In {
        /// The values.
        values: Vec<String>,
    },
}

/// What a matching grant does.
#[derive(Serialize, Deserialize, Default, Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Permits.
    #[default]
    Allow,
    /// Forbids, and wins over every [`Action::Allow`].
    Deny,
}

/// One permission given (or with [`Action::Deny`], taken) under conditions that must all hold.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Hash, Debug)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `Family:Name`, `Family:*` or `*`.
    pub permission_name: String,
    /// What must hold, by attribute.
    #[serde(default)]
    pub conditions: BTreeMap<String, Condition>,
    /// Whether it permits or forbids.
    #[serde(default)]
    pub action: Action,
    /// Why it exists, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A named list of grants. A user has one role.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Role {
    /// Unique within its organization.
    pub name: RoleName,
    /// The order means nothing.
    pub grants: Vec<Grant>,
}

/// What a request, or one prompt log, asks of its caller (the wire contract, sections 5 and 7).
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Hash, Debug)]
#[serde(expecting = "an object")]
pub struct RequiredPermission {
    /// `Family:Name`, without wildcards.
    pub permission_name: String,
    /// What is known about the thing asked for; conditions look here.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// Who is calling.
///
/// It crosses the process border to the query worker, so it serializes.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The organization the user belongs to, not the one in the request's path.
    pub org_id: OrgId,
    /// The user within that organization.
    pub user_id: UserId,
    /// The user's one role.
    pub role: Role,
    /// Grants of this user alone that have not expired.
    #[serde(default)]
    pub temporary_grants: Vec<Grant>,
}

impl Grant {
    /// An unconditional [`Action::Allow`].
    pub fn allow(permission_name: impl Into<String>) -> Self {
        Self {
            permission_name: permission_name.into(),
            conditions: BTreeMap::new(),
            action: Action::Allow,
            description: None,
        }
    }

    /// The same grant with one more condition, or with another one on that attribute.
    #[must_use]
    pub fn when(mut self, attribute: impl Into<String>, condition: Condition) -> Self {
        self.conditions.insert(attribute.into(), condition);
        self
    }

    /// Whether this can be stored: a well-formed name and conditions that can mean something
    /// ([`crate::Kind::Invalid`] otherwise).
    pub fn validate(&self) -> Result<()> {
        let name = self.permission_name.as_str();
        let is_whole_family = name.strip_suffix(":*").is_some_and(is_word);
        if name != "*" && !is_whole_family && !is_full_name(name) {
            return Err(Error::invalid(format!(
                "permission_name {name:?} is not of the form Family:Name, Family:* or *"
            )));
        }
        for (attribute, condition) in &self.conditions {
            condition.validate(name, attribute)?;
        }
        Ok(())
    }
}

impl Condition {
    /// An [`Condition::Equals`].
    pub fn equals(value: impl Into<String>) -> Self {
        Self::Equals {
            value: value.into(),
        }
    }

    /// The values it names, whatever it says about them.
    pub(crate) fn values(&self) -> &[String] {
        match self {
            Self::Equals { value } | Self::NotEquals { value } => std::slice::from_ref(value),
            Self::In { values } => values,
        }
    }

    fn values_mut(&mut self) -> &mut [String] {
        match self {
            Self::Equals { value } | Self::NotEquals { value } => std::slice::from_mut(value),
            Self::In { values } => values,
        }
    }

    fn validate(&self, name: &str, attribute: &str) -> Result<()> {
        if attribute.is_empty() {
            return Err(Error::invalid(format!(
                "a condition of permission {name} names no attribute"
            )));
        }
        if self.values().is_empty() {
            return Err(Error::invalid(format!(
                "the condition on {attribute} of permission {name} lists no values"
            )));
        }
        // A misspelt stand-in would silently never match, which for a Deny means that it never denies.
        for value in self.values() {
            if value.contains("{self_") && value != SELF_ORG_ID && value != SELF_USER_ID {
                return Err(Error::invalid(format!(
                    "the condition on {attribute} of permission {name} may use {SELF_ORG_ID} and {SELF_USER_ID} as a \
                     whole value only, not {value:?}"
                )));
            }
        }
        Ok(())
    }
}

impl Role {
    /// The same role for users of this organization alone: `{self_org_id}` is its id. Roles of two organizations are to be
    /// compared like this, for the stand-in means another organization in each.
    #[must_use]
    pub fn within(&self, org_id: &OrgId) -> Self {
        let mut role = self.clone();
        for grant in &mut role.grants {
            let conditions = grant.conditions.values_mut();
            for value in conditions.flat_map(Condition::values_mut) {
                if value == SELF_ORG_ID {
                    org_id.as_str().clone_into(value);
                }
            }
        }
        role
    }
}

impl RequiredPermission {
    /// A permission without attributes.
    pub fn new(permission_name: impl Into<String>) -> Self {
        Self {
            permission_name: permission_name.into(),
            attributes: BTreeMap::new(),
        }
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn with(mut self, attribute: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(attribute.into(), value.into());
        self
    }

    /// Whether this can be stored with a log: `Family:Name`, no wildcards ([`crate::Kind::Invalid`] otherwise).
    pub fn validate(&self) -> Result<()> {
        let name = self.permission_name.as_str();
        if !is_full_name(name) {
            return Err(Error::invalid(format!(
                "permission_name {name:?} is not of the form Family:Name"
            )));
        }
        if self.attributes.contains_key("") {
            return Err(Error::invalid(format!(
                "an attribute of permission {name} has no name"
            )));
        }
        Ok(())
    }
}

/// `Family:Name`.
pub(crate) fn is_full_name(name: &str) -> bool {
    name.split_once(':')
        .is_some_and(|(family, name)| is_word(family) && is_word(name))
}

/// `[A-Za-z][A-Za-z0-9]*`.
fn is_word(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
