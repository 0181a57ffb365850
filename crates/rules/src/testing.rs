//! Grants and conditions in short, and arbitrary ones for property tests: few names each, so that what is drawn meets
//! often.

use crate::decide::name_covers;
use crate::{Action, Caller, Condition, Grant, OrgId, RequiredPermission, Role, RoleName, UserId};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

const PERMISSIONS: [&str; 4] = [
    "Conversation:GetMessage",
    "Conversation:GetConversation",
    "Admin:GetPromptLogs",
    "ConversationX:GetMessage",
];
const PATTERNS: [&str; 7] = [
    "*",
    "Conversation:*",
    "Admin:*",
    PERMISSIONS[0],
    PERMISSIONS[1],
    PERMISSIONS[2],
    PERMISSIONS[3],
];
const ATTRIBUTES: [&str; 3] = ["org_id", "user_id", "service_id"];
const VALUES: [&str; 4] = ["acme", "globex", "mia", "leo"];
const CONDITION_VALUES: [&str; 6] = [
    "acme",
    "globex",
    "mia",
    "leo",
    "{self_org_id}",
    "{self_user_id}",
];

pub(crate) fn deny(name: &str) -> Grant {
    Grant {
        action: Action::Deny,
        ..Grant::allow(name)
    }
}

pub(crate) fn equals(value: &str) -> Condition {
    Condition::equals(value)
}

pub(crate) fn not_equals(value: &str) -> Condition {
    Condition::NotEquals {
        value: value.to_owned(),
    }
}

pub(crate) fn one_of(values: &[&str]) -> Condition {
    Condition::In {
        values: values.iter().map(|&value| value.to_owned()).collect(),
    }
}

pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    let value = || select(&CONDITION_VALUES[..]).prop_map(str::to_owned);
    prop_oneof![
        value().prop_map(|value| Condition::Equals { value }),
        value().prop_map(|value| Condition::NotEquals { value }),
        prop::collection::vec(value(), 0..4).prop_map(|values| Condition::In { values }),
    ]
}

pub(crate) fn grant() -> impl Strategy<Value = Grant> {
    let attribute = select(&ATTRIBUTES[..]).prop_map(str::to_owned);
    let conditions = prop::collection::btree_map(attribute, condition(), 0..3);
    let action = prop_oneof![3 => Just(Action::Allow), 1 => Just(Action::Deny)];
    (select(&PATTERNS[..]), conditions, action).prop_map(|(name, conditions, action)| Grant {
        conditions,
        action,
        ..Grant::allow(name)
    })
}

/// A grant on this permission, by whatever pattern.
pub(crate) fn grant_on(permission: &'static str) -> impl Strategy<Value = Grant> {
    let patterns: Vec<&str> = PATTERNS
        .into_iter()
        .filter(|pattern| name_covers(pattern, permission))
        .collect();
    (grant(), select(patterns)).prop_map(|(grant, pattern)| Grant {
        permission_name: pattern.to_owned(),
        ..grant
    })
}

pub(crate) fn role() -> impl Strategy<Value = Role> {
    prop::collection::vec(grant(), 0..5).prop_map(|grants| role_of(&grants))
}

pub(crate) fn caller() -> impl Strategy<Value = Caller> {
    let temporary = prop::collection::vec(grant(), 0..2);
    let org = select(&["acme", "globex"][..]);
    let user = select(&["mia", "leo", "acme"][..]);
    (org, user, role(), temporary).prop_map(|(org, user, role, temporary_grants)| Caller {
        org_id: OrgId::parse(org).unwrap(),
        user_id: UserId::parse(user).unwrap(),
        role,
        temporary_grants,
    })
}

pub(crate) fn required() -> impl Strategy<Value = RequiredPermission> {
    let attribute = select(&ATTRIBUTES[..]).prop_map(str::to_owned);
    let value = select(&VALUES[..]).prop_map(str::to_owned);
    let attributes = prop::collection::btree_map(attribute, value, 0..4);
    (select(&PERMISSIONS[..]), attributes).prop_map(|(name, attributes): (_, BTreeMap<_, _>)| {
        RequiredPermission {
            permission_name: name.to_owned(),
            attributes,
        }
    })
}

pub(crate) fn role_of(grants: &[Grant]) -> Role {
    Role {
        name: RoleName::parse("Tester").unwrap(),
        grants: grants.to_vec(),
    }
}
