//! A text file's rows as Arrow batches of given columns.
//!
//! Promises: every value arrives exactly or the row's place is named in an error. Not here: which columns (`infer`).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use rules::{Error, Result};

use super::column::{Column, Kind, Names};
use super::infer::as_double;
use super::moment::{self, Moment};
use super::rows::{Rows, Shape, Value};
use super::{BATCH_BYTES, BATCH_ROWS};

/// The most characters of a refused value that an error repeats.
const EXCERPT_CHARS: usize = 40;

#[derive(Debug)]
pub(super) struct Reader {
    rows: Rows,
    names: Names,
    columns: Vec<Column>,
    schema: SchemaRef,
}

impl Reader {
    pub(super) fn new(rows: Rows, columns: &[Column], schema: SchemaRef) -> Self {
        Self {
            rows,
            names: Names::of(columns),
            columns: columns.to_vec(),
            schema,
        }
    }

    /// The next batch; `None` at the end.
    pub(super) fn next_batch(
        &mut self,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<RecordBatch>> {
        let mut cells: Vec<Cells> = self.columns.iter().map(Cells::of).collect();
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(row) = self.rows.next()? else { break };
            let mut values: Vec<Option<Value<'_>>> = Vec::new();
            values.resize_with(self.columns.len(), || None);
            for (name, value) in row.fields {
                let place = self.names.place(&name).ok_or_else(|| {
                    row.place.error(format!(
                        "column {name:?} is new; was the file changed while it was read? try again"
                    ))
                })?;
                values[place] = value;
            }
            for ((cells, column), value) in cells.iter_mut().zip(&self.columns).zip(&values) {
                // A slot is counted even where it is null: it takes room in its column.
                bytes += size_of::<i64>() + value.as_ref().map_or(0, |value| value.text.len());
                cells
                    .push(value.as_ref())
                    .map_err(|Misfit| row.place.error(misfit(column, value.as_ref())))?;
            }
            count += 1;
        }
        progress(self.rows.bytes_read());
        if count == 0 {
            return Ok(None);
        }
        let arrays = cells.into_iter().map(Cells::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        batch
            .map(Some)
            .map_err(|error| Error::internal("the rows make no batch").because(error))
    }
}

/// The cells of one column, one batch long.
enum Cells {
    Booleans(BooleanBuilder),
    Wholes(Int64Builder),
    Doubles(Float64Builder),
    Texts(StringBuilder),
    Instants(TimestampMicrosecondBuilder),
    Locals(TimestampMicrosecondBuilder),
    /// A column of a kind that no text file has values for.
    Nulls {
        data_type: DataType,
        count: usize,
    },
}

/// A value that its column does not hold exactly.
struct Misfit;

impl Cells {
    fn of(column: &Column) -> Self {
        let data_type = column.arrow_field().data_type().clone();
        match column.kind {
            Kind::Boolean => Self::Booleans(BooleanBuilder::new()),
            Kind::BigInt => Self::Wholes(Int64Builder::new()),
            Kind::Double => Self::Doubles(Float64Builder::new()),
            Kind::Null | Kind::Text | Kind::Json => Self::Texts(StringBuilder::new()),
            Kind::Timestamp => {
                Self::Instants(TimestampMicrosecondBuilder::new().with_data_type(data_type))
            }
            Kind::TimestampNtz => Self::Locals(TimestampMicrosecondBuilder::new()),
            Kind::Decimal { .. } | Kind::Date | Kind::Binary => Self::Nulls {
                data_type,
                count: 0,
            },
        }
    }

    fn push(&mut self, value: Option<&Value<'_>>) -> Result<(), Misfit> {
        match self {
            Self::Booleans(cells) => {
                cells.append_option(exactly(value, |value| match value.shape {
                    Shape::Boolean(boolean) => Some(boolean),
                    _ => None,
                })?)
            }
            Self::Wholes(cells) => {
                cells.append_option(exactly(value, |value| match value.shape {
                    Shape::Whole(number) => Some(number),
                    _ => None,
                })?)
            }
            Self::Doubles(cells) => {
                cells.append_option(exactly(value, |value| match value.shape {
                    Shape::Whole(number) => as_double(number),
                    Shape::Fraction(number) => Some(number),
                    _ => None,
                })?)
            }
            Self::Texts(cells) => cells.append_option(value.map(|value| &value.text)),
            Self::Instants(cells) => {
                cells.append_option(exactly(value, |value| match moment(value)? {
                    Moment::Instant(micros) => Some(micros),
                    Moment::Local(_) => None,
                })?)
            }
            Self::Locals(cells) => {
                cells.append_option(exactly(value, |value| match moment(value)? {
                    Moment::Local(micros) => Some(micros),
                    Moment::Instant(_) => None,
                })?)
            }
            Self::Nulls { count, .. } => {
                exactly(value, |_| None::<()>)?;
                *count += 1;
            }
        }
        Ok(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Booleans(mut cells) => Arc::new(cells.finish()),
            Self::Wholes(mut cells) => Arc::new(cells.finish()),
            Self::Doubles(mut cells) => Arc::new(cells.finish()),
            Self::Texts(mut cells) => Arc::new(cells.finish()),
            Self::Instants(mut cells) | Self::Locals(mut cells) => Arc::new(cells.finish()),
            Self::Nulls { data_type, count } => new_null_array(&data_type, count),
        }
    }
}

fn exactly<T>(
    value: Option<&Value<'_>>,
    read: impl FnOnce(&Value<'_>) -> Option<T>,
) -> Result<Option<T>, Misfit> {
    value.map(|value| read(value).ok_or(Misfit)).transpose()
}

fn moment(value: &Value<'_>) -> Option<Moment> {
    match value.shape {
        Shape::String => moment::parse(&value.text),
        _ => None,
    }
}

fn misfit(column: &Column, value: Option<&Value<'_>>) -> String {
    let text = value.map_or("", |value| &value.text);
    let excerpt: String = text.chars().take(EXCERPT_CHARS).collect();
    let more = if excerpt.len() < text.len() {
        "…"
    } else {
        ""
    };
    format!(
        "column {:?} is {}, which does not hold {excerpt:?}{more} exactly",
        column.name, column.kind
    )
}
