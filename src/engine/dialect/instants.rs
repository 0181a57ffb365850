//! Instants beside days, texts and instants of other units.
//!
//! To compare them the engine would count all in nanoseconds, of which the year 9999 has too many; people write it where
//! something has no end. Here they are counted in microseconds, as tables store them.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

/// The sides of a comparison, in microseconds where one of them is an instant.
pub(super) fn compared<const N: usize>(sides: [Expr; N], schema: &DFSchema) -> Result<[Expr; N]> {
    let Some(common) = common(&sides.each_ref(), schema)? else {
        return Ok(sides);
    };
    let mut counted = sides;
    for side in &mut counted {
        count(side, &common, schema)?;
    }
    Ok(counted)
}

/// The type in which all are instants of microseconds; `None` where they are something else, or are such already.
pub(super) fn common(sides: &[&Expr], schema: &DFSchema) -> Result<Option<DataType>> {
    let (mut zone, mut is_instant, mut is_other) = (None, false, false);
    for side in sides {
        match side.get_type(schema)? {
            DataType::Timestamp(unit, of) => {
                is_instant = true;
                let is_exact = unit == TimeUnit::Microsecond;
                if !is_exact && !side.column_refs().is_empty() {
                    // A file of nanoseconds is read by its own statistics.
                    return Ok(None);
                }
                is_other |= !is_exact;
                zone = zone.or(of);
            }
            DataType::Date32 | DataType::Date64 => is_other = true,
            data_type if data_type.is_string() => is_other = true,
            DataType::Null => {}
            _ => return Ok(None),
        }
    }
    let common = DataType::Timestamp(TimeUnit::Microsecond, zone);
    Ok((is_instant && is_other).then_some(common))
}

/// One of them in that type.
pub(super) fn count(side: &mut Expr, common: &DataType, schema: &DFSchema) -> Result<()> {
    let is_counted = match side.get_type(schema)? {
        DataType::Timestamp(unit, _) => unit == TimeUnit::Microsecond,
        DataType::Null => true,
        _ => false,
    };
    if !is_counted {
        let other = std::mem::take(side);
        *side = cast(other, common.clone());
    }
    Ok(())
}
