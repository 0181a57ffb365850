//! Runs a plan: the first rows become a page, or all of them a file.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use result_json::{Page, type_name};
use rules::Result;
use rules::read_only::Statement;

use super::file::ResultFile;
use super::plan::{Base, Planned, plan};
use super::problem::{from_engine, unshowable};
use super::protocol::{Cost, Output, Progress, Request};
use super::server::Server;
use super::sources::{self, comment};

/// A query's end.
#[derive(Debug)]
pub(super) struct Done {
    pub cost: Cost,
    /// The page as JSON, or nothing where the rows went into a file.
    ///
    /// `Invalid`: the query is at fault, or its answer is too large. `Unavailable`: a table cannot be read.
    /// `StorageFull`: the file cannot be written.
    pub result: Result<Vec<u8>>,
}

pub(super) async fn run(base: &Base, server: &Arc<Server>, request: &Request) -> Done {
    let mut cost = Cost::default();
    let started = Instant::now();
    let result = answer(base, server, request, started, &mut cost).await;
    let whole_ms = millis(started);
    match result.is_ok() || cost.planning_ms > 0 {
        true => cost.execution_ms = whole_ms.saturating_sub(cost.planning_ms),
        false => cost.planning_ms = whole_ms,
    }
    Done { cost, result }
}

async fn answer(
    base: &Base,
    server: &Arc<Server>,
    request: &Request,
    started: Instant,
    cost: &mut Cost,
) -> Result<Vec<u8>> {
    let (rows, plan) = Rows::of(base, server, request).await?;
    cost.planning_ms = millis(started);
    let result = match &request.output {
        Output::Page { rows: most, bytes } => {
            let page = rows.page(*most).await?;
            cost.rows = page
                .batches
                .iter()
                .map(|batch| batch.num_rows() as u64)
                .sum();
            page.response(started, *bytes).map_err(unshowable)
        }
        Output::File {
            folder,
            format,
            bytes,
        } => {
            let file = ResultFile::create(folder, *format, &rows.schema, *bytes).await?;
            rows.into_file(file, server, cost)
                .await
                .map(|()| Vec::new())
        }
    };
    if let Some(plan) = plan {
        cost.bytes_scanned = sources::bytes_scanned(&plan);
        cost.warning = sources::warning(&plan);
    }
    let body = result?;
    cost.bytes = cost.bytes.max(body.len() as u64);
    Ok(body)
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A query's rows, as they come.
struct Rows {
    /// With the columns named as the query wrote them.
    schema: SchemaRef,
    batches: BoxStream<'static, EngineResult<RecordBatch>>,
}

impl Rows {
    /// Plans the request's query and starts it; also returns the plan that runs.
    async fn of(
        base: &Base,
        server: &Arc<Server>,
        request: &Request,
    ) -> Result<(Self, Option<Arc<dyn ExecutionPlan>>)> {
        let Planned {
            mut frame,
            kind,
            names,
        } = Box::pin(plan(base, server, request)).await?;
        if let LogicalPlan::DescribeTable(described) = frame.logical_plan() {
            return Ok((Self::description(&described.schema)?, None));
        }
        if let (Statement::Query, Output::Page { rows, .. }) = (kind, &request.output) {
            // One row beyond the page: its arrival is the only proof that the answer was cut.
            frame = frame.limit(0, Some(rows + 1)).map_err(from_engine)?;
        }
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await.map_err(from_engine)?;
        let batches = execute_stream(Arc::clone(&plan), context).map_err(from_engine)?;
        let rows = Self {
            schema: renamed(&batches.schema(), names),
            batches: batches.boxed(),
        };
        Ok((rows, Some(plan)))
    }

    /// The answer to `DESCRIBE`: the columns with the type names of the answers and what is said of them.
    fn description(schema: &Schema) -> Result<Self> {
        let fields = || schema.fields().iter();
        let names: StringArray = fields().map(|field| Some(field.name())).collect();
        let types: StringArray = fields()
            .map(|field| Some(type_name(field.data_type())))
            .collect();
        let comments: StringArray = fields().map(|field| comment(field)).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("column_name", Arc::new(names)),
            ("data_type", Arc::new(types)),
            ("comment", Arc::new(comments)),
        ];
        let batch =
            RecordBatch::try_from_iter(columns).map_err(|error| from_engine(error.into()))?;
        Ok(Self {
            schema: batch.schema(),
            batches: stream::iter([Ok(batch)]).boxed(),
        })
    }

    /// The first rows. `truncated` is true exactly when there is at least one more.
    async fn page(mut self, rows_max: usize) -> Result<Page> {
        let mut batches = Vec::new();
        let mut rows = 0;
        while rows <= rows_max {
            let Some(batch) = self.batches.try_next().await.map_err(from_engine)? else {
                break;
            };
            let room = rows_max - rows;
            rows += batch.num_rows();
            batches.push(batch.slice(0, batch.num_rows().min(room)));
        }
        Ok(Page {
            schema: self.schema,
            batches,
            truncated: rows > rows_max,
        })
    }

    /// Writes every row. Nothing is there where this fails.
    async fn into_file(
        mut self,
        mut file: ResultFile,
        server: &Server,
        cost: &mut Cost,
    ) -> Result<()> {
        let written = async {
            while let Some(batch) = self.batches.try_next().await.map_err(from_engine)? {
                file.write(&batch).await?;
                cost.rows += batch.num_rows() as u64;
                server.progress(Progress {
                    rows: cost.rows,
                    bytes: file.bytes(),
                });
            }
            Ok(())
        };
        match written.await {
            Ok(()) => cost.bytes = file.finish().await?,
            Err(error) => {
                file.abort().await;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The schema with the columns named as the query wrote them.
fn renamed(schema: &SchemaRef, names: Option<Vec<Option<String>>>) -> SchemaRef {
    let Some(names) = names.filter(|names| names.len() == schema.fields().len()) else {
        return Arc::clone(schema);
    };
    let fields = schema.fields().iter().zip(names);
    let fields = fields.map(|(field, name)| match name {
        Some(name) => field.as_ref().clone().with_name(name),
        None => field.as_ref().clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
