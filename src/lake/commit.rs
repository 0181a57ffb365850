//! A table's next version, exactly on top of the one that its writer read.

use deltalake_core::kernel::transaction::{
    CommitBuilder, CommitProperties, TableReference, TransactionError,
};
use deltalake_core::kernel::{
    Action, Add, Remove, StructField, StructType, Transaction, new_metadata,
};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use rules::{Error, Result};

use super::unavailable;

pub(super) const OVERTAKEN: &str = "another writer changed the table at the same moment; try again";

const NOT_PARTITIONED: [&str; 0] = [];

/// Commits new and removed data files exactly on top of the version `table` was loaded at, and moves `table` there.
///
/// Nothing is retried here: what a writer decided (which keys exist, which files to rewrite) holds for the version it
/// read, so after a `Conflict` it must read again and decide again.
///
/// # Errors
/// `Conflict` when another writer committed first, `StorageFull`, `Unavailable`.
pub async fn commit(table: &mut DeltaTable, adds: Vec<Add>, removes: Vec<Remove>) -> Result<()> {
    commit_noting(table, adds, removes, Vec::new()).await
}

/// The same, with notes for later writers in the commit.
pub(super) async fn commit_noting(
    table: &mut DeltaTable,
    adds: Vec<Add>,
    removes: Vec<Remove>,
    notes: Vec<Transaction>,
) -> Result<()> {
    let operation = DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: None,
        predicate: None,
    };
    let actions = changes(adds, removes, notes).collect();
    commit_actions(operation, table, actions).await
}

/// Makes these columns and data files the table's only ones, exactly on top of the version `table` was loaded at, and
/// moves `table` there. The columns are of kinds that every version of Delta's protocol has.
///
/// # Errors
/// As [`commit`].
pub(super) async fn replace_noting(
    table: &mut DeltaTable,
    columns: Vec<StructField>,
    adds: Vec<Add>,
    notes: Vec<Transaction>,
) -> Result<()> {
    let failed = |error| Error::internal("a table's columns cannot be written").because(error);
    let schema = StructType::try_new(columns).map_err(|error| failed(error.to_string()))?;
    // None of the properties of before: one may ask for what these files do not have.
    let properties: [(&str, &str); 0] = [];
    let metadata = new_metadata(&schema, NOT_PARTITIONED, properties)
        .map_err(|error| failed(error.to_string()))?;
    let snapshot = table.snapshot().map_err(unavailable)?;
    let operation = DeltaOperation::Create {
        mode: SaveMode::Overwrite,
        location: table.log_store().root_url().clone(),
        protocol: snapshot.protocol().clone(),
        metadata: metadata.clone(),
    };
    let removes = remove_all(table).await?;
    let actions = [Action::Metadata(metadata)]
        .into_iter()
        .chain(changes(adds, removes, notes))
        .collect();
    commit_actions(operation, table, actions).await
}

/// As [`commit`], for another operation than a write; readers of the log are told its name.
pub async fn commit_as(
    operation: DeltaOperation,
    table: &mut DeltaTable,
    adds: Vec<Add>,
    removes: Vec<Remove>,
) -> Result<()> {
    let actions = changes(adds, removes, Vec::new()).collect();
    commit_actions(operation, table, actions).await
}

fn changes(
    adds: Vec<Add>,
    removes: Vec<Remove>,
    notes: Vec<Transaction>,
) -> impl Iterator<Item = Action> {
    removes
        .into_iter()
        .map(Action::Remove)
        .chain(adds.into_iter().map(Action::Add))
        .chain(notes.into_iter().map(Action::Txn))
}

async fn commit_actions(
    operation: DeltaOperation,
    table: &mut DeltaTable,
    actions: Vec<Action>,
) -> Result<()> {
    let snapshot = table.snapshot().map_err(unavailable)?;
    let committed = CommitBuilder::from(commit_properties())
        .with_actions(actions)
        .build(
            Some(snapshot as &dyn TableReference),
            table.log_store(),
            operation,
        )
        .into_prepared_commit_future()
        .await
        .map_err(commit_failed)?
        .await
        .map_err(commit_failed)?;
    // From here on the commit is on disk and every reader's. A checkpoint that fails behind it (on a disk that has just
    // filled up) only makes readers read more, so it is no reason to refuse what is written.
    match committed.await {
        Ok(finished) => table.state = Some(finished.snapshot()),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no checkpoint could be written behind a commit; the next one is tried later"
            );
            // Where this fails as well, the next commit finds that it was overtaken, and reads the table again.
            let _ = table.load().await;
        }
    }
    Ok(())
}

/// No retries, and no look at the whole log for what may be deleted: `clean` does that now and then.
pub(super) fn commit_properties() -> CommitProperties {
    CommitProperties::default()
        .with_max_retries(0)
        .with_cleanup_expired_logs(Some(false))
}

/// The paths of all data files of `table`, as actions that remove them.
pub async fn remove_all(table: &DeltaTable) -> Result<Vec<Remove>> {
    let snapshot = table.snapshot().map_err(unavailable)?;
    let views = snapshot.snapshot().file_views(&table.log_store(), None);
    views
        .map_ok(|file| file.remove_action(true))
        .try_collect()
        .await
        .map_err(unavailable)
}

pub(super) fn commit_failed(error: DeltaTableError) -> Error {
    let overtaken = match &error {
        DeltaTableError::VersionAlreadyExists(_) => true,
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::VersionAlreadyExists(_)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_)
        ),
        _ => false,
    };
    if overtaken {
        return Error::conflict(OVERTAKEN).because(error);
    }
    unavailable(error)
}
