//! Serves one folder as a zip that Rust's `zip` crate streams: `zip_rs PORT FOLDER`, DEFLATE at its usual level.
//!
//! The peer at its best: no sign-in, no selection, files in the page cache, a thread a connection, output gathered to
//! 64 KiB.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::{env, fs, io, thread};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const GATHERED_BYTES: usize = 64 * 1024;

/// The body in chunks, as HTTP frames it.
struct Chunked(TcpStream);

impl Write for Chunked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            let frame = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            self.0.write_all(&frame)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn serve(mut connection: TcpStream, root: &Path, paths: &[PathBuf]) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    connection.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/zip\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    )?;
    let output = BufWriter::with_capacity(GATHERED_BYTES, Chunked(connection.try_clone()?));
    let mut archive = ZipWriter::new_stream(output);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for path in paths {
        let name = path.strip_prefix(root).map_err(io::Error::other)?;
        archive.start_file(name.to_string_lossy(), options)?;
        archive.write_all(&fs::read(path)?)?;
    }
    let mut output = archive.finish()?.into_inner();
    output.flush()?;
    connection.write_all(b"0\r\n\r\n")
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, port, root] = arguments.as_slice() else {
        return Err(io::Error::other("usage: zip_rs PORT FOLDER"));
    };
    let root = PathBuf::from(root);
    let mut paths = Vec::new();
    files(&root, &mut paths)?;
    paths.sort();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    for connection in listener.incoming() {
        let (connection, root, paths) = (connection?, root.clone(), paths.clone());
        thread::spawn(move || serve(connection, &root, &paths));
    }
    Ok(())
}
