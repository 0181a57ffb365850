//! `amigo-admin org`: makes and lists organizations, and says how long their prompt logs are kept.
//!
//! Here too: how lists are laid out and how operator commands open the directory, which `user` and the key commands
//! share.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use rules::{ClusterName, OrgId, Result};
use serde_json::{Value, json};

use super::{Context, known_organization, operator};
use crate::config::RETENTION_DAYS;
use crate::directory::{Directory, Organization};
use crate::guard::Action;

/// Make and list organizations, set how long their prompt logs are kept
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
        /// Days its prompt logs are kept [default: the setting retention.days]
        #[arg(long, value_name = "N", value_parser = days_kept)]
        retention_days: Option<u32>,
    },
    /// Print or set how many days an organization's prompt logs are kept
    ///
    /// Takes effect with the next request. What is older is dropped in the background; raising the days does not bring
    /// it back.
    Retention {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
        /// A number of days, or default: as the setting retention.days says
        #[arg(value_name = "DAYS|default", value_parser = Kept::parse)]
        days: Option<Kept>,
    },
    /// List all organizations
    List,
}

/// How long prompt logs are to be kept.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Days(u32),
    Default,
}

impl Kept {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            text => days_kept(text).map(Self::Days),
        }
    }
}

fn days_kept(text: &str) -> Result<u32, String> {
    let (least, most) = (RETENTION_DAYS.start(), RETENTION_DAYS.end());
    let days = text
        .parse()
        .ok()
        .filter(|days| RETENTION_DAYS.contains(days));
    days.ok_or_else(|| format!("give {least} to {most} days"))
}

/// Runs a command about organizations. `org create` is the one operator command that makes a data directory.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Create {
            org_id,
            name,
            cluster,
            retention_days,
        } => {
            let organization = Organization {
                name: name.unwrap_or_else(|| org_id.to_string()),
                org_id,
                cluster,
                created_at: context.clock.now(),
                retention_days,
            };
            create(&organization, context).await
        }
        Command::Retention { org_id, days } => retention(&org_id, days, context).await,
        Command::List => list(context).await,
    }
}

async fn create(organization: &Organization, context: &Context) -> Result<()> {
    let directory = Directory::open(&context.config.directory_file()).await?;
    let org_id = &organization.org_id;
    let deed = Action::CreateOrganization
        .on(org_id)
        .with(as_json(organization));
    let create = directory.create_organization(organization);
    let nothing = operator::nothing;
    operator::act(context, &directory, None, deed, create, nothing).await?;
    context.print(|| org_id.to_string(), as_json(organization));
    let (clusters, cluster) = (&context.config.clusters, &organization.cluster);
    if !clusters.is_empty() && !clusters.contains_key(cluster) {
        let known: Vec<&str> = clusters.keys().map(ClusterName::as_str).collect();
        eprintln!(
            "warning: no MongoDB is configured for the cluster {cluster}; there is {}",
            known.join(", ")
        );
    }
    eprintln!(
        "created organization {org_id}; next: {}",
        context.command(format_args!(
            "user create {org_id} USER_ID --role {}",
            rules::DEFAULT_ADMINISTRATOR_ROLE
        ))
    );
    Ok(())
}

async fn retention(org_id: &OrgId, days: Option<Kept>, context: &Context) -> Result<()> {
    let directory = open_directory(context).await?;
    if let Some(kept) = days {
        let days = match kept {
            Kept::Days(days) => Some(days),
            Kept::Default => None,
        };
        let deed = Action::SetRetention.on_all().with(json!({ "days": days }));
        let set = directory.set_retention(org_id, days);
        let nothing = operator::nothing;
        operator::act(context, &directory, Some(org_id), deed, set, nothing).await?;
    }
    let organization = known_organization(context, org_id).await?;
    let own = organization.retention_days;
    let days = organization.retention_days_or(context.config.retention.days);
    let human = || match own {
        Some(days) => format!("{days} days"),
        None => format!("{days} days, as the setting retention.days says"),
    };
    let value = json!({"org_id": org_id, "retention_days": own, "days": days});
    context.print(human, value);
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
                kept(organization),
                iso(organization.created_at),
            ]
        });
        aligned(["ORG", "NAME", "CLUSTER", "KEPT", "CREATED"], rows)
    };
    let all: Vec<Value> = organizations.iter().map(as_json).collect();
    context.print(human, json!({ "organizations": all }));
    Ok(())
}

fn kept(organization: &Organization) -> String {
    match organization.retention_days {
        Some(days) => format!("{days} days"),
        None => "default".to_owned(),
    }
}

fn as_json(organization: &Organization) -> Value {
    json!({
        "org_id": organization.org_id,
        "name": organization.name,
        "cluster": organization.cluster,
        "created_at": iso(organization.created_at),
        "retention_days": organization.retention_days,
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
