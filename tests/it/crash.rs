//! The server killed with `kill -9` at random points, over and over: what was acknowledged is there, byte for byte and
//! once, and what was not is there as a whole request or not at all.
//!
//! Writers post new, replaced and repeated logs while the server merges and expires in the background and an operator's
//! commands do the same beside it, and are killed as well. `AMIGO_CRASH_KILLS` makes the run longer, `AMIGO_CRASH_SEED`
//! repeats the choices of an earlier one (not its timing). What `kill -9` cannot show, that files reach the disk, is in
//! `durability`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::prompt_logs::{ORG, at, expected};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log, ndjson};

const WRITERS: u64 = 4;
/// How many rounds back a writer replaces and repeats logs; all of them are looked at after each kill.
const ROUNDS_BACK: u64 = 3;
/// How long writers write at most before the server is killed.
const ROUND_MAX: Duration = Duration::from_secs(4);
const PATH: &str = "/v1/acme/admin/prompt_logs/";

/// Pseudo-random choices.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 8] = [
            "ask ",
            "é",
            "\n---\n",
            "\0",
            "🦀",
            "PK\u{3}\u{4}",
            "agent ",
            "\u{202e}",
        ];
        let length = self.below(60);
        (0..length).map(|_| WORDS[self.below(8) as usize]).collect()
    }
}

/// One writer, and what the server told it is written.
struct Writer {
    number: u64,
    chance: Chance,
    acknowledged: BTreeMap<String, Value>,
    count: u64,
}

impl Writer {
    fn folder(&self, round: u64) -> String {
        format!("r{round:03}/w{}/", self.number)
    }

    /// Logs whose keys are all different: new ones, and other or the same versions of known ones.
    fn batch(&mut self, round: u64, now: DateTime<Utc>) -> Vec<Value> {
        let mut batch = BTreeMap::new();
        let from = self.folder(round.saturating_sub(ROUNDS_BACK));
        let known: Vec<String> = self
            .acknowledged
            .range(from..)
            .map(|(key, _)| key.clone())
            .collect();
        for _ in 0..1 + self.chance.below(12) {
            let choice = self.chance.below(4);
            let known = &known[..];
            let key = if choice < 2 || known.is_empty() {
                self.count += 1;
                format!("{}{:06}", self.folder(round), self.count)
            } else {
                known[self.chance.below(known.len() as u64) as usize].clone()
            };
            let same = self.acknowledged.get(&key).filter(|_| choice == 3).cloned();
            let new = same.unwrap_or_else(|| {
                let history: Vec<String> = (0..self.chance.below(5))
                    .map(|_| self.chance.text())
                    .collect();
                let history: Vec<&str> = history.iter().map(String::as_str).collect();
                let age = TimeDelta::hours(self.chance.below(24 * 20) as i64);
                at(now - age, log(&key, &self.chance.text(), &history))
            });
            batch.insert(key, new);
        }
        batch.into_values().collect()
    }

    /// Posts batch after batch until the server is gone; returns the one that got no answer.
    async fn write(&mut self, server: &Connection, round: u64, now: DateTime<Utc>) -> Vec<Value> {
        loop {
            let batch = self.batch(round, now);
            let body = if self.chance.below(2) == 0 {
                ndjson(&batch)
            } else {
                json!(batch).to_string()
            };
            let request = server
                .http
                .request(Method::POST, format!("{}{PATH}", server.base_url));
            match request.bearer_auth(&server.token).body(body).send().await {
                Ok(answer) if answer.status() == 200 => {
                    remember(&mut self.acknowledged, &batch);
                    server.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap()),
                Err(_) => return batch,
            }
        }
    }
}

/// How a writer reaches the server, and goes on reaching for it when it is gone.
#[derive(Clone)]
struct Connection {
    http: reqwest::Client,
    base_url: String,
    token: String,
    /// Requests of all writers.
    acknowledged: Arc<AtomicU64>,
}

