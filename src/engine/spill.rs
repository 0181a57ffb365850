//! Where queries put what does not fit their memory.

use std::fs::File;
use std::path::Path;

use rules::{Error, Result};
use tempfile::TempDir;

/// This server's folder of what queries spill. The lock on it tells other servers on the same data that it is in use.
#[derive(Debug)]
pub(super) struct SpillDir {
    folder: TempDir,
    _lock: File,
}

impl SpillDir {
    /// Makes a folder below `parent`, and removes those of servers that are no more.
    pub(super) fn new(parent: &Path) -> Result<Self> {
        const LOCK: &str = "lock";
        let failed = |error: std::io::Error| {
            Error::invalid("the folder for temporary files cannot be used").because(error)
        };
        crate::folder::create_private(parent)?;
        for entry in std::fs::read_dir(parent).map_err(failed)?.flatten() {
            let stale =
                File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
            if stale && let Err(error) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an old folder of temporary files stays"
                );
            }
        }
        let folder = TempDir::new_in(parent).map_err(failed)?;
        let lock = File::create(folder.path().join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|error| failed(error.into()))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// A folder of one worker's own.
    pub(super) fn for_worker(&self) -> Result<TempDir> {
        TempDir::new_in(self.folder.path()).map_err(|error| {
            Error::internal("a folder for temporary files cannot be made").because(error)
        })
    }
}
