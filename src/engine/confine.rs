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
