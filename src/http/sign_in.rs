//! `POST /v1/{organization}/user/signin_with_api_key`: a token for an API key (the wire contract, section 3).

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use rules::{Error, Kind, Result, UserId, Violation};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::audited::{opening, read, tell};
use super::caller::{Organization, cluster, located};
use super::client::Client;
use super::layers::Seen;
use super::limited::limited;
use super::openapi::{LimitedErrors, OnCluster, SignInHeaders};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::guard::{Action, Actor};

#[derive(Serialize, ToSchema)]
#[schema(as = UserSignInWithApiKeyResponse)]
struct SignedIn {
    /// To send as `Authorization: Bearer <token>`.
    id_token: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: DateTime<Utc>,
}

/// The three headers, each required, and once.
struct Credentials {
    key: String,
    key_id: String,
    user_id: String,
}

/// Sign in with API key
///
/// Gives a token for a user of the organization, to a holder of one of its API keys.
#[utoipa::path(
    post, path = "/v1/{organization}/user/signin_with_api_key", operation_id = "sign-in-with-api-key", tag = "User",
    security((
        "API-Key-Authorization-Key" = [], "API-Key-Authorization-ID" = [], "API-Key-Authorization-UserID" = []
    )),
    params(OnCluster, SignInHeaders),
    responses(
        (status = 200, body = SignedIn, description = "Signed in."),
        LimitedErrors,
        (status = 401, body = ErrorResponse, description = "The key or the user is not known, or the key is wrong or has expired."),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let credentials = credentials(&headers)?;
    let cluster = cluster(&app, &headers).await?;
    let key = format!("{org}/{}", credentials.key_id);
    let now = app.clock.now();
    let verdict = app.rate_limits.take_sign_in(&key, client.address, now);
    let work = async {
        // What cannot be a user's id is no user; the answer is the same as for any other unknown one.
        let user_id = UserId::parse(&credentials.user_id).ok();
        if let Some(user_id) = &user_id {
            seen.note(&org, user_id, None);
        }
        located(&app, &org, cluster.as_ref()).await?;
        let actor = Actor::Claimed(org.clone(), user_id.clone());
        let deed = Action::SignIn.on(&credentials.key_id);
        let opening = opening(&org, actor, &seen, deed);
        let sign_in = Box::pin(async {
            let token = app
                .identity
                .sign_in(
                    &org,
                    &credentials.key_id,
                    &credentials.key,
                    user_id.as_ref(),
                )
                .await?;
            let told = tell(json!({"expires_at": token.expires_at}));
            let signed_in = SignedIn {
                id_token: token.id_token,
                expires_at: token.expires_at,
            };
            Ok((told, Json(signed_in)).into_response())
        });
        read(&app, opening, sign_in).await
    };
    Ok(limited(verdict, work).await)
}

fn credentials(headers: &HeaderMap) -> Result<Credentials> {
    let mut wrong = Vec::new();
    let mut read = |name: &str| {
        let values: Vec<_> = headers.get_all(name).iter().collect();
        let value = match values[..] {
            [value] => value.to_str().ok().filter(|value| !value.is_empty()),
            _ => None,
        };
        if value.is_none() {
            let (msg, kind) = match values.len() {
                0 | 1 => ("Field required", "missing"),
                _ => ("comes twice", "value_error"),
            };
            wrong.push(Violation {
                loc: vec!["header".to_owned(), name.to_owned()],
                msg: msg.to_owned(),
                kind: kind.to_owned(),
            });
        }
        value.unwrap_or_default().to_owned()
    };
    let credentials = Credentials {
        key: read("x-api-key"),
        key_id: read("x-api-key-id"),
        user_id: read("x-user-id"),
    };
    if wrong.is_empty() {
        return Ok(credentials);
    }
    Err(Error::new(
        Kind::Unprocessable(wrong),
        "sign-in needs the headers x-api-key, x-api-key-id and x-user-id, each once",
    ))
}
