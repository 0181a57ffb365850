//! `amigo-admin org`: makes and lists organizations.
//!
//! Here too: how lists are laid out and how operator commands open the directory, which `user` and the key commands
//! share.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use rules::{ClusterName, OrgId, Result};
use serde_json::{Value, json};

use super::Context;
use crate::directory::{Directory, Organization};

/// Make and list organizations
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an organization with the four default roles
    Create {
        /// Its id: letters, digits, _ and -; a part of every URL of the organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
        /// Its name for people [default: the id]
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// The database cluster it lives on, which requests may name
        #[arg(long, value_name = "NAME", default_value = "default", value_parser = ClusterName::parse)]
        cluster: ClusterName,
    },
    /// List all organizations
    List,
}

/// Runs `org create` or `org list`. `org create` is the one operator command that makes a data directory.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Create {
            org_id,
            name,
            cluster,
        } => create(&org_id, name.as_deref(), &cluster, context).await,
        Command::List => list(context).await,
    }
}

async fn create(
    org_id: &OrgId,
    name: Option<&str>,
    cluster: &ClusterName,
    context: &Context,
) -> Result<()> {
    let directory = Directory::open(&context.config.directory_file()).await?;
    let organization = Organization {
        org_id: org_id.clone(),
        name: name.unwrap_or(org_id.as_str()).to_owned(),
        cluster: cluster.clone(),
        created_at: context.clock.now(),
    };
    directory
        .create_organization(org_id, &organization.name, cluster, organization.created_at)
        .await?;
    context.print(|| org_id.to_string(), as_json(&organization));
    eprintln!(
        "created organization {org_id}; next: amigo-admin user create {org_id} USER_ID --role {}",
        rules::DEFAULT_ADMINISTRATOR_ROLE
    );
    Ok(())
}

async fn list(context: &Context) -> Result<()> {
    let organizations = open_directory(context).await?.organizations().await?;
    let human = || {
        let rows = organizations.iter().map(|organization| {
            [
                organization.org_id.to_string(),
                organization.name.clone(),
                organization.cluster.to_string(),
                iso(organization.created_at),
            ]
        });
        aligned(["ORG", "NAME", "CLUSTER", "CREATED"], rows)
    };
    let all: Vec<Value> = organizations.iter().map(as_json).collect();
    context.print(human, json!({ "organizations": all }));
    Ok(())
}

fn as_json(organization: &Organization) -> Value {
    json!({
        "org_id": organization.org_id,
        "name": organization.name,
        "cluster": organization.cluster,
        "created_at": iso(organization.created_at),
    })
}

/// The directory of a command that has nothing to do without one.
pub(super) async fn open_directory(context: &Context) -> Result<Directory> {
    Directory::open_existing(&context.config.directory_file()).await
}

/// An instant as ISO 8601 in UTC, to the second.
pub(super) fn iso(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A table for people: a heading, then one line for each row, columns two spaces apart.
pub(super) fn aligned<const N: usize>(
    heading: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut lines = vec![heading.map(str::to_owned)];
    lines.extend(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    });
    let lines = lines.iter().map(|line| {
        let cells = line.iter().zip(widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_spaces() {
        let rows = [["a", "Zoë"], ["airline", ""]];
        let rows = rows.into_iter().map(|row| row.map(str::to_owned));
        assert_eq!(
            aligned(["ORG", "NAME"], rows),
            "ORG      NAME\na        Zoë\nairline"
        );
    }

    #[test]
    fn an_empty_list_is_its_heading() {
        assert_eq!(aligned(["ORG", "NAME"], std::iter::empty()), "ORG  NAME");
    }
}
