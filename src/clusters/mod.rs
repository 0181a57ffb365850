//! Collections of MongoDB clusters, for queries of the organizations that live on them.
//!
//! The server alone connects: it turns a typed question into MongoDB's words, adds whose documents are meant, and hands
//! back batches of raw BSON. A cluster is connected to when it is first needed, and only ever read.
//! Promises: no question leaves without the organization's own database, or the condition that a document is its own;
//! no message names a host, a user or another organization; whoever stops reading has the cursor killed.
//! Not here: documents as rows (`collections`), queries (`engine`).

mod answers;
mod cluster;
mod errors;
mod facts;
mod listing;
mod rights;
mod sample;

use std::collections::BTreeMap;
use std::sync::Arc;

use collections::{Column, Question, Table, Tenant};
use futures::future::join_all;
use rules::{ClusterName, Error, OrgId, Result, TableName};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::{Config, DeclaredCollection, Serve};
use crate::directory::{Directory, StoredCollection};
use crate::metrics::Metrics;

pub use answers::Answers;
use answers::Place;
use cluster::Cluster;
use facts::Facts;
use listing::Listing;

/// What a table's columns are called to come from.
const DECLARED: &str = "declared in the configuration";

/// Every cluster of the configuration.
#[derive(Debug)]
pub struct Clusters {
    clusters: BTreeMap<ClusterName, Arc<Cluster>>,
    directory: Directory,
    clock: Clock,
}

/// How a question is asked.
#[derive(Debug, Clone)]
pub struct Asking {
    /// When the answer is of no use any more.
    pub deadline: Instant,
    /// What the cluster's own log and list of operations call it.
    pub comment: String,
    /// Of a replica set, the primary is asked, which alone has every change; otherwise whom the connection string says.
    pub of_primary: bool,
}

/// The collections of one organization.
#[derive(Debug, Clone)]
pub struct Collections {
    clusters: Arc<Clusters>,
    cluster: Arc<Cluster>,
    org: OrgId,
    database: String,
}

impl Clusters {
    /// Reads where the clusters are; none is connected to yet.
    ///
    /// # Errors
    /// `Invalid`, naming the setting: a file that cannot be read or holds no connection string.
    pub fn open(
        config: &Config,
        directory: Directory,
        clock: Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<Self>> {
        let open = |(name, settings): (&ClusterName, _)| {
            let cluster = Cluster::open(name, settings, Arc::clone(metrics))?;
            Ok((name.clone(), Arc::new(cluster)))
        };
        let clusters = config.clusters.iter().map(open);
        Ok(Arc::new(Self {
            clusters: clusters.collect::<Result<_>>()?,
            directory,
            clock,
        }))
    }

    /// Whether a cluster of this name is configured.
    pub fn has(&self, name: &ClusterName) -> bool {
        self.clusters.contains_key(name)
    }

    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Whether all of them answer; all are asked at once, and have two seconds.
    ///
    /// # Errors
    /// `Unavailable`, naming those that do not.
    pub async fn check(&self) -> Result<()> {
        let pings = self.clusters.values().map(|cluster| cluster.ping());
        let answers = join_all(pings).await.into_iter();
        let silent: Vec<(&str, Error)> = self
            .clusters
            .keys()
            .zip(answers)
            .filter_map(|(name, answer)| Some((name.as_str(), answer.err()?)))
            .collect();
        let names: Vec<&str> = silent.iter().map(|(name, _)| *name).collect();
        match silent.into_iter().next() {
            None => Ok(()),
            Some((_, error)) => {
                let names = names.join(", ");
                let message = format!("these MongoDB clusters do not answer: {names}");
                Err(Error::unavailable(message).because(error))
            }
        }
    }

    /// Warns of clusters whose credentials may do more than read.
    pub async fn warn_of_rights(&self) {
        join_all(self.clusters.values().map(rights::warn)).await;
    }

    /// Waits until cursors that were dropped are killed, a moment at most; nothing can be asked afterwards.
    pub async fn close(&self) {
        join_all(self.clusters.values().map(|cluster| cluster.close())).await;
    }

    /// The collections of the organization on that cluster; none: no MongoDB is behind that name, or it can have no
    /// database for the organization.
    pub fn of(self: &Arc<Self>, org: &OrgId, cluster: &ClusterName) -> Option<Collections> {
        let cluster = self.clusters.get(cluster)?;
        let Some(database) = cluster.settings.database(org) else {
            tracing::warn!(org = org.as_str(), cluster = %cluster.name, "the organization's id makes no name of a database");
            return None;
        };
        Some(Collections {
            clusters: Arc::clone(self),
            cluster: Arc::clone(cluster),
            org: org.clone(),
            database,
        })
    }
}

impl Collections {
    /// The tables that queries find here, without those that are served from the lake alone. Where the cluster does not
    /// answer: those that are declared or were seen before.
    ///
    /// # Errors
    /// As the directory says.
    pub async fn names(&self) -> Result<Vec<TableName>> {
        let declared = &self.cluster.settings.collections;
        let mut names: Vec<TableName> = match self.listing().current().await {
            Ok(listed) => listing::tables(declared, &listed).into_keys().collect(),
            Err(_) => {
                let (directory, cluster) = (&self.clusters.directory, &self.cluster.name);
                let stored = directory.stored_collections(&self.org, cluster).await?;
                let stored = stored
                    .into_iter()
                    .filter(|stored| self.collection(&stored.name) == Some(&*stored.collection))
                    .map(|stored| stored.name);
                listing::tables(declared, &[])
                    .into_keys()
                    .chain(stored)
                    .collect()
            }
        };
        names.retain(|name| !self.is_of_lake(name));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Whether the table is read here even where the lake has one of its name.
    pub fn prevails(&self, name: &TableName) -> bool {
        self.serve(name) == Some(Serve::Mongodb)
    }

    /// What queries have to know of a table: with the columns that are declared or stored, or else those of a sample that
    /// is taken now and stored.
    ///
    /// # Errors
    /// `Unavailable`: the cluster does not answer, and it is needed. As the directory says.
    pub async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        match self.is_of_lake(name) {
            true => Ok(None),
            false => self.described(name).await,
        }
    }

