//! Settings: what an operator may change, and nothing else.
//!
//! Read once at the start and handed down as data. Every setting stands in one table, the `section!` blocks below,
//! with its name, default, range and help text; the structs, their defaults, the checks and [`Config::settings`] are
//! made from it, and tests hold `amigo-admin.example.toml` and `docs/configuration.md` to it.
//! A later source wins: built-in defaults, the TOML file, `AMIGO_ADMIN_…` environment variables, the command line.
//! Not here: components made from settings (the application wires those), and the clients' `AMIGO_…` variables.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use prompt_intake::otlp::KeyTemplate;
use rules::{Error, Result};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

mod clusters;
mod network;
mod openid;
mod sources;
mod tables;
#[cfg(test)]
mod tests;

pub use clusters::{ClusterSettings, DeclaredCollection, ReadConcern, SERVER_TABLES, Serve};
pub use network::Network;
pub use openid::OpenId;
pub use tables::{DeclaredTable, Organizations, TableFormat};

/// The lock of a data directory's one server, beside its database.
pub const SERVE_LOCK: &str = "serve.lock";
/// Days that prompt logs may be kept.
pub const RETENTION_DAYS: RangeInclusive<u32> = 1..=36_500;

/// One line of the table of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As in the file: section and name with a dot between them.
    pub path: &'static str,
    /// The default as it is written in TOML.
    pub default: String,
    /// What else may be given: a range of numbers, a list of words, or empty.
    pub allowed: String,
    pub help: &'static str,
}

/// What the table says of a setting beside its default.
struct Row {
    path: &'static str,
    allowed: Option<String>,
    help: &'static str,
}

/// Makes a struct of settings: `name: type = default, range?, help;`.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident in $prefix:literal {
        $($field:ident: $type:ty = $default:expr, $(($range:expr),)? $help:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $(#[doc = $help] pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            pub(in crate::config) fn rows() -> Vec<Row> {
                vec![$(Row {
                    path: concat!($prefix, stringify!($field)),
                    allowed: None$(.or(Some(range_text(&$range))))?,
                    help: $help,
                },)*]
            }

            pub(in crate::config) fn check_ranges(&self) -> Result<()> {
                $($(check_range(concat!($prefix, stringify!($field)), &self.$field, &$range)?;)?)*
                Ok(())
            }
        }
    };
}

// Behind the macro that it uses.
mod limits;
mod server;
pub use limits::Limits;
pub use server::Server;

section! {
    /// What is written to standard error.
    Logs in "logs." {
        format: LogFormat = LogFormat::Text,
            "Form of a log line: text for people, json for machines.";
        level: String = "info".to_owned(),
            "Least severe level that is logged, or a list of them by module, such as info,amigo_admin=debug.";
    }
}

section! {
    /// How long data is kept.
    Retention in "retention." {
        days: u32 = 30, (RETENTION_DAYS),
            "Days a prompt log is kept and shown after it was produced, unless its organization has its own.";
    }
}

section! {
    /// How prompt logs are named.
    PromptLogs in "prompt_logs." {
        key_template: String = KeyTemplate::DEFAULT.to_owned(),
            "How log keys of OpenTelemetry spans are made that bring no prompt_log.key: text and {attribute}, or {first|second}; also {trace_id}, {span_id}, {start_time}.";
    }
}

section! {
    /// The work on stored data that goes on in the background.
    Keeping in "keeping." {
        compact_seconds: u64 = 1, (0..=86_400),
            "Seconds between two looks for small files to merge; 0 turns merging off.";
        expire_seconds: u64 = 600, (1..=86_400),
            "Seconds between two rounds that drop expired days and delete files nobody can need any more.";
        unused_seconds: u32 = 3600, (60..=2_592_000),
            "Seconds a file that is no longer part of a table stays, for downloads and queries that began before; longer ones may miss it.";
        query_history_days: u32 = 90, (1..=36_500),
            "Days a query stays in query_history.";
    }
}

section! {
    /// Tokens and who issues them.
    Identity in "identity." {
        token_seconds: u32 = 3600, (60..=2_592_000),
            "Seconds a token is valid after sign-in.";
        issuer: String = "amigo-admin".to_owned(),
            "Name in the iss claim of every token; changing it invalidates the tokens issued before.";
    }
}

/// All settings of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder of everything the server stores.
    pub data_dir: PathBuf,
    pub server: Server,
    pub logs: Logs,
    pub limits: Limits,
    pub retention: Retention,
    pub prompt_logs: PromptLogs,
    pub keeping: Keeping,
    pub identity: Identity,
    /// Tables that lie elsewhere, and OpenID providers.
    pub organizations: Organizations,
    /// MongoDB clusters, by name.
    pub clusters: clusters::Clusters,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("amigo-data"),
            server: Server::default(),
            logs: Logs::default(),
            limits: Limits::default(),
            retention: Retention::default(),
            prompt_logs: PromptLogs::default(),
            keeping: Keeping::default(),
            identity: Identity::default(),
            organizations: Organizations::new(),
            clusters: clusters::Clusters::new(),
        }
    }
}

impl Config {
    /// The settings from all sources; `data`, from the command line, wins over every other `data_dir`.
    ///
    /// # Errors
    /// `Invalid`, naming the setting and where it was given: an unreadable file, a name that is no setting, a value of
    /// the wrong type or outside its range.
    pub fn load(file: Option<&Path>, data: Option<&Path>) -> Result<Self> {
        Self::from_sources(file, &sources::environment(std::env::vars_os())?, data)
    }

