//! The history of queries: written behind the answers, read by `query_history`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use collections::{Question, Table};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use rules::{Caller, Error, Kind, OrgId, Result, TableName, UserId};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{AUDIT_PERMISSION, SqlQueries, has, may_see_others};
use crate::clock::Clock;
use crate::clusters::{Asking, Collections};
use crate::directory::{Directory, Organization, QueryStatus, SqlQuery, object_id};
use crate::engine::{Attendant, Batches, Cost, Ran, Rows, ServerTable};
use crate::guard::Audit;

/// Rows of the history that go to a worker at once.
const PAGE_ROWS: u32 = 500;
/// About how many bytes of rows go to a worker at once.
const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Queries stored in one transaction.
const GROUP_MAX: usize = 1000;
/// How long queries gather: one transaction costs as much for many as for one.
const GATHER: Duration = Duration::from_millis(100);

/// Stores queries that ended: all that wait in one transaction, so that no answer waits for the disk.
#[derive(Debug, Clone)]
pub(super) struct History {
    to_store: mpsc::UnboundedSender<Item>,
}

#[derive(Debug)]
enum Item {
    Query(Box<SqlQuery>),
    /// Told when everything before it is stored.
    Flush(oneshot::Sender<()>),
}

impl History {
    pub(super) fn start(directory: Directory) -> Self {
        let (to_store, mut items) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut group = Vec::new();
            while items.recv_many(&mut group, GROUP_MAX).await > 0 {
                gather(&mut items, &mut group).await;
                let (mut queries, mut told) = (Vec::new(), Vec::new());
                for item in group.drain(..) {
                    match item {
                        Item::Query(query) => queries.push(*query),
                        Item::Flush(tell) => told.push(tell),
                    }
                }
                if !queries.is_empty()
                    && let Err(error) = directory.record_queries(&queries).await
                {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        queries = queries.len(),
                        "queries are missing in the history"
                    );
                }
                for tell in told {
                    // Who asked may be gone.
                    let _ = tell.send(());
                }
            }
        });
        Self { to_store }
    }

    fn record(&self, query: SqlQuery) {
        // The other end lives as long as the runtime.
        let _ = self.to_store.send(Item::Query(Box::new(query)));
    }

    /// Waits until every query that has ended is stored.
    pub(super) async fn flush(&self) {
        let (tell, stored) = oneshot::channel();
        if self.to_store.send(Item::Flush(tell)).is_ok() {
            let _ = stored.await;
        }
    }
}

/// Waits for more, unless somebody waits for what is there.
async fn gather(items: &mut mpsc::UnboundedReceiver<Item>, group: &mut Vec<Item>) {
    let end = Instant::now() + GATHER;
    while group.len() < GROUP_MAX && !group.iter().any(|item| matches!(item, Item::Flush(_))) {
        let more = items.recv_many(group, GROUP_MAX);
        if matches!(timeout_at(end, more).await, Ok(0) | Err(_)) {
            return;
        }
    }
}

/// A query's row before its end.
pub(super) fn new_query(
    org: &OrgId,
    caller: &Caller,
    sql: &str,
    status: QueryStatus,
    now: DateTime<Utc>,
) -> Result<SqlQuery> {
    Ok(SqlQuery {
        query_id: object_id(now)?,
        org_id: org.clone(),
        user_org_id: caller.org_id.clone(),
        user_id: caller.user_id.clone(),
        sql_query: sql.to_owned(),
        result_format: None,
        status,
        error: None,
        idempotency_key: None,
        created_at: now,
        started_at: None,
        finished_at: None,
        expires_at: None,
        rows: 0,
        bytes: 0,
        bytes_scanned: 0,
        queue_ms: 0,
        planning_ms: 0,
        execution_ms: 0,
        peak_memory_bytes: 0,
        warning: None,
    })
}

