use super::*;
use crate::testing::{self, deny, equals, not_equals, one_of};
use crate::{OrgId, UserId};
use proptest::prelude::*;

fn caller(role: &[Grant], temporary: &[Grant]) -> Caller {
    Caller {
        org_id: OrgId::parse("acme").unwrap(),
        user_id: UserId::parse("mia").unwrap(),
        role: testing::role_of(role),
        temporary_grants: temporary.to_vec(),
    }
}

/// One grant in the role against one permission.
#[track_caller]
fn check(grant: Grant, name: &str, attributes: &[(&str, &str)], expected: bool) {
    let required = attributes
        .iter()
        .fold(RequiredPermission::new(name), |required, (key, value)| {
            required.with(*key, *value)
        });
    let decision = decide(&caller(std::slice::from_ref(&grant), &[]), &required);
    assert_eq!(
        decision.is_allowed(),
        expected,
        "{grant:?} for {required:?}"
    );
}

#[test]
fn names_match_whole_or_by_wildcard() {
    for (granted, expected) in [
        ("A:B", true),
        ("A:*", true),
        ("*", true),
        ("A:C", false),
        ("AA:*", false),
        ("a:b", false),
        ("A", false),
        ("", false),
        (":*", false),
    ] {
        check(Grant::allow(granted), "A:B", &[], expected);
    }
    check(Grant::allow("A:*"), "AB:C", &[], false);
}

#[test]
fn every_condition_must_hold() {
    let both = || {
        Grant::allow("A:B")
            .when("x", equals("1"))
            .when("y", one_of(&["2", "3"]))
    };
    check(both(), "A:B", &[("x", "1"), ("y", "3"), ("z", "9")], true);
    check(both(), "A:B", &[("x", "1"), ("y", "4")], false);
    check(both(), "A:B", &[("x", "2"), ("y", "2")], false);
}

#[test]
fn an_allow_needs_every_attribute_it_conditions() {
    for condition in [equals("1"), not_equals("1"), one_of(&["1"])] {
        check(Grant::allow("A:B").when("x", condition), "A:B", &[], false);
    }
    check(
        Grant::allow("A:B").when("x", not_equals("1")),
        "A:B",
        &[("x", "2")],
        true,
    );
    check(
        Grant::allow("A:B").when("x", not_equals("1")),
        "A:B",
        &[("x", "1")],
        false,
    );
    check(
        Grant::allow("A:B").when("x", one_of(&[])),
        "A:B",
        &[("x", "1")],
        false,
    );
}

#[test]
fn a_deny_with_not_equals_holds_where_the_attribute_is_missing() {
    for (condition, expected) in [
        (equals("1"), true),
        (not_equals("1"), false),
        (one_of(&["1"]), true),
    ] {
        let grants = [Grant::allow("*"), deny("A:B").when("x", condition.clone())];
        let decision = decide(&caller(&grants, &[]), &RequiredPermission::new("A:B"));
        assert_eq!(decision.is_allowed(), expected, "{condition:?}");
    }
}

#[test]
fn the_callers_own_ids_stand_in_as_whole_values() {
    let own = || {
        Grant::allow("A:B")
            .when("org_id", equals("{self_org_id}"))
            .when("user_id", one_of(&["leo", "{self_user_id}"]))
    };
    check(
        own(),
        "A:B",
        &[("org_id", "acme"), ("user_id", "mia")],
        true,
    );
    check(
        own(),
        "A:B",
        &[("org_id", "acme"), ("user_id", "leo")],
        true,
    );
    check(
        own(),
        "A:B",
        &[("org_id", "globex"), ("user_id", "mia")],
        false,
    );
    check(
        own(),
        "A:B",
        &[("org_id", "{self_org_id}"), ("user_id", "mia")],
        false,
    );
    check(
        Grant::allow("A:B").when("x", equals("u:{self_user_id}")),
        "A:B",
        &[("x", "u:mia")],
        false,
    );
}

#[test]
fn a_required_wildcard_is_never_granted() {
    for name in ["*", "A:*", "A", "", "A:B:C"] {
        check(Grant::allow("*"), name, &[], false);
        check(Grant::allow(name), name, &[], false);
    }
}

#[test]
fn temporary_grants_count_and_so_do_temporary_denials() {
    let required = RequiredPermission::new("A:B");
    assert!(decide(&caller(&[], &[Grant::allow("A:B")]), &required).is_allowed());
    assert!(!decide(&caller(&[Grant::allow("*")], &[deny("A:*")]), &required).is_allowed());
    assert!(!decide(&caller(&[deny("A:B")], &[Grant::allow("*")]), &required).is_allowed());
}

#[test]
fn of_several_the_first_one_missing_is_reported() {
    let caller = caller(&[Grant::allow("A:*")], &[]);
    let names = ["A:B", "C:D", "E:F"].map(RequiredPermission::new);
    let Decision::Denied(denial) = decide_all(&caller, &names) else {
        panic!("nothing grants C:D");
    };
    assert_eq!(denial.missing, names[1]);
    assert!(decide_all(&caller, &names[..1]).is_allowed());
    assert!(decide_all(&caller, &[]).is_allowed());
}

