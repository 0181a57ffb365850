//! The zip writer: whatever the texts, names and the order of pieces, a reader gets them back, and the headers in front of
//! the entries agree with the directory behind them.
#![no_main]

mod names;

use std::io::{Cursor, Read};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use zip_stream::{Archive, Deflater, Names, Piece};

#[derive(Arbitrary, Debug)]
struct Input {
    texts: Vec<Vec<u8>>,
    entries: Vec<Wish>,
    comment: String,
}

#[derive(Arbitrary, Debug)]
struct Wish {
    key: String,
    suffix: Suffix,
    modified: i64,
    /// Which texts it has, one after another.
    order: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Suffix {
    System,
    History,
    Error,
    Other(String),
}

struct Entry {
    name: String,
    text: Vec<u8>,
}

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    let digits = bytes[at..at + length].iter().rev();
    digits.fold(0, |number, digit| number << 8 | usize::from(*digit))
}

/// Reads the archive as one does who trusts the headers: entries front to back, then the directory, then the end.
fn check_headers(archive: &[u8], entries: &[Entry], comment: &str) {
    let mut at = 0;
    let mut offsets = Vec::new();
    for entry in entries {
        assert_eq!(&archive[at..at + 4], b"PK\x03\x04");
        assert_eq!(number(archive, at + 6, 2), 0x0800, "flags");
        let (wire, text) = (number(archive, at + 18, 4), number(archive, at + 22, 4));
        let (name, extra) = (number(archive, at + 26, 2), number(archive, at + 28, 2));
        assert_eq!(number(archive, at + 8, 2), if wire == 0 { 0 } else { 8 }, "method");
        assert_eq!(number(archive, at + 14, 4), crc32fast::hash(&entry.text) as usize);
        assert_eq!((text, extra), (entry.text.len(), 0));
        assert_eq!(&archive[at + 30..at + 30 + name], entry.name.as_bytes());
        offsets.push(at);
        at += 30 + name + wire;
    }
    let directory = at;
    for (entry, offset) in entries.iter().zip(offsets) {
        assert_eq!(&archive[at..at + 4], b"PK\x01\x02");
        // From the version to the lengths both headers are alike.
        assert_eq!(archive[at + 6..at + 32], archive[offset + 4..offset + 30]);
        assert_eq!(number(archive, at + 38, 4), 0o100_600 << 16);
        assert_eq!(number(archive, at + 42, 4), offset);
        let name = number(archive, at + 28, 2);
        assert_eq!(&archive[at + 46..at + 46 + name], entry.name.as_bytes());
        at += 46 + name;
    }
    assert_eq!(&archive[at..at + 4], b"PK\x05\x06");
    assert_eq!(number(archive, at + 10, 2), entries.len());
    assert_eq!((number(archive, at + 12, 4), number(archive, at + 16, 4)), (at - directory, directory));
    assert_eq!(&archive[at + 22..], comment.as_bytes());
    let ends = archive[at..].windows(4).filter(|window| window == b"PK\x05\x06");
    assert_eq!(ends.count(), 1, "a reader that looks from behind must find the end record");
}

fn check_reader(archive: &[u8], entries: &[Entry]) {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).expect("an archive");
    assert_eq!(zip.len(), entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let mut read = zip.by_index(index).expect("an entry");
        assert_eq!(read.name().expect("UTF-8"), entry.name);
        let mut text = Vec::new();
        read.read_to_end(&mut text).expect("the text and its CRC");
        assert!(text == entry.text);
    }
}

fuzz_target!(|input: Input| {
    let mut deflater = Deflater::default();
    let pieces: Vec<Piece> = input.texts.iter().map(|text| deflater.piece(text)).collect();
    let (mut names, mut archive, mut out) = (Names::default(), Archive::new(), Vec::new());
    let mut entries = Vec::new();
    for wish in input.entries {
        let suffix = match &wish.suffix {
            Suffix::System => "-system",
            Suffix::History => "-history",
            Suffix::Error => "-error",
            Suffix::Other(suffix) => suffix,
        };
        let name = names.entry(&wish.key, suffix);
        let order = wish.order.iter().filter(|_| !pieces.is_empty());
        let order: Vec<usize> = order.map(|at| usize::from(*at) % pieces.len()).collect();
        let of_entry: Vec<Piece> = order.iter().map(|at| pieces[*at].clone()).collect();
        archive.entry(&name, wish.modified, &of_entry, &mut out);
        let text = order.iter().flat_map(|at| input.texts[*at].iter().copied()).collect();
        entries.push(Entry { name, text });
        assert_eq!(archive.entries(), entries.len());
    }
    let offset = archive.offset();
    assert_eq!(offset, out.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
    archive.finish(&input.comment, &mut out);
    let archive: Vec<u8> = out.concat();

    names::check(&entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>());
    let comment = input.comment.replace(|c: char| c.is_control() && c != '\n' && c != '\t', " ");
    check_headers(&archive, &entries, &comment);
    check_reader(&archive, &entries);
});
