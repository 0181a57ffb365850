//! The `prompt_logs` table as its reader may see it: exactly the logs the reader could download.
//!
//! The rows pass a node of their own, [`PermittedExec`], which no filter of the query moves below: an expression of the
//! caller that fails on some value must never meet a row the caller may not read, for its error would tell of it. Only
//! comparisons of plain columns with constants, which cannot fail, help to skip files, pages and rows.
//!
//! For the same reason the node is a leaf of the plan: what lies below it (files, bytes, counts, statistics, what was
//! skipped) tells of rows the caller may not read, and `EXPLAIN` shows a plan to its leaves. `bytes_scanned` of the history
//! counts nothing of it.

use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Write as _};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType, col, lit,
};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use rules::{Caller, OrgId, decide_all, required_for_log};

use super::super::protocol::Request;
use crate::lake::prompt_log_table::{
    CONVERSATION_ID, CREATED_AT, DAY, LOG_KEY, REQUIRED_PERMISSIONS, SERVICE_ID, USER_ID, comment,
    oldest,
};

/// The columns a decision needs, whatever the query selects.
const DECIDING: [&str; 5] = [
    CREATED_AT,
    CONVERSATION_ID,
    USER_ID,
    SERVICE_ID,
    REQUIRED_PERMISSIONS,
];
/// Columns whose comparison with a constant may help to skip files, pages and rows.
const SKIPPING: [&str; 6] = [
    LOG_KEY,
    CREATED_AT,
    DAY,
    CONVERSATION_ID,
    USER_ID,
    SERVICE_ID,
];
/// Decisions that are kept at once.
const VERDICTS_MAX: usize = 64 * 1024;

/// The organization's archive behind the reader's permissions.
#[derive(Debug)]
pub(super) struct PromptLogs {
    inner: Arc<dyn TableProvider>,
    /// With comments.
    schema: SchemaRef,
    reader: Arc<Reader>,
}

/// Who reads, and what is old enough to be gone.
#[derive(Debug)]
struct Reader {
    org_id: OrgId,
    caller: Caller,
    oldest: DateTime<Utc>,
}

impl PromptLogs {
    pub(super) fn new(inner: Arc<dyn TableProvider>, request: &Request) -> Self {
        let oldest = oldest(request.now, request.retention_days);
        let reader = Reader {
            org_id: request.org_id.clone(),
            caller: request.caller.clone(),
            oldest,
        };
        let schema = commented(&inner.schema());
        Self {
            inner,
            schema,
            reader: Arc::new(reader),
        }
    }
}

#[async_trait::async_trait]
impl TableProvider for PromptLogs {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match cannot_fail(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let wanted: Vec<usize> = projection
            .cloned()
            .unwrap_or_else(|| (0..schema.fields().len()).collect());
        let deciding = DECIDING
            .iter()
            .map(|column| schema.index_of(column))
            .collect::<Result<Vec<_>, _>>()?;
        let read: Vec<usize> = wanted
            .iter()
            .copied()
            .chain(deciding)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        // Whole days: what is gone of the last one is left out with what the reader may not see.
        let oldest = Date32Type::from_naive_date(self.reader.oldest.date_naive());
        let oldest = ScalarValue::Date32(Some(oldest));
        let mut skip: Vec<Expr> = filters
            .iter()
            .filter(|filter| cannot_fail(filter))
            .cloned()
            .collect();
        skip.push(col(DAY).gt_eq(lit(oldest)));
        let mut input = self.inner.scan(state, Some(&read), &skip, None).await?;
        // The optimiser, which would spread the files over the cores, does not see the scan.
        let partitions = state.config().target_partitions();
        if let Some(spread) = input.repartitioned(partitions, state.config_options())? {
            input = spread;
        }
        let output = wanted
            .iter()
            .filter_map(|column| read.binary_search(column).ok())
            .collect();
        Ok(Arc::new(PermittedExec::new(
            input,
            Arc::clone(&self.reader),
            output,
            Arc::new(schema.project(&wanted)?),
            partitions,
        )))
    }
}

/// The schema with what is said of its columns.
fn commented(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        if let Some(comment) = comment(field.name()) {
            metadata.insert("comment".to_owned(), comment.to_owned());
        }
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Whether a filter compares plain columns with constants, and does nothing else.
fn cannot_fail(filter: &Expr) -> bool {
    const COMPARISONS: [Operator; 5] = [
        Operator::Eq,
        Operator::Lt,
        Operator::LtEq,
        Operator::Gt,
        Operator::GtEq,
    ];
    let column = |expr: &Expr| matches!(expr, Expr::Column(column) if SKIPPING.contains(&column.name.as_str()));
    let constant = |expr: &Expr| matches!(expr, Expr::Literal(..));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => cannot_fail(left) && cannot_fail(right),
            op => {
                COMPARISONS.contains(op)
                    && (column(left) && constant(right) || constant(left) && column(right))
            }
        },
        Expr::InList(list) => !list.negated && column(&list.expr) && list.list.iter().all(constant),
        Expr::Like(like) => {
            let is_plain = !like.negated && !like.case_insensitive && like.escape_char.is_none();
            is_plain && column(&like.expr) && is_short_pattern(&like.pattern)
        }
        _ => false,
    }
}

/// A longer one may make a regular expression that is too large.
fn is_short_pattern(pattern: &Expr) -> bool {
    const BYTES_MAX: usize = 1000;
    let Expr::Literal(pattern, _) = pattern else {
        return false;
    };
    let pattern = pattern.try_as_str().flatten();
    pattern.is_some_and(|pattern| pattern.len() <= BYTES_MAX)
}

