//! One query worker as the server holds it: a child process and its pipes.

use std::path::Path;
use std::process::Stdio;

use futures::{StreamExt, stream};
use rules::{Error, OrgId, Result};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

use super::attend::{Attendant, Attended};
use super::pool::PoolSettings;
use super::problem::TOO_MUCH_MEMORY;
use super::protocol::{Answer, Input, Message, Request, check_length, frame};
use super::spill::SpillDir;
use crate::metrics::Held;

/// The program that runs: on Linux also when another version has taken its place on the disk since.
fn running(settings: &PoolSettings) -> &Path {
    match cfg!(target_os = "linux") {
        true => Path::new("/proc/self/exe"),
        false => &settings.program,
    }
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

/// A worker's processes that stand still; dropping it lets them go on.
#[derive(Debug)]
pub(super) struct Paused(Pid);

impl Paused {
    pub(super) fn new(group: Pid) -> Self {
        signal(group, Signal::STOP);
        Self(group)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}

fn signal(group: Pid, signal: Signal) {
    if let Err(error) = rustix::process::kill_process_group(group, signal) {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            ?signal,
            "a query worker got no signal"
        );
    }
}

/// Why a worker gave no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// A pipe to it ended.
    Pipe(std::io::Error),
    /// It said what this server does not understand, or the other way round.
    Message(std::io::Error),
}

impl Broken {
    fn message(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Message(std::io::Error::other(error))
    }

    fn error(&self) -> &std::io::Error {
        match self {
            Self::Pipe(error) | Self::Message(error) => error,
        }
    }
}

impl From<Broken> for Box<dyn std::error::Error + Send + Sync> {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Pipe(error) | Broken::Message(error) => error.into(),
        }
    }
}

/// What a query came to.
pub(super) struct Ended {
    pub answer: Answer,
    pub body: Vec<u8>,
    /// What the server could not give it.
    pub failure: Option<Error>,
}

async fn say(input: &mut ChildStdin, said: &Input) -> Result<(), Broken> {
    let frame = frame(said).map_err(Broken::message)?;
    input.write_all(&frame).await.map_err(Broken::Pipe)
}

/// The worker's next message, and the body of an answer, which has `body_max` bytes at most, whatever the worker says.
async fn hear(
    output: &mut (impl AsyncRead + Unpin),
    body_max: usize,
) -> Result<(Message, Vec<u8>), Broken> {
    let length = output.read_u32_le().await.map_err(Broken::Pipe)? as usize;
    check_length(length).map_err(Broken::message)?;
    let mut message = vec![0; length];
    let read = output.read_exact(&mut message).await;
    read.map_err(Broken::Pipe)?;
    let message = serde_json::from_slice(&message).map_err(Broken::message)?;
    let mut body = Vec::new();
    if let Message::Answer(answer) = &message {
        if answer.bytes > body_max {
            return Err(unexpected(&format!("a body of {} bytes", answer.bytes)));
        }
        body.resize(answer.bytes, 0);
        output.read_exact(&mut body).await.map_err(Broken::Pipe)?;
    }
    Ok((message, body))
}

fn unexpected(what: &str) -> Broken {
    Broken::message(format!("unexpected: {what}"))
}

