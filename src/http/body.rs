//! Request bodies that are read while they arrive: counted, inflated and handed on, never held whole.
//!
//! What a body may cost is decided here and nowhere else: bytes on the wire, bytes inflated, and how much one byte may
//! become. Not here: what the bytes mean.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use flate2::write::MultiGzDecoder;
use futures::StreamExt;
use rules::{Error, Result};
use tokio::time::timeout;
use zstd::stream::raw::{DParameter, Decoder, Operation};

use crate::config::Limits;

/// How much of a refused body is still taken, and for how long.
const DRAINED_BYTES_MAX: usize = 256 * 1024 * 1024;
const DRAINING: Duration = Duration::from_secs(10);
/// Bytes that inflate to less are no bomb, whatever the ratio.
const RATIO_EXEMPT_BYTES: u64 = 1024 * 1024;
/// What decompressors hand on at once.
const OUTPUT_BYTES: usize = 64 * 1024;
/// Zstandard's window: 8 MiB, what RFC 8878 (section 3.1.1.1.2) asks of every decoder.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// # Errors
    /// `Unprocessable` for an encoding that is not read here.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self> {
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        let Some(encoding) = encodings.next() else {
            return Ok(Self::Identity);
        };
        let name = encoding
            .to_str()
            .map(|name| name.trim().to_ascii_lowercase());
        match name.as_deref() {
            _ if encodings.next().is_some() => {}
            Ok("" | "identity") => return Ok(Self::Identity),
            Ok("gzip" | "x-gzip") => return Ok(Self::Gzip),
            Ok("zstd") => return Ok(Self::Zstd),
            _ => {}
        }
        Err(Error::unprocessable(
            &["header", "content-encoding"],
            "Input should be one of identity, gzip, zstd",
            "enum",
        ))
    }
}

/// Inflates what is pushed into it, within limits, and writes it to `sink`. An error of `sink` that holds a
/// [`rules::Error`] comes out as that error.
pub(super) struct Inflate<W: Write> {
    coding: Coding<W>,
    wire_bytes_max: u64,
}

enum Coding<W: Write> {
    Identity(Counted<W>),
    Gzip(Box<MultiGzDecoder<Counted<W>>>),
    Zstd(Zstd<W>),
}

struct Zstd<W: Write> {
    decoder: Decoder<'static>,
    /// Whether the last frame came to its end.
    is_whole: bool,
    output: Vec<u8>,
    sink: Counted<W>,
}

/// Counts what goes through and stops it at the limits.
struct Counted<W> {
    sink: W,
    wire_bytes: u64,
    inflated_bytes: u64,
    inflated_bytes_max: u64,
    ratio_max: u64,
}

impl<W: Write> Inflate<W> {
    pub(super) fn new(encoding: Encoding, limits: &Limits, sink: W) -> Result<Self> {
        let sink = Counted {
            sink,
            wire_bytes: 0,
            inflated_bytes: 0,
            inflated_bytes_max: limits.write_inflated_bytes,
            ratio_max: limits.write_ratio.into(),
        };
        let coding = match encoding {
            Encoding::Identity => Coding::Identity(sink),
            Encoding::Gzip => Coding::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Encoding::Zstd => Coding::Zstd(Zstd::new(sink).map_err(|error| {
                Error::internal("the body cannot be decompressed here").because(error)
            })?),
        };
        Ok(Self {
            coding,
            wire_bytes_max: limits.write_body_bytes,
        })
    }

