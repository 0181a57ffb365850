//! Data directories, commands and servers for the tests: everything through the binary, as an operator would.
//!
//! A `Data` is a fresh data directory and the commands that work on it; a `Server` serves one and is stopped when it is
//! dropped. Nothing here knows what is right: that is for the tests to say.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_amigo-admin");

/// The users `Data::org` makes, one for each default role, least privileges first.
pub(crate) const USER: &str = "user";
pub(crate) const ADMINISTRATOR: &str = "administrator";
pub(crate) const AMIGO_ADMINISTRATOR: &str = "amigo-administrator";
pub(crate) const SUPER_ADMINISTRATOR: &str = "super-administrator";

const USERS: [(&str, &str); 4] = [
    (USER, "DefaultUserRole"),
    (ADMINISTRATOR, "DefaultAdministratorRole"),
    (AMIGO_ADMINISTRATOR, "DefaultAmigoAdministratorRole"),
    (SUPER_ADMINISTRATOR, "DefaultSuperAdministratorRole"),
];

/// Longer than anything takes that works: past it a test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory of its own, gone with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct Data(Arc<TempDir>);

impl Data {
    pub(crate) fn new() -> Self {
        Self(Arc::new(TempDir::new().unwrap()))
    }

    /// The `--data` directory; made by the first `org create`.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// A file beside the data directory, for imports and downloads.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file beside the data directory.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `amigo-admin --data DIR`, without any `AMIGO_…` variable of the environment the tests run in.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.arg("--data").arg(self.path());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command()
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed, with `--json`; returns what it printed.
    #[track_caller]
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Value {
        let output = self
            .command()
            .arg("--json")
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Makes an organization and its four users.
    #[track_caller]
    pub(crate) fn org(&self, org: &str) {
        self.ok(["org", "create", org]);
        for (user, role) in USERS {
            self.user(org, user, role);
        }
    }

    #[track_caller]
    pub(crate) fn user(&self, org: &str, user: &str, role: &str) {
        self.ok(["user", "create", org, user, "--role", role]);
    }

    /// Makes a role with these grants.
    #[track_caller]
    pub(crate) fn role(&self, org: &str, name: &str, grants: &Value) {
        let file = self.write("grants.json", grants.to_string());
        let made = ["role", "create", org, name, "--description", "Of a test."];
        let args = made.map(OsStr::new).into_iter();
        self.ok(args.chain(["--grants".as_ref(), file.as_os_str()]));
    }

    /// Makes a user who may query and no more: with an administrator's role and a little beside it.
    #[track_caller]
    pub(crate) fn analyst(&self, org: &str, user: &str) {
        let roles = self.ok(["role", "list", org]);
        let mut roles = roles["roles"].as_array().unwrap().iter();
        let administrator = roles.find(|role| role["name"] == "DefaultAdministratorRole");
        let mut grants = administrator.unwrap()["permission_grants"].clone();
        let more = json!({"permission_name": "Vault:Read"});
        grants.as_array_mut().unwrap().push(more);
        self.role(org, "Analyst", &grants);
        self.user(org, user, "Analyst");
    }

    /// A token from the operator's own authority.
    #[track_caller]
    pub(crate) fn token(&self, org: &str, user: &str) -> String {
        self.ok(["token", org, user])["id_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Makes an API key that signs in everyone; returns its id and the key.
    #[track_caller]
    pub(crate) fn api_key(&self, org: &str) -> (String, String) {
        let key = self.ok([
            "api-key",
            "create",
            org,
            "--role",
            "DefaultSuperAdministratorRole",
        ]);
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        (text("api_key_id"), text("api_key"))
    }

    /// Imports prompt logs that must all be good; returns what the command printed.
    #[track_caller]
    pub(crate) fn import_logs(&self, org: &str, logs: &[Value]) -> Value {
        let output = self.import_lines(org, &ndjson(logs), &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Imports prompt logs of any age, none of which may be there already.
    #[track_caller]
    pub(crate) fn force_logs(&self, org: &str, logs: &[Value]) {
        let file = self.write(&format!("{org}-forced.ndjson"), ndjson(logs));
        let file = file.to_str().unwrap();
        let printed = self.ok(["prompt-logs", "import", org, file, "--force"]);
        assert_eq!(printed["written"], logs.len());
    }

    /// Imports lines from standard input with `--json`, good or bad ones.
    pub(crate) fn import_lines(&self, org: &str, lines: &str, env: &[(&str, &str)]) -> Output {
        let mut child = self
            .command()
            .args(["--json", "prompt-logs", "import", org, "-"])
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that stops reading says why on standard error, which the caller looks at.
        let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Imports rows into a table.
    #[track_caller]
    pub(crate) fn import_table(&self, org: &str, table: &str, rows: &[Value]) {
        let file = self.write(&format!("{org}-{table}.ndjson"), ndjson(rows));
        self.ok([
            OsStr::new("table"),
            "import".as_ref(),
            org.as_ref(),
            table.as_ref(),
            file.as_ref(),
        ]);
    }

    /// Every file below the data directory whose name ends so, sorted.
    pub(crate) fn files(&self, end: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.path(), &mut |path| {
            if path.to_string_lossy().ends_with(end) {
                found.push(path.to_owned());
            }
        });
        found.sort();
        found
    }
}

/// The binary, without any `AMIGO_…` variable of the environment the tests run in.
pub(crate) fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AMIGO_") {
            command.env_remove(name);
        }
    }
    command
}

/// Calls `visit` with every file below `dir`.
pub(crate) fn walk(dir: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}

pub(crate) fn ndjson(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// A new key and a certificate of it for the loopback address.
pub(crate) fn certify(data: &Data, name: &str) -> [PathBuf; 2] {
    let [certificate, key] = ["crt", "key"].map(|end| data.file(&format!("{name}.{end}")));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl is missing; scripts/test installs it");
    assert!(output.status.success(), "{}", stderr(&output));
    [certificate, key]
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server on a data directory and a port of its own. Stopped with SIGTERM when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) data: Data,
    pub(crate) base_url: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
}

impl Server {
    /// Sets a fresh data directory up and serves it, with the published rate limits off.
    #[track_caller]
    pub(crate) fn start(setup: impl FnOnce(&Data)) -> Self {
        Self::start_with(&[], setup)
    }

    /// The same with settings: names such as `LIMITS__SQL_SECONDS`, without `AMIGO_ADMIN_`.
    #[track_caller]
    pub(crate) fn start_with(settings: &[(&str, &str)], setup: impl FnOnce(&Data)) -> Self {
        let data = Data::new();
        setup(&data);
        Self::on(&data, settings)
    }

    /// Serves a data directory that exists.
    #[track_caller]
    pub(crate) fn on(data: &Data, settings: &[(&str, &str)]) -> Self {
        let mut command = data.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
        let mut all = vec![("LIMITS__RATE_LIMITS", "false"), ("LOGS__FORMAT", "json")];
        all.extend(settings);
        command.envs(
            all.iter()
                .map(|(name, value)| (format!("AMIGO_ADMIN_{name}"), *value)),
        );
        Self::spawn(data, command)
    }

    /// Starts a command that serves, and waits for its first line on standard output: `{"base_url": …}`.
    #[track_caller]
    pub(crate) fn spawn(data: &Data, command: Command) -> Self {
        Self::spawn_reading(data, command, |stdout| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let ready: Value = serde_json::from_str(&line).ok()?;
            Some(ready["base_url"].as_str()?.to_owned())
        })
    }

    /// The same for any output: `ready` reads of it what it needs and returns the base URL.
    #[track_caller]
    pub(crate) fn spawn_reading(
        data: &Data,
        mut command: Command,
        ready: impl FnOnce(&mut BufReader<ChildStdout>) -> Option<String>,
    ) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().unwrap().push(line);
            }
        });
        let base_url = ready(&mut BufReader::new(child.stdout.take().unwrap()));
        let base_url = base_url.unwrap_or_else(|| {
            let _ = child.kill();
            panic!(
                "the server did not start: {}",
                log.lock().unwrap().join("\n")
            )
        });
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            data: data.clone(),
            base_url,
            child,
            log,
            http,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Host and port, for a raw connection.
    pub(crate) fn address(&self) -> &str {
        self.base_url.strip_prefix("http://").unwrap()
    }

    /// A token from the operator's own authority.
    #[track_caller]
    pub(crate) fn token(&self, org: &str, user: &str) -> String {
        self.data.token(org, user)
    }

    /// A request to a path, such as `/v1/acme/admin/sql_query`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base_url))
    }

    /// A GET with a token.
    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(token)).await
    }

    /// A download of prompt logs: `GET …/get_prompt_logs/?prompt_log_prefix=…`.
    pub(crate) fn logs_request(
        &self,
        token: &str,
        org: &str,
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        let path = format!("/v1/{org}/admin/get_prompt_logs/");
        self.request(Method::GET, &format!("{path}?{}", form(query)))
            .bearer_auth(token)
    }

    /// The logs with a key prefix.
    pub(crate) async fn logs(&self, token: &str, org: &str, prefix: &str) -> Answer {
        Answer::of(self.logs_request(token, org, &[("prompt_log_prefix", prefix)])).await
    }

    /// A synchronous query.
    pub(crate) fn sql_request(&self, token: &str, org: &str, sql: &str) -> RequestBuilder {
        let body = json!({"sql_query": sql, "async_query": false});
        self.request(Method::POST, &format!("/v1/{org}/admin/sql_query"))
            .bearer_auth(token)
            .json(&body)
    }

    /// A synchronous query's answer, whatever its status.
    pub(crate) async fn sql(&self, token: &str, org: &str, sql: &str) -> Answer {
        Answer::of(self.sql_request(token, org, sql)).await
    }

    /// The rows of a query that must succeed.
    pub(crate) async fn rows(&self, token: &str, org: &str, sql: &str) -> Value {
        let answer = self.sql(token, org, sql).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        answer.json()["result"].clone()
    }

    /// Signs in with an API key.
    pub(crate) async fn sign_in(&self, org: &str, key: &(String, String), user: &str) -> Answer {
        let path = format!("/v1/{org}/user/signin_with_api_key");
        let request = self.request(Method::POST, &path);
        let request = request
            .header("x-api-key-id", &key.0)
            .header("x-api-key", &key.1);
        Answer::of(request.header("x-user-id", user)).await
    }

    /// What the server wrote to standard error so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first line of the log for which `wanted` holds; waits for it, since the log is written beside the answers.
    #[track_caller]
    pub(crate) fn log_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        wait_for("a line in the log", || {
            self.log().into_iter().find(|line| wanted(line))
        })
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        // A server that is gone already cannot be told anything.
        let _ = kill_process(pid, signal);
    }

    /// Waits for the server to end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the server to end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Sends a request that must get an answer.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The sentence of an error; the envelope holds it and nothing else.
    #[track_caller]
    pub(crate) fn detail(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(
            body.as_object().map(|fields| fields.len()),
            Some(1),
            "{body}"
        );
        body["detail"]
            .as_str()
            .unwrap_or_else(|| panic!("no sentence: {body}"))
            .to_owned()
    }

    /// The places of a 422, such as `query.prompt_log_prefix`.
    #[track_caller]
    pub(crate) fn violations(&self) -> Vec<String> {
        assert_eq!(self.status, 422, "{}", self.text());
        let body = self.json();
        let place = |violation: &Value| {
            assert!(
                violation["msg"].is_string() && violation["type"].is_string(),
                "{violation}"
            );
            let loc: Vec<String> = serde_json::from_value(violation["loc"].clone()).unwrap();
            loc.join(".")
        };
        body["detail"]
            .as_array()
            .unwrap()
            .iter()
            .map(place)
            .collect()
    }

    /// The entries of an archive, in order.
    #[track_caller]
    pub(crate) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        assert_eq!(self.status, 200, "{}", self.text());
        let mut zip = zip::ZipArchive::new(Cursor::new(&self.body)).unwrap();
        (0..zip.len())
            .map(|index| {
                let mut entry = zip.by_index(index).unwrap();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (entry.name().unwrap().into_owned(), bytes)
            })
            .collect()
    }

    /// The names of an archive's entries, in order.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        self.entries().into_iter().map(|(name, _)| name).collect()
    }

    /// The comment of an archive.
    #[track_caller]
    pub(crate) fn comment(&self) -> String {
        let zip = zip::ZipArchive::new(Cursor::new(&self.body)).unwrap();
        String::from_utf8_lossy(zip.comment()).into_owned()
    }
}

