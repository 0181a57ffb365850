//! Errors that name the place and the cure.

use super::{ORG, check_refused, lake};
use crate::support::{SUPER_ADMINISTRATOR, Server};
use serde_json::json;

#[tokio::test]
async fn unknown_names_bring_the_nearest_that_exist() {
    check_refused(&[
        (
            "SELECT user_ids FROM users",
            &[
                "no column user_ids",
                "did you mean user_id?",
                "line 1, column 8",
                "\n       ^",
            ],
        ),
        (
            "SELECT c.user FROM conversations c",
            &["no column user of c"],
        ),
        ("SELECT userid2 FROM events", &["did you mean userId?"]),
        (
            "SELECT 1\nFROM convarsations",
            &[
                "no table convarsations",
                "did you mean conversations?",
                "line 2, column 6",
            ],
        ),
        (
            "SELECT * FROM nothing_like_it",
            &["no table nothing_like_it", "SHOW TABLES"],
        ),
        (
            "SELECT uper(user_id) FROM users",
            &["no function uper", "upper"],
        ),
        ("SELECT * FROM generate_serie(1, 2)", &["generate_series"]),
        (
            "SELECT * FROM users WHERE first_name = \"Ann\"",
            &["no column ann", "'single quotes'"],
        ),
        (
            "SELECT user_id FROM users u JOIN conversations c ON u.user_id = c.user_id",
            &["more than one", "table.user_id"],
        ),
        (
            "SELECT user_id, count(*) FROM users",
            &["user_id", "GROUP BY"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_others_have_is_never_suggested() {
    let server = Server::start(|data| {
        lake(data);
        data.org("globex");
        data.import_table("globex", "secrets", &[json!({"passphrase": 1})]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for sql in ["SELECT * FROM secret", "SELECT passphrases FROM users"] {
        let detail = server.sql(&token, ORG, sql).await.detail(400);
        for others in ["secrets", "did you mean passphrase"] {
            assert!(!detail.contains(others), "{sql}: {detail}");
        }
    }
}

#[tokio::test]
async fn a_syntax_error_shows_its_place() {
    check_refused(&[
        (
            "SELECT user_id\nFRM users",
            &["line 2, column 5", "FRM users\n    ^"],
        ),
        (
            "SELECT (1",
            &[
                "line 1, column 10",
                "the end of the query",
                "SELECT (1\n         ^",
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_error_of_types_says_what_was_given() {
    let server = Server::start(lake);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for sql in [
        "SELECT date_trunc('day', 5)",
        "SELECT created_at + 'x' FROM conversations",
        "SELECT substring(1)",
        "SELECT sum(user_id) FROM users",
        "SELECT upper()",
        "SELECT abs('a', 'b')",
        "SELECT array_contains(5, 1)",
        "SELECT array_append(1, array(2))",
        "SELECT named_struct('a', 1).b",
        "SELECT date_format(5, 'yyyy')",
        "SELECT 1 WHERE 'a'",
        "SELECT CAST('x' AS INT)",
        "SELECT CAST('x' AS TIMESTAMP)",
    ] {
        let detail = server.sql(&token, ORG, sql).await.detail(400);
        for inner in [
            "Utf8",
            "Int64",
            "TypeSignature",
            "Coercion",
            "Coercible",
            "DataFusion",
            "NativeType",
            "Ident",
            "field:",
        ] {
            assert!(!detail.contains(inner), "{sql}: {detail}");
        }
    }
}

#[tokio::test]
async fn every_refusal_has_words_and_a_cure() {
    check_refused(&[
        ("SELECT str_to_map('a:1,a:2')", &["Duplicate map key 'a'"]),
        (
            "SELECT collect_list(user_id ORDER BY user_id) FROM users",
            &["no ORDER BY", "array_agg(x ORDER BY y)"],
        ),
        (
            "SELECT avg(CAST(parts AS DOUBLE)), avg(parts) FROM events",
            &["a cast", "subquery"],
        ),
    ])
    .await;
}
