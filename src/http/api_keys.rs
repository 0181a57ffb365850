//! `/v1/{organization}/organization/api_key/`: API keys are made, listed and deleted (the wire contract, section 5).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::response::Response;
use axum::{Extension, Json};
use chrono::{DateTime, TimeDelta, Utc};
use rules::{Caller, DEFAULT_ADMINISTRATOR_ROLE, OrgId, Result, RoleName, UserId, decide};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::audited::tell;
use super::caller::{
    Organization, Within, administer, admit, covers_all, has, needed, outranks, permitted,
};
use super::fields::{self, Fields};
use super::layers::Seen;
use super::openapi::{
    BodyErrors, InOrganization, LimitedErrors, OrganizationCreateApiKeyRequest, PermissionErrors,
};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::directory::ApiKey;
use crate::guard::{Action, Endpoint};
use crate::identity::DAYS_MAX;

struct New {
    name: Option<String>,
    life: TimeDelta,
    role: RoleName,
}

/// A new key. The secret is shown here and never again.
#[derive(Serialize, ToSchema)]
#[schema(as = OrganizationCreateApiKeyResponse)]
struct Created {
    /// What to send beside the key.
    api_key_id: String,
    api_key: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: DateTime<Utc>,
}

/// Create an API key
///
/// Needs `Organization:CreateAPIKey`, and a role with greater privileges than the key's. An organization has up to 20 keys.
#[utoipa::path(
    post, path = "/v1/{organization}/organization/api_key/", operation_id = "create-api-key", tag = "Organization",
    params(InOrganization),
    request_body = OrganizationCreateApiKeyRequest,
    responses(
        (status = 201, body = Created, description = "The key."),
        LimitedErrors,
        PermissionErrors,
        BodyErrors,
        (status = 400, body = ErrorResponse, description = "The organization has as many keys as it may."),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let New { name, life, role } = parse(Fields::of_body(body)?)?;
    let (app, org) = (&app, &org);
    let create = Endpoint::CreateApiKey;
    let deed = Action::CreateApiKey
        .on(name.as_deref().unwrap_or_default())
        .with(json!({"role": role, "days": life.num_days()}));
    let work = |caller: Caller| async move {
        permitted(&caller, org, "Organization:CreateAPIKey")?;
        let stored = app.directory.known_role(org, &role).await?;
        outranks(&caller, org, &stored.role)?;
        let creator = Some((caller.org_id, caller.user_id));
        let key = app
            .identity
            .create_api_key(org, &role, life, name.as_deref(), creator)
            .await?;
        let told = tell(json!({"api_key_id": key.api_key_id, "expires_at": key.expires_at}));
        let made = Created {
            api_key_id: key.api_key_id,
            api_key: key.api_key,
            expires_at: key.expires_at,
        };
        Ok((StatusCode::CREATED, told, Json(made)).into_response())
    };
    administer(app, org, &headers, &seen, create, deed, work).await
}

fn parse(mut body: Fields) -> Result<New> {
    let name = body.nullable("name", fields::line(256));
    let days = TimeDelta::days(1)..=TimeDelta::days(DAYS_MAX.into());
    let life = body.required("duration", fields::duration(days));
    let role = body.optional("role_name", fields::parsed(RoleName::parse));
    let default = RoleName::parse(DEFAULT_ADMINISTRATOR_ROLE)?;
    let made = name.zip(life).map(|(name, life)| New {
        name,
        life,
        role: role.unwrap_or(default),
    });
    body.finish(made)
}

/// The keys that the caller may see.
#[derive(Serialize, ToSchema)]
#[schema(as = OrganizationGetApiKeysResponse)]
struct Keys {
    api_keys: Vec<APIKeyInstance>,
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
struct APIKeyInstance {
    #[serde(rename = "_id")]
    id: String,
    #[schema(required = true)]
    name: Option<String>,
    #[schema(value_type = String)]
    org_id: OrgId,
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: DateTime<Utc>,
    key_id: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: DateTime<Utc>,
    creator: UserInfo,
    role_id: String,
}

/// A user of whatever organization.
#[derive(Serialize, ToSchema)]
pub(super) struct UserInfo {
    #[schema(value_type = String)]
    org_id: OrgId,
    /// Empty where an operator did it.
    user_id: String,
}

/// Get API keys for the organization
///
/// Those that the caller has `Organization:GetAPIKey` on.
#[utoipa::path(
    get, path = "/v1/{organization}/organization/api_key/", operation_id = "get-api-keys", tag = "Organization",
    params(InOrganization),
    responses((status = 200, body = Keys, description = "The keys."), LimitedErrors)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (app, org) = (&app, &org);
    let list = Endpoint::ListApiKeys;
    admit(app, org, &headers, &seen, list, |caller| async move {
        let keys = app.directory.api_keys(org).await?;
        let seen = keys.iter().filter(|key| {
            let needed = needed(org, "Organization:GetAPIKey").with("api_key_id", &key.key_id);
            decide(&caller, &needed).is_allowed()
        });
        let api_keys = seen.map(instance).collect();
        Ok(Json(Keys { api_keys }).into_response())
    })
    .await
}

fn instance(key: &ApiKey) -> APIKeyInstance {
    APIKeyInstance {
        id: key.id.clone(),
        name: key.name.clone(),
        org_id: key.org_id.clone(),
        created_at: key.created_at,
        updated_at: key.updated_at,
        key_id: key.key_id.clone(),
        expires_at: key.expires_at,
        creator: creator(key.creator.as_ref(), &key.org_id),
        role_id: key.role_id.clone(),
    }
}

/// Clients of the published API want a creator of everything. An operator is no user, and no user's id is empty.
pub(super) fn creator(creator: Option<&(OrgId, UserId)>, org: &OrgId) -> UserInfo {
    let org_id = creator.map_or(org, |(org, _)| org).clone();
    let user_id = creator.map_or_else(String::new, |(_, user)| user.to_string());
    UserInfo { org_id, user_id }
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrganizationDeleteApiKeyResponse)]
struct Deleted {
    deleted_key_id: String,
}

/// Delete an API key
///
/// Tokens that it signed in end with it. Needs `Organization:DeleteAPIKey`.
#[utoipa::path(
    delete, path = "/v1/{organization}/organization/api_key/{api_key_id}/", operation_id = "delete-api-key",
    tag = "Organization",
    params(InOrganization, ("api_key_id" = String, Path, description = "The id of the key.")),
    responses((status = 200, body = Deleted, description = "It is deleted."), LimitedErrors, PermissionErrors)
)]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Within(org, key_id): Within,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (app, org) = (&app, &org);
    let delete = Endpoint::DeleteApiKey;
    let deed = Action::DeleteApiKey.on(&key_id);
    let work = |caller| async move {
        let needed = needed(org, "Organization:DeleteAPIKey").with("api_key_id", &key_id);
        has(&caller, &needed)?;
        if let Some(key) = app.directory.api_key(org, &key_id).await? {
            covers_all(&caller, org, &key.role, "that key's role")?;
        }
        app.directory.delete_api_key(org, &key_id).await?;
        let deleted_key_id = key_id;
        Ok(Json(Deleted { deleted_key_id }).into_response())
    };
    administer(app, org, &headers, &seen, delete, deed, work).await
}
