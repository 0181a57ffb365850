//! Texts compressed once, so that they can stand in any number of entries.
//!
//! A raw DEFLATE stream is a row of blocks. A piece ends at a byte border with an empty block that is not the last one,
//! and it refers to no byte of another piece. So any piece can be put behind any other; `archive` ends the row.

use bytes::Bytes;

use crate::crc::Crc;
use crate::deflate::Deflater;

/// One stretch of text, compressed, usable in any number of entries. Cloning it copies no bytes.
#[derive(Clone, Debug)]
pub struct Piece {
    wire: Bytes,
    crc: Crc,
}

impl Piece {
    /// One text compressed for itself. For many texts keep a [`Deflater`].
    pub fn deflate(text: &[u8]) -> Piece {
        Deflater::new().piece(text)
    }

    pub(crate) fn new(wire: Bytes, crc: Crc) -> Piece {
        Piece { wire, crc }
    }

    /// Bytes of text that a reader gets back.
    pub fn text_len(&self) -> u64 {
        self.crc.text_len()
    }

    /// Bytes this piece takes in an archive, each time it is used; none for an empty text.
    pub fn wire_len(&self) -> usize {
        self.wire.len()
    }

    pub(crate) fn wire(&self) -> &Bytes {
        &self.wire
    }

    pub(crate) fn crc(&self) -> Crc {
        self.crc
    }
}

/// Texts one behind another, to be sent as they are.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    texts: Vec<Bytes>,
    crc: crc32fast::Hasher,
    len: u64,
}

impl Stored {
    pub fn push(&mut self, text: Bytes) {
        self.crc.update(&text);
        self.len += text.len() as u64;
        self.texts.push(text);
    }

    pub(crate) fn texts(&self) -> &[Bytes] {
        &self.texts
    }

    pub(crate) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// Bytes of text, which is what it takes in an archive.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::{Decompress, FlushDecompress, Status};
    use proptest::prelude::*;

    /// What a reader makes of the pieces put one after another and ended.
    pub(crate) fn inflate(pieces: &[Piece]) -> Vec<u8> {
        let mut wire: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.wire().to_vec())
            .collect();
        wire.extend([0x03, 0x00]);
        let text_len: u64 = pieces.iter().map(Piece::text_len).sum();
        let mut text = Vec::with_capacity(text_len as usize + 1);
        let status =
            Decompress::new(false).decompress_vec(&wire, &mut text, FlushDecompress::Finish);
        assert_eq!(status.unwrap(), Status::StreamEnd);
        text
    }

    /// Bytes that no compressor shrinks.
    pub(crate) fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let next = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        (0..len).map(next).collect()
    }

    #[track_caller]
    fn check(text: &[u8], wire_len_max: usize) {
        let piece = Piece::deflate(text);
        assert_eq!(inflate(std::slice::from_ref(&piece)), text);
        assert_eq!(piece.text_len(), text.len() as u64);
        assert!(
            piece.wire_len() <= wire_len_max,
            "{} bytes",
            piece.wire_len()
        );
    }

    #[test]
    fn an_empty_text_takes_no_bytes() {
        check(b"", 0);
    }

    #[test]
    fn a_text_comes_back_and_a_long_one_is_small() {
        check(b"a", 8);
        check(
            &b"You are a helpful agent. ".repeat(40_000),
            1_000_000 / 200,
        );
    }

    #[test]
    fn a_text_that_cannot_shrink_grows_by_less_than_a_thousandth() {
        check(&noise(1_000_000), 1_001_000);
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_inflate_to_their_texts(
            texts in prop::collection::vec(any::<Vec<u8>>(), 1..20), order: Vec<prop::sample::Index>
        ) {
            let made: Vec<Piece> = texts.iter().map(|text| Piece::deflate(text)).collect();
            let order: Vec<usize> = order.iter().map(|index| index.index(texts.len())).collect();
            let spliced: Vec<Piece> = order.iter().map(|&at| made[at].clone()).collect();
            let expected: Vec<u8> = order.iter().flat_map(|&at| texts[at].clone()).collect();
            prop_assert_eq!(inflate(&spliced), expected);
        }
    }
}
