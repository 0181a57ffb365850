use super::*;
use proptest::prelude::*;

#[track_caller]
fn check_refused(text: &str, reason: &str) {
    let error = LogKey::parse(text).unwrap_err();
    assert_eq!(*error.kind(), crate::Kind::Invalid);
    assert_eq!(error.message(), reason, "{text:?}");
}

#[test]
fn ordinary_keys_are_kept_as_they_are() {
    let segment = "x".repeat(240);
    let longest = format!("{segment}/{segment}/{segment}/{}", "y".repeat(177));
    assert_eq!(longest.len(), 900);
    for text in [
        "a",
        "665f1c/003/engage_user",
        "große Straße/東京/🦀",
        "a b/...",
        ".hidden/..x",
        "a:b*c?\"<>|",
        &longest,
    ] {
        assert_eq!(LogKey::parse(text).unwrap().as_str(), text);
    }
}

#[test]
fn each_rejection_says_its_own_reason() {
    check_refused("", "a log key may not be empty");
    check_refused("/a", "a log key may not start with /");
    check_refused("/", "a log key may not start with /");
    check_refused("a/", "a log key may not hold an empty segment (segment 2)");
    check_refused(
        "a//b",
        "a log key may not hold an empty segment (segment 2)",
    );
    check_refused("a/./b", "a log key may not hold the segment . (segment 2)");
    check_refused("..", "a log key may not hold the segment .. (segment 1)");
    check_refused(
        "a/b/../../..",
        "a log key may not hold the segment .. (segment 3)",
    );
    check_refused(
        "a\\b",
        "a log key may not hold a backslash (character 2, U+005C)",
    );
    check_refused(
        "é\n",
        "a log key may not hold a control character (character 2, U+000A)",
    );
    check_refused(
        "a\0",
        "a log key may not hold a control character (character 2, U+0000)",
    );
    check_refused(
        "\u{85}",
        "a log key may not hold a control character (character 1, U+0085)",
    );
    check_refused(
        "txt.\u{202e}exe",
        "a log key may not hold a character that changes the direction of text (character 5, U+202E)",
    );
}

#[test]
fn sizes_are_counted_in_bytes() {
    check_refused(
        &format!("a/{}", "é".repeat(121)),
        "a segment of a log key has at most 240 bytes, segment 2 has 242",
    );
    check_refused(
        &"a/".repeat(451),
        "a log key has at most 900 bytes, this one has 902",
    );
    assert!(LogKey::parse(&"é".repeat(120)).is_ok());
}

#[test]
fn every_direction_character_is_refused() {
    let all = ['\u{61c}', '\u{200e}', '\u{200f}']
        .into_iter()
        .chain('\u{202a}'..='\u{202e}')
        .chain('\u{2066}'..='\u{2069}');
    for char in all {
        assert!(LogKey::parse(&format!("a{char}b")).is_err(), "{char:?}");
    }
}

#[test]
fn the_end_of_a_prefix_is_the_next_byte_string() {
    for (prefix, end) in [
        ("a", Some("b".as_bytes())),
        ("ab/", Some(b"ab0")),
        ("az", Some(b"a{")),
        ("a\u{7f}", Some(b"a\x80")),
        ("é", Some("ê".as_bytes())),
        ("\u{10ffff}", Some(b"\xf4\x8f\xbf\xc0")),
        ("", None),
    ] {
        assert_eq!(prefix_end(prefix).as_deref(), end, "{prefix:?}");
    }
}

proptest! {
    #[test]
    fn a_key_round_trips_through_json(text in "[a-z./é🦀 -]{0,20}") {
        if let Ok(key) = LogKey::parse(&text) {
            let json = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(&serde_json::from_str::<LogKey>(&json).unwrap(), &key);
            prop_assert_eq!(key.to_string(), text);
        } else {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert!(serde_json::from_str::<LogKey>(&json).is_err());
        }
    }

    #[test]
    fn a_key_unpacks_below_its_folder(text in any::<String>()) {
        if let Ok(key) = LogKey::parse(&text) {
            use std::path::{Component, Path};
            let parts = Path::new(key.as_str()).components();
            prop_assert!(parts.into_iter().all(|part| matches!(part, Component::Normal(_))));
        }
    }

    #[test]
    fn keys_are_ordered_by_bytes(a in "\\PC{1,5}", b in "\\PC{1,5}") {
        if let (Ok(a), Ok(b)) = (LogKey::parse(&a), LogKey::parse(&b)) {
            prop_assert_eq!(a.cmp(&b), a.as_str().as_bytes().cmp(b.as_str().as_bytes()));
        }
    }

    #[test]
    fn the_range_of_a_prefix_holds_exactly_what_starts_with_it(
        prefix in "[a-c\u{7f}é\u{ffff}\u{10ffff}]{1,3}",
        text in "[a-c\u{7f}é\u{ffff}\u{10ffff}]{0,5}",
    ) {
        let end = prefix_end(&prefix).unwrap();
        let in_range = |bytes: &[u8]| prefix.as_bytes() <= bytes && bytes < end.as_slice();
        prop_assert_eq!(in_range(text.as_bytes()), text.starts_with(&prefix));
        let longer = format!("{}{}", prefix, text);
        prop_assert!(in_range(longer.as_bytes()));
        // No end is less: even followed by the greatest bytes the prefix stays below it.
        let greatest = [prefix.as_bytes(), &[0xFF; 8]].concat();
        prop_assert!(in_range(&greatest));
        prop_assert!(!end.starts_with(prefix.as_bytes()) && end.len() <= prefix.len());
    }
}
