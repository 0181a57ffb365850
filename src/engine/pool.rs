//! The parent's side: keeps workers warm, gives each query one, and ends a worker that does not come back in time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rules::{Error, Result};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::protocol::{Answer, FRAME_BYTES_MAX, Outcome, Request, frame};

/// How many workers there are and what each may use.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The program to run as `PROGRAM query-worker …`: this one.
    pub program: PathBuf,
    /// Workers, which is how many queries run at once.
    pub workers: usize,
    /// Address space of one worker, in bytes.
    pub memory_bytes: u64,
    /// Folder below which this server makes one of its own for what queries spill.
    pub spill_dir: PathBuf,
    /// Bytes one query may spill.
    pub spill_bytes: u64,
}

/// Query workers: at most so many at once, warm ones first.
#[derive(Debug)]
pub struct Pool {
    settings: PoolSettings,
    spill: SpillDir,
    slots: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

impl Pool {
    /// Starts the workers.
    ///
    /// # Errors
    /// `Internal` when a worker cannot be started.
    pub fn start(settings: PoolSettings) -> Result<Arc<Self>> {
        let spill = SpillDir::new(&settings.spill_dir)?;
        let workers = (0..settings.workers)
            .map(|_| Worker::start(&settings, &spill))
            .collect::<Result<Vec<_>>>()?;
        let (slots, idle) = (Semaphore::new(settings.workers), Mutex::new(workers));
        Ok(Arc::new(Self {
            settings,
            spill,
            slots,
            idle,
        }))
    }

    /// Runs the query; the answer is the response's JSON. Waiting for a worker counts against the deadline.
    ///
    /// When this returns, or is dropped, the query no longer runs.
    ///
    /// # Errors
    /// `Invalid`: the query is at fault; the message says why. `TimedOut` at the deadline. `Unavailable`, `Internal`.
    pub async fn run(&self, request: &Request, deadline: Instant) -> Result<Vec<u8>> {
        let Ok(slot) = timeout_at(deadline, self.slots.acquire()).await else {
            return Err(Error::timed_out(
                "the query waited too long for others to finish; try again",
            ));
        };
        let _slot =
            slot.map_err(|error| Error::internal("the query workers are gone").because(error))?;
        let mut worker = self.take()?;
        match timeout_at(deadline, worker.run(request)).await {
            Ok(Ok((answer, body))) => {
                if answer.spent {
                    worker.end().await;
                    self.replace();
                } else {
                    self.idle().push(worker);
                }
                outcome(answer.outcome, body)
            }
            Ok(Err(broken)) => {
                let error = worker.autopsy(broken).await;
                self.replace();
                Err(error)
            }
            Err(_) => {
                worker.end().await;
                self.replace();
                Err(Error::timed_out(
                    "the query reached its time limit and was stopped; narrow it or add a LIMIT",
                ))
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A warm worker, or a new one where none is left that still lives.
    fn take(&self) -> Result<Worker> {
        loop {
            let idle = self.idle().pop();
            let Some(mut worker) = idle else {
                return Worker::start(&self.settings, &self.spill);
            };
            if worker.is_alive() {
                return Ok(worker);
            }
            tracing::warn!("an idle query worker has died");
        }
    }

    /// Makes up for a worker that has ended, so that the next query finds a warm one.
    fn replace(&self) {
        match Worker::start(&self.settings, &self.spill) {
            Ok(worker) => self.idle().push(worker),
            // The next query tries again and reports it.
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "no new query worker"
            ),
        }
    }
}

fn outcome(outcome: Outcome, body: Vec<u8>) -> Result<Vec<u8>> {
    if outcome == Outcome::Page {
        return Ok(body);
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    Err(match outcome {
        Outcome::Invalid => Error::invalid(text),
        Outcome::Unavailable => {
            Error::unavailable("the organization's storage did not answer; try again").because(text)
        }
        Outcome::Page | Outcome::Internal => {
            Error::internal("the query could not be run").because(text)
        }
    })
}

/// A child process; dropping it kills it.
#[derive(Debug)]
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
    /// Goes with the worker, whatever it left there.
    _spill: TempDir,
}

/// Why a worker gave no answer.
#[derive(Debug)]
struct Broken(std::io::Error);

impl Worker {
    fn start(settings: &PoolSettings, spill: &SpillDir) -> Result<Self> {
        let spill = spill.for_worker()?;
        let failed = |error: std::io::Error| {
            Error::internal("a query worker cannot be started").because(error)
        };
        let mut child = Command::new(&settings.program)
            .arg("query-worker")
            .args(["--memory-bytes", &settings.memory_bytes.to_string()])
            .arg("--spill-dir")
            .arg(spill.path())
            .args(["--spill-bytes", &settings.spill_bytes.to_string()])
            .env_clear()
            // glibc reserves 64 MiB of address space for every thread's arena; few arenas leave room for the query.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C goes to the whole group of the terminal; the server alone decides what still finishes.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(Error::internal("a query worker has no pipes"));
        };
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
            errors,
            _spill: spill,
        })
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    async fn run(&mut self, request: &Request) -> std::result::Result<(Answer, Vec<u8>), Broken> {
        let request = frame(request).map_err(Broken)?;
        self.input.write_all(&request).await.map_err(Broken)?;
        let length = self.output.read_u32_le().await.map_err(Broken)? as usize;
        if length > FRAME_BYTES_MAX {
            return Err(Broken(std::io::Error::other(format!(
                "an answer's head of {length} bytes"
            ))));
        }
        let mut head = vec![0; length];
        self.output.read_exact(&mut head).await.map_err(Broken)?;
        let answer: Answer = serde_json::from_slice(&head).map_err(|error| Broken(error.into()))?;
        let mut body = vec![0; answer.bytes];
        self.output.read_exact(&mut body).await.map_err(Broken)?;
        Ok((answer, body))
    }

    /// Kills the process and waits until it is gone.
    async fn end(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a query worker cannot be killed"
            );
        }
    }

    /// Says of a worker that died in the middle of a query what the query did.
    async fn autopsy(mut self, broken: Broken) -> Error {
        self.end().await;
        let mut last_words = Vec::new();
        // The process is gone, so this ends; what it printed fits the pipe.
        let _ = self.errors.read_to_end(&mut last_words).await;
        let last_words = String::from_utf8_lossy(&last_words).into_owned();
        tracing::warn!(
            last_words,
            error = &broken.0 as &dyn std::error::Error,
            "a query ended its worker"
        );
        if last_words.contains("overflowed its stack") {
            return Error::invalid("the query nests too deeply; simplify it").because(last_words);
        }
        Error::invalid(
            "the query needed more memory than one query may use; narrow it or aggregate earlier",
        )
        .because(last_words)
    }
}

/// This server's folder of what queries spill. The lock on it tells other servers on the same data that it is in use.
#[derive(Debug)]
struct SpillDir {
    folder: TempDir,
    _lock: File,
}

impl SpillDir {
    /// Makes a folder below `parent`, and removes those of servers that are no more.
    fn new(parent: &Path) -> Result<Self> {
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

    fn for_worker(&self) -> Result<TempDir> {
        TempDir::new_in(self.folder.path()).map_err(|error| {
            Error::internal("a folder for temporary files cannot be made").because(error)
        })
    }
}
