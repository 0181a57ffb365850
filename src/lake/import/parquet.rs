//! The rows of a Parquet file as Arrow batches of given columns.
//!
//! A Parquet file says its columns' types itself, so the survey reads only its footer. Promises: every value arrives
//! exactly, or its column is named in an error. Not here: how a type becomes a column's kind (`convert`).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ParquetMetaData;
use rules::{Error, Result};

use super::column::{Column, Names};
use super::convert::{convert, kind_of};
use super::{BATCH_BYTES, BATCH_ROWS, NO_ROWS, Survey, source};

/// The first pass: the columns and the number of rows that the footer says.
pub(super) fn survey(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Survey> {
    let file = source::open(path)?;
    let footer = footer(&file)?;
    let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or(0);
    if rows == 0 {
        return Err(Error::invalid(NO_ROWS));
    }
    let mut names = Names::default();
    let mut columns: Vec<Column> = Vec::new();
    for field in footer.schema().fields() {
        if names.place_or_add(field.name())? < columns.len() {
            return Err(Error::invalid(format!(
                "two columns have the name {:?}; rename one",
                field.name()
            )));
        }
        columns.push(Column {
            name: field.name().clone(),
            kind: kind_of(field.data_type()),
        });
    }
    if columns.is_empty() {
        return Err(Error::invalid("the file's rows have no columns"));
    }
    progress(file.metadata().map_err(source::unreadable)?.len());
    Ok(Survey { columns, rows })
}

pub(super) struct Reader {
    batches: ParquetRecordBatchReader,
    columns: Vec<Column>,
    schema: SchemaRef,
    rows_read: u64,
    rows: u64,
    bytes: u64,
}

impl Reader {
    pub(super) fn open(path: &Path, columns: &[Column], schema: SchemaRef) -> Result<Self> {
        let file = source::open(path)?;
        let bytes = file.metadata().map_err(source::unreadable)?.len();
        let footer = footer(&file)?;
        let names = Names::of(columns);
        if let Some(field) = footer
            .schema()
            .fields()
            .iter()
            .find(|field| names.place(field.name()).is_none())
        {
            return Err(Error::invalid(format!(
                "column {:?} is new; was the file changed? try again",
                field.name()
            )));
        }
        let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or(0);
        let batch_rows = batch_rows(footer.metadata());
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer)
            .with_batch_size(batch_rows)
            .build()
            .map_err(|error| unreadable(&error))?;
        Ok(Self {
            batches,
            columns: columns.to_vec(),
            schema,
            rows_read: 0,
            rows,
            bytes,
        })
    }

    /// The next batch; `None` at the end.
    pub(super) fn next_batch(
        &mut self,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<RecordBatch>> {
        let Some(batch) = self
            .batches
            .next()
            .transpose()
            .map_err(|error| unreadable(&error))?
        else {
            progress(self.bytes);
            return Ok(None);
        };
        self.rows_read += batch.num_rows() as u64;
        let share =
            u128::from(self.bytes) * u128::from(self.rows_read) / u128::from(self.rows.max(1));
        progress(u64::try_from(share).unwrap_or(self.bytes));
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, held) in self.columns.iter().zip(self.schema.fields()) {
            arrays.push(match batch.schema().fields().find(&column.name) {
                Some((place, field)) => {
                    convert(batch.column(place), field, column).map_err(|reason| {
                        Error::invalid(format!("column {:?}: {reason}", column.name))
                    })?
                }
                None => new_null_array(held.data_type(), batch.num_rows()),
            });
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        batch
            .map(Some)
            .map_err(|error| Error::internal("the rows make no batch").because(error))
    }
}

/// The file's footer, with the types its columns are to be read as.
fn footer(file: &File) -> Result<ArrowReaderMetadata> {
    let footer = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())
        .map_err(|error| unreadable(&error))?;
    // The old 96-bit timestamps are instants (Delta's PROTOCOL.md, "Primitive Types"). Read as nanoseconds, as they
    // would be by default, they wrap around outside the years 1677 to 2262.
    let descriptor = footer.parquet_schema();
    let fields = footer
        .schema()
        .fields()
        .iter()
        .zip(descriptor.root_schema().get_fields())
        .map(|(field, stored)| {
            if stored.is_primitive() && stored.get_physical_type() == PhysicalType::INT96 {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                return Arc::new(field.as_ref().clone().with_data_type(micros));
            }
            Arc::clone(field)
        });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()));
    if schema.fields() == footer.schema().fields() {
        return Ok(footer);
    }
    let options = ArrowReaderOptions::new().with_schema(schema);
    ArrowReaderMetadata::try_new(Arc::clone(footer.metadata()), options)
        .map_err(|error| unreadable(&error))
}

/// How many rows, at their average size where they are longest, make a batch.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let row_bytes = metadata
        .row_groups()
        .iter()
        .map(|group| group.total_byte_size() / group.num_rows().max(1))
        .max();
    let row_bytes = row_bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(0);
    (BATCH_BYTES / row_bytes.max(1)).clamp(1, BATCH_ROWS)
}

fn unreadable(error: &impl std::error::Error) -> Error {
    Error::invalid(format!("the file cannot be read as Parquet: {error}"))
}
