//! From text to a plan that can only read this organization's tables.
//!
//! Three walls, each enough alone: the rule on the statement (`rules::read_only`), the engine's own options on the plan
//! (no DDL, no DML, no statements), and a session in which nothing else exists: one catalog with this organization's
//! tables, no file formats, no table factories, no tables by URL.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    SchemaProvider,
};
use datafusion::common::format::{ExplainFormat, ExplainStatementOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::dataframe::DataFrame;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::{ExplainStatement, Statement as EngineStatement};
use datafusion::sql::sqlparser::ast::{AnalyzeFormatKind, DescribeAlias, Statement as Sql};
use rules::read_only::{self, Names, Statement};
use rules::{Error, Result};

use super::functions::Functions;
use super::joins::CooperativeJoins;
use super::problem::{self, from_engine};
use super::protocol::Request;
use super::spelling::{Insensitive, Spelling};
use super::worker::{Server, Settings};
use super::{dialect, names, sources};

/// Names the unqualified tables resolve to; a query may write `amigo.default.users`.
const CATALOG: &str = "amigo";
const SCHEMA: &str = "default";
const INFORMATION_SCHEMA: &str = "information_schema";

/// Of the address space, what the engine's accounting may hand out: kernels allocate beside it, unseen.
const POOL_SHARE: u64 = 40;

/// The most nodes of a plan. People's queries have tens; every pass of the planner looks at each of them, and a query of
/// a few lines can name a subquery that names a subquery twice.
const NODES_MAX: usize = 5_000;

/// What sessions have in common: limits, no state of any query.
pub(super) struct Base {
    spill_dir: std::path::PathBuf,
    spill_bytes: u64,
    pool_bytes: usize,
    /// Counted before the process is confined, which hides what the container allows.
    partitions: usize,
    scan_settings: Arc<SessionState>,
    functions: Functions,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Base {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let pool_bytes = usize::try_from(settings.memory_bytes / 100 * POOL_SHARE)
            .map_err(|error| Error::internal("the memory limit is no size").because(error))?;
        let functions = Functions::all();
        let mut planners: Vec<Arc<dyn ExprPlanner>> =
            vec![Arc::new(dialect::Operators::new(functions.clone()))];
        planners.extend(SessionStateDefaults::default_expr_planners());
        Ok(Self {
            spill_dir: settings.spill_dir.clone(),
            spill_bytes: settings.spill_bytes,
            pool_bytes,
            partitions: std::thread::available_parallelism().map_or(1, usize::from),
            scan_settings: Arc::new(sources::scan_settings()),
            functions,
            planners,
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
            // The engine's caches go by path, and paths of declared tables begin in their own folders: one table would
            // be answered with what is known of another.
            .with_cache_manager(
                CacheManagerConfig::default()
                    .with_list_files_cache_limit(0)
                    .with_file_statistics_cache_limit(0)
                    .with_metadata_cache_limit(0),
            )
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
    let written = read_only::parse(&request.sql, Names::Written)?;
    let kind = written.kind;
    let names = names::written(&written.tree);
    let (state, tables) = session(base, server, request).await?;
    let mut tree = folded(&state, &tables, &request.sql, written.tree).await?;
    dialect::rewrite(&mut tree)?;
    names::alias(&mut tree);
    let plan = state
        .statement_to_plan(for_engine(tree)?)
        .await
        .map_err(|error| {
            let scope = problem::Scope {
                sql: &request.sql,
                tables: tables.table_names(),
                functions: base.functions.names(),
                spelling: tables.spelling(),
            };
            problem::of_planning(error, &scope)
        })?;
    check_size(&plan)?;
    verify(&plan)?;
    let spelling = tables.spelling();
    let fields = plan.schema().fields().iter();
    let fields: Vec<String> = fields.map(|field| field.name().clone()).collect();
    Ok(Planned {
        names: names.and_then(|names| names::of_columns(&names, &fields, &spelling)),
        frame: DataFrame::new(state, described(plan, &spelling)),
        kind,
    })
}

/// The statement's tree with names that the engine finds. `written` is the tree of the text as it stands.
async fn folded(
    state: &SessionState,
    tables: &Insensitive,
    sql: &str,
    written: Sql,
) -> Result<Sql> {
    let fold = |exact: &[String]| read_only::parse(sql, Names::Folded { exact });
    let tree = match sql.contains(['"', '`']) {
        true => fold(&[])?.tree,
        // The engine folds names without quotes by itself.
        false => written,
    };
    let statement = EngineStatement::Statement(Box::new(tree));
    let references = state.resolve_table_references(&statement);
    for reference in references.map_err(from_engine)? {
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

/// The third wall: a session that knows this organization's tables, the functions of our list and nothing else.
pub(super) async fn session(
    base: &Base,
    server: &Arc<Server>,
    request: &Request,
) -> Result<(SessionState, Arc<Insensitive>)> {
    let runtime = base.runtime()?;
    let tables = sources::Tables::list(request, server, &base.scan_settings, &runtime).await?;
    let tables = Arc::new(tables);
    let insensitive = Arc::new(Insensitive::new(
        Arc::clone(&tables) as Arc<dyn SchemaProvider>
    ));
    let catalog = MemoryCatalogProvider::new();
    catalog
        .register_schema(SCHEMA, Arc::clone(&insensitive) as Arc<dyn SchemaProvider>)
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
        .with_expr_planners(base.planners.clone())
        .with_type_planner(Arc::new(dialect::Types))
        .with_scalar_functions(base.functions.scalar.clone())
        .with_aggregate_functions(base.functions.aggregate.clone())
        .with_window_functions(base.functions.window.clone())
        .with_higher_order_functions(base.functions.higher_order.clone())
        .with_table_function_list(base.functions.table.clone())
        .with_physical_optimizer_rule(Arc::new(CooperativeJoins))
        .with_catalog_list(Arc::new(catalogs))
        // The instant the caller asked at, once for the whole query.
        .with_execution_props(ExecutionProps::new().with_query_execution_start_time(request.now))
        .with_table_factories(HashMap::new())
        .with_file_formats(Vec::new());
    Ok((builder.build(), insensitive))
}
