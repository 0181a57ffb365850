//! Gathers what many requests write into few commits (group commit).
//!
//! `http` → here → `ingest`. An organization that is being written to has one task, which takes everything that waits,
//! commits it at once and acknowledges each request when it is on disk. While a commit runs the next requests gather, so
//! the busier it is, the larger the commits. Not here: the rows and the files (`ingest`), formats and permissions.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rules::{Error, LogKey, OrgId, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument, info_span};

use super::ingest;
use super::intake::{Share, Taken};
use super::key_index::KeyIndex;
use super::record::Record;
use crate::clock::Clock;
use crate::lake::Lake;
use crate::metrics::Metrics;
use crate::traces::TARGET;

/// The longest a request waits for others to share its commit; a lonely one does not wait at all.
const GATHERING: Duration = Duration::from_millis(10);
/// Records of one commit: its memory, and how long the first of them waits for the last.
const COMMIT_RECORDS: usize = 20_000;
/// Requests that wait for an organization's task; more wait to be let in.
const WAITING: usize = 256;
/// An organization's task ends when nothing was written for this long.
const IDLE: Duration = Duration::from_secs(60);

/// The way in for records while the server runs.
#[derive(Debug)]
pub struct Writers {
    parts: Arc<Parts>,
    lanes: Mutex<HashMap<OrgId, mpsc::Sender<Job>>>,
}

#[derive(Debug)]
struct Parts {
    lake: Lake,
    clock: Clock,
    keys: KeyIndex,
    metrics: Arc<Metrics>,
}

/// One request's records and where its answer goes.
#[derive(Debug)]
struct Job {
    records: Vec<Record>,
    /// What is older is not shown any more.
    oldest: DateTime<Utc>,
    /// Held until they are written, whether their client still waits or not.
    share: Share,
    done: oneshot::Sender<Result<Vec<LogKey>>>,
}

impl Writers {
    pub fn new(lake: Lake, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let parts = Parts {
            lake,
            clock,
            keys: KeyIndex::default(),
            metrics,
        };
        Self {
            parts: Arc::new(parts),
            lanes: Mutex::default(),
        }
    }

    /// Writes the records, all or none of them; when this returns they are on disk. Of one key's records the last counts.
    /// Returns the keys whose older record was still shown, and another one.
    ///
    /// # Errors
    /// As [`ingest::write`]. After `Unavailable` the records may be there all the same; writing them again is safe.
    pub async fn write(&self, org: &OrgId, taken: Taken) -> Result<Vec<LogKey>> {
        let Taken {
            records,
            oldest,
            share,
        } = taken;
        let (done, written) = oneshot::channel();
        let mut job = Job {
            records,
            oldest,
            share,
            done,
        };
        loop {
            let lane = self.lane(org);
            match lane.send(job).await {
                Ok(()) => break,
                // The task ended for want of work just now.
                Err(mpsc::error::SendError(unsent)) => job = unsent,
            }
        }
        written
            .instrument(info_span!(target: TARGET, "write prompt logs"))
            .await
            .map_err(|_| Error::internal("the write broke off; send it again, which is safe"))?
    }

    /// The organization's task, which is started when there is none.
    fn lane(&self, org: &OrgId) -> mpsc::Sender<Job> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| !lane.is_closed());
        let lane = lanes.entry(org.clone()).or_insert_with(|| {
            let (lane, jobs) = mpsc::channel(WAITING);
            tokio::spawn(serve(Arc::clone(&self.parts), org.clone(), jobs));
            lane
        });
        lane.clone()
    }
}

/// One organization's task.
async fn serve(parts: Arc<Parts>, org: OrgId, mut jobs: mpsc::Receiver<Job>) {
    // How many requests the last commit held: as many may well come again.
    let mut expected = 1;
    loop {
        let first = match timeout(IDLE, jobs.recv()).await {
            Ok(Some(first)) => first,
            Ok(None) => return,
            Err(_) => {
                // Whoever was faster than the closing is served; later ones start a new task.
                jobs.close();
                match jobs.recv().await {
                    Some(first) => first,
                    None => return,
                }
            }
        };
        let group = gather(first, &mut jobs, expected).await;
        expected = group.len();
        commit(&parts, &org, group).await;
    }
}

