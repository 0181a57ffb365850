//! Documents of every sort, with the values at which types meet.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Decimal128, Document, RawDocumentBuf, Regex, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Few, so that values, constants and beginnings meet.
const STRINGS: &[&str] = &[
    "",
    "a",
    "ab",
    "abc",
    "b",
    "B",
    "a\0",
    "a\u{D7FF}",
    "a\u{E000}",
    "a\u{10FFFF}",
    "\u{10FFFF}",
    "\u{10FFFF}\u{10FFFF}a",
    "ä\"\\\n\u{7}\u{2028}",
    "65ab00000000000000000001",
    "65AB00000000000000000001",
];

const INTEGERS: &[i64] = &[
    0,
    1,
    -1,
    5,
    100,
    i32::MAX as i64 + 1,
    (1 << 53) - 1,
    1 << 53,
    (1 << 53) + 1,
    -(1 << 53) - 1,
    i64::MAX - 1,
    i64::MAX,
    i64::MIN,
];

const DOUBLES: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    5.0,
    5.5,
    1e-7,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    9_007_199_254_740_994.0,
    -9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    1e300,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MIN_POSITIVE,
];

const DECIMALS: &[&str] = &[
    "0",
    "-0",
    "0E-6176",
    "1",
    "1.0",
    "1.50",
    "-1.5",
    "5",
    "5.00000",
    "100",
    "1E+2",
    "999.99",
    "999.995",
    "1000",
    "0.000001",
    "0.0000001",
    "1E-6176",
    "9007199254740993",
    "9999999999999999999999999999999999",
    "9999999999999999999999999999999999E+6111",
    "1E+308",
    "1E+307",
    "NaN",
    "Infinity",
    "-Infinity",
];

const MILLIS: &[i64] = &[
    0,
    1,
    -1,
    1_704_067_200_000,
    1_704_067_200_500,
    253_402_300_799_999,
    253_402_300_800_000,
    -62_167_219_200_000,
    -62_167_219_200_001,
    i64::MAX,
    i64::MIN,
];

pub(super) fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(STRINGS).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

pub(super) fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![4 => select(INTEGERS), 2 => -3..7_i64, 1 => any::<i64>()]
}

pub(super) fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => select(DOUBLES),
        2 => (-3..7_i32).prop_map(f64::from),
        1 => any::<f64>(),
        // Not-a-number in all its forms.
        1 => any::<u64>().prop_map(f64::from_bits),
    ]
}

pub(super) fn object_id() -> impl Strategy<Value = ObjectId> {
    (0x65AB_u16..0x65AD, 0..3_u8).prop_map(|(start, end)| {
        let mut bytes = [0; 12];
        bytes[..2].copy_from_slice(&start.to_be_bytes());
        bytes[11] = end;
        ObjectId::from_bytes(bytes)
    })
}

pub(super) fn millis() -> impl Strategy<Value = i64> {
    prop_oneof![4 => select(MILLIS), 1 => any::<i64>()]
}

pub(super) fn decimal() -> impl Strategy<Value = Decimal128> {
    prop_oneof![
        6 => select(DECIMALS).prop_map(|text| text.parse().unwrap()),
        2 => (-100_000..100_000_i64, -5..3_i32)
            .prop_map(|(number, exponent)| format!("{number}E{exponent}").parse().unwrap()),
        1 => any::<[u8; 16]>().prop_map(Decimal128::from_bytes),
    ]
}

fn binary() -> impl Strategy<Value = Binary> {
    let subtypes = vec![
        BinarySubtype::Generic,
        BinarySubtype::BinaryOld,
        BinarySubtype::Uuid,
        BinarySubtype::UserDefined(0x80),
    ];
    (select(subtypes), vec(any::<u8>(), 0..6))
        .prop_map(|(subtype, bytes)| Binary { subtype, bytes })
}

fn rare() -> impl Strategy<Value = Bson> {
    prop_oneof![
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
        string().prop_map(Bson::JavaScriptCode),
        string().prop_map(Bson::Symbol),
        (any::<u32>(), any::<u32>())
            .prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        "[a-c.*\"]{0,3}".prop_map(|pattern| Bson::RegularExpression(Regex {
            pattern: pattern.try_into().unwrap(),
            options: "im".try_into().unwrap(),
        })),
        (string(), integer()).prop_map(|(code, number)| Bson::JavaScriptCodeWithScope(
            bson::JavaScriptCodeWithScope {
                code,
                scope: bson::doc! {"x": number},
            }
        )),
    ]
}

/// A value of any type.
pub(super) fn value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        2 => Just(Bson::Null),
        1 => Just(Bson::Undefined),
        4 => string().prop_map(Bson::String),
        2 => object_id().prop_map(Bson::ObjectId),
        2 => any::<bool>().prop_map(Bson::Boolean),
        2 => (-3..7_i32).prop_map(Bson::Int32),
        4 => integer().prop_map(Bson::Int64),
        5 => double().prop_map(Bson::Double),
        4 => decimal().prop_map(Bson::Decimal128),
        3 => millis().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        2 => binary().prop_map(Bson::Binary),
        2 => rare(),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Bson::Array),
            fields(inner).prop_map(Bson::Document),
        ]
    })
}

fn fields(value: impl Strategy<Value = Bson>) -> impl Strategy<Value = Document> {
    let name = select(&["a", "b", "c", "d", "0"][..]);
    vec((name, value), 0..5).prop_map(|fields| {
        let fields = fields.into_iter();
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

/// A document with fields of few names, in any order.
pub(super) fn document() -> impl Strategy<Value = Document> {
    fields(value())
}

pub(super) fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}
