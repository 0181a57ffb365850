//! What surrounds every request: its client, its id, its line in the log, and an answer even when a handler panics.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use rules::{Error, OrgId, UserId};
use tracing::Instrument;

use super::client::Client;
use super::problem::Problem;
use super::security_headers;
use crate::app::App;
use crate::traces::{TARGET, continue_trace};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A caller's own id longer than this is none of theirs to log.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Where the request came from, for the logs; who it turned out to come from is filled in by `caller`.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    caller: Arc<OnceLock<SeenCaller>>,
    pub(super) request_id: String,
    pub(super) client_address: String,
}

#[derive(Debug)]
struct SeenCaller {
    org: String,
    user: String,
    api_key_id: Option<String>,
}

impl Seen {
    fn of(client: &Client, id: &HeaderValue) -> Self {
        Self {
            caller: Arc::default(),
            request_id: id.to_str().unwrap_or_default().to_owned(),
            client_address: client.address.to_string(),
        }
    }

    /// The caller, and the API key of a token that was signed in with one.
    pub(super) fn note(&self, org: &OrgId, user: &UserId, api_key_id: Option<&str>) {
        // A request has one caller; a second note would be the same one.
        let _ = self.caller.set(SeenCaller {
            org: org.to_string(),
            user: user.to_string(),
            api_key_id: api_key_id.map(str::to_owned),
        });
    }

    pub(super) fn api_key_id(&self) -> Option<&str> {
        self.caller.get()?.api_key_id.as_deref()
    }
}

/// Gives the request an id, answers, and writes one line: never a token, a query's text or a prompt.
pub(super) async fn request(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = own_id(request.headers()).unwrap_or_else(new_id);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let client = Client::of(peer, request.headers(), &app.config.server);
    let seen = Seen::of(&client, &id);
    request.extensions_mut().insert(seen.clone());
    request.extensions_mut().insert(client.clone());
    let path = request.uri().path().to_owned();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());

    let trace = tracing::info_span!(
        target: TARGET,
        "request",
        otel.kind = "server",
        otel.name = format!("{method} {}", route.as_deref().unwrap_or("-")),
        otel.status_code = tracing::field::Empty,
        http.request.method = method.as_str(),
        http.route = route.as_deref(),
        http.response.status_code = tracing::field::Empty,
        request_id = id.to_str().unwrap_or_default(),
    );
    continue_trace(&trace, request.headers());

    let answer = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span.clone())
        .instrument(trace.clone())
        .await;
    let mut response = answer.unwrap_or_else(|_| {
        let _span = span.enter();
        Problem::from(Error::internal(
            "something went wrong here; the request id finds it in the log",
        ))
        .into_response()
    });
    let caller = seen.caller.get();
    let caller = caller.map(|caller| (caller.org.as_str(), caller.user.as_str()));
    let (org, user) = caller.unzip();
    let route = route.as_deref().unwrap_or("-");
    let (status, took) = (response.status().as_u16(), started.elapsed());
    app.metrics.answered(route, method.as_str(), status, took);
    trace.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        trace.record("otel.status_code", "ERROR");
    }
    tracing::info!(
        method = method.as_str(),
        route,
        status,
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        org,
        user,
        client = %client.address,
        request_id = id.to_str().unwrap_or_default(),
        "request"
    );
    response.headers_mut().insert(REQUEST_ID, id);
    security_headers::add(response.headers_mut(), &path, client.is_https);
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
