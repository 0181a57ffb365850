//! Helpers shared by this module's tests, and what holds for every format.

mod parquet;
mod properties;
mod text;

use std::io::Write;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use tempfile::NamedTempFile;

use super::*;

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Both passes over a file, the second one with `columns` or those of the survey.
fn read(
    path: &Path,
    format: Format,
    columns: Option<&[Column]>,
) -> Result<(Survey, Vec<RecordBatch>)> {
    let survey = survey(path, format, &mut |_| {})?;
    let columns = columns.unwrap_or(&survey.columns);
    let batches = batches(path, format, columns, |_| {})?.collect::<Result<_>>()?;
    Ok((survey, batches))
}

/// `a:BigInt b:Text | 1 x | null y`, or the error's message.
fn render(read: Result<(Survey, Vec<RecordBatch>)>) -> String {
    let (survey, batches) = match read {
        Ok(read) => read,
        Err(error) => {
            assert_eq!(error.kind(), &rules::Kind::Invalid);
            return error.message().to_owned();
        }
    };
    let columns: Vec<_> = survey
        .columns
        .iter()
        .map(|c| format!("{}:{:?}", c.name, c.kind))
        .collect();
    let mut parts = vec![columns.join(" ")];
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .map(|column| match column.is_null(row) {
                    true => "null".to_owned(),
                    false => array_value_to_string(column, row).unwrap(),
                });
            parts.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    assert_eq!(survey.rows as usize, parts.len() - 1);
    parts.join(" | ")
}

#[track_caller]
fn check(format: Format, text: impl AsRef<[u8]>, expected: &str) {
    let file = file(text.as_ref());
    assert_eq!(render(read(file.path(), format, None)), expected);
}

fn column(name: &str, kind: Kind) -> Column {
    Column {
        name: name.to_owned(),
        kind,
    }
}

#[test]
fn a_files_extension_names_its_format_in_any_case() {
    for (name, format) in [
        ("a.ndjson", Format::NdJson),
        ("a.b.JSONL", Format::NdJson),
        ("a.json", Format::JsonArray),
        ("a.Csv", Format::Csv),
        ("a.parquet", Format::Parquet),
    ] {
        assert_eq!(Format::of(Path::new(name)).unwrap(), format);
    }
    for name in ["a.xlsx", "a", "csv", ".json"] {
        let message = Format::of(Path::new(name))
            .unwrap_err()
            .message()
            .to_owned();
        assert!(
            message.contains(name) && message.contains(".parquet"),
            "{message}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_says_so() {
    for format in [
        Format::NdJson,
        Format::JsonArray,
        Format::Csv,
        Format::Parquet,
    ] {
        let error = survey(Path::new("no such file"), format, &mut |_| {}).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("the file cannot be read: No such file"),
            "{error}"
        );
    }
}

#[test]
fn a_column_and_its_field_in_a_table_are_one_thing() {
    for kind in [
        Kind::Boolean,
        Kind::BigInt,
        Kind::Double,
        Kind::Decimal {
            precision: 12,
            scale: 2,
        },
        Kind::Text,
        Kind::Timestamp,
        Kind::TimestampNtz,
        Kind::Date,
        Kind::Binary,
    ] {
        let column = column("a", kind);
        assert!(column.arrow_field().is_nullable());
        assert_eq!(Column::of_field(&column.arrow_field()), Some(column));
    }
    let other = column("a", Kind::Text)
        .arrow_field()
        .with_data_type(arrow::datatypes::DataType::Int32);
    assert_eq!(Column::of_field(&other), None);
}

#[test]
fn a_tables_column_takes_its_own_kind_and_what_it_holds_exactly() {
    let decimal = Kind::Decimal {
        precision: 5,
        scale: 2,
    };
    let kinds = [
        Kind::Null,
        Kind::Boolean,
        Kind::BigInt,
        Kind::Double,
        decimal,
        Kind::Text,
        Kind::Json,
        Kind::Timestamp,
        Kind::TimestampNtz,
        Kind::Date,
        Kind::Binary,
    ];
    for held in kinds {
        let taken: Vec<Kind> = kinds
            .into_iter()
            .filter(|&kind| reconcile(&[column("a", kind)], &[column("a", held)]).is_ok())
            .collect();
        let expected = match held {
            Kind::Null | Kind::Text | Kind::Json => kinds[..10].to_vec(),
            Kind::Double => vec![Kind::Null, Kind::BigInt, Kind::Double],
            _ => vec![Kind::Null, held],
        };
        assert_eq!(taken, expected, "{held:?}");
    }
}

#[test]
fn a_column_that_does_not_fit_its_table_is_named_with_both_kinds() {
    let table = [column("a", Kind::BigInt), column("b", Kind::Text)];
    let message = |file: &[Column]| reconcile(file, &table).unwrap_err().message().to_owned();
    assert_eq!(
        message(&[column("a", Kind::Timestamp)]),
        "column \"a\" is TIMESTAMP in the file but BIGINT in the table; \
         change the file, or give --replace to make the table anew from this file"
    );
    assert_eq!(
        message(&[column("A", Kind::Double)]),
        "column \"A\" (DOUBLE in the file) is not in the table; \
         leave it out, or give --replace to make the table anew from this file"
    );
    assert!(reconcile(&[column("b", Kind::Double)], &table).is_ok());
}

#[test]
fn batches_are_bounded_in_rows_and_in_bytes() {
    let sizes = |text: &str| -> Vec<usize> {
        let (_, batches) = read(file(text.as_bytes()).path(), Format::NdJson, None).unwrap();
        batches.iter().map(RecordBatch::num_rows).collect()
    };
    assert_eq!(sizes(&"{\"a\":1}\n".repeat(20_000)), [8_192, 8_192, 3_616]);
    let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(5 * 1024 * 1024));
    assert_eq!(sizes(&long.repeat(7)), [4, 3]);
}

