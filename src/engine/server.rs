//! The server, as a query sees it: told how far the query is, and asked for what only the server has.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use collections::{Question, Table};
use rules::{Error, Result, TableName};
use tokio::sync::oneshot;

use super::lock;
use super::protocol::{
    Input, Message, Progress, Reply, Request, Rows, ServerTable, read_body, read_frame,
    write_message,
};

/// How often the server is told how far a query is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Server {
    told: Mutex<Option<Instant>>,
    replies: Arc<Replies>,
    last_id: AtomicU32,
}

/// A reply that is on its way, and what follows it.
type Coming = oneshot::Receiver<(Reply, Vec<u8>)>;

/// Who waits for a reply to the message of a number.
type Replies = Mutex<HashMap<u32, oneshot::Sender<(Reply, Vec<u8>)>>>;

impl Server {
    /// One that answers nothing.
    #[cfg(test)]
    pub(super) fn silent() -> Arc<Self> {
        Arc::new(Self {
            told: Mutex::default(),
            replies: Arc::default(),
            last_id: AtomicU32::new(0),
        })
    }

    /// Reads what the server says on a thread of its own, which ends the process with its input.
    pub(super) fn listen() -> (impl Iterator<Item = Request>, Arc<Self>) {
        let (requests, received) = mpsc::channel();
        let replies: Arc<Replies> = Arc::default();
        let waiting = Arc::clone(&replies);
        std::thread::spawn(move || {
            let mut input = std::io::stdin().lock();
            let code = loop {
                let taken = match read_frame(&mut input) {
                    Ok(Some(Input::Request(request))) => {
                        // What the query before it asked, nobody answers any more.
                        lock(&waiting).clear();
                        requests.send(*request).is_ok()
                    }
                    Ok(Some(Input::Reply { id, reply })) => {
                        let bytes = match &reply {
                            Reply::Batch { bytes } | Reply::Rows { bytes, .. } => *bytes,
                            Reply::Table(_) | Reply::End | Reply::Failed => 0,
                        };
                        let Ok(body) = read_body(&mut input, bytes) else {
                            break 1;
                        };
                        // Who asked may want it no more.
                        if let Some(asked) = lock(&waiting).remove(&id) {
                            let _ = asked.send((reply, body));
                        }
                        true
                    }
                    // Only a worker that is nobody's yet is asked.
                    Ok(Some(Input::Ping)) => break 1,
                    Ok(None) => break 0,
                    Err(error) => {
                        let _ = writeln!(
                            std::io::stderr(),
                            "the query worker's input is broken: {error}"
                        );
                        break 1;
                    }
                };
                if !taken {
                    break 0;
                }
            };
            std::process::exit(code);
        });
        let server = Self {
            told: Mutex::default(),
            replies,
            last_id: AtomicU32::new(0),
        };
        (received.into_iter(), Arc::new(server))
    }

    /// The next rows of a table.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot give them; it knows why.
    pub(super) async fn rows(&self, table: ServerTable, after: Option<String>) -> Result<Rows> {
        let id = self.id();
        let reply = self.reply(id, &Message::Wants { id, table, after })?;
        match reply.await {
            Ok((Reply::Rows { next, .. }, json)) => match String::from_utf8(json) {
                Ok(json) => Ok(Rows { json, next }),
                Err(error) => Err(no_answer().because(error)),
            },
            _ => Err(no_answer()),
        }
    }

    /// Tells how far the query is, now and then.
    pub(super) fn progress(&self, progress: Progress) {
        let mut told = lock(&self.told);
        if told.is_some_and(|told| told.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        *told = Some(Instant::now());
        // A server that is gone ends this process by the end of its input.
        let _ = self.say(&Message::Progress(progress), &[]);
    }

    /// What a collection looks like; `None` where it is none, and where it is not needed and the server cannot know.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot know; it knows why.
    pub(super) async fn table(&self, name: &TableName, is_needed: bool) -> Result<Option<Table>> {
        let id = self.id();
        let describe = Message::Describe {
            id,
            table: name.clone(),
            is_needed,
        };
        let reply = self.reply(id, &describe)?;
        match reply.await {
            Ok((Reply::Table(table), _)) => Ok(table),
            _ => Err(no_answer()),
        }
    }

    /// Asks a collection.
    pub(super) fn ask(self: &Arc<Self>, table: TableName, question: Question) -> Answer {
        let id = self.id();
        let question = Box::new(question);
        let asked = self.say(
            &Message::Ask {
                id,
                table,
                question,
            },
            &[],
        );
        let mut answer = Answer {
            server: Arc::clone(self),
            id,
            next: None,
        };
        answer.next = Some(match asked {
            Ok(()) => answer.want(),
            Err(error) => Err(no_answer().because(error)),
        });
        answer
    }

    pub(super) fn say(&self, message: &Message, body: &[u8]) -> std::io::Result<()> {
        write_message(&mut std::io::stdout().lock(), message, body)
    }

    fn id(&self) -> u32 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The reply to come to what is said now.
    fn reply(&self, id: u32, message: &Message) -> Result<Coming> {
        let (send, reply) = oneshot::channel();
        lock(&self.replies).insert(id, send);
        self.say(message, &[])
            .map_err(|error| no_answer().because(error))?;
        Ok(reply)
    }
}

/// The answer of a collection, batch by batch. One is always on its way while another is read.
#[derive(Debug)]
pub(super) struct Answer {
    server: Arc<Server>,
    id: u32,
    /// None at the end.
    next: Option<Result<Coming>>,
}

impl Answer {
    /// The next documents as a BSON array; `None` at the end.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot give them; it knows why.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(next) = self.next.take() else {
            return Ok(None);
        };
        match next?.await {
            Ok((Reply::Batch { .. }, documents)) => {
                self.next = Some(self.want());
                Ok(Some(documents))
            }
            Ok((Reply::End, _)) => Ok(None),
            _ => Err(no_answer()),
        }
    }

    fn want(&self) -> Result<Coming> {
        let id = self.id;
        self.server.reply(id, &Message::Next { id })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let id = self.id;
        lock(&self.server.replies).remove(&id);
        // A server that is gone has forgotten the question too.
        let _ = self.server.say(&Message::Close { id }, &[]);
    }
}

pub(super) fn no_answer() -> Error {
    Error::unavailable("the server has no answer")
}
