//! Rows of texts, compressed so that every beginning of a row can be sent.
//!
//! A history extends the one before it. So a [`Row`] is one DEFLATE stream that is never ended: what its first texts
//! became stays as it is when more come, and [`Row::piece`] ends a copy. A text may repeat what stands before it in its
//! row, up to 32 KB back, and it goes on in the block that is open, so that short texts cost no flush and no header of
//! their own. Codes come from a sample of all texts of an archive; a text that they do not fit gets its own.
//!
//! Why not zlib: it can only end at a byte border with a flush, and computes codes at each. For messages of some hundred
//! bytes that is five times the work and a tenth more on the wire.

mod bits;
mod codes;
mod matches;

use std::sync::Arc;

use bytes::Bytes;

use crate::crc::Crc;
use crate::piece::Piece;
use bits::Bits;
use codes::{Codes, Counts, END_OF_BLOCK};
use matches::{Places, Token};

/// Tokens that are given codes together.
const SEGMENT_TOKENS: usize = 16 << 10;
/// Texts are taken up in slices of this size, so that a long one needs little memory beside itself.
const SLICE_BYTES: usize = 64 << 10;
/// What a stored block can hold.
const STORED_BYTES_MAX: usize = 65_535;

/// Texts one behind another, compressed. Holds the compressed bytes and the last texts (at most 160 KB).
#[derive(Clone, Debug)]
pub struct Row {
    /// The end of the text; a multiple of 64 KiB was let go in front of it.
    text: Vec<u8>,
    places: Places,
    bits: Bits,
    /// The codes of the open block.
    codes: Option<Arc<Codes>>,
    crc: crc32fast::Hasher,
    text_len: u64,
}

/// A place in a row between two texts.
#[derive(Clone, Debug)]
pub struct Mark {
    bits: u64,
    codes: Option<Arc<Codes>>,
    crc: crc32fast::Hasher,
    text_len: u64,
}

impl Row {
    pub fn new() -> Self {
        Row {
            text: Vec::new(),
            places: Places::new(),
            bits: Bits::default(),
            codes: None,
            crc: crc32fast::Hasher::new(),
            text_len: 0,
        }
    }

    /// The end as it is now.
    pub fn mark(&self) -> Mark {
        Mark {
            bits: self.bits.len(),
            codes: self.codes.clone(),
            crc: self.crc.clone(),
            text_len: self.text_len,
        }
    }

    /// A row of its own that begins as this one did up to `mark`, which must be this row's.
    pub fn fork(&self, mark: &Mark) -> Row {
        let let_go = self.text_len - self.text.len() as u64;
        let kept = usize::try_from(mark.text_len.saturating_sub(let_go)).unwrap_or(usize::MAX);
        Row {
            text: self.text[..kept.min(self.text.len())].to_vec(),
            places: self.places.clone(),
            bits: self.bits.cut(mark.bits),
            codes: mark.codes.clone(),
            crc: mark.crc.clone(),
            text_len: mark.text_len,
        }
    }

    /// All texts of the row, ended so that another piece can follow.
    pub fn piece(&self) -> Piece {
        let mut wire = Vec::with_capacity(self.bits.bytes_len() + 16);
        if self.text_len > 0 {
            // An empty stored block, which begins at a byte border.
            let end = self
                .codes
                .as_ref()
                .map(|codes| codes.literals[END_OF_BLOCK]);
            self.bits
                .ended(&[end.unwrap_or_default(), codes::STORED_BLOCK], &mut wire);
            wire.extend_from_slice(&[0x00, 0x00, 0xff, 0xff]);
        }
        Piece::new(
            Bytes::from(wire),
            Crc::new(self.crc.clone().finalize(), self.text_len),
        )
    }

    /// Bytes of memory, roughly.
    pub fn held(&self) -> usize {
        self.text.capacity() + Places::BYTES + self.bits.bytes_len()
    }

    fn end_block(&mut self) {
        if let Some(codes) = self.codes.take() {
            self.bits.put(codes.literals[END_OF_BLOCK]);
        }
    }

