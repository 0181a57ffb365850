//! Downloads on their way: clients that do not read, writers beside them, and what they take of memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ORG, check, noise, serve};
use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, log, memory};

/// Sends a download by hand and reads nothing of the answer.
pub(crate) fn start_download(server: &Server, token: &str, prefix: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "GET /v1/{ORG}/admin/get_prompt_logs/?prompt_log_prefix={prefix} HTTP/1.1\r\n\
         host: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection
}

/// Everything a server still sends on a connection.
pub(super) fn rest(mut connection: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A connection that the server cuts off may end in a reset; what came before it counts.
    let _ = connection.read_to_end(&mut bytes);
    bytes
}

/// Logs whose archive is more than the buffers of a connection hold.
pub(crate) fn bulky() -> Vec<Value> {
    (0..16)
        .map(|n| log(&format!("big/{n:02}"), &noise(n, 1_500_000), &["x"]))
        .collect()
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_up_nobody() {
    let (server, token) = serve(&[bulky(), vec![log("small", "s", &["h"])]].concat());
    let mut stalled: Vec<TcpStream> = (0..24)
        .map(|_| start_download(&server, &token, "big/"))
        .collect();
    for _ in 0..5 {
        assert_eq!(
            server.logs(&token, ORG, "small").await.names(),
            ["small-system", "small-history"]
        );
    }
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    check(&server.logs(&token, ORG, "big/").await, &bulky());
    // It goes on where it stopped.
    let late = rest(stalled.pop().unwrap());
    assert!(
        late.ends_with(b"\r\n0\r\n\r\n"),
        "a stalled download did not end well"
    );
}

#[tokio::test]
async fn a_download_that_began_before_maintenance_finishes() {
    let (server, token) = serve(&bulky());
    let mut download = start_download(&server, &token, "big/");
    let mut begun = vec![0; 300_000];
    download.read_exact(&mut begun).unwrap();
    server.data.ok(["maintenance", "on"]);
    server.logs(&token, ORG, "big/").await.detail(503);
    assert!(rest(download).ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_for_too_long_is_cut_off_visibly() {
    let server = Server::start_with(&[("LIMITS__DOWNLOAD_IDLE_SECONDS", "1")], |data| {
        data.org(ORG);
        data.import_logs(ORG, &bulky());
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let stalled = start_download(&server, &token, "big/");
    server.log_line(|line| line.contains("took nothing for too long"));
    let cut = rest(stalled);
    assert!(cut.starts_with(b"HTTP/1.1 200"));
    assert!(
        !cut.ends_with(b"\r\n0\r\n\r\n"),
        "half an archive looks like a whole one"
    );
}

#[tokio::test]
async fn a_thousand_large_logs_are_downloaded_in_little_memory() {
    const GROWTH_MAX: u64 = 64 * 1024 * 1024;
    let server = Server::start(|data| {
        data.org(ORG);
        let line = |n: u64| {
            format!(
                "{}\n",
                log(&format!("m/{n:04}"), "same", &[&noise(n, 100_000)])
            )
        };
        let lines: String = (0..1_000).map(line).collect();
        let file = data.write("large.ndjson", lines);
        data.ok([
            "prompt-logs".as_ref(),
            "import".as_ref(),
            ORG.as_ref(),
            file.as_os_str(),
        ]);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    server.logs(&token, ORG, "m/0000").await.entries();
    let before = memory(server.pid(), "VmRSS:");
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    // Again and again: what one download leaves behind would add up.
    for _ in 0..3 {
        let request = server.logs_request(&token, ORG, &[("prompt_log_prefix", "m/")]);
        let mut response = request.send().await.unwrap();
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.unwrap() {
            bytes += chunk.len();
        }
        assert!(bytes > 50_000_000, "{bytes}");
    }
    let growth = memory(server.pid(), "VmHWM:").saturating_sub(before);
    assert!(
        growth <= GROWTH_MAX,
        "the downloads took {growth} bytes more"
    );
}

#[tokio::test]
async fn an_organization_has_half_of_the_places_for_downloads() {
    let server = Server::start_with(&[("LIMITS__DOWNLOADS", "2")], |data| {
        for org in [ORG, "globex"] {
            data.org(org);
            data.import_logs(org, &bulky());
        }
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let of = [("prompt_log_prefix", "big/")];
    // Begun, and not read any further.
    let slow = server.logs_request(&token, ORG, &of).send().await.unwrap();
    let detail = server.logs(&token, ORG, "big/").await.detail(503);
    assert!(detail.contains("being downloaded"), "{detail}");
    let other = server.token("globex", SUPER_ADMINISTRATOR);
    assert_eq!(server.logs(&other, "globex", "big/").await.status, 200);
    drop(slow);
    let started = std::time::Instant::now();
    while server.logs(&token, ORG, "big/").await.status != 200 {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "its place is not given back"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn logs_imported_during_a_download_do_not_disturb_it() {
    let (server, token) = serve(&bulky());
    let request = server.logs_request(&token, ORG, &[("prompt_log_prefix", "big/")]);
    let mut response = request.send().await.unwrap();
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();
    let changed: Vec<Value> = (0..16)
        .map(|n| log(&format!("big/{n:02}"), "changed", &[]))
        .collect();
    server.data.import_logs(ORG, &changed);
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    check(
        &Answer {
            status,
            headers,
            body,
        },
        &bulky(),
    );
    check(&server.logs(&token, ORG, "big/").await, &changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_hold_little_memory_and_are_dropped_when_they_stop() {
    const CLIENTS: u64 = 6;
    const EACH_MAX: u64 = 64 * 1024 * 1024;
    let logs: Vec<Value> = (0..60)
        .map(|n| log(&format!("big/{n:02}"), &noise(n, 1_000_000), &["x"]))
        .collect();
    let server = Server::start_with(&[("LIMITS__DOWNLOAD_IDLE_SECONDS", "3")], |data| {
        data.org(ORG);
        data.import_logs(ORG, &logs);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    check(&server.logs(&token, ORG, "big/").await, &logs);
    let before = memory(server.pid(), "VmRSS:");
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    // Each takes a few megabytes in small sips, then nothing more.
    let sip = |mut download: TcpStream| {
        let mut bytes = vec![0; 64 * 1024];
        for _ in 0..80 {
            download.read_exact(&mut bytes).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        download
    };
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| start_download(&server, &token, "big/"))
        .map(|download| std::thread::spawn(move || sip(download)))
        .collect();
    let stopped: Vec<TcpStream> = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect();
    let growth = memory(server.pid(), "VmHWM:").saturating_sub(before);
    assert!(
        growth <= CLIENTS * EACH_MAX,
        "{CLIENTS} slow clients took {growth} bytes"
    );
    let dropped = |log: &[String]| {
        let lines = log.iter();
        lines
            .filter(|line| line.contains("took nothing for too long"))
            .count() as u64
    };
    crate::support::wait_for("all of them to be dropped", || {
        (dropped(&server.log()) == CLIENTS).then_some(())
    });
    for download in stopped {
        assert!(!rest(download).ends_with(b"\r\n0\r\n\r\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_within_a_large_log_holds_that_one_alone() {
    const LOG_BYTES: usize = 40_000_000;
    const HELD_MAX: u64 = 64 * 1024 * 1024;
    let data = Data::new();
    data.org(ORG);
    for n in 0..3 {
        let large = log(&format!("big/{n}"), &noise(n, LOG_BYTES), &["x"]);
        data.import_logs(ORG, &[large]);
    }
    let mut command = data.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    // What is let go goes back to the machine at once, and what is resident is held.
    for setting in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"] {
        command.env(setting, "4000000");
    }
    let server = Server::spawn(&data, command);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    server.logs(&token, ORG, "small/").await;
    let before = memory(server.pid(), "VmRSS:");
    let mut download = start_download(&server, &token, "big/");
    let mut bytes = vec![0; 1_000_000];
    // In the first log, about its end, and in the second.
    for skipped in [0, 37, 24] {
        for _ in 0..skipped {
            download.read_exact(&mut bytes).unwrap();
        }
        // What it holds, not what it takes for a moment to decode a log.
        let held = || memory(server.pid(), "VmRSS:").saturating_sub(before);
        crate::support::wait_for("a waiting client to hold little", || {
            (held() <= HELD_MAX).then_some(())
        });
    }
    assert!(rest(download).ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_cold_server_and_a_warm_one_send_the_same_bytes() {
    let logs: Vec<Value> = (0..300)
        .map(|n| {
            log(
                &format!("same/{n:03}"),
                &noise(n % 7, 500),
                &["x", &noise(n, 90)],
            )
        })
        .collect();
    let (mut server, token) = serve(&logs);
    let cold = server.logs(&token, ORG, "same/").await;
    check(&cold, &logs);
    let warm = server.logs(&token, ORG, "same/").await;
    assert!(cold.body == warm.body, "a warm server sends other bytes");
    server.stop();
    let again = Server::on(&server.data, &[]);
    let restarted = again.logs(&token, ORG, "same/").await;
    assert!(
        cold.body == restarted.body,
        "another process sends other bytes"
    );
    let path = format!("/v1/{ORG}/admin/get_prompt_logs/?prompt_log_prefix=same/");
    for _ in 0..2 {
        let request = again
            .request(reqwest::Method::HEAD, &path)
            .bearer_auth(&token);
        let head = Answer::of(request).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("x-prompt-log-count"), Some("300"));
        assert_eq!(
            head.header("content-disposition"),
            restarted.header("content-disposition")
        );
    }
}
