//! What the text formats' values become, and what is refused.

use super::*;
use Format::{Csv, JsonArray, NdJson};

/// What one column of these JSON values is, and its cells.
#[track_caller]
fn check_values(values: &str, expected: &str) {
    let rows: Vec<String> = values
        .split(" ; ")
        .map(|value| format!("{{\"a\":{value}}}\n"))
        .collect();
    check(NdJson, rows.concat(), &format!("a:{expected}"));
}

/// What one column of these CSV cells is, and its cells.
#[track_caller]
fn check_cells(cells: &str, expected: &str) {
    check(
        Csv,
        format!("a\n{}\n", cells.replace(" ; ", "\n")),
        &format!("a:{expected}"),
    );
}

#[test]
fn a_column_of_one_kind_of_value_has_that_kind() {
    check_values("true ; null ; false", "Boolean | true | null | false");
    check_values(
        "1 ; -9223372036854775808 ; 9223372036854775807",
        "BigInt | 1 | -9223372036854775808 | 9223372036854775807",
    );
    check_values("1.5 ; 1e3 ; -0.25", "Double | 1.5 | 1000.0 | -0.25");
    check_values(r#""x" ; "" ; "caf\u00e9""#, "Text | x |  | café");
    check_values(
        r#"{"b" : [1.0, null]} ; []"#,
        r#"Json | {"b" : [1.0, null]} | []"#,
    );
    check_values("null ; null", "Null | null | null");
}

#[test]
fn whole_numbers_and_fractions_together_are_double_unless_digits_would_be_lost() {
    check_values("1 ; 2.5", "Double | 1.0 | 2.5");
    check_values(
        "9007199254740992 ; 2.5",
        "Double | 9007199254740992.0 | 2.5",
    );
    check_values("9007199254740993 ; 2.50", "Text | 9007199254740993 | 2.50");
}

#[test]
fn a_number_that_no_kind_holds_keeps_its_digits_as_text() {
    check_values("1 ; 9223372036854775808", "Text | 1 | 9223372036854775808");
    check_values(
        "1.50 ; 123456789012345678901234567890",
        "Text | 1.50 | 123456789012345678901234567890",
    );
    check_values("1.50 ; 1e999", "Text | 1.50 | 1e999");
}

#[test]
fn any_other_mixture_is_text_as_written() {
    check_values(r#"true ; 1.0 ; "x" ; null"#, "Text | true | 1.0 | x | null");
    check_values(r#"{"b": 1} ; "x" ; 2"#, r#"Text | {"b": 1} | x | 2"#);
    check_values("1 ; true", "Text | 1 | true");
}

#[test]
fn instants_with_a_zone_are_timestamps_in_utc() {
    check_values(
        r#""2026-11-23T18:00:00Z" ; "2026-11-23 18:00:00.25+02:00" ; null ; "1969-12-31T23:59:59.999999-23:59""#,
        "Timestamp | 2026-11-23T18:00:00Z | 2026-11-23T16:00:00.250Z | null | 1970-01-01T23:58:59.999999Z",
    );
    check_values(
        r#""0001-01-01T00:00:00Z" ; "9999-12-31T23:59:59.999999Z""#,
        "Timestamp | 0001-01-01T00:00:00Z | 9999-12-31T23:59:59.999999Z",
    );
}

#[test]
fn instants_may_be_written_without_seconds_with_nanoseconds_and_with_a_bare_offset() {
    check_values(
        r#""2026-11-23T18:00Z" ; "2026-11-23T18:00+0200" ; "2026-11-23 18:00:01-0130""#,
        "Timestamp | 2026-11-23T18:00:00Z | 2026-11-23T16:00:00Z | 2026-11-23T19:30:01Z",
    );
    check_values(
        r#""2026-11-23T18:00:00.1234567Z" ; "1969-12-31T23:59:59.000000999Z" ; "2026-11-23T18:00:00.99999999+00:00""#,
        "Timestamp | 2026-11-23T18:00:00.123456Z | 1969-12-31T23:59:59Z | 2026-11-23T18:00:00.999999Z",
    );
}

#[test]
fn date_times_without_a_zone_are_timestamps_without_one() {
    check_values(
        r#""2026-11-23T18:00:00" ; "2024-02-29 00:00:00.1" ; "2024-02-29 12:34""#,
        "TimestampNtz | 2026-11-23T18:00:00 | 2024-02-29T00:00:00.100 | 2024-02-29T12:34:00",
    );
    check_values(
        r#""2026-11-23T18:00:00" ; "2026-11-23T18:00:00Z""#,
        "Text | 2026-11-23T18:00:00 | 2026-11-23T18:00:00Z",
    );
}

#[test]
fn what_is_not_exactly_an_instant_is_text() {
    for text in [
        "2026-11-23",
        "2026-11-23T18Z",
        "2026-11-23T18:0Z",
        "2026-11-23T18:00:Z",
        "2026-11-23T18:00:0Z",
        "2026-11-23T18:00.5Z",
        "2026-11-23T18:00:00.Z",
        "2026-11-23T18:00:00.1234567890Z",
        "2026-11-23T18:00:00+02",
        "2026-11-23T18:00:00+2400",
        "2026-11-23T18:00:00 0200",
        "2026-11-23T18:00:00+24:00",
        "2026-11-23T18:00:00+00:60",
        "2026-11-23T18:00:00z",
        "2026-11-23t18:00:00Z",
        "2026-02-29T18:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T18:00:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "+026-11-23T18:00:00Z",
        "2026-11-23T18:00:00Z ",
        "2026-11-23T18:00:00é",
        "2026-11-23T18:00:0é",
    ] {
        check_values(&format!("{text:?}"), &format!("Text | {text}"));
    }
}

#[test]
fn cells_of_csv_are_typed_by_what_they_say() {
    check_cells("true ; FALSE ; True", "Boolean | true | false | true");
    check_cells("1 ; -2 ; 0", "BigInt | 1 | -2 | 0");
    check_cells(
        "1 ; 2.50 ; -1E-2 ; 0.5e+1",
        "Double | 1.0 | 2.5 | -0.01 | 5.0",
    );
    check_cells("2026-11-23T18:00:00Z", "Timestamp | 2026-11-23T18:00:00Z");
    check_cells("TRUE ; 1", "Text | TRUE | 1");
    check_cells("9223372036854775808", "Text | 9223372036854775808");
    for text in [
        "007", "+1", "1.", ".5", "-", "1e", "1e+", "0x1", "NaN", " 1", "1 ", "-01", "00.5",
        "1.5.2", "t", "[1]",
    ] {
        check_cells(text, &format!("Text | {text}"));
    }
}

#[test]
fn an_empty_cell_is_null_and_a_blank_line_is_no_row() {
    check(
        Csv,
        "a,b\n\n1,\n\n,x\n\n",
        "a:BigInt b:Text | 1 null | null x",
    );
    check(Csv, "a\n\"\"\n\n1\n", "a:BigInt | null | 1");
}

#[test]
fn quoted_cells_may_hold_commas_quotes_and_line_ends() {
    check(
        Csv,
        "a,b\r\n\"x,\"\"y\"\"\r\nz\",\"1\"\r\n\"\",2",
        "a:Text b:BigInt | x,\"y\"\r\nz 1 | null 2",
    );
    check(Csv, "a,b\nx\"y\",\rz\r\n", "a:Text b:Text | x\"y\" \rz");
}

#[test]
fn a_byte_order_mark_is_skipped() {
    check(Csv, "\u{feff}a\n1\n", "a:BigInt | 1");
    check(NdJson, "\u{feff}{\"a\":1}", "a:BigInt | 1");
    check(JsonArray, "\u{feff}[{\"a\":1}]", "a:BigInt | 1");
}

#[test]
fn columns_come_in_the_order_of_their_first_appearance_and_absent_ones_are_null() {
    let expected = "b:BigInt a:Text c:Null | 1 null null | null x null";
    check(
        NdJson,
        "{\"b\":1}\n \r\n{\"a\":\"x\",\"c\":null}\n\n",
        expected,
    );
    check(
        JsonArray,
        "[\n{\"b\":1},\n\t{\"a\":\"x\",\"c\":null} ]\n",
        expected,
    );
    check(NdJson, "{\"a\":1}\n{}", "a:BigInt | 1 | null");
}

#[test]
fn the_last_of_several_fields_with_one_name_counts() {
    check(
        NdJson,
        r#"{"a":"x","b":1,"a":2,"\u0062":null}"#,
        "a:BigInt b:Null | 2 null",
    );
}

#[test]
fn an_arrays_elements_are_split_only_between_them() {
    check(
        JsonArray,
        r#"[{"a":"],}[{\\\"","b":[{"c":"]"},[]]},{"a":"\\","b":{}}]"#,
        r#"a:Text b:Json | ],}[{\" [{"c":"]"},[]] | \ {}"#,
    );
}

#[test]
fn a_file_without_rows_is_refused() {
    for (format, text) in [
        (NdJson, ""),
        (NdJson, "\n \n"),
        (JsonArray, ""),
        (JsonArray, " [ ]\n"),
        (Csv, ""),
        (Csv, "a,b\n"),
        (Csv, "\n\n"),
    ] {
        check(format, text, "the file has no rows");
    }
    check(NdJson, "{}\n{}", "the file's rows have no columns");
}

#[test]
fn what_is_no_row_is_refused_with_its_line() {
    let no_object = "a JSON object is needed here, one for each row";
    check(
        NdJson,
        "{\"a\":1}\n\n{\"a\":}\n",
        "line 3: expected value at column 6",
    );
    check(
        NdJson,
        "{\"a\":1}\r\n{\"a\":2",
        "line 2: EOF while parsing an object at column 6",
    );
    check(
        NdJson,
        "{\"a\":1} {\"a\":2}",
        "line 1: trailing characters at column 9",
    );
    check(NdJson, "{\"a\":1}\n7\n", &format!("line 2: {no_object}"));
    check(
        NdJson,
        "[\n{\"a\":1}\n]",
        &format!("line 1: {no_object}; name a file that is one JSON array .json"),
    );
    check(
        NdJson,
        b"{\"a\":1}\n{\"a\":\"\xff\"}",
        "line 2: the text is not UTF-8; save the file as UTF-8",
    );
    check(
        NdJson,
        r#"{"a":"\ud800"}"#,
        "line 1: column \"a\": unexpected end of hex escape",
    );
    let place = "element 2 (line 3)";
    check(
        JsonArray,
        "[\n{\"a\":1},\n  {\"a\":},{}]",
        &format!("{place}: expected value at column 8"),
    );
    check(
        JsonArray,
        "[{\"a\":1}, {\n\n\"a\" 1}]",
        &format!("{place}: expected `:` at column 5"),
    );
    check(
        JsonArray,
        "[{\"a\":1},\n\n[1]]",
        &format!("{place}: {no_object}"),
    );
    check(
        JsonArray,
        "[{\"a\":1},\n\n]",
        &format!("{place}: {no_object}"),
    );
    check(
        JsonArray,
        "[{\"a\":1},\n\n{\"a\":2}\n",
        &format!("{place}: the file ends before the array is closed by ']'"),
    );
    check(
        JsonArray,
        "[{\"a\":1}]\n x",
        "line 2: there is more behind the array's end; a file holds one array",
    );
    let no_array =
        "the file is not one JSON array of objects; name a file with one object a line .ndjson";
    check(JsonArray, "\n{\"a\":1}", &format!("line 2: {no_array}"));
}

#[test]
fn a_csv_row_of_the_wrong_length_or_an_open_quote_is_refused_with_its_line() {
    for end in ["\n", "\r\n"] {
        let check = |text: &str, expected: &str| check(Csv, text.replace('\n', end), expected);
        check(
            "a,b\n\"1\n\",2\n\n3\n",
            "line 5: the row has 1 cells, but the header has 2",
        );
        check(
            "a,b\n1,2,3\n",
            "line 2: the row has 3 cells, but the header has 2",
        );
        check(
            "a,b\n1,2\n\n1,\"2\n3,4\n",
            "line 4: a quoted cell begins here and is never closed",
        );
        check(
            "a,b\n\"1\"x,2\n",
            "line 2: a quoted cell goes on behind its quote; double a quote inside a cell",
        );
    }
    // The two halves of one character in two cells.
    check(
        Csv,
        b"a,b\n\xc3,\xa9\n",
        "line 2: the text is not UTF-8; save the file as UTF-8",
    );
}

#[test]
fn names_that_a_table_cannot_hold_are_refused() {
    let rename = "in its name, which a table cannot hold; rename it, for example with '_'";
    check(
        Csv,
        "a,first name\n",
        &format!("line 1: column \"first name\" has ' ' {rename}"),
    );
    for c in [',', ';', '{', '}', '(', ')', '=', '\u{85}'] {
        let text = format!("{{\"a\":1}}\n{{\"x{c}\":1}}");
        check(
            NdJson,
            text,
            &format!("line 2: column {:?} has {c:?} {rename}", format!("x{c}")),
        );
    }
    check(
        JsonArray,
        r#"[{"a\n":1}]"#,
        &format!("element 1 (line 1): column \"a\\n\" has '\\n' {rename}"),
    );
    check(Csv, "a,,b\n", "line 1: a column has an empty name; name it");
    check(
        Csv,
        "a,b,a\n",
        "line 1: two columns have the name \"a\"; rename one",
    );
    let folded =
        "columns \"Ä\" and \"ä\" differ only in case, which a table cannot hold; rename one";
    check(NdJson, "{\"Ä\":1}\n{\"ä\":1}", &format!("line 2: {folded}"));
    let long = "é".repeat(128);
    check(Csv, format!("{long}\n1"), &format!("{long}:BigInt | 1"));
    let start = "é".repeat(32);
    let expected = format!(
        "line 1: the name of column {start:?}… has 129 characters; shorten it to at most 128"
    );
    check(Csv, format!("{long}x\n1"), &expected);
}

#[test]
fn keys_that_are_data_do_not_become_thousands_of_columns() {
    let row = |count| {
        format!(
            "{{{}}}",
            (0..count)
                .map(|i| format!("\"k{i}\":1"))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let file = file(row(4_096).as_bytes());
    assert_eq!(
        read(file.path(), NdJson, None).unwrap().0.columns.len(),
        4_096
    );
    let expected =
        "line 1: the file has more than 4096 columns; put keys that are data into one nested value";
    check(NdJson, row(4_097), expected);
}

#[test]
fn a_value_may_be_nested_deeper_than_a_stack_is_high() {
    let nested = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
    check_values(&nested, &format!("Json | {nested}"));
    check(
        JsonArray,
        format!("[{{\"a\":{nested}}}]"),
        &format!("a:Json | {nested}"),
    );
}

#[test]
fn a_wider_table_takes_the_rows_as_its_own_columns() {
    let table = [
        column("d", Kind::Date),
        column(
            "n",
            Kind::Decimal {
                precision: 5,
                scale: 2,
            },
        ),
        column("a", Kind::Double),
        column("b", Kind::Text),
        column("c", Kind::Boolean),
    ];
    let file = file(b"{\"a\":1,\"b\":1.50}\n{\"b\":[1, 2],\"c\":null,\"d\":null}");
    let (survey, batches) = read(file.path(), NdJson, Some(&table)).unwrap();
    assert!(reconcile(&survey.columns, &table).is_ok());
    let expected: Vec<_> = table.iter().map(Column::arrow_field).collect();
    assert_eq!(batches[0].schema().fields(), &expected.into());
    let shown = render(Ok((survey, batches)));
    let (_, rows) = shown.split_once(" | ").unwrap();
    assert_eq!(rows, "null null 1.0 1.50 null | null null null [1, 2] null");
}

#[test]
fn a_value_that_its_tables_column_does_not_hold_is_refused_with_its_line() {
    let refused = |kind: Kind, value: &str, expected: &str| {
        let file = file(format!("{{}}\n{{\"a\":{value}}}").as_bytes());
        assert_eq!(
            render(read(file.path(), NdJson, Some(&[column("a", kind)]))),
            expected
        );
    };
    for (kind, value, shown) in [
        (Kind::Double, "9007199254740993", "\"9007199254740993\""),
        (Kind::BigInt, "1.0", "\"1.0\""),
        (Kind::Boolean, "1", "\"1\""),
        (
            Kind::Timestamp,
            "\"2026-11-23T18:00:00\"",
            "\"2026-11-23T18:00:00\"",
        ),
        (
            Kind::TimestampNtz,
            "\"2026-11-23T18:00:00Z\"",
            "\"2026-11-23T18:00:00Z\"",
        ),
        (Kind::Date, "\"2026-11-23\"", "\"2026-11-23\""),
        (Kind::Binary, "{}", "\"{}\""),
    ] {
        refused(
            kind,
            value,
            &format!("line 2: column \"a\" is {kind}, which does not hold {shown} exactly"),
        );
    }
    let long = "x".repeat(1_000);
    let shown = &long[..40];
    let expected =
        format!("line 2: column \"a\" is BIGINT, which does not hold {shown:?}… exactly");
    refused(Kind::BigInt, &format!("{long:?}"), &expected);
    let file = file(b"{\"a\":1,\"b\":2}");
    let expected = "line 1: column \"b\" is new; was the file changed while it was read? try again";
    assert_eq!(
        render(read(
            file.path(),
            NdJson,
            Some(&[column("a", Kind::BigInt)])
        )),
        expected
    );
}
