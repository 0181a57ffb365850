//! The shape of the `prompt_logs` table: one row a log, plain columns, day partitions.
//!
//! Here because both sides need it: `prompt_logs` writes and reads the files, the query engine shows the table.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use deltalake_core::kernel::{ArrayType, DataType as DeltaType, PrimitiveType, StructField};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use rules::TableName;

use super::table_properties;

pub const LOG_KEY: &str = "log_key";
pub const CREATED_AT: &str = "created_at";
pub const SYSTEM: &str = "system";
pub const HISTORY: &str = "history";
pub const USER_ID: &str = "user_id";
pub const SERVICE_ID: &str = "service_id";
pub const CONVERSATION_ID: &str = "conversation_id";
pub const REQUIRED_PERMISSIONS: &str = "required_permissions";
/// The partition column: the UTC day of `created_at`.
pub const DAY: &str = "day";

/// The text columns beside the prompts themselves, in table order.
pub const LABELS: [&str; 8] = [
    CONVERSATION_ID,
    "interaction_id",
    USER_ID,
    SERVICE_ID,
    "prompt_type",
    "model",
    "attributes",
    REQUIRED_PERMISSIONS,
];

/// A row group's distinct prompts fit one dictionary page: a download then decodes and compresses each of them once.
/// Above the bytes at which writers end a row group, so that only a single giant prompt falls back to plain pages.
const DICTIONARY_BYTES: usize = 96 * 1024 * 1024;

pub fn name() -> TableName {
    TableName::parse("prompt_logs").expect("a table name")
}

/// The Delta schema.
pub fn columns() -> Vec<StructField> {
    let text = || DeltaType::Primitive(PrimitiveType::String);
    let mut columns = vec![
        StructField::not_null(LOG_KEY, text()),
        StructField::not_null(CREATED_AT, DeltaType::Primitive(PrimitiveType::Timestamp)),
        StructField::nullable(SYSTEM, text()),
        StructField::nullable(HISTORY, DeltaType::from(ArrayType::new(text(), false))),
    ];
    columns.extend(LABELS.map(|label| StructField::nullable(label, text())));
    columns.push(StructField::nullable(
        DAY,
        DeltaType::Primitive(PrimitiveType::Date),
    ));
    columns
}

/// What a column holds, for those who look at the table by SQL.
pub fn comment(column: &str) -> Option<&'static str> {
    Some(match column {
        LOG_KEY => "The log's key, unique, in segments separated by /",
        CREATED_AT => "When the log was produced",
        SYSTEM => "The rendered system prompt",
        HISTORY => "The rendered history prompts, in order",
        CONVERSATION_ID => "The conversation the prompts belong to",
        "interaction_id" => "The interaction within the conversation",
        USER_ID => "The user the agent talked with",
        SERVICE_ID => "The service the agent worked for",
        "prompt_type" => "What the prompts were for",
        "model" => "The language model that was asked",
        "attributes" => "Further details, a JSON object",
        REQUIRED_PERMISSIONS => {
            "What a reader must be granted, a JSON list; the default where it is null"
        }
        DAY => "The UTC day of created_at, by which the table is partitioned",
        _ => return None,
    })
}

/// The Arrow schema data files are written and read with: prompts as dictionaries, so that a prompt that recurs in a
/// thousand histories is held once.
pub fn file_schema() -> SchemaRef {
    let prompt = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new(LOG_KEY, DataType::Utf8, false),
        Field::new(
            CREATED_AT,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false,
        ),
        Field::new(SYSTEM, prompt(), true),
        Field::new(HISTORY, DataType::List(history_item()), true),
    ];
    fields.extend(LABELS.map(|label| Field::new(label, DataType::Utf8, true)));
    Arc::new(Schema::new(Fields::from(fields)))
}

/// The Arrow schema to read a file with: its own columns, with prompts as dictionaries. Other writers of Delta leave
/// columns out or make more of them nullable.
pub fn reading_schema(stored: &SchemaDescriptor) -> Result<SchemaRef, ParquetError> {
    let ours = file_schema();
    let stored = parquet_to_arrow_schema(stored, None)?;
    let fields = stored.fields().iter().map(|field| {
        let prompts = [SYSTEM, HISTORY].contains(&field.name().as_str());
        match ours.field_with_name(field.name()) {
            Ok(known) if prompts => {
                let field = field.as_ref().clone();
                Arc::new(field.with_data_type(known.data_type().clone()))
            }
            _ => Arc::clone(field),
        }
    });
    Ok(Arc::new(Schema::new(fields.collect::<Fields>())))
}

/// The field of one prompt within `history`, named as Delta names it.
pub fn history_item() -> Arc<Field> {
    let prompt = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Field::new("element", prompt, false))
}

pub fn properties() -> WriterProperties {
    let history = ColumnPath::new([HISTORY, "list", "element"].map(str::to_owned).to_vec());
    table_properties()
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        // One prompt can be megabytes: pages of few rows let a reader skip what it does not need.
        .set_data_page_row_count_limit(1024)
        // Keys are distinct: a dictionary of them would have to be read whole to find a few.
        .set_column_dictionary_enabled(ColumnPath::from(LOG_KEY), false)
        .set_column_dictionary_enabled(ColumnPath::from(CREATED_AT), false)
        .set_column_index_truncate_length(None)
        // Nobody searches prompts by range, and their bounds would put prompt text into every footer.
        .set_column_statistics_enabled(ColumnPath::from(SYSTEM), EnabledStatistics::None)
        .set_column_statistics_enabled(history, EnabledStatistics::None)
        .build()
}

/// The instant of the oldest log that is still kept, to the microsecond as instants are stored: what is older is not
/// shown, and goes with its day.
pub fn oldest(now: DateTime<Utc>, retention_days: u32) -> DateTime<Utc> {
    now.trunc_subsecs(6) - TimeDelta::days(retention_days.into())
}

/// The partition a log of this instant lies in.
pub fn day(created_at: DateTime<Utc>) -> String {
    created_at.format("%Y-%m-%d").to_string()
}
