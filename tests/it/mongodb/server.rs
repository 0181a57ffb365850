//! A MongoDB server for a test: FerretDB, built of `tests/mongodb` by `scripts/test`, or the one that `MONGODB_URI` names.
//!
//! Databases have names of their own, so that tests share a server without meeting. Where there is neither, a test says
//! that it did not run.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use mongodb::bson::Document;
use mongodb::{Client, Collection, Database};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct Mongodb {
    uri: Url,
    /// The beginning of the names of this test's databases.
    prefix: String,
    /// Where it is the test's own.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    folder: TempDir,
    child: Child,
    /// The server ends with its standard input.
    _stdin: ChildStdin,
}

impl Mongodb {
    /// A server that must only be asked; `None` where there is none, after saying so.
    pub(super) fn start() -> Option<Self> {
        match std::env::var("MONGODB_URI") {
            Ok(uri) => Some(Self::named(Url::parse(&uri).unwrap(), None)),
            Err(_) => Self::start_own(),
        }
    }

    /// A server that may be killed.
    pub(super) fn start_own() -> Option<Self> {
        program_or_say_so()?;
        let folder = TempDir::new().unwrap();
        let (uri, own) = spawn(folder, "127.0.0.1:0", &[]);
        Some(Self::named(uri, Some(own)))
    }

    /// A server that speaks TLS, with this certificate and its key; clients are told that they may trust it.
    pub(super) fn start_tls([certificate, key]: &[PathBuf; 2]) -> Option<Self> {
        program_or_say_so()?;
        let words = [
            OsStr::new("-tls-cert"),
            certificate.as_os_str(),
            OsStr::new("-tls-key"),
            key.as_os_str(),
        ];
        let (uri, own) = spawn(TempDir::new().unwrap(), "127.0.0.1:0", &words);
        let mut mongodb = Self::named(uri, Some(own));
        mongodb.trust(certificate);
        Some(mongodb)
    }

    /// What clients trust from now on.
    pub(super) fn trust(&mut self, certificate: &Path) {
        let mut query = self.uri.query_pairs_mut();
        query.clear().append_pair("tls", "true");
        query.append_pair("tlsCAFile", certificate.to_str().unwrap());
    }

    fn named(uri: Url, own: Option<Own>) -> Self {
        let random = Uuid::new_v4().simple().to_string();
        Self {
            uri,
            prefix: format!("t{}", &random[..8]),
            own,
        }
    }

    pub(super) fn uri(&self) -> &str {
        self.uri.as_str()
    }

    /// Host and port.
    pub(super) fn address(&self) -> String {
        let port = self.uri.port().unwrap_or(27017);
        format!("{}:{port}", self.uri.host_str().unwrap())
    }

    /// The same server behind another address, for a driver that must not look for further ones.
    pub(super) fn uri_at(&self, address: &str) -> String {
        let mut uri = self.uri.clone();
        let (host, port) = address.split_once(':').unwrap();
        uri.set_host(Some(host)).unwrap();
        uri.set_port(Some(port.parse().unwrap())).unwrap();
        uri.query_pairs_mut()
            .append_pair("directConnection", "true");
        uri.to_string()
    }

    /// The template of the databases of organizations, for the configuration.
    pub(super) fn template(&self) -> String {
        format!("{}_{{org_id}}", self.prefix)
    }

    /// The one database of all organizations.
    pub(super) fn shared(&self) -> String {
        format!("{}_shared", self.prefix)
    }

    pub(super) async fn client(&self) -> Client {
        Client::with_uri_str(self.uri()).await.unwrap()
    }

    /// An organization's database, as the template has it.
    pub(super) async fn database(&self, org: &str) -> Database {
        let client = self.client().await;
        client.database(&format!("{}_{org}", self.prefix))
    }

    /// Fills a collection of an organization's database, or of the shared one: `shared`.
    pub(super) async fn load(
        &self,
        org: &str,
        collection: &str,
        documents: impl IntoIterator<Item = Document>,
    ) -> Collection<Document> {
        let collection = self.database(org).await.collection(collection);
        let documents: Vec<Document> = documents.into_iter().collect();
        for some in documents.chunks(2_000) {
            collection.insert_many(some).await.unwrap();
        }
        collection
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.child.kill().unwrap();
        own.child.wait().unwrap();
    }

    /// Starts it again after a `kill`, with what it has stored, where it was.
    pub(super) fn start_again(&mut self) {
        let address = self.address();
        let folder = self.own.take().unwrap().folder;
        let (_, own) = spawn(folder, &address, &[]);
        self.own = Some(own);
    }

    /// Stops it in the middle of whatever it does: connections stay open, nothing answers.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after `freeze`.
    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.own.as_ref().unwrap().child.id();
        let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Mongodb {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            let _ = own.child.kill();
            let _ = own.child.wait();
            return;
        }
        // Somebody's server keeps nothing of the tests. A thread of its own, since this one may belong to a runtime.
        let (uri, prefix) = (self.uri.to_string(), self.prefix.clone());
        let clean = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = Client::with_uri_str(uri).await?;
                for name in client.list_database_names().await? {
                    if name.starts_with(&prefix) {
                        client.database(&name).drop().await?;
                    }
                }
                mongodb::error::Result::Ok(())
            })
        });
        let _ = clean.join();
    }
}

fn program() -> PathBuf {
    let given = std::env::var_os("AMIGO_TEST_MONGODB").map(PathBuf::from);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    given.unwrap_or_else(|| root.join("target/test-mongodb/mongodb"))
}

fn program_or_say_so() -> Option<()> {
    let program = program();
    if !program.exists() {
        eprintln!(
            "NOT RUN: {} is missing; scripts/test builds it with Go",
            program.display()
        );
        return None;
    }
    Some(())
}

fn spawn(folder: TempDir, listen: &str, words: &[&OsStr]) -> (Url, Own) {
    let mut child = Command::new(program())
        .args(["-listen", listen, "-data"])
        .arg(folder.path())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let uri = Url::parse(line.trim()).expect("the MongoDB server of the tests did not start");
    let stdin = child.stdin.take().unwrap();
    let own = Own {
        folder,
        child,
        _stdin: stdin,
    };
    (uri, own)
}
