//! Finds what a text repeats.
use super::bits::Bits;
use super::codes::{Codes, Counts};

const WINDOW: usize = 32 << 10;
const MATCH_MIN: usize = 4;
const MATCH_MAX: usize = 258;
const HASH_BITS: u32 = match option_env!("HB") { Some(b) => (b.as_bytes()[0]-b'0') as u32+10, None => 13 };
const ONE: bool = option_env!("ONE").is_some();
const NOLAZY: bool = option_env!("NOLAZY").is_some();
const SPARSE: bool = option_env!("SPARSE").is_some();
const IS_MATCH: u32 = 1 << 31;

#[derive(Clone, Debug)]
pub(super) struct Heads(Vec<[u16; 2]>);
impl Heads { pub(super) fn new() -> Self { Heads(vec![[0; 2]; 1 << HASH_BITS]) } }

#[inline(always)]
fn load4(text: &[u8], at: usize) -> u32 { u32::from_le_bytes(text[at..at + 4].try_into().expect("4 bytes")) }
#[inline(always)]
fn slot(four: u32) -> usize { (four.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize }

#[inline(always)]
fn match_len(a: &[u8], b: &[u8]) -> usize {
    let max = b.len().min(MATCH_MAX);
    let (a, b) = (&a[..max], &b[..max]);
    let mut len = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let x = u64::from_le_bytes(x.try_into().expect("8")) ^ u64::from_le_bytes(y.try_into().expect("8"));
        if x != 0 { return len + (x.trailing_zeros() / 8) as usize; }
        len += 8;
    }
    while len < max && a[len] == b[len] { len += 1; }
    len
}

#[inline(always)]
fn find(text: &[u8], at: usize, heads: &mut Heads) -> (usize, usize) {
    let four = load4(text, at);
    let slot = &mut heads.0[slot(four)];
    let [a, b] = *slot;
    *slot = [at as u16, a];
    let mut best = (0, 0);
    for c in [a, b] { if ONE && best.0>0 {break;}
        let dist = usize::from((at as u16).wrapping_sub(c));
        if dist > at || dist.wrapping_sub(1) >= WINDOW { continue }
        let c = at - dist;
        if load4(text, c) == four {
            let len = 4 + match_len(&text[c + 4..], &text[at + 4..(at + MATCH_MAX).min(text.len())]);
            if len > best.0 { best = (len, at - c); }
        }
    }
    best
}

const LAZY: usize = 24;

/// Parses from `at`, until the end or `max` tokens; returns where it stopped.
pub(super) fn parse(text: &[u8], mut at: usize, heads: &mut Heads, tokens: &mut Vec<u32>, counts: &mut Counts, max: usize) -> usize {
    let end = text.len();
    let mut pending: Option<(usize, usize)> = None;
    while tokens.len() < max && at + MATCH_MIN <= end {
        let (len, dist) = pending.take().unwrap_or_else(|| find(text, at, heads));
        if len < MATCH_MIN {
            counts.literals[text[at] as usize] += 1;
            tokens.push(u32::from(text[at]));
            at += 1;
            continue;
        }
        if !NOLAZY && len < LAZY && at + 1 + MATCH_MIN <= end {
            let next = find(text, at + 1, heads);
            if next.0 > len {
                counts.literals[text[at] as usize] += 1;
                tokens.push(u32::from(text[at]));
                at += 1;
                pending = Some(next);
                if tokens.len() < max { continue; }
                let (len, dist) = next;
                let _ = (len, dist);
                continue;
            }
        }
        let sym = LEN_SYMBOL[len - 3];
        counts.literals[257 + sym as usize] += 1;
        counts.distances[dist_symbol(dist)] += 1;
        tokens.push(IS_MATCH | ((len - 3) as u32) << 16 | (dist - 1) as u32);
        // insert a few
        let stop = (at + len).min(end.saturating_sub(MATCH_MIN - 1));
        let mut i = at + 2;
        while i < stop {
            let s = &mut heads.0[slot(load4(text, i))];
            *s = [i as u16, s[0]];
            i += if SPARSE || len > 32 { 4 } else { 1 };
        }
        at += len;
    }
    if at + MATCH_MIN > end {
        while at < end {
            counts.literals[text[at] as usize] += 1;
            tokens.push(u32::from(text[at]));
            at += 1;
        }
    }
    at
}

pub(super) fn write(tokens: &[u32], codes: &Codes, bits: &mut Bits) {
    for &token in tokens {
        if token & IS_MATCH == 0 {
            let code = codes.literals[token as usize];
            bits.put(code.bits, code.len);
        } else {
            let len = (token >> 16 & 0xff) as usize;
            let dist = (token & 0xffff) as usize + 1;
            let sym = LEN_SYMBOL[len] as usize;
            let code = codes.literals[257 + sym];
            let extra = LEN_EXTRA[sym];
            bits.put(code.bits | ((len as u32) - LEN_BASE[sym]) << code.len, code.len + extra);
            let sym = dist_symbol(dist);
            let code = codes.distances[sym];
            let (base, extra) = dist_base(sym);
            bits.put(code.bits | ((dist - 1) as u32 - base) << code.len, code.len + extra);
        }
    }
}

const LEN_EXTRA: [u32; 29] = [0,0,0,0,0,0,0,0,1,1,1,1,2,2,2,2,3,3,3,3,4,4,4,4,5,5,5,5,0];
const LEN_BASE: [u32; 29] = { let mut b = [0; 29]; let mut i = 0; let mut at = 0; while i < 28 { b[i] = at; at += 1 << LEN_EXTRA[i]; i += 1; } b[28] = 255; b };
const LEN_SYMBOL: [u8; 256] = { let mut t = [0u8; 256]; let mut i = 0; while i < 28 { let mut k = 0; while k < (1usize << LEN_EXTRA[i]) { if LEN_BASE[i] as usize + k < 256 { t[LEN_BASE[i] as usize + k] = i as u8; } k += 1; } i += 1; } t[255] = 28; t };

/// symbol of a distance (1..=32768)
#[inline(always)]
fn dist_symbol(dist: usize) -> usize {
    let d = (dist - 1) as u32;
    if d < 4 { return d as usize; }
    let top = 31 - d.leading_zeros();
    (2 * top + (d >> (top - 1) & 1)) as usize
}
#[inline(always)]
fn dist_base(sym: usize) -> (u32, u32) {
    if sym < 4 { return (sym as u32, 0); }
    let extra = (sym as u32 / 2) - 1;
    ((2 + (sym as u32 & 1)) << extra, extra)
}
