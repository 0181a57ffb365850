//! `amigo-admin audit`: lists, exports and verifies the audit log.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use futures::TryStreamExt;
use rules::{Error, OrgId, Result};
use serde_json::{Value, json};

use super::org::{aligned, open_directory};
use super::{Context, known_organization};
use crate::directory::{AuditHead, AuditRow, AuditVerdict, Directory};

/// Rows read at once.
const PAGE_ROWS: u32 = 500;
/// Characters of a resource that a list for people shows.
const RESOURCE_CHARS: usize = 60;

/// List, export and verify the audit log: who did and saw what
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the last rows of a chain
    List {
        #[command(flatten)]
        chain: Chain,
        /// How many rows
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Write the rows of a chain as NDJSON, one object a line
    ///
    /// On standard output there is nothing but the rows, with --json too; with --output, --json prints one object that counts
    /// them.
    Export {
        #[command(flatten)]
        chain: Chain,
        /// Only the rows behind this one, to go on with an earlier export
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: i64,
        /// A file to write, which must not exist [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Look at every row and its hash; print the end of each chain, to keep elsewhere
    Verify {
        #[command(flatten)]
        chain: MaybeChain,
        /// An end that was printed earlier: the chain must still hold it. Needs ORG or --server, which say whose end it is
        #[arg(long, value_name = "SEQ:HASH", value_parser = expected, requires = "chain")]
        expect: Option<AuditHead>,
    },
}

/// One chain.
#[derive(Debug, clap::Args)]
#[group(id = "chain", required = true, multiple = false)]
struct Chain {
    /// The organization
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: Option<OrgId>,
    /// The server's own chain
    #[arg(long)]
    server: bool,
}

/// One chain, or all of them.
#[derive(Debug, clap::Args)]
#[group(id = "chain", multiple = false)]
struct MaybeChain {
    /// The organization [default: all, and the server's own chain]
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: Option<OrgId>,
    /// The server's own chain
    #[arg(long)]
    server: bool,
}

fn expected(text: &str) -> Result<AuditHead, String> {
    let head = text.split_once(':').and_then(|(seq, hash)| {
        let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let hash = hash.to_ascii_lowercase();
        is_hash.then_some(AuditHead { seq, hash })
    });
    head.ok_or_else(|| "give a row and its hash, as verify prints them: SEQ:HASH".to_owned())
}

/// Runs `audit`.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::List { chain, limit } => list(&chain, limit, context).await,
        Command::Export {
            chain,
            after,
            output,
        } => export(&chain, after, output.as_deref(), context).await,
        Command::Verify { chain, expect } => verify(chain, expect.as_ref(), context).await,
    }
}

/// The directory, and the organization whose chain it is; none: the server's own.
async fn open<'a>(chain: &'a Chain, context: &Context) -> Result<(Directory, Option<&'a OrgId>)> {
    if let Some(org) = &chain.org_id {
        known_organization(context, org).await?;
    }
    Ok((open_directory(context).await?, chain.org_id.as_ref()))
}

async fn list(chain: &Chain, limit: u32, context: &Context) -> Result<()> {
    let (directory, org) = open(chain, context).await?;
    let head = directory.audit_head(org).await?;
    let after = (head.seq - i64::from(limit)).max(0);
    let rows: Vec<AuditRow> = directory
        .audit_rows(org, after, limit)
        .try_collect()
        .await?;
    let human = || {
        let shown = rows.iter().map(|row| {
            let resource = row.resource.as_deref().unwrap_or_default();
            let plain = resource
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c });
            let outcome = row.outcome.as_deref().unwrap_or(&row.event);
            [
                row.seq.to_string(),
                row.instant(),
                row.entry_id.clone(),
                actor_of(row),
                row.action.clone(),
                outcome.to_owned(),
                plain.take(RESOURCE_CHARS).collect(),
            ]
        });
        let heading = [
            "SEQ", "AT", "ENTRY", "ACTOR", "ACTION", "OUTCOME", "RESOURCE",
        ];
        aligned(heading, shown)
    };
    let all: Result<Vec<Value>> = rows.iter().map(as_json).collect();
    context.print(human, json!({ "audit_log": all? }));
    Ok(())
}

