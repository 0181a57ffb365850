//! What the types of Parquet files become, and what is refused.

use std::sync::Arc;

use ::parquet::data_type::{Int96, Int96Type};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type};

use super::*;

fn parquet_file(columns: Vec<(&str, ArrayRef)>) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(nullable).unwrap();
    let mut writer = ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

#[track_caller]
fn check(array: impl Array + 'static, expected: &str) {
    let file = parquet_file(vec![("a", Arc::new(array))]);
    assert_eq!(
        render(read(file.path(), Format::Parquet, None)),
        format!("a:{expected}")
    );
}

/// As `check`, for a table whose column is of another kind.
#[track_caller]
fn check_as(kind: Kind, array: impl Array + 'static, expected: &str) {
    let file = parquet_file(vec![("a", Arc::new(array))]);
    let shown = render(read(
        file.path(),
        Format::Parquet,
        Some(&[column("a", kind)]),
    ));
    assert_eq!(
        shown
            .split_once(" | ")
            .map_or(shown.as_str(), |(_, rows)| rows),
        expected
    );
}

#[test]
fn numbers_become_the_kind_that_holds_them_all() {
    check(Int8Array::from(vec![Some(-1), None]), "BigInt | -1 | null");
    check(UInt32Array::from(vec![u32::MAX]), "BigInt | 4294967295");
    check(
        UInt64Array::from(vec![u64::MAX]),
        "Decimal { precision: 20, scale: 0 } | 18446744073709551615",
    );
    check(
        Float32Array::from(vec![0.5, f32::NAN]),
        "Double | 0.5 | NaN",
    );
    let decimal = Decimal128Array::from(vec![12345])
        .with_precision_and_scale(7, 2)
        .unwrap();
    check(decimal, "Decimal { precision: 7, scale: 2 } | 123.45");
    let decimal = Decimal256Array::from(vec![arrow::datatypes::i256::from_i128(12345)]);
    check(
        decimal.with_precision_and_scale(60, 2).unwrap(),
        "Text | 123.45",
    );
}

#[test]
fn texts_of_every_layout_are_text() {
    check(StringArray::from(vec![Some("x"), None]), "Text | x | null");
    check(LargeStringArray::from(vec!["x"]), "Text | x");
    check(
        StringViewArray::from(vec!["a text longer than a view"]),
        "Text | a text longer than a view",
    );
    check(
        DictionaryArray::<Int8Type>::from_iter([Some("x"), None, Some("x")]),
        "Text | x | null | x",
    );
    check(
        Time32MillisecondArray::from(vec![3_723_004]),
        "Text | 01:02:03.004",
    );
}

#[test]
fn bytes_booleans_and_days_keep_their_kind() {
    check(
        BinaryArray::from(vec![b"\xff\x00".as_slice()]),
        "Binary | ff00",
    );
    check(
        FixedSizeBinaryArray::try_from_iter([b"ab"].iter()).unwrap(),
        "Binary | 6162",
    );
    check(BooleanArray::from(vec![true]), "Boolean | true");
    check(
        Date32Array::from(vec![Some(20_000), None]),
        "Date | 2024-10-04 | null",
    );
    check(NullArray::new(2), "Null | null | null");
}

#[test]
fn timestamps_of_every_unit_become_microseconds() {
    check(
        TimestampSecondArray::from(vec![1]),
        "TimestampNtz | 1970-01-01T00:00:01",
    );
    check(
        TimestampMillisecondArray::from(vec![-1]).with_timezone("+02:00"),
        "Timestamp | 1969-12-31T23:59:59.999Z",
    );
    check(
        TimestampMicrosecondArray::from(vec![1]).with_timezone("Europe/Paris"),
        "Timestamp | 1970-01-01T00:00:00.000001Z",
    );
    check(
        TimestampNanosecondArray::from(vec![Some(1_000), None]),
        "TimestampNtz | 1970-01-01T00:00:00.000001 | null",
    );
}

#[test]
fn a_timestamp_that_microseconds_do_not_hold_is_refused_by_column() {
    let message = |array: ArrayRef| {
        let file = parquet_file(vec![("seen_at", array)]);
        render(read(file.path(), Format::Parquet, None))
    };
    for (array, value) in [
        (
            Arc::new(TimestampNanosecondArray::from(vec![1_001])) as ArrayRef,
            "1001 (Nanosecond",
        ),
        (
            Arc::new(TimestampSecondArray::from(vec![i64::MAX])),
            "9223372036854775807 (Second",
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN])),
            "-9223372036854775808 (Microsecond",
        ),
    ] {
        let expected = format!(
            "column \"seen_at\": Cast error: TIMESTAMP, which has microseconds and the years 1 to 9999, \
             does not hold {value}s since 1970) exactly; round or remove it"
        );
        assert_eq!(message(array), expected);
    }
}

