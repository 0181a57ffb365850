//! API keys of an organization; of their secrets only hashes.

use std::fmt;

use chrono::{DateTime, Utc};
use rules::{Error, OrgId, Result, Role, RoleName, UserId};
use sqlx::sqlite::SqliteRow;

use super::{Directory, check_text, column, damaged, failed, instant, object_id, roles};

/// The most keys of an organization that have not expired (the wire contract, section 5).
pub const API_KEYS_MAX: i64 = 20;

/// What is known about a key when it is made.
#[derive(Clone)]
pub struct NewApiKey {
    pub org_id: OrgId,
    /// The public half, unique on this server.
    pub key_id: String,
    /// The hash of the secret half, in PHC form.
    pub secret_hash: String,
    pub name: Option<String>,
    pub role: RoleName,
    pub expires_at: DateTime<Utc>,
    /// None: an operator, on the command line.
    pub creator: Option<UserId>,
}

/// A stored key.
#[derive(Clone)]
pub struct ApiKey {
    /// Its `_id` in lists; `key_id` is what callers send.
    pub id: String,
    pub org_id: OrgId,
    pub key_id: String,
    pub secret_hash: String,
    pub name: Option<String>,
    /// It signs in users whose role this one covers.
    pub role: Role,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub creator: Option<UserId>,
}

impl Directory {
    /// Stores a key.
    ///
    /// # Errors
    /// `NotFound` for an unknown organization or role, `Invalid` when the organization has [`API_KEYS_MAX`] keys that
    /// have not expired, or for a blank or overlong name.
    pub async fn create_api_key(&self, new: &NewApiKey, now: DateTime<Utc>) -> Result<()> {
        if let Some(name) = &new.name {
            check_text("the name of an API key", name)?;
        }
        let NewApiKey { org_id, .. } = new;
        let mut transaction = self.write().await?;
        let role_id = roles::role_id(&mut transaction, org_id, &new.role).await?;
        let live: i64 =
            sqlx::query_scalar("SELECT count(*) FROM api_keys WHERE org_id = ? AND expires_at > ?")
                .bind(org_id.as_str())
                .bind(now.timestamp_millis())
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed)?;
        if live >= API_KEYS_MAX {
            return Err(Error::invalid(format!(
                "organization {org_id} has {live} API keys, the most allowed; delete one or let one expire"
            )));
        }
        sqlx::query(
            "INSERT INTO api_keys (id, org_id, key_id, secret_hash, name, role_id, created_at, updated_at, expires_at,
             creator_user_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)",
        )
        .bind(object_id(now)?)
        .bind(org_id.as_str())
        .bind(&new.key_id)
        .bind(&new.secret_hash)
        .bind(&new.name)
        .bind(role_id)
        .bind(now.timestamp_millis())
        .bind(new.expires_at.timestamp_millis())
        .bind(new.creator.as_ref().map(UserId::as_str))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// A key by its public half, expired or not.
    pub async fn api_key(&self, org_id: &OrgId, key_id: &str) -> Result<Option<ApiKey>> {
        let row = sqlx::query(
            "SELECT id, secret_hash, api_keys.name, roles.name AS role, permission_grants, api_keys.created_at,
             api_keys.updated_at, expires_at, creator_user_id
             FROM api_keys JOIN roles USING (org_id, role_id) WHERE org_id = ? AND key_id = ?",
        )
        .bind(org_id.as_str())
        .bind(key_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.map(|row| api_key(org_id, key_id, &row)).transpose()
    }
}

fn api_key(org_id: &OrgId, key_id: &str, row: &SqliteRow) -> Result<ApiKey> {
    let role: String = column(row, "role")?;
    let grants: String = column(row, "permission_grants")?;
    let creator: Option<String> = column(row, "creator_user_id")?;
    let creator = creator.as_deref().map(UserId::parse).transpose();
    Ok(ApiKey {
        id: column(row, "id")?,
        org_id: org_id.clone(),
        key_id: key_id.to_owned(),
        secret_hash: column(row, "secret_hash")?,
        name: column(row, "name")?,
        role: roles::role(&role, &grants)?,
        created_at: instant(column(row, "created_at")?)?,
        updated_at: instant(column(row, "updated_at")?)?,
        expires_at: instant(column(row, "expires_at")?)?,
        creator: creator.map_err(|error| damaged("an API key", error))?,
    })
}

/// Without the hash: a weak secret could be guessed from it, offline.
impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewApiKey")
            .field("org_id", &self.org_id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Without the hash, as [`NewApiKey`].
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("org_id", &self.org_id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
