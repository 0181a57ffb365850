//! What a collection holds: columns from a sample, and facts that help to ask it well.

use std::time::Duration;

use collections::{Column, Kind, Path, infer};
use futures::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::ErrorKind;
use rules::{Result, TableName};
use tokio::time::{Instant, timeout};

use super::answers::{failed, silent};
use super::{ANSWERING, Collections, lock};
use crate::directory::StoredCollection;

/// Documents of a sample.
const SAMPLE_DOCUMENTS: i64 = 1000;
/// The longest a sample may take.
const SAMPLING: Duration = Duration::from_secs(10);
/// Facts are taken for true for so long.
const FRESH: Duration = Duration::from_secs(60);

/// What a server says that knows no `$sample`.
const UNKNOWN_STAGE: [i32; 3] = [168, 238, 40324];

/// What is known of a collection beside its columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    at: Option<Instant>,
    /// Paths that begin an index.
    pub indexed: Vec<Path>,
    /// About so many.
    pub documents: u64,
}

impl Collections {
    /// The columns of a table of which none are known, kept from now on.
    pub(super) async fn sample(
        &self,
        name: &TableName,
        collection: &str,
    ) -> Result<StoredCollection> {
        let (stored, is_of_documents) = self.sampled(name, collection).await?;
        match is_of_documents {
            true => {
                let settled =
                    self.directory
                        .settle_collection(&self.org_id, &self.cluster.name, &stored);
                settled.await
            }
            false => Ok(stored),
        }
    }

    /// The columns of a table from a new sample, in the place of those that were kept.
    pub(super) async fn sample_anew(&self, name: &TableName, collection: &str) -> Result<()> {
        let (stored, _) = self.sampled(name, collection).await?;
        self.directory
            .store_collection(&self.org_id, &self.cluster.name, &stored)
            .await
    }

    /// The columns, and whether there were documents to have them from.
    async fn sampled(
        &self,
        name: &TableName,
        collection: &str,
    ) -> Result<(StoredCollection, bool)> {
        let documents = timeout(SAMPLING, self.documents(collection)).await;
        let (documents, how) = documents.map_err(silent)??;
        let now = self.clock.now();
        let mut columns = infer(documents.iter().map(|document| document.as_ref()));
        if columns.is_empty() {
            columns.push(Column {
                name: "_id".to_owned(),
                path: Path::field("_id"),
                kind: Kind::ObjectId,
            });
        }
        let (count, day) = (documents.len(), now.format("%Y-%m-%d"));
        let stored = StoredCollection {
            name: name.clone(),
            collection: collection.to_owned(),
            columns,
            origin: format!("from {how} {count} documents on {day}"),
            sampled_at: now,
        };
        Ok((stored, count > 0))
    }

    /// Some of the organization's documents, and how they were chosen.
    async fn documents(&self, collection: &str) -> Result<(Vec<RawDocumentBuf>, &'static str)> {
        let database = self.cluster.database(&self.database).await?;
        let collection: Collection<RawDocumentBuf> = database.collection(collection);
        let own = self
            .tenant()
            .map(|tenant| tenant.document())
            .unwrap_or_default();
        let mut pipeline = vec![doc! {"$sample": {"size": SAMPLE_DOCUMENTS}}];
        if !own.is_empty() {
            pipeline.insert(0, doc! {"$match": own.clone()});
        }
        let sampled = collection.aggregate(pipeline).max_time(SAMPLING);
        let sampled = sampled.with_type::<RawDocumentBuf>().await;
        match sampled {
            Ok(cursor) => {
                let documents = cursor.try_collect().await.map_err(failed)?;
                Ok((documents, "a sample of"))
            }
            Err(error) if knows_no_sample(&error) => {
                let first = collection
                    .find(own)
                    .limit(SAMPLE_DOCUMENTS)
                    .max_time(SAMPLING);
                let documents = first.await.map_err(failed)?.try_collect().await;
                Ok((documents.map_err(failed)?, "the first"))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What helps to ask the collection; little where the cluster does not say.
    pub(super) async fn facts(&self, collection: &str) -> Facts {
        let key = (self.database.clone(), collection.to_owned());
        let known = lock(&self.cluster.facts).get(&key).cloned();
        if let Some(facts) = known.filter(|facts| facts.at.is_some_and(|at| at.elapsed() < FRESH)) {
            return facts;
        }
        let asked = timeout(ANSWERING, async {
            let database = self.cluster.database(&self.database).await?;
            let documents: Collection<Document> = database.collection(collection);
            let count = documents
                .estimated_document_count()
                .await
                .unwrap_or_default();
            let command = doc! {"listIndexes": collection};
            let indexes = match database.run_cursor_command(command).await {
                Ok(indexes) => indexes.try_collect().await.unwrap_or_default(),
                // A view has none.
                Err(_) => Vec::new(),
            };
            Ok::<_, rules::Error>((count, indexes))
        });
        let (documents, indexes) = asked
            .await
            .unwrap_or(Ok((0, Vec::new())))
            .unwrap_or_default();
        let facts = Facts {
            at: Some(Instant::now()),
            indexed: indexes.iter().filter_map(begin_of_index).collect(),
            documents,
        };
        lock(&self.cluster.facts).insert(key, facts.clone());
        facts
    }
}

fn knows_no_sample(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if UNKNOWN_STAGE.contains(&command.code))
}

/// The path whose order an index has; none where it leaves documents out or has another order than bytes and numbers.
fn begin_of_index(index: &Document) -> Option<Path> {
    const LEFT_OUT: [&str; 3] = ["partialFilterExpression", "sparse", "collation"];
    let is_partial = LEFT_OUT.iter().any(|option| index.contains_key(option));
    let is_hidden = index.get_bool("hidden").unwrap_or(false);
    let (field, direction) = index.get_document("key").ok()?.iter().next()?;
    let is_ordered = direction.as_str().is_none() && !field.contains('$');
    (!is_partial && !is_hidden && is_ordered)
        .then(|| Path::parse(field))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_counts_by_its_first_field_where_it_holds_every_document_in_plain_order() {
        let begin = |index| begin_of_index(&index).map(|path| path.to_string());
        assert_eq!(begin(doc! {"key": {"_id": 1}}), Some("_id".to_owned()));
        assert_eq!(
            begin(doc! {"key": {"a.b": -1, "c": 1}}),
            Some("a.b".to_owned())
        );
        for none in [
            doc! {"key": {"a": "text"}},
            doc! {"key": {"a": "hashed"}},
            doc! {"key": {"$**": 1}},
            doc! {"key": {"a": 1}, "sparse": true},
            doc! {"key": {"a": 1}, "hidden": true},
            doc! {"key": {"a": 1}, "partialFilterExpression": {"a": {"$gt": 1}}},
            doc! {"key": {"a": 1}, "collation": {"locale": "de"}},
            doc! {"name": "x"},
        ] {
            assert_eq!(begin(none.clone()), None, "{none}");
        }
    }
}
