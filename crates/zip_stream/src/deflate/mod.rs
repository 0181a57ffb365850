//! Rows of texts, compressed so that every beginning of a row can be sent.
//!
//! A history extends the one before it. So a [`Row`] is one DEFLATE stream that is never ended: what its first texts
//! became stays as it is when more come, and [`Row::piece`] ends a copy. A text may repeat what stands before it in its
//! row, up to 32 KB back, and it goes on in the block that is open, so that short texts cost no flush and no header of
//! their own. Codes come from the texts before; a text that they do not fit gets its own.
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
/// Codes are learned anew when this many tokens have been seen, and then each time there are four times as many.
const LEARN_TOKENS_FIRST: usize = 1 << 10;
/// What other codes have to save: about the bits of their header, half as much again.
const NEW_CODES_BITS: u64 = 1_000;
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

/// Compresses texts into rows, and learns from each which codes suit the next. So its output depends on what it has
/// compressed, and on nothing else.
#[derive(Debug)]
pub struct Deflater {
    tokens: Vec<Token>,
    /// All symbols so far, and their number at which the codes are made anew.
    counts: Counts,
    counted: usize,
    learn_at: usize,
    /// What rows begin with.
    codes: Arc<Codes>,
}

impl Deflater {
    pub fn new() -> Self {
        Deflater {
            tokens: Vec::new(),
            counts: Counts::new(),
            counted: 0,
            learn_at: LEARN_TOKENS_FIRST,
            codes: Arc::new(Codes::fixed()),
        }
    }

    /// One text as a piece of its own.
    pub fn piece(&mut self, text: &[u8]) -> Piece {
        let mut row = Row::new();
        self.push(&mut row, &[text]);
        row.piece()
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
            self.learn(&counts);
            at = end;
        }
    }

    fn learn(&mut self, counts: &Counts) {
        self.counts.add(counts);
        self.counted += self.tokens.len();
        if self.counted >= self.learn_at {
            self.codes = Arc::new(Codes::new(&self.counts));
            self.learn_at = self.counted * 4;
        }
    }

    /// The codes that make the next `text_len` bytes shortest, in an open block; `None`: they do not shrink.
    fn choose(&self, row: &mut Row, counts: &Counts, text_len: usize) -> Option<Arc<Codes>> {
        let open = row.codes.as_ref().map(|open| (open.bits(counts), None));
        let fresh = self.codes.bits(counts) + self.codes.header_bits;
        // Behind an open block other codes have to pay for their header, and then some: what follows is rather as usual.
        let room = open.as_ref().map_or(0, |_| NEW_CODES_BITS);
        let mut best = open.unwrap_or((u64::MAX, None));
        if fresh.saturating_add(room) < best.0 {
            best = (fresh, Some(Arc::clone(&self.codes)));
        }
        if counts.bits_min() + NEW_CODES_BITS < best.0 {
            let own = Codes::new(counts);
            let bits = own.bits(counts) + own.header_bits;
            if bits < best.0 {
                best = (bits, Some(Arc::new(own)));
            }
        }
        let (bits, codes) = best;
        let stored_bits = 8 * (text_len as u64 + 6);
        if stored_bits < bits.saturating_add(counts.extra_bits()) && text_len <= STORED_BYTES_MAX {
            return None;
        }
        if let Some(codes) = codes {
            row.begin_block(&codes);
        }
        row.codes.clone()
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Deflater::new()
    }
}

#[cfg(test)]
mod tests;
