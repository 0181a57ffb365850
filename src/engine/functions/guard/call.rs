//! How many bytes a call would make, from its arguments alone.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::regex::compile_regex;

use super::super::kernel::texts;
use super::bytes::{integers, value_bytes, widths};
use super::{BATCH_BYTES_MAX, Makes, VALUE_BYTES_MAX};

/// An argument's column: a value for each row, or one for all.
pub(super) enum Column {
    Each(ArrayRef),
    Same(ArrayRef),
}

impl Column {
    fn values(&self) -> &ArrayRef {
        match self {
            Self::Each(values) | Self::Same(values) => values,
        }
    }

    /// Of a list with an entry for each value, the one of a row.
    fn at<T: Copy>(&self, entries: &[T], row: usize) -> T {
        match self {
            Self::Each(_) => entries[row],
            Self::Same(_) => entries[0],
        }
    }
}

pub(super) struct Call {
    pub(super) rows: usize,
    pub(super) columns: Vec<Column>,
}

impl Call {
    /// The most bytes that each row's result can have.
    pub(super) fn sizes(&self, makes: Makes) -> Result<Vec<u64>> {
        Ok(match makes {
            Makes::Repeated => {
                let (bytes, times) = (self.bytes(0)?, self.numbers(1)?);
                self.each(|row| bytes(row).saturating_mul(times(row)))
            }
            // A character takes four bytes at most.
            Makes::Padded => {
                let (bytes, length) = (self.bytes(0)?, self.numbers(1)?);
                self.each(|row| bytes(row).max(length(row).saturating_mul(4)))
            }
            Makes::Spaces => {
                let length = self.numbers(0)?;
                self.each(length)
            }
            Makes::Resized => {
                if integers(self.columns[1].values())?
                    .iter()
                    .any(|size| *size < 0)
                {
                    return Err(DataFusionError::Execution(
                        "array_resize takes a size of 0 or more; slice(list, start, length) takes a part".to_owned(),
                    ));
                }
                let (bytes, length) = (self.bytes(0)?, self.numbers(1)?);
                let element = match self.columns.len() {
                    0..=2 => self.constant(8),
                    _ => self.bytes(2)?,
                };
                self.each(|row| {
                    let added = length(row).saturating_mul(element(row).max(8));
                    bytes(row).saturating_add(added)
                })
            }
            Makes::Less => Vec::new(),
            Makes::Series => self.series()?,
            Makes::Replaced { is_regex } => self.replaced(is_regex)?,
            Makes::Joined => {
                let last = self.columns.len().saturating_sub(1);
                let separator = match self.columns.len() {
                    // concat_ws has its separator in front, the others theirs behind.
                    0 => self.constant(0),
                    _ => {
                        let (first, last) = (self.bytes(0)?, self.bytes(last)?);
                        Box::new(move |row| first(row).max(last(row))) as Box<dyn Fn(usize) -> u64>
                    }
                };
                let (all, elements) = (self.together()?, self.elements());
                self.each(|row| {
                    let between = elements(row).saturating_mul(separator(row));
                    all(row).saturating_add(between)
                })
            }
            Makes::Together(times) => {
                let all = self.together()?;
                self.each(|row| all(row).saturating_mul(times))
            }
            Makes::Formatted => {
                let (all, formats) = (self.together()?, texts(self.columns[0].values())?);
                let widths = formats
                    .iter()
                    .map(|format| widths(format.unwrap_or_default()));
                let widths: Vec<u64> = widths.collect();
                self.each(|row| {
                    let padding = self.columns[0].at(&widths, row);
                    // A number takes less than 400 characters in any format.
                    all(row).saturating_add(padding).saturating_add(400)
                })
            }
        })
    }

    fn each(&self, size: impl Fn(usize) -> u64) -> Vec<u64> {
        (0..self.rows).map(size).collect()
    }

