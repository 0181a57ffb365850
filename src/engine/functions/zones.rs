//! What the clocks of a zone show, as an instant.

use chrono::{DateTime, Days, NaiveDateTime, Offset, TimeZone};
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl};

use super::kernel::texts;

/// The engine's own takes the zone's offset at the wrong instant, and is an hour off near a change of summer time. It
/// answers for what is no time zone.
pub(super) fn to_utc(inner: &dyn ScalarUDFImpl, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let column = |index: usize| args.args[index].clone().into_array(args.number_rows);
    let (shown, names) = (column(0)?, texts(&column(1)?)?);
    let DataType::Timestamp(unit, _) = shown.data_type().clone() else {
        return inner.invoke_with_args(args);
    };
    let zones: Option<Vec<Option<Tz>>> = names
        .iter()
        .map(|name| match name {
            Some(name) => name.parse().ok().map(Some),
            None => Some(None),
        })
        .collect();
    let Some(zones) = zones else {
        return inner.invoke_with_args(args);
    };
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let counts = cast(&shown, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>().iter();
    let instants: Int64Array = counts
        .zip(zones)
        .map(|(count, zone)| {
            let (count, zone) = (count?, zone?);
            let offset = offset_seconds(&zone, count.div_euclid(per_second))?;
            count.checked_sub(offset.checked_mul(per_second)?)
        })
        .collect();
    Ok(ColumnarValue::Array(cast(&instants, shown.data_type())?))
}

/// How far the zone is ahead of UTC while its clocks show that time: of two such offsets the earlier, and where the clocks
/// leave the time out, that of before.
fn offset_seconds(zone: &Tz, shown: i64) -> Option<i64> {
    let shown = DateTime::from_timestamp(shown, 0)?.naive_utc();
    let at = |shown: NaiveDateTime| zone.offset_from_local_datetime(&shown).earliest();
    let offset = at(shown).or_else(|| at(shown.checked_sub_days(Days::new(1))?))?;
    Some(i64::from(offset.fix().local_minus_utc()))
}
