//! The keys of one OpenID provider: fetched, kept, and fetched again (RFC 7517).
//!
//! `openid` → here → the provider, over HTTP. Promises: whatever tokens anybody sends, the provider is asked at most every
//! [`ASK_INTERVAL`], and nobody who brings a known key waits for it; while the provider is down its last keys stay
//! good for [`KEEP`].
//! Not here: tokens.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{StatusCode, redirect};
use rules::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use crate::clock::Clock;

/// How often the provider is asked at most.
const ASK_INTERVAL: TimeDelta = TimeDelta::seconds(10);

/// How old keys may get before they are fetched again: a key that the provider withdraws counts no longer.
const FRESH: TimeDelta = TimeDelta::minutes(10);

/// How long keys stay good while the provider cannot be asked.
const KEEP: TimeDelta = TimeDelta::hours(24);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A set of keys has a few thousand bytes.
const SET_BYTES_MAX: usize = 256 * 1024;
const KEYS_MAX: usize = 100;

/// A key and the one algorithm that it is for.
#[derive(Clone)]
pub(super) struct Key {
    kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The keys at one address.
#[derive(Debug)]
pub(super) struct KeySet {
    url: String,
    http: reqwest::Client,
    clock: Clock,
    kept: RwLock<Arc<Kept>>,
    /// When the provider was last asked; held while it is, so that a burst of unknown keys asks once.
    asked_at: Arc<Mutex<Option<DateTime<Utc>>>>,
}

/// What the provider last said.
#[derive(Debug, Default)]
struct Kept {
    keys: Vec<Key>,
    /// None: never.
    fetched_at: Option<DateTime<Utc>>,
}

impl Kept {
    fn is_younger(&self, than: TimeDelta, now: DateTime<Utc>) -> bool {
        is_within(self.fetched_at, than, now)
    }

    fn key(&self, kid: &str, algorithm: Algorithm) -> Option<Key> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.kid == kid && key.algorithm == algorithm)
            .cloned()
    }
}

impl KeySet {
    /// Nothing is fetched before the first token.
    ///
    /// # Errors
    /// `Internal` when this machine can make no HTTP client.
    pub(super) fn new(url: &str, clock: Clock) -> Result<Arc<Self>> {
        // No redirects: the address was checked, and one it leads to was not.
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
        // Plain HTTP is for this machine, which no proxy leads to.
        if url.starts_with("http:") {
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| Error::internal("the HTTP client cannot be made").because(error))?;
        Ok(Arc::new(Self {
            url: url.to_owned(),
            http,
            clock,
            kept: RwLock::default(),
            asked_at: Arc::default(),
        }))
    }

    /// The key of this name for this algorithm; none when the provider has none.
    ///
    /// # Errors
    /// `Unavailable` when there are no keys that are recent enough to tell.
    pub(super) async fn key(
        self: &Arc<Self>,
        kid: &str,
        algorithm: Algorithm,
    ) -> Result<Option<Key>> {
        let (kept, now) = (self.kept(), self.clock.now());
        let known = kept.key(kid, algorithm);
        if known.is_some() && kept.is_younger(KEEP, now) {
            if !kept.is_younger(FRESH, now)
                && let Ok(asked_at) = Arc::clone(&self.asked_at).try_lock_owned()
            {
                // Nobody waits for it: the key is good.
                drop(self.ask(asked_at));
            }
            return Ok(known);
        }
        let asked_at = Arc::clone(&self.asked_at).lock_owned().await;
        if let Some(asking) = self.ask(asked_at) {
            asking
                .await
                .map_err(|error| Error::internal("fetching keys failed").because(error))?;
        }
        let kept = self.kept();
        if !kept.is_younger(KEEP, self.clock.now()) {
            return Err(Error::unavailable(
                "the keys of the organization's OpenID provider cannot be read at present; try again later",
            ));
        }
        Ok(kept.key(kid, algorithm))
    }

