//! Asynchronous queries: submitted, run when their turn comes, fetched by a signed URL.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use collections::{Question, Table};
use rules::{Caller, Error, OrgId, Result, TableName, UserId};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use super::SqlQueries;
use super::history::{Reader, new_query, note};
use super::results::ResultFile;
use super::signed_url::{SignedUrl, expired, forged};
use crate::directory::{Organization, QueryStatus, SqlQuery};
use crate::engine::{Attendant, Batches, Format, Output, Progress, Request, Rows, ServerTable};
use crate::guard::Place;
use crate::traces::TARGET;

const RESTARTED: &str = "the server restarted; submit it again";

/// A query to run later.
#[derive(Debug, Clone)]
pub struct Submission {
    pub sql: String,
    pub format: Format,
    /// A second submission of the same user with the same key is the first one.
    pub idempotency_key: Option<String>,
}

/// What the submitter gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    pub query_id: String,
    /// Path and query.
    pub signed_url: String,
    pub expires_at: DateTime<Utc>,
}

/// Why a query ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Canceled,
    ServerEnds,
}

/// A submitted query that has not ended.
#[derive(Debug)]
pub(super) struct Running {
    _place: Place<OrgId>,
    /// Holds a reason when the query is to end.
    stop: watch::Sender<Option<Stop>>,
    progress: watch::Receiver<Progress>,
    /// Its sender is gone when the query's end is stored.
    ended: watch::Receiver<()>,
}

/// The query's own ends of its place among those that run.
struct Entered {
    stopped: watch::Receiver<Option<Stop>>,
    progress: watch::Sender<Progress>,
    ending: watch::Sender<()>,
}

/// What a running query may see of the server, and where it tells how far it is.
struct Watched {
    reader: Reader,
    progress: watch::Sender<Progress>,
}

#[async_trait::async_trait]
impl Attendant for Watched {
    async fn rows(&self, table: ServerTable, after: Option<String>) -> Result<Rows> {
        self.reader.rows(table, after).await
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        self.reader.table(name).await
    }

    async fn ask(
        &self,
        name: &TableName,
        question: &Question,
        deadline: Instant,
    ) -> Result<Batches> {
        self.reader.ask(name, question, deadline).await
    }

    fn progress(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }
}

impl SqlQueries {
    /// Accepts a query, which runs when its turn comes; it is stored when this returns.
    ///
    /// # Errors
    /// `Unprocessable` when the idempotency key was used for another query, `Unavailable` when too many wait.
    pub async fn submit(
        self: &Arc<Self>,
        organization: &Organization,
        caller: Caller,
        submission: Submission,
        now: DateTime<Utc>,
    ) -> Result<Handle> {
        let org = &organization.org_id;
        let Submission {
            sql,
            format,
            idempotency_key,
        } = submission;
        let life = TimeDelta::hours(self.config.limits.sql_result_hours.into());
        let mut query = new_query(org, &caller, &sql, QueryStatus::Queued, now)?;
        query.result_format = Some(format.name().to_owned());
        query.idempotency_key = idempotency_key;
        query.expires_at = Some((now + life).trunc_subsecs(0));
        // Before a place is asked for: what is submitted already needs none.
        if query.idempotency_key.is_some()
            && let Some(first) = self.directory.submitted_query(&query).await?
        {
            return self.handle_of_first(&query, &first).await;
        }
        let place = self.places.take(org.clone()).ok_or_else(|| {
            Error::unavailable(
                "too many queries of this organization are waiting; try again when some have ended",
            )
        })?;
        let folder = self.folder(org, &query.query_id)?;
        let output = Output::File {
            folder,
            format,
            bytes: self.config.limits.sql_file_bytes,
        };
        let reader = Reader::new(self, organization, &caller, &query.query_id);
        let request = self
            .request(organization, caller, sql, now, output, &reader)
            .await?;
        let queries = Arc::clone(self);
        // A caller who hangs up just now leaves no stored query that nobody runs.
        let stored = tokio::spawn(async move {
            // First among those that run: who is told of it by its key may end it at once.
            let entered = queries.enter(&query.query_id, place);
            let first = queries.directory.submit_query(&query).await;
            match first {
                Ok(None) => queries.start(query.clone(), request, reader, entered),
                _ => {
                    queries.running().remove(&query.query_id);
                }
            }
            Ok::<_, Error>((query, first?))
        });
        let stored = stored.await;
        let broke = |error| Error::internal("the submission broke off").because(error);
        let (query, first) = stored.map_err(broke)??;
        match first {
            None => self.handle(&query).await,
            Some(first) => self.handle_of_first(&query, &first).await,
        }
    }

