//! `amigo-admin table sync`: a collection as a table of the lake, whole or what changed since the last time.

use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema, TimestampMillisecondType};
use chrono::{DateTime, TimeDelta, Utc};
use collections::filter::{Comparison, Constant, Test};
use collections::{Column, Decoder, Filter, Kind, Order, Path, Question, Table};
use rules::{Error, OrgId, Result, TableName};
use serde_json::json;
use tokio::time::Instant;

use super::super::org::open_directory;
use super::super::progress::Progress;
use super::super::{Context, operator};
use super::collection;
use crate::clusters::{Answers, Asking, Collections};
use crate::guard::Action;
use crate::lake::Lake;
use crate::lake::clean::clean;
use crate::lake::copy::{Copied, Copy, Source, check_key_type, check_keys};

/// Rows and bytes of a batch on its way to the lake.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// How long a copy may take; a cluster takes no longer limits.
const TIME: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// What became of the documents.
#[derive(Debug)]
struct Synced {
    rows: u64,
    columns: usize,
    /// Only what changed was read.
    is_partial: bool,
    /// Values that did not fit their columns, which are null.
    misfits: u64,
}

pub(super) async fn run(
    org: &OrgId,
    table: &TableName,
    since: Option<String>,
    full: bool,
    context: &Context,
) -> Result<()> {
    let directory = open_directory(context).await?;
    let (collections, clusters) = collection::of(context, &directory, org).await?;
    let lake = Lake::local(&context.config.lake_dir())?;
    let deed = Action::SyncTable
        .on(table)
        .with(json!({"since_field": since, "full": full}));
    let work = async {
        let described = collections.described(table).await?;
        let described = described.ok_or_else(|| collection::missing(org, table))?;
        // A declared table is one without its collection too; a copy of nothing would empty the table.
        if !collections.is_there(table).await? {
            return Err(collection::missing(org, table));
        }
        let sync = Sync {
            lake: &lake,
            org,
            name: table,
            collections: &collections,
            table: &described,
            since: since
                .as_deref()
                .map(|field| Since::find(field, &described))
                .transpose()?,
            context,
        };
        sync.run(full).await
    };
    let made = |synced: &Synced| json!({"rows": synced.rows, "columns": synced.columns, "whole": !synced.is_partial});
    let synced = Box::pin(operator::act(
        context,
        &directory,
        Some(org),
        deed,
        work,
        made,
    ))
    .await;
    clusters.close().await;
    let Synced {
        rows,
        columns,
        is_partial,
        misfits,
    } = synced?;
    if misfits > 0 {
        eprintln!("warning: {misfits} values did not fit their columns and are NULL in the copy");
    }
    let what = if is_partial { "changed rows" } else { "rows" };
    context.print(
        || format!("{rows} {what} of {columns} columns copied into {table}"),
        json!({"table": table, "rows": rows, "columns": columns, "whole": !is_partial, "misfits": misfits}),
    );
    Ok(())
}

/// The field that grows with every change.
#[derive(Debug)]
struct Since {
    field: String,
    path: Path,
    kind: Kind,
}

impl Since {
    fn find(field: &str, table: &Table) -> Result<Self> {
        let column = table
            .columns
            .iter()
            .find(|column| column.path.to_string() == field || column.name == field);
        let column = column.ok_or_else(|| {
            Error::invalid(format!(
                "no column of the table shows the field {field}; name one that has a column"
            ))
        })?;
        let growing = [Kind::Timestamp, Kind::BigInt];
        if !growing.contains(&column.kind) {
            return Err(Error::invalid(format!(
                "the column of {field} is {}; what changed is told by a TIMESTAMP or a BIGINT",
                column.kind
            )));
        }
        Ok(Self {
            field: column.path.to_string(),
            path: column.path.clone(),
            kind: column.kind,
        })
    }

    fn filter(&self, test: Test) -> Filter {
        Filter::Value {
            path: self.path.clone(),
            kind: self.kind,
            test,
        }
    }

    /// Documents from this value on.
    fn from(&self, value: i64) -> Filter {
        let value = match self.kind {
            Kind::Timestamp => Constant::Timestamp(value),
            _ => Constant::BigInt(value),
        };
        self.filter(Test::Is(Comparison::GtEq, value))
    }