    /// Asks the provider, unless it was asked a moment ago. The task goes on when its caller hangs up: else whoever does that
    /// again and again could keep new keys away.
    fn ask(
        self: &Arc<Self>,
        mut asked_at: OwnedMutexGuard<Option<DateTime<Utc>>>,
    ) -> Option<JoinHandle<()>> {
        let now = self.clock.now();
        if is_within(*asked_at, ASK_INTERVAL, now) {
            return None;
        }
        *asked_at = Some(now);
        let this = Arc::clone(self);
        Some(tokio::spawn(async move {
            match this.fetch().await {
                Ok(keys) => this.keep(keys, now),
                Err(error) => tracing::warn!(
                    url = this.url,
                    error = &error as &dyn std::error::Error,
                    "the keys of an OpenID provider cannot be read"
                ),
            }
            drop(asked_at);
        }))
    }

    async fn fetch(&self) -> Result<Vec<Key>> {
        let failed = |error: reqwest::Error| {
            Error::unavailable("the OpenID provider does not answer").because(error)
        };
        let mut answer = self.http.get(&self.url).send().await.map_err(failed)?;
        if answer.status() != StatusCode::OK {
            let status = answer.status().as_u16();
            return Err(Error::unavailable(format!(
                "the OpenID provider answers {status}"
            )));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > SET_BYTES_MAX {
                return Err(Error::unavailable(format!(
                    "the OpenID provider's answer has more than {SET_BYTES_MAX} bytes"
                )));
            }
            body.extend_from_slice(&piece);
        }
        read_set(&body)
    }

    fn keep(&self, keys: Vec<Key>, fetched_at: DateTime<Utc>) {
        let kept = Kept {
            keys,
            fetched_at: Some(fetched_at),
        };
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(kept);
    }

    fn kept(&self) -> Arc<Kept> {
        // Writers only swap the pointer, so a poisoned lock still holds whole keys.
        Arc::clone(&self.kept.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An instant in the future is one before the clock was set back: it proves nothing.
fn is_within(at: Option<DateTime<Utc>>, span: TimeDelta, now: DateTime<Utc>) -> bool {
    at.is_some_and(|at| at <= now && now < at + span)
}

/// The keys of a set that can verify tokens; others are none of our business.
fn read_set(bytes: &[u8]) -> Result<Vec<Key>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|error| {
        Error::unavailable("the OpenID provider's answer is no set of keys").because(error)
    })?;
    let keys = set.keys.into_iter().take(KEYS_MAX);
    Ok(keys
        .filter_map(|key| usable(&serde_json::from_value(key).ok()?))
        .collect())
}

/// The key, if it is for signatures by one of the algorithms that are taken. Which one it says itself; a token has no say.
fn usable(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    let other_use = |usage: &PublicKeyUse| *usage != PublicKeyUse::Signature;
    let is_for_others = common.public_key_use.as_ref().is_some_and(other_use)
        || common
            .key_operations
            .as_ref()
            .is_some_and(|operations| !operations.contains(&KeyOperations::Verify));
    let algorithm = match (&jwk.algorithm, common.key_algorithm) {
        // Without a word on it: RS256, which every provider has to know (OpenID Connect Core, section 15.1).
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Algorithm::RS256,
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => Algorithm::PS256,
        (AlgorithmParameters::EllipticCurve(key), None | Some(KeyAlgorithm::ES256))
            if key.curve == EllipticCurve::P256 =>
        {
            Algorithm::ES256
        }
        (AlgorithmParameters::OctetKeyPair(key), None | Some(KeyAlgorithm::EdDSA))
            if key.curve == EllipticCurve::Ed25519 =>
        {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    if is_for_others {
        return None;
    }
    Some(Key {
        kid: common.key_id.clone()?,
        algorithm,
        key: DecodingKey::from_jwk(jwk).ok()?,
    })
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, algorithm, .. } = self;
        write!(f, "{kid} ({algorithm:?})")
    }
}