#[test]
fn a_denial_reads_as_a_sentence_and_tells_only_the_callers_own_ids() {
    let say = |caller: &Caller, attributes: &[(&str, &str)]| {
        let required = attributes
            .iter()
            .fold(RequiredPermission::new("A:B"), |required, (key, value)| {
                required.with(*key, *value)
            });
        match decide(caller, &required) {
            Decision::Denied(denial) => denial.to_string(),
            Decision::Allowed => "allowed".to_owned(),
        }
    };
    let nobody = caller(&[], &[]);
    for (attributes, expected) in [
        (&[][..], "permission A:B is missing"),
        (
            &[("org_id", "acme"), ("user_id", "mia")],
            "permission A:B is missing (org_id = acme, user_id = mia)",
        ),
        (
            &[
                ("org_id", "globex"),
                ("user_id", "leo"),
                ("service_id", "x"),
            ],
            "permission A:B is missing (org_id, service_id, user_id)",
        ),
        // The same words under another name are not the caller's ids.
        (
            &[("org_id", "mia"), ("user_id", "acme"), ("patient", "mia")],
            "permission A:B is missing (org_id, patient, user_id)",
        ),
        (&[("x\ny", "z")], "permission A:B is missing (x\u{fffd}y)"),
    ] {
        assert_eq!(say(&nobody, attributes), expected);
    }
    assert_eq!(
        say(&caller(&[deny("*")], &[]), &[]),
        "permission A:B is denied by a grant of role Tester"
    );
    assert_eq!(
        say(&caller(&[], &[deny("*")]), &[]),
        "permission A:B is denied by a temporary grant"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn adding_an_allow_never_removes_access(
        caller in testing::caller(), more in testing::grant(), required in testing::required(), to_role in any::<bool>(),
    ) {
        let more = Grant { action: Action::Allow, ..more };
        if decide(&caller, &required).is_allowed() {
            let mut caller = caller;
            match to_role {
                true => caller.role.grants.push(more),
                false => caller.temporary_grants.push(more),
            }
            prop_assert!(decide(&caller, &required).is_allowed());
        }
    }

    #[test]
    fn a_deny_that_meets_the_request_always_wins(
        caller in testing::caller(), meeting in testing::grant_on("Conversation:GetMessage"), required in testing::required(),
        at in any::<prop::sample::Index>(), to_role in any::<bool>(),
    ) {
        let required = RequiredPermission { permission_name: "Conversation:GetMessage".to_owned(), ..required };
        let allow = Grant { action: Action::Allow, ..meeting };
        // What allows it alone forbids it as a Deny, whatever else is granted and wherever it stands.
        let alone = Caller { role: testing::role_of(std::slice::from_ref(&allow)), temporary_grants: vec![], ..caller.clone() };
        let mut caller = caller;
        caller.role.grants.push(Grant::allow("*"));
        let deny = Grant { action: Action::Deny, ..allow };
        let grants = match to_role {
            true => &mut caller.role.grants,
            false => &mut caller.temporary_grants,
        };
        grants.insert(at.index(grants.len() + 1), deny);
        if decide(&alone, &required).is_allowed() {
            let Decision::Denied(denial) = decide(&caller, &required) else {
                return Err(TestCaseError::fail("the deny did not win"));
            };
            prop_assert_eq!(denial.denied_by.unwrap().action, Action::Deny);
        }
    }

    #[test]
    fn the_order_of_grants_means_nothing(
        (caller, shuffled) in testing::caller().prop_flat_map(|caller| {
            let shuffled = (Just(caller.role.grants.clone()).prop_shuffle(), Just(caller.temporary_grants.clone()).prop_shuffle());
            (Just(caller), shuffled)
        }),
        required in testing::required(),
    ) {
        let (grants, temporary_grants) = shuffled;
        let other = Caller { role: testing::role_of(&grants), temporary_grants, ..caller.clone() };
        prop_assert_eq!(decide(&other, &required).is_allowed(), decide(&caller, &required).is_allowed());
    }

    #[test]
    fn a_temporary_grant_counts_as_one_of_the_role(caller in testing::caller(), required in testing::required()) {
        let all = [caller.role.grants.clone(), caller.temporary_grants.clone()].concat();
        let other = Caller { role: testing::role_of(&all), temporary_grants: vec![], ..caller.clone() };
        prop_assert_eq!(decide(&other, &required).is_allowed(), decide(&caller, &required).is_allowed());
    }

    #[test]
    fn a_denial_tells_no_value_but_the_callers_own(
        caller in testing::caller(), required in testing::required(), secret in "zz[a-z]{1,8}", org in "zz[a-z]{1,8}", user in "zz[a-z]{1,8}",
    ) {
        let required = required.with("patient", secret).with("org_id", org).with("user_id", user);
        if let Decision::Denied(denial) = decide(&caller, &required) {
            let text = denial.to_string();
            prop_assert!(!text.contains("zz"), "{text}");
        }
    }

    #[test]
    fn nothing_crosses_organizations_but_by_a_grant_that_lets_it(
        caller in testing::caller(), required in testing::required(),
    ) {
        let other = if caller.org_id.as_str() == "acme" { "globex" } else { "acme" };
        let required = required.with("org_id", other);
        let lets_it = |grant: &Grant| match grant.conditions.get("org_id") {
            None | Some(Condition::NotEquals { .. }) => true,
            Some(condition) => condition.values().iter().any(|value| {
                value == other || (value == SELF_USER_ID && caller.user_id.as_str() == other)
            }),
        };
        let grants = caller.role.grants.iter().chain(&caller.temporary_grants);
        if decide(&caller, &required).is_allowed() {
            prop_assert!(grants.into_iter().any(lets_it));
        }
    }

    #[test]
    fn an_empty_role_may_nothing(required in testing::required()) {
        prop_assert!(!decide(&caller(&[], &[]), &required).is_allowed());
    }
}
