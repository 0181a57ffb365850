//! Sign-in with an API key (the wire contract, sections 3 and 5).

use rules::{Caller, Error, OrgId, Result, UserId, covers};

use super::secrets::NOBODYS_HASH;
use super::{Identity, Token};
use crate::directory::ApiKey;

impl Identity {
    /// A token for a user of an organization, in exchange for one of its API keys. `user_id` is none where what was
    /// given cannot be one.
    ///
    /// # Errors
    /// `NotFound` when there is no such organization. `Unauthenticated` for everything else that can be wrong: an
    /// unknown, expired or wrong key, an unknown user, a user whose role is not covered by the key's. Those answers
    /// read the same and cost the same, so that nobody learns from them which keys and users exist.
    pub async fn sign_in(
        &self,
        org_id: &OrgId,
        key_id: &str,
        secret: &str,
        user_id: Option<&UserId>,
    ) -> Result<Token> {
        self.known_organization(org_id).await?;
        let key = self.directory.api_key(org_id, key_id).await?;
        let caller = match user_id {
            Some(user_id) => self.directory.caller(org_id, user_id, self.now()).await?,
            None => None,
        };
        let hash = key.as_ref().map_or(NOBODYS_HASH, |key| &key.secret_hash);
        let matches = self
            .hashing
            .matches(secret.to_owned(), hash.to_owned())
            .await?;
        match (key, caller) {
            (Some(key), Some(caller)) if matches && self.may_sign_in(&key, &caller) => {
                self.tokens
                    .issue(org_id, &caller.user_id, Some(key_id))
                    .await
            }
            _ => Err(Error::unauthenticated(
                "the API key, its id or the user is not valid for this organization",
            )),
        }
    }

    /// Asked again at every request with the token: a key that ends, or a user who rises above it, ends the token.
    pub(super) fn may_sign_in(&self, key: &ApiKey, caller: &Caller) -> bool {
        self.now() < key.expires_at && covers(&key.role, &caller.role)
    }
}
