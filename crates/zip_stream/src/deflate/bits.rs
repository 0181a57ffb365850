//! Bits one behind another, the lowest first, as DEFLATE has them.

/// Some bits, the first one lowest; those above `len` are 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Field {
    pub(super) bits: u32,
    /// 32 at most.
    pub(super) len: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, fewer than 32 between calls, and how many.
    rest: u64,
    rest_len: u32,
}

impl Bits {
    #[inline]
    pub(super) fn put(&mut self, field: Field) {
        self.rest |= u64::from(field.bits) << self.rest_len;
        self.rest_len += field.len;
        if self.rest_len >= 32 {
            let [a, b, c, d, ..] = self.rest.to_le_bytes();
            self.bytes.extend_from_slice(&[a, b, c, d]);
            self.rest >>= 32;
            self.rest_len -= 32;
        }
    }

    /// Appends a stored block (at most 65,535 bytes) that is not the last one.
    pub(super) fn put_stored(&mut self, text: &[u8]) {
        let len = u16::try_from(text.len()).expect("the caller stores no more in one block");
        let mut bytes = std::mem::take(&mut self.bytes);
        let rest = Bits {
            rest: self.rest,
            rest_len: self.rest_len,
            ..Bits::default()
        };
        rest.ended(&[super::codes::STORED_BLOCK], &mut bytes);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&(!len).to_le_bytes());
        bytes.extend_from_slice(text);
        *self = Bits {
            bytes,
            ..Bits::default()
        };
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64 * 8 + u64::from(self.rest_len)
    }

    pub(super) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The first `len` bits.
    pub(super) fn cut(&self, len: u64) -> Bits {
        let whole = usize::try_from(len / 8).unwrap_or(usize::MAX);
        if len >= self.bytes.len() as u64 * 8 {
            let rest_len = u32::try_from(len - self.bytes.len() as u64 * 8).unwrap_or(0);
            return Bits {
                bytes: self.bytes.clone(),
                rest: self.rest & ((1 << rest_len) - 1),
                rest_len,
            };
        }
        let rest_len = u32::try_from(len % 8).expect("a number below 8");
        Bits {
            bytes: self.bytes[..whole].to_vec(),
            rest: u64::from(self.bytes[whole]) & ((1 << rest_len) - 1),
            rest_len,
        }
    }

    /// Appends all bits and those of `end` to `out`; the last byte is filled up with zeros.
    pub(super) fn ended(&self, end: &[Field], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        let mut tail = Bits {
            bytes: Vec::new(),
            rest: self.rest,
            rest_len: self.rest_len,
        };
        end.iter().for_each(|field| tail.put(*field));
        out.extend_from_slice(&tail.bytes);
        let rest = tail.rest_len.div_ceil(8) as usize;
        out.extend_from_slice(&tail.rest.to_le_bytes()[..rest]);
    }
}
