//! The data files of one organization's `prompt_logs` table, as writers and readers of logs need them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::Remove;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use rules::{Error, LogKey, Result};
use serde_json::Value;

use super::record::{Prompt, Record};
use crate::lake::prompt_log_table::{
    CREATED_AT, DAY, HISTORY, LABELS, LOG_KEY, SYSTEM, file_schema,
};
use crate::lake::{ObjectReader, unavailable};

/// Decoded bytes a reader wants to hold at once; batches are sized by it.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;
const BATCH_ROWS_MAX: usize = 1024;

/// One data file: where it is and which keys and day it spans.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    pub path: String,
    pub size: u64,
    pub day: Option<NaiveDate>,
    /// When it was written, Unix milliseconds.
    pub modified: i64,
    /// Rows, the oldest instant and the newest, where the statistics know them.
    pub rows: Option<u64>,
    pub oldest: Option<DateTime<Utc>>,
    pub newest: Option<DateTime<Utc>>,
    /// Least and greatest key, where the statistics know them; without, the file may hold any.
    keys: Option<(String, String)>,
}

impl LogFile {
    /// A file as the log might name it, written in 1970.
    #[cfg(test)]
    pub(super) fn for_test(
        path: &str,
        size: u64,
        day: Option<NaiveDate>,
        keys: Option<(String, String)>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            size,
            day,
            modified: 0,
            rows: None,
            oldest: None,
            newest: None,
            keys,
        }
    }

    /// Whether the file may hold a key at or above `from` and below `until` (bytes; `None`: without end).
    pub(super) fn may_hold(&self, from: &str, until: Option<&[u8]>) -> bool {
        self.keys.as_ref().is_none_or(|(least, greatest)| {
            greatest.as_str() >= from && until.is_none_or(|until| least.as_bytes() < until)
        })
    }

    /// The greatest key the file may hold; `None`: any.
    pub(super) fn greatest_key(&self) -> Option<&str> {
        self.keys.as_ref().map(|(_, greatest)| greatest.as_str())
    }

    /// The least key the file may hold.
    pub(super) fn least_key(&self) -> &str {
        self.keys.as_ref().map_or("", |(least, _)| least)
    }
}

/// The files of the table at its loaded version, by least key.
pub(super) fn list(table: &DeltaTable) -> Result<Vec<LogFile>> {
    let snapshot = table.snapshot().map_err(unavailable)?;
    let mut files: Vec<LogFile> = snapshot
        .log_data()
        .iter()
        .map(|view| {
            let stats: Option<Value> = view
                .stats()
                .and_then(|stats| serde_json::from_str(&stats).ok());
            let bound = |bound: &str, column: &str| {
                let bounds = stats.as_ref()?.get(bound)?;
                Some(bounds.get(column)?.as_str()?.to_owned())
            };
            let instant = |name| bound(name, CREATED_AT).and_then(|text| text.parse().ok());
            let day = view.partition_values_map().remove(DAY).flatten();
            LogFile {
                path: view.path().into_owned(),
                size: u64::try_from(view.size()).unwrap_or(0),
                day: day.and_then(|day| day.parse().ok()),
                modified: view.modification_time(),
                rows: stats
                    .as_ref()
                    .and_then(|stats| stats.get("numRecords")?.as_u64()),
                oldest: instant("minValues"),
                newest: instant("maxValues"),
                keys: bound("minValues", LOG_KEY).zip(bound("maxValues", LOG_KEY)),
            }
        })
        .collect();
    files.sort_by(|a, b| a.least_key().cmp(b.least_key()));
    Ok(files)
}

/// The action that removes `file` from the table.
pub(super) fn removal(table: &DeltaTable, file: &LogFile) -> Result<Remove> {
    removals(table, &HashSet::from([file.path.as_str()]), true)?
        .and_then(|mut removes| removes.pop())
        .ok_or_else(|| Error::internal("a data file is not in its own table"))
}

/// The actions that remove the files at these paths, or `None` when one of them is not in the table. Without
/// `data_change` their rows stay in the table, in other files of the same commit.
pub(super) fn removals(
    table: &DeltaTable,
    paths: &HashSet<&str>,
    data_change: bool,
) -> Result<Option<Vec<Remove>>> {
    let snapshot = table.snapshot().map_err(unavailable)?;
    let removes: Vec<Remove> = snapshot
        .log_data()
        .iter()
        .filter(|view| paths.contains(view.path().as_ref()))
        .map(|view| view.remove_action(data_change))
        .collect();
    Ok((removes.len() == paths.len()).then_some(removes))
}

/// A file whose footer has been read.
#[derive(Debug, Clone)]
pub(super) struct OpenFile {
    reader: ObjectReader,
    metadata: ArrowReaderMetadata,
}

/// Batches of a file's rows, in file order.
pub(super) type Rows = ParquetRecordBatchStream<ObjectReader>;

impl OpenFile {
    pub(super) async fn open(
        store: Arc<dyn ObjectStore>,
        file: &LogFile,
    ) -> Result<Self, ParquetError> {
        let mut reader = ObjectReader::new(store, Path::from(file.path.as_str()), file.size);
        let metadata = reader.metadata().await?;
        let options = ArrowReaderOptions::new().with_schema(file_schema());
        Ok(Self {
            metadata: ArrowReaderMetadata::try_new(metadata, options)?,
            reader,
        })
    }

