//! Rows as objects, one a line: newline-delimited JSON.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_schema::{Fields, Schema};

use crate::column::Column;
use crate::{Result, value};

/// Writes rows as lines `{"column": value, …}`. Whole numbers are always JSON numbers.
#[derive(Debug)]
pub struct Lines {
    keys: Vec<Vec<u8>>,
}

impl Lines {
    /// For rows with the columns of `schema`. A name that occurs again becomes `name_2`, `name_3`: an object has each
    /// key once.
    pub fn new(schema: &Schema) -> Self {
        Self {
            keys: keys(schema.fields()),
        }
    }

    /// Appends every row of the batch to `out`, each with its line feed.
    ///
    /// # Errors
    /// When a value cannot be shown; `out` may then end within a line.
    pub fn write(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = Column::of_batch(batch)?;
        for row in 0..batch.num_rows() {
            object(&self.keys, &columns, row, false, out)?;
            out.push(b'\n');
        }
        Ok(())
    }
}

/// Appends one row of the columns as an object.
pub(crate) fn object(
    keys: &[Vec<u8>],
    columns: &[Column],
    row: usize,
    integers_as_text: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.push(b'{');
    for (index, (key, column)) in keys.iter().zip(columns).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        column.write(row, integers_as_text, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// For each field `"name":`, each name once.
pub(crate) fn keys(fields: &Fields) -> Vec<Vec<u8>> {
    let key = |name: String| {
        let mut key = Vec::new();
        value::text(&name, &mut key);
        key.push(b':');
        key
    };
    unique_names(fields).into_iter().map(key).collect()
}

/// The names of the fields, each once: one that occurs again becomes `name_2`, `name_3`.
pub fn unique_names(fields: &Fields) -> Vec<String> {
    let own: HashSet<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    let mut used = HashSet::new();
    let unique = fields.iter().map(|field| {
        let mut name = field.name().clone();
        let mut number = 1_u64;
        while used.contains(&name) || number > 1 && own.contains(name.as_str()) {
            number += 1;
            name = format!("{}_{number}", field.name());
        }
        used.insert(name.clone());
        name
    });
    unique.collect()
}
