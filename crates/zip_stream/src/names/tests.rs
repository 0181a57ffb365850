use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

const SUFFIXES: [&str; 3] = ["-system", "-history", "-error"];

#[track_caller]
fn check(log_key: &str, expected: &str) {
    assert_eq!(Names::default().entry(log_key, "-system"), expected);
}

#[test]
fn a_valid_key_keeps_its_exact_name() {
    check("665f1c/003/engage_user", "665f1c/003/engage_user-system");
    check("мия/обед/🍲 12:30", "мия/обед/🍲 12:30-system");
    check("...", "...-system");
    check("a.b/..c/d..", "a.b/..c/d..-system");
    check("urn:x", "urn:x-system");
    let longest = [&"s".repeat(240)[..]; 4].join("/")[..900].to_owned();
    check(&longest, &format!("{longest}-system"));
    let file = format!("d/{}", "s".repeat(240));
    check(&file, &format!("{file}-system"));
}

#[test]
fn a_name_never_leaves_the_folder_it_is_unpacked_in() {
    check("/etc/passwd", "etc/passwd-system");
    check("///a", "a-system");
    check("../../a", "__/__/a-system");
    check("a/./../b", "a/_/__/b-system");
    check("a//b", "a/_/b-system");
    check("a/", "a/_-system");
    check("..", "__-system");
    check("/", "_-system");
    check("", "_-system");
    check("..\\a", ".._a-system");
    check("C:/a", "C_/a-system");
    check("/c:a", "c_a-system");
}

#[test]
fn characters_that_lie_are_replaced() {
    check("a\0b\nc\u{7f}d\u{85}e", "a_b_c_d_e-system");
    check("exe.\u{202e}fdp", "exe._fdp-system");
    check("\u{2066}a\u{2069}\u{200f}\u{61c}", "_a___-system");
}

#[test]
fn long_segments_are_cut_between_characters() {
    let a_long = "a".repeat(300);
    check(&a_long, &format!("{}-system", "a".repeat(248)));
    check(
        &format!("{a_long}/b"),
        &format!("{}/b-system", "a".repeat(255)),
    );
    check(&"é".repeat(300), &format!("{}-system", "é".repeat(124)));
    check(&"𝄞".repeat(300), &format!("{}-system", "𝄞".repeat(62)));
}

#[test]
fn a_key_longer_than_any_valid_one_is_cut() {
    let deep = "a/".repeat(100_000);
    assert_eq!(
        Names::default().entry(&deep, "-error").len(),
        900 + "_-error".len()
    );
    assert!(
        Names::default()
            .entry(&"/a".repeat(100_000), &"x".repeat(1_000))
            .len()
            < 1_000
    );
}

#[test]
fn a_name_given_before_is_numbered() {
    let mut names = Names::default();
    let given: Vec<String> = ["a", "a", "a", "a~2", "a~4", "a"]
        .iter()
        .map(|key| names.entry(key, "-system"))
        .collect();
    assert_eq!(
        given,
        [
            "a-system",
            "a~2-system",
            "a~3-system",
            "a~2~2-system",
            "a~4-system",
            "a~5-system"
        ]
    );
    assert_eq!(names.entry("a", "-history"), "a-history");
}

#[test]
fn a_key_that_needs_no_change_keeps_its_name_whatever_comes_first() {
    for (keys, expected) in [
        (&["D:/v", "D_/v"][..], &["D_/v~2-system", "D_/v-system"][..]),
        (&["D_/v", "D:/v"], &["D_/v-system", "D_/v~2-system"]),
        (&["D:/x", "D_/v"], &["D_/x-system", "D_/v-system"]),
        // A file of one would be a folder of the other.
        (
            &["D:v-system/a", "D_v"],
            &["D_v-system~2/a-system", "D_v-system"],
        ),
        (
            &["D:v", "D_v-system/a"],
            &["D_v~2-system", "D_v-system/a-system"],
        ),
    ] {
        let mut names = Names::of(keys.iter().copied(), &SUFFIXES);
        let given: Vec<String> = keys.iter().map(|key| names.entry(key, "-system")).collect();
        assert_eq!(given, expected);
        assert!(is_unpackable(&given));
    }
}

#[test]
fn numbering_a_cut_name_keeps_the_limit() {
    let mut names = Names::default();
    let key = "a".repeat(900);
    let given: HashSet<String> = (0..200).map(|_| names.entry(&key, "-history")).collect();
    assert_eq!(given.len(), 200);
    assert!(given.iter().all(|name| name.len() == 255), "{given:?}");
}

/// Unpacked, a name is a file and everything before a slash a folder: no path may be both.
fn is_unpackable(names: &[String]) -> bool {
    let files: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut folders = names
        .iter()
        .flat_map(|name| name.match_indices('/').map(|(slash, _)| &name[..slash]));
    folders.all(|folder| !files.contains(folder))
}

