//! `amigo-admin sql --output FILE`: a query's whole result as a file, over HTTP.

use std::path::Path;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use rules::{Error, Result};
use serde_json::{Value, json};

use super::Context;
use super::client::{Client, save};
use super::progress::Progress;

/// Between two questions whether the result is there, at first and at most.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(2);

pub(super) async fn run(query: &str, output: &Path, context: &Context) -> Result<()> {
    let format = format_of(output)?;
    let client = Client::sign_in().await?;
    let handle = client.submit(query, format).await?;
    let [query_id, url] = ["query_id", "signed_url"].map(|name| handle[name].as_str());
    let (Some(query_id), Some(url)) = (query_id, url) else {
        return Err(Error::invalid("the server does not run queries into files"));
    };
    let answer = tokio::select! {
        answer = finished(&client, url) => answer?,
        _ = tokio::signal::ctrl_c() => {
            client.cancel(query_id).await?;
            return Err(Error::invalid("cancelled; the query no longer runs"));
        }
    };
    let bytes = save(answer, output).await?;
    let human = || format!("{bytes} bytes: {}", output.display());
    context.print(
        human,
        json!({"file": output, "bytes": bytes, "query_id": query_id}),
    );
    Ok(())
}

/// Waits for the result, and shows how many rows there are meanwhile.
async fn finished(client: &Client, url: &str) -> Result<Response> {
    let mut progress = Progress::rows("querying");
    let mut wait = WAIT_MIN;
    loop {
        let answer = client.result(url).await?;
        if answer.status() != StatusCode::ACCEPTED {
            progress.finish();
            return Ok(answer);
        }
        let so_far: Value = answer.json().await.unwrap_or_default();
        progress.set(so_far["rows"].as_u64().unwrap_or(0));
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// The form that the file's name says, as the server calls it.
fn format_of(output: &Path) -> Result<&'static str> {
    let extension = output.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok("csv"),
        Some("ndjson" | "jsonl" | "json") => Ok("json"),
        Some("parquet") => Ok("parquet"),
        Some("arrow" | "feather") => Ok("arrow"),
        _ => Err(Error::invalid(format!(
            "{} says no form; end the name in .csv, .ndjson, .parquet or .arrow",
            output.display()
        ))),
    }
}
