//! Request bodies that come too slowly: the request ends with `408`, whoever reads the body.
//!
//! Only waiting for the client counts, so a server that is busy, and an upload that goes on, take the time they need.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use rules::{Error, Result};
use tokio::time::{Instant, timeout};

use super::problem::Problem;
use crate::app::App;

/// Bytes a second a client may be slow at for ever.
const RATE: u64 = 1024;

/// Reads the body no longer than the client sends it fast enough.
pub(super) async fn limit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let patience = Duration::from_secs(app.config.server.body_seconds);
    let late = Arc::new(AtomicBool::new(false));
    let (parts, body) = request.into_parts();
    let frames = Frames {
        body: body.into_data_stream(),
        patience,
        waited: Duration::ZERO,
        bytes: 0,
        late: Arc::clone(&late),
    };
    let request = Request::from_parts(parts, Body::from_stream(frames.stream()));
    let response = next.run(request).await;
    if !late.load(Ordering::Relaxed) {
        return response;
    }
    // Whatever the reader made of the broken body, this is why it broke.
    let mut response = Problem::from(slow()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn slow() -> Error {
    Error::timed_out("the request body came too slowly")
}

struct Frames {
    body: BodyDataStream,
    patience: Duration,
    /// For the client, in all.
    waited: Duration,
    bytes: u64,
    late: Arc<AtomicBool>,
}

impl Frames {
    fn stream(self) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::unfold(Some(self), async |frames| {
            let mut frames = frames?;
            let next = frames.next().await?;
            let is_broken = next.is_err();
            Some((next, (!is_broken).then_some(frames)))
        })
    }

    /// # Errors
    /// `TimedOut` when the client is too slow, `Invalid` when it breaks off.
    async fn next(&mut self) -> Option<Result<Bytes>> {
        // One pause at most that long; all pauses together longer by what the client has sent.
        let sent = Duration::from_secs(self.bytes / RATE);
        let left = (self.patience + sent).saturating_sub(self.waited);
        let began = Instant::now();
        let frame = timeout(left.min(self.patience), self.body.next()).await;
        self.waited += began.elapsed();
        match frame {
            Ok(Some(Ok(bytes))) => {
                self.bytes += bytes.len() as u64;
                Some(Ok(bytes))
            }
            Ok(Some(Err(error))) => {
                let broken = Error::invalid("the request body broke off before its end");
                Some(Err(broken.because(error)))
            }
            Ok(None) => None,
            Err(_) => {
                self.late.store(true, Ordering::Relaxed);
                Some(Err(slow()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::Kind;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// The bytes that come through when the client sends `frames` of so many bytes, each after a pause, and how it ends.
    async fn read(frames: &[(Duration, usize)]) -> (usize, Result<()>, bool) {
        let late = Arc::new(AtomicBool::new(false));
        let sent = stream::iter(frames.to_vec()).then(async |(pause, bytes)| {
            tokio::time::sleep(pause).await;
            Ok::<_, Error>(Bytes::from(vec![0; bytes]))
        });
        let frames = Frames {
            body: Body::from_stream(sent).into_data_stream(),
            patience: PATIENCE,
            waited: Duration::ZERO,
            bytes: 0,
            late: Arc::clone(&late),
        };
        let mut bytes = 0;
        let mut frames = std::pin::pin!(frames.stream());
        let mut end = Ok(());
        while let Some(frame) = frames.next().await {
            match frame {
                Ok(frame) => bytes += frame.len(),
                Err(error) => end = Err(error),
            }
        }
        (bytes, end, late.load(Ordering::Relaxed))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_upload_that_goes_on_is_let_through() {
        let hours = vec![(seconds(20), 20 * 1024); 1_000];
        let (bytes, end, late) = read(&hours).await;
        assert!(end.is_ok() && !late);
        assert_eq!(bytes, 1_000 * 20 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn one_long_pause_and_many_short_ones_are_too_slow() {
        let pause = [(seconds(1), 1_000_000), (seconds(31), 1)];
        let trickle = vec![(seconds(1), 1); 100];
        for (frames, expected) in [(&pause[..], 1_000_000), (&trickle, 29)] {
            let (bytes, end, late) = read(frames).await;
            assert_eq!(*end.unwrap_err().kind(), Kind::TimedOut);
            assert!(late);
            assert!(bytes.abs_diff(expected) <= 1, "{bytes}");
        }
    }
}
