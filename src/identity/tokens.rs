//! Tokens: JWTs signed with Ed25519, the only algorithm that is accepted.
//!
//! The keys live in the directory, shared by all processes of one data directory. The newest signs. Keys are rotated by
//! adding one: the older ones verify for as long as a token they signed can live, then they are retired.

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

/// Our own tokens have a few hundred bytes, those of OpenID providers a few thousand; anything longer is not worth parsing.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the clocks of two machines may differ. Only for tokens that seem to come from the future and for keys that are
/// about to retire: expiry is exact.
pub(super) const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// How often the keys are read again at most because a token names an unknown one; anybody can send such tokens.
const REREAD_INTERVAL: TimeDelta = TimeDelta::seconds(1);

/// How old the keys may be that verify: a key retires in a server that signs nobody in, too.
const AGE_MAX: TimeDelta = TimeDelta::seconds(60);

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
    /// The API key the user signed in with; none for a token of the operator's own authority.
    pub api_key_id: Option<String>,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// What others may know of a signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// Ed25519, the 32 bytes.
    pub bytes: Vec<u8>,
    pub created_at: DateTime<Utc>,
    /// When no token it signed can be alive any more; none for the key that signs.
    pub retires_at: Option<DateTime<Utc>>,
}

impl PublicKey {
    /// Whether tokens of this key are still taken.
    pub fn verifies(&self, now: DateTime<Utc>) -> bool {
        self.retires_at.is_none_or(|at| now < at)
    }
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
    /// Never in our own tokens; one that is there counts.
    #[serde(default, skip_serializing)]
    nbf: Option<i64>,
    jti: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    akid: Option<String>,
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
    verifying: HashMap<String, Verifying>,
}

#[derive(Clone)]
struct Verifying {
    key: DecodingKey,
    /// When no token it signed can be alive any more; none for the newest.
    retires_at: Option<DateTime<Utc>>,
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
        let lifetime = TimeDelta::seconds(settings.token_seconds.into());
        Ok(Self {
            keys: RwLock::new(Arc::new(Keys::new(&stored, lifetime)?)),
            directory,
            clock,
            issuer: settings.issuer.clone(),
            lifetime,
            reread_at: tokio::sync::Mutex::new(None),
        })
    }

    /// Signs with the newest key of the directory, so that a rotation counts at once.
    pub(super) async fn issue(
        &self,
        org_id: &OrgId,
        user_id: &UserId,
        api_key_id: Option<&str>,
    ) -> Result<Token> {
        self.read_keys().await?;
        let issued_at = self.clock.now().timestamp();
        let payload = Payload {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: user_id.clone(),
            org: org_id.clone(),
            iat: issued_at,
            exp: issued_at + self.lifetime.num_seconds(),
            nbf: None,
            jti: Uuid::new_v4().to_string(),
            akid: api_key_id.map(str::to_owned),
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
        let Payload { iat, nbf, exp, .. } = payload;
        Times { iat, nbf, exp }.check(self.clock.now(), TimeDelta::zero())?;
        Ok(Claims {
            org: payload.org,
            user: payload.sub,
            api_key_id: payload.akid,
            issued_at: instant(payload.iat).ok_or_else(not_valid)?,
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

    async fn verifying_key(&self, kid: &str) -> Result<Option<DecodingKey>> {
        let age_max = match self.keys().verifying.contains_key(kid) {
            true => AGE_MAX,
            false => REREAD_INTERVAL,
        };
        let mut reread_at = self.reread_at.lock().await;
        let now = self.clock.now();
        // An instant in the future is one before the clock was set back: no reason to wait for it.
        let is_fresh = reread_at.is_some_and(|at| at <= now && now < at + age_max);
        if !is_fresh {
            self.read_keys().await?;
            *reread_at = Some(now);
        }
        drop(reread_at);
        let key = self.keys().verifying.get(kid).cloned();
        let key = key.filter(|key| key.retires_at.is_none_or(|at| now < at));
        Ok(key.map(|key| key.key))
    }

    pub(super) async fn public_keys(&self) -> Result<Vec<PublicKey>> {
        let stored = self.directory.signing_keys().await?;
        let keys = retirements(&stored, self.lifetime).map(|(key, retires_at)| PublicKey {
            kid: key.kid.clone(),
            bytes: key.public_key.clone(),
            created_at: key.created_at,
            retires_at,
        });
        Ok(keys.collect())
    }

    async fn read_keys(&self) -> Result<()> {
        let keys = Keys::new(&self.directory.signing_keys().await?, self.lifetime)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn keys(&self) -> Arc<Keys> {
        // Writers only swap the pointer, so a poisoned lock still holds whole keys.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys {
    /// `stored` is newest first.
    fn new(stored: &[SigningKey], lifetime: TimeDelta) -> Result<Self> {
        let newest = stored
            .first()
            .ok_or_else(|| Error::internal("the directory database has lost its signing keys"))?;
        let verifying = retirements(stored, lifetime).map(|(key, retires_at)| {
            let verifying = Verifying {
                key: DecodingKey::from_ed_der(&key.public_key),
                retires_at,
            };
            (key.kid.clone(), verifying)
        });
        Ok(Self {
            newest: newest.kid.clone(),
            signing: EncodingKey::from_ed_der(&newest.private_key),
            verifying: verifying.collect(),
        })
    }
}

/// Each key (`stored` is newest first) with the instant from which it verifies nothing: a token's life after the next key
/// took over signing.
fn retirements(
    stored: &[SigningKey],
    lifetime: TimeDelta,
) -> impl Iterator<Item = (&SigningKey, Option<DateTime<Utc>>)> {
    let successors = std::iter::once(None).chain(stored.iter().map(Some));
    stored.iter().zip(successors).map(move |(key, successor)| {
        let retires_at = successor.map(|successor| successor.created_at + lifetime + CLOCK_SKEW);
        (key, retires_at)
    })
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
pub(super) fn not_valid() -> Error {
    Error::unauthenticated("the token is not valid; sign in again")
}

/// When a token was issued, from when and until when it counts, in Unix seconds.
pub(super) struct Times {
    pub(super) iat: i64,
    pub(super) nbf: Option<i64>,
    pub(super) exp: i64,
}

impl Times {
    /// Checks that the token is of now; behind its end it counts for `grace`.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub(super) fn check(&self, now: DateTime<Utc>, grace: TimeDelta) -> Result<()> {
        let now = now.timestamp();
        if now >= self.exp.saturating_add(grace.num_seconds()) {
            return Err(Error::unauthenticated(
                "the token is expired; sign in again",
            ));
        }
        let begins = self.nbf.map_or(self.iat, |nbf| nbf.max(self.iat));
        if begins > now + CLOCK_SKEW.num_seconds() {
            return Err(not_valid());
        }
        Ok(())
    }
}

pub(super) fn instant(seconds: i64) -> Option<DateTime<Utc>> {
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