    /// The handle of the query that was submitted first with this one's key.
    async fn handle_of_first(&self, query: &SqlQuery, first: &SqlQuery) -> Result<Handle> {
        if first.sql_query != query.sql_query || first.result_format != query.result_format {
            return Err(Error::unprocessable(
                &["header", "idempotency-key"],
                "this key was used for another query; take a new one",
                "value_error",
            ));
        }
        self.handle(first).await
    }

    /// The URL of a query's result.
    async fn handle(&self, query: &SqlQuery) -> Result<Handle> {
        let url = SignedUrl {
            org_id: query.org_id.clone(),
            query_id: query.query_id.clone(),
            format: format_of(query)?,
            expires_at: query.expires_at.ok_or_else(expired)?,
        };
        Ok(Handle {
            query_id: url.query_id.clone(),
            signed_url: self.signer.sign(&url).await?,
            expires_at: url.expires_at,
        })
    }

    fn enter(&self, query_id: &str, place: Place<OrgId>) -> Entered {
        let (stop, stopped) = watch::channel(None);
        let (progress, told) = watch::channel(Progress::default());
        let (ending, ended) = watch::channel(());
        let running = Running {
            _place: place,
            stop,
            progress: told,
            ended,
        };
        self.running().insert(query_id.to_owned(), running);
        Entered {
            stopped,
            progress,
            ending,
        }
    }

