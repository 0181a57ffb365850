//! Which collections there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use rules::{Error, Result};
use tokio::time::{Instant, timeout};

use super::answers::{failed, silent};
use super::{ANSWERING, Collections, lock};

/// A listing is new for so long.
const FRESH: Duration = Duration::from_secs(10);
/// A cluster that did not answer is asked again after so long.
const FORGIVEN: Duration = Duration::from_secs(5);

/// What is known of a database.
#[derive(Debug, Default)]
pub(super) struct Listing {
    listed: Option<(Instant, Arc<Listed>)>,
    failed: Option<Instant>,
    is_renewed: bool,
}

/// The collections of a database; whether texts are compared in them otherwise than by their bytes.
#[derive(Debug, Default)]
pub(super) struct Listed(BTreeMap<String, bool>);

impl Listed {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn has_collation(&self, collection: &str) -> bool {
        self.0.get(collection).copied().unwrap_or(false)
    }

    /// Of what `listCollections` says.
    fn of(collections: &[Document]) -> Self {
        let tables = collections.iter().filter_map(|collection| {
            let name = collection.get_str("name").ok()?;
            let kind = collection.get_str("type").unwrap_or("collection");
            let is_table = matches!(kind, "collection" | "view") && !name.starts_with("system.");
            let options = collection.get_document("options");
            let has_collation = options.is_ok_and(|options| options.contains_key("collation"));
            is_table.then(|| (name.to_owned(), has_collation))
        });
        Self(tables.collect())
    }
}

/// What is to be done about a listing.
enum Next {
    Take(Arc<Listed>),
    /// It is old: take it, and have it renewed.
    Renew(Arc<Listed>),
    Wait,
    Fail,
}

impl Listing {
    fn next(&mut self, now: Instant) -> Next {
        let failed = self.failed.is_some_and(|at| now - at < FORGIVEN);
        match &self.listed {
            Some((at, listed)) if now - *at < FRESH || failed || self.is_renewed => {
                Next::Take(Arc::clone(listed))
            }
            Some((_, listed)) => {
                self.is_renewed = true;
                Next::Renew(Arc::clone(listed))
            }
            None if failed => Next::Fail,
            None => Next::Wait,
        }
    }
}

impl Collections {
    /// The collections of the database. Waits only where nothing is known of it yet.
    pub(super) async fn listed(&self) -> Result<Arc<Listed>> {
        let next = {
            let mut listings = lock(&self.cluster.listings);
            let listing = listings.entry(self.database.clone()).or_default();
            listing.next(Instant::now())
        };
        match next {
            Next::Take(listed) => Ok(listed),
            Next::Renew(listed) => {
                let own = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = own.list_anew().await {
                        tracing::debug!(
                            error = &error as &dyn std::error::Error,
                            "a database's collections are not known anew"
                        );
                    }
                });
                Ok(listed)
            }
            Next::Wait => self.list_anew().await,
            Next::Fail => Err(silent("it did not answer just now")),
        }
    }

    /// Asks the cluster.
    pub(super) async fn list_anew(&self) -> Result<Arc<Listed>> {
        let listed = match timeout(ANSWERING, self.list()).await {
            Ok(listed) => listed.map(Arc::new),
            Err(_) => Err(silent("it did not answer in time")),
        };
        let mut listings = lock(&self.cluster.listings);
        let listing = listings.entry(self.database.clone()).or_default();
        listing.is_renewed = false;
        match &listed {
            Ok(listed) => {
                listing.listed = Some((Instant::now(), Arc::clone(listed)));
                listing.failed = None;
            }
            Err(_) => listing.failed = Some(Instant::now()),
        }
        listed
    }

    async fn list(&self) -> Result<Listed, Error> {
        let database = self.cluster.database(&self.database).await?;
        let command = doc! {"listCollections": 1, "authorizedCollections": true, "nameOnly": false};
        // Without the right to list all, a server lists the names of those that may be read.
        let listed = match database.run_cursor_command(command).await {
            Ok(cursor) => cursor.try_collect().await,
            Err(_) => {
                let command =
                    doc! {"listCollections": 1, "authorizedCollections": true, "nameOnly": true};
                let cursor = database.run_cursor_command(command).await;
                cursor.map_err(failed)?.try_collect().await
            }
        };
        let collections: Vec<Document> = listed.map_err(failed)?;
        Ok(Listed::of(&collections))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_and_views_are_tables() {
        let listed = Listed::of(&[
            doc! {"name": "users", "type": "collection", "options": {}},
            doc! {"name": "recent", "type": "view", "options": {"viewOn": "users", "pipeline": []}},
            doc! {"name": "names", "options": {"collation": {"locale": "de"}}},
            doc! {"name": "system.views", "type": "collection"},
            doc! {"name": "weather", "type": "timeseries"},
            doc! {"type": "collection"},
        ]);
        assert_eq!(
            listed.names().collect::<Vec<_>>(),
            ["names", "recent", "users"]
        );
        assert!(listed.has_collation("names") && !listed.has_collation("users"));
        assert!(!listed.has_collation("unknown"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_listing_is_taken_while_it_is_renewed_and_a_silent_cluster_is_left_alone() {
        let mut listing = Listing::default();
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(matches!(listing.next(after(0)), Next::Wait));
        listing.failed = Some(Instant::now());
        assert!(matches!(listing.next(after(1)), Next::Fail));
        assert!(matches!(listing.next(after(6)), Next::Wait));
        listing.listed = Some((Instant::now(), Arc::default()));
        assert!(matches!(listing.next(after(9)), Next::Take(_)));
        assert!(matches!(listing.next(after(11)), Next::Renew(_)));
        assert!(matches!(listing.next(after(11)), Next::Take(_)));
    }
}
