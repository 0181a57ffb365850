//! A disk that fills up: writes are refused and leave nothing, reads go on as long as they can be recorded in the audit log,
//! and all resumes when there is room.
//!
//! The data directory lies on a small file system in memory. Mounting one takes root; elsewhere the test says that it did
//! not run.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::prompt_logs::{ORG, check, noise};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log, stderr};

const PAGE: u64 = 4096;

/// A small file system in place of the data directory, gone when dropped.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(data: &Data, mib: u32) -> Option<Self> {
        let folder = data.path();
        std::fs::create_dir(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={mib}m,mode=700"),
            "tmpfs",
        ]);
        let output = mount.arg(&folder).output().unwrap();
        if output.status.success() {
            return Some(Self { folder });
        }
        eprintln!("NOT RUN: nothing can be mounted here: {}", stderr(&output));
        None
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Ballast {
        let path = self.folder.join("ballast");
        let mut file = File::create(&path).unwrap();
        let block = vec![0xA5; PAGE as usize];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        Ballast { path, file, length }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a worker of the server may be on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).output();
    }
}

/// The file that takes the room; less of it when it shrinks, none when it is dropped.
struct Ballast {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Ballast {
    fn release(&mut self, bytes: u64) {
        self.length = self.length.saturating_sub(bytes);
        self.file.set_len(self.length).unwrap();
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

async fn post(server: &Server, token: &str, log: &Value) -> Answer {
    let request = server.request(Method::POST, "/v1/acme/admin/prompt_logs/");
    Answer::of(request.bearer_auth(token).body(log.to_string())).await
}

/// The archive and SQL show these logs and no others, or are refused because there is no room for the audit log, either of
/// them; returns how many were refused.
async fn check_on_full_disk(server: &Server, token: &str, logs: &[Value]) -> usize {
    let refused = |answer: &Answer| {
        let is_refused = answer.status == 503;
        assert!(!is_refused || answer.detail(503).contains("audit log"));
        is_refused
    };
    let archive = server.logs(token, ORG, "k/").await;
    if !refused(&archive) {
        check(&archive, logs);
    }
    let sql = "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs";
    let answer = server.sql(token, ORG, sql).await;
    if !refused(&answer) {
        assert_eq!(answer.json()["result"], json!([[logs.len(), logs.len()]]));
    }
    usize::from(refused(&archive)) + usize::from(refused(&answer))
}

/// Reads until nothing can be recorded any more: the database has some room of its own.
async fn use_up_room(server: &Server, token: &str, logs: &[Value]) {
    for _ in 0..400 {
        if check_on_full_disk(server, token, logs).await == 2 {
            return;
        }
    }
    panic!("everything was read and recorded on a full disk");
}

/// The archive and SQL show these logs and no others.
async fn check_all(server: &Server, token: &str, logs: &[Value]) {
    check(&server.logs(token, ORG, "k/").await, logs);
    let rows = server
        .rows(
            token,
            ORG,
            "SELECT count(*), count(DISTINCT log_key) FROM prompt_logs",
        )
        .await;
    assert_eq!(rows, json!([[logs.len(), logs.len()]]));
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_recovers() {
    let data = Data::new();
    let Some(disk) = Disk::mount(&data, 48) else {
        return;
    };
    data.org(ORG);
    let token = data.token(ORG, SUPER_ADMINISTRATOR);
    let by_hand = [("KEEPING__COMPACT_SECONDS", "0")];
    let server = Server::on(&data, &by_hand);
    let mut kept = Vec::new();
    let mut count = 0;
    let mut new = |size: usize| {
        count += 1;
        log(&format!("k/{count:04}"), &noise(count, size), &["h"])
    };
    // Just short of the hundredth commit, behind which the table's state is written down as a whole (a checkpoint).
    for _ in 0..92 {
        let log = new(100);
        assert_eq!(post(&server, &token, &log).await.status, 200);
        kept.push(log);
    }

    let mut ballast = disk.fill();
    let large = new(300_000);
    let detail = post(&server, &token, &large).await.detail(507);
    assert!(detail.contains("full"), "{detail}");
    use_up_room(&server, &token, &kept).await;
    let ready = Answer::of(server.request(Method::GET, "/readyz")).await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert!(ready.text().contains("full"), "{}", ready.text());

    // Room comes back page by page: each write fails at another point, or succeeds.
    let (mut refused, mut taken) = (0, 0);
    for step in 0..60 {
        ballast.release(PAGE);
        let log = new(100 + step * 100);
        let answer = post(&server, &token, &log).await;
        if answer.status == 200 {
            taken += 1;
            kept.push(log);
        } else {
            answer.detail(507);
            refused += 1;
        }
        if step % 20 == 0 {
            check_on_full_disk(&server, &token, &kept).await;
        }
    }
    assert!(
        refused > 10 && taken > 10,
        "{refused} refused, {taken} taken"
    );
    check_on_full_disk(&server, &token, &kept).await;

    // Merging needs room as well; without it, it fails and harms nothing, by hand and in the background.
    drop(ballast);
    check_all(&server, &token, &kept).await;
    let ballast = disk.fill();
    let output = data.run(["prompt-logs", "compact", ORG]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("full"), "{}", stderr(&output));
    check_on_full_disk(&server, &token, &kept).await;
    drop(server);
    let server = Server::on(&data, &[("KEEPING__COMPACT_SECONDS", "1")]);
    server.log_line(|line| line.contains("full"));
    check_on_full_disk(&server, &token, &kept).await;
    post(&server, &token, &large).await.detail(507);

    drop(ballast);
    let log = new(300_000);
    assert_eq!(post(&server, &token, &log).await.status, 200);
    kept.push(log);
    data.ok(["prompt-logs", "compact", ORG]);
    check_all(&server, &token, &kept).await;
}