    fn is_later(&self, value: i64, now: DateTime<Utc>) -> bool {
        self.kind == Kind::Timestamp && value > now.timestamp_millis()
    }

    /// How far a copy comes that finds this value to be the greatest. Behind an instant in the future no change would be
    /// found before that day.
    fn no_later(&self, greatest: i64, now: DateTime<Utc>) -> i64 {
        if !self.is_later(greatest, now) {
            return greatest;
        }
        eprintln!(
            "warning: the greatest {} lies in the future; documents with such values are copied again each time",
            self.field
        );
        now.timestamp_millis()
    }

    /// The document with the greatest value.
    fn greatest(&self) -> Question {
        Question::Find {
            filter: self.filter(Test::Any),
            fields: vec![self.path.clone()],
            order: Some(Order {
                path: self.path.clone(),
                descending: true,
            }),
            limit: Some(1),
        }
    }
}

struct Sync<'a> {
    lake: &'a Lake,
    org: &'a OrgId,
    name: &'a TableName,
    collections: &'a Collections,
    table: &'a Table,
    since: Option<Since>,
    context: &'a Context,
}

impl Sync<'_> {
    async fn run(&self, full: bool) -> Result<Synced> {
        let (lake, org, name) = (self.lake, self.org, self.name);
        // Until the table is clean again: the files of another copy, which nothing names yet, would be cleaned away.
        let _locked = lake.lock(org, name)?;
        let copied = Copied::open(lake, org, name).await?;
        if let Some(copied) = &copied
            && !full
            && !copied.is_copy().await?
        {
            return Err(Error::conflict(format!(
                "the lake has a table {name} that is no copy of a collection, or has imported rows; give --full to replace it"
            )));
        }
        let mut decoder = Decoder::new(&self.table.columns, self.table.is_strict);
        let (now, schema) = (self.context.clock.now(), decoder.schema());
        // Of the first copy too, as it would be the only one.
        let key = match &self.since {
            Some(_) => Some(self.key(&schema)?),
            None => None,
        };
        let from = match (&self.since, &copied) {
            (Some(since), Some(copied)) if !full => {
                self.reached(copied, since, &schema, now).await?
            }
            _ => None,
        };
        // Before anything is read: what changes meanwhile is at least as great, and read again the next time.
        let greatest = match &self.since {
            Some(since) => {
                let greatest = self.greatest(since).await?;
                greatest.map(|greatest| since.no_later(greatest, now))
            }
            None => None,
        };
        let filter = match (&self.since, from) {
            (Some(since), Some(from)) => since.from(from),
            _ => Filter::Everything,
        };
        let columns = (schema.as_ref(), self.source()?);
        let replaces = from.and(key);
        let mut copy = Copy::begin(lake, (org, name), columns, replaces, now)?;
        let filled = self.fill(&mut copy, &mut decoder, filter, key).await;
        let lost = match filled {
            Ok(lost) => lost,
            Err(error) => {
                copy.discard().await;
                return Err(error);
            }
        };
        let field = self.since.as_ref().map(|since| since.field.as_str());
        let reached = field.zip(greatest.max(from));
        let rows = match (copied, from) {
            (Some(copied), Some(_)) => copy.replace_some(copied, reached).await?,
            (copied, _) => copy.replace_all(copied, reached).await?,
        };
        self.clean().await;
        Ok(Synced {
            rows,
            columns: self.table.columns.len(),
            is_partial: from.is_some(),
            misfits: decoder.misfits().map(|(_, misfits)| misfits).sum::<u64>() + lost,
        })
    }

    /// Where the copy ends; none where all documents are to be copied.
    async fn reached(
        &self,
        copied: &Copied,
        since: &Since,
        schema: &Schema,
        now: DateTime<Utc>,
    ) -> Result<Option<i64>> {
        if !copied.has_columns(schema, &self.source()?).await? {
            eprintln!(
                "the last copy was made of other columns or documents; all documents are copied"
            );
            return Ok(None);
        }
        let reached = copied.reached(&since.field).await?;
        // A clock that was ahead: what changed since then is not known.
        let reached = reached.filter(|reached| !since.is_later(*reached, now));
        if reached.is_none() {
            let field = &since.field;
            eprintln!(
                "the last copy does not tell how far it came in {field}; all documents are copied"
            );
        }
        Ok(reached)
    }

    /// Which documents, and fields and kinds of the columns: a text may be one of the documents', an ObjectId or JSON.
    fn source(&self) -> Result<Source> {
        let source = (self.collections.source(self.name), &self.table.columns);
        let source = serde_json::to_vec(&source)
            .map_err(|error| Error::internal("a source cannot be told").because(error))?;
        Ok(Source::of(&source))
    }

    /// The column that tells documents apart.
    fn key(&self, schema: &Schema) -> Result<usize> {
        let mut columns = self.table.columns.iter();
        let key = columns.position(|column| column.path.is_id()).ok_or_else(|| {
            Error::invalid("no column of the table shows _id, which tells documents apart; declare one, or leave --since-field out")
        })?;
        check_key_type(schema.field(key).data_type())?;
        Ok(key)
    }

    async fn greatest(&self, since: &Since) -> Result<Option<i64>> {
        let column = Column {
            name: since.field.clone(),
            path: since.path.clone(),
            kind: since.kind,
        };
        let mut decoder = Decoder::new(&[column], false);
        let mut answers = self.ask(&since.greatest()).await?;
        while let Some(batch) = answers.next().await? {
            for document in collections::documents(&batch) {
                decoder.push(document.map_err(unfit)?).map_err(unfit)?;
            }
        }
        Ok(first_number(&decoder.finish()))
    }

    async fn ask(&self, question: &Question) -> Result<Answers> {
        let asking = Asking {
            deadline: Instant::now() + TIME,
            comment: format!("amigo-admin table sync {}", self.name),
            // A secondary can be behind the one that was asked how far the field goes: what it lacks would be taken for
            // copied.
            of_primary: self.since.is_some(),
        };
        self.collections.ask(self.name, question, &asking).await
    }

    /// Copies the documents, with a count on standard error. Returns how many values the lake cannot hold. With `key`, each
    /// row must have one.
    async fn fill(
        &self,
        copy: &mut Copy<'_>,
        decoder: &mut Decoder,
        filter: Filter,
        key: Option<usize>,
    ) -> Result<u64> {
        let question = Question::Find {
            filter,
            fields: self.table.fields(&self.table.columns),
            order: None,
            limit: None,
        };
        let mut progress = Progress::rows(format!("copying {}", self.name));
        let (mut rows, mut lost) = (0, 0);
        let mut answers = self.ask(&question).await?;
        while let Some(batch) = answers.next().await? {
            answers.want();
            for document in collections::documents(&batch) {
                decoder.push(document.map_err(unfit)?).map_err(unfit)?;
                if decoder.len() >= BATCH_ROWS || decoder.bytes() >= BATCH_BYTES {
                    lost += self.write(copy, &decoder.finish(), key).await?;
                }
                rows += 1;
            }
            progress.set(rows);
        }
        if !decoder.is_empty() {
            lost += self.write(copy, &decoder.finish(), key).await?;
        }
        progress.finish();
        Ok(lost)
    }

    async fn write(
        &self,
        copy: &mut Copy<'_>,
        batch: &RecordBatch,
        key: Option<usize>,
    ) -> Result<u64> {
        if let Some(key) = key {
            check_keys(batch.column(key))?;
        }
        let lost = copy.write(batch).await?;
        match lost.first() {
            Some((column, _)) if self.table.is_strict => Err(Error::invalid(format!(
                "an instant in the column `{column}`, which is strict, lies beyond those that the lake holds; repair the \
                 document, or leave strict out"
            ))),
            _ => Ok(lost.iter().map(|(_, lost)| lost).sum()),
        }
    }

    /// Files of older copies, which nobody reads any more.
    async fn clean(&self) {
        let keep = TimeDelta::seconds(self.context.config.keeping.unused_seconds.into());
        let now = self.context.clock.now();
        if let Err(error) = clean(self.lake, self.org, self.name, now, keep).await {
            eprintln!("warning: files of older copies are not deleted: {error}");
        }
    }
}

fn unfit(error: collections::Error) -> Error {
    Error::invalid(error.to_string())
}

/// The number or instant of the first row.
fn first_number(batch: &RecordBatch) -> Option<i64> {
    let column = batch.columns().first()?;
    if column.is_empty() || column.is_null(0) {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(0)),
        DataType::Timestamp(..) => column
            .as_primitive_opt::<TimestampMillisecondType>()
            .map(|column| column.value(0)),
        _ => None,
    }
}
