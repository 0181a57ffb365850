use sqlx::{AssertSqlSafe, SqlitePool};

use super::super::schema::{STEPS, apply};
use super::*;

/// Rows as a program with this many steps wrote them.
const ROWS: [&str; 8] = [
    "INSERT INTO clusters VALUES ('default');
     INSERT INTO organizations (org_id, name, cluster, created_at)
         VALUES ('airline', 'Airline', 'default', 1795521600123);
     INSERT INTO roles VALUES
         ('r1', 'airline', 'DefaultUserRole', 'people', 'client', '[GRANT]', 1795521600123, 1795521600123);
     INSERT INTO users (org_id, user_id, email, role_id, created_at, updated_at)
         VALUES ('airline', 'mia', 'mia@x.org', 'r1', 1795521600123, 1795521600123);
     INSERT INTO api_keys
         (id, org_id, key_id, secret_hash, name, role_id, created_at, updated_at, expires_at, creator_user_id)
         VALUES ('k1', 'airline', '0123456789abcdef01234567', '$argon2id$hash', 'ci', 'r1',
                 1795521600123, 1795521600123, 1795521700123, 'mia');
     INSERT INTO signing_keys VALUES ('s1', x'01', x'02', 1795521600123);",
    "UPDATE organizations SET retention_days = 7;",
    "INSERT INTO temporary_permission_grants VALUES
         ('t1', 'airline', 'mia', 'GRANT', 'ticket', '{}', NULL, NULL, 1795521600123, 1795521600123, 1795521700123);",
    "INSERT INTO sql_queries (query_id, org_id, user_org_id, user_id, sql_query, status, created_at)
         VALUES ('q1', 'airline', 'airline', 'mia', 'SELECT 1', 'succeeded', 1795521600123);
     INSERT INTO url_keys VALUES ('u1', x'03', 1795521600123);",
    "INSERT INTO maintenance VALUES (1, 1795521600123);
     UPDATE users SET preferences = '{\"a\": 1}';",
    "INSERT INTO audit_log (org_id, seq, at, entry_id, event, actor, action, previous_hash, hash)
         VALUES ('airline', 1, 1795521600123, 'e1', 'opened', 'operator', 'Admin:GetPromptLogs', '', 'h1');
     INSERT INTO audit_heads VALUES ('airline', 1, 'h1');",
    "INSERT INTO collections VALUES ('airline', 'default', 'users', 'users', '[]', 'a sample', 1795521600123);
     UPDATE sql_queries SET warning = 'one value did not fit';",
    "INSERT INTO retention_setting VALUES (1, 365, 365, 1795521600123);",
];

/// A database as it was left by the program that knew the first so many steps.
async fn left_at(steps: usize, file: &Path) {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    apply(&STEPS[..steps], &pool, file).await.unwrap();
    let grant = serde_json::to_string(&rules::Grant::allow("Admin:GetPromptLogs")).unwrap();
    for rows in &ROWS[..steps.min(ROWS.len())] {
        let rows = rows.replace("GRANT", &grant);
        sqlx::raw_sql(AssertSqlSafe(rows))
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
}

#[tokio::test]
async fn a_database_of_every_earlier_version_is_brought_up_to_date_with_all_that_is_in_it() {
    for steps in 1..=STEPS.len() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("directory.db");
        left_at(steps, &file).await;
        let directory = Directory::open(&file).await.unwrap();

        let (airline, mia) = (org("airline"), user_id("mia"));
        let organization = directory.organization(&airline).await.unwrap().unwrap();
        assert_eq!(organization.created_at, now(), "{steps}");
        assert_eq!(organization.retention_days, (steps >= 2).then_some(7));
        let users = directory.users(&airline).await.unwrap();
        assert_eq!(users[0].email.as_deref(), Some("mia@x.org"), "{steps}");
        let caller = directory.caller(&airline, &mia, now()).await.unwrap();
        let caller = caller.unwrap();
        assert_eq!(caller.role.name.as_str(), rules::DEFAULT_USER_ROLE);
        assert_eq!(caller.role.grants.len(), 1, "{steps}");
        assert_eq!(caller.temporary_grants.len(), usize::from(steps >= 3));
        let key = directory
            .api_key(&airline, "0123456789abcdef01234567")
            .await;
        assert_eq!(key.unwrap().unwrap().secret_hash, "$argon2id$hash");
        let keys = directory.signing_keys().await.unwrap();
        assert_eq!((keys.len(), keys[0].kid.as_str()), (1, "s1"), "{steps}");
        let query = directory.sql_query(&airline, None, "q1").await.unwrap();
        assert_eq!(query.is_some(), steps >= 4);
        let warning = query.and_then(|query| query.warning);
        assert_eq!(warning.is_some(), steps >= 7);
        assert_eq!(
            directory.url_keys().await.unwrap().len(),
            usize::from(steps >= 4)
        );
        let maintenance = directory.maintenance().await.unwrap();
        assert_eq!(maintenance, (steps >= 5).then(now));
        let head = directory.audit_head(Some(&airline)).await.unwrap();
        assert_eq!(head.seq, i64::from(steps >= 6));
        let cluster = &organization.cluster;
        let stored = directory.stored_collections(&airline, cluster).await;
        assert_eq!(stored.unwrap().len(), usize::from(steps >= 7));

        let days = directory.retention(30, now()).await.unwrap();
        // Of servers before nobody knows by how many days they dropped logs.
        assert_eq!(days, if steps >= 8 { 365 } else { 36_500 });

        // It is written like a new one, and opening it again changes nothing.
        let bo = new_user("airline", "bo", None);
        directory.create_user(&bo, now()).await.unwrap();
        directory.close().await;
        let again = Directory::open(&file).await.unwrap();
        assert_eq!(again.users(&airline).await.unwrap().len(), 2, "{steps}");
    }
}

#[tokio::test]
async fn a_database_that_an_older_server_serves_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.db");
    left_at(STEPS.len() - 1, &file).await;
    let serving = folder::lock(&folder.path().join(SERVE_LOCK), || unreachable!()).unwrap();
    let refused = Directory::open(&file).await.unwrap_err();
    assert_eq!(*refused.kind(), Kind::Conflict);
    assert!(refused.message().contains("older version"), "{refused}");
    // Its own server, which is of this version, brings it up to date.
    Directory::open_to_serve(&file).await.unwrap();
    // And then commands work beside it.
    Directory::open(&file).await.unwrap();
    drop(serving);
}

#[test]
fn every_step_has_rows_of_its_version() {
    // A new step needs rows here, or the test above proves nothing of it.
    assert!(ROWS.len() >= STEPS.len(), "{} steps", STEPS.len());
}