    fn start(
        self: &Arc<Self>,
        query: SqlQuery,
        request: Request,
        reader: Reader,
        entered: Entered,
    ) {
        let Entered {
            stopped,
            progress,
            ending,
        } = entered;
        let id = query.query_id.clone();
        let queries = Arc::clone(self);
        let watched = Watched { reader, progress };
        let span = info_span!(target: TARGET, "asynchronous query");
        let work = async move {
            if let Err(error) = queries.carry_out(query, &request, &watched, stopped).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the end of a submitted query could not be stored"
                );
            }
            queries.running().remove(&id);
            drop(ending);
        };
        tokio::spawn(work.instrument(span));
    }

    /// Runs the query and stores how it ended.
    async fn carry_out(
        &self,
        mut query: SqlQuery,
        request: &Request,
        watched: &Watched,
        mut stopped: watch::Receiver<Option<Stop>>,
    ) -> Result<()> {
        let (org, id) = (query.org_id.clone(), query.query_id.clone());
        let limit = Duration::from_secs(self.config.limits.sql_async_seconds);
        let started = async || {
            self.make_folder(&org, &id).await?;
            self.directory.start_query(&id, self.clock.now()).await?;
            Ok(())
        };
        let stop = tokio::select! {
            ran = self.pool.run_into_file(request, watched, limit, started) => {
                note(&mut query, &ran, self.clock.now());
                log_failure(ran.result.err());
                None
            }
            // An error: nobody is left who could stop it, so the server ends.
            stop = stopped.wait_for(Option::is_some) => {
                Some(stop.ok().and_then(|stop| *stop).unwrap_or(Stop::ServerEnds))
            }
        };
        if let Some(stop) = stop {
            let progress = *watched.progress.borrow();
            (query.rows, query.bytes) = (progress.rows, progress.bytes);
            query.finished_at = Some(self.clock.now());
            (query.status, query.error) = match stop {
                Stop::Canceled => (QueryStatus::Canceled, None),
                Stop::ServerEnds => (QueryStatus::Failed, Some(RESTARTED.to_owned())),
            };
        }
        if query.status != QueryStatus::Succeeded {
            // First the file: a query that is known to have failed has none. Where there is one left, its time ends it.
            if let Err(error) = self.remove_folder(&org, &id).await {
                left_behind(&query, &error);
            }
        }
        self.directory.finish_query(&query).await
    }

    /// The query of that id, if the caller may see it: their own, or anybody's with [`super::OTHERS_PERMISSION`]. Where its
    /// result is, only its submitter is told: others may not see the rows that the submitter may.
    ///
    /// # Errors
    /// `NotFound` otherwise.
    pub async fn query(&self, org: &OrgId, caller: &Caller, query_id: &str) -> Result<Status> {
        let own = Some((&caller.org_id, &caller.user_id));
        if let Some(query) = self.find(org, own, query_id).await? {
            let query = self.with_progress(query);
            let handle = match self.is_fetchable(&query) {
                true => Some(self.handle(&query).await?),
                false => None,
            };
            return Ok(Status { query, handle });
        }
        let others = match super::may_see_others(caller, org) {
            true => self.find(org, None, query_id).await?,
            false => None,
        };
        let query = others.ok_or_else(|| {
            Error::not_found("there is no such query; query_history lists those you may see")
        })?;
        Ok(Status {
            query: self.with_progress(query),
            handle: None,
        })
    }

    async fn find(
        &self,
        org: &OrgId,
        user: Option<(&OrgId, &UserId)>,
        query_id: &str,
    ) -> Result<Option<SqlQuery>> {
        if let Some(query) = self.directory.sql_query(org, user, query_id).await? {
            return Ok(Some(query));
        }
        self.history.flush().await;
        self.directory.sql_query(org, user, query_id).await
    }

    fn with_progress(&self, mut query: SqlQuery) -> SqlQuery {
        if let Some(running) = self.running().get(&query.query_id) {
            let progress = *running.progress.borrow();
            (query.rows, query.bytes) = (progress.rows, progress.bytes);
        }
        query
    }

    /// Whether there is a result, or may be one.
    fn is_fetchable(&self, query: &SqlQuery) -> bool {
        query.result_format.is_some()
            && (!query.status.is_finished() || query.status == QueryStatus::Succeeded)
            && query.expires_at.is_some_and(|at| at > self.clock.now())
    }

    /// Ends a query that has not ended, and then it no longer runs; deletes the result of one that has.
    ///
    /// # Errors
    /// As [`SqlQueries::query`].
    pub async fn cancel(&self, org: &OrgId, caller: &Caller, query_id: &str) -> Result<Status> {
        self.query(org, caller, query_id).await?;
        let ended = self.running().get(query_id).map(|running| {
            running.stop.send_replace(Some(Stop::Canceled));
            running.ended.clone()
        });
        if let Some(mut ended) = ended {
            // Always an error: the sender sends nothing but its end.
            let _ = ended.changed().await;
            // It may have succeeded just before.
            let status = self.query(org, caller, query_id).await?;
            if status.query.status != QueryStatus::Succeeded {
                return Ok(status);
            }
        }
        self.remove_folder(org, query_id).await?;
        self.directory.forget_result(query_id).await?;
        self.query(org, caller, query_id).await
    }

    /// The result that a URL names.
    ///
    /// # Errors
    /// `Forbidden` for a forged or changed URL, `Gone` for an expired one, one whose result was deleted or whose submitter
    /// is no longer a user, `Invalid` and `TimedOut` with the reason why the query failed.
    pub async fn result(&self, url: &SignedUrl, kid: &str, signature: &str) -> Result<Fetched> {
        let signed_until = self.signer.verify(url, kid, signature).await?;
        let (org, id) = (&url.org_id, &url.query_id);
        let query = self.directory.sql_query(org, None, id).await?;
        let query = query.ok_or_else(expired)?;
        // None of these was ever signed here: somebody knows an old secret.
        if format_of(&query)? != url.format
            || query.expires_at.is_some_and(|at| at != url.expires_at)
            || query.created_at >= signed_until
        {
            return Err(forged());
        }
        if !self.directory.has_submitter(&query).await? {
            return Err(expired());
        }
        let reason = || query.error.clone().unwrap_or_default();
        match query.status {
            QueryStatus::Queued | QueryStatus::Running => {
                Ok(Fetched::NotYet(self.with_progress(query)))
            }
            QueryStatus::Failed => Err(Error::invalid(reason())),
            QueryStatus::TimedOut => Err(Error::timed_out(reason())),
            QueryStatus::Canceled => Err(Error::invalid("the query was cancelled")),
            QueryStatus::Succeeded if query.expires_at.is_none() => Err(expired()),
            QueryStatus::Succeeded => Ok(Fetched::File(ResultFile::new(self, url, query.bytes)?)),
        }
    }

    /// Ends what runs when the server ends, and waits for the history.
    pub async fn close(&self) {
        let ended: Vec<_> = {
            let running = self.running();
            let tell = running.values().map(|running| {
                running.stop.send_replace(Some(Stop::ServerEnds));
                running.ended.clone()
            });
            tell.collect()
        };
        for mut ended in ended {
            let _ = ended.changed().await;
        }
        self.history.flush().await;
    }

    /// Ends queries that a server left when it ended.
    pub(super) async fn fail_unfinished(&self) -> Result<()> {
        let now = self.clock.now();
        let left = self
            .directory
            .fail_unfinished_queries(RESTARTED, now)
            .await?;
        for query in left {
            self.remove_result(&query).await?;
        }
        Ok(())
    }

    /// Deletes results and history that are old enough. A result that cannot be deleted is in no other's way.
    pub(super) async fn expire(&self) -> Result<()> {
        let now = self.clock.now();
        for query in self.directory.expired_results(now).await? {
            self.remove_result(&query).await?;
        }
        let days = TimeDelta::days(self.config.keeping.query_history_days.into());
        self.directory.forget_queries(now - days).await?;
        Ok(())
    }

    /// Deletes a result of which nobody is told any more. One that cannot be deleted is tried again when its time is over.
    async fn remove_result(&self, query: &SqlQuery) -> Result<()> {
        match self.remove_folder(&query.org_id, &query.query_id).await {
            Ok(()) => self.directory.forget_result(&query.query_id).await,
            Err(error) => {
                left_behind(query, &error);
                Ok(())
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, std::collections::HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query as a caller sees it.
#[derive(Debug, Clone)]
pub struct Status {
    /// With the rows and bytes so far.
    pub query: SqlQuery,
    /// None when there is no result for the caller to fetch, and will be none.
    pub handle: Option<Handle>,
}

/// What a URL leads to.
#[derive(Debug)]
pub enum Fetched {
    NotYet(SqlQuery),
    File(ResultFile),
}

fn left_behind(query: &SqlQuery, error: &Error) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        query_id = query.query_id,
        "a result is left behind"
    );
}

/// What the submitter is told goes into the history; what is the server's fault goes to its log too.
fn log_failure(error: Option<Error>) {
    use rules::Kind::{Internal, StorageFull, Unavailable};
    if let Some(error) = error
        && matches!(error.kind(), Internal | StorageFull | Unavailable)
    {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a submitted query failed"
        );
    }
}

fn format_of(query: &SqlQuery) -> Result<Format> {
    let format = query.result_format.as_deref().and_then(Format::parse);
    format.ok_or_else(|| Error::not_found("the query has no result file"))
}
