//! Texts compressed once, so that they can stand in any number of entries.
//!
//! A raw DEFLATE stream is a row of blocks. A sync flush ends a block at a byte border with an
//! empty block that is not the last one, and a compressor reset before every text refers to no byte
//! of another text. So the output for each text can be put behind that for any other; `archive`
//! ends the row.

use crate::crc::Crc;
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

/// The DEFLATE level of every piece. Real prompts shrink to 0.33 of their size at 6 and 0.46 at 1;
/// above 6 almost nothing is gained, and since every distinct text is compressed once, its price is
/// paid once.
pub const LEVEL: u32 = 6;

/// Room for the end of a flush: below 7 free bytes zlib may write the flush marker a second time.
const FLUSH_BYTES: usize = 64;
/// The most that is reserved before the size of the output is known: most texts shrink below it in
/// one call.
const FIRST_BYTES_MAX: usize = 64 << 10;

/// One stretch of text, compressed once, usable in any number of entries. Cloning it copies no
/// bytes.
#[derive(Clone, Debug)]
pub struct Piece {
    wire: Bytes,
    text_len: u64,
    crc: Crc,
}

impl Piece {
    /// One text compressed by a compressor of its own. For many texts keep a [`Deflater`].
    pub fn deflate(text: &[u8]) -> Piece {
        Deflater::new().piece(text)
    }

    /// Bytes of text that a reader gets back.
    pub fn text_len(&self) -> u64 {
        self.text_len
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

/// Compresses texts into pieces. A compressor holds about 300 KB; this one is reset instead of made
/// anew.
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
}

impl Deflater {
    pub fn new() -> Self {
        Deflater {
            compress: Compress::new(Compression::new(LEVEL), false),
        }
    }

    /// The piece depends on `text` alone, not on the pieces made before. Takes memory for the
    /// compressed bytes only.
    pub fn piece(&mut self, text: &[u8]) -> Piece {
        let wire = if text.is_empty() {
            Bytes::new()
        } else {
            self.wire(text)
        };
        Piece {
            wire,
            text_len: text.len() as u64,
            crc: Crc::of(text),
        }
    }

    fn wire(&mut self, text: &[u8]) -> Bytes {
        self.compress.reset();
        let mut wire = Vec::with_capacity((text.len() / 2).min(FIRST_BYTES_MAX) + FLUSH_BYTES);
        loop {
            wire.reserve(FLUSH_BYTES);
            // One call takes at most 4 GiB of text, hence the slice by what has been consumed.
            let consumed = usize::try_from(self.compress.total_in())
                .expect("no more than text.len() was consumed");
            self.compress
                .compress_vec(&text[consumed..], &mut wire, FlushCompress::Sync)
                .expect("deflate fails only on a stream that was not set up");
            // zlib: a flush is complete when all was consumed and room is left in the output.
            if self.compress.total_in() == text.len() as u64 && wire.len() < wire.capacity() {
                break;
            }
        }
        Bytes::from(wire.into_boxed_slice())
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Deflater::new()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::{Decompress, FlushDecompress, Status};
    use proptest::prelude::*;

    /// What a reader makes of the pieces put one after another and ended.
    fn inflate(pieces: &[Piece]) -> Vec<u8> {
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

    #[test]
    fn output_that_just_fills_the_buffer_is_neither_cut_nor_doubled() {
        // The first buffer holds half the text and 64 bytes, noise takes all of the text and a
        // little: somewhere in this range output and buffer have the same size.
        for len in 90..150 {
            let text = noise(len);
            check(&text, len + 16);
        }
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_inflate_to_their_texts(
            texts in prop::collection::vec(any::<Vec<u8>>(), 1..20), order: Vec<prop::sample::Index>
        ) {
            let mut deflater = Deflater::new();
            let made: Vec<Piece> = texts.iter().map(|text| deflater.piece(text)).collect();
            let order: Vec<usize> = order.iter().map(|index| index.index(texts.len())).collect();
            let spliced: Vec<Piece> = order.iter().map(|&at| made[at].clone()).collect();
            let expected: Vec<u8> = order.iter().flat_map(|&at| texts[at].clone()).collect();
            prop_assert_eq!(inflate(&spliced), expected);
        }

        #[test]
        fn a_used_compressor_makes_the_same_bytes_as_a_new_one(
            before: Vec<u8>, text in "[a-c]{0,200}"
        ) {
            let mut deflater = Deflater::new();
            deflater.piece(&before);
            deflater.piece(text.as_bytes());
            let (again, fresh) = (deflater.piece(text.as_bytes()), Piece::deflate(text.as_bytes()));
            prop_assert_eq!(again.wire(), fresh.wire());
        }
    }
}
