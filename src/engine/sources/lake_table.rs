//! A table as queries see it: its provider, read-only, without Delta's one wrong answer, and with the bounds of columns
//! that joins are planned by.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// Columns whose bounds the planner is told: joins have few keys, and each column deepens an expression.
const BOUNDS_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct LakeTable {
    inner: Arc<dyn TableProvider>,
    tells_bounds: bool,
}

impl LakeTable {
    pub(super) fn new(inner: Arc<dyn TableProvider>) -> Self {
        Self {
            inner,
            tells_bounds: false,
        }
    }

    /// A Delta table whose log's bounds the planner shall know.
    pub(super) fn with_bounds(inner: Arc<dyn TableProvider>) -> Self {
        Self {
            inner,
            tells_bounds: true,
        }
    }

    /// Delta 1.1 reads the bounds of no column but those that a filter names. Without them the planner takes every key for
    /// unique, and joins in the wrong order. So here is a filter that names columns, and always holds. Numbers and dates
    /// only: how many different values there are cannot be told from the bounds of texts, and other writers cut instants.
    fn bounds(&self, projection: Option<&Vec<usize>>) -> Option<Expr> {
        let schema = self.inner.schema();
        let columns = projection.map_or_else(|| (0..schema.fields().len()).collect(), Vec::clone);
        let named = columns.into_iter().filter_map(|index| {
            let field = schema.field(index);
            let counts = field.data_type().is_integer() || *field.data_type() == DataType::Date32;
            counts.then(|| Expr::Column(Column::from_name(field.name())).is_null())
        });
        disjunction(named.take(BOUNDS_MAX)).map(|named| named.or(lit(true)))
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
        // Delta 1.1 takes a condition on partition columns alone, or on none, for one that it answers, but only leaves out
        // files: those of which the condition is NULL stay.
        let supported = self.inner.supports_filters_pushdown(filters)?;
        let looked_at_again = |support| match support {
            TableProviderFilterPushDown::Exact => TableProviderFilterPushDown::Inexact,
            other => other,
        };
        Ok(supported.into_iter().map(looked_at_again).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if projection.is_none_or(|columns| !columns.is_empty()) {
            let bounds = self.tells_bounds.then(|| self.bounds(projection)).flatten();
            let filters: Vec<Expr> = filters.iter().cloned().chain(bounds).collect();
            return self.inner.scan(state, projection, &filters, limit).await;
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
