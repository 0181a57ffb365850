//! Tables that lie elsewhere, and what tells of all tables: declared folders, foreign Delta tables, `information_schema`,
//! `sql_schema`.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ADMINISTRATOR, Answer, Data, SUPER_ADMINISTRATOR, Server, USER, log, program,
};

const ORG: &str = "acme";
const RIVAL: &str = "globex";

/// A data directory whose configuration declares tables for [`ORG`]: name, folder beside it, format.
struct Declared {
    data: Data,
    tables: String,
}

impl Declared {
    fn new() -> Self {
        let data = Data::new();
        data.org(ORG);
        let tables = String::new();
        Self { data, tables }
    }

    /// Declares a table in a folder of its own, which is made.
    fn table(&mut self, name: &str, format: &str) -> PathBuf {
        let folder = self.data.file(&format!("elsewhere/{name}"));
        fs::create_dir_all(&folder).unwrap();
        self.declare(name, &folder, format);
        folder
    }

    fn declare(&mut self, name: &str, folder: &Path, format: &str) {
        self.tables.push_str(&format!(
            "[organizations.{ORG}.tables.{name}]\npath = {:?}\nformat = {format:?}\n",
            folder.to_str().unwrap()
        ));
    }

    fn serve(&self) -> Server {
        let data_dir = self.data.path();
        let text = format!(
            "data_dir = {:?}\n{}",
            data_dir.to_str().unwrap(),
            self.tables
        );
        let config = self.data.write("settings.toml", text);
        let mut command = program();
        command.arg("--config").arg(config);
        command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
        command.env("AMIGO_ADMIN_LIMITS__RATE_LIMITS", "false");
        Server::spawn(&self.data, command)
    }

    /// A Parquet file with these rows, made by an import.
    fn parquet(&self, rows: &[Value]) -> Vec<u8> {
        let other = Data::new();
        other.org(ORG);
        other.import_table(ORG, "rows", rows);
        let files = other.files(".parquet");
        let [file] = files.as_slice() else {
            panic!("{files:?}")
        };
        fs::read(file).unwrap()
    }
}

async fn check(server: &Server, cases: &[(&str, Value)]) {
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for (sql, rows) in cases {
        assert_eq!(server.rows(&token, ORG, sql).await, *rows, "{sql}");
    }
}

fn events(first: i64) -> Vec<Value> {
    (first..first + 4)
        .map(|id| json!({"id": id, "name": format!("event {id}")}))
        .collect()
}

