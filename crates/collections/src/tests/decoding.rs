use bson::{Document, RawDocument, doc, rawdoc};
use proptest::collection::vec;
use proptest::prelude::*;

use super::cell::{Cell, cells, expected};
use super::documents::{document, raw};
use crate::{Column, Decoder, Error, Kind, Path, documents};

pub(super) const KINDS: &[Kind] = &[
    Kind::String,
    Kind::ObjectId,
    Kind::Boolean,
    Kind::BigInt,
    Kind::Double,
    Kind::Decimal {
        precision: 5,
        scale: 2,
    },
    Kind::Decimal {
        precision: 38,
        scale: 20,
    },
    Kind::Decimal {
        precision: 19,
        scale: 0,
    },
    Kind::Timestamp,
    Kind::Binary,
    Kind::Json,
];

pub(super) fn column(path: &str, kind: Kind) -> Column {
    Column {
        name: format!("{path} {kind}"),
        path: Path::parse(path).unwrap(),
        kind,
    }
}

fn decoded(columns: &[Column], documents: &[Document]) -> (Vec<Vec<Option<Cell>>>, Vec<u64>) {
    let mut decoder = Decoder::new(columns, false);
    for document in documents {
        decoder.push(&raw(document)).unwrap();
    }
    let batch = decoder.finish();
    let misfits = decoder.misfits().map(|(_, count)| count).collect();
    (cells(&batch, columns), misfits)
}

proptest! {
    #![proptest_config(super::cases(1_000))]

    /// Every kind at several depths, of many documents in several batches.
    #[test]
    fn rows_are_what_whole_documents_say(batches in vec(vec(document(), 0..6), 1..3)) {
        let paths = ["a", "b", "a.b", "a.0", "c.a.b", "d"];
        let columns: Vec<Column> = paths
            .iter()
            .flat_map(|path| KINDS.iter().map(|kind| column(path, *kind)))
            .collect();
        let mut decoder = Decoder::new(&columns, false);
        let mut misfits = vec![0; columns.len()];
        for batch in &batches {
            let mut rows = Vec::new();
            for document in batch {
                decoder.push(&raw(document)).unwrap();
                let row = columns.iter().map(|column| expected(document, column));
                let row: Vec<_> = row.collect();
                for (count, (_, is_misfit)) in misfits.iter_mut().zip(&row) {
                    *count += u64::from(*is_misfit);
                }
                rows.push(row.into_iter().map(|(cell, _)| cell).collect::<Vec<_>>());
            }
            prop_assert_eq!(decoder.len(), batch.len());
            prop_assert_eq!(cells(&decoder.finish(), &columns), rows);
        }
        let counted: Vec<u64> = decoder.misfits().map(|(_, count)| count).collect();
        prop_assert_eq!(counted, misfits);
    }

    /// A strict table fails with the first value that does not fit, and then goes on without the rows before.
    #[test]
    fn strict_tables_take_what_fits(document in document(), kind in proptest::sample::select(KINDS)) {
        let columns = [column("a", kind), column("a.b", kind)];
        let fits = columns.iter().all(|column| !expected(&document, column).1);
        let mut decoder = Decoder::new(&columns, true);
        decoder.push(&rawdoc! {}).unwrap();
        match decoder.push(&raw(&document)) {
            Ok(()) => prop_assert!(fits),
            Err(error) => {
                prop_assert!(!fits);
                let is_misfit = matches!(error, Error::Misfit { .. });
                prop_assert!(is_misfit);
                prop_assert_eq!(decoder.len(), 0);
            }
        }
        decoder.finish();
        decoder.push(&rawdoc! {}).unwrap();
        prop_assert_eq!(decoder.finish().num_rows(), 1);
    }

    /// Whatever the bytes.
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..80), tail in vec(any::<u8>(), 0..8)) {
        let columns: Vec<Column> = KINDS.iter().map(|kind| column("a", *kind)).collect();
        let mut whole = ((bytes.len() + tail.len() + 8) as u32).to_le_bytes().to_vec();
        whole.extend(&bytes[..bytes.len().min(1)]);
        whole.extend(b"a\0");
        whole.extend(bytes.iter().skip(1));
        whole.extend(tail);
        whole.push(0);
        let mut decoder = Decoder::new(&columns, false);
        if let Ok(document) = RawDocument::from_bytes(&whole) {
            let outcome = decoder.push(document);
            prop_assert_eq!(decoder.finish().num_rows(), usize::from(outcome.is_ok()));
        }
        documents(&whole).for_each(drop);
    }
}

#[test]
fn fields_in_any_order_are_found() {
    let columns = [
        column("a", Kind::BigInt),
        column("b", Kind::BigInt),
        column("c", Kind::BigInt),
    ];
    let documents = [
        doc! {"a": 1, "b": 2, "c": 3},
        doc! {"c": 1, "x": 0, "a": 2},
        doc! {"b": 1},
        doc! {"x": 0, "a": 1, "y": 0, "b": 2, "z": 0, "c": 3, "zz": 0},
        doc! {},
        doc! {"a": 1, "b": 2, "c": 3},
    ];
    let integers = |row: [i64; 3]| row.map(|cell| (cell != 0).then_some(Cell::Integer(cell)));
    let expected = [
        [1, 2, 3],
        [2, 0, 1],
        [0, 1, 0],
        [1, 2, 3],
        [0, 0, 0],
        [1, 2, 3],
    ];
    let expected = expected.map(|row| integers(row).to_vec()).to_vec();
    assert_eq!(decoded(&columns, &documents).0, expected);
}

