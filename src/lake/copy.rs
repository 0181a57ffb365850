//! Tables that are copies of rows kept elsewhere: all of them, or those that changed in the place of their older
//! versions, each time in one commit. Whatever ends a copy before its commit leaves the table as it was.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::{Add, Remove, Transaction};
use deltalake_core::protocol::SaveMode;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use rules::{Error, OrgId, Result, TableName};

use super::append::delta_columns;
use super::{
    DataFileWriter, Lake, ObjectReader, commit_noting, discard, discard_uncommitted, import,
    replace_noting, table_properties, unavailable,
};

mod keys;

use keys::{Key, keys};
pub use keys::{check_key_type, check_keys};

/// Who makes copies, in the table's log.
const COPIED: &str = "amigo-admin table sync";

/// Of what a copy was made, in the table's log; no field has this name for its [`reached_name`].
const SOURCE: &str = "amigo-admin table sync, source";

/// In the place of when a copy was made: the table has rows of elsewhere since.
const NOT_COPIED: i64 = 0;

/// Rows whose keys are held in memory while they take the place of older ones.
const CHANGED_MAX: usize = 8_000_000;

/// Of what a copy is made, documents and columns: equal for the same, whatever they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(i64);

impl Source {
    /// Of everything that tells which documents are copied, and how the columns are made.
    pub fn of(description: &[u8]) -> Self {
        let mut number = [0; 8];
        number.copy_from_slice(&blake3::hash(description).as_bytes()[..8]);
        Self(i64::from_le_bytes(number))
    }
}

/// A copy, as it is now.
#[derive(Debug)]
pub struct Copied {
    table: DeltaTable,
}

impl Copied {
    /// The organization's table of that name, if there is one.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn open(lake: &Lake, org: &OrgId, name: &TableName) -> Result<Option<Self>> {
        let table = lake.open(org, name).await?;
        Ok(table.map(|table| Self { table }))
    }

    /// Whether it was made as a copy, and nothing was imported since.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn is_copy(&self) -> Result<bool> {
        let copied = self.note(COPIED).await?;
        Ok(copied.is_some_and(|copied| copied != NOT_COPIED))
    }

    /// How far the copy was in the order of this field when it was last made: rows behind it may have changed since.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn reached(&self, field: &str) -> Result<Option<i64>> {
        self.note(&reached_name(field)).await
    }

    /// Whether its columns are these, and were made of the same.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn has_columns(&self, schema: &Schema, source: &Source) -> Result<bool> {
        let stored = self.table.snapshot().map_err(unavailable)?;
        let stored = stored.snapshot().arrow_schema();
        let columns = |schema: &Schema| -> Vec<(String, DataType)> {
            let fields = schema.fields().iter();
            fields
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect()
        };
        Ok(columns(&stored) == columns(&stored_schema(schema))
            && self.note(SOURCE).await? == Some(source.0))
    }

    async fn note(&self, name: &str) -> Result<Option<i64>> {
        let state = self.table.snapshot().map_err(unavailable)?;
        let log = self.table.log_store();
        let noted = state.transaction_version(log.as_ref(), name).await;
        noted.map_err(unavailable)
    }
}

/// The note that a table is no copy any more, for the commit that brings other rows into it.
pub(super) fn not_copied() -> Transaction {
    Transaction {
        app_id: COPIED.to_owned(),
        version: NOT_COPIED,
        last_updated: None,
    }
}

fn reached_name(field: &str) -> String {
    format!("{COPIED}: {field}")
}

/// Rows on their way into a copy. Nobody sees them before the commit.
#[derive(Debug)]
pub struct Copy<'a> {
    lake: &'a Lake,
    org: &'a OrgId,
    name: &'a TableName,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    source: Source,
    now: DateTime<Utc>,
    writer: Option<DataFileWriter>,
    files: Vec<Written>,
    /// The column that tells rows apart, where these take the place of older ones; and where each key's last row is.
    key: Option<usize>,
    last: HashMap<Key, u64>,
    /// Rows whose key came again.
    outdated: HashSet<u64>,
    rows: u64,
}

/// A file, the number of its first row among all of them, and how many it has.
#[derive(Debug)]
struct Written {
    add: Add,
    first: u64,
    rows: u64,
}

impl<'a> Copy<'a> {
    /// A copy with the columns of `schema`, which are made of `source`. With `key`, rows take the place of those that have
    /// the same value there.
    ///
    /// # Errors
    /// `Invalid` where a table cannot have such columns.
    pub fn begin(
        lake: &'a Lake,
        (org, name): (&'a OrgId, &'a TableName),
        (schema, source): (&Schema, Source),
        key: Option<usize>,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        import::check_names(names).map_err(|error| {
            let why = error.message();
            Error::invalid(format!(
                "{why}; or declare the table's columns, under other names"
            ))
        })?;
        Ok(Self {
            lake,
            org,
            name,
            store: lake.table_store(org, name)?,
            schema: stored_schema(schema),
            source,
            now,
            writer: None,
            files: Vec::new(),
            key,
            last: HashMap::new(),
            outdated: HashSet::new(),
            rows: 0,
        })
    }

