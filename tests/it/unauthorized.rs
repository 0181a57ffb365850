//! Every operation of the API's document, called by those who may not: nobody, somebody with a bad token, a user without
//! the permission, and an administrator of another organization. What they get is `unauthorized.txt`.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{AMIGO_ADMINISTRATOR, Answer, Data, SUPER_ADMINISTRATOR, Server, USER, log};

const ORG: &str = "acme";
const OTHER: &str = "elsewhere";

/// Who calls, in the order of the columns. The last one may, which shows that the others were refused for what they are,
/// not for what they sent.
const CALLERS: [&str; 6] = ["nobody", "bad", "lesser", "other", "other+id", "may"];

/// How many cells of those who may not hold a success. It may be lowered, never raised.
const OPEN_MAX: usize = 31;

/// The committed list: statuses by operation.
fn committed() -> BTreeMap<String, Vec<u16>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/unauthorized.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let read = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let statuses = words[2..].iter().map(|word| word.parse().unwrap());
        (format!("{} {}", words[0], words[1]), statuses.collect())
    };
    lines.map(read).collect()
}

fn lines(statuses: &BTreeMap<String, Vec<u16>>) -> Vec<String> {
    let line = |(operation, statuses): (&String, &Vec<u16>)| {
        let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
        format!("{operation} {}", statuses.join(" "))
    };
    statuses.iter().map(line).collect()
}

/// An example of a schema, as the document gives it.
fn example(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return example(document, document.pointer(&reference[1..]).unwrap());
    }
    match (&schema["examples"][0], &schema["items"]) {
        (Value::Null, Value::Null) => json!({}),
        (Value::Null, items) => json!([example(document, items)]),
        (example, _) => example.clone(),
    }
}

/// Every operation of a server's document, on things that are there, so that nothing is missing but the right.
pub(crate) struct Walk<'s> {
    server: &'s Server,
    document: Value,
    api_key_id: String,
    query_id: String,
}

impl<'s> Walk<'s> {
    /// The server is to have begun with [`data`].
    pub(crate) async fn on(server: &'s Server) -> Self {
        let may = server.token(ORG, SUPER_ADMINISTRATOR);
        let submission = server.request(Method::POST, &format!("/v1/{ORG}/admin/sql_query"));
        let submission = submission.json(&json!({"sql_query": "SELECT 1", "async_query": true}));
        let submitted = Answer::of(submission.bearer_auth(&may)).await.json();
        let document = Answer::of(server.request(Method::GET, "/v1/openapi.json")).await;
        Self {
            server,
            document: document.json(),
            api_key_id: server.data.api_key(ORG).0,
            query_id: submitted["query_id"].as_str().unwrap().to_owned(),
        }
    }

