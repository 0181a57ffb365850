//! Maintenance: nothing is answered but `GET /v1/{organization}/admin/ping`, which says so, and health checks. What began
//! before finishes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Organization;
use super::openapi::{OrganizationInPath, ServerErrors};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;

#[derive(Serialize, ToSchema)]
#[schema(as = AdminPingResponse)]
pub(super) struct Ping {
    in_maintenance_mode: bool,
}

/// Ask for maintenance
///
/// For anybody, and always up, so that a client can tell maintenance from other trouble.
#[utoipa::path(
    get, path = "/v1/{organization}/admin/ping", operation_id = "ping", tag = "Admin", security(()),
    params(OrganizationInPath),
    responses(
        (status = 200, body = Ping, description = "Whether the server is in maintenance."),
        (status = 404, body = ErrorResponse, description = "What the path names is no organization's id."),
        ServerErrors,
    )
)]
pub(super) async fn ping(
    State(app): State<Arc<App>>,
    Organization(_): Organization,
) -> Result<Json<Ping>, Problem> {
    let in_maintenance_mode = app.directory.maintenance().await?.is_some();
    Ok(Json(Ping {
        in_maintenance_mode,
    }))
}

/// The first check of all (the wire contract, section 3).
pub(super) async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.directory.maintenance().await {
        Ok(None) => next.run(request).await,
        Ok(Some(_)) => Problem::maintenance().into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}
