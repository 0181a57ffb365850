//! A caller's credentials as the headers of a request carry them (the wire contract, section 3).
//!
//! The HTTP layer hands in the values of the headers, identity verifies the token, and [`Credentials::agree`] says whether
//! everything else that was sent agrees with it. Promises: no message and no debug output quotes what was sent.
//! Not here: whether the token is a good one, and what its user may do.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::{Error, OrgId, Result, UserId};

/// The alphabet of RFC 7617; its padding is left out by some clients.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The values of the headers that say who is calling, each as often as it was sent.
#[derive(Clone, Default)]
pub struct Headers<'h> {
    /// `Authorization`
    pub authorization: Vec<&'h [u8]>,
    /// `Sec-WebSocket-Protocol`, for callers that cannot set `Authorization`
    pub protocols: Vec<&'h [u8]>,
    /// `X-ORG-ID`
    pub org_ids: Vec<&'h [u8]>,
}

/// One token, and what was said beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    token: String,
    /// Of Basic: `{org_id}_{user_id}`. Both may hold underscores, so only the token tells where one ends.
    username: Option<String>,
    /// Of `X-ORG-ID`.
    org_id: Option<Vec<u8>>,
}

impl Credentials {
    /// Takes the token from `Authorization`, which wins where both are sent, or from `Sec-WebSocket-Protocol`.
    ///
    /// # Errors
    /// [`crate::Kind::Unauthenticated`] when neither is there, the one that counts has not the form it should, or a header
    /// is there twice.
    pub fn parse(headers: &Headers<'_>) -> Result<Self> {
        let (token, username) = match (&headers.authorization[..], &headers.protocols[..]) {
            ([header], _) => authorization(header).ok_or_else(|| {
                Error::unauthenticated(
                    "the Authorization header is not of the form: Bearer <token>, or Basic with {org_id}_{user_id} and the token",
                )
            })?,
            ([], []) => {
                return Err(Error::unauthenticated(
                    "this needs a token: sign in, then send the header Authorization: Bearer <token>",
                ));
            }
            ([], protocols) => (protocol(protocols).ok_or_else(|| {
                Error::unauthenticated(
                    "the Sec-WebSocket-Protocol header is not of the form: auth, <token>",
                )
            })?, None),
            _ => {
                return Err(Error::unauthenticated(
                    "there is more than one Authorization header; send one",
                ));
            }
        };
        let org_id = match headers.org_ids[..] {
            [] => None,
            [org_id] => Some(org_id.to_vec()),
            _ => {
                return Err(Error::unauthenticated(
                    "there is more than one X-ORG-ID header; send one",
                ));
            }
        };
        Ok(Self {
            token,
            username,
            org_id,
        })
    }

    /// The token, never empty, not verified.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether what was sent beside the token agrees with whom it names: the organization is that of `X-ORG-ID`, or else the
    /// one of the path, and a username is that of the user.
    ///
    /// # Errors
    /// [`crate::Kind::Unauthenticated`] otherwise.
    pub fn agree(&self, path: &OrgId, org_id: &OrgId, user_id: &UserId) -> Result<()> {
        if self.org_id.is_none() && path != org_id {
            return Err(Error::unauthenticated(
                "the token belongs to another organization; sign in to this one, or name its own in the header X-ORG-ID",
            ));
        }
        let named = self.org_id.as_deref();
        if named.is_some_and(|named| named != org_id.as_str().as_bytes()) {
            return Err(Error::unauthenticated(
                "the token belongs to another organization than the header X-ORG-ID names",
            ));
        }
        let username = self.username.as_deref();
        if username.is_some_and(|username| username != format!("{org_id}_{user_id}")) {
            return Err(Error::unauthenticated(
                "the user name is not that of the token's user, {org_id}_{user_id}",
            ));
        }
        Ok(())
    }
}

fn authorization(header: &[u8]) -> Option<(String, Option<String>)> {
    let (scheme, value) = str::from_utf8(header).ok()?.trim_ascii().split_once(' ')?;
    let value = value.trim_ascii();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((token(value)?, None));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
    // A user id may hold a colon and a token cannot: the last one counts.
    let (username, password) = pair.rsplit_once(':')?;
    Some((token(password)?, Some(username.to_owned())))
}

/// `auth, <token>`, in one header or in two (RFC 6455, section 11.3.4).
fn protocol(headers: &[&[u8]]) -> Option<String> {
    let headers: Option<Vec<&str>> = headers
        .iter()
        .map(|header| str::from_utf8(header).ok())
        .collect();
    let all = headers?.join(",");
    let parts: Vec<&str> = all.split(',').map(str::trim_ascii).collect();
    match parts[..] {
        ["auth", value] => token(value),
        _ => None,
    }
}

