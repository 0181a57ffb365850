//! Huffman codes of one kind of text, and the block header that tells a reader of them (RFC 1951, section 3.2.7).

use super::bits::Field;
use super::matches::{LENGTH_EXTRA, distance_base};

pub(super) const LITERALS: usize = 286;
pub(super) const DISTANCES: usize = 30;
pub(super) const END_OF_BLOCK: usize = 256;
/// Begins a stored block that is not the last one.
pub(super) const STORED_BLOCK: Field = Field {
    bits: 0b000,
    len: 3,
};
const CODE_BITS_MAX: usize = 15;
const HEADER_CODE_BITS_MAX: usize = 7;
/// The order in which a header gives the lengths of its own codes.
const HEADER_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// How often each symbol stands in a stretch of text.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; DISTANCES],
}

impl Counts {
    pub(super) fn new() -> Self {
        Counts {
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        }
    }

    pub(super) fn add(&mut self, other: &Counts) {
        let add = |sums: &mut [u32], counts: &[u32]| {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
        };
        add(&mut self.literals, &other.literals);
        add(&mut self.distances, &other.distances);
    }

    /// About the least number of bits any codes need, without the extra bits.
    pub(super) fn bits_min(&self) -> u64 {
        bits_min(&self.literals) + bits_min(&self.distances)
    }

    /// Bits that follow the codes of lengths and distances, whatever these are.
    pub(super) fn extra_bits(&self) -> u64 {
        let lengths = self.literals[257..].iter().zip(LENGTH_EXTRA);
        let lengths: u64 = lengths
            .map(|(&count, extra)| u64::from(count) * u64::from(extra))
            .sum();
        let distances = self.distances.iter().enumerate();
        let distances: u64 = distances
            .map(|(symbol, &count)| u64::from(count) * u64::from(distance_base(symbol).1))
            .sum();
        lengths + distances
    }
}

fn bits_min(counts: &[u32]) -> u64 {
    let total: u32 = counts.iter().sum();
    let parts: u64 = counts.iter().map(|&count| log_256(count)).sum();
    log_256(total).saturating_sub(parts) / 256
}

/// 256 · n · log2(n), with straight lines between the powers of two.
fn log_256(n: u32) -> u64 {
    let whole = n.checked_ilog2().unwrap_or(0);
    let part = ((u64::from(n) << 8) >> whole).saturating_sub(256);
    u64::from(n) * ((u64::from(whole) << 8) + part)
}

/// Codes for every literal, length and distance, so that any text can be written with them.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    pub(super) literals: [Field; LITERALS],
    pub(super) distances: [Field; DISTANCES],
    /// What begins a block with these codes.
    pub(super) header: Vec<Field>,
    pub(super) header_bits: u64,
}

impl Codes {
    /// Short codes for what is counted often; what is not counted has a long one.
    pub(super) fn new(counts: &Counts) -> Codes {
        // Weights, so that all the uncounted together cost the counted little.
        let weights = |counts: &[u32]| {
            counts
                .iter()
                .map(|count| count.saturating_mul(16).max(1))
                .collect::<Vec<u32>>()
        };
        let mut literals = weights(&counts.literals);
        // Every block has an end.
        literals[END_OF_BLOCK] = literals[END_OF_BLOCK].max(16);
        let literals = lengths(&literals, CODE_BITS_MAX);
        let distances = lengths(&weights(&counts.distances), CODE_BITS_MAX);
        let header = header(&literals, &distances);
        Codes::of_lengths(&literals, &distances, header)
    }

    /// The codes every reader knows (section 3.2.6).
    pub(super) fn fixed() -> Codes {
        let literals = (0..288u32).map(|symbol| match symbol {
            0..144 | 280.. => 8,
            144..256 => 9,
            256..280 => 7,
        });
        let header = vec![Field {
            bits: 0b010,
            len: 3,
        }];
        Codes::of_lengths(&literals.collect::<Vec<u8>>(), &[5; DISTANCES], header)
    }

    fn of_lengths(literals: &[u8], distances: &[u8], header: Vec<Field>) -> Codes {
        let header_bits = header.iter().map(|code| u64::from(code.len)).sum();
        let mut codes = Codes {
            literals: [Field::default(); LITERALS],
            distances: [Field::default(); DISTANCES],
            header,
            header_bits,
        };
        assign(literals, &mut codes.literals);
        assign(distances, &mut codes.distances);
        codes
    }

    /// Bits that the counted symbols take with these codes, without the extra bits.
    pub(super) fn bits(&self, counts: &Counts) -> u64 {
        let bits = |counts: &[u32], codes: &[Field]| -> u64 {
            counts
                .iter()
                .zip(codes)
                .map(|(count, code)| u64::from(*count) * u64::from(code.len))
                .sum()
        };
        bits(&counts.literals, &self.literals) + bits(&counts.distances, &self.distances)
    }
}

