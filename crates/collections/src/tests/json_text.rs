use bson::{Bson, Decimal128, doc};
use proptest::prelude::*;
use serde::Deserialize;

use super::cell::{Cell, cells};
use super::decoding::column;
use super::documents::{raw, value};
use crate::{Decoder, Kind};

fn json(value: impl Into<Bson>) -> String {
    let columns = [column("a", Kind::Json)];
    let mut decoder = Decoder::new(&columns, true);
    decoder.push(&raw(&doc! {"a": value.into()})).unwrap();
    match cells(&decoder.finish(), &columns).remove(0).remove(0) {
        Some(Cell::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn decimal(text: &str) -> String {
    json(text.parse::<Decimal128>().unwrap())
}

#[test]
fn values_are_plain_json() {
    let id = bson::oid::ObjectId::parse_str("65ab00000000000000000001").unwrap();
    let date = bson::DateTime::from_millis(1_704_067_200_000);
    let document =
        doc! {"z": 1, "a": [true, Bson::Null, 2.0, i64::MAX], "id": id, "at": date, "": {"x": []}};
    assert_eq!(
        json(document),
        concat!(
            r#"{"z":1,"a":[true,null,2.0,9223372036854775807],"id":"65ab00000000000000000001","#,
            r#""at":"2024-01-01T00:00:00Z","":{"x":[]}}"#
        )
    );
    assert_eq!(
        json("a\"\\\n\u{1}\u{7F}ä\u{2028}"),
        "\"a\\\"\\\\\\n\\u0001\u{7F}ä\u{2028}\""
    );
    let binary = bson::Binary {
        subtype: bson::spec::BinarySubtype::Uuid,
        bytes: vec![1, 2, 3, 4],
    };
    assert_eq!(json(binary), "\"AQIDBA==\"");
}

#[test]
fn dates_are_rfc_3339_with_the_fraction_they_need() {
    let date = |millis| json(bson::DateTime::from_millis(millis));
    assert_eq!(date(0), "\"1970-01-01T00:00:00Z\"");
    assert_eq!(date(-1), "\"1969-12-31T23:59:59.999Z\"");
    assert_eq!(date(253_402_300_799_999), "\"9999-12-31T23:59:59.999Z\"");
    assert_eq!(
        date(253_402_300_800_000),
        r#"{"$date":{"$numberLong":"253402300800000"}}"#
    );
    assert_eq!(date(-62_167_219_200_000), "\"0000-01-01T00:00:00Z\"");
    assert_eq!(
        date(i64::MIN),
        r#"{"$date":{"$numberLong":"-9223372036854775808"}}"#
    );
}

#[test]
fn numbers_are_numbers_where_json_has_them() {
    assert_eq!(json(f64::NAN), "\"NaN\"");
    assert_eq!(json(f64::NEG_INFINITY), "\"-Infinity\"");
    assert_eq!(json(1e300), "1e300");
    assert_eq!(json(-0.0), "-0.0");
    for text in [
        "0",
        "-0",
        "1.50",
        "-12345.678",
        "1E+3",
        "1.5E-10",
        "0.000001",
        "1E-7",
        "0E-6176",
        "0E+400",
    ] {
        assert_eq!(decimal(text), text);
    }
    assert_eq!(
        decimal("0.000001234567890123456789012345678901234"),
        "0.000001234567890123456789012345678901234"
    );
    assert_eq!(decimal("1E+307"), "1E+307");
    assert_eq!(decimal("1E+308"), "\"1E+308\"");
    assert_eq!(decimal("NaN"), "\"NaN\"");
    assert_eq!(decimal("-Infinity"), "\"-Infinity\"");
}

#[test]
fn other_types_are_extended_json() {
    assert_eq!(json(Bson::MaxKey), r#"{"$maxKey":1}"#);
    assert_eq!(json(Bson::Symbol("x".into())), r#"{"$symbol":"x"}"#);
    let mut bytes = [
        &b"\x28\0\0\0\x04a\0\x20\0\0\0\x0C0\0\x05\0\0\0db.c\0"[..],
        &[0xAB; 12],
        b"\0\0",
    ]
    .concat();
    let length = bytes.len() as u8;
    bytes[0] = length;
    bytes[7] = length - 8;
    let columns = [column("a", Kind::Json)];
    let mut decoder = Decoder::new(&columns, true);
    decoder
        .push(bson::RawDocument::from_bytes(&bytes).unwrap())
        .unwrap();
    let text = r#"[{"$dbPointer":{"$ref":"db.c","$id":{"$oid":"abababababababababababab"}}}]"#;
    assert_eq!(
        cells(&decoder.finish(), &columns),
        [[Some(Cell::Text(text.into()))]]
    );
}

proptest! {
    #![proptest_config(super::cases(1_000))]

    /// Every reader takes it, whatever the value.
    #[test]
    fn it_is_always_json(value in value()) {
        prop_assume!(!matches!(value, Bson::Null | Bson::Undefined));
        let text = json(value);
        let mut reader = serde_json::Deserializer::from_str(&text);
        let read = serde_json::Value::deserialize(&mut reader);
        prop_assert!(read.is_ok() && reader.end().is_ok(), "{}", text);
    }
}
