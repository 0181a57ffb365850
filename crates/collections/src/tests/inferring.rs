use bson::oid::ObjectId;
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, RawDocument, RawDocumentBuf, doc, rawdoc,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::documents::{document, raw};
use crate::{Column, Decoder, INFERRED_COLUMNS_MAX, Kind, infer};

fn inferred(documents: &[Document]) -> Vec<Column> {
    let documents: Vec<RawDocumentBuf> = documents.iter().map(raw).collect();
    infer(documents.iter().map(|document| &**document))
}

/// Of one field with these values, one in each document.
fn kind_of<const COUNT: usize>(values: [Bson; COUNT]) -> Kind {
    let documents = values.map(|value| doc! {"a": value});
    let [column] = <[Column; 1]>::try_from(inferred(&documents)).unwrap();
    column.kind
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().unwrap())
}

#[test]
fn fields_become_columns_in_the_order_of_their_appearance_with_the_identifier_first() {
    let documents = [
        doc! {"b": 1, "a": {"x": 1}},
        doc! {"c": "x", "_id": 1, "a": {}, "A": true, "": 1},
    ];
    let columns = inferred(&documents);
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["_id", "b", "a", "c", "A"]);
    let kinds: Vec<Kind> = columns.iter().map(|column| column.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::BigInt,
            Kind::BigInt,
            Kind::Json,
            Kind::String,
            Kind::Boolean
        ]
    );
    assert!(
        columns
            .iter()
            .all(|column| column.path.fields() == [column.name.clone()])
    );
    assert_eq!(inferred(&[]), []);
}

#[test]
fn a_kind_is_what_all_values_fit() {
    let id = Bson::ObjectId(ObjectId::from_bytes([1; 12]));
    let date = Bson::DateTime(DateTime::from_millis(0));
    let binary = || {
        Bson::Binary(Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: vec![],
        })
    };
    let decimals = |scale| Kind::Decimal {
        precision: 38,
        scale,
    };
    assert_eq!(kind_of(["x".into(), Bson::Null]), Kind::String);
    assert_eq!(kind_of([id.clone()]), Kind::ObjectId);
    assert_eq!(kind_of([true.into(), Bson::Undefined]), Kind::Boolean);
    assert_eq!(kind_of([1.into(), 2_i64.into()]), Kind::BigInt);
    assert_eq!(kind_of([1.into(), 2.5.into()]), Kind::Double);
    assert_eq!(kind_of([date.clone()]), Kind::Timestamp);
    assert_eq!(kind_of([binary()]), Kind::Binary);
    assert_eq!(
        kind_of([decimal("1.5"), 1.into(), decimal("0.25")]),
        decimals(2)
    );
    assert_eq!(kind_of([decimal("1E+3"), decimal("NaN")]), decimals(0));
    assert_eq!(kind_of([decimal("1E-30")]), decimals(20));
    for mixed in [
        [decimal("1"), 2.5.into()],
        [id, "x".into()],
        [1.into(), "x".into()],
        [1.into(), date],
        [true.into(), 1.into()],
        [binary(), "x".into()],
        [1.into(), doc! {}.into()],
        [1.into(), Bson::Array(vec![])],
        [1.into(), Bson::MinKey],
        [Bson::Null, Bson::Undefined],
        [Bson::Symbol("x".into()), Bson::Null],
    ] {
        assert_eq!(kind_of(mixed.clone()), Kind::Json, "{mixed:?}");
    }
}

#[test]
fn there_is_an_end_of_columns() {
    let wide: Document = (0..3_000)
        .map(|index| (format!("f{index}"), Bson::Int32(1)))
        .collect();
    let columns = inferred(&[wide, doc! {"late": 1, "_id": 1}]);
    assert_eq!(columns.len(), INFERRED_COLUMNS_MAX);
    assert_eq!(
        (columns[0].name.as_str(), columns[1].name.as_str()),
        ("_id", "f0")
    );
}

#[test]
fn what_is_not_bson_is_read_as_far_as_it_is() {
    let mut bytes = rawdoc! {"a": 1, "b": 2}.into_bytes();
    let b = bytes.iter().position(|&byte| byte == b'b').unwrap();
    bytes[b - 1] = 0x55;
    let columns = infer([RawDocument::from_bytes(&bytes).unwrap()]);
    assert_eq!(
        columns
            .iter()
            .map(|column| column.name.as_str())
            .collect::<Vec<_>>(),
        ["a"]
    );
}

proptest! {
    #![proptest_config(super::cases(500))]

    /// The documents that columns come from fit them, but for decimals that no decimal column can hold.
    #[test]
    fn columns_fit_the_documents_they_come_from(documents in vec(document(), 1..6)) {
        let columns = inferred(&documents);
        let mut decoder = Decoder::new(&columns, false);
        for document in &documents {
            decoder.push(&raw(document)).unwrap();
        }
        for (column, misfits) in decoder.misfits() {
            let is_decimal = matches!(column.kind, Kind::Decimal { .. });
            prop_assert!(misfits == 0 || is_decimal, "{column:?}");
        }
    }
}
