//! Roles of an organization.

use chrono::{DateTime, Utc};
use rules::{Error, OrgId, Result, Role, RoleName};
use sqlx::SqliteConnection;

use super::{Directory, column, damaged, failed, is_unique_violation, object_id};

/// What is known about a role when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRole {
    pub role: Role,
    pub description: String,
    /// `client` or `admin`.
    pub frontend_view: String,
}

/// A role of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRole {
    pub role_id: String,
    pub role: Role,
    pub description: String,
    pub frontend_view: String,
}

impl Directory {
    /// One role with its grants.
    pub async fn role(&self, org_id: &OrgId, name: &RoleName) -> Result<Option<Role>> {
        let roles = self.find_roles(org_id, Some(name)).await?;
        Ok(roles.into_iter().next().map(|stored| stored.role))
    }

    /// All roles of an organization, the oldest first.
    pub async fn roles(&self, org_id: &OrgId) -> Result<Vec<StoredRole>> {
        self.find_roles(org_id, None).await
    }

    /// One role with all there is to know.
    ///
    /// # Errors
    /// `NotFound` when the organization has no such role.
    pub async fn known_role(&self, org_id: &OrgId, name: &RoleName) -> Result<StoredRole> {
        let roles = self.find_roles(org_id, Some(name)).await?;
        roles
            .into_iter()
            .next()
            .ok_or_else(|| Error::not_found(format!("organization {org_id} has no role {name}")))
    }

    async fn find_roles(&self, org_id: &OrgId, name: Option<&RoleName>) -> Result<Vec<StoredRole>> {
        let rows = sqlx::query(
            "SELECT role_id, name, description, frontend_view, permission_grants FROM roles
             WHERE org_id = ?1 AND (?2 IS NULL OR name = ?2) ORDER BY rowid",
        )
        .bind(org_id.as_str())
        .bind(name.map(RoleName::as_str))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let stored = |row| {
            let (name, grants): (String, String) =
                (column(row, "name")?, column(row, "permission_grants")?);
            Ok(StoredRole {
                role_id: column(row, "role_id")?,
                role: role(&name, &grants)?,
                description: column(row, "description")?,
                frontend_view: column(row, "frontend_view")?,
            })
        };
        rows.iter().map(stored).collect()
    }

    /// Makes a role; returns its id.
    ///
    /// # Errors
    /// `Conflict` when the name is taken, `NotFound` for an unknown organization, `Invalid` for a description or a grant
    /// that can be none.
    pub async fn create_role(
        &self,
        org_id: &OrgId,
        new: &NewRole,
        now: DateTime<Utc>,
    ) -> Result<String> {
        check(new)?;
        let mut transaction = self.write().await?;
        let known: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM organizations WHERE org_id = ?)")
                .bind(org_id.as_str())
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed)?;
        if !known {
            return Err(Error::not_found(format!(
                "there is no organization {org_id}; create it first"
            )));
        }
        let role_id = match insert(&mut transaction, org_id, new, now).await {
            Err(error) if is_unique_violation(&error) => {
                let name = &new.role.name;
                return Err(Error::conflict(format!(
                    "organization {org_id} has a role {name} already; choose another name"
                )));
            }
            made => made.map_err(failed)?,
        };
        transaction.commit().await.map_err(failed)?;
        Ok(role_id)
    }

    /// Gives a role another description.
    ///
    /// # Errors
    /// `NotFound` when there is no such role (any more), `Invalid` for a description that can be none.
    pub async fn describe_role(
        &self,
        org_id: &OrgId,
        role_id: &str,
        description: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        check_description(description)?;
        let described = sqlx::query(
            "UPDATE roles SET description = ?, updated_at = ? WHERE org_id = ? AND role_id = ?",
        )
        .bind(description)
        .bind(now.timestamp_millis())
        .bind(org_id.as_str())
        .bind(role_id)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        match described.rows_affected() {
            0 => Err(replaced()),
            _ => Ok(()),
        }
    }

    /// Puts a new role in the place of `role_id`, whose users and keys move over; returns the new id.
    ///
    /// # Errors
    /// `Conflict` when another request replaced it first, `Invalid` as [`Directory::create_role`].
    pub async fn replace_role(
        &self,
        org_id: &OrgId,
        role_id: &str,
        new: &NewRole,
        now: DateTime<Utc>,
    ) -> Result<String> {
        check(new)?;
        let mut transaction = self.write().await?;
        // The old role steps aside under a name that no role can have.
        let aside = sqlx::query(
            "UPDATE roles SET name = char(0) || role_id WHERE org_id = ? AND role_id = ? AND name = ?",
        )
        .bind(org_id.as_str())
        .bind(role_id)
        .bind(new.role.name.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if aside.rows_affected() == 0 {
            return Err(replaced());
        }
        let new_id = insert(&mut transaction, org_id, new, now)
            .await
            .map_err(failed)?;
        for statement in [
            "UPDATE users SET role_id = ?3, updated_at = ?4 WHERE org_id = ?1 AND role_id = ?2",
            "UPDATE api_keys SET role_id = ?3, updated_at = ?4 WHERE org_id = ?1 AND role_id = ?2",
            "DELETE FROM roles WHERE org_id = ?1 AND role_id = ?2 AND ?3 IS NOT NULL AND ?4 IS NOT NULL",
        ] {
            sqlx::query(statement)
                .bind(org_id.as_str())
                .bind(role_id)
                .bind(&new_id)
                .bind(now.timestamp_millis())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(new_id)
    }
}

pub(super) fn replaced() -> Error {
    Error::conflict("the role was changed at the same time; look again")
}

fn check(new: &NewRole) -> Result<()> {
    check_description(&new.description)?;
    new.role.grants.iter().try_for_each(rules::Grant::validate)
}

/// Sentences, for people: longer than a name, with line breaks.
fn check_description(description: &str) -> Result<()> {
    const CHARS_MAX: usize = 2_000;
    let is_printable = !description.chars().any(|c| c.is_control() && c != '\n');
    if description.trim().is_empty() || description.chars().count() > CHARS_MAX || !is_printable {
        return Err(Error::invalid(format!(
            "the description of a role must be 1 to {CHARS_MAX} characters, without control characters"
        )));
    }
    Ok(())
}

/// Inserts a role; returns its id.
async fn insert(
    connection: &mut SqliteConnection,
    org_id: &OrgId,
    new: &NewRole,
    now: DateTime<Utc>,
) -> Result<String, sqlx::Error> {
    let role_id = object_id(now).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let grants = serde_json::to_string(&new.role.grants)
        .expect("grants are strings and lists under string keys");
    sqlx::query(
        "INSERT INTO roles (role_id, org_id, name, description, frontend_view, permission_grants, created_at,
         updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
    )
    .bind(&role_id)
    .bind(org_id.as_str())
    .bind(new.role.name.as_str())
    .bind(&new.description)
    .bind(&new.frontend_view)
    .bind(grants)
    .bind(now.timestamp_millis())
    .execute(connection)
    .await?;
    Ok(role_id)
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
        let new = NewRole {
            role: default.role,
            description: default.description.to_owned(),
            frontend_view: default.frontend_view.to_owned(),
        };
        insert(connection, org_id, &new, now)
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
