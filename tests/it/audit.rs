//! The audit log: every act leaves its two rows, with actor, outcome and counts; what cannot be recorded is not done; a row
//! that was changed is found.

mod downloads;
mod failures;
mod operations;
mod operator;
mod proof;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ADMINISTRATOR, AMIGO_ADMINISTRATOR, Answer, Client, Data, SUPER_ADMINISTRATOR, Server, USER,
    log, wait_for,
};

const ORG: &str = "acme";

/// The rows of an organization's chain, or of the server's own, as they are exported.
#[track_caller]
fn rows(data: &Data, chain: &str) -> Vec<Value> {
    let output = data.run(["audit", "export", chain]);
    assert!(
        output.status.success(),
        "{}",
        crate::support::stderr(&output)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// One act: its first row, and its second one once it is there.
#[derive(Debug)]
struct Act {
    first: Value,
    second: Value,
}

/// The acts of this name, oldest first; waits until each of them has ended.
#[track_caller]
fn acts(data: &Data, chain: &str, action: &str) -> Vec<Act> {
    wait_for("second rows", || {
        let rows = rows(data, chain);
        let first = rows.iter().filter(|row| row["event"] == "opened");
        let first = first.filter(|row| row["action"] == action);
        let second = |first: &Value| {
            let mut own = rows.iter().filter(|row| row["event"] == "completed");
            own.find(|row| row["entry_id"] == first["entry_id"])
                .cloned()
        };
        let acts = first.map(|first| {
            let second = second(first)?;
            let first = first.clone();
            Some(Act { first, second })
        });
        acts.collect()
    })
}

/// The one act of this name.
#[track_caller]
fn act(data: &Data, chain: &str, action: &str) -> Act {
    let mut acts = acts(data, chain, action);
    assert_eq!(acts.len(), 1, "{action}: {acts:#?}");
    acts.remove(0)
}

impl Act {
    #[track_caller]
    fn is_of(&self, user: &str, resource: &str) -> &Self {
        let Self { first, second } = self;
        assert_eq!(first["resource"], resource, "{self:#?}");
        for row in [first, second] {
            assert_eq!(
                [&row["actor"], &row["actor_org_id"], &row["actor_id"]],
                ["user", ORG, user],
                "{self:#?}"
            );
            assert_eq!(row["org_id"], ORG);
        }
        // That of the answer, which the caller saw.
        assert!(first["request_id"].as_str().is_some_and(|id| id.len() > 10));
        self
    }

    #[track_caller]
    fn ended(&self, outcome: &str, status: u16) -> &Self {
        let row = &self.second;
        assert_eq!(
            (&row["outcome"], &row["status"]),
            (&json!(outcome), &json!(status)),
            "{self:#?}"
        );
        // Why, unless it succeeded.
        assert_eq!(row["reason"].is_null(), outcome == "succeeded", "{self:#?}");
        self
    }

    /// What a row says beside its columns.
    #[track_caller]
    fn detail(row: &Value) -> Value {
        serde_json::from_str(row["detail"].as_str().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn what_changes_users_is_recorded() {
    let server = Server::start(|data| data.org(ORG));
    let data = server.data.clone();
    let root = Client::new(&server, ORG, SUPER_ADMINISTRATOR);
    let user = Client::new(&server, ORG, USER);

    let invitation = json!({
        "first_name": "Mia", "last_name": "Li", "email": "mia@acme.invalid", "role_name": "DefaultUserRole",
    });
    user.post("user/", invitation.clone()).await.detail(403);
    let made = root.post("user/", invitation).await.json();
    let mia = made["user_id"].as_str().unwrap();
    // Behind the four that the operator made.
    let invited = &acts(&data, ORG, "User:InviteUser")[4..];
    assert_eq!(invited.len(), 2, "{invited:#?}");
    invited[0]
        .is_of(USER, "mia@acme.invalid")
        .ended("denied", 403);
    let reason = invited[0].second["reason"].as_str().unwrap();
    assert!(reason.contains("User:InviteUser"), "{reason}");
    invited[1]
        .is_of(SUPER_ADMINISTRATOR, "mia@acme.invalid")
        .ended("succeeded", 201);
    let role = json!({"role": "DefaultUserRole"});
    assert_eq!(Act::detail(&invited[1].first), role);
    assert_eq!(Act::detail(&invited[1].second), json!({ "user_id": mia }));

    assert_eq!(root.delete(&format!("user/{mia}")).await.status, 204);
    root.delete(&format!("user/{mia}")).await.detail(404);
    let deleted = acts(&data, ORG, "User:DeleteUser");
    assert_eq!(deleted.len(), 2);
    deleted[0]
        .is_of(SUPER_ADMINISTRATOR, mia)
        .ended("succeeded", 204);
    deleted[1]
        .is_of(SUPER_ADMINISTRATOR, mia)
        .ended("failed", 404);
}

#[tokio::test]
async fn what_changes_keys_and_who_signs_in_is_recorded() {
    let server = Server::start(|data| data.org(ORG));
    let data = server.data.clone();
    let root = Client::new(&server, ORG, SUPER_ADMINISTRATOR);

    let body = json!({"name": "nightly", "duration": "P30D", "role_name": "DefaultUserRole"});
    let key = root.post("organization/api_key/", body).await.json();
    let made = act(&data, ORG, "Organization:CreateAPIKey");
    made.is_of(SUPER_ADMINISTRATOR, "nightly")
        .ended("succeeded", 201);
    assert_eq!(
        Act::detail(&made.first),
        json!({"role": "DefaultUserRole", "days": 30})
    );
    let detail = Act::detail(&made.second);
    assert_eq!(detail["api_key_id"], key["api_key_id"]);

    let id = key["api_key_id"].as_str().unwrap();
    let secret = key["api_key"].as_str().unwrap().to_owned();
    let pair = (id.to_owned(), secret.clone());
    let signed_in = server.sign_in(ORG, &pair, USER).await;
    assert_eq!(signed_in.status, 200);
    // Which of a user's keys it was, each act says.
    let token = signed_in.json()["id_token"].as_str().unwrap().to_owned();
    server.logs(&token, ORG, "c/").await.detail(403);
    let refused = act(&data, ORG, "Admin:GetPromptLogs");
    assert_eq!(Act::detail(&refused.first)["signed_in_with"], id);
    let wrong = (id.to_owned(), "wrong".to_owned());
    server.sign_in(ORG, &wrong, USER).await.detail(401);
    server.sign_in("nix", &wrong, USER).await.detail(404);
    let sign_ins = acts(&data, ORG, "User:SignIn");
    assert_eq!(sign_ins.len(), 2, "{sign_ins:#?}");
    for (sign_in, outcome, status) in [
        (&sign_ins[0], "succeeded", 200),
        (&sign_ins[1], "denied", 401),
    ] {
        sign_in.ended(outcome, status);
        assert_eq!(sign_in.first["resource"], id);
        assert_eq!(
            [&sign_in.first["actor"], &sign_in.first["actor_id"]],
            ["claimed", USER]
        );
    }
    let path = format!("organization/api_key/{id}/");
    assert_eq!(root.delete(&path).await.status, 200);
    act(&data, ORG, "Organization:DeleteAPIKey")
        .is_of(SUPER_ADMINISTRATOR, id)
        .ended("succeeded", 200);

    // What was secret is nowhere.
    let all = rows(&data, ORG)
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    for secret in [&secret, &root.token, &"wrong".to_owned()] {
        assert!(!all.contains(secret.as_str()), "{secret}");
    }
    data.ok(["audit", "verify"]);
}

#[tokio::test]
async fn what_changes_roles_and_grants_is_recorded() {
    let server = Server::start(|data| data.org(ORG));
    let data = server.data.clone();
    let root = Client::new(&server, ORG, SUPER_ADMINISTRATOR);
    let grants =
        json!([{"action": "Allow", "permission_name": "Admin:GetPromptLogs", "conditions": {}}]);
    let role = json!({
        "role_name": "Auditor", "description": "Reads.", "permission_grants": grants, "frontend_view": "admin",
    });
    let made = root.post("role/", role).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let created = act(&data, ORG, "Role:CreateRole");
    created
        .is_of(SUPER_ADMINISTRATOR, "Auditor")
        .ended("succeeded", 201);
    let detail = Act::detail(&created.first);
    assert_eq!(
        detail["permission_grants"][0]["permission_name"],
        "Admin:GetPromptLogs"
    );
    assert_eq!(Act::detail(&created.second), made.json());

    let change = json!({"permission_grants": []});
    let changed = root.post("role/Auditor", change).await.json();
    let modified = act(&data, ORG, "Role:ModifyRole");
    modified
        .is_of(SUPER_ADMINISTRATOR, "Auditor")
        .ended("succeeded", 200);
    assert_eq!(Act::detail(&modified.second), changed);

    let administrator = Client::new(&server, ORG, ADMINISTRATOR);
    let to_user = json!({ "user_id": USER });
    let path = "role/DefaultSuperAdministratorRole/assign";
    administrator.post(path, to_user.clone()).await.detail(403);
    assert_eq!(root.post("role/Auditor/assign", to_user).await.status, 200);
    let assigned = acts(&data, ORG, "Role:AssignRole");
    assert_eq!(assigned.len(), 2);
    assigned[0].is_of(ADMINISTRATOR, USER).ended("denied", 403);
    assert_eq!(
        Act::detail(&assigned[0].first),
        json!({"role": "DefaultSuperAdministratorRole"})
    );
    assigned[1]
        .is_of(SUPER_ADMINISTRATOR, USER)
        .ended("succeeded", 200);

    let grant = json!({
        "user_id": USER, "duration": "PT1H", "permission_grant": grants[0], "tags": {},
        "justification": "for the audit of January",
    });
    let granted = root.post("role/temporary_permission_grant/", grant).await;
    assert_eq!(granted.status, 201, "{}", granted.text());
    let act = act(&data, ORG, "Role:CreateTemporaryPermissionGrant");
    act.is_of(SUPER_ADMINISTRATOR, USER).ended("succeeded", 201);
    let detail = Act::detail(&act.first);
    assert_eq!(detail["justification"], "for the audit of January");
    assert_eq!(detail["seconds"], 3600);
    assert_eq!(Act::detail(&act.second), granted.json());
}

/// Asks until the result is there.
async fn fetch(server: &Server, handle: &Value) -> Answer {
    let url = handle["signed_url"].as_str().unwrap();
    let path = url.strip_prefix(&server.base_url).unwrap();
    loop {
        let answer = Answer::of(server.request(Method::GET, path)).await;
        if answer.status != 202 {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn queries_and_their_results_are_recorded_with_rows_and_bytes() {
    let server = Server::start(|data| data.org(ORG));
    let data = server.data.clone();
    let token = server.token(ORG, AMIGO_ADMINISTRATOR);
    let sql = "SELECT value FROM generate_series(1, 3)";
    let answer = server.sql(&token, ORG, sql).await;
    assert_eq!(answer.status, 200);
    server.sql(&token, ORG, "SELECT nothing").await.detail(400);
    let administrator = server.token(ORG, ADMINISTRATOR);
    server.sql(&administrator, ORG, sql).await.detail(403);
    let ran = acts(&data, ORG, "Admin:RunSqlQuery");
    assert_eq!(ran.len(), 3, "{ran:#?}");
    ran[0]
        .is_of(AMIGO_ADMINISTRATOR, sql)
        .ended("succeeded", 200);
    assert_eq!(ran[0].second["rows"], 3);
    assert_eq!(ran[0].second["bytes"], answer.body.len());
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(ran[0].first["request_id"], id);
    ran[1]
        .is_of(AMIGO_ADMINISTRATOR, "SELECT nothing")
        .ended("failed", 400);
    ran[2].is_of(ADMINISTRATOR, sql).ended("denied", 403);

    let path = format!("/v1/{ORG}/admin/sql_schema");
    assert_eq!(server.get(&token, &path).await.status, 200);
    let schema = act(&data, ORG, "Admin:GetSqlSchema");
    schema.ended("succeeded", 200);
    assert_eq!(schema.first["actor_id"], AMIGO_ADMINISTRATOR);

    let client = Client::new(&server, ORG, AMIGO_ADMINISTRATOR);
    let submission = json!({"sql_query": sql, "async_query": true, "result_format": "csv"});
    let handle = client.post("admin/sql_query", submission).await.json();
    let id = handle["query_id"].as_str().unwrap();
    let file = fetch(&server, &handle).await;
    assert_eq!(file.status, 200);
    let submitted = act(&data, ORG, "Admin:SubmitSqlQuery");
    submitted
        .is_of(AMIGO_ADMINISTRATOR, sql)
        .ended("succeeded", 200);
    assert_eq!(Act::detail(&submitted.second), json!({ "query_id": id }));
    let fetched = act(&data, ORG, "Admin:GetSqlResult");
    fetched.ended("succeeded", 200);
    assert_eq!(fetched.first["resource"], id);
    assert_eq!(fetched.first["actor"], "url_holder");
    assert_eq!(fetched.second["bytes"], file.body.len());

    let path = format!("admin/sql_query/{id}");
    assert_eq!(client.delete(&path).await.status, 200);
    let stranger = Client::new(&server, ORG, USER);
    stranger.delete(&path).await.detail(403);
    let cancelled = acts(&data, ORG, "Admin:CancelSqlQuery");
    assert_eq!(cancelled.len(), 2);
    cancelled[0]
        .is_of(AMIGO_ADMINISTRATOR, id)
        .ended("succeeded", 200);
    cancelled[1].is_of(USER, id).ended("denied", 403);
    data.ok(["audit", "verify", ORG]);
}

#[tokio::test]
async fn the_table_shows_an_organization_its_own_rows_and_only_to_those_who_may() {
    let server = Server::start(|data| {
        data.org(ORG);
        data.org("globex");
        data.analyst(ORG, "ann");
        data.import_logs(ORG, &[log("c/1", "s", &["h"])]);
    });
    let (token, rival) = (
        server.token(ORG, AMIGO_ADMINISTRATOR),
        server.token("globex", AMIGO_ADMINISTRATOR),
    );
    assert_eq!(server.logs(&token, ORG, "c/").await.status, 200);
    let sql = "SELECT actor_id, outcome, rows FROM audit_log \
               WHERE event = 'completed' AND action = 'Admin:GetPromptLogs'";
    let shown = server.rows(&token, ORG, sql).await;
    assert_eq!(shown, json!([[AMIGO_ADMINISTRATOR, "succeeded", 1]]));
    // The examples of the page answer; the first one names who got the log that it asks for.
    let page = include_str!("../../docs/audit.md");
    let examples = page.split("```sql\n").skip(1);
    let examples: Vec<&str> = examples
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 3);
    let got = examples[0].replace("c/1/a", "c/1");
    let got = server.rows(&token, ORG, &got).await;
    assert_eq!(got[0][1], AMIGO_ADMINISTRATOR, "{got}");
    server.rows(&token, ORG, "SELECT 1 AS users").await;
    server.rows(&token, ORG, examples[1]).await;
    let asked = server.rows(&token, ORG, examples[2]).await;
    assert_eq!(
        asked[0].as_array().unwrap()[1..],
        json!([AMIGO_ADMINISTRATOR, "SELECT 1 AS users", "succeeded", 1])
            .as_array()
            .unwrap()[..]
    );
    // Every column has its value: the same as the export's.
    let sql = "SELECT * FROM audit_log WHERE seq <= 30 ORDER BY seq";
    let answer = server.sql(&token, ORG, sql).await.json();
    let exported = rows(&server.data, ORG);
    let (columns, shown) = (&answer["columns"], answer["result"].as_array().unwrap());
    assert!(shown.len() > 10);
    for (row, exported) in shown.iter().zip(&exported) {
        for (index, column) in columns.as_array().unwrap().iter().enumerate() {
            let name = column["name"].as_str().unwrap();
            let same = match name {
                "at" => exported[name]
                    .as_str()
                    .unwrap()
                    .starts_with(&row[index].as_str().unwrap()[..19]),
                _ => row[index] == exported[name],
            };
            assert!(same, "{name}: {} {}", row[index], exported[name]);
        }
    }
    // The other organization has its own, and its query itself is in it.
    let sql = "SELECT count(*) FILTER (WHERE action = 'Admin:GetPromptLogs'), \
               count(*) FILTER (WHERE resource LIKE '%FILTER%') FROM audit_log";
    assert_eq!(server.rows(&rival, "globex", sql).await, json!([[0, 1]]));

    let ann = server.token(ORG, "ann");
    assert_eq!(server.rows(&ann, ORG, "SELECT 1").await, json!([[1]]));
    let unknown = server.sql(&ann, ORG, "SELECT * FROM audit_log").await;
    assert!(unknown.detail(400).contains("audit_log"));
    let tables = server.rows(
        &ann,
        ORG,
        "SELECT table_name FROM information_schema.tables",
    );
    assert!(!tables.await.to_string().contains("audit_log"));
    let administrator = server.token(ORG, ADMINISTRATOR);
    let refused = server.sql(&administrator, ORG, "SELECT * FROM audit_log");
    refused.await.detail(403);
}
