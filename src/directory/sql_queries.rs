//! The queries of an organization, synchronous and asynchronous: its history.

use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use rules::{Error, OrgId, Result, UserId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use super::{Directory, column, damaged, failed, insert_rows, instant, is_unique_violation};

/// One query, from its submission to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlQuery {
    /// 24 hexadecimal digits.
    pub query_id: String,
    pub org_id: OrgId,
    /// Who asked: a user of this organization or another one.
    pub user_org_id: OrgId,
    pub user_id: UserId,
    pub sql_query: String,
    /// The form of the result file; none for a query that answers with a page.
    pub result_format: Option<String>,
    pub status: QueryStatus,
    /// Why it failed, for the caller.
    pub error: Option<String>,
    /// A second submission of the same user with the same key is the first one.
    pub idempotency_key: Option<String>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// When the result file is deleted; none: there is none, or no more.
    pub expires_at: Option<DateTime<Utc>>,
    pub rows: u64,
    /// Of the answer.
    pub bytes: u64,
    pub bytes_scanned: u64,
    pub queue_ms: u64,
    pub planning_ms: u64,
    pub execution_ms: u64,
    pub peak_memory_bytes: u64,
    /// What the caller should know of an answer, for example that values did not fit their columns.
    pub warning: Option<String>,
}

/// How far a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryStatus {
    Queued,
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Canceled,
}

impl QueryStatus {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Canceled,
    ];

    /// As answers and the history name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Canceled => "canceled",
        }
    }

    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| damaged("a query", format!("status {name}")))
    }
}

/// The columns in the order of [`insert`].
macro_rules! columns {
    () => {
        "query_id, org_id, user_org_id, user_id, sql_query, result_format, status, error, idempotency_key, created_at, \
         started_at, finished_at, expires_at, rows, bytes, bytes_scanned, queue_ms, planning_ms, execution_ms, \
         peak_memory_bytes, warning"
    };
}

/// Whose queries, where only their own may be seen: those of a user who had the id before are not.
macro_rules! own {
    () => {
        "(?2 IS NULL OR user_org_id = ?2 AND user_id = ?3
          AND created_at >= (SELECT created_at FROM users WHERE org_id = ?2 AND user_id = ?3))"
    };
}

/// A key is free of a user who had the id before, and of queries whose result is gone.
macro_rules! is_free {
    () => {
        "(created_at < (SELECT created_at FROM users WHERE org_id = ?2 AND user_id = ?3)
          OR expires_at IS NULL OR expires_at <= ?5 OR status = 'canceled')"
    };
}

impl Directory {
    /// The query that the same user submitted with the same key before and that has a result, or will have one.
    pub async fn submitted_query(&self, query: &SqlQuery) -> Result<Option<SqlQuery>> {
        submitted(&self.pool, query).await
    }

