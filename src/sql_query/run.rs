//! A synchronous query.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rules::{Caller, DEFAULT_ADMINISTRATOR_ROLE, Error, OrgId, Result, RoleName, is_greater};
use tokio::time::Instant;

use super::SqlQueries;
use super::history::{Entry, Reader};
use crate::directory::{Directory, Organization};
use crate::engine::{Cost, Output, Ran};

/// Who may query: a role strictly greater than the organization's `DefaultAdministratorRole` (the wire contract,
/// section 2).
///
/// # Errors
/// `Forbidden` with the reason.
pub async fn authorise(directory: &Directory, org: &OrgId, caller: &Caller) -> Result<()> {
    let name = RoleName::parse(DEFAULT_ADMINISTRATOR_ROLE)?;
    let role = directory.role(org, &name).await?;
    // Without that role there is nothing to be greater than, so nobody is.
    let own = caller.role.within(&caller.org_id);
    if role.is_some_and(|administrator| is_greater(&own, &administrator.within(org))) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "SQL needs a role with greater privileges than {DEFAULT_ADMINISTRATOR_ROLE}; yours is {}",
        caller.role.name
    )))
}

/// What a query brought.
#[derive(Debug)]
pub struct Page {
    /// The response body.
    pub json: Vec<u8>,
    pub rows: u64,
}

/// The response, within the limits; waiting, planning, running and encoding share the time.
///
/// # Errors
/// `Invalid`: the query is at fault, and why. `TimedOut`, and the query no longer runs. `Unavailable`.
pub async fn run(
    queries: &SqlQueries,
    organization: &Organization,
    caller: Caller,
    sql: String,
    now: DateTime<Utc>,
) -> Result<Page> {
    let deadline = Instant::now() + Duration::from_secs(queries.config.limits.sql_seconds);
    let output = Output::Page {
        rows: queries.config.limits.sql_rows,
        bytes: queries.config.limits.sql_result_bytes,
    };
    let entry = Entry::begin(queries, &organization.org_id, &caller, &sql, now)?;
    let reader = Reader::new(queries, organization, &caller, entry.query_id());
    let request = queries.request(organization, caller, sql, now, output, &reader);
    let ran = match request.await {
        Ok(request) => queries.pool.run(&request, &reader, deadline).await,
        Err(error) => Ran {
            queued: Duration::ZERO,
            cost: Cost::default(),
            result: Err(error),
        },
    };
    let rows = ran.cost.rows;
    let json = entry.end(ran)?;
    Ok(Page { json, rows })
}
