//! Streams the selected logs as one zip.
//!
//! `select` → here → `zip_stream` → the response body. Holds one batch of one file, the prompts compressed so far (each
//! distinct one once, up to a limit) and two frames, whatever the archive's size; a slow client slows the reading.
//! A log that cannot be read becomes one `-error` entry. Not here: which logs, and who may read them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt};
use rules::{Error, Result};
use tokio::sync::mpsc;
use zip_stream::{Archive, Deflater, Names, Piece};

use super::access::Access;
use super::files::{OpenFile, Rows};
use super::select::{Entry, Refusal, Selection};
use crate::lake::prompt_log_table::{HISTORY, SYSTEM};

/// What the body is sent in: large enough for one system call to carry much, small enough to hold two of.
const FRAME_BYTES: usize = 256 * 1024;
const FRAMES_AHEAD: usize = 2;
/// Compressed prompts kept for the entries to come.
const PIECES_BYTES: usize = 8 * 1024 * 1024;
/// For the bytes under way when an archive breaks off.
const LAST_BYTES: Duration = Duration::from_millis(200);
/// Between two prompts of a history (the wire contract, section 1).
const SEPARATOR: &str = "\n---\n";

/// The archive's bytes, made as they are asked for. A client that takes nothing for `idle` is given up. `access` is asked
/// again before each log.
///
/// The stream ends with an error, which breaks the transfer visibly, whenever the archive did not come to its end.
pub fn stream(
    selection: Selection,
    comment: String,
    idle: Duration,
    access: Access,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let (frames, received) = mpsc::channel(FRAMES_AHEAD);
    let is_whole = Arc::new(AtomicBool::new(false));
    let written = Arc::clone(&is_whole);
    // Decoding and compressing would hold up other requests: they run on a thread of their own.
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        runtime.block_on(async move {
            let mut writer = Writer::new(frames, idle, access);
            match writer.write(&selection, &comment).await {
                Ok(()) => written.store(true, Ordering::Release),
                Err(Stop::ClientGone) => tracing::debug!("the client ended its download"),
                Err(Stop::ClientIdle) => {
                    tracing::warn!("a client took nothing for too long; its download was ended")
                }
                Err(Stop::Incomplete) => tracing::warn!(
                    "a download was broken off at its end: an unreadable file may hold more logs"
                ),
            }
        });
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
    separator: Piece,
    frame: BytesMut,
}

impl Writer {
    fn new(frames: mpsc::Sender<Bytes>, idle: Duration, access: Access) -> Self {
        let mut compressor = Compressor::default();
        let separator = compressor.deflater.piece(SEPARATOR.as_bytes());
        let (archive, names, frame) = (
            Archive::new(),
            Names::default(),
            BytesMut::with_capacity(FRAME_BYTES),
        );
        Self {
            frames,
            idle,
            access,
            archive,
            names,
            compressor,
            separator,
            frame,
        }
    }

