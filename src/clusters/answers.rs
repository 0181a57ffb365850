//! One question's answer: a cursor, read when a batch is wanted, so that an answer holds one batch at most.

use std::sync::Arc;
use std::time::Duration;

use collections::Command;
use futures::StreamExt;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{
    AggregateOptions, Collation, FindOptions, ReadPreference, SelectionCriteria,
};
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use rules::{Error, Kind, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Notify, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::cluster::Cluster;
use super::{Asking, errors};

/// How long a cluster may still take to open a cursor that nobody waits for any more: one that is known is killed, one
/// that is not lives on for minutes. What takes longer ends when the cluster finds the connection closed.
const OPENING: Duration = Duration::from_secs(1);
/// The longest time limit that MongoDB takes.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
/// How long a cursor's server may take to kill it.
const KILLING: Duration = Duration::from_secs(2);

/// Where a question goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) database: String,
    pub(super) collection: String,
    /// Whether the question must say that strings compare by their bytes.
    pub(super) has_collation: bool,
}

impl Place {
    pub(super) fn collation(&self) -> Option<Collation> {
        let simple = || Collation::builder().locale("simple").build();
        self.has_collation.then(simple)
    }
}

/// The batches of one cursor. Dropping it kills the cursor on the cluster.
#[derive(Debug)]
pub struct Answers {
    batches: Receiver<Result<Option<Vec<u8>>>>,
    wanted: Arc<Notify>,
    /// The next batch has been wanted, and not come yet.
    is_wanted: bool,
    is_over: bool,
}

impl Answers {
    /// The next batch: a raw BSON array of documents, not empty; none at the end. After an error there is nothing more.
    ///
    /// # Errors
    /// `Unavailable`, `TimedOut`; `Invalid` where the cluster has not enough memory for the question.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        self.want();
        // An answer without its end is none.
        let lost = || {
            Err(Error::internal(
                "the reading of a MongoDB cursor ended early",
            ))
        };
        let batch = self.batches.recv().await.unwrap_or_else(lost);
        self.is_wanted = false;
        self.is_over = !matches!(batch, Ok(Some(_)));
        batch
    }

    /// Has the next batch fetched, while whoever will take it does something else.
    pub fn want(&mut self) {
        if !self.is_wanted {
            self.wanted.notify_one();
            self.is_wanted = true;
        }
    }
}

pub(super) fn ask(
    cluster: &Arc<Cluster>,
    place: Place,
    command: Command,
    asking: &Asking,
) -> Answers {
    let (sender, batches) = channel(1);
    let wanted = Arc::new(Notify::new());
    let reading = Reading {
        cluster: Arc::clone(cluster),
        place,
        command,
        asking: asking.clone(),
        sender,
        wanted: Arc::clone(&wanted),
    };
    tokio::spawn(reading.run());
    Answers {
        batches,
        wanted,
        // The first one comes with the cursor.
        is_wanted: true,
        is_over: false,
    }
}

/// Reads a cursor to its end, or for as long as there is somebody who takes the batches.
struct Reading {
    cluster: Arc<Cluster>,
    place: Place,
    command: Command,
    asking: Asking,
    sender: Sender<Result<Option<Vec<u8>>>>,
    wanted: Arc<Notify>,
}

impl Reading {
    async fn run(self) {
        let end = self.read().await;
        if let Err(error) = &end {
            let is_late = *error.kind() == Kind::TimedOut;
            let outcome = if is_late { "timed_out" } else { "failed" };
            self.cluster.reads.failed(outcome);
        }
        let _ = self.sender.send(end.map(|()| None)).await;
    }

    /// Returns at the end, and when nobody takes the batches any more.
    async fn read(&self) -> Result<()> {
        let deadline = self.asking.deadline;
        let Some(mut scan) = self.scan().await? else {
            return Ok(());
        };
        let Some(mut open) = self.open().await? else {
            return Ok(());
        };
        loop {
            // The batch first: one that is there, as the cursor's first is when it opens, says how the cursor is called,
            // and only by that name it is killed.
            let batch = tokio::select! {
                biased;
                batch = timeout_at(deadline, open.cursor.next()) => batch,
                () = self.sender.closed() => return Ok(()),
            };
            drop(scan);
            let Some(batch) = batch.map_err(|_| errors::timed_out())? else {
                open.id = 0;
                return Ok(());
            };
            let failed = |error| errors::failed(&self.cluster.name, &error);
            let batch = batch.map_err(failed)?;
            open.id = cursor_id(&batch);
            let documents = batch.doc_slices().map_err(failed)?;
            if !documents.is_empty() {
                let bytes = documents.as_bytes().to_vec();
                drop(batch);
                self.cluster.reads.read(bytes.len());
                // There is room: the batch before it was taken, or this one would not be wanted.
                let taken = self.sender.send(Ok(Some(bytes))).await.is_ok();
                if open.id == 0 || !taken || !self.is_wanted().await? {
                    return Ok(());
                }
            } else if open.id == 0 {
                return Ok(());
            }
            scan = match self.scan().await? {
                Some(scan) => scan,
                None => return Ok(()),
            };
        }
    }

