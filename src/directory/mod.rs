//! The database of organizations, users, roles and keys: one `SQLite` file in the data directory.
//!
//! The server and operator commands use it at the same time, each through its own [`Directory`]. Every change is one
//! transaction and durable when the function returns. Every look-up names the organization, so nothing of another one
//! can come back. One file per resource; instants are stored as Unix milliseconds.
//! Not here: who may do what (`rules`), secrets in the clear (only hashes and the server's own signing keys arrive).

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rules::{Error, Result};
use sqlx::query_builder::Separated;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection as _, QueryBuilder, Row, Sqlite, SqlitePool, Transaction};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::SERVE_LOCK;
use crate::folder::{self, create_private, open_private};

mod api_keys;
mod audit;
mod collections;
mod ids;
mod maintenance;
mod organizations;
mod retention;
mod roles;
mod schema;
mod signing_keys;
mod sql_queries;
mod temporary_grants;
#[cfg(test)]
mod tests;
mod url_keys;
mod users;

pub use api_keys::{API_KEYS_MAX, ApiKey, NewApiKey};
pub use audit::{AUDIT_OPENED, AuditHead, AuditRow, AuditVerdict};
pub use collections::StoredCollection;
pub use ids::object_id;
pub use organizations::Organization;
pub use roles::{NewRole, StoredRole};
pub use signing_keys::SigningKey;
pub use sql_queries::{QueryStatus, SqlQuery};
pub use temporary_grants::{NewTemporaryGrant, TemporaryGrant};
pub use url_keys::UrlKey;
pub(crate) use users::no_user;
pub use users::{NewUser, Standing, User, UserDetails};

/// How long a statement waits for another process's transaction; those last milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the right to open the database is asked for while another process has it.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Readers run side by side; each connection is a thread, and a look-up takes microseconds.
const CONNECTIONS_MAX: u32 = 4;

/// Rows that a connection's thread reads ahead of whoever takes them: some are as long as a megabyte.
const ROWS_AHEAD: usize = 8;

/// The most characters of a name an operator gives to something.
const NAME_CHARS_MAX: usize = 256;

/// A handle on the database; clones share its connections.
#[derive(Debug, Clone)]
pub struct Directory {
    pool: SqlitePool,
    /// Held by those who write all the time, the history and the audit log: `SQLite` lets a writer that finds another one
    /// sleep for milliseconds, which an answer would wait for.
    turn: Arc<Mutex<()>>,
}

impl Directory {
    /// Opens the database at `file`; makes it, readable by this user of the machine only, when there is none.
    ///
    /// # Errors
    /// `Conflict` when a newer version of this program wrote it, or an older one serves it; `Invalid` when it is something
    /// else or cannot be made, `Unavailable` when another process held it for too long.
    pub async fn open(file: &Path) -> Result<Self> {
        let folder = file.parent().unwrap_or(file);
        create_private(folder)?;
        Self::connect(file, false).await
    }

    /// The same for the server of the data directory, which holds the lock of the one that serves.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub async fn open_to_serve(file: &Path) -> Result<Self> {
        Self::connect(file, true).await
    }

    /// Opens the database at `file`, for commands that have nothing to do without one.
    ///
    /// # Errors
    /// `NotFound` when there is none, otherwise as [`Directory::open`].
    pub async fn open_existing(file: &Path) -> Result<Self> {
        let folder = file.parent().unwrap_or(file).display();
        match std::fs::metadata(file) {
            Ok(_) => Self::connect(file, false).await,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::not_found(
                format!("no data directory at {folder}: create an organization first"),
            )),
            Err(error) => {
                let message = format!("the data directory {folder} cannot be read: {error}");
                Err(Error::invalid(message).because(error))
            }
        }
    }

    async fn connect(file: &Path, is_server: bool) -> Result<Self> {
        if !is_server {
            folder::refuse_foreign(file)?;
        }
        // Until it returns: SQLite refuses, without waiting, two that turn on the write-ahead log at once.
        let _lock = lock(&file.with_extension("lock")).await?;
        // Only when there is none: closing any handle on the file would drop the locks that SQLite holds on it for
        // other connections of this process.
        if !file.exists() {
            // SQLite gives its journals the mode of the database.
            open_private(file).map_err(|error| cannot_create(file, error))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROWS_AHEAD);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(BUSY_TIMEOUT)
            // Of a file in this process nobody else can close the connection, and asking costs as much as a look-up.
            .test_before_acquire(false)
            // Of a transaction that found the disk full SQLite itself has rolled back, and the pool's own attempt fails:
            // such a connection counts as inside a transaction for ever and could never begin another one.
            .before_acquire(|connection, _| {
                Box::pin(async move { Ok(!connection.is_in_transaction()) })
            })
            .connect_with(options)
            .await
            .map_err(|error| opening(file, error))?;
        let _no_server = match !is_server && schema::is_older(&pool).await? {
            true => Some(not_served(file)?),
            false => None,
        };
        schema::migrate(&pool, file).await?;
        let turn = Arc::default();
        Ok(Self { pool, turn })
    }

    /// Closes the connections after what they are doing; later calls fail. Dropping the last clone does it too, but
    /// does not wait.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that holds the write lock from its start, so that what it reads stays true until it commits.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        self.pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed)
    }
}

