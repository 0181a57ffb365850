//! The command line (the wire contract, section 8): one file per command.
//!
//! Operator commands work on the data directory, whether a server runs or not; `prompt-logs download` and `sql` are
//! clients over HTTP. Results go to standard output, everything else to standard error.

#![expect(clippy::print_stderr, reason = "a command line prints")]

mod api_key;
mod audit;
mod client;
mod demo;
mod grant;
mod keeping;
mod maintenance;
mod operator;
mod org;
mod progress;
mod prompt_logs;
mod role;
mod serve;
mod signing_key;
mod sql;
mod sql_file;
mod table;
mod token;
mod user;

use std::error::Error as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rules::{Error, OrgId, Result};

use crate::clock::Clock;
use crate::config::Config;
use crate::directory::Organization;
use crate::engine::worker;

/// The Admin API of the Amigo agent platform, self-hosted: prompt logs and SQL over your own data
#[derive(Debug, Parser)]
#[command(
    name = "amigo-admin",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    /// Folder of everything the server stores [default: amigo-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Settings file (TOML); amigo-admin.example.toml documents every setting
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Serve(serve::Args),
    Org(org::Args),
    User(user::Args),
    ApiKey(api_key::Args),
    Role(role::Args),
    Grant(grant::Args),
    Token(token::Args),
    PromptLogs(prompt_logs::Args),
    Table(table::Args),
    Sql(sql::Args),
    SigningKey(signing_key::Args),
    Maintenance(maintenance::Args),
    Audit(audit::Args),
    #[command(hide = true)]
    QueryWorker(worker::Settings),
}

/// What every command works with.
#[derive(Debug)]
pub struct Context {
    pub config: Config,
    pub clock: Clock,
    pub json: bool,
    /// The options of this command line that others of the same data directory need, too, as a shell takes them.
    options: String,
}

impl Context {
    /// Another command on the same data directory, to be pasted.
    fn command(&self, rest: impl std::fmt::Display) -> String {
        format!("amigo-admin {}{rest}", self.options)
    }

    /// The result: one JSON object with `--json`, text for people without.
    pub fn print(&self, human: impl FnOnce() -> String, value: serde_json::Value) {
        if self.json {
            print(value);
        } else {
            print(human());
        }
    }
}

/// Writes a line to standard output. A reader that has seen enough, such as `head`, ends the command.
fn print(line: impl std::fmt::Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}") {
        let enough = error.kind() == std::io::ErrorKind::BrokenPipe;
        if !enough {
            eprintln!("error: the answer cannot be written: {error}");
        }
        std::process::exit(if enough { 0 } else { 1 });
    }
}

/// Runs the command the process was started with. Exit codes: 0 success, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        // Before anything else takes memory: the worker begins by limiting itself.
        Command::QueryWorker(settings) => worker::run(&settings),
        command => run(command, cli.config, cli.data, cli.json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.message());
            // The operator may know everything: here, unlike over HTTP, the causes are shown.
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Threads for files and computing beside those of downloads.
const BLOCKING_THREADS: usize = 512;

fn run(command: Command, config: Option<PathBuf>, data: Option<PathBuf>, json: bool) -> Result<()> {
    let options = options(data.as_deref(), config.as_deref());
    let config = Config::load(config.as_deref(), data.as_deref())?;
    let context = Context {
        config,
        clock: Clock::system(),
        json,
        options,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each download holds two of them for as long as it takes; what else needs one finds one.
        .max_blocking_threads(BLOCKING_THREADS + 2 * context.config.limits.downloads)
        .build()
        .map_err(|error| Error::internal("the runtime cannot start").because(error))?;
    runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args, context).await,
            Command::Serve(args) => serve::run(args, context).await,
            Command::Org(args) => org::run(args, &context).await,
            Command::User(args) => user::run(args, &context).await,
            Command::ApiKey(args) => api_key::run(args, &context).await,
            Command::Role(args) => role::run(args, &context).await,
            Command::Grant(args) => grant::run(args, &context).await,
            Command::Token(args) => token::run(args, &context).await,
            Command::PromptLogs(args) => prompt_logs::run(args, &context).await,
            Command::Table(args) => table::run(args, &context).await,
            Command::Sql(args) => sql::run(args, &context).await,
            Command::SigningKey(args) => signing_key::run(args, &context).await,
            Command::Maintenance(args) => maintenance::run(args, &context).await,
            Command::Audit(args) => audit::run(args, &context).await,
            Command::QueryWorker(_) => {
                unreachable!("the worker runs without a runtime of this kind")
            }
        }
    })
}

/// What the command line gave of these, each followed by a space.
fn options(data: Option<&Path>, config: Option<&Path>) -> String {
    let given = [("--data", data), ("--config", config)].into_iter();
    let given = given.filter_map(|(name, path)| Some((name, path?)));
    given
        .map(|(name, path)| format!("{name} {} ", quoted(&path.display().to_string())))
        .collect()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The organization, which must be in the directory.
async fn known_organization(context: &Context, org: &OrgId) -> Result<Organization> {
    let directory = org::open_directory(context).await?;
    directory.organization(org).await?.ok_or_else(|| {
        Error::not_found(format!(
            "there is no organization {org}; create it first: {}",
            context.command(format_args!("org create {org}"))
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_repeat_the_options_that_name_the_data() {
        for (data, config, expected) in [
            (None, None, ""),
            (Some("/srv/a"), None, "--data /srv/a "),
            (
                Some("my data"),
                Some("it's"),
                r"--data 'my data' --config 'it'\''s' ",
            ),
        ] {
            assert_eq!(
                options(data.map(Path::new), config.map(Path::new)),
                expected
            );
        }
    }
}
