//! Which collections a database has, as they were some seconds ago, and which tables they are.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use rules::{Result, TableName};
use tokio::time::{Instant, timeout};

use super::cluster::Cluster;
use super::errors;
use crate::config::{DeclaredCollection, SERVER_TABLES};

/// How long a listing counts as fresh.
const FRESH: Duration = Duration::from_secs(10);
/// How long a failure stands for the next one.
const FAILED: Duration = Duration::from_secs(5);
/// How long the first listing is waited for, and a later one.
const FIRST: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(5);

/// A collection or a view, or what else a database has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) is_view: bool,
    /// No table by itself: a collection of another kind, or a view with an order of its own, which cannot be asked to
    /// compare by bytes.
    pub(super) is_refused: bool,
    /// Its strings compare in another order than by their bytes where a question does not say otherwise.
    pub(super) has_collation: bool,
}

impl Listed {
    /// From an entry of `listCollections`; none for the server's own.
    fn of(entry: &Document) -> Option<Self> {
        let name = entry.get_str("name").ok()?;
        let (is_view, is_other) = match entry.get_str("type") {
            Ok("view") => (true, false),
            Ok("collection") | Err(_) => (false, false),
            Ok(_) => (false, true),
        };
        let options = entry.get_document("options").ok();
        let collation = options.and_then(|options| options.get_document("collation").ok());
        let has_collation =
            collation.is_some_and(|collation| !matches!(collation.get_str("locale"), Ok("simple")));
        (!name.starts_with("system.")).then(|| Self {
            name: name.to_owned(),
            is_view,
            is_refused: is_other || is_view && has_collation,
            has_collation,
        })
    }
}

/// The collection that a table of this name has, be it there or not; none where another table is declared to have it.
pub(super) fn collection<'a>(
    declared: &'a BTreeMap<TableName, DeclaredCollection>,
    name: &'a TableName,
) -> Option<&'a str> {
    if let Some(declared) = declared.get(name) {
        return Some(declared.collection(name));
    }
    let mut elsewhere = declared
        .iter()
        .map(|(table, declared)| declared.collection(table));
    let is_free =
        !SERVER_TABLES.contains(&name.as_str()) && elsewhere.all(|other| other != name.as_str());
    is_free.then_some(name.as_str())
}

/// The tables: those that are declared, where their columns are or the collection is there, and every other collection
/// whose name is one of a table.
pub(super) fn tables(
    declared: &BTreeMap<TableName, DeclaredCollection>,
    listed: &[Listed],
) -> BTreeMap<TableName, String> {
    let listed = || listed.iter().filter(|listed| !listed.is_refused);
    let there: HashSet<&str> = listed().map(|listed| listed.name.as_str()).collect();
    let others = listed().filter_map(|listed| {
        let name = TableName::parse(&listed.name).ok()?;
        (!declared.contains_key(&name)).then_some(name)
    });
    let is_known = |(name, declared): &(&TableName, &DeclaredCollection)| {
        declared.columns().is_some() || there.contains(declared.collection(name))
    };
    let names = declared
        .iter()
        .filter(is_known)
        .map(|(name, _)| name.clone());
    names
        .chain(others)
        .filter_map(|name| {
            let collection = collection(declared, &name)?.to_owned();
            Some((name, collection))
        })
        .collect()
}

fn named(listed: &[Listed], name: &str) -> Option<Listed> {
    listed.iter().find(|listed| listed.name == name).cloned()
}

/// Whether a collection can be a table.
pub(super) fn is_table(listed: &[Listed], collection: &str) -> bool {
    named(listed, collection).is_some_and(|listed| !listed.is_refused)
}

/// The collections of one database.
#[derive(Debug)]
pub(super) struct Listing {
    cluster: Weak<Cluster>,
    database: String,
    state: Mutex<State>,
    /// Held while the cluster is asked, so that it is asked once by all who wait.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    listed: Option<(Instant, Arc<[Listed]>)>,
    failed: Option<Instant>,
    renewing: bool,
}

impl State {
    fn has_failed(&self, now: Instant) -> bool {
        self.failed.is_some_and(|failed| now < failed + FAILED)
    }
}

