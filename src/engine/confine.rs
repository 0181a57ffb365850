//! What a worker can open: its organization's tables, its own folder of temporary files, and the folder of a result.
//!
//! Linux' Landlock takes from the process, for good, every other file and all network. It holds for threads that start
//! later, so it comes before them; and since it can never be loosened, a worker serves one organization for its life.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use rules::{Error, Result};

/// The newest interface this knows of; on an older kernel what that knows of is in force.
const LATEST: ABI = ABI::V6;

/// Takes everything but these folders from this process; returns whether the kernel can do that.
///
/// A folder that does not exist yet cannot be opened later either.
///
/// # Errors
/// `Internal` when the kernel refuses.
pub(super) fn confine(readable: &[PathBuf], writable: &[PathBuf]) -> Result<bool> {
    let status = restrict(readable, writable).map_err(|error| {
        Error::internal("the query worker cannot confine itself").because(error)
    })?;
    Ok(status != RulesetStatus::NotEnforced)
}

fn restrict(readable: &[PathBuf], writable: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(LATEST) & !AccessFs::Execute;
    let read = AccessFs::from_read(LATEST) & !AccessFs::Execute;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(LATEST))?
        .handle_access(AccessNet::from_all(LATEST))?
        .scope(Scope::from_all(LATEST))?
        .create()?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(writable, all))?
        .restrict_self()?;
    Ok(status.ruleset)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn nothing_is_left_but_the_folders_that_are_named() {
        let root = tempfile::TempDir::new().unwrap();
        let folder = |name: &str| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("file"), name).unwrap();
            folder
        };
        let (own, scratch, others) = (folder("own"), folder("scratch"), folder("others"));
        let missing = root.path().join("missing");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It holds for this thread, which ends with it.
        let confined = std::thread::spawn(move || {
            let readable = [own.clone(), missing.clone()];
            assert!(
                confine(&readable, std::slice::from_ref(&scratch)).unwrap(),
                "this kernel has no Landlock, which this test needs"
            );
            assert_eq!(fs::read_to_string(own.join("file")).unwrap(), "own");
            fs::write(scratch.join("new"), "x").unwrap();
            fs::remove_file(scratch.join("new")).unwrap();
            let refused = [
                fs::write(own.join("file"), "x").unwrap_err(),
                fs::write(own.join("new"), "x").unwrap_err(),
                fs::remove_file(own.join("file")).unwrap_err(),
                fs::read(others.join("file")).unwrap_err(),
                fs::read_dir(&others).unwrap_err(),
                fs::read(own.join("../others/file")).unwrap_err(),
                fs::read("/etc/passwd").unwrap_err(),
                fs::read("/proc/self/environ").unwrap_err(),
                fs::create_dir(&missing).unwrap_err(),
                TcpStream::connect(address).unwrap_err(),
                TcpListener::bind("127.0.0.1:0").unwrap_err(),
            ];
            for (number, error) in refused.iter().enumerate() {
                assert_eq!(error.kind(), PermissionDenied, "{number}: {error}");
            }
        });
        confined.join().unwrap();
        assert!(TcpStream::connect(address).is_ok(), "the others go on");
    }
}
