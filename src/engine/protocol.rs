//! What crosses the border between the server and a query worker: length-prefixed frames on the child's standard input
//! and output.
//!
//! The server sends a [`Request`]. The worker says any number of times what it has [done so far](Message::Progress) or
//! needs ([rows of the server's](Message::Wants), [documents](Message::Ask)), which the server sends, and at last its
//! [`Answer`].

use std::io::{Read, Write};

use chrono::{DateTime, Utc};
use collections::{Question, Table};
use rules::{Caller, OrgId, TableName};
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
    /// Prompt logs of this age in days or younger are visible.
    pub retention_days: u32,
    /// The tables beside the lake's; their folders are all that the worker needs to open beside the lake.
    pub declared: Vec<DeclaredTable>,
    /// The server's tables that exist for the caller.
    pub server_tables: Vec<ServerTable>,
    /// The collections that are tables, as far as the server knows; none: the organization has no cluster.
    pub collections: Option<Vec<TableName>>,
    /// Those of them that stand before the lake's tables of their names.
    pub preferred: Vec<TableName>,
    pub output: Output,
}

/// What becomes of the rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Output {
    /// The first rows, as the JSON of a response.
    Page {
        rows: usize,
        /// Of the JSON.
        bytes: usize,
    },
    /// All rows, in a file of this name in the folder.
    File {
        folder: Url,
        format: Format,
        /// Of the file.
        bytes: u64,
    },
}

impl Output {
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// Bytes of an answer's body, at most: of the response, or of the sentence that says why there is none.
    pub(super) fn body_bytes_max(&self) -> usize {
        match self {
            Self::Page { bytes, .. } => SENTENCE_BYTES_MAX.max(*bytes),
            Self::File { .. } => SENTENCE_BYTES_MAX,
        }
    }
}

/// The form of a result file (the wire contract, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    /// Newline-delimited.
    Json,
    Parquet,
    /// An IPC file.
    Arrow,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Csv, Self::Json, Self::Parquet, Self::Arrow];

    /// As requests name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.file",
        }
    }

    /// The name of the result file in its folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "result.csv",
            Self::Json => "result.ndjson",
            Self::Parquet => "result.parquet",
            Self::Arrow => "result.arrow",
        }
    }
}

/// What a query took, and what is to be known of its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Of the answer.
    pub rows: u64,
    /// Of the answer.
    pub bytes: u64,
    /// Read from tables.
    pub bytes_scanned: u64,
    /// From the text to a plan.
    pub planning_ms: u64,
    /// From the plan to the last row.
    pub execution_ms: u64,
    /// The most memory the worker's process had, the engine itself included.
    pub peak_memory_bytes: u64,
    /// What may be wrong with the answer although the query did not fail.
    pub warning: Option<String>,
}

/// How far a query is that writes a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub rows: u64,
    pub bytes: u64,
}

/// A table whose rows the server has and sends page by page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerTable {
    AuditLog,
    QueryHistory,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    Progress(Progress),
    /// The next rows of a table, behind those that ended in `after`. The server [replies](Reply::Rows).
    Wants {
        id: u32,
        table: ServerTable,
        after: Option<String>,
    },
    /// What a collection looks like. The server [replies](Reply::Table): where it is not needed and cannot be known, that
    /// there is none.
    Describe {
        id: u32,
        table: TableName,
        is_needed: bool,
    },
    /// A question to a collection. The server fetches the first batch of the answer, and keeps it.
    Ask {
        id: u32,
        table: TableName,
        question: Box<Question>,
    },
    /// The next batch of the answer to the question of that number. The server replies with it.
    Next {
        id: u32,
    },
    /// The rest of the answer is not wanted.
    Close {
        id: u32,
    },
    Answer(Answer),
    /// The answer to a ping.
    Pong,
}

/// Some rows of a table of the server's.
#[derive(Debug, Default)]
pub struct Rows {
    /// One JSON object a row, one after another.
    pub json: String,
    /// Where the next page begins; none: there is none.
    pub next: Option<String>,
}

/// What the server says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Input {
    Request(Box<Request>),
    /// To the worker's message of that number.
    Reply {
        id: u32,
        reply: Reply,
    },
    /// Before the first request: whether the worker answers.
    Ping,
}

/// What the server replies.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// Rows of a table of the server's, as so many bytes of JSON, which follow: in a frame their quotes would be escaped once
    /// more, and one long row could be too long for it.
    Rows {
        bytes: usize,
        next: Option<String>,
    },
    Table(Option<Table>),
    /// Documents, as a BSON array of so many bytes, which follow.
    Batch {
        bytes: usize,
    },
    /// There are no more documents.
    End,
    /// The server knows why, and says so when the query has failed.
    Failed,
}

/// The head of an answer; `bytes` of body follow it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub outcome: Outcome,
    pub cost: Cost,
    /// The worker can open nothing but what its queries need.
    pub confined: bool,
    /// The worker has used up so much of its address space that another query might not fit.
    pub spent: bool,
    pub bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The body is the response as JSON, or empty where the rows went into a file.
    Done,
    /// The body is a sentence for the caller: the query is at fault.
    Invalid,
    /// The engine is, met by this query; the body is for the log.
    Unsupported,
    /// The body is for the log: the organization's storage did not answer.
    Unavailable,
    /// There is no room for the result file; the body is for the log.
    StorageFull,
    /// The body is for the log.
    Internal,
}

/// A longer sentence of an answer's body is cut: it may quote a value.
pub(super) const SENTENCE_BYTES_MAX: usize = 1024 * 1024;

/// A frame longer than this is no message.
pub(super) const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A frame: its length in four bytes, least first, and a JSON value.
pub(super) fn frame(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = frame.len() - 4;
    check_length(length)?;
    let length = u32::try_from(length).map_err(std::io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
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
    check_length(length)?;
    let mut json = vec![0; length];
    input.read_exact(&mut json)?;
    Ok(Some(serde_json::from_slice(&json)?))
}

/// Whoever writes a frame that is too long is told so, and not the one who would read it.
pub(super) fn check_length(length: usize) -> std::io::Result<()> {
    match length > FRAME_BYTES_MAX {
        true => Err(std::io::Error::other(format!("a frame of {length} bytes"))),
        false => Ok(()),
    }
}

/// Reads so many bytes, which follow a frame.
pub(super) fn read_body(input: &mut impl Read, bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; bytes];
    input.read_exact(&mut body)?;
    Ok(body)
}

/// Writes a message, and behind an answer its body.
pub(super) fn write_message(
    output: &mut impl Write,
    message: &Message,
    body: &[u8],
) -> std::io::Result<()> {
    output.write_all(&frame(message)?)?;
    output.write_all(body)?;
    output.flush()
}
