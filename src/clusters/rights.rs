//! What the credentials may do: they should only read.

use std::collections::BTreeSet;

use mongodb::bson::{Bson, Document, doc};

use super::Cluster;
use super::answers::failed;

/// Actions of MongoDB's that change data or the collections that hold it.
const WRITING: [&str; 14] = [
    "anyAction",
    "bypassDocumentValidation",
    "collMod",
    "convertToCapped",
    "createCollection",
    "createIndex",
    "dropCollection",
    "dropDatabase",
    "dropIndex",
    "grantRole",
    "insert",
    "remove",
    "renameCollectionSameDB",
    "update",
];

impl Cluster {
    pub(super) async fn warn_of_rights(&self) {
        let cluster = self.name.as_str();
        let status = async {
            let database = self.database("admin").await?;
            let command = doc! {"connectionStatus": 1, "showPrivileges": true};
            database.run_command(command).await.map_err(failed)
        };
        match status.await {
            Ok(status) => {
                let writing: Vec<String> = writing(&status).into_iter().collect();
                if !writing.is_empty() {
                    tracing::warn!(
                        cluster,
                        may = writing.join(", "),
                        "the credentials of a MongoDB cluster may write; give a user with the role read"
                    );
                }
            }
            Err(error) => tracing::warn!(
                cluster,
                error = &error as &dyn std::error::Error,
                "it is not known whether the credentials of a MongoDB cluster may write"
            ),
        }
    }
}

/// The writing actions that `connectionStatus` names.
fn writing(status: &Document) -> BTreeSet<String> {
    let privileges = status
        .get_document("authInfo")
        .and_then(|info| info.get_array("authenticatedUserPrivileges"));
    let actions = privileges.into_iter().flatten().filter_map(|privilege| {
        let actions = privilege.as_document()?.get_array("actions").ok()?;
        Some(actions.iter().filter_map(Bson::as_str))
    });
    let writing = actions.flatten().filter(|action| WRITING.contains(action));
    writing.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_actions_are_found_among_others() {
        let status = doc! {"authInfo": {"authenticatedUserPrivileges": [
            {"resource": {"db": "acme", "collection": ""}, "actions": ["find", "listCollections", "update"]},
            {"resource": {"db": "acme", "collection": ""}, "actions": ["insert", "update"]},
        ]}};
        assert_eq!(
            writing(&status).into_iter().collect::<Vec<_>>(),
            ["insert", "update"]
        );
        let reading = doc! {"authInfo": {"authenticatedUserPrivileges": [
            {"resource": {}, "actions": ["find", "listCollections", "collStats"]},
        ]}};
        assert!(writing(&reading).is_empty());
        assert!(writing(&doc! {"authInfo": {}}).is_empty());
    }
}
