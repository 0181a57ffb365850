//! The server's side: keeps workers warm, gives each query one, and ends a worker that does not come back in time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rules::{Error, OrgId, Result};
use rustix::process::Pid;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, Span, info_span};

use super::attend::Attendant;
use super::problem::CANNOT_RUN;
use super::process::{Ended, Paused, Worker, yield_to_others};
use super::protocol::{Answer, Cost, Outcome, Request};
use super::queue::{Queue, Slot};
use super::spill::SpillDir;
use crate::metrics::Metrics;
use crate::traces::TARGET;

/// A worker that is idle and takes longer to answer is no use.
const ANSWERING: Duration = Duration::from_secs(5);

/// How often a running query is looked at: whether it should yield, or may go on.
const LOOK: Duration = Duration::from_millis(10);

/// Of the time that a query may take, what it stands still at most while short queries of others run.
const PAUSED_SHARE: u32 = 3;

/// How many workers there are and what each may use.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Where this program lay when it was started; what workers call themselves.
    pub program: PathBuf,
    /// Queries that run at once.
    pub workers: usize,
    /// Queries into files that run at once, beside the others.
    pub file_workers: usize,
    /// Queries of one organization that may wait for a worker to answer them.
    pub waiting: usize,
    /// What one worker may map beside its stacks, in bytes.
    pub memory_bytes: u64,
    /// The longest a query may take.
    pub seconds: u64,
    /// Folder below which this server makes one of its own for what queries spill.
    pub spill_dir: PathBuf,
    /// Bytes one query may spill.
    pub spill_bytes: u64,
    pub metrics: Arc<Metrics>,
}

