use std::sync::Arc;
use std::time::Instant;

use arrow_array::builder::{Int32Builder, MapBuilder, StringBuilder};
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal32Array,
    Decimal128Array, Decimal256Array, DictionaryArray, DurationSecondArray, FixedSizeListArray,
    Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, LargeListArray,
    LargeStringArray, ListArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt8Array,
    UInt32Array, UInt64Array, UnionArray,
};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::{DataType, Field, Fields, Schema, UnionFields};
use serde_json::Value;

use super::{Lines, Page};

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
        serde_json::from_slice(&page.response(Instant::now(), 1 << 20).unwrap()).unwrap();
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

/// The columns' rows as newline-delimited JSON.
fn lines<const N: usize>(columns: [(&str, ArrayRef); N]) -> String {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let mut out = Vec::new();
    Lines::new(&schema).write(&batch, &mut out).unwrap();
    String::from_utf8(out).unwrap()
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
    let singles: ArrayRef = Arc::new(Float32Array::from(vec![0.1, f32::MAX, f32::NAN]));
    assert_eq!(
        lines([("c", singles)]),
        "{\"c\":0.1}\n{\"c\":3.4028235e+38}\n{\"c\":\"NaN\"}\n"
    );
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
        r#"DATE ["2025-01-20","+010000-01-01","-000001-12-31"]"#,
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
        page.response(Instant::now(), 100)
            .unwrap_err()
            .to_string()
            .contains("larger than 100 bytes")
    );
    // Names count too.
    let page = Page {
        schema: Arc::new(Schema::new(vec![Field::new(
            "x".repeat(100),
            DataType::Int64,
            true,
        )])),
        batches: Vec::new(),
        truncated: false,
    };
    assert!(page.response(Instant::now(), 100).is_err());
}

#[test]
fn decimals_have_the_zeros_of_a_negative_scale_and_all_digits() {
    let hundreds = Decimal128Array::from(vec![12, 0, -1]);
    check(
        hundreds.with_precision_and_scale(5, -2).unwrap(),
        r#"DECIMAL(5,-2) ["1200","0","-100"]"#,
    );
    let ends = Decimal128Array::from(vec![10_i128.pow(38) - 1, 1 - 10_i128.pow(38), 0]);
    check(
        ends.with_precision_and_scale(38, 0).unwrap(),
        r#"DECIMAL(38,0) ["99999999999999999999999999999999999999","-99999999999999999999999999999999999999","0"]"#,
    );
    let around_one = Decimal128Array::from(vec![99, 100, -100, 0]);
    check(
        around_one.with_precision_and_scale(10, 2).unwrap(),
        r#"DECIMAL(10,2) ["0.99","1.00","-1.00","0.00"]"#,
    );
}

#[test]
fn narrow_and_wide_forms_of_a_type_look_the_same() {
    check(Int8Array::from(vec![i8::MIN]), "TINYINT [-128]");
    check(UInt8Array::from(vec![u8::MAX]), "SMALLINT [255]");
    check(UInt32Array::from(vec![u32::MAX]), "BIGINT [4294967295]");
    check(LargeStringArray::from(vec!["x"]), r#"STRING ["x"]"#);
    check(Date64Array::from(vec![-1]), r#"DATE ["1969-12-31"]"#);
    let small = Decimal32Array::from(vec![-7]);
    check(
        small.with_precision_and_scale(9, 3).unwrap(),
        r#"DECIMAL(9,3) ["-0.007"]"#,
    );
    let wide = Decimal256Array::from(vec![i256::from_i128(100)]);
    check(
        wide.with_precision_and_scale(76, 2).unwrap(),
        r#"DECIMAL(76,2) ["1.00"]"#,
    );
    let items = vec![Some(vec![Some(1), None])];
    check(
        LargeListArray::from_iter_primitive::<Int32Type, _, _>(items.clone()),
        "ARRAY<INT> [[1,null]]",
    );
    check(
        FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(items, 2),
        "ARRAY<INT> [[1,null]]",
    );
}

#[test]
fn what_has_no_json_of_its_own_is_text() {
    check(
        DurationSecondArray::from(vec![90_061]),
        r#"INTERVAL ["PT90061S"]"#,
    );
    check(
        Time64MicrosecondArray::from(vec![1_500_000]),
        r#"STRING ["00:00:01.500"]"#,
    );
}

#[test]
fn maps_are_objects_where_keys_are_texts() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("a\"");
    map.values().append_value(1);
    map.keys().append_value("");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.append(true).unwrap();
    check(
        map.finish(),
        r#"MAP<STRING, INT> [{"":null,"a\"":1},null,{}]"#,
    );
    let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    map.keys().append_value(7);
    map.values().append_value("x");
    map.append(true).unwrap();
    check(
        map.finish(),
        r#"MAP<INT, STRING> [[{"key":7,"value":"x"}]]"#,
    );
}

#[test]
fn a_slice_shows_its_own_rows_and_is_judged_by_them() {
    let large = Some(vec![Some(i64::MAX)]);
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        large.clone(),
        Some(vec![Some(1)]),
        None,
        large,
    ]);
    check(list.slice(1, 2), "ARRAY<BIGINT> [[1],null]");
}

#[test]
fn what_a_null_hides_is_no_value() {
    let field = Arc::new(Field::new("a", DataType::Int64, true));
    let hidden: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1]));
    let nulls = NullBuffer::from(vec![false, true]);
    let rows = StructArray::new(Fields::from(vec![field]), vec![hidden], Some(nulls));
    check(rows, r#"STRUCT<a: BIGINT> [null,{"a":1}]"#);
}

#[test]
fn a_column_of_mixed_types_shows_texts() {
    let fields = UnionFields::try_new(
        [0, 1],
        [
            Field::new("int", DataType::Int64, true),
            Field::new("str", DataType::Utf8, true),
        ],
    )
    .unwrap();
    let children: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(5), None, None])),
        Arc::new(StringArray::from(vec![None, Some("x"), None])),
    ];
    let union = UnionArray::try_new(fields, vec![0_i8, 1, 0].into(), None, children).unwrap();
    check(union, r#"STRING ["5","x",null]"#);
}

#[test]
fn only_the_bigints_of_a_column_are_text() {
    let fields = [
        ("a", Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        ("b", Arc::new(Int64Array::from(vec![i64::MIN]))),
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
        r#"STRUCT<a: INT, b: BIGINT> "string" [{"a":1,"b":"-9223372036854775808"}]"#,
    );
}

#[test]
fn a_line_is_an_object_with_numbers_and_every_name_once() {
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["\u{2028}\n"]));
    assert_eq!(
        lines([
            ("a", Arc::clone(&whole)),
            ("a", text),
            ("a_2", whole),
            ("\"", Arc::new(NullArray::new(1))),
            ("a", Arc::new(BooleanArray::from(vec![false]))),
        ]),
        "{\"a\":-9223372036854775808,\"a_3\":\"\u{2028}\\n\",\"a_2\":-9223372036854775808,\"\\\"\":null,\"a_4\":false}\n"
    );
}

#[test]
fn an_instant_beyond_all_dates_is_refused() {
    let batch = RecordBatch::try_from_iter([(
        "c",
        Arc::new(Date32Array::from(vec![i32::MAX])) as ArrayRef,
    )])
    .unwrap();
    let refused = Lines::new(&batch.schema()).write(&batch, &mut Vec::new());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("cast it to a number")
    );
}
