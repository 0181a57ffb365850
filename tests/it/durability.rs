//! Acknowledged means on disk: the system calls of a write, watched from outside (`strace`).
//!
//! A `kill -9` shows nothing about this, since what a process wrote survives it in the kernel; a power cut would.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::Value;

use crate::prompt_logs::ORG;
use crate::support::{Answer, Data, PROGRAM, SUPER_ADMINISTRATOR, Server, log, program, wait_for};

const CALLS: &str = "trace=fsync,fdatasync,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,write,writev,sendto,sendmsg";

/// What a system call did that succeeded, in the order of their ends.
#[derive(Debug, PartialEq)]
enum Event {
    Made(PathBuf),
    /// A finished file got its name.
    Named(PathBuf),
    Synced(PathBuf),
    Answered,
}

fn event(call: &str) -> Option<Event> {
    let (name, arguments) = call.split_once('(')?;
    let failed = call
        .rsplit_once(" = ")
        .is_none_or(|(_, result)| result.starts_with('-') || result.starts_with('?'));
    if failed {
        return None;
    }
    let quoted = || Some(PathBuf::from(arguments.rsplit('"').nth(1)?));
    match name {
        "mkdir" | "mkdirat" => Some(Event::Made(quoted()?)),
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => Some(Event::Named(quoted()?)),
        // The descriptor's path, as in `fsync(12</data/lake>)`.
        "fsync" | "fdatasync" => Some(Event::Synced(
            arguments.split_once('<')?.1.split_once('>')?.0.into(),
        )),
        _ => arguments
            .contains("\"HTTP/1.1 200")
            .then_some(Event::Answered),
    }
}

/// The events of a trace; a call that another thread's interrupts stands in two lines.
fn events(trace: &str) -> Vec<Event> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut events = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, begin);
        } else if let Some((_, end)) = call
            .strip_prefix("<... ")
            .and_then(|call| call.split_once(" resumed>"))
        {
            let begin = begun.remove(thread).unwrap_or_default();
            events.extend(event(&format!("{begin}{end}")));
        } else {
            events.extend(event(call));
        }
    }
    events
}

/// The next place behind `from` where this happened.
#[track_caller]
fn next(events: &[Event], from: usize, wanted: &Event) -> usize {
    let found = events[from..].iter().position(|event| event == wanted);
    from + found.unwrap_or_else(|| {
        panic!("no {wanted:?} after event {from} before the answer: {events:#?}")
    })
}

/// The events up to an answer: data file, its folder, commit, its folder. Each file is synced before it has its name, and its
/// folder before the next one has.
#[track_caller]
fn check(events: &[Event], data: &Path) {
    let is_named = |end: &str, event: &Event| matches!(event, Event::Named(path) if path.to_string_lossy().ends_with(end));
    let file_at = events
        .iter()
        .position(|event| is_named(".parquet", event))
        .expect("a data file");
    let commit_at = events
        .iter()
        .rposition(|event| is_named(".json", event))
        .expect("a commit");
    let (Event::Named(file), Event::Named(commit)) = (&events[file_at], &events[commit_at]) else {
        unreachable!()
    };
    for (named, at) in [(file, file_at), (commit, commit_at)] {
        let unfinished = format!("{}#", named.display());
        let is_it = |event: &Event| matches!(event, Event::Synced(path) if path.to_string_lossy().starts_with(&unfinished));
        assert!(
            events[..at].iter().any(is_it),
            "{named:?} has its name before it is on disk: {events:#?}"
        );
    }
    let folder = |path: &Path| Event::Synced(path.parent().unwrap().to_owned());
    let synced = next(events, file_at, &folder(file));
    assert!(
        synced < commit_at,
        "the commit has its name before its data file is on disk: {events:#?}"
    );
    next(events, commit_at, &folder(commit));
    // A new folder is on disk when the one it stands in is.
    for (at, event) in events.iter().enumerate() {
        if let Event::Made(made) = event
            && made.starts_with(data.join("lake"))
        {
            next(events, at, &folder(made));
        }
    }
}

/// A server whose system calls are written to a file; `None` where nothing may be traced.
fn traced(data: &Data, trace: &Path) -> Option<Server> {
    let mut probe = Command::new("strace");
    let probe = probe
        .args(["-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .output();
    if !probe
        .expect("strace is missing; scripts/test installs it")
        .status
        .success()
    {
        return None;
    }
    let mut command = program_under("strace");
    // The tracer is the grandchild, so that the server has the process id and gets the signals.
    command
        .args(["-D", "-f", "-y", "-s", "4096", "-e", CALLS, "-o"])
        .arg(trace);
    command.arg(PROGRAM).arg("--data").arg(data.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    command.env("AMIGO_ADMIN_KEEPING__COMPACT_SECONDS", "0");
    Some(Server::spawn(data, command))
}

/// Another program in the environment of ours.
fn program_under(wrapper: &str) -> Command {
    let mut command = Command::new(wrapper);
    for (name, value) in program().get_envs() {
        assert!(value.is_none());
        command.env_remove(name);
    }
    command
}

#[tokio::test]
async fn a_write_is_on_disk_before_it_is_acknowledged() {
    let data = Data::new();
    data.org(ORG);
    let token = data.token(ORG, SUPER_ADMINISTRATOR);
    let trace = data.file("trace");
    let Some(server) = traced(&data, &trace) else {
        eprintln!("NOT RUN: strace may not trace here, so nobody saw whether files are synced");
        return;
    };
    let mut answered = 0;
    // The first write makes the organization's table; the second is like all others.
    for key in ["k/1", "k/2"] {
        let body: Value = log(key, "s", &["h"]);
        let request = server.request(Method::POST, "/v1/acme/admin/prompt_logs/");
        let answer = Answer::of(request.bearer_auth(&token).body(body.to_string())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (all, end) = wait_for("the answer in the trace", || {
            let all = events(&std::fs::read_to_string(&trace).unwrap());
            let end = answered
                + all[answered..]
                    .iter()
                    .position(|event| *event == Event::Answered)?;
            Some((all, end))
        });
        check(&all[answered..end], &data.path().canonicalize().unwrap());
        answered = end + 1;
    }
}
