//! Users of an organization, and the look-up every request makes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rules::{Caller, Error, OrgId, Result, RoleName, UserId};
use serde_json::json;
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

/// What the published API tells of a user beside all this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserDetails {
    /// As they were given.
    pub preferences: serde_json::Map<String, serde_json::Value>,
    pub nonsensitive_variables: BTreeMap<String, String>,
    /// Their names alone: nothing here uses the values, so they are not kept.
    pub sensitive_variables: Vec<String>,
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
    pub role_id: String,
    pub details: UserDetails,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl User {
    /// An e-mail address as it is, if it can be one.
    ///
    /// # Errors
    /// `Invalid` otherwise.
    pub fn check_email(email: &str) -> Result<String> {
        let has_both_parts = email
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        let is_clean = !email.chars().any(|c| c.is_control() || c.is_whitespace());
        if !has_both_parts || !is_clean || email.chars().count() > EMAIL_CHARS_MAX {
            return Err(Error::invalid(
                "the e-mail address is none; give one of the form name@example.com",
            ));
        }
        Ok(email.to_owned())
    }
}

/// A user as a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub caller: Caller,
    /// The id of the caller's role.
    pub role_id: String,
    /// When the user was made: an id may be given again to somebody else.
    pub since: DateTime<Utc>,
}

impl Directory {
    /// Makes a user.
    ///
    /// # Errors
    /// `NotFound` for an unknown organization or role, `Conflict` for a user id or e-mail address that is taken,
    /// `Invalid` for a name or address that cannot be one.
    pub async fn create_user(&self, new: &NewUser, now: DateTime<Utc>) -> Result<()> {
        self.create_user_with(new, &UserDetails::default(), now)
            .await
    }

