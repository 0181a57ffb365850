//! The child: one query after another, each in a session of its own, until its standard input ends.
//!
//! The child limits its own address space before it does anything else, so a query that wants more ends in this process.
//! It dies with its parent: the end of standard input, which also the death of the parent brings, ends it at once, even
//! in the middle of a query.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rules::{Error, Kind, OrgId, Result};
use rustix::process::{Resource, Rlimit, setrlimit};
use url::Url;

use super::confine::confine;
use super::execute::{self, Done};
use super::memory::Memory;
use super::plan;
use super::problem::CANNOT_RUN;
use super::protocol::{
    Answer, Cost, Input, Message, Outcome, Output, Request, SENTENCE_BYTES_MAX, read_frame,
    write_message,
};
use super::server::Server;
use crate::core_dumps;

/// Deep expressions recurse in the planner; what one needs is far below this, and untouched stack costs no memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Threads for reads and the like, beside those that compute.
const BLOCKING_THREADS: usize = 8;

/// A worker that has worked for so long is replaced, so that there is a limit for the processor's time of each.
const BUSY: Duration = Duration::from_secs(600);

/// The hidden `query-worker` command's settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Memory that the process may map beside its stacks, in bytes
    #[arg(long)]
    pub memory_bytes: u64,
    /// Seconds that one query may take
    #[arg(long)]
    pub query_seconds: u64,
    /// Folder for what a query spills
    #[arg(long)]
    pub spill_dir: PathBuf,
    /// Bytes a query may spill
    #[arg(long)]
    pub spill_bytes: u64,
}

/// Serves the queries of one organization until standard input ends.
///
/// # Errors
/// `Internal` when the limits or the runtime cannot be set up.
pub fn run(settings: &Settings) -> Result<()> {
    limit(settings)?;
    let base = plan::Base::new(settings)?;
    let memory = Memory::open();
    // What lists of processes call it: it was started by a name that says nothing. Where there is no such file, they know.
    let _ = std::fs::write("/proc/self/comm", "amigo-admin");
    // Behind both: they open files that are root's from then on.
    core_dumps::turn_off()?;
    // No other thread runs before the first request says what the process may open.
    let first = loop {
        match read_frame(&mut std::io::stdin().lock()).map_err(failed)? {
            Some(Input::Request(request)) => break *request,
            Some(Input::Ping) => {
                write_message(&mut std::io::stdout().lock(), &Message::Pong, &[])
                    .map_err(failed)?;
            }
            Some(Input::Reply { .. }) => {
                return Err(Error::internal("the server answered first"));
            }
            None => return Ok(()),
        }
    };
    let confinement = Confinement::of(&first, settings)?;
    // Queries are planned on this thread, and this is what they may need of its stack.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let serving = thread.spawn_scoped(scope, || {
            serve(settings, &base, &memory, &confinement, first)
        });
        let ended = serving.map_err(failed)?.join();
        ended.unwrap_or_else(|_| Err(Error::internal("the query worker panicked")))
    })
}

/// Answers the first request and those that follow it.
fn serve(
    settings: &Settings,
    base: &plan::Base,
    memory: &Memory,
    confinement: &Confinement,
    first: Request,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(failed)?;
    let (requests, server) = Server::listen();
    let mut busy = Duration::ZERO;
    for request in std::iter::once(first).chain(requests) {
        confinement.check(&request)?;
        memory.reset_peak();
        let began = std::time::Instant::now();
        let (outcome, mut cost, body) = answer(&runtime, base, &server, &request);
        busy += began.elapsed();
        let usage = memory.usage();
        cost.peak_memory_bytes = usage.peak_bytes;
        let answer = Answer {
            outcome,
            cost,
            confined: confinement.in_force,
            // What could not be read may be a folder that was not there when the process was confined.
            spent: confinement.is_partial
                || outcome == Outcome::Unavailable
                || busy > BUSY
                || usage.mapped_bytes > settings.memory_bytes / 2,
            bytes: body.len(),
        };
        let spent = answer.spent;
        server
            .say(&Message::Answer(answer), &body)
            .map_err(failed)?;
        if spent {
            break;
        }
    }
    Ok(())
}

