//! The answer to a question: a cursor, read batch by batch.

use std::sync::Arc;
use std::time::Duration;

use collections::Command;
use futures::StreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document};
use mongodb::error::{Error as DriverError, ErrorKind};
use mongodb::options::{Collation, ReadConcern};
use mongodb::raw_batch_cursor::RawBatchCursor;
use rules::{Error, Result};
use tokio::time::Instant;

use super::Cluster;

/// What goes with every command.
#[derive(Debug, Clone)]
pub struct Asking {
    /// When the whole answer must be there.
    pub deadline: Instant,
    /// What the cluster's own tools show beside the command: the query's id.
    pub comment: String,
}

/// Batches of documents. Dropped before its end, it is ended on the cluster too.
pub struct Answers {
    cursor: RawBatchCursor,
    cluster: Arc<Cluster>,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Answers")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Answers {
    pub(super) async fn open(
        cluster: &Arc<Cluster>,
        collection: &Collection<Document>,
        command: Command,
        has_collation: bool,
        asking: &Asking,
    ) -> Result<Self> {
        let _read = cluster.read().await?;
        let left = asking.deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            return Err(too_late());
        }
        let comment = Bson::String(asking.comment.clone());
        let size = cluster.settings.batch_documents;
        let concern = cluster.settings.read_concern;
        let concern = concern.map(|concern| ReadConcern::custom(concern.name()));
        // Bytes are compared, as SQL does, even where the collection was made to compare otherwise.
        let simple = || Collation::builder().locale("simple".to_owned()).build();
        let cursor = match command {
            Command::Find(find) => {
                let mut asked = collection
                    .find(find.filter)
                    .projection(find.projection)
                    .batch_size(size)
                    .max_time(left)
                    .comment(comment);
                if let Some(sort) = find.sort {
                    asked = asked.sort(sort);
                }
                if let Some(limit) = find.limit {
                    asked = asked.limit(limit);
                }
                if let Some(concern) = concern {
                    asked = asked.read_concern(concern);
                }
                if has_collation {
                    asked = asked.collation(simple());
                }
                asked.batch().await
            }
            Command::Aggregate(pipeline) => {
                let mut asked = collection
                    .aggregate(pipeline)
                    .batch_size(size)
                    .max_time(left)
                    .comment(comment);
                if let Some(concern) = concern {
                    asked = asked.read_concern(concern);
                }
                if has_collation {
                    asked = asked.collation(simple());
                }
                asked.batch().await
            }
        };
        Ok(Self {
            cursor: cursor.map_err(failed)?,
            cluster: Arc::clone(cluster),
        })
    }

    /// The next documents as a BSON array; `None` at the end.
    ///
    /// # Errors
    /// `Unavailable` when the cluster does not answer or has forgotten the answer; `TimedOut`.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let batch = {
                let _read = self.cluster.read().await?;
                self.cursor.next().await
            };
            let Some(batch) = batch.transpose().map_err(failed)? else {
                return Ok(None);
            };
            let documents = batch.doc_slices().map_err(failed)?;
            // A cluster may answer with nothing before it goes on.
            if !documents.is_empty() {
                return Ok(Some(documents.as_bytes().to_vec()));
            }
        }
    }
}

impl Cluster {
    /// Waits for the turn of a read. It is given back before the next one, so no answer waits for another one's end.
    async fn read(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let permit = self.reads.acquire().await;
        permit.map_err(|error| Error::internal("no reads are admitted").because(error))
    }
}

/// The cluster cannot be asked; the reason is for the log.
pub(super) fn silent(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable("the MongoDB cluster of this organization does not answer; try again")
        .because(reason)
}

fn too_late() -> Error {
    Error::timed_out("the query reached its time limit and was stopped; narrow it or add a LIMIT")
}

/// Codes of MongoDB's, each with the name that its documentation gives it.
mod code {
    pub(super) const UNAUTHORIZED: i32 = 13;
    pub(super) const AUTHENTICATION_FAILED: i32 = 18;
    pub(super) const MAX_TIME_EXPIRED: i32 = 50;
    pub(super) const CURSOR_NOT_FOUND: i32 = 43;
    pub(super) const QUERY_PLAN_KILLED: i32 = 175;
    pub(super) const CURSOR_KILLED: i32 = 237;
    pub(super) const TOO_MUCH_MEMORY: [i32; 3] = [146, 292, 16945];
    /// Interrupted, shut down, not the primary any more and the like.
    pub(super) const PASSING: [i32; 13] = [
        6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11601, 11602, 13435, 13436,
    ];
}

/// What the driver's errors mean. They name hosts, so they are for the log.
pub(super) fn failed(error: DriverError) -> Error {
    let ErrorKind::Command(command) = error.kind.as_ref() else {
        return silent(error);
    };
    match command.code {
        code::MAX_TIME_EXPIRED => too_late().because(error),
        code::UNAUTHORIZED
        | code::AUTHENTICATION_FAILED
        | code::CURSOR_NOT_FOUND
        | code::QUERY_PLAN_KILLED
        | code::CURSOR_KILLED => silent(error),
        passing if code::PASSING.contains(&passing) => silent(error),
        memory if code::TOO_MUCH_MEMORY.contains(&memory) => Error::invalid(
            "the query needs more memory than the MongoDB cluster gives one; narrow it",
        )
        .because(error),
        _ => Error::internal("the MongoDB cluster refused the question").because(error),
    }
}
