//! Rows of a file into a table of the lake, all in one commit or not at all.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::{Add, StructField};
use deltalake_core::protocol::SaveMode;
use object_store::ObjectStore;
use rules::{Error, OrgId, Result, TableName};

use super::copy::not_copied;
use super::import::{self, Column, Format};
use super::{
    DataFileWriter, Lake, commit_noting, discard, discard_uncommitted, table_properties,
    unavailable,
};

/// What became of a file's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    pub rows: u64,
    pub columns: usize,
}

/// Where the rows go, and whether they take the place of those that are there.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub org: &'a OrgId,
    pub table: &'a TableName,
    pub replace: bool,
}

/// How far an import is: what it is doing, and the bytes of the file it has read.
pub type Report<'a> = dyn FnMut(&'static str, u64) + Send + 'a;

/// Reads the file twice, once for its columns and once for its rows. Makes the table when there is none; otherwise
/// appends, or with `replace` gives it the file's columns and rows instead of its own.
///
/// # Errors
/// `Invalid` names the line that cannot be read or the column that does not fit; nothing is changed then. `Conflict`:
/// the table is being copied or imported into. `StorageFull`, `Unavailable`.
pub async fn import_file(
    lake: &Lake,
    target: Target<'_>,
    file: &Path,
    now: DateTime<Utc>,
    report: &mut Report<'_>,
) -> Result<Imported> {
    let format = Format::of(file)?;
    let _locked = lake.lock(target.org, target.table)?;
    let survey = import::survey(file, format, &mut |bytes| report("reading", bytes))?;
    let existing = lake.open(target.org, target.table).await?;
    let columns = match &existing {
        Some(table) if !target.replace => {
            let columns = table_columns(table)?;
            import::reconcile(&survey.columns, &columns)?;
            columns
        }
        _ => survey.columns,
    };
    let store = lake.table_store(target.org, target.table)?;
    let schema: SchemaRef = Arc::new(Schema::new(
        columns.iter().map(Column::arrow_field).collect::<Vec<_>>(),
    ));
    let mut files = Vec::new();
    let stored = async {
        let batches = import::batches(file, format, &columns, |bytes| report("writing", bytes))?;
        write(&store, &schema, batches, now, &mut files).await?;
        delta_columns(&schema)
    };
    let delta_columns = match stored.await {
        Ok(columns) => columns,
        Err(error) => {
            discard(&store, &files).await;
            return Err(error);
        }
    };
    let notes = vec![not_copied()];
    let committed = match existing {
        Some(mut table) if !target.replace => {
            commit_noting(&mut table, files.clone(), Vec::new(), notes).await
        }
        existing => {
            let mode = if existing.is_some() {
                SaveMode::Overwrite
            } else {
                SaveMode::ErrorIfExists
            };
            let (org, table) = (target.org, target.table);
            let adds = files.clone();
            let made = lake.create_noting(org, table, delta_columns, &[], adds, notes, mode);
            made.await.map(drop)
        }
    };
    if let Err(error) = committed {
        discard_uncommitted(lake, target.org, target.table, &error, &files).await;
        return Err(error);
    }
    Ok(Imported {
        rows: survey.rows,
        columns: columns.len(),
    })
}

async fn write(
    store: &Arc<dyn ObjectStore>,
    schema: &SchemaRef,
    batches: impl Iterator<Item = Result<arrow::array::RecordBatch>>,
    now: DateTime<Utc>,
    files: &mut Vec<Add>,
) -> Result<()> {
    let writer = || DataFileWriter::new(Arc::clone(schema), table_properties().build(), None);
    let mut open = writer()?;
    for batch in batches {
        open.write(&batch?)?;
        if open.is_full() {
            files.push(open.finish(store.as_ref(), now.timestamp_millis()).await?);
            open = writer()?;
        }
    }
    files.push(open.finish(store.as_ref(), now.timestamp_millis()).await?);
    Ok(())
}

/// The columns of an existing table.
fn table_columns(table: &DeltaTable) -> Result<Vec<Column>> {
    let schema = table
        .snapshot()
        .map_err(unavailable)?
        .snapshot()
        .arrow_schema();
    let column = |field: &Arc<arrow::datatypes::Field>| {
        Column::of_field(field).ok_or_else(|| {
            let (name, held) = (field.name(), field.data_type());
            Error::invalid(format!("column {name} of the table holds {held}, which no file can be appended to; give --replace"))
        })
    };
    schema.fields().iter().map(column).collect()
}

pub(super) fn delta_columns(schema: &SchemaRef) -> Result<Vec<StructField>> {
    let fields: std::result::Result<Vec<StructField>, ArrowError> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().try_into_kernel())
        .collect();
    fields.map_err(|error| Error::internal("the columns are none a table can have").because(error))
}
