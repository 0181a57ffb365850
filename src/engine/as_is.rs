//! Functions that change nothing but what the engine believes of their value.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// A value of which the engine believes that it may be NULL.
pub(super) fn may_be_null() -> ScalarUDF {
    // Volatile: else a constant would be put in its place.
    AsIs::function("may_be_null", Volatility::Volatile)
}

/// A value which the engine takes for no constant: it has one for each row.
pub(super) fn of_each_row() -> ScalarUDF {
    AsIs::function("of_each_row", Volatility::Immutable)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsIs {
    name: &'static str,
    signature: Signature,
}

impl AsIs {
    fn function(name: &'static str, volatility: Volatility) -> ScalarUDF {
        let signature = Signature::any(1, volatility);
        ScalarUDF::from(Self { name, signature })
    }
}

impl ScalarUDFImpl for AsIs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let value = args.args.into_iter().next();
        let value = value.ok_or_else(|| DataFusionError::Internal("no value".to_owned()))?;
        Ok(ColumnarValue::Array(value.into_array(rows)?))
    }
}