/// Takes what waits, and as many requests as are expected if they come soon.
async fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>, expected: usize) -> Vec<Job> {
    let deadline = Instant::now() + GATHERING;
    let mut records = first.records.len();
    let mut group = vec![first];
    while records < COMMIT_RECORDS {
        let job = if group.len() < expected {
            timeout_at(deadline, jobs.recv()).await.ok().flatten()
        } else {
            jobs.try_recv().ok()
        };
        let Some(job) = job else { break };
        records += job.records.len();
        group.push(job);
    }
    group
}

/// Commits the group's records together and tells each request what became of them.
async fn commit(parts: &Arc<Parts>, org: &OrgId, group: Vec<Job>) {
    let oldest = group.iter().map(|job| job.oldest).max();
    let oldest = oldest.unwrap_or(DateTime::UNIX_EPOCH);
    let (mut records, mut shares, mut done) = (Vec::new(), Vec::new(), Vec::new());
    for job in group {
        let keys = job.records.iter().map(|record| record.log_key.clone());
        done.push((job.done, keys.collect::<BTreeSet<LogKey>>()));
        records.extend(job.records);
        shares.push(job.share);
    }
    let metrics = Arc::clone(&parts.metrics);
    let (parts, org) = (Arc::clone(parts), org.clone());
    // Encoding and compressing would hold up other requests: they run on a thread of their own.
    let runtime = tokio::runtime::Handle::current();
    let written = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let (lake, keys, now) = (&parts.lake, &parts.keys, parts.clock.now());
            ingest::write(lake, keys, &org, records, now, oldest).await
        })
    });
    let result = written.await.unwrap_or_else(|panic| {
        Err(Error::internal("the write failed; send it again, which is safe").because(panic))
    });
    drop(shares);
    metrics.committed(result.as_ref().ok().map(|written| written.written));
    if let Err(error) = &result {
        // Here is the one cause; each of the requests answers with its sentence only.
        let source = std::error::Error::source(error);
        tracing::error!(
            source,
            requests = done.len(),
            "a group of writes failed: {error}"
        );
    }
    for (done, mut keys) in done {
        let answer = match &result {
            Ok(written) => {
                keys.retain(|key| written.replaced.contains(key));
                Ok(keys.into_iter().collect())
            }
            Err(error) => Err(Error::new(error.kind().clone(), error.message().to_owned())),
        };
        // A client that has gone gets no answer; what it sent is written all the same.
        let _ = done.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use rules::Kind;

    fn record(number: usize) -> Taken {
        let json = format!(r#"{{"log_key":"log/{number:03}","system":"prompt {number}"}}"#);
        Taken {
            records: vec![Record::parse(json.as_bytes()).unwrap()],
            oldest: DateTime::UNIX_EPOCH,
            share: Share::default(),
        }
    }

    #[tokio::test]
    async fn many_requests_share_few_commits_and_each_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::local(folder.path()).unwrap();
        let org = OrgId::parse("acme").unwrap();
        let writers = Writers::new(
            lake.clone(),
            Clock::fixed(DateTime::UNIX_EPOCH),
            Arc::default(),
        );
        let all = join_all((0..100).map(|number| writers.write(&org, record(number)))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");

        let keys = super::super::list_keys(&lake, &org, "log/").await.unwrap();
        assert_eq!(keys.len(), 100);
        let log = folder.path().join("acme/prompt_logs/_delta_log");
        let commits = std::fs::read_dir(log).unwrap().count();
        assert!(commits < 10, "{commits} commits");
    }

    #[tokio::test]
    async fn a_failure_reaches_every_request_of_the_group_with_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::local(folder.path()).unwrap();
        let org = OrgId::parse("acme").unwrap();
        // A file where the table's folder should be.
        std::fs::create_dir(folder.path().join("acme")).unwrap();
        std::fs::write(folder.path().join("acme/prompt_logs"), "").unwrap();
        let writers = Writers::new(lake, Clock::fixed(DateTime::UNIX_EPOCH), Arc::default());
        let all = join_all((0..3).map(|number| writers.write(&org, record(number)))).await;
        for result in all {
            let error = result.unwrap_err();
            assert_eq!(*error.kind(), Kind::Unavailable, "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_without_work_ends_and_the_next_write_starts_another() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::local(folder.path()).unwrap();
        let org = OrgId::parse("acme").unwrap();
        let writers = Writers::new(lake, Clock::fixed(DateTime::UNIX_EPOCH), Arc::default());
        writers.write(&org, record(1)).await.unwrap();
        let lane = writers.lane(&org);
        lane.closed().await;
        writers.write(&org, record(2)).await.unwrap();
    }
}
