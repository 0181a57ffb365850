//! Who is calling: from a request's headers to a caller (the wire contract, section 3).

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use rules::{Caller, ClusterName, Decision, Error, OrgId, RequiredPermission, Result, decide};

use super::layers::Seen;
use super::problem::Problem;
use crate::app::App;
use crate::directory;

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

fn nowhere(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::not_found("there is no such organization").because(cause)
}

/// The caller a request's credentials name.
///
/// # Errors
/// `Unauthenticated`: no token, a bad one, or one of another organization.
pub(super) async fn authenticate(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
) -> Result<Caller> {
    let caller = app.identity.authenticate(bearer(headers)?).await?;
    seen.note(&caller.org_id, &caller.user_id);
    if caller.org_id != *org {
        return Err(Error::unauthenticated(
            "the token belongs to another organization; sign in to this one",
        ));
    }
    Ok(caller)
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    let header = headers.get(AUTHORIZATION).ok_or_else(|| {
        Error::unauthenticated(
            "this needs a token: sign in, then send the header Authorization: Bearer <token>",
        )
    })?;
    let parts = header
        .to_str()
        .ok()
        .and_then(|header| header.trim().split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Error::unauthenticated(
            "the Authorization header is not of the form: Bearer <token>",
        )),
    }
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
    let needed = RequiredPermission::new(permission).with("org_id", org.as_str());
    match decide(caller, &needed) {
        Decision::Allowed => Ok(()),
        Decision::Denied(denial) => Err(Error::forbidden(denial.to_string())),
    }
}

/// Checks, in the order of the wire contract (section 3), that the request may write prompt logs; returns the organization.
///
/// # Errors
/// As [`cluster`], [`authenticate`], [`located`] and [`permitted`].
pub(super) async fn may_write_logs(
    app: &App,
    org: &OrgId,
    headers: &HeaderMap,
    seen: &Seen,
) -> Result<directory::Organization> {
    let cluster = cluster(app, headers).await?;
    let caller = authenticate(app, org, headers, seen).await?;
    let organization = located(app, org, cluster.as_ref()).await?;
    permitted(&caller, org, "Admin:WritePromptLogs")?;
    Ok(organization)
}

/// The cluster named in `x-mongo-cluster-name`, if it is a known one.
///
/// # Errors
/// `Unprocessable` otherwise.
pub(super) async fn cluster(app: &App, headers: &HeaderMap) -> Result<Option<ClusterName>> {
    const HEADER: &str = "x-mongo-cluster-name";
    let Some(name) = headers.get(HEADER) else {
        return Ok(None);
    };
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
    if !app.directory.cluster_exists(&name).await? {
        return Err(unknown());
    }
    Ok(Some(name))
}
