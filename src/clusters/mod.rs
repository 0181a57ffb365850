//! MongoDB clusters: connections, and what is asked of collections.
//!
//! A question comes typed ([`collections::Question`]) and only here becomes MongoDB's words: with the tenant's filter, a
//! time limit and the query's id. Connections and credentials never leave the server's process, and an answer that is
//! dropped is ended on the cluster. Not here: rows, which query workers make of documents.

mod answers;
mod listing;
mod rights;
mod sample;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use collections::{Question, Table, Tenant};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};
use rules::{ClusterName, Error, OrgId, Result, TableName};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::{ClusterSettings, Config, DeclaredCollection, Serve};
use crate::directory::Directory;

pub use answers::{Answers, Asking};

use answers::failed;
use listing::{Listed, Listing};
use sample::Facts;

/// How long a cluster may take to be found, unless its connection string says otherwise.
const REACHING: Duration = Duration::from_secs(2);
/// Until a cluster counts as one that does not answer, where nobody waits for documents.
const ANSWERING: Duration = Duration::from_secs(2);

/// The clusters of the configuration, connected to when they are needed.
#[derive(Debug)]
pub struct Clusters {
    by_name: BTreeMap<ClusterName, Arc<Cluster>>,
    directory: Directory,
    clock: Clock,
}

#[derive(Debug)]
struct Cluster {
    name: ClusterName,
    settings: ClusterSettings,
    client: OnceCell<Client>,
    /// A read in flight holds one.
    reads: Semaphore,
    /// By database.
    listings: Mutex<HashMap<String, Listing>>,
    /// By database and collection.
    facts: Mutex<HashMap<(String, String), Facts>>,
}

/// The collections of one organization, as tables.
#[derive(Debug, Clone)]
pub struct Collections {
    cluster: Arc<Cluster>,
    org_id: OrgId,
    database: String,
    directory: Directory,
    clock: Clock,
}

