use chrono::{DateTime, TimeDelta, Utc};
use rules::{Caller, ClusterName, Kind, OrgId, RoleName, UserId};
use tempfile::TempDir;

use super::*;

mod collections;
mod emails;
mod migrations;
mod temporary_grants;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_795_521_600_123).unwrap()
}

fn org(id: &str) -> OrgId {
    OrgId::parse(id).unwrap()
}

fn user_id(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn role_name(name: &str) -> RoleName {
    RoleName::parse(name).unwrap()
}

fn cluster() -> ClusterName {
    ClusterName::parse("default").unwrap()
}

fn new_user(org_id: &str, id: &str, email: Option<&str>) -> NewUser {
    NewUser {
        org_id: org(org_id),
        user_id: user_id(id),
        role: role_name(rules::DEFAULT_USER_ROLE),
        email: email.map(str::to_owned),
        first_name: Some("Mia".to_owned()),
        last_name: None,
    }
}

fn new_key(org_id: &str, key_id: &str, expires_at: DateTime<Utc>) -> NewApiKey {
    NewApiKey {
        org_id: org(org_id),
        key_id: key_id.to_owned(),
        secret_hash: "$argon2id$hash".to_owned(),
        name: Some("ci".to_owned()),
        role: role_name(rules::DEFAULT_ADMINISTRATOR_ROLE),
        expires_at,
        creator: Some((org("globex"), user_id("mia"))),
    }
}

fn organization(id: &str, name: &str, cluster: &str) -> Organization {
    Organization {
        org_id: org(id),
        name: name.to_owned(),
        cluster: ClusterName::parse(cluster).unwrap(),
        created_at: now(),
        retention_days: None,
    }
}

/// A directory in a folder of its own, with organizations `airline` and `bank`.
async fn two_organizations() -> (TempDir, Directory) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::open(&folder.path().join("data/directory.db"))
        .await
        .unwrap();
    for id in ["airline", "bank"] {
        directory
            .create_organization(&organization(id, id, "default"))
            .await
            .unwrap();
    }
    (folder, directory)
}

#[track_caller]
fn refused<T>(result: Result<T>, kind: &Kind, message: &str) {
    let Err(error) = result else {
        panic!("must be refused: {message}");
    };
    assert_eq!((error.kind(), error.message()), (kind, message));
}

