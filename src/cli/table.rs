//! `amigo-admin table`: files and collections into lake tables, and the columns of collections.

mod collection;
mod refresh;
mod sync;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use rules::{Error, OrgId, Result, TableName};
use serde_json::json;

use super::org::open_directory;
use super::progress::Progress;
use super::{Context, known_organization, operator};
use crate::engine::ServerTable;
use crate::guard::Action;
use crate::lake::append::{Imported, Target, import_file};
use crate::lake::{Lake, prompt_log_table};

/// Import files and collections into an organization's tables, sample the columns of collections
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Import a file into a table, which is made when there is none; all of it, or nothing
    ///
    /// ISO-8601 instants become timestamps; nested values become JSON text.
    Import {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
        /// The table: lower-case letters, digits and _
        #[arg(value_name = "TABLE", value_parser = TableName::parse)]
        table: TableName,
        /// A file: .ndjson, .json (an array), .csv (with a header) or .parquet
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replace the table's columns and rows; without it the rows are appended
        #[arg(long)]
        replace: bool,
    },
    /// Sample the columns of a MongoDB collection anew, for all queries from now on
    Refresh {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
        /// The table
        #[arg(value_name = "TABLE", value_parser = TableName::parse)]
        table: TableName,
    },
    /// Copy a MongoDB collection into the lake, as a table of the same name
    ///
    /// Queries read the copy from then on, unless the configuration says serve = "mongodb". Stopped at any moment, it
    /// has changed nothing; repeated, it makes the same table.
    Sync {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org: OrgId,
        /// The table
        #[arg(value_name = "TABLE", value_parser = TableName::parse)]
        table: TableName,
        /// Read only documents whose value here is at least as great as any was when the last copy began; a field that
        /// grows with every change, of instants or whole numbers. Documents that were deleted stay in the copy
        #[arg(long, value_name = "FIELD")]
        since_field: Option<String>,
        /// Copy all documents, in the place of whatever table is there
        #[arg(long)]
        full: bool,
    },
}

pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Import {
            org,
            table,
            file,
            replace,
        } => import_table(&org, &table, &file, replace, context).await,
        Command::Refresh { org, table } => refresh::run(&org, &table, context).await,
        Command::Sync {
            org,
            table,
            since_field,
            full,
        } => sync::run(&org, &table, since_field, full, context).await,
    }
}

async fn import_table(
    org: &OrgId,
    table: &TableName,
    file: &Path,
    replace: bool,
    context: &Context,
) -> Result<()> {
    known_organization(context, org).await?;
    if *table == prompt_log_table::name() {
        let way = format!("amigo-admin prompt-logs import {org} {}", file.display());
        return Err(Error::invalid(format!(
            "prompt logs have a table of their own; use: {way}"
        )));
    }
    if ServerTable::named(table.as_str()).is_some() {
        return Err(Error::invalid(format!(
            "{table} is a table of the server's own; choose another name"
        )));
    }
    let lake = Lake::local(&context.config.lake_dir())?;
    let target = Target {
        org,
        table,
        replace,
    };
    let deed = Action::ImportTable
        .on(table)
        .with(json!({"file": file, "replace": replace}));
    let import = import(&lake, target, file, context);
    let made = |imported: &Imported| json!({"rows": imported.rows, "columns": imported.columns});
    let directory = open_directory(context).await?;
    let imported = operator::act(context, &directory, Some(org), deed, import, made).await?;
    let Imported { rows, columns } = imported;
    context.print(
        || format!("{rows} rows of {columns} columns imported into {table}"),
        json!({"table": table, "rows": rows, "columns": columns}),
    );
    Ok(())
}

/// Imports with a bar on standard error.
pub(super) async fn import(
    lake: &Lake,
    target: Target<'_>,
    file: &Path,
    context: &Context,
) -> Result<Imported> {
    let size = std::fs::metadata(file)
        .map_err(|error| Error::invalid(format!("{} cannot be read: {error}", file.display())))?;
    // Every byte is read twice: once for the columns, once for the rows.
    let mut progress = Progress::bytes(format!("importing {}", target.table), Some(size.len() * 2));
    let mut report = |phase, bytes| {
        progress.set(if phase == "reading" {
            bytes
        } else {
            size.len() + bytes
        })
    };
    let imported = import_file(lake, target, file, context.clock.now(), &mut report).await;
    progress.finish();
    imported
}
