//! `POST /v1/{organization}/admin/sql_query`: one read-only SQL query, answered at once or submitted (the wire contract,
//! section 2).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use rules::{Error, Kind, Result, Violation};
use serde_json::{Value, json};

use super::audited::{Told, change, opening, read, tell};
use super::caller::{Organization, authenticate, cluster, located};
use super::client::Client;
use super::layers::Seen;
use super::limited::limited;
use super::problem::Problem;
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

pub(super) async fn post(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    Extension(seen): Extension<Seen>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = parse(&body.map_err(unread)?)?;
    let idempotency_key = idempotency_key(&headers)?;
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
                Ok((told, Json(handle_json(&app, &client, handle)?)).into_response())
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

/// What the submitter of a query gets, or who asks for it later.
pub(super) fn handle_json(app: &App, client: &Client, handle: Handle) -> Result<Value> {
    Ok(json!({
        "query_id": handle.query_id,
        "signed_url": format!("{}{}", client.base_url(&app.config.server)?, handle.signed_url),
        "expires_at": handle.expires_at,
    }))
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

fn unread(rejection: BytesRejection) -> Error {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Error::too_large("the request body is too large").because(rejection);
    }
    Error::invalid("the request body could not be read").because(rejection)
}

/// Reads the body as the published API does: every violation with its place, unknown fields ignored.
fn parse(body: &[u8]) -> Result<Body> {
    let invalid = |violations| {
        Error::new(
            Kind::Unprocessable(violations),
            "the request body is not valid",
        )
    };
    let fields = match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => {
            return Err(invalid(vec![violation(
                None,
                "Input should be a valid object",
                "model_type",
            )]));
        }
        Err(error) => {
            return Err(invalid(vec![violation(
                None,
                format!("JSON decode error: {error}"),
                "json_invalid",
            )]));
        }
    };
    let checked = (
        sql_query(fields.get("sql_query")),
        async_query(fields.get("async_query")),
        result_format(fields.get("result_format")),
    );
    match checked {
        (Ok(sql_query), Ok(async_query), Ok(result_format)) => Ok(Body {
            sql_query,
            async_query,
            result_format,
        }),
        (sql_query, async_query, result_format) => {
            let violations = [sql_query.err(), async_query.err(), result_format.err()];
            Err(invalid(violations.into_iter().flatten().collect()))
        }
    }
}

fn violation(field: Option<&str>, msg: impl Into<String>, kind: &str) -> Violation {
    let loc = ["body"]
        .into_iter()
        .chain(field)
        .map(str::to_owned)
        .collect();
    Violation {
        loc,
        msg: msg.into(),
        kind: kind.to_owned(),
    }
}

fn sql_query(value: Option<&Value>) -> Result<String, Violation> {
    let violation = |msg, kind| violation(Some("sql_query"), msg, kind);
    match value {
        None => Err(violation("Field required".to_owned(), "missing")),
        Some(Value::String(sql)) => match sql.trim() {
            "" => Err(violation(
                "String should have at least 1 character".to_owned(),
                "string_too_short",
            )),
            sql if sql.chars().count() > SQL_CHARS_MAX => {
                let msg = format!("String should have at most {SQL_CHARS_MAX} characters");
                Err(violation(msg, "string_too_long"))
            }
            sql => Ok(sql.to_owned()),
        },
        Some(_) => Err(violation(
            "Input should be a valid string".to_owned(),
            "string_type",
        )),
    }
}

fn async_query(value: Option<&Value>) -> Result<bool, Violation> {
    match value {
        None => Err(violation(Some("async_query"), "Field required", "missing")),
        Some(Value::Bool(async_query)) => Ok(*async_query),
        Some(_) => Err(violation(
            Some("async_query"),
            "Input should be a valid boolean",
            "bool_type",
        )),
    }
}

fn result_format(value: Option<&Value>) -> Result<Format, Violation> {
    let format = match value {
        None | Some(Value::Null) => Some(Format::Csv),
        Some(value) => value.as_str().and_then(Format::parse),
    };
    format.ok_or_else(|| {
        let msg = format!(
            "Input should be one of {}",
            Format::ALL.map(Format::name).join(", ")
        );
        violation(Some("result_format"), msg, "enum")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[(&str, &str)]) {
        let error = parse(body.as_bytes()).expect_err("a violation");
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
        let body = parse(br#"{"sql_query": "  select 1\n", "async_query": true, "x": 1, "result_format": "csv"}"#).unwrap();
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
        assert!(parse(text(format!(" {} ", "ü".repeat(SQL_CHARS_MAX))).as_bytes()).is_ok());
        check(
            &text("x".repeat(SQL_CHARS_MAX + 1)),
            &[("body.sql_query", "string_too_long")],
        );
    }
}
