//! `amigo-admin api-key`: makes API keys.

use clap::Subcommand;
use rules::{DEFAULT_ADMINISTRATOR_ROLE, OrgId, Result, RoleName};
use serde_json::json;

use super::Context;
use super::org::{iso, open_directory};
use crate::directory::API_KEYS_MAX;
use crate::identity::{DAYS_MAX, Identity};

/// Make API keys, which sign users in
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an API key and show it, this one time
    Create(Create),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The organization
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: OrgId,
    /// The key signs in users whose role has no more privileges than this one
    #[arg(long, value_name = "ROLE", default_value = DEFAULT_ADMINISTRATOR_ROLE, value_parser = RoleName::parse)]
    role: RoleName,
    /// How long the key lives, 1 to 90 days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// What the key is for
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
}

/// Runs `api-key create`. Prints JSON with or without `--json`: it is read by programs (the wire contract, section 8).
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    let Command::Create(create) = args.command;
    let directory = open_directory(context).await?;
    let settings = &context.config.identity;
    let identity = Identity::open(directory, context.clock.clone(), settings).await?;
    let Create {
        org_id,
        role,
        days,
        name,
    } = create;
    let key = identity
        .create_api_key(&org_id, &role, days, name.as_deref(), None)
        .await?;
    let printed = json!({
        "api_key_id": key.api_key_id,
        "api_key": key.api_key,
        "expires_at": iso(key.expires_at),
    });
    context.print(|| printed.to_string(), printed.clone());
    eprintln!(
        "created API key {} of organization {org_id} (at most {API_KEYS_MAX}); keep it now, it is not shown again",
        key.api_key_id
    );
    Ok(())
}
