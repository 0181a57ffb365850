//! The zip writer: whatever the texts, names and the order of pieces, a reader gets them back, and the headers in front of
//! the entries agree with the directory behind them.
#![no_main]

mod names;

use std::io::{Cursor, Read};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use zip_stream::{Archive, Deflater, Names, Piece, Row, Stored};

#[derive(Arbitrary, Debug)]
struct Input {
    texts: Vec<Text>,
    /// Rows that grow, fork and are taken as pieces.
    rows: Vec<Step>,
    entries: Vec<Wish>,
    comment: String,
}

/// Texts long enough to fill windows and blocks, from few bytes of input.
#[derive(Arbitrary, Debug)]
struct Text {
    bytes: Vec<u8>,
    times: u8,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// Puts a text at the end of a row.
    Push { row: u8, text: u8 },
    /// Makes a new row out of the beginning of one.
    Fork { row: u8, mark: u8 },
    /// Takes a row as it is.
    Take { row: u8 },
}

#[derive(Arbitrary, Debug)]
struct Wish {
    stored: bool,
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
    stored: bool,
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
        assert_eq!(number(archive, at + 8, 2), if wire == 0 || entry.stored { 0 } else { 8 }, "method");
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

impl Text {
    fn whole(&self) -> Vec<u8> {
        let times = 1 + usize::from(self.times) * usize::from(self.times) / 16;
        let repeated = self.bytes.repeat(times.min(200_000 / self.bytes.len().max(1)).max(1));
        // Not the same again and again: every copy ends in its number.
        let numbered = repeated.chunks(self.bytes.len().max(1)).zip(0u32..);
        numbered.flat_map(|(copy, number)| [copy, &number.to_le_bytes()[..]].concat()).collect()
    }
}

/// A row, the text it should hold, and the places between its texts.
struct Grown {
    row: Row,
    text: Vec<u8>,
    marks: Vec<(zip_stream::Mark, usize)>,
}

/// The pieces that the steps make, each with its text.
fn grow(deflater: &mut Deflater, texts: &[Vec<u8>], steps: &[Step]) -> Vec<(Piece, Vec<u8>)> {
    let mut rows = vec![Grown { row: Row::new(), text: Vec::new(), marks: Vec::new() }];
    let mut pieces = Vec::new();
    let mut total = 0;
    for step in steps.iter().take(64) {
        match step {
            Step::Push { row, text } if !texts.is_empty() => {
                let at = usize::from(*row) % rows.len();
                let text = &texts[usize::from(*text) % texts.len()];
                let grown = &mut rows[at];
                total += grown.text.len() + text.len();
                if total > 4_000_000 {
                    break;
                }
                let mark = (grown.row.mark(), grown.text.len());
                grown.marks.push(mark);
                let (head, tail) = text.split_at(text.len() / 2);
                deflater.push(&mut grown.row, &[head, tail]);
                grown.text.extend_from_slice(text);
            }
            Step::Push { .. } => {}
            Step::Fork { row, mark } => {
                let grown = &rows[usize::from(*row) % rows.len()];
                if grown.marks.is_empty() || rows.len() >= 8 {
                    continue;
                }
                let (mark, end) = &grown.marks[usize::from(*mark) % grown.marks.len()];
                let forked = Grown {
                    row: grown.row.fork(mark),
                    text: grown.text[..*end].to_vec(),
                    marks: Vec::new(),
                };
                rows.push(forked);
            }
            Step::Take { row } => {
                let grown = &rows[usize::from(*row) % rows.len()];
                pieces.push((grown.row.piece(), grown.text.clone()));
            }
        }
    }
    pieces.extend(rows.iter().map(|grown| (grown.row.piece(), grown.text.clone())));
    pieces
}

fuzz_target!(|input: Input| {
    let mut deflater = Deflater::new();
    let texts: Vec<Vec<u8>> = input.texts.iter().take(16).map(Text::whole).collect();
    let mut made: Vec<(Piece, Vec<u8>)> = texts.iter().map(|text| (deflater.piece(text), text.clone())).collect();
    made.extend(grow(&mut deflater, &texts, &input.rows));
    let (mut names, mut archive, mut out) = (Names::default(), Archive::new(), Vec::new());
    let mut entries = Vec::new();
    for wish in input.entries.into_iter().take(64) {
        let suffix = match &wish.suffix {
            Suffix::System => "-system",
            Suffix::History => "-history",
            Suffix::Error => "-error",
            Suffix::Other(suffix) => suffix,
        };
        let name = names.entry(&wish.key, suffix);
        let order: Vec<usize> = wish.order.iter().take(16).map(|at| usize::from(*at) % made.len()).collect();
        let text: Vec<u8> = order.iter().flat_map(|at| made[*at].1.iter().copied()).collect();
        if text.len() > 8_000_000 {
            continue;
        }
        if wish.stored {
            let mut stored = Stored::default();
            order.iter().for_each(|at| stored.push(made[*at].1.clone().into()));
            archive.stored(&name, wish.modified, &stored, &mut out);
        } else {
            let pieces: Vec<Piece> = order.iter().map(|at| made[*at].0.clone()).collect();
            archive.entry(&name, wish.modified, &pieces, &mut out);
        }
        entries.push(Entry { name, text, stored: wish.stored });
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
