//! An array made ready to be written value by value: looked through once a batch, not once a value.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Decimal128Array, Decimal256Array,
    Float32Array, Float64Array, Int64Array, LargeBinaryArray, LargeStringArray, RecordBatch,
    StringArray, StringViewArray, UInt64Array, UnionArray,
};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};

use crate::lines::{keys, object};
use crate::types::is_text;
use crate::{Error, Result, value};

/// The largest whole number every JSON reader keeps exact: 2^53 − 1.
const EXACT_INTEGER_MAX: u64 = (1 << 53) - 1;

/// Values of one type with the nulls among them.
#[derive(Debug)]
pub(crate) struct Column {
    array: ArrayRef,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Null,
    Boolean(BooleanArray),
    /// Whole numbers that every JSON reader keeps exact.
    Small(Int64Array),
    /// `BIGINT`.
    Integer(Int64Array),
    Unsigned(UInt64Array),
    Single(Float32Array),
    Double(Float64Array),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Bytes(BinaryArray),
    LargeBytes(LargeBinaryArray),
    BytesView(BinaryViewArray),
    Decimal(Decimal128Array, i8),
    LargeDecimal(Decimal256Array),
    /// Counts of days, or of parts of days, since 1970-01-01.
    Date {
        counts: Int64Array,
        per_day: i64,
    },
    Timestamp {
        counts: Int64Array,
        per_second: i64,
        zoned: bool,
    },
    Dictionary {
        indexes: Vec<usize>,
        values: Box<Column>,
    },
    /// A row's items lie between its bound and the next.
    List {
        bounds: Vec<usize>,
        items: Box<Column>,
    },
    Struct {
        keys: Vec<Vec<u8>>,
        columns: Vec<Column>,
    },
    Map {
        bounds: Vec<usize>,
        keys: Box<Column>,
        values: Box<Column>,
        /// Keys are texts, so that a map is an object; else it is a list of `{"key", "value"}`.
        is_object: bool,
    },
    /// By type id.
    Union(UnionArray, Vec<(i8, Column)>),
}

impl Column {
    /// The columns of a batch.
    ///
    /// # Errors
    /// When a type cannot be shown.
    pub(crate) fn of_batch(batch: &RecordBatch) -> Result<Vec<Self>> {
        batch.columns().iter().map(Self::new).collect()
    }

