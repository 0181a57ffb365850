//! Requests and answers of prompt logs and SQL that no type of the handlers describes: bodies that are read by other parts
//! of the program, and answers that those write.
//!
//! Only described here. Generated requests, valid and invalid ones, hold these to what a server really reads.

#![expect(
    dead_code,
    reason = "these types are descriptions; no value of them is made"
)]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Something of a request that is not valid.
#[derive(ToSchema)]
#[schema(examples(json!({"loc": ["body", "sql_query"], "msg": "Field required", "type": "missing"})))]
pub(crate) struct ValidationError {
    /// Where it is: `body`, `query` or `header`, then its name.
    loc: Vec<String>,
    /// What is wrong, for a person.
    msg: String,
    /// What is wrong, for a program.
    r#type: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PromptLogsQuery {
    /// What the keys of the logs begin with: plain text, in its case, without wildcards.
    #[param(min_length = 1, example = "c-")]
    prompt_log_prefix: String,
    /// Go on behind this log key: the `X-Prompt-Log-Next-After` of an answer that was truncated, decoded.
    #[param(required = false)]
    after: String,
}

#[derive(ToSchema)]
#[schema(examples(json!({"sql_query": "SELECT count(*) FROM conversations", "async_query": false})))]
pub(crate) struct AdminSubmitSqlQueryRequest {
    /// One read-only statement.
    #[schema(max_length = 100_000, pattern = r"\S")]
    sql_query: String,
    /// False: the answer holds up to 1,000 rows, and the query has 30 seconds. True: it has an hour, and the answer names a
    /// signed URL of the whole result.
    async_query: bool,
    /// The form of an asynchronous query's result.
    #[schema(default = "csv")]
    result_format: Option<ResultFormat>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyKey {
    /// Names an asynchronous query: sent again, it is the same one.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        max_length = 255,
        pattern = "[!-~]"
    )]
    key: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ResultFormat {
    Csv,
    Json,
    Parquet,
    Arrow,
}

/// The rows of a synchronous query.
#[derive(ToSchema)]
#[schema(examples(json!({
    "execution_time_ms": 12, "result": [[4025]], "truncated": false, "columns": [{"name": "count(*)", "type": "BIGINT"}]
})))]
pub(crate) struct AdminSubmitSqlQueryResponse {
    execution_time_ms: u64,
    /// Row by row, the values in the order of the columns.
    result: Vec<Vec<Value>>,
    /// Whether there were more rows.
    truncated: bool,
    columns: Vec<Column>,
}

#[derive(ToSchema)]
struct Column {
    name: String,
    /// In upper case: `BIGINT`, `DECIMAL(10,2)`, `ARRAY<STRING>`, …
    r#type: String,
    /// `string` where a `BIGINT` does not fit a JSON number: then all of the column are texts.
    #[schema(required = false, nullable = false)]
    encoding: String,
}

#[derive(ToSchema)]
#[schema(as = QueryStatus, rename_all = "snake_case")]
pub(crate) enum QueryStatusName {
    Queued,
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Canceled,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResultQuery {
    format: String,
    /// Unix seconds.
    expires: String,
    /// The id of the key that signed.
    key: String,
    signature: String,
}

/// One prompt log. `system` or `history` must be there.
#[derive(ToSchema)]
#[schema(examples(json!({
    "log_key": "c-42/000/engage_user", "system": "You sell tickets.", "history": ["user: hello"], "conversation_id": "c-42"
})))]
pub(crate) struct PromptLogRecord {
    /// 1 to 900 bytes in segments of 1 to 240 bytes, separated by `/`.
    log_key: String,
    /// The rendered system prompt.
    system: Option<String>,
    /// The rendered history prompts, in order.
    #[schema(max_items = 10_000)]
    history: Option<Vec<String>>,
    /// Now, where it is absent.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    conversation_id: Option<String>,
    interaction_id: Option<String>,
    user_id: Option<String>,
    service_id: Option<String>,
    prompt_type: Option<String>,
    model: Option<String>,
    #[schema(required = false)]
    attributes: Value,
    /// What a reader must have been granted, all of it. Without: `Conversation:GetMessage` on the log's conversation.
    required_permissions: Option<Vec<RequiredPermission>>,
}

#[derive(ToSchema)]
struct RequiredPermission {
    permission_name: String,
    #[schema(required = false)]
    attributes: BTreeMap<String, String>,
}

/// A record that was not taken.
#[derive(ToSchema)]
pub(crate) struct RejectedRecord {
    /// Counted from 0 in the order of the body.
    index: u64,
    #[schema(required = true)]
    log_key: Option<String>,
    /// Why.
    detail: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct ContentEncoding {
    /// How the body is compressed: `gzip`, `zstd`, or not at all.
    #[param(rename = "Content-Encoding", required = false, inline)]
    encoding: Encoding,
}

#[derive(ToSchema)]
#[schema(pattern = "^(identity|(x-)?gzip|zstd)?$")]
struct Encoding(String);

/// `google.rpc.Status`, which OTLP answers errors with.
#[derive(ToSchema)]
#[schema(examples(json!({"code": 16, "message": "this needs a token"})))]
pub(crate) struct OtlpStatus {
    /// A `google.rpc.Code`.
    code: i32,
    message: String,
}
