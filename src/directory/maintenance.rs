//! Whether the server is in maintenance: one row, which every request asks for, so that it counts at once.

use chrono::{DateTime, Utc};
use rules::Result;

use super::{Directory, failed, instant};

impl Directory {
    /// Since when the server is in maintenance; none when it is not.
    pub async fn maintenance(&self) -> Result<Option<DateTime<Utc>>> {
        let since: Option<i64> = sqlx::query_scalar("SELECT since FROM maintenance")
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        since.map(instant).transpose()
    }

    /// Begins maintenance. One that is on goes on, with its own beginning.
    pub async fn begin_maintenance(&self, now: DateTime<Utc>) -> Result<()> {
        sqlx::query("INSERT INTO maintenance (id, since) VALUES (1, ?) ON CONFLICT DO NOTHING")
            .bind(now.timestamp_millis())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Ends maintenance, if it is on.
    pub async fn end_maintenance(&self) -> Result<()> {
        sqlx::query("DELETE FROM maintenance")
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }
}
