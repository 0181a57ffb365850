//! A function that changes nothing but what the engine believes of its value.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// A value as it is, of which the engine believes that it may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct MayBeNull {
    signature: Signature,
}

impl MayBeNull {
    pub(super) fn new() -> Self {
        Self {
            // Else a constant would be put in its place.
            signature: Signature::any(1, Volatility::Volatile),
        }
    }
}

impl ScalarUDFImpl for MayBeNull {
    fn name(&self) -> &'static str {
        "may_be_null"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.into_iter().next();
        value.ok_or_else(|| DataFusionError::Internal("no value".to_owned()))
    }
}
