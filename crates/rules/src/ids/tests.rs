use super::*;
use proptest::prelude::*;

#[track_caller]
fn check<T: std::fmt::Debug + std::fmt::Display>(
    parse: fn(&str) -> Result<T>,
    good: &[&str],
    bad: &[&str],
) {
    for text in good {
        match parse(text) {
            Ok(name) => assert_eq!(name.to_string(), *text),
            Err(error) => panic!("{text:?} is refused: {error}"),
        }
    }
    for text in bad {
        match parse(text) {
            Ok(name) => panic!("{text:?} is taken for {name:?}"),
            Err(error) => assert_eq!(*error.kind(), crate::Kind::Invalid),
        }
    }
}

#[test]
fn an_organization_id_is_a_folder_and_url_name() {
    let longest = "x".repeat(64);
    let too_long = "x".repeat(65);
    check(
        OrgId::parse,
        &["a", "9", "Acme-2_x", "a--", &longest],
        &[
            "", "-a", "_a", ".", "..", "a.b", "a/b", "a b", "é", "a\0", "a\n", "%41", &too_long,
        ],
    );
}

#[test]
fn a_cluster_name_is_like_an_organization_id() {
    check(
        ClusterName::parse,
        &["eu-1", "Main_2"],
        &["", "-a", "a.b", "a/b"],
    );
    let error = ClusterName::parse("a.b").unwrap_err();
    assert!(error.message().starts_with("a cluster name "), "{error}");
}

#[test]
fn a_user_id_may_be_an_address() {
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);
    check(
        UserId::parse,
        &["mia_li_3668", "a.b+c@d-e:f", "7", &longest],
        &[
            "",
            ".a",
            "@a",
            "+a",
            "a b",
            "a/b",
            "a\\b",
            "ä",
            "{self_user_id}",
            &too_long,
        ],
    );
}

#[test]
fn a_table_name_needs_no_quotes_in_sql() {
    let longest = "x".repeat(64);
    let too_long = "x".repeat(65);
    check(
        TableName::parse,
        &["a", "_a", "prompt_logs", "a1", &longest],
        &["", "1a", "A", "aB", "a-b", "a.b", "a b", "é", &too_long],
    );
}

#[test]
fn a_role_name_may_be_any_words() {
    let longest = "é".repeat(256);
    let too_long = "é".repeat(257);
    check(
        RoleName::parse,
        &["Default User", "Über-Rolle", "a/b", &longest],
        &["", " a", "a ", "\u{a0}a", "a\nb", "a\u{7f}", &too_long],
    );
}

#[test]
fn a_rejection_names_the_thing_and_the_rule() {
    let message = |result: Result<OrgId>| result.unwrap_err().message().to_owned();
    assert_eq!(
        message(OrgId::parse("a b")),
        "an organization id holds only letters, digits, _ and -, and starts with a letter or digit"
    );
    assert_eq!(
        message(OrgId::parse(&"x".repeat(70))),
        "an organization id has at most 64 characters, this one has 70"
    );
    assert_eq!(
        message(OrgId::parse("")),
        "an organization id may not be empty"
    );
}

#[test]
fn reading_checks_and_writing_is_the_plain_text() {
    let org: OrgId = serde_json::from_str("\"acme\"").unwrap();
    assert_eq!(serde_json::to_string(&org).unwrap(), "\"acme\"");
    let error = serde_json::from_str::<OrgId>("\"../acme\"").unwrap_err();
    assert!(
        error.to_string().contains("an organization id holds only"),
        "{error}"
    );
    assert!(serde_json::from_str::<OrgId>("7").is_err());
}

proptest! {
    #[test]
    fn whatever_parses_is_kept_as_it_is(text in "\\PC{0,70}") {
        if let Ok(org) = OrgId::parse(&text) {
            prop_assert_eq!(org.as_str(), &text);
            prop_assert!(!text.contains(['/', '.', '%', ' ']));
        }
        if let Ok(role) = RoleName::parse(&text) {
            prop_assert_eq!(role.as_str(), &text);
        }
    }
}
