//! Secrets: made from the operating system's randomness, kept as argon2id hashes.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rules::{Error, Result};
use tokio::sync::Semaphore;

/// Hashes computed at the same time. Each takes 19 MiB and tens of milliseconds of a core, so a flood of sign-ins
/// waits here instead of taking the machine.
const HASHES_AT_ONCE: usize = 2;

/// Verified in place of the hash of a key that does not exist, so that the answer takes as long. No secret is known
/// to match it: its hash part is readable text, no output of argon2.
pub(super) const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$bm9ib2R5J3MgaGFzaDogbm8gc2VjcmV0IG1hdGNoZXM";

/// 32 random bytes in 43 characters of base64url.
///
/// # Errors
/// `Internal` when the operating system gives no randomness.
pub(super) fn new_secret() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|error| Error::internal("no randomness for a new secret").because(error))?;
    Ok(bytes)
}

/// Hashes and verifies on threads of their own, a few at a time.
#[derive(Debug)]
pub(super) struct Hashing {
    slots: Arc<Semaphore>,
    /// Verifications that were done.
    #[cfg(test)]
    pub(super) verified: std::sync::atomic::AtomicUsize,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            #[cfg(test)]
            verified: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// The hash of a secret in PHC form, with the parameters that OWASP gives as the least: argon2id, 19 MiB, 2 passes,
    /// 1 lane (the crate's defaults).
    pub(super) async fn hash(&self, secret: String) -> Result<String> {
        let salt = SaltString::encode_b64(&random::<16>()?).map_err(unusable)?;
        self.run(move || {
            Argon2::default()
                .hash_password(secret.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(unusable)
        })
        .await
    }

    /// Whether `hash` was made from `secret`.
    ///
    /// # Errors
    /// `Internal` when `hash` is none.
    pub(super) async fn matches(&self, secret: String, hash: String) -> Result<bool> {
        #[cfg(test)]
        self.verified
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.run(move || {
            let hash = PasswordHash::new(&hash).map_err(unusable)?;
            match Argon2::default().verify_password(secret.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::Password) => Ok(false),
                Err(error) => Err(unusable(error)),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .expect("nothing closes this semaphore");
        // The slot goes along: a caller that hangs up frees it only when the work is done.
        let result = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        result
            .await
            .map_err(|error| Error::internal("hashing a secret failed").because(error))?
    }
}

/// argon2's error has no `std::error::Error` without a feature nothing else needs; its text is all there is to it.
fn unusable(error: argon2::password_hash::Error) -> Error {
    Error::internal("hashing a secret failed").because(error.to_string())
}
