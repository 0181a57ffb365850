//! Who is calling: API keys, sign-in, tokens, and those of organizations' own OpenID providers.
//!
//! `http/caller` and the command line → here → `directory`. A token proves who somebody was when they signed in; what
//! they may do is looked up at every request, so a changed role, a removed user and a revoked key count at once.
//! Promises: secrets and tokens appear in no error and in no debug output; every refusal of a sign-in reads the same
//! and costs the same, whatever was wrong.
//! Not here: which header carried the token, and what a caller may do (`rules::decide`).

use chrono::{DateTime, Utc};
use rules::{Caller, Error, OrgId, Result, UserId};

use crate::clock::Clock;
use crate::config;
use crate::directory::{Directory, Standing};

mod api_keys;
mod jwks;
mod openid;
mod secrets;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;
mod user_ids;

pub use api_keys::{DAYS_MAX, NewKey};
pub use tokens::{Claims, PublicKey, Token};

use openid::Providers;
use secrets::Hashing;
use tokens::{Tokens, new_signing_key};

/// Everything about who is calling, over one directory.
#[derive(Debug)]
pub struct Identity {
    directory: Directory,
    clock: Clock,
    tokens: Tokens,
    providers: Providers,
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
            providers: Providers::default(),
            hashing: Hashing::new(),
        })
    }

    /// The same, taking the tokens of organizations' OpenID providers too.
    ///
    /// # Errors
    /// `Internal` when this machine can make no HTTP client.
    pub fn with_providers<'a>(
        self,
        declared: impl Iterator<Item = (&'a OrgId, &'a config::OpenId)>,
    ) -> Result<Self> {
        let providers = Providers::new(declared, &self.clock)?;
        Ok(Self { providers, ..self })
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
        self.tokens.issue(org_id, user_id, None).await
    }

    /// What a token says, if this server or the OpenID provider of an organization issued it and it has not expired.
    ///
    /// # Errors
    /// `Unauthenticated`, never quoting the token; `Unavailable` while a provider's keys cannot be read.
    pub async fn verify(&self, token: &str) -> Result<Claims> {
        match self.providers.of(token) {
            Some(provider) => provider.verify(token, &self.directory, &self.clock).await,
            None => self.tokens.verify(token).await,
        }
    }

    /// The caller a token names, with the role and the temporary grants they have now.
    ///
    /// # Errors
    /// As [`Identity::verify`] and [`Identity::caller`].
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        let claims = self.verify(token).await?;
        self.caller(&claims).await
    }

    /// The caller that a verified token names, as they are now.
    ///
    /// # Errors
    /// `Unauthenticated` when the token no longer stands: its user is gone (or is another one, made later, of the same id),
    /// or the API key it was signed in with would no longer sign the user in.
    pub async fn caller(&self, claims: &Claims) -> Result<Caller> {
        let now = self.now();
        let standing = self
            .directory
            .standing(&claims.org, &claims.user, now)
            .await?;
        let standing =
            standing.filter(|standing| standing.since.timestamp() <= claims.issued_at.timestamp());
        let Some(Standing { caller, .. }) = standing else {
            return Err(Error::unauthenticated(
                "the token's user no longer exists; sign in again",
            ));
        };
        if let Some(key_id) = &claims.api_key_id {
            let key = self.directory.api_key(&claims.org, key_id).await?;
            if !key.is_some_and(|key| self.may_sign_in(&key, &caller)) {
                return Err(Error::unauthenticated(
                    "the API key that this token was signed in with no longer counts for its user; sign in again",
                ));
            }
        }
        Ok(caller)
    }

    /// Makes a key that signs every token from now on, in all processes; the older ones verify until the last token they
    /// signed has expired, so nobody is signed out.
    pub async fn rotate_signing_key(&self) -> Result<PublicKey> {
        self.directory
            .add_signing_key(&new_signing_key(self.now())?)
            .await?;
        let keys = self.public_keys().await?;
        let newest = keys.into_iter().next();
        newest.ok_or_else(|| Error::internal("the new signing key is not there"))
    }

    /// All signing keys, newest first, retired ones too.
    pub async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        self.tokens.public_keys().await
    }

    /// # Errors
    /// `NotFound` when there is no such organization.
    pub async fn known_organization(&self, org_id: &OrgId) -> Result<()> {
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
