//! `amigo-admin demo`: what a newcomer types first, and pastes next.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Data, PROGRAM, Server, stderr};

const ORG: &str = "demo";

fn command(data: &Data, json: bool) -> Command {
    let mut command = data.command();
    command.args(["demo", "--listen", "127.0.0.1:0"]);
    if json {
        command.arg("--json");
    }
    command
}

/// Reads what the demo prints up to its last line; returns the base URL in it.
fn read_all(stdout: &mut BufReader<ChildStdout>, printed: &mut String) -> Option<String> {
    while !printed.contains("Ctrl-C") {
        if stdout.read_line(printed).ok()? == 0 {
            return None;
        }
    }
    let from = printed.find("http://")?;
    let url = printed[from..].split(';').next()?;
    Some(url.to_owned())
}

/// The commands among what was printed: everything from the first comment to the closing words.
fn commands(printed: &str) -> Vec<String> {
    let from = printed.find("\n# ").unwrap() + 1;
    let until = printed.find("Other users").unwrap();
    printed[from..until]
        .split("\n\n")
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty())
        .collect()
}

/// Pastes text into a shell that has nothing but what every system has.
#[track_caller]
fn paste(data: &Data, script: &str) -> Output {
    let folder = data.file("shell");
    std::fs::create_dir_all(&folder).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-e", "-c", script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("no_proxy", "*");
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{script}\n{}", stderr(&output));
    output
}

#[tokio::test]
async fn the_demo_prints_commands_that_work_when_pasted_and_serves_the_same_again() {
    let data = Data::new();
    let mut printed = String::new();
    let mut server = Server::spawn_reading(&data, command(&data, false), |stdout| {
        read_all(stdout, &mut printed)
    });

    let commands = commands(&printed);
    assert_eq!(commands.len(), 3, "{printed}");
    assert!(
        commands
            .iter()
            .all(|command| command.starts_with("# ") && command.contains("curl ")),
        "{printed}"
    );
    let unzipped = paste(&data, &commands[..2].join("\n"));
    let listing = String::from_utf8_lossy(&unzipped.stdout);
    assert!(
        listing.contains("-system") && listing.contains("-history"),
        "{listing}"
    );
    let tested = paste(&data, "unzip -tq prompts.zip");
    assert!(String::from_utf8_lossy(&tested.stdout).contains("No errors detected"));

    let answered = paste(
        &data,
        &[commands[0].as_str(), commands[2].as_str()].join("\n"),
    );
    let page: Value = serde_json::from_slice(&answered.stdout).unwrap();
    let names: Vec<&str> = page["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["service_id", "conversations", "users"]);
    assert!(!page["result"].as_array().unwrap().is_empty(), "{page}");

    let said = server.log().join("\n");
    assert!(said.contains("making the demo"), "{said}");
    let token = server.token(ORG, "amigo-administrator");
    let before = counts(&server, &token).await;
    let (conversations, logs) = (
        before[0][0].as_u64().unwrap(),
        before[0][1].as_u64().unwrap(),
    );
    assert!(conversations >= 200 && logs >= 2_000, "{before}");
    assert!(
        before[0]
            .as_array()
            .unwrap()
            .iter()
            .all(|rows| rows.as_u64() > Some(0)),
        "{before}"
    );
    assert_eq!(server.stop().code(), Some(0));

    // The second time nothing is made: the same key, the same conversation, the same data.
    let mut again = String::new();
    let mut server = Server::spawn_reading(&data, command(&data, false), |stdout| {
        read_all(stdout, &mut again)
    });
    let known = |text: &str| -> Vec<String> {
        let words = text.split(['\'', ' ', '=', '/']);
        words
            .filter(|word| printed.contains(*word) && word.len() > 20)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(known(&again), known(&printed));
    assert!(!server.log().join("\n").contains("making the demo"));
    assert_eq!(counts(&server, &token).await, before);
    assert_eq!(server.stop().code(), Some(0));

    let server = Server::spawn(&data, command(&data, true));
    each_default_role_has_a_user_the_key_signs_in(&server).await;
}

/// The rows of every table, conversations and prompt logs first. One query: the demo has the published rate limits.
async fn counts(server: &Server, token: &str) -> Value {
    let tables = [
        "conversations",
        "prompt_logs",
        "messages",
        "users",
        "agents",
        "tools",
    ];
    let columns = tables.map(|table| format!("(SELECT count(*) FROM {table}) AS {table}"));
    let sql = format!("SELECT {}", columns.join(", "));
    server.rows(token, ORG, &sql).await
}

async fn each_default_role_has_a_user_the_key_signs_in(server: &Server) {
    let file = std::fs::read(server.data.path().join("demo.json")).unwrap();
    let known: Value = serde_json::from_slice(&file).unwrap();
    let text = |name: &str| known[name].as_str().unwrap().to_owned();
    let key = (text("api_key_id"), text("api_key"));
    let users = server.data.ok(["user", "list", ORG]);
    let users = users["users"].as_array().unwrap().clone();
    let mut roles: Vec<&str> = users
        .iter()
        .map(|user| user["role"].as_str().unwrap())
        .collect();
    roles.sort_unstable();
    let expected = [
        "Administrator",
        "AmigoAdministrator",
        "SuperAdministrator",
        "User",
    ];
    assert_eq!(roles, expected.map(|role| format!("Default{role}Role")));
    for user in users {
        let answer = server
            .sign_in(ORG, &key, user["user_id"].as_str().unwrap())
            .await;
        assert_eq!(answer.status, 200, "{user}: {}", answer.text());
    }
}

#[test]
fn the_demo_makes_nothing_among_data_that_is_not_its_own() {
    let data = Data::new();
    data.org("acme");
    let output = command(&data, true).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("holds the organization acme") && said.contains("--data"),
        "{said}"
    );
    assert!(!data.path().join("demo.json").exists());
    let organizations = data.ok(["org", "list"]);
    let organizations = organizations["organizations"].as_array().unwrap().clone();
    assert_eq!(organizations.len(), 1, "{organizations:?}");
}

#[tokio::test]
async fn the_demo_goes_on_where_its_making_was_cut_off() {
    let data = Data::new();
    let mut making = command(&data, true);
    let mut child = making
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    crate::support::wait_for("the first data", || {
        (data.path().exists() && !data.files(".parquet").is_empty()).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();

    let server = Server::spawn(&data, command(&data, true));
    let token = server.token(ORG, "amigo-administrator");
    let twice = "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs";
    let counted = server.rows(&token, ORG, twice).await;
    assert_eq!(counted[0][0], counted[0][1]);
    assert!(counted[0][0].as_u64().unwrap() >= 2_000, "{counted}");
    let twice = "SELECT count(*) = count(DISTINCT _id) FROM messages";
    assert_eq!(server.rows(&token, ORG, twice).await, json!([[true]]));
}

#[test]
fn the_demo_says_where_it_listens_in_its_help() {
    let output = Command::new(PROGRAM)
        .args(["demo", "--help"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("127.0.0.1:8080"));
}
