//! The node of a plan that asks for single facts of a collection: one row.

use std::fmt;
use std::sync::Arc;

use collections::{Column, Decoder, Question, documents};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, new_null_array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};
use rules::TableName;

use super::scan::unreadable;
use super::{CollectionTable, count_column};
use crate::engine::problem::external;
use crate::engine::server::Server;

/// One column of the row.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// How many there are.
    Count { question: Question },
    /// The column of the first document; null where there is none.
    First { question: Question, column: Column },
}

impl Part {
    pub(super) fn question(&self) -> &Question {
        match self {
            Self::Count { question } | Self::First { question, .. } => question,
        }
    }

    /// The column, from the documents of the answer, of which there is one or none.
    fn column(&self) -> Column {
        match self {
            Self::Count { .. } => count_column(),
            Self::First { column, .. } => column.clone(),
        }
    }

    fn of_none(&self) -> ArrayRef {
        match self {
            Self::Count { .. } => Arc::new(Int64Array::from(vec![0])),
            Self::First { column, .. } => new_null_array(&column.kind.data_type(), 1),
        }
    }
}

#[derive(Debug)]
pub(super) struct SummaryExec {
    of: CollectionTable,
    parts: Vec<Part>,
    properties: Arc<PlanProperties>,
}

impl SummaryExec {
    /// `schema` is that of the parts.
    pub(super) fn new(of: &CollectionTable, parts: Vec<Part>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            of: of.clone(),
            parts,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for SummaryExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let questions = self.parts.iter().map(Part::question);
        write!(formatter, "SummaryExec: {}", self.of.shown(questions))
    }
}

impl ExecutionPlan for SummaryExec {
    fn name(&self) -> &'static str {
        "SummaryExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (name, server) = (self.of.name.clone(), Arc::clone(&self.of.server));
        let (parts, schema) = (self.parts.clone(), self.schema());
        let row = async move {
            let mut columns = Vec::new();
            for part in &parts {
                columns.push(ask(&server, &name, part).await?);
            }
            Ok(RecordBatch::try_new(schema, columns)?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream::once(row).boxed(),
        )))
    }
}

/// One value.
async fn ask(
    server: &Arc<Server>,
    name: &TableName,
    part: &Part,
) -> Result<ArrayRef, DataFusionError> {
    let mut decoder = Decoder::new(&[part.column()], false);
    let mut answer = server.ask(name.clone(), part.question().clone());
    while let Some(array) = answer.next().await.map_err(external)? {
        for document in documents(&array) {
            let pushed = document.and_then(|document| decoder.push(document));
            pushed.map_err(|error| external(unreadable(name, &error)))?;
        }
    }
    if decoder.is_empty() {
        return Ok(part.of_none());
    }
    Ok(decoder.finish().column(0).slice(0, 1))
}
