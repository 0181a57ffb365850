//! The secrets that the URLs of query results are signed with.

use std::fmt;

use chrono::{DateTime, Utc};
use rules::Result;

use super::{Directory, failed, instant};

/// A secret and its name.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlKey {
    /// Stands in the URLs.
    pub kid: String,
    /// 32 bytes.
    pub secret: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

impl Directory {
    /// All keys, newest first: the first one signs, every one verifies.
    pub async fn url_keys(&self) -> Result<Vec<UrlKey>> {
        let rows: Vec<(String, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT kid, secret, created_at FROM url_keys ORDER BY created_at DESC, rowid DESC",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let keys = rows.into_iter().map(|(kid, secret, created_at)| {
            Ok(UrlKey {
                kid,
                secret,
                created_at: instant(created_at)?,
            })
        });
        keys.collect()
    }

    /// Adds a key, which signs from now on, and forgets those made before `oldest`.
    pub async fn rotate_url_key(&self, key: &UrlKey, oldest: DateTime<Utc>) -> Result<()> {
        let mut transaction = self.write().await?;
        sqlx::query("INSERT INTO url_keys (kid, secret, created_at) VALUES (?, ?, ?)")
            .bind(&key.kid)
            .bind(&key.secret)
            .bind(key.created_at.timestamp_millis())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query("DELETE FROM url_keys WHERE created_at < ?")
            .bind(oldest.timestamp_millis())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

/// Without the secret.
impl fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlKey")
            .field("kid", &self.kid)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}
