use super::*;
use crate::testing::{self, deny, equals, not_equals, one_of, role_of};
use crate::{Caller, decide};
use proptest::prelude::*;

#[track_caller]
fn check(a: &[Grant], b: &[Grant], expected: bool) {
    assert_eq!(
        covers(&role_of(a), &role_of(b)),
        expected,
        "{a:?} over {b:?}"
    );
}

#[test]
fn wider_names_cover_narrower_ones() {
    let order = ["*", "A:*", "A:B"];
    for (wide, name) in order.iter().enumerate() {
        for (narrow, other) in order.iter().enumerate() {
            check(
                &[Grant::allow(*name)],
                &[Grant::allow(*other)],
                wide <= narrow,
            );
        }
    }
    check(&[Grant::allow("A:*")], &[Grant::allow("AB:*")], false);
    check(&[Grant::allow("A:*")], &[Grant::allow("B:C")], false);
}

#[test]
fn looser_conditions_cover_stricter_ones() {
    for (loose, strict, expected) in [
        (equals("1"), equals("1"), true),
        (equals("1"), equals("2"), false),
        (equals("1"), one_of(&["1"]), true),
        (one_of(&["1", "2"]), equals("2"), true),
        (one_of(&["1", "2"]), one_of(&["2", "1"]), true),
        (one_of(&["1"]), one_of(&["1", "2"]), false),
        (not_equals("1"), equals("2"), true),
        (not_equals("1"), equals("1"), false),
        (not_equals("1"), one_of(&["2", "3"]), true),
        (not_equals("1"), one_of(&["2", "1"]), false),
        (not_equals("1"), not_equals("1"), true),
        (not_equals("1"), not_equals("2"), false),
        (one_of(&["1"]), not_equals("2"), false),
        (equals("{self_org_id}"), equals("{self_org_id}"), true),
        (equals("{self_org_id}"), equals("acme"), false),
        (not_equals("acme"), equals("{self_org_id}"), false),
        (not_equals("{self_user_id}"), equals("{self_org_id}"), false),
    ] {
        let grant = |condition: &Condition| [Grant::allow("A:B").when("x", condition.clone())];
        check(&grant(&loose), &grant(&strict), expected);
    }
}

#[test]
fn a_condition_more_is_stricter() {
    let loose = [Grant::allow("A:B").when("x", equals("1"))];
    let strict = [Grant::allow("A:B")
        .when("x", equals("1"))
        .when("y", equals("2"))];
    check(&loose, &strict, true);
    check(&strict, &loose, false);
    check(&[Grant::allow("A:B")], &loose, true);
}

#[test]
fn a_deny_makes_less() {
    let all = [Grant::allow("*")];
    let all_but = [Grant::allow("*"), deny("A:B")];
    let all_but_more = [Grant::allow("*"), deny("A:*")];
    check(&all, &all_but, true);
    check(&all_but, &all, false);
    check(&all_but, &all_but_more, true);
    check(&all_but_more, &all_but, false);
    assert!(is_greater(&role_of(&all), &role_of(&all_but)));
}

#[test]
fn a_deny_is_no_allow() {
    check(&[deny("*")], &[Grant::allow("A:B")], false);
    check(&[], &[deny("*")], true);
}

#[test]
fn greater_is_strict_and_needs_comparable_roles() {
    let [a, b, both] = [&["A:B"][..], &["C:D"], &["A:B", "C:D"]].map(|names| {
        role_of(
            &names
                .iter()
                .map(|name| Grant::allow(*name))
                .collect::<Vec<_>>(),
        )
    });
    assert!(is_greater(&both, &a) && is_greater(&both, &b));
    assert!(
        !is_greater(&a, &b) && !is_greater(&b, &a) && !is_greater(&a, &a) && !is_greater(&a, &both)
    );
}

