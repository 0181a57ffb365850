//! Archives beyond what 32 and 16 bits can count (ZIP64), in every reader: more than 4 GiB, more than 65,535 entries.

use std::os::unix::fs::FileExt;
use std::path::Path;

use zip_stream::{Archive, Piece};

use super::compare;
use super::tools::{Only, READERS, Reader, Seen, pipe};

/// As large as a log may be: what a history of messages of a few megabytes can have of text.
const LARGE_BYTES: usize = 64 << 20;
const PIECES: usize = 8;
/// Enough of them for more than 4 GiB.
const LARGE: usize = 66;
const SMALL_ONLY: Only = Only {
    limit: 1 << 20,
    below: Some("small"),
};

/// Text that no compressor shrinks.
fn noise() -> Piece {
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(LARGE_BYTES / PIECES)
    .collect();
    Piece::deflate(&bytes)
}

/// An archive of more than 4 GiB: large entries, and small ones at both ends and in between. Hands over its buffers and
/// returns what is in it.
fn large(mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<Vec<Seen>> {
    let noise = vec![noise(); PIECES];
    let (mut archive, mut out, mut expected) = (Archive::new(), Vec::new(), Vec::new());
    for n in 0..LARGE {
        let (name, text) = (format!("large/{n:02}-history"), Vec::new());
        archive.entry(&name, 0, &noise, &mut out);
        expected.push(Seen {
            name,
            length: LARGE_BYTES as u64,
            text,
        });
        let (name, text) = (format!("small/{n:02}-system"), format!("text {n}"));
        archive.entry(&name, 0, &[Piece::deflate(text.as_bytes())], &mut out);
        expected.push(Seen::new(name, text));
        out.drain(..).try_for_each(|bytes| take(&bytes))?;
    }
    assert!(archive.offset() > 4 << 30);
    archive.finish("", &mut out);
    out.drain(..).try_for_each(|bytes| take(&bytes))?;
    Ok(expected)
}

/// Those readers get these entries: all of them where they list, the small ones where they unpack.
#[track_caller]
fn check(archive: &Path, entries: &[Seen], which: impl Fn(&Reader) -> bool) {
    for reader in READERS.iter().filter(|reader| which(reader)) {
        let seen = reader.read_file(archive, SMALL_ONLY);
        check_one(reader, seen, entries);
    }
}

#[track_caller]
fn check_one(reader: &Reader, seen: Option<Vec<Seen>>, entries: &[Seen]) {
    let of_reader = |entry: &&Seen| !reader.unpacks() || entry.name.starts_with("small/");
    let expected: Vec<Seen> = entries.iter().filter(of_reader).cloned().collect();
    compare(reader, seen, &expected);
}

#[test]
fn more_than_4_gib_go_through_the_readers_that_stream() {
    let expected = large(|_| Ok(())).unwrap();
    std::thread::scope(|scope| {
        // fflate's streaming reader knows no ZIP64 offsets and needs none, but takes minutes for as many bytes.
        for reader in READERS
            .iter()
            .filter(|reader| reader.streams && !reader.name.contains("fflate"))
        {
            scope.spawn(|| {
                let input = pipe(|output| large(|bytes| output.write_all(bytes)).map(drop));
                let seen = reader.read("-".as_ref(), input, SMALL_ONLY);
                check_one(reader, seen, &expected);
            });
        }
    });
}

#[test]
fn entries_beyond_4_gib_are_found_by_the_readers_that_seek() {
    // The data of the large entries are a hole in the file: no reader looks at it.
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut end = 0;
    let written = large(|bytes| {
        if bytes.len() < LARGE_BYTES / PIECES {
            file.as_file().write_all_at(bytes, end)?;
        }
        end += bytes.len() as u64;
        Ok(())
    });
    // unzipSync would hold the whole archive in memory.
    let of_seekers = |reader: &Reader| !reader.streams && !reader.name.contains("fflate");
    check(file.path(), &written.unwrap(), of_seekers);
}

#[test]
fn more_entries_than_16_bits_can_count_are_found_by_every_reader() {
    let (mut archive, mut out, mut expected) = (Archive::new(), Vec::new(), Vec::new());
    for n in 0..66_000 {
        let folder = if n % 1_000 == 999 { "small" } else { "n" };
        let name = format!("{folder}/{n:05}-system");
        archive.entry(&name, 0, &[], &mut out);
        expected.push(Seen::new(name, ""));
    }
    archive.finish("", &mut out);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), out.concat()).unwrap();
    check(file.path(), &expected, |_| true);
}
