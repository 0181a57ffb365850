//! `POST /v1/{organization}/otlp/v1/{traces,logs}`: prompts from what OpenTelemetry exporters send (the wire contract,
//! section 7).
//!
//! Answers in OTLP's terms and the request's encoding: what is acknowledged is on disk, what was rejected is counted.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use prompt_intake::otlp::{self, Encoding, Signal};
use rules::{Error, Kind, Result};

use super::body::{self, Inflate};
use super::caller::{Organization, may_write_logs};
use super::layers::Seen;
use super::openapi::{ContentEncoding, InOrganization, OtlpResponses};
use super::problem::Problem;
use super::write_prompt_logs::write;
use crate::app::App;
use crate::lake::prompt_log_table;
use crate::prompt_logs::Received;

/// Export traces
///
/// OTLP over HTTP in protobuf or JSON, for applications that OpenTelemetry instruments: the prompts in it become prompt
/// logs. Needs `Admin:WritePromptLogs`. Answers in OTLP's terms and the request's encoding; what was rejected is counted.
#[utoipa::path(
    post, path = "/v1/{organization}/otlp/v1/traces", operation_id = "export-traces", tag = "OpenTelemetry",
    params(InOrganization, ContentEncoding),
    request_body(content((Object = "application/json"), (Vec<u8> = "application/x-protobuf"))),
    responses(OtlpResponses)
)]
pub(super) async fn traces(
    app: State<Arc<App>>,
    organization: Organization,
    seen: Extension<Seen>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    post(Signal::Traces, app, organization, seen, headers, body).await
}

/// Export logs
///
/// OTLP over HTTP in protobuf or JSON, for applications that OpenTelemetry instruments: the prompts in it become prompt
/// logs. Needs `Admin:WritePromptLogs`. Answers in OTLP's terms and the request's encoding; what was rejected is counted.
#[utoipa::path(
    post, path = "/v1/{organization}/otlp/v1/logs", operation_id = "export-logs", tag = "OpenTelemetry",
    params(InOrganization, ContentEncoding),
    request_body(content((Object = "application/json"), (Vec<u8> = "application/x-protobuf"))),
    responses(OtlpResponses)
)]
pub(super) async fn logs(
    app: State<Arc<App>>,
    organization: Organization,
    seen: Extension<Seen>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    post(Signal::Logs, app, organization, seen, headers, body).await
}

async fn post(
    signal: Signal,
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let encoding = match encoding(&headers) {
        Ok(encoding) => encoding,
        Err(error) => return Problem::from(error).into_response(),
    };
    let request = Request {
        app: &app,
        org,
        seen,
        headers,
        signal,
        encoding,
    };
    match request.serve(body).await {
        Ok(answer) => of_type(encoding, answer.into_response()),
        Err(error) => refusal(encoding, error),
    }
}

/// # Errors
/// `Unprocessable` for a type that OTLP does not know.
fn encoding(headers: &HeaderMap) -> Result<Encoding> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = given
        .and_then(|given| given.split(';').next())
        .unwrap_or_default();
    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        _ => Err(Error::unprocessable(
            &["header", "content-type"],
            "Input should be one of application/x-protobuf, application/json",
            "enum",
        )),
    }
}

struct Request<'a> {
    app: &'a Arc<App>,
    org: rules::OrgId,
    seen: Seen,
    headers: HeaderMap,
    signal: Signal,
    encoding: Encoding,
}

impl Request<'_> {
    async fn serve(self, body: Body) -> Result<Vec<u8>> {
        let Self {
            app, org, headers, ..
        } = &self;
        let compression = body::Encoding::of(headers)?;
        let (organization, caller) = may_write_logs(app, org, headers, &self.seen).await?;

        let received = Received::new(app.room.clone());
        let inflate = Inflate::new(compression, &app.config.limits, received)?;
        let received = body::read(body, inflate).await?;
        let now = app.clock.now();
        let days = organization.retention_days_or(app.config.retention.days);
        let oldest = prompt_log_table::oldest(now, days);
        let template = Arc::clone(&app.key_template);
        let (signal, encoding) = (self.signal, self.encoding);
        let read = move || received.read(signal, encoding, &template, now, oldest);
        let exported = body::blocking(read).await?;
        if !exported.taken.records.is_empty() {
            let (org, seen) = (org.clone(), self.seen.clone());
            write(app, org, caller, seen, exported.taken).await?;
        }
        Ok(otlp::response(encoding, signal, &exported.rejected))
    }
}

/// The problem with OTLP's own body. Exporters send again what was answered 429, 502, 503 or 504, and drop the rest.
fn refusal(encoding: Encoding, error: Error) -> Response {
    // The numbers of `google.rpc.Code`.
    let code = match error.kind() {
        Kind::Invalid | Kind::Unprocessable(_) | Kind::TooLarge => 3,
        Kind::TimedOut => 4,
        Kind::NotFound | Kind::Gone => 5,
        Kind::Forbidden => 7,
        Kind::TooMany | Kind::StorageFull => 8,
        Kind::Conflict => 10,
        Kind::Internal => 13,
        Kind::Unavailable => 14,
        Kind::Unauthenticated => 16,
    };
    let status = otlp::status(encoding, code, error.message());
    let mut response = Problem::from(error).into_response();
    *response.body_mut() = status.into();
    of_type(encoding, response)
}

fn of_type(encoding: Encoding, mut response: Response) -> Response {
    let media_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.remove(axum::http::header::CONTENT_LENGTH);
    response
}
