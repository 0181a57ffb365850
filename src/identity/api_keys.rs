//! API keys (the wire contract, section 5): made here, shown once, kept as a hash.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use rules::{Error, OrgId, Result, RoleName, UserId};

use super::{Identity, secrets};
use crate::directory::{NewApiKey, object_id};

/// The longest life of a key, in days; the shortest is one day.
pub const DAYS_MAX: u32 = 90;

/// A key as it is shown, once, to whoever made it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The public half, 24 hexadecimal digits.
    pub api_key_id: String,
    /// The secret half, 43 characters of base64url.
    pub api_key: String,
    pub expires_at: DateTime<Utc>,
}

impl Identity {
    /// Makes a key that signs in users whose role `role` covers; `creator` is none for an operator.
    ///
    /// # Errors
    /// `Invalid` for a life other than 1 to [`DAYS_MAX`] days, a blank name, or one key too many; `NotFound` for an
    /// unknown organization or role.
    pub async fn create_api_key(
        &self,
        org_id: &OrgId,
        role: &RoleName,
        life: TimeDelta,
        name: Option<&str>,
        creator: Option<(OrgId, UserId)>,
    ) -> Result<NewKey> {
        let days = |days: u32| TimeDelta::days(days.into());
        if !(days(1)..=days(DAYS_MAX)).contains(&life) {
            return Err(Error::invalid(format!(
                "an API key lives 1 to {DAYS_MAX} days"
            )));
        }
        let now = self.now();
        let key = NewKey {
            api_key_id: object_id(now)?,
            api_key: secrets::new_secret()?,
            expires_at: now + life,
        };
        let new = NewApiKey {
            org_id: org_id.clone(),
            key_id: key.api_key_id.clone(),
            secret_hash: self.hashing.hash(key.api_key.clone()).await?,
            name: name.map(str::to_owned),
            role: role.clone(),
            expires_at: key.expires_at,
            creator,
        };
        self.directory.create_api_key(&new, now).await?;
        Ok(key)
    }
}

/// Without the secret half.
impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("api_key_id", &self.api_key_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
