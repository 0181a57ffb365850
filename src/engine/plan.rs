//! From text to a plan that can only read this organization's tables.
//!
//! Three walls, each enough alone: the rule on the statement (`rules::read_only`), the engine's own options on the plan
//! (no DDL, no DML, no statements), and a session in which nothing else exists: one catalog with this organization's
//! tables, no file formats, no table factories, no tables by URL.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider,
};
use datafusion::common::format::{ExplainFormat, ExplainStatementOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result as EngineResult;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::cache::cache_manager::{
    CacheManager, CacheManagerConfig, FileMetadataCache,
};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::{ExplainStatement, Statement as EngineStatement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{AnalyzeFormatKind, DescribeAlias, Statement as Sql};
use rules::read_only::{self, Names, Statement};
use rules::{Error, Result};
use url::Url;

use super::constants::ForgetConstants;
use super::distinct::DistinctInOrder;
use super::functions::Functions;
use super::joins::CooperativeJoins;
use super::problem::{self, from_engine};
use super::protocol::Request;
use super::server::Server;
use super::spelling::{Insensitive, Spelling};
use super::twins::unless_twins;
use super::worker::Settings;
use super::{dialect, names, sources, subqueries};
use crate::lake::Lake;

/// Names the unqualified tables resolve to; a query may write `amigo.default.users`.
const CATALOG: &str = "amigo";
const SCHEMA: &str = "default";
const INFORMATION_SCHEMA: &str = "information_schema";

/// Of a query's memory, what the engine's accounting may hand out: kernels allocate beside it, unseen.
const POOL_SHARE: u64 = 60;

/// What is kept of the files' footers, which the next query of the organization reads again.
const FOOTERS_BYTES: usize = 32 * 1024 * 1024;

/// The most nodes of a plan. People's queries have tens; every pass of the planner looks at each of them, and a query of
/// a few lines can name a subquery that names a subquery twice.
const NODES_MAX: usize = 5_000;

/// What sessions have in common: limits, no state of any query. Of the organization's tables, what every query finds out
/// anew whether it still holds.
pub(super) struct Base {
    disk: Arc<DiskManager>,
    pool_bytes: usize,
    lake: OnceLock<Lake>,
    footers: Arc<FileMetadataCache>,
    /// Counted before the process is confined, which hides what the container allows.
    partitions: usize,
    scan_settings: Arc<sources::ScanSettings>,
    functions: Functions,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Base {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let pool_bytes = usize::try_from(settings.memory_bytes / 100 * POOL_SHARE)
            .map_err(|error| Error::internal("the memory limit is no size").because(error))?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![
                settings.spill_dir.clone(),
            ]))
            .with_max_temp_directory_size(settings.spill_bytes)
            .build()
            .map_err(from_engine)?;
        let kept = CacheManagerConfig::default().with_metadata_cache_limit(FOOTERS_BYTES);
        let kept = CacheManager::try_new(&kept).map_err(from_engine)?;
        let functions = Functions::all();
        let mut planners: Vec<Arc<dyn ExprPlanner>> =
            vec![Arc::new(dialect::Operators::new(functions.clone()))];
        planners.extend(SessionStateDefaults::default_expr_planners());
        Ok(Self {
            disk: Arc::new(disk),
            pool_bytes,
            lake: OnceLock::new(),
            footers: kept.get_file_metadata_cache(),
            partitions: std::thread::available_parallelism().map_or(1, usize::from),
            scan_settings: Arc::new(sources::ScanSettings::new()),
            functions,
            planners,
        })
    }

    /// The lake at this address, the same for every query; tables that were opened before are opened sooner.
    fn lake(&self, url: &Url) -> Result<Lake> {
        if let Some(lake) = self.lake.get().filter(|lake| lake.url() == url) {
            return Ok(lake.clone());
        }
        let lake = Lake::at(url)?;
        Ok(self.lake.get_or_init(|| lake.clone()).clone())
    }

    /// A new environment, with a memory pool of its own, for every query.
    fn runtime(&self, request: &Request) -> Result<Arc<RuntimeEnv>> {
        // The engine's caches go by path. Those of the lake's files are never used again; but paths of declared tables begin
        // in their own folders, and one table would be answered with what is known of another.
        let footers = request
            .declared
            .is_empty()
            .then(|| Arc::clone(&self.footers));
        let caches = CacheManagerConfig::default()
            .with_list_files_cache_limit(0)
            .with_file_statistics_cache_limit(0)
            .with_metadata_cache_limit(footers.as_ref().map_or(0, |_| FOOTERS_BYTES))
            .with_file_metadata_cache(footers);
        let mut runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(self.pool_bytes)))
            .with_cache_manager(caches)
            .with_object_store_registry(Arc::new(sources::Stores::default()));
        runtime.disk_manager = Some(Arc::clone(&self.disk));
        runtime.build_arc().map_err(from_engine)
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
    let written = read_only::parse(&request.sql, Names::Written)?;
    let kind = written.kind;
    let names = names::written(&written.tree);
    let scope = Scope::new(base, server, request)?;
    let (listed, tables) = (Arc::clone(&scope.listed), Arc::clone(&scope.tables));
    let mut tree = folded(&tables, &request.sql, written.tree).await?;
    dialect::rewrite(&mut tree)?;
    names::alias(&mut tree);
    // Thousands of functions would be entered into the session, and taken out again, for the few that a query calls.
    let functions = base.functions.called_in(&tree.to_string());
    let state = session(base, request, scope, functions)?;
    let plan = match planned(&state, tree).await? {
        Ok(plan) => plan,
        Err(error) => {
            listed.list().await?;
            let scope = problem::Scope {
                sql: &request.sql,
                tables: tables.table_names(),
                functions: base.functions.names(),
                spelling: tables.spelling(),
            };
            return Err(problem::of_planning(error, &scope));
        }
    };
    check_size(&plan)?;
    verify(&plan)?;
    let plan = dialect::check_order(&plan).and_then(|()| dialect::correct(plan));
    let plan = plan.and_then(|plan| subqueries::rewrite(plan, NODES_MAX));
    let plan = plan.map_err(from_engine)?;
    check_size(&plan)?;
    let spelling = tables.spelling();
    let fields = plan.schema().fields().iter();
    let fields: Vec<String> = fields.map(|field| field.name().clone()).collect();
    Ok(Planned {
        names: names.and_then(|names| names::of_columns(&names, &fields, &spelling)),
        frame: DataFrame::new(state, described(plan, &spelling)),
        kind,
    })
}

