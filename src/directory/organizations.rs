//! Organizations and the clusters they live on.

use chrono::{DateTime, Utc};
use rules::{ClusterName, Error, OrgId, Result};

use super::{Directory, check_text, damaged, failed, instant, roles};

/// A tenant: its users, roles, keys and tables are seen by nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub org_id: OrgId,
    /// For people.
    pub name: String,
    /// The database cluster it lives on, which callers may name to be sure.
    pub cluster: ClusterName,
    pub created_at: DateTime<Utc>,
}

type Row = (String, String, String, i64);

impl Directory {
    /// Makes an organization with the default roles; its cluster is made when it is new.
    ///
    /// # Errors
    /// `Conflict` when it exists, `Invalid` for a blank or overlong name.
    pub async fn create_organization(
        &self,
        org_id: &OrgId,
        name: &str,
        cluster: &ClusterName,
        now: DateTime<Utc>,
    ) -> Result<()> {
        check_text("the name of an organization", name)?;
        let mut transaction = self.write().await?;
        sqlx::query("INSERT INTO clusters (name) VALUES (?) ON CONFLICT DO NOTHING")
            .bind(cluster.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let made = sqlx::query(
            "INSERT INTO organizations (org_id, name, cluster, created_at) VALUES (?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(org_id.as_str())
        .bind(name)
        .bind(cluster.as_str())
        .bind(now.timestamp_millis())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if made.rows_affected() == 0 {
            return Err(Error::conflict(format!(
                "organization {org_id} exists already; choose another id"
            )));
        }
        roles::insert_defaults(&mut transaction, org_id, now).await?;
        transaction.commit().await.map_err(failed)
    }

    /// All organizations, by id.
    pub async fn organizations(&self) -> Result<Vec<Organization>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT org_id, name, cluster, created_at FROM organizations ORDER BY org_id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.into_iter().map(organization).collect()
    }

    /// One organization.
    pub async fn organization(&self, org_id: &OrgId) -> Result<Option<Organization>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT org_id, name, cluster, created_at FROM organizations WHERE org_id = ?",
        )
        .bind(org_id.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.map(organization).transpose()
    }

    /// Whether any organization was ever made on this cluster.
    pub async fn cluster_exists(&self, cluster: &ClusterName) -> Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM clusters WHERE name = ?)")
            .bind(cluster.as_str())
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }
}

fn organization((org_id, name, cluster, created_at): Row) -> Result<Organization> {
    Ok(Organization {
        org_id: OrgId::parse(&org_id).map_err(|error| damaged("an organization", error))?,
        name,
        cluster: ClusterName::parse(&cluster).map_err(|error| damaged("a cluster", error))?,
        created_at: instant(created_at)?,
    })
}
