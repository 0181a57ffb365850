//! The application: made from settings here and nowhere else, then served until it is told to stop.

use std::fs::{File, TryLockError};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use prompt_intake::otlp::KeyTemplate;
use rules::{Error, Result};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::directory::Directory;
use crate::engine::{Pool, PoolSettings};
use crate::guard::{Audit, RateLimits};
use crate::http;
use crate::identity::Identity;
use crate::lake::Lake;
use crate::prompt_logs::keeping::Keeper;
use crate::prompt_logs::{Room, Writers};
use crate::sql_query::SqlQueries;

/// Everything a request needs.
#[derive(Debug)]
pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub directory: Directory,
    pub identity: Identity,
    pub lake: Lake,
    pub queries: Arc<SqlQueries>,
    /// Held while this server uses the data directory: two would each think the other's queries dead.
    _serving: File,
    pub rate_limits: RateLimits,
    pub audit: Audit,
    pub writers: Writers,
    /// Memory for prompt logs that are being sent.
    pub room: Room,
    /// How log keys of OpenTelemetry spans are made.
    pub key_template: Arc<KeyTemplate>,
}

impl App {
    /// Opens the data directory, which is made when missing, and starts the query workers.
    ///
    /// # Errors
    /// As the parts say: an unusable data directory, workers that do not start.
    pub async fn open(config: Config, clock: Clock) -> Result<Arc<Self>> {
        let directory = Directory::open(&config.directory_file()).await?;
        let serving = only_server(&config)?;
        let audit = Audit::of_server(directory.clone(), clock.clone()).await?;
        let identity = Identity::open(directory.clone(), clock.clone(), &config.identity)
            .await?
            .with_providers(config.openid_providers())?;
        let read_limit = Duration::from_secs(config.limits.storage_seconds);
        let lake = Lake::local(&config.lake_dir())?.with_read_limit(read_limit);
        let program = std::env::current_exe().map_err(|error| {
            Error::internal("the program does not know where it lies").because(error)
        })?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let workers = match config.limits.sql_workers {
            0 => cores.max(2),
            workers => workers,
        };
        let file_workers = match config.limits.sql_async_workers {
            0 => (cores / 2).max(1),
            workers => workers,
        };
        let pool = Pool::start(PoolSettings {
            program,
            workers,
            file_workers,
            waiting: config.limits.sql_waiting,
            memory_bytes: config.limits.sql_memory_bytes,
            seconds: config
                .limits
                .sql_seconds
                .max(config.limits.sql_async_seconds),
            spill_dir: config.spill_dir(),
            spill_bytes: config.limits.sql_spill_bytes,
        })?;
        let (queries_lake, queries_clock) = (lake.clone(), clock.clone());
        let queries = SqlQueries::open(
            pool,
            queries_lake,
            directory.clone(),
            queries_clock,
            audit.clone(),
            &config,
        )
        .await?;
        warn_of_declared(&config, &lake).await?;
        let rate_limits = RateLimits::new(&config.limits);
        let writers = Writers::new(lake.clone(), clock.clone());
        let room = Room::new(config.limits.write_memory_bytes);
        let key_template = Arc::new(config.key_template()?);
        Ok(Arc::new(Self {
            config,
            clock,
            directory,
            identity,
            lake,
            queries,
            _serving: serving,
            rate_limits,
            audit,
            writers,
            room,
            key_template,
        }))
    }

    /// Serves until `stop`, then lets requests under way finish, for as long as the settings allow.
    ///
    /// # Errors
    /// `Internal` when the listener fails.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        let grace = Duration::from_secs(self.config.server.shutdown_seconds);
        let (stop_keeping, stopped_keeping) = watch::channel(false);
        let keeper = tokio::spawn(self.keeper().run(stopped_keeping.clone()));
        let queries = Arc::clone(&self.queries);
        let audit = self.audit.clone();
        let query_keeper = tokio::spawn(Arc::clone(&queries).keep(stopped_keeping));
        let router = http::router(self);
        // Answers are small and written in pieces; waiting to fill a packet would hold each one up.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a connection keeps its delay"
                );
            }
        });
        let (stopping, stopped) = oneshot::channel();
        let served = axum::serve(listener, router).with_graceful_shutdown(async move {
            stop.await;
            tracing::info!("stopping: no new requests; those under way may finish");
            let _ = stop_keeping.send(true);
            let _ = stopping.send(());
        });
        let too_late = async {
            if stopped.await.is_err() {
                // The server ended by itself; its own result counts.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(grace).await;
        };
        let result = tokio::select! {
            result = served => result.map_err(|error| Error::internal("the server failed").because(error)),
            () = too_late => {
                tracing::warn!("requests were still under way after {} s; they are cut off", grace.as_secs());
                Ok(())
            }
        };
        // It ends soon after it was told to: a merge is given up, which is safe at any point.
        if let Err(error) = keeper.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the keeping of prompt logs ended early"
            );
        }
        if let Err(error) = query_keeper.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the keeping of query results ended early"
            );
        }
        queries.close().await;
        // What cannot be stored is in the log, and the next server completes it.
        let _ = audit.flush().await;
        result
    }

    fn keeper(&self) -> Keeper {
        Keeper::new(
            self.lake.clone(),
            self.directory.clone(),
            self.clock.clone(),
            self.config.keeping.clone(),
            self.config.retention.clone(),
        )
    }
}

/// The right to be the one server of the data directory; the end of the process gives it back.
fn only_server(config: &Config) -> Result<File> {
    let path = config.data_dir.join("serve.lock");
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be locked: {error}", path.display());
        Error::invalid(message).because(error)
    };
    let file = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(format!(
            "another server already serves {}; stop it first",
            config.data_dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Tells the operator of declared tables that no query will see.
async fn warn_of_declared(config: &Config, lake: &Lake) -> Result<()> {
    for org in config.organizations.keys() {
        let in_lake = lake.tables(org).await?;
        for table in config.declared_tables(org) {
            let (org, name, folder) = (org.as_str(), table.name.as_str(), table.folder.display());
            if in_lake.contains(&table.name) {
                tracing::warn!(
                    org,
                    name,
                    "a declared table is hidden by the lake's table of its name"
                );
            } else if !table.folder.is_dir() {
                tracing::warn!(org, name, %folder, "a declared table has no such folder");
            }
        }
    }
    Ok(())
}
