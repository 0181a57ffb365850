//! Cuts a body of many records into its records, while it arrives.
//!
//! The body is NDJSON, or one JSON array; its first byte decides. Bytes are pushed as they come, however they are cut,
//! and each record is handed on as soon as its last byte is there. At most one record is held. Not here: what a record
//! says ([`crate::Draft::parse`]), so a line or an element that is no record is handed on like any other.

use crate::{RECORD_BYTES_MAX, Reason, record_too_large};

/// The byte-order mark that some editors put before UTF-8.
pub const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Cuts a body into records. Make one for each body, [`push`](Self::push) its bytes, then [`finish`](Self::finish).
///
/// What it finds goes to a sink with the record's number, counted from 0: the record's bytes without blanks around
/// them, or the reason why it is rejected. After a syntax error of the array itself nothing more is found.
#[derive(Debug)]
pub struct Splitter {
    state: State,
    /// The record so far, when its beginning came with an earlier push.
    held: Vec<u8>,
    index: usize,
    /// The place in the body of the next byte.
    offset: usize,
    record_bytes_max: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing but blanks and this many bytes of a byte-order mark so far.
    Start { bom: usize },
    /// Within a line.
    Line,
    /// Within a line that is too long and was rejected.
    LongLine,
    /// Within an array, between elements.
    Between(Expected),
    /// Within an element of an array; `skips`: it is too long and was rejected.
    Element { inside: Inside, skips: bool },
    /// Behind the array.
    Closed,
    /// Behind the error that ended the array.
    Broken,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    /// Behind `[`.
    ElementOrEnd,
    /// Behind a comma.
    Element,
    /// Behind an element.
    CommaOrEnd,
}

#[derive(Debug, Clone, Copy)]
enum Inside {
    /// Within this many brackets.
    Brackets { depth: usize },
    /// Within a string inside this many brackets; `escaped`: the next byte is part of an escape.
    Text { depth: usize, escaped: bool },
    /// A number or a word, which ends where something else begins.
    Bare,
}

/// What a step of the scan found in the bytes it was given.
enum Step {
    /// The record ends before this place.
    End(usize),
    /// The record goes on.
    More(Inside),
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// A splitter for one body, records limited to [`RECORD_BYTES_MAX`].
    pub fn new() -> Self {
        Self::with_record_bytes_max(RECORD_BYTES_MAX)
    }

    fn with_record_bytes_max(record_bytes_max: usize) -> Self {
        Self {
            state: State::Start { bom: 0 },
            held: Vec::new(),
            index: 0,
            offset: 0,
            record_bytes_max,
        }
    }

