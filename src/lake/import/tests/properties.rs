//! What holds for every file.

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;

/// Instants of the years 1 to 9999, and how they are written at some distance from UTC.
fn instant() -> impl Strategy<Value = String> {
    (
        -62_135_500_000_000_000..253_402_200_000_000_000_i64,
        -840..=840_i32,
        0..3_usize,
    )
        .prop_map(|(micros, minutes, form)| {
            let zone = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let instant = DateTime::from_timestamp_micros(micros)
                .unwrap()
                .with_timezone(&zone);
            let text = instant.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            [
                text.clone(),
                text.replace('T', " "),
                instant
                    .naive_local()
                    .and_utc()
                    .to_rfc3339_opts(SecondsFormat::Micros, true),
            ][form]
                .clone()
        })
}

/// JSON values, in columns that are sometimes of one kind throughout and sometimes not.
fn values(rows: usize) -> impl Strategy<Value = Vec<Json>> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1000..1000_i64).prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        instant().prop_map(Json::from),
        Just(json!("2026-11-23T18:00:00.5")),
        vec(any::<String>(), 0..3).prop_map(|texts| json!({"texts": texts})),
    ];
    let of_one_kind = prop_oneof![
        vec(any::<bool>().prop_map(Json::from), rows),
        vec(any::<i64>().prop_map(Json::from), rows),
        vec((-1e300..1e300_f64).prop_map(Json::from), rows),
        vec(instant().prop_map(Json::from), rows),
        vec(vec(any::<Option<i64>>(), 0..3).prop_map(Json::from), rows),
    ];
    (
        prop_oneof![vec(scalar, rows), of_one_kind],
        vec(prop::bool::weighted(0.2), rows),
    )
        .prop_map(|(mut values, nulls)| {
            values
                .iter_mut()
                .zip(nulls)
                .filter(|(_, is_null)| *is_null)
                .for_each(|(value, _)| *value = Json::Null);
            values
        })
}

fn table() -> impl Strategy<Value = Vec<Map<String, Json>>> {
    (1..12_usize, 1..5_usize).prop_flat_map(|(rows, columns)| {
        vec(values(rows), columns).prop_map(move |columns| {
            let field = |row: usize| {
                move |(i, values): (usize, &Vec<Json>)| (format!("c{i}"), values[row].clone())
            };
            (0..rows)
                .map(|row| columns.iter().enumerate().map(field(row)).collect())
                .collect()
        })
    })
}

/// Whether a cell says what the file's value does, judged without this module's own parsers.
fn is_same(array: &dyn Array, row: usize, kind: Kind, value: &Json) -> bool {
    if array.is_null(row) || value.is_null() {
        return array.is_null(row) == value.is_null();
    }
    match kind {
        Kind::Boolean => Some(array.as_boolean().value(row)) == value.as_bool(),
        Kind::BigInt => Some(array.as_primitive::<Int64Type>().value(row)) == value.as_i64(),
        Kind::Double => Some(array.as_primitive::<Float64Type>().value(row)) == value.as_f64(),
        Kind::Text | Kind::Json => {
            let text = array.as_string::<i32>().value(row);
            value.as_str().map_or_else(
                || serde_json::to_string(value).unwrap() == text,
                |value| value == text,
            )
        }
        Kind::Timestamp => {
            let instant = value
                .as_str()
                .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
            instant.map(|instant| instant.timestamp_micros())
                == Some(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        Kind::TimestampNtz => {
            let local: Option<NaiveDateTime> = value.as_str().and_then(|text| text.parse().ok());
            local.map(|local| local.and_utc().timestamp_micros())
                == Some(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        Kind::Null | Kind::Decimal { .. } | Kind::Date | Kind::Binary => false,
    }
}

fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_written_as_json_are_read_as_the_same_values(rows in table()) {
        let lines: String = rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
        let (survey, batches) = read(file(lines.as_bytes()).path(), Format::NdJson, None).unwrap();
        prop_assert_eq!(survey.rows as usize, rows.len());
        for (array, column) in batches[0].columns().iter().zip(&survey.columns) {
            for (row, fields) in rows.iter().enumerate() {
                prop_assert!(is_same(array, row, column.kind, &fields[&column.name]), "{column:?} {:?}", fields);
            }
        }
        let array = serde_json::to_string(&rows).unwrap();
        let from_array = read(file(array.as_bytes()).path(), Format::JsonArray, None).unwrap();
        prop_assert_eq!(from_array, (survey, batches));
    }

    #[test]
    fn cells_written_as_csv_are_read_as_the_same_texts(
        rows in vec(vec(any::<String>(), 3), 1..8),
        end in prop_oneof![Just("\n"), Just("\r\n")],
    ) {
        let mut text = format!("a,b,c{end}");
        for row in &rows {
            text += &row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
            text += end;
        }
        let columns = ["a", "b", "c"].map(|name| column(name, Kind::Text));
        let (_, batches) = read(file(text.as_bytes()).path(), Format::Csv, Some(&columns)).unwrap();
        for (row, cells) in rows.iter().enumerate() {
            for (array, cell) in batches[0].columns().iter().zip(cells) {
                let read = array.is_valid(row).then(|| array.as_string::<i32>().value(row));
                prop_assert_eq!(read.unwrap_or_default(), cell);
            }
        }
    }

    #[test]
    fn what_a_survey_says_always_holds_in_the_second_pass(text in r#"([\[\]{},:"\\\n\r 01.eé\-tx]|"a"|"b":|true|null|\{"a":1\}){0,40}"#) {
        for format in [Format::NdJson, Format::JsonArray, Format::Csv] {
            let file = file(text.as_bytes());
            if let Ok(survey) = survey(file.path(), format, &mut |_| {}) {
                let batches: Result<Vec<_>> = batches(file.path(), format, &survey.columns, |_| {}).unwrap().collect();
                let rows: usize = batches.unwrap().iter().map(RecordBatch::num_rows).sum();
                prop_assert_eq!(rows as u64, survey.rows);
            }
        }
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        let file = file(&bytes);
        for format in [Format::NdJson, Format::JsonArray, Format::Csv, Format::Parquet] {
            // An error or a table: either is an answer.
            let _ = read(file.path(), format, None);
        }
    }

    #[test]
    fn no_text_makes_the_reader_of_instants_panic(text in r"[0-9T:.Z+\-é ]{0,32}", more in any::<String>()) {
        for text in [text, more] {
            if let Some(moment::Moment::Instant(micros) | moment::Moment::Local(micros)) = moment::parse(&text) {
                prop_assert!(moment::RANGE.contains(&micros));
            }
        }
    }
}
