//! A store that goes wrong at a chosen read, for tests.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};

use super::Lake;

/// What happens to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Fail,
    /// It never ends.
    Stall,
    /// It brings other bytes.
    Corrupt,
}

/// Reads go wrong only once it is armed.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn ObjectStore>,
    reads: AtomicUsize,
    armed: Mutex<Option<(Fault, Range<usize>)>>,
}

impl Lake {
    /// The same lake, cold, over a store that can be made to go wrong.
    pub(crate) fn faulty(&self) -> (Self, Arc<Faulty>) {
        let store = Arc::new(Faulty {
            inner: Arc::clone(&self.unlimited),
            reads: AtomicUsize::new(0),
            armed: Mutex::default(),
        });
        let lake = Self::over(
            self.root.clone(),
            Arc::clone(&store) as Arc<dyn ObjectStore>,
        );
        (lake, store)
    }
}

impl Faulty {
    /// Reads so far.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// From now on the reads of these numbers go wrong, counted from 1 for the next.
    pub(crate) fn arm(&self, fault: Fault, reads: Range<usize>) {
        let done = self.reads();
        *self.armed.lock().unwrap() =
            Some((fault, done + reads.start..done.saturating_add(reads.end)));
    }

    /// Counts a read; what goes wrong with it.
    fn count(&self) -> Option<Fault> {
        let number = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        let armed = self.armed.lock().unwrap();
        let (fault, reads) = armed.as_ref()?;
        reads.contains(&number).then_some(*fault)
    }

    /// Whether the read's bytes are to be corrupted, if it comes to its end at all.
    async fn read(&self) -> Result<bool> {
        match self.count() {
            None => Ok(false),
            Some(Fault::Fail) => Err(failure()),
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::Corrupt) => Ok(true),
        }
    }

    /// A listing has no bytes to corrupt. It goes wrong before its first object.
    fn listed(
        &self,
        objects: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.count() {
            None | Some(Fault::Corrupt) => objects,
            Some(Fault::Fail) => stream::once(std::future::ready(Err(failure()))).boxed(),
            Some(Fault::Stall) => stream::pending().boxed(),
        }
    }
}

fn failure() -> Error {
    Error::Generic {
        store: "faulty",
        source: "this read was to fail".into(),
    }
}

/// The middle third becomes something else.
fn corrupted(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let third = bytes.len() / 3;
    let end = (2 * third).max(1).min(bytes.len());
    for byte in &mut bytes[third..end] {
        *byte ^= 0xA5;
    }
    bytes.into()
}

impl fmt::Display for Faulty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "faulty {}", self.inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Faulty {
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

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let corrupt = self.read().await?;
        let found = self.inner.get_opts(location, options).await?;
        if head || !corrupt {
            return Ok(found);
        }
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let attributes = found.attributes.clone();
        let bytes = corrupted(&found.bytes().await?);
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(std::future::ready(Ok(bytes))).boxed()),
            meta,
            range,
            attributes,
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let corrupt = self.read().await?;
        let bytes = self.inner.get_ranges(location, ranges).await?;
        Ok(if corrupt {
            bytes.iter().map(corrupted).collect()
        } else {
            bytes
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
