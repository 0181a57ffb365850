//! What surrounds every request: its id, its line in the log, and an answer even when a handler panics.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use rules::{Error, OrgId, UserId};
use tracing::Instrument;

use super::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A caller's own id longer than this is none of theirs to log.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Where the request came from, for the logs; who it turned out to come from is filled in by `caller`.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    caller: Arc<OnceLock<(String, String)>>,
    pub(super) request_id: String,
    /// The client's, where it is known.
    pub(super) client_address: Option<String>,
}

impl Seen {
    fn of(request: &Request, id: &HeaderValue) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            caller: Arc::default(),
            request_id: id.to_str().unwrap_or_default().to_owned(),
            client_address: peer.map(|peer| peer.0.ip().to_canonical().to_string()),
        }
    }

    pub(super) fn note(&self, org: &OrgId, user: &UserId) {
        // A request has one caller; a second note would be the same one.
        let _ = self.caller.set((org.to_string(), user.to_string()));
    }
}

/// Gives the request an id, answers, and writes one line: never a token, a query's text or a prompt.
pub(super) async fn request(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = own_id(request.headers()).unwrap_or_else(new_id);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let seen = Seen::of(&request, &id);
    request.extensions_mut().insert(seen.clone());
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());

    let answer = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone())
        .await;
    let mut response = answer.unwrap_or_else(|_| {
        let _span = span.enter();
        Problem::from(Error::internal(
            "something went wrong here; the request id finds it in the log",
        ))
        .into_response()
    });
    let (org, user) = seen.caller.get().map_or((None, None), |(org, user)| {
        (Some(org.as_str()), Some(user.as_str()))
    });
    tracing::info!(
        method = method.as_str(),
        route = route.as_deref().unwrap_or("-"),
        status = response.status().as_u16(),
        duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        org,
        user,
        request_id = id.to_str().unwrap_or_default(),
        "request"
    );
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The caller's own id, when it is a sane one.
fn own_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let bytes = id.as_bytes();
    (!bytes.is_empty() && bytes.len() <= REQUEST_ID_BYTES_MAX && bytes.iter().all(sane))
        .then(|| id.clone())
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).expect("a UUID is a header value")
}