    /// Takes the next bytes of the wire.
    ///
    /// # Errors
    /// `TooLarge` at a limit, `Invalid` for bytes that are not of the encoding, or what the sink reports.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let counted = self.counted();
        counted.wire_bytes += bytes.len() as u64;
        if counted.wire_bytes > self.wire_bytes_max {
            let limit = self.wire_bytes_max;
            return Err(Error::too_large(format!(
                "the request body is larger than {limit} bytes; send the records in several requests"
            )));
        }
        match &mut self.coding {
            Coding::Identity(sink) => sink.write_all(bytes),
            Coding::Gzip(decoder) => decoder.write_all(bytes),
            Coding::Zstd(decoder) => decoder.write_all(bytes),
        }
        .map_err(Self::cause)
    }

    /// Ends the body and returns the sink.
    ///
    /// # Errors
    /// `Invalid` when the compressed data is cut off, or what the sink reports.
    pub(super) fn finish(self) -> Result<W> {
        let sink = match self.coding {
            Coding::Identity(sink) => sink,
            Coding::Gzip(decoder) => decoder.finish().map_err(Self::cause)?,
            Coding::Zstd(decoder) if decoder.is_whole => decoder.sink,
            Coding::Zstd(_) => return Err(Self::cause(io::ErrorKind::UnexpectedEof.into())),
        };
        Ok(sink.sink)
    }

    fn counted(&mut self) -> &mut Counted<W> {
        match &mut self.coding {
            Coding::Identity(sink) => sink,
            Coding::Gzip(decoder) => decoder.get_mut(),
            Coding::Zstd(decoder) => &mut decoder.sink,
        }
    }

    fn cause(error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::invalid(
                "the request body is not what its Content-Encoding says, or is cut off",
            )
            .because(error),
        }
    }
}

impl<W: Write> Zstd<W> {
    fn new(sink: Counted<W>) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
        Ok(Self {
            decoder,
            is_whole: true,
            output: vec![0; OUTPUT_BYTES],
            sink,
        })
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let step = self.decoder.run_on_buffers(bytes, &mut self.output)?;
            bytes = &bytes[step.bytes_read..];
            self.sink.write_all(&self.output[..step.bytes_written])?;
            if step.bytes_read > 0 || step.bytes_written > 0 {
                self.is_whole = step.remaining == 0;
            }
            // A full buffer may leave more behind, without any further input.
            if bytes.is_empty() && step.bytes_written < self.output.len() {
                return Ok(());
            }
        }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inflated_bytes += bytes.len() as u64;
        let limit = self.inflated_bytes_max;
        if self.inflated_bytes > limit {
            return Err(io::Error::other(Error::too_large(format!(
                "the request body is larger than {limit} bytes when it is decompressed; send the records in several requests"
            ))));
        }
        let ratio = self.ratio_max;
        let plausible = self.wire_bytes.saturating_mul(ratio) + RATIO_EXEMPT_BYTES;
        if self.inflated_bytes > plausible {
            return Err(io::Error::other(Error::too_large(format!(
                "the request body becomes more than {ratio} times larger when it is decompressed; compress it less"
            ))));
        }
        self.sink.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

/// Reads a body to its end through `inflate`, beside the threads that serve others.
///
/// # Errors
/// As [`Inflate::push`] and [`Inflate::finish`]; `Invalid` when the client goes away. One that is too slow is
/// `slow_body`'s matter.
pub(super) async fn read<W: Write + Send + 'static>(
    body: Body,
    mut inflate: Inflate<W>,
) -> Result<W> {
    let mut frames = body.into_data_stream();
    loop {
        let Some(frame) = frames.next().await else {
            break;
        };
        let frame = frame.map_err(|error| {
            Error::invalid("the request body broke off before its end").because(error)
        })?;
        match blocking(move || inflate.push(&frame).map(|()| inflate)).await {
            Ok(next) => inflate = next,
            Err(error) => {
                drain(frames).await;
                return Err(error);
            }
        }
    }
    blocking(move || inflate.finish()).await
}

/// Takes the rest of a body that is refused already: most clients send all of it before they read the answer, and a
/// connection that is closed on them would take the answer with it.
async fn drain(mut frames: BodyDataStream) {
    let rest = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = frames.next().await {
            bytes += frame.len();
            if bytes > DRAINED_BYTES_MAX {
                break;
            }
        }
    };
    // Whoever is slower than this loses the answer.
    let _ = timeout(DRAINING, rest).await;
}

