//! Brings a database to the schema this program knows, one numbered step after the other.
//!
//! A step that was ever released is never edited: add another. Not here: undoing steps; a backup does that.

use std::borrow::Cow;
use std::path::Path;

use rules::{Error, Result};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqlitePool};

use super::{failed, opening};

/// A step's number, name and SQL.
pub(super) type Step = (i64, &'static str, &'static str);

/// Every step, in order.
pub(super) const STEPS: &[Step] = &[
    (1, "identity", include_str!("migrations/0001_identity.sql")),
    (
        2,
        "retention",
        include_str!("migrations/0002_retention.sql"),
    ),
    (
        3,
        "temporary permission grants",
        include_str!("migrations/0003_temporary_permission_grants.sql"),
    ),
    (
        4,
        "SQL queries",
        include_str!("migrations/0004_sql_queries.sql"),
    ),
    (
        5,
        "identity API",
        include_str!("migrations/0005_identity_api.sql"),
    ),
    (
        6,
        "audit log",
        include_str!("migrations/0006_audit_log.sql"),
    ),
    (
        7,
        "collections",
        include_str!("migrations/0007_collections.sql"),
    ),
    (
        8,
        "retention setting",
        include_str!("migrations/0008_retention_setting.sql"),
    ),
];

/// Whether the database is that of an older version of this program.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn is_older(pool: &SqlitePool) -> Result<bool> {
    let is_new = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')",
    );
    if is_new.fetch_one(pool).await.map_err(failed)? {
        return Ok(false);
    }
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(pool)
        .await
        .map_err(failed)?;
    let own = STEPS.last().map(|(version, ..)| *version);
    Ok(newest.is_some() && newest < own)
}

/// Applies the steps that are missing, all or none.
///
/// # Errors
/// `Conflict` when the database has steps this program does not know.
pub(super) async fn migrate(pool: &SqlitePool, file: &Path) -> Result<()> {
    apply(STEPS, pool, file).await
}

/// Applies those of the steps that are missing, all or none.
///
/// # Errors
/// As [`migrate`].
pub(super) async fn apply(steps: &[Step], pool: &SqlitePool, file: &Path) -> Result<()> {
    let migrations = steps.iter().map(|(version, name, sql)| {
        Migration::new(
            *version,
            Cow::Borrowed(*name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    // Two processes may start on a new directory at once: the write lock lets the second one find the work done.
    let mut transaction = pool
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(|error| opening(file, error))?;
    // Not `run`: its future is not `Send` for a borrowed connection, which is why `run_direct` exists.
    migrator
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| explain(error, file))?;
    transaction.commit().await.map_err(failed)
}

fn explain(error: MigrateError, file: &Path) -> Error {
    let file = file.display();
    match error {
        MigrateError::VersionMissing(version) => Error::conflict(format!(
            "{file} was written by a newer version of this program (schema {version}); run that version or a later one"
        )),
        MigrateError::VersionMismatch(version) => Error::conflict(format!(
            "{file} has another schema {version} than this program; run the version that wrote it"
        )),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(error),
        other => Error::internal(format!("{file} cannot be brought up to date")).because(other),
    }
}
