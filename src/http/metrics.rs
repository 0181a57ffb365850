//! `GET /metrics`, on an address of its own: whoever reaches it may read it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::problem::Problem;
use crate::metrics::Metrics;

/// What Prometheus knows the text by.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The one endpoint of the metrics' address.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(text))
        .with_state(metrics)
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], metrics.text()?).into_response())
}