/// The plan of a statement, which is read in another way where it has none as it stands; or why it has none.
async fn planned(state: &SessionState, mut tree: Sql) -> Result<EngineResult<LogicalPlan>> {
    let mut again = dialect::Again::default();
    loop {
        let error = match state.statement_to_plan(for_engine(tree.clone())?).await {
            Ok(plan) => return Ok(Ok(plan)),
            Err(error) => error,
        };
        if let Err(error) = again.read(&mut tree, error) {
            return Ok(Err(error));
        }
    }
}

/// The statement's tree with names that the engine finds. `written` is the tree of the text as it stands.
async fn folded(tables: &Insensitive, sql: &str, written: Sql) -> Result<Sql> {
    let fold = |exact: &[String]| read_only::parse(sql, Names::Folded { exact });
    let tree = match sql.contains(['"', '`']) {
        true => fold(&[])?.tree,
        // The engine folds names without quotes by itself.
        false => written,
    };
    let statement = EngineStatement::Statement(Box::new(tree));
    let (references, _) = resolve_table_references(&statement, true).map_err(from_engine)?;
    for reference in references {
        let table = reference.resolve(CATALOG, SCHEMA);
        if *table.catalog == *CATALOG && *table.schema == *SCHEMA {
            tables.table(&table.table).await.map_err(from_engine)?;
        }
    }
    let twins: Vec<String> = tables.spelling().twins.into_iter().collect();
    match statement {
        EngineStatement::Statement(tree) if twins.is_empty() => Ok(*tree),
        _ => {
            let tree = fold(&twins)?.tree;
            problem::check_twins(&tree, &twins)?;
            Ok(tree)
        }
    }
}

/// The statement as the engine's planner takes it, which reads the formats of `EXPLAIN` from a form of its own.
fn for_engine(tree: Sql) -> Result<EngineStatement> {
    let Sql::Explain {
        describe_alias: DescribeAlias::Explain,
        analyze,
        verbose,
        statement,
        format,
        ..
    } = tree
    else {
        return Ok(EngineStatement::Statement(Box::new(tree)));
    };
    let format = format.map(|format| match format {
        AnalyzeFormatKind::Keyword(format) | AnalyzeFormatKind::Assignment(format) => {
            ExplainFormat::from_str(&format.to_string())
        }
    });
    let options = ExplainStatementOptions {
        analyze,
        verbose,
        format: format.transpose().map_err(from_engine)?,
        analyze_level: None,
        analyze_categories: None,
        show_statistics: None,
    };
    Ok(EngineStatement::Explain(ExplainStatement {
        options,
        statement: Box::new(EngineStatement::Statement(statement)),
    }))
}

