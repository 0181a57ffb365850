//! Golden vectors: every type's hard values, from SQL over HTTP into Python and JavaScript, exact.
//!
//! `tests/values/vectors.json` holds the expressions, their types and what each language computes for itself.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::real_input::python;
use crate::support::{SUPER_ADMINISTRATOR, Server, stderr};

const ORG: &str = "acme";

/// The one value of a response as it stands there.
fn raw_value(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        result: Vec<Vec<&'a RawValue>>,
    }
    let body: Body<'_> = serde_json::from_slice(body).unwrap();
    body.result[0][0].get().to_owned()
}

#[tokio::test]
async fn every_type_decodes_exactly_in_python_and_javascript() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/values");
    let text = std::fs::read_to_string(folder.join("vectors.json")).unwrap();
    let mut vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let mut wrong = Vec::new();
    for vector in &mut vectors {
        let expression = vector["sql"].as_str().unwrap();
        let answer = server
            .sql(&token, ORG, &format!("SELECT {expression} AS x"))
            .await;
        assert_eq!(answer.status, 200, "{expression}: {}", answer.text());
        let column = &answer.json()["columns"][0];
        let mut expected = json!({"name": "x", "type": vector["type"]});
        if vector.get("as_text").is_some() {
            expected["encoding"] = json!("string");
        }
        let value = raw_value(&answer.body);
        if *column != expected || vector.get("json").is_some_and(|json| *json != value) {
            wrong.push(format!("{expression}: {value} as {column}"));
        }
        vector["body"] = answer.text().into();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let file = server
        .data
        .write("answers.json", json!(vectors).to_string());
    let python = python(Path::new(env!("CARGO_MANIFEST_DIR"))).into_os_string();
    for (program, script) in [(python, "check.py"), (OsString::from("node"), "check.js")] {
        let output = Command::new(&program)
            .args([folder.join(script).as_os_str(), file.as_os_str()])
            .output()
            .unwrap_or_else(|error| panic!("{program:?}: {error}; scripts/test installs it"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", stderr(&output));
    }
}
