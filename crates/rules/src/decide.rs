//! May this caller do that? The one place where a permission is decided (the wire contract, section 5).
//!
//! The HTTP layer asks once per endpoint, the prompt log endpoints once per log. Promises: what is not granted is
//! denied, a Deny wins over every Allow, and what is unknown counts against the caller.
//! Not here: which of two roles is greater ([`covers`](crate::covers)), and the full reasons, which are for the
//! operator ([`why()`](crate::why())).

use crate::grants::{SELF_ORG_ID, SELF_USER_ID, is_full_name};
use crate::{Action, Caller, Condition, Grant, OrgId, RequiredPermission, RoleName, UserId};
use std::fmt;

/// The answer to one question about a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The caller may.
    Allowed,
    /// The caller may not, for this reason.
    Denied(Denial),
}

/// Why a caller may not. Displayed, it is the sentence of an `-error` entry and of a 403 (the wire contract, sections 1
/// and 4): it names what was asked for, but tells values only where they are the caller's own ids. Whose log it is, and
/// what its writer noted on it, is not for somebody who may not read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The permission the caller lacks.
    pub missing: RequiredPermission,
    /// The Deny that decided; `None` when simply no grant allows it.
    pub denied_by: Option<Grant>,
    /// The role that holds `denied_by`; `None` when that is a temporary grant.
    pub denied_by_role: Option<RoleName>,
    /// Whose ids may be told.
    caller: (OrgId, UserId),
}

impl Decision {
    /// Whether the caller may.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "permission {} ", self.missing.permission_name)?;
        match (&self.denied_by, &self.denied_by_role) {
            (None, _) => f.write_str("is missing")?,
            (Some(_), Some(role)) => write!(f, "is denied by a grant of role {role}")?,
            (Some(_), None) => f.write_str("is denied by a temporary grant")?,
        }
        let (org_id, user_id) = &self.caller;
        for (index, (attribute, value)) in self.missing.attributes.iter().enumerate() {
            f.write_str(if index == 0 { " (" } else { ", " })?;
            // Attributes come from whoever wrote the log; a control character could forge further lines.
            f.write_str(&printable(attribute))?;
            let own = match attribute.as_str() {
                "org_id" => value == org_id.as_str(),
                "user_id" => value == user_id.as_str(),
                _ => false,
            };
            if own {
                write!(f, " = {value}")?;
            }
        }
        f.write_str(if self.missing.attributes.is_empty() {
            ""
        } else {
            ")"
        })
    }
}

/// Whether `caller` has `required`.
///
/// A grant matches when its name covers the required one and all its conditions hold on the required attributes. A
/// Deny that matches wins over every Allow, whether the role or a temporary grant holds either. An attribute that
/// `required` does not state meets no condition of an Allow; of a Deny it meets only `NotEquals`. A name that is not
/// `Family:Name` is denied.
pub fn decide(caller: &Caller, required: &RequiredPermission) -> Decision {
    let denial = |denied_by: Option<&Grant>, denied_by_role: Option<&RoleName>| {
        Decision::Denied(Denial {
            missing: required.clone(),
            denied_by: denied_by.cloned(),
            denied_by_role: denied_by_role.cloned(),
            caller: (caller.org_id.clone(), caller.user_id.clone()),
        })
    };
    // A required wildcard would mean "everything", which no comparison of names can prove.
    if !is_full_name(&required.permission_name) {
        return denial(None, None);
    }
    let of_role = caller
        .role
        .grants
        .iter()
        .map(|grant| (grant, Some(&caller.role.name)));
    let temporary = caller.temporary_grants.iter().map(|grant| (grant, None));
    let mut allowed = false;
    for (grant, role) in of_role.chain(temporary) {
        if !matches(grant, caller, required) {
            continue;
        }
        match grant.action {
            Action::Deny => return denial(Some(grant), role),
            Action::Allow => allowed = true,
        }
    }
    if allowed {
        Decision::Allowed
    } else {
        denial(None, None)
    }
}

/// Whether `caller` has every one of `required`; the first one missing is reported. An empty list asks for nothing and
/// is allowed: whoever stores a log without requirements puts the default one in their place.
pub fn decide_all(caller: &Caller, required: &[RequiredPermission]) -> Decision {
    required
        .iter()
        .map(|required| decide(caller, required))
        .find(|decision| !decision.is_allowed())
        .unwrap_or(Decision::Allowed)
}

fn matches(grant: &Grant, caller: &Caller, required: &RequiredPermission) -> bool {
    name_covers(&grant.permission_name, &required.permission_name)
        && unmet(grant, caller, required).next().is_none()
}

/// The conditions of a grant that do not hold, by attribute.
pub(crate) fn unmet<'a>(
    grant: &'a Grant,
    caller: &'a Caller,
    required: &'a RequiredPermission,
) -> impl Iterator<Item = (&'a String, &'a Condition)> {
    grant.conditions.iter().filter(|(attribute, condition)| {
        let is_met = match required.attributes.get(*attribute) {
            Some(actual) => holds(condition, caller, actual),
            None => {
                grant.action == Action::Deny && matches!(condition, Condition::NotEquals { .. })
            }
        };
        !is_met
    })
}

/// The text on one line, whoever wrote it.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{FFFD}")
}

fn holds(condition: &Condition, caller: &Caller, actual: &str) -> bool {
    let is_actual = |value: &String| match value.as_str() {
        SELF_ORG_ID => caller.org_id.as_str() == actual,
        SELF_USER_ID => caller.user_id.as_str() == actual,
        literal => literal == actual,
    };
    match condition {
        Condition::Equals { value } => is_actual(value),
        Condition::NotEquals { value } => !is_actual(value),
        Condition::In { values } => values.iter().any(is_actual),
    }
}

/// Whether the permissions named by `wide` (`Family:Name`, `Family:*` or `*`) include all those named by `narrow`.
pub(crate) fn name_covers(wide: &str, narrow: &str) -> bool {
    let same_family = |family: &str| {
        narrow
            .strip_prefix(family)
            .is_some_and(|name| name.starts_with(':'))
    };
    wide == "*" || wide == narrow || wide.strip_suffix(":*").is_some_and(same_family)
}

#[cfg(test)]
mod tests;
