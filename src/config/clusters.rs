//! MongoDB clusters, declared in the configuration file or in the environment.
//!
//! `[clusters.main]` with `mongodb` or `mongodb_file` and perhaps more. Not in the table of settings: names here are the
//! operator's own. Not here: connections, which `clusters` makes.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::path::{Path as FilePath, PathBuf};

use collections::{Column, Kind, Path};
use mongodb::options::ConnectionString;
use rules::{ClusterName, Error, OrgId, Result, TableName};
use serde::{Deserialize, Deserializer, Serialize};

use super::check_range;

mod uri;

use uri::MongoUri;
pub(super) use uri::without_credentials;

/// Tables of the server's own, which no collection can be.
pub const SERVER_TABLES: [&str; 3] = ["prompt_logs", "query_history", "audit_log"];

/// What stands for the organization in a database's name.
const ORG_ID: &str = "{org_id}";
/// MongoDB's own databases.
const SYSTEM_DATABASES: [&str; 3] = ["admin", "config", "local"];
/// The most bytes of a database's name, and of a collection's beside it.
const DATABASE_BYTES_MAX: usize = 63;
const COLLECTION_BYTES_MAX: usize = 190;

const CONCURRENT_SCANS: RangeInclusive<usize> = 1..=1024;
const BATCH_DOCUMENTS: RangeInclusive<u32> = 1..=100_000;

/// The clusters, by the name that organizations' entries and requests use.
pub(super) type Clusters = BTreeMap<ClusterName, ClusterSettings>;

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// Where it is, and the credentials.
    #[serde(default)]
    mongodb: Option<MongoUri>,
    /// A file that holds it instead.
    #[serde(default)]
    mongodb_file: Option<PathBuf>,
    /// The database of an organization. Without `{org_id}` all share it.
    #[serde(default = "own_database")]
    database: String,
    /// Where a document of a shared database says whose it is.
    #[serde(default = "org_id_field", deserialize_with = "dotted")]
    org_id_field: Path,
    /// Reads in flight at once.
    #[serde(default = "concurrent_scans")]
    pub concurrent_scans: usize,
    /// Documents of one batch.
    #[serde(default = "batch_documents")]
    pub batch_documents: u32,
    /// None: the server's default.
    #[serde(default)]
    pub read_concern: Option<ReadConcern>,
    /// What is declared of tables, for every organization of the cluster.
    #[serde(default)]
    pub collections: BTreeMap<TableName, DeclaredCollection>,
}

/// How sure a read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadConcern {
    Local,
    Available,
    Majority,
    Linearizable,
    Snapshot,
}

/// What is declared of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeclaredCollection {
    /// Default: the table's name.
    collection: Option<String>,
    /// A value that does not fit its column fails the query.
    pub strict: bool,
    /// Default: as a sample has them.
    columns: Option<Vec<DeclaredColumn>>,
    /// Where queries read it. Default: from the lake where a table of this name is there, else from the cluster.
    pub serve: Option<Serve>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredColumn {
    name: String,
    #[serde(rename = "type", deserialize_with = "kind")]
    kind: Kind,
    /// Default: the name.
    #[serde(default, deserialize_with = "maybe_dotted")]
    path: Option<Path>,
}

/// Where queries read a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serve {
    Lake,
    Mongodb,
}

fn own_database() -> String {
    ORG_ID.to_owned()
}

fn org_id_field() -> Path {
    Path::field("org_id")
}

fn concurrent_scans() -> usize {
    8
}

fn batch_documents() -> u32 {
    1000
}

impl ReadConcern {
    /// As MongoDB calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Available => "available",
            Self::Majority => "majority",
            Self::Linearizable => "linearizable",
            Self::Snapshot => "snapshot",
        }
    }
}

impl ClusterSettings {
    /// Where the cluster is; read from the file where one is named.
    ///
    /// # Errors
    /// `Invalid`, naming the setting: the file cannot be read, or what it holds is no connection string.
    pub fn uri(&self, name: &ClusterName) -> Result<ConnectionString> {
        let setting = |of: &str| format!("clusters.{name}.{of}");
        match (&self.mongodb, &self.mongodb_file) {
            (Some(uri), None) => uri.parse(&setting("mongodb")),
            (None, Some(file)) => {
                let setting = setting("mongodb_file");
                let text = std::fs::read_to_string(file).map_err(|error| {
                    let file = file.display();
                    Error::invalid(format!("{setting}: {file} cannot be read ({error})"))
                })?;
                MongoUri::new(text).parse(&format!("what the file of {setting} holds"))
            }
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "clusters.{name} has both mongodb and mongodb_file; give one of them"
            ))),
            (None, None) => Err(Error::invalid(format!(
                "clusters.{name} says not where the cluster is; give mongodb or mongodb_file"
            ))),
        }
    }

    /// The organization's database; none where its id makes no name of one, or that of one of MongoDB's own.
    pub fn database(&self, org: &OrgId) -> Option<String> {
        let name = self.database.replace(ORG_ID, org.as_str());
        database_fault(&name).is_none().then_some(name)
    }

    /// Where a document says whose it is, where organizations share the database.
    pub fn tenant_field(&self) -> Option<&Path> {
        (!self.database.contains(ORG_ID)).then_some(&self.org_id_field)
    }

    /// # Errors
    /// `Invalid`, naming the setting.
    fn check(&self, name: &ClusterName) -> Result<()> {
        let setting = format!("clusters.{name}");
        // A file may be readable for the server alone: it is read when the server starts.
        if self.mongodb.is_some() || self.mongodb_file.is_none() {
            self.uri(name)?;
        }
        if self.mongodb_file.as_deref() == Some(FilePath::new("")) {
            return Err(Error::invalid(format!(
                "{setting}.mongodb_file is empty; give a file that holds the connection string"
            )));
        }
        if let Some(fault) = database_fault(&self.database.replace(ORG_ID, "x")) {
            return Err(Error::invalid(format!(
                "{setting}.database is {:?}: {fault}",
                self.database
            )));
        }
        check_range(
            &format!("{setting}.concurrent_scans"),
            &self.concurrent_scans,
            &CONCURRENT_SCANS,
        )?;
        check_range(
            &format!("{setting}.batch_documents"),
            &self.batch_documents,
            &BATCH_DOCUMENTS,
        )?;
        for (table, declared) in &self.collections {
            declared.check(table, &format!("{setting}.collections.{table}"))?;
        }
        Ok(())
    }
}

