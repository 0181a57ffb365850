//! Folders and files of the data directory: only their owner may look into them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::Path;

use rules::{Error, Result};

/// Tells the operator of a folder that other users of the machine can look into.
pub fn warn_unless_private(folder: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = std::fs::metadata(folder) {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(
                folder = %folder.display(),
                mode = format!("{mode:03o}"),
                "other users of this machine can look into the data directory; chmod 700 makes it private"
            );
        }
    }
}

/// Refuses root what is somebody else's, such as the server's user's: that one could not read what root makes beside it.
///
/// # Errors
/// `Invalid`, naming the user.
pub fn refuse_foreign(file: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Ok(metadata) = std::fs::metadata(file) {
        use std::os::unix::fs::MetadataExt;
        let owner = metadata.uid();
        if rustix::process::geteuid().is_root() && owner != 0 {
            let file = file.display();
            return Err(Error::invalid(format!(
                "{file} belongs to the user with the id {owner}, who could not read what root makes there: run it as that user, \
                 such as with sudo -u '#{owner}'"
            )));
        }
    }
    Ok(())
}

/// Makes the folder and its missing parents, private to this user of the machine; one that exists stays as it is.
///
/// # Errors
/// `Invalid` when it cannot be made.
pub fn create_private(folder: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|error| {
        Error::invalid(format!("cannot create {}: {error}", folder.display())).because(error)
    })
}

/// The only handle of this and other processes on a lock file; dropping it gives the right back, as does the end of the
/// process.
///
/// # Errors
/// `taken` when another one has it, `Invalid` when there can be no such file.
pub fn lock(path: &Path, taken: impl FnOnce() -> Error) -> Result<File> {
    let failed = |error: std::io::Error| {
        Error::invalid(format!("{} cannot be locked: {error}", path.display())).because(error)
    };
    let file = open_private(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(taken()),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens a file for appending; one that is made is private to this user of the machine.
///
/// # Errors
/// What the operating system says.
pub fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
