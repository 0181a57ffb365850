//! Merges sorted data files of one day into sorted ones, a row at a time.
//!
//! Holds one batch of each file whose keys overlap at this point, and one row group of what is written. The new files
//! are stored, but nobody sees them before a commit names them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use object_store::ObjectStore;
use rules::{Error, Result};

use super::super::files::{self, LogFile, OpenFile, RowGroup, Rows};
use super::super::record::{Prompt, Record};
use super::super::rows::{self, Fill};
use super::Progress;
use crate::lake::prompt_log_table::{self as table_shape, DAY, HISTORY, SYSTEM, file_schema};
use crate::lake::{DataFileWriter, discard, unavailable};

/// A file to merge, its footer read.
#[derive(Debug)]
pub(super) struct Source {
    pub file: LogFile,
    pub open: OpenFile,
}

/// Why a merge came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// This file cannot be read, or is not what a writer of ours writes; the others may do without it.
    Source(String, Error),
    Other(Error),
    /// The process is about to end.
    Stopped,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Writes the rows of `sources` (of one day, by least key) into new files.
pub(super) async fn merge(
    store: &Arc<dyn ObjectStore>,
    day: NaiveDate,
    sources: Vec<Source>,
    now: DateTime<Utc>,
    progress: &Progress<'_>,
) -> Result<Vec<Add>, Failed> {
    let mut output = Output::new(store, day, now)?;
    match merge_into(&mut output, sources, progress).await {
        Ok(()) => Ok(output.files),
        Err(failed) => {
            discard(store, &output.files).await;
            Err(failed)
        }
    }
}

async fn merge_into(
    output: &mut Output<'_>,
    sources: Vec<Source>,
    progress: &Progress<'_>,
) -> Result<(), Failed> {
    let mut sources = sources.into_iter().peekable();
    // By the key each has reached, least first.
    let mut open: BinaryHeap<Reverse<Cursor>> = BinaryHeap::new();
    loop {
        // A file is opened when its turn may have come.
        while let Some(source) = sources.next_if(|source| {
            let least = open.peek().map(|Reverse(cursor)| cursor.key());
            least.is_none_or(|key| source.file.least_key() <= key)
        }) {
            if let Some(cursor) = Cursor::open(source).await? {
                open.push(Reverse(cursor));
            }
        }
        let Some(mut least) = open.peek_mut() else {
            break;
        };
        let record = least.0.advance().await?;
        if least.0.head.is_none() {
            PeekMut::pop(least);
        } else {
            drop(least);
        }
        if output.push(record).await? && progress(output.written).is_break() {
            return Err(Failed::Stopped);
        }
    }
    output.end().await
}

/// The files being written.
struct Output<'a> {
    store: &'a Arc<dyn ObjectStore>,
    day: NaiveDate,
    now: DateTime<Utc>,
    writer: Option<DataFileWriter>,
    group: Vec<Record>,
    fill: Fill,
    files: Vec<Add>,
    written: u64,
}

impl<'a> Output<'a> {
    fn new(store: &'a Arc<dyn ObjectStore>, day: NaiveDate, now: DateTime<Utc>) -> Result<Self> {
        Ok(Self {
            store,
            day,
            now,
            writer: None,
            group: Vec::new(),
            fill: Fill::default(),
            files: Vec::new(),
            written: 0,
        })
    }

    /// Whether a row group was written.
    async fn push(&mut self, record: Record) -> Result<bool> {
        let full = !self.fill.has_room();
        if full {
            self.end_group().await?;
        }
        self.fill.add(&record);
        self.group.push(record);
        Ok(full)
    }

    async fn end_group(&mut self) -> Result<()> {
        self.fill = Fill::default();
        let group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        let full = self.writer.take_if(|writer| writer.is_full());
        if let Some(full) = full {
            self.store(full).await?;
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let partition = Some((DAY.to_owned(), self.day.to_string()));
                DataFileWriter::new(file_schema(), table_shape::properties(), partition)?
            }
        };
        let records: Vec<&Record> = group.iter().collect();
        writer.write(&rows::batch(&records, self.now)?)?;
        writer.end_row_group()?;
        self.written += group.len() as u64;
        self.writer = Some(writer);
        Ok(())
    }

    async fn store(&mut self, writer: DataFileWriter) -> Result<()> {
        let now = self.now.timestamp_millis();
        let add = writer.finish(self.store.as_ref(), now).await?;
        self.files.push(Add {
            data_change: false,
            ..add
        });
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Failed> {
        self.end_group().await?;
        if let Some(writer) = self.writer.take() {
            self.store(writer).await?;
        }
        Ok(())
    }
}

