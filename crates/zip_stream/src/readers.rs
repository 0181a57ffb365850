//! Other people's zip readers, for the tests: what this crate writes is right when they say so.

use bytes::Bytes;
use std::io::{Cursor, ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Output};

/// One entry as a reader sees it.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
}

/// Reads an archive with the `zip` crate, which checks every CRC; the second value is the archive's
/// comment.
pub(crate) fn zip_crate(archive: &[Bytes]) -> (Vec<Seen>, String) {
    let mut reader = zip::ZipArchive::new(Cursor::new(archive.concat())).expect("a valid archive");
    let comment = String::from_utf8(reader.comment().to_vec()).expect("UTF-8");
    let seen = (0..reader.len()).map(|index| {
        let mut entry = reader.by_index(index).expect("a valid entry");
        let mut text = Vec::new();
        entry
            .read_to_end(&mut text)
            .expect("an entry whose CRC is right");
        Seen {
            name: entry.name().expect("UTF-8").into_owned(),
            text,
        }
    });
    (seen.collect(), comment)
}

/// Writes an archive to a new file. Buffers of `hole_min` bytes or more become holes of the same
/// length: they are fillers in tests of offsets that no disk should have to hold.
pub(crate) fn file(start: u64, archive: &[Bytes], hole_min: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut end = start;
    for bytes in archive {
        if bytes.len() < hole_min {
            std::os::unix::fs::FileExt::write_all_at(file.as_file(), bytes, end)
                .expect("room on the disk");
        }
        end += bytes.len() as u64;
    }
    file.as_file().set_len(end).expect("sparse files");
    file.flush().expect("room on the disk");
    file
}

/// The answer of Python's `zipfile` about an archive: what `print` wrote in `script`, in which
/// `archive` is the open archive. `None` where there is no Python.
pub(crate) fn python(path: &Path, script: &str) -> Option<Vec<u8>> {
    let program = format!("import sys, zipfile\narchive = zipfile.ZipFile(sys.argv[1])\n{script}");
    run(
        "python3",
        Command::new("python3").arg("-c").arg(program).arg(path),
    )
}

/// Reads all entries with Python's `zipfile`, which checks every CRC.
pub(crate) fn python_entries(path: &Path) -> Option<Vec<Seen>> {
    let script = "\
for info in archive.infolist():
    for part in (info.filename.encode(), archive.read(info)):
        sys.stdout.buffer.write(len(part).to_bytes(8, 'little') + part)";
    let answer = python(path, script)?;
    let mut rest = &answer[..];
    let mut next = || {
        let (len, behind) = rest.split_first_chunk::<8>()?;
        let (part, behind) = behind.split_at(u64::from_le_bytes(*len) as usize);
        rest = behind;
        Some(part.to_vec())
    };
    let mut seen = Vec::new();
    while let (Some(name), Some(text)) = (next(), next()) {
        seen.push(Seen {
            name: String::from_utf8(name).expect("UTF-8"),
            text,
        });
    }
    Some(seen)
}

/// Whether Info-ZIP's `unzip -t` finds the archive whole; `None` where there is no unzip.
pub(crate) fn unzip(path: &Path) -> Option<Vec<u8>> {
    run("unzip", Command::new("unzip").arg("-tqq").arg(path))
}

/// Standard output of a reader, which must succeed. Continuous integration has all readers;
/// elsewhere one may miss.
#[track_caller]
fn run(name: &str, command: &mut Command) -> Option<Vec<u8>> {
    match command.output() {
        Ok(Output {
            status,
            stdout,
            stderr,
        }) => {
            assert!(
                status.success(),
                "{name}: {status} {}",
                String::from_utf8_lossy(&stderr)
            );
            Some(stdout)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{name} is not installed"
            );
            eprintln!("{name} is not installed: not read with it");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}