/// Notes in a query's row how it went.
pub(super) fn note(query: &mut SqlQuery, ran: &Ran, now: DateTime<Utc>) {
    let Cost {
        rows,
        bytes,
        bytes_scanned,
        planning_ms,
        execution_ms,
        peak_memory_bytes,
        ref warning,
    } = ran.cost;
    query.queue_ms = u64::try_from(ran.queued.as_millis()).unwrap_or(u64::MAX);
    (query.rows, query.bytes, query.bytes_scanned) = (rows, bytes, bytes_scanned);
    (query.planning_ms, query.execution_ms) = (planning_ms, execution_ms);
    query.peak_memory_bytes = peak_memory_bytes;
    query.warning.clone_from(warning);
    query.finished_at = Some(now);
    query.status = QueryStatus::Succeeded;
    if let Err(error) = &ran.result {
        query.status = match error.kind() {
            Kind::TimedOut => QueryStatus::TimedOut,
            _ => QueryStatus::Failed,
        };
        query.error = Some(error.message().to_owned());
    }
}

/// A synchronous query that runs. Dropped before its end, it was cancelled: its caller hung up.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    query: Option<SqlQuery>,
    history: &'a History,
    clock: &'a Clock,
}

impl<'a> Entry<'a> {
    pub(super) fn begin(
        queries: &'a SqlQueries,
        org: &OrgId,
        caller: &Caller,
        sql: &str,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let mut query = new_query(org, caller, sql, QueryStatus::Running, now)?;
        query.started_at = Some(now);
        Ok(Self {
            query: Some(query),
            history: &queries.history,
            clock: &queries.clock,
        })
    }

    /// Empty when the query has ended.
    pub(super) fn query_id(&self) -> &str {
        self.query.as_ref().map_or("", |query| &query.query_id)
    }

    /// Notes how the query went; returns its answer.
    pub(super) fn end(mut self, ran: Ran) -> Result<Vec<u8>> {
        if let Some(mut query) = self.query.take() {
            note(&mut query, &ran, self.clock.now());
            self.history.record(query);
        }
        ran.result
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(mut query) = self.query.take() {
            query.status = QueryStatus::Canceled;
            query.finished_at = Some(self.clock.now());
            self.history.record(query);
        }
    }
}

/// What one caller's query may see of the server's tables and of the organization's collections.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) directory: Directory,
    history: History,
    pub(super) audit: Audit,
    pub(super) org_id: OrgId,
    /// Whether the caller may read the audit log.
    pub(super) sees_audit: bool,
    /// Whose queries are shown; none: everybody's.
    user: Option<(OrgId, UserId)>,
    pub(super) collections: Option<Collections>,
    query_id: String,
}

impl Reader {
    pub(super) fn new(
        queries: &SqlQueries,
        organization: &Organization,
        caller: &Caller,
        query_id: &str,
    ) -> Self {
        let org = &organization.org_id;
        let own = (caller.org_id.clone(), caller.user_id.clone());
        Self {
            directory: queries.directory.clone(),
            history: queries.history.clone(),
            audit: queries.audit.clone(),
            org_id: org.clone(),
            sees_audit: has(caller, org, AUDIT_PERMISSION),
            user: (!may_see_others(caller, org)).then_some(own),
            collections: queries.collections(organization),
            query_id: query_id.to_owned(),
        }
    }

    async fn query_history(&self, after: Option<String>) -> Result<Rows> {
        let after = after.as_deref().map(parse_place).transpose()?;
        if after.is_none() {
            self.history.flush().await;
        }
        let user = self.user.as_ref().map(|(org, user)| (org, user));
        let queries = self
            .directory
            .sql_queries(&self.org_id, user, after, PAGE_ROWS);
        let line = |query: &SqlQuery| Ok(row(query).to_string());
        let place =
            |last: &SqlQuery| format!("{}/{}", last.created_at.timestamp_millis(), last.query_id);
        page(queries, PAGE_ROWS, line, place).await
    }
}

