//! The command line (the wire contract, section 8): what each command prints, its exit codes, and what it says when
//! something is wrong.

mod clients;
mod grants;
mod identity;
mod imports;

use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Data, USER, log, program, stderr};

const ORG: &str = "acme";

/// Runs a command; it must end with `code` and say `words` on standard error.
#[track_caller]
fn check(data: &Data, args: &[&str], code: i32, words: &[&str]) {
    let output = data.run(args);
    check_output(&output, &format!("{args:?}"), code, words);
}

#[track_caller]
fn check_output(output: &Output, what: &str, code: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{what}: {said}");
    for word in words {
        assert!(said.contains(word), "{what} does not say {word:?}: {said}");
    }
    if code != 0 {
        assert!(
            output.stdout.is_empty(),
            "{what}: results only where there are any"
        );
        assert!(said.starts_with("error: "), "{what}: {said}");
    }
}

/// An instant as the command line writes them.
#[track_caller]
fn instant(value: &Value) -> chrono::DateTime<chrono::Utc> {
    let text = value.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text}");
    text.parse().unwrap()
}

#[test]
fn help_and_version_are_successes_and_wrong_usage_is_2() {
    let data = Data::new();
    for args in [
        &["--help"][..],
        &["--version"],
        &["help", "serve"],
        &["prompt-logs", "--help"],
    ] {
        let output = data.run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty());
    }
    let nothing = program().stdin(Stdio::null()).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "no command");
    for args in [
        &["nonsense"][..],
        &["org"],
        &["org", "create"],
        &["org", "create", "a b"],
        &["org", "create", "../x"],
        &["org", "create", "x", "--cluster", "a/b"],
        &["user", "create", ORG, "a/b", "--role", "DefaultUserRole"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--no-such-option"],
        &["table", "import", ORG, "Upper", "x.csv"],
        &["table", "import", ORG, "../x", "x.csv"],
        &["api-key", "create", ORG, "--days", "0"],
        &["api-key", "create", ORG, "--days", "91"],
        &["api-key", "create", ORG, "--days", "x"],
        &["sql", "SELECT 1", "--format", "xml"],
        &["prompt-logs", "download", "x"],
        &[
            "prompt-logs",
            "download",
            "x",
            "-o",
            "x.zip",
            "--after",
            "../x",
        ],
    ] {
        let output = data.run(args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    assert!(!data.path().exists(), "wrong usage makes no data directory");
}

#[test]
fn organizations_and_users_print_one_json_object() {
    let data = Data::new();
    let made = data.ok([
        "org",
        "create",
        ORG,
        "--name",
        "Acme, Inc.",
        "--cluster",
        "europe",
    ]);
    instant(&made["created_at"]);
    assert_eq!(
        made,
        json!({"org_id": ORG, "name": "Acme, Inc.", "cluster": "europe", "created_at": made["created_at"], "retention_days": null})
    );
    let plain = data.ok(["org", "create", "Globex-2"]);
    assert_eq!(
        (&plain["name"], &plain["cluster"]),
        (&json!("Globex-2"), &json!("default"))
    );
    assert_eq!(
        data.ok(["org", "list"]),
        json!({"organizations": [plain, made]})
    );

    let full = [
        "user",
        "create",
        ORG,
        "ann@acme",
        "--role",
        "DefaultUserRole",
        "--email",
        "ann@example.com",
        "--first-name",
        "Ann",
        "--last-name",
        "Lee",
    ];
    let ann = data.ok(full);
    instant(&ann["created_at"]);
    assert_eq!(
        ann,
        json!({
            "org_id": ORG, "user_id": "ann@acme", "role": "DefaultUserRole", "email": "ann@example.com",
            "first_name": "Ann", "last_name": "Lee", "created_at": ann["created_at"], "updated_at": ann["updated_at"],
        })
    );
    let bob = data.ok([
        "user",
        "create",
        ORG,
        "bob",
        "--role",
        "DefaultAdministratorRole",
    ]);
    assert_eq!(bob["email"], json!(null));
    assert_eq!(data.ok(["user", "list", ORG]), json!({"users": [ann, bob]}));
    assert_eq!(data.ok(["user", "list", "Globex-2"]), json!({"users": []}));
}

#[test]
fn tokens_and_imports_print_one_json_object() {
    let data = Data::new();
    data.org(ORG);
    let token = data.ok(["token", ORG, USER]);
    assert_eq!(token.as_object().unwrap().len(), 2);
    assert_eq!(token["id_token"].as_str().unwrap().split('.').count(), 3);
    instant(&token["expires_at"]);

    let logs = [log("a/1", "s", &["h"]), log("b/1", "s", &[])];
    let imported = json!({"written": 2, "unchanged": 0, "rejected": 0});
    assert_eq!(data.import_logs(ORG, &logs), imported);
    let listed = data.ok(["prompt-logs", "list", ORG, "a/"]);
    instant(&listed["prompt_logs"][0]["created_at"]);
    assert_eq!(listed["prompt_logs"].as_array().unwrap().len(), 1);
    assert_eq!(listed["prompt_logs"][0]["log_key"], "a/1");
    assert_eq!(
        data.ok(["prompt-logs", "list", ORG, "A"]),
        json!({"prompt_logs": []})
    );

    let file = data.write("visits.csv", "place,n\nhere,1\nthere,2\n");
    let imported = data.ok(["table", "import", ORG, "visits", file.to_str().unwrap()]);
    assert_eq!(
        imported,
        json!({"table": "visits", "rows": 2, "columns": 2})
    );
}

#[test]
fn without_json_results_are_text_and_progress_stays_on_standard_error() {
    let data = Data::new();
    data.org(ORG);
    let lines = |args: &[&str]| {
        let output = data.run(args);
        check_output(&output, &format!("{args:?}"), 0, &[]);
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(lines(&["org", "create", "globex"]), "globex\n");
    let listed = lines(&["org", "list"]);
    assert!(listed.starts_with("ORG "), "{listed}");
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert_eq!(lines(&["user", "list", ORG]).lines().count(), 5);
    let file = data.write("x.ndjson", "{\"a\": 1}\n");
    assert_eq!(
        lines(&["table", "import", ORG, "x", file.to_str().unwrap()]),
        "1 rows of 1 columns imported into x\n"
    );
    // Read by programs, so JSON either way.
    for args in [["token", ORG, USER], ["api-key", "create", ORG]] {
        assert!(serde_json::from_str::<Value>(&lines(&args)).unwrap()["expires_at"].is_string());
    }
}

#[test]
fn without_a_data_directory_every_command_says_how_to_make_one() {
    let data = Data::new();
    check(
        &data,
        &["org", "list"],
        1,
        &["no data directory", "create an organization first"],
    );
    check(&data, &["user", "list", ORG], 1, &["no data directory"]);
    check(&data, &["token", ORG, USER], 1, &["no data directory"]);
    assert!(!data.path().exists(), "looking makes nothing");
}

#[test]
fn what_is_there_already_or_unknown_is_named() {
    let data = Data::new();
    data.org(ORG);
    check(
        &data,
        &["org", "create", ORG],
        1,
        &["acme", "exists already"],
    );
    check(
        &data,
        &["user", "create", ORG, USER, "--role", "DefaultUserRole"],
        1,
        &["has a user user already"],
    );
    check(
        &data,
        &["user", "create", ORG, "x", "--role", "NoRole"],
        1,
        &["no role NoRole", "DefaultSuperAdministratorRole"],
    );
    check(
        &data,
        &[
            "user",
            "create",
            ORG,
            "x",
            "--role",
            "DefaultUserRole",
            "--email",
            "x",
        ],
        1,
        &["e-mail"],
    );
    check(
        &data,
        &["api-key", "create", ORG, "--role", "NoRole"],
        1,
        &["no role NoRole"],
    );
    check(&data, &["token", ORG, "nobody"], 1, &["no user nobody"]);
    check(
        &data,
        &["prompt-logs", "import", ORG, "no.ndjson"],
        1,
        &["no.ndjson", "cannot be read"],
    );
    check(
        &data,
        &["table", "import", ORG, "prompt_logs", "x.csv"],
        1,
        &["prompt-logs import"],
    );
    for args in [
        &["user", "list", "globex"][..],
        &["user", "create", "globex", "x", "--role", "DefaultUserRole"],
        &["api-key", "create", "globex"],
        &["token", "globex", USER],
        &["prompt-logs", "import", "globex", "-"],
        &["prompt-logs", "list", "globex", ""],
        &["table", "import", "globex", "x", "x.csv"],
    ] {
        check(&data, args, 1, &["no organization globex"]);
    }
}

#[test]
fn an_api_key_lives_as_many_days_as_asked_and_there_are_twenty() {
    let data = Data::new();
    data.org(ORG);
    data.org("globex");
    let mut ids = std::collections::BTreeSet::new();
    for (made, days) in ["1", "30", "90"].into_iter().cycle().take(20).enumerate() {
        let before = chrono::Utc::now();
        let key = match days {
            "30" => data.ok(["api-key", "create", ORG]),
            days => data.ok([
                "api-key",
                "create",
                ORG,
                "--days",
                days,
                "--name",
                "for the nightly export",
            ]),
        };
        assert_eq!(key.as_object().unwrap().len(), 3, "{key}");
        let life = instant(&key["expires_at"]) - before;
        let days: i64 = days.parse().unwrap();
        // Printed to the second, so it may look up to a second short.
        assert!(
            life > chrono::TimeDelta::days(days) - chrono::TimeDelta::seconds(1),
            "{life}"
        );
        assert!(
            life < chrono::TimeDelta::days(days) + chrono::TimeDelta::hours(1),
            "{life}"
        );
        let id = key["api_key_id"].as_str().unwrap();
        assert!(
            id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
        ids.insert(id.to_owned());
        assert_eq!(ids.len(), made + 1);
    }
    check(&data, &["api-key", "create", ORG], 1, &["20 API keys"]);
    data.api_key("globex");
}

#[test]
fn a_key_is_stored_as_a_hash_and_shown_once() {
    let data = Data::new();
    data.org(ORG);
    let (_, key) = data.api_key(ORG);
    // The database's own log of writes counts, too: what is stored may still be there alone.
    let stored: Vec<u8> = data
        .files("")
        .iter()
        .flat_map(|file| std::fs::read(file).unwrap())
        .collect();
    let holds = |text: &str| {
        let mut windows = stored.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    };
    assert!(holds("$argon2id$"));
    assert!(!holds(&key), "the key is stored as it is");
}

#[test]
fn settings_come_from_a_file_then_the_environment_then_the_command_line() {
    let data = Data::new();
    data.org(ORG);
    let elsewhere = data.file("elsewhere");
    let file = data.write("settings.toml", format!("data_dir = {:?}\n", data.path()));
    let list = |env: &[(&str, &str)], args: &[&str]| {
        let mut command = program();
        command
            .arg("--config")
            .arg(&file)
            .args(args)
            .args(["org", "list", "--json"]);
        command.envs(env.iter().copied()).output().unwrap()
    };
    let from_file = list(&[], &[]);
    assert!(from_file.status.success(), "{}", stderr(&from_file));
    let nowhere = [("AMIGO_ADMIN_DATA_DIR", elsewhere.to_str().unwrap())];
    check_output(&list(&nowhere, &[]), "the environment", 1, &["elsewhere"]);
    let again = list(&nowhere, &["--data", data.path().to_str().unwrap()]);
    assert!(again.status.success(), "{}", stderr(&again));
    for (name, value, word) in [
        (
            "AMIGO_ADMIN_LIMITS__NO_SUCH",
            "1",
            "AMIGO_ADMIN_LIMITS__NO_SUCH",
        ),
        ("AMIGO_ADMIN_LIMITS__SQL_ROWS", "many", "sql_rows"),
        ("AMIGO_ADMIN_LIMITS__SQL_ROWS", "0", "limits.sql_rows"),
        ("AMIGO_ADMIN_LOGS__FORMAT", "xml", "format"),
    ] {
        let said = stderr(&list(&[(name, value)], &[])).to_lowercase();
        assert!(
            said.contains(&word.to_lowercase()),
            "{name}={value}: {said}"
        );
    }
    let missing = data.file("missing.toml");
    check(
        &data,
        &["--config", missing.to_str().unwrap(), "org", "list"],
        1,
        &["missing.toml"],
    );
}