    fn begin_block(&mut self, codes: &Arc<Codes>) {
        self.end_block();
        codes.header.iter().for_each(|code| self.bits.put(*code));
        self.codes = Some(Arc::clone(codes));
    }

    /// Lets go of text that nothing can refer to any more. Places are kept modulo 64 KiB, hence the step.
    fn trim(&mut self) {
        let far = self.text.len().saturating_sub(matches::WINDOW) / SLICE_BYTES * SLICE_BYTES;
        self.text.drain(..far);
    }
}

impl Default for Row {
    fn default() -> Self {
        Row::new()
    }
}

/// Compresses texts into rows.
#[derive(Debug)]
pub struct Deflater {
    /// What rows begin with.
    codes: Arc<Codes>,
    tokens: Vec<Token>,
}

impl Deflater {
    /// `sample` is text like that to come, a few ten thousand bytes; or all of it.
    pub fn new(sample: &[u8]) -> Self {
        let (mut places, mut all) = (Places::new(), Counts::new());
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < sample.len() {
            tokens.clear();
            at = matches::parse(
                sample,
                at,
                &mut places,
                SEGMENT_TOKENS,
                &mut tokens,
                &mut all,
            );
        }
        let (own, fixed) = (Codes::new(&all), Codes::fixed());
        let own_is_shorter =
            own.bits(&all) + own.header_bits < fixed.bits(&all) + fixed.header_bits;
        let codes = Arc::new(if own_is_shorter { own } else { fixed });
        Deflater { codes, tokens }
    }

    /// Puts one text, given in parts, at the end of the row.
    pub fn push(&mut self, row: &mut Row, parts: &[&[u8]]) {
        let mut at = row.text.len();
        for slice in parts.iter().flat_map(|part| part.chunks(SLICE_BYTES)) {
            if row.text.len() - at >= SLICE_BYTES {
                self.compress(row, at);
                row.trim();
                at = row.text.len();
            }
            row.text.extend_from_slice(slice);
        }
        self.compress(row, at);
        row.trim();
    }

    /// Compresses the text of the row from `start` on.
    fn compress(&mut self, row: &mut Row, start: usize) {
        row.crc.update(&row.text[start..]);
        row.text_len += (row.text.len() - start) as u64;
        let mut at = start;
        while at < row.text.len() {
            let mut counts = Counts::new();
            self.tokens.clear();
            let end = matches::parse(
                &row.text,
                at,
                &mut row.places,
                SEGMENT_TOKENS,
                &mut self.tokens,
                &mut counts,
            );
            match self.choose(row, &counts, end - at) {
                Some(codes) => matches::write(&self.tokens, &codes, &mut row.bits),
                None => {
                    row.end_block();
                    row.bits.put_stored(&row.text[at..end]);
                }
            }
            at = end;
        }
    }

    /// The codes that make the next `text_len` bytes shortest, in an open block; `None`: they do not shrink.
    fn choose(&self, row: &mut Row, counts: &Counts, text_len: usize) -> Option<Arc<Codes>> {
        let (usual, header) = row
            .codes
            .as_ref()
            .map_or((&self.codes, self.codes.header_bits), |open| (open, 0));
        let usual_bits = usual.bits(counts) + header;
        // New codes have to pay for their header, and then some: what follows is more like the sample.
        let room = self.codes.header_bits * 3 / 2;
        let mut best = (usual_bits, None);
        if counts.bits_min() + room < usual_bits {
            let own = Codes::new(counts);
            let own_bits = own.bits(counts) + own.header_bits;
            if own_bits < usual_bits {
                best = (own_bits, Some(Arc::new(own)));
            }
        }
        let stored_bits = 8 * (text_len as u64 + 6);
        if stored_bits < best.0 + counts.extra_bits() && text_len <= STORED_BYTES_MAX {
            return None;
        }
        match (best.1, &row.codes) {
            (Some(own), _) => row.begin_block(&own),
            (None, None) => row.begin_block(&self.codes),
            (None, Some(_)) => {}
        }
        row.codes.clone()
    }
}

#[cfg(test)]
mod tests;
