//! The commands that are clients over HTTP, configured by the official SDK's variables.

use std::process::{Output, Stdio};

use serde_json::{Value, json};

use super::{ORG, check_output};
use crate::support::{AMIGO_ADMINISTRATOR, Server, USER, log, program, stderr};

/// A client command with the variables of the official SDK.
fn client(server: &Server, key: &(String, String), user: &str, args: &[&str]) -> Output {
    let mut command = program();
    command
        .args(args)
        .current_dir(server.data.file(""))
        .stdin(Stdio::null());
    command.env("AMIGO_BASE_URL", format!("{}/", server.base_url));
    command.env("AMIGO_ORGANIZATION_ID", ORG);
    command
        .env("AMIGO_API_KEY_ID", &key.0)
        .env("AMIGO_API_KEY", &key.1);
    command.env("AMIGO_USER_ID", user).output().unwrap()
}

#[test]
fn sql_writes_whole_results_into_files() {
    let server = Server::start(|data| data.org(ORG));
    let key = server.data.api_key(ORG);
    let query = "SELECT value FROM generate_series(1, 5000)";
    for (name, lines) in [("rows.csv", 5001), ("rows.ndjson", 5000)] {
        let args = ["--json", "sql", query, "--output", name];
        let output = client(&server, &key, AMIGO_ADMINISTRATOR, &args);
        assert!(output.status.success(), "{}", stderr(&output));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = std::fs::read_to_string(server.data.file(name)).unwrap();
        assert_eq!(
            (printed["bytes"].as_u64(), text.lines().count()),
            (Some(text.len() as u64), lines)
        );
    }
    for (args, said) in [
        (["sql", query, "-o", "rows.xls"], "says no form"),
        (["sql", "SELECT nonsense", "-o", "no.csv"], "nonsense"),
    ] {
        let output = client(&server, &key, AMIGO_ADMINISTRATOR, &args);
        check_output(&output, args[3], 1, &[said]);
    }
    assert!(!server.data.file("no.csv").exists());
}

#[test]
fn sql_prints_a_table_csv_or_json() {
    let server = Server::start(|data| data.org(ORG));
    let key = server.data.api_key(ORG);
    let query = "SELECT 1 AS n, 'a,\"b\"' AS text, CAST(NULL AS INT) AS nothing";
    for (args, printed) in [
        (
            &["sql", query][..],
            "n | text  | nothing\n--+-------+--------\n1 | a,\"b\" |\n",
        ),
        (
            &["sql", query, "--format", "csv"],
            "n,text,nothing\n1,\"a,\"\"b\"\"\",\n",
        ),
    ] {
        let output = client(&server, &key, AMIGO_ADMINISTRATOR, args);
        check_output(&output, "sql", 0, &["1 rows"]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
    }
    for args in [
        ["sql", query, "--format", "json"].as_slice(),
        &["--json", "sql", query],
    ] {
        let output = client(&server, &key, AMIGO_ADMINISTRATOR, args);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["result"], json!([[1, "a,\"b\"", null]]));
        assert_eq!(answer["columns"][0], json!({"name": "n", "type": "BIGINT"}));
    }
    let many = [
        "sql",
        "SELECT value FROM generate_series(1, 1001)",
        "--format",
        "csv",
    ];
    let cut = client(&server, &key, AMIGO_ADMINISTRATOR, &many);
    check_output(&cut, "many rows", 0, &["1000 rows", "cut"]);
    let wrong = client(&server, &key, AMIGO_ADMINISTRATOR, &["sql", "SELEC"]);
    check_output(&wrong, "a bad query", 1, &["400", "syntax error"]);
    let lesser = client(&server, &key, USER, &["sql", "SELECT 1"]);
    check_output(
        &lesser,
        "a lesser role",
        1,
        &["403", "DefaultAdministratorRole"],
    );
}