fn remember(logs: &mut BTreeMap<String, Value>, batch: &[Value]) {
    logs.extend(
        batch
            .iter()
            .map(|log| (log["log_key"].as_str().unwrap().to_owned(), log.clone())),
    );
}

/// An operator's commands, one after another until `stop`; half of them are killed.
fn operate(data: &Data, old: &PathBuf, mut chance: Chance, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut command = data.command();
        match chance.below(3) {
            0 => command.args(["prompt-logs", "compact", ORG]),
            1 => command.args(["prompt-logs", "expire", ORG]),
            _ => command
                .args(["prompt-logs", "import", "--force", ORG])
                .arg(old),
        };
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = quiet.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(50 + chance.below(400)));
        if chance.below(2) == 0 {
            let _ = child.kill();
        }
        child.wait().unwrap();
    }
}

/// All entries below a prefix, whatever their number.
async fn download(server: &Server, token: &str, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let (mut entries, mut after) = (Vec::new(), String::new());
    loop {
        let query = [("prompt_log_prefix", prefix), ("after", after.as_str())];
        let answer = Answer::of(server.logs_request(
            token,
            ORG,
            &query[..if after.is_empty() { 1 } else { 2 }],
        ))
        .await;
        if answer.status == 404 {
            return entries;
        }
        entries.extend(answer.entries());
        let Some(next) = answer.header("x-prompt-log-next-after") else {
            return entries;
        };
        after = percent_encoding::percent_decode_str(next)
            .decode_utf8()
            .unwrap()
            .into_owned();
    }
}

fn below(logs: &BTreeMap<String, Value>, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let logs: Vec<Value> = logs
        .iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(_, log)| log.clone())
        .collect();
    expected(&logs)
}

/// The entries that only one of two archives has, for a failure that can be read.
fn difference(found: &[(String, Vec<u8>)], wanted: &[(String, Vec<u8>)]) -> String {
    let missing = wanted
        .iter()
        .filter(|entry| !found.contains(entry))
        .map(|(name, _)| name);
    let surplus = found
        .iter()
        .filter(|entry| !wanted.contains(entry))
        .map(|(name, _)| name);
    format!(
        "missing or other: {:?}; surplus: {:?}",
        missing.collect::<Vec<_>>(),
        surplus.collect::<Vec<_>>()
    )
}

/// Compares what the server has with what it acknowledged, and finds out what became of the last, unanswered batch.
async fn check(
    server: &Server,
    token: &str,
    writer: &mut Writer,
    batch: &[Value],
    rounds: std::ops::RangeInclusive<u64>,
) {
    let mut with_batch = writer.acknowledged.clone();
    remember(&mut with_batch, batch);
    let (mut is_old, mut is_new, mut said) = (true, true, String::new());
    for round in rounds {
        let folder = writer.folder(round);
        let found = download(server, token, &folder).await;
        let (old, new) = (
            below(&writer.acknowledged, &folder),
            below(&with_batch, &folder),
        );
        if found != old && found != new {
            said += &format!(
                "{folder}: without the last batch {}; with it {}\n",
                difference(&found, &old),
                difference(&found, &new)
            );
        }
        is_old &= found == old;
        is_new &= found == new;
    }
    assert!(
        is_old || is_new,
        "neither without nor with the batch that got no answer:\n{said}"
    );
    if is_new {
        writer.acknowledged = with_batch;
    }
}

