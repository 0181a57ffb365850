//! A scalar function of ours: a kernel over whole columns, with what the engine asks about it.

use std::hash::{Hash, Hasher};

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::types::NativeType;
use datafusion::common::types::{logical_date, logical_int64, logical_string};
use datafusion::error::Result;
use datafusion::logical_expr::{
    Coercion, ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignatureClass, Volatility,
};
use datafusion::scalar::ScalarValue;

/// Columns of one length to a column of that length.
pub(super) type Run = fn(&[ArrayRef]) -> Result<ArrayRef>;

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    pub(super) signature: Signature,
    pub(super) returns: DataType,
    pub(super) run: Run,
    documentation: Documentation,
}

impl Kernel {
    /// `usage` is a call with named arguments; the name is what stands before its bracket.
    pub(super) fn udf(
        usage: &'static str,
        description: &str,
        signature: Signature,
        returns: DataType,
        run: Run,
    ) -> ScalarUDF {
        let name = usage.split('(').next().unwrap_or(usage);
        let section = DocSection {
            include: true,
            label: "Lakehouse functions",
            description: None,
        };
        let documentation = Documentation::builder(section, description, usage).build();
        ScalarUDF::from(Self {
            name,
            signature,
            returns,
            run,
            documentation,
        })
    }
}

/// A session has one of each name.
impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kernel {}

impl Hash for Kernel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let is_constant = args.args.iter().all(is_scalar);
        let result = (self.run)(&ColumnarValue::values_to_arrays(&args.args)?)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// A column of texts, whatever its encoding.
pub(super) fn texts(column: &ArrayRef) -> Result<StringArray> {
    let column = cast(column, &DataType::Utf8)?;
    Ok(StringArray::from(column.to_data()))
}

/// Arguments that are all texts.
pub(super) fn text_arguments(count: usize) -> Signature {
    Signature::coercible(vec![text(); count], Volatility::Immutable)
}

pub(super) fn text() -> Coercion {
    Coercion::new_exact(TypeSignatureClass::Native(logical_string()))
}

pub(super) fn whole_number() -> Coercion {
    Coercion::new_implicit(
        TypeSignatureClass::Native(logical_int64()),
        vec![TypeSignatureClass::Integer],
        NativeType::Int64,
    )
}

/// An instant; dates and texts that name one become instants.
pub(super) fn instant() -> Coercion {
    let others = vec![
        TypeSignatureClass::Native(logical_date()),
        TypeSignatureClass::Native(logical_string()),
    ];
    Coercion::new_implicit(
        TypeSignatureClass::Timestamp,
        others,
        NativeType::Timestamp(TimeUnit::Microsecond, None),
    )
}
