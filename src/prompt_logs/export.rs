//! Reads the prompt logs of one OpenTelemetry export.
//!
//! `http/otlp` → here → [`Writers`](super::Writers). An export is one message, so that its body is held whole; what is
//! held of all requests together is limited by [`Room`]. Not here: the formats (`prompt_intake`), compression
//! (`http/body`).

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use prompt_intake::Reason;
use prompt_intake::otlp::{self, Encoding, KeyTemplate, Rejected, Signal};
use rules::{Error, Result};

use super::ingest::Chunk;
use super::intake::{Room, Share, Taken, accept};

/// An export's bytes, and the prompts read from them, which are about as many.
const COPIES: usize = 2;

/// The body of one export.
#[derive(Debug)]
pub struct Received {
    bytes: Vec<u8>,
    room: Room,
    share: Share,
}

/// What an export brought.
#[derive(Debug)]
pub struct Exported {
    pub taken: Taken,
    /// What cannot be read, and what the organization does not take.
    pub rejected: Rejected,
}

impl Received {
    pub fn new(room: Room) -> Self {
        let (bytes, share) = (Vec::new(), Share::default());
        Self { bytes, room, share }
    }

    /// The prompts of an export that came at `now` to an organization that keeps logs from `oldest` on. Room is held
    /// until they are written.
    ///
    /// # Errors
    /// `Invalid` when the body is no such export.
    pub fn read(
        self,
        signal: Signal,
        encoding: Encoding,
        template: &KeyTemplate,
        now: DateTime<Utc>,
        oldest: DateTime<Utc>,
    ) -> Result<Exported> {
        let read = match signal {
            Signal::Traces => otlp::traces,
            Signal::Logs => otlp::logs,
        };
        let export = read(&self.bytes, encoding, template);
        let export = export.map_err(|reason| Error::invalid(reason.to_string()))?;
        let (mut chunk, mut rejected) = (Chunk::default(), export.rejected);
        for draft in export.drafts {
            match accept(draft, now, oldest) {
                Ok(record) => chunk.push(record),
                Err(error) => rejected.add(1, Reason::new(error.message().to_owned())),
            }
        }
        let taken = Taken {
            records: chunk.into_records(),
            oldest,
            share: self.share,
        };
        Ok(Exported { taken, rejected })
    }
}

impl Write for Received {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let held = (self.bytes.len() + bytes.len()) * COPIES;
        let room = self.room.grow(&mut self.share, held);
        room.map_err(io::Error::other)?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
