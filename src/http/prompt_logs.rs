//! `GET /v1/{organization}/admin/get_prompt_logs/`: the prompt logs with a key prefix as one zip (the wire contract,
//! section 1).

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use futures::{FutureExt, StreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rules::{Caller, Error, OrgId, Result};
use serde_json::json;
use tracing::{Instrument, info_span};

use super::audited::{self, Told, opening};
use super::caller::{Organization, cluster, identify, located, permitted};
use super::layers::Seen;
use super::limited::limited;
use super::openapi::{InOrganization, LimitedErrors, PermissionErrors, PromptLogsQuery};
use super::problem::{ErrorResponse, Problem};
use crate::app::App;
use crate::guard::{Act, Action, Actor, End, Endpoint, Outcome, Place};
use crate::identity::Claims;
use crate::lake::prompt_log_table;
use crate::prompt_logs::{Access, Delivery, Ledger, LookUp, Selection, archive, select};
use crate::traces::TARGET;

/// What a log key keeps when it is percent-encoded: RFC 3986's unreserved characters.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// What the endpoint itself asks for.
const PERMISSION: &str = "Admin:GetPromptLogs";
/// Longer file names trouble file systems.
const FILE_NAME_CHARS_MAX: usize = 120;

struct Parameters {
    prefix: String,
    after: Option<String>,
}

/// Get prompt logs
///
/// The prompt logs whose keys have the prefix, of as many days as the organization keeps, as one zip that is built while it
/// is sent. A log has up to two entries: `{log_key}-system`, the rendered system prompt, and `{log_key}-history`, the
/// rendered history prompts in order with a line `---` between them. A log that cannot be read, or that the caller may not
/// read, has an entry `{log_key}-error` that says why. An archive that breaks off has failed.
///
/// At most 1,000 logs, in the order of their keys; where there are more, the headers say so and how to go on.
#[utoipa::path(
    get, path = "/v1/{organization}/admin/get_prompt_logs/", operation_id = "get-prompt-logs", tag = "Admin",
    params(InOrganization, PromptLogsQuery),
    responses(
        (status = 200, description = "The archive.", body = String, content_type = "application/zip", headers(
            ("Content-Disposition" = String, description = "A name for the file."),
            ("X-Prompt-Log-Count" = u32, description = "How many logs the archive holds."),
            ("X-Prompt-Log-Truncated" = bool, description = "Whether more logs have the prefix."),
            ("X-Prompt-Log-Next-After" = String,
                description = "Where there are more: the last log key, percent-encoded, for the parameter `after`."),
        )),
        LimitedErrors,
        PermissionErrors,
        (status = 404, body = ErrorResponse, description = "No such organization, or no log with this prefix."),
    )
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Organization(org): Organization,
    RawQuery(query): RawQuery,
    Extension(seen): Extension<Seen>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = parameters(query.as_deref().unwrap_or_default())?;
    let cluster = cluster(&app, &headers).await?;
    let (caller, claims) = identify(&app, &org, &headers, &seen).await?;
    let user = format!("{}/{}", caller.org_id, caller.user_id);
    let verdict = app
        .rate_limits
        .take(Endpoint::PromptLogs, &user, app.clock.now());
    let work = async {
        let organization = located(&app, &org, cluster.as_ref()).await?;
        let deed = Action::GetPromptLogs
            .on(&parameters.prefix)
            .with(json!({ "after": parameters.after }));
        let mut act = app
            .audit
            .open(opening(&org, Actor::of(&caller), &seen, deed))?;
        let days = organization.retention_days_or(app.config.retention.days);
        let choose = async {
            permitted(&caller, &org, PERMISSION)?;
            select_logs(&app, &org, days, &caller, &parameters).await
        };
        match act.during(choose).await? {
            Ok(selection) if method == Method::HEAD => Ok(head(&selection, &org, &parameters, act)),
            Ok(selection) => {
                let Some(place) = app.downloads.take(org.clone()) else {
                    let error = Error::unavailable(
                        "too many archives are being downloaded; try again when some have ended",
                    );
                    act.complete(&audited::end_of(&error));
                    return Err(error);
                };
                let access = Access::new(caller, look_up(&app, &org, claims));
                Ok(deliver(
                    &app,
                    &org,
                    selection,
                    access,
                    &parameters,
                    (act, place),
                ))
            }
            Err(error) => {
                act.complete(&audited::end_of(&error));
                Err(error)
            }
        }
    };
    Ok(limited(verdict, work).await)
}

