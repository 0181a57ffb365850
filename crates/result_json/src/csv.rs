//! Rows as comma-separated values (RFC 4180), the first line being the columns' names.

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Fields, Schema};

use crate::column::Column;
use crate::{Result, unique_names};

/// Writes rows as lines. `NULL` is an empty cell, an empty text is `""`; nested values are JSON; everything else is as
/// in JSON, without the quotes there.
#[derive(Debug)]
pub struct Csv {
    /// For each column, whether JSON writes its values between quotes, or as lists and objects.
    forms: Vec<Form>,
    cell: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Numbers and booleans: nothing to quote.
    Bare,
    Text,
    Other,
}

impl Csv {
    /// For rows with the columns of `schema`, whose names go to `out`; each once, as in [`crate::Lines`].
    pub fn new(schema: &Schema, out: &mut Vec<u8>) -> Self {
        for (index, name) in unique_names(schema.fields()).iter().enumerate() {
            separate(index, out);
            text(name, out);
        }
        out.extend_from_slice(b"\r\n");
        Self {
            forms: forms(schema.fields()),
            cell: Vec::new(),
        }
    }

    /// Appends every row of the batch to `out`, each with its line end.
    ///
    /// # Errors
    /// When a value cannot be shown; `out` may then end within a line.
    pub fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = Column::of_batch(batch)?;
        for row in 0..batch.num_rows() {
            for (index, (column, form)) in columns.iter().zip(&self.forms).enumerate() {
                separate(index, out);
                if column.is_null(row) {
                    continue;
                }
                match (form, column.text(row)) {
                    (Form::Text, Some(value)) => text(value, out),
                    (Form::Bare, _) => column.write(row, false, out)?,
                    _ => {
                        self.cell.clear();
                        column.write(row, false, &mut self.cell)?;
                        json(&self.cell, out);
                    }
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn forms(fields: &Fields) -> Vec<Form> {
    let form = |data_type: &DataType| match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Form::Text,
        // `NaN` is quoted in JSON.
        number if number.is_integer() => Form::Bare,
        DataType::Boolean => Form::Bare,
        _ => Form::Other,
    };
    fields.iter().map(|field| form(field.data_type())).collect()
}

/// A JSON value as a cell: a text without its quotes.
fn json(value: &[u8], out: &mut Vec<u8>) {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    match inner {
        // Decimals, instants, base64: nothing that JSON escapes.
        Some(inner) if !inner.contains(&b'\\') => cell(inner, out),
        Some(_) => {
            let value = serde_json::from_slice::<String>(value);
            text(&value.unwrap_or_default(), out);
        }
        None => cell(value, out),
    }
}

fn text(value: &str, out: &mut Vec<u8>) {
    match value {
        "" => out.extend_from_slice(b"\"\""),
        value => cell(value.as_bytes(), out),
    }
}

fn cell(value: &[u8], out: &mut Vec<u8>) {
    // A space at an end is text, which some readers trim away where it is not quoted.
    let bare = |byte: &u8| !matches!(byte, b',' | b'"' | b'\r' | b'\n');
    let spaced = value.first() == Some(&b' ') || value.last() == Some(&b' ');
    if value.iter().all(bare) && !spaced {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for part in value.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.last() == Some(&b'"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int64Builder, ListBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
        NullArray, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    #[test]
    fn nothing_is_an_empty_cell_wherever_it_is_kept() {
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        let dictionary =
            DictionaryArray::<Int32Type>::new(vec![Some(0), Some(1), None].into(), words);
        let columns: [(&str, ArrayRef); 3] = [
            ("n", Arc::new(NullArray::new(3))),
            ("d", Arc::new(dictionary)),
            ("i", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut out = Vec::new();
        let mut csv = Csv::new(&batch.schema(), &mut out);
        csv.write(&batch, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "n,d,i\r\n,a,1\r\n,,2\r\n,,3\r\n"
        );
    }

    #[test]
    fn values_are_cells() {
        let mut lists = ListBuilder::new(Int64Builder::new());
        lists.append_value([Some(1), None]);
        lists.append_null();
        lists.append_value([]);
        let texts = StringArray::from(vec![Some("a,\"b\"\n"), None, Some("")]);
        let decimals = Decimal128Array::from(vec![150, -1, 0])
            .with_precision_and_scale(10, 2)
            .unwrap();
        let instants = TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_500_000)]);
        let columns: [(&str, ArrayRef); 8] = [
            (
                "n",
                Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0)])),
            ),
            ("n", Arc::new(texts)),
            (
                "x",
                Arc::new(Float64Array::from(vec![1.5, f64::NAN, f64::NEG_INFINITY])),
            ),
            (
                "b",
                Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            ),
            ("d", Arc::new(decimals)),
            ("t", Arc::new(instants.with_timezone("UTC"))),
            ("l", Arc::new(lists.finish())),
            (
                " s",
                Arc::new(StringArray::from(vec![" x", "ü\u{2028}", "\\"])),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut out = Vec::new();
        let mut csv = Csv::new(&batch.schema(), &mut out);
        csv.write(&batch, &mut out).unwrap();
        let expected = [
            "n,n_2,x,b,d,t,l,\" s\"",
            "-9223372036854775808,\"a,\"\"b\"\"\n\",1.5,true,1.50,1970-01-01T00:00:00Z,\"[1,null]\",\" x\"",
            ",,NaN,,-0.01,,,ü\u{2028}",
            "0,\"\",-Infinity,false,0.00,1970-01-01T00:00:01.500Z,[],\\",
            "",
        ];
        assert_eq!(String::from_utf8(out).unwrap(), expected.join("\r\n"));
    }
}
