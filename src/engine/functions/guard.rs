//! Bounds on the functions that can make much out of little: what a call would make is estimated before a byte of it is
//! allocated.
//!
//! The engine's own accounting does not see what functions allocate, and constant expressions are computed while a query
//! is planned. A value of [`VALUE_BYTES_MAX`] is far more than an answer may hold; a batch is what one call makes, some
//! thousand rows of it.

mod bytes;
mod call;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

use call::{Call, Column};

/// Bytes of one value that a function may make.
const VALUE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a batch made out of numbers (`repeat`, `sequence`): nobody needs more of what was not there before.
const SERIES_BATCH_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a batch made out of the values that are there (`concat`, `replace`): thousands of long prompts must fit.
const BATCH_BYTES_MAX: u64 = 256 << 20;

/// How much a function makes of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Makes {
    /// The first argument as often as the second says.
    Repeated,
    /// As many characters as the second argument says.
    Padded,
    /// As many bytes as the first argument says.
    Spaces,
    /// A list of as many elements as the second argument says, of the third argument.
    Resized,
    /// A list from the first argument to the second in steps of the third.
    Series,
    /// The first argument with each of the second replaced by the third: a text, or a regular expression.
    Replaced { is_regex: bool },
    /// The elements of a list with the last argument between them, or in their place.
    Joined,
    /// All arguments one after the other, that many times as long at most.
    Together(u64),
    /// A text by a format, whose numbers are widths.
    Formatted,
    /// No more than it takes. Wrapped all the same: the engine moves these functions below projections, and fails where
    /// one of them keeps a column's name (`SELECT payload ->> 'a' FROM (SELECT e.payload AS payload FROM e)`).
    Less,
}

const MAKES: &[(&str, Makes)] = &[
    ("repeat", Makes::Repeated),
    ("array_repeat", Makes::Repeated),
    ("lpad", Makes::Padded),
    ("rpad", Makes::Padded),
    ("space", Makes::Spaces),
    ("array_resize", Makes::Resized),
    ("generate_series", Makes::Series),
    ("range", Makes::Series),
    ("replace", Makes::Replaced { is_regex: false }),
    ("regexp_replace", Makes::Replaced { is_regex: true }),
    ("array_to_string", Makes::Joined),
    ("array_replace_all", Makes::Joined),
    ("array_replace_n", Makes::Joined),
    ("concat_ws", Makes::Joined),
    ("format_string", Makes::Formatted),
    ("concat", Makes::Together(1)),
    ("overlay", Makes::Together(1)),
    ("make_array", Makes::Together(1)),
    ("array", Makes::Together(1)),
    ("array_append", Makes::Together(1)),
    ("array_prepend", Makes::Together(1)),
    ("array_concat", Makes::Together(1)),
    ("array_union", Makes::Together(1)),
    ("encode", Makes::Together(2)),
    ("hex", Makes::Together(2)),
    ("base64", Makes::Together(2)),
    ("url_encode", Makes::Together(3)),
    ("quote", Makes::Together(2)),
    ("json_as_text", Makes::Less),
    ("json_contains", Makes::Less),
    ("json_get_array", Makes::Less),
    ("json_get_bool", Makes::Less),
    ("json_get_float", Makes::Less),
    ("json_get_int", Makes::Less),
    ("json_get_json", Makes::Less),
    ("json_get_str", Makes::Less),
    ("json_length", Makes::Less),
    ("json_object_keys", Makes::Less),
];

/// The function within its bound, or as it is where it makes no more than it takes.
pub(super) fn guarded(inner: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let makes = MAKES.iter().find(|(name, _)| *name == inner.name());
    match makes {
        Some((_, makes)) => Arc::new(ScalarUDF::from(Guarded {
            inner,
            makes: *makes,
        })),
        None => inner,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Guarded {
    inner: Arc<ScalarUDF>,
    makes: Makes,
}

impl ScalarUDFImpl for Guarded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        let makes = self.makes;
        Some(ScalarUDF::from(Self { inner, makes }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), self.makes, &args)?;
        self.inner.inner().invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.inner().simplify(args, info)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.inner.inner().evaluate_bounds(input)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.inner().preserves_lex_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

fn check(name: &str, makes: Makes, args: &ScalarFunctionArgs) -> Result<()> {
    let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
    let rows = match args.args.iter().all(is_scalar) {
        true => 1,
        false => args.number_rows,
    };
    let columns = args.args.iter().map(|value| match value {
        ColumnarValue::Array(column) => Ok(Column::Each(Arc::clone(column))),
        ColumnarValue::Scalar(value) => Ok(Column::Same(value.to_array_of_size(1)?)),
    });
    let call = Call {
        rows,
        columns: columns.collect::<Result<_>>()?,
    };
    let sizes = call.sizes(makes)?;
    let longest = sizes.iter().copied().max().unwrap_or(0);
    let all = sizes.into_iter().fold(0, u64::saturating_add);
    let batch_max = match makes {
        Makes::Replaced { .. } | Makes::Joined | Makes::Together(_) => BATCH_BYTES_MAX,
        _ => SERIES_BATCH_BYTES_MAX,
    };
    let mib = |bytes: u64| bytes >> 20;
    if longest > VALUE_BYTES_MAX {
        return Err(DataFusionError::Execution(format!(
            "{name} would need {} MiB of memory for one value, and {} are allowed; ask for a shorter one",
            mib(longest),
            mib(VALUE_BYTES_MAX)
        )));
    }
    if all > batch_max {
        return Err(DataFusionError::Execution(format!(
            "{name} would need {} MiB of memory for {rows} values at once, and {} are allowed; make them shorter",
            mib(all),
            mib(batch_max)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