/// Rows as lines of about [`PAGE_BYTES`], and the place behind which there are more: a row that is longer is a page. What
/// no longer fits is not read. Fewer rows than `asked` for are all there are.
pub(super) async fn page<T>(
    mut found: BoxStream<'_, Result<T>>,
    asked: u32,
    line: impl Fn(&T) -> Result<String>,
    place: impl Fn(&T) -> String,
) -> Result<Rows> {
    let mut json = String::new();
    let (mut taken, mut next) = (0, None);
    while let Some(row) = found.try_next().await? {
        json.push_str(&line(&row)?);
        json.push('\n');
        taken += 1;
        next = Some(place(&row));
        if json.len() > PAGE_BYTES {
            return Ok(Rows { json, next });
        }
    }
    let next = next.filter(|_| taken == asked);
    Ok(Rows { json, next })
}

#[async_trait::async_trait]
impl Attendant for Reader {
    async fn rows(&self, table: ServerTable, after: Option<String>) -> Result<Rows> {
        match table {
            ServerTable::AuditLog => self.audit_log(after).await,
            ServerTable::QueryHistory => self.query_history(after).await,
        }
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        match &self.collections {
            Some(collections) => collections.table(name).await,
            None => Ok(None),
        }
    }

    async fn ask(
        &self,
        name: &TableName,
        question: &Question,
        deadline: Instant,
    ) -> Result<Batches> {
        let Some(collections) = &self.collections else {
            return Err(Error::internal(
                "a worker asked for a collection where there is none",
            ));
        };
        let asking = Asking {
            deadline,
            comment: self.query_id.clone(),
            of_primary: false,
        };
        let answers = collections.ask(name, question, &asking).await?;
        let batches = stream::try_unfold(answers, async |mut answers| {
            let batch = answers.next().await?;
            Ok(batch.map(|batch| (batch, answers)))
        });
        Ok(batches.boxed())
    }
}

/// Where a page ended, as the one before it told the worker.
fn parse_place(place: &str) -> Result<(DateTime<Utc>, &str)> {
    let parsed = place.split_once('/').and_then(|(millis, id)| {
        Some((DateTime::from_timestamp_millis(millis.parse().ok()?)?, id))
    });
    parsed.ok_or_else(|| Error::internal("a worker asked for a place that is none"))
}