fn parameters(query: &str) -> Result<Parameters> {
    const PREFIX: &str = "prompt_log_prefix";
    let mut parameters = Parameters {
        prefix: String::new(),
        after: None,
    };
    let mut given = false;
    // What is decoded in spite of it would stand for no key, and an empty page would end a client's paging.
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode_str(value).decode_utf8().is_err() {
            return Err(Error::unprocessable(
                &["query", name],
                "Input should be UTF-8, percent-encoded",
                "string_unicode",
            ));
        }
    }
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            PREFIX => (parameters.prefix, given) = (value.into_owned(), true),
            "after" if !value.is_empty() => parameters.after = Some(value.into_owned()),
            _ => {}
        }
    }
    if !given {
        return Err(Error::unprocessable(
            &["query", PREFIX],
            "Field required",
            "missing",
        ));
    }
    if parameters.prefix.is_empty() {
        let reason = "String should have at least 1 character";
        return Err(Error::unprocessable(
            &["query", PREFIX],
            reason,
            "string_too_short",
        ));
    }
    Ok(parameters)
}

async fn select_logs(
    app: &App,
    org: &OrgId,
    days: u32,
    caller: &Caller,
    parameters: &Parameters,
) -> Result<Selection> {
    let query = select::Query {
        prefix: &parameters.prefix,
        after: parameters.after.as_deref(),
        limit: app.config.limits.archive_logs,
        oldest: prompt_log_table::oldest(app.clock.now(), days),
    };
    let selection = select::select(&app.lake, org, caller, query)
        .instrument(info_span!(target: TARGET, "select prompt logs"))
        .await?;
    if selection.is_empty() {
        let past = match days {
            1 => "day".to_owned(),
            days => format!("{days} days"),
        };
        return Err(Error::not_found(format!(
            "no prompt log of the past {past} has a key with this prefix"
        )));
    }
    Ok(selection)
}

/// What there is to download, as the archive's own answer says it.
fn head(selection: &Selection, org: &OrgId, parameters: &Parameters, act: Act) -> Response {
    act.complete(&End {
        status: Some(200),
        rows: Some(0),
        bytes: Some(0),
        ..End::new(Outcome::Succeeded)
    });
    // Of no known length, as the archive's own: an empty one would be said to have none.
    let body = Body::from_stream(futures::stream::empty::<Result<bytes::Bytes>>());
    let headers = headers(selection, org, &parameters.prefix);
    (headers, body).into_response()
}

/// The archive; at its end the act is completed and the place given back.
fn deliver(
    app: &App,
    org: &OrgId,
    selection: Selection,
    access: Access,
    parameters: &Parameters,
    (act, place): (Act, Place<OrgId>),
) -> Response {
    let headers = headers(&selection, org, &parameters.prefix);
    let comment = comment(&selection, &parameters.prefix);
    let idle = Duration::from_secs(app.config.limits.download_idle_seconds);
    let ledger = Arc::new(Ledger::default());
    let frames = archive::stream(selection, comment, idle, access, Arc::clone(&ledger)).boxed();
    let sent = app.metrics.download("prompt_logs");
    audited::stream(headers, frames, None, sent, act, move |bytes| {
        let Delivery {
            delivered,
            begun,
            denied,
            failed,
        } = ledger.delivery(bytes);
        drop(place);
        Told {
            rows: Some(delivered.len() as u64),
            bytes: None,
            detail: Some(json!({
                "delivered": delivered, "begun": begun, "denied": denied, "failed": failed,
            })),
        }
    })
}

/// Who the caller is by now, if they may still use the endpoint.
fn look_up(app: &Arc<App>, org: &OrgId, claims: Claims) -> LookUp {
    let (app, org) = (Arc::clone(app), org.clone());
    Box::new(move || {
        let (app, org, claims) = (Arc::clone(&app), org.clone(), claims.clone());
        let looked_up = async move {
            let caller = app.identity.caller(&claims).await?;
            permitted(&caller, &org, PERMISSION)?;
            Ok(caller)
        };
        looked_up.boxed()
    })
}

fn headers(selection: &Selection, org: &OrgId, prefix: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    let safe = |letter: char| {
        if letter.is_ascii_alphanumeric() || "-_.".contains(letter) {
            letter
        } else {
            '_'
        }
    };
    let name: String = format!("{org}-{prefix}")
        .chars()
        .map(safe)
        .take(FILE_NAME_CHARS_MAX)
        .collect();
    let disposition = format!("attachment; filename=\"{name}.zip\"");
    headers.insert(CONTENT_DISPOSITION, ascii(&disposition));
    headers.insert(
        HeaderName::from_static("x-prompt-log-count"),
        HeaderValue::from(selection.len()),
    );
    let next = selection.next_after();
    let truncated = match next {
        Some(_) => "true",
        None => "false",
    };
    headers.insert(
        HeaderName::from_static("x-prompt-log-truncated"),
        HeaderValue::from_static(truncated),
    );
    if let Some(last) = next {
        let last = utf8_percent_encode(last, KEY).to_string();
        headers.insert(
            HeaderName::from_static("x-prompt-log-next-after"),
            ascii(&last),
        );
    }
    headers
}

fn ascii(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("printable ASCII is a header value")
}

/// The archive's own word that it is cut; empty when it is whole.
fn comment(selection: &Selection, prefix: &str) -> String {
    selection.next_after().map_or_else(String::new, |last| {
        let logs = selection.len();
        format!("truncated: the first {logs} prompt logs with the prefix {prefix}; continue with after={last}")
    })
}
