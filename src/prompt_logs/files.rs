//! The data files of one organization's `prompt_logs` table, as writers and readers of logs need them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::Remove;
use object_store::ObjectStore;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use rules::{Error, LogKey, Result};

use super::record::{Prompt, Record};
use crate::lake::prompt_log_table::{CREATED_AT, HISTORY, LABELS, LOG_KEY, SYSTEM};
use crate::lake::{Group, LogFooter, ObjectReader, unavailable};

pub(super) use crate::lake::{LogFile, list_logs as list};

/// Decoded bytes a reader wants to hold at once; batches are sized by it.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;
const BATCH_ROWS_MAX: usize = 1024;

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
    footer: Arc<LogFooter>,
}

/// Batches of a file's rows, in file order.
pub(super) type Rows = ParquetRecordBatchStream<ObjectReader>;

impl OpenFile {
    pub(super) async fn open(
        store: Arc<dyn ObjectStore>,
        file: &LogFile,
    ) -> Result<Self, ParquetError> {
        let footer = file.footer(Arc::clone(&store)).await?;
        Ok(Self {
            reader: file.reader(store),
            footer,
        })
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.footer.groups
    }

    /// The row groups that may hold keys of the range, each with the number of its first row in the file.
    pub(super) fn row_groups(&self, from: &str, until: Option<&[u8]>) -> Vec<RowGroup> {
        let may_hold = |group: &&Group| group.pages.iter().any(|page| page.may_hold(from, until));
        self.groups()
            .iter()
            .filter(may_hold)
            .map(|group| RowGroup {
                index: group.index,
                first_row: group.first_row,
            })
            .collect()
    }

    /// Some rows of a row group, as ranges of the file's row numbers, ascending. A page without a wanted row is not read.
    pub(super) fn ranges(
        &self,
        columns: &[&str],
        group: &Group,
        rows: impl Iterator<Item = Range<usize>>,
    ) -> Result<Rows, ParquetError> {
        let rows = rows.map(|rows| rows.start - group.first_row..rows.end - group.first_row);
        let selection = RowSelection::from_consecutive_ranges(rows, group.rows);
        self.builder(columns, BATCH_ROWS_MAX)
            .with_row_groups(vec![group.index])
            .with_row_selection(selection)
            .build()
    }

    /// The most bytes one of its row groups takes when it is decoded, roughly.
    pub(super) fn row_group_bytes(&self) -> u64 {
        let groups = self.footer.metadata.metadata().row_groups().iter();
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
        let metadata = self.footer.metadata.metadata();
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
            self.footer.metadata.clone(),
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
    borrowed(batch, column, row).map(str::to_owned)
}

/// The same where it lies.
pub(super) fn borrowed<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    column.is_valid(row).then(|| column.value(row))
}

/// A prompt in a dictionary-encoded column.
fn prompt(column: &dyn Array, row: usize) -> Option<&str> {
    let dictionary = column.as_dictionary_opt::<Int32Type>()?;
    let key = dictionary.key(row)?;
    Some(dictionary.values().as_string_opt::<i32>()?.value(key))
}
