//! The audit log as the rest of the program sees it: an act is opened before its work and completed after it.
//!
//! `http` and the command line → [`Audit::open`] → an [`Act`] → one task that stores the rows of all who wait in one
//! transaction → `directory`. Promises: an act is [opened](Act::opened) when its first row is on disk; whatever becomes of
//! an act, it is completed, at the latest by the next server; a second row that cannot be stored is kept, and until it is
//! stored nothing else is opened. Not here: the chain of hashes (`directory`), and which acts there are to record.

mod action;
mod entry;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rules::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::directory::{AUDIT_OPENED, AuditRow, Directory, object_id};

pub use action::{Action, Deed};
pub use entry::{Actor, End, Opening, Outcome};

/// Keys of replaced logs that a detail names; all of them are counted.
pub const KEYS_NAMED: usize = 100;
/// Rows stored in one transaction.
const GROUP_MAX: usize = 1000;
/// How long second rows that nobody waits for gather; a first row, or anybody who waits, takes them along before.
const GATHER: Duration = Duration::from_millis(20);
/// After a failure, second rows are tried again so soon, and with each first row.
const AGAIN: Duration = Duration::from_secs(1);

/// Says that the rows are on disk, or why not.
type Tell = oneshot::Sender<Result<(), Arc<Error>>>;

/// A handle on the task that writes; clones share it.
#[derive(Debug, Clone)]
pub struct Audit {
    to_write: mpsc::UnboundedSender<Item>,
    clock: Clock,
}

#[derive(Debug)]
enum Item {
    Opened(Box<AuditRow>, Tell),
    Completed(Box<AuditRow>),
    /// Told when everything before it is stored.
    Flush(Tell),
}

impl Audit {
    /// Starts the task that writes. `left` are rows to store before any other.
    fn start(directory: Directory, clock: Clock, left: Vec<AuditRow>) -> Self {
        let (to_write, items) = mpsc::unbounded_channel();
        tokio::spawn(Writer::new(directory, left).run(items));
        Self { to_write, clock }
    }

    /// For an operator's command, beside which a server may run.
    pub fn of_command(directory: Directory, clock: Clock) -> Self {
        Self::start(directory, clock, Vec::new())
    }

    /// For the one server of the directory: what servers before it left open was interrupted.
    ///
    /// # Errors
    /// As the directory says.
    pub async fn of_server(directory: Directory, clock: Clock) -> Result<Self> {
        let left = directory.audit_left_open().await?;
        let end = End::interrupted("the server ended before the act did");
        let left = left.into_iter();
        let left = left.map(|opened| end.row(&opened, clock.now())).collect();
        Ok(Self::start(directory, clock, left))
    }

    /// Opens an act. Its first row is on its way to the disk; [`Act::opened`] waits for it.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no randomness for an id.
    pub fn open(&self, opening: Opening) -> Result<Act> {
        let now = self.clock.now();
        let row = opening.row(object_id(now)?, now);
        let entry = AuditRow {
            // What only the first row tells.
            resource: None,
            request_id: None,
            client_address: None,
            detail: None,
            ..row.clone()
        };
        let (tell, opened) = oneshot::channel();
        // The other end lives as long as the runtime; without it the receiver says that nothing was stored.
        let _ = self.to_write.send(Item::Opened(Box::new(row), tell));
        Ok(Act {
            audit: self.clone(),
            entry: Some(entry),
            opened: Some(opened),
        })
    }

    /// Waits until every act that has ended is stored.
    ///
    /// # Errors
    /// `Unavailable` when they cannot be stored now; they are tried again, and the log says why.
    pub async fn flush(&self) -> Result<()> {
        let (tell, stored) = oneshot::channel();
        let _ = self.to_write.send(Item::Flush(tell));
        let failed = || Error::unavailable("the audit log cannot be written");
        match stored.await {
            Ok(stored) => stored.map_err(|error| failed().because(error)),
            Err(closed) => Err(failed().because(closed)),
        }
    }
}

/// An act under way. Dropped before it is completed, it was interrupted.
#[derive(Debug)]
pub struct Act {
    audit: Audit,
    /// What both rows tell; none once it is completed.
    entry: Option<AuditRow>,
    /// None once it was asked.
    opened: Option<oneshot::Receiver<Result<(), Arc<Error>>>>,
}

impl Act {
    /// Waits until the first row is on disk. What changes something comes after this.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be stored: nothing may be done then.
    pub async fn opened(&mut self) -> Result<()> {
        let Some(opened) = &mut self.opened else {
            return Ok(());
        };
        let stored = opened.await;
        let failed = || {
            Error::unavailable("the audit log cannot be written, so nothing was done; try again")
        };
        match stored {
            Ok(Ok(())) => {
                self.opened = None;
                Ok(())
            }
            Ok(Err(error)) => Err(self.give_up(failed().because(error))),
            Err(closed) => Err(self.give_up(failed().because(closed))),
        }
    }

