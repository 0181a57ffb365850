use std::collections::BTreeMap;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::datatypes::Int64Type;

use super::*;

/// A lake of its own, and a table in it.
struct Place {
    lake: Lake,
    org: OrgId,
    name: TableName,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            lake: Lake::local(folder.path()).unwrap(),
            org: OrgId::parse("acme").unwrap(),
            name: TableName::parse("users").unwrap(),
            folder,
        }
    }

    async fn copied(&self) -> Option<Copied> {
        Copied::open(&self.lake, &self.org, &self.name)
            .await
            .unwrap()
    }

    fn begin(&self, key: Option<usize>) -> Copy<'_> {
        let now = DateTime::from_timestamp(1_795_521_600, 0).unwrap();
        let schema = batch(&[]).schema();
        let place = (&self.org, &self.name);
        Copy::begin(&self.lake, place, (&schema, source()), key, now).unwrap()
    }

    async fn replace_all(&self, rows: &[(&str, i64)], reached: Option<(&str, i64)>) {
        let mut copy = self.begin(None);
        copy.write(&batch(rows)).await.unwrap();
        let copied = self.copied().await;
        copy.replace_all(copied, reached).await.unwrap();
    }

    async fn replace_some(&self, batches: &[&[(&str, i64)]], reached: i64) -> Result<u64> {
        let mut copy = self.begin(Some(0));
        for rows in batches {
            copy.write(&batch(rows)).await?;
        }
        let copied = self.copied().await.unwrap();
        copy.replace_some(copied, Some(("at", reached))).await
    }

    /// What any reader of the newest version finds: every row once.
    async fn rows(&self) -> BTreeMap<String, i64> {
        let copied = self.copied().await.unwrap();
        let reader = self.begin(None);
        let log = copied.table.log_store();
        let snapshot = copied.table.snapshot().unwrap();
        let mut files = snapshot.snapshot().file_views(&log, None);
        let mut found = BTreeMap::new();
        while let Some(file) = files.try_next().await.unwrap() {
            let path = StorePath::from(file.path().as_ref());
            let size = u64::try_from(file.size()).unwrap();
            let mut batches = reader.rows_of(&path, size, None).await.unwrap();
            while let Some(batch) = batches.try_next().await.unwrap() {
                let ids = batch.column(0).as_string::<i32>();
                let numbers = batch.column(1).as_primitive::<Int64Type>();
                for (id, number) in ids.iter().zip(numbers) {
                    let before = found.insert(id.unwrap().to_owned(), number.unwrap());
                    assert_eq!(before, None, "{id:?} is there twice");
                }
            }
        }
        found
    }

    fn data_files(&self) -> usize {
        let folder = std::fs::read_dir(self.folder.path().join("acme/users")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".parquet")).count()
    }
}

fn source() -> Source {
    Source::of(b"documents")
}

/// `_id`, `n`, and an instant in milliseconds.
fn batch(rows: &[(&str, i64)]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)));
    let instants = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.1));
    let instants: ArrayRef = Arc::new(instants.with_timezone("UTC"));
    RecordBatch::try_from_iter([("_id", ids), ("n", numbers), ("at", instants)]).unwrap()
}

/// The batch's columns, which may be null.
fn nullable(rows: &RecordBatch) -> SchemaRef {
    let schema = rows.schema();
    let fields = schema.fields().iter();
    let fields: Vec<Field> = fields
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    Arc::new(Schema::new(fields))
}

fn map(rows: &[(&str, i64)]) -> BTreeMap<String, i64> {
    rows.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect()
}

#[tokio::test]
async fn a_copy_replaces_all_rows_and_knows_how_far_it_came() {
    let place = Place::new();
    assert!(place.copied().await.is_none());
    place.replace_all(&[("a", 1), ("b", 2)], None).await;
    assert_eq!(place.rows().await, map(&[("a", 1), ("b", 2)]));
    let copied = place.copied().await.unwrap();
    assert!(copied.is_copy().await.unwrap());
    for (schema, source, is_same) in [
        (&batch(&[]).schema(), source(), true),
        (&batch(&[]).schema(), Source::of(b"other documents"), false),
        (&Arc::new(Schema::empty()), source(), false),
    ] {
        let has = copied.has_columns(schema, &source).await.unwrap();
        assert_eq!(has, is_same, "{schema:?}");
    }
    assert_eq!(copied.reached("at").await.unwrap(), None);
    place.replace_all(&[("c", 3)], Some(("at", 3))).await;
    assert_eq!(place.rows().await, map(&[("c", 3)]));
    let copied = place.copied().await.unwrap();
    assert_eq!(copied.reached("at").await.unwrap(), Some(3));
    assert_eq!(copied.reached("other").await.unwrap(), None);
    place.replace_all(&[], None).await;
    assert_eq!(place.rows().await, map(&[]));
}

