//! Tables whose rows the server has: it sends them page by page while a query reads them.

use std::io::Cursor;
use std::sync::Arc;

use super::super::problem::external;
use super::super::protocol::ServerTable;
use super::super::server::Server;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt, stream};

impl ServerTable {
    pub(in super::super) const ALL: [Self; 2] = [Self::AuditLog, Self::QueryHistory];

    /// As queries name it.
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::AuditLog => "audit_log",
            Self::QueryHistory => "query_history",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The table as a query reads it.
    pub(in super::super) fn provider(self, server: &Arc<Server>) -> Result<Arc<dyn TableProvider>> {
        let pages = Pages {
            table: self,
            schema: self.schema(),
            server: Arc::clone(server),
        };
        let table = StreamingTable::try_new(self.schema(), vec![Arc::new(pages)])?;
        Ok(Arc::new(table))
    }

    fn schema(self) -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let number = |name| Field::new(name, DataType::Int64, true);
        let zone = || Some("UTC".into());
        let instant = |name| {
            Field::new(
                name,
                DataType::Timestamp(TimeUnit::Millisecond, zone()),
                true,
            )
        };
        let fields = match self {
            Self::AuditLog => vec![
                number("seq"),
                instant("at"),
                text("entry_id"),
                text("event"),
                text("actor"),
                text("actor_org_id"),
                text("actor_id"),
                text("action"),
                text("resource"),
                text("request_id"),
                text("client_address"),
                text("outcome"),
                number("status"),
                text("reason"),
                number("rows"),
                number("bytes"),
                text("detail"),
                text("previous_hash"),
                text("hash"),
            ],
            Self::QueryHistory => vec![
                text("query_id"),
                text("user_id"),
                text("sql_query"),
                Field::new("async_query", DataType::Boolean, true),
                text("result_format"),
                text("status"),
                text("error"),
                instant("created_at"),
                instant("started_at"),
                instant("finished_at"),
                number("rows"),
                number("bytes"),
                number("bytes_scanned"),
                number("queue_ms"),
                number("planning_ms"),
                number("execution_ms"),
                number("peak_memory_bytes"),
                text("warning"),
            ],
        };
        Arc::new(Schema::new(fields))
    }
}

/// The pages of one scan.
#[derive(Debug)]
struct Pages {
    table: ServerTable,
    schema: SchemaRef,
    server: Arc<Server>,
}

/// Where a scan goes on.
enum Next {
    First,
    After(String),
    End,
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (table, server) = (self.table, Arc::clone(&self.server));
        let schema = Arc::clone(&self.schema);
        let pages = stream::try_unfold(Next::First, move |next| {
            let (schema, server) = (Arc::clone(&schema), Arc::clone(&server));
            async move {
                let after = match next {
                    Next::First => None,
                    Next::After(after) => Some(after),
                    Next::End => return Ok(None),
                };
                let rows = server.rows(table, after).await.map_err(external)?;
                let next = rows.next.map_or(Next::End, Next::After);
                Ok::<_, DataFusionError>(Some((decode(&rows.json, schema), next)))
            }
        });
        let batches = pages.map_ok(stream::iter).try_flatten().boxed();
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches,
        ))
    }
}

fn decode(json: &str, schema: SchemaRef) -> Vec<Result<RecordBatch>> {
    match ReaderBuilder::new(schema).build(Cursor::new(json)) {
        Ok(batches) => batches.map(|batch| Ok(batch?)).collect(),
        Err(error) => vec![Err(error.into())],
    }
}
