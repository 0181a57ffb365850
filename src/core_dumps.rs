//! Core dumps hold what the memory of a process held: keys, tokens, prompts, rows.

use rules::{Error, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

/// This process leaves none from now on, and on Linux no other process of the same user can look into its memory. A
/// program that it starts needs this of its own.
///
/// # Errors
/// `Internal` when the operating system refuses.
pub fn turn_off() -> Result<()> {
    let failed = |error: rustix::io::Errno| {
        Error::internal("core dumps cannot be turned off").because(error)
    };
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(failed)?;
    // The limit does not count where dumps are piped to a program (core(5)), as systemd does it.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(failed)?;
    Ok(())
}