/// A place in a file: the record there, and how to get to the next one.
struct Cursor {
    source: Source,
    groups: std::vec::IntoIter<RowGroup>,
    rows: Option<Rows>,
    batch: Option<(RecordBatch, usize)>,
    prompts: [Dictionary; 2],
    head: Option<Record>,
}

impl Cursor {
    /// `None` when the file has no rows.
    async fn open(source: Source) -> Result<Option<Self>, Failed> {
        let mut cursor = Self {
            groups: source.open.row_groups("", None).into_iter(),
            source,
            rows: None,
            batch: None,
            prompts: [Dictionary::default(), Dictionary::default()],
            head: None,
        };
        cursor.head = cursor.read().await?;
        Ok(cursor.head.is_some().then_some(cursor))
    }

    fn key(&self) -> &str {
        self.head
            .as_ref()
            .map_or("", |record| record.log_key.as_str())
    }

    /// Takes the record and goes on to the next one.
    async fn advance(&mut self) -> Result<Record, Failed> {
        let next = self.read().await?;
        if let (Some(head), Some(next)) = (&self.head, &next)
            && next.log_key.as_str() < head.log_key.as_str()
        {
            return Err(self.unfit(Error::internal("a data file is not sorted by key")));
        }
        std::mem::replace(&mut self.head, next)
            .ok_or_else(|| Error::internal("a file was read past its end").into())
    }

    async fn read(&mut self) -> Result<Option<Record>, Failed> {
        loop {
            if let Some((batch, row)) = &mut self.batch {
                if *row < batch.num_rows() {
                    let record = record(batch, *row, &mut self.prompts);
                    *row += 1;
                    return record.map(Some).map_err(|error| self.unfit(error));
                }
                self.batch = None;
            }
            if let Some(rows) = &mut self.rows {
                match rows.try_next().await {
                    Ok(Some(batch)) => self.batch = Some((batch, 0)),
                    Ok(None) => self.rows = None,
                    Err(error) => return Err(self.unfit(unavailable(error))),
                }
                continue;
            }
            let Some(group) = self.groups.next() else {
                return Ok(None);
            };
            let rows = self.source.open.scan(&rows::columns(), &[group]);
            self.rows = Some(rows.map_err(|error| self.unfit(unavailable(error)))?);
        }
    }

    fn unfit(&self, error: Error) -> Failed {
        Failed::Source(self.source.file.path.clone(), error)
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor {}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}

/// The distinct prompts of a batch's column, each made once: batches of a row group share them.
#[derive(Default)]
struct Dictionary {
    values: Option<ArrayRef>,
    prompts: Vec<Option<Prompt>>,
}

impl Dictionary {
    /// The prompts of a dictionary column, `None` for null.
    fn prompts<'a>(
        &'a mut self,
        column: &'a ArrayRef,
    ) -> Result<impl Iterator<Item = Option<Prompt>> + 'a> {
        let unreadable = || Error::internal("a prompt column is no dictionary");
        let column = column
            .as_dictionary_opt::<Int32Type>()
            .ok_or_else(unreadable)?;
        let values = column
            .values()
            .as_string_opt::<i32>()
            .ok_or_else(unreadable)?;
        // The array is kept, so that another cannot lie in its place.
        let same = |known: &ArrayRef| Arc::ptr_eq(known, column.values());
        if !self.values.as_ref().is_some_and(same) {
            self.values = Some(Arc::clone(column.values()));
            self.prompts = vec![None; values.len()];
        }
        let known = &mut self.prompts;
        Ok(column.keys_iter().map(move |key| {
            let key = key?;
            let prompt = known[key].get_or_insert_with(|| Arc::from(values.value(key)));
            Some(Arc::clone(prompt))
        }))
    }
}

/// As [`files::record`], but a prompt that recurs is made once.
fn record(batch: &RecordBatch, row: usize, prompts: &mut [Dictionary; 2]) -> Result<Record> {
    let missing = || Error::internal("a data file lacks a column");
    let [systems, histories] = prompts;
    let system = batch.column_by_name(SYSTEM).ok_or_else(missing)?;
    let system = systems.prompts(&system.slice(row, 1))?.next().flatten();
    let history = batch
        .column_by_name(HISTORY)
        .and_then(|column| column.as_list_opt::<i32>())
        .ok_or_else(missing)?;
    let history = if history.is_valid(row) {
        let prompts = history.value(row);
        let prompts: Option<Vec<Prompt>> = histories.prompts(&prompts)?.collect();
        // A prompt in a history is never null.
        Some(prompts.ok_or_else(missing)?)
    } else {
        None
    };
    files::record_with(batch, row, system, history)
}
