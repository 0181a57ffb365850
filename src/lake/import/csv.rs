//! Rows as comma-separated values (RFC 4180), the first record being the columns' names.
//!
//! Promises: a record that does not have the header's number of cells, or a quote left open, is an error at its line
//! and never a shifted or swallowed row. Lines end in LF or CRLF; blank ones are skipped. Read by hand since the `csv`
//! crate miscounts lines behind CRLF and blank lines and takes an open quote for the file's end.

use std::borrow::Cow;
use std::path::Path;

use rules::{Error, Result};

use super::NO_ROWS;
use super::column::Names;
use super::rows::{Place, Row, Shape, Value};
use super::source::Source;

#[derive(Debug)]
pub(super) struct Records {
    source: Source,
    header: Vec<String>,
    record: Record,
}

/// The cells of one record: their bytes one after another, and where each ends.
#[derive(Debug, Default)]
struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut source = Source::open(path)?;
        let mut record = Record::default();
        let Some(place) = record.read(&mut source)? else {
            return Err(Error::invalid(NO_ROWS));
        };
        let mut names = Names::default();
        let mut header = Vec::with_capacity(record.ends.len());
        for name in record.cells(place) {
            let name = name?;
            let known = names
                .place_or_add(name)
                .map_err(|error| place.error(error))?;
            if known < header.len() {
                return Err(place.error(format!("two columns have the name {name:?}; rename one")));
            }
            header.push(name.to_owned());
        }
        Ok(Self {
            source,
            header,
            record,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        let Some(place) = self.record.read(&mut self.source)? else {
            return Ok(None);
        };
        let (cells, names) = (self.record.ends.len(), self.header.len());
        if cells != names {
            return Err(place.error(format!(
                "the row has {cells} cells, but the header has {names}"
            )));
        }
        let mut fields = Vec::with_capacity(cells);
        for (name, cell) in self.header.iter().zip(self.record.cells(place)) {
            fields.push((Cow::Borrowed(name.as_str()), value(cell?)));
        }
        Ok(Some(Row { place, fields }))
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }
}

impl Record {
    /// Reads the next record that is no blank line and says where it begins; `None` at the end.
    fn read(&mut self, source: &mut Source) -> Result<Option<Place>> {
        loop {
            source.begin_row();
            self.bytes.clear();
            self.ends.clear();
            let place = Place {
                line: source.line(),
                element: None,
            };
            if source.peek()?.is_none() {
                return Ok(None);
            }
            let mut quoted = false;
            loop {
                let (is_last, is_quoted) = self.read_cell(source)?;
                quoted |= is_quoted;
                self.ends.push(self.bytes.len());
                if is_last {
                    break;
                }
            }
            let is_blank = self.bytes.is_empty() && self.ends.len() == 1 && !quoted;
            if !is_blank {
                return Ok(Some(place));
            }
        }
    }

    /// Reads one cell with the comma or line end behind it; whether it is the record's last, and whether it is quoted.
    fn read_cell(&mut self, source: &mut Source) -> Result<(bool, bool)> {
        let is_quoted = source.peek()? == Some(b'"');
        if is_quoted {
            self.read_quoted(source)?;
        }
        let plain = self.bytes.len();
        loop {
            match source.next()? {
                Some(b',') => return Ok((false, is_quoted)),
                None | Some(b'\n') => return Ok((true, is_quoted)),
                Some(b'\r') if matches!(source.peek()?, None | Some(b'\n')) => {}
                Some(byte) => self.bytes.push(byte),
            }
            if is_quoted && self.bytes.len() > plain {
                let place = Place {
                    line: source.line(),
                    element: None,
                };
                return Err(place.error(
                    "a quoted cell goes on behind its quote; double a quote inside a cell",
                ));
            }
        }
    }

    fn read_quoted(&mut self, source: &mut Source) -> Result<()> {
        let start = Place {
            line: source.line(),
            element: None,
        };
        source.next()?;
        while let Some(byte) = source.next()? {
            if byte == b'"' && source.peek()? != Some(b'"') {
                return Ok(());
            }
            if byte == b'"' {
                source.next()?;
            }
            self.bytes.push(byte);
        }
        Err(start.error("a quoted cell begins here and is never closed"))
    }

    fn cells(&self, place: Place) -> impl Iterator<Item = Result<&str>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(move |(start, &end)| place.utf8(&self.bytes[start..end]))
    }
}

/// What a cell holds; nothing is null.
fn value(cell: &str) -> Option<Value<'_>> {
    let shape = match cell {
        "" => return None,
        _ if cell.eq_ignore_ascii_case("true") => Shape::Boolean(true),
        _ if cell.eq_ignore_ascii_case("false") => Shape::Boolean(false),
        _ if is_number(cell.as_bytes()) => Shape::of_number(cell),
        _ => Shape::String,
    };
    Some(Value {
        text: Cow::Borrowed(cell),
        shape,
    })
}

/// Whether a cell is a number in JSON's notation, which has no plus sign and no leading zeros: those are codes.
fn is_number(cell: &[u8]) -> bool {
    fn digits(text: &[u8]) -> (usize, &[u8]) {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count, &text[count..])
    }
    let unsigned = cell.strip_prefix(b"-").unwrap_or(cell);
    let (whole, mut rest) = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned[0] == b'0') {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let (count, behind) = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = behind;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let (count, behind) = digits(
            exponent
                .strip_prefix(b"+")
                .or(exponent.strip_prefix(b"-"))
                .unwrap_or(exponent),
        );
        return count > 0 && behind.is_empty();
    }
    rest.is_empty()
}
