//! What a running query asks of the server, and how it is answered: several questions at a time, each in its own time.

use std::collections::HashMap;
use std::sync::Arc;

use collections::{Question, Table};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, SelectAll};
use futures::{FutureExt, StreamExt};
use rules::{Error, Result, TableName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::protocol::{Input, Message, Progress, Reply, Rows, ServerTable};

/// The most answers of collections that one query may have open.
const OPEN_MAX: usize = 256;

/// Batches that are fetched for one query at once, or wait to be written to its worker: each may have 16 MB.
const ON_THEIR_WAY_MAX: usize = 4;

/// Batches that one query's answers may have read before they are wanted, beside those.
const READ_AHEAD_MAX: usize = 4;

/// Batches of documents, each a BSON array. Dropping it ends it on the cluster too.
pub type Batches = BoxStream<'static, Result<Vec<u8>>>;

/// What a running query asks of the server, and tells it.
#[async_trait::async_trait]
pub trait Attendant: Send + Sync {
    /// The next rows of a table of the server's, as this query's caller may see it.
    ///
    /// # Errors
    /// When they cannot be read; the query then fails.
    async fn rows(&self, table: ServerTable, after: Option<String>) -> Result<Rows>;

    /// What a collection of the query's organization looks like; `None` where it is none.
    ///
    /// # Errors
    /// `Unavailable` when its cluster does not answer; the query then fails so.
    async fn table(&self, _name: &TableName) -> Result<Option<Table>> {
        Ok(None)
    }

    /// The answer to a question to a collection of the query's organization, which must be there by the deadline.
    ///
    /// # Errors
    /// `Unavailable` when its cluster does not answer, `TimedOut`; the query then fails so. So do batches.
    async fn ask(&self, name: &TableName, _: &Question, _: Instant) -> Result<Batches> {
        Err(Error::not_found(format!("there is no collection {name}")))
    }

    /// The query is that far.
    fn progress(&self, _progress: Progress) {}
}

/// What to send to the worker.
pub(super) struct Said {
    pub input: Input,
    /// Follows the input.
    pub body: Vec<u8>,
    /// What the query fails of.
    pub failure: Option<Error>,
    /// Given back when the worker has it.
    _place: Option<OwnedSemaphorePermit>,
}

/// A query's questions that are not answered yet.
pub(super) struct Attended<'a> {
    attendant: &'a dyn Attendant,
    deadline: Instant,
    replies: SelectAll<BoxStream<'a, Said>>,
    open: HashMap<u32, Open>,
    hands: Hands,
}

/// What a query's answers together may hold in the server, in batches.
///
/// Nobody waits for a place to read ahead. Who has one on the way waits for the cluster, which has a deadline, and for the
/// worker to take what it asked for; it does so on a thread of its own, whatever its plan waits for. So the places on the
/// way come back without any other answer being read, and a plan may read any number of answers in any order.
#[derive(Clone)]
struct Hands {
    on_their_way: Arc<Semaphore>,
    ahead: Arc<Semaphore>,
}

/// An answer of a collection. Dropping it ends it.
struct Open {
    wanted: mpsc::UnboundedSender<()>,
    _end: oneshot::Sender<()>,
}

impl<'a> Attended<'a> {
    pub(super) fn new(attendant: &'a dyn Attendant, deadline: Instant) -> Self {
        Self {
            attendant,
            deadline,
            replies: SelectAll::new(),
            open: HashMap::new(),
            hands: Hands {
                on_their_way: Arc::new(Semaphore::new(ON_THEIR_WAY_MAX)),
                ahead: Arc::new(Semaphore::new(READ_AHEAD_MAX)),
            },
        }
    }