/// MongoDB's conditions look at the first too.
#[test]
fn of_a_key_twice_the_first_counts() {
    let mut twice = rawdoc! {"a": {}};
    twice.append(bson::cstr!("a"), rawdoc! {"b": 1});
    twice.append(bson::cstr!("c"), 2);
    twice.append(bson::cstr!("c"), 3);
    let columns = [
        column("a.b", Kind::BigInt),
        column("c", Kind::BigInt),
        column("d", Kind::BigInt),
    ];
    let mut decoder = Decoder::new(&columns, false);
    decoder.push(&twice).unwrap();
    let rows = cells(&decoder.finish(), &columns);
    assert_eq!(rows, [[None, Some(Cell::Integer(2)), None]]);
}

#[test]
fn rows_without_columns_are_counted() {
    let mut decoder = Decoder::new(&[], true);
    for _ in 0..3 {
        decoder.push(&rawdoc! {"a": 1}).unwrap();
    }
    assert_eq!(decoder.finish().num_rows(), 3);
    assert_eq!(decoder.finish().num_rows(), 0);
}

#[test]
fn every_column_may_be_null_and_has_its_kinds_type() {
    let columns: Vec<Column> = KINDS.iter().map(|kind| column("a", *kind)).collect();
    let mut decoder = Decoder::new(&columns, false);
    let schema = decoder.schema();
    for (field, column) in schema.fields().iter().zip(&columns) {
        assert_eq!(field.name(), &column.name);
        assert_eq!(field.data_type(), &column.kind.data_type());
        assert!(field.is_nullable());
    }
    assert_eq!(decoder.finish().schema(), schema);
}

#[test]
fn a_batch_is_as_large_as_its_values() {
    let columns = [column("a", Kind::String), column("b", Kind::BigInt)];
    let mut decoder = Decoder::new(&columns, false);
    assert_eq!(decoder.bytes(), 0);
    decoder
        .push(&rawdoc! {"a": "x".repeat(1_000), "b": 1_i64})
        .unwrap();
    assert!((1_000..1_100).contains(&decoder.bytes()));
    decoder.finish();
    assert_eq!(decoder.bytes(), 0);
}

#[test]
fn the_broken_places_of_a_text_that_is_not_utf_8_are_replaced() {
    let mut bytes = rawdoc! {"a": "xyz"}.into_bytes();
    let at = bytes
        .windows(3)
        .position(|window| window == b"xyz")
        .unwrap();
    bytes[at] = 0xFF;
    let columns = [column("a", Kind::String), column("a", Kind::Json)];
    let mut decoder = Decoder::new(&columns, false);
    decoder
        .push(RawDocument::from_bytes(&bytes).unwrap())
        .unwrap();
    let rows = cells(&decoder.finish(), &columns);
    let text = |text: &str| Some(Cell::Text(text.into()));
    assert_eq!(rows, [[text("\u{FFFD}yz"), text("\"\u{FFFD}yz\"")]]);
    assert!(decoder.misfits().all(|(_, count)| count == 0));
}

#[test]
fn what_does_not_fit_in_a_group_is_counted_for_each_of_its_documents() {
    let mut decoder = Decoder::new(&[column("a", Kind::String)], false);
    decoder.push_group(&rawdoc! {"a": 1, "n": 3_i64}).unwrap();
    decoder.push_group(&rawdoc! {"a": 2, "n": 2}).unwrap();
    decoder.push(&rawdoc! {"a": true}).unwrap();
    let misfits: Vec<u64> = decoder.misfits().map(|(_, count)| count).collect();
    assert_eq!(misfits, [6]);
}

#[test]
fn documents_beyond_every_depth_are_refused() {
    let nested = |depth| (0..depth).fold(rawdoc! {}, |inner, _| rawdoc! {"a": inner});
    let mut decoder = Decoder::new(&[column("a", Kind::Json)], false);
    decoder.push(&nested(200)).unwrap();
    assert_eq!(decoder.push(&nested(201)), Err(Error::TooDeep));
    let deep = nested(5_000);
    assert_eq!(decoder.push(&deep), Err(Error::TooDeep));
    let path = vec!["a"; 5_000].join(".");
    let mut decoder = Decoder::new(&[column(&path, Kind::Json)], false);
    decoder.push(&deep).unwrap();
    assert_eq!(decoder.finish().column(0).null_count(), 1);
}

#[test]
fn a_batch_of_the_server_is_read_document_by_document() {
    let documents_of = |batch: &[u8]| {
        documents(batch)
            .collect::<Result<Vec<_>, _>>()
            .map(|all| all.len())
    };
    let batch = rawdoc! {"0": {"a": 1}, "1": {}, "2": {"b": []}};
    assert_eq!(documents_of(batch.as_bytes()), Ok(3));
    assert_eq!(documents_of(rawdoc! {}.as_bytes()), Ok(0));
    assert_eq!(
        documents_of(rawdoc! {"0": 1}.as_bytes()),
        Err(Error::Malformed)
    );
    assert_eq!(documents_of(b""), Err(Error::Malformed));
    assert_eq!(documents_of(&batch.as_bytes()[1..]), Err(Error::Malformed));
    let first = documents(batch.as_bytes()).next().unwrap().unwrap();
    assert_eq!(first.get_i32("a").unwrap(), 1);
}
