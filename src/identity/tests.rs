use chrono::TimeDelta;
use rules::{ClusterName, Kind, RoleName};
use tempfile::TempDir;

use super::*;
use crate::directory::{NewUser, Organization};

mod api_keys;
mod openid;
mod tokens;

fn org(id: &str) -> OrgId {
    OrgId::parse(id).unwrap()
}

fn user_id(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn role_name(name: &str) -> RoleName {
    RoleName::parse(name).unwrap()
}

/// Organizations `airline` and `bank`, each with a user for each default role, on a clock that stands still.
struct House {
    _folder: TempDir,
    directory: Directory,
    clock: Clock,
    identity: Identity,
}

const USERS: [(&str, &str); 4] = [
    ("user", rules::DEFAULT_USER_ROLE),
    ("admin", rules::DEFAULT_ADMINISTRATOR_ROLE),
    ("amigo", rules::DEFAULT_AMIGO_ADMINISTRATOR_ROLE),
    ("super", rules::DEFAULT_SUPER_ADMINISTRATOR_ROLE),
];

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&folder.path().join("directory.db"))
            .await
            .unwrap();
        // Not a whole second or millisecond: rounding must not make an instant promised and one kept differ.
        let clock = Clock::fixed(DateTime::from_timestamp_micros(1_795_521_600_123_456).unwrap());
        let cluster = ClusterName::parse("default").unwrap();
        for id in ["airline", "bank"] {
            let now = clock.now();
            let organization = Organization {
                org_id: org(id),
                name: id.to_owned(),
                cluster: cluster.clone(),
                created_at: now,
                retention_days: None,
            };
            directory.create_organization(&organization).await.unwrap();
            for (user, role) in USERS {
                let user = NewUser {
                    org_id: org(id),
                    user_id: user_id(user),
                    role: role_name(role),
                    email: None,
                    first_name: None,
                    last_name: None,
                };
                directory.create_user(&user, now).await.unwrap();
            }
        }
        let identity = open(&directory, &clock).await;
        Self {
            _folder: folder,
            directory,
            clock,
            identity,
        }
    }

    async fn key(&self, role: &str) -> NewKey {
        self.identity
            .create_api_key(
                &org("airline"),
                &role_name(role),
                TimeDelta::days(30),
                None,
                None,
            )
            .await
            .unwrap()
    }

    async fn sign_in(&self, org_id: &str, key: (&str, &str), user: &str) -> Result<Token> {
        self.identity
            .sign_in(&org(org_id), key.0, key.1, Some(&user_id(user)))
            .await
    }
}

async fn open(directory: &Directory, clock: &Clock) -> Identity {
    let settings = config::Identity::default();
    Identity::open(directory.clone(), clock.clone(), &settings)
        .await
        .unwrap()
}

/// The refusal is a 401 with exactly this sentence, so it cannot quote what was sent.
#[track_caller]
fn refused<T>(result: Result<T>, message: &str) {
    let Err(error) = result else {
        panic!("must be refused: {message}");
    };
    assert_eq!(
        (error.kind(), error.message()),
        (&Kind::Unauthenticated, message)
    );
}
