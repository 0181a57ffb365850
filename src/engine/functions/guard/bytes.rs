//! Arguments as numbers: the bytes of values, counts, widths.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::error::Result;

/// The sum of the numbers in a format.
pub(super) fn widths(format: &str) -> u64 {
    let numbers = format.split(|char: char| !char.is_ascii_digit());
    let numbers = numbers.filter(|number| !number.is_empty());
    numbers.fold(0, |sum, number| {
        u64::saturating_add(sum, number.parse().unwrap_or(u64::MAX))
    })
}

/// Whole numbers, instants as microseconds, intervals as about as many; a missing one is none.
pub(super) fn integers(column: &ArrayRef) -> Result<Vec<i64>> {
    let column = match column.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let instants = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            cast(&instants, &DataType::Int64)?
        }
        DataType::Interval(_) => {
            let intervals = column.as_primitive_opt::<IntervalMonthDayNanoType>();
            let micros = intervals.into_iter().flat_map(|intervals| intervals.iter());
            return Ok(micros
                .map(|interval| interval.map_or(0, micros_of))
                .collect());
        }
        _ => cast(column, &DataType::Int64)?,
    };
    let numbers = column.as_primitive::<Int64Type>();
    Ok(numbers.iter().map(|number| number.unwrap_or(0)).collect())
}

fn micros_of(interval: IntervalMonthDayNano) -> i64 {
    const DAY: i64 = 86_400_000_000;
    let days = i64::from(interval.months) * 28 + i64::from(interval.days);
    days.saturating_mul(DAY)
        .saturating_add(interval.nanoseconds / 1000)
}

/// The bytes of each value of a column.
pub(super) fn value_bytes(column: &ArrayRef) -> Vec<u64> {
    let rows = column.len();
    match column.data_type() {
        DataType::Utf8 => offset_lengths(column.as_string::<i32>().offsets().lengths()),
        DataType::LargeUtf8 => offset_lengths(column.as_string::<i64>().offsets().lengths()),
        DataType::Binary => offset_lengths(column.as_binary::<i32>().offsets().lengths()),
        DataType::LargeBinary => offset_lengths(column.as_binary::<i64>().offsets().lengths()),
        DataType::Utf8View => offset_lengths(column.as_string_view().lengths().map(|n| n as usize)),
        DataType::BinaryView => {
            offset_lengths(column.as_binary_view().lengths().map(|n| n as usize))
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let elements = value_bytes(lists.values());
            let offsets = lists.offsets().windows(2);
            let sums = offsets.map(|ends| {
                let [from, to] = [ends[0], ends[1]].map(|end| usize::try_from(end).unwrap_or(0));
                elements[from..to]
                    .iter()
                    .fold(8, |sum: u64, bytes| sum.saturating_add(*bytes))
            });
            sums.collect()
        }
        DataType::Struct(_) => {
            let mut sums = vec![0_u64; rows];
            for child in column.as_struct().columns() {
                for (sum, bytes) in sums.iter_mut().zip(value_bytes(child)) {
                    *sum = sum.saturating_add(bytes);
                }
            }
            sums
        }
        // Maps, dictionaries and the like: their average.
        DataType::Map(..) | DataType::Dictionary(..) | DataType::LargeList(_) => {
            let all = column.get_array_memory_size() as u64;
            vec![all / (rows as u64).max(1); rows]
        }
        other => vec![other.primitive_width().unwrap_or(1) as u64; rows],
    }
}

fn offset_lengths(lengths: impl Iterator<Item = usize>) -> Vec<u64> {
    lengths.map(|length| length as u64).collect()
}
