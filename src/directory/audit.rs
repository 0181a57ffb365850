//! The audit log: what was done, by whom, and how it went, in rows that are only ever added.
//!
//! Every organization has a chain of rows, and the server one of its own. A row holds the hash of the one before it, and its
//! own, so that a row that was changed, removed or moved is found ([`Directory::verify_audit`]). Several processes may
//! append: who does holds the write lock from reading the chain's end to the commit.
//! Not here: what is recorded, and when (`guard`).

mod chain;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SecondsFormat};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use rules::{OrgId, Result};
use serde::{Serialize, Serializer};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};

use super::{Directory, column, failed, insert_rows};
use chain::{Walk, hash};

/// The event of an act's first row; every other row is its second.
pub const AUDIT_OPENED: &str = "opened";

/// Rows of a chain that are looked at together.
const PAGE_ROWS: u32 = 500;

/// One row of a chain. Its texts are as they stand in the database: a row that somebody forged can be read, and is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Whose chain it is in; empty: the server's own.
    pub org_id: String,
    /// Its place in the chain: from 1, without gaps.
    pub seq: i64,
    /// Unix milliseconds; in JSON and in the hash as [`AuditRow::instant`] writes them.
    #[serde(serialize_with = "as_iso")]
    pub at: i64,
    /// Joins the two rows of an act.
    pub entry_id: String,
    /// [`AUDIT_OPENED`] or `completed`.
    pub event: String,
    /// The kind of actor.
    pub actor: String,
    pub actor_org_id: Option<String>,
    pub actor_id: Option<String>,
    pub action: String,
    pub resource: Option<String>,
    pub request_id: Option<String>,
    pub client_address: Option<String>,
    pub outcome: Option<String>,
    /// Of the answer over HTTP.
    pub status: Option<i64>,
    pub reason: Option<String>,
    /// Rows of an answer, logs of an archive.
    pub rows: Option<i64>,
    /// Of an answer's body.
    pub bytes: Option<i64>,
    /// A JSON object.
    pub detail: Option<String>,
    /// 64 hexadecimal digits; of the first row zeros.
    pub previous_hash: String,
    /// 64 hexadecimal digits, see [`hash`].
    pub hash: String,
}

/// The last row of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// 0: there is none.
    pub seq: i64,
    pub hash: String,
}

/// What looking at a whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditVerdict {
    /// Every row is the one that was written.
    Intact(AuditHead),
    /// The first row that is not, and how one can tell.
    Broken { seq: i64, why: String },
}

/// The columns in the order of [`insert`].
macro_rules! columns {
    ($of:literal) => {
        concat!(
            $of,
            "org_id, ",
            $of,
            "seq, ",
            $of,
            "at, ",
            $of,
            "entry_id, ",
            $of,
            "event, ",
            $of,
            "actor, ",
            $of,
            "actor_org_id, ",
            $of,
            "actor_id, ",
            $of,
            "action, ",
            $of,
            "resource, ",
            $of,
            "request_id, ",
            $of,
            "client_address, ",
            $of,
            "outcome, ",
            $of,
            "status, ",
            $of,
            "reason, ",
            $of,
            "rows, ",
            $of,
            "bytes, ",
            $of,
            "detail, ",
            $of,
            "previous_hash, ",
            $of,
            "hash"
        )
    };
}

