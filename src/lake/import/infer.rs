//! What a text file's columns hold, decided from all of their values.
//!
//! A column gets the narrowest kind that holds every one of its values exactly; where there is none it becomes text,
//! as written.

use rules::{Error, Result};

use super::column::{Column, Kind, Names};
use super::moment::{self, Moment};
use super::rows::{Rows, Shape, Value};
use super::{NO_ROWS, Survey};

/// How often progress is told: often enough to look alive, seldom enough to cost nothing.
const PROGRESS_ROWS: u64 = 1_024;

/// Which values a column has shown so far.
#[derive(Debug, Default)]
struct Evidence {
    booleans: bool,
    wholes: bool,
    /// Whole numbers that floating point does not hold exactly.
    wide_wholes: bool,
    fractions: bool,
    instants: bool,
    locals: bool,
    nested: bool,
    /// Everything else.
    texts: bool,
}

impl Evidence {
    fn add(&mut self, value: &Value<'_>) {
        match value.shape {
            Shape::Boolean(_) => self.booleans = true,
            Shape::Whole(number) => {
                self.wholes = true;
                self.wide_wholes |= as_double(number).is_none();
            }
            Shape::Fraction(_) => self.fractions = true,
            Shape::LargeNumber => self.texts = true,
            Shape::Nested => self.nested = true,
            // A column that is text already need not be looked at closer.
            Shape::String if !self.texts => match moment::parse(&value.text) {
                Some(Moment::Instant(_)) => self.instants = true,
                Some(Moment::Local(_)) => self.locals = true,
                None => self.texts = true,
            },
            Shape::String => {}
        }
    }

    fn kind(&self) -> Kind {
        let numbers = self.wholes || self.fractions;
        match [
            self.booleans,
            numbers,
            self.instants,
            self.locals,
            self.nested,
            self.texts,
        ] {
            [false, false, false, false, false, false] => Kind::Null,
            [true, false, false, false, false, false] => Kind::Boolean,
            [false, true, false, false, false, false] if !self.fractions => Kind::BigInt,
            [false, true, false, false, false, false] if !self.wide_wholes => Kind::Double,
            [false, false, true, false, false, false] => Kind::Timestamp,
            [false, false, false, true, false, false] => Kind::TimestampNtz,
            [false, false, false, false, true, false] => Kind::Json,
            _ => Kind::Text,
        }
    }
}

/// The whole number in floating point, when that holds it exactly.
pub(super) fn as_double(number: i64) -> Option<f64> {
    let double = number as f64;
    (double as i128 == i128::from(number)).then_some(double)
}

/// The first pass over a text file.
pub(super) fn survey(rows: &mut Rows, progress: &mut dyn FnMut(u64)) -> Result<Survey> {
    let mut names = Names::default();
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut count = 0_u64;
    while let Some(row) = rows.next()? {
        count += 1;
        // One field of several with the same name counts, the last, so a row is put together before it is judged.
        let mut values: Vec<Option<Value<'_>>> = Vec::new();
        values.resize_with(evidence.len(), || None);
        for (name, value) in row.fields {
            let place = names
                .place_or_add(&name)
                .map_err(|error| row.place.error(error))?;
            if place == values.len() {
                values.push(None);
                evidence.push(Evidence::default());
            }
            values[place] = value;
        }
        for (evidence, value) in evidence.iter_mut().zip(&values) {
            if let Some(value) = value {
                evidence.add(value);
            }
        }
        if count.is_multiple_of(PROGRESS_ROWS) {
            progress(rows.bytes_read());
        }
    }
    progress(rows.bytes_read());
    if count == 0 {
        return Err(Error::invalid(NO_ROWS));
    }
    if evidence.is_empty() {
        return Err(Error::invalid("the file's rows have no columns"));
    }
    let kinds = evidence.iter().map(Evidence::kind);
    let columns = names.into_vec().into_iter().zip(kinds);
    Ok(Survey {
        columns: columns.map(|(name, kind)| Column { name, kind }).collect(),
        rows: count,
    })
}
