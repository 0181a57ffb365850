//! `GET /metrics`, read with Prometheus' own parser after real requests.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ORG, acme};
use crate::prompt_logs::at;
use crate::real_input::python;
use crate::support::{Answer, SUPER_ADMINISTRATOR, Server, log, stderr, wait_for};

const SETTINGS: [(&str, &str); 4] = [
    ("SERVER__METRICS_LISTEN", "127.0.0.1:0"),
    ("LIMITS__RATE_LIMITS", "true"),
    ("LIMITS__SQL_PER_MINUTE", "3"),
    ("LIMITS__SQL_SECONDS", "5"),
];

const LOGS: &str = "/v1/{organization}/admin/get_prompt_logs/";
const SQL: &str = "/v1/{organization}/admin/sql_query";

/// What a server counts, as Prometheus reads it.
struct Samples(Vec<Value>);

impl Samples {
    async fn read(server: &Server) -> Self {
        let url = format!("http://{}/metrics", address(server));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = Answer::of(client.get(url)).await;
        assert_eq!(answer.status, 200);
        let media_type = answer.header("content-type").unwrap();
        assert!(
            media_type.starts_with("application/openmetrics-text"),
            "{media_type}"
        );
        Self(parse(&answer.text()))
    }

    /// The value of a sample; its other labels may be anything.
    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is_it = |sample: &&Value| {
            sample["name"] == name
                && labels
                    .iter()
                    .all(|(name, value)| sample["labels"][*name] == *value)
        };
        self.0.iter().find(is_it)?["value"].as_f64()
    }

    #[track_caller]
    fn check(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        assert_eq!(self.find(name, labels), Some(expected), "{name} {labels:?}");
    }
}

