//! `amigo-admin serve`: the server, until SIGTERM or Ctrl-C.

use std::io::IsTerminal;
use std::net::SocketAddr;

use rules::{Error, Result};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::Context;
use crate::app::App;
use crate::config::{Config, LogFormat};

/// Serve the API
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port to listen on [default: the setting server.listen, 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Args, context: Context) -> Result<()> {
    let address = args.listen.unwrap_or(context.config.server.listen);
    start_logging(&context.config);
    serve(address, &context, |address| {
        let human = format!("listening on http://{address}");
        (human, json!({"base_url": format!("http://{address}")}))
    })
    .await
}

/// Opens the application, prints what `ready` says of where it listens, for people and as JSON, and serves.
pub(super) async fn serve(
    address: SocketAddr,
    context: &Context,
    ready: impl FnOnce(SocketAddr) -> (String, Value),
) -> Result<()> {
    let stop = stop_signal()?;
    let app = App::open(context.config.clone(), context.clock.clone()).await?;
    let unable = |error| Error::invalid(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(unable)?;
    let address = listener.local_addr().map_err(unable)?;
    tracing::info!(%address, data = %app.config.data_dir.display(), "serving");
    let (human, value) = ready(address);
    context.print(|| human, value);
    app.serve(listener, stop).await
}

/// Writes logs to standard error as the settings say.
pub(super) fn start_logging(config: &Config) {
    // Delta reports what its callers handle, and so log, themselves. The level was checked with the settings.
    let filter = EnvFilter::new(format!(
        "buoyant_kernel=off,deltalake_core=off,{}",
        config.logs.level
    ));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.logs.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .init(),
    }
}

fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static> {
    let deaf = |error| Error::internal("signals cannot be received").because(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