#[tokio::test]
async fn what_was_made_is_there_after_reopening() {
    let (folder, directory) = two_organizations().await;
    directory
        .create_user(&new_user("airline", "mia", Some("mia@x.org")), now())
        .await
        .unwrap();
    directory.close().await;

    let file = folder.path().join("data/directory.db");
    let directory = Directory::open_existing(&file).await.unwrap();
    let organizations = directory.organizations().await.unwrap();
    let expected = ["airline", "bank"].map(|id| organization(id, id, "default"));
    assert_eq!(organizations, expected);
    assert_eq!(
        directory.organization(&org("bank")).await.unwrap(),
        Some(expected[1].clone())
    );
    assert_eq!(directory.organization(&org("Bank")).await.unwrap(), None);
    let users = directory.users(&org("airline")).await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0].user_id, user_id("mia"));
    assert_eq!(users[0].role.as_str(), rules::DEFAULT_USER_ROLE);
    assert_eq!(users[0].email.as_deref(), Some("mia@x.org"));
    assert_eq!(users[0].first_name.as_deref(), Some("Mia"));
    assert_eq!(users[0].last_name, None);
    assert_eq!(users[0].created_at, now());
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_machine_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _directory) = two_organizations().await;
    let data = folder.path().join("data");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().collect();
    assert!(files.len() > 1, "the journal is there too");
    for file in files {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_command_that_needs_a_directory_does_not_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let message = format!(
        "no data directory at {}: create an organization first",
        data.display()
    );
    let opened = Directory::open_existing(&data.join("directory.db")).await;
    refused(opened, &Kind::NotFound, &message);
    assert!(!data.exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.db");
    let text = "no database, but longer than the header of one. ".repeat(50);
    std::fs::write(&file, &text).unwrap();
    let message = format!(
        "{} is no directory database; choose another data directory",
        file.display()
    );
    refused(Directory::open(&file).await, &Kind::Invalid, &message);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let (folder, directory) = two_organizations().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&directory.pool)
    .await
    .unwrap();
    let file = folder.path().join("data/directory.db");
    let message = format!(
        "{} was written by a newer version of this program (schema 999); run that version or a later one",
        file.display()
    );
    refused(Directory::open(&file).await, &Kind::Conflict, &message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_start_at_once_each_sees_all_and_one_makes_an_organization() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.db");
    let starts = (0..8).map(|number| {
        let file = file.clone();
        tokio::spawn(async move {
            let directory = Directory::open(&file).await.unwrap();
            let own = organization(&format!("own-{number}"), "own", "default");
            directory.create_organization(&own).await.unwrap();
            let shared = directory
                .create_organization(&organization("shared", "shared", "default"))
                .await;
            (directory, shared)
        })
    });
    let starts: Vec<_> = starts.collect();
    let mut winners = 0;
    let mut directories = Vec::new();
    for start in starts {
        let (directory, shared) = start.await.unwrap();
        match shared {
            Ok(()) => winners += 1,
            Err(error) => assert_eq!(
                error.message(),
                "organization shared exists already; choose another id"
            ),
        }
        directories.push(directory);
    }
    assert_eq!(winners, 1);
    for directory in directories {
        assert_eq!(directory.organizations().await.unwrap().len(), 9);
    }
}

#[tokio::test]
async fn an_organization_is_made_with_the_default_roles_and_its_cluster() {
    let (_folder, directory) = two_organizations().await;
    for default in rules::default_roles() {
        let role = directory.role(&org("bank"), &default.role.name).await;
        assert_eq!(role.unwrap(), Some(default.role));
    }
    let unknown = directory.role(&org("bank"), &role_name("Nobody")).await;
    assert_eq!(unknown.unwrap(), None);
    assert!(directory.cluster_exists(&cluster()).await.unwrap());
    let other = ClusterName::parse("other").unwrap();
    assert!(!directory.cluster_exists(&other).await.unwrap());
}

#[tokio::test]
async fn an_organization_that_exists_is_refused_and_changes_nothing() {
    let (_folder, directory) = two_organizations().await;
    let other = ClusterName::parse("other").unwrap();
    let again = directory
        .create_organization(&organization("bank", "Another", "other"))
        .await;
    let message = "organization bank exists already; choose another id";
    refused(again, &Kind::Conflict, message);
    let bank = directory.organization(&org("bank")).await.unwrap().unwrap();
    assert_eq!(bank.name, "bank");
    assert!(!directory.cluster_exists(&other).await.unwrap());
    let blank = directory
        .create_organization(&organization("new", " ", "default"))
        .await;
    assert_eq!(blank.unwrap_err().kind(), &Kind::Invalid);
    let never = Organization {
        retention_days: Some(0),
        ..organization("new", "new", "default")
    };
    let never = directory.create_organization(&never).await;
    let message = "prompt logs are kept 1 to 36500 days, not 0";
    refused(never, &Kind::Invalid, message);
}

#[tokio::test]
async fn an_organization_keeps_its_logs_as_long_as_it_says_or_as_the_setting_does() {
    let (_folder, directory) = two_organizations().await;
    let days = async |id: &str| {
        let organization = directory.organization(&org(id)).await.unwrap().unwrap();
        organization.retention_days_or(30)
    };
    assert_eq!(days("bank").await, 30);
    let week = Organization {
        retention_days: Some(7),
        ..organization("week", "week", "default")
    };
    directory.create_organization(&week).await.unwrap();
    assert_eq!(days("week").await, 7);
    directory
        .set_retention(&org("bank"), Some(90))
        .await
        .unwrap();
    assert_eq!((days("bank").await, days("airline").await), (90, 30));
    directory.set_retention(&org("bank"), None).await.unwrap();
    assert_eq!(days("bank").await, 30);
    let wrong = directory.set_retention(&org("bank"), Some(36_501)).await;
    let message = "prompt logs are kept 1 to 36500 days, not 36501";
    refused(wrong, &Kind::Invalid, message);
    let nobody = directory.set_retention(&org("nix"), Some(1)).await;
    let message = "there is no organization nix; create it first";
    refused(nobody, &Kind::NotFound, message);
}

#[tokio::test]
async fn a_user_id_or_address_that_is_taken_is_refused_within_the_organization_only() {
    let (_folder, directory) = two_organizations().await;
    let mia = new_user("airline", "mia", Some("mia@x.org"));
    directory.create_user(&mia, now()).await.unwrap();
    refused(
        directory.create_user(&mia, now()).await,
        &Kind::Conflict,
        "organization airline has a user mia already; choose another id",
    );
    let same_address = new_user("airline", "li", Some("MIA@x.org"));
    refused(
        directory.create_user(&same_address, now()).await,
        &Kind::Conflict,
        "another user of organization airline has this e-mail address; give another one",
    );
    for user in [
        new_user("bank", "mia", Some("mia@x.org")),
        new_user("airline", "li", None),
        new_user("airline", "bo", None),
    ] {
        directory.create_user(&user, now()).await.unwrap();
    }
    let ids = |users: Vec<User>| users.into_iter().map(|user| user.user_id.to_string());
    let airline = directory.users(&org("airline")).await.unwrap();
    assert!(ids(airline).eq(["bo", "li", "mia"]));
    let bank = directory.users(&org("bank")).await.unwrap();
    assert!(ids(bank).eq(["mia"]));
}

#[tokio::test]
async fn a_user_of_an_unknown_organization_or_role_is_refused() {
    let (_folder, directory) = two_organizations().await;
    refused(
        directory
            .create_user(&new_user("nix", "mia", None), now())
            .await,
        &Kind::NotFound,
        "there is no organization nix; create it first",
    );
    let mut mia = new_user("airline", "mia", None);
    mia.role = role_name("Nobody");
    refused(
        directory.create_user(&mia, now()).await,
        &Kind::NotFound,
        "organization airline has no role Nobody; it has DefaultUserRole, DefaultAdministratorRole, \
         DefaultAmigoAdministratorRole, DefaultSuperAdministratorRole",
    );
}

#[tokio::test]
async fn a_name_or_address_that_cannot_be_one_is_refused() {
    let (_folder, directory) = two_organizations().await;
    let long = format!("{}@x.org", "a".repeat(320));
    for email in [
        "",
        "mia",
        "@x.org",
        "mia@",
        "m ia@x.org",
        "mia@x.org\n",
        &long,
    ] {
        let user = new_user("airline", "mia", Some(email));
        let error = directory.create_user(&user, now()).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::Invalid, "{email:?}");
    }
    for name in ["", "  ", "Mia\u{1b}[2J", &"a".repeat(257)] {
        let mut user = new_user("airline", "mia", None);
        user.last_name = Some(name.to_owned());
        let error = directory.create_user(&user, now()).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::Invalid, "{name:?}");
    }
}

