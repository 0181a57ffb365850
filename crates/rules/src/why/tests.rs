use super::*;
use crate::testing::{self, deny, equals, not_equals, one_of};
use crate::{OrgId, UserId, decide_all};
use proptest::prelude::*;
use serde_json::json;

fn mia(role: &[Grant], temporary: &[Grant]) -> Caller {
    Caller {
        org_id: OrgId::parse("acme").unwrap(),
        user_id: UserId::parse("mia").unwrap(),
        role: testing::role_of(role),
        temporary_grants: temporary.to_vec(),
    }
}

fn message(attributes: &[(&str, &str)]) -> RequiredPermission {
    let bare = RequiredPermission::new("Conversation:GetMessage");
    attributes
        .iter()
        .fold(bare, |required, (key, value)| required.with(*key, *value))
}

#[track_caller]
fn says(role: &[Grant], temporary: &[Grant], required: &RequiredPermission, lines: &[&str]) {
    let why = why(&mia(role, temporary), required).to_string();
    assert_eq!(why.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn an_allowed_request_names_the_grant_that_allows_it() {
    let own = Grant::allow("Conversation:*").when("org_id", equals("{self_org_id}"));
    let required = message(&[("org_id", "acme"), ("user_id", "leo")]);
    says(
        &[Grant::allow("User:*"), own.clone()],
        &[],
        &required,
        &["allowed: role Tester allows Conversation:* where org_id is {self_org_id}"],
    );
    says(
        &[],
        &[own],
        &required,
        &["allowed: a temporary grant allows Conversation:* where org_id is {self_org_id}"],
    );
}

#[test]
fn a_denied_request_says_which_condition_of_which_grant_does_not_hold() {
    let own = Grant::allow("Conversation:GetMessage")
        .when("org_id", equals("{self_org_id}"))
        .when("user_id", equals("{self_user_id}"));
    let of_some = Grant::allow("Conversation:*")
        .when("service_id", one_of(&["repairs", "sales"]))
        .when("user_id", not_equals("leo"));
    says(
        &[own],
        &[of_some],
        &message(&[("org_id", "acme"), ("user_id", "leo")]),
        &[
            "denied: no grant on it allows this",
            "  role Tester allows Conversation:GetMessage where org_id is {self_org_id} and user_id is {self_user_id}; but user_id is leo instead of mia",
            "  a temporary grant allows Conversation:* where service_id is one of repairs, sales and user_id is not leo; but service_id is not known, and user_id is leo",
        ],
    );
    says(
        &[Grant::allow("User:*"), deny("Admin:*")],
        &[],
        &message(&[]),
        &["denied: no grant is on Conversation:GetMessage"],
    );
}

#[test]
fn a_deny_is_named_before_the_allow_that_it_beats() {
    says(
        &[Grant::allow("*"), deny("Conversation:*")],
        &[],
        &message(&[]),
        &[
            "denied: role Tester denies Conversation:*",
            "  role Tester allows *",
        ],
    );
}

#[test]
fn what_others_wrote_stays_on_its_line() {
    says(
        &[Grant::allow("Conversation:*").when("a\nb", equals("c\nd"))],
        &[],
        &message(&[("a\nb", "x\r\nallowed")]),
        &[
            "denied: no grant on it allows this",
            "  role Tester allows Conversation:* where a\u{fffd}b is c\u{fffd}d; but a\u{fffd}b is x\u{fffd}\u{fffd}allowed",
        ],
    );
}

#[test]
fn a_program_reads_the_same() {
    let own = Grant::allow("Conversation:*").when("user_id", equals("{self_user_id}"));
    let why = why(&mia(&[own], &[]), &message(&[("user_id", "leo")]));
    let grant = json!({"permission_name": "Conversation:*", "action": "Allow",
        "conditions": {"user_id": {"type": "Equals", "value": "{self_user_id}"}}});
    assert_eq!(
        serde_json::to_value(&why).unwrap(),
        json!({
            "allowed": false,
            "required": {"permission_name": "Conversation:GetMessage", "attributes": {"user_id": "leo"}},
            "decided_by": null,
            "considered": [{"grant": grant, "role": "Tester", "unmet": [{
                "attribute": "user_id",
                "condition": {"type": "Equals", "value": "{self_user_id}"},
                "resolved": {"type": "Equals", "value": "mia"},
                "actual": "leo",
            }]}],
        })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_reasons_are_those_of_the_decision(caller in testing::caller(), required in testing::required()) {
        let why = why(&caller, &required);
        let decision = decide(&caller, &required);
        prop_assert_eq!(why.allowed, decision.is_allowed());
        let matching = |action| why.considered.iter().any(|one| one.unmet.is_empty() && one.grant.action == action);
        prop_assert_eq!(why.allowed, matching(Action::Allow) && !matching(Action::Deny));
        match (&decision, &why.decided_by) {
            (crate::Decision::Allowed, decided_by) => {
                let decided_by = decided_by.as_ref().expect("a grant that allows");
                prop_assert_eq!(decided_by.grant.action, Action::Allow);
                // The one grant suffices.
                let alone = Caller { role: testing::role_of(std::slice::from_ref(&decided_by.grant)), temporary_grants: vec![], ..caller.clone() };
                prop_assert!(decide_all(&alone, &[required]).is_allowed());
            }
            (crate::Decision::Denied(denial), decided_by) => {
                let decided_by = decided_by.as_ref();
                prop_assert_eq!(denial.denied_by.as_ref(), decided_by.map(|one| &one.grant));
                prop_assert_eq!(denial.denied_by_role.as_ref(), decided_by.and_then(|one| one.role.as_ref()));
            }
        }
    }

    #[test]
    fn an_unmet_condition_is_the_reason(caller in testing::caller(), required in testing::required()) {
        // Without its unmet conditions each grant on the permission would match.
        for one in why(&caller, &required).considered {
            let mut grant = Grant { action: Action::Allow, ..one.grant };
            for unmet in one.unmet {
                grant.conditions.remove(&unmet.attribute).expect("a condition of the grant");
            }
            // A Deny's NotEquals holds without the attribute, an Allow's does not.
            if grant.conditions.keys().all(|key| required.attributes.contains_key(key)) {
                let alone = Caller { role: testing::role_of(&[grant]), temporary_grants: vec![], ..caller.clone() };
                prop_assert!(decide(&alone, &required).is_allowed());
            }
        }
    }
}