#[tokio::test]
async fn rows_take_the_place_of_those_with_their_keys_and_the_last_of_a_key_counts() {
    let place = Place::new();
    let all = [("a", 1), ("b", 2), ("c", 3)];
    place.replace_all(&all, Some(("at", 3))).await;
    let changed: [&[(&str, i64)]; 2] = [&[("b", 4), ("d", 5), ("b", 6)], &[("d", 7)]];
    assert_eq!(place.replace_some(&changed, 7).await.unwrap(), 2);
    let expected = map(&[("a", 1), ("b", 6), ("c", 3), ("d", 7)]);
    assert_eq!(place.rows().await, expected);
    // Again, and with nothing: the same table.
    assert_eq!(place.replace_some(&changed, 7).await.unwrap(), 2);
    assert_eq!(place.replace_some(&[], 7).await.unwrap(), 0);
    assert_eq!(place.rows().await, expected);
    let copied = place.copied().await.unwrap();
    assert_eq!(copied.reached("at").await.unwrap(), Some(7));
    // Every row of a file replaced.
    let every: [&[(&str, i64)]; 1] = [&[("a", 8), ("b", 8), ("c", 8), ("d", 8)]];
    assert_eq!(place.replace_some(&every, 8).await.unwrap(), 4);
    let eight = map(&[("a", 8), ("b", 8), ("c", 8), ("d", 8)]);
    assert_eq!(place.rows().await, eight);
}

#[tokio::test]
async fn what_another_writer_commits_meanwhile_is_not_undone() {
    let place = Place::new();
    place.replace_all(&[("a", 1)], None).await;
    let before = place.data_files();
    let mut late = place.begin(Some(0));
    late.write(&batch(&[("a", 2)])).await.unwrap();
    let copied = place.copied().await.unwrap();
    place.replace_all(&[("b", 3)], None).await;
    let error = late.replace_some(copied, None).await.unwrap_err();
    assert_eq!(*error.kind(), rules::Kind::Conflict);
    assert_eq!(place.rows().await, map(&[("b", 3)]));
    assert_eq!(place.data_files(), before + 1, "nothing is left over");
    // Nor by a copy of all rows, which would take its note of how far it came for its own.
    let mut late = place.begin(None);
    late.write(&batch(&[("a", 4)])).await.unwrap();
    let copied = place.copied().await;
    place.replace_some(&[&[("c", 5)]], 5).await.unwrap();
    let error = late.replace_all(copied, None).await.unwrap_err();
    assert_eq!(*error.kind(), rules::Kind::Conflict);
    assert_eq!(place.rows().await, map(&[("b", 3), ("c", 5)]));
    assert_eq!(place.data_files(), before + 2, "nothing is left over");
}

#[tokio::test]
async fn a_copy_that_is_given_up_changes_nothing_and_leaves_nothing() {
    let place = Place::new();
    place.replace_all(&[("a", 1)], None).await;
    let before = place.data_files();
    let mut copy = place.begin(None);
    copy.write(&batch(&[("z", 9)])).await.unwrap();
    copy.end().await.unwrap();
    assert_eq!(place.data_files(), before + 1);
    copy.discard().await;
    assert_eq!(place.data_files(), before);
    assert_eq!(place.rows().await, map(&[("a", 1)]));
}

#[tokio::test]
async fn rows_without_keys_and_columns_no_table_can_have_are_refused() {
    let place = Place::new();
    let mut copy = place.begin(Some(0));
    let rows = batch(&[("a", 1)]);
    let mut columns = rows.columns().to_vec();
    columns[0] = Arc::new(StringArray::from(vec![None::<&str>]));
    let rows = RecordBatch::try_new(nullable(&rows), columns).unwrap();
    let error = copy.write(&rows).await.unwrap_err();
    assert!(error.message().contains("_id"), "{error}");
    for names in [["a b", "c"], ["a", "A"]] {
        let fields = names.map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Schema::new(fields.to_vec());
        let place = (&place.org, &place.name);
        let columns = (&schema, source());
        let refused = Copy::begin(&copy.lake.clone(), place, columns, None, copy.now).err();
        let refused = refused.unwrap();
        assert_eq!(*refused.kind(), rules::Kind::Invalid);
        assert!(refused.message().contains("declare"), "{refused}");
    }
}

#[test]
fn instants_are_kept_to_the_microsecond_and_those_beyond_are_null() {
    let instants: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![1, i64::MAX]).with_timezone("UTC"));
    let rows = RecordBatch::try_from_iter([("at", instants)]).unwrap();
    let stored = stored_batch(&rows, &stored_schema(&rows.schema())).unwrap();
    let column = stored.column(0);
    let instants = column.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!(instants.value(0), 1000);
    assert!(instants.is_null(1));
    assert_eq!(lost(&rows, &stored), [("at".to_owned(), 1)]);
}

#[test]
fn keys_of_each_type_tell_rows_apart() {
    use arrow::array::{BinaryArray, BooleanArray};
    let columns: [ArrayRef; 3] = [
        Arc::new(StringArray::from(vec!["a", "b", "a"])),
        Arc::new(Int64Array::from(vec![1, 2, 1])),
        Arc::new(BinaryArray::from_vec(vec![b"a", b"\xFF", b"a"])),
    ];
    for column in columns {
        let keys = keys(&column).unwrap();
        assert!(keys[0] != keys[1] && keys[0] == keys[2], "{column:?}");
    }
    assert!(keys(&BooleanArray::from(vec![true])).is_err());
    assert!(keys(&Int64Array::from(vec![Some(1), None])).is_err());
}
