use ::collections::{Column, Kind, Path};
use rules::{ClusterName, TableName};

use super::*;
use crate::directory::StoredCollection;

fn stored(name: &str, collection: &str, kind: Kind) -> StoredCollection {
    StoredCollection {
        name: TableName::parse(name).unwrap(),
        collection: collection.to_owned(),
        columns: vec![Column {
            name: "City".to_owned(),
            path: Path::parse("address.city").unwrap(),
            kind,
        }],
        origin: "a sample".to_owned(),
        sampled_at: now(),
    }
}

#[tokio::test]
async fn columns_of_collections_are_each_organizations_and_clusters_own() {
    let (_folder, directory) = two_organizations().await;
    let (airline, bank) = (org("airline"), org("bank"));
    let cluster = |name| ClusterName::parse(name).unwrap();
    let (main, other) = (cluster("main"), cluster("other"));
    let decimal = Kind::Decimal {
        precision: 10,
        scale: 2,
    };
    let users = stored("users", "users", decimal);
    let visits = stored("a_visits", "a-visits", Kind::Json);
    for stored in [&users, &visits] {
        directory
            .store_collection(&airline, &main, stored)
            .await
            .unwrap();
    }
    let all = directory.stored_collections(&airline, &main).await.unwrap();
    assert_eq!(all, [visits, users.clone()]);
    let one = directory.stored_collection(&airline, &main, &users.name);
    assert_eq!(one.await.unwrap(), Some(users.clone()));
    for (org, cluster) in [(&bank, &main), (&airline, &other)] {
        let none = directory.stored_collections(org, cluster).await.unwrap();
        assert_eq!(none, []);
        let none = directory.stored_collection(org, cluster, &users.name);
        assert_eq!(none.await.unwrap(), None);
    }
}

#[tokio::test]
async fn columns_stay_as_first_settled_until_they_are_stored_anew() {
    let (_folder, directory) = two_organizations().await;
    let (airline, main) = (org("airline"), ClusterName::parse("main").unwrap());
    let first = stored("users", "users", Kind::BigInt);
    let second = stored("users", "users", Kind::String);
    let settle = async |stored| {
        let settled = directory.settle_collection(&airline, &main, stored);
        settled.await.unwrap()
    };
    assert_eq!(settle(&first).await, first);
    assert_eq!(settle(&second).await, first);
    directory
        .store_collection(&airline, &main, &second)
        .await
        .unwrap();
    assert_eq!(settle(&first).await, second);
    let renamed = stored("users", "people", Kind::Json);
    assert_eq!(settle(&renamed).await, renamed, "another collection's");
}
