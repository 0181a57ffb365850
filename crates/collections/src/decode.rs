//! Documents as rows: from the bytes of BSON straight into columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};
use bson::RawDocument;

use crate::cells::{Cells, Fit};
use crate::column::Column;
use crate::elements::{DEPTH_MAX, Elements, Value};
use crate::error::Error;

/// Makes rows of documents, a batch at a time.
///
/// Of a key that a document has twice the first counts, as in MongoDB's own conditions. Of a text that is not UTF-8 the
/// broken places are replaced.
#[derive(Debug)]
pub struct Decoder {
    schema: SchemaRef,
    fields: Fields,
    row: Row,
    rows: usize,
}

/// The columns while a row is filled.
#[derive(Debug)]
struct Row {
    columns: Vec<Filling>,
    is_strict: bool,
    /// So many documents the current one stands for.
    stands_for: u64,
    /// Counts all rows there ever were, from one: marks the fields that the current one has.
    number: u64,
    /// For a value's JSON.
    text: String,
}

#[derive(Debug)]
struct Filling {
    column: Column,
    cells: Cells,
    /// So many rows of the batch have their cell.
    filled: usize,
    misfits: u64,
}

/// The fields of a document that columns are about, sorted by [`Fields::place`].
#[derive(Debug, Default)]
struct Fields {
    fields: Vec<FieldOf>,
    /// Which field came next at the last time: at the start, and after each field. Most documents of a collection
    /// have the same fields in the same order, so that each is found at once.
    next: Vec<usize>,
}

#[derive(Debug)]
struct FieldOf {
    /// With the zero that ends it.
    key: Box<[u8]>,
    /// The columns that show the field's value.
    columns: Vec<usize>,
    /// What columns show of a document in it.
    within: Fields,
    /// The last row that has it.
    row: u64,
}

/// The documents of one batch of a server's answer: the bytes of a BSON array. Ends after an error.
pub fn documents(batch: &[u8]) -> impl Iterator<Item = Result<&RawDocument, Error>> {
    let mut elements = Some(Elements::of(batch));
    std::iter::from_fn(move || {
        let next = match elements.as_mut()? {
            Ok(elements) => elements.next(),
            Err(error) => Err(error.clone()),
        };
        let document = match next {
            Ok(None) => return None,
            Ok(Some((_, Value::Document(document)))) => {
                RawDocument::from_bytes(document).map_err(|_| Error::Malformed)
            }
            Ok(Some(_)) => Err(Error::Malformed),
            Err(error) => Err(error),
        };
        if document.is_err() {
            elements = None;
        }
        Some(document)
    })
}

impl Decoder {
    pub fn new(columns: &[Column], is_strict: bool) -> Self {
        let field = |column: &Column| Field::new(&column.name, column.kind.data_type(), true);
        let mut fields = Fields::default();
        for (index, column) in columns.iter().enumerate() {
            fields.add(column.path.fields(), index);
        }
        let filling = |column: &Column| Filling {
            column: column.clone(),
            cells: Cells::new(column.kind, 0, 0),
            filled: 0,
            misfits: 0,
        };
        Self {
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
            fields,
            row: Row {
                columns: columns.iter().map(filling).collect(),
                is_strict,
                stands_for: 1,
                number: 0,
                text: String::new(),
            },
            rows: 0,
        }
    }

    /// Of every batch; every column may be null.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Adds a row. When that fails, the rows that no batch has yet are lost.
    pub fn push(&mut self, document: &RawDocument) -> Result<(), Error> {
        self.row.stands_for = 1;
        self.add(document)
    }

    /// Adds the row of a group of documents, as [`Question::Groups`](crate::Question::Groups) has them: a value that does
    /// not fit is one of each document.
    pub fn push_group(&mut self, group: &RawDocument) -> Result<(), Error> {
        let size = group.get("n").ok().flatten();
        let size = size.and_then(|size| size.as_i64().or_else(|| size.as_i32().map(i64::from)));
        self.row.stands_for = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(1);
        self.add(group)
    }

