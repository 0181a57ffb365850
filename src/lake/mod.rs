//! The organizations' tables: Delta tables on an object store, reached by URL, one folder an organization.
//!
//! `prompt_logs` and the query engine read and write tables only through here. A table is visible when its first
//! commit is; data files without a commit (a writer that died) are never seen. Not here: what the rows mean
//! (`prompt_logs`), and who may read them (`rules::decide`).

pub mod append;
pub mod clean;
mod commit;
pub mod copy;
mod data_file;
mod durable;
#[cfg(test)]
pub(crate) mod faults;
pub mod import;
pub mod lock;
mod log_files;
mod object_reader;
pub mod prompt_log_table;
#[cfg(test)]
mod tests;
mod time_limit;
mod warm;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::kernel::{Action, Add, StructField, Transaction};
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaTable, DeltaTableBuilder};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as StorePath};
use rules::{Error, Kind, OrgId, Result, TableName};
use url::Url;

use commit::{OVERTAKEN, commit_failed, commit_noting, commit_properties, replace_noting};
use time_limit::TimeLimit;
use warm::Warm;

pub use commit::{commit, commit_as, remove_all};
pub use data_file::{DataFileWriter, table_properties};
pub use lock::Locked;
pub use log_files::{Footers, Group, LogFile, LogFooter, Page, list as list_logs};
pub use object_reader::ObjectReader;

/// The store's message for the caller when the lake cannot be reached; the cause goes to the log.
const UNAVAILABLE: &str = "the organization's storage did not answer; try again";

/// The scheme of tables' URLs. Delta only takes schemes it knows, and of `file` URLs it expects paths of the machine; the
/// store is always given, so the name stands for nothing else.
const TABLE_SCHEME: &str = "memory";

/// How long a read may take where nobody says otherwise.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// All organizations' tables below one URL: `{root}/{org_id}/{table}/`. Clones share what they keep of opened tables.
#[derive(Clone, Debug)]
pub struct Lake {
    root: Url,
    /// The store itself, whose reads may take any time.
    unlimited: Arc<dyn ObjectStore>,
    store: Arc<dyn ObjectStore>,
    warm: Arc<Warm>,
}

/// The data files of an organization's prompt logs at one version of the table.
#[derive(Debug, Clone)]
pub struct LogTable {
    /// Rooted in the table.
    pub store: Arc<dyn ObjectStore>,
    /// By least key.
    pub files: Arc<Vec<Arc<LogFile>>>,
}

impl Lake {
    /// Opens the lake in a local folder, which is made when missing (readable by its owner only).
    pub fn local(dir: &Path) -> Result<Self> {
        let failed = |error| Error::internal("the lake's folder cannot be opened").because(error);
        crate::folder::create_private(dir)?;
        let dir = dir
            .canonicalize()
            .map_err(|error| failed(error.to_string()))?;
        let root = Url::from_directory_path(&dir)
            .map_err(|()| failed(format!("{} is no absolute path", dir.display())))?;
        Self::at(&root)
    }

    /// Opens the lake at a URL made by [`Lake::url`]; only `file` for now.
    pub fn at(root: &Url) -> Result<Self> {
        Ok(Self::over(root.clone(), store_at(root)?))
    }

