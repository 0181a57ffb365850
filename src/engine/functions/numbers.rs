//! Division, logarithms, numbers as people read them, and the name of a type.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::numeric::div;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::types::{NativeType, logical_float64, logical_string};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Coercion, ScalarUDF, Signature, TypeSignatureClass, Volatility};

use super::kernel::{Kernel, whole_number};
use result_json::type_name;

pub(super) fn functions() -> Vec<ScalarUDF> {
    let doubles = || Signature::exact(vec![DataType::Float64; 2], Volatility::Immutable);
    let mut functions = vec![
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
        as_people_read_it(),
    ];
    functions.extend(roots_and_logarithms());
    functions
}

fn roots_and_logarithms() -> Vec<ScalarUDF> {
    let number = Coercion::new_implicit(
        TypeSignatureClass::Native(logical_float64()),
        vec![
            TypeSignatureClass::Numeric,
            TypeSignatureClass::Native(logical_string()),
        ],
        NativeType::Float64,
    );
    let of_doubles = |usage, description, count, run| {
        let signature = Signature::coercible(vec![number.clone(); count], Volatility::Immutable);
        Kernel::udf(usage, description, signature, DataType::Float64, run)
    };
    vec![
        of_doubles(
            "ln(number)",
            "The natural logarithm, NULL of a number that is not above 0; log(number) is the same.",
            1,
            |args| of_positive(args, f64::ln),
        ),
        of_doubles(
            "log10(number)",
            "The logarithm to base 10, NULL of a number that is not above 0.",
            1,
            |args| of_positive(args, f64::log10),
        ),
        of_doubles(
            "log1p(number)",
            "The natural logarithm of 1 + number, exact near 0; NULL where that is not above 0.",
            1,
            log1p,
        ),
        of_doubles(
            "sqrt(number)",
            "The square root, NaN of a number below 0.",
            1,
            |args| {
                Ok(Arc::new(
                    args[0]
                        .as_primitive::<Float64Type>()
                        .unary::<_, Float64Type>(f64::sqrt),
                ) as ArrayRef)
            },
        ),
        of_doubles(
            "log2(number)",
            "The logarithm to base 2, NULL of a number that is not above 0.",
            1,
            |args| of_positive(args, f64::log2),
        ),
        of_doubles(
            "log(base, number)",
            "The logarithm to a base, NULL where one of the two is not above 0.",
            2,
            log,
        ),
    ]
}

fn as_people_read_it() -> ScalarUDF {
    Kernel::udf(
        "format_number(number, places)",
        "The number with that many places behind the point, and commas between its thousands; NULL of one that no DECIMAL holds.",
        Signature::coercible(
            vec![
                Coercion::new_exact(TypeSignatureClass::Numeric),
                whole_number(),
            ],
            Volatility::Immutable,
        ),
        DataType::Utf8,
        format_number,
    )
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

fn of_positive(args: &[ArrayRef], of: fn(f64) -> f64) -> Result<ArrayRef> {
    let numbers = args[0].as_primitive::<Float64Type>().iter();
    let logarithms = numbers.map(|number| number.filter(|number| is_positive(*number)).map(of));
    Ok(Arc::new(logarithms.collect::<Float64Array>()) as ArrayRef)
}

fn log(args: &[ArrayRef]) -> Result<ArrayRef> {
    let [bases, numbers] = [0, 1].map(|index| args[index].as_primitive::<Float64Type>());
    let logarithm = |(base, number): (Option<f64>, Option<f64>)| {
        let (base, number) = (base.filter(|base| is_positive(*base))?, number?);
        is_positive(number).then(|| number.ln() / base.ln())
    };
    let logarithms: Float64Array = bases.iter().zip(numbers).map(logarithm).collect();
    Ok(Arc::new(logarithms) as ArrayRef)
}

fn log1p(args: &[ArrayRef]) -> Result<ArrayRef> {
    let numbers = args[0].as_primitive::<Float64Type>().iter();
    let logarithms = numbers.map(|number| number.filter(|number| is_positive(number + 1.0)));
    let logarithms = logarithms.map(|number| number.map(f64::ln_1p));
    Ok(Arc::new(logarithms.collect::<Float64Array>()) as ArrayRef)
}

/// What is no number has no logarithm but itself.
fn is_positive(number: f64) -> bool {
    number > 0.0 || number.is_nan()
}

/// By way of decimals, in which every whole number is exact.
fn format_number(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (numbers, places) = (&args[0], args[1].as_primitive::<Int64Type>());
    let mut rounded: Option<(i64, StringArray)> = None;
    let mut texts = StringBuilder::new();
    for (row, places) in places.iter().enumerate() {
        // Nearly always the same for all rows.
        let Some(places) = places.filter(|_| numbers.is_valid(row)) else {
            texts.append_null();
            continue;
        };
        if rounded.as_ref().is_none_or(|(of, _)| *of != places) {
            let decimals = decimals(numbers, places)?;
            rounded = Some((places, decimals));
        }
        match &rounded {
            Some((_, rounded)) if rounded.is_valid(row) => {
                texts.append_value(with_commas(rounded.value(row)));
            }
            _ => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()) as ArrayRef)
}

fn decimals(numbers: &ArrayRef, places: i64) -> Result<StringArray> {
    const PLACES_MAX: i8 = 20;
    let places = i8::try_from(places).ok();
    let places = places.filter(|places| (0..=PLACES_MAX).contains(places));
    let places = places.ok_or_else(|| {
        DataFusionError::Execution(format!("format_number takes 0 to {PLACES_MAX} places"))
    })?;
    // What has no place in it, such as NaN, is NULL.
    let decimals = cast(numbers, &DataType::Decimal128(38, places))?;
    Ok(cast(&decimals, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn with_commas(number: &str) -> String {
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", number),
    };
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

fn type_of(args: &[ArrayRef]) -> Result<ArrayRef> {
    let name = type_name(args[0].data_type());
    Ok(Arc::new(StringArray::from(vec![name; args[0].len()])) as ArrayRef)
}
