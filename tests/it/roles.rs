//! `docs/roles.md` as it is written: its commands run, and print what it says.

use std::process::{Command, Stdio};

use crate::support::{Data, Server, stderr};

const DOCUMENT: &str = include_str!("../../docs/roles.md");
/// What the document says where its server listens.
const LISTENING: &str = "http://127.0.0.1:8080";
/// Between the outputs of two blocks.
const MARK: &str = "@@@@";

/// The fenced blocks of the document, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fences: Vec<&str> = DOCUMENT.split("```").collect();
    assert!(fences.len() % 2 == 1, "a fence is open");
    let blocks = fences.into_iter().skip(1).step_by(2);
    blocks
        .map(|block| block.split_once('\n').unwrap())
        .collect()
}

/// Runs blocks one after the other in one shell, beside the data directory; returns the output of each.
fn run(data: &Data, blocks: &[&str], base_url: &str) -> Vec<String> {
    let script = blocks.join(&format!("\necho {MARK}\n"));
    let script = script.replace(LISTENING, base_url);
    let folder = data.path().parent().unwrap().to_owned();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_amigo-admin"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{printed}\n{}", stderr(&output));
    printed
        .split(MARK)
        .map(|printed| printed.trim().to_owned())
        .collect()
}

#[test]
fn the_recipes_do_what_they_say() {
    let blocks = blocks();
    let is_server = |block: &str| block.contains("serve --listen");
    let serving = blocks.iter().position(|(_, block)| is_server(block));
    let (before, after) = blocks.split_at(serving.unwrap());
    let scripts = |blocks: &[(&str, &'static str)]| -> Vec<&'static str> {
        let scripts = blocks.iter().filter(|(language, _)| *language == "sh");
        scripts.map(|(_, script)| *script).collect()
    };
    let data = Data::new();
    run(&data, &scripts(before), LISTENING);
    let server = Server::on(&data, &[]);
    let outputs = run(&data, &scripts(&after[1..]), &server.base_url);
    let mut outputs = outputs.iter();
    let mut compared = 0;
    let mut last = "";
    for (language, block) in &after[1..] {
        match *language {
            "sh" => last = outputs.next().unwrap(),
            "text" => {
                assert_eq!(last, block.trim());
                compared += 1;
            }
            language => panic!("a block of {language} after the server's start"),
        }
    }
    assert!(compared >= 8, "{compared}");
}