    /// The lake in a store rooted in it.
    pub(crate) fn over(root: Url, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            root,
            unlimited: Arc::clone(&store),
            store: Arc::new(TimeLimit::new(store, READ_LIMIT)),
            warm: Arc::default(),
        }
    }

    /// The same lake, with another limit for how long one read of its store may take. What it kept is forgotten.
    #[must_use]
    pub fn with_read_limit(self, limit: Duration) -> Self {
        Self {
            store: Arc::new(TimeLimit::new(Arc::clone(&self.unlimited), limit)),
            warm: Arc::default(),
            ..self
        }
    }

    /// Where the lake is; ends with `/`.
    pub fn url(&self) -> &Url {
        &self.root
    }

    /// The organization's tables, by name.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn tables(&self, org: &OrgId) -> Result<Vec<TableName>> {
        let folder = StorePath::from(org.as_str());
        let listing = self.store.list_with_delimiter(Some(&folder)).await;
        let folders = listing
            .map_err(|error| Error::unavailable(UNAVAILABLE).because(error))?
            .common_prefixes;
        let mut tables = Vec::with_capacity(folders.len());
        for folder in folders {
            let Some(name) = folder
                .filename()
                .and_then(|name| TableName::parse(name).ok())
            else {
                continue;
            };
            // A writer that died before its first commit leaves a folder that is no table.
            let log = folder.join("_delta_log");
            if holds_anything(&self.store, &log).await? {
                tables.push(name);
            }
        }
        tables.sort();
        Ok(tables)
    }

    /// The table at its newest version, or `None` when the organization has no such table.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer or the table cannot be read.
    pub async fn open(&self, org: &OrgId, table: &TableName) -> Result<Option<DeltaTable>> {
        let known = self.known(org, table).await?;
        Ok(known.map(|known| known.table.clone()))
    }

    /// The organization's prompt logs at their newest version, or `None` when it has none.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub async fn open_logs(&self, org: &OrgId) -> Result<Option<LogTable>> {
        let Some(known) = self.known(org, &prompt_log_table::name()).await? else {
            return Ok(None);
        };
        Ok(Some(LogTable {
            store: known.table.object_store(),
            files: known.logs(org, &self.warm.footers)?,
        }))
    }

    /// Whether the table has a version behind `version`; `None`: whether there is a table. Does not read it, so the answer
    /// is no as well when the log's beginning behind `version` was deleted meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn has_newer(
        &self,
        org: &OrgId,
        table: &TableName,
        version: Option<u64>,
    ) -> Result<bool> {
        let log = StorePath::from(format!("{org}/{table}/_delta_log"));
        let Some(version) = version else {
            return holds_anything(&self.store, &log).await;
        };
        let next = log.join(format!("{:020}.json", version + 1));
        match self.store.head(&next).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Makes the table with its first data files in one commit, or replaces the existing table's schema and files.
    ///
    /// # Errors
    /// `Conflict` when another writer changed the table meanwhile.
    pub async fn create(
        &self,
        org: &OrgId,
        table: &TableName,
        columns: Vec<StructField>,
        partition_columns: &[&str],
        adds: Vec<Add>,
        mode: SaveMode,
    ) -> Result<DeltaTable> {
        self.create_noting(
            org,
            table,
            columns,
            partition_columns,
            adds,
            Vec::new(),
            mode,
        )
        .await
    }

    /// The same, with notes for later writers in the commit.
    #[expect(clippy::too_many_arguments, reason = "those of a commit")]
    async fn create_noting(
        &self,
        org: &OrgId,
        table: &TableName,
        columns: Vec<StructField>,
        partition_columns: &[&str],
        adds: Vec<Add>,
        notes: Vec<Transaction>,
        mode: SaveMode,
    ) -> Result<DeltaTable> {
        let first = adds.first().map(|file| file.path.clone());
        let notes = notes.into_iter().map(Action::Txn);
        let unloaded = self.builder(org, table)?.build().map_err(unavailable)?;
        let made = unloaded
            .create()
            .with_columns(columns)
            .with_partition_columns(partition_columns.iter().copied())
            .with_save_mode(mode)
            .with_actions(adds.into_iter().map(Action::Add).chain(notes))
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        let error = match made {
            Ok(table) => return Ok(table),
            Err(error) => error,
        };
        // Delta has no kind of its own for a table that another writer made since the caller looked; one that names a
        // file of ours is ours, made before the error.
        if mode == SaveMode::ErrorIfExists
            && let Some(table) = self.open(org, table).await?
            && !first.is_some_and(|file| names(&table, &file))
        {
            return Err(Error::conflict(OVERTAKEN).because(error));
        }
        Err(commit_failed(error))
    }

    /// The store with the table's folder as its root, for data files of a table that may not exist yet.
    pub fn table_store(&self, org: &OrgId, table: &TableName) -> Result<Arc<dyn ObjectStore>> {
        Ok(self
            .builder(org, table)?
            .build_storage()
            .map_err(unavailable)?
            .object_store(None))
    }

    /// A table's URL begins at the lake's root, like every path in it.
    fn builder(&self, org: &OrgId, table: &TableName) -> Result<DeltaTableBuilder> {
        let url = Url::parse(&format!("{TABLE_SCHEME}:///{org}/{table}/"))
            .map_err(|error| Error::internal("a table's URL cannot be made").because(error))?;
        let builder = DeltaTableBuilder::from_url(url.clone()).map_err(unavailable)?;
        Ok(builder.with_storage_backend(Arc::clone(&self.store), url))
    }
}

