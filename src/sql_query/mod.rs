//! SQL queries as the endpoints offer them: answered within a time limit, or submitted and fetched later.
//!
//! `http/sql_query` → [`run`] or [`SqlQueries::submit`] → `engine`. Each query leaves a row in the history, which the
//! organization can query in turn. Not here: what the text may be (the worker's business), and HTTP.

mod audit_log;
mod history;
mod results;
mod run;
mod signed_url;
mod submit;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use rules::{Caller, Decision, OrgId, RequiredPermission, decide};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::clusters::{Clusters, Collections};
use crate::config::Config;
use crate::directory::{Directory, Organization};
use crate::engine::{self, Pool, ServerTable};
use crate::guard::{Audit, Places};
use crate::lake::Lake;

pub use results::ResultFile;
pub use run::{Page, authorise, run};
pub use signed_url::{SignedUrl, forged};
pub use submit::{Fetched, Handle, Status, Submission};

use history::{History, Reader};
use signed_url::Signer;
use submit::Running;

/// Lets its holder see and cancel the queries of others.
pub const OTHERS_PERMISSION: &str = "Admin:GetSqlQueries";

/// Lets its holder query the audit log of the organization.
pub const AUDIT_PERMISSION: &str = "Admin:GetAuditLog";

/// What queries need, and those that are submitted.
#[derive(Debug)]
pub struct SqlQueries {
    pool: Arc<Pool>,
    lake: Lake,
    directory: Directory,
    clusters: Arc<Clusters>,
    clock: Clock,
    config: Config,
    history: History,
    audit: Audit,
    signer: Signer,
    running: Mutex<HashMap<String, Running>>,
    /// For submitted queries that have not ended.
    places: Arc<Places<OrgId>>,
}

impl SqlQueries {
    /// Queries left unfinished by a server that is no more are failed; nobody else may serve the directory.
    ///
    /// # Errors
    /// As the directory says.
    pub async fn open(
        pool: Arc<Pool>,
        lake: Lake,
        directory: Directory,
        clusters: Arc<Clusters>,
        clock: Clock,
        audit: Audit,
        config: &Config,
    ) -> rules::Result<Arc<Self>> {
        let queries = Self {
            pool,
            lake,
            history: History::start(directory.clone()),
            audit,
            signer: Signer::open(directory.clone(), clock.clone()).await?,
            directory,
            clusters,
            clock,
            config: config.clone(),
            running: Mutex::default(),
            places: Places::for_each(config.limits.sql_waiting),
        };
        queries.fail_unfinished().await?;
        Ok(Arc::new(queries))
    }

    /// Whether queries can be run.
    ///
    /// # Errors
    /// `Unavailable` with what is wrong.
    pub async fn check(&self) -> rules::Result<()> {
        self.pool.check().await
    }

    /// Deletes what is expired, until `stop` holds true or its sender is gone.
    pub async fn keep(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        const ROUND: std::time::Duration = std::time::Duration::from_secs(60);
        while !*stop.borrow() {
            if let Err(error) = self.expire().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "expired query results could not be deleted"
                );
            }
            tokio::select! {
                changed = stop.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(ROUND) => {}
            }
        }
    }

    async fn request(
        &self,
        organization: &Organization,
        caller: Caller,
        sql: String,
        now: DateTime<Utc>,
        output: engine::Output,
        reader: &Reader,
    ) -> rules::Result<engine::Request> {
        let mut server_tables = vec![ServerTable::QueryHistory];
        if reader.sees_audit {
            server_tables.push(ServerTable::AuditLog);
        }
        let (mut names, mut preferred) = (None, Vec::new());
        if let Some(collections) = &reader.collections {
            let all = collections.names().await?;
            let first = all.iter().filter(|name| collections.prevails(name));
            preferred = first.cloned().collect();
            names = Some(all);
        }
        Ok(engine::Request {
            lake: self.lake.url().clone(),
            org_id: organization.org_id.clone(),
            caller,
            sql,
            now,
            retention_days: organization.retention_days_or(self.config.retention.days),
            declared: self.config.declared_tables(&organization.org_id),
            server_tables,
            collections: names,
            preferred,
            output,
        })
    }

    /// The organization's collections, where its cluster has any.
    fn collections(&self, organization: &Organization) -> Option<Collections> {
        self.clusters
            .of(&organization.org_id, &organization.cluster)
    }
}

/// Whether the caller may see and cancel the queries of others in the organization.
pub fn may_see_others(caller: &Caller, org: &OrgId) -> bool {
    has(caller, org, OTHERS_PERMISSION)
}

fn has(caller: &Caller, org: &OrgId, permission: &str) -> bool {
    let needed = RequiredPermission::new(permission).with("org_id", org.as_str());
    decide(caller, &needed) == Decision::Allowed
}
