//! The scalar functions of the dialect: the engine's own, without those that tell about the engine, and the lakehouse
//! functions it lacks.

mod json_path;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use json_path::JsonPath;

/// Functions that show the engine or the lake's files.
const HIDDEN: [&str; 3] = ["version", "input_file_name", "file_row_index"];

/// All scalar functions a session has.
pub(super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let engine = SessionStateDefaults::default_scalar_functions();
    let engine = engine
        .into_iter()
        .filter(|function| !HIDDEN.contains(&function.name()));
    engine
        .chain([Arc::new(GetJsonObject::udf()), Arc::new(ToDay::udf())])
        .collect()
}

/// `get_json_object(json, path)`: what lies at `$.path[0]` of a JSON text; texts bare, everything else as JSON, `null`
/// where there is nothing, the text is no JSON or the path is none (Spark's function of that name).
#[derive(Debug, PartialEq, Eq, Hash)]
struct GetJsonObject {
    signature: Signature,
}

impl GetJsonObject {
    fn udf() -> ScalarUDF {
        let texts = TypeSignature::String(2);
        ScalarUDF::from(Self {
            signature: Signature::new(texts, Volatility::Immutable),
        })
    }
}

impl ScalarUDFImpl for GetJsonObject {
    fn name(&self) -> &'static str {
        "get_json_object"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [json, paths] = arrays.as_slice() else {
            return Err(DataFusionError::Execution(
                "get_json_object takes a text and a path".to_owned(),
            ));
        };
        let (json, paths) = (cast(json, &DataType::Utf8)?, cast(paths, &DataType::Utf8)?);
        let (json, paths) = (as_string_array(&json)?, as_string_array(&paths)?);
        let mut values = StringBuilder::new();
        // The path is nearly always one constant.
        let mut known: Option<(&str, Option<JsonPath>)> = None;
        for (json, path) in json.iter().zip(paths) {
            let (Some(json), Some(path)) = (json, path) else {
                values.append_null();
                continue;
            };
            if known.as_ref().is_none_or(|(text, _)| *text != path) {
                known = Some((path, JsonPath::parse(path)));
            }
            let path = known.as_ref().and_then(|(_, path)| path.as_ref());
            values.append_option(path.and_then(|path| path.get(json)));
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish()) as ArrayRef))
    }
}

/// `date(x)`: the day of an instant or of a text, as lakehouses call it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToDay {
    signature: Signature,
}

impl ToDay {
    fn udf() -> ScalarUDF {
        ScalarUDF::from(Self {
            signature: Signature::any(1, Volatility::Immutable),
        })
    }
}

impl ScalarUDFImpl for ToDay {
    fn name(&self) -> &'static str {
        "date"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Date32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [value] => value.cast_to(&DataType::Date32, None),
            _ => Err(DataFusionError::Execution(
                "date takes one value".to_owned(),
            )),
        }
    }
}