    /// Waits until the next batch is wanted; false where nobody takes it any more.
    async fn is_wanted(&self) -> Result<bool> {
        let wanted = async {
            tokio::select! {
                () = self.wanted.notified() => true,
                () = self.sender.closed() => false,
            }
        };
        let wanted = timeout_at(self.asking.deadline, wanted).await;
        wanted.map_err(|_| errors::timed_out())
    }

    /// The right to fetch one batch; none where nobody takes it any more.
    async fn scan(&self) -> Result<Option<SemaphorePermit<'_>>> {
        let scan = timeout_at(self.asking.deadline, self.cluster.scans.acquire());
        let scan = tokio::select! {
            biased;
            () = self.sender.closed() => return Ok(None),
            scan = scan => scan,
        };
        let closed = |error| Error::internal("a cluster takes no more scans").because(error);
        scan.map_err(|_| errors::timed_out())?
            .map(Some)
            .map_err(closed)
    }

    /// Opens the cursor; none where nobody takes the batches any more.
    async fn open(&self) -> Result<Option<Open>> {
        let database = self.cluster.database(&self.place.database).await?;
        let abandoned = async {
            self.sender.closed().await;
            tokio::time::sleep(OPENING).await;
        };
        let opened = tokio::select! {
            opened = timeout_at(self.asking.deadline + OPENING, self.asked(&database)) => opened,
            () = abandoned => return Ok(None),
        };
        let cursor = opened
            .map_err(|_| errors::timed_out())?
            .map_err(|error| errors::failed(&self.cluster.name, &error))?;
        Ok(Some(Open {
            cursor,
            id: 0,
            database,
            collection: self.place.collection.clone(),
            cluster: Arc::clone(&self.cluster),
        }))
    }

    async fn asked(&self, database: &Database) -> mongodb::error::Result<RawBatchCursor> {
        let collection = database.collection::<Document>(&self.place.collection);
        let left = self.asking.deadline.duration_since(Instant::now());
        // To MongoDB a limit of no time at all is none, and there are longest ones.
        let left = left.clamp(Duration::from_millis(1), LONGEST);
        let batch = self.cluster.settings.batch_documents;
        let comment = self.asking.comment.as_str();
        let collation = self.place.collation();
        let primary = || SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let criteria = self.asking.of_primary.then(primary);
        match &self.command {
            Command::Find(find) => {
                let mut options = FindOptions::builder()
                    .batch_size(batch)
                    .max_time(left)
                    .comment(Bson::from(comment))
                    .build();
                options.projection = Some(find.projection.clone()).filter(|some| !some.is_empty());
                options.sort = find.sort.clone();
                options.limit = find.limit;
                options.collation = collation;
                options.selection_criteria = criteria;
                let find = collection.find(find.filter.clone());
                find.with_options(options).batch().await
            }
            Command::Aggregate(pipeline) => {
                let mut options = AggregateOptions::builder()
                    .batch_size(batch)
                    .max_time(left)
                    .comment(Bson::from(comment))
                    .build();
                options.collation = collation;
                options.selection_criteria = criteria;
                let aggregate = collection.aggregate(pipeline.clone());
                aggregate.with_options(options).batch().await
            }
        }
    }
}

/// A cursor and what it is called on its server: 0 once it is at its end.
struct Open {
    cursor: RawBatchCursor,
    id: i64,
    database: Database,
    collection: String,
    cluster: Arc<Cluster>,
}

/// The driver kills a cursor that is dropped before its end, but asks whatever server commands go to, which need not be
/// the one that has it: so where there are several, each of them is asked. To all but one the cursor is unknown.
impl Drop for Open {
    fn drop(&mut self) {
        let servers = self.cluster.servers();
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.id == 0 || servers.len() < 2 {
            return;
        }
        for server in servers {
            let database = self.database.clone();
            let kill = doc! {"killCursors": &self.collection, "cursors": [self.id]};
            runtime.spawn(async move {
                let only =
                    SelectionCriteria::Predicate(Arc::new(move |info| *info.address() == server));
                let kill = database.run_command(kill).selection_criteria(only);
                let _ = timeout(KILLING, kill.into_future()).await;
            });
        }
    }
}

fn cursor_id(batch: &RawBatch) -> i64 {
    let cursor = batch.as_raw_document().get_document("cursor");
    cursor
        .and_then(|cursor| cursor.get_i64("id"))
        .unwrap_or_default()
}
