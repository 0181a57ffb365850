//! Functions of the engine with Spark's meaning where the two differ at an edge: the engine's own computes, with other
//! arguments or with another result.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{cast, filter, is_not_null, is_null, nullif};
use datafusion::arrow::datatypes::{ArrowNativeType, DataType, Field, FieldRef, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use super::edges;
use super::zones::to_utc;

type Run = fn(&dyn ScalarUDFImpl, ScalarFunctionArgs) -> Result<ColumnarValue>;

pub(super) struct Meaning {
    pub(super) name: &'static str,
    /// The engine's function that computes.
    of: &'static str,
    run: Run,
}

pub(super) const MEANINGS: &[Meaning] = &[
    Meaning {
        name: "array_append",
        of: "array_append",
        run: append,
    },
    Meaning {
        name: "array_position",
        of: "array_position",
        run: position,
    },
    Meaning {
        name: "arrays_overlap",
        of: "array_has_any",
        run: overlap,
    },
    Meaning {
        name: "date_trunc",
        of: "date_trunc",
        run: edges::date_trunc,
    },
    Meaning {
        name: "hex",
        of: "hex",
        run: hex,
    },
    Meaning {
        name: "lpad",
        of: "lpad",
        run: edges::padded,
    },
    Meaning {
        name: "round",
        of: "round",
        run: edges::round,
    },
    Meaning {
        name: "rpad",
        of: "rpad",
        run: edges::padded,
    },
    Meaning {
        name: "sequence",
        of: "generate_series",
        run: sequence,
    },
    Meaning {
        name: "to_utc_timestamp",
        of: "to_utc_timestamp",
        run: to_utc,
    },
];

/// The functions with Spark's meaning behind those they are made of, which they replace where the name is the same.
pub(super) fn with_meanings(mut functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    for Meaning { name, of, run } in MEANINGS {
        let Some(at) = functions.iter().rposition(|f| f.name() == *of) else {
            continue;
        };
        let adapted = Arc::new(ScalarUDF::from(Adapted {
            name,
            inner: Arc::clone(&functions[at]),
            run: *run,
        }));
        match name == of {
            true => functions[at] = adapted,
            false => functions.push(adapted),
        }
    }
    functions
}

#[derive(Debug)]
struct Adapted {
    name: &'static str,
    inner: Arc<ScalarUDF>,
    run: Run,
}

impl Adapted {
    fn inner(&self) -> &dyn ScalarUDFImpl {
        self.inner.inner().as_ref()
    }
}

/// A session has one of each name.
impl PartialEq for Adapted {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Adapted {}

impl Hash for Adapted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Adapted {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        match self.name == self.inner.name() {
            true => self.inner.aliases(),
            false => &[],
        }
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner().return_type(types).map(with_bigint)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = self.inner().return_field_from_args(args)?;
        let data_type = with_bigint(field.data_type().clone());
        Ok(Arc::new(Field::new(self.name, data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        (self.run)(self.inner(), args)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner().output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// A count is a BIGINT, as everywhere.
fn with_bigint(data_type: DataType) -> DataType {
    match data_type {
        DataType::UInt64 => DataType::Int64,
        other => other,
    }
}

fn column(args: &ScalarFunctionArgs, index: usize) -> Result<ArrayRef> {
    args.args[index].clone().into_array(args.number_rows)
}

fn is_valid(column: &ArrayRef) -> impl Fn(usize) -> bool {
    let nulls = column.logical_nulls();
    move |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
}

/// A list that is `NULL` remains so.
fn append(inner: &dyn ScalarUDFImpl, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let (rows, list) = (args.number_rows, column(&args, 0)?);
    let longer = inner.invoke_with_args(args)?.into_array(rows)?;
    Ok(ColumnarValue::Array(nullif(&longer, &is_null(&list)?)?))
}

/// 0 where the list lacks the element, `NULL` only where either is.
fn position(inner: &dyn ScalarUDFImpl, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = args.number_rows;
    let (list, element) = (column(&args, 0)?, column(&args, 1)?);
    let found = inner.invoke_with_args(args)?.into_array(rows)?;
    let found = cast(&found, &DataType::Int64)?;
    let found = found.as_primitive::<Int64Type>();
    let (list, element) = (is_valid(&list), is_valid(&element));
    let positions = found.iter().enumerate().map(|(row, found)| {
        let both = list(row) && element(row);
        both.then(|| found.unwrap_or(0))
    });
    let positions: Int64Array = positions.collect();
    Ok(ColumnarValue::Array(Arc::new(positions)))
}

/// A `NULL` is no element that two lists share, but it may stand for one: without another the answer is `NULL`.
fn overlap(inner: &dyn ScalarUDFImpl, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = args.number_rows;
    let columns = [column(&args, 0)?, column(&args, 1)?];
    let [Some(a), Some(b)] = [0, 1].map(|n| columns[n].as_list_opt::<i32>()) else {
        return inner.invoke_with_args(args);
    };
    let (a_known, b_known) = (without_nulls(a)?, without_nulls(b)?);
    args.args = [&a_known, &b_known]
        .map(|list| ColumnarValue::Array(Arc::new(list.clone())))
        .to_vec();
    let shares = inner.invoke_with_args(args)?.into_array(rows)?;
    let shares = shares.as_boolean();
    let overlaps = (0..rows).map(|row| {
        if a.is_null(row) || b.is_null(row) {
            return None;
        }
        let length = |list: &ListArray| list.value_length(row);
        let has_null = length(&a_known) < length(a) || length(&b_known) < length(b);
        let is_open = has_null && length(a) > 0 && length(b) > 0;
        match shares.is_valid(row) && shares.value(row) {
            true => Some(true),
            false => (!is_open).then_some(false),
        }
    });
    let overlaps: BooleanArray = overlaps.collect();
    Ok(ColumnarValue::Array(Arc::new(overlaps)))
}

/// The lists without the elements that are `NULL`.
fn without_nulls(list: &ListArray) -> Result<ListArray> {
    let DataType::List(field) = list.data_type() else {
        return Ok(list.clone());
    };
    let offsets = list.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[list.len()].as_usize());
    let values = list.values().slice(first, last - first);
    let is_there = is_not_null(&values)?;
    let lengths = offsets.windows(2).map(|pair| {
        let (start, end) = (pair[0].as_usize(), pair[1].as_usize());
        let there = is_there.values().slice(start - first, end - start);
        there.count_set_bits()
    });
    let offsets = OffsetBuffer::from_lengths(lengths);
    let values = filter(&values, &is_there)?;
    let nulls = list.nulls().cloned();
    Ok(ListArray::new(Arc::clone(field), offsets, values, nulls))
}

/// The engine's takes bytes, and not as tables have them.
fn hex(inner: &dyn ScalarUDFImpl, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let value = &mut args.args[0];
    if value.data_type() == DataType::BinaryView {
        *value = value.cast_to(&DataType::Binary, None)?;
    }
    inner.invoke_with_args(args)
}

/// Counts downwards where the end is below the start.
fn sequence(inner: &dyn ScalarUDFImpl, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let is_integer = |value: &ColumnarValue| value.data_type() == DataType::Int64;
    if args.args.len() == 2 && args.args.iter().all(is_integer) {
        let ends = [column(&args, 0)?, column(&args, 1)?];
        let [starts, stops] = [0, 1].map(|n| ends[n].as_primitive::<Int64Type>());
        let steps = starts
            .iter()
            .zip(stops)
            .map(|(start, stop)| match start > stop {
                true => Some(-1),
                false => Some(1),
            });
        let steps: Int64Array = steps.collect();
        args.args.push(ColumnarValue::Array(Arc::new(steps)));
        let field = Field::new("step", DataType::Int64, false);
        args.arg_fields.push(Arc::new(field));
    }
    inner.invoke_with_args(args)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::BinaryViewArray;
    use datafusion::common::config::ConfigOptions;

    use super::super::Functions;
    use super::*;

    #[test]
    fn bytes_as_tables_have_them_have_digits_and_lengths() {
        let bytes: ArrayRef = Arc::new(BinaryViewArray::from_iter_values([b"\x00\xff", b"ab"]));
        let field = |data_type: &DataType| Arc::new(Field::new("x", data_type.clone(), true));
        let call = |name: &str, returns: DataType| {
            let function = Functions::all().scalar(name).unwrap();
            let args = ScalarFunctionArgs {
                args: vec![ColumnarValue::Array(Arc::clone(&bytes))],
                arg_fields: vec![field(bytes.data_type())],
                number_rows: 2,
                return_field: field(&returns),
                config_options: Arc::new(ConfigOptions::new()),
            };
            let value = function.invoke_with_args(args).unwrap();
            value.into_array(2).unwrap()
        };
        let digits = call("hex", DataType::Utf8);
        let digits: Vec<_> = digits.as_string::<i32>().iter().flatten().collect();
        assert_eq!(digits, ["00FF", "6162"]);
        let lengths = cast(&call("octet_length", DataType::Int32), &DataType::Int64).unwrap();
        assert_eq!(lengths.as_primitive::<Int64Type>().values(), &[2, 2]);
    }
}