/// Runs what keeps a core busy beside the threads that serve others.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| {
        Err(Error::internal("the request body could not be read").because(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rules::Kind;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).unwrap()
    }

    /// Pushes the wire's bytes a few at a time.
    fn inflate(encoding: Encoding, wire: &[u8], step: usize) -> Result<Vec<u8>> {
        let limits = Limits {
            write_body_bytes: 3_000_000,
            write_inflated_bytes: 4_000_000,
            ..Limits::default()
        };
        let mut inflate = Inflate::new(encoding, &limits, Vec::new())?;
        for bytes in wire.chunks(step) {
            inflate.push(bytes)?;
        }
        inflate.finish()
    }

    /// Text that shrinks, but not suspiciously.
    fn text() -> Vec<u8> {
        (0..30_000u32)
            .flat_map(|n| format!("{} ", n.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[test]
    fn an_encoding_that_is_not_read_here_is_refused() {
        let of = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            Encoding::of(&HeaderMap::from_iter([(CONTENT_ENCODING, value)]))
        };
        assert_eq!(of(b"GZip").unwrap(), Encoding::Gzip);
        assert_eq!(of(b"").unwrap(), Encoding::Identity);
        for value in [&b"br"[..], b"gzip, zstd", b"\xc2\x84"] {
            assert!(of(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn every_encoding_comes_out_as_it_went_in_however_it_is_cut() {
        for step in [1_000, 70_000, usize::MAX] {
            assert!(inflate(Encoding::Identity, &text(), step).unwrap() == text());
            assert!(inflate(Encoding::Gzip, &gzip(&text()), step).unwrap() == text());
            assert!(inflate(Encoding::Zstd, &zstd(&text()), step).unwrap() == text());
        }
        assert!(inflate(Encoding::Zstd, &zstd(b"abc"), 1).unwrap() == b"abc");
        assert!(inflate(Encoding::Gzip, &gzip(b"abc"), 1).unwrap() == b"abc");
    }

    #[test]
    fn several_members_or_frames_are_one_body() {
        let twice = |one: Vec<u8>| [one.clone(), one].concat();
        assert!(inflate(Encoding::Gzip, &twice(gzip(b"ab")), 5).unwrap() == b"abab");
        assert!(inflate(Encoding::Zstd, &twice(zstd(b"ab")), 5).unwrap() == b"abab");
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_invalid() {
        for (encoding, wire) in [
            (Encoding::Gzip, gzip(&text())),
            (Encoding::Zstd, zstd(&text())),
        ] {
            for end in [1, 5, wire.len() / 2, wire.len() - 1] {
                let error = inflate(encoding, &wire[..end], 999).unwrap_err();
                assert_eq!(*error.kind(), Kind::Invalid, "{encoding:?} at {end}");
            }
            let error = inflate(encoding, b"{\"log_key\": \"a\"}", 999).unwrap_err();
            assert_eq!(*error.kind(), Kind::Invalid);
        }
    }

    #[test]
    fn a_bomb_is_stopped_before_it_goes_off() {
        let zeros = vec![0; 3_500_000];
        for (encoding, wire) in [
            (Encoding::Gzip, gzip(&zeros)),
            (Encoding::Zstd, zstd(&zeros)),
        ] {
            let error = inflate(encoding, &wire, usize::MAX).unwrap_err();
            assert_eq!(*error.kind(), Kind::TooLarge, "{error:?}");
            assert!(error.message().contains("200 times"), "{error:?}");
        }
    }

    #[test]
    fn sizes_are_limited_on_the_wire_and_inflated() {
        let error = inflate(Encoding::Identity, &vec![b' '; 3_000_001], 65_536).unwrap_err();
        assert_eq!(*error.kind(), Kind::TooLarge);
        let long: Vec<u8> = text().into_iter().cycle().take(4_000_001).collect();
        for (encoding, wire) in [(Encoding::Gzip, gzip(&long)), (Encoding::Zstd, zstd(&long))] {
            let error = inflate(encoding, &wire, 65_536).unwrap_err();
            assert_eq!(*error.kind(), Kind::TooLarge, "{encoding:?} {error:?}");
        }
    }
}