    /// The row groups that may hold keys of the range, each with the number of its first row in the file.
    pub(super) fn row_groups(&self, from: &str, until: Option<&[u8]>) -> Vec<RowGroup> {
        let metadata = self.metadata.metadata();
        let groups = metadata.row_groups();
        let bounds = StatisticsConverter::try_new(
            LOG_KEY,
            self.metadata.schema(),
            self.metadata.parquet_schema(),
        )
        .and_then(|keys| Ok((keys.row_group_mins(groups)?, keys.row_group_maxes(groups)?)))
        .ok();
        let mut first_row = 0;
        let mut found = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            let outside = bounds.as_ref().is_some_and(|(least, greatest)| {
                let (least, greatest) = (least.as_string::<i32>(), greatest.as_string::<i32>());
                (greatest.is_valid(index) && greatest.value(index) < from)
                    || (least.is_valid(index)
                        && until.is_some_and(|until| least.value(index).as_bytes() >= until))
            });
            if !outside {
                found.push(RowGroup { index, first_row });
            }
            first_row += rows;
        }
        found
    }

    /// The most bytes one of its row groups takes when it is decoded, roughly.
    pub(super) fn row_group_bytes(&self) -> u64 {
        let groups = self.metadata.metadata().row_groups().iter();
        let bytes = groups.map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0));
        bytes.max().unwrap_or(0)
    }

    /// All rows of some row groups.
    pub(super) fn scan(&self, columns: &[&str], groups: &[RowGroup]) -> Result<Rows, ParquetError> {
        let builder = self.builder(columns, BATCH_ROWS_MAX);
        builder
            .with_row_groups(groups.iter().map(|group| group.index).collect())
            .build()
    }

    /// The rows with these numbers (ascending), and no others.
    pub(super) fn rows(&self, columns: &[&str], rows: &[usize]) -> Result<Rows, ParquetError> {
        let metadata = self.metadata.metadata();
        let total: i64 = metadata.file_metadata().num_rows();
        let bytes: i64 = metadata
            .row_groups()
            .iter()
            .map(|group| group.total_byte_size())
            .sum();
        let row_bytes = u64::try_from(bytes / total.max(1)).unwrap_or(0).max(1);
        let batch_rows = usize::try_from(BATCH_BYTES / row_bytes)
            .unwrap_or(usize::MAX)
            .clamp(1, BATCH_ROWS_MAX);
        let ranges = rows.iter().map(|row| *row..*row + 1);
        let selection =
            RowSelection::from_consecutive_ranges(ranges, usize::try_from(total).unwrap_or(0));
        self.builder(columns, batch_rows)
            .with_row_selection(selection)
            .build()
    }

    fn builder(
        &self,
        columns: &[&str],
        batch_rows: usize,
    ) -> ParquetRecordBatchStreamBuilder<ObjectReader> {
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
            self.reader.clone(),
            self.metadata.clone(),
        );
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder.with_batch_size(batch_rows).with_projection(mask)
    }
}

/// A row group and the number of its first row in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowGroup {
    index: usize,
    pub first_row: usize,
}

/// The log in a row of a batch that has all columns.
///
/// # Errors
/// `Internal` when the stored row is no log: a key or instant that cannot be.
pub(super) fn record(batch: &RecordBatch, row: usize) -> Result<Record> {
    let history = batch
        .column_by_name(HISTORY)
        .map(|column| column.as_list::<i32>());
    let history = history.filter(|column| column.is_valid(row)).map(|column| {
        let prompts = column.value(row);
        (0..prompts.len())
            .filter_map(|index| prompt(&prompts, index).map(Arc::from))
            .collect()
    });
    let system = batch
        .column_by_name(SYSTEM)
        .and_then(|column| prompt(column, row).map(Arc::from));
    record_with(batch, row, system, history)
}

/// The same with prompts that the caller has read.
pub(super) fn record_with(
    batch: &RecordBatch,
    row: usize,
    system: Option<Prompt>,
    history: Option<Vec<Prompt>>,
) -> Result<Record> {
    let key = text(batch, LOG_KEY, row).unwrap_or_default();
    Ok(Record {
        log_key: LogKey::parse(&key)
            .map_err(|error| Error::internal("a stored log has a bad key").because(error))?,
        created_at: Some(
            created_at(batch, row).ok_or_else(|| Error::internal("a stored log has no instant"))?,
        ),
        system,
        history,
        labels: LABELS.map(|label| text(batch, label, row)),
    })
}

/// The instant of a row.
pub(super) fn created_at(batch: &RecordBatch, row: usize) -> Option<DateTime<Utc>> {
    let column = batch
        .column_by_name(CREATED_AT)?
        .as_primitive_opt::<TimestampMicrosecondType>()?;
    column
        .is_valid(row)
        .then(|| DateTime::from_timestamp_micros(column.value(row)))?
}

/// A plain text column's value.
pub(super) fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    column.is_valid(row).then(|| column.value(row).to_owned())
}

/// A prompt in a dictionary-encoded column.
fn prompt(column: &dyn Array, row: usize) -> Option<&str> {
    let dictionary = column.as_dictionary_opt::<Int32Type>()?;
    let key = dictionary.key(row)?;
    Some(dictionary.values().as_string_opt::<i32>()?.value(key))
}
