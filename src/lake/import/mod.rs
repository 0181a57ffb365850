//! Reads the rows of a file for a lake table: what its columns are, then the rows as Arrow batches.
//!
//! `cli` → here → the lake's data file writer and commit. Files may be larger than memory, so a file is read twice:
//! [`survey`] looks at every value to say what each column holds, [`batches`] then gives the rows as those columns.
//! Promises: no value is changed silently (what no narrower kind holds exactly is kept as text, as written), an error
//! names the line, and rows come in the file's order. Not here: writing the table, and who may.

mod build;
mod column;
mod convert;
mod csv;
mod infer;
mod json;
mod moment;
mod parquet;
mod rows;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use rules::{Error, Result};

pub use column::{Column, Kind, check_names, reconcile};

use rows::Rows;

/// The most rows of one batch, as the query engine's own batches have.
const BATCH_ROWS: usize = 8_192;

/// A batch ends with the row that brings it to this size, so that long texts do not pile up in memory.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

const NO_ROWS: &str = "the file has no rows";

/// The formats a file can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    NdJson,
    /// One JSON array of objects.
    JsonArray,
    /// Comma-separated values with a header row (RFC 4180).
    Csv,
    Parquet,
}

impl Format {
    /// The format a file's extension names, in any case.
    ///
    /// # Errors
    /// `Invalid`, listing the known extensions, for every other one.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        match extension.as_str() {
            "ndjson" | "jsonl" => Ok(Self::NdJson),
            "json" => Ok(Self::JsonArray),
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            _ => Err(Error::invalid(format!(
                "the format of {:?} is not known; name the file .ndjson, .jsonl, .json (an array), .csv or .parquet",
                path.file_name().unwrap_or_default().to_string_lossy()
            ))),
        }
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// In the order of first appearance; at least one.
    pub columns: Vec<Column>,
    /// At least one.
    pub rows: u64,
}

/// The first pass: reads the whole file and says its columns and how many rows it has.
///
/// `progress` gets the bytes read so far.
///
/// # Errors
/// `Invalid`, naming the line or the column, for a file that cannot be read, has no rows, or whose rows no table can
/// hold.
pub fn survey(path: &Path, format: Format, progress: &mut dyn FnMut(u64)) -> Result<Survey> {
    match Rows::open(path, format)? {
        Some(mut rows) => infer::survey(&mut rows, progress),
        None => parquet::survey(path, progress),
    }
}

/// The second pass: the rows as batches of exactly `columns`, which are the survey's, or those of an existing table
/// that [`reconcile`] let through.
///
/// A batch has at most 8,192 rows and about 16 MiB. After an error nothing more comes. `progress` gets the bytes read
/// so far.
///
/// # Errors
/// `Invalid`, naming the line and the column, when a value does not fit its column.
pub fn batches<P: FnMut(u64)>(
    path: &Path,
    format: Format,
    columns: &[Column],
    progress: P,
) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<P>> {
    let fields: Vec<_> = columns.iter().map(Column::arrow_field).collect();
    let schema = Arc::new(Schema::new(fields));
    let reader = match Rows::open(path, format)? {
        Some(rows) => Reader::Text(build::Reader::new(rows, columns, schema)),
        None => Reader::Parquet(parquet::Reader::open(path, columns, schema)?),
    };
    Ok(Batches {
        reader: Some(reader),
        progress,
    })
}

/// What [`batches`] gives.
struct Batches<P> {
    /// `None` when it has come to its end or failed.
    reader: Option<Reader>,
    progress: P,
}

enum Reader {
    Text(build::Reader),
    Parquet(parquet::Reader),
}

impl<P: FnMut(u64)> Iterator for Batches<P> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.reader.as_mut()? {
            Reader::Text(reader) => reader.next_batch(&mut self.progress),
            Reader::Parquet(reader) => reader.next_batch(&mut self.progress),
        };
        if !matches!(batch, Ok(Some(_))) {
            self.reader = None;
        }
        batch.transpose()
    }
}
