//! Log keys: what parses is fit for an archive and a table, a prefix's range is exact, and names are made of anything.
//!
//! The lines of the input are keys, and the first one is a prefix as well.
#![no_main]

mod names;

use std::collections::BTreeSet;
use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use rules::{LogKey, prefix_end};
use zip_stream::Names;

const SUFFIXES: [&str; 3] = ["-system", "-history", "-error"];

fn check_key(text: &str, key: &LogKey) {
    assert_eq!(key.as_str(), text);
    assert!((1..=900).contains(&text.len()));
    assert!(text.split('/').all(|segment| (1..=240).contains(&segment.len())));
    let mut parts = Path::new(text).components();
    assert!(parts.all(|part| matches!(part, Component::Normal(_))));
    let json = serde_json::to_string(key).expect("JSON");
    assert_eq!(&serde_json::from_str::<LogKey>(&json).expect("the key again"), key);
}

fn check_range(prefix: &str, text: &str) {
    let Some(end) = prefix_end(prefix) else {
        assert!(prefix.is_empty());
        return;
    };
    let is_within = prefix.as_bytes() <= text.as_bytes() && text.as_bytes() < end.as_slice();
    assert_eq!(is_within, text.starts_with(prefix));
}

/// Whether a name of one key's entries is a folder of another key.
fn is_folder(keys: &BTreeSet<LogKey>, name: &str) -> bool {
    let folder = format!("{name}/");
    keys.iter().any(|key| key.as_str().starts_with(&folder))
}

fuzz_target!(|text: &str| {
    let lines: Vec<&str> = text.split('\n').take(100).collect();
    let mut keys = BTreeSet::new();
    for line in &lines {
        check_range(lines[0], line);
        if let Ok(key) = LogKey::parse(line) {
            check_key(line, &key);
            keys.insert(key);
        }
    }
    let mut any = Names::default();
    let given: Vec<String> = lines
        .iter()
        .flat_map(|line| SUFFIXES.map(|suffix| (line, suffix)))
        .map(|(line, suffix)| any.entry(line, suffix))
        .collect();
    names::check(&given);

    // Keys that the rules accept keep their names, but for a drive letter and for what a folder must give way to.
    let mut good = Names::default();
    let collide = keys
        .iter()
        .any(|key| SUFFIXES.iter().any(|suffix| is_folder(&keys, &format!("{key}{suffix}"))));
    let has_drive = keys.iter().any(|key| key.as_str().as_bytes().get(1) == Some(&b':'));
    for key in &keys {
        for suffix in SUFFIXES {
            let name = good.entry(key.as_str(), suffix);
            assert!(collide || has_drive || name == format!("{key}{suffix}"), "{name:?}");
        }
    }
});
