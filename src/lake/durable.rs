//! A local object store whose writes are on disk when they are acknowledged.
//!
//! `object_store`'s own local store renames a finished file into place without telling the disk; after a power cut the
//! file may be empty or missing. This wrapper syncs the file and the folders that lead to it, so that a commit that was
//! reported really is one. It also lists in order.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryFutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

#[derive(Debug)]
pub(super) struct Durable {
    inner: LocalFileSystem,
}

impl Durable {
    pub(super) fn new(inner: LocalFileSystem) -> Self {
        Self { inner }
    }

    async fn sync(&self, location: &Path) -> Result<()> {
        sync(self.inner.path_to_filesystem(location)?).await
    }
}

/// Syncs the file, its folder and that folder's parent (the folder itself may be new).
async fn sync(file: PathBuf) -> Result<()> {
    let synced = tokio::task::spawn_blocking(move || -> io::Result<()> {
        for path in file.ancestors().take(3) {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    });
    let result = synced
        .await
        .map_err(io::Error::other)
        .and_then(|result| result);
    result.map_err(|source| object_store::Error::Generic {
        store: "local",
        source: Box::new(source),
    })
}

/// In the order of their paths, as cloud stores list and as Delta expects of every store but a `file` one.
fn sorted(
    objects: BoxStream<'static, Result<ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let sorted = objects.try_collect::<Vec<_>>().map_ok(|mut objects| {
        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        stream::iter(objects.into_iter().map(Ok))
    });
    sorted.try_flatten_stream().boxed()
}

impl fmt::Display for Durable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "durable {}", self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Durable {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let written = self.inner.put_opts(location, payload, options).await?;
        self.sync(location).await?;
        Ok(written)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(DurableUpload {
            upload,
            file: self.inner.path_to_filesystem(location)?,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        sorted(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.sync(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await?;
        self.sync(to).await
    }
}

#[derive(Debug)]
struct DurableUpload {
    upload: Box<dyn MultipartUpload>,
    file: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> object_store::UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let written = self.upload.complete().await?;
        sync(self.file.clone()).await?;
        Ok(written)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
