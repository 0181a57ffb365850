//! Organizations and the clusters they live on.

use chrono::{DateTime, Utc};
use rules::{ClusterName, Error, OrgId, Result};

use crate::config::RETENTION_DAYS;

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
    /// Days its prompt logs are kept; `None`: as the setting `retention.days` says.
    pub retention_days: Option<u32>,
}

impl Organization {
    /// Days its prompt logs are kept, where `default` is the setting.
    pub fn retention_days_or(&self, default: u32) -> u32 {
        self.retention_days.unwrap_or(default)
    }
}

type Row = (String, String, String, i64, Option<u32>);

impl Directory {
    /// Makes an organization with the default roles; its cluster is made when it is new.
    ///
    /// # Errors
    /// `Conflict` when it exists, `Invalid` for a blank or overlong name or a number of days that is none.
    pub async fn create_organization(&self, organization: &Organization) -> Result<()> {
        let Organization {
            org_id,
            name,
            cluster,
            created_at,
            retention_days,
        } = organization;
        check_text("the name of an organization", name)?;
        check_retention(*retention_days)?;
        let mut transaction = self.write().await?;
        sqlx::query("INSERT INTO clusters (name) VALUES (?) ON CONFLICT DO NOTHING")
            .bind(cluster.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let made = sqlx::query(
            "INSERT INTO organizations (org_id, name, cluster, created_at, retention_days) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        )
        .bind(org_id.as_str())
        .bind(name)
        .bind(cluster.as_str())
        .bind(created_at.timestamp_millis())
        .bind(retention_days)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if made.rows_affected() == 0 {
            return Err(Error::conflict(format!(
                "organization {org_id} exists already; choose another id"
            )));
        }
        roles::insert_defaults(&mut transaction, org_id, *created_at).await?;
        transaction.commit().await.map_err(failed)
    }

    /// All organizations, by id.
    pub async fn organizations(&self) -> Result<Vec<Organization>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT org_id, name, cluster, created_at, retention_days FROM organizations ORDER BY org_id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.into_iter().map(organization).collect()
    }

    /// One organization.
    pub async fn organization(&self, org_id: &OrgId) -> Result<Option<Organization>> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT org_id, name, cluster, created_at, retention_days FROM organizations WHERE org_id = ?",
        )
        .bind(org_id.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.map(organization).transpose()
    }

    /// Sets how many days the organization's prompt logs are kept; `None`: as the setting says from now on.
    ///
    /// # Errors
    /// `NotFound` when there is no such organization, `Invalid` for a number of days that is none.
    pub async fn set_retention(&self, org_id: &OrgId, days: Option<u32>) -> Result<()> {
        check_retention(days)?;
        let changed = sqlx::query("UPDATE organizations SET retention_days = ? WHERE org_id = ?")
            .bind(days)
            .bind(org_id.as_str())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        if changed.rows_affected() == 0 {
            return Err(Error::not_found(format!(
                "there is no organization {org_id}; create it first"
            )));
        }
        Ok(())
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

fn check_retention(days: Option<u32>) -> Result<()> {
    let (least, most) = (RETENTION_DAYS.start(), RETENTION_DAYS.end());
    match days {
        Some(days) if !RETENTION_DAYS.contains(&days) => Err(Error::invalid(format!(
            "prompt logs are kept {least} to {most} days, not {days}"
        ))),
        _ => Ok(()),
    }
}

fn organization((org_id, name, cluster, created_at, retention_days): Row) -> Result<Organization> {
    Ok(Organization {
        org_id: OrgId::parse(&org_id).map_err(|error| damaged("an organization", error))?,
        name,
        cluster: ClusterName::parse(&cluster).map_err(|error| damaged("a cluster", error))?,
        created_at: instant(created_at)?,
        retention_days,
    })
}
