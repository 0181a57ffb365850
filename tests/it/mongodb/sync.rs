//! Copies of collections in the lake: whole, of what changed, again, and killed.

use std::process::{Child, Output, Stdio};
use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};

use super::proxy::Fate;
use super::server::Mongodb;
use super::{Live, ORG, Set, config_file};
use crate::support::{Data, stderr};

const START: i64 = 1_704_067_200_000;

fn message(id: i32, text: &str, minute: i64) -> Document {
    let updated_at = DateTime::from_millis(START + minute * 60_000);
    doc! {"_id": id, "text": text, "updated_at": updated_at, "of": {"n": id}}
}

fn sync(data: &Data, more: &[&str]) -> Output {
    let mut command = data.command();
    command.arg("--config").arg(config_file(data)).arg("--json");
    command.args(["table", "sync", ORG, "messages"]).args(more);
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn synced(data: &Data, more: &[&str]) -> Value {
    let output = sync(data, more);
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn live(serve: &str) -> Option<Live> {
    let mongodb = Mongodb::start()?;
    let messages = (0..3_000).map(|id| message(id, "first", 0));
    mongodb.load(ORG, "messages", messages).await;
    let set = Set {
        cluster: serve,
        ..Set::default()
    };
    Some(Live::start(mongodb, set).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_whole_and_then_what_changed_and_is_safe_to_repeat() {
    let Some(live) = live("batch_documents = 500").await else {
        return;
    };
    const COUNTS: &str =
        "SELECT text, count(*), count(DISTINCT _id) FROM messages GROUP BY text ORDER BY text";
    let data = live.server.data.clone();
    let first = synced(&data, &["--since-field", "updated_at"]);
    assert_eq!(
        (&first["rows"], &first["whole"]),
        (&json!(3_000), &json!(true))
    );
    let collection = live.mongodb.database(ORG).await.collection("messages");
    // From now on the lake's copy is read.
    collection
        .insert_one(message(5_000, "new", 1))
        .await
        .unwrap();
    assert_eq!(
        live.rows_soon(ORG, COUNTS).await,
        json!([["first", 3_000, 3_000]])
    );
    let change =
        doc! {"$set": {"text": "changed", "updated_at": DateTime::from_millis(START + 60_000)}};
    collection
        .update_many(doc! {"_id": {"$lt": 10}}, change)
        .await
        .unwrap();
    let second = synced(&data, &["--since-field", "updated_at"]);
    assert_eq!(second["whole"], false);
    let now = json!([["changed", 10, 10], ["first", 2_990, 2_990], ["new", 1, 1]]);
    assert_eq!(live.rows(ORG, COUNTS).await, now);
    for _ in 0..2 {
        synced(&data, &["--since-field", "updated_at"]);
        assert_eq!(live.rows(ORG, COUNTS).await, now);
    }
    // The values are those of the collection.
    live.check(&[(
        "SELECT _id, text, updated_at, of:n FROM messages WHERE _id IN (3, 20) ORDER BY _id",
        json!([
            [3, "changed", "2024-01-01T00:01:00Z", "3"],
            [20, "first", "2024-01-01T00:00:00Z", "20"],
        ]),
    )])
    .await;
    // What was deleted goes with a full copy.
    collection
        .delete_many(doc! {"_id": {"$gte": 100}})
        .await
        .unwrap();
    let full = synced(&data, &["--full"]);
    assert_eq!((&full["rows"], &full["whole"]), (&json!(100), &json!(true)));
    assert_eq!(
        live.rows(ORG, COUNTS).await,
        json!([["changed", 10, 10], ["first", 90, 90]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_has_changed_nothing() {
    let Some(live) = live("batch_documents = 500").await else {
        return;
    };
    let data = live.server.data.clone();
    live.proxy
        .set("getMore", Fate::Late(Duration::from_millis(300)));
    let mut command = data.command();
    command.arg("--config").arg(config_file(&data));
    command.args(["table", "sync", ORG, "messages"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while live.proxy.named("getMore").len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    live.proxy.clear();
    // Read from the cluster as before, and copied by the next one.
    assert_eq!(
        live.rows(ORG, "SELECT count(*) FROM messages").await,
        json!([[3_000]])
    );
    assert_eq!(synced(&data, &[])["rows"], 3_000);
    live.mongodb
        .database(ORG)
        .await
        .collection::<Document>("messages")
        .delete_many(doc! {})
        .await
        .unwrap();
    assert_eq!(
        live.rows(ORG, "SELECT count(*), count(DISTINCT _id) FROM messages")
            .await,
        json!([[3_000, 3_000]])
    );
    // A cluster that is away is told as such.
    live.proxy.close();
    let output = sync(&data, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("does not answer"), "{said}");
    live.proxy.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_read_from_the_cluster_stays_there_beside_its_copy() {
    let Some(live) = live("[clusters.main.collections.messages]\nserve = \"mongodb\"").await else {
        return;
    };
    synced(&live.server.data, &[]);
    let collection = live.mongodb.database(ORG).await.collection("messages");
    collection
        .insert_one(message(5_000, "new", 1))
        .await
        .unwrap();
    assert_eq!(
        live.rows(ORG, "SELECT count(*) FROM messages").await,
        json!([[3_001]])
    );
}

/// Copies in another process, slowly, once it has begun to read.
async fn copying(live: &Live, more: &[&str]) -> Child {
    live.proxy.forget_commands();
    live.proxy
        .set("getMore", Fate::Late(Duration::from_millis(300)));
    let data = &live.server.data;
    let mut command = data.command();
    command.arg("--config").arg(config_file(data));
    command.args(["table", "sync", ORG, "messages"]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    while live.proxy.named("getMore").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child
}

fn import(data: &Data, more: &[&str]) -> Output {
    let file = data.write("rows.ndjson", "{\"_id\": 1, \"text\": \"imported\"}\n");
    let mut command = data.command();
    command.arg("--config").arg(config_file(data));
    command.args(["table", "import", ORG, "messages"]);
    command.arg(file).args(more).stdin(Stdio::null());
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_a_table_that_is_being_copied_is_refused() {
    let Some(live) = live("batch_documents = 500").await else {
        return;
    };
    let data = live.server.data.clone();
    let since = ["--since-field", "updated_at"];
    synced(&data, &since);
    let child = copying(&live, &["--full"]).await;
    for refused in [
        sync(&data, &since),
        sync(&data, &["--full"]),
        import(&data, &["--replace"]),
        import(&data, &[]),
    ] {
        assert_eq!(refused.status.code(), Some(1));
        let said = stderr(&refused);
        assert!(said.contains("is running"), "{said}");
    }
    let copied = child.wait_with_output().unwrap();
    assert!(copied.status.success(), "{}", stderr(&copied));
    live.proxy.clear();
    const COUNT: &str = "SELECT text, count(*) FROM messages GROUP BY text";
    assert_eq!(live.rows_soon(ORG, COUNT).await, json!([["first", 3_000]]));
    // One that was killed is in nobody's way.
    let mut child = copying(&live, &["--full"]).await;
    child.kill().unwrap();
    child.wait().unwrap();
    live.proxy.clear();
    assert_eq!(synced(&data, &since)["whole"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_of_something_else_is_copied_anew() {
    const COLUMNS: &str = "[clusters.main.collections.messages]\ncolumns = [
        { name = \"_id\", type = \"BIGINT\" },
        { name = \"text\", type = \"STRING\" },
        { name = \"updated_at\", type = \"TIMESTAMP\" },
    ]";
    let Some(live) = live(COLUMNS).await else {
        return;
    };
    let data = live.server.data.clone();
    let since = ["--since-field", "updated_at"];
    let declared = std::fs::read_to_string(config_file(&data)).unwrap();
    let count = "SELECT count(*), count(DISTINCT _id), min(text) FROM messages";
    for (column, first) in [
        ("type = \"STRING\"", json!("first")),
        ("type = \"JSON\"", json!("\"first\"")),
        ("type = \"JSON\", path = \"of\"", json!("{\"n\":0}")),
    ] {
        let changed = declared.replace("type = \"STRING\"", column);
        std::fs::write(config_file(&data), changed).unwrap();
        assert_eq!(synced(&data, &since)["whole"], true, "{column}");
        assert_eq!(synced(&data, &since)["whole"], false, "{column}");
        let rows = live.rows_soon(ORG, count).await;
        let row = rows[0].as_array().unwrap();
        assert_eq!(row[..], [json!(3_000), json!(3_000), first], "{column}");
    }
    // Other documents, none of them younger than the last of the copy.
    let others = (0..2).map(|id| message(id, "other", 0));
    live.mongodb.load(ORG, "others", others).await;
    let table = "[clusters.main.collections.messages]\n";
    let moved = declared.replace(table, &format!("{table}collection = \"others\"\n"));
    std::fs::write(config_file(&data), moved).unwrap();
    assert_eq!(synced(&data, &since)["whole"], true);
    assert_eq!(synced(&data, &since)["whole"], false);
    let rows = live.rows_soon(ORG, count).await;
    assert_eq!(rows[0], json!([2, 2, "other"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_imported_are_only_replaced_with_full() {
    let Some(live) = live("").await else {
        return;
    };
    let data = live.server.data.clone();
    let since = ["--since-field", "updated_at"];
    for (how, rows) in [
        (&["--replace"] as &[&str], json!([["imported", 1]])),
        (&[], json!([["first", 3_000], ["imported", 1]])),
    ] {
        synced(&data, &[&since as &[&str], &["--full"]].concat());
        let imported = import(&data, how);
        assert!(imported.status.success(), "{}", stderr(&imported));
        for more in [&since as &[&str], &[]] {
            let refused = sync(&data, more);
            assert_eq!(refused.status.code(), Some(1), "{how:?} {more:?}");
            let said = stderr(&refused);
            assert!(said.contains("--full"), "{said}");
        }
        const COUNT: &str = "SELECT text, count(*) FROM messages GROUP BY text ORDER BY text";
        assert_eq!(live.rows_soon(ORG, COUNT).await, rows, "{how:?}");
    }
    assert_eq!(synced(&data, &["--full"])["rows"], 3_000);
    assert_eq!(synced(&data, &[])["rows"], 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_asked_of_the_one_server_that_has_every_change() {
    let Some(live) = live("batch_documents = 500").await else {
        return;
    };
    let (live, second) = live.with_two_servers().await;
    let data = live.server.data.clone();
    for (more, elsewhere) in [
        (&["--since-field", "updated_at"] as &[&str], false),
        (&["--since-field", "updated_at"], false),
        (&["--full"], true),
    ] {
        live.proxy.forget_commands();
        second.forget_commands();
        synced(&data, more);
        let mut finds = live.proxy.named("find");
        finds.extend(second.named("find"));
        finds.retain(|find| find.to_string().contains("table sync"));
        assert!(!finds.is_empty(), "{more:?}");
        for find in finds {
            let may_be_behind = find.to_string().contains("secondary");
            assert_eq!(may_be_behind, elsewhere, "{more:?}: {find}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_in_the_future_does_not_keep_later_changes_away() {
    let Some(live) = live("batch_documents = 500").await else {
        return;
    };
    let data = live.server.data.clone();
    let since = ["--since-field", "updated_at"];
    let collection = live.mongodb.database(ORG).await.collection("messages");
    let far = DateTime::from_millis(253_402_214_400_000);
    let far = doc! {"_id": 9_000, "text": "far", "updated_at": far};
    collection.insert_one(far).await.unwrap();
    let first = sync(&data, &since);
    assert!(first.status.success(), "{}", stderr(&first));
    let said = stderr(&first);
    assert!(said.contains("updated_at lies in the future"), "{said}");
    let new = doc! {"_id": 9_001, "text": "new", "updated_at": DateTime::now()};
    collection.insert_one(new).await.unwrap();
    let second = synced(&data, &since);
    let changed = (&second["rows"], &second["whole"]);
    assert_eq!(changed, (&json!(2), &json!(false)));
    const COUNT: &str = "SELECT text, count(*) FROM messages GROUP BY text ORDER BY text";
    let rows = json!([["far", 1], ["first", 3_000], ["new", 1]]);
    assert_eq!(live.rows_soon(ORG, COUNT).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instant_that_the_lake_cannot_hold_is_counted_and_fails_a_strict_table() {
    let Some(live) = live("").await else {
        return;
    };
    let data = live.server.data.clone();
    let collection = live.mongodb.database(ORG).await.collection("messages");
    let beyond = DateTime::from_millis(i64::MAX / 1_000 + 1);
    let beyond = doc! {"_id": 9_000, "text": "beyond", "updated_at": beyond};
    collection.insert_one(beyond).await.unwrap();
    assert_eq!(synced(&data, &[])["misfits"], 1);
    let mut config = std::fs::read_to_string(config_file(&data)).unwrap();
    config.push_str("[clusters.main.collections.messages]\nstrict = true\n");
    std::fs::write(config_file(&data), config).unwrap();
    let refused = sync(&data, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("`updated_at`, which is strict"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_later_copy_could_be_made_of_is_refused_at_once() {
    const COLUMNS: &str = "[clusters.main.collections.messages]\ncolumns = [
        { name = \"_id\", type = \"BIGINT\" },
        { name = \"updated_at\", type = \"TIMESTAMP\" },
    ]";
    let Some(live) = live(COLUMNS).await else {
        return;
    };
    let data = live.server.data.clone();
    let since = ["--since-field", "updated_at"];
    let declared = std::fs::read_to_string(config_file(&data)).unwrap();
    for (kind, word) in [("DOUBLE", "told apart"), ("STRING", "does not fit")] {
        let changed = declared.replace("BIGINT", kind);
        std::fs::write(config_file(&data), changed).unwrap();
        let refused = sync(&data, &since);
        assert_eq!(refused.status.code(), Some(1), "{kind}");
        let said = stderr(&refused);
        assert!(said.contains(word), "{kind}: {said}");
    }
    std::fs::write(config_file(&data), &declared).unwrap();
    assert_eq!(synced(&data, &since)["rows"], 3_000);
    // A collection that is gone leaves the copy as it is.
    let database = live.mongodb.database(ORG).await;
    let messages = database.collection::<Document>("messages");
    messages.drop().await.unwrap();
    for more in [&since as &[&str], &[], &["--full"]] {
        let refused = sync(&data, more);
        assert_eq!(refused.status.code(), Some(1), "{more:?}");
        let said = stderr(&refused);
        assert!(said.contains("no collection"), "{more:?}: {said}");
    }
    let count = "SELECT count(*) FROM messages";
    assert_eq!(live.rows_soon(ORG, count).await, json!([[3_000]]));
}