/// The lengths of the codes for symbols of these weights, none above `max`. Two symbols at least.
fn lengths(weights: &[u32], max: usize) -> Vec<u8> {
    let mut order: Vec<usize> = (0..weights.len())
        .filter(|&symbol| weights[symbol] > 0)
        .collect();
    order.sort_unstable_by_key(|&symbol| (weights[symbol], symbol));
    let count = order.len();
    let mut lengths = vec![0; weights.len()];
    if count < 2 {
        for symbol in order {
            lengths[symbol] = 1;
        }
        return lengths;
    }
    // Huffman with two queues: leaves in order of weight, and the nodes made of them, which come out in that order.
    let mut weight: Vec<u64> = order
        .iter()
        .map(|&symbol| u64::from(weights[symbol]))
        .collect();
    let mut parent = vec![0; 2 * count - 1];
    let (mut leaf, mut node) = (0, count);
    for made in count..2 * count - 1 {
        let mut take = || {
            let is_leaf = leaf < count && (node >= made || weight[leaf] <= weight[node]);
            let next = if is_leaf { &mut leaf } else { &mut node };
            *next += 1;
            *next - 1
        };
        let (a, b) = (take(), take());
        weight.push(weight[a] + weight[b]);
        (parent[a], parent[b]) = (made, made);
    }
    let mut depth = vec![0usize; 2 * count - 1];
    let mut per_length = [0usize; 64];
    for at in (0..2 * count - 2).rev() {
        depth[at] = depth[parent[at]] + 1;
        if at < count {
            per_length[depth[at].min(max)] += 1;
        }
    }
    limit(&mut per_length, max);
    // The rarest have the longest codes.
    let mut symbols = order.into_iter();
    for len in (1..=max).rev() {
        for symbol in symbols.by_ref().take(per_length[len]) {
            lengths[symbol] = u8::try_from(len).expect("15 at most");
        }
    }
    lengths
}

/// Codes that were cut to `max` bits claim more room than there is. Each step takes one of them away and puts it beside a
/// shorter one that grows by a bit, until the codes fit exactly.
fn limit(per_length: &mut [usize; 64], max: usize) {
    let room = 1usize << max;
    let mut taken: usize = (1..=max).map(|len| per_length[len] << (max - len)).sum();
    while taken > room {
        let shorter = (1..max)
            .rev()
            .find(|&len| per_length[len] > 0)
            .expect("a code shorter than the longest");
        per_length[shorter] -= 1;
        per_length[shorter + 1] += 2;
        per_length[max] -= 1;
        taken -= 1;
    }
}

/// Gives out the codes by length, then by symbol.
fn assign(lengths: &[u8], codes: &mut [Field]) {
    let mut next = [0u32; CODE_BITS_MAX + 2];
    for &len in lengths.iter().filter(|&&len| len > 0) {
        next[len as usize + 1] += 1;
    }
    let mut first = 0;
    for slot in next.iter_mut().skip(1) {
        first = (first + *slot) << 1;
        *slot = first;
    }
    for (&len, code) in lengths.iter().zip(codes) {
        if len > 0 {
            let len = u32::from(len);
            let bits = &mut next[len as usize];
            *code = Field {
                bits: bits.reverse_bits() >> (32 - len),
                len,
            };
            *bits += 1;
        }
    }
}

/// A block that is not the last one, with codes of its own.
fn header(literals: &[u8], distances: &[u8]) -> Vec<Field> {
    let runs = runs(&[literals, distances].concat());
    let mut counts = [0u32; 19];
    for (symbol, _) in &runs {
        counts[*symbol] += 1;
    }
    let lengths = lengths(&counts, HEADER_CODE_BITS_MAX);
    let mut codes = [Field::default(); 19];
    assign(&lengths, &mut codes);
    let given = HEADER_ORDER
        .iter()
        .rposition(|&symbol| lengths[symbol] > 0)
        .map_or(4, |last| (last + 1).max(4));
    let field = |bits: usize, len| Field {
        bits: u32::try_from(bits).expect("a small number"),
        len,
    };
    let mut header = vec![
        field(0b100, 3),
        field(literals.len() - 257, 5),
        field(distances.len() - 1, 5),
        field(given - 4, 4),
    ];
    header.extend(
        HEADER_ORDER[..given]
            .iter()
            .map(|&symbol| field(lengths[symbol] as usize, 3)),
    );
    for (symbol, repeat) in runs {
        header.push(codes[symbol]);
        match symbol {
            16 => header.push(field(repeat - 3, 2)),
            17 => header.push(field(repeat - 3, 3)),
            18 => header.push(field(repeat - 11, 7)),
            _ => {}
        }
    }
    header
}

/// Code lengths as symbols: 0 to 15 are themselves, 16 repeats the one before 3 to 6 times, 17 and 18 are zeros.
fn runs(lengths: &[u8]) -> Vec<(usize, usize)> {
    let mut runs = Vec::with_capacity(lengths.len());
    let mut at = 0;
    while at < lengths.len() {
        let len = lengths[at];
        let mut run = lengths[at..]
            .iter()
            .take_while(|&&next| next == len)
            .count();
        at += run;
        if len == 0 {
            while run >= 3 {
                let now = run.min(138);
                runs.push((if now < 11 { 17 } else { 18 }, now));
                run -= now;
            }
        } else {
            runs.push((len as usize, 1));
            run -= 1;
            while run >= 3 {
                let now = run.min(6);
                runs.push((16, now));
                run -= now;
            }
        }
        runs.extend(std::iter::repeat_n((len as usize, 1), run));
    }
    runs
}
