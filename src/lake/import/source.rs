//! A file's bytes in order, with the line they stand on.
//!
//! Promises: a byte order mark at the start is skipped, and no row can take more memory than [`ROW_BYTES_MAX`],
//! whatever the file holds. Not here: what the bytes mean (`json`, `csv`).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use rules::{Error, Result};

/// The most bytes one row may take. A longer one is nearly always a file with a quote or a bracket left open, which
/// would otherwise be read into memory whole.
pub(super) const ROW_BYTES_MAX: u64 = 64 * 1024 * 1024;

const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Source {
    reader: BufReader<File>,
    read: u64,
    line: u64,
    line_start: u64,
    row_start: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let mut source = Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            read: 0,
            line: 1,
            line_start: 0,
            row_start: 0,
        };
        let has_mark = source.buffered()?.starts_with(b"\xef\xbb\xbf");
        if has_mark {
            source.reader.consume(3);
            source.read = 3;
            source.line_start = 3;
        }
        Ok(source)
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The line of the next byte, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The place of the next byte in its line, in bytes from 1.
    pub(super) fn column(&self) -> u64 {
        self.read - self.line_start + 1
    }

    /// Says that the next byte belongs to a new row.
    pub(super) fn begin_row(&mut self) {
        self.row_start = self.read;
    }

    /// The next byte without going past it; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        Ok(self.buffered()?.first().copied())
    }

    /// The next byte; `None` at the end.
    ///
    /// # Errors
    /// `Invalid` when the row is too long.
    pub(super) fn next(&mut self) -> Result<Option<u8>> {
        let Some(byte) = self.peek()? else {
            return Ok(None);
        };
        self.reader.consume(1);
        self.read += 1;
        if byte == b'\n' {
            self.line += 1;
            self.line_start = self.read;
        }
        self.check_row()?;
        Ok(Some(byte))
    }

    /// Puts the next line, with its end, into `line`; false at the end of the file.
    ///
    /// # Errors
    /// `Invalid` when the line is too long.
    pub(super) fn next_line(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        self.begin_row();
        line.clear();
        let count = (&mut self.reader)
            .take(ROW_BYTES_MAX + 1)
            .read_until(b'\n', line)
            .map_err(unreadable)?;
        self.read += count as u64;
        self.check_row()?;
        self.line += 1;
        self.line_start = self.read;
        Ok(count > 0)
    }

    fn buffered(&mut self) -> Result<&[u8]> {
        self.reader.fill_buf().map_err(unreadable)
    }

    fn check_row(&self) -> Result<()> {
        if self.read - self.row_start > ROW_BYTES_MAX {
            return Err(Error::invalid(format!(
                "line {}: the row up to here is longer than {} MiB; is a quote or bracket left open before it?",
                self.line,
                ROW_BYTES_MAX / (1024 * 1024)
            )));
        }
        Ok(())
    }
}

/// Opens the file for reading.
///
/// # Errors
/// `Invalid`, with the system's reason.
pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(unreadable)
}

pub(super) fn unreadable(error: std::io::Error) -> Error {
    Error::invalid(format!("the file cannot be read: {error}")).because(error)
}
