//! Functions of JSON texts.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;

use super::json_path::JsonPath;
use super::kernel::{Kernel, text_arguments, texts};

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![Kernel::udf(
        "get_json_object(json, path)",
        "What lies at a path such as $.a['b c'][0] of a JSON text: a text bare, everything else as JSON; NULL where there \
         is nothing, the text is no JSON or the path is none. [*] takes all members of a list.",
        text_arguments(2),
        DataType::Utf8,
        get_json_object,
    )]
}

fn get_json_object(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (json, paths) = (texts(&args[0])?, texts(&args[1])?);
    let mut values = StringBuilder::new();
    // The path is nearly always one constant.
    let mut known: Option<(&str, Option<JsonPath>)> = None;
    for (json, path) in json.iter().zip(&paths) {
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
    Ok(Arc::new(values.finish()) as ArrayRef)
}
