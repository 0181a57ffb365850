//! The two endpoints over a real agent's data, checked by the platform's official SDK and Python's own `zipfile`.
//!
//! Runs where the data set lies beside the repository (`../shared/data`); elsewhere it says that it did not run, and
//! `demo` covers the same ground with data of the project's own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Data, Server, stderr};

const ORG: &str = "airline";

#[test]
fn a_real_agents_data_comes_back_as_it_was_imported() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let convert = root.join("../shared/data/tau-bench-airline/convert.py");
    if !convert.exists() {
        eprintln!("NOT RUN: the data set ../shared/data/tau-bench-airline is not here");
        return;
    }
    let python = python(root);
    if !python.exists() {
        // The data is here but what it takes to check it is not: that is a failure of the set-up, not a pass.
        panic!(
            "{} is missing: install tests/requirements.txt there or set AMIGO_TEST_PYTHON",
            python.display()
        );
    }
    let data = Data::new();
    let files = data.file("airline");
    run(Command::new(&python).arg(&convert).arg(&files));
    set_up(&data, &files);
    let (key_id, key) = data.api_key(ORG);
    let server = Server::on(&data, &[]);
    let mut check = Command::new(&python);
    check.arg(root.join("tests/real_input/check.py"));
    check
        .args([
            "--base-url",
            &server.base_url,
            "--org",
            ORG,
            "--lesser-user",
            "plain",
            "--data",
        ])
        .arg(&files);
    check
        .env("AMIGO_API_KEY", key)
        .env("AMIGO_API_KEY_ID", key_id)
        .env("AMIGO_USER_ID", "boss");
    run(&mut check);
}

/// The interpreter that has the SDK.
pub(crate) fn python(root: &Path) -> PathBuf {
    let given = std::env::var_os("AMIGO_TEST_PYTHON").map(PathBuf::from);
    given.unwrap_or_else(|| root.join("target/test-venv/bin/python"))
}

/// Imports everything through the command line.
fn set_up(data: &Data, files: &Path) {
    data.ok(["org", "create", ORG]);
    data.user(ORG, "boss", "DefaultSuperAdministratorRole");
    data.user(ORG, "plain", "DefaultAdministratorRole");
    let logs = files.join("prompt_logs.ndjson");
    let imported = data.ok([
        OsStr::new("prompt-logs"),
        "import".as_ref(),
        ORG.as_ref(),
        logs.as_ref(),
    ]);
    assert_eq!(imported["written"], 2_454);
    let mut tables = 0;
    for entry in std::fs::read_dir(files).unwrap() {
        let file = entry.unwrap().path();
        if file == logs || file.extension() != Some(OsStr::new("ndjson")) {
            continue;
        }
        let table = file.file_stem().unwrap();
        data.ok([
            OsStr::new("table"),
            "import".as_ref(),
            ORG.as_ref(),
            table,
            file.as_ref(),
        ]);
        tables += 1;
    }
    assert_eq!(tables, 5);
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", stderr(&output));
}
