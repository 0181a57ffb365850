//! The zip writer: whatever the texts, names and the order of pieces, a reader gets them back, and the headers in front of
//! the entries agree with the directory behind them.
#![no_main]

mod names;

use std::io::{Cursor, Read};

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use zip_stream::{Archive, Deflater, Mark, Names, Piece, Row, Stored};

/// Texts of all entries together: enough for several windows of the compressor.
const BYTES_MAX: usize = 1 << 20;

#[derive(Arbitrary, Debug)]
struct Input {
    texts: Vec<Text>,
    entries: Vec<Wish>,
    comment: String,
}

#[derive(Arbitrary, Debug)]
enum Text {
    Plain(Vec<u8>),
    Repeated { part: Vec<u8>, times: u16 },
    /// Bytes that hardly shrink, of so many different values.
    Noise { seed: u32, length: u16, values: u8 },
    /// The other texts one behind another, up to a few windows long.
    All,
}

#[derive(Arbitrary, Debug)]
struct Wish {
    key: String,
    suffix: Suffix,
    modified: i64,
    body: Body,
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

#[derive(Arbitrary, Debug)]
enum Body {
    /// A piece for each text.
    Pieces,
    /// The texts as they are.
    Stored,
    /// The texts behind those of an earlier row, or of its beginning up to a mark. The first is row 0.
    Row { row: u8, mark: Option<u8> },
    /// Two rows in one entry.
    Rows { first: u8, second: u8 },
}

struct Entry {
    name: String,
    text: Vec<u8>,
    is_stored: bool,
}

/// A row and what it holds.
#[derive(Clone, Default)]
struct Known {
    row: Row,
    text: Vec<u8>,
    marks: Vec<(Mark, usize)>,
}

fn expand(wishes: &[Text]) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for wish in wishes {
        let text = match wish {
            Text::Plain(text) => text.clone(),
            Text::Repeated { part, times } => {
                let times = usize::from(*times).min(100_000 / part.len().max(1));
                part.repeat(times)
            }
            Text::Noise { seed, length, values } => {
                let mut state = u64::from(*seed) | 1;
                let next = |_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    ((state >> 33) % (u64::from(*values) + 1)) as u8
                };
                (0..*length).map(next).collect()
            }
            Text::All => texts.concat().into_iter().take(150_000).collect(),
        };
        texts.push(text);
    }
    texts
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
        let is_stored = wire == 0 || entry.is_stored;
        assert_eq!(number(archive, at + 8, 2), if is_stored { 0 } else { 8 }, "method");
        assert!(!is_stored || wire == text);
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

/// Appends an entry's data as it is wished.
fn append(wish: &Wish, name: &str, texts: &[Vec<u8>], order: &[usize], made: &mut Made) -> Entry {
    let mut text: Vec<u8> = order.iter().flat_map(|at| texts[*at].iter().copied()).collect();
    let (archive, out) = (&mut made.archive, &mut made.out);
    let is_stored = matches!(wish.body, Body::Stored);
    match wish.body {
        Body::Pieces => {
            let pieces: Vec<Piece> = order.iter().map(|at| made.deflater.piece(&texts[*at])).collect();
            archive.entry(name, wish.modified, &pieces, out);
        }
        Body::Stored => {
            let mut stored = Stored::default();
            order.iter().for_each(|at| stored.push(Bytes::copy_from_slice(&texts[*at])));
            archive.stored(name, wish.modified, &stored, out);
        }
        Body::Row { row, mark } => {
            let known = &made.rows[usize::from(row) % made.rows.len()];
            let mut known = match mark.map(usize::from) {
                Some(mark) if !known.marks.is_empty() => {
                    let (at, length) = known.marks[mark % known.marks.len()].clone();
                    let marks = known.marks.iter().filter(|(_, end)| *end <= length);
                    Known {
                        row: known.row.fork(&at),
                        text: known.text[..length].to_vec(),
                        marks: marks.cloned().collect(),
                    }
                }
                _ => known.clone(),
            };
            let parts: Vec<&[u8]> = order.iter().map(|at| texts[*at].as_slice()).collect();
            made.deflater.push(&mut known.row, &parts);
            known.text.extend_from_slice(&text);
            known.marks.push((known.row.mark(), known.text.len()));
            archive.entry(name, wish.modified, &[known.row.piece()], out);
            text = known.text.clone();
            made.rows.push(known);
        }
        Body::Rows { first, second } => {
            let rows = [first, second].map(|row| &made.rows[usize::from(row) % made.rows.len()]);
            archive.entry(name, wish.modified, &rows.map(|known| known.row.piece()), out);
            text = rows.map(|known| known.text.as_slice()).concat();
        }
    }
    Entry { name: name.to_owned(), text, is_stored }
}

#[derive(Default)]
struct Made {
    archive: Archive,
    out: Vec<Bytes>,
    deflater: Deflater,
    rows: Vec<Known>,
}

fuzz_target!(|input: Input| {
    let texts = expand(&input.texts);
    let mut names = Names::default();
    let mut made = Made { rows: vec![Known::default()], ..Made::default() };
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for wish in &input.entries {
        let suffix = match &wish.suffix {
            Suffix::System => "-system",
            Suffix::History => "-history",
            Suffix::Error => "-error",
            Suffix::Other(suffix) => suffix,
        };
        let name = names.entry(&wish.key, suffix);
        let order = wish.order.iter().filter(|_| !texts.is_empty());
        let order: Vec<usize> = order.take(64).map(|at| usize::from(*at) % texts.len()).collect();
        entries.push(append(wish, &name, &texts, &order, &mut made));
        bytes += entries.last().map_or(0, |entry| entry.text.len());
        assert_eq!(made.archive.entries(), entries.len());
        if bytes > BYTES_MAX {
            break;
        }
    }
    let Made { archive, mut out, .. } = made;
    let offset = archive.offset();
    assert_eq!(offset, out.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
    archive.finish(&input.comment, &mut out);
    let archive: Vec<u8> = out.concat();

    names::check(&entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>());
    let comment = input.comment.replace(|c: char| c.is_control() && c != '\n' && c != '\t', " ");
    check_headers(&archive, &entries, &comment);
    check_reader(&archive, &entries);
});
