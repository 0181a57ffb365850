//! The three walls around a query, each with the other two taken away (the security of SQL rests on any one of them).

use chrono::DateTime;
use datafusion::dataframe::DataFrame;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::kernel::{DataType, StructField};
use deltalake_core::protocol::SaveMode;
use rules::{Caller, OrgId, Role, RoleName, TableName, UserId, read_only};
use tempfile::TempDir;
use url::Url;

use super::functions::Functions;
use super::plan::{Base, Scope, session, verify};
use super::server::Server;
use super::worker;
use super::{Output, Request, ServerTable};
use crate::lake::Lake;

/// Statements that write, leave the session's tables or change the session; `{file}` is a file on this machine.
const HARMFUL: &[&str] = &[
    "INSERT INTO visits VALUES (1)",
    "INSERT INTO visits SELECT * FROM visits",
    "UPDATE visits SET id = 2",
    "DELETE FROM visits",
    "TRUNCATE TABLE visits",
    "COPY visits TO '{file}.out' STORED AS CSV",
    "COPY (SELECT 1) TO '{file}.out.parquet' STORED AS PARQUET",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}.out' STORED AS CSV",
    "EXPLAIN ANALYZE INSERT INTO visits VALUES (1)",
    "CREATE EXTERNAL TABLE x (a INT) STORED AS CSV LOCATION '{file}'",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "CREATE SCHEMA x",
    "CREATE DATABASE x",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "DROP TABLE visits",
    "DROP SCHEMA \"default\" CASCADE",
    "SET datafusion.runtime.memory_limit = '100G'",
    "SET datafusion.catalog.information_schema = true",
    "RESET datafusion.execution.batch_size",
    "PREPARE p AS SELECT 1",
    "BEGIN",
    "COMMIT",
];

/// Reads of what is not the organization's. They are queries, so that the first two walls have nothing against them.
const OUTSIDE: &[&str] = &[
    "SELECT * FROM '{file}'",
    "SELECT * FROM \"{file}\"",
    "SELECT * FROM \"file://{file}\"",
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM parquet_metadata('{file}')",
    "SELECT * FROM initech.default.visits",
    "SELECT * FROM amigo.initech.visits",
    "SELECT * FROM \"../initech/visits\"",
    "SELECT * FROM datafusion.public.visits",
    "SELECT * FROM information_schema.df_settings",
    "SHOW ALL",
];

#[test]
fn the_rule_alone_refuses_everything_harmful() {
    for sql in HARMFUL {
        let refused = read_only::inspect(sql);
        assert!(refused.is_err(), "{sql}: {refused:?}");
    }
}

/// The engine as it comes, which can write and read anything, behind the check of the plan.
#[tokio::test]
async fn the_check_of_the_plan_alone_refuses_everything_harmful() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("people.csv");
    std::fs::write(&file, "a\n1\n").unwrap();
    let config = SessionConfig::new().with_information_schema(true);
    let context = SessionContext::new_with_config(config).enable_url_table();
    let made = context.sql("CREATE TABLE visits AS SELECT 1 AS id").await;
    made.unwrap().collect().await.unwrap();
    for sql in HARMFUL {
        let sql = sql.replace("{file}", &file.to_string_lossy());
        // Some have no plan at all in this engine.
        let Ok(plan) = context.state().create_logical_plan(&sql).await else {
            continue;
        };
        assert!(verify(&plan).is_err(), "{sql}: {plan}");
    }
    let plan = context
        .state()
        .create_logical_plan("SELECT * FROM visits")
        .await;
    verify(&plan.unwrap()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A lake with an organization `acme` that has one table, and `initech` that has the same.
async fn lake(folder: &TempDir) -> Lake {
    let lake = Lake::local(&folder.path().join("lake")).unwrap();
    for org in ["acme", "initech"] {
        let (org, table) = (
            OrgId::parse(org).unwrap(),
            TableName::parse("visits").unwrap(),
        );
        let columns = vec![StructField::nullable("id", DataType::LONG)];
        let mode = SaveMode::ErrorIfExists;
        let made = lake.create(&org, &table, columns, &[], Vec::new(), mode);
        made.await.unwrap();
    }
    lake
}

/// A session of `acme`, as every query has its own.
async fn acme(folder: &TempDir, lake: &Lake) -> SessionState {
    let settings = worker::Settings {
        memory_bytes: 1 << 30,
        query_seconds: 30,
        spill_dir: folder.path().join("spill"),
        spill_bytes: 0,
    };
    let base = Base::new(&settings).unwrap();
    let request = request(lake.url().clone());
    let scope = Scope::new(&base, &Server::silent(), &request).unwrap();
    session(&base, &request, scope, Functions::all()).unwrap()
}

fn request(lake: Url) -> Request {
    let org_id = OrgId::parse("acme").unwrap();
    let role = Role {
        name: RoleName::parse("Any").unwrap(),
        grants: Vec::new(),
    };
    Request {
        lake,
        org_id: org_id.clone(),
        caller: Caller {
            org_id,
            user_id: UserId::parse("ann").unwrap(),
            role,
            temporary_grants: Vec::new(),
        },
        sql: String::new(),
        now: DateTime::UNIX_EPOCH,
        retention_days: 30,
        declared: Vec::new(),
        server_tables: ServerTable::ALL.to_vec(),
        collections: None,
        preferred: Vec::new(),
        output: Output::Page {
            rows: 10,
            bytes: 1024,
        },
    }
}

/// What runs a plan as the engine's own front end would, writes included.
async fn run(state: &SessionState, sql: &str) -> Result<usize, datafusion::error::DataFusionError> {
    let context = SessionContext::new_with_state(state.clone());
    let rows = context.sql(sql).await?.collect().await?;
    Ok(rows.iter().map(|batch| batch.num_rows()).sum())
}

#[tokio::test]
async fn the_session_alone_has_nothing_to_write_to_and_nothing_to_read_but_its_tables() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder).await;
    let file = folder.path().join("people.csv");
    std::fs::write(&file, "a\n1\n").unwrap();
    // The first session makes the folder for what queries spill.
    acme(&folder, &lake).await;
    let before = files(&folder);
    for sql in HARMFUL {
        let sql = sql.replace("{file}", &file.to_string_lossy());
        // What succeeds changes this session, which ends with it.
        let _ = run(&acme(&folder, &lake).await, &sql).await;
        assert_eq!(files(&folder), before, "{sql}");
        let rows = run(&acme(&folder, &lake).await, "SELECT * FROM visits").await;
        assert_eq!(rows.unwrap(), 0, "{sql}");
    }
    let state = acme(&folder, &lake).await;
    for sql in OUTSIDE {
        let sql = sql.replace("{file}", &file.to_string_lossy());
        let read = run(&state, &sql).await;
        assert!(read.is_err(), "{sql}: {read:?}");
    }
    for address in ["file:///", "http://127.0.0.1/", "s3://bucket/"] {
        let address = Url::parse(address).unwrap();
        let store = state
            .runtime_env()
            .object_store_registry
            .get_store(&address);
        assert!(store.is_err(), "{address}");
    }
    assert!(state.table_factories().is_empty());
    let listed = state.create_logical_plan("SHOW TABLES").await.unwrap();
    let listed = DataFrame::new(state, listed).collect().await.unwrap();
    assert_eq!(
        listed[0].num_rows(),
        3,
        "the one table of the one organization, its history and its audit log"
    );
}

fn files(folder: &TempDir) -> Vec<std::path::PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            found.push(entry.path());
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
