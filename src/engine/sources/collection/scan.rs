//! The node of a plan that asks a collection and decodes the answer.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use collections::{Column, Decoder, Question, documents};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt, stream};
use rules::{Error, TableName};

use super::CollectionTable;
use crate::engine::lock;
use crate::engine::problem::external;
use crate::engine::server::{Answer, Server};

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 8192;
/// About how many bytes of values make a batch.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The questions of one scan, asked one after another.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    questions: Vec<Question>,
    /// Rows after which no further question is asked.
    enough: usize,
}

impl Steps {
    pub(super) fn one(question: Question) -> Self {
        Self::until(usize::MAX, vec![question])
    }

    pub(super) fn until(enough: usize, questions: Vec<Question>) -> Self {
        Self { questions, enough }
    }
}

/// Asks questions; the rows of all are the answer.
#[derive(Debug)]
pub(in super::super::super) struct CollectionExec {
    of: CollectionTable,
    columns: Vec<Column>,
    steps: Steps,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    misfits: Arc<Misfits>,
}

/// How many values did not fit their column, by its name.
type Misfits = Mutex<BTreeMap<String, u64>>;

impl CollectionExec {
    /// `schema` is that of the columns.
    pub(super) fn new(
        of: &CollectionTable,
        columns: Vec<Column>,
        schema: SchemaRef,
        steps: Steps,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            of: of.clone(),
            columns,
            steps,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            misfits: Arc::default(),
        }
    }

    /// A sentence about values that became null because they did not fit their columns.
    pub(in super::super::super) fn warning(&self) -> Option<String> {
        let misfits = lock(&self.misfits);
        let told = misfits.iter().map(|(column, count)| {
            let of = self.columns.iter().find(|of| of.name == *column);
            let kind = of.map(|of| of.kind.to_string()).unwrap_or_default();
            format!(
                "{count} of {}.{column} are no {kind} and were read as null",
                self.of.name
            )
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

impl DisplayAs for CollectionExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "CollectionExec: {}",
            self.of.shown(&self.steps.questions)
        )
    }
}

impl ExecutionPlan for CollectionExec {
    fn name(&self) -> &'static str {
        "CollectionExec"
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

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Steps { questions, enough } = self.steps.clone();
        let scanned = MetricBuilder::new(&self.metrics).counter("bytes_scanned", partition);
        let reading = Reading {
            server: Arc::clone(&self.of.server),
            name: self.of.name.clone(),
            questions: questions.into(),
            enough,
            answer: None,
            is_of_groups: false,
            decoder: Decoder::new(&self.columns, self.of.table.is_strict),
            misfits: Arc::clone(&self.misfits),
        };
        let batches = stream::try_unfold(reading, move |mut reading| {
            let scanned = scanned.clone();
            async move {
                let Some(documents) = reading.next().await.map_err(external)? else {
                    return Ok::<_, DataFusionError>(None);
                };
                scanned.add(documents.len());
                let batches = reading.decode(&documents).map_err(external)?;
                Ok(Some((stream::iter(batches).map(Ok), reading)))
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches.try_flatten(),
        )))
    }
}

/// A scan that is being read.
struct Reading {
    server: Arc<Server>,
    name: TableName,
    questions: VecDeque<Question>,
    /// Rows that are still wanted.
    enough: usize,
    answer: Option<Answer>,
    /// Its documents are groups of documents.
    is_of_groups: bool,
    decoder: Decoder,
    misfits: Arc<Misfits>,
}

impl Reading {
    /// Documents of the next batch, of whatever question.
    async fn next(&mut self) -> rules::Result<Option<Vec<u8>>> {
        loop {
            if let Some(answer) = &mut self.answer
                && let Some(documents) = answer.next().await?
            {
                return Ok(Some(documents));
            }
            let question = match self.enough {
                0 => None,
                _ => self.questions.pop_front(),
            };
            let Some(question) = question else {
                return Ok(None);
            };
            self.is_of_groups = matches!(question, Question::Groups { .. });
            self.answer = Some(self.server.ask(self.name.clone(), question));
        }
    }

    fn decode(&mut self, array: &[u8]) -> rules::Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for document in documents(array) {
            let pushed = document.and_then(|document| match self.is_of_groups {
                true => self.decoder.push_group(document),
                false => self.decoder.push(document),
            });
            pushed.map_err(|error| unreadable(&self.name, &error))?;
            self.enough = self.enough.saturating_sub(1);
            if self.decoder.len() >= BATCH_ROWS || self.decoder.bytes() >= BATCH_BYTES {
                batches.push(self.decoder.finish());
            }
        }
        if !self.decoder.is_empty() {
            batches.push(self.decoder.finish());
        }
        Ok(batches)
    }
}

/// All that did not fit is known at the end.
impl Drop for Reading {
    fn drop(&mut self) {
        let mut misfits = lock(&self.misfits);
        for (column, count) in self.decoder.misfits().filter(|(_, count)| *count > 0) {
            *misfits.entry(column.name.clone()).or_default() += count;
        }
    }
}

pub(super) fn unreadable(name: &TableName, error: &collections::Error) -> Error {
    Error::invalid(format!("the collection {name}: {error}"))
}
