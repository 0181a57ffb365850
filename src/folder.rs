//! Folders of the data directory: only their owner may look into them.

use std::fs::DirBuilder;
use std::path::Path;

use rules::{Error, Result};

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
