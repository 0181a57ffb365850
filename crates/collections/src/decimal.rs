//! Decimal128: the bytes of one, as a number and as text.

use std::fmt::{self, Write as _};

/// The coefficients end here: 34 digits.
const COEFFICIENTS_END: u128 = 10_u128.pow(34);

/// The greatest power of ten that is an `i128`.
const POWER_MAX: u32 = 38;

/// What a Decimal128 holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decimal {
    Finite {
        is_negative: bool,
        coefficient: u128,
        /// Of ten.
        exponent: i32,
    },
    Infinite {
        is_negative: bool,
    },
    Nan,
}

impl Decimal {
    pub(crate) fn from_bits(bits: u128) -> Self {
        let is_negative = bits >> 127 == 1;
        let exponent_at = |shift: u32| ((bits >> shift) & 0x3FFF) as i32 - 6176;
        let (coefficient, exponent) = match (bits >> 122) & 0x1F {
            0x1F => return Self::Nan,
            0x1E => return Self::Infinite { is_negative },
            // Every coefficient of this form is too large, which by definition means zero, as below.
            0x18.. => (0, exponent_at(111)),
            _ => (bits & ((1 << 113) - 1), exponent_at(113)),
        };
        Self::Finite {
            is_negative,
            coefficient: if coefficient < COEFFICIENTS_END {
                coefficient
            } else {
                0
            },
            exponent,
        }
    }

    /// The number without its point, when it has so many digits at most and so many behind the point.
    pub(crate) fn unscaled(self, precision: u8, scale: i8) -> Option<i128> {
        let Self::Finite {
            is_negative,
            coefficient,
            exponent,
        } = self
        else {
            return None;
        };
        if coefficient == 0 {
            return Some(0);
        }
        let shift = exponent + i32::from(scale);
        let power = 10_u128.checked_pow(shift.unsigned_abs())?;
        let unscaled = match shift {
            0.. => coefficient.checked_mul(power)?,
            _ if coefficient.is_multiple_of(power) => coefficient / power,
            _ => return None,
        };
        let unscaled = within(i128::try_from(unscaled).ok()?, precision)?;
        Some(if is_negative { -unscaled } else { unscaled })
    }

    /// How many digits it has behind the point as it is written.
    pub(crate) fn digits_behind_point(self) -> Option<u32> {
        match self {
            Self::Finite { exponent, .. } => Some(exponent.min(0).unsigned_abs()),
            Self::Infinite { .. } | Self::Nan => None,
        }
    }

    /// Whether its text is a JSON number that every reader takes: not the names, nor what is beyond all doubles.
    pub(crate) fn is_json_number(self) -> bool {
        match self {
            Self::Finite {
                coefficient,
                exponent,
                ..
            } => coefficient == 0 || exponent + digits(coefficient) as i32 <= 308,
            Self::Infinite { .. } | Self::Nan => false,
        }
    }
}

/// An integer as a decimal of so many digits.
pub(crate) fn integer(number: i64, precision: u8, scale: i8) -> Option<i128> {
    let power = 10_i128.checked_pow(u32::try_from(scale).ok()?)?;
    within(i128::from(number).checked_mul(power)?, precision)
}

fn within(unscaled: i128, precision: u8) -> Option<i128> {
    let end = 10_u128.pow(u32::from(precision).min(POWER_MAX));
    (unscaled.unsigned_abs() < end).then_some(unscaled)
}

fn digits(coefficient: u128) -> u32 {
    coefficient.checked_ilog10().map_or(1, |log| log + 1)
}

/// All digits of the coefficient, as MongoDB writes it: with a point, and with an exponent where there are zeros to
/// spare.
impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is_negative, coefficient, exponent) = match *self {
            Self::Nan => return formatter.write_str("NaN"),
            Self::Infinite { is_negative: true } => return formatter.write_str("-Infinity"),
            Self::Infinite { is_negative: false } => return formatter.write_str("Infinity"),
            Self::Finite {
                is_negative,
                coefficient,
                exponent,
            } => (is_negative, coefficient, exponent),
        };
        if is_negative {
            formatter.write_char('-')?;
        }
        let count = digits(coefficient) as i32;
        let leading = exponent + count - 1;
        if exponent == 0 {
            return write!(formatter, "{coefficient}");
        }
        if exponent > 0 || leading < -6 {
            let power = 10_u128.pow(count.unsigned_abs() - 1);
            write!(formatter, "{}", coefficient / power)?;
            if count > 1 {
                let width = count.unsigned_abs() as usize - 1;
                write!(formatter, ".{:0width$}", coefficient % power)?;
            }
            return write!(formatter, "E{leading:+}");
        }
        // At most 34 digits, and 6 zeros that can be before them.
        let width = exponent.unsigned_abs() as usize;
        match 10_u128.checked_pow(exponent.unsigned_abs()) {
            Some(power) => {
                let (whole, fraction) = (coefficient / power, coefficient % power);
                write!(formatter, "{whole}.{fraction:0width$}")
            }
            None => write!(formatter, "0.{coefficient:0width$}"),
        }
    }
}
