//! Traces: spans of requests and their main steps, sent to an OpenTelemetry collector when the environment names one.
//!
//! A span that is to be sent has the target [`TARGET`], which no log line has, and says only what anybody may know who
//! reads the log: never a prompt, a query's text, a key or a token. The environment's variables are OpenTelemetry's own
//! (`OTEL_EXPORTER_OTLP_ENDPOINT` and the like).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use rules::{Error, Result};
use tokio::runtime::Handle;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The target of spans that are sent.
pub const TARGET: &str = "traces";
/// What tells that traces are wanted, and where they go.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
/// What the last spans may take to be sent when the server ends.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// The sending of spans, which goes on in the background.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins to send spans if the environment says where; none otherwise.
    ///
    /// # Errors
    /// `Invalid` when the environment says what cannot be.
    pub fn open() -> Result<Option<Self>> {
        let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !ENDPOINTS.iter().any(|name| named(name)) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .build()
            .map_err(|error| {
                let names = ENDPOINTS.join(" or ");
                Error::invalid(format!("traces cannot be sent as {names} says: {error}"))
                    .because(error)
            })?;
        let mut resource = Resource::builder();
        if !named("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name("amigo-admin");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(OnRuntime {
                exporter: Arc::new(exporter),
                runtime: Handle::current(),
            })
            .with_resource(resource.build())
            .build();
        Ok(Some(Self { provider }))
    }

    /// What hands the spans on.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("amigo-admin"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            // Log lines are no part of a trace.
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && metadata.target() == TARGET
            }))
    }

    /// Sends what is left.
    pub async fn close(self) {
        // It waits on a thread for the sending, which needs this runtime.
        let closed =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST_SPANS));
        match closed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last traces could not be sent"
            ),
            Err(panic) => tracing::error!(
                error = &panic as &dyn std::error::Error,
                "the sending of traces ended early"
            ),
        }
    }
}

/// Makes the span a part of the trace that the request's `traceparent` names (W3C Trace Context), if any.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    // An error: nobody sends traces.
    let _ = span.set_parent(parent);
}

struct Headers<'request>(&'request HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// Sends on the server's runtime what OpenTelemetry's own thread, which has none, gathers.
#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<SpanExporter>,
    runtime: Handle,
}

impl opentelemetry_sdk::trace::SpanExporter for OnRuntime {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let exporter = Arc::clone(&self.exporter);
        let sent = self
            .runtime
            .spawn(async move { exporter.export(batch).await });
        async move {
            let result = sent
                .await
                .unwrap_or_else(|panic| Err(OTelSdkError::InternalFailure(panic.to_string())));
            if let Err(error) = &result {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "traces could not be sent"
                );
            }
            result
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match Arc::get_mut(&mut self.exporter) {
            Some(exporter) => exporter.set_resource(resource),
            // It comes before anything is sent.
            None => tracing::error!("traces lack the name of the service"),
        }
    }
}
