//! Writes the Parquet data files of a table and says what Delta needs to know of them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute;
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use chrono::DateTime;
use deltalake_core::kernel::Add;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use rules::{Error, Result};
use serde_json::{Map, Value, json};

use super::unavailable;

/// A text bound in Delta's statistics is written only where Parquet kept it whole: engines answer `min` and `max` from
/// these, so a shortened bound would be a wrong answer. Parquet shortens at this many bytes.
const STATISTICS_TEXT_BYTES: usize = 1024;

/// Rows of a page: a query that needs one row reads as many. Pages much smaller cost more than they save.
const PAGE_ROWS: usize = 4096;

/// A column with more distinct values than fit is written without a dictionary, which every query would have to read whole.
const DICTIONARY_BYTES: usize = 64 * 1024;

/// What every data file has in common; callers add what their columns need.
pub fn table_properties() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(3).expect("3 is a zstd level");
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        // How often a page's rows are counted.
        .set_write_batch_size(PAGE_ROWS / 4)
        .set_statistics_truncate_length(Some(STATISTICS_TEXT_BYTES))
        .set_created_by(concat!("amigo-admin ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// One data file in the making, compressed in memory: callers roll to a new one at [`DataFileWriter::is_full`].
pub struct DataFileWriter {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
    partition: Option<(String, String)>,
}

impl DataFileWriter {
    /// A file is rolled over when its compressed bytes reach this.
    pub const FULL_BYTES: usize = 64 * 1024 * 1024;

    /// `schema` is the file's, without the partition column; `partition` its name and value.
    pub fn new(
        schema: SchemaRef,
        properties: WriterProperties,
        partition: Option<(String, String)>,
    ) -> Result<Self> {
        // The embedded Arrow schema would tell readers about dictionaries that are a writer's detail.
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)
            .map_err(unwritable)?;
        Ok(Self {
            writer,
            schema,
            partition,
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(unwritable)
    }

    /// Ends the row group, so that a reader's memory for one stays bounded.
    pub fn end_row_group(&mut self) -> Result<()> {
        self.writer.flush().map_err(unwritable)
    }

    pub fn is_full(&self) -> bool {
        self.writer.bytes_written() + self.writer.in_progress_size() >= Self::FULL_BYTES
    }

    /// Stores the file below the table's root and returns the action that adds it; nobody sees it before the commit.
    ///
    /// # Errors
    /// `StorageFull`, `Unavailable`.
    pub async fn finish(mut self, store: &dyn ObjectStore, now_ms: i64) -> Result<Add> {
        let metadata = self.writer.finish().map_err(unwritable)?;
        let bytes = std::mem::take(self.writer.inner_mut());
        let size = i64::try_from(bytes.len()).expect("a file in memory has fewer than 2^63 bytes");
        let name = format!("part-{}.zstd.parquet", uuid::Uuid::new_v4());
        let path = match &self.partition {
            Some((column, value)) => format!("{column}={value}/{name}"),
            None => name,
        };
        let location = Path::from(path.as_str());
        if let Err(error) = store.put(&location, bytes.into()).await {
            // Whatever there is of it helps nobody, least of all on a disk that is full; often there is nothing.
            let _ = store.delete(&location).await;
            return Err(unavailable(error));
        }
        Ok(Add {
            path,
            partition_values: self
                .partition
                .into_iter()
                .map(|(column, value)| (column, Some(value)))
                .collect(),
            size,
            modification_time: now_ms,
            data_change: true,
            stats: Some(statistics(&metadata, &self.schema)?.to_string()),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }
}

impl std::fmt::Debug for DataFileWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DataFileWriter")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

/// Delta's per-file statistics (PROTOCOL.md, "Per-file Statistics"): rows, and for whole numbers, instants and short
/// texts the least and greatest value and the count of nulls. Fractions are left out: `NaN` has no place in an order.
fn statistics(metadata: &ParquetMetaData, schema: &Schema) -> Result<Value> {
    let descriptor = metadata.file_metadata().schema_descr();
    // Columns are read back as Parquet's own types say, not as the writer's dictionaries.
    let stored = parquet_to_arrow_schema(descriptor, None).map_err(unwritable)?;
    let mut bounds = [Map::new(), Map::new()];
    let mut null_counts = Map::new();
    for field in stored
        .fields()
        .iter()
        .filter(|field| schema.field_with_name(field.name()).is_ok())
    {
        let Ok(converter) = StatisticsConverter::try_new(field.name(), &stored, descriptor) else {
            continue;
        };
        let groups = metadata.row_groups();
        let (Ok(minima), Ok(maxima), Ok(nulls)) = (
            converter.row_group_mins(groups),
            converter.row_group_maxes(groups),
            converter.row_group_null_counts(groups),
        ) else {
            continue;
        };
        let (Some(least), Some(greatest)) = (
            extreme(field, &minima, false),
            extreme(field, &maxima, true),
        ) else {
            continue;
        };
        bounds[0].insert(field.name().clone(), least);
        bounds[1].insert(field.name().clone(), greatest);
        null_counts.insert(
            field.name().clone(),
            json!(compute::sum(&nulls).unwrap_or(0)),
        );
    }
    let [minima, maxima] = bounds;
    let rows = metadata.file_metadata().num_rows();
    Ok(
        json!({"numRecords": rows, "minValues": minima, "maxValues": maxima, "nullCount": null_counts}),
    )
}

/// The least or greatest of the row groups' bounds as Delta writes it; `None` where there is none to trust.
fn extreme(field: &Field, bounds: &dyn Array, greatest: bool) -> Option<Value> {
    if bounds.null_count() > 0 {
        return None;
    }
    match field.data_type() {
        DataType::Int64 => {
            let bounds = bounds.as_primitive_opt::<Int64Type>()?;
            if greatest {
                compute::max(bounds)
            } else {
                compute::min(bounds)
            }
            .map(Value::from)
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let bounds = bounds.as_primitive_opt::<TimestampMicrosecondType>()?;
            let micros = if greatest {
                compute::max(bounds)
            } else {
                compute::min(bounds)
            }?;
            let format = if zone.is_some() {
                "%Y-%m-%dT%H:%M:%S%.6fZ"
            } else {
                "%Y-%m-%dT%H:%M:%S%.6f"
            };
            Some(Value::from(
                DateTime::from_timestamp_micros(micros)?
                    .format(format)
                    .to_string(),
            ))
        }
        DataType::Utf8 => {
            let bounds = bounds.as_string_opt::<i32>()?;
            let text = if greatest {
                compute::max_string(bounds)
            } else {
                compute::min_string(bounds)
            }?;
            (text.len() < STATISTICS_TEXT_BYTES).then(|| Value::from(text))
        }
        _ => None,
    }
}

fn unwritable(error: parquet::errors::ParquetError) -> Error {
    Error::internal("the rows cannot be written").because(error)
}
