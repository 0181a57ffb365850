//! Names of entries: made from log keys, safe to unpack, unique within one archive.
//!
//! Many readers hand a raw name to whoever unpacks it, so a name that climbs out of the folder must
//! not be in the archive at all, whatever has been stored. Log keys are checked when they are
//! written (the wire contract, section 7); this is the second wall, and it changes no key that
//! passed the first, but for a leading drive letter.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A log key has at most this many bytes (the wire contract, section 7); of anything longer the
/// rest is dropped.
const KEY_BYTES_MAX: usize = 900;
/// The longest file name that common file systems can hold.
const SEGMENT_BYTES_MAX: usize = 255;
/// Keeps room for the key in the last segment. Real suffixes are `-system`, `-history`, `-error`.
const SUFFIX_BYTES_MAX: usize = 64;

/// Makes entry names safe and unique within one archive (the wire contract, section 1, "entry
/// names").
#[derive(Debug, Default)]
pub struct Names {
    /// Every name given.
    files: HashSet<String>,
    /// The number to try for the next entry that wants a taken name. Without it the same key n times
    /// would cost n²/2 look-ups.
    numbers: HashMap<String, u64>,
    /// The hash of every folder on the way to a name given, since a key may have hundreds. Two with
    /// one hash are taken for one, which at worst numbers a name without need.
    folders: HashSet<u64>,
    /// The hashes of the names, and of the folders, of keys that need no change, where others do: no other key gets
    /// them, whichever comes first.
    kept_files: HashSet<u64>,
    kept_folders: HashSet<u64>,
}

impl Names {
    /// For an archive of these keys, whose entries have these suffixes.
    pub fn of<'a>(keys: impl Iterator<Item = &'a str> + Clone, suffixes: &[&str]) -> Self {
        let is_kept = |key: &&str| safe_path(key) == *key;
        let mut names = Self::default();
        if keys.clone().all(|key| is_kept(&key)) {
            return names;
        }
        for key in keys.filter(is_kept) {
            let entries = suffixes
                .iter()
                .map(|suffix| hash(&format!("{key}{suffix}")));
            names.kept_files.extend(entries);
            let folders = key.match_indices('/').map(|(slash, _)| hash(&key[..slash]));
            names.kept_folders.extend(folders);
        }
        names
    }

    /// The name of one entry: `log_key` followed by `suffix`.
    ///
    /// What is not safe becomes `_`; a name that was given before, or is another key's own, gets
    /// `~2`, `~3`, … before the suffix. No name is a folder on the way to another, or one of the two could not be unpacked:
    /// whichever comes second, folder or file, is numbered in the same way.
    pub fn entry(&mut self, log_key: &str, suffix: &str) -> String {
        let path = safe_path(log_key);
        let is_kept = path == log_key;
        let suffix = clean(cut(suffix, SUFFIX_BYTES_MAX)).replace(['/', ':'], "_");
        // The last segment is the file, the others are its folders.
        let (folders, stem) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
        let folders = self.enter(folders, is_kept);

        let wanted = name(&folders, stem, "", &suffix);
        if !self.is_taken(&wanted, is_kept) {
            self.files.insert(wanted.clone());
            return wanted;
        }
        let mut number = self.numbers.get(&wanted).copied().unwrap_or(2);
        let free = loop {
            let candidate = name(&folders, stem, &format!("~{number}"), &suffix);
            number += 1;
            if !self.is_taken(&candidate, is_kept) {
                break candidate;
            }
        };
        self.numbers.insert(wanted, number);
        self.files.insert(free.clone());
        free
    }

    /// The folders, each ended by a slash, with a number where a file has the name.
    fn enter(&mut self, folders: &str, is_kept: bool) -> String {
        let mut path = String::with_capacity(folders.len());
        for segment in folders.split_terminator('/') {
            let parent = path.len();
            path.push_str(segment);
            let mut number = 2;
            while self.is_file(&path, is_kept) {
                path.truncate(parent);
                path = name(&path, segment, &format!("~{number}"), "");
                number += 1;
            }
            self.folders.insert(hash(&path));
            path.push('/');
        }
        path
    }

    fn is_taken(&self, name: &str, is_kept: bool) -> bool {
        let hash = hash(name);
        self.is_file(name, is_kept)
            || self.folders.contains(&hash)
            || !is_kept && self.kept_folders.contains(&hash)
    }

    fn is_file(&self, name: &str, is_kept: bool) -> bool {
        self.files.contains(name) || !is_kept && self.kept_files.contains(&hash(name))
    }
}

/// The same for every archive, so that the same logs get the same names.
fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// Cuts the stem, never its number or suffix, so that the last segment keeps within its limit.
fn name(folders: &str, stem: &str, number: &str, suffix: &str) -> String {
    let stem = cut(stem, SEGMENT_BYTES_MAX - number.len() - suffix.len());
    format!("{folders}{stem}{number}{suffix}")
}

/// Most keys are their own path, and are looked at before the first byte of an archive: of those nothing is copied.
fn safe_path(log_key: &str) -> Cow<'_, str> {
    let relative = cut(log_key.trim_start_matches('/'), KEY_BYTES_MAX);
    let mut path = Cow::Borrowed(relative);
    if relative
        .split('/')
        .any(|segment| safe_segment(segment) != segment)
    {
        let segments: Vec<_> = relative.split('/').map(safe_segment).collect();
        path = Cow::Owned(segments.join("/"));
    }
    // `C:` at the start names a drive on Windows; a colon anywhere else is part of many ids.
    if let [letter, b':', ..] = path.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        path.to_mut().replace_range(1..2, "_");
    }
    path
}

fn safe_segment(segment: &str) -> Cow<'_, str> {
    match segment {
        "" | "." => Cow::Borrowed("_"),
        ".." => Cow::Borrowed("__"),
        _ => match clean(segment) {
            Cow::Borrowed(segment) => Cow::Borrowed(cut(segment, SEGMENT_BYTES_MAX)),
            Cow::Owned(segment) => Cow::Owned(cut(&segment, SEGMENT_BYTES_MAX).to_owned()),
        },
    }
}

fn clean(text: &str) -> Cow<'_, str> {
    let lies = |c: char| c == '\\' || c.is_control() || turns_direction(c);
    match text.contains(lies) {
        true => Cow::Owned(text.replace(lies, "_")),
        false => Cow::Borrowed(text),
    }
}

/// Invisible characters that make a name read as another one, `fdp.exe` as `exe.pdf`: marks,
/// embeddings, overrides and isolates of the Unicode bidirectional algorithm (UAX #9, section 2).
/// The same ones are refused in log keys.
fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// The longest beginning of at most `bytes_max` bytes that splits no character.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;
