//! Tables that lie elsewhere: folders of files that an organization's queries may read, declared in the configuration file.
//!
//! `[organizations.acme.tables.events]` with `path` and `format`. Not in the table of settings: names here are the
//! operator's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rules::{Error, OrgId, Result, TableName};
use serde::{Deserialize, Serialize};

use super::{Config, OpenId, SERVER_TABLES};

/// What is declared of organizations, by id.
pub type Organizations = BTreeMap<OrgId, Organization>;

/// What is declared of one organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Organization {
    tables: BTreeMap<TableName, Table>,
    /// Whose tokens are taken for its users, besides our own.
    pub(super) openid: Option<OpenId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Absolute, or relative to the data directory.
    path: PathBuf,
    format: TableFormat,
}

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    Delta,
    Parquet,
    Csv,
    Ndjson,
}

/// A folder that an organization's queries read as a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredTable {
    pub name: TableName,
    /// Absolute.
    pub folder: PathBuf,
    pub format: TableFormat,
}

impl TableFormat {
    /// The name in `information_schema.tables`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delta => "DELTA",
            Self::Parquet => "PARQUET",
            Self::Csv => "CSV",
            Self::Ndjson => "NDJSON",
        }
    }
}

impl Config {
    /// The tables declared of an organization, by name.
    pub fn declared_tables(&self, org: &OrgId) -> Vec<DeclaredTable> {
        let tables = self.organizations.get(org).map(|org| &org.tables);
        let declared = tables
            .into_iter()
            .flatten()
            .map(|(name, table)| DeclaredTable {
                name: name.clone(),
                folder: absolute(&self.data_dir.join(&table.path)),
                format: table.format,
            });
        declared.collect()
    }
}

/// The path from the root; as it is where the working directory is gone.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Refuses what can be no table.
///
/// # Errors
/// `Invalid`, naming the setting.
pub(super) fn check(organizations: &Organizations) -> Result<()> {
    for (org, organization) in organizations {
        for (name, table) in &organization.tables {
            let setting = format!("organizations.{org}.tables.{name}");
            if SERVER_TABLES.contains(&name.as_str()) {
                return Err(Error::invalid(format!(
                    "{setting}: {name} is a table of the server's own; give this one another name"
                )));
            }
            if table.path.as_os_str().is_empty() {
                return Err(Error::invalid(format!(
                    "{setting}.path is empty; give the folder of the table's files"
                )));
            }
        }
    }
    Ok(())
}
