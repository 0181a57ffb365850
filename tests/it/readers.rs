//! Archives in other people's zip readers: whatever the log keys and the texts, each reader gets every name and every byte.
//!
//! The readers are those that people unpack and process archives with; `tools` says how each is run.

mod beyond;
mod tools;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::prompt_logs::{ORG, expected, noise, serve};
use crate::support::log;
use tools::{ALL, READERS, Reader, Seen};
use zip_stream::{Archive, Names, Piece};

/// Keys that the rules accept and that a file system, a terminal or a reader may stumble over. All keep their names, but
/// for the folder whose name is that of another log's entry.
fn hostile_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "emoji/👩‍👩‍👧‍👦 🦀",
        "emoji/🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "combining/e\u{301}",
        "combining/é",
        "combining/z\u{335}\u{337}\u{338}\u{301}\u{302}",
        "combining/\u{301}first",
        "combining/Å",
        "combining/\u{212b}",
        "combining/한",
        "combining/\u{1112}\u{1161}\u{11ab}",
        "rtl/שלום עולם",
        "rtl/مرحبا/١٢٣",
        "case/Readme",
        "case/README",
        "case/readme",
        "case/ß",
        "case/ẞ",
        "case/İ",
        "dots/a.",
        "dots/a..",
        "dots/...",
        "dots/.hidden",
        "dots/a. ",
        "dots/ a",
        "dots/ ",
        "dots/..\u{ff0f}x",
        "dots/\u{2024}\u{2024}/x",
        "windows/CON",
        "windows/nul",
        "windows/aux.txt",
        "windows/COM1",
        "windows/LPT\u{b9}",
        "windows/a:b",
        "windows/a*b?c\"d<e>f|g",
        "shell/-rf",
        "shell/--help/-o",
        "shell/@list",
        "shell/~/x",
        "shell/$HOME",
        "shell/`id`",
        "shell/'q'",
        "shell/a;1",
        "shell/[a-z]!",
        "shell/%2e%2e/x",
        "shell/#U00e9",
        "unicode/\u{200b}zero",
        "unicode/\u{2028}line",
        "unicode/\u{feff}bom",
        "unicode/\u{ffff}",
        "unicode/\u{10ffff}",
        "unicode/\u{e000}",
        "unicode/\u{fffd}",
        "unicode/\u{2215}etc\u{2215}passwd",
        "same/x",
        "same/x-system",
        "same/x-history",
        "same/x-error",
        "same/x-system-system",
        "same/x-system/y",
        "same/x-history/y/z",
    ]
    .map(|key| format!("k/{key}"))
    .into();
    keys.extend(
        ["l".repeat(240), "é".repeat(120), "🦀".repeat(60)]
            .map(|segment| format!("k/long/{segment}/{segment}")),
    );
    let deep = [
        "k/deep",
        &"d".repeat(240),
        &"e".repeat(240),
        &"f".repeat(240),
        &"g".repeat(170),
    ]
    .join("/");
    assert_eq!(deep.len(), 900);
    keys.push(deep);
    keys
}

/// Those of them that are another one but for their normalisation, and come before it: a reader that composes names
/// (NFC) unpacks the other one over it.
const DECOMPOSED: [&str; 2] = [
    "k/combining/e\u{301}",
    "k/combining/\u{1112}\u{1161}\u{11ab}",
];

/// Texts that could pass for something else than text.
const TEXTS: [&str; 16] = [
    "",
    "\n",
    "---",
    "a\n---\nb",
    "\0",
    "nul \0 bell \u{7} escape \u{1b}[2J\u{1a}",
    "PK\u{3}\u{4}",
    "PK\u{7}\u{8}",
    "PK\u{5}\u{6}",
    // A whole local header, and an end record, as a prompt.
    "PK\u{3}\u{4}\u{14}\0\0\u{8}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\u{4}\0\0\0evil",
    "PK\u{7}\u{8}\0\0\0\0\0\0\0\0\0\0\0\0PK\u{1}\u{2}PK\u{5}\u{6}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    "👩‍👩‍👧 e\u{301}",
    "\u{202e}txt.exe\u{202c} שלום مرحبا",
    "\r\nwindows\r\n",
    "\u{feff}BOM \u{fffd} \u{10ffff}",
    "../../etc/passwd",
];

