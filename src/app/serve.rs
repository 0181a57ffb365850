//! Serves until told to stop: the listener's limits, TLS, the background work, and the end of all of them.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use rules::{Error, Result};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::App;
use super::listener::{Listener, Peer};
use crate::http;
use crate::prompt_logs::keeping::Keeper;

/// How much longer than a download any answer may be stalled: a download that is given up says so itself.
const AFTER_DOWNLOADS: Duration = Duration::from_secs(5);

impl App {
    /// Serves the API on `listener` and what is counted on `metrics` until `stop`, then lets requests under way finish,
    /// for as long as the settings allow.
    ///
    /// # Errors
    /// `Internal` when the listener fails.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        metrics: Option<TcpListener>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let grace = Duration::from_secs(self.config.server.shutdown_seconds);
        let (stop_keeping, stopped_keeping) = watch::channel(false);
        let queries = Arc::clone(&self.queries);
        let audit = self.audit.clone();
        let mut background = vec![
            (
                "the keeping of prompt logs",
                tokio::spawn(self.keeper().run(stopped_keeping.clone())),
            ),
            (
                "the keeping of query results",
                tokio::spawn(Arc::clone(&queries).keep(stopped_keeping.clone())),
            ),
        ];
        if let Some(tls) = self.tls.clone() {
            let keeping = tokio::spawn(tls.keep(stopped_keeping.clone()));
            background.push(("the watch over the certificate", keeping));
        }
        if let Some(listener) = metrics {
            let router = http::metrics_router(Arc::clone(&self.metrics));
            let serving = serve_metrics(listener, router, stopped_keeping);
            background.push(("the serving of metrics", tokio::spawn(serving)));
        }
        let clusters = Arc::clone(&self.clusters);
        let warning = {
            // A cluster that does not answer delays nothing.
            let clusters = Arc::clone(&clusters);
            tokio::spawn(async move { clusters.warn_of_rights().await })
        };
        let handle = Handle::new();
        let (stopping, stopped) = oneshot::channel();
        let told = {
            let handle = handle.clone();
            tokio::spawn(async move {
                stop.await;
                tracing::info!("stopping: no new requests; those under way may finish");
                let _ = stop_keeping.send(true);
                handle.graceful_shutdown(None);
                let _ = stopping.send(());
            })
        };
        let too_late = async {
            if stopped.await.is_err() {
                // The server ended by itself; its own result counts.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(grace).await;
        };
        let result = tokio::select! {
            result = self.listen(listener, handle.clone()) => {
                result.map_err(|error| Error::internal("the server failed").because(error))
            }
            () = too_late => {
                tracing::warn!("requests were still under way after {} s; they are cut off", grace.as_secs());
                handle.shutdown();
                Ok(())
            }
        };
        told.abort();
        for (what, task) in background {
            ended(what, task).await;
        }
        queries.close().await;
        warning.abort();
        clusters.close().await;
        // What cannot be stored is in the log, and the next server completes it.
        let _ = audit.flush().await;
        result
    }

    async fn listen(
        self: Arc<Self>,
        listener: TcpListener,
        handle: Handle<Peer>,
    ) -> std::io::Result<()> {
        let settings = &self.config.server;
        let patience =
            Duration::from_secs(self.config.limits.download_idle_seconds) + AFTER_DOWNLOADS;
        let headers = Duration::from_secs(settings.header_seconds);
        let server = settings.clone();
        // A proxy on the same machine may not be named, and its connections are everybody's.
        let is_proxy = move |address: IpAddr| address.is_loopback() || server.trusts(address);
        let listener = Listener::new(listener, settings.connections, patience, is_proxy);
        let mut server = Server::<Peer>::from_listener(listener)
            .http1_only()
            .handle(handle)
            .accept_error_handler(|peer, error| match peer {
                // A client that cannot do TLS, or went away.
                Some(Peer(peer)) => {
                    tracing::debug!(%peer, error = error as &dyn std::error::Error, "no connection")
                }
                None => tracing::error!(
                    error = error as &dyn std::error::Error,
                    "connections cannot be accepted"
                ),
            });
        server
            .http_builder()
            .http1()
            .header_read_timeout(headers)
            .max_buf_size(settings.header_bytes);
        let tls = self
            .tls
            .as_ref()
            .map(|tls| RustlsAcceptor::new(tls.config()).handshake_timeout(headers));
        let router = http::router(self).into_make_service_with_connect_info::<SocketAddr>();
        match tls {
            Some(tls) => server.acceptor(tls).serve(router).await,
            None => server.serve(router).await,
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper::new(
            self.lake.clone(),
            self.directory.clone(),
            self.clock.clone(),
            self.config.keeping.clone(),
            self.config.retention.clone(),
            Arc::clone(&self.metrics),
        )
    }
}

/// For few readers that are trusted: without the limits of the API.
async fn serve_metrics(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        // An error: its sender is gone, and the server with it.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        served = axum::serve(listener, router) => if let Err(error) = served {
            tracing::error!(error = &error as &dyn std::error::Error, "metrics are no longer served");
        },
        () = stopped => {}
    }
}

/// Waits for background work, which ends soon after it was told to: a merge is given up, which is safe at any point.
async fn ended(what: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "{what} ended early"
        );
    }
}