/// Query workers: at most so many at once, warm ones first.
#[derive(Debug)]
pub struct Pool {
    settings: PoolSettings,
    spill: SpillDir,
    pages: Arc<Queue>,
    files: Arc<Queue>,
    /// The one that was used last is last.
    idle: Mutex<Vec<Worker>>,
    warned: AtomicBool,
    /// Held while a worker is asked whether it answers; when that last began with a good end.
    checking: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

/// What became of a query.
#[derive(Debug)]
pub struct Ran {
    /// Waiting for a worker.
    pub queued: Duration,
    /// As far as the worker came.
    pub cost: Cost,
    /// The response's JSON, or nothing where the rows went into a file.
    ///
    /// `Invalid`: the query is at fault; the message says why. `TimedOut` at the deadline. `Unavailable`,
    /// `StorageFull`, `Internal`.
    pub result: Result<Vec<u8>>,
}

impl Pool {
    /// Starts the workers.
    ///
    /// # Errors
    /// `Internal` when a worker cannot be started.
    pub fn start(settings: PoolSettings) -> Result<Arc<Self>> {
        let spill = SpillDir::new(&settings.spill_dir)?;
        let idle = (0..settings.workers)
            .map(|_| Worker::start(&settings, &spill))
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Self {
            pages: Queue::new(settings.workers, settings.waiting),
            files: Queue::new(settings.file_workers, usize::MAX),
            settings,
            spill,
            idle: Mutex::new(idle),
            warned: AtomicBool::new(false),
            checking: Arc::default(),
        }))
    }

    /// Runs a query that answers with a page. Waiting for a worker counts against the deadline.
    ///
    /// When this returns, or is dropped, the query no longer runs.
    pub async fn run(
        &self,
        request: &Request,
        attendant: &dyn Attendant,
        deadline: Instant,
    ) -> Ran {
        let asked = Instant::now();
        let mut counted = self.settings.metrics.query(false);
        let slot = self.pages.slot(&request.org_id, deadline);
        let slot = slot.instrument(waiting()).await;
        let queued = asked.elapsed();
        let ran = async {
            let slot = Some(&slot?);
            counted.starts(queued);
            let worker = self.take(&request.org_id)?;
            let was_used = worker.org.is_some();
            let ran = self.run_on(worker, request, attendant, deadline, slot);
            let ended = ran.await?;
            let own = ended.failure.is_none();
            if was_used && own && ended.answer.outcome == Outcome::Unavailable {
                // Folders that were replaced since the worker was confined are closed to it, and open to a new one.
                let worker = Worker::start(&self.settings, &self.spill)?;
                let ran = self.run_on(worker, request, attendant, deadline, slot);
                return ran.await;
            }
            Ok(ended)
        };
        let (cost, result) = told(ran.await);
        counted.ends(&result);
        Ran {
            queued,
            cost,
            result,
        }
    }

    /// Runs a query that writes a file, when its turn comes, on a worker of its own that can write there; `started` is
    /// called when it begins, and from then on it may take `limit`.
    ///
    /// When this returns, or is dropped, the query no longer runs. What a query that failed has written is the caller's
    /// to remove.
    pub async fn run_into_file(
        &self,
        request: &Request,
        attendant: &dyn Attendant,
        limit: Duration,
        started: impl AsyncFnOnce() -> Result<()>,
    ) -> Ran {
        let asked = Instant::now();
        // Such queries wait for as long as it takes.
        let never = asked + Duration::from_secs(365 * 24 * 3600);
        let mut counted = self.settings.metrics.query(true);
        let slot = self.files.slot(&request.org_id, never);
        let slot = slot.instrument(waiting()).await;
        let queued = asked.elapsed();
        let ran = async {
            let _slot = slot?;
            counted.starts(queued);
            started().await?;
            let worker = Worker::start(&self.settings, &self.spill)?;
            yield_to_others(worker.group());
            let deadline = Instant::now() + limit;
            let ran = self.run_on(worker, request, attendant, deadline, None);
            ran.await
        };
        let (cost, result) = told(ran.await);
        counted.ends(&result);
        Ran {
            queued,
            cost,
            result,
        }
    }

    /// Whether the next query would find a worker: one that is nobody's yet answers, in time.
    ///
    /// # Errors
    /// `Unavailable` with what is wrong.
    pub async fn check(self: &Arc<Self>) -> Result<()> {
        let asked = Instant::now();
        // One at a time: many would take the workers away from each other.
        let mut turn = Arc::clone(&self.checking).lock_owned().await;
        if turn.is_some_and(|began| began >= asked) {
            return Ok(());
        }
        let pool = Arc::clone(self);
        // A task of its own: whoever hangs up meanwhile, and needs no credentials for that, takes no worker along.
        let checked = tokio::spawn(async move {
            let began = Instant::now();
            pool.ping().await?;
            *turn = Some(began);
            Ok(())
        });
        let broke = |error| Error::internal("the check of the workers broke off").because(error);
        checked.await.map_err(broke)?
    }

    /// Asks a worker that is nobody's yet, or a new one, whether it answers.
    async fn ping(&self) -> Result<()> {
        let idle = {
            let mut idle = self.idle();
            let index = idle.iter().position(|idle| idle.org.is_none());
            index.map(|index| idle.remove(index))
        };
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::start(&self.settings, &self.spill)?,
        };
        match timeout(ANSWERING, worker.ping()).await {
            Ok(Ok(())) => {
                self.idle().insert(0, worker);
                Ok(())
            }
            silent => {
                // Another one for the next query, or the next check.
                worker.end().await;
                self.settings.metrics.worker_died();
                self.make_up();
                let error = Error::unavailable("a query worker does not answer");
                Err(match silent {
                    Ok(Err(broken)) => error.because(broken),
                    _ => error,
                })
            }
        }
    }

    /// With a slot, the worker yields to those of other organizations when it should, and then ends with its query.
    async fn run_on(
        &self,
        mut worker: Worker,
        request: &Request,
        attendant: &dyn Attendant,
        deadline: Instant,
        slot: Option<&Slot>,
    ) -> Result<Ended> {
        let mut manners = slot.map(|slot| Manners::new(slot, worker.group(), deadline));
        let ran = {
            let running = worker.run(request, attendant, deadline);
            let running = running.instrument(info_span!(target: TARGET, "run query"));
            let run = timeout_at(deadline, running);
            match &mut manners {
                None => run.await,
                Some(manners) => manners.mind(run).await,
            }
        };
        let yields = manners.is_some_and(|manners| manners.yields);
        match ran {
            Ok(Ok(ended)) => {
                self.warn_once(&ended.answer);
                if ended.answer.spent || yields || request.output.is_file() {
                    worker.end().await;
                } else {
                    self.keep(worker);
                }
                Ok(ended)
            }
            Ok(Err(broken)) => {
                self.settings.metrics.worker_died();
                Err(worker.autopsy(broken).await)
            }
            Err(_) => {
                worker.end().await;
                Err(Error::timed_out(
                    "the query reached its time limit and was stopped; narrow it or add a LIMIT",
                ))
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A warm worker of the organization, or one that is nobody's yet.
    fn take(&self, org: &OrgId) -> Result<Worker> {
        loop {
            let idle = {
                let mut idle = self.idle();
                let own = idle.iter().rposition(|idle| idle.org.as_ref() == Some(org));
                let index = own.or_else(|| idle.iter().position(|idle| idle.org.is_none()));
                index.map(|index| idle.remove(index))
            };
            let Some(mut worker) = idle else {
                return Worker::start(&self.settings, &self.spill);
            };
            if worker.org.is_none() {
                self.make_up();
            }
            if worker.is_alive() {
                return Ok(worker);
            }
            self.settings.metrics.worker_died();
            tracing::warn!("an idle query worker has died");
        }
    }

    /// Takes a worker back. Those of organizations that have not asked for the longest time make room.
    fn keep(&self, worker: Worker) {
        let ended = {
            let mut idle = self.idle();
            idle.push(worker);
            let own = |worker: &Worker| worker.org.is_some();
            let many = idle.iter().filter(|idle| own(idle)).count() > 2 * self.settings.workers;
            let oldest = many.then(|| idle.iter().position(own)).flatten();
            oldest.map(|oldest| idle.remove(oldest))
        };
        drop(ended);
    }

    /// Starts a worker in the place of one that is somebody's now, so that the next organization finds a warm one.
    fn make_up(&self) {
        match Worker::start(&self.settings, &self.spill) {
            Ok(worker) => self.idle().push(worker),
            // The next query tries again and reports it.
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "no new query worker"
            ),
        }
    }

    fn warn_once(&self, answer: &Answer) {
        if !answer.confined && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "query workers are not confined to their organization's files: this kernel has no Landlock"
            );
        }
    }
}

