//! The child: one query after another, each in a session of its own, until its standard input ends.
//!
//! The child limits its own address space before it does anything else, so a query that wants more ends in this process.
//! It dies with its parent: the end of standard input, which also the death of the parent brings, ends it at once, even
//! in the middle of a query.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use rules::{Error, Kind, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::protocol::{Answer, Outcome, Request, read_frame, write_answer};
use super::{execute, plan};

/// Deep expressions recurse in the planner; what one needs is far below this, and untouched stack costs no memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// The hidden `query-worker` command's settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Address space of the process, in bytes
    #[arg(long)]
    pub memory_bytes: u64,
    /// Folder for what a query spills
    #[arg(long)]
    pub spill_dir: PathBuf,
    /// Bytes a query may spill
    #[arg(long)]
    pub spill_bytes: u64,
}

/// Serves queries until standard input ends.
///
/// # Errors
/// `Internal` when the limits or the runtime cannot be set up.
pub fn run(settings: &Settings) -> Result<()> {
    limit(settings)?;
    let failed =
        |error: std::io::Error| Error::internal("the query worker cannot start").because(error);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(8)
        .enable_all()
        .build()
        .map_err(failed)?;
    let base = Arc::new(plan::Base::new(settings)?);
    let requests = requests();
    for request in requests {
        let (outcome, body) = answer(&runtime, &base, request);
        let spent = address_space_bytes() > settings.memory_bytes / 2;
        let answer = Answer {
            outcome,
            spent,
            bytes: body.len(),
        };
        write_answer(&mut std::io::stdout().lock(), &answer, &body).map_err(failed)?;
        if spent {
            break;
        }
    }
    Ok(())
}

fn answer(
    runtime: &tokio::runtime::Runtime,
    base: &Arc<plan::Base>,
    request: Request,
) -> (Outcome, Vec<u8>) {
    let base = Arc::clone(base);
    let started = Instant::now();
    // On a runtime thread, for its stack.
    let task = runtime.spawn(async move { execute::run(&base, &request, started).await });
    let failure = match runtime.block_on(task) {
        Ok(Ok(page)) => return (Outcome::Page, page),
        Ok(Err(error)) => error,
        Err(panic) => Error::internal("the query made the engine panic").because(panic),
    };
    match failure.kind() {
        Kind::Invalid => (Outcome::Invalid, failure.message().to_owned().into_bytes()),
        Kind::Unavailable => (Outcome::Unavailable, for_log(&failure)),
        _ => (Outcome::Internal, for_log(&failure)),
    }
}

/// The message and its causes.
fn for_log(error: &Error) -> Vec<u8> {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.into_bytes()
}

fn limit(settings: &Settings) -> Result<()> {
    let at_most = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    let failed = |error: rustix::io::Errno| {
        Error::internal("the query worker cannot limit itself").because(error)
    };
    setrlimit(Resource::As, at_most(settings.memory_bytes)).map_err(failed)?;
    // A core dump would hold tenants' data.
    setrlimit(Resource::Core, at_most(0)).map_err(failed)
}

/// Reads requests on a thread of its own, which ends the process with its input.
fn requests() -> impl Iterator<Item = Request> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let code = loop {
            match read_frame(&mut input) {
                Ok(Some(request)) => {
                    if sender.send(request).is_err() {
                        break 0;
                    }
                }
                Ok(None) => break 0,
                Err(error) => {
                    let _ = writeln!(
                        std::io::stderr(),
                        "the query worker's input is broken: {error}"
                    );
                    break 1;
                }
            }
        };
        std::process::exit(code);
    });
    receiver.into_iter()
}

/// Linux says in pages what the process has mapped; elsewhere nothing is known, and a worker is never spent.
fn address_space_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .next()
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
