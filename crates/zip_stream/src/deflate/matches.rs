//! Finds what a text repeats of itself, and writes it so (RFC 1951, section 3.2.5).
//!
//! Two places are remembered for each hash of four bytes, and a repetition gives way to a longer one that begins a byte
//! later. Longer chains of places were measured: half as fast again, for 5 % on the wire.

use super::bits::{Bits, Field};
use super::codes::{Codes, Counts};

/// How far back a repetition may refer.
pub(super) const WINDOW: usize = 32 << 10;
/// DEFLATE allows 3, which hardly ever pays.
const LENGTH_MIN: usize = 4;
const LENGTH_MAX: usize = 258;
/// A repetition of this length is taken without looking for a longer one.
const LENGTH_GOOD: usize = 24;
/// Within a repetition longer than this only every fourth place is remembered.
const LENGTH_DENSE: usize = 8;
const HASH_BITS: u32 = 13;

/// Where hashes were seen last, modulo 64 KiB. An entry that is out of date does no harm: the texts are compared.
#[derive(Clone, Debug)]
pub(super) struct Places(Vec<[u16; 2]>);

impl Places {
    pub(super) const BYTES: usize = 4 << HASH_BITS;

    pub(super) fn new() -> Self {
        Places(vec![[0; 2]; 1 << HASH_BITS])
    }

    /// Remembers that these four bytes stand at `at`; returns where they may have stood before.
    #[inline(always)]
    fn put(&mut self, four: u32, at: usize) -> [u16; 2] {
        let slot = &mut self.0[(four.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize];
        std::mem::replace(slot, [at as u16, slot[0]])
    }
}

/// A literal byte, or a length and a distance with [`Token::REPEAT`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Token(u32);

impl Token {
    const REPEAT: u32 = 1 << 31;
}

#[derive(Clone, Copy)]
struct Repeat {
    length: usize,
    distance: usize,
}

#[inline(always)]
fn four(text: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(text[at..at + 4].try_into().expect("4 bytes"))
}

/// The longest of the remembered places that repeats at `at`; a length of 0 when none does.
#[inline(always)]
fn find(text: &[u8], at: usize, places: &mut Places) -> Repeat {
    let here = four(text, at);
    let mut best = Repeat {
        length: 0,
        distance: 0,
    };
    for place in places.put(here, at) {
        let distance = usize::from((at as u16).wrapping_sub(place));
        if (1..=WINDOW.min(at)).contains(&distance) && four(text, at - distance) == here {
            let end = (at + LENGTH_MAX).min(text.len());
            let length = 4 + common(&text[at - distance + 4..], &text[at + 4..end]);
            if length > best.length {
                best = Repeat { length, distance };
            }
        }
    }
    best
}

/// How many bytes of `b` stand at the start of `a`, too, which is longer.
#[inline(always)]
fn common(a: &[u8], b: &[u8]) -> usize {
    let a = &a[..b.len()];
    let eight = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    let mut length = 0;
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let differs = eight(a) ^ eight(b);
        if differs != 0 {
            return length + (differs.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    let rest = a[length..].iter().zip(&b[length..]);
    length + rest.take_while(|(a, b)| a == b).count()
}

/// Turns the text from `at` on into tokens and counts their symbols, to its end or until there are `tokens_max` tokens;
/// returns where it stopped.
pub(super) fn parse(
    text: &[u8],
    mut at: usize,
    places: &mut Places,
    tokens_max: usize,
    tokens: &mut Vec<Token>,
    counts: &mut Counts,
) -> usize {
    // From here on no four bytes are left.
    let last = text.len().saturating_sub(LENGTH_MIN - 1);
    let literal = |tokens: &mut Vec<Token>, counts: &mut Counts, at: usize| {
        counts.literals[usize::from(text[at])] += 1;
        tokens.push(Token(u32::from(text[at])));
    };
    let mut found = None;
    while at < last && tokens.len() < tokens_max {
        let repeat = found.take().unwrap_or_else(|| find(text, at, places));
        if repeat.length < LENGTH_MIN {
            literal(tokens, counts, at);
            at += 1;
            continue;
        }
        if repeat.length < LENGTH_GOOD && at + 1 < last {
            let next = find(text, at + 1, places);
            if next.length > repeat.length {
                literal(tokens, counts, at);
                at += 1;
                found = Some(next);
                continue;
            }
        }
        let Repeat { length, distance } = repeat;
        counts.literals[257 + usize::from(LENGTH_SYMBOL[length - 3])] += 1;
        counts.distances[distance_symbol(distance)] += 1;
        tokens.push(Token(
            Token::REPEAT | (length as u32 - 3) << 16 | (distance as u32 - 1),
        ));
        let step = if length > LENGTH_DENSE { 4 } else { 1 };
        for place in (at + 2..(at + length).min(last)).step_by(step) {
            places.put(four(text, place), place);
        }
        at += length;
    }
    while at < text.len() && at >= last && tokens.len() < tokens_max {
        literal(tokens, counts, at);
        at += 1;
    }
    at
}

pub(super) fn write(tokens: &[Token], codes: &Codes, bits: &mut Bits) {
    for &Token(token) in tokens {
        if token & Token::REPEAT == 0 {
            bits.put(codes.literals[token as usize]);
            continue;
        }
        let length = token >> 16 & 0xff;
        let symbol = usize::from(LENGTH_SYMBOL[length as usize]);
        let code = codes.literals[257 + symbol];
        bits.put(with_extra(
            code,
            length - LENGTH_BASE[symbol],
            LENGTH_EXTRA[symbol],
        ));
        let distance = token & 0xffff;
        let symbol = distance_symbol(distance as usize + 1);
        let (base, extra) = distance_base(symbol);
        bits.put(with_extra(codes.distances[symbol], distance - base, extra));
    }
}

#[inline(always)]
fn with_extra(code: Field, extra: u32, extra_len: u32) -> Field {
    Field {
        bits: code.bits | extra << code.len,
        len: code.len + extra_len,
    }
}

/// Extra bits of the length symbols from 257 on.
pub(super) const LENGTH_EXTRA: [u32; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
/// The least length of each symbol, less 3. The longest of all has a symbol to itself.
const LENGTH_BASE: [u32; 29] = {
    let mut bases = [0; 29];
    let mut symbol = 1;
    while symbol < 28 {
        bases[symbol] = bases[symbol - 1] + (1 << LENGTH_EXTRA[symbol - 1]);
        symbol += 1;
    }
    bases[28] = 255;
    bases
};
/// The symbol of each length, less 3.
const LENGTH_SYMBOL: [u8; 256] = {
    let mut symbols = [0; 256];
    let mut length = 0;
    let mut symbol = 0;
    while length < 256 {
        if symbol < 28 && length >= LENGTH_BASE[symbol as usize + 1] as usize {
            symbol += 1;
        }
        symbols[length] = symbol;
        length += 1;
    }
    symbols
};

/// The symbol of a distance from 1 to 32,768.
#[inline(always)]
fn distance_symbol(distance: usize) -> usize {
    let distance = distance - 1;
    if distance < 4 {
        return distance;
    }
    let top = distance.ilog2() as usize;
    2 * top + (distance >> (top - 1) & 1)
}

/// The least distance of a symbol, less 1, and its extra bits.
#[inline(always)]
pub(super) fn distance_base(symbol: usize) -> (u32, u32) {
    let symbol = symbol as u32;
    if symbol < 4 {
        return (symbol, 0);
    }
    let extra = symbol / 2 - 1;
    ((2 + (symbol & 1)) << extra, extra)
}