impl Listing {
    pub(super) fn new(cluster: &Arc<Cluster>, database: &str) -> Arc<Self> {
        Arc::new(Self {
            cluster: Arc::downgrade(cluster),
            database: database.to_owned(),
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// The collections, not quite fresh perhaps: then the next one to ask finds fresh ones. Only the first one to ask
    /// waits for the cluster.
    ///
    /// # Errors
    /// `Unavailable`: they were never known, and the cluster does not answer.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<[Listed]>> {
        let now = Instant::now();
        {
            let mut state = self.state();
            let has_failed = state.has_failed(now);
            if let Some((at, listed)) = &state.listed {
                let listed = Arc::clone(listed);
                if now >= *at + FRESH && !has_failed && !state.renewing {
                    state.renewing = true;
                    let listing = Arc::clone(self);
                    tokio::spawn(async move {
                        let _ = listing.renew(now, LATER).await;
                        listing.state().renewing = false;
                    });
                }
                return Ok(listed);
            }
            if has_failed {
                return Err(self.no_answer("it did not answer seconds ago"));
            }
        }
        self.renew(now, FIRST).await
    }

    /// The collection of that name: as it was known, or where it was not, as the cluster says now.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn find(self: &Arc<Self>, name: &str) -> Result<Option<Listed>> {
        let table = |listed: &[Listed]| named(listed, name).filter(|listed| !listed.is_refused);
        let now = Instant::now();
        let known = table(&self.current().await?);
        // What was listed since is as new as can be.
        let is_new = self
            .state()
            .listed
            .as_ref()
            .is_some_and(|(at, _)| *at >= now);
        if known.is_some() || is_new {
            return Ok(known);
        }
        if self.state().has_failed(now) {
            return Err(self.no_answer("it did not answer seconds ago"));
        }
        Ok(table(&self.renew(now, LATER).await?))
    }

    /// What has that name, as far as is known.
    ///
    /// # Errors
    /// `Unavailable`: nothing was ever known, and the cluster does not answer.
    pub(super) async fn known(self: &Arc<Self>, name: &str) -> Result<Option<Listed>> {
        Ok(named(&self.current().await?, name))
    }

    /// What has that name, as the cluster said seconds ago; where nothing had it then, as it says now.
    ///
    /// # Errors
    /// `Unavailable`: the cluster does not answer.
    pub(super) async fn recent(&self, name: &str) -> Result<Option<Listed>> {
        let now = Instant::now();
        {
            let state = self.state();
            if let Some((at, listed)) = &state.listed
                && now < *at + FRESH
                && let Some(listed) = named(listed, name)
            {
                return Ok(Some(listed));
            }
            if state.has_failed(now) {
                return Err(self.no_answer("it did not answer seconds ago"));
            }
        }
        Ok(named(&self.renew(now, LATER).await?, name))
    }

    /// The collections as the cluster says now.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn renewed(&self) -> Result<Arc<[Listed]>> {
        self.renew(Instant::now(), LATER).await
    }

