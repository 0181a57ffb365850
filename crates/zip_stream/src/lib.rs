//! The bytes of a zip archive, made while it is being sent.
//!
//! The archive writer of the server → here → the bytes of the response body. Texts that one entry has and the next one
//! extends are compressed once ([`Deflater`] → [`Row`] → [`Piece`]); an entry is a header and a row of pieces, or texts
//! as they are ([`Archive`]); its name comes from a log key ([`Names`]).
//!
//! Promises: every local header carries the true CRC-32 and sizes, never a data descriptor, so that
//! streaming readers need not search for the end of an entry and no text can pass itself off as
//! another entry; the same calls give the same bytes; ZIP64 fields appear only where a number needs
//! them; no input panics.
//!
//! Not here: I/O, time, who may read what (the caller hands over texts it is allowed to send), and
//! the coalescing of small buffers into frames.

mod archive;
mod crc;
mod deflate;
mod names;
mod piece;
#[cfg(test)]
mod readers;

pub use archive::Archive;
pub use deflate::{Deflater, Mark, Row};
pub use names::Names;
pub use piece::{Piece, Stored};