/// Makes sure that nobody serves a database that is about to be brought up to date: an older server could not be started
/// again.
fn not_served(file: &Path) -> Result<File> {
    folder::lock(&file.with_file_name(SERVE_LOCK), || {
        Error::conflict(
            "an older version of this program serves this data directory, and could not read it any more once this one has \
             brought it up to date: stop it first, or use that version",
        )
    })
}

/// Waits for the right to open the database; dropping the file gives it back, as does the end of the process.
async fn lock(path: &Path) -> Result<File> {
    let file = open_private(path).map_err(|error| cannot_create(path, error))?;
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(LOCK_POLL).await;
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::unavailable(
                    "another process is opening the directory database; try again",
                ));
            }
            Err(TryLockError::Error(error)) => {
                let message = format!("{} cannot be locked: {error}", path.display());
                return Err(Error::invalid(message).because(error));
            }
        }
    }
}

fn cannot_create(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("cannot create {}: {error}", path.display())).because(error)
}

fn opening(file: &Path, error: sqlx::Error) -> Error {
    /// `SQLITE_NOTADB`.
    const NOT_A_DATABASE: &str = "26";
    let code = error.as_database_error().and_then(|error| error.code());
    if code.as_deref() == Some(NOT_A_DATABASE) {
        let message = format!(
            "{} is no directory database; choose another data directory",
            file.display()
        );
        return Error::invalid(message).because(error);
    }
    failed(error)
}

/// The error of a statement that had no reason of its own to fail.
fn failed(error: sqlx::Error) -> Error {
    /// The primary result codes `SQLITE_BUSY`, `SQLITE_LOCKED` and `SQLITE_FULL`; the low byte of an extended one.
    const BUSY: [i32; 2] = [5, 6];
    const FULL: i32 = 13;
    /// `SQLITE_IOERR_SHMSIZE`: no room for the memory that processes share, which a file is.
    const NO_SHARED_MEMORY: i32 = 4874;
    const CORRUPT: i32 = 11;
    let code = error
        .as_database_error()
        .and_then(|error| error.code())
        .and_then(|code| code.parse::<i32>().ok());
    let failed = match code.map(|code| (code, code & 0xff)) {
        Some((_, code)) if BUSY.contains(&code) => {
            Error::unavailable("the directory database is busy; try again")
        }
        Some((NO_SHARED_MEMORY, _) | (_, FULL)) => {
            Error::storage_full("there is no room left for the directory database")
        }
        Some((_, CORRUPT)) => {
            Error::internal("the directory database is damaged; restore it from a backup")
        }
        _ if matches!(error, sqlx::Error::PoolTimedOut) => {
            Error::unavailable("the directory database is busy; try again")
        }
        _ => Error::internal("the directory database failed; the server's log says why"),
    };
    failed.because(error)
}

/// Inserts rows, many with one statement: each round to a connection's thread costs as much as some rows. `into` is the
/// statement up to the values, which `bind` gives of a row in the order of the columns.
async fn insert_rows<T>(
    transaction: &mut Transaction<'static, Sqlite>,
    into: &str,
    rows: &[T],
    bind: impl Fn(Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), sqlx::Error> {
    /// `SQLite` allows 32,766 values, and no table here has 30 columns.
    const AT_ONCE: usize = 500;
    for some in rows.chunks(AT_ONCE) {
        let mut statement = QueryBuilder::new(into);
        statement.push_values(some, &bind);
        // Not kept prepared: there would be one for each number of rows.
        let statement = statement.build().persistent(false);
        statement.execute(&mut **transaction).await?;
    }
    Ok(())
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation())
}

/// The error of a row that no version of this program wrote.
fn damaged(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::internal(format!(
        "{what} in the directory database is damaged; restore it from a backup"
    ))
    .because(error)
}

fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name).map_err(|error| damaged("a row", error))
}

fn instant(millis: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
        .ok_or_else(|| damaged("an instant", format!("{millis} ms is out of range")))
}

/// A text people gave to something: not blank, not endless, and nothing in it that moves a terminal's cursor.
fn check_text(what: &str, text: &str) -> Result<()> {
    let chars = text.chars().count();
    if text.trim().is_empty() || chars > NAME_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "{what} must be 1 to {NAME_CHARS_MAX} characters, not all spaces, without control characters"
        )));
    }
    Ok(())
}
