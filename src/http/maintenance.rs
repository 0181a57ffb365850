//! Maintenance: nothing is answered but `GET /v1/{organization}/admin/ping`, which says so, and health checks. What began
//! before finishes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::caller::Organization;
use super::problem::Problem;
use crate::app::App;

#[derive(Serialize)]
pub(super) struct Ping {
    in_maintenance_mode: bool,
}

/// `GET …/admin/ping`: for anybody, so that a client can tell maintenance from other trouble.
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
