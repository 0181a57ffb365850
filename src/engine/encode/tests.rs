use datafusion::arrow::array::{
    BinaryArray, BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, ListArray, NullArray, StringArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};

use super::*;

/// One column's answer: `(type, encoding, values)` as compact JSON.
#[track_caller]
fn check(column: impl Array + 'static, expected: &str) {
    let batch = RecordBatch::try_from_iter([("c", Arc::new(column) as ArrayRef)]).unwrap();
    let page = Page {
        schema: batch.schema(),
        batches: vec![batch],
        truncated: false,
    };
    let response: Value =
        serde_json::from_slice(&response(&page, Instant::now(), 1 << 20).unwrap()).unwrap();
    let values: Vec<&Value> = response["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row[0])
        .collect();
    let column = &response["columns"][0];
    let encoding = column
        .get("encoding")
        .map(|encoding| format!(" {encoding}"))
        .unwrap_or_default();
    let shown = format!(
        "{}{encoding} {}",
        column["type"].as_str().unwrap(),
        serde_json::to_string(&values).unwrap()
    );
    assert_eq!(shown, expected);
}

#[test]
fn a_bigint_column_is_text_throughout_once_one_value_needs_it() {
    check(
        Int64Array::from(vec![Some(9_007_199_254_740_991), None]),
        "BIGINT [9007199254740991,null]",
    );
    check(
        Int64Array::from(vec![9_007_199_254_740_992, 1]),
        r#"BIGINT "string" ["9007199254740992","1"]"#,
    );
    check(
        Int64Array::from(vec![i64::MIN, i64::MAX]),
        r#"BIGINT "string" ["-9223372036854775808","9223372036854775807"]"#,
    );
    check(
        UInt64Array::from(vec![u64::MAX, 1]),
        r#"BIGINT "string" ["18446744073709551615","1"]"#,
    );
}

#[test]
fn unsigned_numbers_are_numbers_too() {
    check(UInt64Array::from(vec![1, 2]), "BIGINT [1,2]");
}

#[test]
fn decimals_keep_their_scale() {
    let decimals = Decimal128Array::from(vec![110, -5])
        .with_precision_and_scale(10, 2)
        .unwrap();
    check(decimals, r#"DECIMAL(10,2) ["1.10","-0.05"]"#);
    let tiny = Decimal128Array::from(vec![1])
        .with_precision_and_scale(38, 38)
        .unwrap();
    check(
        tiny,
        r#"DECIMAL(38,38) ["0.00000000000000000000000000000000000001"]"#,
    );
}

#[test]
fn floats_are_shortest_and_what_json_lacks_is_text() {
    check(
        Float64Array::from(vec![0.1, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        r#"DOUBLE [0.1,-0.0,"NaN","Infinity","-Infinity"]"#,
    );
    // As a double, 0.1f32 would read 0.10000000149011612: compare the text itself.
    let mut encoder = Encoder {
        out: Vec::new(),
        integers_as_text: false,
    };
    let column: ArrayRef = Arc::new(Float32Array::from(vec![0.1]));
    encoder.value(&column, 0).unwrap();
    assert_eq!(encoder.out, b"0.1");
}

#[test]
fn timestamps_have_only_the_digits_they_need() {
    let base = 1_737_376_496_000_000_i64;
    let micros = vec![base, base + 120_000, base + 123_456, -1];
    let expected = r#"["2025-01-20T12:34:56Z","2025-01-20T12:34:56.120Z","2025-01-20T12:34:56.123456Z","1969-12-31T23:59:59.999999Z"]"#;
    check(
        TimestampMicrosecondArray::from(micros.clone()).with_timezone("UTC"),
        &format!("TIMESTAMP {expected}"),
    );
    check(
        TimestampMicrosecondArray::from(micros),
        &format!("TIMESTAMP_NTZ {}", expected.replace('Z', "")),
    );
    check(
        TimestampNanosecondArray::from(vec![1]).with_timezone("+02:00"),
        r#"TIMESTAMP ["1970-01-01T00:00:00.000000001Z"]"#,
    );
    check(
        Date32Array::from(vec![20_108, 2_932_897, -719_529]),
        r#"DATE ["2025-01-20","+10000-01-01","-0001-12-31"]"#,
    );
}

#[test]
fn text_binary_and_booleans() {
    check(
        StringArray::from(vec!["a\"\u{0}\u{1F600}"]),
        "STRING [\"a\\\"\\u0000\u{1F600}\"]",
    );
    check(StringViewArray::from(vec!["view"]), r#"STRING ["view"]"#);
    check(
        BinaryArray::from(vec![&[1_u8, 2, 255][..]]),
        r#"BINARY ["AQL/"]"#,
    );
    check(
        BooleanArray::from(vec![Some(true), None]),
        "BOOLEAN [true,null]",
    );
    check(NullArray::new(1), "VOID [null]");
    check(
        "a a b".split(' ').collect::<DictionaryArray<Int32Type>>(),
        r#"STRING ["a","a","b"]"#,
    );
}

#[test]
fn nested_values_are_json_and_keep_nulls() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    check(list, "ARRAY<BIGINT> [[1,null],null,[]]");
    let large = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![
        Some(i64::MAX),
        Some(1),
    ])]);
    check(
        large,
        r#"ARRAY<BIGINT> "string" [["9223372036854775807","1"]]"#,
    );
    let fields = [
        (
            "a",
            Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
        ),
        ("b", Arc::new(StringArray::from(vec!["x", "y"]))),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, column)| {
            (
                Arc::new(Field::new(name, column.data_type().clone(), true)),
                column,
            )
        })
        .collect();
    check(
        StructArray::from(fields),
        r#"STRUCT<a: INT, b: STRING> [{"a":1,"b":"x"},{"a":null,"b":"y"}]"#,
    );
}

#[test]
fn an_answer_beyond_its_bytes_is_refused() {
    let batch = RecordBatch::try_from_iter([(
        "c",
        Arc::new(StringArray::from(vec!["x"; 100])) as ArrayRef,
    )])
    .unwrap();
    let page = Page {
        schema: batch.schema(),
        batches: vec![batch],
        truncated: false,
    };
    assert!(
        response(&page, Instant::now(), 100)
            .unwrap_err()
            .message()
            .contains("larger than 100 bytes")
    );
}
