//! `GET /v1/{organization}/organization/`: what an organization is called, for anybody; more for those who may know.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use rules::{Caller, OrgId, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::{Organization, authenticate, cluster, located, permitted};
use super::layers::Seen;
use super::openapi::{CallerErrors, InOrganization};
use super::problem::Problem;
use crate::app::App;

#[derive(Serialize, ToSchema)]
#[schema(as = OrganizationGetOrganizationResponse)]
pub(super) struct Answer {
    #[schema(value_type = String)]
    org_id: OrgId,
    org_name: String,
    /// For callers with `Organization:GetOrganizationDetails`. This server keeps no defaults, so there are none.
    #[schema(value_type = Option<Object>, required = true)]
    default_user_preferences: Option<serde_json::Value>,
    /// As above: the cluster that the organization lives on.
    #[schema(required = true)]
    tenant_id: Option<String>,
}

/// Get an organization
///
/// What it is called, for anybody; more for callers with `Organization:GetOrganizationDetails`.
#[utoipa::path(
    get, path = "/v1/{organization}/organization/", operation_id = "get-organization", tag = "Organization",
    security((), ("Bearer-Authorization" = []), ("Basic" = [])),
    params(InOrganization),
    responses((status = 200, body = Answer, description = "The organization."), CallerErrors)
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
) -> Result<Json<Answer>, Problem> {
    let cluster = cluster(&app, &headers).await?;
    let caller = caller(&app, &org, &headers, &seen).await?;
    let organization = located(&app, &org, cluster.as_ref()).await?;
    let details = caller.is_some_and(|caller| {
        permitted(&caller, &org, "Organization:GetOrganizationDetails").is_ok()
    });
    Ok(Json(Answer {
        org_id: organization.org_id,
        org_name: organization.name,
        default_user_preferences: details.then(|| serde_json::json!({})),
        tenant_id: details.then(|| organization.cluster.to_string()),
    }))
}

/// Nobody, when there are no credentials. Bad ones are refused: who sent them meant to be somebody.
async fn caller(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
) -> Result<Option<Caller>> {
    let names = ["authorization", "sec-websocket-protocol"];
    if !names.iter().any(|name| headers.contains_key(*name)) {
        return Ok(None);
    }
    authenticate(app, org, headers, seen).await.map(Some)
}