#[test]
fn what_is_declared_for_nobody_is_told_at_the_start() {
    let mut declared = Declared::new();
    declared.table("events", "parquet");
    declared.tables = declared.tables.replace(ORG, "acne");
    let server = declared.serve();
    let line = server.log_line(|line| line.contains("an organization that does not exist"));
    assert!(line.contains("WARN") && line.contains("acne"), "{line}");
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_read_by_the_next_query() {
    let mut declared = Declared::new();
    let events_folder = declared.table("events", "parquet");
    fs::write(
        events_folder.join("1.parquet"),
        declared.parquet(&events(1)),
    )
    .unwrap();
    let new = declared.parquet(&events(5));
    let server = declared.serve();
    let sql = "SELECT min(id), count(*) FROM events";
    check(&server, &[(sql, json!([[1, 4]]))]).await;
    fs::rename(&events_folder, events_folder.with_extension("old")).unwrap();
    fs::create_dir(&events_folder).unwrap();
    fs::write(events_folder.join("2.parquet"), new).unwrap();
    check(&server, &[(sql, json!([[5, 4]]))]).await;
}

#[tokio::test]
async fn tables_with_files_of_one_name_are_not_taken_for_each_other() {
    let mut declared = Declared::new();
    let (one, two) = (
        declared.table("one", "parquet"),
        declared.table("two", "parquet"),
    );
    let clicks = declared.table("clicks", "ndjson");
    fs::write(one.join("1.parquet"), declared.parquet(&events(1))).unwrap();
    let other = json!({"key": 3, "short": "three"});
    fs::write(two.join("1.parquet"), declared.parquet(&[other])).unwrap();
    fs::write(clicks.join("1.parquet"), "no Parquet file").unwrap();
    fs::write(clicks.join("1.json"), "{\"key\": 3}\n").unwrap();
    let server = declared.serve();
    let joined =
        "SELECT name, short FROM one JOIN two ON id = two.key JOIN clicks ON clicks.key = two.key";
    let crossed = "SELECT count(*) FROM two CROSS JOIN one";
    check(
        &server,
        &[
            (joined, json!([["event 3", "three"]])),
            (crossed, json!([[4]])),
        ],
    )
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "two lists of queries")]
async fn folders_of_files_are_tables_and_a_new_file_is_seen_by_the_next_query() {
    let mut declared = Declared::new();
    let parquet = declared.table("events", "parquet");
    let days = declared.table("daily", "parquet");
    let csv = declared.table("people", "csv");
    let ndjson = declared.table("clicks", "ndjson");
    fs::write(parquet.join("1.parquet"), declared.parquet(&events(1))).unwrap();
    for (day, first) in [("2026-01-05", 1), ("2026-01-06", 5)] {
        let folder = days.join(format!("day={day}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("x.parquet"), declared.parquet(&events(first))).unwrap();
    }
    fs::write(
        csv.join("a.csv"),
        "code,note,amount\n007,\"two\nlines, \"\"quoted\"\"\",1.50\n8,,\n",
    )
    .unwrap();
    fs::write(csv.join("ignored.txt"), "not,a,table\n").unwrap();
    fs::write(
        ndjson.join("a.json"),
        "{\"at\": \"2026-01-05T08:30:00Z\", \"n\": 1, \"who\": {\"id\": \"ann\"}, \"tags\": [\"a\", null]}\n\
         {\"at\": null, \"n\": 9007199254740993}\n",
    )
    .unwrap();
    declared
        .data
        .import_table(ORG, "names", &[json!({"id": 2, "short": "two"})]);
    let server = declared.serve();
    check(
        &server,
        &[
            (
                "SELECT count(*), min(id), max(name) FROM events",
                json!([[4, 1, "event 4"]]),
            ),
            ("SELECT name FROM events WHERE id = 3", json!([["event 3"]])),
            (
                "SELECT id FROM events ORDER BY id LIMIT 2",
                json!([[1], [2]]),
            ),
            (
                "SELECT short, name FROM names JOIN events USING (id)",
                json!([["two", "event 2"]]),
            ),
            (
                "SELECT day, count(*) FROM daily GROUP BY day ORDER BY day",
                json!([["2026-01-05", 4], ["2026-01-06", 4]]),
            ),
            (
                "SELECT id FROM daily WHERE day = '2026-01-06' AND id < 6",
                json!([[5]]),
            ),
            (
                "SELECT count(*) FROM daily WHERE day >= DATE '2026-01-06'",
                json!([[4]]),
            ),
            (
                "SELECT * FROM people ORDER BY code",
                json!([["007", "two\nlines, \"quoted\"", "1.50"], ["8", null, null]]),
            ),
            (
                "SELECT sum(CAST(amount AS DECIMAL(10,2))) FROM people",
                json!([["1.50"]]),
            ),
            (
                "SELECT n, who['id'], tags FROM clicks ORDER BY n",
                json!([["1", "ann", ["a", null]], ["9007199254740993", null, null]]),
            ),
            (
                "SELECT table_name, data_source_format FROM information_schema.tables ORDER BY 1",
                json!([
                    ["audit_log", "SYSTEM"],
                    ["clicks", "NDJSON"],
                    ["daily", "PARQUET"],
                    ["events", "PARQUET"],
                    ["names", "DELTA"],
                    ["people", "CSV"],
                    ["query_history", "SYSTEM"],
                ]),
            ),
            (
                "DESCRIBE people",
                json!([
                    ["code", "STRING", null],
                    ["note", "STRING", null],
                    ["amount", "STRING", null]
                ]),
            ),
        ],
    )
    .await;
    fs::write(parquet.join("2.parquet"), declared.parquet(&events(5))).unwrap();
    fs::write(csv.join("b.csv"), "code,note,amount\n9,new,2\n").unwrap();
    fs::write(ndjson.join("b.ndjson"), "{\"n\": 3, \"later\": true}\n").unwrap();
    fs::remove_dir_all(days.join("day=2026-01-05")).unwrap();
    check(
        &server,
        &[
            ("SELECT count(*), max(id) FROM events", json!([[8, 8]])),
            ("SELECT note FROM people WHERE code = '9'", json!([["new"]])),
            (
                "SELECT later, count(*) FROM clicks GROUP BY later ORDER BY later",
                json!([[null, 2], [true, 1]]),
            ),
            ("SELECT DISTINCT day FROM daily", json!([["2026-01-06"]])),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_name_the_lake_has_too_is_the_lakes_and_a_folder_without_files_is_no_table() {
    let mut declared = Declared::new();
    let people = declared.table("people", "csv");
    fs::write(people.join("a.csv"), "whose\ndeclared\n").unwrap();
    declared.table("empty", "parquet");
    declared.table("no_delta", "delta");
    declared.declare("missing", Path::new("/nowhere/at/all"), "csv");
    // Relative to the data directory.
    declared.declare("inside", Path::new("inbox"), "csv");
    let inside = declared.data.path().join("inbox");
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("a.csv"), "x\n1\n").unwrap();
    declared
        .data
        .import_table(ORG, "people", &[json!({"whose": "the lake's"})]);
    declared.data.org(RIVAL);
    let server = declared.serve();
    check(
        &server,
        &[
            ("SELECT whose FROM people", json!([["the lake's"]])),
            ("SELECT x FROM inside", json!([["1"]])),
            (
                "SELECT DISTINCT table_name FROM information_schema.columns ORDER BY 1",
                json!([["audit_log"], ["inside"], ["people"], ["query_history"]]),
            ),
        ],
    )
    .await;
    server.log_line(|line| line.contains("people") && line.contains("lake"));
    server.log_line(|line| line.contains("missing") && line.contains("no such folder"));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for table in ["empty", "no_delta", "missing"] {
        let sql = format!("SELECT * FROM {table}");
        let detail = server.sql(&token, ORG, &sql).await.detail(400);
        let said = format!("there is no table {table}");
        assert!(
            detail.starts_with(&said) && !detail.contains("did you mean"),
            "{detail}"
        );
    }
    let rival = server.token(RIVAL, SUPER_ADMINISTRATOR);
    let tables = server.rows(&rival, RIVAL, "SHOW TABLES").await;
    let count = tables.as_array().unwrap().len();
    assert_eq!(count, 2, "its history and its audit log: {tables}");
    server
        .sql(&rival, RIVAL, "SELECT * FROM inside")
        .await
        .detail(400);
}

/// The actions of a Delta table's one commit.
fn commit(folder: &Path, actions: &[Value]) {
    let log = folder.join("_delta_log");
    fs::create_dir_all(&log).unwrap();
    let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
    fs::write(log.join("00000000000000000000.json"), lines).unwrap();
}

fn metadata(fields: &[Value], partition_columns: &[&str], configuration: Value) -> Value {
    let schema = json!({"type": "struct", "fields": fields}).to_string();
    json!({"metaData": {
        "id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema,
        "partitionColumns": partition_columns,
        "configuration": configuration,
        "createdTime": 0,
    }})
}

fn field(name: &str, kind: &str, metadata: Value) -> Value {
    json!({"name": name, "type": kind, "nullable": true, "metadata": metadata})
}

fn add(path: &str, size: usize, partition: Value) -> Value {
    json!({"add": {
        "path": path, "size": size, "partitionValues": partition, "modificationTime": 0, "dataChange": true,
        "stats": "{\"numRecords\":4}",
    }})
}

/// The text of bytes, four to five letters (ZeroMQ's Z85).
fn z85(bytes: &[u8]) -> String {
    let letters =
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let groups = bytes.chunks_exact(4).flat_map(|group| {
        let number = u32::from_be_bytes(group.try_into().unwrap());
        [85_u32.pow(4), 85_u32.pow(3), 85_u32.pow(2), 85, 1]
            .map(|place| letters[(number / place % 85) as usize] as char)
    });
    groups.collect()
}

/// A deletion vector in the log itself that deletes two rows: one roaring bitmap with one array (Delta's protocol,
/// "Deletion Vector Format").
fn deletes(rows: [u16; 2]) -> Value {
    let mut bytes = 1_681_511_377_u32.to_le_bytes().to_vec();
    bytes.extend(1_u64.to_le_bytes());
    for number in [0_u32, 12346, 1] {
        bytes.extend(number.to_le_bytes());
    }
    for number in [0_u16, 1, 16, 0, rows[0], rows[1]] {
        bytes.extend(number.to_le_bytes());
    }
    json!({"storageType": "i", "pathOrInlineDv": z85(&bytes), "sizeInBytes": bytes.len(), "cardinality": 2})
}

#[tokio::test]
async fn delta_tables_of_other_writers_are_read_with_all_that_they_use() {
    let mut declared = Declared::new();
    let file = declared.parquet(&events(1));
    let simple = json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    let plain = [
        field("id", "long", json!({"comment": "Counts from 1"})),
        field("name", "string", json!({})),
    ];
    // Two partitions, with a comment on a column.
    let folder = declared.table("partitioned", "delta");
    let mut fields = plain.to_vec();
    fields.push(field("day", "date", json!({})));
    let mut actions = vec![simple, metadata(&fields, &["day"], json!({}))];
    for day in ["2026-01-05", "2026-01-06"] {
        let path = format!("day={day}/x.parquet");
        fs::create_dir_all(folder.join(format!("day={day}"))).unwrap();
        fs::write(folder.join(&path), &file).unwrap();
        actions.push(add(&path, file.len(), json!({"day": day})));
    }
    commit(&folder, &actions);
    // Columns that are called otherwise in the files.
    let folder = declared.table("mapped", "delta");
    fs::write(folder.join("x.parquet"), &file).unwrap();
    let mapping = |id: i64, physical: &str| json!({"delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical});
    let fields = [
        field("Number of it", "long", mapping(1, "id")),
        field("title", "string", mapping(2, "name")),
    ];
    let configuration =
        json!({"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"});
    commit(
        &folder,
        &[
            json!({"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}),
            metadata(&fields, &[], configuration),
            add("x.parquet", file.len(), json!({})),
        ],
    );
    // Rows that are deleted and still in the file.
    let folder = declared.table("deleted", "delta");
    fs::write(folder.join("x.parquet"), &file).unwrap();
    let mut with_vector = add("x.parquet", file.len(), json!({}));
    with_vector["add"]["deletionVector"] = deletes([1, 3]);
    let features = ["deletionVectors"];
    commit(
        &folder,
        &[
            json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}}),
            metadata(&plain, &[], json!({"delta.enableDeletionVectors": "true"})),
            with_vector,
        ],
    );
    let server = declared.serve();
    check(&server, &[
        ("SELECT day, count(*), max(id) FROM partitioned GROUP BY day ORDER BY day",
            json!([["2026-01-05", 4, 4], ["2026-01-06", 4, 4]])),
        ("SELECT id FROM partitioned WHERE day = DATE '2026-01-06' AND id > 3", json!([[4]])),
        ("SELECT count(*) FROM partitioned", json!([[8]])),
        ("SELECT 1 FROM partitioned LIMIT 3", json!([[1], [1], [1]])),
        ("DESCRIBE partitioned", json!([
            ["id", "BIGINT", "Counts from 1"], ["name", "STRING", null], ["day", "DATE", null],
        ])),
        ("SELECT \"Number of it\", title FROM mapped WHERE \"Number of it\" = 2", json!([[2, "event 2"]])),
        ("SELECT id FROM deleted ORDER BY id", json!([[1], [3]])),
        ("SELECT count(*) FROM deleted", json!([[2]])),
        ("SELECT count(*) FROM deleted d JOIN mapped m ON d.id = m.\"Number of it\" JOIN partitioned p ON p.id = d.id",
            json!([[4]])),
    ]).await;
}

#[tokio::test]
async fn no_plan_and_no_error_tells_where_a_declared_table_lies() {
    let mut declared = Declared::new();
    let good = declared.table("good", "parquet");
    fs::write(good.join("x.parquet"), declared.parquet(&events(1))).unwrap();
    let torn = declared.table("torn", "parquet");
    fs::write(
        torn.join("x.parquet"),
        b"not what its name says, however long it may be",
    )
    .unwrap();
    let ragged = declared.table("ragged", "csv");
    fs::write(ragged.join("x.csv"), "a,b\n1,2\n3\n").unwrap();
    let broken = declared.table("broken", "ndjson");
    fs::write(broken.join("x.json"), "{\"a\": 1}\n{\"a\": \n").unwrap();
    let mixed = declared.table("mixed", "ndjson");
    let rows: String = (0..10_001).map(|n| format!("{{\"a\": {n}}}\n")).collect();
    fs::write(mixed.join("x.json"), format!("{rows}{{\"a\": \"text\"}}\n")).unwrap();
    let no_log = declared.table("no_log", "delta");
    fs::create_dir(no_log.join("_delta_log")).unwrap();
    fs::write(no_log.join("_delta_log/00000000000000000000.json"), "{}\n").unwrap();
    let gone = declared.table("gone", "delta");
    commit(
        &gone,
        &[
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
            metadata(&[field("id", "long", json!({}))], &[], json!({})),
            add("gone.parquet", 100, json!({})),
        ],
    );
    let server = declared.serve();
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let folder = declared.data.file("elsewhere");
    let discreet = |sql: &str, answer: &Answer| {
        for inner in [folder.to_str().unwrap(), "elsewhere", "/tmp"] {
            assert!(!answer.text().contains(inner), "{sql}: {}", answer.text());
        }
    };
    for how in ["", "VERBOSE ", "ANALYZE ", "ANALYZE VERBOSE "] {
        let sql = format!("EXPLAIN {how}SELECT * FROM good WHERE id = 1");
        let answer = server.sql(&token, ORG, &sql).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        discreet(&sql, &answer);
    }
    for (table, status) in [
        ("torn", 503),
        ("ragged", 400),
        ("broken", 400),
        ("mixed", 400),
        ("no_log", 503),
        ("gone", 503),
    ] {
        // Past the first page, to the end of the longest.
        let sql = format!("SELECT * FROM {table} OFFSET 10001");
        let answer = server.sql(&token, ORG, &sql).await;
        assert_eq!(answer.status, status, "{table}: {}", answer.text());
        discreet(&sql, &answer);
    }
}

/// `GET …/sql_schema` of a caller.
async fn schema(server: &Server, token: Option<&str>, org: &str) -> Answer {
    let request = server.request(Method::GET, &format!("/v1/{org}/admin/sql_schema"));
    Answer::of(match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
}

#[tokio::test]
async fn tools_get_every_table_with_its_columns_as_json() {
    let server = Server::start(|data| {
        data.org(ORG);
        data.org(RIVAL);
        data.import_table(ORG, "users", &[json!({"user_id": "ann", "age": 7})]);
        data.import_table(RIVAL, "secrets", &[json!({"id": 1})]);
        data.import_logs(ORG, &[log("chat/1", "x", &[])]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let answer = schema(&server, Some(&token), ORG).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let tables = body["tables"].as_array().unwrap();
    let names: Vec<&Value> = tables.iter().map(|table| &table["name"]).collect();
    assert_eq!(
        names,
        ["audit_log", "prompt_logs", "query_history", "users"]
    );
    let column = |name: &str, kind: &str| json!({"name": name, "type": kind, "nullable": true, "comment": null});
    assert_eq!(
        tables[3]["columns"],
        json!([column("age", "BIGINT"), column("user_id", "STRING")])
    );
    let logs = tables[1]["columns"].as_array().unwrap();
    assert!(
        logs.iter().all(|column| column["comment"].is_string()),
        "{logs:?}"
    );
    assert_eq!(logs[0]["name"], "log_key");
    assert_eq!(logs[0]["nullable"], false);
    let described = server.rows(&token, ORG, "DESCRIBE prompt_logs").await;
    assert_eq!(described[0][2], logs[0]["comment"]);
    assert_eq!(described.as_array().unwrap().len(), logs.len());

    let empty = server.token(RIVAL, SUPER_ADMINISTRATOR);
    let names = schema(&server, Some(&empty), RIVAL).await.json();
    assert_eq!(names["tables"][2]["name"], "secrets");
    // The same callers as those of sql_query, and no others.
    schema(&server, None, ORG).await.detail(401);
    schema(&server, Some(&token), RIVAL).await.detail(401);
    for user in [USER, ADMINISTRATOR] {
        let token = server.token(ORG, user);
        schema(&server, Some(&token), ORG).await.detail(403);
    }
}

#[tokio::test]
async fn an_organization_without_tables_has_its_history_and_its_audit_log_alone() {
    let server = Server::start(|data| data.org(ORG));
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let answer = schema(&server, Some(&token), ORG).await;
    let tables = answer.json()["tables"].clone();
    assert_eq!(tables.as_array().unwrap().len(), 2, "{tables}");
    assert_eq!(tables[0]["name"], "audit_log");
    assert_eq!(tables[0]["columns"][0]["name"], "seq");
    assert_eq!(tables[1]["name"], "query_history");
    assert_eq!(tables[1]["columns"][0]["name"], "query_id");
}

#[tokio::test]
async fn joins_are_planned_by_how_many_different_keys_there_can_be() {
    let server = Server::start(|data| {
        data.org(ORG);
        let customers: Vec<Value> = (0..100).map(|id| json!({"id": id})).collect();
        data.import_table(ORG, "customers", &customers);
        let orders = (0..1000).map(|n| json!({"n": n - 7, "customer_id": n % 100}));
        let without = json!({"n": null, "customer_id": null});
        let orders: Vec<Value> = orders.chain([without]).collect();
        data.import_table(ORG, "orders", &orders);
    });
    let join = "FROM customers c JOIN orders o ON c.id = o.customer_id";
    let counted = format!("SELECT count(*), min(o.n), max(c.id) {join}");
    check(
        &server,
        &[
            (&counted, json!([[1000, -7, 99]])),
            (
                "SELECT min(n), max(n), count(n), count(*) FROM orders",
                json!([[-7, 992, 1000, 1001]]),
            ),
            ("SELECT count(*) FROM orders WHERE n IS NULL", json!([[1]])),
        ],
    )
    .await;
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let explain = format!("EXPLAIN VERBOSE SELECT c.id, o.n {join}");
    let plans = server.rows(&token, ORG, &explain).await;
    let plans = plans.as_array().unwrap().iter();
    let plan = plans.filter(|row| row[0] == "initial_physical_plan_with_stats");
    let plan = plan.map(|row| row[1].as_str().unwrap().to_owned());
    let plan = plan.collect::<String>();
    let join = plan.lines().find(|line| line.contains("HashJoinExec"));
    // A planner that takes every key for another one expects 100 rows.
    assert!(join.unwrap().contains("Rows=Inexact(100"), "{plan}");
    assert!(!join.unwrap().contains("Rows=Inexact(100)"), "{plan}");
}
