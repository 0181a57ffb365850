//! Tokens: JWTs signed with Ed25519, the only algorithm that is accepted.
//!
//! The keys live in the directory, shared by all processes of one data directory. Every key verifies, the newest
//! signs, so keys can be rotated by adding one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rules::{Error, OrgId, Result, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config;
use crate::directory::{Directory, SigningKey};

/// Who the tokens are for: this server's API, whatever the issuer is called.
const AUDIENCE: &str = "amigo-admin";

/// Our own tokens have a few hundred bytes; anything longer is not worth parsing.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the clocks of two servers of one directory may differ. Only for tokens that seem to come from the future:
/// expiry is exact.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// How often the keys are read again at most because a token names an unknown one; anybody can send such tokens.
const REREAD_INTERVAL: TimeDelta = TimeDelta::seconds(1);

/// A token and when it stops being one.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub id_token: String,
    /// A whole second, as in the token itself.
    pub expires_at: DateTime<Utc>,
}

/// Who a verified token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub org: OrgId,
    pub user: UserId,
    pub expires_at: DateTime<Utc>,
}

/// The payload of a token. Instants are Unix seconds (RFC 7519, section 2).
#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: UserId,
    org: OrgId,
    iat: i64,
    exp: i64,
    jti: String,
}

#[derive(Debug)]
pub(super) struct Tokens {
    directory: Directory,
    clock: Clock,
    issuer: String,
    lifetime: TimeDelta,
    keys: RwLock<Arc<Keys>>,
    /// When the keys were last read again; held while reading, so that a burst of unknown keys reads once.
    reread_at: tokio::sync::Mutex<Option<DateTime<Utc>>>,
}

/// The signing keys, ready to use.
struct Keys {
    newest: String,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
}

impl Tokens {
    pub(super) async fn open(
        directory: Directory,
        clock: Clock,
        settings: &config::Identity,
    ) -> Result<Self> {
        let mut stored = directory.signing_keys().await?;
        if stored.is_empty() {
            directory
                .add_first_signing_key(&new_signing_key(clock.now())?)
                .await?;
            // Not necessarily the one just made: another process may have been first.
            stored = directory.signing_keys().await?;
        }
        Ok(Self {
            keys: RwLock::new(Arc::new(Keys::new(&stored)?)),
            directory,
            clock,
            issuer: settings.issuer.clone(),
            lifetime: TimeDelta::seconds(settings.token_seconds.into()),
            reread_at: tokio::sync::Mutex::new(None),
        })
    }

    pub(super) fn issue(&self, org_id: &OrgId, user_id: &UserId) -> Result<Token> {
        let issued_at = self.clock.now().timestamp();
        let payload = Payload {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: user_id.clone(),
            org: org_id.clone(),
            iat: issued_at,
            exp: issued_at + self.lifetime.num_seconds(),
            jti: Uuid::new_v4().to_string(),
        };
        let keys = self.keys();
        let header = Header {
            kid: Some(keys.newest.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let id_token = jsonwebtoken::encode(&header, &payload, &keys.signing)
            .map_err(|error| Error::internal("signing a token failed").because(error))?;
        Ok(Token {
            id_token,
            expires_at: instant(payload.exp)
                .ok_or_else(|| Error::internal("the clock is out of range"))?,
        })
    }

    pub(super) async fn verify(&self, token: &str) -> Result<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(not_valid());
        }
        let header =
            jsonwebtoken::decode_header(token).map_err(|error| not_valid().because(error))?;
        // Before any key is looked for: no other algorithm ever meets one of our keys.
        if header.alg != Algorithm::EdDSA {
            return Err(not_valid());
        }
        let kid = header.kid.ok_or_else(not_valid)?;
        let key = self.verifying_key(&kid).await?.ok_or_else(not_valid)?;
        let payload = jsonwebtoken::decode::<Payload>(token, &key, &self.validation())
            .map_err(|error| not_valid().because(error))?
            .claims;
        self.check_times(&payload)?;
        Ok(Claims {
            org: payload.org,
            user: payload.sub,
            expires_at: instant(payload.exp).ok_or_else(not_valid)?,
        })
    }

    /// What the library checks besides the signature; times are checked here, by our own clock.
    fn validation(&self) -> Validation {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.validate_exp = false;
        validation
    }

    fn check_times(&self, payload: &Payload) -> Result<()> {
        let now = self.clock.now().timestamp();
        if now >= payload.exp {
            return Err(Error::unauthenticated(
                "the token is expired; sign in again",
            ));
        }
        if payload.iat > now + CLOCK_SKEW.num_seconds() {
            return Err(not_valid());
        }
        Ok(())
    }

    async fn verifying_key(&self, kid: &str) -> Result<Option<DecodingKey>> {
        if let Some(key) = self.keys().verifying.get(kid) {
            return Ok(Some(key.clone()));
        }
        let mut reread_at = self.reread_at.lock().await;
        let now = self.clock.now();
        // An instant in the future is one before the clock was set back: no reason to wait for it.
        let is_fresh = reread_at.is_some_and(|at| at <= now && now < at + REREAD_INTERVAL);
        if !is_fresh {
            let keys = Keys::new(&self.directory.signing_keys().await?)?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            *reread_at = Some(now);
        }
        Ok(self.keys().verifying.get(kid).cloned())
    }

    fn keys(&self) -> Arc<Keys> {
        // Writers only swap the pointer, so a poisoned lock still holds whole keys.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys {
    /// `stored` is newest first.
    fn new(stored: &[SigningKey]) -> Result<Self> {
        let newest = stored
            .first()
            .ok_or_else(|| Error::internal("the directory database has lost its signing keys"))?;
        Ok(Self {
            newest: newest.kid.clone(),
            signing: EncodingKey::from_ed_der(&newest.private_key),
            verifying: stored
                .iter()
                .map(|key| (key.kid.clone(), DecodingKey::from_ed_der(&key.public_key)))
                .collect(),
        })
    }
}

/// A new Ed25519 key pair under a random name.
pub(super) fn new_signing_key(now: DateTime<Utc>) -> Result<SigningKey> {
    let failed = "making a signing key failed";
    let private_key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|error| Error::internal(failed).because(error))?;
    let pair = Ed25519KeyPair::from_pkcs8(private_key.as_ref())
        .map_err(|error| Error::internal(failed).because(error))?;
    Ok(SigningKey {
        kid: Uuid::new_v4().simple().to_string(),
        private_key: private_key.as_ref().to_vec(),
        public_key: pair.public_key().as_ref().to_vec(),
        created_at: now,
    })
}

/// One sentence for every defect of a token but its age.
fn not_valid() -> Error {
    Error::unauthenticated("the token is not valid; sign in again")
}

fn instant(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Without the private half.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}
