//! Reads the records of one request while its body arrives.
//!
//! `http/write_prompt_logs` → here → [`Writers`](super::Writers). Nothing is written before the whole body was read, so a
//! request that fails changes nothing. What is held of all requests together is limited by [`Room`]. Not here: where
//! records end (`prompt_intake`), what one is (`record`), compression (`http/body`).

use std::io::{self, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use prompt_intake::{Draft, Reason, Splitter};
use rules::{Error, Result};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ingest::Chunk;
use super::record::Record;
use super::retention::{refuse_if_ahead, refuse_if_expired};

/// With more bad records than this the whole request is a mistake, and the list of them no help.
const REJECTED_MAX: usize = 10_000;
/// What permits of [`Room`] stand for.
const ROOM_UNIT_BYTES: usize = 64 * 1024;

/// Memory for the text of all requests under way.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

/// What one request has of the room; given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

/// One record that was not taken, as the wire contract (section 7) shows it.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Rejected {
    /// Counted from 0 in the order of the body.
    pub index: usize,
    /// `None` where there is none to read, or one longer than any key.
    pub log_key: Option<String>,
    pub detail: String,
}

/// The records of one request.
#[derive(Debug)]
pub struct Intake {
    splitter: Splitter,
    records: Records,
}

/// What came out of the splitter so far.
#[derive(Debug)]
struct Records {
    /// When the request came, and the oldest instant the organization still keeps.
    now: DateTime<Utc>,
    oldest: DateTime<Utc>,
    chunk: Chunk,
    rejected: Vec<Rejected>,
    rejected_bytes: usize,
    room: Room,
    share: Share,
}

impl Room {
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / ROOM_UNIT_BYTES;
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    /// Makes the share hold at least `bytes`.
    ///
    /// # Errors
    /// `Unavailable` when others have the rest.
    pub(super) fn grow(&self, share: &mut Share, bytes: usize) -> Result<()> {
        let held = share
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(ROOM_UNIT_BYTES).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.0).try_acquire_many_owned(missing);
        let more = more.map_err(|error| {
            Error::unavailable("too much is being written at the moment; send it again")
                .because(error)
        })?;
        match &mut share.permit {
            Some(permit) => permit.merge(more),
            None => share.permit = Some(more),
        }
        Ok(())
    }
}

impl Intake {
    /// For a request that came at `now` to an organization that keeps logs from `oldest` on.
    pub fn new(room: Room, now: DateTime<Utc>, oldest: DateTime<Utc>) -> Self {
        let (chunk, rejected, share) = (Chunk::default(), Vec::new(), Share::default());
        Self {
            splitter: Splitter::new(),
            records: Records {
                now,
                oldest,
                chunk,
                rejected,
                rejected_bytes: 0,
                room,
                share,
            },
        }
    }

    /// The request's good records, and why the others are not among them. The room is held until the records are written.
    ///
    /// # Errors
    /// `Invalid` when there is no good record; the other errors as when writing into it.
    pub fn finish(mut self) -> Result<Accepted> {
        let mut outcome = Ok(());
        let records = &mut self.records;
        self.splitter.finish(&mut |index, record| {
            if outcome.is_ok() {
                outcome = records.take(index, record);
            }
        });
        outcome?;
        let Records {
            oldest,
            chunk,
            rejected,
            share,
            ..
        } = self.records;
        if chunk.is_empty() {
            return Err(nothing(&rejected));
        }
        let taken = Taken {
            records: chunk.into_records(),
            oldest,
            share,
        };
        Ok(Accepted { taken, rejected })
    }
}

impl Write for Intake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut outcome = Ok(());
        let records = &mut self.records;
        self.splitter.push(bytes, &mut |index, record| {
            if outcome.is_ok() {
                outcome = records.take(index, record);
            }
        });
        let records = &mut self.records;
        let held = records.chunk.bytes() + records.rejected_bytes + self.splitter.held_bytes();
        outcome
            .and_then(|()| records.room.grow(&mut records.share, held))
            .map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The record a draft makes, if the organization keeps logs of its age.
///
/// # Errors
/// `Invalid` with the reason.
pub(super) fn accept(draft: Draft, now: DateTime<Utc>, oldest: DateTime<Utc>) -> Result<Record> {
    let record = Record::new(draft)?;
    refuse_if_expired(record.created_at, oldest)?;
    refuse_if_ahead(record.created_at, now)?;
    Ok(record)
}

impl Records {
    fn take(&mut self, index: usize, record: Result<&[u8], Reason>) -> Result<()> {
        let checked = record.clone().and_then(Draft::parse);
        let checked = checked
            .map_err(|reason| Error::invalid(reason.to_string()))
            .and_then(|draft| accept(draft, self.now, self.oldest));
        match checked {
            Ok(record) => self.chunk.push(record),
            Err(_) if self.rejected.len() == REJECTED_MAX => {
                return Err(Error::invalid(format!(
                    "more than {REJECTED_MAX} records cannot be taken; nothing was written"
                )));
            }
            Err(error) => {
                let log_key = record.ok().and_then(Draft::named);
                let detail = Reason::new(error.message().to_owned()).to_string();
                let text = detail.len() + log_key.as_ref().map_or(0, String::len);
                self.rejected_bytes += size_of::<Rejected>() + text;
                self.rejected.push(Rejected {
                    index,
                    log_key,
                    detail,
                });
            }
        }
        Ok(())
    }
}

/// What a request brought.
#[derive(Debug)]
pub struct Accepted {
    pub taken: Taken,
    pub rejected: Vec<Rejected>,
}

/// Records to write, and what they have of the room.
#[derive(Debug)]
pub struct Taken {
    pub records: Vec<Record>,
    /// The oldest instant the organization still keeps.
    pub(super) oldest: DateTime<Utc>,
    pub(super) share: Share,
}

fn nothing(rejected: &[Rejected]) -> Error {
    match rejected {
        [] => Error::invalid(
            "the body holds no prompt log; send a JSON array of records, or one record a line",
        ),
        [first, ..] => {
            let (count, index, detail) = (rejected.len(), first.index, &first.detail);
            Error::invalid(format!(
                "none of the {count} records can be taken; record {index}: {detail}"
            ))
        }
    }
}
