//! An organization's collections, for commands: with connections of their own.

use std::sync::Arc;

use rules::{Error, OrgId, Result, TableName};

use super::super::{Context, known_organization};
use crate::clusters::{Clusters, Collections};
use crate::directory::Directory;
use crate::metrics::Metrics;

/// The collections of the organization, and the connections to close at the end.
///
/// # Errors
/// `NotFound`: no such organization. `Invalid`: no MongoDB is behind its cluster.
pub(super) async fn of(
    context: &Context,
    directory: &Directory,
    org: &OrgId,
) -> Result<(Collections, Arc<Clusters>)> {
    let cluster = known_organization(context, org).await?.cluster;
    let (directory, clock) = (directory.clone(), context.clock.clone());
    let clusters = Clusters::open(&context.config, directory, clock, &Arc::new(Metrics::new()))?;
    if !clusters.has(&cluster) {
        return Err(Error::invalid(format!(
            "no MongoDB is behind the cluster {cluster} of {org}; configure [clusters.{cluster}]"
        )));
    }
    let collections = clusters.of(org, &cluster).ok_or_else(|| {
        Error::invalid(format!("{org} can have no database on the cluster {cluster}: its id makes no name of one; see clusters.{cluster}.database"))
    })?;
    Ok((collections, clusters))
}

pub(super) fn missing(org: &OrgId, table: &TableName) -> Error {
    Error::not_found(format!(
        "there is no collection behind the table {table} of {org}"
    ))
}
