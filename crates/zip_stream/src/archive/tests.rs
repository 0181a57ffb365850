use super::*;
use crate::Names;
use crate::readers::{self, Seen};
use proptest::prelude::*;

/// 2026-11-23T18:00:00Z.
const MODIFIED: i64 = 1_795_456_800;

/// The archive of these entries, each a name and the texts it is made of.
fn archive(entries: &[(String, Vec<Vec<u8>>)], comment: &str) -> Vec<Bytes> {
    let (mut archive, mut out) = (Archive::new(), Vec::new());
    for (name, texts) in entries {
        let pieces: Vec<Piece> = texts.iter().map(|text| Piece::deflate(text)).collect();
        archive.entry(name, MODIFIED, &pieces, &mut out);
        assert_eq!(
            archive.offset(),
            out.iter().map(|bytes| bytes.len() as u64).sum::<u64>()
        );
    }
    assert_eq!(archive.entries(), entries.len());
    archive.finish(comment, &mut out);
    assert!(out.iter().all(|bytes| !bytes.is_empty()));
    out
}

fn expected(entries: &[(String, Vec<Vec<u8>>)]) -> Vec<Seen> {
    entries
        .iter()
        .map(|(name, texts)| Seen {
            name: name.clone(),
            text: texts.concat(),
        })
        .collect()
}

#[test]
fn a_tiny_archive_has_these_bytes() {
    let entries = [
        ("a-system".to_owned(), vec![b"hi".to_vec(), b"!".to_vec()]),
        ("ü".to_owned(), vec![]),
    ];
    #[rustfmt::skip]
    let golden: Vec<u8> = [
        // local header: version 20, UTF-8, deflate, 18:00:00, 2026-11-23
        &b"PK\x03\x04\x14\0\x00\x08\x08\0\x00\x90\x77\x5d"[..],
        // CRC-32 of "hi!", 17 bytes for 3, name of 8, no extra
        b"\x3a\x83\xd3\x41\x11\0\0\0\x03\0\0\0\x08\0\0\0a-system",
        // "hi", empty block, "!", empty block, last block
        b"\xca\xc8\x04\0\0\0\xff\xff", b"\x52\x04\0\0\0\xff\xff", b"\x03\0",
        // local header: version 10, UTF-8, store
        b"PK\x03\x04\x0a\0\x00\x08\0\0\x00\x90\x77\x5d", b"\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\xc3\xbc",
        // directory, mode 0600
        b"PK\x01\x02\x14\x03\x14\0\x00\x08\x08\0\x00\x90\x77\x5d", b"\x3a\x83\xd3\x41\x11\0\0\0\x03\0\0\0\x08\0\0\0",
        b"\0\0\0\0\0\0\0\0\x80\x81\0\0\0\0a-system",
        b"PK\x01\x02\x14\x03\x0a\0\x00\x08\0\0\x00\x90\x77\x5d", b"\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0",
        b"\0\0\0\0\0\0\0\0\x80\x81\x37\0\0\0\xc3\xbc",
        // end: 2 entries, 102 bytes of directory at 87, comment
        b"PK\x05\x06\0\0\0\0\x02\0\x02\0\x66\0\0\0\x57\0\0\0\x02\0ok",
    ].concat();
    let made = archive(&entries, "ok").concat();
    assert_eq!(
        made.escape_ascii().to_string(),
        golden.escape_ascii().to_string()
    );
}

