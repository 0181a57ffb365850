//! What is asked, and what is not, word by word.

use bson::doc;
use bson::oid::ObjectId;

use super::conditions::COMPARISONS;
use super::decoding::column;
use crate::filter::{
    Asked, Comparison, Constant, Filter, compare, is_not_null, is_null, one_of, starts_with,
};
use crate::{Column, Kind};

/// Most conditions can be asked at all, and most of these exactly.
#[test]
fn conditions_on_constants_of_the_columns_type_are_asked_exactly() {
    let id = ObjectId::from_bytes([7; 12]);
    let constants = [
        (Kind::String, Constant::String("x".into())),
        (Kind::ObjectId, Constant::String(id.to_hex())),
        (Kind::Boolean, Constant::Boolean(true)),
        (Kind::BigInt, Constant::BigInt(i64::MAX)),
        (Kind::Double, Constant::Double(0.5)),
        (Kind::Timestamp, Constant::Timestamp(1)),
    ];
    let is_exact = |asked: Option<Asked>| asked.is_some_and(|asked| asked.is_exact);
    for (kind, constant) in constants {
        let column = column("a.b", kind);
        assert!(is_exact(is_null(&column)), "{kind}");
        assert!(is_exact(is_not_null(&column)), "{kind}");
        for comparison in COMPARISONS {
            assert!(
                is_exact(compare(&column, *comparison, constant.clone())),
                "{kind}"
            );
        }
        for negated in [false, true] {
            let constants = vec![constant.clone(), constant.clone()];
            assert!(is_exact(one_of(&column, constants, negated)), "{kind}");
        }
    }
    assert!(is_exact(starts_with(&column("a", Kind::String), "x", true)));
}

/// Servers look for the plain form when they decide whether to use their index.
#[test]
fn an_id_is_asked_as_it_is() {
    let id = ObjectId::from_bytes([7; 12]);
    let asked = |path: &str, kind, constant| {
        let asked = compare(&column(path, kind), Comparison::Eq, constant).unwrap();
        (asked.filter.document(), asked.is_exact)
    };
    let hex = Constant::String(id.to_hex());
    assert_eq!(asked("_id", Kind::ObjectId, hex), (doc! {"_id": id}, false));
    let text = Constant::String("x".into());
    assert_eq!(
        asked("_id", Kind::String, text.clone()),
        (doc! {"_id": "x"}, false)
    );
    assert_eq!(
        asked("_id", Kind::BigInt, Constant::BigInt(5)),
        (doc! {"_id": 5_i64}, false)
    );
    let (within, is_exact) = asked("_id.a", Kind::String, text);
    assert!(is_exact && within.contains_key("_id.a"), "{within}");
    let none = Constant::String("no digits".into());
    assert_eq!(
        asked("_id", Kind::ObjectId, none),
        (doc! {"_id": {"$in": []}}, true)
    );
}

#[test]
fn what_mongodb_compares_otherwise_is_not_asked() {
    let not_asked = |kind, constant: Constant| {
        let column = column("a", kind);
        for comparison in COMPARISONS {
            assert_eq!(
                compare(&column, *comparison, constant.clone()),
                None,
                "{kind}"
            );
        }
        for negated in [false, true] {
            assert_eq!(
                one_of(&column, vec![constant.clone()], negated),
                None,
                "{kind}"
            );
        }
    };
    for number in [
        -0.0,
        f64::NAN,
        f64::INFINITY,
        9_007_199_254_740_992.0,
        -1e300,
    ] {
        not_asked(Kind::Double, Constant::Double(number));
        not_asked(Kind::BigInt, Constant::Double(number));
    }
    not_asked(Kind::Double, Constant::BigInt(1));
    not_asked(
        Kind::String,
        Constant::ObjectId(ObjectId::from_bytes([0; 12])),
    );
    not_asked(Kind::Json, Constant::String("1".into()));
    assert_eq!(one_of(&column("a", Kind::Json), vec![], true), None);
    not_asked(Kind::Binary, Constant::String("1".into()));
    not_asked(Kind::Timestamp, Constant::String("2024-01-01".into()));
    assert_eq!(starts_with(&column("a", Kind::ObjectId), "65", true), None);
    assert_eq!(is_null(&column("a", Kind::Json)), None);
}

