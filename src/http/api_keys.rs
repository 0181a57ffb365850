//! `/v1/{organization}/organization/api_key/`: API keys are made, listed and deleted (the wire contract, section 5).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::response::Response;
use axum::{Extension, Json};
use chrono::TimeDelta;
use rules::{Caller, DEFAULT_ADMINISTRATOR_ROLE, OrgId, Result, RoleName, UserId, decide};
use serde_json::{Value, json};

use super::audited::tell;
use super::caller::{Organization, Within, administer, admit, has, needed, outranks, permitted};
use super::fields::{self, Fields};
use super::layers::Seen;
use super::problem::Problem;
use crate::app::App;
use crate::directory::ApiKey;
use crate::guard::{Action, Endpoint};
use crate::identity::DAYS_MAX;

struct New {
    name: Option<String>,
    life: TimeDelta,
    role: RoleName,
}

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
        let answer = json!({
            "api_key_id": key.api_key_id,
            "api_key": key.api_key,
            "expires_at": key.expires_at,
        });
        Ok((StatusCode::CREATED, told, Json(answer)).into_response())
    };
    administer(app, org, &headers, &seen, create, deed, work).await
}

fn parse(mut body: Fields) -> Result<New> {
    let name = body.nullable("name", fields::text(256));
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
        let seen: Vec<Value> = seen.map(instance).collect();
        Ok(Json(json!({ "api_keys": seen })).into_response())
    })
    .await
}

fn instance(key: &ApiKey) -> Value {
    json!({
        "_id": key.id,
        "name": key.name,
        "org_id": key.org_id,
        "created_at": key.created_at,
        "updated_at": key.updated_at,
        "key_id": key.key_id,
        "expires_at": key.expires_at,
        "creator": creator(key.creator.as_ref(), &key.org_id),
        "role_id": key.role_id,
    })
}

/// Clients of the published API want a creator of everything. An operator is no user, and no user's id is empty.
pub(super) fn creator(creator: Option<&(OrgId, UserId)>, org: &OrgId) -> Value {
    match creator {
        Some((org, user)) => json!({"org_id": org, "user_id": user}),
        None => json!({"org_id": org, "user_id": ""}),
    }
}

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
        app.directory.delete_api_key(org, &key_id).await?;
        Ok(Json(json!({ "deleted_key_id": key_id })).into_response())
    };
    administer(app, org, &headers, &seen, delete, deed, work).await
}
