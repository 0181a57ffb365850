//! What makes some questions to a collection cheap: its indexes. Only ever a hint.

use std::collections::HashMap;
use std::time::Duration;

use collections::Path;
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use rules::Result;
use tokio::time::{Instant, timeout};

use super::cluster::Cluster;
use super::errors;
use super::listing::Listed;

/// How long they count as known.
const KNOWN: Duration = Duration::from_secs(60);
/// How long nobody asks again when they could not be found.
const UNKNOWN: Duration = Duration::from_secs(5);
/// How long they are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Paths that begin an index.
    pub(super) indexed: Vec<Path>,
}

/// By database and collection, each until some moment.
#[derive(Debug, Default)]
pub(super) struct KnownFacts(HashMap<(String, String), (Instant, Facts)>);

impl KnownFacts {
    pub(super) fn get(&self, place: &(String, String)) -> Option<Facts> {
        let (until, facts) = self.0.get(place)?;
        (Instant::now() < *until).then(|| facts.clone())
    }

    /// Keeps what was found; that nothing could be, for less long.
    pub(super) fn keep(&mut self, place: (String, String), found: Option<&Facts>) {
        let now = Instant::now();
        let (facts, time) = match found {
            Some(facts) => (facts.clone(), KNOWN),
            None => (Facts::default(), UNKNOWN),
        };
        self.0.retain(|_, (until, _)| now < *until);
        self.0.insert(place, (now + time, facts));
    }
}

/// Asks the cluster. A view has no indexes.
///
/// # Errors
/// `Unavailable`, and what else the cluster says.
pub(super) async fn find(cluster: &Cluster, database: &str, listed: &Listed) -> Result<Facts> {
    if listed.is_view || listed.is_refused {
        return Ok(Facts::default());
    }
    let client = cluster.client().await?;
    let database = client.database(database);
    let milliseconds = i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
    let list = doc! {"listIndexes": &listed.name, "maxTimeMS": milliseconds};
    let list = database.run_cursor_command(list);
    let list = match client.selection_criteria() {
        Some(criteria) => list.selection_criteria(criteria.clone()),
        None => list,
    };
    let asked = async { list.await?.try_collect::<Vec<Document>>().await };
    let indexes = match timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| errors::failed(&cluster.name, &error))?,
        Err(_) => return Err(errors::unavailable(&cluster.name, "no indexes in time")),
    };
    let mut indexed: Vec<Path> = indexes.iter().filter_map(first_field).collect();
    indexed.sort();
    indexed.dedup();
    Ok(Facts { indexed })
}

/// The path that an index is sorted by first; none where the index has not every document, or has them in another order
/// than by their values' bytes, or may not be used.
fn first_field(index: &Document) -> Option<Path> {
    let refused = ["partialFilterExpression", "collation"];
    let flags = ["sparse", "hidden"];
    let is_set = |flag: &str| match index.get(flag) {
        None | Some(Bson::Boolean(false) | Bson::Null) => false,
        Some(_) => true,
    };
    if refused.iter().any(|option| index.contains_key(*option)) || flags.into_iter().any(is_set) {
        return None;
    }
    let (field, order) = index.get_document("key").ok()?.iter().next()?;
    let is_order = match order {
        Bson::Int32(order) => order.abs() == 1,
        Bson::Int64(order) => order.abs() == 1,
        Bson::Double(order) => order.abs() == 1.0,
        _ => false,
    };
    let is_wildcard = field.split('.').any(|part| part == "$**");
    if !is_order || is_wildcard {
        return None;
    }
    Path::parse(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(index: Document) -> Option<String> {
        first_field(&index).map(|path| path.to_string())
    }

    #[test]
    fn an_index_counts_by_its_first_field() {
        assert_eq!(first(doc! {"key": {"_id": 1}}).as_deref(), Some("_id"));
        let two = doc! {"key": {"a.b": -1, "c": 1}, "unique": true, "sparse": false};
        assert_eq!(first(two).as_deref(), Some("a.b"));
        assert_eq!(first(doc! {"key": {"a": 1.0}}).as_deref(), Some("a"));
    }

    #[test]
    fn an_index_without_every_document_or_in_another_order_does_not_count() {
        for index in [
            doc! {"key": {"a": "text"}},
            doc! {"key": {"a": "hashed"}},
            doc! {"key": {"a": "2dsphere"}},
            doc! {"key": {"$**": 1}},
            doc! {"key": {"a.$**": 1}},
            doc! {"key": {"a": 1}, "sparse": true},
            doc! {"key": {"a": 1}, "hidden": true},
            doc! {"key": {"a": 1}, "partialFilterExpression": {"b": 1}},
            doc! {"key": {"a": 1}, "collation": {"locale": "de"}},
            doc! {"key": {}},
            doc! {},
        ] {
            assert_eq!(first(index.clone()), None, "{index}");
        }
    }
}