/// MongoDB's dotted form means something else, or nothing.
#[test]
fn fields_with_odd_names_are_not_asked() {
    for name in ["a.b", "$where", "", "a\0"] {
        let column = Column {
            name: name.to_owned(),
            path: crate::Path::field(name),
            kind: Kind::String,
        };
        assert_eq!(is_null(&column), None);
        assert_eq!(is_not_null(&column), None);
        assert_eq!(
            compare(&column, Comparison::Eq, Constant::String("x".into())),
            None
        );
        assert_eq!(one_of(&column, vec![], true), None);
        assert_eq!(starts_with(&column, "x", true), None);
    }
}

/// A worker that is no longer what it was cannot write operators.
#[test]
fn paths_that_are_operators_do_not_come_through_a_pipe() {
    for filter in [
        r#"{"Exists":{"path":["$where"]}}"#,
        r#"{"Exists":{"path":[]}}"#,
        r#"{"Exists":{"path":["a","$b"]}}"#,
        r#"{"NoValue":{"path":["$expr"],"kind":"String"}}"#,
        r#"{"Value":{"path":["a.$expr"],"kind":"String","test":"Any"}}"#,
        r#"{"And":[{"Or":[{"Exists":{"path":["$text"]}}]}]}"#,
    ] {
        assert!(serde_json::from_str::<Filter>(filter).is_err(), "{filter}");
    }
    let filter: Filter = serde_json::from_str(r#"{"Exists":{"path":["a","b"]}}"#).unwrap();
    assert_eq!(filter.document(), doc! {"a.b": {"$exists": true}});
}

#[test]
fn conditions_in_mongodbs_words() {
    let asked = |kind, comparison, constant| {
        compare(&column("a", kind), comparison, constant)
            .unwrap()
            .filter
            .document()
    };
    let not_array = doc! {"$type": "array"};
    assert_eq!(
        asked(
            Kind::String,
            Comparison::NotEq,
            Constant::String("x".into())
        ),
        doc! {"a": {"$ne": "x", "$type": ["string"], "$not": &not_array}}
    );
    assert_eq!(
        asked(Kind::BigInt, Comparison::LtEq, Constant::BigInt(5)),
        doc! {"a": {"$lte": 5_i64, "$type": ["int", "long"], "$not": &not_array}}
    );
    assert_eq!(
        asked(Kind::Double, Comparison::Lt, Constant::Double(5.5)),
        doc! {"a": {"$lt": 5.5, "$type": ["int", "long", "double"], "$not": &not_array}}
    );
    // Not-a-number is greater.
    assert_eq!(
        asked(Kind::Double, Comparison::Gt, Constant::Double(5.5)),
        doc! {
            "a": {"$type": ["int", "long", "double"], "$not": &not_array},
            "$nor": [{"a": {"$lte": 5.5}}],
        }
    );
    let id = ObjectId::from_bytes([0xAB; 12]);
    assert_eq!(
        asked(
            Kind::ObjectId,
            Comparison::GtEq,
            Constant::String("ab".repeat(12))
        ),
        doc! {"a": {"$gte": id, "$type": ["objectId"], "$not": &not_array}}
    );
    assert_eq!(
        asked(
            Kind::ObjectId,
            Comparison::Eq,
            Constant::String("AB".repeat(12))
        ),
        doc! {"_id": {"$in": []}}
    );
    let date = bson::DateTime::from_millis(5);
    assert_eq!(
        asked(Kind::Timestamp, Comparison::Eq, Constant::Timestamp(5)),
        doc! {"a": {"$eq": date, "$type": ["date"], "$not": &not_array}}
    );
    assert_eq!(
        asked(Kind::Boolean, Comparison::Eq, Constant::Boolean(true)),
        doc! {"a": {"$eq": true, "$type": ["bool"], "$not": &not_array}}
    );
}

#[test]
fn conditions_on_nothing_in_mongodbs_words() {
    let not_array = doc! {"$type": "array"};
    let nested = column("a.b.c", Kind::Binary);
    let document = doc! {
        "a.b.c": {"$type": ["binData"], "$not": &not_array},
        "a": {"$not": &not_array},
        "a.b": {"$not": &not_array},
    };
    assert_eq!(is_not_null(&nested).unwrap().filter.document(), document);
    assert_eq!(
        is_null(&nested).unwrap().filter.document(),
        doc! {"$nor": [document]}
    );
    let json = is_not_null(&column("a.b", Kind::Json)).unwrap();
    assert_eq!(
        (json.filter.document(), json.is_exact),
        (doc! {"a.b": {"$exists": true}}, false)
    );
}

#[test]
fn decimals_are_asked_for_more_than_fits_but_for_equal_ones() {
    let money = column(
        "a",
        Kind::Decimal {
            precision: 5,
            scale: 2,
        },
    );
    let asked = |comparison, number| compare(&money, comparison, Constant::BigInt(number)).unwrap();
    let not_array = doc! {"$type": "array"};
    let equal =
        doc! {"a": {"$eq": 999_i64, "$type": ["int", "long", "decimal"], "$not": &not_array}};
    assert_eq!(asked(Comparison::Eq, 999).filter.document(), equal);
    assert!(asked(Comparison::Eq, 999).is_exact);
    assert_eq!(asked(Comparison::Eq, 1_000), Asked::nothing());
    assert!(!asked(Comparison::Gt, 999).is_exact);
    assert!(!asked(Comparison::NotEq, 999).is_exact);
    assert_eq!(
        compare(&money, Comparison::Gt, Constant::BigInt(1_000)),
        None
    );
    let one_of = |negated| one_of(&money, vec![Constant::BigInt(5)], negated).unwrap();
    assert!(one_of(false).is_exact);
    assert!(!one_of(true).is_exact);
}

#[test]
fn lists_are_flat_and_constants_of_no_value_leave_them() {
    let ids = column("_id", Kind::ObjectId);
    let constants = vec![
        Constant::String("x".into()),
        Constant::String("00".repeat(12)),
    ];
    let asked = one_of(&ids, constants, true).unwrap();
    let zero = ObjectId::from_bytes([0; 12]);
    assert_eq!(
        asked.filter.document(),
        doc! {"_id": {"$nin": [zero], "$type": ["objectId"], "$not": {"$type": "array"}}}
    );
    let exists = |path| Filter::Exists {
        path: crate::Path::field(path),
    };
    let [a, b, c, d] = ["a", "b", "c", "d"].map(exists);
    let all = vec![a.clone(), b.clone(), c.clone(), d.clone()];
    let (left, right) = (a.clone() & b.clone(), c.clone() & d.clone());
    assert_eq!(left & right, Filter::And(all.clone()));
    assert_eq!(
        a.clone() & (b.clone() & (c.clone() & d.clone())),
        Filter::And(all.clone())
    );
    assert_eq!(
        a.clone() | (b.clone() | (c.clone() | d.clone())),
        Filter::Or(all.clone())
    );
    assert_eq!(
        ((a.clone() | b.clone()) | c.clone()) | d.clone(),
        Filter::Or(all)
    );
    let mixed = Filter::Or(vec![Filter::And(vec![a.clone(), b.clone()]), c.clone()]);
    assert_eq!((a.clone() & b) | c, mixed);
    assert_eq!(Filter::Everything & a.clone(), a);
    assert_eq!(Filter::Everything | a.clone(), Filter::Everything);
    assert_eq!(Filter::Nothing & a.clone(), Filter::Nothing);
    assert_eq!(Filter::Nothing | a.clone(), a);
    assert_eq!(Filter::And(vec![]).document(), doc! {});
    assert_eq!(Filter::Or(vec![]).document(), Filter::Nothing.document());
    let inexact = Asked {
        filter: a,
        is_exact: false,
    };
    assert_eq!(inexact & Asked::nothing(), Asked::nothing());
}

#[test]
fn beginnings_end_where_the_next_one_starts() {
    let asked = |prefix: &str| {
        let asked = starts_with(&column("a", Kind::String), prefix, true).unwrap();
        let document = asked.filter.document();
        let Ok(terms) = document.get_array("$and") else {
            return None;
        };
        let end = terms[1].as_document().unwrap().get_document("a").unwrap();
        Some(end.get_str("$lt").unwrap().to_owned())
    };
    assert_eq!(asked("ab").as_deref(), Some("ac"));
    assert_eq!(asked("a\u{7F}").as_deref(), Some("a\u{80}"));
    assert_eq!(asked("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
    assert_eq!(asked("a\u{10FFFF}").as_deref(), Some("b"));
    assert_eq!(asked("a\u{10FFFF}\u{10FFFF}").as_deref(), Some("b"));
    assert_eq!(asked("\u{10FFFF}"), None);
    assert_eq!(asked(""), None);
}