#[test]
fn the_old_96_bit_timestamps_are_instants_of_any_year() {
    let file = NamedTempFile::new().unwrap();
    let schema = Arc::new(parse_message_type("message rows { optional int96 a; }").unwrap());
    let mut writer =
        SerializedFileWriter::new(file.reopen().unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // Julian day 5,373,484 is 9999-12-31; the first two words are the day's nanoseconds.
    let value = Int96::from(vec![1_000, 0, 5_373_484]);
    column
        .typed::<Int96Type>()
        .write_batch(&[value], Some(&[1, 0]), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let shown = render(read(file.path(), Format::Parquet, None));
    assert_eq!(shown, "a:Timestamp | 9999-12-31T00:00:00.000001Z | null");
}

#[test]
fn nested_values_are_json_with_explicit_nulls() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    check(list, "Json | [1,null] | null | []");
    let fields = vec![
        (
            Arc::new(Field::new("b", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("x\""), None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("c", DataType::Float64, true)),
            Arc::new(Float64Array::from(vec![1.5, f64::NAN])),
        ),
    ];
    check(
        StructArray::from(fields),
        r#"Json | {"b":"x\"","c":1.5} | {"b":null,"c":null}"#,
    );
    let entries = StructArray::from(vec![
        (
            Arc::new(Field::new("keys", DataType::Utf8, false)),
            Arc::new(StringArray::from(vec!["k"])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("values", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![None])),
        ),
    ]);
    let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths([1, 0]);
    let nulls = Some(NullBuffer::from(vec![true, false]));
    check(
        MapArray::new(field, offsets, entries, nulls, false),
        r#"Json | {"k":null} | null"#,
    );
}

#[test]
fn a_wider_table_takes_the_rows_as_its_own_columns() {
    check_as(
        Kind::Double,
        Int32Array::from(vec![Some(3), None]),
        "3.0 | null",
    );
    check_as(Kind::Text, Int64Array::from(vec![3]), "3");
    check_as(Kind::Text, BooleanArray::from(vec![true]), "true");
    check_as(
        Kind::Text,
        TimestampMillisecondArray::from(vec![0]).with_timezone("UTC"),
        "1970-01-01T00:00:00Z",
    );
    check_as(Kind::Text, Date32Array::from(vec![0]), "1970-01-01");
    check_as(
        Kind::Text,
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]),
        "[1]",
    );
    check_as(Kind::Timestamp, NullArray::new(1), "null");
    let refused = "column \"a\": Cast error: DOUBLE does not hold 9007199254740993 exactly";
    check_as(
        Kind::Double,
        Int64Array::from(vec![9_007_199_254_740_993]),
        refused,
    );
}

#[test]
fn columns_are_matched_by_name() {
    let file = parquet_file(vec![
        ("a", Arc::new(Int64Array::from(vec![1]))),
        ("b", Arc::new(Int64Array::from(vec![2]))),
    ]);
    let table = [
        column("b", Kind::BigInt),
        column("c", Kind::Date),
        column("a", Kind::BigInt),
    ];
    let shown = render(read(file.path(), Format::Parquet, Some(&table)));
    assert_eq!(shown, "a:BigInt b:BigInt | 2 null 1");
    let shown = render(read(file.path(), Format::Parquet, Some(&table[..2])));
    assert_eq!(
        shown,
        "column \"a\" is new; was the file changed? try again"
    );
}

#[test]
fn what_no_table_can_hold_is_refused() {
    let message = |columns| render(read(parquet_file(columns).path(), Format::Parquet, None));
    let one = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    assert_eq!(
        message(vec![("a", Arc::new(Int64Array::from(Vec::<i64>::new())))]),
        "the file has no rows"
    );
    assert_eq!(
        message(vec![("a", one()), ("a", one())]),
        "two columns have the name \"a\"; rename one"
    );
    assert!(message(vec![("a b", one())]).starts_with("column \"a b\" has ' ' in its name"));
    assert!(
        message(vec![("a", one()), ("A", one())])
            .starts_with("columns \"a\" and \"A\" differ only in case")
    );
    let text = file(b"a,b\n1,2\n");
    let shown = render(read(text.path(), Format::Parquet, None));
    assert!(
        shown.starts_with("the file cannot be read as Parquet: "),
        "{shown}"
    );
}