/// What this process can open from now on.
#[derive(Debug)]
struct Confinement {
    org_id: OrgId,
    /// The kernel sees to it.
    in_force: bool,
    /// The folder of a declared table is missing.
    is_partial: bool,
}

impl Confinement {
    /// Leaves this process what the first request needs, and nothing else.
    fn of(request: &Request, settings: &Settings) -> Result<Self> {
        let tables = folder(&request.lake)?.join(request.org_id.as_str());
        // Before the organization has any: what is not there now, this process could never open.
        crate::folder::create_private(&tables)?;
        let mut readable = vec![tables];
        readable.extend(request.declared.iter().map(|table| table.folder.clone()));
        let mut writable = vec![settings.spill_dir.clone()];
        if let Output::File { folder: result, .. } = &request.output {
            writable.push(folder(result)?);
        }
        Ok(Self {
            org_id: request.org_id.clone(),
            is_partial: !readable.iter().all(|folder| folder.exists()),
            in_force: confine(&readable, &writable)?,
        })
    }

    /// The server sends no request of another organization; this holds where the kernel cannot confine.
    fn check(&self, request: &Request) -> Result<()> {
        if request.org_id == self.org_id {
            return Ok(());
        }
        Err(Error::internal(
            "the query worker belongs to another organization",
        ))
    }
}

fn folder(url: &Url) -> Result<PathBuf> {
    url.to_file_path()
        .map_err(|()| Error::internal("only local folders are supported"))
}

fn answer(
    runtime: &tokio::runtime::Runtime,
    base: &plan::Base,
    server: &Arc<Server>,
    request: &Request,
) -> (Outcome, Cost, Vec<u8>) {
    let run = AssertUnwindSafe(execute::run(base, server, request)).catch_unwind();
    let Done { cost, result } = runtime.block_on(run).unwrap_or_else(|panic| Done {
        cost: Cost::default(),
        result: Err(of_panic(panic.as_ref())),
    });
    let failure = match result {
        Ok(page) => return (Outcome::Done, cost, page),
        Err(error) => error,
    };
    let (outcome, mut body) = match failure.kind() {
        Kind::Invalid if failure.message() == CANNOT_RUN => {
            (Outcome::Unsupported, for_log(&failure))
        }
        Kind::Invalid => (Outcome::Invalid, failure.message().to_owned().into_bytes()),
        Kind::Unavailable => (Outcome::Unavailable, for_log(&failure)),
        Kind::StorageFull => (Outcome::StorageFull, for_log(&failure)),
        _ => (Outcome::Internal, for_log(&failure)),
    };
    body.truncate(SENTENCE_BYTES_MAX);
    (outcome, cost, body)
}

/// The engine panics at what it cannot compute: the query's fault as little as an answer of the server's.
fn of_panic(panic: &(dyn Any + Send)) -> Error {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
    let words = words.unwrap_or("without words");
    Error::invalid(CANNOT_RUN).because(format!("the engine panicked: {words}"))
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

fn failed(error: std::io::Error) -> Error {
    Error::internal("the query worker cannot start").because(error)
}

fn limit(settings: &Settings) -> Result<()> {
    let at_most = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let failed = |error: rustix::io::Errno| {
        Error::internal("the query worker cannot limit itself").because(error)
    };
    // One that stands still would not see its standard input end.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::CONT))
        .map_err(failed)?;
    // Stacks are reserved and hardly used: they are not what the query needs.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let stacks = ((cores + BLOCKING_THREADS + 1) * STACK_BYTES) as u64;
    setrlimit(Resource::As, at_most(settings.memory_bytes + stacks)).map_err(failed)?;
    // Behind the server's own limit, which a server that hangs would forget.
    let seconds = (BUSY.as_secs() + settings.query_seconds).saturating_mul(cores as u64 + 1);
    setrlimit(Resource::Cpu, at_most(seconds)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_query_that_the_engine_cannot_run() {
        let panic = std::panic::catch_unwind(|| panic!("{} with overflow", "negate"));
        let error = of_panic(panic.unwrap_err().as_ref());
        assert_eq!(
            (error.kind(), error.message()),
            (&Kind::Invalid, CANNOT_RUN)
        );
        let logged = String::from_utf8(for_log(&error)).unwrap();
        assert!(logged.contains("negate with overflow"), "{logged}");
    }
}
