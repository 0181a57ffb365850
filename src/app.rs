//! The application: made from settings here and nowhere else, then served (`serve`) until it is told to stop.

mod listener;
mod serve;
mod tls;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use prompt_intake::otlp::KeyTemplate;
use rules::{Error, OrgId, Result};

use crate::clock::Clock;
use crate::clusters::Clusters;
use crate::config::Config;
use crate::directory::Directory;
use crate::engine::{Pool, PoolSettings};
use crate::folder;
use crate::guard::{Audit, Places, RateLimits};
use crate::identity::Identity;
use crate::lake::Lake;
use crate::metrics::Metrics;
use crate::prompt_logs::{Room, Writers};
use crate::sql_query::SqlQueries;

use tls::Tls;

/// Everything a request needs.
#[derive(Debug)]
pub struct App {
    pub config: Config,
    pub clock: Clock,
    pub directory: Directory,
    pub identity: Identity,
    pub lake: Lake,
    pub clusters: Arc<Clusters>,
    pub queries: Arc<SqlQueries>,
    /// Held while this server uses the data directory: two would each think the other's queries dead.
    _serving: File,
    pub rate_limits: RateLimits,
    pub audit: Audit,
    pub writers: Writers,
    /// Memory for prompt logs that are being sent.
    pub room: Room,
    /// Archives that are being downloaded, by organization.
    pub downloads: Arc<Places<OrgId>>,
    /// How log keys of OpenTelemetry spans are made.
    pub key_template: Arc<KeyTemplate>,
    pub metrics: Arc<Metrics>,
    tls: Option<Tls>,
}

impl App {
    /// Opens the data directory, which is made when missing, and starts the query workers.
    ///
    /// # Errors
    /// As the parts say: an unusable data directory, workers that do not start.
    pub async fn open(config: Config, clock: Clock) -> Result<Arc<Self>> {
        let metrics = Arc::new(Metrics::new());
        let tls = Tls::open(&config.server).await?;
        folder::create_private(&config.data_dir)?;
        let serving = only_server(&config)?;
        let directory = Directory::open_to_serve(&config.directory_file()).await?;
        folder::warn_unless_private(&config.data_dir);
        if directory.organizations().await?.is_empty() {
            tracing::warn!(
                data = %config.data_dir.display(),
                "there is no organization in this data directory yet; amigo-admin org create makes one"
            );
        }
        let audit = Audit::of_server(directory.clone(), clock.clone()).await?;
        let identity = Identity::open(directory.clone(), clock.clone(), &config.identity)
            .await?
            .with_providers(config.openid_providers())?;
        let read_limit = Duration::from_secs(config.limits.storage_seconds);
        let lake = Lake::local(&config.lake_dir())?.with_read_limit(read_limit);
        let pool = Pool::start(pool_settings(&config, &metrics)?)?;
        let clusters = Clusters::open(&config, directory.clone(), clock.clone(), &metrics)?;
        let (queries_lake, queries_clock) = (lake.clone(), clock.clone());
        let queries = SqlQueries::open(
            pool,
            queries_lake,
            directory.clone(),
            Arc::clone(&clusters),
            queries_clock,
            audit.clone(),
            &config,
        )
        .await?;
        warn_of_declared(&config, &directory, &lake).await?;
        let rate_limits = RateLimits::new(&config.limits, Arc::clone(&metrics));
        let writers = Writers::new(lake.clone(), clock.clone(), Arc::clone(&metrics));
        let room = Room::new(config.limits.write_memory_bytes);
        let downloads = Places::new(config.limits.downloads);
        let key_template = Arc::new(config.key_template()?);
        Ok(Arc::new(Self {
            config,
            clock,
            directory,
            identity,
            lake,
            clusters,
            queries,
            _serving: serving,
            rate_limits,
            audit,
            writers,
            room,
            downloads,
            key_template,
            metrics,
            tls,
        }))
    }
}

/// How many query workers there are and what each may use.
fn pool_settings(config: &Config, metrics: &Arc<Metrics>) -> Result<PoolSettings> {
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
    Ok(PoolSettings {
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
        metrics: Arc::clone(metrics),
    })
}

/// The right to be the one server of the data directory; the end of the process gives it back.
fn only_server(config: &Config) -> Result<File> {
    folder::lock(&config.serve_lock(), || {
        Error::conflict(format!(
            "another server already serves {}; stop it first",
            config.data_dir.display()
        ))
    })
}

/// Tells the operator of what is declared for nobody, and of declared tables that no query will see.
async fn warn_of_declared(config: &Config, directory: &Directory, lake: &Lake) -> Result<()> {
    for org in config.organizations.keys() {
        if directory.organization(org).await?.is_none() {
            let org = org.as_str();
            tracing::warn!(org, "the settings name an organization that does not exist");
            continue;
        }
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
