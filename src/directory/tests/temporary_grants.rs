use chrono::{DateTime, TimeDelta, Utc};
use rules::Kind;

use super::super::NewTemporaryGrant;
use super::*;

fn new_grant(permission: &str, hours: i64) -> NewTemporaryGrant {
    NewTemporaryGrant {
        org_id: org("airline"),
        user_id: user_id("mia"),
        grant: rules::Grant::allow(permission).when("user_id", rules::Condition::equals("bo")),
        justification: "looks into ticket 4711".to_owned(),
        tags: [("ticket".to_owned(), Some("4711".to_owned()))].into(),
        expires_at: now() + TimeDelta::hours(hours),
        creator: Some((org("airline"), user_id("boss"))),
    }
}

#[tokio::test]
async fn a_temporary_grant_counts_for_its_user_until_it_expires_or_is_revoked() {
    let (_folder, directory) = two_organizations().await;
    for id in ["mia", "bo"] {
        let user = new_user("airline", id, None);
        directory.create_user(&user, now()).await.unwrap();
    }
    let grants = async |user: &str, at: DateTime<Utc>| {
        let caller = directory.caller(&org("airline"), &user_id(user), at).await;
        let grants = caller.unwrap().unwrap().temporary_grants;
        let names = grants.into_iter().map(|grant| grant.permission_name);
        names.collect::<Vec<_>>()
    };
    let short = new_grant("Conversation:GetMessage", 1);
    let long = new_grant("Admin:GetPromptLogs", 3);
    directory
        .create_temporary_grant(&short, now())
        .await
        .unwrap();
    let id = directory
        .create_temporary_grant(&long, now())
        .await
        .unwrap();

    assert_eq!(grants("mia", now()).await.len(), 2);
    assert!(grants("bo", now()).await.is_empty());
    let at_its_end = now() + TimeDelta::hours(1);
    assert_eq!(grants("mia", at_its_end).await, ["Admin:GetPromptLogs"]);

    let listed = directory
        .temporary_grants(&org("airline"), None)
        .await
        .unwrap();
    assert_eq!(listed.len(), 2);
    let found = listed.iter().find(|grant| grant.id == id).unwrap();
    assert_eq!((&found.grant, &found.tags), (&long.grant, &long.tags));
    assert_eq!(found.creator, long.creator);
    assert_eq!(
        (found.created_at, found.expires_at),
        (now(), long.expires_at)
    );
    let bo = user_id("bo");
    let of_bo = directory.temporary_grants(&org("airline"), Some(&bo)).await;
    assert!(of_bo.unwrap().is_empty());

    let missing = "organization bank has no temporary grant of this id; amigo-admin grant list bank shows all";
    let foreign = directory.revoke_temporary_grant(&org("bank"), &id).await;
    refused(foreign, &Kind::NotFound, missing);
    directory
        .revoke_temporary_grant(&org("airline"), &id)
        .await
        .unwrap();
    assert_eq!(grants("mia", now()).await, ["Conversation:GetMessage"]);
    let again = directory.revoke_temporary_grant(&org("airline"), &id).await;
    assert_eq!(*again.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_temporary_grant_that_can_mean_nothing_is_refused() {
    let (_folder, directory) = two_organizations().await;
    directory
        .create_user(&new_user("airline", "mia", None), now())
        .await
        .unwrap();
    let good = new_grant("A:B", 1);
    let bad = [
        NewTemporaryGrant {
            justification: "short".to_owned(),
            ..good.clone()
        },
        NewTemporaryGrant {
            justification: "         x         ".to_owned(),
            ..good.clone()
        },
        NewTemporaryGrant {
            justification: "\u{1b}[2J looks harmless".to_owned(),
            ..good.clone()
        },
        NewTemporaryGrant {
            expires_at: now(),
            ..good.clone()
        },
        NewTemporaryGrant {
            grant: rules::Grant::allow("everything"),
            ..good.clone()
        },
    ];
    for new in bad {
        let error = directory
            .create_temporary_grant(&new, now())
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), Kind::Invalid, "{new:?}");
    }
    let nobody = NewTemporaryGrant {
        user_id: user_id("nobody"),
        ..good
    };
    let error = directory
        .create_temporary_grant(&nobody, now())
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_temporary_grant_that_cannot_be_read_makes_no_caller() {
    let (_folder, directory) = two_organizations().await;
    directory
        .create_user(&new_user("airline", "mia", None), now())
        .await
        .unwrap();
    directory
        .create_temporary_grant(&new_grant("A:B", 1), now())
        .await
        .unwrap();
    sqlx::query("UPDATE temporary_permission_grants SET permission_grant = '{}'")
        .execute(&directory.pool)
        .await
        .unwrap();
    let caller = directory
        .caller(&org("airline"), &user_id("mia"), now())
        .await;
    assert_eq!(*caller.unwrap_err().kind(), Kind::Internal);
}