fn actor_of(row: &AuditRow) -> String {
    let parts = [row.actor_org_id.as_deref(), row.actor_id.as_deref()];
    let named: Vec<&str> = parts.into_iter().flatten().collect();
    match named.is_empty() {
        true => row.actor.clone(),
        false => format!("{} {}", row.actor, named.join("/")),
    }
}

fn as_json(row: &AuditRow) -> Result<Value> {
    serde_json::to_value(row)
        .map_err(|error| Error::internal("a row of the audit log is no JSON").because(error))
}

async fn export(chain: &Chain, after: i64, output: Option<&Path>, context: &Context) -> Result<()> {
    let (directory, org) = open(chain, context).await?;
    let named = output.map_or("standard output".into(), |file| file.display().to_string());
    let unwritable = |error: std::io::Error| {
        if output.is_none() && error.kind() == std::io::ErrorKind::BrokenPipe {
            // A reader that has seen enough, such as `head`.
            std::process::exit(0);
        }
        Error::invalid(format!("{named} cannot be written: {error}"))
    };
    let mut out: Box<dyn Write + Send> = match output {
        Some(file) => Box::new(create(file).map_err(unwritable)?),
        None => Box::new(std::io::stdout()),
    };
    let mut lines = BufWriter::new(&mut out);
    let (mut last, mut count) = (after, 0);
    loop {
        // Read before it is written: a writer that stands still must not keep the database's reader.
        let rows = directory.audit_rows(org, last, PAGE_ROWS);
        let rows: Vec<AuditRow> = rows.try_collect().await?;
        let Some(end) = rows.last() else {
            break;
        };
        last = end.seq;
        for row in &rows {
            serde_json::to_writer(&mut lines, row).map_err(|error| unwritable(error.into()))?;
            lines.write_all(b"\n").map_err(unwritable)?;
            count += 1;
        }
    }
    lines.flush().map_err(unwritable)?;
    drop(lines);
    out.flush().map_err(unwritable)?;
    if output.is_some() {
        context.print(
            || format!("{count} rows written to {named}; the last one is {last}"),
            json!({"rows": count, "last": last}),
        );
    }
    Ok(())
}

/// A new file for its owner only: it tells what people asked for.
fn create(file: &Path) -> std::io::Result<std::fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

async fn verify(chain: MaybeChain, expect: Option<&AuditHead>, context: &Context) -> Result<()> {
    let directory = open_directory(context).await?;
    let chains: Vec<Option<OrgId>> = match chain {
        MaybeChain {
            org_id: Some(org), ..
        } => {
            known_organization(context, &org).await?;
            vec![Some(org)]
        }
        MaybeChain { server: true, .. } => vec![None],
        MaybeChain { .. } => {
            let organizations = directory.organizations().await?.into_iter();
            let own = organizations.map(|organization| Some(organization.org_id));
            std::iter::once(None).chain(own).collect()
        }
    };
    let (mut shown, mut broken) = (Vec::new(), Vec::new());
    for org in chains {
        let verdict = directory.verify_audit(org.as_ref(), expect).await?;
        let name = org.map_or("(server)".to_owned(), String::from);
        match verdict {
            AuditVerdict::Intact(head) => shown.push((name, head)),
            AuditVerdict::Broken { seq, why } => broken.push(format!("{name}: row {seq}: {why}")),
        }
    }
    if !broken.is_empty() {
        return Err(Error::conflict(format!(
            "the audit log is not as it was written: {}",
            broken.join("; ")
        )));
    }
    let human = || {
        let rows = shown.iter();
        let rows = rows.map(|(name, head)| [name.clone(), format!("{}:{}", head.seq, head.hash)]);
        aligned(["CHAIN", "END"], rows)
    };
    let all = shown
        .iter()
        .map(|(name, head)| json!({"chain": name, "seq": head.seq, "hash": head.hash}));
    let all: Vec<Value> = all.collect();
    context.print(human, json!({ "chains": all }));
    Ok(())
}