impl Directory {
    /// Adds rows, each at the end of its chain, in one transaction; their places and hashes are given here. A second row
    /// whose first one was never stored is left out: the act it would complete did not happen.
    pub async fn append_audit(&self, rows: &[AuditRow]) -> Result<()> {
        let _turn = self.turn.lock().await;
        let mut transaction = self.write().await?;
        let mut open = opened_earlier(&mut transaction, rows).await?;
        let mut heads: HashMap<&str, AuditHead> = HashMap::new();
        let mut placed = Vec::with_capacity(rows.len());
        for row in rows {
            if row.event == AUDIT_OPENED {
                open.insert(row.entry_id.clone());
            } else if !open.remove(&row.entry_id) {
                continue;
            }
            let head = match heads.remove(row.org_id.as_str()) {
                Some(head) => head,
                None => head(&mut transaction, &row.org_id).await?,
            };
            let mut row_in_place = AuditRow {
                seq: head.seq + 1,
                previous_hash: head.hash,
                ..row.clone()
            };
            row_in_place.hash = hash(&row_in_place);
            let (seq, hash) = (row_in_place.seq, row_in_place.hash.clone());
            placed.push(row_in_place);
            heads.insert(&row.org_id, AuditHead { seq, hash });
        }
        insert(&mut transaction, &placed).await.map_err(failed)?;
        placed.retain(|row| row.event == AUDIT_OPENED && open.contains(&row.entry_id));
        insert_open(&mut transaction, &placed)
            .await
            .map_err(failed)?;
        for (org_id, head) in heads {
            sqlx::query(
                "INSERT INTO audit_heads (org_id, seq, hash) VALUES (?1, ?2, ?3)
                 ON CONFLICT (org_id) DO UPDATE SET seq = ?2, hash = ?3",
            )
            .bind(org_id)
            .bind(head.seq)
            .bind(head.hash)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Rows of the organization's chain, or of the server's own, behind the place `after`, in order, `limit` at most. They
    /// are read as they are taken, for each may be long.
    pub fn audit_rows<'a>(
        &'a self,
        org_id: Option<&'a OrgId>,
        after: i64,
        limit: u32,
    ) -> BoxStream<'a, Result<AuditRow>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(""),
            " FROM audit_log WHERE org_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        ))
        .bind(org_id.map_or("", OrgId::as_str))
        .bind(after)
        .bind(limit)
        .fetch(&self.pool);
        rows.map(|row| audit_row(&row.map_err(failed)?)).boxed()
    }

    /// The end of a chain, as the last append left it.
    pub async fn audit_head(&self, org_id: Option<&OrgId>) -> Result<AuditHead> {
        let mut connection = self.pool.begin().await.map_err(failed)?;
        head(&mut connection, org_id.map_or("", OrgId::as_str)).await
    }

    /// The first rows of acts that were never completed, operators' own left out: their commands may still run.
    pub async fn audit_left_open(&self) -> Result<Vec<AuditRow>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!("log."),
            " FROM audit_open open JOIN audit_log log ON log.org_id = open.org_id AND log.seq = open.seq
             WHERE log.actor <> 'operator' ORDER BY log.org_id, log.seq"
        ))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(audit_row).collect()
    }

    /// Looks at every row of a chain. `expected` is an end that somebody wrote down earlier: the chain must still hold it.
    pub async fn verify_audit(
        &self,
        org_id: Option<&OrgId>,
        expected: Option<&AuditHead>,
    ) -> Result<AuditVerdict> {
        // Read first: what is appended meanwhile is behind it.
        let head = self.audit_head(org_id).await?;
        let mut walk = Walk::new(org_id.map_or("", OrgId::as_str));
        loop {
            // Page by page: a reader that goes on for long keeps the write-ahead log from being taken up.
            let mut rows = self.audit_rows(org_id, walk.seq(), PAGE_ROWS);
            let mut count = 0;
            while let Some(row) = rows.try_next().await? {
                if let Err(broken) = walk.step(&row, [Some(&head), expected]) {
                    return Ok(broken);
                }
                count += 1;
            }
            if count < PAGE_ROWS {
                return Ok(walk.end([Some(&head), expected]));
            }
        }
    }
}