impl DeclaredCollection {
    /// The collection behind the table.
    pub fn collection<'a>(&'a self, table: &'a TableName) -> &'a str {
        self.collection.as_deref().unwrap_or(table.as_str())
    }

    /// The columns, where they are declared.
    pub fn columns(&self) -> Option<Vec<Column>> {
        let column = |declared: &DeclaredColumn| Column {
            name: declared.name.clone(),
            path: declared
                .path
                .clone()
                .or_else(|| Path::parse(&declared.name))
                .unwrap_or_else(|| Path::field(&declared.name)),
            kind: declared.kind,
        };
        let columns = self.columns.as_ref()?;
        Some(columns.iter().map(column).collect())
    }

    fn check(&self, table: &TableName, setting: &str) -> Result<()> {
        if SERVER_TABLES.contains(&table.as_str()) {
            return Err(Error::invalid(format!(
                "{setting}: {table} is a table of the server's own; give this one another name, and collection = \"{table}\""
            )));
        }
        let collection = self.collection(table);
        let is_name = !collection.is_empty()
            && collection.len() <= COLLECTION_BYTES_MAX
            && !collection.contains(['$', '\0'])
            && !collection.starts_with("system.");
        if !is_name {
            return Err(Error::invalid(format!(
                "{setting}.collection is {collection:?}, which names no collection"
            )));
        }
        let Some(columns) = &self.columns else {
            return Ok(());
        };
        if columns.is_empty() {
            return Err(Error::invalid(format!(
                "{setting}.columns is empty; give at least one, or leave it out"
            )));
        }
        let mut names = HashSet::new();
        for (index, column) in columns.iter().enumerate() {
            let name = &column.name;
            let setting = format!("{setting}.columns.{index}");
            if name.trim().is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "{setting}.name must be 1 to 256 bytes, not all spaces, without control characters"
                )));
            }
            if !names.insert(name.to_lowercase()) {
                return Err(Error::invalid(format!(
                    "{setting}.name is {name:?}, which another column has too; capitals make no difference"
                )));
            }
            if column.path.is_none() {
                parse_dotted(name).map_err(|fault| {
                    Error::invalid(format!("{setting}.name is {fault}; give its path"))
                })?;
            }
        }
        Ok(())
    }
}

/// Refuses what can be no cluster.
///
/// # Errors
/// `Invalid`, naming the setting.
pub(super) fn check(clusters: &Clusters) -> Result<()> {
    clusters
        .iter()
        .try_for_each(|(name, settings)| settings.check(name))
}

/// Why this is no name of a database that may be read.
fn database_fault(name: &str) -> Option<String> {
    const REFUSED: &str = "/\\. \"$*<>:|?{}";
    let refused = |c: char| REFUSED.contains(c) || c.is_control();
    if name.is_empty() {
        return Some("the name of a database is not empty".to_owned());
    }
    if name.len() > DATABASE_BYTES_MAX {
        return Some(format!(
            "the name of a database has at most {DATABASE_BYTES_MAX} bytes"
        ));
    }
    if let Some(c) = name.chars().find(|c| refused(*c)) {
        return Some(format!(
            "the name of a database holds no {c:?}; what stands for the organization is {ORG_ID}"
        ));
    }
    SYSTEM_DATABASES
        .iter()
        .any(|system| name.eq_ignore_ascii_case(system))
        .then(|| format!("{name} is a database of MongoDB's own"))
}

fn parse_dotted(text: &str) -> Result<Path, String> {
    let fault = || format!("{text:?}, which is no path: fields with dots between them");
    let path = Path::parse(text).ok_or_else(fault)?;
    let is_field = |field: &String| !field.starts_with('$') && !field.contains('\0');
    path.fields()
        .iter()
        .all(is_field)
        .then_some(path)
        .ok_or_else(fault)
}

fn dotted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Path, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_dotted(&text).map_err(serde::de::Error::custom)
}

fn maybe_dotted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Path>, D::Error> {
    dotted(deserializer).map(Some)
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let text = String::deserialize(deserializer)?;
    Kind::parse(&text).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "{text:?} is no type; there are STRING, OBJECTID, BOOLEAN, BIGINT, DOUBLE, DECIMAL(p,s), TIMESTAMP, BINARY \
             and JSON"
        ))
    })
}
