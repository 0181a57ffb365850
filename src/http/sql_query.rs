//! `POST /v1/{organization}/admin/sql_query`: one read-only SQL query, answered at once or submitted (the wire contract,
//! section 2).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use rules::{Error, Result};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::audited::{Told, change, opening, read, tell};
use super::caller::{Organization, authenticate, cluster, located};
use super::client::Client;
use super::fields::{self, Fields};
use super::layers::Seen;
use super::limited::limited;
use super::openapi::{
    AdminSubmitSqlQueryRequest, AdminSubmitSqlQueryResponse, BodyErrors, IdempotencyKey,
    InOrganization, LimitedErrors, PermissionErrors,
};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::engine::Format;
use crate::guard::{Action, Actor, Endpoint};
use crate::sql_query::{self, Handle, Submission};

const SQL_CHARS_MAX: usize = 100_000;
/// Names the submission, so that sending it again is safe.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// The request body, checked.
#[derive(Debug)]
struct Body {
    /// Trimmed, 1 to 100,000 characters.
    sql_query: String,
    async_query: bool,
    result_format: Format,
}

/// What the submitter of a query gets, or who asks for it later.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AsyncQueryResponse)]
pub(super) struct Submitted {
    query_id: String,
    /// Where the result is once the query is done. The URL is all the right it takes.
    pub(super) signed_url: String,
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires_at: DateTime<Utc>,
}

/// Either form of the answer.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "a description; the handler makes one or the other"
)]
enum Answer {
    Rows(AdminSubmitSqlQueryResponse),
    Submitted(Submitted),
}

/// Submit a SQL query
///
/// Runs one read-only statement over the tables of the organization, for callers whose role has greater privileges than its
/// `DefaultAdministratorRole`. The dialect, the tables and the limits are in the server's documentation.
#[utoipa::path(
    post, path = "/v1/{organization}/admin/sql_query", operation_id = "submit-sql-query", tag = "Admin",
    params(InOrganization, IdempotencyKey),
    request_body = AdminSubmitSqlQueryRequest,
    responses(
        (status = 200, body = inline(Answer), description = "The rows; or, asynchronously, where the result will be."),
        LimitedErrors,
        PermissionErrors,
        BodyErrors,
        (status = 400, body = ErrorResponse, description = "The query is not valid, or is not supported here."),
        (status = 408, body = ErrorResponse, description = "The query took longer than it may; it has been stopped."),
        (status = 507, body = ErrorResponse, description = "There is no room for what the query would write."),
    )
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = parse(Fields::of_body(body)?)?;
    let idempotency_key = idempotency_key(&headers)?;
    if body.async_query {
        // Its answer needs one: what cannot be answered is not begun.
        client.base_url(&app.config.server)?;
    }
    let cluster = cluster(&app, &headers).await?;
    let caller = authenticate(&app, &org, &headers, &seen).await?;
    let now = app.clock.now();
    let user = format!("{}/{}", caller.org_id, caller.user_id);
    let verdict = app.rate_limits.take(Endpoint::SqlQuery, &user, now);
    let work = async {
        let organization = located(&app, &org, cluster.as_ref()).await?;
        let actor = Actor::of(&caller);
        if body.async_query {
            let deed = Action::SubmitSqlQuery
                .on(&body.sql_query)
                .with(json!({"result_format": body.result_format.name()}));
            let opening = opening(&org, actor, &seen, deed);
            let submit = Box::pin(async {
                sql_query::authorise(&app.directory, &org, &caller).await?;
                let submission = Submission {
                    sql: body.sql_query,
                    format: body.result_format,
                    idempotency_key,
                };
                let handle = app
                    .queries
                    .submit(&organization, caller, submission, now)
                    .await?;
                let told = tell(json!({"query_id": handle.query_id}));
                Ok((told, Json(submitted(&app, &client, handle)?)).into_response())
            });
            return change(&app, opening, submit).await;
        }
        let opening = opening(&org, actor, &seen, Action::RunSqlQuery.on(&body.sql_query));
        let run = Box::pin(async {
            sql_query::authorise(&app.directory, &org, &caller).await?;
            let sql = body.sql_query;
            let page = sql_query::run(&app.queries, &organization, caller, sql, now).await?;
            let told = Told::page(&page);
            Ok((told, [(CONTENT_TYPE, "application/json")], page.json).into_response())
        });
        read(&app, opening, run).await
    };
    Ok(limited(verdict, work).await)
}