/// A query string.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// Asks again and again until there is something. Blocks its thread: a test that meanwhile wants its own requests to go on
/// runs on `flavor = "multi_thread"`.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One user's calls to an organization.
pub(crate) struct Client<'s> {
    pub(crate) server: &'s Server,
    pub(crate) org: &'static str,
    pub(crate) token: String,
}

impl<'s> Client<'s> {
    pub(crate) fn new(server: &'s Server, org: &'static str, user: &str) -> Self {
        let token = server.token(org, user);
        Self { server, org, token }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/v1/{}/{path}", self.org);
        let mut request = self.server.request(method, &path).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }
}

/// The processes whose parent this one is.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|child| stat(*child).is_some_and(|(_, parent)| parent == pid))
        .collect()
}

/// Whether the process runs: there, and no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// A process's state and parent.
pub(crate) fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The processor time a process has used, in ticks of a hundredth of a second.
pub(crate) fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let used = |index| fields.split_whitespace().nth(index)?.parse::<u64>().ok();
    // The fields 14 and 15 of proc_pid_stat(5): in user mode and in the kernel.
    used(11).unwrap_or(0) + used(12).unwrap_or(0)
}

/// The child that has used the most processor time.
pub(crate) fn busiest(pid: u32) -> u32 {
    let busiest = children(pid).into_iter().max_by_key(|child| ticks(*child));
    busiest.expect("a child")
}

/// A line of `/proc/PID/status`, in bytes.
pub(crate) fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// A prompt log of this moment.
pub(crate) fn log(key: &str, system: &str, history: &[&str]) -> Value {
    json!({"log_key": key, "system": system, "history": history, "service_id": "support"})
}
