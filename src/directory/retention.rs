//! The setting `retention.days` as the last server had it, so that a server or a command that was started without its
//! settings drops nothing that they keep.

use chrono::{DateTime, TimeDelta, Utc};
use rules::Result;
use sqlx::SqliteExecutor;

use super::{Directory, failed, instant};

/// How long more days still hold after the setting was made less.
const GRACE: TimeDelta = TimeDelta::hours(24);

#[derive(Debug)]
struct Stored {
    days: u32,
    before: u32,
    since: i64,
}

impl Stored {
    fn in_force(&self, now: DateTime<Utc>) -> Result<u32> {
        let is_new = now - instant(self.since)? < GRACE;
        Ok(match is_new {
            true => self.days.max(self.before),
            false => self.days,
        })
    }
}

impl Directory {
    /// Takes note of a server's setting. Returns by how many days its prompt logs may be dropped now: these or, for a day
    /// after they became fewer, those of before.
    pub async fn settle_retention(&self, days: u32, now: DateTime<Utc>) -> Result<u32> {
        let stored = stored(&self.pool).await?;
        if let Some(stored) = stored.filter(|stored| stored.days == days) {
            return stored.in_force(now);
        }
        let mut transaction = self.write().await?;
        let before = match self::stored(&mut *transaction).await? {
            Some(stored) => stored.in_force(now)?,
            None => days,
        };
        sqlx::query(
            "INSERT INTO retention_setting (id, days, before, since) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET days = ?1, before = ?2, since = ?3",
        )
        .bind(days)
        .bind(before)
        .bind(now.timestamp_millis())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(days.max(before))
    }

    /// Takes note of a setting that logs are written with before any server has told its own.
    pub async fn note_retention(&self, days: u32, now: DateTime<Utc>) -> Result<()> {
        sqlx::query(
            "INSERT INTO retention_setting (id, days, before, since) VALUES (1, ?1, ?1, ?2) ON CONFLICT DO NOTHING",
        )
        .bind(days)
        .bind(now.timestamp_millis())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// By how many days a command with this setting may drop prompt logs: never fewer than the last server's.
    pub async fn retention(&self, days: u32, now: DateTime<Utc>) -> Result<u32> {
        let stored = stored(&self.pool).await?;
        let servers = stored.map(|stored| stored.in_force(now)).transpose()?;
        Ok(servers.map_or(days, |servers| servers.max(days)))
    }
}

async fn stored(executor: impl SqliteExecutor<'_>) -> Result<Option<Stored>> {
    let row: Option<(u32, u32, i64)> =
        sqlx::query_as("SELECT days, before, since FROM retention_setting")
            .fetch_optional(executor)
            .await
            .map_err(failed)?;
    Ok(row.map(|(days, before, since)| Stored {
        days,
        before,
        since,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn directory() -> (tempfile::TempDir, Directory) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("directory.db");
        (folder, Directory::open(&file).await.unwrap())
    }

    #[tokio::test]
    async fn what_was_written_before_any_server_is_kept_by_its_own_setting_for_a_day() {
        let (_folder, directory) = directory().await;
        let start = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        directory.note_retention(90, start).await.unwrap();
        for (hours, expected) in [(48, 90), (71, 90), (72, 30)] {
            let now = start + TimeDelta::hours(hours);
            let settled = directory.settle_retention(30, now).await.unwrap();
            assert_eq!(settled, expected, "after {hours} hours");
            // A later import with other settings says nothing of the server's.
            directory.note_retention(365, now).await.unwrap();
        }
    }

    #[tokio::test]
    async fn fewer_days_hold_a_day_later_and_more_at_once() {
        let (_folder, directory) = directory().await;
        let start = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        for (hours, server, expected) in [
            (0, 365, 365),
            (1, 365, 365),
            (2, 30, 365),
            (25, 30, 365),
            (26, 30, 30),
            (27, 400, 400),
            (28, 30, 400),
            (29, 60, 400),
            (53, 60, 60),
        ] {
            let now = start + TimeDelta::hours(hours);
            let settled = directory.settle_retention(server, now).await.unwrap();
            assert_eq!(settled, expected, "after {hours} hours");
            let command = directory.retention(30, now).await.unwrap();
            assert_eq!(command, expected, "a command after {hours} hours");
        }
    }
}
