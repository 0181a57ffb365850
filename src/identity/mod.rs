//! Who is calling: API keys, sign-in and tokens.
//!
//! `http/caller` and the command line → here → `directory`. A token proves who somebody was when they signed in; what
//! they may do is looked up at every request, so a changed role or a removed user counts at once.
//! Promises: secrets and tokens appear in no error and in no debug output; every refusal of a sign-in reads the same
//! and costs the same, whatever was wrong.
//! Not here: which header carried the token, and what a caller may do (`rules::decide`).

use chrono::{DateTime, Utc};
use rules::{Caller, Error, OrgId, Result, UserId};

use crate::clock::Clock;
use crate::config;
use crate::directory::Directory;

mod api_keys;
mod secrets;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;

pub use api_keys::{DAYS_MAX, NewKey};
pub use tokens::{Claims, Token};

use secrets::Hashing;
use tokens::Tokens;

/// Everything about who is calling, over one directory.
#[derive(Debug)]
pub struct Identity {
    directory: Directory,
    clock: Clock,
    tokens: Tokens,
    hashing: Hashing,
}

impl Identity {
    /// Reads the signing keys; the very first start makes one.
    pub async fn open(
        directory: Directory,
        clock: Clock,
        settings: &config::Identity,
    ) -> Result<Self> {
        let tokens = Tokens::open(directory.clone(), clock.clone(), settings).await?;
        Ok(Self {
            directory,
            clock,
            tokens,
            hashing: Hashing::new(),
        })
    }

    /// A token for a user, on the operator's own authority.
    ///
    /// # Errors
    /// `NotFound` when there is no such organization or user.
    pub async fn issue(&self, org_id: &OrgId, user_id: &UserId) -> Result<Token> {
        let caller = self.directory.caller(org_id, user_id, self.now()).await?;
        if caller.is_none() {
            self.known_organization(org_id).await?;
            return Err(Error::not_found(format!(
                "organization {org_id} has no user {user_id}; create the user first"
            )));
        }
        self.tokens.issue(org_id, user_id)
    }

    /// What a token says, if this server issued it and it has not expired.
    ///
    /// # Errors
    /// `Unauthenticated`, never quoting the token.
    pub async fn verify(&self, token: &str) -> Result<Claims> {
        self.tokens.verify(token).await
    }

    /// The caller a token names, with the role and the temporary grants they have now.
    ///
    /// # Errors
    /// `Unauthenticated` as [`Identity::verify`], or because the user no longer exists.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        let claims = self.verify(token).await?;
        self.directory
            .caller(&claims.org, &claims.user, self.now())
            .await?
            .ok_or_else(|| {
                Error::unauthenticated("the token's user no longer exists; sign in again")
            })
    }

    async fn known_organization(&self, org_id: &OrgId) -> Result<()> {
        match self.directory.organization(org_id).await? {
            Some(_) => Ok(()),
            None => Err(Error::not_found(format!(
                "there is no organization {org_id}; check its id"
            ))),
        }
    }

    /// The present instant as the directory stores it, to the millisecond.
    fn now(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }
}
