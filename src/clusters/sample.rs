//! The columns of a collection that nobody has declared, from some of its documents.

use std::time::Duration;

use collections::{Column, Command, Filter, Question, Tenant};
use futures::StreamExt;
use mongodb::Collection;
use mongodb::action::Action;
use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::raw_batch_cursor::RawBatchCursor;
use rules::Result;
use tokio::time::timeout;

use super::answers::Place;
use super::cluster::Cluster;
use super::errors;

/// Documents of a sample.
const DOCUMENTS: u32 = 1000;
/// What is read of it; the batch that passes this is the last one.
const BYTES: usize = 32 * 1024 * 1024;
/// How long the cluster may look for one, and we wait for all of it.
const TIME: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(15);
/// As the cluster's list of operations calls it.
const COMMENT: &str = "amigo-admin: columns from a sample";
/// The server has no `$sample`: `NotImplemented`, `InvalidPipelineOperator`, `Unrecognized pipeline stage name`; or it took
/// too long: `MaxTimeMSExpired`.
const OTHERWISE: [i32; 4] = [238, 168, 40324, 50];

/// The columns, and of how many documents; none where there is no document.
///
/// # Errors
/// `Unavailable`, and what else the cluster says.
pub(super) async fn take(
    cluster: &Cluster,
    place: &Place,
    tenant: Option<&Tenant>,
) -> Result<Option<(Vec<Column>, usize)>> {
    let database = cluster.database(&place.database).await?;
    let collection = database.collection::<Document>(&place.collection);
    let taken = async {
        let _scan = cluster.scans.acquire().await;
        let cursor = match random(&collection, place, tenant).await {
            Err(error) if finds_otherwise(&error) => first(&collection, place, tenant).await,
            answer => answer,
        };
        batches(cursor?).await
    };
    let batches = match timeout(PATIENCE, taken).await {
        Ok(batches) => batches.map_err(|error| errors::failed(&cluster.name, &error))?,
        Err(_) => return Err(errors::unavailable(&cluster.name, "no sample in time")),
    };
    let documents = || {
        let documents = batches
            .iter()
            .flat_map(|batch| collections::documents(batch));
        documents.filter_map(std::result::Result::ok)
    };
    let columns = collections::infer(documents());
    Ok((!columns.is_empty()).then(|| (columns, documents().count())))
}

/// Whether the server fails at sampling alone: some only pretend to be MongoDB.
fn finds_otherwise(error: &mongodb::error::Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::InvalidResponse { .. } => true,
        _ => errors::code(error).is_some_and(|code| OTHERWISE.contains(&code)),
    }
}

/// Documents from anywhere.
async fn random(
    collection: &Collection<Document>,
    place: &Place,
    tenant: Option<&Tenant>,
) -> mongodb::error::Result<RawBatchCursor> {
    let mut pipeline = Vec::new();
    if tenant.is_some() {
        pipeline.push(doc! {"$match": whose(tenant)});
    }
    pipeline.push(doc! {"$sample": {"size": i64::from(DOCUMENTS)}});
    // Columns stand as documents have them: the same sample gives the same order.
    pipeline.push(doc! {"$sort": {"_id": 1}});
    collection
        .aggregate(pipeline)
        .max_time(TIME)
        .comment(COMMENT)
        .optional(place.collation(), |aggregate, collation| {
            aggregate.collation(collation)
        })
        .batch()
        .await
}

/// The documents that the server finds first.
async fn first(
    collection: &Collection<Document>,
    place: &Place,
    tenant: Option<&Tenant>,
) -> mongodb::error::Result<RawBatchCursor> {
    collection
        .find(whose(tenant))
        .limit(i64::from(DOCUMENTS))
        .max_time(TIME)
        .comment(COMMENT)
        .optional(place.collation(), |find, collation| {
            find.collation(collation)
        })
        .batch()
        .await
}

async fn batches(mut cursor: RawBatchCursor) -> mongodb::error::Result<Vec<Vec<u8>>> {
    let mut batches = Vec::new();
    let mut bytes = 0;
    while bytes < BYTES
        && let Some(batch) = cursor.next().await
    {
        let batch = batch?.doc_slices()?.as_bytes().to_vec();
        bytes += batch.len();
        batches.push(batch);
    }
    Ok(batches)
}

/// The condition that a document is the tenant's.
fn whose(tenant: Option<&Tenant>) -> Document {
    let all = Question::Find {
        filter: Filter::Everything,
        fields: Vec::new(),
        order: None,
        limit: None,
    };
    match all.command(tenant) {
        Command::Find(find) => find.filter,
        Command::Aggregate(_) => unreachable!("documents are found"),
    }
}
