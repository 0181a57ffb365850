//! A local object store whose writes are on disk when they are acknowledged.
//!
//! `object_store`'s own local store renames a finished file into place without telling the disk; after a power cut the
//! file may be empty or missing. This wrapper syncs the file and the folders that lead to it, so that a commit that was
//! reported really is one. It also lists in order.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryFutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result,
};

#[derive(Debug)]
pub(super) struct Durable {
    inner: LocalFileSystem,
    folders: Arc<Folders>,
}

/// Which folders are on disk, themselves and all above them: any of them may have been new when it was first written to.
#[derive(Debug)]
struct Folders {
    root: PathBuf,
    on_disk: Mutex<HashSet<PathBuf>>,
}

impl Durable {
    /// `root` is the store's folder.
    pub(super) fn new(inner: LocalFileSystem, root: PathBuf) -> Self {
        let on_disk = Mutex::default();
        let folders = Arc::new(Folders { root, on_disk });
        Self { inner, folders }
    }

    /// Puts the file under a name that nobody sees, on disk, and then in its place: who sees it may commit behind it.
    async fn put(&self, location: &Path, payload: PutPayload, is_new: bool) -> Result<PutResult> {
        let file = self.inner.path_to_filesystem(location)?;
        let (folders, path) = (Arc::clone(&self.folders), location.to_string());
        let put = off_thread(move || folders.put(&file, &payload, is_new)).await;
        put.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists {
                path,
                source: Box::new(source),
            },
            _ => failed(source),
        })?;
        let meta = self.inner.head(location).await?;
        Ok(PutResult {
            e_tag: meta.e_tag,
            version: meta.version,
        })
    }

    async fn sync(&self, location: &Path) -> Result<()> {
        let file = self.inner.path_to_filesystem(location)?;
        sync(file, Arc::clone(&self.folders)).await
    }
}

async fn sync(file: PathBuf, folders: Arc<Folders>) -> Result<()> {
    let synced = off_thread(move || folders.sync(&file)).await;
    synced.map_err(failed)
}

async fn off_thread(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).and_then(|result| result)
}

fn failed(source: io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "local",
        source: Box::new(source),
    }
}

impl Folders {
    /// Writes the file and syncs it before it has its name, which a new one gets only if nothing else has it; then the
    /// folders.
    fn put(&self, file: &std::path::Path, payload: &PutPayload, is_new: bool) -> io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // As the store names what it has not finished, which `clean` sweeps.
        let mut unfinished = file.as_os_str().to_owned();
        unfinished.push(format!("#{}", RandomState::new().hash_one(())));
        let unfinished = PathBuf::from(unfinished);
        let placed = write_synced(&unfinished, payload).and_then(|()| match is_new {
            true => std::fs::hard_link(&unfinished, file),
            false => std::fs::rename(&unfinished, file),
        });
        if is_new || placed.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
        placed?;
        self.sync_above(file)
    }

    /// Syncs the file and its folders.
    fn sync(&self, file: &std::path::Path) -> io::Result<()> {
        File::open(file)?.sync_all()?;
        self.sync_above(file)
    }

    /// Syncs the file's folder and, at the first file there, all folders above.
    fn sync_above(&self, file: &std::path::Path) -> io::Result<()> {
        let Some(folder) = file.parent() else {
            return Ok(());
        };
        File::open(folder)?.sync_all()?;
        if self.lock().contains(folder) {
            return Ok(());
        }
        for above in folder.ancestors().skip(1) {
            let synced = File::open(above).and_then(|above| above.sync_all());
            // Folders above the lake may be closed to this user; they are the operator's.
            if above.starts_with(&self.root) {
                synced?;
            }
        }
        self.lock().insert(folder.to_owned());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.on_disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_synced(path: &std::path::Path, payload: &PutPayload) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    for part in payload {
        file.write_all(part)?;
    }
    file.sync_all()
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
        match options.mode {
            PutMode::Create => self.put(location, payload, true).await,
            PutMode::Overwrite => self.put(location, payload, false).await,
            PutMode::Update(_) => self.inner.put_opts(location, payload, options).await,
        }
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
            folders: Arc::clone(&self.folders),
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
    folders: Arc<Folders>,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> object_store::UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let written = self.upload.complete().await?;
        sync(self.file.clone(), Arc::clone(&self.folders)).await?;
        Ok(written)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
