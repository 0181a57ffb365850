//! What stands between the server under test and MongoDB: it notes every command, and can hold, cut and answer in its place.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The kind of message that all commands since MongoDB 3.6 are.
const OP_MSG: i32 = 2013;
/// How often a held message looks whether it may go on.
const GLANCE: Duration = Duration::from_millis(5);

/// The commands that make MongoDB read documents.
const READS: [&str; 3] = ["find", "aggregate", "getMore"];

/// What becomes of a command.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It gets to MongoDB, so late.
    Late(Duration),
    /// It gets there when there is another fate for its name.
    Held,
    /// Its connection ends.
    Cut,
    /// It never gets there, and this is the answer.
    Answered(Document),
}

#[derive(Debug)]
pub(super) struct Proxy {
    address: String,
    shared: Arc<Shared>,
    listening: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    target: String,
    commands: Mutex<Vec<Document>>,
    fates: Mutex<HashMap<String, Fate>>,
    reads: Mutex<Reads>,
    /// Whether connections are refused; those there are end.
    closed: watch::Sender<bool>,
}

/// Reads that have no answer yet, by the ids of their messages, and the most there were.
#[derive(Debug, Default)]
struct Reads {
    open: HashSet<i32>,
    most: usize,
}

impl Proxy {
    /// In front of a server, on a free port.
    pub(super) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            target,
            commands: Mutex::default(),
            fates: Mutex::default(),
            reads: Mutex::default(),
            closed: watch::Sender::new(false),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared))).abort_handle();
        Self {
            address,
            shared,
            listening,
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Every command so far, in order.
    pub(super) fn commands(&self) -> Vec<Document> {
        self.shared.commands.lock().unwrap().clone()
    }

    /// The commands of one name so far, such as `getMore`.
    pub(super) fn named(&self, name: &str) -> Vec<Document> {
        let mut commands = self.commands();
        commands.retain(|command| command.keys().next().is_some_and(|first| first == name));
        commands
    }

    /// How many reads there were at the same time, at most.
    pub(super) fn most_reads(&self) -> usize {
        self.shared.reads.lock().unwrap().most
    }

    pub(super) fn forget_commands(&self) {
        self.shared.commands.lock().unwrap().clear();
    }

    /// What becomes of all further commands of this name, or with the name of a collection behind it of those to that one:
    /// `find users`.
    pub(super) fn set(&self, name: &str, fate: Fate) {
        self.shared
            .fates
            .lock()
            .unwrap()
            .insert(name.to_owned(), fate);
    }

    /// Every command gets where it should again.
    pub(super) fn clear(&self) {
        self.shared.fates.lock().unwrap().clear();
    }

    /// No connection is let in, and those there are end: MongoDB is gone.
    pub(super) fn close(&self) {
        self.shared.closed.send_replace(true);
    }

    pub(super) fn open(&self) {
        self.shared.closed.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// An error as MongoDB answers it.
pub(super) fn error(code: i32, name: &str, message: &str) -> Document {
    doc! {"ok": 0.0, "code": code, "codeName": name, "errmsg": message}
}

impl Shared {
    fn note(&self, command: &Document, id: i32) {
        self.commands.lock().unwrap().push(command.clone());
        let name = command.keys().next().map(String::as_str);
        if name.is_some_and(|name| READS.contains(&name)) {
            let mut reads = self.reads.lock().unwrap();
            reads.open.insert(id);
            reads.most = reads.most.max(reads.open.len());
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if !*shared.closed.borrow() {
            connections.spawn(connection(client, Arc::clone(&shared)));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Ends with either side, or when everything is cut off.
async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(&shared.target).await else {
        return;
    };
    let mut closed = shared.closed.subscribe();
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let upwards = async {
        while let Some(message) = read(&mut from_client).await {
            let command = command(&message);
            if let Some(command) = &command {
                shared.note(command, number(&message, 4));
            }
            match pass(&shared, command.as_ref()).await {
                Passed::On => to_server.write_all(&message).await.ok()?,
                Passed::Cut => return None,
                Passed::Answered(answer) => {
                    let answer = reply(&message, &answer);
                    to_client.lock().await.write_all(&answer).await.ok()?;
                }
            }
        }
        Some(())
    };
    let downwards = async {
        while let Some(message) = read(&mut from_server).await {
            shared
                .reads
                .lock()
                .unwrap()
                .open
                .remove(&number(&message, 8));
            to_client.lock().await.write_all(&message).await.ok()?;
        }
        Some(())
    };
    tokio::select! {
        _ = upwards => {}
        _ = downwards => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

enum Passed {
    On,
    Cut,
    Answered(Document),
}

async fn pass(shared: &Shared, command: Option<&Document>) -> Passed {
    let Some(name) = command.and_then(|command| command.keys().next()) else {
        return Passed::On;
    };
    let collection = command.and_then(|command| command.get_str(name).ok());
    let of_collection = format!("{name} {}", collection.unwrap_or_default());
    loop {
        let fate = {
            let fates = shared.fates.lock().unwrap();
            fates.get(&of_collection).or(fates.get(name)).cloned()
        };
        match fate {
            None => return Passed::On,
            Some(Fate::Late(time)) => {
                tokio::time::sleep(time).await;
                return Passed::On;
            }
            Some(Fate::Held) => tokio::time::sleep(GLANCE).await,
            Some(Fate::Cut) => return Passed::Cut,
            Some(Fate::Answered(answer)) => return Passed::Answered(answer),
        }
    }
}

/// One whole message; `None` at the end.
async fn read(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut message = vec![0; 16];
    from.read_exact(&mut message).await.ok()?;
    let length = usize::try_from(number(&message, 0)).ok()?;
    message.resize(length, 0);
    from.read_exact(&mut message[16..]).await.ok()?;
    Some(message)
}

fn number(message: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(message[at..at + 4].try_into().unwrap())
}

/// The command of a message: its one section with a document, behind header, flags and the section's kind.
fn command(message: &[u8]) -> Option<Document> {
    if number(message, 12) != OP_MSG || message.get(20) != Some(&0) {
        return None;
    }
    Document::from_reader(&message[21..]).ok()
}

/// A message that answers another.
fn reply(to: &[u8], answer: &Document) -> Vec<u8> {
    let mut body = Vec::new();
    answer.to_writer(&mut body).unwrap();
    let length = i32::try_from(16 + 5 + body.len()).unwrap();
    let mut message = Vec::new();
    for part in [length, 0, number(to, 4), OP_MSG, 0] {
        message.extend_from_slice(&part.to_le_bytes());
    }
    message.push(0);
    message.extend(body);
    message
}
