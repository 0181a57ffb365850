//! Requests between the two rows of the audit log: what changes something waits for the first row, what reads does its work
//! meanwhile, and neither answers before it is on disk.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use prometheus_client::metrics::counter::Counter;
use rules::{Caller, Error, LogKey, OrgId, Result};
use serde_json::{Value, json};

use super::layers::Seen;
use super::problem::status;
use crate::app::App;
use crate::guard::{Act, Action, Actor, Deed, End, KEYS_NAMED, Opening, Outcome};
use crate::sql_query::Page;

/// What an answer tells the audit log beside its status; an extension of the response.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) rows: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) detail: Option<Value>,
}

impl Told {
    /// Of a query's answer.
    pub(super) fn page(page: &Page) -> Extension<Self> {
        Extension(Self {
            rows: Some(page.rows),
            bytes: Some(page.json.len() as u64),
            detail: None,
        })
    }
}

/// A part of an answer that tells the audit log what was made.
pub(super) fn tell(detail: Value) -> Extension<Told> {
    Extension(Told {
        detail: Some(detail),
        ..Told::default()
    })
}

/// An act in the organization. Several may have a key to one user; the detail says whose it was.
pub(super) fn opening(org: &OrgId, actor: Actor, seen: &Seen, deed: Deed) -> Opening {
    let deed = match seen.api_key_id() {
        Some(id) => deed.and("signed_in_with", id),
        None => deed,
    };
    Opening {
        org_id: Some(org.clone()),
        actor,
        deed,
        request_id: Some(seen.request_id.clone()),
        client_address: Some(seen.client_address.clone()),
    }
}

/// Work that changes something. Its answer comes when both rows are on disk; what was done is answered as done even if the
/// second one cannot be stored yet.
///
/// # Errors
/// `Unavailable` when the act cannot be opened, and then the work was not begun; the work's own.
pub(super) async fn change(
    app: &App,
    opening: Opening,
    work: impl Future<Output = Result<Response>>,
) -> Result<Response> {
    let mut act = app.audit.open(opening)?;
    act.opened().await?;
    let answer = work.await;
    // It is done: the answer says so even where its second row is still owed, which the log tells.
    let _ = act.completed(&end(&answer)).await;
    answer
}

/// Work that only reads.
///
/// # Errors
/// `Unavailable` when the act cannot be opened; the work's own.
pub(super) async fn read(
    app: &App,
    opening: Opening,
    work: impl Future<Output = Result<Response>>,
) -> Result<Response> {
    let mut act = app.audit.open(opening)?;
    let answer = act.during(work).await?;
    act.complete(&end(&answer));
    answer
}

/// Records that logs were replaced by others, if any were: what was recorded of the old ones is of texts that are gone.
pub(super) async fn record_replaced(
    app: &App,
    org: &OrgId,
    caller: &Caller,
    seen: &Seen,
    keys: &[LogKey],
) {
    if keys.is_empty() {
        return;
    }
    let named: Vec<&str> = keys.iter().take(KEYS_NAMED).map(LogKey::as_str).collect();
    let deed = Action::WritePromptLogs
        .on_all()
        .with(json!({"replaced": named}));
    let opening = opening(org, Actor::of(caller), seen, deed);
    let end = End {
        status: Some(StatusCode::OK.as_u16()),
        rows: Some(keys.len() as u64),
        ..End::new(Outcome::Succeeded)
    };
    let recorded = async {
        let mut act = app.audit.open(opening)?;
        act.opened().await?;
        act.completed(&end).await
    };
    // They are replaced: the answer says so all the same.
    if let Err(error) = recorded.await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            org = org.as_str(),
            user = caller.user_id.as_str(),
            keys = ?named,
            "the audit log cannot be told that prompt logs were replaced"
        );
    }
}

/// The end of an act that is answered with an error.
pub(super) fn end_of(error: &Error) -> End {
    End {
        status: Some(status(error.kind()).as_u16()),
        ..End::of_error(error)
    }
}

fn end(answer: &Result<Response>) -> End {
    match answer {
        Err(error) => end_of(error),
        Ok(response) => {
            let told = response.extensions().get::<Told>().cloned();
            let Told {
                rows,
                bytes,
                detail,
            } = told.unwrap_or_default();
            End {
                status: Some(response.status().as_u16()),
                rows,
                bytes,
                detail,
                ..End::new(Outcome::Succeeded)
            }
        }
    }
}

/// Says in the act's own terms, such as logs, what the bytes are that were handed to the connection.
type Sum = Box<dyn FnOnce(u64) -> Told + Send>;

/// A body whose end, whatever it is, completes the act.
struct Watched {
    frames: BoxStream<'static, Result<Bytes>>,
    /// Where it is known: the connection may not ask then whether more comes.
    length: Option<u64>,
    bytes: u64,
    /// The same of all answers, for the metrics.
    sent: Counter,
    status: u16,
    act: Option<(Act, Sum)>,
}

/// The answer with a streamed body, of this length where it is known. Its bytes count as `sent`.
pub(super) fn stream(
    head: impl IntoResponse,
    frames: BoxStream<'static, Result<Bytes>>,
    length: Option<u64>,
    sent: Counter,
    act: Act,
    sum: impl FnOnce(u64) -> Told + Send + 'static,
) -> Response {
    let mut response = head.into_response();
    *response.body_mut() = Body::from_stream(Watched {
        frames,
        length,
        bytes: 0,
        sent,
        status: response.status().as_u16(),
        act: Some((act, Box::new(sum))),
    });
    response
}

impl Watched {
    fn complete(&mut self, outcome: Outcome) {
        let Some((act, sum)) = self.act.take() else {
            return;
        };
        let told = sum(self.bytes);
        let reason = match outcome {
            Outcome::Interrupted => Some("the client left before the end"),
            Outcome::Failed => Some("the answer broke off; the server's log says why"),
            Outcome::Succeeded | Outcome::Denied => None,
        };
        act.complete(&End {
            outcome,
            status: Some(self.status),
            reason: reason.map(str::to_owned),
            rows: told.rows,
            bytes: Some(self.bytes),
            detail: told.detail,
        });
    }
}

impl Stream for Watched {
    type Item = Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes>>> {
        let next = self.frames.as_mut().poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes += frame.len() as u64;
                self.sent.inc_by(frame.len() as u64);
            }
            Poll::Ready(Some(Err(_))) => self.complete(Outcome::Failed),
            Poll::Ready(None) => self.complete(Outcome::Succeeded),
            Poll::Pending => {}
        }
        next
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let is_whole = self.length == Some(self.bytes);
        self.complete(match is_whole {
            true => Outcome::Succeeded,
            false => Outcome::Interrupted,
        });
    }
}
