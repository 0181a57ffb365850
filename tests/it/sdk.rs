//! The platform's official SDK as a client of the identity endpoints: its own models check every answer.

use std::path::Path;
use std::process::Command;

use crate::real_input::python;
use crate::support::{
    ADMINISTRATOR, AMIGO_ADMINISTRATOR, SUPER_ADMINISTRATOR, Server, USER, stderr,
};

const ORG: &str = "acme";

#[test]
fn the_sdk_reads_the_organization_and_reads_makes_and_deletes_users() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let server = Server::start(|data| data.org(ORG));
    let (key_id, key) = server.data.api_key(ORG);
    let users = [
        USER,
        ADMINISTRATOR,
        AMIGO_ADMINISTRATOR,
        SUPER_ADMINISTRATOR,
    ];
    let output = Command::new(python(root))
        .arg(root.join("tests/sdk/identity.py"))
        .env("AMIGO_BASE_URL", &server.base_url)
        .env("AMIGO_ORGANIZATION_ID", ORG)
        .env("AMIGO_API_KEY", key)
        .env("AMIGO_API_KEY_ID", key_id)
        .env("AMIGO_USER_ID", SUPER_ADMINISTRATOR)
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
