//! `information_schema`: the organization's tables, their formats and columns, with the type names of the answers.
//!
//! The engine's own would name its settings and internal types; this one holds nothing but this organization's schema.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Field;
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use result_json::type_name;

use super::super::problem::external;
use super::Tables;

const TABLES: &str = "tables";
const COLUMNS: &str = "columns";
const SCHEMATA: &str = "schemata";

/// The standard's schema of schemas over one schema of one catalog.
#[derive(Debug)]
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

    async fn columns(&self) -> Result<RecordBatch, DataFusionError> {
        let (mut tables, mut names, mut types, mut positions) = (vec![], vec![], vec![], vec![]);
        let (mut nullable, mut comments) = (vec![], vec![]);
        for table in self.tables.table_names() {
            let Some(provider) = self.tables.table(&table).await? else {
                continue;
            };
            for (position, field) in (1..).zip(provider.schema().fields()) {
                tables.push(table.clone());
                names.push(field.name().clone());
                types.push(type_name(field.data_type()));
                positions.push(position);
                nullable.push(if field.is_nullable() { "YES" } else { "NO" });
                comments.push(comment(field));
            }
        }
        let rows = tables.len();
        let batch = batch([
            ("table_catalog", repeated(self.catalog, rows)),
            ("table_schema", repeated(self.schema, rows)),
            ("table_name", Arc::new(StringArray::from(tables))),
            ("column_name", Arc::new(StringArray::from(names))),
            ("ordinal_position", Arc::new(Int32Array::from(positions))),
            ("is_nullable", Arc::new(StringArray::from(nullable))),
            ("data_type", Arc::new(StringArray::from(types))),
            ("comment", Arc::new(StringArray::from(comments))),
        ]);
        Ok(batch?)
    }

    fn schemata(&self) -> Result<RecordBatch, ArrowError> {
        batch([
            ("catalog_name", repeated(self.catalog, 1)),
            ("schema_name", repeated(self.schema, 1)),
        ])
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
            COLUMNS => self.columns().await?,
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
