//! Submitted queries (the wire contract, section 2): `GET` and `DELETE /v1/{organization}/admin/sql_query/{query_id}`, and
//! the signed URL of a result.

use std::ops::Range;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use rules::{OrgId, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::audited::{self, Told, opening};
use super::caller::{Within, administer, known};
use super::client::Client;
use super::layers::Seen;
use super::openapi::{
    CallerErrors, InOrganization, LimitedErrors, OrganizationInPath, PermissionErrors,
    QueryStatusName, ResultQuery, ServerErrors,
};
use super::problem::{ErrorResponse, Problem};
use super::sql_query::submitted;
use crate::app::App;
use crate::directory::SqlQuery;
use crate::engine::Format;
use crate::guard::{Action, Actor, Endpoint, Opening};
use crate::sql_query::{self, Fetched, ResultFile, SignedUrl, Status};

/// Seconds after which to ask again.
const ASK_AGAIN: &str = "1";

/// How far a query is. While there is a result to fetch, or may be one, it says where.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlQueryStatus)]
pub(super) struct Report {
    query_id: String,
    #[schema(value_type = QueryStatusName)]
    status: &'static str,
    sql_query: String,
    async_query: bool,
    #[schema(required = true)]
    result_format: Option<String>,
    /// Why it failed.
    #[schema(required = true)]
    error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    started_at: Option<DateTime<Utc>>,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    finished_at: Option<DateTime<Utc>>,
    /// So far, or in all.
    rows: u64,
    bytes: u64,
    /// How long it has been running, or ran.
    seconds: f64,
    /// Where the result is, or will be; told to its submitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    signed_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Option<DateTime<Utc>>,
}

/// How far an asynchronous query is whose result was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SqlQueryProgress)]
struct Progress {
    #[schema(value_type = QueryStatusName)]
    status: &'static str,
    rows: u64,
    bytes: u64,
    seconds: f64,
}

/// Get the status of a SQL query
///
/// A submitted query: how far it is and, for its submitter, where its result is. Those of others need
/// `Admin:GetSqlQueries`.
#[utoipa::path(
    get, path = "/v1/{organization}/admin/sql_query/{query_id}", operation_id = "get-sql-query", tag = "Admin",
    params(InOrganization, ("query_id" = String, Path, description = "The id of its submission.")),
    responses(
        (status = 200, body = Report, description = "How far it is."),
        CallerErrors,
        PermissionErrors,
    )
)]
pub(super) async fn status(
    State(app): State<Arc<App>>,
    Within(org, query_id): Within,
    Extension(seen): Extension<Seen>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Json<Report>, Problem> {
    let (_, caller) = known(&app, &org, &headers, &seen).await?;
    sql_query::authorise(&app.directory, &org, &caller).await?;
    let status = app.queries.query(&org, &caller, &query_id).await?;
    Ok(Json(report(&app, &client, status)?))
}

/// Cancel a SQL query
///
/// Ends a submitted query, or deletes its result. Those of others need `Admin:GetSqlQueries`.
#[utoipa::path(
    delete, path = "/v1/{organization}/admin/sql_query/{query_id}", operation_id = "cancel-sql-query", tag = "Admin",
    params(InOrganization, ("query_id" = String, Path, description = "The id of its submission.")),
    responses(
        (status = 200, body = Report, description = "How far it came."),
        LimitedErrors,
        PermissionErrors,
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Within(org, query_id): Within,
    Extension(seen): Extension<Seen>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (app, org) = (&app, &org);
    let cancel = Endpoint::CancelSqlQuery;
    let deed = Action::CancelSqlQuery.on(&query_id);
    let work = |caller| async move {
        sql_query::authorise(&app.directory, org, &caller).await?;
        let status = app.queries.cancel(org, &caller, &query_id).await?;
        Ok(Json(report(app, &client, status)?).into_response())
    };
    administer(app, org, &headers, &seen, cancel, deed, work).await
}

fn report(app: &App, client: &Client, status: Status) -> Result<Report> {
    let Status { query, handle } = status;
    let handle = handle.map(|handle| submitted(app, client, handle));
    let (signed_url, expires_at) = handle
        .transpose()?
        .map(|handle| (handle.signed_url, handle.expires_at))
        .unzip();
    Ok(Report {
        seconds: seconds(&query, app.clock.now()),
        query_id: query.query_id,
        status: query.status.name(),
        sql_query: query.sql_query,
        async_query: query.result_format.is_some(),
        result_format: query.result_format,
        error: query.error,
        created_at: query.created_at,
        started_at: query.started_at,
        finished_at: query.finished_at,
        rows: query.rows,
        bytes: query.bytes,
        signed_url,
        expires_at,
    })
}

/// How long the query has been running, or ran.
fn seconds(query: &SqlQuery, now: DateTime<Utc>) -> f64 {
    let Some(started) = query.started_at else {
        return 0.0;
    };
    let ran = query.finished_at.unwrap_or(now) - started;
    ran.as_seconds_f64().max(0.0)
}

/// Get the result of a SQL query
///
/// The signed URL of a submission leads here, and is all the right it takes. Ranges and `If-None-Match` are understood.
#[utoipa::path(
    get, path = "/v1/{organization}/admin/sql_query/{query_id}/result", operation_id = "get-sql-query-result", tag = "Admin",
    security(()),
    params(
        OrganizationInPath,
        ("query_id" = String, Path, description = "The id of the submission."),
        ResultQuery,
    ),
    responses(
        (status = 200, description = "The whole result.", content(
            (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet"),
            (String = "application/vnd.apache.arrow.file"),
        ), headers(("ETag" = String), ("Content-Disposition" = String))),
        (status = 202, body = Progress, description = "The query still runs.",
            headers(("Retry-After" = u32, description = "Seconds after which to ask again."))),
        (status = 206, description = "The range of the result that was asked for.", content(
            (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet"),
            (String = "application/vnd.apache.arrow.file"),
        ), headers(("Content-Range" = String))),
        (status = 304, description = "The caller has it already."),
        (status = 400, body = ErrorResponse, description = "The query failed."),
        (status = 403, body = ErrorResponse, description = "The URL was changed, or was not made here."),
        (status = 408, body = ErrorResponse, description = "The query took longer than it may."),
        (status = 410, body = ErrorResponse, description = "The result has expired, or was deleted."),
        (status = 416, body = ErrorResponse, description = "The result has no such range."),
        ServerErrors,
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path((org, query_id)): Path<(String, String)>,
    RawQuery(parameters): RawQuery,
    Extension(seen): Extension<Seen>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (url, key, signature) = signed(&org, query_id, parameters.as_deref().unwrap_or_default())
        .ok_or_else(sql_query::forged)?;
    match app.queries.result(&url, &key, &signature).await? {
        Fetched::NotYet(query) => {
            let so_far = Progress {
                status: query.status.name(),
                rows: query.rows,
                bytes: query.bytes,
                seconds: seconds(&query, app.clock.now()),
            };
            let again = [(RETRY_AFTER, HeaderValue::from_static(ASK_AGAIN))];
            Ok((StatusCode::ACCEPTED, again, Json(so_far)).into_response())
        }
        Fetched::File(file) => {
            let deed = Action::GetSqlResult.on(&file.query_id);
            let opening = opening(&url.org_id, Actor::UrlHolder, &seen, deed);
            Ok(send(&app, &file, opening, &method, &headers).await?)
        }
    }
}

/// What the URL says, its key and its signature; none when a part is missing or is none.
fn signed(org: &str, query_id: String, parameters: &str) -> Option<(SignedUrl, String, String)> {
    let (mut format, mut expires, mut key, mut signature) = (None, None, None, None);
    for (name, value) in url::form_urlencoded::parse(parameters.as_bytes()) {
        match name.as_ref() {
            "format" => format = Format::parse(&value),
            "expires" => expires = value.parse::<i64>().ok(),
            "key" => key = Some(value.into_owned()),
            "signature" => signature = Some(value.into_owned()),
            _ => {}
        }
    }
    let url = SignedUrl {
        org_id: OrgId::parse(org).ok()?,
        query_id,
        format: format?,
        expires_at: DateTime::from_timestamp(expires?, 0)?,
    };
    Some((url, key?, signature?))
}

/// The file, or the one range of it that is asked for (RFC 9110, sections 13 and 14). Where bytes of it are sent, that is
/// an act in the audit log.
async fn send(
    app: &App,
    file: &ResultFile,
    opening: Opening,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let etag = format!("\"{}-{}\"", file.query_id, file.bytes);
    let value = |value: String| HeaderValue::from_str(&value).expect("printable ASCII");
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let mut answer = HeaderMap::new();
    answer.insert(ETAG, value(etag.clone()));
    // Whoever may see it has the URL; nothing on the way is to keep it.
    answer.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let known = text(IF_NONE_MATCH).is_some_and(|tags| {
        tags.trim() == "*"
            || tags
                .split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == etag)
    });
    if known {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    answer.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let same = text(IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    let asked = text(RANGE).filter(|_| same && method == Method::GET);
    let range = match asked.map(|asked| range(asked, file.bytes)) {
        Some(Asked::Range(range)) => Some(range),
        Some(Asked::Beyond) => {
            return Ok((answer, Problem::no_such_range(file.bytes)).into_response());
        }
        Some(Asked::Whole) | None => None,
    };
    let media_type = HeaderValue::from_static(file.format.media_type());
    answer.insert(CONTENT_TYPE, media_type);
    answer.insert(CONTENT_DISPOSITION, value(disposition(file)));
    let (status, range) = match range {
        Some(range) => {
            let place = format!("bytes {}-{}/{}", range.start, range.end - 1, file.bytes);
            answer.insert(CONTENT_RANGE, value(place));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        None => (StatusCode::OK, 0..file.bytes),
    };
    answer.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if method == Method::HEAD {
        return Ok((status, answer).into_response());
    }
    let length = Some(range.end - range.start);
    let mut act = app.audit.open(opening)?;
    let frames = match act.during(file.read(range)).await? {
        Ok(frames) => frames,
        Err(error) => {
            act.complete(&audited::end_of(&error));
            return Err(error);
        }
    };
    let sent = app.metrics.download("sql_result");
    let told = |_| Told::default();
    let head = (status, answer);
    Ok(audited::stream(head, frames, length, sent, act, told))
}

fn disposition(file: &ResultFile) -> String {
    let extension = file.format.file_name().rsplit('.').next();
    let extension = extension.unwrap_or_default();
    let (org, query) = (&file.org_id, &file.query_id);
    format!("attachment; filename=\"{org}-{query}.{extension}\"")
}

/// What a `Range` header asks of a file.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Range(Range<u64>),
    /// None of its bytes exist.
    Beyond,
    /// Everything: there is no such unit, or there are several ranges, which a server may ignore.
    Whole,
}

fn range(header: &str, bytes: u64) -> Asked {
    let parts = header
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.trim().split_once('-'));
    let Some((first, last)) = parts else {
        return Asked::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(bytes),
        (Ok(first), Err(_)) if last.is_empty() => first..bytes,
        (Err(_), Ok(last)) if first.is_empty() => bytes.saturating_sub(last)..bytes,
        _ => return Asked::Whole,
    };
    if range.is_empty() {
        return Asked::Beyond;
    }
    Asked::Range(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_understood() {
        for (header, asked) in [
            ("bytes=0-0", Asked::Range(0..1)),
            ("bytes=2-5", Asked::Range(2..6)),
            ("bytes=2-", Asked::Range(2..10)),
            ("bytes=-3", Asked::Range(7..10)),
            ("bytes=-30", Asked::Range(0..10)),
            ("bytes=8-100", Asked::Range(8..10)),
            ("bytes=0-18446744073709551615", Asked::Range(0..10)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=12-15", Asked::Beyond),
            ("bytes=5-2", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("rows=1-2", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
        ] {
            assert_eq!(range(header, 10), asked, "{header}");
        }
        assert_eq!(range("bytes=0-", 0), Asked::Beyond);
    }
}