/// Lets the rows through that the reader may see, and of these the columns the query asked for.
#[derive(Debug)]
struct PermittedExec {
    input: Arc<dyn ExecutionPlan>,
    reader: Arc<Reader>,
    /// Columns of the input that leave.
    output: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl PermittedExec {
    /// `schema` is that of the columns that leave, `partitions` how many there are: were it as many as the scan has, they
    /// would tell how much is behind the filters.
    fn new(
        input: Arc<dyn ExecutionPlan>,
        reader: Arc<Reader>,
        output: Vec<usize>,
        schema: SchemaRef,
        partitions: usize,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            input,
            reader,
            output,
            properties: Arc::new(properties),
        }
    }

    fn partitions(&self) -> usize {
        self.properties.output_partitioning().partition_count()
    }
}

impl DisplayAs for PermittedExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PermittedExec")
    }
}

impl ExecutionPlan for PermittedExec {
    fn name(&self) -> &'static str {
        "PermittedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None that anybody else may look at.
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

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (reader, output) = (Arc::clone(&self.reader), self.output.clone());
        let schema = self.schema();
        let mut decided = Decided::default();
        let parts = self.input.properties().output_partitioning();
        let own = (partition..parts.partition_count()).step_by(self.partitions());
        let own = own.map(|part| self.input.execute(part, Arc::clone(&context)));
        let own = own.collect::<Result<Vec<_>>>()?;
        let rows = futures::stream::iter(own).flatten().map(move |batch| {
            let batch = batch?;
            let visible = reader.visible(&batch, &mut decided)?;
            let batch = filter_record_batch(&batch, &visible)?;
            let columns = output
                .iter()
                .map(|index| Arc::clone(batch.column(*index)))
                .collect();
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(
                Arc::clone(&schema),
                columns,
                &options,
            )?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// Required permissions, user, service and conversation of a log.
type Ids<'a> = [Option<&'a str>; 4];

/// What was decided of logs with these ids, which logs of one conversation share.
#[derive(Debug, Default)]
struct Decided {
    /// By the ids' [`write_ids`].
    verdicts: HashMap<String, bool>,
    buffer: String,
}

impl Decided {
    fn verdict(&mut self, ids: &Ids<'_>, decide: impl FnOnce() -> bool) -> bool {
        write_ids(ids, &mut self.buffer);
        if let Some(verdict) = self.verdicts.get(&self.buffer) {
            return *verdict;
        }
        if self.verdicts.len() >= VERDICTS_MAX {
            self.verdicts.clear();
        }
        let verdict = decide();
        self.verdicts.insert(self.buffer.clone(), verdict);
        verdict
    }
}

/// Different ids are different texts: each has its length in front.
fn write_ids(ids: &Ids<'_>, text: &mut String) {
    text.clear();
    for id in ids {
        match id {
            // Cannot fail: it is a text.
            Some(id) => drop(write!(text, "{}:{id}", id.len())),
            None => text.push('-'),
        }
    }
}

impl Reader {
    fn visible(&self, batch: &RecordBatch, decided: &mut Decided) -> Result<BooleanArray> {
        let column = |name: &str, wanted: &DataType| {
            let missing = || DataFusionError::Internal(format!("the archive has no column {name}"));
            let column = batch.column_by_name(name).ok_or_else(missing)?;
            Ok::<_, DataFusionError>(cast(column, wanted)?)
        };
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let instants = column(CREATED_AT, &utc)?;
        let instants = instants.as_primitive::<TimestampMicrosecondType>();
        let text = |name| column(name, &DataType::Utf8View);
        let texts = [
            text(REQUIRED_PERMISSIONS)?,
            text(USER_ID)?,
            text(SERVICE_ID)?,
            text(CONVERSATION_ID)?,
        ];
        let texts = texts.each_ref().map(|text| text.as_string_view());
        let oldest = self.oldest.timestamp_micros();
        let mut last: Option<(Ids<'_>, bool)> = None;
        let visible = (0..batch.num_rows()).map(|row| {
            if instants.is_null(row) || instants.value(row) < oldest {
                return Some(false);
            }
            let ids = texts.map(|text| text.is_valid(row).then(|| text.value(row)));
            let verdict = match last {
                Some((before, verdict)) if before == ids => verdict,
                _ => decided.verdict(&ids, || self.may_read(&ids)),
            };
            last = Some((ids, verdict));
            Some(verdict)
        });
        Ok(visible.collect())
    }

    fn may_read(&self, [required, user, service, conversation]: &Ids<'_>) -> bool {
        required_for_log(&self.org_id, *required, *user, *service, *conversation)
            .is_ok_and(|required| decide_all(&self.caller, &required).is_allowed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_ids_are_decided_each_for_itself() {
        let all: [Ids<'_>; 7] = [
            [None, None, None, None],
            [Some(""), None, None, None],
            [None, Some(""), None, None],
            [Some("a"), Some("b"), None, None],
            [Some("a1:b"), None, None, None],
            [Some("ab"), None, None, None],
            [Some("a"), None, Some("b"), None],
        ];
        let mut decided = Decided::default();
        for (place, ids) in all.iter().enumerate() {
            assert_eq!(decided.verdict(ids, || place % 2 == 0), place % 2 == 0);
        }
        for (place, ids) in all.iter().enumerate() {
            let known = decided.verdict(ids, || panic!("{ids:?} are decided twice"));
            assert_eq!(known, place % 2 == 0, "{ids:?}");
        }
    }
}
