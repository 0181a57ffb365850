//! The archive as a table of SQL queries.

use serde_json::{Value, json};

use super::{ORG, noise, serve};
use crate::support::{Server, children, log};

/// What proc_pid_io(5) calls `rchar`, of all query workers.
fn bytes_read(server: &Server) -> u64 {
    let of = |pid: u32| {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
        read.unwrap().parse::<u64>().unwrap()
    };
    children(server.pid()).into_iter().map(of).sum()
}

#[tokio::test]
async fn a_query_reads_the_logs_it_names_and_few_others() {
    // In one file, of several row groups, whose prompts are read together.
    let logs: Vec<Value> = (0..20_000)
        .map(|n| {
            let mut log = log(&format!("c/{:04}/{}", n / 4, n % 4), &noise(n, 400), &["x"]);
            log["conversation_id"] = json!(format!("{:04}", n / 4));
            log
        })
        .collect();
    let (server, token) = serve(&logs);
    // The rows, and the bytes that the workers read for them: the history does not tell.
    let ask = async |condition: &str| {
        let sql = format!(
            "SELECT count(*), count(DISTINCT log_key), min(log_key), max(system) FROM prompt_logs {condition}"
        );
        let before = bytes_read(&server);
        let rows = server.rows(&token, ORG, &sql).await;
        (rows[0].clone(), bytes_read(&server) - before)
    };
    // A worker that knows the table.
    ask("").await;
    let (all, whole) = ask("").await;
    assert_eq!(all[0], 20_000);
    for (condition, first, last) in [
        ("log_key = 'c/0700/1'", 2801, 2801),
        ("log_key IN ('c/0700/1', 'c/0700/2')", 2801, 2802),
        ("log_key LIKE 'c/0700/%'", 2800, 2803),
        ("starts_with(log_key, 'c/0700/')", 2800, 2803),
        ("log_key BETWEEN 'c/0700/1' AND 'c/0700/3'", 2801, 2803),
        ("'c/0700/2' = log_key OR log_key = 'c/0700/3'", 2802, 2803),
        ("conversation_id = '0700'", 2800, 2803),
        (
            "log_key >= 'c/0700/0' AND log_key < 'c/0701/' AND service_id = 'support'",
            2800,
            2803,
        ),
    ] {
        let (found, scanned) = ask(&format!("WHERE {condition}")).await;
        let texts = logs[first..=last].iter().map(|log| log["system"].as_str());
        let count = last - first + 1;
        let expected = json!([count, count, logs[first]["log_key"], texts.max()]);
        assert_eq!(found, expected, "{condition}");
        assert!(
            scanned * 3 < whole,
            "{condition} reads {scanned} of {whole} bytes"
        );
    }
    // What no page can tell by its bounds is answered all the same.
    for (condition, count) in [
        ("log_key LIKE '%/0700/_'", 4),
        ("log_key <> 'c/0700/1'", 19_999),
        ("log_key ILIKE 'C/0700/%'", 4),
        ("log_key NOT LIKE 'c/0700/%'", 19_996),
        ("log_key = 'c/9999/0'", 0),
    ] {
        let (found, _) = ask(&format!("WHERE {condition}")).await;
        assert_eq!(found[0], count, "{condition}");
    }
}
