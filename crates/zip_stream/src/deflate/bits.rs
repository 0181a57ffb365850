//! Bits one behind another, lowest first, as DEFLATE has them.

#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, fewer than 32 between calls.
    rest: u64,
    rest_len: u32,
}

impl Bits {
    /// Appends the lowest `len` bits, at most 32; those above must be 0.
    pub(super) fn put(&mut self, bits: u32, len: u32) {
        self.rest |= u64::from(bits) << self.rest_len;
        self.rest_len += len;
        if self.rest_len >= 32 {
            let [a, b, c, d, ..] = self.rest.to_le_bytes();
            self.bytes.extend_from_slice(&[a, b, c, d]);
            self.rest >>= 32;
            self.rest_len -= 32;
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64 * 8 + u64::from(self.rest_len)
    }

    /// Keeps the first `len` bits.
    pub(super) fn cut(&self, len: u64) -> Bits {
        let whole = usize::try_from(len / 32 * 4).expect("no more than there are");
        if whole > self.bytes.len() {
            return self.clone();
        }
        let rest_len = u32::try_from(len % 32).expect("below 32");
        let behind = self.bytes[whole..].iter().copied();
        let behind = behind.chain(self.rest.to_le_bytes()).take(4);
        let rest = behind.enumerate().fold(0u64, |rest, (at, byte)| rest | u64::from(byte) << (8 * at));
        Bits {
            bytes: self.bytes[..whole].to_vec(),
            rest: rest & ((1 << rest_len) - 1),
            rest_len,
        }
    }

    /// All bits as bytes, then those of `end`; the last byte is filled up with zeros.
    pub(super) fn ended(&self, end: &[(u32, u32)], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        let mut tail = Bits { bytes: Vec::new(), rest: self.rest, rest_len: self.rest_len };
        for (bits, len) in end {
            tail.put(*bits, *len);
        }
        out.extend_from_slice(&tail.bytes);
        let rest = tail.rest_len.div_ceil(8) as usize;
        out.extend_from_slice(&tail.rest.to_le_bytes()[..rest]);
    }
}