    fn from_sources(
        file: Option<&Path>,
        environment: &sources::Environment,
        data: Option<&Path>,
    ) -> Result<Self> {
        let (mut config, origin) = sources::read(file, environment)?;
        if let Some(data) = data {
            config.data_dir = data.to_owned();
        }
        config.check().map_err(|error| origin.named(error))?;
        Ok(config)
    }

    /// Every setting with its default, in the order of the example file.
    pub fn settings() -> Vec<Setting> {
        let defaults = serde_json::to_value(Self::default())
            .expect("settings are strings, numbers and booleans under string keys");
        rows()
            .into_iter()
            .map(|row| Setting {
                path: row.path,
                // JSON and TOML write strings, integers and booleans the same way.
                default: defaults
                    .pointer(&format!("/{}", row.path.replace('.', "/")))
                    .expect("the table and the structs have the same fields")
                    .to_string(),
                allowed: row.allowed.unwrap_or_default(),
                help: row.help,
            })
            .collect()
    }

    /// How log keys of OpenTelemetry spans are made.
    ///
    /// # Errors
    /// `Invalid` with what is wrong with the template.
    pub fn key_template(&self) -> Result<KeyTemplate> {
        KeyTemplate::parse(&self.prompt_logs.key_template)
            .map_err(|reason| Error::invalid(format!("prompt_logs.key_template: {reason}")))
    }

    /// The folder of the organizations' tables.
    pub fn lake_dir(&self) -> PathBuf {
        self.data_dir.join("lake")
    }

    /// Locked by the one server of the data directory.
    pub fn serve_lock(&self) -> PathBuf {
        self.data_dir.join(SERVE_LOCK)
    }

    /// The database of organizations, users, roles and keys.
    pub fn directory_file(&self) -> PathBuf {
        self.data_dir.join("directory.db")
    }

    /// The folder of asynchronous queries' result files.
    pub fn results_dir(&self) -> PathBuf {
        self.data_dir.join("results")
    }

    /// The folder of queries' temporary files; whatever is in it may be deleted while no query runs.
    pub fn spill_dir(&self) -> PathBuf {
        self.data_dir.join("spill")
    }

    /// Refuses what cannot be meant. Each error's sentence begins with the path of the setting.
    fn check(&self) -> Result<()> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(Error::invalid(
                "data_dir is empty; give the folder of the server's data",
            ));
        }
        self.server.check_ranges()?;
        self.logs.check_ranges()?;
        self.limits.check_ranges()?;
        self.retention.check_ranges()?;
        self.prompt_logs.check_ranges()?;
        self.key_template()?;
        self.keeping.check_ranges()?;
        self.identity.check_ranges()?;
        tables::check(&self.organizations)?;
        clusters::check(&self.clusters)?;
        check_level(&self.logs.level)?;
        check_public_url(&self.server.public_url)?;
        self.server.metrics_address()?;
        check_name("identity.issuer", &self.identity.issuer)?;
        openid::check(self)
    }
}

/// The whole table, in the order of the example file.
fn rows() -> Vec<Row> {
    let data_dir = Row {
        path: "data_dir",
        allowed: None,
        help: "Folder of everything the server stores; made when it does not exist.",
    };
    let mut rows = vec![data_dir];
    rows.extend(Server::rows());
    rows.extend(Logs::rows());
    rows.extend(Limits::rows());
    rows.extend(Retention::rows());
    rows.extend(PromptLogs::rows());
    rows.extend(Keeping::rows());
    rows.extend(Identity::rows());
    rows
}

fn range_text<T: Display>(range: &RangeInclusive<T>) -> String {
    format!("{} to {}", range.start(), range.end())
}

fn check_range<T: PartialOrd + Display>(
    path: &str,
    value: &T,
    range: &RangeInclusive<T>,
) -> Result<()> {
    if range.contains(value) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{path} is {value}; it must be {}",
        range_text(range)
    )))
}

fn check_level(level: &str) -> Result<()> {
    // A filter takes any other word for a module, so that a level with a typing error would log nothing.
    let mut words = level.split(',').filter(|part| !part.contains('='));
    let misspelt = words.find_map(|word| word.parse::<LevelFilter>().err());
    let filter = EnvFilter::try_new(level);
    let refused = || {
        Error::invalid(format!(
            "logs.level is {level:?}, which is no log filter; give a level such as info, or module=level pairs"
        ))
    };
    match (misspelt, filter) {
        (Some(error), _) => Err(refused().because(error)),
        (None, Err(error)) => Err(refused().because(error)),
        (None, Ok(_)) => Ok(()),
    }
}

fn check_public_url(url: &str) -> Result<()> {
    let parsed = url::Url::parse(url);
    let good = parsed.is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
    });
    if url.is_empty() || good && !url.ends_with('/') {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "server.public_url is {url:?}; it must be empty, or like https://data.example.com without a slash at its end"
    )))
}

/// An issuer and the like are compared byte for byte in every token, so a stray space or line break must not hide in them.
fn check_name(setting: &str, name: &str) -> Result<()> {
    let graphic = name.chars().all(|c| c.is_ascii_graphic());
    if name.is_empty() || name.len() > 256 || !graphic {
        return Err(Error::invalid(format!(
            "{setting} must be 1 to 256 printable ASCII characters without spaces"
        )));
    }
    Ok(())
}