/// Where the server's metrics are served.
pub(super) fn address(server: &Server) -> String {
    let line = server.log_line(|line| line.contains("serving metrics"));
    let line: Value = serde_json::from_str(&line).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

fn parse(text: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(python(root))
        .arg(root.join("tests/metrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", stderr(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_did_is_counted_and_names_nobody() {
    let server = Server::start_with(&SETTINGS, |data| {
        acme(data);
        let rows: Vec<Value> = (0..200).map(|n| json!({"n": n})).collect();
        data.import_table(ORG, "t", &rows);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let archive = server.logs(&token, ORG, "chat/").await;
    assert_eq!(archive.status, 200);
    server.logs(&token, ORG, "nothing/").await.detail(404);
    assert_eq!(server.sql(&token, ORG, "SELECT 1").await.status, 200);
    server.sql(&token, ORG, "SELEC 1").await.detail(400);
    let endless =
        "SELECT count(*) FROM t a, t b, t c, t d, t e WHERE a.n + b.n + c.n + d.n + e.n = -1";
    server.sql(&token, ORG, endless).await.detail(408);
    server.sql(&token, ORG, "SELECT 1").await.detail(429);
    let written = server
        .request(Method::POST, &format!("/v1/{ORG}/admin/prompt_logs"))
        .bearer_auth(&token)
        .body(log("new/1", "s", &[]).to_string());
    assert_eq!(Answer::of(written).await.status, 200);
    let method = Method::from_bytes(b"BREW").unwrap();
    Answer::of(server.request(method, "/healthz"))
        .await
        .detail(405);

    let samples = Samples::read(&server).await;
    check_requests(&samples);
    check_queries(&samples);
    let bytes = archive.body.len() as f64;
    samples.check(
        "amigo_admin_download_bytes_total",
        &[("content", "prompt_logs")],
        bytes,
    );
    let workers = samples.find("amigo_admin_sql_workers", &[]).unwrap();
    assert_eq!(
        workers as usize,
        crate::support::children(server.pid()).len()
    );
    // Whoever reaches the API does not reach the metrics.
    Answer::of(server.request(Method::GET, "/metrics"))
        .await
        .detail(404);
}

fn check_requests(samples: &Samples) {
    let requests = "amigo_admin_requests_total";
    samples.check(
        requests,
        &[("route", LOGS), ("method", "GET"), ("status", "200")],
        1.0,
    );
    samples.check(
        requests,
        &[("route", LOGS), ("method", "GET"), ("status", "404")],
        1.0,
    );
    samples.check(
        requests,
        &[("route", SQL), ("method", "POST"), ("status", "429")],
        1.0,
    );
    samples.check(requests, &[("method", "other"), ("status", "405")], 1.0);
    let seconds = "amigo_admin_request_duration_seconds";
    samples.check(&format!("{seconds}_count"), &[("route", SQL)], 4.0);
    let sum = samples.find(&format!("{seconds}_sum"), &[("route", SQL)]);
    assert!(sum.is_some_and(|sum| (5.0..60.0).contains(&sum)), "{sum:?}");
    samples.check(
        "amigo_admin_rate_limited_total",
        &[("endpoint", "SqlQuery")],
        1.0,
    );
    samples.check("amigo_admin_prompt_logs_written_total", &[], 1.0);
    let labels = [("work", "write"), ("outcome", "written")];
    samples.check("amigo_admin_commits_total", &labels, 1.0);
    samples.check(
        "amigo_admin_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    let memory = samples.find("process_resident_memory_bytes", &[]);
    assert!(memory.is_some_and(|bytes| bytes > 1e6), "{memory:?}");
    assert!(
        samples
            .find("process_open_fds", &[])
            .is_some_and(|files| files > 3.0)
    );
    for sample in &samples.0 {
        let labels = sample["labels"].to_string();
        for name in [ORG, SUPER_ADMINISTRATOR, "chat/", "BREW"] {
            assert!(!labels.contains(name), "{sample}");
        }
    }
}

fn check_queries(samples: &Samples) {
    for outcome in ["succeeded", "invalid", "timed_out"] {
        let labels = [("answer", "page"), ("outcome", outcome)];
        samples.check("amigo_admin_sql_queries_total", &labels, 1.0);
    }
    samples.check(
        "amigo_admin_sql_wait_seconds_count",
        &[("answer", "page")],
        3.0,
    );
    samples.check("amigo_admin_sql_waiting", &[("answer", "page")], 0.0);
    samples.check("amigo_admin_sql_running", &[("answer", "page")], 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_run_and_wait_and_workers_that_die_are_seen() {
    let settings = [
        ("SERVER__METRICS_LISTEN", "127.0.0.1:0"),
        ("LIMITS__SQL_WORKERS", "1"),
    ];
    let server = Server::start_with(&settings, |data| {
        acme(data);
        let rows: Vec<Value> = (0..200).map(|n| json!({"n": n})).collect();
        data.import_table(ORG, "t", &rows);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let endless =
        "SELECT count(*) FROM t a, t b, t c, t d, t e WHERE a.n + b.n + c.n + d.n + e.n = -1";
    let queries: Vec<_> = (0..3)
        .map(|_| tokio::spawn(server.sql_request(&token, ORG, endless).send()))
        .collect();
    let page = [("answer", "page")];
    let mut seen = (None, None);
    for _ in 0..200 {
        let samples = Samples::read(&server).await;
        let count = |name: &str| samples.find(&format!("amigo_admin_sql_{name}"), &page);
        seen = (count("running"), count("waiting"));
        if seen == (Some(1.0), Some(2.0)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(seen, (Some(1.0), Some(2.0)));
    for query in &queries {
        query.abort();
    }
    for _ in 0..200 {
        let samples = Samples::read(&server).await;
        let labels = [("answer", "page"), ("outcome", "stopped")];
        if samples.find("amigo_admin_sql_queries_total", &labels) == Some(3.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let samples = Samples::read(&server).await;
    let labels = [("answer", "page"), ("outcome", "stopped")];
    samples.check("amigo_admin_sql_queries_total", &labels, 3.0);
    samples.check("amigo_admin_sql_running", &page, 0.0);

    let query = tokio::spawn(server.sql_request(&token, ORG, endless).send());
    let busy = wait_for("a worker to be busy", || {
        let child = crate::support::busiest(server.pid());
        (crate::support::ticks(child) > 200).then_some(child)
    });
    let pid = rustix::process::Pid::from_raw(i32::try_from(busy).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(query.await.unwrap().unwrap().status(), 400);
    let samples = Samples::read(&server).await;
    samples.check("amigo_admin_sql_workers_died_total", &[], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_the_server_s_own_work_are_counted_and_those_that_fail() {
    let settings = [
        ("SERVER__METRICS_LISTEN", "127.0.0.1:0"),
        ("KEEPING__EXPIRE_SECONDS", "1"),
    ];
    let server = Server::start_with(&settings, |data| {
        data.org(ORG);
        let old = Utc::now() - TimeDelta::days(400);
        data.force_logs(ORG, &[at(old, log("old/1", "s", &[]))]);
        // So many small files of a day are due to be merged.
        for number in 0..8 {
            data.import_logs(ORG, &[log(&format!("new/{number}"), "s", &[])]);
        }
    });
    let reaches = async |work: &str, outcome: &str| {
        let labels = [("work", work), ("outcome", outcome)];
        for _ in 0..400 {
            let samples = Samples::read(&server).await;
            let commits = samples.find("amigo_admin_commits_total", &labels);
            if commits.is_some_and(|commits| commits > 0.0) {
                return samples;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{work} {outcome}: {}", server.log().join("\n"));
    };
    for work in ["expire", "merge"] {
        let samples = reaches(work, "written").await;
        let labels = [("work", work), ("outcome", "written")];
        samples.check("amigo_admin_commits_total", &labels, 1.0);
    }
    // A commit that cannot be read hinders both.
    let commits = server.data.files(".json");
    let newest = commits
        .iter()
        .rfind(|file| file.starts_with(server.data.path().join("lake")));
    std::fs::write(newest.unwrap(), "no commit").unwrap();
    for work in ["expire", "merge"] {
        reaches(work, "failed").await;
    }
}
