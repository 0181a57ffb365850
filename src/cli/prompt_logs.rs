//! `amigo-admin prompt-logs`: import and list on the data directory, download over HTTP; `keeping.rs` has the rest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use clap::Subcommand;
use prompt_intake::{BOM, Reason};
use rules::{Error, LogKey, OrgId, Result};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::org::{aligned, iso, open_directory};
use super::progress::Progress;
use super::{Context, client, keeping, known_organization, operator};
use crate::guard::{Action, KEYS_NAMED};
use crate::lake::{Lake, prompt_log_table};
use crate::prompt_logs::{
    Chunk, KeyIndex, Record, ingest, list_keys, refuse_if_ahead, refuse_if_expired,
};

/// A line longer than this is no prompt log.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Rejected lines that are explained one by one.
const REJECTIONS_SHOWN: usize = 20;

/// Import, list and download prompt logs
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import prompt logs, one JSON object a line; a line that is none is named and left out
    ///
    /// So is a log that is older than those the organization keeps, see org retention.
    Import {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
        /// A file, or - for standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
        /// Also store logs that are older than those which are kept. They are not served, and the next expiry drops
        /// them, unless the retention is raised first
        #[arg(long)]
        force: bool,
    },
    /// List the prompt logs whose key begins with a prefix, of any age
    List {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
        /// The prefix; "" lists all
        prefix: String,
    },
    /// Say what an organization's archive holds
    Stats {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
    },
    /// Merge the data files of an archive into few that are sorted by key
    ///
    /// The server does it in the background; this goes further, and merges today's files too.
    Compact {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
    },
    /// Drop the days that are too old to be shown, and delete files nobody can need any more
    ///
    /// The server does it in the background. Files stay for a while for readers that began before, see the setting
    /// keeping.unused_seconds.
    Expire {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
    },
    /// Download prompt logs from a server as a zip
    ///
    /// The server and who asks come from the environment: `AMIGO_BASE_URL` (such as `http://127.0.0.1:8080`),
    /// `AMIGO_ORGANIZATION_ID`, `AMIGO_API_KEY`, `AMIGO_API_KEY_ID`, `AMIGO_USER_ID`. Each run signs in once, which a server
    /// allows 5 times a minute with one key, unless it is told otherwise.
    Download {
        /// The prefix of the log keys
        prefix: String,
        /// The zip file to write
        #[arg(short, long, value_name = "FILE.zip")]
        output: PathBuf,
        /// Continue behind this log key, when an earlier archive was cut
        #[arg(long, value_name = "LOG_KEY", value_parser = LogKey::parse)]
        after: Option<LogKey>,
    },
}

pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Import { org, file, force } => import(&org, &file, force, context).await,
        Command::List { org, prefix } => list(&org, &prefix, context).await,
        Command::Stats { org } => keeping::stats(&org, context).await,
        Command::Compact { org } => keeping::compact(&org, context).await,
        Command::Expire { org } => keeping::expire(&org, context).await,
        Command::Download {
            prefix,
            output,
            after,
        } => client::download(&prefix, after.as_ref(), &output, context).await,
    }
}

async fn list(org: &OrgId, prefix: &str, context: &Context) -> Result<()> {
    known_organization(context, org).await?;
    let lake = Lake::local(&context.config.lake_dir())?;
    let directory = open_directory(context).await?;
    let (deed, list) = (
        Action::ListPromptLogs.on(prefix),
        list_keys(&lake, org, prefix),
    );
    let made = |logs: &Vec<_>| json!({"logs": logs.len()});
    let logs = operator::act(context, &directory, Some(org), deed, list, made).await?;
    let human = || {
        let rows = logs
            .iter()
            .map(|(key, created_at)| [iso(*created_at), key.clone()]);
        aligned(["CREATED", "LOG_KEY"], rows)
    };
    let all: Vec<_> = logs
        .iter()
        .map(|(key, at)| json!({"log_key": key, "created_at": at}))
        .collect();
    context.print(human, json!({"prompt_logs": all}));
    Ok(())
}