#[tokio::test]
async fn a_caller_has_the_role_of_their_own_organization_and_no_other() {
    let (_folder, directory) = two_organizations().await;
    directory
        .create_user(&new_user("airline", "mia", None), now())
        .await
        .unwrap();
    let caller = directory
        .caller(&org("airline"), &user_id("mia"), now())
        .await;
    let [default_user, ..] = rules::default_roles();
    let expected = Caller {
        org_id: org("airline"),
        user_id: user_id("mia"),
        role: default_user.role,
        temporary_grants: Vec::new(),
    };
    assert_eq!(caller.unwrap(), Some(expected));
    let elsewhere = directory.caller(&org("bank"), &user_id("mia"), now()).await;
    assert_eq!(elsewhere.unwrap(), None);
}

#[tokio::test]
async fn a_role_whose_grants_cannot_be_read_makes_no_caller() {
    let (_folder, directory) = two_organizations().await;
    directory
        .create_user(&new_user("airline", "mia", None), now())
        .await
        .unwrap();
    sqlx::query("UPDATE roles SET permission_grants = '[{\"action\": \"Deny\"}]'")
        .execute(&directory.pool)
        .await
        .unwrap();
    refused(
        directory
            .caller(&org("airline"), &user_id("mia"), now())
            .await,
        &Kind::Internal,
        "a role in the directory database is damaged; restore it from a backup",
    );
}

