//! Archives and entries beyond 4 GiB and beyond 65,535 entries, without 4 GiB of anything: the
//! archive starts at a given offset, one piece stands in an entry thousands of times, long buffers
//! are holes in the file.

use super::*;
use crate::piece::tests::noise;
use crate::readers;

const MIB: usize = 1 << 20;

fn python(file: &tempfile::NamedTempFile, script: &str) -> Option<String> {
    readers::python(file.path(), script)
        .map(|answer| String::from_utf8(answer).unwrap().trim().to_owned())
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|window| *window == needle)
        .count()
}

/// An archive of two entries behind a hole of `start` bytes must be readable and have this many
/// ZIP64 extra fields.
#[track_caller]
fn check_start(start: u64, zip64_offsets: usize, zip64_ends: usize) {
    let mut archive = Archive {
        offset: start,
        ..Archive::new()
    };
    let mut out = Vec::new();
    archive.entry("a-system", 0, &[Piece::deflate(b"first")], &mut out);
    archive.entry("b-system", 0, &[Piece::deflate(b"second")], &mut out);
    archive.finish("", &mut out);

    let bytes = out.concat();
    assert_eq!(
        count(&bytes, b"\x01\0\x08\0"),
        zip64_offsets,
        "ZIP64 offsets"
    );
    assert_eq!(
        count(&bytes, b"PK\x06\x06"),
        zip64_ends,
        "ZIP64 end records"
    );
    // The locator is the 20 bytes before the end record of 22: it must point to the ZIP64 record.
    let locator = &bytes[bytes.len() - 42..][..20];
    assert_eq!(
        locator.starts_with(b"PK\x06\x07"),
        zip64_ends == 1,
        "ZIP64 locator"
    );
    if zip64_ends == 1 {
        let pointer = u64::from_le_bytes(locator[8..16].try_into().unwrap());
        assert!(
            bytes[(pointer - start) as usize..].starts_with(b"PK\x06\x06"),
            "{pointer}"
        );
    }
    let file = readers::file(start, &out, usize::MAX);
    let script = "print([(i.header_offset, archive.read(i)) for i in archive.infolist()])";
    if let Some(answer) = python(&file, script) {
        let second = start + out[..3].iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        assert_eq!(
            answer,
            format!("[({start}, b'first'), ({second}, b'second')]")
        );
    }
}

#[test]
fn zip64_appears_exactly_where_an_offset_needs_it() {
    let all_ones = u64::from(u32::MAX);
    let first_len = 30 + "a-system".len() as u64 + Piece::deflate(b"first").wire_len() as u64 + 2;
    let second_len = first_len + 1;
    // The directory starts one byte below the limit, then at it; then the second entry does, then
    // the first.
    check_start(all_ones - first_len - second_len - 1, 0, 0);
    check_start(all_ones - first_len - second_len, 0, 1);
    check_start(all_ones - first_len - 1, 0, 1);
    check_start(all_ones - first_len, 1, 1);
    check_start(all_ones - 1, 1, 1);
    check_start(all_ones, 2, 1);
    check_start(5 << 30, 2, 1);
}

/// One entry that repeats a text and does not fit 32 bits, then a small one. Buffers as long as the
/// text become holes: of the large entry only the headers are looked at.
#[track_caller]
fn check_entry(text: &[u8], times: usize) {
    let piece = Piece::deflate(text);
    let mut archive = Archive::new();
    let mut out = Vec::new();
    archive.entry("big-history", 0, &vec![piece.clone(); times], &mut out);
    let small_offset = archive.offset();
    archive.entry("small-system", 0, &[Piece::deflate(b"small")], &mut out);
    archive.finish("", &mut out);

    let text_len = times as u64 * text.len() as u64;
    let wire_len = times as u64 * piece.wire_len() as u64 + 2;
    let zip64 = [
        &b"\x01\0\x10\0"[..],
        &text_len.to_le_bytes(),
        &wire_len.to_le_bytes(),
    ]
    .concat();
    assert_eq!(
        out[0][18..30],
        *b"\xff\xff\xff\xff\xff\xff\xff\xff\x0b\0\x14\0"
    );
    assert_eq!(out[0][41..], zip64);

    let mut crc = crc32fast::Hasher::new();
    let one = crc32fast::Hasher::new_with_initial_len(crc32fast::hash(text), text.len() as u64);
    (0..times).for_each(|_| crc.combine(&one));
    let crc = crc.finalize();
    let file = readers::file(0, &out, text.len());
    let script = "b, s = archive.infolist(); \
                  print(b.file_size, b.compress_size, b.CRC, s.header_offset, archive.read(s))";
    if let Some(answer) = python(&file, script) {
        assert_eq!(
            answer,
            format!("{text_len} {wire_len} {crc} {small_offset} b'small'")
        );
    }
}

#[test]
fn an_entry_whose_text_is_beyond_4_gib_has_zip64_sizes() {
    check_entry(&vec![0; MIB], 4_097);
}

#[test]
fn an_entry_whose_data_is_beyond_4_gib_has_zip64_sizes() {
    check_entry(&noise(MIB), 4_097);
    // Noise grows a little: here the text is still below the limit and only the data is not.
    let (text, times) = (noise(65_535), 65_535);
    assert!(u32::try_from(text.len() * times).is_ok());
    check_entry(&text, times);
}

#[track_caller]
fn check_count(entries: usize, zip64_ends: usize) {
    let (mut archive, mut out) = (Archive::new(), Vec::new());
    for n in 0..entries {
        archive.entry(&n.to_string(), 0, &[], &mut out);
    }
    archive.finish("", &mut out);
    let end = &out[out.len() - 1];
    assert_eq!(count(end, b"PK\x06\x06"), zip64_ends);
    let file = readers::file(0, &out, usize::MAX);
    if let Some(answer) = python(
        &file,
        "print(len(archive.namelist()), archive.namelist()[-1])",
    ) {
        assert_eq!(answer, format!("{entries} {}", entries - 1));
    }
}

#[test]
fn more_entries_than_16_bits_can_count_have_a_zip64_end() {
    check_count(65_534, 0);
    check_count(65_535, 1);
    check_count(70_000, 1);
}
