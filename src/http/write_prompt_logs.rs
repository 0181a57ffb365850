//! `POST /v1/{organization}/admin/prompt_logs/`: writes prompt logs (the wire contract, section 7).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rules::Result;
use serde::Serialize;

use super::body::{self, Encoding, Inflate};
use super::caller::{Organization, may_write_logs};
use super::layers::Seen;
use super::problem::Problem;
use crate::app::App;
use crate::lake::prompt_log_table;
use crate::prompt_logs::{Intake, Rejected};

#[derive(Serialize)]
struct Answer {
    /// Records that are on disk now, whether they were there before or not.
    written: usize,
    rejected: Vec<Rejected>,
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let encoding = Encoding::of(&headers)?;
    let organization = may_write_logs(&app, &org, &headers, &seen).await?;

    let days = organization.retention_days_or(app.config.retention.days);
    let now = app.clock.now();
    let intake = Intake::new(app.room.clone(), now, prompt_log_table::oldest(now, days));
    let inflate = Inflate::new(encoding, &app.config.limits, intake)?;
    let accepted = body::read(body, inflate).await?.finish()?;
    let written = accepted.records.len();
    app.writers.write(&org, accepted.records).await?;
    let rejected = accepted.rejected;
    Ok(Json(Answer { written, rejected }).into_response())
}