    /// As [`Self::table`], of tables too that are served from the lake alone.
    ///
    /// # Errors
    /// As [`Self::table`].
    pub async fn described(&self, name: &TableName) -> Result<Option<Table>> {
        let Some(collection) = self.collection(name) else {
            return Ok(None);
        };
        if let Some(columns) = self.declared(name).and_then(DeclaredCollection::columns) {
            let facts = self.facts(collection).await;
            return Ok(Some(self.with(name, columns, DECLARED.to_owned(), facts)));
        }
        let (directory, cluster) = (&self.clusters.directory, &self.cluster.name);
        let stored = directory
            .stored_collection(&self.org, cluster, name)
            .await?;
        let stored = stored.filter(|stored| stored.collection == collection);
        let stored = match (self.listing().find(collection).await, stored) {
            (Ok(None), _) => return Ok(None),
            (Ok(Some(_)), Some(stored)) => stored,
            (Err(_), Some(stored)) => {
                let (columns, origin) = (stored.columns, stored.origin);
                return Ok(Some(self.with(name, columns, origin, Facts::default())));
            }
            (Err(error), None) => return Err(error),
            (Ok(Some(_)), None) => match self.sampled(name, collection).await? {
                Some(sampled) => {
                    let (org, cluster) = (&self.org, &self.cluster.name);
                    directory.settle_collection(org, cluster, &sampled).await?
                }
                None => return Ok(Some(self.empty(name))),
            },
        };
        let facts = self.facts(collection).await;
        Ok(Some(self.with(name, stored.columns, stored.origin, facts)))
    }

    /// Whether the cluster has the table's collection now.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn is_there(&self, name: &TableName) -> Result<bool> {
        let Some(collection) = self.collection(name) else {
            return Ok(false);
        };
        let listed = self.listing().renewed().await?;
        Ok(listed.iter().any(|listed| listed.name == collection))
    }

    /// Samples the table's columns anew and stores them.
    ///
    /// # Errors
    /// `Invalid`: the columns are declared, or the collection is empty. `Unavailable`.
    pub async fn refresh(&self, name: &TableName) -> Result<Option<Table>> {
        let Some(collection) = self.collection(name) else {
            return Ok(None);
        };
        if self
            .declared(name)
            .and_then(DeclaredCollection::columns)
            .is_some()
        {
            return Err(Error::invalid(format!(
                "the columns of {name} are declared in the configuration; change them there"
            )));
        }
        let listed = self.listing().renewed().await?;
        if !listing::is_table(&listed, collection) {
            return Ok(None);
        }
        let sampled = self.sampled(name, collection).await?.ok_or_else(|| {
            Error::invalid(format!(
                "the collection of {name} is empty: it has nothing to sample; add documents first"
            ))
        })?;
        let (directory, cluster) = (&self.clusters.directory, &self.cluster.name);
        directory
            .store_collection(&self.org, cluster, &sampled)
            .await?;
        let facts = self.facts(collection).await;
        let table = self.with(name, sampled.columns, sampled.origin, facts);
        Ok(Some(table))
    }

