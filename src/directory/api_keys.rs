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
    pub creator: Option<(OrgId, UserId)>,
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
    pub creator: Option<(OrgId, UserId)>,
    pub role_id: String,
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
             creator_org_id, creator_user_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10)",
        )
        .bind(object_id(now)?)
        .bind(org_id.as_str())
        .bind(&new.key_id)
        .bind(&new.secret_hash)
        .bind(&new.name)
        .bind(role_id)
        .bind(now.timestamp_millis())
        .bind(new.expires_at.timestamp_millis())
        .bind(new.creator.as_ref().map(|(org, _)| org.as_str()))
        .bind(new.creator.as_ref().map(|(_, user)| user.as_str()))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// A key by its public half, expired or not.
    pub async fn api_key(&self, org_id: &OrgId, key_id: &str) -> Result<Option<ApiKey>> {
        let mut keys = self.find_api_keys(org_id, Some(key_id)).await?;
        Ok(keys.pop())
    }

    /// All keys of an organization, the oldest first; expired ones too.
    pub async fn api_keys(&self, org_id: &OrgId) -> Result<Vec<ApiKey>> {
        self.find_api_keys(org_id, None).await
    }

    async fn find_api_keys(&self, org_id: &OrgId, key_id: Option<&str>) -> Result<Vec<ApiKey>> {
        let rows = sqlx::query(
            "SELECT id, key_id, secret_hash, api_keys.name, role_id, roles.name AS role, permission_grants,
             api_keys.created_at, api_keys.updated_at, expires_at, creator_org_id, creator_user_id
             FROM api_keys JOIN roles USING (org_id, role_id)
             WHERE org_id = ?1 AND (?2 IS NULL OR key_id = ?2) ORDER BY api_keys.created_at, id",
        )
        .bind(org_id.as_str())
        .bind(key_id)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(|row| api_key(org_id, row)).collect()
    }

    /// Deletes a key: it signs nobody in any more, and the tokens that were signed in with it end.
    ///
    /// # Errors
    /// `NotFound` when the organization has no such key.
    pub async fn delete_api_key(&self, org_id: &OrgId, key_id: &str) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM api_keys WHERE org_id = ? AND key_id = ?")
            .bind(org_id.as_str())
            .bind(key_id)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        if deleted.rows_affected() == 0 {
            return Err(Error::not_found(format!(
                "organization {org_id} has no API key of this id"
            )));
        }
        Ok(())
    }
}

fn api_key(org_id: &OrgId, row: &SqliteRow) -> Result<ApiKey> {
    let role: String = column(row, "role")?;
    let grants: String = column(row, "permission_grants")?;
    let creator: Option<String> = column(row, "creator_user_id")?;
    let creator_org: Option<String> = column(row, "creator_org_id")?;
    let creator = creator.map(|user| {
        let org = creator_org
            .as_deref()
            .map_or(Ok(org_id.clone()), OrgId::parse);
        Ok::<_, Error>((org?, UserId::parse(&user)?))
    });
    Ok(ApiKey {
        id: column(row, "id")?,
        org_id: org_id.clone(),
        key_id: column(row, "key_id")?,
        secret_hash: column(row, "secret_hash")?,
        name: column(row, "name")?,
        role: roles::role(&role, &grants)?,
        created_at: instant(column(row, "created_at")?)?,
        updated_at: instant(column(row, "updated_at")?)?,
        expires_at: instant(column(row, "expires_at")?)?,
        creator: creator
            .transpose()
            .map_err(|error| damaged("an API key", error))?,
        role_id: column(row, "role_id")?,
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