async fn import(org: &OrgId, file: &Path, force: bool, context: &Context) -> Result<()> {
    let organization = known_organization(context, org).await?;
    let lake = Lake::local(&context.config.lake_dir())?;
    let mut import = Import::new(&lake, org, context);
    if !force {
        import.retention_days = Some(organization.retention_days_or(context.config.retention.days));
    }
    let (input, size) = open(file)?;
    let mut progress = Progress::bytes(format!("importing prompt logs into {org}"), size);
    let deed = Action::ImportPromptLogs
        .on_all()
        .with(json!({"file": file, "force": force}));
    // On the heap: writing is a large future.
    let work = Box::pin(async {
        import.lines(input, &mut progress).await?;
        let mut told = import.counts();
        if import.replaced > 0 {
            told["replaced"] = json!(import.replaced);
            told["replaced_keys"] = json!(import.named);
        }
        Ok(told)
    });
    let directory = open_directory(context).await?;
    let days = context.config.retention.days;
    directory.note_retention(days, context.clock.now()).await?;
    operator::act(context, &directory, Some(org), deed, work, Value::clone).await?;
    progress.finish();
    import.report(context)
}

/// A file or standard input, and its size where it is known.
fn open(file: &Path) -> Result<(Box<dyn BufRead>, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let unreadable = |error| Error::invalid(format!("{} cannot be read: {error}", file.display()));
    let opened = File::open(file).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    Ok((
        Box::new(BufReader::with_capacity(1 << 20, opened)),
        Some(size),
    ))
}

/// Refuses, with the cure, what is no lines of JSON.
fn refuse_other_forms(begin: &[u8]) -> Result<()> {
    let begins = |with: &[u8]| begin.starts_with(with);
    let cure = if begins(&[0x1f, 0x8b]) {
        "the input is compressed: gzip -dc FILE | amigo-admin prompt-logs import ORG -"
    } else if begins(&[0x28, 0xb5, 0x2f, 0xfd]) {
        "the input is compressed: zstd -dc FILE | amigo-admin prompt-logs import ORG -"
    } else if begin.trim_ascii_start().starts_with(b"[") {
        "the input is one JSON array, not an object a line: jq -c '.[]' FILE | amigo-admin prompt-logs import ORG -"
    } else {
        return Ok(());
    };
    Err(Error::invalid(cure))
}

/// Set by the first Ctrl-C or SIGTERM; the second one ends the process.
fn stop_signal() -> Result<Arc<AtomicBool>> {
    let deaf = |error| Error::internal("signals cannot be received").because(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            if told.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
        }
    });
    Ok(stop)
}

/// Reads a line, and says how many bytes it has, 0 at the end, and whether that is too many. Such a line is read to its
/// end and not kept.
fn read_line(
    input: &mut impl BufRead,
    bytes_max: u64,
    line: &mut Vec<u8>,
) -> io::Result<(u64, bool)> {
    line.clear();
    let newline_too = bytes_max + 1;
    let mut bytes = input.take(newline_too).read_until(b'\n', line)? as u64;
    let is_too_long = bytes > bytes_max && !line.ends_with(b"\n");
    let mut goes_on = is_too_long;
    while goes_on {
        line.clear();
        let more = input.take(newline_too).read_until(b'\n', line)? as u64;
        bytes += more;
        goes_on = more > 0 && !line.ends_with(b"\n");
    }
    Ok((bytes, is_too_long))
}

/// An import under way; shared with the demo, whose data comes from no file.
pub(super) struct Import<'a> {
    lake: &'a Lake,
    org: &'a OrgId,
    context: &'a Context,
    keys: KeyIndex,
    chunk: Chunk,
    written: usize,
    unchanged: usize,
    rejected: usize,
    /// Logs that others took the place of, and the keys of some.
    replaced: usize,
    named: Vec<LogKey>,
    /// Older logs are rejected; `None`: none is too old.
    retention_days: Option<u32>,
}

impl<'a> Import<'a> {
    pub(super) fn new(lake: &'a Lake, org: &'a OrgId, context: &'a Context) -> Self {
        Self {
            lake,
            org,
            context,
            keys: KeyIndex::default(),
            chunk: Chunk::default(),
            written: 0,
            unchanged: 0,
            rejected: 0,
            replaced: 0,
            named: Vec::new(),
            retention_days: None,
        }
    }