/// The ids of acts opened before these rows that they complete, which are open no longer.
async fn opened_earlier(
    transaction: &mut Transaction<'static, Sqlite>,
    rows: &[AuditRow],
) -> Result<HashSet<String>> {
    let completed = rows.iter().filter(|row| row.event != AUDIT_OPENED);
    let completed: Vec<&str> = completed.map(|row| row.entry_id.as_str()).collect();
    if completed.is_empty() {
        return Ok(HashSet::new());
    }
    let closed: Vec<String> = sqlx::query_scalar(
        "DELETE FROM audit_open WHERE entry_id IN (SELECT value FROM json_each(?)) RETURNING entry_id",
    )
    .bind(json!(completed).to_string())
    .fetch_all(&mut **transaction)
    .await
    .map_err(failed)?;
    Ok(closed.into_iter().collect())
}

async fn head(transaction: &mut Transaction<'static, Sqlite>, org_id: &str) -> Result<AuditHead> {
    let head: Option<(i64, String)> =
        sqlx::query_as("SELECT seq, hash FROM audit_heads WHERE org_id = ?")
            .bind(org_id)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(failed)?;
    let (seq, hash) = head.unwrap_or_else(|| (0, chain::BEGINNING.to_owned()));
    Ok(AuditHead { seq, hash })
}

async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    rows: &[AuditRow],
) -> Result<(), sqlx::Error> {
    let into = concat!("INSERT INTO audit_log (", columns!(""), ") ");
    insert_rows(transaction, into, rows, |mut values, row| {
        values
            .push_bind(&row.org_id)
            .push_bind(row.seq)
            .push_bind(row.at)
            .push_bind(&row.entry_id)
            .push_bind(&row.event)
            .push_bind(&row.actor)
            .push_bind(row.actor_org_id.as_deref())
            .push_bind(row.actor_id.as_deref())
            .push_bind(&row.action)
            .push_bind(row.resource.as_deref())
            .push_bind(row.request_id.as_deref())
            .push_bind(row.client_address.as_deref())
            .push_bind(row.outcome.as_deref())
            .push_bind(row.status)
            .push_bind(row.reason.as_deref())
            .push_bind(row.rows)
            .push_bind(row.bytes)
            .push_bind(row.detail.as_deref())
            .push_bind(&row.previous_hash)
            .push_bind(&row.hash);
    })
    .await
}

/// Notes first rows whose acts are not completed yet.
async fn insert_open(
    transaction: &mut Transaction<'static, Sqlite>,
    rows: &[AuditRow],
) -> Result<(), sqlx::Error> {
    let into = "INSERT INTO audit_open (entry_id, org_id, seq) ";
    insert_rows(transaction, into, rows, |mut values, row| {
        values
            .push_bind(&row.entry_id)
            .push_bind(&row.org_id)
            .push_bind(row.seq);
    })
    .await
}

fn audit_row(row: &SqliteRow) -> Result<AuditRow> {
    Ok(AuditRow {
        org_id: column(row, "org_id")?,
        seq: column(row, "seq")?,
        at: column(row, "at")?,
        entry_id: column(row, "entry_id")?,
        event: column(row, "event")?,
        actor: column(row, "actor")?,
        actor_org_id: column(row, "actor_org_id")?,
        actor_id: column(row, "actor_id")?,
        action: column(row, "action")?,
        resource: column(row, "resource")?,
        request_id: column(row, "request_id")?,
        client_address: column(row, "client_address")?,
        outcome: column(row, "outcome")?,
        status: column(row, "status")?,
        reason: column(row, "reason")?,
        rows: column(row, "rows")?,
        bytes: column(row, "bytes")?,
        detail: column(row, "detail")?,
        previous_hash: column(row, "previous_hash")?,
        hash: column(row, "hash")?,
    })
}

impl AuditRow {
    /// Its instant as the audit log tells it: ISO 8601 in UTC, to the millisecond.
    pub fn instant(&self) -> String {
        iso(self.at)
    }
}

fn iso(millis: i64) -> String {
    match DateTime::from_timestamp_millis(millis) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        // Of no row that this program wrote.
        None => millis.to_string(),
    }
}

fn as_iso<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(*millis))
}
