//! Result files: one folder a query, there until it expires.

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange};
use rules::{Error, OrgId, Result};
use url::Url;

use super::SqlQueries;
use super::signed_url::{SignedUrl, expired};
use crate::engine::Format;
use crate::lake;

/// A finished result.
#[derive(Debug, Clone)]
pub struct ResultFile {
    pub org_id: OrgId,
    pub query_id: String,
    pub format: Format,
    /// Its size.
    pub bytes: u64,
    folder: Url,
}

impl ResultFile {
    pub(super) fn new(queries: &SqlQueries, url: &SignedUrl, bytes: u64) -> Result<Self> {
        Ok(Self {
            org_id: url.org_id.clone(),
            query_id: url.query_id.clone(),
            format: url.format,
            bytes,
            folder: queries.folder(&url.org_id, &url.query_id)?,
        })
    }

    /// The bytes of a range, as the store gives them.
    ///
    /// # Errors
    /// `Gone` when the file was deleted meanwhile, `Unavailable`.
    pub async fn read(&self, range: Range<u64>) -> Result<BoxStream<'static, Result<Bytes>>> {
        if range.is_empty() {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let path = Path::from(self.format.file_name());
        let store = lake::store_at(&self.folder).map_err(|error| expired().because(error))?;
        let file = store.get_opts(&path, options).await;
        let file = file.map_err(|error| match error {
            object_store::Error::NotFound { .. } => expired().because(error),
            error => lake::unavailable(error),
        })?;
        Ok(file.into_stream().map_err(lake::unavailable).boxed())
    }
}

impl SqlQueries {
    /// The folder of a query's result.
    pub(super) fn folder(&self, org: &OrgId, query_id: &str) -> Result<Url> {
        let folder = self.local_folder(org, query_id);
        let folder = std::path::absolute(folder).map_err(no_folder)?;
        Url::from_directory_path(folder)
            .map_err(|()| no_folder(std::io::ErrorKind::NotFound.into()))
    }

    fn local_folder(&self, org: &OrgId, query_id: &str) -> PathBuf {
        self.config.results_dir().join(org.as_str()).join(query_id)
    }

    /// Makes the folder; whoever looks for it after a power cut finds it.
    pub(super) async fn make_folder(&self, org: &OrgId, query_id: &str) -> Result<()> {
        let folder = self.local_folder(org, query_id);
        on_disk(move || {
            crate::folder::create_private(&folder)?;
            for above in folder.ancestors().skip(1).take(3) {
                std::fs::File::open(above)
                    .and_then(|above| above.sync_all())
                    .map_err(no_folder)?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes a query's result, whatever there is of it.
    pub(super) async fn remove_folder(&self, org: &OrgId, query_id: &str) -> Result<()> {
        let folder = self.local_folder(org, query_id);
        on_disk(move || match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::unavailable("a result cannot be deleted").because(error))
            }
            _ => Ok(()),
        })
        .await
    }
}

fn no_folder(error: std::io::Error) -> Error {
    Error::internal("the folder of a result cannot be made").because(error)
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("work on a result broke off").because(error))?
}