#[test]
fn a_folder_is_numbered_where_a_file_has_its_name_and_a_file_where_a_folder_has() {
    let mut names = Names::default();
    let keys = ["x", "x-system/y", "x-system/z", "x-system/y", "x-system~2"];
    let given: Vec<String> = keys.iter().map(|key| names.entry(key, "-system")).collect();
    assert_eq!(
        given,
        [
            "x-system",
            "x-system~2/y-system",
            "x-system~2/z-system",
            "x-system~2/y~2-system",
            "x-system~2-system",
        ]
    );
    let mut names = Names::default();
    let given: Vec<String> = ["a/b-error/c", "a/b", "a/b", "a/b-error/d"]
        .iter()
        .map(|key| names.entry(key, "-error"))
        .collect();
    assert_eq!(
        given,
        [
            "a/b-error/c-error",
            "a/b~2-error",
            "a/b~3-error",
            "a/b-error/d-error",
        ]
    );
}

#[test]
fn a_numbered_folder_keeps_the_limit() {
    let mut names = Names::default();
    let long = "a".repeat(248);
    let file = names.entry(&long, "-system");
    let inside = names.entry(&format!("{file}/b"), "-system");
    assert_eq!(inside, format!("{long}-syst~2/b-system"));
    assert!(is_unpackable(&[file, inside]));
}

fn is_safe(name: &str) -> bool {
    let segments_hold = name
        .split('/')
        .all(|s| !s.is_empty() && s != "." && s != ".." && s.len() <= SEGMENT_BYTES_MAX);
    let marks = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\
                 \u{2066}\u{2067}\u{2068}\u{2069}";
    let characters_hold = !name
        .chars()
        .any(|c| c == '\\' || c.is_control() || marks.contains(c));
    let is_drive = name.as_bytes()[0].is_ascii_alphabetic() && name[1..].starts_with(':');
    segments_hold && characters_hold && !is_drive && name.len() < 2_000
}

/// Dense in everything that has a rule, so that few keys collide by luck and many by rule.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ab./:\\\\~2\n\u{202e}\u{61c}é-]{0,6}",
        "(a{0,300}|[.]{1,3}|𝄞{100})/{0,2}(a{0,300}|[.]{1,3}|𝄞{100})",
        // Folders with the names of others' entries.
        "[ab](~2)?(-system|-error)?(/[ab](~2)?(-system)?){0,2}",
    ]
}

/// A real suffix, or one that tries what a key tries.
fn suffix() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&SUFFIXES[..]).prop_map(String::from),
        hostile()
    ]
}

/// Keys that the wire contract, section 7, accepts, other than a drive letter's.
fn valid_key() -> impl Strategy<Value = String> {
    let forbidden = "/\\\\\u{202a}-\u{202e}\u{2066}-\u{2069}\u{200e}\u{200f}\u{61c}";
    let any_text = prop::string::string_regex(&format!("[\\PC&&[^{forbidden}]]{{1,20}}"));
    let segment = prop_oneof!["[a-c~2-]{1,3}", any_text.expect("a valid expression")];
    let is_drive = |s: &str| s.as_bytes()[0].is_ascii_alphabetic() && s[1..].starts_with(':');
    prop::collection::vec(segment, 1..6)
        .prop_filter("a segment that is no name", |segments| {
            segments.iter().all(|s| s != "." && s != "..")
        })
        .prop_filter("a drive letter", move |segments| !is_drive(&segments[0]))
        .prop_map(|segments| segments.join("/"))
}

proptest! {
    #[test]
    fn any_keys_and_suffixes_make_safe_and_unique_names(
        wishes in prop::collection::vec((hostile(), suffix()), 0..60)
    ) {
        let mut names = Names::default();
        let given: Vec<String> = wishes
            .iter()
            .map(|(key, suffix)| names.entry(key, suffix))
            .collect();
        let mut unique = HashSet::new();
        for name in &given {
            prop_assert!(is_safe(name), "{:?}", name);
            prop_assert!(unique.insert(name), "twice {:?}", name);
        }
        prop_assert!(is_unpackable(&given), "{:?}", given);
    }

    #[test]
    fn distinct_valid_keys_keep_their_names(
        keys in prop::collection::hash_set(valid_key(), 0..20),
        others in prop::collection::hash_set(hostile(), 0..5),
    ) {
        // Of two keys that both need no change, one can be a folder where the other is a file.
        let changed = others.iter().filter(|key| safe_path(key) != **key);
        let all = || changed.clone().chain(&keys).map(String::as_str);
        let mut names = Names::of(all(), &SUFFIXES);
        let mut given = Vec::new();
        for key in all() {
            for suffix in SUFFIXES {
                given.push(names.entry(key, suffix));
                if keys.contains(key) && safe_path(key) == key {
                    prop_assert_eq!(given.last(), Some(&format!("{key}{suffix}")));
                }
            }
        }
        prop_assert!(is_unpackable(&given), "{:?}", given);
    }
}