#[test]
fn a_row_that_never_ends_is_refused_before_it_fills_memory() {
    let endless = NamedTempFile::new().unwrap();
    endless
        .as_file()
        .set_len(source::ROW_BYTES_MAX + 1024 * 1024)
        .unwrap();
    let error = survey(endless.path(), Format::NdJson, &mut |_| {}).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("line 1: the row up to here is longer than 64 MiB"),
        "{error}"
    );
}

#[test]
fn progress_ends_with_the_files_size_in_both_passes() {
    let mut writer = ArrowWriter::try_new(
        Vec::new(),
        Arc::new(Schema::new(vec![column("a", Kind::BigInt).arrow_field()])),
        None,
    )
    .unwrap();
    let array = arrow::array::Int64Array::from(vec![1, 2, 3]);
    writer
        .write(&RecordBatch::try_from_iter([("a", Arc::new(array) as _)]).unwrap())
        .unwrap();
    for (format, bytes) in [
        (Format::NdJson, b"\xef\xbb\xbf{\"a\":1}\n{\"a\":2}".to_vec()),
        (
            Format::JsonArray,
            b" [{\"a\":1},\r\n{\"a\":2} ]\n ".to_vec(),
        ),
        (Format::Csv, b"7\r\n".repeat(3_000)),
        (Format::Parquet, writer.into_inner().unwrap()),
    ] {
        let file = file(&bytes);
        let mut told = Vec::new();
        let survey = survey(file.path(), format, &mut |read| told.push(read));
        let columns = survey.unwrap().columns;
        assert!(
            told.is_sorted() && told.last() == Some(&(bytes.len() as u64)),
            "{format:?} {told:?}"
        );
        told.clear();
        batches(file.path(), format, &columns, |read| told.push(read))
            .unwrap()
            .for_each(|batch| drop(batch.unwrap()));
        assert!(
            told.is_sorted() && told.last() == Some(&(bytes.len() as u64)),
            "{format:?} {told:?}"
        );
    }
}

#[test]
fn nothing_comes_behind_an_error() {
    let file = file(b"{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":2}\n");
    let mut batches = batches(
        file.path(),
        Format::NdJson,
        &[column("a", Kind::BigInt)],
        |_| {},
    )
    .unwrap();
    let error = batches.next().unwrap().unwrap_err();
    assert_eq!(
        error.message(),
        "line 2: column \"a\" is BIGINT, which does not hold \"x\" exactly"
    );
    assert!(batches.next().is_none());
}