    /// What tells the documents behind a table from those of another: cluster, database, collection, whose they are.
    pub fn source<'a>(
        &'a self,
        name: &'a TableName,
    ) -> (&'a str, &'a str, Option<&'a str>, Option<Tenant>) {
        (
            self.cluster.name.as_str(),
            &self.database,
            self.collection(name),
            self.tenant(),
        )
    }

    /// Asks a table's collection a question.
    ///
    /// # Errors
    /// `NotFound`: no such table. What goes wrong while the cluster answers is told by [`Answers::next`].
    pub async fn ask(
        &self,
        name: &TableName,
        question: &Question,
        asking: &Asking,
    ) -> Result<Answers> {
        let collection = self
            .collection(name)
            .ok_or_else(|| Error::not_found(format!("there is no collection behind {name}")))?;
        let place = tokio::time::timeout_at(asking.deadline, self.place(collection));
        let place = place.await.map_err(|_| errors::timed_out())??;
        Ok(answers::ask(
            &self.cluster,
            place,
            question.command(self.tenant().as_ref()),
            asking,
        ))
    }

    /// Where questions about a collection go. Where the database is shared, a collation could take another organization's
    /// id for this one's, so what was listed some time ago is not enough.
    async fn place(&self, collection: &str) -> Result<Place> {
        let listing = self.listing();
        let listed = match self.tenant() {
            Some(_) => listing.recent(collection).await?,
            None => listing.known(collection).await?,
        };
        Ok(Place {
            database: self.database.clone(),
            collection: collection.to_owned(),
            // One that is not there has none. Nor need it be said: some that only pretend to be MongoDB refuse the word.
            has_collation: listed.is_some_and(|listed| listed.has_collation),
        })
    }

    fn listing(&self) -> Arc<Listing> {
        self.cluster.listing(&self.database)
    }

    fn declared(&self, name: &TableName) -> Option<&DeclaredCollection> {
        self.cluster.settings.collections.get(name)
    }

    /// The collection that a table of this name has, if there is one of either.
    fn collection<'a>(&'a self, name: &'a TableName) -> Option<&'a str> {
        listing::collection(&self.cluster.settings.collections, name)
    }

    fn serve(&self, name: &TableName) -> Option<Serve> {
        self.declared(name)?.serve
    }

    fn is_of_lake(&self, name: &TableName) -> bool {
        self.serve(name) == Some(Serve::Lake)
    }

    /// Whose documents are meant, where the database is shared.
    fn tenant(&self) -> Option<Tenant> {
        let path = self.cluster.settings.tenant_field()?.clone();
        let org_id = self.org.to_string();
        Some(Tenant { path, org_id })
    }

    async fn facts(&self, collection: &str) -> Facts {
        self.cluster.facts(&self.database, collection).await
    }

    async fn sampled(
        &self,
        name: &TableName,
        collection: &str,
    ) -> Result<Option<StoredCollection>> {
        let tenant = self.tenant();
        let place = self.place(collection).await?;
        let sample = sample::take(&self.cluster, &place, tenant.as_ref()).await?;
        let now = self.clusters.clock.now();
        Ok(sample.map(|(columns, documents)| StoredCollection {
            name: name.clone(),
            collection: collection.to_owned(),
            columns,
            origin: format!(
                "a sample of {documents} documents on {}",
                now.format("%Y-%m-%d")
            ),
            sampled_at: now,
        }))
    }

    fn with(&self, name: &TableName, columns: Vec<Column>, origin: String, facts: Facts) -> Table {
        Table {
            columns,
            is_strict: self.declared(name).is_some_and(|declared| declared.strict),
            tenant: self.tenant(),
            indexed: facts.indexed,
            origin,
        }
    }

    /// A table whose collection has no documents of the organization: nothing is stored, so the first ones are sampled.
    fn empty(&self, name: &TableName) -> Table {
        let id = Column {
            name: "_id".to_owned(),
            path: collections::Path::field("_id"),
            kind: collections::Kind::ObjectId,
        };
        let origin = "the collection is empty".to_owned();
        self.with(name, vec![id], origin, Facts::default())
    }
}
