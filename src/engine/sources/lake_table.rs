//! A table as queries see it: its provider, read-only, without Delta's one wrong answer.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

#[derive(Debug)]
pub(super) struct LakeTable {
    inner: Arc<dyn TableProvider>,
}

impl LakeTable {
    pub(super) fn new(inner: Arc<dyn TableProvider>) -> Self {
        Self { inner }
    }
}

#[async_trait::async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if projection.is_none_or(|columns| !columns.is_empty()) {
            return self.inner.scan(state, projection, filters, limit).await;
        }
        // Where no column is read, Delta 1.1 answers from its log with a node that takes a LIMIT and forgets it. Any
        // column makes it a scan like others; the projection drops the column again.
        let rows = self
            .inner
            .scan(state, Some(&vec![0]), filters, limit)
            .await?;
        Ok(Arc::new(ProjectionExec::try_new(
            Vec::<ProjectionExpr>::new(),
            rows,
        )?))
    }
}
