//! Runs a plan and gathers the page of rows it answers with.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt;
use result_json::{Page, type_name};
use rules::read_only::Statement;
use rules::{Error, Result};

use super::plan::{Base, Planned, plan};
use super::problem::from_engine;
use super::protocol::Request;
use super::sources::comment;

/// The response to the request, as JSON.
///
/// # Errors
/// `Invalid`: the query is at fault, or its answer is too large. `Unavailable`: a table cannot be read.
pub(super) async fn run(base: &Base, request: &Request, started: Instant) -> Result<Vec<u8>> {
    let page = page(base, request).await?;
    page.response(started, request.limits.result_bytes)
        .map_err(|error| Error::invalid(error.to_string()).because(error))
}

async fn page(base: &Base, request: &Request) -> Result<Page> {
    let rows_max = request.limits.rows;
    let Planned {
        mut frame,
        kind,
        names,
    } = plan(base, request).await?;
    if let LogicalPlan::DescribeTable(described) = frame.logical_plan() {
        return description(&described.schema);
    }
    if kind == Statement::Query {
        // One row beyond the page: its arrival is the only proof that the answer was cut.
        frame = frame.limit(0, Some(rows_max + 1)).map_err(from_engine)?;
    }
    let mut stream = frame.execute_stream().await.map_err(from_engine)?;
    let schema = renamed(&stream.schema(), names);
    let mut batches = Vec::new();
    let mut rows = 0;
    while rows <= rows_max {
        let Some(batch) = stream.try_next().await.map_err(from_engine)? else {
            break;
        };
        let room = rows_max - rows;
        rows += batch.num_rows();
        batches.push(batch.slice(0, batch.num_rows().min(room)));
    }
    Ok(Page {
        schema,
        batches,
        truncated: rows > rows_max,
    })
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

/// The answer to `DESCRIBE`: the columns with the type names of the answers and what is said of them.
fn description(schema: &Schema) -> Result<Page> {
    let names: StringArray = schema
        .fields()
        .iter()
        .map(|field| Some(field.name()))
        .collect();
    let types: StringArray = schema
        .fields()
        .iter()
        .map(|field| Some(type_name(field.data_type())))
        .collect();
    let comments: StringArray = schema.fields().iter().map(|field| comment(field)).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("column_name", Arc::new(names)),
        ("data_type", Arc::new(types)),
        ("comment", Arc::new(comments)),
    ];
    let batch = RecordBatch::try_from_iter(columns).map_err(|error| from_engine(error.into()))?;
    Ok(Page {
        schema: batch.schema(),
        batches: vec![batch],
        truncated: false,
    })
}
