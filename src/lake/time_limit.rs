//! An object store whose reads end: one that takes longer than its limit fails, and the object counts as unreadable.
//!
//! Around the store, so that no caller has to think of a store that hangs. Writes are not limited: an acknowledgement
//! may take as long as it takes. An object that stalled is not waited for again during another limit; a hundred logs in
//! one stalled file would wait a hundred times.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};
use tokio::time::{Instant, timeout};

#[derive(Debug)]
pub(super) struct TimeLimit {
    inner: Arc<dyn ObjectStore>,
    limit: Duration,
    stalled: Mutex<HashMap<Path, Instant>>,
}

impl TimeLimit {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            stalled: Mutex::default(),
        }
    }

    async fn within<T>(&self, location: &Path, read: impl Future<Output = Result<T>>) -> Result<T> {
        if self.has_stalled(location) {
            return Err(too_slow(self.limit));
        }
        let read = timeout(self.limit, read).await;
        read.unwrap_or_else(|_| {
            let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
            stalled.insert(location.clone(), Instant::now());
            Err(too_slow(self.limit))
        })
    }

    /// Whether the object stalled within the limit's time; forgets those that did so before.
    fn has_stalled(&self, location: &Path) -> bool {
        let mut stalled = self.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        stalled.retain(|_, since| since.elapsed() < self.limit);
        stalled.contains_key(location)
    }

    fn each_within(
        &self,
        objects: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let limit = self.limit;
        let limited = stream::try_unfold(objects, move |mut objects| async move {
            match timeout(limit, objects.next()).await {
                Ok(next) => Ok(next.transpose()?.map(|object| (object, objects))),
                Err(_) => Err(too_slow(limit)),
            }
        });
        limited.boxed()
    }
}

fn too_slow(limit: Duration) -> Error {
    Error::Generic {
        store: "lake",
        source: format!("a read took longer than {limit:?}").into(),
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "time-limited {}", self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for TimeLimit {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    /// The object's bytes are read here, whole: they are what takes time. Data files are read by [`Self::get_ranges`],
    /// so these are the small files of a table's log.
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let read = async {
            let found = self.inner.get_opts(location, options).await?;
            if head {
                return Ok(found);
            }
            let (meta, range) = (found.meta.clone(), found.range.clone());
            let attributes = found.attributes.clone();
            let bytes = found.bytes().await?;
            Ok(GetResult {
                payload: GetResultPayload::Stream(
                    stream::once(std::future::ready(Ok(bytes))).boxed(),
                ),
                meta,
                range,
                attributes,
            })
        };
        self.within(location, read).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.within(location, self.inner.get_ranges(location, ranges))
            .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.each_within(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.each_within(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listing = self.inner.list_with_delimiter(prefix);
        let limited = timeout(self.limit, listing);
        limited
            .map(|listed| listed.unwrap_or_else(|_| Err(too_slow(self.limit))))
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
