//! CRC-32 of texts put one after another, from the CRC-32 of each.
//!
//! A CRC is a remainder of polynomials over GF(2). Appending `n` bytes to a text multiplies what
//! came before by x^(8n) and adds the CRC of what is appended. That multiplier depends on the
//! length only. `crc32fast`, which is the reference in the tests, can do the same for whole hashers.

/// The CRC-32 polynomial without its x^32, lowest power in the highest bit, as zip, gzip and PNG
/// have it.
const POLYNOMIAL: u32 = 0xedb8_8320;
const X_POW_0: u32 = 1 << 31;
const X_POW_8: u32 = 1 << 23;

/// The CRC-32 of one text and its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc {
    sum: u32,
    text_len: u64,
}

impl Crc {
    pub(crate) fn new(sum: u32, text_len: u64) -> Crc {
        Crc { sum, text_len }
    }

    pub(crate) fn text_len(self) -> u64 {
        self.text_len
    }

    /// The CRC-32 of a text whose CRC-32 is `sum_before`, followed by this one. The CRC-32 of
    /// nothing is 0.
    pub(crate) fn behind(self, sum_before: u32) -> u32 {
        if sum_before == 0 {
            return self.sum;
        }
        multiply(x_pow_8_times(self.text_len), sum_before) ^ self.sum
    }
}

/// x^(8 · `bytes`), by squaring.
fn x_pow_8_times(bytes: u64) -> u32 {
    let mut product = X_POW_0;
    let mut square = X_POW_8;
    let mut rest = bytes;
    while rest != 0 {
        if rest & 1 == 1 {
            product = multiply(square, product);
        }
        square = multiply(square, square);
        rest >>= 1;
    }
    product
}

/// a · b modulo the polynomial. Without branches: the bits of a CRC are random, a branch on them is
/// mispredicted.
fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut shifted = b;
    for bit in (0..32).rev() {
        product ^= shifted & ((a >> bit) & 1).wrapping_neg();
        shifted = (shifted >> 1) ^ (POLYNOMIAL & (shifted & 1).wrapping_neg());
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crc32fast::Hasher;
    use proptest::prelude::*;

    fn of(text: &[u8]) -> Crc {
        Crc::new(crc32fast::hash(text), text.len() as u64)
    }

    #[test]
    fn nothing_behind_a_text_changes_nothing() {
        assert_eq!(of(b"").behind(0x1234_5678), 0x1234_5678);
        assert_eq!(of(b"123456789").behind(0), 0xcbf4_3926);
    }

    proptest! {
        #[test]
        fn parts_combine_to_the_crc_of_the_whole(parts: Vec<Vec<u8>>) {
            let combined = parts.iter().fold(0, |sum, part| of(part).behind(sum));
            prop_assert_eq!(combined, crc32fast::hash(&parts.concat()));
        }

        #[test]
        fn any_length_of_64_bits_agrees_with_crc32fast(
            before: u32, sum: u32, bits in 0..=64u32, length: u64
        ) {
            let length = length.checked_shr(bits).unwrap_or(0);
            let mut expected = Hasher::new_with_initial_len(before, 1);
            expected.combine(&Hasher::new_with_initial_len(sum, length));
            // crc32fast takes the CRC of no bytes for 0, whatever the caller says.
            let sum = if length == 0 { 0 } else { sum };
            let crc = Crc::new(sum, length);
            prop_assert_eq!(crc.behind(before), expected.finalize());
        }
    }
}
