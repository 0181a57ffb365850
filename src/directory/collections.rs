//! The columns of collections' tables, as samples had them.

use chrono::{DateTime, Utc};
use collections::Column;
use rules::{ClusterName, Error, OrgId, Result, TableName};
use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteRow;

use super::{Directory, column, damaged, failed, instant};

/// A table's columns, from a sample of its collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCollection {
    pub name: TableName,
    pub collection: String,
    pub columns: Vec<Column>,
    /// Where the columns come from, for people.
    pub origin: String,
    pub sampled_at: DateTime<Utc>,
}

impl Directory {
    /// Stores the columns of a table, in the place of those that are there.
    pub async fn store_collection(
        &self,
        org_id: &OrgId,
        cluster: &ClusterName,
        stored: &StoredCollection,
    ) -> Result<()> {
        put(&self.pool, org_id, cluster, stored, true).await
    }

    /// Stores the columns of a table that has none of this collection yet; returns those that are then there, which
    /// somebody else may have stored first.
    pub async fn settle_collection(
        &self,
        org_id: &OrgId,
        cluster: &ClusterName,
        stored: &StoredCollection,
    ) -> Result<StoredCollection> {
        let mut transaction = self.write().await?;
        put(&mut *transaction, org_id, cluster, stored, false).await?;
        let settled = get(&mut *transaction, org_id, cluster, &stored.name).await?;
        transaction.commit().await.map_err(failed)?;
        settled.ok_or_else(|| Error::internal("columns that were stored are not there"))
    }

    /// The stored columns of one table.
    pub async fn stored_collection(
        &self,
        org_id: &OrgId,
        cluster: &ClusterName,
        name: &TableName,
    ) -> Result<Option<StoredCollection>> {
        get(&self.pool, org_id, cluster, name).await
    }

    /// The stored columns of all tables of the organization on the cluster, by name.
    pub async fn stored_collections(
        &self,
        org_id: &OrgId,
        cluster: &ClusterName,
    ) -> Result<Vec<StoredCollection>> {
        let rows = sqlx::query(
            "SELECT name, collection, columns, origin, sampled_at FROM collections
             WHERE org_id = ? AND cluster = ? ORDER BY name",
        )
        .bind(org_id.as_str())
        .bind(cluster.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(stored_collection).collect()
    }
}

/// Stores the columns of a table. Those that are there of the same collection stay, unless they are to be replaced.
async fn put(
    database: impl SqliteExecutor<'_>,
    org_id: &OrgId,
    cluster: &ClusterName,
    stored: &StoredCollection,
    replace: bool,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO collections (org_id, cluster, name, collection, columns, origin, sampled_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (org_id, cluster, name) DO UPDATE SET collection = excluded.collection,
             columns = excluded.columns, origin = excluded.origin, sampled_at = excluded.sampled_at
         WHERE ? OR collection <> excluded.collection",
    )
    .bind(org_id.as_str())
    .bind(cluster.as_str())
    .bind(stored.name.as_str())
    .bind(&stored.collection)
    .bind(as_json(stored)?)
    .bind(&stored.origin)
    .bind(stored.sampled_at.timestamp_millis())
    .bind(replace)
    .execute(database)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn get(
    database: impl SqliteExecutor<'_>,
    org_id: &OrgId,
    cluster: &ClusterName,
    name: &TableName,
) -> Result<Option<StoredCollection>> {
    let row = sqlx::query(
        "SELECT name, collection, columns, origin, sampled_at FROM collections
         WHERE org_id = ? AND cluster = ? AND name = ?",
    )
    .bind(org_id.as_str())
    .bind(cluster.as_str())
    .bind(name.as_str())
    .fetch_optional(database)
    .await
    .map_err(failed)?;
    row.as_ref().map(stored_collection).transpose()
}

fn as_json(stored: &StoredCollection) -> Result<String> {
    serde_json::to_string(&stored.columns)
        .map_err(|error| Error::internal("columns cannot be stored").because(error))
}

fn stored_collection(row: &SqliteRow) -> Result<StoredCollection> {
    const WHAT: &str = "the columns of a collection";
    let columns: String = column(row, "columns")?;
    Ok(StoredCollection {
        name: TableName::parse(&column::<String>(row, "name")?)
            .map_err(|error| damaged(WHAT, error))?,
        collection: column(row, "collection")?,
        columns: serde_json::from_str(&columns).map_err(|error| damaged(WHAT, error))?,
        origin: column(row, "origin")?,
        sampled_at: instant(column(row, "sampled_at")?)?,
    })
}
