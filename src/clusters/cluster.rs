//! One cluster: its connections, made when they are first needed and kept, and who may read at once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mongodb::bson::doc;
use mongodb::event::EventHandler;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::{
    ClientOptions, ConnectionString, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress,
};
use mongodb::{Client, Database};
use rules::{ClusterName, Result};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::errors;
use super::facts::{self, Facts, KnownFacts};
use super::listing::Listing;
use crate::config::{self, ClusterSettings};
use crate::metrics::{ClusterReads, Metrics};

/// How long a server that can be asked is looked for, and a connection to it waited for.
const SELECTION: Duration = Duration::from_secs(2);
/// How long a ping may take, and dropped cursors at the end.
const MOMENT: Duration = Duration::from_secs(2);
/// Connections beside those of scans, for what is small.
const SPARE_CONNECTIONS: u32 = 8;

pub(super) struct Cluster {
    pub(super) name: ClusterName,
    pub(super) settings: ClusterSettings,
    uri: ConnectionString,
    client: OnceCell<Client>,
    /// Whoever fetches a batch has one of these, and only while it is fetched: two scans of one query can never wait for
    /// each other.
    pub(super) scans: Semaphore,
    /// The servers that hold data, as the driver sees them.
    servers: Arc<Mutex<Vec<ServerAddress>>>,
    listings: Mutex<HashMap<String, Arc<Listing>>>,
    known: Mutex<KnownFacts>,
    pub(super) reads: ClusterReads,
}

/// Without the credentials.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({})", self.name)
    }
}

impl Cluster {
    pub(super) fn open(
        name: &ClusterName,
        settings: &ClusterSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        Ok(Self {
            uri: settings.uri(name)?,
            client: OnceCell::new(),
            scans: Semaphore::new(settings.concurrent_scans),
            servers: Arc::default(),
            listings: Mutex::default(),
            known: Mutex::default(),
            reads: metrics.cluster(name),
            name: name.clone(),
            settings: settings.clone(),
        })
    }

    /// # Errors
    /// `Unavailable`: the name of its servers is not in DNS, or a certificate cannot be read.
    pub(super) async fn client(&self) -> Result<&Client> {
        let connect = || async {
            let options = timeout(SELECTION, ClientOptions::parse(self.uri.clone()));
            let options = options
                .await
                .map_err(|_| errors::unavailable(&self.name, "DNS does not answer"))?
                .map_err(|error| errors::failed(&self.name, &error))?;
            Client::with_options(self.with_ours(options))
                .map_err(|error| errors::failed(&self.name, &error))
        };
        self.client.get_or_try_init(connect).await
    }

    /// What the connection string leaves open.
    fn with_ours(&self, mut options: ClientOptions) -> ClientOptions {
        let scans = u32::try_from(self.settings.concurrent_scans).unwrap_or(u32::MAX);
        let secondary = ReadPreference::SecondaryPreferred { options: None };
        options
            .app_name
            .get_or_insert_with(|| "amigo-admin".to_owned());
        options.server_selection_timeout.get_or_insert(SELECTION);
        options.connect_timeout.get_or_insert(SELECTION);
        options
            .max_pool_size
            .get_or_insert(scans.saturating_add(SPARE_CONNECTIONS));
        options
            .selection_criteria
            .get_or_insert(SelectionCriteria::ReadPreference(secondary));
        if let Some(concern) = self.settings.read_concern {
            options.read_concern = Some(ReadConcern::custom(concern.name()));
            if concern == config::ReadConcern::Linearizable {
                // No other server answers such a question.
                let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
                options.selection_criteria = Some(primary);
            }
        }
        let servers = Arc::clone(&self.servers);
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            if let SdamEvent::TopologyDescriptionChanged(changed) = event {
                let known = changed.new_description.servers();
                let known = known.into_keys().cloned().collect();
                *servers.lock().unwrap_or_else(PoisonError::into_inner) = known;
            }
        }));
        options
    }

    pub(super) async fn database(&self, name: &str) -> Result<Database> {
        Ok(self.client().await?.database(name))
    }

    /// The servers that a cursor may live on.
    pub(super) fn servers(&self) -> Vec<ServerAddress> {
        let servers = self.servers.lock();
        servers.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// `Unavailable`: it does not answer within a moment, or not to these credentials.
    pub(super) async fn ping(&self) -> Result<()> {
        let ping = async {
            let client = self.client().await?;
            let admin = client.database("admin");
            let ping = admin.run_command(doc! {"ping": 1});
            let ping = match client.selection_criteria() {
                Some(criteria) => ping.selection_criteria(criteria.clone()),
                None => ping,
            };
            let pinged = ping.await;
            pinged.map_err(|error| errors::failed(&self.name, &error))
        };
        match timeout(MOMENT, ping).await {
            Ok(answer) => answer.map(drop),
            Err(_) => Err(errors::unavailable(&self.name, "no answer to a ping")),
        }
    }

    pub(super) fn listing(self: &Arc<Self>, database: &str) -> Arc<Listing> {
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = listings.get(database) {
            return Arc::clone(listing);
        }
        let listing = Listing::new(self, database);
        listings.insert(database.to_owned(), Arc::clone(&listing));
        listing
    }

    /// What is known of a collection beside its columns; nothing where the cluster does not say so at once.
    pub(super) async fn facts(self: &Arc<Self>, database: &str, collection: &str) -> Facts {
        let place = (database.to_owned(), collection.to_owned());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = known().get(&place) {
            return facts;
        }
        let listed = self.listing(database).known(collection).await;
        let Ok(Some(listed)) = listed else {
            return Facts::default();
        };
        let found = facts::find(self, database, &listed).await;
        if let Err(error) = &found {
            let error = error as &dyn std::error::Error;
            tracing::debug!(error, "a collection's indexes and size are not known");
        }
        known().keep(place, found.as_ref().ok());
        found.unwrap_or_default()
    }

    pub(super) async fn close(&self) {
        if let Some(client) = self.client.get() {
            let _ = timeout(MOMENT, client.clone().shutdown()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The options of a cluster with this read concern, of a connection string with these options.
    async fn options(concern: &str, string: &str) -> ClientOptions {
        let uri = format!("mongodb://db.example/?{string}");
        let settings = json!({"mongodb": uri, "read_concern": concern});
        let settings = serde_json::from_value(settings).unwrap();
        let name = ClusterName::parse("main").unwrap();
        let cluster = Cluster::open(&name, &settings, Arc::new(Metrics::new())).unwrap();
        let options = ClientOptions::parse(cluster.uri.clone()).await.unwrap();
        cluster.with_ours(options)
    }

    #[tokio::test]
    async fn what_only_a_primary_can_answer_is_asked_of_the_primary() {
        for (concern, string, asked) in [
            ("linearizable", "", ReadPreference::Primary),
            (
                "linearizable",
                "readPreference=secondary",
                ReadPreference::Primary,
            ),
            (
                "majority",
                "",
                ReadPreference::SecondaryPreferred { options: None },
            ),
        ] {
            let options = options(concern, string).await;
            let concern_sent = options.read_concern.unwrap();
            assert_eq!(concern_sent, ReadConcern::custom(concern));
            let Some(SelectionCriteria::ReadPreference(preference)) = options.selection_criteria
            else {
                panic!("{concern} {string}")
            };
            assert_eq!(preference, asked, "{concern} {string}");
        }
    }
}