fn hostile_logs() -> Vec<Value> {
    let mut logs: Vec<Value> = hostile_keys()
        .iter()
        .enumerate()
        .map(|(at, key)| {
            let text = |n: usize| TEXTS[(at + n) % TEXTS.len()];
            log(key, text(0), &[text(1), text(2), text(3)])
        })
        .collect();
    let long = noise(7, 10 << 20);
    logs.extend([
        json!({"log_key": "k/texts/all", "system": "", "history": TEXTS}),
        json!({"log_key": "k/texts/empty-history", "history": []}),
        json!({"log_key": "k/texts/long", "system": long, "history": [long, "", &long[1..]]}),
        json!({"log_key": "k/texts/system-only", "system": "s"}),
    ]);
    logs
}

/// Every reader gets these entries. Those that unpack have no order of their own.
#[track_caller]
fn check(archive: &Path, expected: &[Seen]) {
    let mut sorted = expected.to_vec();
    sorted.sort();
    for reader in &READERS {
        let mut expected = if reader.unpacks() {
            sorted.clone()
        } else {
            expected.to_vec()
        };
        if reader.composes {
            expected.retain(|entry| !DECOMPOSED.iter().any(|key| entry.name.starts_with(key)));
        }
        compare(reader, reader.read_file(archive, ALL), &expected);
    }
}

/// Compares names first, so that a failure can be read.
#[track_caller]
fn compare(reader: &Reader, seen: Option<Vec<Seen>>, expected: &[Seen]) {
    fn names(entries: &[Seen]) -> Vec<&str> {
        entries.iter().map(|entry| entry.name.as_str()).collect()
    }
    let Some(seen) = seen else {
        eprintln!("NOT RUN: {} is not installed", reader.name);
        return;
    };
    assert!(
        names(&seen) == names(expected),
        "{}: {:?} and not {:?}",
        reader.name,
        surplus(&seen, expected),
        surplus(expected, &seen)
    );
    for (seen, expected) in seen.iter().zip(expected) {
        let (reader, name) = (reader.name, &seen.name);
        assert!(seen == expected, "{reader}: {name} has other bytes");
    }
}

/// Names of `these` that the others do not have, in an order of their own.
fn surplus<'a>(these: &'a [Seen], others: &[Seen]) -> BTreeSet<&'a str> {
    let others: BTreeSet<&str> = others.iter().map(|entry| entry.name.as_str()).collect();
    let names = these.iter().map(|entry| entry.name.as_str());
    names.filter(|name| !others.contains(name)).collect()
}

#[tokio::test]
async fn hostile_keys_and_texts_come_out_of_every_reader_as_they_were_written() {
    let logs = hostile_logs();
    let (server, token) = serve(&logs);
    let answer = server.logs(&token, ORG, "k/").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let archive = server.data.write("hostile.zip", &answer.body);
    let numbered = |name: String| {
        let name = name.replace("k/same/x-system/y-", "k/same/x-system~2/y-");
        name.replace("k/same/x-history/y/", "k/same/x-history~2/y/")
    };
    let expected: Vec<Seen> = expected(&logs)
        .into_iter()
        .map(|(name, text)| Seen::new(numbered(name), text))
        .collect();
    assert_eq!(expected.len(), logs.len() * 2 - 2);
    check(&archive, &expected);
}

#[test]
fn keys_that_no_rule_accepts_have_names_that_every_reader_unpacks_in_its_folder() {
    let long = "l".repeat(300);
    let keys = [
        "../../up",
        "..",
        ".",
        "",
        "/",
        "/etc/passwd",
        "//host/share",
        "a/../../../b",
        "a//b",
        "a/",
        "a/./b",
        "..\\..\\up",
        "C:\\x",
        "C:/x",
        "c:x",
        "nul\0byte",
        "line\nfeed",
        "bell\u{7}",
        "\u{85}",
        "exe.\u{202e}fdp",
        "x",
        "x",
        "x",
        "x-system/y",
        "x-system",
        "X-SYSTEM/y",
        &long,
        &format!("{long}/{long}"),
        &"é".repeat(300),
        &"a/".repeat(600),
        "~root",
        "-rf",
        "%2e%2e%2f",
        "a\t",
    ];
    let (mut names, mut archive, mut out) = (Names::default(), Archive::new(), Vec::new());
    let mut expected = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        for suffix in ["-system", "-history"] {
            let (name, text) = (names.entry(key, suffix), format!("{at}{suffix}"));
            archive.entry(
                &name,
                1_700_000_000,
                &[Piece::deflate(text.as_bytes())],
                &mut out,
            );
            expected.push(Seen::new(name, text));
        }
    }
    archive.finish("a comment: PK\u{5}\u{6}", &mut out);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("names.zip");
    std::fs::write(&file, out.concat()).unwrap();
    check(&file, &expected);
}
