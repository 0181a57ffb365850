//! Rows as JSON objects: one a line, or the elements of one array.
//!
//! An array may be larger than memory: its elements are split by looking only at strings and brackets, and each is
//! then parsed alone. Promises: numbers and nested values keep the characters they are written with.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use rules::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::NO_ROWS;
use super::rows::{Named, Place, Row, Shape, Value};
use super::source::Source;

const NO_OBJECT: &str = "a JSON object is needed here, one for each row";

/// Newline-delimited JSON; blank lines are skipped.
#[derive(Debug)]
pub(super) struct Lines {
    source: Source,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            source: Source::open(path)?,
            line: Vec::new(),
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        loop {
            let place = Place {
                line: self.source.line(),
                element: None,
            };
            if !self.source.next_line(&mut self.line)? {
                return Ok(None);
            }
            if self.line.trim_ascii_start().starts_with(b"[") {
                return Err(place.error(format!(
                    "{NO_OBJECT}; name a file that is one JSON array .json"
                )));
            }
            if !self.line.trim_ascii().is_empty() {
                // Without the line's end, behind which the parser would place the error of a line that is cut short.
                let fields = parse(self.line.trim_ascii_end(), place, 1)?;
                return Ok(Some(Row { place, fields }));
            }
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }
}

/// The elements of the one array that is the file.
#[derive(Debug)]
pub(super) struct Elements {
    source: Source,
    element: Vec<u8>,
    count: u64,
    ended: bool,
}

impl Elements {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut source = Source::open(path)?;
        skip_space(&mut source)?;
        match source.peek()? {
            Some(b'[') => source.next()?,
            None => return Err(Error::invalid(NO_ROWS)),
            Some(_) => {
                let place = Place {
                    line: source.line(),
                    element: None,
                };
                return Err(place.error(
                    "the file is not one JSON array of objects; name a file with one object a line .ndjson",
                ));
            }
        };
        skip_space(&mut source)?;
        let mut elements = Self {
            source,
            element: Vec::new(),
            count: 0,
            ended: false,
        };
        if elements.source.peek()? == Some(b']') {
            elements.finish()?;
        }
        Ok(elements)
    }

    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>> {
        if self.ended {
            return Ok(None);
        }
        self.source.begin_row();
        skip_space(&mut self.source)?;
        self.count += 1;
        let place = Place {
            line: self.source.line(),
            element: Some(self.count),
        };
        let column = self.source.column();
        self.read_element(place)?;
        match self.source.peek()? {
            Some(b',') => {
                self.source.next()?;
            }
            _ => self.finish()?,
        }
        let fields = parse(&self.element, place, column)?;
        Ok(Some(Row { place, fields }))
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }

    /// Puts the element's text into `self.element` and stops before the `,` or `]` behind it.
    fn read_element(&mut self, place: Place) -> Result<()> {
        self.element.clear();
        let (mut depth, mut in_string, mut escaped) = (0_u64, false, false);
        while let Some(byte) = self.source.peek()? {
            if in_string {
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            } else {
                match byte {
                    b',' | b']' if depth == 0 => return Ok(()),
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    b'"' => in_string = true,
                    _ => {}
                }
            }
            self.element.push(byte);
            self.source.next()?;
        }
        Err(place.error("the file ends before the array is closed by ']'"))
    }

    /// Goes past the array's `]` to the end of the file, where nothing else may be.
    fn finish(&mut self) -> Result<()> {
        self.source.next()?;
        self.source.begin_row();
        skip_space(&mut self.source)?;
        if self.source.peek()?.is_some() {
            let place = Place {
                line: self.source.line(),
                element: None,
            };
            return Err(place.error("there is more behind the array's end; a file holds one array"));
        }
        self.ended = true;
        Ok(())
    }
}

fn skip_space(source: &mut Source) -> Result<()> {
    while source
        .peek()?
        .is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
    {
        source.next()?;
    }
    Ok(())
}

/// The fields of the object `text`, which begins at `place` in the given column of the line.
fn parse(text: &[u8], place: Place, column: u64) -> Result<Vec<Named<'_>>> {
    let text = place.utf8(text)?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(place.error(NO_OBJECT));
    }
    let object: Object<'_> = serde_json::from_str(text).map_err(|error| {
        let line = error.line().max(1) as u64;
        let offset = if line == 1 { column - 1 } else { 0 };
        let place = Place {
            line: place.line + line - 1,
            ..place
        };
        place.error(format!(
            "{} at column {}",
            reason(&error),
            error.column() as u64 + offset
        ))
    })?;
    let mut fields = Vec::with_capacity(object.0.len());
    for (Text(name), raw) in object.0 {
        let value = value(raw.get())
            .map_err(|error| place.error(format!("column {name:?}: {}", reason(&error))))?;
        fields.push((name, value));
    }
    Ok(fields)
}

fn value(raw: &str) -> serde_json::Result<Option<Value<'_>>> {
    let shape = match raw.as_bytes().first() {
        Some(b'n') => return Ok(None),
        Some(b'"') => {
            let Text(text) = serde_json::from_str(raw)?;
            return Ok(Some(Value {
                text,
                shape: Shape::String,
            }));
        }
        Some(b't') => Shape::Boolean(true),
        Some(b'f') => Shape::Boolean(false),
        Some(b'{' | b'[') => Shape::Nested,
        _ => Shape::of_number(raw),
    };
    Ok(Some(Value {
        text: Cow::Borrowed(raw),
        shape,
    }))
}

/// What is wrong, without the line and column that count from the start of the text parsed.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&suffix).unwrap_or(&text).to_owned()
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object's fields in the order written, duplicates kept, values not yet parsed.
struct Object<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