    /// Stores a query that was submitted, or returns the one that [`Directory::submitted_query`] finds.
    pub async fn submit_query(&self, query: &SqlQuery) -> Result<Option<SqlQuery>> {
        let mut transaction = self.write().await?;
        if query.idempotency_key.is_some() {
            sqlx::query(concat!(
                "UPDATE sql_queries SET idempotency_key = NULL
                 WHERE org_id = ?1 AND user_org_id = ?2 AND user_id = ?3 AND idempotency_key = ?4 AND ",
                is_free!()
            ))
            .bind(query.org_id.as_str())
            .bind(query.user_org_id.as_str())
            .bind(query.user_id.as_str())
            .bind(query.idempotency_key.as_deref())
            .bind(query.created_at.timestamp_millis())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        match insert(&mut transaction, std::slice::from_ref(query)).await {
            Ok(()) => {
                transaction.commit().await.map_err(failed)?;
                Ok(None)
            }
            Err(error) if is_unique_violation(&error) => {
                let first = submitted(&mut *transaction, query).await?;
                first.map(Some).ok_or_else(|| failed(error))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Stores queries that have ended, in one transaction.
    pub async fn record_queries(&self, queries: &[SqlQuery]) -> Result<()> {
        let _turn = self.turn.lock().await;
        let mut transaction = self.write().await?;
        insert(&mut transaction, queries).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// One query of the organization, which must be the user's own where one is given.
    pub async fn sql_query(
        &self,
        org_id: &OrgId,
        user: Option<(&OrgId, &UserId)>,
        query_id: &str,
    ) -> Result<Option<SqlQuery>> {
        let row = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM sql_queries WHERE org_id = ?1 AND query_id = ?4 AND ",
            own!()
        ))
        .bind(org_id.as_str())
        .bind(user.map(|(org, _)| org.as_str()))
        .bind(user.map(|(_, user)| user.as_str()))
        .bind(query_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.as_ref().map(sql_query).transpose()
    }

    /// Whether who asked the query is still a user: who got the same id later is another one.
    pub async fn has_submitter(&self, query: &SqlQuery) -> Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM users WHERE org_id = ? AND user_id = ? AND created_at <= ?)",
        )
        .bind(query.user_org_id.as_str())
        .bind(query.user_id.as_str())
        .bind(query.created_at.timestamp_millis())
        .fetch_one(&self.pool)
        .await
        .map_err(failed)
    }

    /// The organization's queries in the order they were asked, behind the one of that id, `limit` at most; those of one
    /// user where one is given. They are read as they are taken, for each may be long.
    pub fn sql_queries<'a>(
        &'a self,
        org_id: &'a OrgId,
        user: Option<(&'a OrgId, &'a UserId)>,
        after: Option<(DateTime<Utc>, &'a str)>,
        limit: u32,
    ) -> BoxStream<'a, Result<SqlQuery>> {
        let (at, id) = after.map_or((i64::MIN, ""), |(at, id)| (at.timestamp_millis(), id));
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM sql_queries
             WHERE org_id = ?1 AND (created_at, query_id) > (?4, ?5) AND ",
            own!(),
            " ORDER BY created_at, query_id LIMIT ?6"
        ))
        .bind(org_id.as_str())
        .bind(user.map(|(org, _)| org.as_str()))
        .bind(user.map(|(_, user)| user.as_str()))
        .bind(at)
        .bind(id)
        .bind(limit)
        .fetch(&self.pool);
        rows.map(|row| sql_query(&row.map_err(failed)?)).boxed()
    }

    /// A query that waited begins; nothing when it was ended meanwhile.
    pub async fn start_query(&self, query_id: &str, now: DateTime<Utc>) -> Result<()> {
        sqlx::query(
            "UPDATE sql_queries SET status = 'running', started_at = ? WHERE query_id = ? AND status = 'queued'",
        )
        .bind(now.timestamp_millis())
        .bind(query_id)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Stores how a query ended; nothing when it had ended before.
    pub async fn finish_query(&self, query: &SqlQuery) -> Result<()> {
        sqlx::query(
            "UPDATE sql_queries SET status = ?2, error = ?3, finished_at = ?4, expires_at = ?5, rows = ?6, bytes = ?7,
             bytes_scanned = ?8, queue_ms = ?9, planning_ms = ?10, execution_ms = ?11, peak_memory_bytes = ?12, warning = ?13
             WHERE query_id = ?1 AND status IN ('queued', 'running')",
        )
        .bind(&query.query_id)
        .bind(query.status.name())
        .bind(query.error.as_deref())
        .bind(query.finished_at.map(|at| at.timestamp_millis()))
        .bind(query.expires_at.map(|at| at.timestamp_millis()))
        .bind(number(query.rows))
        .bind(number(query.bytes))
        .bind(number(query.bytes_scanned))
        .bind(number(query.queue_ms))
        .bind(number(query.planning_ms))
        .bind(number(query.execution_ms))
        .bind(number(query.peak_memory_bytes))
        .bind(query.warning.as_deref())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Ends the queries that a server left unfinished when it ended, with this reason.
    pub async fn fail_unfinished_queries(
        &self,
        error: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<SqlQuery>> {
        let rows = sqlx::query(concat!(
            "UPDATE sql_queries SET status = 'failed', error = ?, finished_at = ?
             WHERE status IN ('queued', 'running') RETURNING ",
            columns!(),
            ""
        ))
        .bind(error)
        .bind(now.timestamp_millis())
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(sql_query).collect()
    }

    /// Queries whose result is to be deleted by now, the last ones first: some that cannot be are in no other's way.
    pub async fn expired_results(&self, now: DateTime<Utc>) -> Result<Vec<SqlQuery>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM sql_queries
             WHERE expires_at <= ? AND status NOT IN ('queued', 'running') ORDER BY expires_at DESC LIMIT 1000"
        ))
        .bind(now.timestamp_millis())
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(sql_query).collect()
    }

    /// The query's result is deleted.
    pub async fn forget_result(&self, query_id: &str) -> Result<()> {
        sqlx::query("UPDATE sql_queries SET expires_at = NULL WHERE query_id = ?")
            .bind(query_id)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Forgets queries that were asked before `oldest` and have no result any more; returns how many.
    pub async fn forget_queries(&self, oldest: DateTime<Utc>) -> Result<u64> {
        let forgotten = sqlx::query(
            "DELETE FROM sql_queries
             WHERE created_at < ? AND expires_at IS NULL AND status NOT IN ('queued', 'running')",
        )
        .bind(oldest.timestamp_millis())
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(forgotten.rows_affected())
    }
}