#[tokio::test]
async fn an_api_key_is_found_in_its_own_organization_only() {
    let (_folder, directory) = two_organizations().await;
    let expires_at = now() + TimeDelta::days(1);
    let key = new_key("airline", "k1", expires_at);
    directory.create_api_key(&key, now()).await.unwrap();
    let found = directory.api_key(&org("airline"), "k1").await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.org_id, org("airline"));
    assert_eq!(found.key_id, "k1");
    assert_eq!(found.secret_hash, "$argon2id$hash");
    assert_eq!(found.name.as_deref(), Some("ci"));
    assert_eq!(found.role.name, key.role);
    assert_eq!(found.created_at, now());
    assert_eq!(found.expires_at, expires_at);
    assert_eq!(found.creator, Some((org("globex"), user_id("mia"))));
    assert!(!format!("{found:?} {key:?}").contains("argon2id"));
    for (org_id, key_id) in [("bank", "k1"), ("airline", "k2"), ("airline", "")] {
        let other = directory.api_key(&org(org_id), key_id).await.unwrap();
        assert!(other.is_none(), "{org_id} {key_id}");
    }
}

#[tokio::test]
async fn an_organization_has_at_most_20_keys_that_have_not_expired() {
    let (_folder, directory) = two_organizations().await;
    let tomorrow = now() + TimeDelta::days(1);
    for number in 0..API_KEYS_MAX {
        let key = new_key("airline", &format!("k{number}"), tomorrow);
        directory.create_api_key(&key, now()).await.unwrap();
    }
    let one_more = new_key("airline", "one-more", tomorrow + TimeDelta::days(1));
    refused(
        directory.create_api_key(&one_more, now()).await,
        &Kind::Invalid,
        "organization airline has 20 API keys, the most allowed; delete one or let one expire",
    );
    let elsewhere = new_key("bank", "elsewhere", tomorrow);
    directory.create_api_key(&elsewhere, now()).await.unwrap();
    directory.create_api_key(&one_more, tomorrow).await.unwrap();
}

#[tokio::test]
async fn a_key_of_an_unknown_organization_or_role_is_refused() {
    let (_folder, directory) = two_organizations().await;
    let key = new_key("nix", "k1", now());
    refused(
        directory.create_api_key(&key, now()).await,
        &Kind::NotFound,
        "there is no organization nix; create it first",
    );
    let mut key = new_key("airline", "k1", now());
    key.role = role_name("Nobody");
    let error = directory.create_api_key(&key, now()).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::NotFound);
}

#[tokio::test]
async fn the_first_signing_key_is_made_once_and_later_ones_come_first() {
    let (folder, directory) = two_organizations().await;
    let other = Directory::open(&folder.path().join("data/directory.db"))
        .await
        .unwrap();
    let key = |kid: &str, created_at| SigningKey {
        kid: kid.to_owned(),
        private_key: vec![1, 2, 3],
        public_key: vec![4, 5],
        created_at,
    };
    let first = key("first", now());
    directory.add_first_signing_key(&first).await.unwrap();
    let too_late = key("too-late", now());
    other.add_first_signing_key(&too_late).await.unwrap();
    let stored = other.signing_keys().await.unwrap();
    assert_eq!(stored, std::slice::from_ref(&first));
    let second = key("second", now() + TimeDelta::milliseconds(1));
    other.add_signing_key(&second).await.unwrap();
    let third = key("third", second.created_at);
    other.add_signing_key(&third).await.unwrap();
    let keys = directory.signing_keys().await.unwrap();
    assert_eq!(keys, [third, second, first]);
}

#[test]
fn an_id_is_24_hexadecimal_digits_that_begin_with_its_second_and_differ() {
    let first = object_id(now()).unwrap();
    let second = object_id(now()).unwrap();
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(first.len() == 24 && first.chars().all(is_hex), "{first}");
    assert!(first.starts_with(&format!("{:x}", now().timestamp())));
    assert_ne!(first, second);
    let late = DateTime::from_timestamp(1 << 33, 0).unwrap();
    assert_eq!(object_id(late).unwrap().len(), 24);
}
