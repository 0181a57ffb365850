//! What tells the rows of a copy apart.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use rules::{Error, Result};

/// A row's key, as a hash that no two keys share.
pub(super) type Key = [u8; 16];

/// Whether rows can be told apart by columns of this type.
///
/// # Errors
/// `Invalid`.
pub fn check_key_type(data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Utf8 | DataType::Int64 | DataType::Binary => Ok(()),
        _ => Err(Error::invalid(
            "rows are told apart by an _id that is an ObjectId, a text, a whole number, binary or JSON; declare the column \
             _id as JSON, or leave --since-field out",
        )),
    }
}

/// Whether each row has a key.
///
/// # Errors
/// `Invalid`.
pub fn check_keys(column: &dyn Array) -> Result<()> {
    match column.null_count() {
        0 => Ok(()),
        _ => Err(Error::invalid(
            "a document has an _id that does not fit its column; declare the column _id as JSON, and give --full",
        )),
    }
}

/// The keys of rows.
///
/// # Errors
/// `Invalid`.
pub(super) fn keys(column: &dyn Array) -> Result<Vec<Key>> {
    let hash = |bytes: &[u8]| {
        let hash = blake3::hash(bytes);
        let mut key = Key::default();
        key.copy_from_slice(&hash.as_bytes()[..16]);
        key
    };
    check_key_type(column.data_type())?;
    check_keys(column)?;
    let keys = match column.data_type() {
        DataType::Int64 => {
            let numbers = column.as_primitive::<Int64Type>().iter().flatten();
            numbers.map(|number| hash(&number.to_le_bytes())).collect()
        }
        DataType::Binary => {
            let bytes = column.as_binary::<i32>().iter().flatten();
            bytes.map(hash).collect()
        }
        _ => {
            let texts = column.as_string::<i32>().iter().flatten();
            texts.map(|text| hash(text.as_bytes())).collect()
        }
    };
    Ok(keys)
}
