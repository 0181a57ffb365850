//! A long scan over several cursors, each over a range of `_id`s: a server answers every one of them on a core of its own,
//! and takes longer to send documents than we take to read them.
//!
//! Only for whole collections: beside a condition, a range might have the server's planner choose another index. Only of
//! `_id`s that grow, as those that servers and drivers make do: documents lie in their order then, where others would be
//! fetched from all over the disk. Nobody waits for the bounds to be known: the first scan has one cursor.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use collections::{Command, Find};
use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use rules::Result;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::errors;
use super::facts::Facts;

/// With fewer documents one cursor is as fast.
const DOCUMENTS_MIN: u64 = 20_000;
/// Cursors of one scan, as far as the cluster takes so many scans.
const RANGES_MAX: usize = 4;
/// Of a sample of so many `_id`s for each range, no range is much longer than another.
const SAMPLED: usize = 50;
/// How long the cluster may look for them: most find them at once, some read everything.
const TIME: Duration = Duration::from_secs(30);
/// How long bounds are good. They are never wrong: what was added since is in the last range.
const FRESH: Duration = Duration::from_secs(600);
/// As the cluster's list of operations calls it.
const COMMENT: &str = "amigo-admin: ranges for several cursors";

/// Database and collection.
type Place = (String, String);

/// Where ranges begin, by place, and when that was asked; nothing where one cursor is best, or while it is asked.
#[derive(Debug, Default)]
pub(super) struct KnownBounds(Mutex<HashMap<Place, (Instant, Vec<Bson>)>>);

impl KnownBounds {
    fn all(&self) -> MutexGuard<'_, HashMap<Place, (Instant, Vec<Bson>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bounds as far as they are known, and whether they must be asked for now.
    fn get(&self, place: &Place) -> (Vec<Bson>, bool) {
        let now = Instant::now();
        let mut all = self.all();
        match all.get_mut(place) {
            Some((asked, bounds)) => {
                let is_old = now > *asked + FRESH;
                if is_old {
                    *asked = now;
                }
                (bounds.clone(), is_old)
            }
            None => {
                all.retain(|_, (asked, _)| now < *asked + FRESH);
                all.insert(place.clone(), (now, Vec::new()));
                (Vec::new(), true)
            }
        }
    }

    fn keep(&self, place: Place, bounds: Vec<Bson>) {
        self.all().insert(place, (Instant::now(), bounds));
    }
}

/// The command as several that together have its answer: every document is in one of them, and in one only. The command
/// alone where that is as fast, or bounds are not known.
pub(super) fn split(
    cluster: &Arc<Cluster>,
    place: &Place,
    facts: &Facts,
    command: Command,
) -> Vec<Command> {
    let Command::Find(find) = &command else {
        return vec![command];
    };
    let is_whole = find.filter.is_empty() && find.sort.is_none() && find.limit.is_none();
    let count = RANGES_MAX.min(cluster.settings.concurrent_scans);
    if !is_whole || count < 2 || facts.documents < DOCUMENTS_MIN || !facts.has_index_of_ids() {
        return vec![command];
    }
    let (bounds, is_wanted) = cluster.bounds.get(place);
    if is_wanted {
        let (cluster, place) = (Arc::clone(cluster), place.clone());
        tokio::spawn(async move {
            let ids = sample(&cluster, &place, count * SAMPLED).await;
            let ids = ids.inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::debug!(error, "one cursor will read all of a collection");
            });
            let bounds = bounds_of(ids.unwrap_or_default(), count);
            cluster.bounds.keep(place, bounds);
        });
    }
    let of_range = |filter| {
        Command::Find(Box::new(Find {
            filter,
            ..find.as_ref().clone()
        }))
    };
    ranges(&bounds).into_iter().map(of_range).collect()
}

/// Some `_id`s in their order.
async fn sample(cluster: &Cluster, place: &Place, size: usize) -> Result<Vec<Bson>> {
    let (database, collection) = place;
    let database = cluster.database(database).await?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let pipeline = [
        doc! {"$sample": {"size": size}},
        doc! {"$project": {"_id": 1}},
        doc! {"$sort": {"_id": 1}},
    ];
    let _scan = cluster.scans.acquire().await;
    let sampled = async {
        let collection = database.collection::<Document>(collection);
        let sampled = collection
            .aggregate(pipeline)
            .max_time(TIME)
            .comment(COMMENT);
        sampled.await?.try_collect::<Vec<_>>().await
    };
    let sampled = sampled
        .await
        .map_err(|error| errors::failed(&cluster.name, &error))?;
    let ids = sampled.into_iter();
    Ok(ids.filter_map(|mut one| one.remove("_id")).collect())
}

