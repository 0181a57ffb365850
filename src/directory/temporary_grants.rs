//! Temporary permission grants: one more grant for one user, until it expires (the wire contract, section 5).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rules::{Error, Grant, OrgId, Result, UserId};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{Directory, column, damaged, failed, instant, object_id};

/// The fewest and the most characters of a justification.
const JUSTIFICATION_CHARS_MIN: usize = 10;
const JUSTIFICATION_CHARS_MAX: usize = 2_000;

/// What is known about a grant when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTemporaryGrant {
    pub org_id: OrgId,
    pub user_id: UserId,
    pub grant: Grant,
    /// Why the user needs it, for whoever looks later.
    pub justification: String,
    pub tags: BTreeMap<String, Option<String>>,
    pub expires_at: DateTime<Utc>,
    /// None: an operator, on the command line.
    pub creator: Option<(OrgId, UserId)>,
}

/// A stored grant, expired or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemporaryGrant {
    pub id: String,
    pub org_id: OrgId,
    pub user_id: UserId,
    pub grant: Grant,
    pub justification: String,
    pub tags: BTreeMap<String, Option<String>>,
    pub creator: Option<(OrgId, UserId)>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl Directory {
    /// Stores a grant, which counts from now on; returns its id.
    ///
    /// # Errors
    /// `NotFound` for an unknown organization or user, `Invalid` for a grant that cannot mean anything, a justification
    /// that is too short, or an end that has passed.
    pub async fn create_temporary_grant(
        &self,
        new: &NewTemporaryGrant,
        now: DateTime<Utc>,
    ) -> Result<String> {
        check(new, now)?;
        let mut transaction = self.write().await?;
        let NewTemporaryGrant {
            org_id, user_id, ..
        } = new;
        known_user(&mut transaction, org_id, user_id).await?;
        let id = object_id(now)?;
        let json =
            |error: serde_json::Error| Error::internal("the grant cannot be stored").because(error);
        let (creator_org, creator_user) =
            new.creator.as_ref().map_or((None, None), |(org, user)| {
                (Some(org.as_str()), Some(user.as_str()))
            });
        sqlx::query(
            "INSERT INTO temporary_permission_grants (id, org_id, user_id, permission_grant, justification, tags,
             creator_org_id, creator_user_id, created_at, updated_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)",
        )
        .bind(&id)
        .bind(org_id.as_str())
        .bind(user_id.as_str())
        .bind(serde_json::to_string(&new.grant).map_err(json)?)
        .bind(new.justification.trim())
        .bind(serde_json::to_string(&new.tags).map_err(json)?)
        .bind(creator_org)
        .bind(creator_user)
        .bind(now.timestamp_millis())
        .bind(new.expires_at.timestamp_millis())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    /// The grants of an organization, or of one of its users, the newest first; expired ones too.
    pub async fn temporary_grants(
        &self,
        org_id: &OrgId,
        user_id: Option<&UserId>,
    ) -> Result<Vec<TemporaryGrant>> {
        let rows = sqlx::query(
            "SELECT id, user_id, permission_grant, justification, tags, creator_org_id, creator_user_id, created_at,
             updated_at, expires_at FROM temporary_permission_grants
             WHERE org_id = ?1 AND (?2 IS NULL OR user_id = ?2) ORDER BY created_at DESC, id DESC",
        )
        .bind(org_id.as_str())
        .bind(user_id.map(UserId::as_str))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter()
            .map(|row| temporary_grant(org_id, row))
            .collect()
    }

    /// Ends a grant at once.
    ///
    /// # Errors
    /// `NotFound` when the organization has no such grant.
    pub async fn revoke_temporary_grant(&self, org_id: &OrgId, id: &str) -> Result<()> {
        let revoked =
            sqlx::query("DELETE FROM temporary_permission_grants WHERE org_id = ? AND id = ?")
                .bind(org_id.as_str())
                .bind(id)
                .execute(&self.pool)
                .await
                .map_err(failed)?;
        if revoked.rows_affected() == 0 {
            return Err(Error::not_found(format!(
                "organization {org_id} has no temporary grant of this id; amigo-admin grant list {org_id} shows all"
            )));
        }
        Ok(())
    }
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| damaged("a temporary grant", error))
}

async fn known_user(
    connection: &mut SqliteConnection,
    org_id: &OrgId,
    user_id: &UserId,
) -> Result<()> {
    let users: Vec<String> =
        sqlx::query_scalar("SELECT user_id FROM users WHERE org_id = ? AND user_id = ?")
            .bind(org_id.as_str())
            .bind(user_id.as_str())
            .fetch_all(connection)
            .await
            .map_err(failed)?;
    if users.is_empty() {
        return Err(Error::not_found(format!(
            "organization {org_id} has no user {user_id}; create the user first"
        )));
    }
    Ok(())
}

fn check(new: &NewTemporaryGrant, now: DateTime<Utc>) -> Result<()> {
    new.grant.validate()?;
    let justification = new.justification.trim();
    let chars = justification.chars().count();
    let is_printable = !justification.chars().any(|c| c.is_control() && c != '\n');
    if !(JUSTIFICATION_CHARS_MIN..=JUSTIFICATION_CHARS_MAX).contains(&chars) || !is_printable {
        return Err(Error::invalid(format!(
            "the justification must be {JUSTIFICATION_CHARS_MIN} to {JUSTIFICATION_CHARS_MAX} characters, without control characters"
        )));
    }
    if new.expires_at <= now {
        return Err(Error::invalid("a temporary grant must end in the future"));
    }
    Ok(())
}

fn temporary_grant(org_id: &OrgId, row: &SqliteRow) -> Result<TemporaryGrant> {
    let user_id =
        |text: &str| UserId::parse(text).map_err(|error| damaged("a temporary grant", error));
    let creator_org: Option<String> = column(row, "creator_org_id")?;
    let creator_user: Option<String> = column(row, "creator_user_id")?;
    let creator = creator_org.zip(creator_user).map(|(org, user)| {
        let org = OrgId::parse(&org).map_err(|error| damaged("a temporary grant", error))?;
        Ok::<_, Error>((org, user_id(&user)?))
    });
    let (user, grant): (String, String) =
        (column(row, "user_id")?, column(row, "permission_grant")?);
    let tags: String = column(row, "tags")?;
    Ok(TemporaryGrant {
        id: column(row, "id")?,
        org_id: org_id.clone(),
        user_id: user_id(&user)?,
        grant: parse(&grant)?,
        justification: column(row, "justification")?,
        tags: parse(&tags)?,
        creator: creator.transpose()?,
        created_at: instant(column(row, "created_at")?)?,
        updated_at: instant(column(row, "updated_at")?)?,
        expires_at: instant(column(row, "expires_at")?)?,
    })
}
