use bson::{Document, doc};
use proptest::prelude::*;
use proptest::sample::select;

use super::decoding::column;
use super::documents::{document, value};
use super::matching::matches;
use crate::filter::{Comparison, Constant, compare};
use crate::{Command, Filter, Find, Kind, Order, Path, Question, Tenant};

fn find(fields: &[&str]) -> Question {
    Question::Find {
        filter: Filter::Everything,
        fields: fields
            .iter()
            .map(|path| Path::parse(path).unwrap())
            .collect(),
        order: None,
        limit: None,
    }
}

fn found(question: &Question, tenant: Option<&Tenant>) -> Find {
    match question.command(tenant) {
        Command::Find(find) => *find,
        Command::Aggregate(stages) => panic!("{stages:?}"),
    }
}

fn stages(question: &Question, tenant: Option<&Tenant>) -> Vec<Document> {
    match question.command(tenant) {
        Command::Aggregate(stages) => stages,
        Command::Find(find) => panic!("{find:?}"),
    }
}

fn tenant(path: &str) -> Tenant {
    Tenant {
        path: Path::parse(path).unwrap(),
        org_id: "ours".into(),
    }
}

#[test]
fn no_field_is_wanted_beside_one_that_it_lies_within() {
    let projection = |fields: &[&str]| found(&find(fields), None).projection;
    assert_eq!(projection(&[]), doc! {"_id": 1});
    assert_eq!(projection(&["a"]), doc! {"a": 1, "_id": 0});
    assert_eq!(projection(&["_id"]), doc! {"_id": 1});
    assert_eq!(projection(&["a", "_id"]), doc! {"a": 1, "_id": 1});
    assert_eq!(projection(&["_id.x", "a"]), doc! {"_id.x": 1, "a": 1});
    assert_eq!(projection(&["_idx"]), doc! {"_idx": 1, "_id": 0});
    assert_eq!(
        projection(&["a.b", "a.c"]),
        doc! {"a.b": 1, "a.c": 1, "_id": 0}
    );
    assert_eq!(
        projection(&["a.b.c", "a.b", "ab", "a.b"]),
        doc! {"a.b": 1, "ab": 1, "_id": 0}
    );
    assert_eq!(projection(&["a.b.c", "a"]), doc! {"a": 1, "_id": 0});
    // Whole documents: a projection cannot name the field.
    let mut question = find(&["a"]);
    if let Question::Find { fields, .. } = &mut question {
        fields.push(Path::field("b.c"));
    }
    assert_eq!(found(&question, None).projection, doc! {});
}

#[test]
fn a_limit_of_nothing_finds_nothing() {
    let limited = |limit| {
        let question = Question::Find {
            filter: Filter::Everything,
            fields: vec![],
            order: None,
            limit: Some(limit),
        };
        found(&question, None)
    };
    assert_eq!(limited(0).filter, Filter::Nothing.document());
    assert_eq!((limited(7).filter, limited(7).limit), (doc! {}, Some(7)));
    assert_eq!(limited(u64::MAX).limit, Some(i64::MAX));
}

#[test]
fn questions_in_mongodbs_words() {
    let of_age = compare(
        &column("age", Kind::BigInt),
        Comparison::Gt,
        Constant::BigInt(17),
    );
    let filter = of_age.unwrap().filter;
    let age = doc! {"age": {"$gt": 17_i64, "$type": ["int", "long"], "$not": {"$type": "array"}}};
    let ours = doc! {
        "org.id": {"$eq": "ours", "$type": ["string"], "$not": {"$type": "array"}},
        "org": {"$not": {"$type": "array"}},
    };
    let both = doc! {"$and": [&ours, &age]};
    let tenant = tenant("org.id");

    let count = Question::Count {
        filter: filter.clone(),
    };
    assert_eq!(
        stages(&count, None),
        [doc! {"$match": &age}, doc! {"$count": "n"}]
    );
    assert_eq!(
        stages(&count, Some(&tenant)),
        [doc! {"$match": &both}, doc! {"$count": "n"}]
    );
    let count = Question::Count {
        filter: Filter::Everything,
    };
    assert_eq!(stages(&count, None), [doc! {"$count": "n"}]);
    assert_eq!(
        stages(&count, Some(&tenant)),
        [doc! {"$match": &ours}, doc! {"$count": "n"}]
    );

    let groups = Question::Groups {
        filter: filter.clone(),
        keys: vec![Path::field("city"), Path::parse("a.b").unwrap()],
    };
    let id = doc! {
        "t0": {"$type": "$city"}, "k0": "$city", "t1": {"$type": "$a.b"}, "k1": "$a.b",
    };
    let group = doc! {"$group": {"_id": id, "n": {"$sum": 1_i64}}};
    assert_eq!(
        stages(&groups, Some(&tenant)),
        [doc! {"$match": &both}, group]
    );

    let question = Question::Find {
        filter,
        fields: vec![Path::field("age")],
        order: Some(Order {
            path: Path::field("age"),
            descending: true,
        }),
        limit: Some(3),
    };
    let expected = Find {
        filter: both,
        projection: doc! {"age": 1, "_id": 0},
        sort: Some(doc! {"age": -1}),
        limit: Some(3),
    };
    assert_eq!(found(&question, Some(&tenant)), expected);
    assert_eq!(
        question.command(None).to_string(),
        concat!(
            r#"find({"age":{"$gt":17,"$type":["int","long"],"$not":{"$type":"array"}}}, "#,
            r#"{"age":1,"_id":0}).sort({"age":-1}).limit(3)"#
        )
    );
}

#[test]
fn paths_that_are_operators_are_no_part_of_a_question() {
    for question in [
        r#"{"Groups":{"filter":"Everything","keys":[["$ROOT"]]}}"#,
        r#"{"Groups":{"filter":"Everything","keys":[["a"],[]]}}"#,
        r#"{"Count":{"filter":{"Exists":{"path":["$where"]}}}}"#,
        r#"{"Find":{"filter":"Everything","fields":[],"order":{"path":["$a"],"descending":true},"limit":null}}"#,
    ] {
        assert!(
            serde_json::from_str::<Question>(question).is_err(),
            "{question}"
        );
    }
    let question = find(&["a", "b.c"]);
    let text = serde_json::to_string(&question).unwrap();
    assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
}

proptest! {
    #![proptest_config(super::cases(500))]

    /// Whatever is asked, only the tenant's documents answer: those with its text at the path itself.
    #[test]
    fn a_tenant_sees_its_own_documents(
        mut document in document(),
        owner in prop_oneof![Just(bson::Bson::from("ours")), Just(bson::Bson::from(vec!["ours"])), value()],
        filter in select(vec![
            Filter::Everything,
            Filter::Exists { path: Path::field("a") },
            Filter::Or(vec![Filter::Everything, Filter::Nothing]),
            Filter::Or(vec![Filter::Exists { path: Path::field("a") }, Filter::Exists { path: Path::field("b") }]),
            Filter::And(vec![Filter::Exists { path: Path::field("a") }]),
            Filter::NoValue { path: Path::field("org"), kind: Kind::String },
            Filter::Id(Constant::String("ours".to_owned())),
        ]),
    ) {
        document.insert("org", owner);
        let question = Question::Find { filter, fields: vec![], order: None, limit: None };
        let is_ours = document.get_str("org").is_ok_and(|org| org == "ours");
        let query = found(&question, Some(&tenant("org"))).filter;
        prop_assert!(is_ours || !matches(&query, &document), "{} {}", query, document);
    }
}