    fn add(&mut self, document: &RawDocument) -> Result<(), Error> {
        self.row.number += 1;
        if let Err(error) = self.fields.read(document.as_bytes(), &mut self.row) {
            self.finish();
            return Err(error);
        }
        for column in &mut self.row.columns {
            if column.filled == self.rows {
                column.cells.push_null();
                column.filled += 1;
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// How many rows the next batch has so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About so many bytes the next batch has so far.
    pub fn bytes(&self) -> usize {
        let columns = self.row.columns.iter();
        columns.map(|column| column.cells.bytes(self.rows)).sum()
    }

    /// The rows since the last batch.
    pub fn finish(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        let columns: Vec<ArrayRef> = self.row.columns.iter_mut().map(Filling::finish).collect();
        // A row that failed is in some columns, and in no batch.
        let columns = columns.iter().map(|column| column.slice(0, rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema(), columns, &options)
            .expect("every row has one cell of each column")
    }

    /// How many values of each column did not fit it, of all rows there ever were.
    pub fn misfits(&self) -> impl Iterator<Item = (&Column, u64)> {
        let columns = self.row.columns.iter();
        columns.map(|column| (&column.column, column.misfits))
    }
}

impl Row {
    fn push(&mut self, index: usize, value: Value<'_>) -> Result<(), Error> {
        if matches!(value, Value::Null | Value::Undefined) {
            return Ok(());
        }
        let column = &mut self.columns[index];
        match column.cells.push(value, &mut self.text)? {
            Fit::Fits => column.filled += 1,
            Fit::Misfit => return self.misfit(index, value),
            Fit::TooLarge => {
                return Err(Error::TooLarge {
                    column: column.column.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn misfit(&mut self, index: usize, value: Value<'_>) -> Result<(), Error> {
        let column = &mut self.columns[index];
        column.misfits += self.stands_for;
        if !self.is_strict {
            return Ok(());
        }
        Err(Error::Misfit {
            column: column.column.name.clone(),
            kind: column.column.kind,
            found: value.type_name(),
        })
    }
}

impl Filling {
    /// The column's cells. The next batch will need about as much room.
    fn finish(&mut self) -> ArrayRef {
        let next = Cells::new(self.column.kind, self.filled, self.cells.text_bytes());
        self.filled = 0;
        std::mem::replace(&mut self.cells, next).finish()
    }
}

impl Fields {
    /// A path that no document can have leads nowhere.
    fn add(&mut self, path: &[String], column: usize) {
        if path.len() > DEPTH_MAX || path.iter().any(|field| field.contains('\0')) {
            return;
        }
        let mut fields = self;
        let mut path = path.iter();
        let Some(mut name) = path.next() else {
            return;
        };
        for inner in path {
            fields = &mut fields.field(name).within;
            name = inner;
        }
        fields.field(name).columns.push(column);
    }

    fn field(&mut self, name: &str) -> &mut FieldOf {
        let index = match self.place(name.as_bytes()) {
            Ok(index) => index,
            Err(index) => {
                let field = FieldOf {
                    key: [name.as_bytes(), &[0]].concat().into(),
                    columns: Vec::new(),
                    within: Self::default(),
                    row: 0,
                };
                self.fields.insert(index, field);
                self.next = vec![0; self.fields.len() + 1];
                index
            }
        };
        &mut self.fields[index]
    }

    /// Where the field is, or would be: they are sorted by their lengths first, which most comparisons end with.
    fn place(&self, key: &[u8]) -> Result<usize, usize> {
        self.fields.binary_search_by(|field| {
            let name = &field.key[..field.key.len() - 1];
            name.len().cmp(&key.len()).then_with(|| name.cmp(key))
        })
    }

    fn read(&mut self, document: &[u8], row: &mut Row) -> Result<(), Error> {
        let mut elements = Elements::of(document)?;
        let mut missing = self.fields.len();
        // In `next`: the start.
        let mut last = 0;
        while missing > 0
            && let Some(tag) = elements.next_tag()?
        {
            let expected = self.next[last];
            let index = if elements.skip_key(&self.fields[expected].key) {
                expected
            } else {
                let Ok(index) = self.place(elements.key()?) else {
                    elements.value(tag)?;
                    continue;
                };
                self.next[last] = index;
                index
            };
            last = index + 1;
            let value = elements.value(tag)?;
            let field = &mut self.fields[index];
            if field.row != row.number {
                field.row = row.number;
                missing -= 1;
                field.read(value, row)?;
            }
        }
        Ok(())
    }

    /// Of every column within: something that is no document is where its field should be.
    fn misfit(&self, value: Value<'_>, row: &mut Row) -> Result<(), Error> {
        for field in &self.fields {
            for &column in &field.columns {
                row.misfit(column, value)?;
            }
            field.within.misfit(value, row)?;
        }
        Ok(())
    }
}

impl FieldOf {
    fn read(&mut self, value: Value<'_>, row: &mut Row) -> Result<(), Error> {
        for &column in &self.columns {
            row.push(column, value)?;
        }
        match value {
            _ if self.within.fields.is_empty() => Ok(()),
            Value::Document(document) => self.within.read(document, row),
            Value::Null | Value::Undefined => Ok(()),
            value => self.within.misfit(value, row),
        }
    }
}