impl Worker {
    pub(super) fn start(settings: &PoolSettings, spill: &SpillDir) -> Result<Self> {
        let spill = spill.for_worker()?;
        let failed = |error: std::io::Error| {
            Error::internal("a query worker cannot be started").because(error)
        };
        let mut child = Command::new(running(settings))
            .arg0(&settings.program)
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

    /// Runs a query. What `attendant` cannot give by the deadline it fails of.
    pub(super) async fn run(
        &mut self,
        request: &Request,
        attendant: &dyn Attendant,
        deadline: Instant,
    ) -> Result<Ended, Broken> {
        self.org = Some(request.org_id.clone());
        say(&mut self.input, &Input::Request(Box::new(request.clone()))).await?;
        let (input, output) = (&mut self.input, &mut self.output);
        // A stream, whose next message is not lost while something is said.
        let body_max = request.output.body_bytes_max();
        let messages = stream::unfold(output, move |output| async move {
            Some((hear(output, body_max).await, output))
        });
        let mut messages = std::pin::pin!(messages);
        let mut attended = Attended::new(attendant, deadline);
        let mut failure = None;
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(message) = message else { return Err(unexpected("nothing")) };
                    match message? {
                        (Message::Answer(answer), body) => {
                            return Ok(Ended { answer, body, failure });
                        }
                        (message, _) => attended.hear(message).ok_or_else(|| unexpected("a message"))?,
                    }
                }
                said = attended.next() => {
                    failure = failure.or(said.failure);
                    say(input, &said.input).await?;
                    input.write_all(&said.body).await.map_err(Broken::Pipe)?;
                }
            }
        }
    }

    /// Waits until the worker answers; only before its first query.
    pub(super) async fn ping(&mut self) -> Result<(), Broken> {
        say(&mut self.input, &Input::Ping).await?;
        match hear(&mut self.output, 0).await? {
            (Message::Pong, _) => Ok(()),
            (other, _) => Err(unexpected(&format!("{other:?}"))),
        }
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

    /// Says of a worker that gave no answer what its query did.
    pub(super) async fn autopsy(mut self, broken: Broken) -> Error {
        self.end().await;
        let mut last_words = Vec::new();
        // The process is gone, so this ends; what it printed fits the pipe.
        let _ = self.errors.read_to_end(&mut last_words).await;
        let last_words = String::from_utf8_lossy(&last_words).into_owned();
        tracing::warn!(
            last_words,
            error = broken.error() as &dyn std::error::Error,
            "a query ended its worker"
        );
        cause_of_death(broken, last_words)
    }
}

fn cause_of_death(broken: Broken, last_words: String) -> Error {
    match broken {
        Broken::Message(error) => Error::internal("the query could not be run").because(error),
        Broken::Pipe(_) if last_words.contains("overflowed its stack") => {
            Error::invalid("the query nests too deeply; simplify it").because(last_words)
        }
        Broken::Pipe(_) => Error::invalid(TOO_MUCH_MEMORY).because(last_words),
    }
}

#[cfg(test)]
mod tests {
    use rules::Kind;

    use super::super::protocol::{Cost, Outcome};
    use super::*;

    #[tokio::test]
    async fn a_body_is_no_longer_than_what_was_asked_for() {
        let answer = |bytes| {
            Message::Answer(Answer {
                outcome: Outcome::Done,
                cost: Cost::default(),
                confined: true,
                spent: false,
                bytes,
            })
        };
        let said = |bytes, body: &[u8]| [&frame(&answer(bytes)).unwrap(), body].concat();
        let (_, body) = hear(&mut said(3, b"abc").as_slice(), 3).await.unwrap();
        assert_eq!(body, b"abc");
        for (bytes, max) in [(4, 3), (1, 0), (usize::MAX, 1 << 30)] {
            let heard = hear(&mut said(bytes, b"abcd").as_slice(), max).await;
            assert!(matches!(heard, Err(Broken::Message(_))), "{heard:?}");
        }
    }

    #[test]
    fn only_a_worker_that_is_gone_needed_too_much() {
        let gone = || Broken::Pipe(std::io::ErrorKind::UnexpectedEof.into());
        let deep = serde_json::from_str::<serde_json::Value>(&"[".repeat(200)).unwrap_err();
        for (broken, last_words, kind, said) in [
            (gone(), "", Kind::Invalid, "more memory"),
            (
                gone(),
                "thread 'main' has overflowed its stack",
                Kind::Invalid,
                "nests too deeply",
            ),
            (
                Broken::message(deep),
                "",
                Kind::Internal,
                "could not be run",
            ),
            (
                unexpected("a message"),
                "",
                Kind::Internal,
                "could not be run",
            ),
        ] {
            let error = cause_of_death(broken, last_words.to_owned());
            assert_eq!(*error.kind(), kind, "{error}");
            assert!(error.message().contains(said), "{error}");
        }
    }
}