    /// The collections as the cluster said at `since` or later.
    async fn renew(&self, since: Instant, patience: Duration) -> Result<Arc<[Listed]>> {
        let _asking = self.asking.lock().await;
        {
            let state = self.state();
            match (&state.listed, state.failed) {
                (Some((at, listed)), _) if *at >= since => return Ok(Arc::clone(listed)),
                (_, Some(failed)) if failed >= since => {
                    return Err(self.no_answer("it did not answer another question"));
                }
                _ => {}
            }
        }
        let asked = Instant::now();
        let answer = match timeout(patience, self.ask()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.no_answer("its collections were not listed in time")),
        };
        let mut state = self.state();
        match &answer {
            Ok(listed) => {
                state.listed = Some((asked, Arc::clone(listed)));
                state.failed = None;
            }
            Err(_) => state.failed = Some(Instant::now()),
        }
        answer
    }

    async fn ask(&self) -> Result<Arc<[Listed]>> {
        let Some(cluster) = self.cluster.upgrade() else {
            return Err(self.no_answer("it is closed"));
        };
        let client = cluster.client().await?;
        let list = doc! {"listCollections": 1, "authorizedCollections": true};
        let database = client.database(&self.database);
        let list = database.run_cursor_command(list);
        let list = match client.selection_criteria() {
            Some(criteria) => list.selection_criteria(criteria.clone()),
            None => list,
        };
        let entries = async { list.await?.try_collect::<Vec<Document>>().await };
        let entries = entries
            .await
            .map_err(|error| errors::failed(&cluster.name, &error))?;
        Ok(entries.iter().filter_map(Listed::of).collect())
    }

    fn no_answer(&self, why: &str) -> rules::Error {
        match self.cluster.upgrade() {
            Some(cluster) => errors::unavailable(&cluster.name, why),
            None => rules::Error::unavailable("the server is stopping; try again"),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<Listed> {
        let entry = |name: &&str| Listed::of(&doc! {"name": *name, "type": "collection"});
        names.iter().filter_map(entry).collect()
    }

    fn declared(text: &str) -> BTreeMap<TableName, DeclaredCollection> {
        serde_json::from_str(text).unwrap()
    }

    fn named(declared: &BTreeMap<TableName, DeclaredCollection>, names: &[&str]) -> String {
        let tables = tables(declared, &listed(names));
        let tables: Vec<String> = tables
            .iter()
            .map(|(table, collection)| format!("{table}={collection}"))
            .collect();
        tables.join(" ")
    }

    #[test]
    fn collections_whose_name_is_a_tables_are_tables() {
        let names = [
            "users",
            "Users",
            "two words",
            "a.b",
            "_x1",
            "1x",
            "prompt_logs",
            "audit_log",
        ];
        assert_eq!(named(&BTreeMap::new(), &names), "_x1=_x1 users=users");
    }

    #[test]
    fn what_is_declared_has_its_collection_and_no_other_table_has_it_too() {
        let people = declared(r#"{"people": {"collection": "users"}, "gone": {}}"#);
        assert_eq!(
            named(&people, &["users", "people", "visits"]),
            "people=users visits=visits"
        );
        assert_eq!(named(&people, &["gone"]), "gone=gone");
        let users = TableName::parse("users").unwrap();
        assert_eq!(collection(&people, &users), None);
        let columns = r#"[{"name": "a", "type": "JSON"}]"#;
        let with_columns = declared(&format!(r#"{{"people": {{"columns": {columns}}}}}"#));
        assert_eq!(named(&with_columns, &[]), "people=people");
    }

    #[test]
    fn the_servers_own_collections_and_other_kinds_are_no_tables() {
        let of = |entry: Document| {
            let listed: Vec<Listed> = Listed::of(&entry).into_iter().collect();
            let tables = tables(&BTreeMap::new(), &listed);
            tables.into_values().next()
        };
        assert_eq!(
            Listed::of(&doc! {"name": "system.views", "type": "collection"}),
            None
        );
        assert_eq!(of(doc! {"name": "t", "type": "timeseries"}), None);
        let plain = doc! {"name": "t"};
        assert_eq!(of(plain).as_deref(), Some("t"));
        let view = doc! {"name": "v", "type": "view", "options": {"viewOn": "t"}};
        let seen = Listed::of(&view).unwrap();
        assert!(seen.is_view && !seen.has_collation);
    }

    #[test]
    fn a_collation_is_known_and_a_view_with_one_is_no_table() {
        let of = |kind: &str, locale: &str| {
            let options = doc! {"collation": {"locale": locale}};
            Listed::of(&doc! {"name": "t", "type": kind, "options": options}).unwrap()
        };
        for (kind, locale, has_collation, is_refused) in [
            ("collection", "de", true, false),
            ("collection", "simple", false, false),
            ("view", "de", true, true),
            ("view", "simple", false, false),
            ("timeseries", "de", true, true),
        ] {
            let listed = of(kind, locale);
            assert_eq!(listed.has_collation, has_collation, "{kind} {locale}");
            assert_eq!(listed.is_refused, is_refused, "{kind} {locale}");
        }
    }
}
