//! The commands that are clients of a server, over HTTP, configured like the official SDK.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use reqwest::{RequestBuilder, Response, StatusCode};
use rules::{Error, Kind, LogKey, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::Context;
use super::progress::Progress;

/// A server that says nothing for so long is gone; queries take 30 s at most.
const SILENCE: Duration = Duration::from_secs(90);

/// A signed-in client of one organization.
pub(super) struct Client {
    http: reqwest::Client,
    base_url: String,
    organization: String,
    token: String,
}

impl Client {
    /// Signs in with the SDK's environment variables. Unlike the SDK it has no server of its own choice: keys go where the
    /// caller says.
    pub(super) async fn sign_in() -> Result<Self> {
        let base_url = base_url(&variable("AMIGO_BASE_URL").map_err(|error| {
            Error::invalid(format!(
                "{}; it names the server to ask, such as http://127.0.0.1:8080",
                error.message()
            ))
        })?)?;
        let organization = variable("AMIGO_ORGANIZATION_ID")?;
        let http = reqwest::Client::builder()
            .read_timeout(SILENCE)
            // The key goes to the server that was named, and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::internal("the HTTP client cannot be made").because(error))?;
        let request = http
            .post(format!(
                "{base_url}/v1/{organization}/user/signin_with_api_key"
            ))
            .header("x-api-key", variable("AMIGO_API_KEY")?)
            .header("x-api-key-id", variable("AMIGO_API_KEY_ID")?)
            .header("x-user-id", variable("AMIGO_USER_ID")?);
        #[derive(Deserialize)]
        struct SignedIn {
            id_token: String,
        }
        let answer = send(request).await.map_err(too_many_sign_ins)?;
        let signed_in: SignedIn = answer.json().await.map_err(broken)?;
        Ok(Self {
            http,
            base_url,
            organization,
            token: signed_in.id_token,
        })
    }

    /// The answer to one synchronous query.
    pub(super) async fn query(&self, sql: &str) -> Result<Value> {
        self.post_query(&json!({"sql_query": sql, "async_query": false}))
            .await
    }

    /// The handle of a query whose rows go into a file.
    pub(super) async fn submit(&self, sql: &str, result_format: &str) -> Result<Value> {
        let body = json!({"sql_query": sql, "async_query": true, "result_format": result_format});
        self.post_query(&body).await
    }

    async fn post_query(&self, body: &Value) -> Result<Value> {
        let request = self.http.post(self.queries_url()).bearer_auth(&self.token);
        let answer = send(request.json(body)).await?;
        answer.json().await.map_err(broken)
    }

    /// What a signed URL answers, of which 202 says that the result is not there yet.
    pub(super) async fn result(&self, signed_url: &str) -> Result<Response> {
        send(self.http.get(signed_url)).await
    }

    /// Ends a submitted query.
    pub(super) async fn cancel(&self, query_id: &str) -> Result<()> {
        let url = format!("{}/{query_id}", self.queries_url());
        send(self.http.delete(url).bearer_auth(&self.token)).await?;
        Ok(())
    }

    fn queries_url(&self) -> String {
        format!("{}/v1/{}/admin/sql_query", self.base_url, self.organization)
    }
}

/// Downloads an archive to `output`, which appears only when it is whole.
pub(super) async fn download(
    prefix: &str,
    after: Option<&LogKey>,
    output: &Path,
    context: &Context,
) -> Result<()> {
    let client = Client::sign_in().await?;
    let mut url = reqwest::Url::parse(&format!(
        "{}/v1/{}/admin/get_prompt_logs/",
        client.base_url, client.organization
    ))
    .map_err(|error| Error::internal("the URL of the download is none").because(error))?;
    url.query_pairs_mut()
        .append_pair("prompt_log_prefix", prefix);
    if let Some(after) = after {
        url.query_pairs_mut().append_pair("after", after.as_str());
    }
    let answer = send(client.http.get(url).bearer_auth(&client.token)).await?;
    let header = |name| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let logs = header("x-prompt-log-count").and_then(|count| count.parse::<u64>().ok());
    let next = header("x-prompt-log-next-after");
    let next = next.map(|key| {
        percent_encoding::percent_decode_str(&key)
            .decode_utf8_lossy()
            .into_owned()
    });
    let bytes = save(answer, output).await?;
    let human = || {
        format!(
            "{} prompt logs, {bytes} bytes: {}",
            logs.unwrap_or(0),
            output.display()
        )
    };
    let truncated = next.is_some();
    let value = json!({"file": output, "logs": logs, "bytes": bytes, "truncated": truncated, "next_after": next});
    context.print(human, value);
    if let Some(next) = next {
        eprintln!("there are more: continue with --after '{next}' and another file");
    }
    Ok(())
}

/// Writes an answer's body to a file, which appears only when it is whole; returns its bytes.
pub(super) async fn save(answer: Response, output: &Path) -> Result<u64> {
    let unwritable =
        |error| Error::invalid(format!("{} cannot be written: {error}", output.display()));
    let mut part = output.as_os_str().to_owned();
    part.push(".part");
    let mut progress = Progress::bytes("downloading", answer.content_length());
    let mut file = File::create(&part).await.map_err(unwritable)?;
    let mut chunks = answer.bytes_stream();
    let mut bytes = 0;
    while let Some(chunk) = chunks.next().await {
        let written = match chunk {
            Ok(chunk) => {
                bytes += chunk.len() as u64;
                file.write_all(&chunk).await.map_err(unwritable)
            }
            Err(error) => Err(broken(error)),
        };
        if let Err(error) = written {
            // Half an archive is none; the error that is reported is why.
            let _ = tokio::fs::remove_file(&part).await;
            return Err(error);
        }
        progress.set(bytes);
    }
    file.flush().await.map_err(unwritable)?;
    tokio::fs::rename(&part, output).await.map_err(unwritable)?;
    progress.finish();
    Ok(bytes)
}

/// The server's URL, without a slash at its end.
fn base_url(given: &str) -> Result<String> {
    let url = reqwest::Url::parse(given).ok();
    let is_good =
        |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.query().is_none();
    match url.filter(is_good) {
        Some(_) => Ok(given.trim_end_matches('/').to_owned()),
        None => Err(Error::invalid(format!(
            "AMIGO_BASE_URL is {given:?}, which is no URL of a server; give one like http://127.0.0.1:8080"
        ))),
    }
}

/// Every command signs in anew, which is what its user may not know.
fn too_many_sign_ins(error: Error) -> Error {
    match error.kind() {
        Kind::TooMany => Error::too_many(format!(
            "{}; each command signs in once, and sign-ins with one API key are limited",
            error.message()
        )),
        _ => error,
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Error::invalid(format!("the environment variable {name} is not set")))
}

/// Sends the request; an answer that is no success becomes the error it tells.
async fn send(request: RequestBuilder) -> Result<Response> {
    let answer = request
        .send()
        .await
        .map_err(|error| Error::unavailable("the server cannot be reached").because(error))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body: Value = answer.json().await.unwrap_or_default();
    let kind = match status {
        StatusCode::TOO_MANY_REQUESTS => Kind::TooMany,
        _ => Kind::Invalid,
    };
    let (code, detail) = (status.as_u16(), detail(status, &body));
    Err(Error::new(
        kind,
        format!("the server answered {code}: {detail}"),
    ))
}

fn detail(status: StatusCode, body: &Value) -> String {
    match body.get("detail") {
        Some(Value::String(detail)) => detail.clone(),
        Some(detail) => detail.to_string(),
        None => status
            .canonical_reason()
            .unwrap_or("no reason given")
            .to_owned(),
    }
}

fn broken(error: reqwest::Error) -> Error {
    Error::unavailable("the transfer broke off; try again").because(error)
}