    async fn write(&mut self, selection: &Selection, comment: &str) -> Result<(), Stop> {
        let mut readers = Readers::new(selection);
        for (index, entry) in selection.entries.iter().enumerate() {
            if let Err(refusal) = &entry.access {
                self.error(entry, refusal).await?;
                continue;
            }
            let log = readers.log(index, entry).await;
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
        let system = batch
            .column_by_name(SYSTEM)
            .filter(|column| column.is_valid(row));
        let history = batch
            .column_by_name(HISTORY)
            .filter(|column| column.is_valid(row));
        if let Some(system) = system {
            let pieces = self.compressor.system(system, row);
            self.entry(entry, "-system", &pieces).await?;
        }
        if let Some(history) = history {
            let list = history.as_list::<i32>();
            let offsets = list.value_offsets();
            let range = usize::try_from(offsets[row]).unwrap_or(0)
                ..usize::try_from(offsets[row + 1]).unwrap_or(0);
            let prompts = self.compressor.history(list.values(), range);
            let mut pieces = Vec::with_capacity(prompts.len() * 2);
            for prompt in prompts {
                if !pieces.is_empty() {
                    pieces.push(self.separator.clone());
                }
                pieces.push(prompt);
            }
            self.entry(entry, "-history", &pieces).await?;
        } else if system.is_none() {
            self.entry(entry, "-history", &[]).await?;
        }
        Ok(())
    }

    async fn error(&mut self, entry: &Entry, reason: &Refusal) -> Result<(), Stop> {
        let text = format!("{reason}\n");
        let piece = self.compressor.deflater.piece(text.as_bytes());
        self.entry(entry, "-error", &[piece]).await
    }

    async fn entry(&mut self, entry: &Entry, suffix: &str, pieces: &[Piece]) -> Result<(), Stop> {
        let name = self.names.entry(&entry.key, suffix);
        let mut out = Vec::with_capacity(pieces.len() + 2);
        self.archive
            .entry(&name, entry.created_at.timestamp(), pieces, &mut out);
        self.push(out).await
    }

    /// Gathers small buffers into frames; hands large ones over as they are.
    async fn push(&mut self, buffers: Vec<Bytes>) -> Result<(), Stop> {
        for buffer in buffers {
            if self.frame.len() + buffer.len() > FRAME_BYTES {
                self.flush().await?;
            }
            if buffer.len() >= FRAME_BYTES {
                self.send(buffer).await?;
            } else {
                self.frame.extend_from_slice(&buffer);
            }
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

/// Compresses each distinct prompt once, as long as there is room to remember it.
#[derive(Default)]
struct Compressor {
    deflater: Deflater,
    /// By content, so that a prompt is known again in another file.
    known: HashMap<blake3::Hash, Piece>,
    known_bytes: usize,
    systems: Places,
    histories: Places,
}

/// The pieces of one column's prompts by their place in the dictionary at hand, which saves hashing them again.
#[derive(Default)]
struct Places {
    dictionary: Option<ArrayRef>,
    pieces: Vec<Option<Piece>>,
}

impl Compressor {
    fn system(&mut self, column: &ArrayRef, row: usize) -> Vec<Piece> {
        let mut places = std::mem::take(&mut self.systems);
        let pieces = self.pieces(&mut places, column, row..row + 1);
        self.systems = places;
        pieces
    }

    fn history(&mut self, prompts: &ArrayRef, rows: Range<usize>) -> Vec<Piece> {
        let mut places = std::mem::take(&mut self.histories);
        let pieces = self.pieces(&mut places, prompts, rows);
        self.histories = places;
        pieces
    }

    /// The pieces of some rows of a dictionary-encoded column of prompts, none of them null.
    fn pieces(&mut self, places: &mut Places, column: &ArrayRef, rows: Range<usize>) -> Vec<Piece> {
        let dictionary = column.as_dictionary::<Int32Type>();
        let prompts = dictionary.values();
        if !places
            .dictionary
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, prompts))
        {
            places.dictionary = Some(Arc::clone(prompts));
            places.pieces = vec![None; prompts.len()];
        }
        let texts: &StringArray = prompts.as_string();
        let rows = rows.filter_map(|row| dictionary.key(row));
        rows.map(|place| {
            places.pieces[place]
                .get_or_insert_with(|| self.piece(texts.value(place)))
                .clone()
        })
        .collect()
    }

    fn piece(&mut self, text: &str) -> Piece {
        let hash = blake3::hash(text.as_bytes());
        if let Some(piece) = self.known.get(&hash) {
            return piece.clone();
        }
        let piece = self.deflater.piece(text.as_bytes());
        if self.known_bytes > PIECES_BYTES {
            self.known.clear();
            self.known_bytes = 0;
        }
        self.known_bytes += piece.wire_len();
        self.known.insert(hash, piece.clone());
        piece
    }
}

/// Reads the permitted logs of each file in one pass, in the order of the entries.
struct Readers<'a> {
    selection: &'a Selection,
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

impl<'a> Readers<'a> {
    fn new(selection: &'a Selection) -> Self {
        let files = selection.files.iter().map(|_| Reader::default()).collect();
        Self { selection, files }
    }

    /// The batch and row of the log; `None` when it cannot be read.
    async fn log(&mut self, index: usize, entry: &Entry) -> Option<(RecordBatch, usize)> {
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

    /// Begins the pass over all logs of the file from the `index`-th entry on.
    async fn open(&mut self, index: usize, file: usize) {
        let rest = &self.selection.entries[index..];
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
    async fn next(&mut self, key: &str) -> Option<(RecordBatch, usize)> {
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