#[test]
fn a_role_of_another_organization_covers_what_names_this_one_only() {
    let [acme, globex] = ["acme", "globex"].map(|id| crate::OrgId::parse(id).unwrap());
    let of_own = |name: &str| Grant::allow(name).when("org_id", equals("{self_org_id}"));
    let administrator = role_of(&[of_own("Role:*")]).within(&acme);
    for (grant, covers_it) in [
        (of_own("*"), false),
        (Grant::allow("*").when("org_id", equals("globex")), false),
        (Grant::allow("*").when("org_id", equals("acme")), true),
        (
            Grant::allow("*").when("org_id", one_of(&["{self_org_id}", "acme"])),
            true,
        ),
        (Grant::allow("*"), true),
    ] {
        let foreign = role_of(std::slice::from_ref(&grant)).within(&globex);
        assert_eq!(covers(&foreign, &administrator), covers_it, "{grant:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_role_covers_itself_and_is_not_greater(a in testing::role()) {
        prop_assert!(covers(&a, &a));
        prop_assert!(!is_greater(&a, &a));
    }

    #[test]
    fn cover_is_transitive(a in testing::role(), b in testing::role(), c in testing::role()) {
        // Random roles seldom cover each other: compare unions of their grants too.
        let join = |x: &Role, y: &Role| role_of(&[x.grants.clone(), y.grants.clone()].concat());
        let allows = |role: &Role| {
            role_of(&role.grants.iter().filter(|grant| grant.action == Action::Allow).cloned().collect::<Vec<_>>())
        };
        let all = [join(&a, &b), join(&b, &c), allows(&join(&a, &b)), allows(&a), a, b, c, role_of(&[])];
        for x in &all {
            for y in &all {
                for z in &all {
                    prop_assert!(!(covers(x, y) && covers(y, z)) || covers(x, z), "{x:?} {y:?} {z:?}");
                }
            }
        }
    }

    #[test]
    fn single_grants_are_transitive_too(
        a in testing::grant(), b in testing::grant(), c in testing::grant(),
    ) {
        prop_assert!(!(implies(&a, &b) && implies(&b, &c)) || implies(&a, &c));
    }

    #[test]
    fn greater_is_a_strict_partial_order(
        a in testing::role(), b in testing::role(), more in prop::collection::vec(testing::grant(), 0..3),
    ) {
        let join = |x: &Role| role_of(&[x.grants.clone(), more.clone()].concat());
        let all = [join(&a), join(&b), a, b, role_of(&more), role_of(&[])];
        for x in &all {
            prop_assert!(!is_greater(x, x), "{x:?}");
            for y in &all {
                prop_assert!(!(is_greater(x, y) && is_greater(y, x)), "{x:?} {y:?}");
                prop_assert!(!is_greater(x, y) || covers(x, y));
                for z in &all {
                    prop_assert!(!(is_greater(x, y) && is_greater(y, z)) || is_greater(x, z), "{x:?} {y:?} {z:?}");
                    // Nor does a greater role become one of equals through a role that it merely covers.
                    prop_assert!(!(is_greater(x, y) && covers(y, z)) || is_greater(x, z), "{x:?} {y:?} {z:?}");
                }
            }
        }
    }

    #[test]
    fn comparing_does_not_depend_on_the_order_of_grants(a in testing::role(), b in testing::role()) {
        let reversed = |role: &Role| role_of(&role.grants.iter().rev().cloned().collect::<Vec<_>>());
        let wide = role_of(&[a.grants.clone(), b.grants.clone()].concat());
        for (x, y) in [(&a, &b), (&wide, &a), (&a, &wide)] {
            prop_assert_eq!(covers(&reversed(x), &reversed(y)), covers(x, y));
        }
    }

    #[test]
    fn an_allow_more_covers_and_a_deny_more_is_covered(a in testing::role(), more in testing::grant()) {
        let with = |action: Action| role_of(&[a.grants.clone(), vec![Grant { action, ..more.clone() }]].concat());
        prop_assert!(covers(&with(Action::Allow), &a));
        prop_assert!(covers(&a, &with(Action::Deny)));
    }

    #[test]
    fn a_role_within_an_organization_decides_as_before_for_its_users(
        caller in testing::caller(), required in testing::required(),
    ) {
        let within = Caller { role: caller.role.within(&caller.org_id), ..caller.clone() };
        prop_assert_eq!(decide(&within, &required).is_allowed(), decide(&caller, &required).is_allowed());
    }

    #[test]
    fn who_may_as_the_covered_role_may_as_the_covering_one(
        caller in testing::caller(), more in prop::collection::vec(testing::grant(), 0..4), required in testing::required(),
    ) {
        let as_role = |role: &Role| Caller { role: role.clone(), temporary_grants: vec![], ..caller.clone() };
        let wide = role_of(&[caller.role.grants.clone(), more.clone()].concat());
        let other = role_of(&more);
        let roles = [&caller.role, &wide, &other];
        for a in roles {
            for b in roles {
                if covers(a, b) && decide(&as_role(b), &required).is_allowed() {
                    prop_assert!(decide(&as_role(a), &required).is_allowed(), "{a:?} over {b:?}");
                }
            }
        }
    }

    #[test]
    fn what_implies_matches_at_least_as_much(
        wide in testing::grant(), narrow in testing::grant(), caller in testing::caller(), required in testing::required(),
    ) {
        // Of Denies too: a Deny on everything shows through the same matching.
        if implies(&wide, &narrow) {
            let as_grant = |grant: &Grant| {
                let mut grants = vec![grant.clone()];
                if grant.action == Action::Deny {
                    grants.push(Grant::allow("*"));
                }
                decide(&Caller { role: role_of(&grants), temporary_grants: vec![], ..caller.clone() }, &required).is_allowed()
            };
            match wide.action {
                Action::Allow => prop_assert!(!as_grant(&narrow) || as_grant(&wide)),
                Action::Deny => prop_assert!(as_grant(&narrow) || !as_grant(&wide)),
            }
        }
    }
}