/// What `DESCRIBE` tells, with the names that the columns really have.
fn described(mut plan: LogicalPlan, spelling: &Spelling) -> LogicalPlan {
    if let LogicalPlan::DescribeTable(table) = &mut plan {
        let fields = table.schema.fields().iter();
        let fields =
            fields.map(|field| field.as_ref().clone().with_name(spelling.of(field.name())));
        table.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    }
    plan
}

/// Counts before anything looks at the whole plan.
fn check_size(plan: &LogicalPlan) -> Result<()> {
    let mut nodes = 0;
    let counted = plan.apply_with_subqueries(|_| {
        nodes += 1;
        Ok(match nodes > NODES_MAX {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    });
    counted.map_err(from_engine)?;
    match nodes > NODES_MAX {
        true => Err(Error::invalid(format!(
            "the query is too large: its plan has more than {NODES_MAX} steps; name fewer subqueries, or each of them less \
             often"
        ))),
        false => Ok(()),
    }
}

/// The second wall.
pub(super) fn verify(plan: &LogicalPlan) -> Result<()> {
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    read_only.verify_plan(plan).map_err(from_engine)
}

/// What a query can name, and the environment it is read in.
pub(super) struct Scope {
    runtime: Arc<RuntimeEnv>,
    listed: Arc<sources::Tables>,
    tables: Arc<Insensitive>,
}

impl Scope {
    pub(super) fn new(base: &Base, server: &Arc<Server>, request: &Request) -> Result<Self> {
        let (runtime, lake) = (base.runtime(request)?, base.lake(&request.lake)?);
        let settings = &base.scan_settings;
        let listed = sources::Tables::new(lake, request, server, settings, &runtime);
        let listed = Arc::new(listed);
        let tables = Insensitive::new(Arc::clone(&listed) as Arc<dyn SchemaProvider>);
        Ok(Self {
            runtime,
            listed,
            tables: Arc::new(tables),
        })
    }
}

/// The third wall: a session that knows this organization's tables, the given functions of our list and nothing else.
pub(super) fn session(
    base: &Base,
    request: &Request,
    scope: Scope,
    functions: Functions,
) -> Result<SessionState> {
    let Scope {
        runtime,
        listed,
        tables,
    } = scope;
    let catalog = MemoryCatalogProvider::new();
    catalog
        .register_schema(SCHEMA, tables as Arc<dyn SchemaProvider>)
        .map_err(from_engine)?;
    let information = sources::InformationSchema::new(CATALOG, SCHEMA, listed);
    catalog
        .register_schema(INFORMATION_SCHEMA, Arc::new(information))
        .map_err(from_engine)?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));

    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_target_partitions(base.partitions);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    // Errors tell where a name stands.
    config.options_mut().sql_parser.collect_spans = true;
    // As Spark orders them: NULL is less than every value.
    config.options_mut().sql_parser.default_null_ordering = "nulls_min".to_owned();
    config
        .options_mut()
        .catalog
        .create_default_catalog_and_schema = false;
    let mut physical_rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
        vec![Arc::new(ForgetConstants)];
    physical_rules.extend(PhysicalOptimizer::new().rules.into_iter().map(unless_twins));
    physical_rules.push(Arc::new(CooperativeJoins));
    physical_rules.push(Arc::new(DistinctInOrder));
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(base.planners.clone())
        .with_type_planner(Arc::new(dialect::Types))
        .with_scalar_functions(functions.scalar)
        .with_aggregate_functions(functions.aggregate)
        .with_window_functions(functions.window)
        .with_higher_order_functions(functions.higher_order)
        .with_table_function_list(functions.table)
        .with_optimizer_rule(Arc::new(sources::PushedDown))
        .with_optimizer_rule(Arc::new(dialect::GuardedFilters))
        .with_physical_optimizer_rules(physical_rules)
        .with_catalog_list(Arc::new(catalogs))
        // The instant the caller asked at, once for the whole query.
        .with_execution_props(ExecutionProps::new().with_query_execution_start_time(request.now))
        .with_table_factories(HashMap::new())
        .with_file_formats(Vec::new());
    Ok(builder.build())
}
