//! The tables a query can name.

mod prompt_logs;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use rules::{Result, TableName};

use super::problem::from_engine;
use super::protocol::Request;
use crate::lake::{Lake, prompt_log_table};

/// Opens a lake table at its newest version for this query; `None` where it is gone.
///
/// # Errors
/// `Unavailable` when it cannot be read.
pub(super) async fn open(
    lake: &Lake,
    request: &Request,
    name: &TableName,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(table) = lake.open(&request.org_id, name).await? else {
        return Ok(None);
    };
    let provider = table
        .table_provider()
        .build()
        .await
        .map_err(|error| from_engine(error.into()))?;
    let provider: Arc<dyn TableProvider> = Arc::new(provider);
    if *name == prompt_log_table::name() {
        return Ok(Some(Arc::new(prompt_logs::PromptLogs::new(
            provider, request,
        ))));
    }
    Ok(Some(provider))
}
