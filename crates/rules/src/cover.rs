//! Which of two roles is greater (the wire contract, section 5, "Greater privileges").
//!
//! Asked when a query is submitted, a role assigned or an API key used. Promises: reflexive, transitive, and safe:
//! where A covers B, every caller who may do a thing as B may do it as A. Roles only; temporary grants never count.
//! Not here: deciding a request. Two roles can be equal in effect and yet neither covers the other, because each grant
//! is compared with one grant at a time.

use crate::decide::name_covers;
use crate::grants::{SELF_ORG_ID, SELF_USER_ID};
use crate::{Action, Condition, Grant, Role};

/// Whether `a` gives at least what `b` gives: every Allow of `b` is implied by one of `a`, and every Deny of `a` by one
/// of `b`.
pub fn covers(a: &Role, b: &Role) -> bool {
    let implied_in =
        |role: &Role, narrow: &Grant| role.grants.iter().any(|wide| implies(wide, narrow));
    let is = |action: Action| move |grant: &&Grant| grant.action == action;
    let mut allows = b.grants.iter().filter(is(Action::Allow));
    let mut denies = a.grants.iter().filter(is(Action::Deny));
    allows.all(|allow| implied_in(a, allow)) && denies.all(|deny| implied_in(b, deny))
}

/// Whether `a` covers `b` and `b` does not cover `a`.
pub fn is_greater(a: &Role, b: &Role) -> bool {
    covers(a, b) && !covers(b, a)
}

/// Whether `wide` matches every request that `narrow` matches, for the same caller.
fn implies(wide: &Grant, narrow: &Grant) -> bool {
    wide.action == narrow.action
        && name_covers(&wide.permission_name, &narrow.permission_name)
        && wide.conditions.iter().all(|(attribute, loose)| {
            let strict = narrow.conditions.get(attribute);
            strict.is_some_and(|strict| is_stricter(strict, loose))
        })
}

/// Whether every value that meets `strict` meets `loose` too.
fn is_stricter(strict: &Condition, loose: &Condition) -> bool {
    match (strict, loose) {
        (Condition::NotEquals { value: a }, Condition::NotEquals { value: b }) => a == b,
        (Condition::NotEquals { .. }, _) => false,
        (strict, Condition::NotEquals { value }) => strict
            .values()
            .iter()
            .all(|allowed| always_differ(allowed, value)),
        (strict, loose) => {
            let allowed = loose.values();
            strict.values().iter().all(|value| allowed.contains(value))
        }
    }
}

/// Whether two condition values differ for every caller. A stand-in may turn out to be any value.
fn always_differ(a: &str, b: &str) -> bool {
    let is_literal = |value| value != SELF_ORG_ID && value != SELF_USER_ID;
    is_literal(a) && is_literal(b) && a != b
}

#[cfg(test)]
mod tests;
