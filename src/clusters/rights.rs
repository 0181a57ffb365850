//! Whether a cluster's credentials may do more than read, which they need not.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use rules::Result;
use tokio::time::timeout;

use super::cluster::Cluster;
use super::errors;

const PATIENCE: Duration = Duration::from_secs(10);

/// Actions that change data, structure or users; MongoDB has more, but no role has those and none of these.
const WRITING: [&str; 16] = [
    "anyAction",
    "insert",
    "update",
    "remove",
    "createCollection",
    "dropCollection",
    "dropDatabase",
    "createIndex",
    "dropIndex",
    "renameCollectionSameDB",
    "collMod",
    "convertToCapped",
    "createUser",
    "createRole",
    "grantRole",
    "changePassword",
];

#[derive(Debug, PartialEq, Eq)]
enum Rights {
    Reads,
    /// Such an action is allowed.
    Writes(String),
    /// Nobody is signed in: the cluster has no access control.
    Everything,
}

/// Tells the operator in the log.
pub(super) async fn warn(cluster: &Arc<Cluster>) {
    let name = cluster.name.as_str();
    let found = match timeout(PATIENCE, find(cluster)).await {
        Ok(found) => found,
        Err(_) => Err(errors::unavailable(&cluster.name, "no answer in time")),
    };
    match found {
        Ok(Rights::Reads) => {}
        Ok(Rights::Writes(action)) => tracing::warn!(
            cluster = name,
            action,
            "the credentials of a MongoDB cluster may write to it; give ones that may only read"
        ),
        Ok(Rights::Everything) => tracing::warn!(
            cluster = name,
            "a MongoDB cluster asks for no credentials: whoever reaches it may write to it"
        ),
        Err(error) => tracing::warn!(
            cluster = name,
            error = &error as &dyn std::error::Error,
            "a MongoDB cluster does not answer; whether its credentials may write is not known"
        ),
    }
}

async fn find(cluster: &Cluster) -> Result<Rights> {
    let database = cluster.database("admin").await?;
    let status = database.run_command(doc! {"connectionStatus": 1, "showPrivileges": true});
    let status = status.await;
    status
        .map(|status| rights(&status))
        .map_err(|error| errors::failed(&cluster.name, &error))
}

fn rights(status: &Document) -> Rights {
    let info = status.get_document("authInfo").ok();
    let list = |name: &str| {
        let list = info.and_then(|info| info.get_array(name).ok());
        list.map_or(&[][..], Vec::as_slice)
    };
    if list("authenticatedUsers").is_empty() {
        return Rights::Everything;
    }
    let privileges = list("authenticatedUserPrivileges").iter();
    let actions = privileges
        .filter_map(|privilege| privilege.as_document()?.get_array("actions").ok())
        .flatten()
        .filter_map(Bson::as_str);
    let mut writing = actions.filter(|action| WRITING.contains(action));
    match writing.next() {
        Some(action) => Rights::Writes(action.to_owned()),
        None => Rights::Reads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(actions: &[&str]) -> Document {
        let own = doc! {"resource": {"db": "admin", "collection": ""}, "actions": ["find"]};
        let more = doc! {"resource": {"db": "shop", "collection": ""}, "actions": actions};
        doc! {
            "authInfo": {
                "authenticatedUsers": [{"user": "reader", "db": "admin"}],
                "authenticatedUserRoles": [{"role": "read", "db": "shop"}],
                "authenticatedUserPrivileges": [own, more],
            },
            "ok": 1.0,
        }
    }

    #[test]
    fn a_reader_is_told_from_one_that_may_write() {
        // What the role `read` of MongoDB 7 may do.
        let reads = [
            "changeStream",
            "collStats",
            "dbHash",
            "dbStats",
            "find",
            "killCursors",
            "listCollections",
            "listIndexes",
            "listSearchIndexes",
            "planCacheRead",
        ];
        assert_eq!(rights(&status(&reads)), Rights::Reads);
        for action in WRITING {
            let writes = Rights::Writes(action.to_owned());
            assert_eq!(rights(&status(&["find", action])), writes);
        }
    }

    #[test]
    fn a_cluster_where_nobody_signs_in_lets_everybody_write() {
        let nobody =
            doc! {"authInfo": {"authenticatedUsers": [], "authenticatedUserPrivileges": []}};
        assert_eq!(rights(&nobody), Rights::Everything);
        assert_eq!(rights(&doc! {"ok": 1}), Rights::Everything);
    }
}
