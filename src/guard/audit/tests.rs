use std::path::{Path, PathBuf};

use chrono::DateTime;
use futures::TryStreamExt;
use rules::{ClusterName, Kind, OrgId, UserId};
use serde_json::json;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use super::*;
use crate::directory::{AuditVerdict, Organization};

struct Place {
    _folder: TempDir,
    file: PathBuf,
    directory: Directory,
    org: OrgId,
}

async fn place() -> Place {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("directory.db");
    let directory = Directory::open(&file).await.unwrap();
    let org = OrgId::parse("acme").unwrap();
    let organization = Organization {
        org_id: org.clone(),
        name: "Acme".to_owned(),
        cluster: ClusterName::parse("default").unwrap(),
        created_at: DateTime::UNIX_EPOCH,
        retention_days: None,
    };
    directory.create_organization(&organization).await.unwrap();
    Place {
        _folder: folder,
        file,
        directory,
        org,
    }
}

impl Place {
    fn opening(&self, resource: &str) -> Opening {
        let mia = UserId::parse("mia").unwrap();
        Opening {
            org_id: Some(self.org.clone()),
            actor: Actor::User(self.org.clone(), mia),
            deed: Action::RunSqlQuery.on(resource).with(json!({"a": 1})),
            request_id: Some("r-1".to_owned()),
            client_address: None,
        }
    }

    async fn rows(&self) -> Vec<AuditRow> {
        let verdict = self.directory.verify_audit(Some(&self.org), None).await;
        assert!(
            matches!(verdict, Ok(AuditVerdict::Intact(_))),
            "{verdict:?}"
        );
        let rows = self.directory.audit_rows(Some(&self.org), 0, 10_000);
        rows.try_collect().await.unwrap()
    }

    /// What the rows say of one act: the outcomes of its second rows, if its first one is there.
    async fn ends(&self, resource: &str) -> Option<Vec<String>> {
        let rows = self.rows().await;
        let first = rows
            .iter()
            .find(|row| row.resource.as_deref() == Some(resource))?;
        let second = rows.iter().filter(|row| row.event != AUDIT_OPENED);
        let own = second.filter(|row| row.entry_id == first.entry_id);
        Some(own.filter_map(|row| row.outcome.clone()).collect())
    }
}

/// Runs a statement beside the directory, as somebody with the file can.
async fn execute(file: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(file);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

async fn break_storage(file: &Path) {
    execute(
        file,
        "CREATE TRIGGER broken BEFORE INSERT ON audit_log BEGIN SELECT RAISE(FAIL, 'out of order'); END",
    )
    .await;
}

async fn mend_storage(file: &Path) {
    execute(file, "DROP TRIGGER broken").await;
}

#[tokio::test]
async fn both_rows_tell_what_they_were_told() {
    let place = place().await;
    let audit = Audit::of_command(place.directory.clone(), Clock::system());
    let mut act = audit.open(place.opening("SELECT 1")).unwrap();
    act.opened().await.unwrap();
    let [first] = &place.rows().await[..] else {
        panic!("not one row")
    };
    assert_eq!(first.event, "opened");
    assert_eq!(
        (first.actor.as_str(), first.actor_id.as_deref()),
        ("user", Some("mia"))
    );
    assert_eq!(first.action, "Admin:RunSqlQuery");
    assert_eq!(first.resource.as_deref(), Some("SELECT 1"));
    assert_eq!(first.request_id.as_deref(), Some("r-1"));
    assert_eq!(first.detail.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(first.outcome, None);
    act.completed(&End {
        status: Some(200),
        rows: Some(1),
        bytes: Some(u64::MAX),
        ..End::new(Outcome::Succeeded)
    })
    .await
    .unwrap();
    let rows = place.rows().await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].entry_id, first.entry_id);
    assert_eq!(rows[1].actor_id.as_deref(), Some("mia"));
    assert_eq!(rows[1].action, "Admin:RunSqlQuery");
    assert_eq!(
        (rows[1].status, rows[1].rows, rows[1].bytes),
        (Some(200), Some(1), Some(i64::MAX))
    );
    // Told once, in the first row.
    assert_eq!(
        (&rows[1].resource, &rows[1].request_id, &rows[1].detail),
        (&None, &None, &None)
    );
}

#[tokio::test]
async fn an_act_that_is_dropped_was_interrupted() {
    let place = place().await;
    let audit = Audit::of_command(place.directory.clone(), Clock::system());
    let mut act = audit.open(place.opening("opened")).unwrap();
    act.opened().await.unwrap();
    drop(act);
    // Nobody waits for this one at all.
    drop(audit.open(place.opening("not waited for")).unwrap());
    let mut act = audit.open(place.opening("during")).unwrap();
    let never = act.during(std::future::pending::<()>());
    let cut = tokio::time::timeout(Duration::from_millis(200), never).await;
    cut.unwrap_err();
    drop(act);
    audit.flush().await.unwrap();
    for resource in ["opened", "not waited for", "during"] {
        assert_eq!(
            place.ends(resource).await.unwrap(),
            ["interrupted"],
            "{resource}"
        );
    }
}

