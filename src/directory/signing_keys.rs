//! The keys this server signs tokens with.

use std::fmt;

use chrono::{DateTime, Utc};
use rules::Result;

use super::{Directory, failed, instant};

/// An Ed25519 key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Names the key in the header of a token.
    pub kid: String,
    /// PKCS #8.
    pub private_key: Vec<u8>,
    /// The 32 bytes.
    pub public_key: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

impl Directory {
    /// All keys, newest first: the first one signs, every one verifies.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        let rows: Vec<(String, Vec<u8>, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT kid, private_key, public_key, created_at FROM signing_keys ORDER BY created_at DESC, rowid DESC",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|(kid, private_key, public_key, created_at)| {
                Ok(SigningKey {
                    kid,
                    private_key,
                    public_key,
                    created_at: instant(created_at)?,
                })
            })
            .collect()
    }

    /// Adds a key, which signs from then on when it is the newest.
    pub async fn add_signing_key(&self, key: &SigningKey) -> Result<()> {
        sqlx::query(
            "INSERT INTO signing_keys (kid, private_key, public_key, created_at) VALUES (?, ?, ?, ?)",
        )
        .bind(&key.kid)
        .bind(&key.private_key)
        .bind(&key.public_key)
        .bind(key.created_at.timestamp_millis())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Adds a key only when there is none: of several processes that start at once, one wins and all read its key.
    pub async fn add_first_signing_key(&self, key: &SigningKey) -> Result<()> {
        sqlx::query(
            "INSERT INTO signing_keys (kid, private_key, public_key, created_at)
             SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM signing_keys)",
        )
        .bind(&key.kid)
        .bind(&key.private_key)
        .bind(&key.public_key)
        .bind(key.created_at.timestamp_millis())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }
}

/// Without the private half.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}
