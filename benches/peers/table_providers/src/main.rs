//! Reads a collection with `datafusion-table-providers`, once for each line of standard input.
//!
//! Usage: `table_providers URI DATABASE COLLECTION`. Answers each line with one of JSON: the seconds it took and, as its
//! answer, how many rows there were and the sum of their `n`.

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use datafusion_table_providers::mongodb::MongoDBTableFactory;
use datafusion_table_providers::mongodb::connection_pool::MongoDBConnectionPool;
use datafusion_table_providers::util::secrets::to_secret_map;
use futures::TryStreamExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [uri, database, collection] = words.as_slice() else {
        return Err("usage: table_providers URI DATABASE COLLECTION".into());
    };
    let settings = [
        (
            "connection_string",
            format!("{}/{database}", uri.trim_end_matches('/')),
        ),
        ("sslmode", "disabled".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let pool = MongoDBConnectionPool::new(to_secret_map(HashMap::from(settings))).await?;
    let table = MongoDBTableFactory::new(Arc::new(pool))
        .table_provider(TableReference::bare(collection.as_str()))
        .await?;
    let context = SessionContext::new();
    context.register_table("t", table)?;
    println!("{{}}");
    for _ in std::io::stdin().lock().lines() {
        let started = Instant::now();
        let (rows, sum) = scan(&context).await?;
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{}",
            serde_json::json!({"seconds": seconds, "answer": [rows, sum]})
        );
    }
    Ok(())
}

/// Every document as Arrow, batch by batch.
async fn scan(context: &SessionContext) -> Result<(usize, i64), Box<dyn Error + Send + Sync>> {
    let mut batches = context
        .sql("SELECT * FROM t")
        .await?
        .execute_stream()
        .await?;
    let (mut rows, mut sum) = (0, 0);
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows();
        let n = batch.column_by_name("n").ok_or("there is no column n")?;
        sum += match n.data_type() {
            DataType::Int32 => n
                .as_primitive::<Int32Type>()
                .iter()
                .flatten()
                .map(i64::from)
                .sum::<i64>(),
            DataType::Int64 => n.as_primitive::<Int64Type>().iter().flatten().sum(),
            other => return Err(format!("the column n is {other}").into()),
        };
    }
    Ok((rows, sum))
}