#[tokio::test]
async fn second_rows_are_stored_soon_though_nobody_waits() {
    let place = place().await;
    let audit = Audit::of_command(place.directory.clone(), Clock::system());
    let mut act = audit.open(place.opening("SELECT 1")).unwrap();
    assert_eq!(act.during(async { 7 }).await.unwrap(), 7);
    act.complete(&End::new(Outcome::Succeeded));
    for _ in 0..500 {
        if place.rows().await.len() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the second row is not stored");
}

#[tokio::test]
async fn what_cannot_be_opened_is_an_error_and_leaves_nothing() {
    let place = place().await;
    let audit = Audit::of_command(place.directory.clone(), Clock::system());
    break_storage(&place.file).await;
    let mut act = audit.open(place.opening("refused")).unwrap();
    let error = act.opened().await.unwrap_err();
    assert_eq!(*error.kind(), Kind::Unavailable);
    assert!(error.message().contains("nothing was done"), "{error}");
    drop(act);
    let mut act = audit.open(place.opening("refused")).unwrap();
    let brought = act.during(std::future::pending::<()>()).await;
    assert_eq!(*brought.unwrap_err().kind(), Kind::Unavailable);
    drop(act);
    mend_storage(&place.file).await;
    let mut act = audit.open(place.opening("later")).unwrap();
    act.opened().await.unwrap();
    act.completed(&End::new(Outcome::Succeeded)).await.unwrap();
    assert_eq!(place.ends("refused").await, None);
    assert_eq!(place.ends("later").await.unwrap(), ["succeeded"]);
}

#[tokio::test]
async fn an_end_that_cannot_be_stored_is_owed_and_stored_later() {
    let place = place().await;
    let audit = Audit::of_command(place.directory.clone(), Clock::system());
    let mut act = audit.open(place.opening("owed")).unwrap();
    act.opened().await.unwrap();
    // First rows could be stored, this second one cannot.
    execute(
        &place.file,
        "CREATE TRIGGER broken BEFORE INSERT ON audit_log WHEN NEW.event = 'completed'
         BEGIN SELECT RAISE(FAIL, 'out of order'); END",
    )
    .await;
    let lacking = act.completed(&End::new(Outcome::Succeeded)).await;
    assert_eq!(*lacking.unwrap_err().kind(), Kind::Unavailable);
    let mut next = audit.open(place.opening("next")).unwrap();
    assert_eq!(*next.opened().await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(place.ends("owed").await.unwrap(), [""; 0]);
    mend_storage(&place.file).await;
    let mut next = audit.open(place.opening("after")).unwrap();
    next.opened().await.unwrap();
    assert_eq!(place.ends("owed").await.unwrap(), ["succeeded"]);
    assert_eq!(place.ends("next").await, None);
}

#[tokio::test]
async fn what_a_server_left_open_the_next_one_ends() {
    let place = place().await;
    let killed = Audit::of_command(place.directory.clone(), Clock::system());
    let mut act = killed.open(place.opening("cut off")).unwrap();
    act.opened().await.unwrap();
    // As after a kill: neither dropped nor completed.
    std::mem::forget(act);
    let audit = Audit::of_server(place.directory.clone(), Clock::system())
        .await
        .unwrap();
    audit.flush().await.unwrap();
    assert_eq!(place.ends("cut off").await.unwrap(), ["interrupted"]);
    let rows = place.rows().await;
    assert!(rows[1].reason.as_deref().unwrap().contains("server ended"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_acts_at_once_share_transactions_and_none_is_lost() {
    let place = place().await;
    let audit = Audit::of_command(place.directory.clone(), Clock::system());
    let other = Directory::open(&place.file).await.unwrap();
    let other = Audit::of_command(other, Clock::system());
    let acts: Vec<_> = (0..400)
        .map(|number| {
            let audit = if number % 2 == 0 { &audit } else { &other }.clone();
            let opening = place.opening(&number.to_string());
            tokio::spawn(async move {
                let mut act = audit.open(opening).unwrap();
                act.opened().await.unwrap();
                act.complete(&End::new(Outcome::Succeeded));
            })
        })
        .collect();
    for act in acts {
        act.await.unwrap();
    }
    audit.flush().await.unwrap();
    other.flush().await.unwrap();
    assert_eq!(place.rows().await.len(), 800);
    for number in [0, 1, 198, 399] {
        assert_eq!(
            place.ends(&number.to_string()).await.unwrap(),
            ["succeeded"]
        );
    }
}

#[test]
fn every_act_is_described_in_the_docs() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for (name, what) in Action::ALL {
        let line = format!("| `{name}` | {what} |");
        assert!(docs.contains(&line), "docs/audit.md lacks: {line}");
    }
}

#[tokio::test]
async fn an_act_that_nobody_waited_for_and_that_was_not_stored_has_no_end() {
    let place = place().await;
    let audit = Audit::of_command(place.directory.clone(), Clock::system());
    break_storage(&place.file).await;
    // Both rows in one group, and the second one behind the failure.
    drop(audit.open(place.opening("gone at once")).unwrap());
    let later = audit.open(place.opening("gone later")).unwrap();
    audit.flush().await.unwrap_err();
    drop(later);
    mend_storage(&place.file).await;
    let mut act = audit.open(place.opening("there")).unwrap();
    act.opened().await.unwrap();
    act.completed(&End::new(Outcome::Succeeded)).await.unwrap();
    assert_eq!(place.rows().await.len(), 2);
    assert_eq!(place.ends("there").await.unwrap(), ["succeeded"]);
}