/// How a running query makes way for those of other organizations.
struct Manners<'a> {
    slot: &'a Slot,
    group: Option<Pid>,
    /// It has the lowest priority from now on.
    yields: bool,
    /// Since when it stands still.
    paused: Option<(Instant, Paused)>,
    /// For how long it may still stand still.
    patience: Duration,
}

impl<'a> Manners<'a> {
    fn new(slot: &'a Slot, group: Option<Pid>, deadline: Instant) -> Self {
        Self {
            slot,
            group,
            yields: false,
            paused: None,
            patience: deadline.duration_since(Instant::now()) / PAUSED_SHARE,
        }
    }

    /// Waits for the query's end, and has it make way meanwhile.
    async fn mind<T>(&mut self, run: impl Future<Output = T>) -> T {
        let mut starts = self.slot.starts();
        let mut run = std::pin::pin!(run);
        loop {
            self.look();
            tokio::select! {
                ran = &mut run => {
                    self.go_on();
                    return ran;
                }
                // The sender lives in the queue, which the slot holds.
                _ = starts.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn look(&mut self) {
        if !self.yields && self.slot.should_yield() {
            yield_to_others(self.group);
            self.yields = true;
        }
        let stood = self.paused.as_ref().map(|(since, _)| since.elapsed());
        let may_pause = stood.unwrap_or_default() < self.patience;
        match (may_pause && self.slot.should_pause(), &self.paused) {
            (true, None) => {
                let paused = self.group.map(Paused::new);
                self.paused = paused.map(|paused| (Instant::now(), paused));
            }
            (false, Some(_)) => self.go_on(),
            _ => {}
        }
    }

    fn go_on(&mut self) {
        if let Some((since, _paused)) = self.paused.take() {
            self.patience = self.patience.saturating_sub(since.elapsed());
        }
    }
}

/// The part of a trace in which a query waits for its turn.
fn waiting() -> Span {
    info_span!(target: TARGET, "wait for a query worker")
}

/// An answer's cost and, of its body, what the caller may know.
fn told(ran: Result<Ended>) -> (Cost, Result<Vec<u8>>) {
    let Ended {
        answer,
        body,
        failure,
    } = match ran {
        Ok(ended) => ended,
        Err(error) => return (Cost::default(), Err(error)),
    };
    if answer.outcome == Outcome::Done {
        return (answer.cost, Ok(body));
    }
    if let Some(failure) = failure {
        return (answer.cost, Err(failure));
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let error = match answer.outcome {
        Outcome::Invalid => Error::invalid(text),
        Outcome::Unsupported => {
            tracing::warn!(cause = text, "the engine could not run a query");
            Error::invalid(CANNOT_RUN)
        }
        Outcome::Unavailable => {
            Error::unavailable("the organization's storage did not answer; try again").because(text)
        }
        Outcome::StorageFull => {
            Error::storage_full("there is no room left for the result").because(text)
        }
        Outcome::Done | Outcome::Internal => {
            Error::internal("the query could not be run").because(text)
        }
    };
    (answer.cost, Err(error))
}
