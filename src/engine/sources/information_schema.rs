//! `information_schema`: the organization's tables, their formats and columns, with the type names of the answers.
//!
//! The engine's own would name its settings and internal types; this one holds nothing but this organization's schema.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt, stream};
use result_json::type_name;

use super::super::problem::external;
use super::Tables;

const TABLES: &str = "tables";
const COLUMNS: &str = "columns";
const SCHEMATA: &str = "schemata";

/// Tables that are opened at the same time: a collection is sampled for it when nobody has looked at it before.
const OPENED_AT_ONCE: usize = 8;

/// The standard's schema of schemas over one schema of one catalog.
#[derive(Debug, Clone)]
pub(in super::super) struct InformationSchema {
    catalog: &'static str,
    schema: &'static str,
    tables: Arc<Tables>,
}

impl InformationSchema {
    pub(in super::super) fn new(
        catalog: &'static str,
        schema: &'static str,
        tables: Arc<Tables>,
    ) -> Self {
        Self {
            catalog,
            schema,
            tables,
        }
    }

    fn tables(&self) -> Result<RecordBatch, ArrowError> {
        let (names, formats): (Vec<&str>, Vec<&str>) = self.tables.formats().unzip();
        let rows = names.len();
        batch([
            ("table_catalog", repeated(self.catalog, rows)),
            ("table_schema", repeated(self.schema, rows)),
            ("table_name", Arc::new(StringArray::from(names))),
            ("table_type", repeated("BASE TABLE", rows)),
            ("data_source_format", Arc::new(StringArray::from(formats))),
        ])
    }

    /// What each table has. They are opened when a query reads this, not when it is planned: `SHOW TABLES` names this
    /// table too, and needs no samples of collections.
    async fn columns(&self) -> Result<RecordBatch, DataFusionError> {
        let opened: Vec<_> = stream::iter(self.tables.table_names())
            .map(|table| self.opened(table))
            .buffered(OPENED_AT_ONCE)
            .try_collect()
            .await?;
        let (mut tables, mut names, mut types, mut positions) = (vec![], vec![], vec![], vec![]);
        let (mut nullable, mut comments) = (vec![], vec![]);
        for (table, columns) in &opened {
            let fields = columns.iter().flat_map(|columns| columns.fields());
            for (position, field) in (1..).zip(fields) {
                tables.push(table.as_str());
                names.push(field.name().as_str());
                types.push(type_name(field.data_type()));
                positions.push(position);
                nullable.push(if field.is_nullable() { "YES" } else { "NO" });
                comments.push(comment(field));
            }
        }
        let rows = tables.len();
        let columns: Vec<ArrayRef> = vec![
            repeated(self.catalog, rows),
            repeated(self.schema, rows),
            Arc::new(StringArray::from(tables)),
            Arc::new(StringArray::from(names)),
            Arc::new(Int32Array::from(positions)),
            Arc::new(StringArray::from(nullable)),
            Arc::new(StringArray::from(types)),
            Arc::new(StringArray::from(comments)),
        ];
        Ok(RecordBatch::try_new(columns_schema(), columns)?)
    }

    async fn opened(&self, table: String) -> Result<(String, Option<SchemaRef>), DataFusionError> {
        let columns = self.tables.columns(&table).await.map_err(external)?;
        Ok((table, columns))
    }

    fn schemata(&self) -> Result<RecordBatch, ArrowError> {
        batch([
            ("catalog_name", repeated(self.catalog, 1)),
            ("schema_name", repeated(self.schema, 1)),
        ])
    }
}

fn columns_schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![
        text("table_catalog"),
        text("table_schema"),
        text("table_name"),
        text("column_name"),
        Field::new("ordinal_position", DataType::Int32, false),
        text("is_nullable"),
        text("data_type"),
        Field::new("comment", DataType::Utf8, true),
    ]))
}

/// `columns`, for one scan.
#[derive(Debug)]
struct Columns {
    of: InformationSchema,
    schema: SchemaRef,
}

impl PartitionStream for Columns {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let of = self.of.clone();
        let rows = stream::once(async move { of.columns().await });
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, rows.boxed()))
    }
}

/// What the table's writer says of a column, where Delta keeps it.
pub(in super::super) fn comment(field: &Field) -> Option<String> {
    field.metadata().get("comment").cloned()
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter(columns)
}

fn repeated(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from(vec![text; rows]))
}

#[async_trait::async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        [TABLES, COLUMNS, SCHEMATA].map(str::to_owned).to_vec()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.tables.list().await.map_err(external)?;
        let batch = match name {
            TABLES => self.tables()?,
            COLUMNS => {
                let (of, schema) = (self.clone(), columns_schema());
                let columns = Arc::new(Columns {
                    of,
                    schema: Arc::clone(&schema),
                });
                return Ok(Some(Arc::new(StreamingTable::try_new(
                    schema,
                    vec![columns],
                )?)));
            }
            SCHEMATA => self.schemata()?,
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(MemTable::try_new(
            batch.schema(),
            vec![vec![batch]],
        )?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        [TABLES, COLUMNS, SCHEMATA].contains(&name)
    }
}