    /// Returns which columns have values that a table cannot hold, which are null in the copy, and how many.
    ///
    /// # Errors
    /// `Invalid`: a row has no key, or there are too many of them. `StorageFull`, `Unavailable`.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<Vec<(String, u64)>> {
        let stored = stored_batch(batch, &self.schema)?;
        let lost = lost(batch, &stored);
        self.write_stored(stored).await?;
        Ok(lost)
    }

    async fn write_stored(&mut self, batch: RecordBatch) -> Result<()> {
        if let Some(key) = self.key {
            for (row, key) in (self.rows..).zip(keys(batch.column(key))?) {
                if let Some(outdated) = self.last.insert(key, row) {
                    self.outdated.insert(outdated);
                }
            }
            if self.last.len() > CHANGED_MAX {
                return Err(Error::invalid(format!(
                    "more than {CHANGED_MAX} documents changed; copy all of them with --full"
                )));
            }
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                self.files.push(Written {
                    add: Add::default(),
                    first: self.rows,
                    rows: 0,
                });
                file_writer(&self.schema)?
            }
        };
        writer.write(&batch)?;
        self.rows += batch.num_rows() as u64;
        if let Some(file) = self.files.last_mut() {
            file.rows += batch.num_rows() as u64;
        }
        match writer.is_full() {
            true => self.store(writer).await,
            false => {
                self.writer = Some(writer);
                Ok(())
            }
        }
    }

    /// Makes these rows the table's only ones, and the columns its columns. Returns how many there are.
    ///
    /// # Errors
    /// `Conflict` when another writer changed the table meanwhile; `StorageFull`, `Unavailable`.
    pub async fn replace_all(
        mut self,
        copied: Option<Copied>,
        reached: Option<(&str, i64)>,
    ) -> Result<u64> {
        let ended = self.end().await;
        let columns = match ended.and_then(|()| delta_columns(&self.schema)) {
            Ok(columns) => columns,
            Err(error) => {
                self.discard().await;
                return Err(error);
            }
        };
        let adds: Vec<Add> = self.files.drain(..).map(|file| file.add).collect();
        let notes = self.notes(reached);
        let (lake, org, name) = (self.lake, self.org, self.name);
        let made = match copied {
            Some(mut copied) => {
                replace_noting(&mut copied.table, columns, adds.clone(), notes).await
            }
            None => {
                let mode = SaveMode::ErrorIfExists;
                let made = lake.create_noting(org, name, columns, &[], adds.clone(), notes, mode);
                made.await.map(drop)
            }
        };
        if let Err(error) = made {
            discard_uncommitted(lake, org, name, &error, &adds).await;
            return Err(error);
        }
        Ok(self.rows)
    }

    /// Puts these rows in the place of those that have the same keys. Returns how many there are.
    ///
    /// # Errors
    /// As [`Self::replace_all`]; `Invalid` where a row of the table has no key.
    pub async fn replace_some(
        mut self,
        mut copied: Copied,
        reached: Option<(&str, i64)>,
    ) -> Result<u64> {
        if let Err(error) = self.end().await {
            self.discard().await;
            return Err(error);
        }
        if self.rows == 0 {
            return Ok(0);
        }
        let mut adds = Vec::new();
        let removes = match self.merge(&copied.table, &mut adds).await {
            Ok(removes) => removes,
            Err(error) => {
                discard(&self.store, &adds).await;
                self.discard().await;
                return Err(error);
            }
        };
        let (lake, org, name) = (self.lake, self.org, self.name);
        let notes = self.notes(reached);
        let table = &mut copied.table;
        if let Err(error) = commit_noting(table, adds.clone(), removes, notes).await {
            discard_uncommitted(lake, org, name, &error, &adds).await;
            return Err(error);
        }
        Ok(self.rows - self.outdated.len() as u64)
    }

    /// Deletes what was written.
    pub async fn discard(self) {
        let stored = self.files.into_iter().map(|file| file.add);
        let stored: Vec<Add> = stored.filter(|add| !add.path.is_empty()).collect();
        discard(&self.store, &stored).await;
    }

    fn notes(&self, reached: Option<(&str, i64)>) -> Vec<Transaction> {
        let now = self.now.timestamp_millis();
        let note = |app_id: String, version| Transaction {
            app_id,
            version,
            last_updated: Some(now),
        };
        let reached = reached.map(|(field, at)| note(reached_name(field), at));
        let copied = note(COPIED.to_owned(), now);
        let source = note(SOURCE.to_owned(), self.source.0);
        [copied, source].into_iter().chain(reached).collect()
    }

    async fn end(&mut self) -> Result<()> {
        match self.writer.take() {
            Some(writer) => self.store(writer).await,
            None => Ok(()),
        }
    }

    async fn store(&mut self, writer: DataFileWriter) -> Result<()> {
        let now = self.now.timestamp_millis();
        let add = writer.finish(self.store.as_ref(), now).await?;
        if let Some(file) = self.files.last_mut() {
            file.add = add;
        }
        Ok(())
    }

    /// What the commit adds and removes. Files with rows that are not to be are written anew without them.
    async fn merge(&mut self, table: &DeltaTable, adds: &mut Vec<Add>) -> Result<Vec<Remove>> {
        let Some(key) = self.key else {
            return Err(Error::internal("rows without keys take nothing's place"));
        };
        let mut removes = Vec::new();
        let snapshot = table.snapshot().map_err(unavailable)?;
        let log = table.log_store();
        let mut files = snapshot.snapshot().file_views(&log, None);
        while let Some(file) = files.try_next().await.map_err(unavailable)? {
            let path = StorePath::from(file.path().as_ref());
            let size = u64::try_from(file.size()).unwrap_or_default();
            let mut keep = Vec::new();
            let mut rows = self.rows_of(&path, size, Some(key)).await?;
            while let Some(batch) = rows.try_next().await.map_err(unavailable)? {
                let keys = keys(batch.column(0))?;
                keep.extend(keys.into_iter().map(|key| !self.last.contains_key(&key)));
            }
            if keep.iter().all(|keep| *keep) {
                continue;
            }
            let remove = file.remove_action(true);
            if remove.deletion_vector.is_some() {
                return Err(Error::invalid(
                    "another program has deleted rows of this table; copy all documents with --full",
                ));
            }
            adds.extend(self.without(&path, size, &keep).await?);
            removes.push(remove);
        }
        while let Some(Written { add, first, rows }) = self.files.pop() {
            let path = StorePath::from(add.path.as_str());
            let size = u64::try_from(add.size).unwrap_or_default();
            let keep = (first..first + rows).map(|row| !self.outdated.contains(&row));
            let keep: Vec<bool> = keep.collect();
            if keep.iter().all(|keep| *keep) {
                adds.push(add);
                continue;
            }
            let rewritten = self.without(&path, size, &keep).await;
            discard(&self.store, &[add]).await;
            adds.extend(rewritten?);
        }
        Ok(removes)
    }

    /// The file's rows anew, without those that are not kept; nothing where none is.
    async fn without(&self, path: &StorePath, size: u64, keep: &[bool]) -> Result<Option<Add>> {
        if !keep.contains(&true) {
            return Ok(None);
        }
        let mut writer = file_writer(&self.schema)?;
        let mut rows = self.rows_of(path, size, None).await?;
        let mut first = 0;
        while let Some(batch) = rows.try_next().await.map_err(unavailable)? {
            let last = first + batch.num_rows();
            let kept = BooleanArray::from(keep[first..last].to_vec());
            let batch = filter_record_batch(&batch, &kept).map_err(unavailable)?;
            writer.write(&stored_batch(&batch, &self.schema)?)?;
            first = last;
        }
        let now = self.now.timestamp_millis();
        writer.finish(self.store.as_ref(), now).await.map(Some)
    }

    /// A file's rows, all columns or one.
    async fn rows_of(
        &self,
        path: &StorePath,
        size: u64,
        column: Option<usize>,
    ) -> Result<ParquetRecordBatchStream<ObjectReader>> {
        let reader = ObjectReader::new(Arc::clone(&self.store), path.clone(), size);
        let rows = ParquetRecordBatchStreamBuilder::new(reader).await;
        let rows = rows.map_err(unavailable)?;
        let columns = match column {
            Some(column) => ProjectionMask::roots(rows.parquet_schema(), [column]),
            None => ProjectionMask::all(),
        };
        rows.with_projection(columns).build().map_err(unavailable)
    }
}

