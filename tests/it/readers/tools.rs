//! The readers and how each is run: a tool that unpacks into a folder, or a driver from `tests/readers` that lists.
//!
//! A driver writes to standard output, for each entry in the archive's order: the length of its name (32 bits, little
//! endian) and the name, the length of its text (64 bits) and the text, which is left out where it is longer than a
//! limit. `scripts/test` installs all readers but Go's; a missing one other than that fails the tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::walk;

/// One entry as a reader sees it. Where the text is longer than the limit, it is empty and only its length known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) text: Vec<u8>,
}

impl Seen {
    pub(super) fn new(name: impl Into<String>, text: impl Into<Vec<u8>>) -> Self {
        let (name, text) = (name.into(), text.into());
        let length = text.len() as u64;
        Self { name, length, text }
    }
}

pub(super) struct Reader {
    pub(super) name: &'static str,
    /// Whether it reads front to back from standard input, which then need not be a file.
    pub(super) streams: bool,
    /// Whether it composes names (NFC) where it unpacks them: libarchive does, so that of two names that differ in
    /// normalisation only one is left.
    pub(super) composes: bool,
    kind: Kind,
}

enum Kind {
    /// Makes the command of a driver for an archive; `None` where the reader is not installed and may be absent.
    Lists(fn(&Path) -> Option<Command>),
    /// Makes the command that unpacks an archive's entries below a folder (all without one) into the working directory.
    Unpacks(fn(&Path, Option<&str>) -> Command),
}

pub(super) const READERS: [Reader; 11] = [
    lists("Python zipfile", false, |archive| {
        let python = std::env::var_os("AMIGO_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        Some(with(python, [driver("python_zipfile.py"), archive.into()]))
    }),
    lists("Java ZipInputStream", true, |_| {
        Some(java("stream", "-".as_ref()))
    }),
    lists("Java ZipFile", false, |archive| Some(java("file", archive))),
    lists("Go archive/zip", false, |archive| {
        // Its own check of names that lead out of the folder is off by default.
        let mut command = with(go()?, [archive]);
        command.env("GODEBUG", "zipinsecurepath=0");
        Some(command)
    }),
    lists("Node yauzl", false, |archive| {
        Some(node([driver("yauzl.js"), archive.into()]))
    }),
    lists("Node fflate Unzip", true, |_| {
        Some(node([driver("fflate.js"), "stream".into(), "-".into()]))
    }),
    lists("Node fflate unzipSync", false, |archive| {
        Some(node([driver("fflate.js"), "whole".into(), archive.into()]))
    }),
    unpacks("Info-ZIP unzip", false, false, |archive, below| {
        let mut command = with("unzip", ["-qq".as_ref(), archive]);
        command.args(below.map(|folder| format!("{folder}/*")));
        command
    }),
    unpacks("7-Zip", false, false, |archive, below| {
        let mut command = with("7z", ["x".as_ref(), "-bd".as_ref(), archive]);
        command.args(below);
        command
    }),
    unpacks("bsdtar on a file", false, true, |archive, below| {
        let mut command = with("bsdtar", ["-xf".as_ref(), archive]);
        command.args(below.map(|folder| format!("--include={folder}/*")));
        command
    }),
    unpacks("bsdtar on standard input", true, true, |_, below| {
        let mut command = with("bsdtar", ["-xf", "-"]);
        command.args(below.map(|folder| format!("--include={folder}/*")));
        command
    }),
];

const fn lists(name: &'static str, streams: bool, make: fn(&Path) -> Option<Command>) -> Reader {
    Reader {
        name,
        streams,
        composes: false,
        kind: Kind::Lists(make),
    }
}

const fn unpacks(
    name: &'static str,
    streams: bool,
    composes: bool,
    make: fn(&Path, Option<&str>) -> Command,
) -> Reader {
    Reader {
        name,
        streams,
        composes,
        kind: Kind::Unpacks(make),
    }
}

impl Reader {
    /// What the reader makes of an archive: in its order where it lists, sorted by name where it unpacks. `None` when it
    /// is absent. `input` is what it finds on standard input.
    #[track_caller]
    pub(super) fn read(&self, archive: &Path, input: Stdio, only: Only) -> Option<Vec<Seen>> {
        match self.kind {
            Kind::Lists(make) => {
                let mut command = make(archive)?;
                command.arg(only.limit.to_string());
                Some(parse(&self.run(command, input), only.limit))
            }
            Kind::Unpacks(make) => {
                // One folder deeper than the one that is looked at: whatever climbs out is found.
                let outer = tempfile::tempdir().unwrap();
                let inner = outer.path().join("inner");
                std::fs::create_dir(&inner).unwrap();
                let mut command = make(archive, only.below);
                command.current_dir(&inner);
                self.run(command, input);
                Some(unpacked(outer.path()))
            }
        }
    }

    /// The same of an archive in a file, which is also what standard input has.
    #[track_caller]
    pub(super) fn read_file(&self, archive: &Path, only: Only) -> Option<Vec<Seen>> {
        self.read(archive, File::open(archive).unwrap().into(), only)
    }

    pub(super) fn unpacks(&self) -> bool {
        matches!(self.kind, Kind::Unpacks(_))
    }

    /// Standard output of a reader, which must succeed. It goes to a file, because Node finds a pipe full.
    #[track_caller]
    fn run(&self, mut command: Command, input: Stdio) -> Vec<u8> {
        let answer = tempfile::NamedTempFile::new().unwrap();
        command.stdin(input).env("LC_ALL", "C.UTF-8");
        command.stdout(answer.reopen().unwrap());
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; scripts/test installs it", self.name));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: {} {said}",
            self.name,
            output.status
        );
        std::fs::read(answer.path()).unwrap()
    }
}

