//! URLs that carry their own right: whoever has one may fetch that result until it expires.
//!
//! Signed with HMAC-SHA256 (FIPS 198-1) over organization, query, format and expiry. The secret is replaced from time to
//! time; an old one verifies for as long as a URL that it signed may be asked for.

use std::sync::{PoisonError, RwLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use rules::{Error, Kind, OrgId, Result};

use crate::clock::Clock;
use crate::directory::{Directory, UrlKey, object_id};
use crate::engine::Format;

/// How long a secret signs.
const KEY_DAYS: i64 = 7;

/// How long it verifies after that: longer than any URL lives, so that an old URL is expired and not forged.
const KEPT_DAYS: i64 = 90;

/// What a URL says of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUrl {
    pub org_id: OrgId,
    pub query_id: String,
    pub format: Format,
    /// A whole second.
    pub expires_at: DateTime<Utc>,
}

impl SignedUrl {
    /// What is signed. No part can hold a line feed, so no two URLs have the same text.
    fn text(&self) -> String {
        let Self {
            org_id,
            query_id,
            format,
            expires_at,
        } = self;
        let (format, expires) = (format.name(), expires_at.timestamp());
        format!("sql_query result\n{org_id}\n{query_id}\n{format}\n{expires}")
    }
}

/// Makes and checks signatures.
#[derive(Debug)]
pub(super) struct Signer {
    directory: Directory,
    clock: Clock,
    /// Newest first.
    keys: RwLock<Vec<UrlKey>>,
}

impl Signer {
    pub(super) async fn open(directory: Directory, clock: Clock) -> Result<Self> {
        let keys = RwLock::new(directory.url_keys().await?);
        Ok(Self {
            directory,
            clock,
            keys,
        })
    }

