//! One query worker as the server holds it: a child process and its pipes.

use std::process::Stdio;

use rules::{Error, OrgId, Result};
use rustix::process::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::pool::PoolSettings;
use super::protocol::{
    Answer, FRAME_BYTES_MAX, Input, Message, Progress, Request, Rows, ServerTable, frame,
};
use super::spill::SpillDir;
use crate::metrics::Held;

/// What a running query asks of the server, and tells it.
#[async_trait::async_trait]
pub trait Attendant: Send + Sync {
    /// The next rows of a table of the server's, as this query's caller may see it.
    ///
    /// # Errors
    /// When they cannot be read; the query then fails.
    async fn rows(&self, table: ServerTable, after: Option<String>) -> Result<Rows>;

    /// The query is that far.
    fn progress(&self, _progress: Progress) {}
}

/// Free memory that a worker keeps for what it needs next: 32 MiB.
const KEPT_BYTES: &str = "33554432";

/// A child process; dropping it kills it.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
    /// The organization of the queries it ran. It can open nothing of another one.
    pub org: Option<OrgId>,
    /// Goes with the worker, whatever it left there.
    _spill: TempDir,
    _counted: Held,
}

/// Lets all others go first where they need the processor. There is no way back without privileges.
pub(super) fn yield_to_others(group: Option<Pid>) {
    /// The lowest priority.
    const NICE: i32 = 19;
    // Of the group, because priorities are those of threads.
    let Some(group) = group else { return };
    if let Err(error) = rustix::process::setpriority_pgrp(Some(group), NICE) {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a query worker keeps its priority"
        );
    }
}

/// Why a worker gave no answer.
#[derive(Debug)]
pub(super) struct Broken(std::io::Error);

impl From<Broken> for Box<dyn std::error::Error + Send + Sync> {
    fn from(broken: Broken) -> Self {
        broken.0.into()
    }
}

impl Worker {
    pub(super) fn start(settings: &PoolSettings, spill: &SpillDir) -> Result<Self> {
        let spill = spill.for_worker()?;
        let failed = |error: std::io::Error| {
            Error::internal("a query worker cannot be started").because(error)
        };
        let mut child = Command::new(&settings.program)
            .arg("query-worker")
            .args(["--memory-bytes", &settings.memory_bytes.to_string()])
            .args(["--query-seconds", &settings.seconds.to_string()])
            .arg("--spill-dir")
            .arg(spill.path())
            .args(["--spill-bytes", &settings.spill_bytes.to_string()])
            .env_clear()
            // glibc reserves 64 MiB of address space for every thread's arena; few arenas leave room for the query.
            .env("MALLOC_ARENA_MAX", "2")
            // What one batch gave back the next one takes again: otherwise every batch is mapped and cleared anew.
            .env("MALLOC_MMAP_THRESHOLD_", KEPT_BYTES)
            .env("MALLOC_TRIM_THRESHOLD_", KEPT_BYTES)
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
            org: None,
            _spill: spill,
            _counted: settings.metrics.worker(),
        })
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Of its process group, which is its own.
    pub(super) fn group(&self) -> Option<Pid> {
        let pid = i32::try_from(self.child.id()?).ok()?;
        Pid::from_raw(pid)
    }

    pub(super) async fn run(
        &mut self,
        request: &Request,
        attendant: &dyn Attendant,
    ) -> Result<(Answer, Vec<u8>), Broken> {
        self.org = Some(request.org_id.clone());
        self.say(&Input::Request(Box::new(request.clone()))).await?;
        let answer = loop {
            match self.hear().await? {
                Message::Progress(progress) => attendant.progress(progress),
                Message::Wants { table, after } => {
                    let rows = attendant.rows(table, after).await.inspect_err(|error| {
                        tracing::error!(
                            error = error as &dyn std::error::Error,
                            "a table of the server's cannot be read"
                        );
                    });
                    self.say(&Input::Rows(rows.ok())).await?;
                }
                Message::Answer(answer) => break answer,
                Message::Pong => return Err(Broken(std::io::Error::other("an answer to no ping"))),
            }
        };
        let mut body = vec![0; answer.bytes];
        self.output.read_exact(&mut body).await.map_err(Broken)?;
        Ok((answer, body))
    }

    /// Waits until the worker answers; only before its first query.
    pub(super) async fn ping(&mut self) -> Result<(), Broken> {
        self.say(&Input::Ping).await?;
        match self.hear().await? {
            Message::Pong => Ok(()),
            other => Err(Broken(std::io::Error::other(format!("{other:?}")))),
        }
    }

    async fn say(&mut self, input: &Input) -> Result<(), Broken> {
        let frame = frame(input).map_err(Broken)?;
        self.input.write_all(&frame).await.map_err(Broken)
    }

    async fn hear(&mut self) -> Result<Message, Broken> {
        let length = self.output.read_u32_le().await.map_err(Broken)? as usize;
        if length > FRAME_BYTES_MAX {
            let error = format!("a message of {length} bytes");
            return Err(Broken(std::io::Error::other(error)));
        }
        let mut message = vec![0; length];
        self.output.read_exact(&mut message).await.map_err(Broken)?;
        serde_json::from_slice(&message).map_err(|error| Broken(error.into()))
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn end(&mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a query worker cannot be killed"
            );
        }
    }

    /// Says of a worker that died in the middle of a query what the query did.
    pub(super) async fn autopsy(mut self, broken: Broken) -> Error {
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