    /// Bytes of the record that has begun and not ended.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(usize, Result<&[u8], Reason>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match self.state {
                State::Start { bom } => self.start(bom, rest),
                State::Line => self.line(rest, sink),
                State::LongLine => self.long_line(rest),
                State::Between(expected) => self.between(expected, rest, sink),
                State::Element { inside, skips } => self.element(inside, skips, rest, sink),
                State::Closed => self.closed(rest, sink),
                State::Broken => rest.len(),
            };
            self.offset += used;
            rest = &rest[used..];
        }
    }

    /// The body has ended: the last line needs no newline, an array must be closed.
    pub fn finish(mut self, sink: &mut impl FnMut(usize, Result<&[u8], Reason>)) {
        match self.state {
            State::Line => {
                let line = std::mem::take(&mut self.held);
                self.hand_on(&line, sink);
            }
            State::Between(_) | State::Element { .. } => {
                let problem = "the array is not closed: the body ends";
                self.break_off(self.offset, problem, sink);
            }
            State::Start { bom: bom @ (1 | 2) } => self.hand_on(&BOM[..bom], sink),
            State::Start { .. } | State::LongLine | State::Closed | State::Broken => {}
        }
    }

    fn start(&mut self, bom: usize, bytes: &[u8]) -> usize {
        let byte = bytes[0];
        if BOM.get(bom) == Some(&byte) && self.offset == bom {
            self.state = State::Start { bom: bom + 1 };
            return 1;
        }
        if bom == 1 || bom == 2 {
            // No mark after all: what looked like one is the line's beginning.
            self.held.extend_from_slice(&BOM[..bom]);
            self.state = State::Line;
            return 0;
        }
        // A mark stands at the beginning only.
        self.state = State::Start { bom: BOM.len() };
        match byte {
            byte if is_blank(byte) => 1,
            b'[' => {
                self.state = State::Between(Expected::ElementOrEnd);
                1
            }
            _ => {
                self.state = State::Line;
                0
            }
        }
    }

    fn line(&mut self, bytes: &[u8], sink: &mut impl FnMut(usize, Result<&[u8], Reason>)) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let piece = &bytes[..end.unwrap_or(bytes.len())];
        // Blanks in front are dropped as they come, or a body of blanks would be held.
        let piece = if self.held.is_empty() {
            piece.trim_ascii_start()
        } else {
            piece
        };
        if self.held.len() + piece.len() > self.record_bytes_max {
            self.reject(record_too_large(), sink);
            self.state = State::LongLine;
            return 0;
        }
        let Some(end) = end else {
            self.held.extend_from_slice(piece);
            return bytes.len();
        };
        if self.held.is_empty() {
            self.hand_on(piece, sink);
        } else {
            let mut line = std::mem::take(&mut self.held);
            line.extend_from_slice(piece);
            self.hand_on(&line, sink);
            line.clear();
            self.held = line;
        }
        end + 1
    }

    fn long_line(&mut self, bytes: &[u8]) -> usize {
        match memchr::memchr(b'\n', bytes) {
            Some(end) => {
                self.state = State::Line;
                end + 1
            }
            None => bytes.len(),
        }
    }

    fn between(
        &mut self,
        expected: Expected,
        bytes: &[u8],
        sink: &mut impl FnMut(usize, Result<&[u8], Reason>),
    ) -> usize {
        let byte = bytes[0];
        match (byte, expected) {
            _ if is_blank(byte) => return 1,
            (b',', Expected::CommaOrEnd) => self.state = State::Between(Expected::Element),
            (b']', Expected::ElementOrEnd | Expected::CommaOrEnd) => self.state = State::Closed,
            (_, Expected::CommaOrEnd) => {
                let problem = "a comma or the end of the array is missing";
                self.break_off(self.offset, problem, sink);
            }
            (b']' | b'}' | b',' | b':', _) => {
                let problem = "a record is missing in the array";
                self.break_off(self.offset, problem, sink);
            }
            _ => {
                let inside = match byte {
                    b'{' | b'[' | b'"' => Inside::Brackets { depth: 0 },
                    _ => Inside::Bare,
                };
                self.state = State::Element {
                    inside,
                    skips: false,
                };
                return 0;
            }
        }
        1
    }

    fn element(
        &mut self,
        inside: Inside,
        skips: bool,
        bytes: &[u8],
        sink: &mut impl FnMut(usize, Result<&[u8], Reason>),
    ) -> usize {
        let (used, next) = match scan(inside, bytes) {
            Step::End(end) => (end, State::Between(Expected::CommaOrEnd)),
            Step::More(inside) => (bytes.len(), State::Element { inside, skips }),
        };
        let ends = matches!(next, State::Between(_));
        self.state = next;
        if skips {
            return used;
        }
        let piece = &bytes[..used];
        if self.held.len() + piece.len() > self.record_bytes_max {
            self.reject(record_too_large(), sink);
            if let State::Element { skips, .. } = &mut self.state {
                *skips = true;
            }
        } else if !ends {
            self.held.extend_from_slice(piece);
        } else if self.held.is_empty() {
            self.hand_on(piece, sink);
        } else {
            let mut element = std::mem::take(&mut self.held);
            element.extend_from_slice(piece);
            self.hand_on(&element, sink);
            element.clear();
            self.held = element;
        }
        used
    }

    fn closed(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(usize, Result<&[u8], Reason>),
    ) -> usize {
        let blanks = bytes.iter().take_while(|&&byte| is_blank(byte)).count();
        if blanks < bytes.len() {
            let problem = "something follows the end of the array";
            self.break_off(self.offset + blanks, problem, sink);
        }
        bytes.len()
    }

    fn hand_on(&mut self, record: &[u8], sink: &mut impl FnMut(usize, Result<&[u8], Reason>)) {
        let record = record.trim_ascii();
        if !record.is_empty() {
            sink(self.index, Ok(record));
            self.index += 1;
        }
    }

    fn reject(&mut self, reason: Reason, sink: &mut impl FnMut(usize, Result<&[u8], Reason>)) {
        // Its memory goes too: a rejected record was a large one.
        self.held = Vec::new();
        sink(self.index, Err(reason));
        self.index += 1;
    }

    fn break_off(
        &mut self,
        offset: usize,
        problem: &str,
        sink: &mut impl FnMut(usize, Result<&[u8], Reason>),
    ) {
        let reason = format!("{problem} at byte {offset} of the body; nothing behind it was read");
        self.reject(Reason::new(reason), sink);
        self.state = State::Broken;
    }
}

/// Follows an element to its end. Brackets are counted, not matched: what they enclose is the parser's to judge.
fn scan(mut inside: Inside, bytes: &[u8]) -> Step {
    let mut at = 0;
    while at < bytes.len() {
        match inside {
            Inside::Text { depth, escaped } => {
                if escaped {
                    at += 1;
                    inside = Inside::Text {
                        depth,
                        escaped: false,
                    };
                    continue;
                }
                let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else {
                    break;
                };
                at += found + 1;
                if bytes[at - 1] == b'\\' {
                    inside = Inside::Text {
                        depth,
                        escaped: true,
                    };
                } else if depth == 0 {
                    return Step::End(at);
                } else {
                    inside = Inside::Brackets { depth };
                }
            }
            Inside::Brackets { depth } => {
                let byte = bytes[at];
                at += 1;
                inside = match byte {
                    b'"' => Inside::Text {
                        depth,
                        escaped: false,
                    },
                    b'{' | b'[' => Inside::Brackets { depth: depth + 1 },
                    b'}' | b']' if depth <= 1 => return Step::End(at),
                    b'}' | b']' => Inside::Brackets { depth: depth - 1 },
                    _ => continue,
                };
            }
            Inside::Bare => {
                let byte = bytes[at];
                if is_blank(byte) || matches!(byte, b',' | b']' | b'}' | b'[' | b'{' | b'"') {
                    return Step::End(at);
                }
                at += 1;
            }
        }
    }
    Step::More(inside)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