    fn new(array: &ArrayRef) -> Result<Self> {
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Boolean(array.as_boolean().clone()),
            DataType::UInt64 => Values::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            DataType::Int64 | DataType::UInt32 => Values::Integer(integers(array)?),
            data_type if data_type.is_integer() => Values::Small(integers(array)?),
            DataType::Float16 | DataType::Float32 => {
                let singles = cast(array, &DataType::Float32).map_err(Error::Type)?;
                Values::Single(singles.as_primitive::<Float32Type>().clone())
            }
            DataType::Float64 => Values::Double(array.as_primitive::<Float64Type>().clone()),
            DataType::Utf8 => Values::Text(array.as_string().clone()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string().clone()),
            DataType::Utf8View => Values::TextView(array.as_string_view().clone()),
            DataType::Binary => Values::Bytes(array.as_binary().clone()),
            DataType::LargeBinary => Values::LargeBytes(array.as_binary().clone()),
            DataType::BinaryView => Values::BytesView(array.as_binary_view().clone()),
            DataType::FixedSizeBinary(_) => return Self::cast(array, &DataType::Binary),
            DataType::Decimal128(_, scale) => {
                Values::Decimal(array.as_primitive::<Decimal128Type>().clone(), *scale)
            }
            DataType::Decimal256(..) => Values::LargeDecimal(array.as_primitive().clone()),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                return Self::cast(array, &DataType::Decimal128(*precision, *scale));
            }
            DataType::Date32 => Values::Date {
                counts: integers(array)?,
                per_day: 1,
            },
            DataType::Date64 => Values::Date {
                counts: integers(array)?,
                per_day: 86_400_000,
            },
            DataType::Timestamp(unit, zone) => Values::Timestamp {
                counts: integers(array)?,
                per_second: per_second(*unit),
                zoned: zone.is_some(),
            },
            DataType::RunEndEncoded(_, values) => return Self::cast(array, values.data_type()),
            DataType::ListView(item) => {
                return Self::cast(array, &DataType::List(Arc::clone(item)));
            }
            DataType::LargeListView(item) => {
                return Self::cast(array, &DataType::LargeList(Arc::clone(item)));
            }
            _ => return Self::nested(array),
        };
        Ok(Self {
            array: Arc::clone(array),
            values,
        })
    }

    fn nested(array: &ArrayRef) -> Result<Self> {
        let values = match array.data_type() {
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                Values::Dictionary {
                    indexes: match dictionary.values().is_empty() {
                        // Every key is null then.
                        true => Vec::new(),
                        false => dictionary.normalized_keys(),
                    },
                    values: Box::new(Self::new(dictionary.values())?),
                }
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::list(list.value_offsets(), list.values())?
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Self::list(list.value_offsets(), list.values())?
            }
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or(0);
                Values::List {
                    bounds: (0..=array.len()).map(|row| row * size).collect(),
                    items: Box::new(Self::new(array.as_fixed_size_list().values())?),
                }
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().map(Self::new);
                Values::Struct {
                    keys: keys(fields),
                    columns: columns.collect::<Result<_>>()?,
                }
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (bounds, reached) = bounds(map.value_offsets());
                let [keys, values] = [map.keys(), map.values()]
                    .map(|column| column.slice(reached.start, reached.len()));
                Values::Map {
                    bounds,
                    is_object: is_text(keys.data_type()),
                    keys: Box::new(Self::new(&keys)?),
                    values: Box::new(Self::new(&values)?),
                }
            }
            DataType::Union(fields, _) => {
                let union = array.as_union();
                let children = fields
                    .iter()
                    .map(|(id, _)| Ok((id, Self::new(union.child(id))?)));
                Values::Union(union.clone(), children.collect::<Result<_>>()?)
            }
            // Intervals, durations, times of day.
            _ => return Self::cast(array, &DataType::Utf8),
        };
        Ok(Self {
            array: Arc::clone(array),
            values,
        })
    }

    fn list<O: Copy + TryInto<usize>>(offsets: &[O], items: &ArrayRef) -> Result<Values> {
        // Only what the offsets reach: a slice carries its whole parent.
        let (bounds, reached) = bounds(offsets);
        let items = Self::new(&items.slice(reached.start, reached.len()))?;
        Ok(Values::List {
            bounds,
            items: Box::new(items),
        })
    }

    fn cast(array: &ArrayRef, data_type: &DataType) -> Result<Self> {
        Self::new(&cast(array, data_type).map_err(Error::Type)?)
    }

    /// Whether any whole number in the column, however deep, is beyond what a JSON reader keeps exact.
    pub(crate) fn holds_large(&self) -> bool {
        self.holds_large_in(0..self.array.len())
    }

    fn holds_large_in(&self, mut rows: Range<usize>) -> bool {
        match &self.values {
            Values::Integer(integers) => rows.any(|row| {
                integers.is_valid(row) && integers.value(row).unsigned_abs() > EXACT_INTEGER_MAX
            }),
            Values::Unsigned(integers) => {
                rows.any(|row| integers.is_valid(row) && integers.value(row) > EXACT_INTEGER_MAX)
            }
            Values::Dictionary { indexes, values } => rows.any(|row| {
                let index = indexes.get(row).copied().unwrap_or(0);
                self.array.is_valid(row) && values.holds_large_in(index..index + 1)
            }),
            Values::List { bounds, items } => rows.any(|row| {
                self.array.is_valid(row) && items.holds_large_in(bounds[row]..bounds[row + 1])
            }),
            Values::Struct { columns, .. } => rows.any(|row| {
                self.array.is_valid(row)
                    && columns
                        .iter()
                        .any(|column| column.holds_large_in(row..row + 1))
            }),
            Values::Map {
                bounds,
                keys,
                values,
                ..
            } => rows.any(|row| {
                let reached = bounds[row]..bounds[row + 1];
                self.array.is_valid(row)
                    && (keys.holds_large_in(reached.clone()) || values.holds_large_in(reached))
            }),
            _ => false,
        }
    }

    /// Whether the row's value is null, wherever its array keeps that.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
            || match &self.values {
                Values::Null => true,
                Values::Dictionary { indexes, values } => values.is_null(indexes[row]),
                Values::Union(union, children) => {
                    let active = union.type_id(row);
                    let child = children.iter().find(|(id, _)| *id == active);
                    child.is_some_and(|(_, child)| child.is_null(union.value_offset(row)))
                }
                _ => false,
            }
    }

    /// The row's value where the column holds texts.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::Text(values) => Some(values.value(row)),
            Values::LargeText(values) => Some(values.value(row)),
            Values::TextView(values) => Some(values.value(row)),
            _ => None,
        }
    }

    /// Appends the row's value as JSON; with `integers_as_text` every `BIGINT` in it is text.
    ///
    /// # Errors
    /// When the value is an instant that has no date.
    pub(crate) fn write(
        &self,
        row: usize,
        integers_as_text: bool,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if self.array.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match &self.values {
            Values::Null => out.extend_from_slice(b"null"),
            Values::Boolean(values) if values.value(row) => out.extend_from_slice(b"true"),
            Values::Boolean(_) => out.extend_from_slice(b"false"),
            Values::Small(values) => value::integer(values.value(row), false, out),
            Values::Integer(values) => value::integer(values.value(row), integers_as_text, out),
            Values::Unsigned(values) => value::integer(values.value(row), integers_as_text, out),
            Values::Single(values) => value::single(values.value(row), out),
            Values::Double(values) => value::double(values.value(row), out),
            Values::Text(values) => value::text(values.value(row), out),
            Values::LargeText(values) => value::text(values.value(row), out),
            Values::TextView(values) => value::text(values.value(row), out),
            Values::Bytes(values) => value::bytes(values.value(row), out),
            Values::LargeBytes(values) => value::bytes(values.value(row), out),
            Values::BytesView(values) => value::bytes(values.value(row), out),
            Values::Decimal(values, scale) => value::decimal(values.value(row), *scale, out),
            Values::LargeDecimal(values) => value::text(&values.value_as_string(row), out),
            Values::Date { counts, per_day } => {
                value::date(counts.value(row).div_euclid(*per_day), out)?;
            }
            Values::Timestamp {
                counts,
                per_second,
                zoned,
            } => value::instant(counts.value(row), *per_second, *zoned, out)?,
            Values::Dictionary { indexes, values } => {
                return values.write(indexes[row], integers_as_text, out);
            }
            Values::List { bounds, items } => {
                out.push(b'[');
                for item in bounds[row]..bounds[row + 1] {
                    if item > bounds[row] {
                        out.push(b',');
                    }
                    items.write(item, integers_as_text, out)?;
                }
                out.push(b']');
            }
            Values::Struct { keys, columns } => {
                return object(keys, columns, row, integers_as_text, out);
            }
            Values::Map { .. } => return self.write_map(row, integers_as_text, out),
            Values::Union(union, children) => {
                let active = union.type_id(row);
                let Some((_, child)) = children.iter().find(|(id, _)| *id == active) else {
                    let error = format!("a union has no member {active}");
                    return Err(Error::Type(ArrowError::InvalidArgumentError(error)));
                };
                return child.write_as_text(union.value_offset(row), out);
            }
        }
        Ok(())
    }

    fn write_map(&self, row: usize, integers_as_text: bool, out: &mut Vec<u8>) -> Result<()> {
        let Values::Map {
            bounds,
            keys,
            values,
            is_object,
        } = &self.values
        else {
            return Ok(());
        };
        let marks: [&[u8]; 5] = match is_object {
            true => [b"{", b"", b":", b"", b"}"],
            false => [b"[", b"{\"key\":", b",\"value\":", b"}", b"]"],
        };
        let [open, before, between, after, close] = marks;
        out.extend_from_slice(open);
        for entry in bounds[row]..bounds[row + 1] {
            if entry > bounds[row] {
                out.push(b',');
            }
            out.extend_from_slice(before);
            keys.write(entry, integers_as_text, out)?;
            out.extend_from_slice(between);
            values.write(entry, integers_as_text, out)?;
            out.extend_from_slice(after);
        }
        out.extend_from_slice(close);
        Ok(())
    }

    /// A text as it is, everything else as the text of its JSON: what a column of mixed types shows.
    fn write_as_text(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut json = Vec::new();
        self.write(row, false, &mut json)?;
        if json.starts_with(b"\"") || json == b"null" {
            out.extend_from_slice(&json);
        } else {
            value::text(&String::from_utf8_lossy(&json), out);
        }
        Ok(())
    }
}

/// The numbers, days or instants as 64 bits each.
fn integers(array: &ArrayRef) -> Result<Int64Array> {
    let integers = cast(array, &DataType::Int64).map_err(Error::Type)?;
    Ok(integers.as_primitive::<Int64Type>().clone())
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The offsets counted from the first of them, and the part of the items that they reach.
fn bounds<O: Copy + TryInto<usize>>(offsets: &[O]) -> (Vec<usize>, Range<usize>) {
    let offset = |offset: &O| (*offset).try_into().unwrap_or(0);
    let first = offsets.first().map_or(0, offset);
    let last = offsets.last().map_or(0, offset);
    let bounds = offsets.iter().map(|each| offset(each) - first).collect();
    (bounds, first..last)
}
