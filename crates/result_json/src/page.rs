//! One page of rows as the response of a synchronous query.

use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::{Value, json};

use crate::column::Column;
use crate::{Error, Result, type_name};

/// Rows of one answer. `truncated` is true exactly when the query had at least one row more.
#[derive(Debug)]
pub struct Page {
    /// Names and types of the columns.
    pub schema: SchemaRef,
    /// The rows, columns as in `schema`.
    pub batches: Vec<RecordBatch>,
    /// There were more rows.
    pub truncated: bool,
}

impl Page {
    /// The response body: `execution_time_ms` since `started`, `result`, `truncated`, `columns`.
    ///
    /// A column in which any whole number is beyond ±(2^53 − 1) has text for all of them, and `"encoding": "string"`.
    ///
    /// # Errors
    /// When the JSON is larger than `bytes_max`, or a value cannot be shown.
    pub fn response(&self, started: Instant, bytes_max: usize) -> Result<Vec<u8>> {
        let fields = self.schema.fields();
        let batches = self
            .batches
            .iter()
            .map(Column::of_batch)
            .collect::<Result<Vec<_>>>()?;
        let as_text: Vec<bool> = (0..fields.len())
            .map(|index| batches.iter().any(|batch| batch[index].holds_large()))
            .collect();
        let mut out = b"{\"result\":[".to_vec();
        let mut first = true;
        for (batch, columns) in self.batches.iter().zip(&batches) {
            for row in 0..batch.num_rows() {
                out.extend_from_slice(if first { b"[" } else { b",[" });
                first = false;
                for (index, column) in columns.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    column.write(row, as_text[index], &mut out)?;
                }
                out.push(b']');
                if out.len() > bytes_max {
                    return Err(Error::TooLarge(bytes_max));
                }
            }
        }
        let columns: Vec<Value> = fields
            .iter()
            .zip(as_text)
            .map(|(field, as_text)| {
                let mut column =
                    json!({"name": field.name(), "type": type_name(field.data_type())});
                if as_text {
                    column["encoding"] = "string".into();
                }
                column
            })
            .collect();
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let tail =
            json!({"truncated": self.truncated, "columns": columns, "execution_time_ms": millis})
                .to_string();
        out.extend_from_slice(b"],");
        out.extend_from_slice(tail.trim_start_matches('{').as_bytes());
        // Names of columns may be long too.
        match out.len() > bytes_max {
            true => Err(Error::TooLarge(bytes_max)),
            false => Ok(out),
        }
    }
}
