//! Errors as responses: the one envelope, and the only place where a kind of error becomes a status (the wire contract,
//! section 4).

use axum::Json;
use axum::http::header::{CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rules::{Error, Kind, Violation};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::ValidationError;

/// What went wrong, in one sentence.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"detail": "there is no such organization"})))]
pub(super) struct ErrorResponse<'e> {
    detail: &'e str,
}

/// What of a request is not valid.
#[derive(Serialize, ToSchema)]
pub(super) struct HTTPValidationError<'e> {
    #[schema(value_type = Vec<ValidationError>)]
    detail: &'e [Violation],
}

/// An error on its way to the caller.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: Error,
    header: Option<(HeaderName, HeaderValue)>,
    is_planned: bool,
}

impl Problem {
    /// Every request's answer in maintenance.
    pub(super) fn maintenance() -> Self {
        let error = Error::unavailable("the server is in maintenance; try again later");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error,
            header: Some((RETRY_AFTER, HeaderValue::from_static("60"))),
            is_planned: true,
        }
    }

    pub(super) fn method_not_allowed() -> Self {
        let error = Error::invalid("this path does not take that method");
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            error,
            header: None,
            is_planned: false,
        }
    }

    /// The range asked of a file lies behind its end.
    pub(super) fn no_such_range(bytes: u64) -> Self {
        let error = Error::invalid(format!(
            "the result has {bytes} bytes, and none in this range"
        ));
        let whole = HeaderValue::from_str(&format!("bytes */{bytes}"));
        Self {
            status: StatusCode::RANGE_NOT_SATISFIABLE,
            error,
            header: whole.ok().map(|whole| (CONTENT_RANGE, whole)),
            is_planned: false,
        }
    }
}

/// The status of an error.
pub(super) fn status(kind: &Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Gone => StatusCode::GONE,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TimedOut => StatusCode::REQUEST_TIMEOUT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = status(error.kind());
        let header = match error.kind() {
            Kind::Unauthenticated => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Kind::Unavailable => Some((RETRY_AFTER, HeaderValue::from_static("5"))),
            _ => None,
        };
        Self {
            status,
            error,
            header,
            is_planned: false,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self {
            status,
            error,
            header,
            is_planned,
        } = self;
        // Here the error is handled, so here it is logged. What a caller did wrong may quote a query's data: of that the
        // request's own line has the status, which is enough.
        // Maintenance is an operator's wish.
        if status.is_server_error() && !is_planned {
            let source = std::error::Error::source(&error);
            tracing::error!(status = status.as_u16(), source, "{error}");
        }
        let body = match error.kind() {
            Kind::Unprocessable(detail) => Json(HTTPValidationError { detail }).into_response(),
            _ => {
                let detail = error.message();
                Json(ErrorResponse { detail }).into_response()
            }
        };
        let mut response = (status, body).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