/// The part of an archive that is read in full.
#[derive(Clone, Copy)]
pub(super) struct Only {
    /// Of longer texts only the length is told, by readers that list.
    pub(super) limit: u64,
    /// Only entries below this folder, by readers that unpack.
    pub(super) below: Option<&'static str>,
}

pub(super) const ALL: Only = Only {
    limit: u64::MAX >> 1,
    below: None,
};

fn with<A: AsRef<std::ffi::OsStr>>(
    program: impl AsRef<std::ffi::OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

fn driver(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/readers")
        .join(name)
}

fn node(args: impl IntoIterator<Item = PathBuf>) -> Command {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-readers/node_modules");
    assert!(
        modules.exists(),
        "{} is missing; scripts/test makes it",
        modules.display()
    );
    let mut command = with("node", args);
    command.env("NODE_PATH", modules);
    command
}

fn java(way: &str, archive: &Path) -> Command {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    let classes = CLASSES.get_or_init(|| {
        let classes = built("java");
        let mut javac = with("javac", ["-d".as_ref(), classes.as_os_str()]);
        build(javac.arg(driver("JavaZip.java")))
            .expect("javac is missing; scripts/test installs it");
        classes
    });
    let mut command = with(
        "java",
        ["-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp"],
    );
    command.arg(classes).arg("JavaZip").arg(way).arg(archive);
    command
}

/// The driver of the one reader that may be absent.
fn go() -> Option<PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let program = built("archive_zip");
        let mut go = with("go", ["build".as_ref(), "-o".as_ref(), program.as_os_str()]);
        build(go.arg(driver("archive_zip.go")))?;
        Some(program)
    });
    program.clone()
}

/// Where a compiled driver lies.
fn built(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readers");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Runs a compiler; `None` where there is none.
#[track_caller]
fn build(compiler: &mut Command) -> Option<()> {
    match compiler.output() {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{compiler:?}: {error}"),
    }
}

fn parse(mut answer: &[u8], limit: u64) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !answer.is_empty() {
        let length = u32::from_le_bytes(take(&mut answer, 4).try_into().unwrap());
        let name = String::from_utf8(take(&mut answer, length.into()).to_vec()).unwrap();
        let length = u64::from_le_bytes(take(&mut answer, 8).try_into().unwrap());
        let kept = if length <= limit { length } else { 0 };
        let text = take(&mut answer, kept).to_vec();
        seen.push(Seen { name, length, text });
    }
    seen
}

fn take<'a>(answer: &mut &'a [u8], length: u64) -> &'a [u8] {
    let (taken, rest) = answer.split_at(usize::try_from(length).unwrap());
    *answer = rest;
    taken
}

/// All files below the folder `inner`, sorted by name; there is nothing beside it.
#[track_caller]
fn unpacked(outer: &Path) -> Vec<Seen> {
    let mut found = BTreeMap::new();
    walk(outer, &mut |path| {
        let name = path
            .strip_prefix(outer.join("inner"))
            .unwrap_or_else(|_| panic!("unpacked outside: {}", path.display()));
        let name = name.to_str().expect("a name in UTF-8").to_owned();
        found.insert(name, std::fs::read(path).unwrap());
    });
    found
        .into_iter()
        .map(|(name, text)| Seen::new(name, text))
        .collect()
}

/// A pipe's end for a reader's standard input, into which `write` writes on a thread of its own.
pub(super) fn pipe(
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send + 'static,
) -> Stdio {
    let (input, mut output) = std::io::pipe().unwrap();
    // A reader that stops early closes the pipe, and says why itself.
    std::thread::spawn(move || drop(write(&mut output)));
    input.into()
}