/// Each key has one row, and there are as many as there must be.
async fn check_count(server: &Server, token: &str, writers: &[Writer]) {
    let logs: usize = writers.iter().map(|writer| writer.acknowledged.len()).sum();
    // The first write makes the table, and may not have got so far.
    if logs == 0 {
        return;
    }
    let sql = "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs WHERE log_key < 's' AND log_key >= 'r'";
    assert_eq!(server.rows(token, ORG, sql).await, json!([[logs, logs]]));
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Lets everybody work for a while, then kills the server; returns each writer's unanswered batch.
async fn round(
    server: &mut Server,
    writers: &mut Vec<Writer>,
    chance: &mut Chance,
    round: u64,
) -> Vec<Vec<Value>> {
    let now = Utc::now().trunc_subsecs(3);
    let old: Vec<Value> = (0..5)
        .map(|n| {
            at(
                now - TimeDelta::days(40 + n),
                log(&format!("old/{round}/{n}"), "s", &[]),
            )
        })
        .collect();
    let old = server.data.write("old.ndjson", ndjson(&old));
    let connection = Connection {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        base_url: server.base_url.clone(),
        token: server.token(ORG, SUPER_ADMINISTRATOR),
        acknowledged: Arc::default(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (data, stopped, operator) = (
        server.data.clone(),
        Arc::clone(&stop),
        Chance(chance.below(u64::MAX) | 1),
    );
    let operator = std::thread::spawn(move || operate(&data, &old, operator, &stopped));
    let tasks: Vec<_> = writers
        .drain(..)
        .map(|mut writer| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let batch = writer.write(&connection, round, now).await;
                (writer, batch)
            })
        })
        .collect();
    // Some writes in, so that a slow machine does not only kill idle servers, and then at any moment.
    let writes = chance.below(60);
    let deadline = Instant::now() + ROUND_MAX;
    while connection.acknowledged.load(Ordering::Relaxed) < writes && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(chance.below(40))).await;
    server.signal(Signal::KILL);
    server.wait();
    let mut unanswered = Vec::new();
    for task in tasks {
        let (writer, batch) = task.await.unwrap();
        writers.push(writer);
        unanswered.push(batch);
    }
    stop.store(true, Ordering::Relaxed);
    operator.join().unwrap();
    unanswered
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_survives_kill_9() {
    let (kills, seed) = (
        number("AMIGO_CRASH_KILLS", 8),
        number("AMIGO_CRASH_SEED", u64::from(std::process::id())),
    );
    eprintln!("AMIGO_CRASH_SEED={seed} AMIGO_CRASH_KILLS={kills}");
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let settings = [
        ("KEEPING__COMPACT_SECONDS", "1"),
        ("KEEPING__EXPIRE_SECONDS", "1"),
        ("KEEPING__UNUSED_SECONDS", "60"),
    ];
    let mut server = Server::start_with(&settings, |data| data.org(ORG));
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer {
            number,
            chance: Chance(chance.below(u64::MAX) | 1),
            acknowledged: BTreeMap::new(),
            count: 0,
        })
        .collect();
    for kill in 0..kills {
        let unanswered = round(&mut server, &mut writers, &mut chance, kill).await;
        server = Server::on(&server.data, &settings);
        let token = server.token(ORG, SUPER_ADMINISTRATOR);
        for (writer, batch) in writers.iter_mut().zip(unanswered) {
            check(
                &server,
                &token,
                writer,
                &batch,
                kill.saturating_sub(ROUNDS_BACK)..=kill,
            )
            .await;
        }
        check_count(&server, &token, &writers).await;
    }
    server.data.ok(["prompt-logs", "compact", ORG]);
    server.data.ok(["prompt-logs", "expire", ORG]);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for writer in &mut writers {
        check(&server, &token, writer, &[], 0..=kills).await;
    }
    check_count(&server, &token, &writers).await;
    let listed = server.data.ok(["prompt-logs", "list", ORG, ""]);
    let listed: Vec<&str> = listed["prompt_logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| log["log_key"].as_str().unwrap())
        .collect();
    let known: BTreeSet<&str> = writers
        .iter()
        .flat_map(|writer| writer.acknowledged.keys().map(String::as_str))
        .collect();
    assert_eq!(listed, known.into_iter().collect::<Vec<_>>());
    eprintln!("{} logs were acknowledged", listed.len());
}