/// The handle with the whole URL.
pub(super) fn submitted(app: &App, client: &Client, handle: Handle) -> Result<Submitted> {
    Ok(Submitted {
        query_id: handle.query_id,
        signed_url: format!(
            "{}{}",
            client.base_url(&app.config.server)?,
            handle.signed_url
        ),
        expires_at: handle.expires_at,
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = key.to_str().ok().map(str::trim);
    let key = key.filter(|key| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()));
    let key = key.ok_or_else(|| {
        let reason =
            format!("should be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters");
        Error::unprocessable(&["header", IDEMPOTENCY_KEY], reason, "value_error")
    })?;
    Ok(Some(key.to_owned()))
}

fn parse(mut body: Fields) -> Result<Body> {
    let sql_query = body.required("sql_query", fields::text(SQL_CHARS_MAX));
    let async_query = body.required("async_query", fields::flag);
    let names = Format::ALL.map(Format::name);
    let format = body.optional("result_format", fields::one_of(names));
    let made = sql_query
        .zip(async_query)
        .map(|(sql_query, async_query)| Body {
            sql_query,
            async_query,
            result_format: format.and_then(Format::parse).unwrap_or(Format::Csv),
        });
    body.finish(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::Kind;

    fn read(body: &str) -> Result<Body> {
        parse(Fields::of_body(Ok(Bytes::copy_from_slice(
            body.as_bytes(),
        )))?)
    }

    #[track_caller]
    fn check(body: &str, expected: &[(&str, &str)]) {
        let error = read(body).expect_err("a violation");
        let Kind::Unprocessable(violations) = error.kind() else {
            panic!("{error:?}")
        };
        let found: Vec<(String, &str)> = violations
            .iter()
            .map(|one| (one.loc.join("."), one.kind.as_str()))
            .collect();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(loc, kind)| (loc.as_str(), *kind))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_good_body_is_trimmed_and_may_hold_more() {
        let body = read(
            r#"{"sql_query": "  select 1\n", "async_query": true, "x": 1, "result_format": "csv"}"#,
        )
        .unwrap();
        assert_eq!(
            (body.sql_query.as_str(), body.async_query),
            ("select 1", true)
        );
    }

    #[test]
    fn every_violation_has_its_place() {
        check(
            "{}",
            &[
                ("body.sql_query", "missing"),
                ("body.async_query", "missing"),
            ],
        );
        check(
            r#"{"sql_query": " ", "async_query": "no"}"#,
            &[
                ("body.sql_query", "string_too_short"),
                ("body.async_query", "bool_type"),
            ],
        );
        check(
            r#"{"sql_query": 1, "async_query": false}"#,
            &[("body.sql_query", "string_type")],
        );
        check(
            r#"{"sql_query": "x", "async_query": false, "result_format": "xls"}"#,
            &[("body.result_format", "enum")],
        );
        check("[]", &[("body", "model_type")]);
        check("{", &[("body", "json_invalid")]);
    }

    #[test]
    fn length_counts_characters_after_trimming() {
        let text =
            |sql: String| serde_json::json!({"sql_query": sql, "async_query": false}).to_string();
        assert!(read(&text(format!(" {} ", "ü".repeat(SQL_CHARS_MAX)))).is_ok());
        check(
            &text("x".repeat(SQL_CHARS_MAX + 1)),
            &[("body.sql_query", "string_too_long")],
        );
    }
}
