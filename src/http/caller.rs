//! Who is calling: from a request's headers to a caller (the wire contract, section 3).

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use rules::{
    Caller, ClusterName, Credentials, Decision, Error, Headers, OrgId, RequiredPermission, Result,
    Role, UserId, covers, decide, is_greater,
};
use tracing::{Instrument, info_span};

use super::audited::{change, opening};
use super::layers::Seen;
use super::limited::limited;
use super::problem::Problem;
use crate::app::App;
use crate::directory;
use crate::guard::{Actor, Deed, Endpoint};
use crate::identity::Claims;
use crate::traces::TARGET;

/// The organization named in the path. What cannot be one is not there.
pub(super) struct Organization(pub(super) OrgId);

impl FromRequestParts<Arc<App>> for Organization {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Path(name): Path<String> = Path::from_request_parts(parts, app)
            .await
            .map_err(nowhere)?;
        Ok(Self(OrgId::parse(&name).map_err(nowhere)?))
    }
}

/// The organization and one more name of the path.
pub(super) struct Within(pub(super) OrgId, pub(super) String);

impl FromRequestParts<Arc<App>> for Within {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Path((org, name)): Path<(String, String)> = Path::from_request_parts(parts, app)
            .await
            .map_err(nowhere)?;
        Ok(Self(OrgId::parse(&org).map_err(nowhere)?, name))
    }
}

fn nowhere(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::not_found("there is no such organization").because(cause)
}

/// The caller a request's credentials name.
///
/// # Errors
/// As [`identify`].
pub(super) async fn authenticate(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
) -> Result<Caller> {
    let (caller, _) = identify(app, org, headers, seen).await?;
    Ok(caller)
}

/// The caller a request's credentials name, and what the token says, to look the caller up again later. A caller of
/// another organization, which `X-ORG-ID` must name, may do here what their grants say of this one.
///
/// # Errors
/// `Unauthenticated`: no token, a bad one, or something beside it that does not agree with it.
pub(super) async fn identify(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
) -> Result<(Caller, Claims)> {
    let all = |name: &str| {
        let values = headers.get_all(name).iter();
        values.map(HeaderValue::as_bytes).collect()
    };
    let credentials = Credentials::parse(&Headers {
        authorization: all("authorization"),
        protocols: all("sec-websocket-protocol"),
        org_ids: all("x-org-id"),
    })?;
    let work = async {
        let claims = app.identity.verify(credentials.token()).await?;
        seen.note(&claims.org, &claims.user, claims.api_key_id.as_deref());
        credentials.agree(org, &claims.org, &claims.user)?;
        let caller = app.identity.caller(&claims).await?;
        Ok((caller, claims))
    };
    work.instrument(info_span!(target: TARGET, "authenticate"))
        .await
}

/// The organization, which must be on the cluster that the request names, if any.
///
/// # Errors
/// `Unprocessable` for an unknown cluster, `NotFound` for an organization that is not (there).
pub(super) async fn located(
    app: &App,
    org: &OrgId,
    cluster: Option<&ClusterName>,
) -> Result<directory::Organization> {
    let organization = app.directory.organization(org).await?;
    organization
        .filter(|organization| cluster.is_none_or(|cluster| organization.cluster == *cluster))
        .ok_or_else(|| Error::not_found("there is no such organization"))
}

/// Checks that the caller may use an endpoint of the organization.
///
/// # Errors
/// `Forbidden`, naming the permission.
pub(super) fn permitted(caller: &Caller, org: &OrgId, permission: &str) -> Result<()> {
    has(caller, &needed(org, permission))
}

/// A permission on something of the organization; more attributes may be added.
pub(super) fn needed(org: &OrgId, permission: &str) -> RequiredPermission {
    RequiredPermission::new(permission).with("org_id", org.as_str())
}

/// Checks that the caller has a permission.
///
/// # Errors
/// `Forbidden`, naming the permission.
pub(super) fn has(caller: &Caller, needed: &RequiredPermission) -> Result<()> {
    match decide(caller, needed) {
        Decision::Allowed => Ok(()),
        Decision::Denied(denial) => Err(Error::forbidden(denial.to_string())),
    }
}

/// Checks that the caller's role has greater privileges than a role of the organization.
///
/// # Errors
/// `Forbidden`, naming both.
pub(super) fn outranks(caller: &Caller, org: &OrgId, role: &Role) -> Result<()> {
    if is_greater(&own_role(caller), &role.within(org)) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "this needs a role with greater privileges than {}; yours is {}",
        role.name, caller.role.name
    )))
}

