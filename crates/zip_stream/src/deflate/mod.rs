//! Texts compressed one behind another.
mod bits;
mod codes;
mod matches;

use bits::Bits;
pub use codes_pub::*;
mod codes_pub {}
use codes::{Code, Codes, Counts, END_OF_BLOCK};
use std::sync::Arc;

/// matches::Token stream segment size
const GATE: u64 = match option_env!("GATE") { Some(b) => (b.as_bytes()[0]-b'0') as u64, None => 3 };
const SEGMENT_TOKENS: usize = 16 << 10;

#[derive(Clone, Debug)]
pub struct Table(Arc<Codes>);

#[derive(Debug)]
pub struct Row {
    text: Vec<u8>,
    heads: matches::Heads,
    bits: Bits,
    codes: Option<Arc<Codes>>,
    crc: crc32fast::Hasher,
    text_len: u64,
}

pub struct Encoder { unit: Arc<Codes>, tokens: Vec<u32> , pub switches: usize, pub t: [u64;4]}

impl Table {
    pub fn of(sample: &[u8]) -> Table {
        let mut counts = Counts::new();
        let mut heads = matches::Heads::new();
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < sample.len() {
            at = matches::parse(sample, at, &mut heads, &mut tokens, &mut counts, SEGMENT_TOKENS);
            tokens.clear();
        }
        counts.literals[END_OF_BLOCK] += 1;
        Table(Arc::new(Codes::new(&counts)))
    }
    pub fn header_bits(&self) -> u64 { self.0.header_bits }
}

impl Default for Row { fn default() -> Self { Row::new() } }
impl Row {
    pub fn new() -> Row {
        Row { text: Vec::new(), heads: matches::Heads::new(), bits: Bits::default(), codes: None, crc: crc32fast::Hasher::new(), text_len: 0 }
    }
    pub fn wire(&self, out: &mut Vec<u8>) {
        if let Some(codes) = &self.codes {
            let Code { bits, len } = codes.literals[END_OF_BLOCK];
            self.bits.ended(&[(bits, len), (0b011, 10)], out);
        }
    }
    pub fn crc(&self) -> u32 { self.crc.clone().finalize() }
    pub fn text_len(&self) -> u64 { self.text_len }
}

impl Encoder {
    pub fn new(table: Table) -> Encoder { Encoder { unit: table.0, tokens: Vec::new(), switches: 0 , t:[0;4]} }

    pub fn push(&mut self, row: &mut Row, parts: &[&[u8]]) {
        let start = row.text.len();
        for part in parts { row.text.extend_from_slice(part); }
        row.crc.update(&row.text[start..]);
        row.text_len += (row.text.len() - start) as u64;
        let mut at = start;
        while at < row.text.len() {
            let mut counts = Counts::new();
            self.tokens.clear();
            at = matches::parse(&row.text, at, &mut row.heads, &mut self.tokens, &mut counts, SEGMENT_TOKENS);
            let codes = self.choose(row, &counts);
            matches::write(&self.tokens, &codes, &mut row.bits);
        }
    }

    fn choose(&mut self, row: &mut Row, counts: &Counts) -> Arc<Codes> {
        let (current, begun) = match &row.codes { Some(c) => (c, 0), None => (&self.unit, self.unit.header_bits) };
        let cost = current.bits(counts) + begun;
        let bound = counts.bits_min() + current.header_bits * GATE / 4;
        if bound < cost {
            let own = Codes::new(counts);
            if own.bits(counts) + own.header_bits < cost {
                self.switches += 1;
                let own = Arc::new(own);
                if let Some(c) = &row.codes { let e = c.literals[END_OF_BLOCK]; row.bits.put(e.bits, e.len); }
                own.begin(&mut row.bits);
                row.codes = Some(Arc::clone(&own));
                return own;
            }
        }
        let current = Arc::clone(current);
        if row.codes.is_none() { current.begin(&mut row.bits); row.codes = Some(Arc::clone(&current)); }
        current
    }
}
