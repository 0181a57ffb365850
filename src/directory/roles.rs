//! Roles of an organization.

use chrono::{DateTime, Utc};
use rules::{Error, OrgId, Result, Role, RoleName};
use sqlx::SqliteConnection;

use super::{Directory, damaged, failed, object_id};

impl Directory {
    /// One role with its grants.
    pub async fn role(&self, org_id: &OrgId, name: &RoleName) -> Result<Option<Role>> {
        let row: Option<(String, String)> = sqlx::query_as(
            "SELECT name, permission_grants FROM roles WHERE org_id = ? AND name = ?",
        )
        .bind(org_id.as_str())
        .bind(name.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.map(|(name, grants)| role(&name, &grants)).transpose()
    }
}

/// A role from its columns. Whatever cannot be read is an error: a grant left out could be a Deny.
pub(super) fn role(name: &str, permission_grants: &str) -> Result<Role> {
    Ok(Role {
        name: RoleName::parse(name).map_err(|error| damaged("a role", error))?,
        grants: serde_json::from_str(permission_grants)
            .map_err(|error| damaged("a role", error))?,
    })
}

/// Gives a new organization the default roles (the wire contract, section 5).
pub(super) async fn insert_defaults(
    connection: &mut SqliteConnection,
    org_id: &OrgId,
    now: DateTime<Utc>,
) -> Result<()> {
    for default in rules::default_roles() {
        let grants = serde_json::to_string(&default.role.grants)
            .expect("grants are strings and lists under string keys");
        sqlx::query(
            "INSERT INTO roles (role_id, org_id, name, description, frontend_view, permission_grants, created_at,
             updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        )
        .bind(object_id(now)?)
        .bind(org_id.as_str())
        .bind(default.role.name.as_str())
        .bind(default.description)
        .bind(default.frontend_view)
        .bind(grants)
        .bind(now.timestamp_millis())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

/// The id of a role, for the row that is about to refer to it.
///
/// # Errors
/// `NotFound` when the organization, or its role, does not exist; the message lists the roles there are.
pub(super) async fn role_id(
    connection: &mut SqliteConnection,
    org_id: &OrgId,
    name: &RoleName,
) -> Result<String> {
    let roles: Vec<(String, String)> =
        sqlx::query_as("SELECT role_id, name FROM roles WHERE org_id = ? ORDER BY rowid")
            .bind(org_id.as_str())
            .fetch_all(connection)
            .await
            .map_err(failed)?;
    // Every organization is made with roles, in one transaction.
    if roles.is_empty() {
        return Err(Error::not_found(format!(
            "there is no organization {org_id}; create it first"
        )));
    }
    match roles
        .iter()
        .find(|(_, candidate)| candidate == name.as_str())
    {
        Some((role_id, _)) => Ok(role_id.clone()),
        None => {
            let names: Vec<&str> = roles.iter().map(|(_, name)| name.as_str()).collect();
            Err(Error::not_found(format!(
                "organization {org_id} has no role {name}; it has {}",
                names.join(", ")
            )))
        }
    }
}
