//! The tables a query can name.

mod collection;
mod declared;
mod information_schema;
mod lake_table;
mod prompt_logs;
mod server_table;
mod stores;
mod tables;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use rules::{Result, TableName};

use super::problem::from_engine;
use super::protocol::Request;
use crate::lake::{Lake, prompt_log_table};

pub(super) use collection::PushedDown;
pub(super) use information_schema::{InformationSchema, comment};
pub(super) use stores::Stores;
pub(super) use tables::Tables;

/// What the scans of tables take over from a session.
#[derive(Debug)]
pub(super) struct ScanSettings {
    /// No filter is evaluated while a file is decoded, where its failure would look like a broken file.
    tables: Arc<SessionState>,
    /// Only filters that cannot fail come that far, and they decide which pages are decoded at all.
    prompt_logs: Arc<SessionState>,
}

impl ScanSettings {
    pub(super) fn new() -> Self {
        let filtering = |is_pushed_down| {
            let mut config = SessionConfig::new();
            config.options_mut().execution.parquet.pushdown_filters = is_pushed_down;
            Arc::new(SessionStateBuilder::new().with_config(config).build())
        };
        Self {
            tables: filtering(false),
            prompt_logs: filtering(true),
        }
    }
}

/// Opens a lake table at its newest version for this query; `None` where it is gone.
///
/// # Errors
/// `Unavailable` when it cannot be read.
async fn open(
    lake: &Lake,
    request: &Request,
    settings: &ScanSettings,
    name: &TableName,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(table) = lake.open(&request.org_id, name).await? else {
        return Ok(None);
    };
    let is_prompt_logs = *name == prompt_log_table::name();
    let settings = match is_prompt_logs {
        true => &settings.prompt_logs,
        false => &settings.tables,
    };
    let builder = table.table_provider().with_session(Arc::clone(settings));
    let provider = Arc::new(builder.build().await.map_err(from_engine)?);
    Ok(Some(match is_prompt_logs {
        true => {
            let table = Arc::new(lake_table::LakeTable::new(provider));
            Arc::new(prompt_logs::PromptLogs::new(table, request))
        }
        false => Arc::new(lake_table::LakeTable::with_bounds(provider)),
    }))
}

/// Bytes that the plan's scans read from tables so far; of prompt logs, where they would tell of hidden ones, none.
pub(super) fn bytes_scanned(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let own = plan
        .metrics()
        .and_then(|metrics| metrics.sum_by_name("bytes_scanned"))
        .map_or(0, |bytes| bytes.as_usize() as u64);
    own + plan.children().into_iter().map(bytes_scanned).sum::<u64>()
}

/// What may be wrong with the answer of a plan that ran.
pub(super) fn warning(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let own = plan
        .downcast_ref::<collection::CollectionExec>()
        .and_then(collection::CollectionExec::warning);
    let inputs = plan.children().into_iter().filter_map(warning);
    let told: Vec<String> = own.into_iter().chain(inputs).collect();
    (!told.is_empty()).then(|| told.join("; "))
}
