//! Why a caller may or may not: every grant that was looked at, and what each demanded in vain.
//!
//! For the operator (`amigo-admin role explain`), who may know everything; what the caller is told is
//! [`Denial`](crate::Denial). Promises: the answer is that of [`decide()`](decide()), which makes it.
//! Not here: deciding.

use crate::decide::{name_covers, printable, unmet};
use crate::grants::{SELF_ORG_ID, SELF_USER_ID};
use crate::{Action, Caller, Condition, Grant, RequiredPermission, RoleName, decide};
use serde::Serialize;
use std::fmt;

/// One decision and its reasons. Displayed, it is some lines for people; serialized, it is JSON for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Whether the caller may.
    pub allowed: bool,
    /// What was asked for.
    pub required: RequiredPermission,
    /// The grant that decided: a Deny that matches, else an Allow that does. None: nothing allows it.
    pub decided_by: Option<Considered>,
    /// All grants on the permission, those of the role first. Grants on other permissions are left out.
    pub considered: Vec<Considered>,
}

/// A grant on the permission in question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// The grant.
    pub grant: Grant,
    /// The role that holds it; none for a temporary grant.
    pub role: Option<RoleName>,
    /// Its conditions that do not hold. Without any the grant matches.
    pub unmet: Vec<Unmet>,
}

/// A condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmet {
    /// The attribute it is about.
    pub attribute: String,
    /// What it demands, as the grant has it.
    pub condition: Condition,
    /// The same with the caller's own ids in the place of `{self_org_id}` and `{self_user_id}`.
    pub resolved: Condition,
    /// What the attribute is; none when nothing was said about it.
    pub actual: Option<String>,
}

/// Why `caller` has `required` or not.
pub fn why(caller: &Caller, required: &RequiredPermission) -> Why {
    let of_role = caller.role.grants.iter();
    let of_role = of_role.map(|grant| (grant, Some(&caller.role.name)));
    let temporary = caller.temporary_grants.iter().map(|grant| (grant, None));
    let considered: Vec<Considered> = of_role
        .chain(temporary)
        .filter(|(grant, _)| name_covers(&grant.permission_name, &required.permission_name))
        .map(|(grant, role)| Considered {
            grant: grant.clone(),
            role: role.cloned(),
            unmet: unmet(grant, caller, required)
                .map(|(attribute, condition)| Unmet {
                    attribute: attribute.clone(),
                    condition: condition.clone(),
                    resolved: condition.resolved(caller),
                    actual: required.attributes.get(attribute).cloned(),
                })
                .collect(),
        })
        .collect();
    let allowed = decide(caller, required).is_allowed();
    let deciding = match allowed {
        true => Action::Allow,
        false => Action::Deny,
    };
    let decided_by = considered
        .iter()
        .find(|one| one.grant.action == deciding && one.unmet.is_empty());
    Why {
        allowed,
        required: required.clone(),
        decided_by: decided_by.cloned(),
        considered,
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allowed {
            "allowed: "
        } else {
            "denied: "
        })?;
        match &self.decided_by {
            Some(grant) => write!(f, "{grant}")?,
            None if self.considered.is_empty() => {
                let name = printable(&self.required.permission_name);
                write!(f, "no grant is on {name}")?;
            }
            None => f.write_str("no grant on it allows this")?,
        }
        for grant in &self.considered {
            if self.decided_by.as_ref() != Some(grant) {
                write!(f, "\n  {grant}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Some(role) => write!(f, "role {role} ")?,
            None => f.write_str("a temporary grant ")?,
        }
        f.write_str(match self.grant.action {
            Action::Allow => "allows ",
            Action::Deny => "denies ",
        })?;
        f.write_str(&printable(&self.grant.permission_name))?;
        for (index, (attribute, condition)) in self.grant.conditions.iter().enumerate() {
            f.write_str(if index == 0 { " where " } else { " and " })?;
            write!(f, "{} is {}", printable(attribute), Demand(condition))?;
        }
        for (index, unmet) in self.unmet.iter().enumerate() {
            f.write_str(if index == 0 { "; but " } else { ", and " })?;
            write!(f, "{unmet}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = printable(&self.attribute);
        match &self.actual {
            Some(actual) => write!(f, "{attribute} is {}", printable(actual))?,
            None => write!(f, "{attribute} is not known")?,
        }
        if self.resolved != self.condition {
            write!(f, " instead of {}", Demand(&self.resolved))?;
        }
        Ok(())
    }
}

/// What a condition demands, as the end of "the attribute is …".
struct Demand<'a>(&'a Condition);

impl fmt::Display for Demand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Condition::Equals { value } => f.write_str(&printable(value)),
            Condition::NotEquals { value } => write!(f, "not {}", printable(value)),
            Condition::In { values } => {
                let values: Vec<String> = values.iter().map(|value| printable(value)).collect();
                write!(f, "one of {}", values.join(", "))
            }
        }
    }
}

impl Condition {
    /// The same for this caller alone, without stand-ins.
    fn resolved(&self, caller: &Caller) -> Self {
        let resolve = |value: &String| match value.as_str() {
            SELF_ORG_ID => caller.org_id.to_string(),
            SELF_USER_ID => caller.user_id.to_string(),
            _ => value.clone(),
        };
        match self {
            Self::Equals { value } => Self::Equals {
                value: resolve(value),
            },
            Self::NotEquals { value } => Self::NotEquals {
                value: resolve(value),
            },
            Self::In { values } => Self::In {
                values: values.iter().map(resolve).collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