#[test]
fn download_writes_whole_archives_and_says_how_to_go_on() {
    let server = Server::start_with(&[("LIMITS__ARCHIVE_LOGS", "2")], |data| {
        data.org(ORG);
        let logs = ["a/1", "a/2", "a/3 ü"].map(|key| log(key, "s", &["h"]));
        data.import_logs(ORG, &logs);
    });
    let key = server.data.api_key(ORG);
    let run = |args: &[&str]| client(&server, &key, AMIGO_ADMINISTRATOR, args);
    let names = |file: &str| {
        let bytes = std::fs::read(server.data.file(file)).unwrap();
        let zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        let mut names: Vec<String> = zip
            .file_names()
            .map(|name| name.unwrap().into_owned())
            .collect();
        names.sort();
        names
    };
    let first = run(&["--json", "prompt-logs", "download", "a/", "-o", "1.zip"]);
    check_output(&first, "the first", 0, &["--after 'a/2'"]);
    let told: Value = serde_json::from_slice(&first.stdout).unwrap();
    let bytes = std::fs::metadata(server.data.file("1.zip")).unwrap().len();
    assert_eq!(
        told,
        json!({"file": "1.zip", "logs": 2, "bytes": bytes, "truncated": true, "next_after": "a/2"})
    );
    assert_eq!(
        names("1.zip"),
        ["a/1-history", "a/1-system", "a/2-history", "a/2-system"]
    );

    let second = run(&[
        "prompt-logs",
        "download",
        "a/",
        "--after",
        "a/2",
        "-o",
        "2.zip",
    ]);
    check_output(&second, "the second", 0, &[]);
    assert!(String::from_utf8_lossy(&second.stdout).contains("1 prompt logs"));
    assert_eq!(names("2.zip"), ["a/3 ü-history", "a/3 ü-system"]);

    let none = run(&["prompt-logs", "download", "b/", "-o", "3.zip"]);
    check_output(&none, "no log", 1, &["404"]);
    for name in ["3.zip", "3.zip.part", "1.zip.part"] {
        assert!(!server.data.file(name).exists(), "{name} is left over");
    }
    let nowhere = run(&[
        "prompt-logs",
        "download",
        "a/",
        "-o",
        "no/such/folder/x.zip",
    ]);
    check_output(&nowhere, "no folder", 1, &["cannot be written"]);
}

#[test]
fn a_client_says_which_variable_is_missing_and_why_it_cannot_sign_in() {
    let server = Server::start(|data| data.org(ORG));
    let (id, key) = server.data.api_key(ORG);
    let all = [
        ("AMIGO_BASE_URL", server.base_url.as_str()),
        ("AMIGO_ORGANIZATION_ID", ORG),
        ("AMIGO_API_KEY", &key),
        ("AMIGO_API_KEY_ID", &id),
        ("AMIGO_USER_ID", AMIGO_ADMINISTRATOR),
    ];
    for (missing, _) in all {
        let mut command = program();
        command
            .args(["sql", "SELECT 1"])
            .envs(all)
            .env_remove(missing);
        check_output(
            &command.output().unwrap(),
            missing,
            1,
            &[&format!("{missing} is not set")],
        );
    }
    let mut command = program();
    command
        .args(["sql", "SELECT 1"])
        .envs(all)
        .env_remove("AMIGO_BASE_URL");
    let said = "such as http://127.0.0.1:8080";
    check_output(&command.output().unwrap(), "no server is named", 1, &[said]);
    let wrong = (id.clone(), "wrong".to_owned());
    let refused = client(&server, &wrong, AMIGO_ADMINISTRATOR, &["sql", "SELECT 1"]);
    check_output(&refused, "a wrong key", 1, &["401"]);
    for url in ["127.0.0.1:8080", "localhost:8080", "http://", "/v1"] {
        let mut command = program();
        command
            .args(["prompt-logs", "download", "a/", "-o", "x.zip"])
            .envs(all)
            .env("AMIGO_BASE_URL", url);
        let said = format!("AMIGO_BASE_URL is {url:?}");
        check_output(
            &command.output().unwrap(),
            url,
            1,
            &[&said, "http://127.0.0.1:8080"],
        );
    }
    let mut command = program();
    // Port 9 is the discard service's, which nobody runs.
    command
        .args(["sql", "SELECT 1"])
        .envs(all)
        .env("AMIGO_BASE_URL", "http://127.0.0.1:9");
    let output = command.output().unwrap();
    check_output(&output, "no server", 1, &["cannot be reached"]);
    assert!(!stderr(&output).contains(&key), "{}", stderr(&output));
}

#[test]
fn a_client_says_that_it_is_its_sign_ins_that_are_too_many() {
    let settings = [
        ("LIMITS__RATE_LIMITS", "true"),
        ("LIMITS__SIGNIN_PER_MINUTE", "1"),
    ];
    let server = Server::start_with(&settings, |data| data.org(ORG));
    let key = server.data.api_key(ORG);
    let run = || client(&server, &key, AMIGO_ADMINISTRATOR, &["sql", "SELECT 1"]);
    assert!(run().status.success());
    let said = ["429", "sign-ins with one API key are limited"];
    check_output(&run(), "too many", 1, &said);
}
