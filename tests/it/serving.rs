//! The server as a network sees it: clients that are slow, many or unknown, proxies before it, and what it tells browsers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Data, PROGRAM, SUPER_ADMINISTRATOR, Server, log, stderr, wait_for};

mod backup;
mod metrics;
mod prometheus;
mod secrets;
mod tls;
mod traces;

const ORG: &str = "acme";

fn acme(data: &Data) {
    data.org(ORG);
    data.import_logs(ORG, &[log("chat/1", "You greet.", &["Hello."])]);
}

/// A raw connection on which reads end after a while.
fn connect(server: &Server) -> TcpStream {
    let connection = TcpStream::connect(server.address()).unwrap();
    let patience = Some(Duration::from_secs(30));
    connection.set_read_timeout(patience).unwrap();
    connection
}

/// Sends bytes and reads what comes until the server closes the connection.
fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut connection = connect(server);
    // What the server no longer reads cannot be written; its answer counts.
    let _ = connection.write_all(bytes);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether the server closes the connection within so many seconds.
fn closes(mut connection: TcpStream, seconds: u64) -> bool {
    let began = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end too; a timeout of the read takes longer than is allowed.
    let _ = connection.read_to_end(&mut rest);
    began.elapsed() < Duration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_its_headers_too_slowly_is_cut_off() {
    let server = Server::start_with(&[("SERVER__HEADER_SECONDS", "2")], acme);
    let silent = connect(&server);
    let mut slow = connect(&server);
    let mut idle = connect(&server);
    slow.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    // A header every now and then keeps no connection open.
    let trickle = std::thread::spawn(move || {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(200));
            if slow.write_all(b"x-more: 1\r\n").is_err() {
                return true;
            }
        }
        false
    });
    assert!(closes(silent, 20), "a client that says nothing");
    assert!(closes(idle, 20), "a client that asks once and stays");
    assert!(
        trickle.join().unwrap(),
        "a client that never comes to an end"
    );
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_too_slowly_ends_with_408_and_one_that_goes_on_does_not() {
    let server = Server::start_with(&[("SERVER__BODY_SECONDS", "2")], acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    for path in ["sql_query", "prompt_logs"] {
        let head = format!(
            "POST /v1/{ORG}/admin/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
        );
        let answer = exchange(&server, head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains("came too slowly"), "{path}: {answer}");
        assert!(answer.contains("connection: close"), "{path}: {answer}");
    }
    // Longer than the patience in all, and never silent for so long.
    let mut upload = connect(&server);
    let line = json!({"log_key": "slow/1", "system": "x".repeat(80_000)}).to_string();
    let head = format!(
        "POST /v1/{ORG}/admin/prompt_logs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/x-ndjson\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        line.len()
    );
    upload.write_all(head.as_bytes()).unwrap();
    for part in line.as_bytes().chunks(20_000) {
        std::thread::sleep(Duration::from_millis(900));
        upload.write_all(part).unwrap();
    }
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn headers_that_are_too_many_or_too_long_are_refused() {
    let server = Server::start_with(&[("SERVER__HEADER_BYTES", "8192")], acme);
    let get = |headers: &str| {
        exchange(
            &server,
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
                .as_bytes(),
        )
    };
    assert!(get("").starts_with("HTTP/1.1 200 "));
    let long = format!("x-long: {}\r\n", "x".repeat(7_000));
    assert!(get(&long).starts_with("HTTP/1.1 200 "));
    let longer = format!("x-long: {}\r\n", "x".repeat(10_000));
    assert!(get(&longer).starts_with("HTTP/1.1 431 "));
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("x-{n}: 1\r\n"))
            .collect::<String>()
    };
    assert!(get(&many(90)).starts_with("HTTP/1.1 200 "));
    assert!(get(&many(101)).starts_with("HTTP/1.1 431 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_allowed_wait_until_one_ends() {
    let settings = [
        ("SERVER__CONNECTIONS", "3"),
        ("SERVER__HEADER_SECONDS", "60"),
    ];
    let server = Server::start_with(&settings, acme);
    let mut held: Vec<TcpStream> = (0..3).map(|_| connect(&server)).collect();
    let mut next = connect(&server);
    next.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    next.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let error = next.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
    held.pop();
    next.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut answer = String::new();
    next.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_client_that_takes_nothing_of_any_answer_gives_its_place_back() {
    let settings = [
        ("LIMITS__DOWNLOAD_IDLE_SECONDS", "1"),
        ("LIMITS__SQL_ROWS", "200000"),
        ("SERVER__CONNECTIONS", "1"),
    ];
    let server = Server::start_with(&settings, |data| {
        data.org(ORG);
        let text = "x".repeat(100);
        let rows: Vec<Value> = (0..100_000)
            .map(|n| json!({"n": n, "text": text}))
            .collect();
        data.import_table(ORG, "t", &rows);
    });
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let body = json!({"sql_query": "SELECT n, text FROM t", "async_query": false}).to_string();
    let mut stalled = connect(&server);
    let request = format!(
        "POST /v1/{ORG}/admin/sql_query HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stalled.write_all(request.as_bytes()).unwrap();
    // The only place is free again while the client still holds on to its end.
    let mut next = connect(&server);
    next.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    next.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(stalled);
}

/// The client's address in the log line of a request with an id of its own.
fn logged_client(server: &Server, id: &str) -> String {
    let line = server.log_line(|line| line.contains(id) && line.contains("\"client\""));
    let line: Value = serde_json::from_str(&line).unwrap();
    line["client"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_proxy_is_believed_when_it_is_trusted_and_only_then() {
    for (proxies, client, scheme) in [
        ("[]", "127.0.0.1", "http"),
        ("[\"127.0.0.0/8\"]", "198.51.100.7", "https"),
    ] {
        let server = Server::start_with(&[("SERVER__TRUSTED_PROXIES", proxies)], acme);
        let token = server.token(ORG, SUPER_ADMINISTRATOR);
        let request = server
            .request(Method::POST, &format!("/v1/{ORG}/admin/sql_query"))
            .bearer_auth(&token)
            .header("x-request-id", "proxied")
            .header("x-forwarded-for", "203.0.113.1, 198.51.100.7")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "data.example.com")
            .json(&json!({"sql_query": "SELECT 1", "async_query": true}));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(logged_client(&server, "proxied"), client);
        let url = answer.json()["signed_url"].as_str().unwrap().to_owned();
        let host = match scheme {
            "https" => "data.example.com",
            _ => server.address(),
        };
        assert!(url.starts_with(&format!("{scheme}://{host}/v1/")), "{url}");
        let hsts = answer.header("strict-transport-security");
        assert_eq!(hsts.is_some(), scheme == "https");
    }
}

#[tokio::test]
async fn every_answer_says_how_little_a_browser_may_do_with_it() {
    let server = Server::start(acme);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    let logs = server.logs(&token, ORG, "chat/").await;
    let query = server.sql(&token, ORG, "SELECT 1").await;
    let mut answers = vec![logs, query];
    for path in ["/healthz", "/nowhere", "/v1/acme/user/"] {
        answers.push(Answer::of(server.request(Method::GET, path)).await);
    }
    answers.push(Answer::of(server.request(Method::PUT, "/healthz")).await);
    for answer in &answers {
        let status = answer.status;
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{status}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{status}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{status}");
        assert_eq!(
            answer.header("content-security-policy"),
            Some("default-src 'none'; frame-ancestors 'none'"),
            "{status}"
        );
        assert_eq!(answer.header("strict-transport-security"), None, "{status}");
    }
    let keys = Answer::of(server.request(Method::GET, "/.well-known/jwks.json")).await;
    assert_eq!(keys.header("cache-control"), Some("max-age=60"));
}

#[tokio::test]
async fn a_data_directory_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let mut server = Server::start(acme);
    let data = server.data.clone();
    let warned = |server: &Server| {
        let warning = "can look into the data directory";
        server.log().iter().any(|line| line.contains(warning))
    };
    assert!(!warned(&server));
    server.stop();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(data.path(), open).unwrap();
    let server = Server::on(&data, &[]);
    wait_for("the warning", || warned(&server).then_some(()));
}

#[tokio::test]
async fn neither_the_server_nor_a_worker_leaves_a_core_dump_or_shows_its_memory() {
    let data = Data::new();
    acme(&data);
    let mut command = without_privileges(PROGRAM);
    command.arg("--data").arg(data.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let server = Server::spawn(&data, command);
    let token = server.token(ORG, SUPER_ADMINISTRATOR);
    assert_eq!(server.rows(&token, ORG, "SELECT 1").await, json!([[1]]));
    let mut processes = crate::support::children(server.pid());
    assert!(!processes.is_empty());
    processes.push(server.pid());
    for pid in processes {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let fields: Vec<&str> = core.unwrap().split_whitespace().collect();
        assert_eq!(fields[4..6], ["0", "0"], "{pid}");
        // A worker that has only begun knows nothing yet.
        wait_for("a process that shows nothing", || {
            (!can_look_into(pid)).then_some(())
        });
    }
    // Any other process shows it.
    let mut other = without_privileges("sleep").arg("60").spawn().unwrap();
    wait_for("a process that shows its memory", || {
        can_look_into(other.id()).then_some(())
    });
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Runs a program as this user but, where that is root, without root's privileges: those open every process.
fn without_privileges(program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", program]);
    command
}

/// Whether another process of the same user may look into the memory of this one.
fn can_look_into(pid: u32) -> bool {
    let mut command = without_privileges("cat");
    let output = command
        .arg(format!("/proc/{pid}/environ"))
        .output()
        .unwrap();
    let denied = stderr(&output).contains("Permission denied");
    assert_ne!(output.status.success(), denied, "{output:?}");
    output.status.success()
}
