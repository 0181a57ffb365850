//! The platform's official SDK as a client of the identity endpoints: its own models check every answer.

use std::path::Path;
use std::process::Command;

use crate::real_input::python;
use crate::support::{
    ADMINISTRATOR, AMIGO_ADMINISTRATOR, SUPER_ADMINISTRATOR, Server, USER, stderr,
};

const ORG: &str = "acme";

/// Runs a script of `tests/sdk`, with an API key that signs in these users, the last of them if it names none.
#[track_caller]
fn run(server: &Server, script: &str, users: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (key_id, key) = server.data.api_key(ORG);
    let output = Command::new(python(root))
        .arg(root.join("tests/sdk").join(script))
        .env("AMIGO_BASE_URL", &server.base_url)
        .env("AMIGO_ORGANIZATION_ID", ORG)
        .env("AMIGO_API_KEY", key)
        .env("AMIGO_API_KEY_ID", key_id)
        .env("AMIGO_USER_ID", users.last().unwrap())
        .env("AMIGO_TEST_USERS", users.join(","))
        .env("AMIGO_TEST_LESSER_USER", USER)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(&output)
    );
}

#[test]
fn the_sdk_reads_the_organization_and_reads_makes_and_deletes_users() {
    let server = Server::start(|data| data.org(ORG));
    let users = [
        USER,
        ADMINISTRATOR,
        AMIGO_ADMINISTRATOR,
        SUPER_ADMINISTRATOR,
    ];
    run(&server, "identity.py", &users);
}

#[test]
fn the_sdk_waits_as_long_as_a_limit_says_and_then_comes_through() {
    let users = ["ada", "ben", "cem", "dia"];
    let server = Server::start_with(&[("LIMITS__RATE_LIMITS", "true")], |data| {
        data.org(ORG);
        for user in users {
            data.user(ORG, user, "DefaultAmigoAdministratorRole");
        }
    });
    run(&server, "retry.py", &users);
}