    /// The next thing to send; waits for ever where nothing is asked.
    pub(super) async fn next(&mut self) -> Said {
        match self.replies.next().await {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }

    /// Takes up what the worker says in the middle of a query. None: it may not say that.
    pub(super) fn hear(&mut self, message: Message) -> Option<()> {
        let attendant = self.attendant;
        match message {
            Message::Progress(progress) => attendant.progress(progress),
            Message::Wants { id, table, after } => {
                let rows = attendant.rows(table, after);
                let reply = rows.map(move |rows| match rows {
                    Ok(Rows { json, next }) => {
                        let bytes = json.len();
                        Said {
                            body: json.into_bytes(),
                            ..replied(id, Ok(Reply::Rows { bytes, next }))
                        }
                    }
                    Err(error) => replied(id, Err(error)),
                });
                self.replies.push(stream::once(reply).boxed());
            }
            Message::Describe {
                id,
                table,
                is_needed,
            } => {
                let reply = async move {
                    let described = match attendant.table(&table).await {
                        Err(error) if !is_needed => {
                            left_out(&table, &error);
                            Ok(None)
                        }
                        described => described,
                    };
                    replied(id, described.map(Reply::Table))
                };
                self.replies.push(stream::once(reply).boxed());
            }
            Message::Ask {
                id,
                table,
                question,
            } => {
                let (wanted, wants) = mpsc::unbounded_channel();
                let (end, ended) = oneshot::channel();
                let deadline = self.deadline;
                let has_room = self.open.len() < OPEN_MAX;
                let batches = async move {
                    if !has_room {
                        return Err(Error::invalid(format!(
                            "the query reads more than {OPEN_MAX} answers at once; simplify it"
                        )));
                    }
                    attendant.ask(&table, &question, deadline).await
                };
                self.open.insert(id, Open { wanted, _end: end });
                let hands = self.hands.clone();
                let answer = answer(id, batches.boxed(), hands, wants, ended);
                self.replies.push(answer);
            }
            Message::Next { id } => {
                // Its end may be on its way to the worker.
                let open = self.open.get(&id);
                let _ = open.map(|open| open.wanted.send(()));
            }
            Message::Close { id } => {
                self.open.remove(&id);
            }
            Message::Answer(_) | Message::Pong => return None,
        }
        Some(())
    }
}

/// One collection that cannot be described is no reason to tell of none.
fn left_out(table: &TableName, error: &Error) {
    let source = std::error::Error::source(error);
    tracing::warn!(
        table = table.as_str(),
        source,
        "lists of columns go without a collection: {error}"
    );
}

/// The reply to the message of that number.
fn replied(id: u32, reply: Result<Reply>) -> Said {
    let (reply, failure) = match reply {
        Ok(reply) => (reply, None),
        Err(error) => (Reply::Failed, Some(error)),
    };
    Said {
        input: Input::Reply { id, reply },
        body: Vec::new(),
        failure,
        _place: None,
    }
}

/// The batches, each sent when it is wanted, and fetched before where there is a place for it, until `ended`.
fn answer(
    id: u32,
    batches: BoxFuture<'_, Result<Batches>>,
    hands: Hands,
    wants: mpsc::UnboundedReceiver<()>,
    ended: oneshot::Receiver<()>,
) -> BoxStream<'_, Said> {
    let said = stream::unfold(Some((Source::Asked(batches), wants)), move |state| {
        let Hands {
            on_their_way,
            ahead,
        } = hands.clone();
        async move {
            let (source, mut wants) = state?;
            let ((batch, source), place) = match ahead.try_acquire_owned() {
                Ok(place) => {
                    let fetched = source.next().await;
                    wants.recv().await?;
                    (fetched, place)
                }
                Err(_) => {
                    wants.recv().await?;
                    // It is never closed.
                    let place = on_their_way.acquire_owned().await.ok()?;
                    (source.next().await, place)
                }
            };
            Some(match batch {
                Ok(Some(body)) => {
                    let reply = Reply::Batch { bytes: body.len() };
                    let batch = Said {
                        body,
                        _place: Some(place),
                        ..replied(id, Ok(reply))
                    };
                    (batch, Some((source, wants)))
                }
                Ok(None) => (replied(id, Ok(Reply::End)), None),
                Err(error) => (replied(id, Err(error)), None),
            })
        }
    });
    said.take_until(ended).boxed()
}

/// Where batches come from.
enum Source<'a> {
    Asked(BoxFuture<'a, Result<Batches>>),
    Answered(Batches),
}

impl Source<'_> {
    async fn next(self) -> (Result<Option<Vec<u8>>>, Self) {
        let mut batches = match self {
            Self::Asked(asked) => match asked.await {
                Ok(batches) => batches,
                Err(error) => return (Err(error), Self::Answered(stream::empty().boxed())),
            },
            Self::Answered(batches) => batches,
        };
        let batch = batches.next().await.transpose();
        (batch, Self::Answered(batches))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use collections::Filter;

    use super::*;

    /// Has endless answers, and counts the batches that were fetched of them.
    #[derive(Default)]
    struct Endless(Arc<AtomicUsize>);

    #[async_trait::async_trait]
    impl Attendant for Endless {
        async fn rows(&self, _: ServerTable, _: Option<String>) -> Result<Rows> {
            Err(Error::internal("no rows"))
        }

        async fn ask(&self, _: &TableName, _: &Question, _: Instant) -> Result<Batches> {
            let fetched = Arc::clone(&self.0);
            let batches = stream::repeat_with(move || {
                fetched.fetch_add(1, Ordering::Relaxed);
                Ok(vec![0])
            });
            Ok(batches.boxed())
        }
    }

    fn ask(attended: &mut Attended<'_>, id: u32) {
        let question = Question::Find {
            filter: Filter::Everything,
            fields: Vec::new(),
            order: None,
            limit: None,
        };
        let ask = Message::Ask {
            id,
            table: TableName::parse("visits").unwrap(),
            question: Box::new(question),
        };
        attended.hear(ask).unwrap();
    }

    /// All that can be sent by now.
    fn sent(attended: &mut Attended<'_>) -> Vec<Said> {
        std::iter::from_fn(|| attended.next().now_or_never()).collect()
    }

    #[test]
    fn many_answers_hold_few_batches_and_none_waits_for_another_to_be_read() {
        let endless = Endless::default();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut attended = Attended::new(&endless, deadline);
        let fetched = || endless.0.load(Ordering::Relaxed);
        (0..100).for_each(|id| ask(&mut attended, id));
        assert!(sent(&mut attended).is_empty());
        assert_eq!(fetched(), READ_AHEAD_MAX, "before any is wanted");
        // Only others than those that have read ahead are wanted: each of them gets through.
        for id in (50..100).rev() {
            attended.hear(Message::Next { id }).unwrap();
            let ids: Vec<u32> = sent(&mut attended).iter().map(id_of).collect();
            assert_eq!(ids, [id]);
        }
        assert_eq!(fetched(), READ_AHEAD_MAX + 50);
        // All are wanted, and the worker takes nothing.
        (0..100).for_each(|id| attended.hear(Message::Next { id }).unwrap());
        let unwritten = sent(&mut attended);
        assert_eq!(unwritten.len(), READ_AHEAD_MAX + ON_THEIR_WAY_MAX);
        assert_eq!(fetched(), 50 + unwritten.len());
        let mut ids: Vec<u32> = unwritten.iter().map(id_of).collect();
        drop(unwritten);
        // It takes them.
        while let Some(said) = attended.next().now_or_never() {
            ids.push(id_of(&said));
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
    }

    fn id_of(said: &Said) -> u32 {
        match said.input {
            Input::Reply {
                id,
                reply: Reply::Batch { .. },
            } => id,
            ref other => panic!("{other:?}"),
        }
    }
}
