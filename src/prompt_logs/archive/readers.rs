//! Reads the logs of an archive from their files, one batch ahead of who needs them.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::LARGE_BYTES;
use crate::lake::prompt_log_table::{HISTORY, SYSTEM};
use crate::prompt_logs::files::{OpenFile, Rows};
use crate::prompt_logs::select::{Entry, Selection};

/// A batch and a row of it; `None`: the log cannot be read.
type Log = Option<(RecordBatch, usize)>;

/// Batches that are held at once: the one in use, and the one read meanwhile.
const BATCHES: usize = 2;

/// Logs of one batch that follow each other.
struct Run {
    logs: std::vec::IntoIter<Log>,
    /// Given back with the batch.
    _held: OwnedSemaphorePermit,
}

/// The permitted logs of a selection, in its order.
pub(super) struct Ahead {
    runs: mpsc::Receiver<Run>,
    run: Option<Run>,
}

/// Begins to read, on a thread of its own: decoding takes about as long as what is done with it.
pub(super) fn ahead(selection: Arc<Selection>) -> Ahead {
    let (sender, runs) = mpsc::channel(BATCHES);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(read(selection, sender)));
    Ahead { runs, run: None }
}

impl Ahead {
    /// The next permitted log; `None` when there is none, because reading ended before its end.
    pub(super) async fn next(&mut self) -> Option<Log> {
        loop {
            if let Some(log) = self.run.as_mut().and_then(|run| run.logs.next()) {
                return Some(log);
            }
            // Let go before the next one is waited for.
            self.run = None;
            self.run = Some(self.runs.recv().await?);
        }
    }
}

/// Reads until nobody wants the logs any more.
async fn read(selection: Arc<Selection>, runs: mpsc::Sender<Run>) {
    let mut readers = Readers::new(Arc::clone(&selection));
    let entries = selection.entries.iter().enumerate();
    let mut entries = entries.filter(|(_, entry)| entry.access.is_ok()).peekable();
    let room = Arc::new(Semaphore::new(BATCHES));
    // Room first, then the batch.
    while let Ok(mut held) = Arc::clone(&room).acquire_owned().await
        && !runs.is_closed()
        && let Some((index, entry)) = entries.next()
    {
        let log = readers.log(index, entry).await;
        let bytes = log.as_ref().map(|(batch, _)| batch.get_array_memory_size());
        let mut logs = vec![log];
        while let Some((index, entry)) =
            entries.next_if(|(_, next)| next.file == entry.file && readers.has_batch(next.file))
        {
            logs.push(readers.log(index, entry).await);
        }
        // Its place is beside none.
        if bytes > Some(LARGE_BYTES)
            && let Ok(rest) = Arc::clone(&room).acquire_owned().await
        {
            held.merge(rest);
        }
        let logs = logs.into_iter();
        if runs.send(Run { logs, _held: held }).await.is_err() {
            return;
        }
    }
}

/// Reads the permitted logs of each file in one pass, in the order of the entries.
struct Readers {
    selection: Arc<Selection>,
    files: Vec<Reader>,
}

#[derive(Default)]
struct Reader {
    state: State,
    /// The batch at hand and the next of its rows.
    batch: Option<(RecordBatch, usize)>,
    /// Logs still to come from this file; at the last one everything it holds is let go.
    left: usize,
}

#[derive(Default)]
enum State {
    #[default]
    Unopened,
    Reading(Box<Rows>),
    /// The pass broke off; what is left is tried log by log.
    Broken,
}

impl Readers {
    fn new(selection: Arc<Selection>) -> Self {
        let files = selection.files.iter().map(|_| Reader::default()).collect();
        Self { selection, files }
    }

    /// The batch and row of the log; `None` when it cannot be read.
    async fn log(&mut self, index: usize, entry: &Entry) -> Log {
        if let State::Unopened = self.files[entry.file].state {
            self.open(index, entry.file).await;
        }
        let reader = &mut self.files[entry.file];
        if let Some(log) = reader.next(&entry.key).await {
            return Some(log);
        }
        let mut rows = self.read(entry.file, &[entry.row]).await?;
        match rows.try_next().await {
            Ok(batch) => batch
                .filter(|batch| batch.num_rows() == 1)
                .map(|batch| (batch, 0)),
            Err(error) => {
                tracing::error!(
                    key = entry.key,
                    error = &error as &dyn std::error::Error,
                    "a log cannot be read"
                );
                None
            }
        }
    }

    /// Whether the next log of the file is decoded already.
    fn has_batch(&self, file: usize) -> bool {
        self.files[file].batch.is_some()
    }

    /// Begins the pass over all logs of the file from the `index`-th entry on.
    async fn open(&mut self, index: usize, file: usize) {
        let selection = Arc::clone(&self.selection);
        let rest = &selection.entries[index..];
        let rows: Vec<usize> = rest
            .iter()
            .filter(|entry| entry.file == file && entry.access.is_ok())
            .map(|entry| entry.row)
            .collect();
        // One pass works because a file's rows, like the entries, are sorted by key.
        let opened = if rows.is_sorted() {
            self.read(file, &rows).await
        } else {
            None
        };
        let state = opened.map_or(State::Broken, |rows| State::Reading(Box::new(rows)));
        self.files[file] = Reader {
            state,
            batch: None,
            left: rows.len(),
        };
    }

    async fn read(&self, file: usize, rows: &[usize]) -> Option<Rows> {
        let store = Arc::clone(self.selection.store.as_ref()?);
        let opened = OpenFile::open(store, &self.selection.files[file]).await;
        let rows = opened.and_then(|open| open.rows(&[SYSTEM, HISTORY], rows));
        rows.inspect_err(|error| {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a data file cannot be read"
            )
        })
        .ok()
    }
}

impl Reader {
    /// The next log of the pass; `None` when the pass broke off.
    async fn next(&mut self, key: &str) -> Log {
        let State::Reading(rows) = &mut self.state else {
            return None;
        };
        let log = match self.batch.take() {
            Some(log) => log,
            None => match rows.try_next().await {
                Ok(Some(batch)) if batch.num_rows() > 0 => (batch, 0),
                broken => {
                    let error = broken.err();
                    tracing::error!(
                        key,
                        error = error.as_ref().map(tracing::field::display),
                        "a pass over a data file broke off"
                    );
                    self.state = State::Broken;
                    return None;
                }
            },
        };
        self.left -= 1;
        if self.left == 0 {
            self.state = State::Broken;
        } else if log.1 + 1 < log.0.num_rows() {
            self.batch = Some((log.0.clone(), log.1 + 1));
        }
        Some(log)
    }
}
