//! `GET /healthz` and `GET /readyz`, for whatever watches the server: whether it runs, and whether it can work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rules::{Error, Result};
use serde::Serialize;

use crate::app::App;

#[derive(Serialize)]
pub(super) struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ready: bool,
    /// Why not.
    detail: Option<String>,
}

/// The process answers. Whether what it needs does too is [`ready`]'s matter: a restart would not help there.
pub(super) async fn alive() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "ok"}))
}

/// `200` when requests can be served, else `503` with what is in the way. Maintenance is not: it has its own answers.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Readiness>) {
    let directory = app.directory.maintenance().await.map(|_| ());
    let checks = vec![
        check("directory", directory),
        check("storage", storage(&app).await),
        check("queries", app.queries.check().await),
    ];
    let ready = checks.iter().all(|check| check.ready);
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
    listed.map(|_| ()).map_err(|error| {
        Error::unavailable("the folder of the organizations' tables cannot be read").because(error)
    })
}
