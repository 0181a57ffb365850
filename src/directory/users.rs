//! Users of an organization, and the look-up every request makes.

use chrono::{DateTime, Utc};
use rules::{Caller, Error, OrgId, Result, RoleName, UserId};
use sqlx::sqlite::SqliteRow;

use super::{
    Directory, check_text, column, damaged, failed, instant, is_unique_violation, roles,
    temporary_grants,
};

/// The most characters of an e-mail address (RFC 5321: 64 before the @, 255 behind it).
const EMAIL_CHARS_MAX: usize = 320;

/// What is known about a user when they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    pub org_id: OrgId,
    pub user_id: UserId,
    pub role: RoleName,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
}

/// A user of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub org_id: OrgId,
    pub user_id: UserId,
    pub role: RoleName,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Directory {
    /// Makes a user.
    ///
    /// # Errors
    /// `NotFound` for an unknown organization or role, `Conflict` for a user id or e-mail address that is taken,
    /// `Invalid` for a name or address that cannot be one.
    pub async fn create_user(&self, new: &NewUser, now: DateTime<Utc>) -> Result<()> {
        check(new)?;
        let mut transaction = self.write().await?;
        let role_id = roles::role_id(&mut transaction, &new.org_id, &new.role).await?;
        let made = sqlx::query(
            "INSERT INTO users (org_id, user_id, email, first_name, last_name, role_id, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) ON CONFLICT (org_id, user_id) DO NOTHING",
        )
        .bind(new.org_id.as_str())
        .bind(new.user_id.as_str())
        .bind(&new.email)
        .bind(&new.first_name)
        .bind(&new.last_name)
        .bind(role_id)
        .bind(now.timestamp_millis())
        .execute(&mut *transaction)
        .await;
        let NewUser {
            org_id, user_id, ..
        } = new;
        match made {
            Ok(made) if made.rows_affected() == 1 => transaction.commit().await.map_err(failed),
            Ok(_) => Err(Error::conflict(format!(
                "organization {org_id} has a user {user_id} already; choose another id"
            ))),
            Err(error) if is_unique_violation(&error) => Err(Error::conflict(format!(
                "another user of organization {org_id} has this e-mail address; give another one"
            ))),
            Err(error) => Err(failed(error)),
        }
    }

    /// All users of an organization, by id; none when there is no such organization.
    pub async fn users(&self, org_id: &OrgId) -> Result<Vec<User>> {
        let rows = sqlx::query(
            "SELECT user_id, roles.name AS role, email, first_name, last_name, users.created_at, users.updated_at
             FROM users JOIN roles USING (org_id, role_id) WHERE org_id = ? ORDER BY user_id",
        )
        .bind(org_id.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(|row| user(org_id, row)).collect()
    }

    /// What a user may do at `now`, temporary grants included: the one look-up every request makes. None when there is
    /// no such user any more.
    pub async fn caller(
        &self,
        org_id: &OrgId,
        user_id: &UserId,
        now: DateTime<Utc>,
    ) -> Result<Option<Caller>> {
        // One transaction: role and grants are of one moment.
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let row: Option<(String, String)> = sqlx::query_as(
            "SELECT name, permission_grants FROM users JOIN roles USING (org_id, role_id)
             WHERE org_id = ? AND user_id = ?",
        )
        .bind(org_id.as_str())
        .bind(user_id.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let Some((role, grants)) = row else {
            return Ok(None);
        };
        Ok(Some(Caller {
            org_id: org_id.clone(),
            user_id: user_id.clone(),
            role: roles::role(&role, &grants)?,
            temporary_grants: temporary_grants::current(&mut transaction, org_id, user_id, now)
                .await?,
        }))
    }
}

fn check(new: &NewUser) -> Result<()> {
    if let Some(email) = &new.email {
        let has_both_parts = email
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        let is_clean = !email.chars().any(|c| c.is_control() || c.is_whitespace());
        if !has_both_parts || !is_clean || email.chars().count() > EMAIL_CHARS_MAX {
            return Err(Error::invalid(
                "the e-mail address is none; give one of the form name@example.com",
            ));
        }
    }
    for (what, name) in [
        ("a first name", &new.first_name),
        ("a last name", &new.last_name),
    ] {
        if let Some(name) = name {
            check_text(what, name)?;
        }
    }
    Ok(())
}

fn user(org_id: &OrgId, row: &SqliteRow) -> Result<User> {
    let user_id: String = column(row, "user_id")?;
    let role: String = column(row, "role")?;
    Ok(User {
        org_id: org_id.clone(),
        user_id: UserId::parse(&user_id).map_err(|error| damaged("a user", error))?,
        role: RoleName::parse(&role).map_err(|error| damaged("a role", error))?,
        email: column(row, "email")?,
        first_name: column(row, "first_name")?,
        last_name: column(row, "last_name")?,
        created_at: instant(column(row, "created_at")?)?,
        updated_at: instant(column(row, "updated_at")?)?,
    })
}
