//! The Prometheus of `docs/operations.md`: its configuration and alerts in a real one, which reads a real server.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::metrics::address;
use super::{ORG, acme};
use crate::support::{Answer, SUPER_ADMINISTRATOR, Server, log, stderr};

const DOCUMENT: &str = include_str!("../../../docs/operations.md");
/// Where the document says that metrics are served.
const LISTENING: &str = "127.0.0.1:9464";
/// Before the document's own: a Prometheus in a hurry.
const HEAD: &str =
    "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n";

/// The block of YAML in the document that begins so.
fn block(beginning: &str) -> &'static str {
    let blocks = DOCUMENT.split("```yaml\n").skip(1);
    let mut blocks = blocks.map(|block| block.split_once("```").unwrap().0);
    let found = blocks.find(|block| block.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no block begins with {beginning}"))
}

/// A program of Prometheus, which `scripts/test` unpacks where none is installed.
fn program(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unpacked = root.join("target/prometheus/usr/bin").join(name);
    if unpacked.exists() {
        unpacked
    } else {
        name.into()
    }
}

struct Prometheus {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Prometheus {
    /// Checks the configuration with the program's own checker, and starts it.
    fn start(folder: &Path, config: &str, rules: &str) -> Self {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("rules.yml"), rules).unwrap();
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let checked = Command::new(program("promtool"))
            .args(["check", "config"])
            .arg(&file)
            .output()
            .unwrap_or_else(|error| panic!("{error}: scripts/test gets Prometheus"));
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{said}{}", stderr(&checked));

        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            url: format!("http://{address}/api/v1"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Asks until the answer's data are as wanted; returns what was found in them.
    async fn wait_for<T>(&self, path: &str, find: impl Fn(&Value) -> Option<T>) -> T {
        let mut last = Value::Null;
        for _ in 0..600 {
            if let Ok(answer) = self.http.get(format!("{}/{path}", self.url)).send().await {
                last = answer.json().await.unwrap_or_default();
                if let Some(found) = find(&last["data"]) {
                    return found;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path}: {last}");
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_prometheus_reads_the_server_and_its_alerts_work() {
    // `scripts/test` sets it where it cannot get one, and says so at its end.
    if std::env::var_os("AMIGO_TEST_WITHOUT_PROMETHEUS").is_some() {
        return;
    }
    let settings = [("SERVER__METRICS_LISTEN", "127.0.0.1:0")];
    let server = Server::start_with(&settings, acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let config = block("scrape_configs:").replace(LISTENING, &address(&server));
    let rules = block("groups:");
    let folder = server.data.file("prometheus");
    let prometheus = Prometheus::start(&folder, &format!("{HEAD}{config}"), rules);

    prometheus
        .wait_for("targets", |data| {
            (data["activeTargets"][0]["health"] == "up").then_some(())
        })
        .await;
    let names = prometheus
        .wait_for("rules", |data| {
            let rules = data["groups"][0]["rules"].as_array()?;
            let names = rules
                .iter()
                .map(|rule| rule["name"].as_str().map(str::to_owned));
            let all_ok = rules.iter().all(|rule| rule["health"] == "ok");
            all_ok.then(|| names.collect::<Option<Vec<String>>>())?
        })
        .await;
    assert_eq!(names.len(), rules.matches("- alert:").count());
    let no_alerts = |data: &Value| data["alerts"].as_array().map(Vec::is_empty);
    assert!(prometheus.wait_for("alerts", no_alerts).await);

    // What cannot be read cannot be added to: a write fails, the first one that ever did.
    let failed = "query?query=amigo_admin_commits_total{work=%22write%22,outcome=%22failed%22}";
    let value = |data: &Value| data["result"][0]["value"][1].as_str().map(str::to_owned);
    assert_eq!(prometheus.wait_for(failed, value).await, "0");
    let lake = server.data.path().join("lake");
    let commits = server.data.files(".json");
    let newest = commits.iter().rfind(|file| file.starts_with(&lake));
    std::fs::write(newest.unwrap(), "no commit").unwrap();
    let written = server
        .request(Method::POST, &format!("/v1/{ORG}/admin/prompt_logs"))
        .bearer_auth(&token)
        .body(log("new/1", "s", &[]).to_string());
    Answer::of(written).await.detail(503);
    prometheus
        .wait_for("alerts", |data| {
            let alerts = data["alerts"].as_array()?;
            let fires = |alert: &Value| {
                alert["labels"]["alertname"] == "AmigoAdminWritesFail" && alert["state"] == "firing"
            };
            alerts.iter().any(fires).then_some(())
        })
        .await;
}
