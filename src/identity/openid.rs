//! Tokens of organizations' own OpenID providers.
//!
//! Identity → here → `jwks`. Promises: a provider's token names a user of the organization that declared the provider and
//! of no other, and only one who is there already; a token is verified by a key that the provider publishes, with the one
//! algorithm that this key is for; nothing inside a token leads to a key.
//! Not here: our own tokens, and whether the user is still there.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Header, Validation};
use rules::{OrgId, Result, UserId};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jwks::KeySet;
use super::tokens::{CLOCK_SKEW, Claims, TOKEN_BYTES_MAX, Times, instant, not_valid};
use crate::clock::Clock;
use crate::config::OpenId;
use crate::directory::Directory;

/// The algorithms that are taken, each with keys that are for it only.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
];

/// The claim that names a user by an address instead of an id.
const EMAIL: &str = "email";

/// The providers of all organizations.
#[derive(Debug, Default)]
pub(super) struct Providers(Vec<Provider>);

/// An organization's provider.
#[derive(Debug)]
pub(super) struct Provider {
    org: OrgId,
    settings: OpenId,
    keys: Arc<KeySet>,
}

impl Providers {
    /// # Errors
    /// `Internal` when this machine can make no HTTP client.
    pub(super) fn new<'a>(
        declared: impl Iterator<Item = (&'a OrgId, &'a OpenId)>,
        clock: &Clock,
    ) -> Result<Self> {
        let provider = |(org, settings): (&OrgId, &OpenId)| {
            Ok(Provider {
                org: org.clone(),
                settings: settings.clone(),
                keys: KeySet::new(&settings.jwks_url, clock.clone())?,
            })
        };
        declared.map(provider).collect::<Result<_>>().map(Self)
    }

    /// The provider that a token says it is of; nothing is verified yet.
    pub(super) fn of(&self, token: &str) -> Option<&Provider> {
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        if self.0.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let issuer: Issuer = jsonwebtoken::dangerous::insecure_decode_claims(token).ok()?;
        let mut providers = self.0.iter();
        providers.find(|provider| provider.settings.issuer == issuer.iss)
    }
}

impl Provider {
    /// Who the token names, if it is one of the provider's for this server.
    ///
    /// # Errors
    /// `Unauthenticated`, never quoting the token; `Unavailable` while the provider's keys cannot be read.
    pub(super) async fn verify(
        &self,
        token: &str,
        directory: &Directory,
        clock: &Clock,
    ) -> Result<Claims> {
        let header =
            jsonwebtoken::decode_header(token).map_err(|error| not_valid().because(error))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(not_valid());
        }
        let Header {
            kid: Some(kid),
            crit: None,
            ..
        } = header
        else {
            // No name of a key, or extensions that must be understood (RFC 7515, section 4.1.11): none is.
            return Err(not_valid());
        };
        let key = self.keys.key(&kid, header.alg).await?;
        let key = key.ok_or_else(not_valid)?;
        let claims: Map<String, Value> =
            jsonwebtoken::decode(token, &key.key, &self.validation(key.algorithm))
                .map_err(|error| not_valid().because(error))?
                .claims;
        let times = Times {
            iat: seconds(&claims, "iat")?.ok_or_else(not_valid)?,
            nbf: seconds(&claims, "nbf")?,
            exp: seconds(&claims, "exp")?.ok_or_else(not_valid)?,
        };
        times.check(clock.now(), CLOCK_SKEW)?;
        Ok(Claims {
            org: self.org.clone(),
            user: self.user(&claims, directory).await?,
            api_key_id: None,
            issued_at: instant(times.iat).ok_or_else(not_valid)?,
            expires_at: instant(times.exp).ok_or_else(not_valid)?,
        })
    }

    /// What the library checks besides the signature; times are checked here, by our own clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.validate_exp = false;
        validation
    }

    /// The user that the claim names.
    async fn user(&self, claims: &Map<String, Value>, directory: &Directory) -> Result<UserId> {
        let claim = self.settings.user_claim.as_str();
        let named = claims.get(claim).and_then(Value::as_str);
        let named = named.ok_or_else(not_valid)?;
        if claim != EMAIL {
            return UserId::parse(named).map_err(|error| not_valid().because(error));
        }
        // Whoever may write any address into their account would be any user.
        let is_doubtful = claims
            .get("email_verified")
            .is_some_and(|verified| *verified != Value::Bool(true) && *verified != "true");
        if is_doubtful {
            return Err(not_valid());
        }
        let user = directory.user_with_email(&self.org, named).await?;
        user.ok_or_else(not_valid)
    }
}

/// A NumericDate, which may have a fraction (RFC 7519, section 2); none when it is absent.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let whole = value.as_i64();
    // What is out of range becomes the farthest instant, which is none.
    let cut = || value.as_f64().map(|seconds| seconds.floor() as i64);
    whole.or_else(cut).map(Some).ok_or_else(not_valid)
}