    /// The same with details.
    ///
    /// # Errors
    /// As [`Directory::create_user`].
    pub async fn create_user_with(
        &self,
        new: &NewUser,
        details: &UserDetails,
        now: DateTime<Utc>,
    ) -> Result<()> {
        check(new)?;
        let UserDetails {
            preferences,
            nonsensitive_variables,
            sensitive_variables,
        } = details;
        let mut transaction = self.write().await?;
        let role_id = roles::role_id(&mut transaction, &new.org_id, &new.role).await?;
        let made = sqlx::query(
            "INSERT INTO users (org_id, user_id, email, first_name, last_name, role_id, created_at, updated_at,
             preferences, nonsensitive_variables, sensitive_variables)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10) ON CONFLICT (org_id, user_id) DO NOTHING",
        )
        .bind(new.org_id.as_str())
        .bind(new.user_id.as_str())
        .bind(&new.email)
        .bind(&new.first_name)
        .bind(&new.last_name)
        .bind(role_id)
        .bind(now.timestamp_millis())
        .bind(json!(preferences).to_string())
        .bind(json!(nonsensitive_variables).to_string())
        .bind(json!(sensitive_variables).to_string())
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
            "SELECT user_id, role_id, roles.name AS role, email, first_name, last_name, users.created_at, users.updated_at,
             preferences, nonsensitive_variables, sensitive_variables
             FROM users JOIN roles USING (org_id, role_id) WHERE org_id = ? ORDER BY user_id",
        )
        .bind(org_id.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(|row| user(org_id, row)).collect()
    }

    /// The user with this e-mail address, whatever its capitals; none when the organization has none.
    pub async fn user_with_email(&self, org_id: &OrgId, email: &str) -> Result<Option<UserId>> {
        let user_id: Option<String> = sqlx::query_scalar(
            "SELECT user_id FROM users WHERE org_id = ? AND email = ? COLLATE NOCASE",
        )
        .bind(org_id.as_str())
        .bind(email)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        let user_id =
            user_id.map(|id| UserId::parse(&id).map_err(|error| damaged("a user", error)));
        user_id.transpose()
    }

    /// Deletes a user, who must still have the role `of` where it is given, and what was granted to them: tokens that name
    /// them end.
    ///
    /// # Errors
    /// `NotFound` when the organization has no such user, `Conflict` when the user has another role.
    pub async fn delete_user(
        &self,
        org_id: &OrgId,
        user_id: &UserId,
        of: Option<&str>,
    ) -> Result<()> {
        let deleted = sqlx::query(
            "DELETE FROM users WHERE org_id = ?1 AND user_id = ?2 AND role_id = coalesce(?3, role_id)",
        )
        .bind(org_id.as_str())
        .bind(user_id.as_str())
        .bind(of)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        match deleted.rows_affected() {
            0 => Err(self.no_such_user(org_id, user_id).await),
            _ => Ok(()),
        }
    }

    /// Gives a user, who must still have the role `from` where it is given, another role, by its id: a role that was replaced
    /// meanwhile is not there any more.
    ///
    /// # Errors
    /// `NotFound` when the organization has no such user, `Conflict` when the user has another role, or the new one is gone.
    pub async fn assign_role(
        &self,
        org_id: &OrgId,
        user_id: &UserId,
        from: Option<&str>,
        role_id: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let assigned = sqlx::query(
            "UPDATE users SET role_id = ?3, updated_at = ?4
             WHERE org_id = ?1 AND user_id = ?2 AND role_id = coalesce(?5, role_id)
             AND EXISTS (SELECT 1 FROM roles WHERE org_id = ?1 AND role_id = ?3)",
        )
        .bind(org_id.as_str())
        .bind(user_id.as_str())
        .bind(role_id)
        .bind(now.timestamp_millis())
        .bind(from)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        match assigned.rows_affected() {
            0 => Err(self.no_such_user(org_id, user_id).await),
            _ => Ok(()),
        }
    }

    /// Why a user with that role was not found.
    async fn no_such_user(&self, org_id: &OrgId, user_id: &UserId) -> Error {
        let is_there = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM users WHERE org_id = ? AND user_id = ?)",
        )
        .bind(org_id.as_str())
        .bind(user_id.as_str())
        .fetch_one(&self.pool)
        .await;
        match is_there {
            Ok(true) => roles::replaced(),
            Ok(false) => no_user(org_id, user_id),
            Err(error) => failed(error),
        }
    }

    /// What a user may do at `now`, temporary grants included. None when there is no such user any more.
    pub async fn caller(
        &self,
        org_id: &OrgId,
        user_id: &UserId,
        now: DateTime<Utc>,
    ) -> Result<Option<Caller>> {
        let standing = self.standing(org_id, user_id, now).await?;
        Ok(standing.map(|standing| standing.caller))
    }

    /// The same with when the user was made: the one look-up every request makes.
    pub async fn standing(
        &self,
        org_id: &OrgId,
        user_id: &UserId,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>> {
        // One statement: role and grants are of one moment, and every request waits for it. A grant that cannot be read is
        // an error: it could be a Deny.
        let row: Option<(String, String, String, i64, String)> = sqlx::query_as(
            "SELECT role_id, name, permission_grants, users.created_at,
               (SELECT json_group_array(json(permission_grant) ORDER BY id) FROM temporary_permission_grants AS own
                WHERE own.org_id = ?1 AND own.user_id = ?2 AND own.expires_at > ?3)
             FROM users JOIN roles USING (org_id, role_id) WHERE org_id = ?1 AND user_id = ?2",
        )
        .bind(org_id.as_str())
        .bind(user_id.as_str())
        .bind(now.timestamp_millis())
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        let Some((role_id, role, grants, since, temporary_grants)) = row else {
            return Ok(None);
        };
        let caller = Caller {
            org_id: org_id.clone(),
            user_id: user_id.clone(),
            role: roles::role(&role, &grants)?,
            temporary_grants: temporary_grants::parse(&temporary_grants)?,
        };
        let since = instant(since)?;
        Ok(Some(Standing {
            caller,
            role_id,
            since,
        }))
    }
}

pub(crate) fn no_user(org_id: &OrgId, user_id: &UserId) -> Error {
    Error::not_found(format!("organization {org_id} has no user {user_id}"))
}

fn check(new: &NewUser) -> Result<()> {
    if let Some(email) = &new.email {
        User::check_email(email)?;
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
    let details = UserDetails {
        preferences: parse(column(row, "preferences")?)?,
        nonsensitive_variables: parse(column(row, "nonsensitive_variables")?)?,
        sensitive_variables: parse(column(row, "sensitive_variables")?)?,
    };
    Ok(User {
        org_id: org_id.clone(),
        user_id: UserId::parse(&user_id).map_err(|error| damaged("a user", error))?,
        role: RoleName::parse(&role).map_err(|error| damaged("a role", error))?,
        email: column(row, "email")?,
        first_name: column(row, "first_name")?,
        last_name: column(row, "last_name")?,
        role_id: column(row, "role_id")?,
        details,
        created_at: instant(column(row, "created_at")?)?,
        updated_at: instant(column(row, "updated_at")?)?,
    })
}

fn parse<T: serde::de::DeserializeOwned>(json: String) -> Result<T> {
    serde_json::from_str(&json).map_err(|error| damaged("a user", error))
}