/// Checks that the caller's role gives at least what grants in the organization give.
///
/// # Errors
/// `Forbidden`, naming the caller's role and `what`.
pub(super) fn covers_all(caller: &Caller, org: &OrgId, role: &Role, what: &str) -> Result<()> {
    if covers(&own_role(caller), &role.within(org)) {
        return Ok(());
    }
    Err(Error::forbidden(format!(
        "your role {} does not have all the privileges of {what}",
        caller.role.name
    )))
}

/// Checks that the caller may take away what a user of the organization has, called `what`. Returns the id of the user's
/// role, which must still be theirs when it is taken away; empty where there is no such user.
///
/// # Errors
/// As [`covers_all`].
pub(super) async fn role_to_take_away(
    app: &App,
    org: &OrgId,
    caller: &Caller,
    user_id: &UserId,
    what: &str,
) -> Result<String> {
    let user = app
        .directory
        .standing(org, user_id, app.clock.now())
        .await?;
    let Some(user) = user else {
        return Ok(String::new());
    };
    covers_all(caller, org, &user.caller.role, what)?;
    Ok(user.role_id)
}

/// The caller's role for comparisons with roles of whatever organization.
fn own_role(caller: &Caller) -> Role {
    caller.role.within(&caller.org_id)
}

/// One request of the identity endpoints, checked in the order of the wire contract (section 3) up to the organization;
/// `work` begins with the permission. What is invalid without knowing the caller must have been refused before.
pub(super) async fn admit<Work>(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
    endpoint: Endpoint,
    work: impl FnOnce(Caller) -> Work,
) -> Result<Response, Problem>
where
    Work: Future<Output = Result<Response>>,
{
    let cluster = cluster(app, headers).await?;
    let caller = authenticate(app, org, headers, seen).await?;
    let user = format!("{}/{}", caller.org_id, caller.user_id);
    let verdict = app.rate_limits.take(endpoint, &user, app.clock.now());
    let work = async {
        located(app, org, cluster.as_ref()).await?;
        work(caller).await
    };
    Ok(limited(verdict, work).await)
}

/// [`admit`] for a request that changes something: `work`, from the permission on, is between the two rows of the audit
/// log.
pub(super) async fn administer<Work>(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
    endpoint: Endpoint,
    deed: Deed,
    work: impl FnOnce(Caller) -> Work,
) -> Result<Response, Problem>
where
    Work: Future<Output = Result<Response>>,
{
    admit(app, org, headers, seen, endpoint, |caller| {
        let opening = opening(org, Actor::of(&caller), seen, deed);
        change(app, opening, work(caller))
    })
    .await
}

/// The organization and the caller of an endpoint without a limit a minute, checked in the order of the wire contract
/// (section 3).
///
/// # Errors
/// As [`cluster`], [`authenticate`] and [`located`].
pub(super) async fn known(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
) -> Result<(directory::Organization, Caller)> {
    let cluster = cluster(app, headers).await?;
    let caller = authenticate(app, org, headers, seen).await?;
    let organization = located(app, org, cluster.as_ref()).await?;
    Ok((organization, caller))
}

/// [`known`] of a request that may write prompt logs.
///
/// # Errors
/// As [`known`] and [`permitted`].
pub(super) async fn may_write_logs(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
) -> Result<(directory::Organization, Caller)> {
    let (organization, caller) = known(app, org, headers, seen).await?;
    permitted(&caller, org, "Admin:WritePromptLogs")?;
    Ok((organization, caller))
}

/// The cluster named in `x-mongo-cluster-name`, if it is a known one.
///
/// # Errors
/// `Unprocessable` otherwise, and for a header that comes twice.
pub(super) async fn cluster(app: &App, headers: &HeaderMap) -> Result<Option<ClusterName>> {
    const HEADER: &str = "x-mongo-cluster-name";
    let mut names = headers.get_all(HEADER).iter();
    let Some(name) = names.next() else {
        return Ok(None);
    };
    if names.next().is_some() {
        let loc = ["header", HEADER];
        return Err(Error::unprocessable(&loc, "comes twice", "value_error"));
    }
    let unknown = || {
        Error::unprocessable(
            &["header", HEADER],
            "there is no such cluster",
            "value_error",
        )
    };
    let name = name
        .to_str()
        .ok()
        .and_then(|name| ClusterName::parse(name).ok())
        .ok_or_else(unknown)?;
    if !app.clusters.has(&name) && !app.directory.cluster_exists(&name).await? {
        return Err(unknown());
    }
    Ok(Some(name))
}
