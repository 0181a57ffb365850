//! `GET /.well-known/jwks.json`: the keys that this server's tokens verify with, for others who are to trust them
//! (RFC 7517; Ed25519 as in RFC 8037).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::ServerErrors;
use super::problem::Problem;
use crate::app::App;

#[derive(Serialize, ToSchema)]
#[schema(as = JsonWebKeySet)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

/// A public key (RFC 7517; Ed25519 as in RFC 8037).
#[derive(Serialize, ToSchema)]
#[schema(as = JsonWebKey)]
struct Key {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
    kid: String,
    /// The 32 bytes in base64url.
    x: String,
}

/// Get the keys that tokens verify with
///
/// For others who are to trust this server's tokens.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "get-jwks", tag = "Server", security(()),
    responses(
        (status = 200, body = KeySet, description = "The keys that verify now.",
            headers(("Cache-Control" = String, description = "A minute."))),
        ServerErrors,
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
) -> Result<([(HeaderName, HeaderValue); 1], Json<KeySet>), Problem> {
    let now = app.clock.now();
    let keys = app.identity.public_keys().await?;
    let keys = keys.into_iter().filter(|key| key.verifies(now));
    let keys = keys.map(|key| Key {
        kty: "OKP",
        crv: "Ed25519",
        alg: "EdDSA",
        purpose: "sig",
        x: URL_SAFE_NO_PAD.encode(&key.bytes),
        kid: key.kid,
    });
    let keys = keys.collect();
    // A new key signs at once; who meets an unknown one asks again anyway.
    let fresh = [(CACHE_CONTROL, HeaderValue::from_static("max-age=60"))];
    Ok((fresh, Json(KeySet { keys })))
}