    /// Each operation's method and path, and what the document says of it.
    pub(crate) fn operations(&self) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let place = format!("{} {path}", method.to_uppercase());
                found.push((place, operation.clone()));
            }
        }
        found
    }

    fn value(&self, parameter: &Value) -> String {
        match parameter["name"].as_str().unwrap() {
            "organization" => ORG.to_owned(),
            "requested_user_id" => "administrator".to_owned(),
            "role_name" => "DefaultUserRole".to_owned(),
            "api_key_id" => self.api_key_id.clone(),
            "query_id" => self.query_id.clone(),
            _ => match &parameter["example"] {
                Value::String(example) => example.clone(),
                _ => "1".to_owned(),
            },
        }
    }

    /// One operation with an example of everything that it requires.
    pub(crate) fn request(&self, (place, operation): &(String, Value)) -> RequestBuilder {
        let (method, path) = place.split_once(' ').unwrap();
        let mut path = path.to_owned();
        let (mut query, mut headers) = (Vec::new(), Vec::new());
        let none = Vec::new();
        for parameter in operation["parameters"].as_array().unwrap_or(&none) {
            if parameter["required"] != true {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let value = self.value(parameter);
            match parameter["in"].as_str().unwrap() {
                "path" => path = path.replace(&format!("{{{name}}}"), &value),
                "query" => query.push((name.to_owned(), value)),
                _ => headers.push((name.to_owned(), value)),
            }
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.server.request(method, &path).query(&query);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match operation["requestBody"]["content"].get("application/json") {
            Some(content) => request.json(&example(&self.document, &content["schema"])),
            None => request,
        }
    }
}

/// Organizations with one of everything.
pub(crate) fn data(data: &Data) {
    data.org(ORG);
    data.org(OTHER);
    data.import_logs(ORG, &[log("c-42/000", "You greet.", &[])]);
    data.import_table(ORG, "conversations", &[json!({"_id": "c-42"})]);
}

#[tokio::test]
async fn whoever_may_not_is_refused_by_every_operation() {
    let server = Server::start(data);
    let may = server.token(ORG, SUPER_ADMINISTRATOR);
    let walk = Walk::on(&server).await;
    let operations = walk.operations();
    let (lesser, other) = (
        server.token(ORG, USER),
        server.token(OTHER, AMIGO_ADMINISTRATOR),
    );
    let before = server.data.ok(["user", "list", ORG]);

    let mut found: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for caller in CALLERS {
        if caller == "may" {
            let now = server.data.ok(["user", "list", ORG]);
            assert_eq!(now, before, "a refusal changed something");
        }
        for operation in &operations {
            let request = walk.request(operation);
            let request = match caller {
                "nobody" => request,
                "bad" => request.bearer_auth("bad"),
                "lesser" => request.bearer_auth(&lesser),
                "other" => request.bearer_auth(&other),
                "other+id" => request.bearer_auth(&other).header("x-org-id", OTHER),
                _ => request.bearer_auth(&may),
            };
            let answer = Answer::of(request).await;
            let status = answer.status;
            assert!(
                operation.1["responses"].get(status.to_string()).is_some(),
                "{} answers {status}, which the document does not say: {}",
                operation.0,
                answer.text()
            );
            found.entry(operation.0.clone()).or_default().push(status);
        }
    }

    let (found_lines, committed) = (lines(&found), committed());
    assert_eq!(
        found_lines,
        lines(&committed),
        "tests/it/unauthorized.txt says otherwise; found:\n{}",
        found_lines.join("\n")
    );
    let may_not = found.values().flat_map(|statuses| &statuses[..5]);
    let open = may_not.filter(|status| **status < 400).count();
    assert!(
        open <= OPEN_MAX,
        "{open} successes of callers who may not; at most {OPEN_MAX}"
    );
}

#[tokio::test]
async fn every_operation_looks_for_its_organization_on_the_cluster_as_it_says() {
    const CLUSTER: &str = "x-mongo-cluster-name";
    let server = Server::start(|to| {
        data(to);
        to.ok(["org", "create", "far", "--cluster", "europe"]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let walk = Walk::on(&server).await;
    let mut without = Vec::new();
    for operation in walk.operations() {
        let parameters = operation.1["parameters"].as_array();
        let mut parameters = parameters.into_iter().flatten();
        let says = parameters.any(|parameter| parameter["name"] == CLUSTER);
        if !says {
            without.push(operation.0);
            continue;
        }
        for (cluster, expected) in [("mars", 422), ("europe", 404)] {
            let request = walk.request(&operation);
            let answer = Answer::of(request.bearer_auth(&token).header(CLUSTER, cluster)).await;
            let what = format!("{} on {cluster}", operation.0);
            assert_eq!(answer.status, expected, "{what}: {}", answer.text());
        }
    }
    // These look for no organization.
    let expected = [
        "GET /.well-known/jwks.json",
        "GET /healthz",
        "GET /readyz",
        "GET /v1/{organization}/admin/ping",
        "GET /v1/{organization}/admin/sql_query/{query_id}/result",
    ];
    assert_eq!(without, expected);
}