    /// The path and query of the URL.
    pub(super) async fn sign(&self, url: &SignedUrl) -> Result<String> {
        let key = self.signing_key().await?;
        let signature = hmac::sign(&hmac_key(&key), url.text().as_bytes());
        let SignedUrl {
            org_id,
            query_id,
            format,
            expires_at,
        } = url;
        Ok(format!(
            "/v1/{org_id}/admin/sql_query/{query_id}/result?format={}&expires={}&key={}&signature={}",
            format.name(),
            expires_at.timestamp(),
            key.kid,
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }

    /// Checks a URL's signature, and then whether it still holds; returns when its secret stopped signing for queries that
    /// were made later.
    ///
    /// # Errors
    /// `Forbidden` for one that was not made here as it is, `Gone` for one that has expired.
    pub(super) async fn verify(
        &self,
        url: &SignedUrl,
        kid: &str,
        signature: &str,
    ) -> Result<DateTime<Utc>> {
        let key = self.key(kid).await?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok();
        let (key, signature) = key.zip(signature).ok_or_else(forged)?;
        hmac::verify(&hmac_key(&key), url.text().as_bytes(), &signature).map_err(|_| forged())?;
        if self.clock.now() >= url.expires_at {
            return Err(expired());
        }
        Ok(key.created_at + TimeDelta::days(KEY_DAYS))
    }

    /// The newest key, or a new one where it has signed for long enough.
    async fn signing_key(&self) -> Result<UrlKey> {
        let now = self.clock.now();
        let oldest = now - TimeDelta::days(KEY_DAYS);
        let newest = |keys: &[UrlKey]| {
            let newest = keys.first().filter(|key| key.created_at > oldest);
            newest.cloned()
        };
        if let Some(key) = newest(&self.keys()) {
            return Ok(key);
        }
        let mut secret = vec![0; 32];
        aws_lc_rs::rand::fill(&mut secret)
            .map_err(|error| Error::internal("no randomness for a new secret").because(error))?;
        let key = UrlKey {
            kid: object_id(now)?,
            secret,
            created_at: now,
        };
        let kept = oldest - TimeDelta::days(KEPT_DAYS);
        self.directory.rotate_url_key(&key, kept).await?;
        self.read_keys().await?;
        Ok(key)
    }

    async fn key(&self, kid: &str) -> Result<Option<UrlKey>> {
        let known = |keys: &[UrlKey]| keys.iter().find(|key| key.kid == kid).cloned();
        if let Some(key) = known(&self.keys()) {
            return Ok(Some(key));
        }
        self.read_keys().await?;
        Ok(known(&self.keys()))
    }

    async fn read_keys(&self) -> Result<()> {
        let keys = self.directory.url_keys().await?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn keys(&self) -> Vec<UrlKey> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn hmac_key(key: &UrlKey) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &key.secret)
}

/// One sentence for whatever is wrong with a URL.
pub fn forged() -> Error {
    Error::forbidden("this URL was not signed here; ask for the query to get a new one")
}

pub(super) fn expired() -> Error {
    Error::new(Kind::Gone, "the result has expired; run the query again")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct House {
        _folder: tempfile::TempDir,
        directory: Directory,
        clock: Clock,
    }

    impl House {
        async fn new() -> Self {
            let folder = tempfile::TempDir::new().unwrap();
            let file = folder.path().join("directory.db");
            Self {
                _folder: folder,
                directory: Directory::open(&file).await.unwrap(),
                clock: Clock::fixed(DateTime::from_timestamp(1_795_521_600, 0).unwrap()),
            }
        }

        /// As one process has it.
        async fn signer(&self) -> Signer {
            let (directory, clock) = (self.directory.clone(), self.clock.clone());
            Signer::open(directory, clock).await.unwrap()
        }

        fn url(&self, hours: i64) -> SignedUrl {
            SignedUrl {
                org_id: OrgId::parse("acme").unwrap(),
                query_id: "q1".to_owned(),
                format: Format::Csv,
                expires_at: self.clock.now() + TimeDelta::hours(hours),
            }
        }
    }

    /// The name of the secret, and the signature.
    fn signed(path: &str) -> (&str, &str) {
        let (_, signed) = path.split_once("&key=").unwrap();
        signed.split_once("&signature=").unwrap()
    }

    #[tokio::test]
    async fn a_url_holds_until_the_second_it_names() {
        let house = House::new().await;
        let (signer, url) = (house.signer().await, house.url(24));
        let path = signer.sign(&url).await.unwrap();
        let (kid, signature) = signed(&path);
        house
            .clock
            .advance(TimeDelta::hours(24) - TimeDelta::milliseconds(1));
        assert!(signer.verify(&url, kid, signature).await.is_ok());
        house.clock.advance(TimeDelta::milliseconds(1));
        let gone = signer.verify(&url, kid, signature).await.unwrap_err();
        assert_eq!(*gone.kind(), Kind::Gone);
    }

    #[tokio::test]
    async fn a_secret_signs_for_a_week_and_verifies_until_its_urls_are_long_gone() {
        let house = House::new().await;
        let (signer, old) = (house.signer().await, house.url(720));
        let first = signer.sign(&old).await.unwrap();
        let (old_kid, old_signature) = signed(&first);
        house
            .clock
            .advance(TimeDelta::days(KEY_DAYS) - TimeDelta::seconds(1));
        let same = signer.sign(&house.url(720)).await.unwrap();
        assert_eq!(signed(&same).0, old_kid);
        house.clock.advance(TimeDelta::seconds(1));
        let new = house.url(720);
        let second = signer.sign(&new).await.unwrap();
        let (new_kid, new_signature) = signed(&second);
        assert_ne!(new_kid, old_kid, "the secret is not replaced");
        // Another process, and one that has been there all the time.
        let other = house.signer().await;
        for signer in [&signer, &other] {
            let until = signer.verify(&old, old_kid, old_signature).await.unwrap();
            assert_eq!(until, house.clock.now(), "it signs no longer");
            assert!(signer.verify(&new, new_kid, new_signature).await.is_ok());
            let mixed = signer.verify(&old, new_kid, old_signature).await;
            assert_eq!(*mixed.unwrap_err().kind(), Kind::Forbidden);
        }
        // Forgotten when the next one comes that is old enough: its URL was to expire long before.
        house.clock.advance(TimeDelta::days(KEPT_DAYS));
        signer.sign(&house.url(1)).await.unwrap();
        house.clock.advance(TimeDelta::days(KEY_DAYS + 1));
        signer.sign(&house.url(1)).await.unwrap();
        let forgotten = signer.verify(&old, old_kid, old_signature).await;
        assert_eq!(*forgotten.unwrap_err().kind(), Kind::Forbidden);
    }
}
