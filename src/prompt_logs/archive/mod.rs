//! Streams the selected logs as one zip.
//!
//! `select` → `readers` (batches, one ahead) → `compress` → here → the response body. Holds two batches, recent histories
//! in compressed form up to a limit, and two frames, whatever the archive's size; a slow client slows the reading.
//! A log that cannot be read becomes one `-error` entry. Not here: which logs, and who may read them.

mod compress;
mod ledger;
mod readers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use bytes::{Bytes, BytesMut};
use futures::Stream;
use rules::{Error, Result};
use tokio::sync::mpsc;
use tracing::{Instrument, info_span};
use zip_stream::{Archive, Names, Stored};

use super::access::Access;
use super::select::{Entry, Refusal, Selection};
use crate::lake::prompt_log_table::{HISTORY, SYSTEM};
use crate::traces::TARGET;
use compress::{Compressor, Data};
use ledger::Fate;
pub use ledger::{Delivery, Ledger};

/// What the body is sent in: large enough for one system call to carry much, small enough to hold two of.
const FRAME_BYTES: usize = 256 * 1024;
const FRAMES_AHEAD: usize = 2;
/// A log that a client may take minutes for: nothing else is held beside it.
const LARGE_BYTES: usize = 8 * 1024 * 1024;
/// What the names of a log's entries end in.
const SYSTEM_ENTRY: &str = "-system";
const HISTORY_ENTRY: &str = "-history";
const ERROR_ENTRY: &str = "-error";
/// For the bytes under way when an archive breaks off.
const LAST_BYTES: Duration = Duration::from_millis(200);

/// The archive's bytes, made as they are asked for. A client that takes nothing for `idle` is given up. `access` is asked
/// again before each log; `ledger` is told what becomes of it.
///
/// The stream ends with an error, which breaks the transfer visibly, whenever the archive did not come to its end.
pub fn stream(
    selection: Selection,
    comment: String,
    idle: Duration,
    access: Access,
    ledger: Arc<Ledger>,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let (frames, received) = mpsc::channel(FRAMES_AHEAD);
    let is_whole = Arc::new(AtomicBool::new(false));
    let written = Arc::clone(&is_whole);
    // Decoding and compressing would hold up other requests: they run on a thread of their own.
    let runtime = tokio::runtime::Handle::current();
    let selection = Arc::new(selection);
    let span = info_span!(target: TARGET, "send prompt logs");
    tokio::task::spawn_blocking(move || {
        let sending = async move {
            let mut writer = Writer::new(&selection, frames, idle, access, ledger);
            match writer.write(&selection, &comment).await {
                Ok(()) => written.store(true, Ordering::Release),
                Err(Stop::ClientGone) => tracing::debug!("the client ended its download"),
                Err(Stop::ClientIdle) => {
                    tracing::warn!("a client took nothing for too long; its download was ended")
                }
                Err(Stop::Unread) => tracing::error!("the reader of a download broke off"),
                Err(Stop::Incomplete) => tracing::warn!(
                    "a download was broken off at its end: an unreadable file may hold more logs"
                ),
            }
        };
        runtime.block_on(sending.instrument(span));
    });
    // Not an error sent as a frame: a client that takes nothing would keep it, and the writer, waiting for ever; and a
    // writer that panics sends none.
    futures::stream::unfold(Some((received, is_whole)), async |state| {
        let (mut received, is_whole) = state?;
        match received.recv().await {
            Some(frame) => Some((Ok(frame), Some((received, is_whole)))),
            None if is_whole.load(Ordering::Acquire) => None,
            None => {
                // An error makes the connection drop what it still holds; a client that reads gets it before.
                tokio::time::sleep(LAST_BYTES).await;
                let broken = Error::internal("the archive broke off before its end");
                Some((Err(broken), None))
            }
        }
    })
}

/// Why no more is written. What a log lacks is no reason: it becomes an `-error` entry.
enum Stop {
    /// Nobody takes the bytes any more.
    ClientGone,
    /// The client is there and takes nothing.
    ClientIdle,
    /// The thread that reads is gone.
    Unread,
    /// All that is known is written, and there may be more.
    Incomplete,
}

struct Writer {
    frames: mpsc::Sender<Bytes>,
    idle: Duration,
    access: Access,
    archive: Archive,
    names: Names,
    compressor: Compressor,
    frame: BytesMut,
    ledger: Arc<Ledger>,
    /// Bytes of the archive so far.
    bytes: u64,
}

impl Writer {
    fn new(
        selection: &Selection,
        frames: mpsc::Sender<Bytes>,
        idle: Duration,
        access: Access,
        ledger: Arc<Ledger>,
    ) -> Self {
        let keys = selection.entries.iter().map(|entry| &*entry.key);
        let (archive, names, frame) = (
            Archive::new(),
            Names::of(keys, &[SYSTEM_ENTRY, HISTORY_ENTRY, ERROR_ENTRY]),
            BytesMut::with_capacity(FRAME_BYTES),
        );
        Self {
            frames,
            idle,
            access,
            archive,
            names,
            compressor: Compressor::default(),
            frame,
            ledger,
            bytes: 0,
        }
    }

