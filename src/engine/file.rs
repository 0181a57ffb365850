//! A query's rows as a file in the object store: encoded batch by batch, sent in parts, there as a whole or not at all.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::FileWriter;
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use result_json::{Csv, Lines, unique_names};
use rules::{Error, Result};
use url::Url;

use super::problem::unshowable;
use super::protocol::Format;
use crate::lake;

/// Parts of this size are sent while the next one is encoded, at most so many at once.
const PART_BYTES: usize = 8 * 1024 * 1024;
const PARTS_MAX: usize = 2;

/// A Parquet row group is in memory until it is whole, so it ends here.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// A result on its way to the store.
#[derive(Debug)]
pub(super) struct ResultFile {
    upload: WriteMultipart,
    encoder: Encoder,
    /// What files hold: names that occur once, no types that only this engine has.
    schema: SchemaRef,
    encoded: Vec<u8>,
    bytes: u64,
    bytes_max: u64,
}

enum Encoder {
    Csv(Csv),
    Json(Lines),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    Arrow(Box<FileWriter<Vec<u8>>>),
}

impl ResultFile {
    /// Begins the file in the folder.
    ///
    /// # Errors
    /// `Invalid` where the format cannot hold the columns; `StorageFull`, `Unavailable`.
    pub(super) async fn create(
        folder: &Url,
        format: Format,
        schema: &Schema,
        bytes_max: u64,
    ) -> Result<Self> {
        let schema = file_schema(schema);
        let mut encoded = Vec::new();
        let encoder = match format {
            Format::Csv => Encoder::Csv(Csv::new(&schema, &mut encoded)),
            Format::Json => Encoder::Json(Lines::new(&schema)),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer =
                    ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties));
                Encoder::Parquet(Box::new(writer.map_err(from_parquet)?))
            }
            Format::Arrow => {
                let writer = FileWriter::try_new(Vec::new(), &schema);
                Encoder::Arrow(Box::new(writer.map_err(from_arrow)?))
            }
        };
        let store = lake::store_at(folder)?;
        let upload = store
            .put_multipart(&Path::from(format.file_name()))
            .await
            .map_err(lake::unavailable)?;
        Ok(Self {
            upload: WriteMultipart::new_with_chunk_size(upload, PART_BYTES),
            encoder,
            schema,
            encoded,
            bytes: 0,
            bytes_max,
        })
    }

    /// Appends the rows. Waits while the store is slower than the query.
    ///
    /// # Errors
    /// `Invalid` where a value cannot be written or the file becomes too large; `StorageFull`, `Unavailable`.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.as_in_file(batch)?;
        match &mut self.encoder {
            Encoder::Csv(csv) => csv.write(&batch, &mut self.encoded).map_err(unshowable)?,
            Encoder::Json(lines) => lines.write(&batch, &mut self.encoded).map_err(unshowable)?,
            Encoder::Parquet(writer) => {
                writer.write(&batch).map_err(from_parquet)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES {
                    writer.flush().map_err(from_parquet)?;
                }
                self.encoded.append(writer.inner_mut());
            }
            Encoder::Arrow(writer) => {
                writer.write(&batch).map_err(from_arrow)?;
                self.encoded.append(writer.get_mut());
            }
        }
        self.send().await
    }

    /// Bytes of the file so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the file, which is on disk from now on; returns its bytes.
    ///
    /// # Errors
    /// As [`ResultFile::write`]; there is no file then.
    pub(super) async fn finish(mut self) -> Result<u64> {
        if let Err(error) = self.end().await {
            self.abort().await;
            return Err(error);
        }
        self.upload.finish().await.map_err(lake::unavailable)?;
        Ok(self.bytes)
    }

    /// Leaves nothing.
    pub(super) async fn abort(self) {
        // What stays behind is no file yet, and the server removes the folder of a query that failed.
        let _ = self.upload.abort().await;
    }

    /// What the format needs behind the last row.
    async fn end(&mut self) -> Result<()> {
        match &mut self.encoder {
            Encoder::Csv(_) | Encoder::Json(_) => {}
            Encoder::Parquet(writer) => {
                writer.finish().map_err(from_parquet)?;
                self.encoded.append(writer.inner_mut());
            }
            Encoder::Arrow(writer) => {
                writer.finish().map_err(from_arrow)?;
                self.encoded.append(writer.get_mut());
            }
        }
        self.send().await
    }

    async fn send(&mut self) -> Result<()> {
        self.bytes += self.encoded.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(Error::invalid(format!(
                "the result is larger than {} bytes; select fewer columns or rows",
                self.bytes_max
            )));
        }
        self.upload
            .wait_for_capacity(PARTS_MAX)
            .await
            .map_err(lake::unavailable)?;
        self.upload.write(&self.encoded);
        self.encoded.clear();
        Ok(())
    }

    fn as_in_file(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns
            .map(|(column, field)| cast(column, field.data_type()))
            .collect::<std::result::Result<_, _>>()
            .map_err(from_arrow)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(from_arrow)
    }
}

/// Every name once, every type one that readers of files know, and no value promised to be there.
fn file_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().zip(unique_names(schema.fields()));
    let fields = fields.map(|(field, name)| Field::new(name, plain_type(field.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The type without encodings that are no types: dictionaries, run lengths, views.
fn plain_type(data_type: &DataType) -> DataType {
    let plain = |field: &FieldRef| {
        let data_type = plain_type(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(plain(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        other => other.clone(),
    }
}

fn from_parquet(error: ParquetError) -> Error {
    Error::invalid("a column of this type cannot be written to Parquet; cast it").because(error)
}

fn from_arrow(error: ArrowError) -> Error {
    Error::invalid("a column of this type cannot be written to a file; cast it").because(error)
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Csv(_) => "Csv",
            Self::Json(_) => "Json",
            Self::Parquet(_) => "Parquet",
            Self::Arrow(_) => "Arrow",
        })
    }
}