#[test]
fn hostile_texts_come_back_in_every_reader() {
    let mut texts: Vec<Vec<u8>> = [
        "",
        "\0",
        "one\n---\n---\n\n---",
        "PK\x03\x04\x14\0\0\0\0\0PK\x07\x08PK\x01\x02PK\x05\x06\0\0\0\0\0\0\0\0",
        "👩🏽‍🚀 مرحبا שלום \u{202e}txt\u{202c} 中文",
        "\r\n\t\u{feff}\u{fffd}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    texts.push(vec![0xff, 0xfe, 0x00, 0x80]);
    texts.push(
        "Ten megabytes of policy, again and again. "
            .repeat(10_000_000 / 42)
            .into_bytes(),
    );

    let mut names = Names::default();
    let mut entries: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        entries.push((
            names.entry(&format!("../🦊/{index}"), "-system"),
            vec![text.clone()],
        ));
    }
    entries.push((names.entry("all", "-history"), texts));
    entries.push((names.entry("none", "-history"), vec![vec![], vec![]]));

    let made = archive(&entries, "");
    assert_eq!(readers::zip_crate(&made).0, expected(&entries));
    let file = readers::file(0, &made, usize::MAX);
    if let Some(seen) = readers::python_entries(file.path()) {
        assert_eq!(seen, expected(&entries));
        println!("read with python3");
    }
    if readers::unzip(file.path()).is_some() {
        println!("read with unzip");
    }
}

#[test]
fn an_archive_without_entries_is_valid() {
    let made = archive(&[], "no logs");
    assert_eq!(readers::zip_crate(&made), (vec![], "no logs".to_owned()));
    let file = readers::file(0, &made, usize::MAX);
    assert!(readers::python_entries(file.path()).is_none_or(|seen| seen.is_empty()));
}

#[test]
fn a_reader_sees_time_mode_and_utf8() {
    let made = archive(&[("ü-system".to_owned(), vec![b"text".to_vec()])], "");
    let file = readers::file(0, &made, usize::MAX);
    let script = "i = archive.infolist()[0]; print(i.filename.encode(), i.date_time, \
                  oct(i.external_attr >> 16), i.create_system, hex(i.flag_bits), i.compress_type, i.extra)";
    if let Some(answer) = readers::python(file.path(), script) {
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(
            answer.trim(),
            r"b'\xc3\xbc-system' (2026, 11, 23, 18, 0, 0) 0o100600 3 0x800 8 b''"
        );
    }
}

#[test]
fn a_comment_cannot_pass_for_an_end_record() {
    let made = archive(&[("a".to_owned(), vec![])], "line\n\tPK\x05\x06\0\0\u{85}");
    let (seen, comment) = readers::zip_crate(&made);
    assert_eq!((seen.len(), comment.as_str()), (1, "line\n\tPK     "));
}

#[test]
fn names_and_comments_beyond_16_bits_are_cut_between_characters() {
    let made = archive(&[("é".repeat(40_000), vec![])], &"é".repeat(40_000));
    let (seen, comment) = readers::zip_crate(&made);
    assert_eq!(seen[0].name, "é".repeat(32_767));
    assert_eq!(comment, "é".repeat(32_767));
}

#[test]
fn the_directory_leaves_in_bounded_buffers() {
    let entries: Vec<_> = (0..2_000).map(|n| (format!("{n:0100}"), vec![])).collect();
    let made = archive(&entries, &"c".repeat(70_000));
    let longest = made.iter().map(Bytes::len).max();
    assert!(longest < Some(70_000), "{longest:?}");
    assert_eq!(readers::zip_crate(&made).0, expected(&entries));
}

/// Texts that recur, so that pieces are shared, and some that do not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            b"".to_vec(),
            b"\n---\n".to_vec(),
            b"PK\x03\x04".to_vec(),
            vec![0; 40_000]
        ]),
        prop::collection::vec(any::<u8>(), 0..300),
        any::<String>().prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_keys_and_texts_come_back_in_order_and_byte_for_byte(
        logs in prop::collection::vec((any::<String>(), prop::collection::vec(text(), 0..6)), 0..12),
        comment: String,
    ) {
        let mut names = Names::default();
        let named = |(key, texts): (String, _)| (names.entry(&key, "-history"), texts);
        let entries: Vec<_> = logs.into_iter().map(named).collect();
        let made = archive(&entries, &comment);
        prop_assert_eq!(readers::zip_crate(&made).0, expected(&entries));
    }
}
