//! From text to a plan that can only read this organization's tables.
//!
//! Three walls, each enough alone: the rule on the statement (`rules::read_only`), the engine's own options on the plan
//! (no DDL, no DML, no statements), and a session in which nothing else exists: one catalog with this organization's
//! tables, no file formats, no table factories, no tables by URL.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider,
};
use datafusion::config::Dialect;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF};
use datafusion::prelude::SessionConfig;
use rules::read_only::{self, Statement};
use rules::{Error, Result};

use super::problem::from_engine;
use super::protocol::Request;
use super::sources;
use super::worker::{Server, Settings};
use super::{functions, names};

/// Names the unqualified tables resolve to; a query may write `amigo.default.users`.
const CATALOG: &str = "amigo";
const SCHEMA: &str = "default";
const INFORMATION_SCHEMA: &str = "information_schema";

/// Of the address space, what the engine's accounting may hand out: kernels allocate beside it, unseen.
const POOL_SHARE: u64 = 40;

/// What sessions have in common: limits, no state of any query.
pub(super) struct Base {
    spill_dir: std::path::PathBuf,
    spill_bytes: u64,
    pool_bytes: usize,
    /// Counted before the process is confined, which hides what the container allows.
    partitions: usize,
    scan_settings: Arc<SessionState>,
    scalar_functions: Vec<Arc<ScalarUDF>>,
}

impl Base {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let pool_bytes = usize::try_from(settings.memory_bytes / 100 * POOL_SHARE)
            .map_err(|error| Error::internal("the memory limit is no size").because(error))?;
        Ok(Self {
            spill_dir: settings.spill_dir.clone(),
            spill_bytes: settings.spill_bytes,
            pool_bytes,
            partitions: std::thread::available_parallelism().map_or(1, usize::from),
            scan_settings: Arc::new(sources::scan_settings()),
            scalar_functions: functions::scalar(),
        })
    }

    /// A new environment, with caches and a memory pool of its own, for every query.
    fn runtime(&self) -> Result<Arc<RuntimeEnv>> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.spill_dir.clone()]))
            .with_max_temp_directory_size(self.spill_bytes);
        RuntimeEnvBuilder::new()
            .with_disk_manager_builder(disk)
            .with_memory_pool(Arc::new(FairSpillPool::new(self.pool_bytes)))
            .with_object_store_registry(Arc::new(sources::Stores::default()))
            .build_arc()
            .map_err(from_engine)
    }
}

/// A checked query, ready to run.
pub(super) struct Planned {
    pub frame: DataFrame,
    pub kind: Statement,
    /// What the columns are called in the query's own words, where the engine would call them otherwise.
    pub names: Option<Vec<Option<String>>>,
}

/// The checked plan of the request's query.
///
/// # Errors
/// `Invalid` with the reason when the text is not one read-only statement or does not plan; `Unavailable` when a table
/// cannot be opened.
pub(super) async fn plan(base: &Base, server: &Arc<Server>, request: &Request) -> Result<Planned> {
    let kind = read_only::inspect(&request.sql)?;
    let state = session(base, server, request).await?;
    let mut statement = state
        .sql_to_statement(&request.sql, &Dialect::Generic)
        .map_err(from_engine)?;
    let names = names::take(&mut statement);
    let plan = state
        .statement_to_plan(statement)
        .await
        .map_err(from_engine)?;
    verify(&plan)?;
    Ok(Planned {
        frame: DataFrame::new(state, plan),
        kind,
        names,
    })
}

/// The second wall.
pub(super) fn verify(plan: &LogicalPlan) -> Result<()> {
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    read_only.verify_plan(plan).map_err(from_engine)
}

/// The third wall: a session that knows this organization's tables and nothing else.
pub(super) async fn session(
    base: &Base,
    server: &Arc<Server>,
    request: &Request,
) -> Result<SessionState> {
    let runtime = base.runtime()?;
    let tables = sources::Tables::list(request, server, &base.scan_settings, &runtime).await?;
    let tables = Arc::new(tables);
    let catalog = MemoryCatalogProvider::new();
    catalog
        .register_schema(SCHEMA, Arc::clone(&tables) as Arc<dyn SchemaProvider>)
        .map_err(from_engine)?;
    let information = sources::InformationSchema::new(CATALOG, SCHEMA, tables);
    catalog
        .register_schema(INFORMATION_SCHEMA, Arc::new(information))
        .map_err(from_engine)?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));

    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_target_partitions(base.partitions);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    config
        .options_mut()
        .catalog
        .create_default_catalog_and_schema = false;
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_scalar_functions(base.scalar_functions.clone())
        .with_catalog_list(Arc::new(catalogs))
        // The instant the caller asked at, once for the whole query.
        .with_execution_props(ExecutionProps::new().with_query_execution_start_time(request.now))
        .with_table_factories(HashMap::new())
        .with_file_formats(Vec::new());
    Ok(builder.build())
}