fn row(query: &SqlQuery) -> serde_json::Value {
    let instant = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339());
    json!({
        "query_id": query.query_id,
        "user_id": query.user_id.as_str(),
        "sql_query": query.sql_query,
        "async_query": query.result_format.is_some(),
        "result_format": query.result_format,
        "status": query.status.name(),
        "error": query.error,
        "created_at": instant(Some(query.created_at)),
        "started_at": instant(query.started_at),
        "finished_at": instant(query.finished_at),
        "rows": query.rows,
        "bytes": query.bytes,
        "bytes_scanned": query.bytes_scanned,
        "queue_ms": query.queue_ms,
        "planning_ms": query.planning_ms,
        "execution_ms": query.execution_ms,
        "peak_memory_bytes": query.peak_memory_bytes,
        "warning": query.warning,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use chrono::TimeDelta;
    use rules::{ClusterName, DEFAULT_USER_ROLE, Role, RoleName};

    use super::*;
    use crate::directory::{NewUser, Organization};

    fn user(name: &str) -> Caller {
        let role = RoleName::parse(DEFAULT_USER_ROLE).unwrap();
        Caller {
            org_id: OrgId::parse("acme").unwrap(),
            user_id: UserId::parse(name).unwrap(),
            role: Role {
                name: role,
                grants: Vec::new(),
            },
            temporary_grants: Vec::new(),
        }
    }

    fn acme(org: &OrgId) -> Organization {
        Organization {
            org_id: org.clone(),
            name: "Acme".to_owned(),
            cluster: ClusterName::parse("default").unwrap(),
            created_at: DateTime::UNIX_EPOCH,
            retention_days: None,
        }
    }

    /// The rows of all pages, and how many there are.
    async fn all(reader: &Reader) -> (Vec<serde_json::Value>, usize) {
        let (mut rows, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = reader.rows(ServerTable::QueryHistory, after).await.unwrap();
            assert!(page.json.len() < 2 * PAGE_BYTES);
            let lines = page.json.lines();
            rows.extend(lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()));
            pages += 1;
            after = page.next;
            if after.is_none() {
                return (rows, pages);
            }
        }
    }

    #[tokio::test]
    async fn pages_hold_every_query_once_and_those_of_others_only_where_they_may_be_seen() {
        let folder = tempfile::TempDir::new().unwrap();
        let directory = Directory::open(&folder.path().join("directory.db"))
            .await
            .unwrap();
        let org = OrgId::parse("acme").unwrap();
        let start = DateTime::UNIX_EPOCH;
        directory.create_organization(&acme(&org)).await.unwrap();
        let query = |caller: &Caller, number: i64, sql: &str| {
            // Many of one instant: the id orders them.
            let at = start + TimeDelta::seconds(number / 700);
            new_query(&org, caller, sql, QueryStatus::Succeeded, at).unwrap()
        };
        let (ann, bob) = (user("ann"), user("bob"));
        for caller in [&ann, &bob] {
            let user = NewUser {
                org_id: org.clone(),
                user_id: caller.user_id.clone(),
                role: caller.role.name.clone(),
                email: None,
                first_name: None,
                last_name: None,
            };
            directory.create_user(&user, start).await.unwrap();
        }
        let mut queries: Vec<SqlQuery> = (0..1203).map(|n| query(&ann, n, "SELECT 1")).collect();
        let long = "x".repeat(100_000);
        queries.extend((0..50).map(|n| query(&bob, n, &long)));
        directory.record_queries(&queries).await.unwrap();
        let history = History::start(directory.clone());
        let own = |caller: &Caller| Some((caller.org_id.clone(), caller.user_id.clone()));
        for (user, count, pages) in [(None, 1253, 4), (own(&ann), 1203, 3), (own(&bob), 50, 3)] {
            let reader = Reader {
                directory: directory.clone(),
                history: history.clone(),
                audit: Audit::of_command(directory.clone(), Clock::system()),
                org_id: org.clone(),
                sees_audit: false,
                user,
                collections: None,
                query_id: String::new(),
            };
            let (rows, taken) = all(&reader).await;
            let ids: HashSet<String> = rows.iter().map(|row| row["query_id"].to_string()).collect();
            assert_eq!((rows.len(), ids.len()), (count, count));
            assert!(taken >= pages, "{taken}");
        }
    }

    #[tokio::test]
    async fn a_page_reads_no_more_rows_than_it_holds() {
        let read = std::cell::Cell::new(0);
        let rows: Vec<Result<u32>> = (1..=5).map(Ok).collect();
        let page = page(
            stream::iter(rows).boxed(),
            5,
            |row| {
                read.set(*row);
                Ok("x".repeat(PAGE_BYTES / 2))
            },
            u32::to_string,
        );
        assert_eq!(page.await.unwrap().next.as_deref(), Some("2"));
        assert_eq!(read.get(), 2);
    }

    #[tokio::test]
    async fn what_was_recorded_is_stored_when_flushed() {
        let folder = tempfile::TempDir::new().unwrap();
        let directory = Directory::open(&folder.path().join("directory.db"))
            .await
            .unwrap();
        let org = OrgId::parse("acme").unwrap();
        let now = DateTime::UNIX_EPOCH;
        directory.create_organization(&acme(&org)).await.unwrap();
        let history = History::start(directory.clone());
        for _ in 0..2500 {
            history.record(
                new_query(&org, &user("ann"), "SELECT 1", QueryStatus::Failed, now).unwrap(),
            );
        }
        history.flush().await;
        let stored = directory
            .sql_queries(&org, None, None, 10_000)
            .try_collect::<Vec<_>>()
            .await
            .unwrap();
        assert_eq!(stored.len(), 2500);
    }
}
