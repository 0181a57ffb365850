//! `amigo-admin serve`: the server, until SIGTERM, SIGHUP or Ctrl-C.

use std::io::IsTerminal;
use std::net::SocketAddr;

use rules::{Error, Result};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::Context;
use crate::app::App;
use crate::config::{Config, LogFormat};
use crate::core_dumps;
use crate::traces::{TARGET, Traces};

/// Serve the API
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port to listen on [default: the setting server.listen, 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Args, context: Context) -> Result<()> {
    let address = args.listen.unwrap_or(context.config.server.listen);
    let traces = start_logging(&context.config)?;
    let served = serve(address, &context, |base_url| {
        (
            format!("listening on {base_url}"),
            json!({"base_url": base_url}),
        )
    });
    let served = served.await;
    if let Some(traces) = traces {
        traces.close().await;
    }
    served
}

/// Opens the application, prints what `ready` says of the base URL it listens at, for people and as JSON, and serves.
pub(super) async fn serve(
    address: SocketAddr,
    context: &Context,
    ready: impl FnOnce(&str) -> (String, Value),
) -> Result<()> {
    core_dumps::turn_off()?;
    let stop = stop_signal()?;
    // First: who cannot serve changes nothing.
    let unable = |error| Error::invalid(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(unable)?;
    let address = listener.local_addr().map_err(unable)?;
    let app = App::open(context.config.clone(), context.clock.clone()).await?;
    let metrics = match context.config.server.metrics_address()? {
        Some(address) => Some(listen_for_metrics(address).await?),
        None => None,
    };
    tracing::info!(%address, data = %app.config.data_dir.display(), "serving");
    let scheme = if app.config.server.is_tls() {
        "https"
    } else {
        "http"
    };
    let (human, value) = ready(&format!("{scheme}://{address}"));
    context.print(|| human, value);
    app.serve(listener, metrics, stop).await
}

async fn listen_for_metrics(address: SocketAddr) -> Result<TcpListener> {
    let unable = |error| Error::invalid(format!("cannot serve metrics on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(unable)?;
    let address = listener.local_addr().map_err(unable)?;
    tracing::info!(%address, "serving metrics");
    Ok(listener)
}

/// Writes logs to standard error as the settings say, and sends traces as the environment says.
///
/// # Errors
/// As [`Traces::open`].
pub(super) fn start_logging(config: &Config) -> Result<Option<Traces>> {
    // Delta reports what its callers handle, and so log, themselves. The level was checked with the settings.
    let filter = EnvFilter::new(format!(
        "buoyant_kernel=off,deltalake_core=off,{TARGET}=off,{}",
        config.logs.level
    ));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match config.logs.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
    };
    let traces = Traces::open()?;
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.as_ref().map(Traces::layer))
        .init();
    Ok(traces)
}

fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static> {
    let deaf = |error| Error::internal("signals cannot be received").because(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    let mut hang_up = match ignores_hang_ups() {
        true => None,
        false => Some(signal(SignalKind::hangup()).map_err(deaf)?),
    };
    Ok(async move {
        let hung_up = async {
            match &mut hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hung_up => {}
        }
    })
}

/// Whether whoever started this wants it to outlive the terminal, as `nohup` does: the signal came ignored.
fn ignores_hang_ups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The first bit is the first signal, which this one is.
    ignored.is_some_and(|ignored| {
        u64::from_str_radix(ignored.trim(), 16).is_ok_and(|ignored| ignored & 1 == 1)
    })
}
