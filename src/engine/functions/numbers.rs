//! Division, and the name of a type.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use datafusion::arrow::compute::kernels::numeric::div;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::kernel::Kernel;
use result_json::type_name;

pub(super) fn functions() -> Vec<ScalarUDF> {
    let doubles = || Signature::exact(vec![DataType::Float64; 2], Volatility::Immutable);
    vec![
        Kernel::udf(
            "divide(a, b)",
            "a / b as DOUBLE, as the operator / does it; a division by zero fails.",
            doubles(),
            DataType::Float64,
            divide,
        ),
        Kernel::udf(
            "try_divide(a, b)",
            "a / b as DOUBLE, NULL where b is zero.",
            doubles(),
            DataType::Float64,
            try_divide,
        ),
        Kernel::udf(
            "typeof(value)",
            "The name of the value's type.",
            Signature::any(1, Volatility::Immutable),
            DataType::Utf8,
            type_of,
        ),
    ]
}

fn divide(args: &[ArrayRef]) -> Result<ArrayRef> {
    let [a, b] = [0, 1].map(|index| args[index].as_primitive::<Float64Type>());
    if a.iter().zip(b).any(|(a, b)| a.is_some() && b == Some(0.0)) {
        return Err(DataFusionError::Execution(
            "division by zero; try_divide(a, b) gives NULL instead".to_owned(),
        ));
    }
    Ok(div(a, b)?)
}

fn try_divide(args: &[ArrayRef]) -> Result<ArrayRef> {
    let [a, b] = [0, 1].map(|index| args[index].as_primitive::<Float64Type>());
    let quotient = |(a, b): (Option<f64>, Option<f64>)| Some(a? / b.filter(|b| *b != 0.0)?);
    let quotients: Float64Array = a.iter().zip(b).map(quotient).collect();
    Ok(Arc::new(quotients) as ArrayRef)
}

fn type_of(args: &[ArrayRef]) -> Result<ArrayRef> {
    let name = type_name(args[0].data_type());
    Ok(Arc::new(StringArray::from(vec![name; args[0].len()])) as ArrayRef)
}