/// The store whose root is at a URL; only `file` for now. What is written there is on disk when it is acknowledged.
///
/// # Errors
/// `Unavailable` when the folder does not exist.
pub fn store_at(root: &Url) -> Result<Arc<dyn ObjectStore>> {
    let folder = (root.scheme() == "file")
        .then(|| root.to_file_path().ok())
        .flatten();
    let folder = folder.ok_or_else(|| Error::internal("only local folders are supported"))?;
    // Rooted there, so that no path of the machine shows in a plan or an error.
    let store = LocalFileSystem::new_with_prefix(&folder).map_err(unavailable)?;
    Ok(Arc::new(durable::Durable::new(store, folder)))
}

/// Whether there is anything below the path.
async fn holds_anything(store: &Arc<dyn ObjectStore>, path: &StorePath) -> Result<bool> {
    let mut below = store.list(Some(path));
    Ok(below.try_next().await.map_err(unavailable)?.is_some())
}

/// A Delta table outside of the lake, which somebody else writes, at its newest version; `None` where there is none.
///
/// `store` is rooted in the table; `url` has no path, and stands for the store in plans.
///
/// # Errors
/// `Unavailable` when it cannot be read.
pub async fn open_foreign(store: Arc<dyn ObjectStore>, url: &Url) -> Result<Option<DeltaTable>> {
    let store: Arc<dyn ObjectStore> = Arc::new(TimeLimit::new(store, READ_LIMIT));
    let log = StorePath::from("_delta_log");
    if !holds_anything(&store, &log).await? {
        return Ok(None);
    }
    let builder = DeltaTableBuilder::from_url(url.clone()).map_err(unavailable)?;
    let builder = builder.with_storage_backend(store, url.clone());
    Ok(Some(builder.load().await.map_err(unavailable)?))
}

/// Deletes data files that no commit names, so that nobody can see them; one that stays takes room, nothing else.
///
/// Not for files of a commit that was tried: see [`discard_uncommitted`].
pub(crate) async fn discard(store: &dyn ObjectStore, files: &[Add]) {
    for file in files {
        if let Err(error) = store.delete(&StorePath::from(file.path.as_str())).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a data file without a commit is left over"
            );
        }
    }
}

/// Deletes the data files of a commit that failed, where it is certain that the table does not name them: after a
/// `Conflict`, and after `StorageFull` when the table, read again, does not (the disk may have filled up behind the
/// commit's file: at its sync, or at a checkpoint). After any other error they stay, for the commit may be there.
pub(crate) async fn discard_uncommitted(
    lake: &Lake,
    org: &OrgId,
    table: &TableName,
    error: &Error,
    files: &[Add],
) {
    let certain = match error.kind() {
        Kind::Conflict => true,
        Kind::StorageFull => match lake.open(org, table).await {
            Ok(Some(table)) => !files.iter().any(|file| names(&table, &file.path)),
            _ => false,
        },
        _ => false,
    };
    if certain && let Ok(store) = lake.table_store(org, table) {
        discard(&store, files).await;
    }
}

/// Whether the file is one of the table's, at the version it was loaded at.
fn names(table: &DeltaTable, file: &str) -> bool {
    let snapshot = table.snapshot();
    snapshot.is_ok_and(|snapshot| snapshot.log_data().iter().any(|view| view.path() == file))
}

/// An error of the store or of Delta as the caller may see it: storage is full, or does not answer.
pub(crate) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    if is_storage_full(error.as_ref()) {
        return Error::storage_full("storage is full; nothing was written").because(error);
    }
    Error::unavailable(UNAVAILABLE).because(error)
}

fn is_storage_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            )
        {
            return true;
        }
        cause = error.source();
    }
    false
}
