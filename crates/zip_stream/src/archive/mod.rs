//! One archive, front to back: entries, then the directory of them.
//!
//! Holds the directory while entries pass (about 50 bytes and the name for each), never their data.

mod dos_time;
mod records;

use crate::piece::{Piece, Stored};
use bytes::Bytes;
use dos_time::dos_time;
use records::{Data, Directory, Entry};

/// Ends a row of pieces: a last block with nothing in it (fixed codes, end-of-block at once).
static LAST_BLOCK: [u8; 2] = [0x03, 0x00];
/// Name and comment have a 16-bit length.
const TEXT_BYTES_MAX: usize = 65_535;
/// The directory leaves in buffers of this size, so that no consumer has to take all of it at once.
const DIRECTORY_CHUNK_BYTES: usize = 64 << 10;

/// Writes one archive front to back. It does no I/O: every call appends the bytes to send to `out`,
/// in order, and the buffers of pieces are shared, not copied.
#[derive(Debug, Default)]
pub struct Archive {
    offset: u64,
    entries: usize,
    directory: Vec<u8>,
}

impl Archive {
    pub fn new() -> Self {
        Archive::default()
    }

    /// Appends one entry, whose text is that of `pieces` one after another.
    ///
    /// `modified` is in Unix seconds, clamped to the years 1980 to 2107. `name` comes from
    /// [`crate::Names`]; here it is taken as it is, but for a cut at 65,535 bytes.
    pub fn entry(&mut self, name: &str, modified: i64, pieces: &[Piece], out: &mut Vec<Bytes>) {
        let (mut crc, mut wire_len, mut text_len) = (0, 0, 0);
        for piece in pieces {
            crc = piece.crc().behind(crc);
            wire_len += piece.wire_len() as u64;
            text_len += piece.text_len();
        }
        if wire_len > 0 {
            wire_len += LAST_BLOCK.len() as u64;
        }
        let deflated = wire_len > 0;
        self.head(
            name,
            modified,
            Data {
                crc,
                wire_len,
                text_len,
                deflated,
            },
            out,
        );
        out.extend(
            pieces
                .iter()
                .map(Piece::wire)
                .filter(|wire| !wire.is_empty())
                .cloned(),
        );
        if wire_len > 0 {
            out.push(Bytes::from_static(&LAST_BLOCK));
        }
    }

    /// Appends one entry whose text is sent as it is.
    pub fn stored(&mut self, name: &str, modified: i64, text: &Stored, out: &mut Vec<Bytes>) {
        let (crc, len) = (text.crc(), text.len());
        self.head(
            name,
            modified,
            Data {
                crc,
                wire_len: len,
                text_len: len,
                deflated: false,
            },
            out,
        );
        out.extend(text.texts().iter().filter(|text| !text.is_empty()).cloned());
    }

    fn head(&mut self, name: &str, modified: i64, data: Data, out: &mut Vec<Bytes>) {
        let entry = Entry {
            name: cut(name),
            dos_time: dos_time(modified),
            data,
            offset: self.offset,
        };
        let header = entry.local_header();
        entry.put_central_header(&mut self.directory);
        self.offset += header.len() as u64 + entry.data.wire_len;
        self.entries += 1;
        out.push(Bytes::from(header));
    }

    /// Appends the directory of all entries, the end record and the archive's comment.
    ///
    /// The comment is cut at 65,535 bytes, between characters. Its control characters, other than
    /// line feed and tab, become spaces: readers look for the end record from behind, and its
    /// signature must not occur after it.
    pub fn finish(self, comment: &str, out: &mut Vec<Bytes>) {
        let directory = Directory {
            entries: self.entries as u64,
            len: self.directory.len() as u64,
            offset: self.offset,
        };
        let comment = comment.replace(|c: char| c.is_control() && c != '\n' && c != '\t', " ");

        let mut rest = Bytes::from(self.directory);
        while !rest.is_empty() {
            out.push(rest.split_to(rest.len().min(DIRECTORY_CHUNK_BYTES)));
        }
        out.push(Bytes::from(directory.end(cut(&comment))));
    }

    /// Bytes appended so far, by all calls.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Entries appended so far.
    pub fn entries(&self) -> usize {
        self.entries
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod zip64_tests;
