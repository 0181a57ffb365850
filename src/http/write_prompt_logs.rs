//! `POST /v1/{organization}/admin/prompt_logs/`: writes prompt logs (the wire contract, section 7).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rules::{Caller, Error, OrgId, Result};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;

use super::audited::record_replaced;
use super::body::{self, Encoding, Inflate};
use super::caller::{Organization, may_write_logs};
use super::layers::Seen;
use super::openapi::{
    BodyErrors, CallerErrors, ContentEncoding, InOrganization, PermissionErrors, PromptLogRecord,
    RejectedRecord,
};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::lake::prompt_log_table;
use crate::prompt_logs::{Intake, Rejected, Taken};

#[derive(Serialize, ToSchema)]
#[schema(as = WritePromptLogsResponse)]
struct Answer {
    /// Records that are on disk now, whether they were there before or not.
    written: usize,
    /// Those that could not be taken, one by one.
    #[schema(value_type = Vec<RejectedRecord>)]
    rejected: Vec<Rejected>,
}

/// Write prompt logs
///
/// Records as a JSON array, or one a line (NDJSON), plain or compressed. The good ones are on disk when the answer comes,
/// the others are named. The same key again replaces the older record. Needs `Admin:WritePromptLogs`.
#[utoipa::path(
    post, path = "/v1/{organization}/admin/prompt_logs/", operation_id = "write-prompt-logs", tag = "Admin",
    params(InOrganization, ContentEncoding),
    request_body(content(
        (Vec<PromptLogRecord> = "application/json"),
        (String = "application/x-ndjson", example = json!("{\"log_key\": \"c-42/000\", \"system\": \"You sell tickets.\"}\n")),
    )),
    responses(
        (status = 200, body = Answer, description = "What could be taken is on disk."),
        CallerErrors,
        PermissionErrors,
        BodyErrors,
        (status = 400, body = ErrorResponse, description = "No record could be taken, or the compressed body is broken."),
        (status = 408, body = ErrorResponse, description = "No more of the body came."),
        (status = 507, body = ErrorResponse, description = "The storage is full; nothing was written."),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let encoding = Encoding::of(&headers)?;
    let (organization, caller) = may_write_logs(&app, &org, &headers, &seen).await?;

    let days = organization.retention_days_or(app.config.retention.days);
    let now = app.clock.now();
    let intake = Intake::new(app.room.clone(), now, prompt_log_table::oldest(now, days));
    let inflate = Inflate::new(encoding, &app.config.limits, intake)?;
    let accepted = body::read(body, inflate).await?.finish()?;
    let written = accepted.taken.records.len();
    write(&app, org, caller, seen, accepted.taken).await?;
    let rejected = accepted.rejected;
    Ok(Json(Answer { written, rejected }).into_response())
}

/// Writes the records, and tells the audit log where they took the place of others: both, whether the client still waits
/// or not.
///
/// # Errors
/// As [`Writers::write`](crate::prompt_logs::Writers::write).
pub(super) async fn write(
    app: &Arc<App>,
    org: OrgId,
    caller: Caller,
    seen: Seen,
    taken: Taken,
) -> Result<()> {
    let app = Arc::clone(app);
    let work = async move {
        let replaced = app.writers.write(&org, taken).await?;
        record_replaced(&app, &org, &caller, &seen, &replaced).await;
        Ok(())
    };
    let work = tokio::spawn(work.in_current_span());
    work.await.unwrap_or_else(|panic| {
        let error = Error::internal("the write failed; send it again, which is safe");
        Err(error.because(panic))
    })
}
