//! Identifiers the directory makes itself.

use chrono::{DateTime, Utc};
use rules::{Error, Result};

/// A new id of the form clients of the published API know: 24 lower-case hexadecimal digits, the second it was made
/// (4 bytes) and 8 random bytes.
///
/// # Errors
/// `Internal` when the operating system gives no randomness.
pub fn object_id(now: DateTime<Utc>) -> Result<String> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|error| Error::internal("no randomness for a new id").because(error))?;
    // The low 32 bits: ids stay 24 digits long after 2106, they only begin again.
    let seconds = now.timestamp() & 0xffff_ffff;
    Ok(format!("{seconds:08x}{:016x}", u64::from_be_bytes(random)))
}