async fn submitted(
    executor: impl sqlx::SqliteExecutor<'_>,
    query: &SqlQuery,
) -> Result<Option<SqlQuery>> {
    let row = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM sql_queries
         WHERE org_id = ?1 AND user_org_id = ?2 AND user_id = ?3 AND idempotency_key = ?4 AND ",
        is_free!(),
        " IS NOT TRUE"
    ))
    .bind(query.org_id.as_str())
    .bind(query.user_org_id.as_str())
    .bind(query.user_id.as_str())
    .bind(query.idempotency_key.as_deref())
    .bind(query.created_at.timestamp_millis())
    .fetch_optional(executor)
    .await
    .map_err(failed)?;
    row.as_ref().map(sql_query).transpose()
}

async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    queries: &[SqlQuery],
) -> Result<(), sqlx::Error> {
    let into = concat!("INSERT INTO sql_queries (", columns!(), ") ");
    insert_rows(transaction, into, queries, |mut row, query| {
        let millis = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_millis());
        row.push_bind(&query.query_id)
            .push_bind(query.org_id.as_str())
            .push_bind(query.user_org_id.as_str())
            .push_bind(query.user_id.as_str())
            .push_bind(&query.sql_query)
            .push_bind(query.result_format.as_deref())
            .push_bind(query.status.name())
            .push_bind(query.error.as_deref())
            .push_bind(query.idempotency_key.as_deref())
            .push_bind(query.created_at.timestamp_millis())
            .push_bind(millis(query.started_at))
            .push_bind(millis(query.finished_at))
            .push_bind(millis(query.expires_at))
            .push_bind(number(query.rows))
            .push_bind(number(query.bytes))
            .push_bind(number(query.bytes_scanned))
            .push_bind(number(query.queue_ms))
            .push_bind(number(query.planning_ms))
            .push_bind(number(query.execution_ms))
            .push_bind(number(query.peak_memory_bytes))
            .push_bind(query.warning.as_deref());
    })
    .await
}

/// `SQLite` has whole numbers of 63 bits and a sign.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn sql_query(row: &SqliteRow) -> Result<SqlQuery> {
    let wrong = |error: Error| damaged("a query", error);
    let org = |name| OrgId::parse(&column::<String>(row, name)?).map_err(wrong);
    let maybe = |name| column::<Option<i64>>(row, name)?.map(instant).transpose();
    let count = |name| Ok::<_, Error>(u64::try_from(column::<i64>(row, name)?).unwrap_or(0));
    Ok(SqlQuery {
        query_id: column(row, "query_id")?,
        org_id: org("org_id")?,
        user_org_id: org("user_org_id")?,
        user_id: UserId::parse(&column::<String>(row, "user_id")?).map_err(wrong)?,
        sql_query: column(row, "sql_query")?,
        result_format: column(row, "result_format")?,
        status: QueryStatus::parse(&column::<String>(row, "status")?)?,
        error: column(row, "error")?,
        idempotency_key: column(row, "idempotency_key")?,
        created_at: instant(column(row, "created_at")?)?,
        started_at: maybe("started_at")?,
        finished_at: maybe("finished_at")?,
        expires_at: maybe("expires_at")?,
        rows: count("rows")?,
        bytes: count("bytes")?,
        bytes_scanned: count("bytes_scanned")?,
        queue_ms: count("queue_ms")?,
        planning_ms: count("planning_ms")?,
        execution_ms: count("execution_ms")?,
        peak_memory_bytes: count("peak_memory_bytes")?,
        warning: column(row, "warning")?,
    })
}
