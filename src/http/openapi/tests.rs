use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::http::router::document;

/// The committed document; `UPDATE_DOCS=1` writes it anew.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, item): (&String, &Value)| -> Vec<(String, Value)> {
        let item = item.as_object().expect("operations");
        let named = item.iter().map(|(method, operation)| {
            (
                format!("{} {path}", method.to_uppercase()),
                operation.clone(),
            )
        });
        named.collect()
    };
    paths.iter().flat_map(of_path).collect()
}

fn as_json() -> Value {
    serde_json::to_value(document()).expect("JSON")
}

#[test]
fn the_committed_document_is_that_of_the_code() {
    let text = document().to_pretty_json().expect("JSON") + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(FILE, &text).expect("openapi.json can be written");
    }
    let written = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        written == text,
        "openapi.json is out of date: run UPDATE_DOCS=1 cargo test --lib openapi"
    );
}

#[test]
fn operations_have_the_published_ids() {
    let operations = operations(&as_json());
    let ids: BTreeMap<&str, &str> = operations
        .iter()
        .map(|(place, operation)| {
            (
                place.as_str(),
                operation["operationId"].as_str().expect("an id"),
            )
        })
        .collect();
    let different: BTreeSet<&&str> = ids.values().collect();
    assert_eq!(different.len(), ids.len(), "ids are unique");
    for (place, id) in [
        (
            "GET /v1/{organization}/admin/get_prompt_logs/",
            "get-prompt-logs",
        ),
        (
            "POST /v1/{organization}/admin/sql_query",
            "submit-sql-query",
        ),
        ("GET /v1/{organization}/organization/", "get-organization"),
        (
            "POST /v1/{organization}/organization/api_key/",
            "create-api-key",
        ),
        (
            "GET /v1/{organization}/organization/api_key/",
            "get-api-keys",
        ),
        (
            "DELETE /v1/{organization}/organization/api_key/{api_key_id}/",
            "delete-api-key",
        ),
        (
            "POST /v1/{organization}/user/signin_with_api_key",
            "sign-in-with-api-key",
        ),
        ("POST /v1/{organization}/user/", "create-invited-user"),
        ("GET /v1/{organization}/user/", "get-users"),
        (
            "DELETE /v1/{organization}/user/{requested_user_id}",
            "delete-user",
        ),
        (
            "GET /v1/{organization}/role/",
            "get_roles_v1__organization__role__get",
        ),
        ("POST /v1/{organization}/role/", "create-role"),
        ("POST /v1/{organization}/role/{role_name}", "modify-role"),
        (
            "POST /v1/{organization}/role/{role_name}/assign",
            "assign-role",
        ),
        (
            "POST /v1/{organization}/role/temporary_permission_grant/",
            "create-temporary-permission-grant",
        ),
        (
            "GET /v1/{organization}/role/temporary_permission_grants/",
            "get-temporary-permission-grants",
        ),
    ] {
        assert_eq!(ids.get(place), Some(&id), "{place}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                fields.values().for_each(|field| check(field, document));
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, document)),
            _ => {}
        }
    }
    let document = as_json();
    check(&document, &document);
}

#[test]
fn operations_that_ask_who_is_calling_say_what_they_answer() {
    for (place, operation) in operations(&as_json()) {
        let responses = operation["responses"].as_object().expect("responses");
        // What says nothing about credentials takes those of the document.
        if operation.get("security").is_none() {
            for status in ["401", "404", "422", "503"] {
                assert!(responses.contains_key(status), "{place} {status}");
            }
        }
        let succeeded = responses.iter().find(|(status, _)| status.starts_with('2'));
        let (_, succeeded) = succeeded.expect("a success");
        let headers = succeeded["headers"].as_object().expect("headers");
        assert!(headers.contains_key("X-Request-Id"), "{place}");
        assert_eq!(
            headers.contains_key("X-RateLimit-Remaining"),
            responses.contains_key("429"),
            "{place}"
        );
    }
}
