//! Documents of a collection as rows, from any bytes: read or refused, the same each time, every row with all its cells,
//! and what is JSON is JSON.
//!
//! The input is one document, or a batch of them as a server's answer has it.
#![no_main]

use arrow_array::cast::AsArray;
use arrow_array::RecordBatch;
use bson::{Document, RawDocument};
use collections::{Column, Decoder, Error, Kind, Path, documents, infer};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;

const KINDS: &[Kind] = &[
    Kind::String,
    Kind::ObjectId,
    Kind::Boolean,
    Kind::BigInt,
    Kind::Double,
    Kind::Decimal { precision: 38, scale: 9 },
    Kind::Timestamp,
    Kind::Binary,
    Kind::Json,
];

/// Of every kind at several places, and what is inferred.
fn columns(rows: &[&RawDocument]) -> Vec<Column> {
    let of_path = |path: &str| {
        let path = Path::parse(path).expect("a path");
        KINDS.iter().map(move |&kind| Column { name: format!("{path} {kind}"), path: path.clone(), kind })
    };
    let declared = ["a", "b", "a.b", "a.0", "a.b.c"].into_iter().flat_map(of_path);
    declared.chain(infer(rows.iter().copied())).collect()
}

fn decoded(columns: &[Column], rows: &[&RawDocument], is_strict: bool) -> Result<RecordBatch, Error> {
    let mut decoder = Decoder::new(columns, is_strict);
    for (index, row) in rows.iter().enumerate() {
        if let Err(error) = decoder.push(row) {
            assert_eq!(decoder.finish().num_rows(), 0);
            return Err(error);
        }
        assert_eq!(decoder.len(), index + 1);
    }
    let has_misfits = decoder.misfits().any(|(_, count)| count > 0);
    assert!(!(is_strict && has_misfits));
    Ok(decoder.finish())
}

fn check(columns: &[Column], batch: &RecordBatch) {
    for (column, array) in columns.iter().zip(batch.columns()) {
        if column.kind != Kind::Json {
            continue;
        }
        for text in array.as_string::<i32>().iter().flatten() {
            let mut reader = serde_json::Deserializer::from_str(text);
            // Its readers have bounds of depth; whether this is JSON is not about these.
            match Value::deserialize(&mut reader) {
                Ok(_) => reader.end().expect("the end of the text"),
                Err(error) => assert!(error.to_string().contains("recursion limit"), "{error}: {text}"),
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let one = RawDocument::from_bytes(bytes).into_iter();
    let all = documents(bytes).map_while(Result::ok);
    for rows in [one.collect::<Vec<_>>(), all.collect()] {
        let columns = columns(&rows);
        let batch = decoded(&columns, &rows, false);
        assert_eq!(decoded(&columns, &rows, false), batch);
        match &batch {
            Ok(batch) => {
                assert_eq!(batch.num_rows(), rows.len());
                check(&columns, batch);
            }
            // Then it is no document for `bson` either, or one that is too deep for it to be tried.
            Err(Error::Malformed) => assert!(rows.iter().any(|row| Document::try_from(*row).is_err())),
            Err(error) => assert_eq!(*error, Error::TooDeep),
        }
        if let Ok(strict) = decoded(&columns, &rows, true) {
            assert_eq!(batch, Ok(strict));
        }
    }
});