    async fn write(&mut self, selection: &Arc<Selection>, comment: &str) -> Result<(), Stop> {
        let mut logs = readers::ahead(Arc::clone(selection));
        for entry in &selection.entries {
            if let Err(refusal) = &entry.access {
                self.error(entry, refusal).await?;
                continue;
            }
            let log = logs.next().await.ok_or(Stop::Unread)?;
            // Asked last: reading may have taken long.
            match (self.access.still(entry).await, log) {
                (Ok(()), Some((batch, row))) => self.log(entry, &batch, row).await?,
                (Ok(()), None) => self.error(entry, &Refusal::Lost).await?,
                (Err(refusal), _) => self.error(entry, &refusal).await?,
            }
        }
        if selection.incomplete {
            self.flush().await?;
            return Err(Stop::Incomplete);
        }
        let archive = std::mem::take(&mut self.archive);
        let mut out = Vec::new();
        archive.finish(comment, &mut out);
        self.push(out).await?;
        self.flush().await
    }

    async fn log(&mut self, entry: &Entry, batch: &RecordBatch, row: usize) -> Result<(), Stop> {
        // Before its first byte can leave.
        self.ledger.begin(&entry.key, Fate::Delivered, self.bytes);
        let system = batch
            .column_by_name(SYSTEM)
            .filter(|column| column.is_valid(row));
        let history = batch
            .column_by_name(HISTORY)
            .filter(|column| column.is_valid(row));
        if let Some(system) = system {
            let data = self.compressor.system(system, row);
            self.entry(entry, SYSTEM_ENTRY, data).await?;
        }
        if let Some(history) = history {
            let list = history.as_list::<i32>();
            let offsets = list.value_offsets();
            let range = usize::try_from(offsets[row]).unwrap_or(0)
                ..usize::try_from(offsets[row + 1]).unwrap_or(0);
            let data = self.compressor.history(list.values(), range);
            self.entry(entry, HISTORY_ENTRY, data).await?;
        } else if system.is_none() {
            self.entry(entry, HISTORY_ENTRY, Data::Stored(Stored::default()))
                .await?;
        }
        self.ledger.end(self.bytes);
        Ok(())
    }

    async fn error(&mut self, entry: &Entry, reason: &Refusal) -> Result<(), Stop> {
        let fate = match reason {
            Refusal::Lost => Fate::Failed,
            Refusal::Denied(_) | Refusal::Unreadable | Refusal::Ended(_) => Fate::Denied,
        };
        self.ledger.begin(&entry.key, fate, self.bytes);
        let mut text = Stored::default();
        text.push(Bytes::from(format!("{reason}\n")));
        self.entry(entry, ERROR_ENTRY, Data::Stored(text)).await?;
        self.ledger.end(self.bytes);
        Ok(())
    }

    async fn entry(&mut self, entry: &Entry, suffix: &str, data: Data) -> Result<(), Stop> {
        let name = self.names.entry(&entry.key, suffix);
        let modified = entry.created_at.timestamp();
        let mut out = Vec::new();
        match &data {
            Data::Deflated(piece) => {
                let piece = std::slice::from_ref(piece);
                self.archive.entry(&name, modified, piece, &mut out);
            }
            Data::Stored(text) => self.archive.stored(&name, modified, text, &mut out),
        }
        self.push(out).await
    }

    /// Gathers small buffers into frames; cuts large ones, which are not copied: but parts of a very large log are, so that
    /// the last of them does not keep all of it while the next one is read.
    async fn push(&mut self, buffers: Vec<Bytes>) -> Result<(), Stop> {
        for mut buffer in buffers {
            self.bytes += buffer.len() as u64;
            if self.frame.len() + buffer.len() > FRAME_BYTES {
                self.flush().await?;
            }
            let is_copied = buffer.len() > LARGE_BYTES;
            while buffer.len() >= FRAME_BYTES {
                let frame = buffer.split_to(FRAME_BYTES);
                let frame = match is_copied {
                    true => Bytes::copy_from_slice(&frame),
                    false => frame,
                };
                self.send(frame).await?;
            }
            self.frame.extend_from_slice(&buffer);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        let frame = std::mem::replace(&mut self.frame, BytesMut::with_capacity(FRAME_BYTES));
        if frame.is_empty() {
            Ok(())
        } else {
            self.send(frame.freeze()).await
        }
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), Stop> {
        match tokio::time::timeout(self.idle, self.frames.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stop::ClientGone),
            Err(_) => Err(Stop::ClientIdle),
        }
    }
}
