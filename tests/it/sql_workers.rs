//! Who gets a query worker, and when: organizations take turns, and no worker is of two of them.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Answer, Data, SUPER_ADMINISTRATOR, Server, children, is_running, stat, wait_for,
};

/// Runs until it is stopped.
const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// Runs for some seconds.
const LONG: &str =
    "SELECT count(DISTINCT value % 1000003) FROM generate_series(1, 1500000) AS t(value)";

fn organizations(count: usize) -> impl FnOnce(&Data) {
    move |data| (0..count).for_each(|number| data.org(&format!("org{number}")))
}

#[tokio::test]
async fn many_organizations_leave_few_workers_and_all_of_them_confined() {
    let server = Server::start_with(&[("LIMITS__SQL_WORKERS", "1")], organizations(6));
    for number in (0..6).chain(0..6) {
        let org = format!("org{number}");
        let token = server.token(&org, SUPER_ADMINISTRATOR);
        assert_eq!(server.rows(&token, &org, "SELECT 1").await, json!([[1]]));
    }
    // Two of the last organizations, and one that is nobody's yet.
    wait_for("the others to end", || {
        (children(server.pid()).len() <= 3).then_some(())
    });
    let warned = server
        .log()
        .into_iter()
        .find(|line| line.contains("not confined"));
    assert_eq!(
        warned, None,
        "this kernel has no Landlock, which this test needs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_organization_makes_itself_wait_and_not_another() {
    let settings = [
        ("LIMITS__SQL_WORKERS", "1"),
        ("LIMITS__SQL_SECONDS", "20"),
        ("LIMITS__SQL_WAITING", "2"),
    ];
    let server = Server::start_with(&settings, organizations(2));
    let (busy, other) = (
        server.token("org0", SUPER_ADMINISTRATOR),
        server.token("org1", SUPER_ADMINISTRATOR),
    );
    let flood: Vec<_> = (0..3)
        .map(|_| tokio::spawn(server.sql_request(&busy, "org0", ENDLESS).send()))
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refused = server.sql(&busy, "org0", "SELECT 1").await;
    assert!(refused.header("retry-after").is_some());
    let detail = refused.detail(503);
    assert!(detail.contains("waiting"), "{detail}");
    let started = Instant::now();
    for _ in 0..5 {
        assert_eq!(server.rows(&other, "org1", "SELECT 1").await, json!([[1]]));
    }
    let taken = started.elapsed();
    assert!(
        taken < Duration::from_secs(10),
        "{taken:?}: it waited for the other organization"
    );
    // And it does so at the lowest priority by now, in all its threads.
    wait_for("the busy query to yield the processor", || {
        let workers = children(server.pid());
        let yields = |pid: &u32| {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten();
            let nice: Vec<i32> = threads
                .flatten()
                .filter_map(|thread| nice(&thread.path()))
                .collect();
            nice.len() > 1 && nice.iter().all(|nice| *nice == 19)
        };
        workers.iter().any(yields).then_some(())
    });
    flood.iter().for_each(tokio::task::JoinHandle::abort);
    // Those who wait give up their places with their connections.
    wait_for("the flood to end", || {
        flood.iter().all(|one| one.is_finished()).then_some(())
    });
    assert_eq!(server.rows(&busy, "org0", "SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_query_stands_still_for_short_ones_and_is_answered_all_the_same() {
    let settings = [("LIMITS__SQL_SECONDS", "60")];
    let server = Server::start_with(&settings, organizations(2));
    let (long, short) = (
        server.token("org0", SUPER_ADMINISTRATOR),
        server.token("org1", SUPER_ADMINISTRATOR),
    );
    let mut stood = Vec::new();
    let query = tokio::spawn(server.sql_request(&long, "org0", LONG).send());
    while !query.is_finished() {
        let one = tokio::spawn(server.sql_request(&short, "org1", "SELECT 1").send());
        while !one.is_finished() {
            stood.extend(children(server.pid()).into_iter().filter(stands_still));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(one.await.unwrap().unwrap().status(), 200);
    }
    let answer = query.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let page: Value = answer.json().await.unwrap();
    assert_eq!(page["result"], json!([[1_000_003]]));
    assert!(!stood.is_empty(), "it ran all the while");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_dies_with_a_server_that_is_killed() {
    let mut server = Server::start_with(&[], organizations(2));
    let (long, short) = (
        server.token("org0", SUPER_ADMINISTRATOR),
        server.token("org1", SUPER_ADMINISTRATOR),
    );
    let query = tokio::spawn(server.sql_request(&long, "org0", ENDLESS).send());
    let deadline = Instant::now() + Duration::from_secs(20);
    let stood = loop {
        let one = server.sql_request(&short, "org1", "SELECT 1").send();
        let one = tokio::spawn(one);
        let mut stood = None;
        while !one.is_finished() && stood.is_none() {
            stood = children(server.pid()).into_iter().find(stands_still);
        }
        if let Some(stood) = stood {
            server.signal(Signal::KILL);
            break stood;
        }
        assert!(Instant::now() < deadline, "it never stood still");
    };
    assert_eq!(server.wait().code(), None);
    assert!(query.await.unwrap().is_err());
    wait_for("the worker to end", || (!is_running(stood)).then_some(()));
}

fn stands_still(pid: &u32) -> bool {
    stat(*pid).is_some_and(|(state, _)| state == 'T')
}

/// What proc_pid_stat(5) calls `nice`, of a process or a thread.
fn nice(folder: &std::path::Path) -> Option<i32> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name, the second field, may hold spaces.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(16)?
        .parse()
        .ok()
}

/// None where there is no limit.
fn hard_limit(pid: u32, name: &str) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test]
async fn who_hangs_up_on_the_readiness_check_takes_no_worker_along() {
    let server = Server::start_with(&[("LIMITS__SQL_WORKERS", "3")], |_| {});
    let workers = || {
        let mut workers = children(server.pid());
        workers.sort_unstable();
        workers
    };
    let warm = workers();
    assert_eq!(warm.len(), 3);
    for number in 0..300 {
        let mut connection = TcpStream::connect(server.address()).unwrap();
        connection
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: it\r\n\r\n")
            .unwrap();
        // Before the check, in its middle and after it.
        tokio::time::sleep(Duration::from_micros(number % 30 * 100)).await;
    }
    let ready = (0..20).map(|_| Answer::of(server.request(Method::GET, "/readyz")));
    for answer in futures::future::join_all(ready).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(workers(), warm);
}

#[tokio::test]
async fn the_kernel_limits_every_worker() {
    let settings = [
        ("LIMITS__SQL_SECONDS", "5"),
        ("LIMITS__SQL_ASYNC_SECONDS", "7"),
        ("LIMITS__SQL_MEMORY_BYTES", "1073741824"),
    ];
    let server = Server::start_with(&settings, organizations(1));
    let token = server.token("org0", SUPER_ADMINISTRATOR);
    server.rows(&token, "org0", "SELECT 1").await;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    for pid in children(server.pid()) {
        // A worker that has only begun sets its limits first, the one of the processor last.
        wait_for("the limit of the processor's time", || {
            (hard_limit(pid, "Max cpu time")? == (600 + 7) * (cores + 1)).then_some(())
        });
        let hard = |name| hard_limit(pid, name).unwrap();
        assert_eq!(
            hard("Max address space"),
            // The memory, and the stacks of all threads: those that compute, those that read, the one that plans.
            (1 << 30) + (cores + 8 + 1) * (64 << 20)
        );
        assert_eq!(hard("Max core file size"), 0);
    }
}
