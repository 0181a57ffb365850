//! What is counted while the server runs, for Prometheus to read.
//!
//! Nothing here names an organization or a user: who reads metrics need not know who the tenants are, and their number
//! is no business of a time series. What is measured is told by each field; `docs/operations.md` lists all of it.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use rules::{ClusterName, Error, Kind, Result};

mod clusters;

pub use clusters::ClusterReads;

/// Seconds; from a look-up to the longest synchronous query.
const REQUEST_SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// Seconds; asynchronous queries may wait for hours.
const WAIT_SECONDS: [f64; 8] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0];

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    endpoint: String,
}

/// How a query is answered: `page` for one that is waited for, `file` for an asynchronous one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    answer: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryEnd {
    answer: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Content {
    content: &'static str,
}

/// What a commit of prompt logs is for, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Commit {
    work: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// Everything that is counted, and the registry that knows it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_seconds: Family<Route, Histogram>,
    rate_limited: Family<Endpoint, Counter>,
    sql: Sql,
    clusters: clusters::Clusters,
    download_bytes: Family<Content, Counter>,
    prompt_logs_written: Counter,
    commits: Family<Commit, Counter>,
    memory: Gauge,
    open_files: Gauge,
}

/// What is counted of queries and their workers.
#[derive(Debug)]
struct Sql {
    queries: Family<QueryEnd, Counter>,
    wait_seconds: Family<Answer, Histogram>,
    waiting: Family<Answer, Gauge>,
    running: Family<Answer, Gauge>,
    workers: Gauge,
    workers_started: Counter,
    workers_died: Counter,
}

impl Sql {
    fn new(all: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(WAIT_SECONDS);
        let queries = "SQL queries that ended, by how they are answered and their outcome";
        let wait_seconds = "Seconds that SQL queries waited for their turn";
        let waiting = "SQL queries that wait for their turn";
        let running = "SQL queries that run, each on a worker of its own";
        let workers = "Query workers, busy and idle";
        let started = "Query workers started";
        let died = "Query workers that ended though nobody told them to, or did not answer";
        let of_seconds = Family::new_with_constructor(seconds);
        Self {
            queries: add(all, "amigo_admin_sql_queries", queries, Family::default()),
            wait_seconds: add(
                all,
                "amigo_admin_sql_wait_seconds",
                wait_seconds,
                of_seconds,
            ),
            waiting: add(all, "amigo_admin_sql_waiting", waiting, Family::default()),
            running: add(all, "amigo_admin_sql_running", running, Family::default()),
            workers: add(all, "amigo_admin_sql_workers", workers, Gauge::default()),
            workers_started: add(
                all,
                "amigo_admin_sql_workers_started",
                started,
                Counter::default(),
            ),
            workers_died: add(
                all,
                "amigo_admin_sql_workers_died",
                died,
                Counter::default(),
            ),
        }
    }
}

impl Metrics {
    /// All of them, at zero.
    pub fn new() -> Self {
        let mut all = Registry::default();
        let version = env!("CARGO_PKG_VERSION");
        let build = Info::new(Build { version });
        all.register("amigo_admin_build", "The running program", build);
        let seconds: fn() -> Histogram = || Histogram::new(REQUEST_SECONDS);
        let of_seconds = Family::new_with_constructor(seconds);
        let requests = "Requests answered, by route, method and status";
        let request_seconds = "Seconds from a request's headers to its answer's, by route";
        let limited = "Requests refused by a limit of requests a minute, by endpoint";
        let bytes = "Bytes of downloads handed to connections, by content";
        let written = "Prompt logs that requests wrote, without those that were there already";
        let commits = "Commits of prompt logs, by what they are for and outcome";
        let memory = "Memory of the server's process, without its query workers";
        let files = "Files and connections the server's process has open";
        let all = &mut all;
        let metrics = Self {
            requests: add(all, "amigo_admin_requests", requests, Family::default()),
            request_seconds: add(
                all,
                "amigo_admin_request_duration_seconds",
                request_seconds,
                of_seconds,
            ),
            rate_limited: add(all, "amigo_admin_rate_limited", limited, Family::default()),
            sql: Sql::new(all),
            clusters: clusters::Clusters::new(all),
            download_bytes: add(all, "amigo_admin_download_bytes", bytes, Family::default()),
            prompt_logs_written: add(
                all,
                "amigo_admin_prompt_logs_written",
                written,
                Counter::default(),
            ),
            commits: add(all, "amigo_admin_commits", commits, Family::default()),
            memory: add(
                all,
                "process_resident_memory_bytes",
                memory,
                Gauge::default(),
            ),
            open_files: add(all, "process_open_fds", files, Gauge::default()),
            registry: std::mem::take(all),
        };
        // There from the start, so that the first one that fails is an increase.
        for work in ["write", "merge", "expire"] {
            for outcome in ["written", "failed"] {
                metrics.count_commits(work, outcome, 0);
            }
        }
        metrics
    }

