//! The work that goes on in the background of a server, one organization after the other.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use rules::{Error, Kind, OrgId, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use super::compact::{Compacted, compact};
use super::expire::{Expired, expire};
use super::plan::Zeal;
use crate::clock::Clock;
use crate::config::{Keeping, RETENTION_DAYS, Retention};
use crate::directory::{Directory, Organization};
use crate::lake::Lake;
use crate::lake::clean::{Cleaned, clean};
use crate::lake::lock::Locked;
use crate::lake::prompt_log_table as table_shape;
use crate::metrics::Metrics;

/// How long nothing is merged after an error: what hinders it now will hinder it in a second.
const PAUSE: Duration = Duration::from_secs(60);

/// Merges, drops and deletes at the pace of the settings, until it is told to stop.
#[derive(Debug)]
pub struct Keeper {
    lake: Lake,
    directory: Directory,
    clock: Clock,
    keeping: Keeping,
    retention: Retention,
    metrics: Arc<Metrics>,
    /// The version of each organization's table at which nothing was left to merge.
    merged: HashMap<OrgId, u64>,
    /// Files that could not be merged; tried again in the next whole round.
    unfit: HashSet<String>,
    /// After an error nothing is merged until then, or until the next whole round.
    pause: Option<Instant>,
}

impl Keeper {
    pub fn new(
        lake: Lake,
        directory: Directory,
        clock: Clock,
        keeping: Keeping,
        retention: Retention,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            lake,
            directory,
            clock,
            keeping,
            retention,
            metrics,
            merged: HashMap::new(),
            unfit: HashSet::new(),
            pause: None,
        }
    }

    /// Works until `stop` holds true or its sender is gone. An error is logged; the next round tries again.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let round = Duration::from_secs(self.keeping.expire_seconds);
        let look = match self.keeping.compact_seconds {
            0 => round,
            seconds => Duration::from_secs(seconds).min(round),
        };
        let mut next_round = Instant::now();
        while !is_set(&stop) {
            let whole = Instant::now() >= next_round;
            if whole {
                next_round = Instant::now() + round;
                self.unfit.clear();
                self.pause = None;
            }
            match self.due(whole).await {
                Ok((organizations, days)) => {
                    for organization in organizations {
                        self.keep(&organization, days, &stop).await;
                    }
                }
                Err(error) => warn(
                    &error,
                    "the organizations whose logs are to be kept are unknown",
                ),
            }
            tokio::select! {
                _ = stop.changed() => {}
                () = tokio::time::sleep(look) => {}
            }
        }
    }

    /// The organizations and, in a whole round, the days behind which logs are dropped.
    async fn due(&self, whole: bool) -> Result<(Vec<Organization>, Option<u32>)> {
        let organizations = self.directory.organizations().await?;
        if !whole {
            return Ok((organizations, None));
        }
        let (setting, now) = (self.retention.days, self.clock.now());
        let days = self.directory.settle_retention(setting, now).await?;
        if days > setting {
            let was = match days == *RETENTION_DAYS.end() {
                true => "more, or is not known".to_owned(),
                false => days.to_string(),
            };
            tracing::warn!(
                "retention.days is {setting} and was {was}: older prompt logs are no longer shown, and dropped from a day after \
                 the change on; if a server was started without its settings, start it with them until then"
            );
        }
        Ok((organizations, Some(days)))
    }

    /// What is due for one organization: in a whole round all of it, with the days; otherwise merging after a write.
    async fn keep(
        &mut self,
        organization: &Organization,
        days: Option<u32>,
        stop: &watch::Receiver<bool>,
    ) {
        let (org, whole) = (&organization.org_id, days.is_some());
        if let Some(days) = days
            && !is_set(stop)
            && let Err(error) = self.drop_expired(organization, days).await
        {
            self.metrics.keeping_failed("expire");
            warn(&error, "expired prompt logs could not be dropped");
        }
        let paused = self.pause.is_some_and(|until| Instant::now() < until);
        if self.keeping.compact_seconds > 0
            && !paused
            && !is_set(stop)
            && let Err(error) = self.merge(org, whole, stop).await
        {
            self.metrics.keeping_failed("merge");
            warn(&error, "the files of prompt logs could not be merged");
            self.pause = Some(Instant::now() + PAUSE);
        }
    }

    async fn drop_expired(&self, organization: &Organization, days: u32) -> Result<()> {
        let (lake, org) = (self.lake.clone(), organization.org_id.clone());
        let now = self.clock.now();
        let days = organization.retention_days_or(days);
        let oldest = table_shape::oldest(now, days);
        let keep = TimeDelta::seconds(self.keeping.unused_seconds.into());
        let metrics = Arc::clone(&self.metrics);
        let done = off_thread(async move {
            let expired = expire(&lake, &org, oldest).await?;
            metrics.kept("expire", (expired.files > 0).into());
            let name = table_shape::name();
            // A merge of another process has files that are no version's yet; the next round cleans.
            let cleaned = match lock(&lake, &org).await? {
                Some(_locked) => clean(&lake, &org, &name, now, keep).await?,
                None => Cleaned::default(),
            };
            Ok((expired, cleaned))
        });
        let (expired, cleaned) = done.await?;
        if expired != Expired::default() || cleaned != Cleaned::default() {
            tracing::info!(
                org.id = organization.org_id.as_str(),
                days = expired.days,
                logs = expired.logs,
                files = cleaned.files,
                bytes = cleaned.bytes,
                log_files = cleaned.log_files,
                "dropped expired prompt logs, deleted files nobody needs"
            );
        }
        Ok(())
    }

    async fn merge(
        &mut self,
        org: &OrgId,
        whole: bool,
        stop: &watch::Receiver<bool>,
    ) -> Result<()> {
        let (lake, name) = (self.lake.clone(), table_shape::name());
        let known = self.merged.get(org).copied();
        if !whole && !lake.has_newer(org, &name, known).await? {
            return Ok(());
        }
        let (org, stop, now) = (org.clone(), stop.clone(), self.clock.now());
        let mut unfit = std::mem::take(&mut self.unfit);
        let metrics = Arc::clone(&self.metrics);
        let (org, unfit, ended, merged) = off_thread(async move {
            let progress = |_| match is_set(&stop) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let (zeal, mut merged) = (Zeal::Due, Compacted::default());
            let ended = match lock(&lake, &org).await {
                Ok(Some(_locked)) => {
                    compact(&lake, &org, zeal, now, &mut unfit, &progress, &mut merged).await
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            metrics.kept("merge", merged.commits);
            Ok((org, unfit, ended, merged))
        })
        .await?;
        self.unfit = unfit;
        ended?;
        if merged.merged_files > 0 {
            tracing::debug!(
                org.id = org.as_str(),
                merged = merged.merged_files,
                into = merged.new_files,
                bytes = merged.new_bytes,
                "merged files of prompt logs"
            );
        }
        if let Some(version) = merged.version {
            self.merged.insert(org, version);
        }
        Ok(())
    }
}

/// The right to merge and clean; none where there is nothing to, or somebody else does.
async fn lock(lake: &Lake, org: &OrgId) -> Result<Option<Locked>> {
    let name = table_shape::name();
    if lake.open(org, &name).await?.is_none() {
        return Ok(None);
    }
    match lake.lock(org, &name) {
        Err(error) if *error.kind() == Kind::Conflict => Ok(None),
        locked => locked.map(Some),
    }
}

fn is_set(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// Decoding and compressing would hold up requests: they run on a thread of their own.
async fn off_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(work))
        .await
        .map_err(|error| Error::internal("the work on stored logs broke off").because(error))?
}

fn warn(error: &Error, what: &str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}