    fn constant(&self, size: u64) -> Box<dyn Fn(usize) -> u64 + '_> {
        Box::new(move |_| size)
    }

    /// The bytes of an argument in each row.
    fn bytes(&self, index: usize) -> Result<Box<dyn Fn(usize) -> u64 + '_>> {
        let Some(column) = self.columns.get(index) else {
            return Ok(self.constant(0));
        };
        let bytes = value_bytes(column.values());
        Ok(Box::new(move |row| column.at(&bytes, row)))
    }

    /// An argument as counts; what is negative or missing is none.
    fn numbers(&self, index: usize) -> Result<Box<dyn Fn(usize) -> u64 + '_>> {
        let Some(column) = self.columns.get(index) else {
            return Ok(self.constant(0));
        };
        let numbers = integers(column.values())?;
        Ok(Box::new(move |row| {
            u64::try_from(column.at(&numbers, row)).unwrap_or(0)
        }))
    }

    fn together(&self) -> Result<Box<dyn Fn(usize) -> u64 + '_>> {
        let columns = (0..self.columns.len()).map(|index| self.bytes(index));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Box::new(move |row| {
            let bytes = columns.iter().map(|bytes| bytes(row));
            bytes.fold(0, u64::saturating_add)
        }))
    }

    /// How many values there are in each row, those in lists included.
    fn elements(&self) -> Box<dyn Fn(usize) -> u64 + '_> {
        let columns = self.columns.iter().map(|column| {
            let counts: Vec<u64> = match column.values().data_type() {
                DataType::List(_) => {
                    let offsets = column.values().as_list::<i32>().offsets().clone();
                    offsets.lengths().map(|count| count as u64).collect()
                }
                _ => vec![1; column.values().len()],
            };
            (column, counts)
        });
        let columns: Vec<_> = columns.collect();
        Box::new(move |row| {
            let counts = columns
                .iter()
                .map(|(column, counts)| column.at(counts, row));
            counts.fold(0, u64::saturating_add)
        })
    }

    fn series(&self) -> Result<Vec<u64>> {
        let from_zero = self.columns.len() < 2;
        let (starts, stops) = match from_zero {
            true => (None, &self.columns[0]),
            false => (Some(&self.columns[0]), &self.columns[1]),
        };
        let (first, last) = (
            starts.map(|starts| integers(starts.values())),
            integers(stops.values())?,
        );
        let first = first.transpose()?;
        let steps = self.columns.get(2);
        let step_values = steps.map(|steps| integers(steps.values())).transpose()?;
        Ok(self.each(|row| {
            let pair = (starts, &first);
            let start = match pair {
                (Some(column), Some(first)) => column.at(first, row),
                _ => 0,
            };
            let step = match (steps, &step_values) {
                (Some(column), Some(steps)) => column.at(steps, row),
                _ => 1,
            };
            let distance = stops.at(&last, row).abs_diff(start);
            (distance / step.unsigned_abs().max(1))
                .saturating_add(1)
                .saturating_mul(8)
        }))
    }

    /// Counts what will be replaced only where something could otherwise grow beyond its bound.
    fn replaced(&self, is_regex: bool) -> Result<Vec<u64>> {
        let between_all = |value: &str, pattern: &str| match is_regex {
            true => Ok(value.len() + 1),
            false => Ok(value.len() / pattern.len().max(1) + 1),
        };
        let sizes = self.replaced_as_often_as(is_regex, between_all)?;
        let is_small = sizes.iter().all(|size| *size <= VALUE_BYTES_MAX);
        if is_small
            && sizes
                .iter()
                .fold(0, |sum: u64, size| sum.saturating_add(*size))
                <= BATCH_BYTES_MAX
        {
            return Ok(sizes);
        }
        let mut known = None;
        self.replaced_as_often_as(is_regex, |value, pattern| {
            if !is_regex {
                return Ok(value.matches(pattern).count());
            }
            if known.as_ref().is_none_or(|(text, _)| text != pattern) {
                known = Some((pattern.to_owned(), compile_regex(pattern, None)?));
            }
            let matches = known
                .iter()
                .map(|(_, regex)| regex.find_iter(value).count());
            Ok(matches.sum())
        })
    }

    /// `matches` says how often a text at most holds a pattern.
    fn replaced_as_often_as(
        &self,
        is_regex: bool,
        mut matches: impl FnMut(&str, &str) -> Result<usize>,
    ) -> Result<Vec<u64>> {
        let columns = [0, 1, 2].map(|index| &self.columns[index]);
        let [values, patterns, replacements] =
            [0, 1, 2].map(|index| texts(columns[index].values()));
        let (values, patterns, replacements) = (values?, patterns?, replacements?);
        let rows = (0..self.rows).map(|row| {
            let [value, pattern, replacement] = columns.map(|column| match column {
                Column::Each(_) => row,
                Column::Same(_) => 0,
            });
            if values.is_null(value)
                || patterns.is_null(pattern)
                || replacements.is_null(replacement)
            {
                return Ok(0);
            }
            let (value, replacement) = (values.value(value), replacements.value(replacement));
            // Every reference to a group may repeat what matched, and matches do not overlap.
            let references = match is_regex {
                true => replacement.matches(['$', '\\']).count() as u64,
                false => 0,
            };
            let matches = matches(value, patterns.value(pattern))? as u64;
            let kept = (value.len() as u64).saturating_mul(references + 1);
            Ok(kept.saturating_add(matches.saturating_mul(replacement.len() as u64)))
        });
        rows.collect()
    }
}