    /// Nothing was opened, so there is nothing to complete.
    fn give_up(&mut self, error: Error) -> Error {
        (self.entry, self.opened) = (None, None);
        error
    }

    /// Does work that only reads while the first row is stored; what it brings comes out when both are done.
    ///
    /// # Errors
    /// As [`Act::opened`], which ends the work.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let work = async { Ok::<T, Error>(work.await) };
        let ((), brought) = tokio::try_join!(self.opened(), work)?;
        Ok(brought)
    }

    /// Says how the act ended. The row is stored soon.
    pub fn complete(mut self, end: &End) {
        self.end(end);
    }

    /// Says how the act ended, and waits until the row is stored.
    ///
    /// # Errors
    /// As [`Audit::flush`].
    pub async fn completed(mut self, end: &End) -> Result<()> {
        self.end(end);
        self.audit.flush().await
    }

    fn end(&mut self, end: &End) {
        // Whoever is gone heard nothing of it, but an act that is nowhere has no end. Closed first, so that the writer knows
        // of what is not found here.
        if let Some(opened) = &mut self.opened {
            opened.close();
            if let Ok(Err(_)) = opened.try_recv() {
                return;
            }
        }
        if let Some(entry) = self.entry.take() {
            let row = end.row(&entry, self.audit.clock.now());
            let _ = self.audit.to_write.send(Item::Completed(Box::new(row)));
        }
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        self.end(&End::interrupted("its caller hung up, or the server ended"));
    }
}

/// The task that stores rows.
struct Writer {
    directory: Directory,
    /// Rows that are not stored yet: between two groups, second ones.
    owed: Vec<AuditRow>,
    /// Acts whose first row could not be stored while nobody waited for it: their second ones are dropped.
    unopened: HashSet<String>,
    has_failed: bool,
}

impl Writer {
    fn new(directory: Directory, owed: Vec<AuditRow>) -> Self {
        Self {
            directory,
            owed,
            unopened: HashSet::new(),
            has_failed: false,
        }
    }

    async fn run(mut self, mut items: mpsc::UnboundedReceiver<Item>) {
        let mut group = Vec::new();
        loop {
            let more = items.recv_many(&mut group, GROUP_MAX);
            let patience = if self.has_failed { AGAIN } else { GATHER };
            let received = match self.owed.is_empty() {
                true => Ok(more.await),
                false => tokio::time::timeout(patience, more).await,
            };
            let is_over = received == Ok(0);
            self.store(&mut group, is_over || received.is_err()).await;
            if is_over {
                return;
            }
        }
    }

    /// Stores the rows that are owed and those that came, in their order. Second rows alone wait for others, unless it is
    /// late.
    async fn store(&mut self, group: &mut Vec<Item>, is_late: bool) {
        let mut waiting = Vec::new();
        for item in group.drain(..) {
            match item {
                Item::Opened(row, tell) => {
                    waiting.push((Some(row.entry_id.clone()), tell));
                    self.owed.push(*row);
                }
                Item::Completed(row) if self.unopened.remove(&row.entry_id) => {}
                Item::Completed(row) => self.owed.push(*row),
                Item::Flush(tell) => waiting.push((None, tell)),
            }
        }
        if waiting.is_empty() && !is_late {
            return;
        }
        let stored = match self.owed.is_empty() {
            true => Ok(()),
            false => self.directory.append_audit(&self.owed).await,
        };
        let stored = stored.map_err(Arc::new);
        for (opened, tell) in waiting {
            // Who asked may be gone.
            if tell.send(stored.clone()).is_err() && stored.is_err() {
                self.unopened.extend(opened);
            }
        }
        match &stored {
            Ok(()) => {
                self.owed.clear();
                self.has_failed = false;
            }
            Err(error) => self.failed(error),
        }
    }

    fn failed(&mut self, error: &Error) {
        let unopened = &mut self.unopened;
        self.owed
            .retain(|row| row.event != AUDIT_OPENED && !unopened.remove(&row.entry_id));
        // Whoever opened an act gets the error; of completed ones nobody would hear.
        if !self.owed.is_empty() && !self.has_failed {
            tracing::error!(
                error = error as &dyn std::error::Error,
                acts = self.owed.len(),
                "the ends of acts cannot be written to the audit log; until they are, no act is begun"
            );
        }
        self.has_failed = true;
    }
}

/// An instant as the directory stores it.
fn millis(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}
