//! Rows as JSON: whatever the types and values, the output is JSON and decodes to the same values.
#![no_main]

mod cells;

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use result_json::{Error, Lines, Page, type_name};
use serde_json::Value;

use cells::{Cell, Type};

const ROWS_MAX: usize = 8;

struct Case {
    types: Vec<Type>,
    rows: Vec<Vec<Cell>>,
}

fn case(input: &mut Unstructured<'_>) -> Result<Case> {
    let types: Vec<Type> = (0..input.int_in_range(1..=4)?)
        .map(|_| Type::any(input, 3))
        .collect::<Result<_>>()?;
    let rows = (0..input.int_in_range(0..=ROWS_MAX)?)
        .map(|_| types.iter().map(|kind| Cell::any(kind, input)).collect())
        .collect::<Result<_>>()?;
    Ok(Case { types, rows })
}

impl Case {
    fn batch(&self) -> RecordBatch {
        let columns = self.types.iter().enumerate().map(|(index, kind)| {
            let cells: Vec<&Cell> = self.rows.iter().map(|row| &row[index]).collect();
            cells::array(kind, &cells)
        });
        let columns: Vec<_> = columns.collect();
        let fields = columns.iter().enumerate().map(|(index, column)| {
            Field::new(format!("c{index}"), column.data_type().clone(), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, columns).expect("columns of one length")
    }

    fn check_page(&self, batch: &RecordBatch, body: &[u8]) {
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let rows = body["result"].as_array().expect("rows");
        assert_eq!(rows.len(), self.rows.len());
        for (index, field) in batch.schema().fields().iter().enumerate() {
            let column = &body["columns"][index];
            assert_eq!(column["type"], type_name(field.data_type()));
            let as_text = column.get("encoding").is_some();
            let large = self.rows.iter().any(|row| row[index].is_large());
            assert_eq!(as_text, large, "{column}");
            for (row, cells) in rows.iter().zip(&self.rows) {
                cells[index].check(&row[index], as_text);
            }
        }
    }

    fn check_lines(&self, lines: &[u8]) {
        let text = std::str::from_utf8(lines).expect("UTF-8");
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        assert_eq!(lines.len(), self.rows.len());
        for (line, cells) in lines.iter().zip(&self.rows) {
            let line: Value = serde_json::from_str(line).expect("JSON");
            for (index, cell) in cells.iter().enumerate() {
                cell.check(&line[format!("c{index}")], false);
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Ok(case) = case(&mut Unstructured::new(input)) else {
        return;
    };
    let batch = case.batch();
    let page = Page {
        schema: batch.schema(),
        batches: vec![batch.clone()],
        truncated: false,
    };
    match page.response(Instant::now(), usize::MAX) {
        Ok(body) => case.check_page(&batch, &body),
        // Only an instant that no calendar has.
        Err(error) => return assert!(matches!(error, Error::Beyond(_)), "{error}"),
    }
    let mut lines = Vec::new();
    Lines::new(&batch.schema())
        .write(&batch, &mut lines)
        .expect("as in the page");
    case.check_lines(&lines);
});