/// Where the ranges after the first begin: nowhere where the `_id`s are of several types, or of one that need not grow.
fn bounds_of(ids: Vec<Bson>, count: usize) -> Vec<Bson> {
    let kind: Option<Discriminant<Bson>> = ids.first().map(discriminant);
    let grows = |id: &Bson| {
        let grows = matches!(id, Bson::ObjectId(_) | Bson::Int32(_) | Bson::Int64(_));
        grows && Some(discriminant(id)) == kind
    };
    if !ids.iter().all(grows) {
        return Vec::new();
    }
    let mut bounds: Vec<Bson> = (1..count)
        .filter_map(|range| ids.get(range * ids.len() / count).cloned())
        .collect();
    bounds.dedup();
    bounds
}

/// Conditions of which every `_id`, of whatever type, meets one and only one: comparisons are about the bounds' own
/// type, and the last range has the others.
fn ranges(bounds: &[Bson]) -> Vec<Document> {
    let (Some(first), Some(last)) = (bounds.first(), bounds.last()) else {
        return vec![doc! {}];
    };
    let between = bounds.windows(2).map(|bounds| {
        let [from, to] = bounds else {
            unreachable!("windows of two");
        };
        doc! {"_id": {"$gte": from, "$lt": to}}
    });
    let mut ranges = vec![doc! {"_id": {"$lt": first}}];
    ranges.extend(between);
    ranges.push(doc! {"$nor": [{"_id": {"$lt": last}}]});
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: impl IntoIterator<Item = impl Into<Bson>>) -> Vec<Bson> {
        ids.into_iter().map(Into::into).collect()
    }

    #[test]
    fn bounds_are_where_parts_of_the_sample_begin() {
        assert_eq!(bounds_of(ids(0..100), 4), ids([25, 50, 75]));
        assert_eq!(bounds_of(ids([1_i64, 2]), 4), ids([1_i64, 2]));
        assert_eq!(bounds_of(ids([7; 9]), 4), ids([7]));
        assert_eq!(bounds_of(Vec::new(), 4), Vec::new());
    }

    #[test]
    fn there_are_none_among_several_types_and_those_that_need_not_grow() {
        let mut mixed = ids(0..100);
        mixed.push("a".into());
        assert_eq!(bounds_of(mixed, 4), Vec::new());
        assert_eq!(bounds_of(ids(["a", "b"]), 2), Vec::new());
        assert_eq!(bounds_of(ids([0.5, 1.5]), 2), Vec::new());
        assert_eq!(
            bounds_of(ids([doc! {"a": 1}, doc! {"a": 2}]), 2),
            Vec::new()
        );
    }

    #[test]
    fn the_last_range_has_everything_that_no_other_has() {
        assert_eq!(ranges(&[]), [doc! {}]);
        assert_eq!(
            ranges(&ids([5])),
            [
                doc! {"_id": {"$lt": 5}},
                doc! {"$nor": [{"_id": {"$lt": 5}}]}
            ]
        );
        assert_eq!(
            ranges(&ids([5, 7])),
            [
                doc! {"_id": {"$lt": 5}},
                doc! {"_id": {"$gte": 5, "$lt": 7}},
                doc! {"$nor": [{"_id": {"$lt": 7}}]}
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn bounds_are_asked_for_once_and_again_when_they_are_old() {
        let known = KnownBounds::default();
        let place = ("d".to_owned(), "c".to_owned());
        assert_eq!(known.get(&place), (Vec::new(), true));
        assert_eq!(known.get(&place), (Vec::new(), false), "it is being asked");
        known.keep(place.clone(), ids([5]));
        assert_eq!(known.get(&place), (ids([5]), false));
        tokio::time::advance(2 * FRESH).await;
        assert_eq!(known.get(&place), (ids([5]), true), "old ones still hold");
        assert_eq!(known.get(&place), (ids([5]), false));
    }
}