/// What is kept is whole at every moment.
fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clusters {
    /// Reads where the clusters are; connects to none.
    ///
    /// # Errors
    /// `Invalid`, naming the setting: a file of a connection string cannot be read, or holds none.
    pub fn open(config: &Config, directory: Directory, clock: Clock) -> Result<Arc<Self>> {
        let clusters = config.clusters.iter().map(|(name, settings)| {
            settings.uri(name)?;
            let cluster = Cluster {
                name: name.clone(),
                settings: settings.clone(),
                client: OnceCell::new(),
                reads: Semaphore::new(settings.concurrent_scans),
                listings: Mutex::default(),
                facts: Mutex::default(),
            };
            Ok((name.clone(), Arc::new(cluster)))
        });
        Ok(Arc::new(Self {
            by_name: clusters.collect::<Result<_>>()?,
            directory,
            clock,
        }))
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn has(&self, name: &ClusterName) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether all of them answer.
    ///
    /// # Errors
    /// `Unavailable`, naming those that do not.
    pub async fn check(&self) -> Result<()> {
        let asked = self.by_name.values().map(|cluster| async {
            let answered = timeout(ANSWERING, cluster.ping()).await;
            let error = match answered {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => error,
                Err(_) => Error::unavailable("no answer in time"),
            };
            tracing::warn!(
                cluster = cluster.name.as_str(),
                error = &error as &dyn std::error::Error,
                "a MongoDB cluster does not answer"
            );
            Some(cluster.name.to_string())
        });
        let silent = futures::future::join_all(asked).await;
        let silent: Vec<String> = silent.into_iter().flatten().collect();
        match silent.is_empty() {
            true => Ok(()),
            false => Err(Error::unavailable(format!(
                "these MongoDB clusters do not answer: {}",
                silent.join(", ")
            ))),
        }
    }

    /// Warns of credentials that may do more than read, as far as the clusters answer.
    pub async fn warn_of_rights(&self) {
        let asked = self
            .by_name
            .values()
            .map(|cluster| cluster.warn_of_rights());
        futures::future::join_all(asked).await;
    }

    /// The organization's collections; `None` where its cluster has none that are tables.
    pub fn of(&self, org_id: &OrgId, cluster: &ClusterName) -> Option<Collections> {
        let cluster = self.by_name.get(cluster)?;
        Some(Collections {
            database: cluster.settings.database(org_id)?,
            cluster: Arc::clone(cluster),
            org_id: org_id.clone(),
            directory: self.directory.clone(),
            clock: self.clock.clone(),
        })
    }
}

impl Cluster {
    async fn client(&self) -> Result<&Client> {
        let connect = || async {
            let uri = self.settings.uri(&self.name)?;
            let mut options = ClientOptions::parse(uri).await.map_err(failed)?;
            options
                .app_name
                .get_or_insert_with(|| "amigo-admin".to_owned());
            options.server_selection_timeout.get_or_insert(REACHING);
            options.connect_timeout.get_or_insert(REACHING);
            options.selection_criteria.get_or_insert_with(|| {
                let options = None;
                SelectionCriteria::ReadPreference(ReadPreference::SecondaryPreferred { options })
            });
            Client::with_options(options).map_err(failed)
        };
        self.client.get_or_try_init(connect).await
    }

    async fn database(&self, name: &str) -> Result<Database> {
        Ok(self.client().await?.database(name))
    }

    async fn ping(&self) -> Result<()> {
        let database = self.database("admin").await?;
        let ping = database.run_command(mongodb::bson::doc! {"ping": 1});
        ping.await.map(|_| ()).map_err(failed)
    }
}

impl Collections {
    /// The tables that there are, as far as is known without waiting for a cluster that does not answer.
    pub async fn names(&self) -> Vec<TableName> {
        let mut names: Vec<TableName> = match self.listed().await {
            Ok(listed) => self.tables(&listed),
            Err(_) => self.known().await,
        };
        names.retain(|name| {
            self.declared(name)
                .is_none_or(|declared| declared.serve != Some(Serve::Lake))
        });
        names.sort();
        names.dedup();
        names
    }

    /// Those that are read from the cluster even where the lake has a table of that name.
    pub fn preferred(&self) -> Vec<TableName> {
        let declared = self.cluster.settings.collections.iter();
        let preferred = declared.filter(|(_, declared)| declared.serve == Some(Serve::Mongodb));
        preferred.map(|(name, _)| name.clone()).collect()
    }

    /// What a table looks like; `None` where there is no such collection. Columns that are not declared are sampled once.
    ///
    /// # Errors
    /// `Unavailable` when nothing is known of it and the cluster does not answer.
    pub async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        let collection = self.collection(name).to_owned();
        let stored = self
            .directory
            .stored_collection(&self.org_id, &self.cluster.name, name);
        let stored = stored
            .await?
            .filter(|stored| stored.collection == collection);
        let declared = self.declared(name).and_then(DeclaredCollection::columns);
        let (columns, origin) = match (declared, stored) {
            (Some(columns), _) => (columns, "declared in the configuration".to_owned()),
            (None, Some(stored)) => (stored.columns, stored.origin),
            (None, None) => {
                if !self.exists(name).await? {
                    return Ok(None);
                }
                let sampled = self.sample(name, &collection).await?;
                (sampled.columns, sampled.origin)
            }
        };
        let facts = self.facts(&collection).await;
        Ok(Some(Table {
            columns,
            is_strict: self.declared(name).is_some_and(|declared| declared.strict),
            tenant: self.tenant(),
            indexed: facts.indexed,
            documents: facts.documents,
            origin,
        }))
    }

    /// Samples the columns of a table anew, and keeps them.
    ///
    /// # Errors
    /// `Invalid` where its columns are declared. `Unavailable`.
    pub async fn refresh(&self, name: &TableName) -> Result<Option<Table>> {
        if self
            .declared(name)
            .and_then(DeclaredCollection::columns)
            .is_some()
        {
            return Err(Error::invalid(format!(
                "the columns of {name} are declared in the configuration; change them there"
            )));
        }
        lock(&self.cluster.listings).remove(&self.database);
        if !self.exists(name).await? {
            return Ok(None);
        }
        let collection = self.collection(name).to_owned();
        self.sample_anew(name, &collection).await?;
        self.table(name).await
    }

    /// Asks a table's collection, of this organization's documents.
    ///
    /// # Errors
    /// `Unavailable` when the cluster does not answer; `TimedOut` at the deadline.
    pub async fn ask(
        &self,
        name: &TableName,
        question: &Question,
        asking: &Asking,
    ) -> Result<Answers> {
        let command = question.command(self.tenant().as_ref());
        let collection = self.collection(name);
        let has_collation = self
            .listed()
            .await
            .is_ok_and(|listed| listed.has_collation(collection));
        let collection = self
            .cluster
            .database(&self.database)
            .await?
            .collection(collection);
        Answers::open(&self.cluster, &collection, command, has_collation, asking).await
    }

    fn declared(&self, name: &TableName) -> Option<&DeclaredCollection> {
        self.cluster.settings.collections.get(name)
    }

    /// The collection behind the table.
    fn collection<'a>(&'a self, name: &'a TableName) -> &'a str {
        let declared = self.declared(name);
        declared.map_or(name.as_str(), |declared| declared.collection(name))
    }

    /// Whose documents are read, where organizations share the database.
    fn tenant(&self) -> Option<Tenant> {
        self.cluster.settings.tenant_field().map(|path| Tenant {
            path: path.clone(),
            org_id: self.org_id.to_string(),
        })
    }

    /// The tables whose columns are known, while the cluster does not say which there are.
    async fn known(&self) -> Vec<TableName> {
        let stored = self
            .directory
            .stored_collections(&self.org_id, &self.cluster.name);
        let stored = stored
            .await
            .unwrap_or_default()
            .into_iter()
            .map(|stored| stored.name);
        let declared = self.cluster.settings.collections.keys().cloned();
        stored.chain(declared).collect()
    }

    /// The tables of the collections that there are: those declared, and the others under their own names.
    fn tables(&self, listed: &Listed) -> Vec<TableName> {
        let declared = &self.cluster.settings.collections;
        let behind = |name: &str| {
            let mut of = declared.iter();
            of.find(|(table, declared)| declared.collection(table) == name)
        };
        let tables = listed.names().filter_map(|name| match behind(name) {
            Some((table, _)) => Some(table.clone()),
            None => TableName::parse(name)
                .ok()
                .filter(|table| !declared.contains_key(table)),
        });
        tables.collect()
    }

    /// Whether there is such a table now.
    async fn exists(&self, name: &TableName) -> Result<bool> {
        if self
            .listed()
            .await
            .is_ok_and(|listed| self.tables(&listed).contains(name))
        {
            return Ok(true);
        }
        let listed = self.list_anew().await?;
        Ok(self.tables(&listed).contains(name))
    }
}