    /// A request was answered after `took`. `route` is the pattern of the path, never the path.
    pub fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        let answered = Answered {
            route: route.clone(),
            method: known_method(method),
            status,
        };
        self.requests.get_or_create(&answered).inc();
        let seconds = self.request_seconds.get_or_create(&Route { route });
        seconds.observe(took.as_secs_f64());
    }

    /// A request was refused by the limit of an endpoint.
    pub fn rate_limited(&self, endpoint: impl fmt::Debug) {
        let endpoint = format!("{endpoint:?}");
        self.rate_limited
            .get_or_create(&Endpoint { endpoint })
            .inc();
    }

    /// A query that waits for its turn now.
    pub fn query(&self, writes_file: bool) -> Query<'_> {
        let answer = Answer {
            answer: if writes_file { "file" } else { "page" },
        };
        let place = Held::of(&self.sql.waiting.get_or_create(&answer));
        Query {
            metrics: self,
            answer,
            outcome: "stopped",
            _place: place,
        }
    }

    /// A query worker was started; it is counted for as long as the answer is kept.
    pub fn worker(&self) -> Held {
        self.sql.workers_started.inc();
        Held::of(&self.sql.workers)
    }

    /// A query worker ended that was not told to.
    pub fn worker_died(&self) {
        self.sql.workers_died.inc();
    }

    /// Where to count what is read of a MongoDB cluster.
    pub fn cluster(&self, name: &ClusterName) -> ClusterReads {
        self.clusters.of(name)
    }

    /// Where to count the bytes of a download: `prompt_logs` or `sql_result`.
    pub fn download(&self, content: &'static str) -> Counter {
        self.download_bytes
            .get_or_create_owned(&Content { content })
    }

    /// A group of prompt logs was written, so many of them new or changed; none when it failed.
    pub fn committed(&self, written: Option<usize>) {
        match written {
            Some(_) => self.count_commits("write", "written", 1),
            None => self.count_commits("write", "failed", 1),
        }
        let written = written.unwrap_or_default() as u64;
        self.prompt_logs_written.inc_by(written);
    }

    /// The server's own work on stored prompt logs, `merge` or `expire`, made so many commits.
    pub fn kept(&self, work: &'static str, commits: u64) {
        self.count_commits(work, "written", commits);
    }

    /// It ended with an error.
    pub fn keeping_failed(&self, work: &'static str) {
        self.count_commits(work, "failed", 1);
    }

    fn count_commits(&self, work: &'static str, outcome: &'static str, count: u64) {
        let commits = self.commits.get_or_create(&Commit { work, outcome });
        commits.inc_by(count);
    }

    /// All of it in the OpenMetrics text format.
    ///
    /// # Errors
    /// `Internal` when it cannot be written, which a text in memory never is.
    pub fn text(&self) -> Result<String> {
        self.memory.set(memory_bytes().unwrap_or_default());
        self.open_files.set(open_files().unwrap_or_default());
        let mut text = String::new();
        encode(&mut text, &self.registry)
            .map_err(|error| Error::internal("metrics cannot be written").because(error))?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// Methods are the caller's own words; others than these are one.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// Counted in a gauge for as long as it lives.
#[derive(Debug)]
pub struct Held(Gauge);

impl Held {
    fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One query as it is counted: it waits, runs and ends. One that is dropped before counts as stopped.
#[derive(Debug)]
pub struct Query<'metrics> {
    metrics: &'metrics Metrics,
    answer: Answer,
    outcome: &'static str,
    _place: Held,
}

impl Query<'_> {
    /// It waited so long, and now it runs.
    pub fn starts(&mut self, waited: Duration) {
        let seconds = &self.metrics.sql.wait_seconds;
        let seconds = seconds.get_or_create(&self.answer);
        seconds.observe(waited.as_secs_f64());
        self._place = Held::of(&self.metrics.sql.running.get_or_create(&self.answer));
    }

    /// What became of it.
    pub fn ends<T>(mut self, result: &Result<T>) {
        self.outcome = match result {
            Ok(_) => "succeeded",
            Err(error) => match error.kind() {
                Kind::Invalid => "invalid",
                Kind::TimedOut => "timed_out",
                Kind::Unavailable => "unavailable",
                Kind::StorageFull => "storage_full",
                _ => "internal",
            },
        };
    }
}

impl Drop for Query<'_> {
    fn drop(&mut self) {
        let end = QueryEnd {
            answer: self.answer.answer,
            outcome: self.outcome,
        };
        self.metrics.sql.queries.get_or_create(&end).inc();
    }
}

/// What the process has of the machine's memory (`proc_pid_status(5)`).
fn memory_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn open_files() -> Option<i64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?;
    // The listing's own is one of them.
    i64::try_from(open.count().saturating_sub(1)).ok()
}
