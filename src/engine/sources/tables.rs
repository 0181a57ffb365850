//! The organization's tables by name, opened when a query names them.

use std::sync::Arc;

use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::TableType;
use rules::{Result, TableName};

use super::super::problem::{external, from_engine};
use super::super::protocol::{Request, ServerTable};
use super::super::server::Server;
use super::collection::CollectionTable;
use super::{declared, lake_table, open};
use crate::config::{DeclaredTable, TableFormat};
use crate::lake::{Lake, prompt_log_table};

/// The server's tables, the lake's, those declared in the configuration, and collections; of one name the first. The
/// names of the server's are taken even where they do not exist for the caller.
#[derive(Debug)]
pub(in super::super) struct Tables {
    lake: Lake,
    request: Request,
    tables: Vec<Table>,
    server: Arc<Server>,
    settings: Arc<SessionState>,
    runtime: Arc<RuntimeEnv>,
}

#[derive(Debug)]
enum Table {
    Server(ServerTable),
    Lake(TableName),
    Declared(DeclaredTable),
    Collection(TableName),
}

impl Table {
    fn name(&self) -> &str {
        match self {
            Self::Server(table) => table.name(),
            Self::Lake(name) | Self::Collection(name) => name.as_str(),
            Self::Declared(table) => table.name.as_str(),
        }
    }
}

impl Tables {
    /// The tables that exist now. What they read, they read through the stores of `runtime`.
    ///
    /// # Errors
    /// `Unavailable` when the lake does not answer.
    pub(in super::super) async fn list(
        lake: Lake,
        request: &Request,
        server: &Arc<Server>,
        settings: &Arc<SessionState>,
        runtime: &Arc<RuntimeEnv>,
    ) -> Result<Self> {
        let mut names = lake.tables(&request.org_id).await?;
        names.retain(|name| !request.preferred.contains(name));
        let declared = request.declared.iter();
        let declared =
            declared.filter(|table| !names.contains(&table.name) && table.folder.is_dir());
        let mut tables: Vec<Table> = declared.cloned().map(Table::Declared).collect();
        tables.extend(names.into_iter().map(Table::Lake));
        let collections = request.collections.iter().flatten();
        let collections =
            collections.filter(|name| tables.iter().all(|table| table.name() != name.as_str()));
        let collections: Vec<Table> = collections.cloned().map(Table::Collection).collect();
        tables.extend(collections);
        tables.retain(|table| ServerTable::named(table.name()).is_none());
        tables.extend(request.server_tables.iter().copied().map(Table::Server));
        tables.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(Self {
            lake,
            request: request.clone(),
            tables,
            server: Arc::clone(server),
            settings: Arc::clone(settings),
            runtime: Arc::clone(runtime),
        })
    }

    /// Name and format of every table.
    pub(super) fn formats(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.tables.iter().map(|table| {
            let format = match table {
                Table::Server(_) => "SYSTEM",
                Table::Lake(_) => TableFormat::Delta.name(),
                Table::Declared(table) => table.format.name(),
                Table::Collection(_) => "MONGODB",
            };
            (table.name(), format)
        })
    }

    fn find(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name() == name)
    }

    async fn open(&self, table: &Table) -> Result<Option<Arc<dyn TableProvider>>> {
        match table {
            Table::Server(table) => table.provider(&self.server).map(Some).map_err(from_engine),
            Table::Lake(name) => open(&self.lake, &self.request, &self.settings, name).await,
            Table::Declared(table) => {
                let table = declared::open(table, &self.settings, &self.runtime).await?;
                let read_only = |table| -> Arc<dyn TableProvider> {
                    Arc::new(lake_table::LakeTable::new(table))
                };
                Ok(table.map(read_only))
            }
            Table::Collection(name) => self.collection(name).await,
        }
    }
}

impl Tables {
    /// Whether a collection of that name, of which nothing is known yet, would be a table.
    fn may_be_new(&self, name: &TableName) -> bool {
        self.request.collections.is_some()
            && *name != prompt_log_table::name()
            && ServerTable::named(name.as_str()).is_none()
    }

    async fn collection(&self, name: &TableName) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = self.server.table(name).await?;
        Ok(table.map(|table| {
            let table = CollectionTable::new(name.clone(), table, Arc::clone(&self.server));
            Arc::new(table) as Arc<dyn TableProvider>
        }))
    }
}

#[async_trait::async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.tables
            .iter()
            .map(|table| table.name().to_owned())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let opened = match (self.find(name), TableName::parse(name)) {
            (Some(table), _) => self.open(table).await,
            // Made after the server looked last, perhaps.
            (None, Ok(name)) if self.may_be_new(&name) => self.collection(&name).await,
            (None, _) => return Ok(None),
        };
        opened.map_err(external)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}
