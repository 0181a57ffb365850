//! A synchronous query.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rules::{Caller, DEFAULT_ADMINISTRATOR_ROLE, Error, OrgId, Result, RoleName, is_greater};
use tokio::time::Instant;

use crate::config::Config;
use crate::directory::{Directory, Organization};
use crate::engine::{self, Pool};
use crate::lake::Lake;

/// Who may query: a role strictly greater than the organization's `DefaultAdministratorRole` (the wire contract,
/// section 2).
///
/// # Errors
/// `Forbidden` with the reason.
pub async fn authorise(directory: &Directory, org: &OrgId, caller: &Caller) -> Result<()> {
    let name = RoleName::parse(DEFAULT_ADMINISTRATOR_ROLE)?;
    let role = directory.role(org, &name).await?;
    // Without that role there is nothing to be greater than, so nobody is.
    if role.is_some_and(|administrator| is_greater(&caller.role, &administrator)) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "SQL needs a role with greater privileges than {DEFAULT_ADMINISTRATOR_ROLE}; yours is {}",
        caller.role.name
    )))
}

/// The response body, JSON, within the limits of `config`; waiting, planning, running and encoding share the time.
///
/// # Errors
/// `Invalid`: the query is at fault, and why. `TimedOut`, and the query no longer runs. `Unavailable`.
pub async fn run(
    (pool, lake, config): (&Pool, &Lake, &Config),
    organization: &Organization,
    caller: Caller,
    sql: String,
    now: DateTime<Utc>,
) -> Result<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(config.limits.sql_seconds);
    let limits = engine::Limits {
        rows: config.limits.sql_rows,
        result_bytes: config.limits.sql_result_bytes,
        retention_days: organization.retention_days_or(config.retention.days),
    };
    let request = engine::Request {
        lake: lake.url().clone(),
        org_id: organization.org_id.clone(),
        caller,
        sql,
        now,
        limits,
        declared: config.declared_tables(&organization.org_id),
    };
    pool.run(&request, deadline).await
}
