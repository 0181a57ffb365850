//! `GET /healthz` and `GET /readyz`, for whatever watches the server: whether it runs, and whether it can work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rules::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// With less room on its disk the server can soon record nothing in the audit log, and then answers nothing.
const ROOM_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReadinessCheck)]
struct Check {
    name: &'static str,
    ready: bool,
    /// Why not.
    detail: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct Alive {
    status: &'static str,
}

/// Is the process alive?
///
/// It answers. Whether what it needs does too is the matter of `/readyz`: a restart would not help there.
#[utoipa::path(
    get, path = "/healthz", operation_id = "get-health", tag = "Server", security(()),
    responses((status = 200, body = Alive, description = "It is."))
)]
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Can requests be served?
///
/// `503` says what is in the way. Maintenance is not: it has its own answers. Nor is a MongoDB cluster that does not
/// answer, which only its own tables need: the check `clusters` tells of it.
#[utoipa::path(
    get, path = "/readyz", operation_id = "get-readiness", tag = "Server", security(()),
    responses(
        (status = 200, body = Readiness, description = "They can."),
        (status = 503, body = Readiness, description = "Something is in the way."),
    )
)]
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Readiness>) {
    let directory = app.directory.maintenance().await.map(|_| ());
    let mut checks = vec![
        check("directory", directory),
        check("storage", storage(&app).await),
        check("queries", app.queries.check().await),
    ];
    let ready = checks.iter().all(|check| check.ready);
    // Told, but nothing is in the way of all other requests.
    if !app.clusters.is_empty() {
        checks.push(check("clusters", app.clusters.check().await));
    }
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Readiness { ready, checks }))
}

fn check(name: &'static str, result: Result<()>) -> Check {
    if let Err(error) = &result {
        tracing::warn!(
            check = name,
            error = error as &dyn std::error::Error,
            "not ready"
        );
    }
    Check {
        name,
        ready: result.is_ok(),
        detail: result.err().map(|error| error.message().to_owned()),
    }
}

async fn storage(app: &App) -> Result<()> {
    let listed = tokio::fs::read_dir(app.config.lake_dir()).await;
    let _ = listed.map_err(|error| {
        Error::unavailable("the folder of the organizations' tables cannot be read").because(error)
    })?;
    let unknown = |error| Error::unavailable("the data's disk does not answer").because(error);
    let disk = rustix::fs::statvfs(&app.config.data_dir).map_err(unknown)?;
    match disk.f_bavail.saturating_mul(disk.f_frsize) < ROOM_BYTES {
        true => Err(Error::unavailable("the disk of the data directory is full")),
        false => Ok(()),
    }
}