fn file_writer(schema: &SchemaRef) -> Result<DataFileWriter> {
    DataFileWriter::new(Arc::clone(schema), table_properties().build(), None)
}

/// The columns as tables hold them: instants to the microsecond.
fn stored_schema(schema: &Schema) -> SchemaRef {
    let stored = |field: &Arc<Field>| {
        let data_type = match field.data_type() {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            other => other.clone(),
        };
        Field::new(field.name(), data_type, true)
    };
    let fields: Vec<Field> = schema.fields().iter().map(stored).collect();
    Arc::new(Schema::new(fields))
}

fn stored_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let wrong = |error| Error::internal("rows do not have their table's columns").because(error);
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(
        |(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            // An instant beyond those that are counted in microseconds is null.
            false => cast(column, field.data_type()),
        },
    );
    let columns = columns
        .collect::<std::result::Result<_, _>>()
        .map_err(wrong)?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(wrong)
}

/// The columns that have fewer values than they had, and how many fewer.
fn lost(batch: &RecordBatch, stored: &RecordBatch) -> Vec<(String, u64)> {
    let columns = batch.columns().iter().zip(stored.columns());
    let named = columns.zip(stored.schema_ref().fields());
    let lost = named.map(|((column, stored), field)| {
        let lost = stored.null_count().saturating_sub(column.null_count());
        (field.name().clone(), lost as u64)
    });
    lost.filter(|(_, lost)| *lost > 0).collect()
}

#[cfg(test)]
mod tests;
