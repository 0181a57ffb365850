use super::*;
use serde_json::{from_str, from_value, json, to_value};

#[track_caller]
fn check(grant: &Grant, refused: Option<&str>) {
    let error = grant.validate().err();
    assert_eq!(error.as_ref().map(Error::message), refused, "{grant:?}");
}

#[test]
fn a_grant_reads_as_the_published_api_writes_it() {
    let grant: Grant = from_str(
        r#"{"permission_name": "Conversation:GetMessage",
            "conditions": {"org_id": {"type": "Equals", "value": "{self_org_id}"},
                           "user_id": {"type": "In", "values": ["a", "b"]},
                           "service_id": {"type": "NotEquals", "value": "x"}}}"#,
    )
    .unwrap();
    let expected = Grant::allow("Conversation:GetMessage")
        .when("org_id", Condition::equals("{self_org_id}"))
        .when(
            "user_id",
            Condition::In {
                values: vec!["a".to_owned(), "b".to_owned()],
            },
        )
        .when(
            "service_id",
            Condition::NotEquals {
                value: "x".to_owned(),
            },
        );
    assert_eq!(grant, expected);
    check(&grant, None);
}

#[test]
fn a_misspelt_field_widens_nothing() {
    let equals = json!({"type": "Equals", "value": "x"});
    for misspelt in [
        json!({"permission_name": "*", "condition": {"org_id": equals}}),
        json!({"permission_name": "*", "Action": "Deny"}),
        json!({"permission_name": "*", "conditions": {"org_id": {"type": "Equals", "values": ["x"]}}}),
    ] {
        let error = from_value::<Grant>(misspelt).unwrap_err().to_string();
        let is_named = ["unknown field", "missing field"].map(|told| error.starts_with(told));
        assert!(is_named.contains(&true), "{error}");
    }
}

#[test]
fn what_a_grant_leaves_out_is_allow_without_conditions() {
    let grant: Grant = from_value(json!({"permission_name": "*"})).unwrap();
    assert_eq!(grant, Grant::allow("*"));
    assert_eq!(
        to_value(&grant).unwrap(),
        json!({"permission_name": "*", "conditions": {}, "action": "Allow"})
    );
}

#[test]
fn a_deny_with_a_description_round_trips() {
    let wire = json!({"permission_name": "User:*", "conditions": {}, "action": "Deny", "description": "no users"});
    let grant: Grant = from_value(wire.clone()).unwrap();
    assert_eq!(grant.action, Action::Deny);
    assert_eq!(to_value(&grant).unwrap(), wire);
}

#[test]
fn an_unknown_condition_or_action_is_refused() {
    for wire in [
        json!({"permission_name": "*", "conditions": {"a": {"type": "Matches", "value": "x"}}}),
        json!({"permission_name": "*", "conditions": {"a": {"type": "Equals"}}}),
        json!({"permission_name": "*", "action": "deny"}),
        json!({"conditions": {}}),
    ] {
        assert!(from_value::<Grant>(wire.clone()).is_err(), "{wire}");
    }
}

#[test]
fn a_permission_name_is_a_family_and_a_name_or_a_wildcard() {
    for good in ["*", "A:*", "A:B", "Conversation:GetMessage", "a1:b2"] {
        check(&Grant::allow(good), None);
    }
    for bad in [
        "", "A", ":*", "A:", ":B", "*:B", "*:*", "A:B:C", "A:B*", "A :B", "1A:B", "A:é", "A:*:*",
        "**",
    ] {
        let reason =
            format!("permission_name {bad:?} is not of the form Family:Name, Family:* or *");
        check(&Grant::allow(bad), Some(&reason));
    }
}

#[test]
fn a_condition_that_can_never_mean_anything_is_refused() {
    let grant = |attribute, condition| Grant::allow("A:B").when(attribute, condition);
    check(
        &grant("", Condition::equals("x")),
        Some("a condition of permission A:B names no attribute"),
    );
    check(
        &grant("x", Condition::In { values: vec![] }),
        Some("the condition on x of permission A:B lists no values"),
    );
    check(
        &grant("x", Condition::equals("{self_orgid}")),
        Some(
            "the condition on x of permission A:B may use {self_org_id} and {self_user_id} as a whole value only, not \
             \"{self_orgid}\"",
        ),
    );
    check(&grant("x", Condition::equals("")), None);
    check(&grant("x", Condition::equals("{other}")), None);
}

#[test]
fn a_required_permission_has_no_wildcards() {
    assert!(
        RequiredPermission::new("A:B")
            .with("user_id", "mia")
            .validate()
            .is_ok()
    );
    for bad in ["*", "A:*", "A", ""] {
        let error = RequiredPermission::new(bad).validate().unwrap_err();
        assert_eq!(
            error.message(),
            format!("permission_name {bad:?} is not of the form Family:Name")
        );
    }
    let error = RequiredPermission::new("A:B")
        .with("", "x")
        .validate()
        .unwrap_err();
    assert_eq!(
        error.message(),
        "an attribute of permission A:B has no name"
    );
}

#[test]
fn a_caller_crosses_a_process_border() {
    let wire = json!({
        "org_id": "acme", "user_id": "mia",
        "role": {"name": "Some Role", "grants": [{"permission_name": "A:B"}]},
    });
    let caller: Caller = from_value(wire).unwrap();
    assert_eq!(caller.temporary_grants, []);
    let again: Caller = from_value(to_value(&caller).unwrap()).unwrap();
    assert_eq!(again, caller);
    assert!(
        from_value::<Caller>(
            json!({"org_id": "../x", "user_id": "mia", "role": {"name": "r", "grants": []}})
        )
        .is_err()
    );
}
