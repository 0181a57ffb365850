//! What holds for the names of one archive's entries, whatever the keys.

use std::collections::HashSet;

/// Panics unless each name can be unpacked below a folder, and all of them beside each other.
pub fn check(names: &[String]) {
    let mut files = HashSet::new();
    for name in names {
        assert!(is_safe(name), "{name:?}");
        assert!(files.insert(name.as_str()), "twice {name:?}");
    }
    let folders = names
        .iter()
        .flat_map(|name| name.match_indices('/').map(|(slash, _)| &name[..slash]));
    for folder in folders {
        assert!(!files.contains(folder), "a file and a folder: {folder:?}");
    }
}

fn is_safe(name: &str) -> bool {
    let is_drive = name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic();
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let segments = name.split('/').all(|s| !matches!(s, "" | "." | "..") && s.len() <= 255);
    segments && !is_drive && !name.chars().any(|c| c == '\\' || c.is_control() || turns(c)) && name.len() < 2_000
}