    async fn lines(&mut self, mut input: Box<dyn BufRead>, progress: &mut Progress) -> Result<()> {
        let stop = stop_signal()?;
        let begin = input
            .fill_buf()
            .map_err(|error| Error::invalid(format!("the input cannot be read: {error}")))?;
        refuse_other_forms(begin)?;
        if begin.starts_with(BOM) {
            input.consume(BOM.len());
        }
        let mut line = Vec::new();
        let (mut number, mut bytes) = (0_u64, 0_u64);
        loop {
            if stop.load(Ordering::Relaxed) {
                self.write().await?;
                return Err(Error::unavailable(format!(
                    "stopped: {}; the same import again is safe",
                    self.summary()
                )));
            }
            number += 1;
            let read = read_line(&mut input, LINE_BYTES_MAX, &mut line);
            let (read, is_too_long) = read.map_err(|error| {
                Error::invalid(format!("line {number} cannot be read: {error}"))
            })?;
            if read == 0 {
                break;
            }
            bytes += read;
            progress.set(bytes);
            if is_too_long {
                let error = format!("it is longer than {LINE_BYTES_MAX} bytes");
                self.reject(number, &Error::invalid(error), progress);
                continue;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match self.parse(&line) {
                Ok(record) => self.push(record).await?,
                Err(error) => self.reject(number, &error, progress),
            }
        }
        self.write().await
    }

    fn parse(&self, line: &[u8]) -> Result<Record> {
        let record = Record::parse(line)?;
        if self.retention_days.is_some() {
            refuse_if_expired(record.created_at, self.oldest())?;
            refuse_if_ahead(record.created_at, self.context.clock.now())?;
        }
        Ok(record)
    }

    fn oldest(&self) -> DateTime<Utc> {
        let now = self.context.clock.now();
        self.retention_days
            .map_or(DateTime::<Utc>::MIN_UTC, |days| {
                prompt_log_table::oldest(now, days)
            })
    }

    pub(super) async fn push(&mut self, record: Record) -> Result<()> {
        self.chunk.push(record);
        if self.chunk.is_full() {
            self.write().await
        } else {
            Ok(())
        }
    }

    /// Writes what is gathered; it is on disk when this returns.
    pub(super) async fn write(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.chunk).into_records();
        let written = ingest::write(
            self.lake,
            &self.keys,
            self.org,
            records,
            self.context.clock.now(),
            self.oldest(),
        )
        .await?;
        self.written += written.written;
        self.unchanged += written.unchanged;
        self.replaced += written.replaced.len();
        let room = KEYS_NAMED - self.named.len();
        self.named.extend(written.replaced.into_iter().take(room));
        Ok(())
    }

    fn reject(&mut self, line: u64, error: &Error, progress: &Progress) {
        self.rejected += 1;
        if self.rejected <= REJECTIONS_SHOWN {
            let reason = Reason::new(error.message().to_owned());
            progress.say(&format!("line {line}: {reason}"));
        } else if self.rejected == REJECTIONS_SHOWN + 1 {
            progress.say("more lines are rejected; they are only counted from here on");
        }
    }

    fn counts(&self) -> Value {
        json!({"written": self.written, "unchanged": self.unchanged, "rejected": self.rejected})
    }

    fn summary(&self) -> String {
        let (written, unchanged, rejected) = (self.written, self.unchanged, self.rejected);
        format!("{written} written, {unchanged} unchanged, {rejected} rejected")
    }

    fn report(&self, context: &Context) -> Result<()> {
        context.print(|| self.summary(), self.counts());
        let rejected = self.rejected;
        if rejected > 0 {
            return Err(Error::invalid(format!(
                "{rejected} lines were rejected; everything else was imported"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_skipped_to_its_end() {
        let mut input: &[u8] = b"12345\n123456\n\nlonger than twice as long\n12\n123456";
        let (mut found, mut line) = (Vec::new(), Vec::new());
        loop {
            let (bytes, is_too_long) = read_line(&mut input, 5, &mut line).unwrap();
            if bytes == 0 {
                break;
            }
            let kept = (!is_too_long).then(|| String::from_utf8_lossy(&line).into_owned());
            found.push((bytes, kept));
        }
        let kept = |line: &str| Some(line.to_owned());
        let expected = [
            (6, kept("12345\n")),
            (7, None),
            (1, kept("\n")),
            (26, None),
            (3, kept("12\n")),
            (6, None),
        ];
        assert_eq!(found, expected);
    }
}
