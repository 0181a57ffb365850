//! Collections of MongoDB clusters as tables: real queries against a real MongoDB server, which `server` starts.
//!
//! Between the two stands a `proxy` that knows what was asked, and makes faults. `AMIGO_MONGODB_CASES` is how many cases
//! the tests with chance try, `AMIGO_MONGODB_SEED` repeats those of an earlier run.

mod chance;
mod documented;
mod faults;
mod proxy;
mod pushed;
mod real_data;
mod same_rows;
mod server;
mod sync;
mod tables;
mod tenancy;
mod tls;
mod values;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use serde_json::Value;

use crate::support::{Answer, Data, SUPER_ADMINISTRATOR, Server, program};
use proxy::{Fate, Proxy};
use server::Mongodb;

const ORG: &str = "acme";
const RIVAL: &str = "globex";
/// The cluster that both live on.
const CLUSTER: &str = "main";

/// Longer than what is new takes to be known.
const SOON: Duration = Duration::from_secs(20);

/// A server whose organizations live on a MongoDB cluster.
struct Live {
    mongodb: Mongodb,
    proxy: Proxy,
    server: Server,
}

/// What of the configuration a test sets itself, and its organizations' data beside the cluster.
#[derive(Default)]
struct Set<'a> {
    /// Lines of `[clusters.main]`, and further tables of the file.
    cluster: &'a str,
    /// Settings such as `LIMITS__SQL_SECONDS`.
    settings: &'a [(&'a str, &'a str)],
    /// Queries and the cluster have time, however busy the machine is.
    is_patient: bool,
    /// All organizations share one database.
    is_shared: bool,
    before: Option<&'a dyn Fn(&Data)>,
}

impl Live {
    /// Serves [`ORG`] and [`RIVAL`], each with a super-administrator.
    async fn start(mongodb: Mongodb, set: Set<'_>) -> Self {
        let proxy = Proxy::start(mongodb.address()).await;
        let data = Data::new();
        for org in [ORG, RIVAL] {
            data.ok(["org", "create", org, "--cluster", CLUSTER]);
            data.user(org, SUPER_ADMINISTRATOR, "DefaultSuperAdministratorRole");
        }
        if let Some(before) = set.before {
            before(&data);
        }
        let mut settings = set.settings.to_vec();
        if set.is_patient {
            settings.push(("LIMITS__SQL_SECONDS", "55"));
        }
        let server = serve(&data, &config(&data, &mongodb, &proxy, &set), &settings);
        Self {
            mongodb,
            proxy,
            server,
        }
    }

    /// The same, where the cluster is two servers of which each has all, the second behind a proxy of its own.
    async fn with_two_servers(self) -> (Self, Proxy) {
        let Self {
            mongodb,
            proxy,
            server,
        } = self;
        let second = Proxy::start(mongodb.address()).await;
        for proxy in [&proxy, &second] {
            for hello in ["hello", "isMaster", "ismaster"] {
                proxy.set(hello, Fate::Answered(mongos()));
            }
        }
        let data = server.data.clone();
        drop(server);
        let one = std::fs::read_to_string(config_file(&data)).unwrap();
        let both = format!("{},{}", proxy.address(), second.address());
        let both = one
            .replace(proxy.address(), &both)
            .replace("directConnection=true", "directConnection=false");
        let server = serve(&data, &both, &[]);
        let live = Self {
            mongodb,
            proxy,
            server,
        };
        (live, second)
    }

    fn token(&self, org: &str) -> String {
        self.server.token(org, SUPER_ADMINISTRATOR)
    }

    async fn sql(&self, org: &str, sql: &str) -> Answer {
        self.server.sql(&self.token(org), org, sql).await
    }

    /// The rows of a query that must succeed.
    async fn rows(&self, org: &str, sql: &str) -> Value {
        self.server.rows(&self.token(org), org, sql).await
    }

    /// The rows of a query that may fail a while.
    async fn rows_soon(&self, org: &str, sql: &str) -> Value {
        let token = self.token(org);
        let deadline = Instant::now() + SOON;
        loop {
            let answer = self.server.sql(&token, org, sql).await;
            if answer.status == 200 {
                return answer.json()["result"].clone();
            }
            assert!(Instant::now() < deadline, "{sql}: {}", answer.text());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asserts what queries of [`ORG`] answer.
    async fn check(&self, cases: &[(&str, Value)]) {
        let token = self.token(ORG);
        for (sql, rows) in cases {
            assert_eq!(self.server.rows(&token, ORG, sql).await, *rows, "{sql}");
        }
    }

    /// What `EXPLAIN` says, in one text.
    async fn explained(&self, org: &str, sql: &str) -> String {
        let rows = self.rows(org, &format!("EXPLAIN {sql}")).await;
        let lines = rows.as_array().unwrap().iter();
        let texts = lines.flat_map(|row| row.as_array().unwrap().clone());
        let texts: Vec<String> = texts
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect();
        texts.join("\n")
    }
}

/// What a router of a sharded cluster says of itself: of these a client takes several for one cluster.
fn mongos() -> Document {
    doc! {
        "isWritablePrimary": true, "ismaster": true, "msg": "isdbgrid", "helloOk": true,
        "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
        "minWireVersion": 0, "maxWireVersion": 21, "ok": 1.0,
    }
}

/// The text of the configuration file.
fn config(data: &Data, mongodb: &Mongodb, proxy: &Proxy, set: &Set<'_>) -> String {
    let database = match set.is_shared {
        true => mongodb.shared(),
        false => mongodb.template(),
    };
    let mut uri = mongodb.uri_at(proxy.address());
    if set.is_patient {
        uri.push_str("&serverSelectionTimeoutMS=60000&connectTimeoutMS=60000");
    }
    format!(
        "data_dir = {:?}\n[clusters.{CLUSTER}]\nmongodb = {:?}\ndatabase = {database:?}\n{}\n",
        data.path().to_str().unwrap(),
        uri,
        set.cluster
    )
}

fn config_file(data: &Data) -> PathBuf {
    data.file("settings.toml")
}

/// Serves a data directory with the text of a configuration file.
fn serve(data: &Data, config: &str, settings: &[(&str, &str)]) -> Server {
    std::fs::write(config_file(data), config).unwrap();
    let mut command = program();
    command.arg("--config").arg(config_file(data));
    command.args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let mut all = vec![("LIMITS__RATE_LIMITS", "false"), ("LOGS__FORMAT", "json")];
    all.extend(settings);
    for (name, value) in all {
        command.env(format!("AMIGO_ADMIN_{name}"), value);
    }
    Server::spawn(data, command)
}

/// How many cases a test with chance tries.
fn cases(few: u64) -> u64 {
    number("AMIGO_MONGODB_CASES", few)
}

/// Where chance begins: at the same place in every run of the suite, so that a failure is that of a change.
fn seed() -> u64 {
    let seed = number("AMIGO_MONGODB_SEED", 27_118);
    eprintln!("AMIGO_MONGODB_SEED={seed}");
    seed
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}
