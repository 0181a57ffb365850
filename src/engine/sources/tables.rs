//! The organization's tables by name, opened when a query names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use rules::{Result, TableName};
use tokio::sync::OnceCell;

use super::super::problem::{external, from_engine};
use super::super::protocol::{Request, ServerTable};
use super::super::server::Server;
use super::collection::CollectionTable;
use super::{ScanSettings, declared, lake_table, open};
use crate::config::TableFormat;
use crate::lake::{Lake, prompt_log_table};

/// The server's tables, the lake's, those declared in the configuration, and collections; of one name the first. The
/// names of the server's are taken even where they do not exist for the caller.
#[derive(Debug)]
pub(in super::super) struct Tables {
    lake: Lake,
    request: Request,
    server: Arc<Server>,
    settings: Arc<ScanSettings>,
    runtime: Arc<RuntimeEnv>,
    /// Name and format of all, once somebody asked: most queries name theirs, and need no list.
    listed: OnceCell<BTreeMap<String, &'static str>>,
}

impl Tables {
    /// What they read, they read through the stores of `runtime`.
    pub(in super::super) fn new(
        lake: Lake,
        request: &Request,
        server: &Arc<Server>,
        settings: &Arc<ScanSettings>,
        runtime: &Arc<RuntimeEnv>,
    ) -> Self {
        Self {
            lake,
            request: request.clone(),
            server: Arc::clone(server),
            settings: Arc::clone(settings),
            runtime: Arc::clone(runtime),
            listed: OnceCell::new(),
        }
    }

    /// Finds out which tables there are; the names are known from then on.
    ///
    /// # Errors
    /// `Unavailable` when the lake does not answer.
    pub(in super::super) async fn list(&self) -> Result<()> {
        self.listed.get_or_try_init(|| self.all()).await.map(drop)
    }

    async fn all(&self) -> Result<BTreeMap<String, &'static str>> {
        let request = &self.request;
        let of_lake = self.lake.tables(&request.org_id).await?;
        let of_lake = of_lake
            .iter()
            .filter(|name| !request.preferred.contains(name));
        let of_lake = of_lake.map(|name| (name, TableFormat::Delta.name()));
        let declared = request.declared.iter();
        let declared = declared.filter(|table| table.folder.is_dir());
        let declared = declared.map(|table| (&table.name, table.format.name()));
        let collections = request.collections.iter().flatten();
        let collections = collections.map(|name| (name, "MONGODB"));
        let mut tables = BTreeMap::new();
        for (name, format) in of_lake.chain(declared).chain(collections) {
            if ServerTable::named(name.as_str()).is_none() {
                tables.entry(name.to_string()).or_insert(format);
            }
        }
        let of_server = request.server_tables.iter();
        tables.extend(of_server.map(|table| (table.name().to_owned(), "SYSTEM")));
        Ok(tables)
    }

    /// Name and format of every table that was listed.
    pub(super) fn formats(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let listed = self.listed.get().into_iter().flatten();
        listed.map(|(name, format)| (name.as_str(), *format))
    }

    /// The columns of a table that was listed; `None` where it is gone, or is a collection that cannot be described.
    pub(super) async fn columns(&self, name: &str) -> Result<Option<SchemaRef>> {
        let table = match TableName::parse(name) {
            Ok(name) => self.open(&name, false).await?,
            Err(_) => None,
        };
        Ok(table.map(|table| table.schema()))
    }

    /// The table of that name, opened: what the list would have, found without it. A collection that is not needed is left
    /// out where it cannot be described.
    async fn open(
        &self,
        name: &TableName,
        is_needed: bool,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let request = &self.request;
        if let Some(table) = ServerTable::named(name.as_str()) {
            if !request.server_tables.contains(&table) {
                return Ok(None);
            }
            return table.provider(&self.server).map(Some).map_err(from_engine);
        }
        if !request.preferred.contains(name)
            && let Some(table) = open(&self.lake, request, &self.settings, name).await?
        {
            return Ok(Some(table));
        }
        let declared = request.declared.iter();
        let mut declared = declared.filter(|table| table.name == *name && table.folder.is_dir());
        if let Some(declared) = declared.next() {
            let table = declared::open(declared, &self.settings.tables, &self.runtime).await?;
            return Ok(table.map(|table| {
                Arc::new(lake_table::LakeTable::new(table)) as Arc<dyn TableProvider>
            }));
        }
        // Of those that the server has not listed, one may have been made since.
        match request.collections.is_some() && *name != prompt_log_table::name() {
            true => self.collection(name, is_needed).await,
            false => Ok(None),
        }
    }

    async fn collection(
        &self,
        name: &TableName,
        is_needed: bool,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.server.table(name, is_needed).await?;
        Ok(table.map(|table| {
            let table = CollectionTable::new(name.clone(), table, Arc::clone(&self.server));
            Arc::new(table) as Arc<dyn TableProvider>
        }))
    }
}

#[async_trait::async_trait]
impl SchemaProvider for Tables {
    /// None before they were listed.
    fn table_names(&self) -> Vec<String> {
        self.formats().map(|(name, _)| name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match TableName::parse(name) {
            Ok(name) => self.open(&name, true).await.map_err(external),
            Err(_) => Ok(None),
        }
    }

    /// Only writing statements ask, of which there are none.
    fn table_exist(&self, name: &str) -> bool {
        self.listed
            .get()
            .is_some_and(|listed| listed.contains_key(name))
    }
}
