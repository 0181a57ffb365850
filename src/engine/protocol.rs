//! What crosses the border between the server and a query worker: length-prefixed frames on the child's standard input
//! and output.

use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use rules::{Caller, OrgId};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::DeclaredTable;

/// A query to run, with everything the worker may know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    pub lake: Url,
    /// The only organization whose tables exist in the session.
    pub org_id: OrgId,
    /// Whose permissions decide which prompt logs are visible.
    pub caller: Caller,
    pub sql: String,
    /// The instant the query is asked at: `now()`, and what retention counts from.
    pub now: DateTime<Utc>,
    pub limits: Limits,
    /// The tables beside the lake's; their folders are all that the worker needs to open beside the lake.
    pub declared: Vec<DeclaredTable>,
}

/// The limits of one query.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limits {
    /// Rows of the answer.
    pub rows: usize,
    /// Bytes of the answer's JSON.
    pub result_bytes: usize,
    /// Prompt logs of this age in days or younger are visible.
    pub retention_days: u32,
}

/// The head of an answer; `bytes` of body follow it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub outcome: Outcome,
    /// The worker has used up so much of its address space that another query might not fit.
    pub spent: bool,
    pub bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The body is the response as JSON.
    Page,
    /// The body is a sentence for the caller: the query is at fault.
    Invalid,
    /// The body is for the log: the organization's storage did not answer.
    Unavailable,
    /// The body is for the log.
    Internal,
}

/// A frame longer than this is no request or answer head.
pub(super) const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A frame: its length in four bytes, least first, and a JSON value.
pub(super) fn frame(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(value)?;
    let length = u32::try_from(json.len()).map_err(std::io::Error::other)?;
    Ok([&length.to_le_bytes(), json.as_slice()].concat())
}

/// Reads a frame's value; `None` at the end of the stream.
pub(super) fn read_frame<T: serde::de::DeserializeOwned>(
    input: &mut impl Read,
) -> std::io::Result<Option<T>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(std::io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut json = vec![0; length];
    input.read_exact(&mut json)?;
    Ok(Some(serde_json::from_slice(&json)?))
}

/// Writes an answer: its head as a frame, then its body.
pub(super) fn write_answer(
    output: &mut impl Write,
    answer: &Answer,
    body: &[u8],
) -> std::io::Result<()> {
    output.write_all(&frame(answer)?)?;
    output.write_all(body)?;
    output.flush()
}