/// What may be a token: one word of visible ASCII.
fn token(text: &str) -> Option<String> {
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_word.then(|| text.to_owned())
}

/// Without the values.
impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").finish_non_exhaustive()
    }
}

/// Without the token.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token and user name that these headers carry, if any.
    fn parsed(authorization: &[&str], protocols: &[&str]) -> Option<(String, Option<String>)> {
        let headers = Headers {
            authorization: authorization.iter().map(|text| text.as_bytes()).collect(),
            protocols: protocols.iter().map(|text| text.as_bytes()).collect(),
            org_ids: Vec::new(),
        };
        let credentials = Credentials::parse(&headers).ok()?;
        Some((credentials.token, credentials.username))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64.encode(pair))
    }

    #[test]
    fn a_token_is_found_in_each_of_its_places() {
        let bare = Some(("a.b.c".to_owned(), None));
        for header in ["Bearer a.b.c", "bearer a.b.c", " BEARER   a.b.c "] {
            assert_eq!(parsed(&[header], &[]), bare, "{header}");
        }
        for headers in [&["auth, a.b.c"][..], &["auth,a.b.c"], &["auth", "a.b.c"]] {
            assert_eq!(parsed(&[], headers), bare, "{headers:?}");
        }
        for (pair, username) in [
            ("acme_mia:a.b.c", "acme_mia"),
            ("ac_me_mi_a:a.b.c", "ac_me_mi_a"),
            ("acme_urn:mia:a.b.c", "acme_urn:mia"),
            (":a.b.c", ""),
        ] {
            let expected = Some(("a.b.c".to_owned(), Some(username.to_owned())));
            assert_eq!(parsed(&[&basic(pair)], &[]), expected, "{pair}");
            let unpadded = basic(pair).trim_end_matches('=').to_owned();
            assert_eq!(parsed(&[&unpadded], &[]), expected, "{pair}");
        }
    }

    #[test]
    fn what_has_another_form_is_no_token() {
        for header in [
            "",
            " ",
            "a.b.c",
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Token a.b.c",
            "Basic",
            "Basic a.b.c",
            "Basic ====",
            &basic("acme_mia"),
            &basic("acme_mia:"),
            &basic("acme_mia:a b"),
            &basic("acme_mia:ü"),
            "Bearer ü",
        ] {
            assert_eq!(parsed(&[header], &[]), None, "{header:?}");
        }
        for header in [
            "",
            "auth",
            "auth,",
            "a.b.c",
            "auth a.b.c",
            "a.b.c, auth",
            "AUTH, a.b.c",
            "auth, a, b",
        ] {
            assert_eq!(parsed(&[], &[header]), None, "{header:?}");
        }
        assert_eq!(parsed(&[], &[]), None);
        let not_utf8 = Headers {
            authorization: vec![b"Bearer \xff"],
            ..Headers::default()
        };
        assert!(Credentials::parse(&not_utf8).is_err());
    }

    #[test]
    fn authorization_wins_good_or_bad_and_there_is_one() {
        let websocket = ["auth, from.web.socket"];
        let token = |authorization| parsed(authorization, &websocket).map(|(token, _)| token);
        assert_eq!(token(&["Bearer a.b.c"]).as_deref(), Some("a.b.c"));
        assert_eq!(token(&[]).as_deref(), Some("from.web.socket"));
        assert_eq!(token(&["nonsense"]), None);
        assert_eq!(token(&["Bearer a.b.c", "Bearer a.b.c"]), None);
        let headers = Headers {
            authorization: vec![b"Bearer a.b.c"],
            org_ids: vec![b"acme", b"acme"],
            ..Headers::default()
        };
        assert!(Credentials::parse(&headers).is_err());
    }

    #[test]
    fn underscores_are_resolved_against_the_token() {
        let org = |text| OrgId::parse(text).unwrap();
        let user = |text| UserId::parse(text).unwrap();
        let header = basic("a_b_c:a.b.c");
        let headers = Headers {
            authorization: vec![header.as_bytes()],
            ..Headers::default()
        };
        let credentials = Credentials::parse(&headers).unwrap();
        for (org_id, user_id, agrees) in [
            ("a_b", "c", true),
            ("a", "b_c", true),
            ("a", "b", false),
            ("a_b_c", "c", false),
        ] {
            let agreed = credentials.agree(&org(org_id), &org(org_id), &user(user_id));
            assert_eq!(agreed.is_ok(), agrees, "{org_id} {user_id}");
        }
    }

    #[test]
    fn nothing_that_was_sent_is_in_debug_output() {
        let headers = Headers {
            authorization: vec![b"Bearer secret"],
            ..Headers::default()
        };
        let credentials = Credentials::parse(&headers).unwrap();
        assert!(!format!("{headers:?}{credentials:?}").contains("secret"));
    }
}
