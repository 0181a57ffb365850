//! The rows of the table's data files: how records are cut into row groups, and their columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, StringDictionaryBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use chrono::{DateTime, Utc};
use rules::{Error, Result};

use super::record::{Prompt, Record};
use crate::lake::prompt_log_table::{
    CREATED_AT, HISTORY, LABELS, LOG_KEY, SYSTEM, file_schema, history_item,
};

/// A row group ends at this many bytes of distinct prompts: what a download must decode at once.
const ROW_GROUP_PROMPT_BYTES: usize = 2 * 1024 * 1024;
const ROW_GROUP_ROWS: usize = 4096;
/// And at this many bytes of everything else: labels, and what refers to the prompts.
const ROW_GROUP_OTHER_BYTES: usize = 8 * 1024 * 1024;

/// How full a row group is.
#[derive(Debug, Default)]
pub(super) struct Fill {
    rows: usize,
    prompts: HashSet<Prompt>,
    /// Where known prompts lie: most come again as the same one, which needs no look at its text.
    known: HashSet<usize>,
    prompt_bytes: usize,
    other_bytes: usize,
}

impl Fill {
    /// Whether one more record belongs into the row group.
    pub(super) fn has_room(&self) -> bool {
        self.rows < ROW_GROUP_ROWS
            && self.prompt_bytes < ROW_GROUP_PROMPT_BYTES
            && self.other_bytes < ROW_GROUP_OTHER_BYTES
    }

    /// Counts a record, whose prompts must live at least as long as this.
    pub(super) fn add(&mut self, record: &Record) {
        self.rows += 1;
        for prompt in record.history.iter().flatten().chain(&record.system) {
            self.other_bytes += size_of::<i32>();
            if self.known.insert(prompt.as_ptr().addr()) && self.prompts.insert(Arc::clone(prompt))
            {
                self.prompt_bytes += prompt.len();
            }
        }
        let labels = record.labels.iter().flatten().map(String::len);
        self.other_bytes += record.log_key.as_str().len() + labels.sum::<usize>();
    }
}

/// All columns of a data file, in order.
pub(super) fn columns() -> Vec<&'static str> {
    [LOG_KEY, CREATED_AT, SYSTEM, HISTORY]
        .into_iter()
        .chain(LABELS)
        .collect()
}

/// Cuts the records where one row group is full.
pub(super) fn row_groups<'a, 'b>(
    mut records: &'a [&'b Record],
) -> impl Iterator<Item = &'a [&'b Record]> {
    std::iter::from_fn(move || {
        let mut fill = Fill::default();
        let fits = records.iter().take_while(|record| {
            let room = fill.has_room();
            fill.add(record);
            room
        });
        let (group, rest) = records.split_at(fits.count());
        records = rest;
        (!group.is_empty()).then_some(group)
    })
}

/// The records as a batch of the files' schema; one without an instant gets `now`.
pub(super) fn batch(records: &[&Record], now: DateTime<Utc>) -> Result<RecordBatch> {
    let keys = StringArray::from_iter_values(records.iter().map(|record| record.log_key.as_str()));
    let instants = records
        .iter()
        .map(|record| record.created_at.unwrap_or(now).timestamp_micros());
    let mut systems = StringDictionaryBuilder::<Int32Type>::new();
    let mut histories =
        ListBuilder::new(StringDictionaryBuilder::<Int32Type>::new()).with_field(history_item());
    for record in records {
        systems.append_option(record.system.as_ref());
        for prompt in record.history.iter().flatten() {
            histories.values().append_value(prompt);
        }
        histories.append(record.history.is_some());
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(keys),
        Arc::new(TimestampMicrosecondArray::from_iter_values(instants).with_timezone("UTC")),
        Arc::new(systems.finish()),
        Arc::new(histories.finish()),
    ];
    for index in 0..LABELS.len() {
        let mut labels = StringBuilder::new();
        for record in records {
            labels.append_option(record.labels[index].as_deref());
        }
        columns.push(Arc::new(labels.finish()));
    }
    RecordBatch::try_new(file_schema(), columns)
        .map_err(|error| Error::internal("logs make no batch").because(error))
}
