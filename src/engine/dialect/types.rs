//! The names of types in casts, as a lakehouse has them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as Sql, ExactNumberInfo, TimezoneInfo};

/// Instants are in UTC and count microseconds, as the tables' own do: years 1 to 9999 fit, and comparisons cast neither
/// side.
#[derive(Debug)]
pub(in super::super) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql: &Sql) -> Result<Option<FieldRef>> {
        let timestamp =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Arc::from));
        let data_type = match sql {
            // Nothing would be cut off.
            Sql::Timestamp(Some(digits), _) | Sql::TimestampNtz(Some(digits)) if *digits != 6 => {
                return Err(DataFusionError::Plan(format!(
                    "{sql} is no type here: a TIMESTAMP counts microseconds; date_trunc('second', x) cuts them off"
                )));
            }
            Sql::Timestamp(_, TimezoneInfo::WithoutTimeZone) | Sql::TimestampNtz(_) => {
                timestamp(None)
            }
            Sql::Timestamp(..) => timestamp(Some("UTC")),
            // Spark's; the engine's has ten digits behind the point.
            Sql::Decimal(ExactNumberInfo::None)
            | Sql::Numeric(ExactNumberInfo::None)
            | Sql::Dec(ExactNumberInfo::None) => DataType::Decimal128(10, 0),
            Sql::Varchar(_) | Sql::Char(_) | Sql::Character(_) | Sql::Text | Sql::String(_) => {
                DataType::Utf8
            }
            Sql::Binary(_) => DataType::Binary,
            Sql::Custom(name, _) => match name.to_string().to_ascii_lowercase().as_str() {
                "byte" => DataType::Int8,
                "short" => DataType::Int16,
                "long" => DataType::Int64,
                "timestamp_ltz" => timestamp(Some("UTC")),
                other => {
                    return Err(DataFusionError::Plan(format!(
                        "there is no type {other}; there are BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, \
                         DECIMAL(p,s), STRING, BINARY, DATE, TIMESTAMP, TIMESTAMP_NTZ and ARRAY<…>"
                    )));
                }
            },
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}
