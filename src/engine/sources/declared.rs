//! Tables that lie elsewhere: folders of Parquet, CSV or NDJSON files, and Delta tables that somebody else writes.
//!
//! Each has a store of its own, rooted in its folder, so that no path of the machine is in a plan or a message. Nothing is
//! kept between queries: a file that is there when a query begins is read.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore};
use rules::{Error, Result};
use url::Url;

use super::super::problem::from_engine;
use crate::config::{DeclaredTable, TableFormat};
use crate::lake::open_foreign;

/// Rows of NDJSON that are looked at to know the columns and their types.
const SAMPLE_ROWS: usize = 10_000;

/// Opens the table for one query; `None` where its folder has no files of its format.
///
/// # Errors
/// `Invalid` when its files do not fit together. `Unavailable` when they cannot be read.
pub(super) async fn open(
    table: &DeclaredTable,
    settings: &Arc<SessionState>,
    runtime: &Arc<RuntimeEnv>,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(store) = store(&table.folder)? else {
        return Ok(None);
    };
    // The name stands for the folder.
    let url = Url::parse(&format!("memory://{}/", table.name))
        .map_err(|error| Error::internal("a table's URL cannot be made").because(error))?;
    if table.format == TableFormat::Delta {
        let Some(table) = open_foreign(store, &url).await? else {
            return Ok(None);
        };
        let builder = table.table_provider().with_session(Arc::clone(settings));
        let provider = builder.build().await.map_err(from_engine)?;
        return Ok(Some(Arc::new(provider)));
    }
    runtime.register_object_store(&url, store);
    let session = SessionStateBuilder::new_from_existing(settings.as_ref().clone())
        .with_runtime_env(Arc::clone(runtime))
        .build();
    files(table.format, &session, url).await
}

/// `None` where there is no such folder.
fn store(folder: &Path) -> Result<Option<Arc<dyn ObjectStore>>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let store = LocalFileSystem::new_with_prefix(folder)
        .map_err(|error| Error::unavailable("the table's folder cannot be read").because(error))?;
    Ok(Some(Arc::new(store)))
}

/// The files below `url`, in folders `name=value` too, whose values are then a column of text.
async fn files(
    format: TableFormat,
    session: &SessionState,
    url: Url,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let location = ListingTableUrl::try_new(url, None).map_err(from_engine)?;
    let (format, endings): (Arc<dyn FileFormat>, &[&str]) = match format {
        TableFormat::Csv => (Arc::new(csv()), &[".csv"]),
        TableFormat::Ndjson => {
            let format = JsonFormat::default().with_schema_infer_max_rec(SAMPLE_ROWS);
            (Arc::new(format), &["json", ".jsonl"])
        }
        TableFormat::Parquet | TableFormat::Delta => {
            (Arc::new(ParquetFormat::default()), &[".parquet"])
        }
    };
    for ending in endings {
        let files = list(session, &location, ending).await?;
        let Some(first) = files.first() else { continue };
        let partitions = partitions(first);
        let store = session
            .runtime_env()
            .object_store(&location)
            .map_err(from_engine)?;
        let schema = format.infer_schema(session, &store, &files).await;
        let options = ListingOptions::new(format)
            .with_file_extension(*ending)
            .with_table_partition_cols(partitions);
        let config = ListingTableConfig::new(location)
            .with_listing_options(options)
            .with_schema(schema.map_err(from_engine)?);
        let table = ListingTable::try_new(config).map_err(from_engine)?;
        return Ok(Some(Arc::new(table)));
    }
    Ok(None)
}

/// Every column is text: the same file has the same types whatever lies beside it, and 007 stays 007.
fn csv() -> CsvFormat {
    CsvFormat::default()
        .with_has_header(true)
        .with_schema_infer_max_rec(0)
        .with_newlines_in_values(true)
}

/// The table's files with something in them, by name.
async fn list(
    session: &SessionState,
    location: &ListingTableUrl,
    ending: &str,
) -> Result<Vec<ObjectMeta>> {
    let store = session
        .runtime_env()
        .object_store(location)
        .map_err(from_engine)?;
    let listed = location
        .list_all_files(session, store.as_ref(), ending)
        .await;
    let mut files: Vec<ObjectMeta> = listed
        .map_err(from_engine)?
        .try_collect()
        .await
        .map_err(from_engine)?;
    files.retain(|file| file.size > 0);
    files.sort_by(|one, other| one.location.cmp(&other.location));
    Ok(files)
}

/// The columns that the names of a file's folders give.
fn partitions(file: &ObjectMeta) -> Vec<(String, DataType)> {
    let parts: Vec<_> = file.location.parts().collect();
    let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
    let names = folders
        .iter()
        .filter_map(|folder| folder.as_ref().split_once('='));
    names
        .map(|(name, _)| (name.to_owned(), DataType::Utf8))
        .collect()
}
