//! `amigo-admin api-key`: makes, lists and revokes API keys.

use chrono::TimeDelta;
use clap::Subcommand;
use rules::{DEFAULT_ADMINISTRATOR_ROLE, OrgId, Result, RoleName};
use serde_json::{Value, json};

use super::org::{aligned, iso, open_directory};
use super::{Context, known_organization, operator};
use crate::directory::{API_KEYS_MAX, ApiKey};
use crate::guard::Action;
use crate::identity::{DAYS_MAX, Identity, NewKey};

/// Make, list and revoke API keys, which sign users in
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an API key and show it, this one time
    Create(Create),
    /// List the API keys of an organization, expired ones too
    List {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
    },
    /// Delete an API key; tokens that were signed in with it end at once
    Revoke {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
        /// The key's id, as `api-key list` shows it
        #[arg(value_name = "KEY_ID")]
        key_id: String,
    },
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

/// Runs `api-key`.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Create(create) => create.run(context).await,
        Command::List { org_id } => list(&org_id, context).await,
        Command::Revoke { org_id, key_id } => {
            let directory = open_directory(context).await?;
            let deed = Action::DeleteApiKey.on(&key_id);
            let delete = directory.delete_api_key(&org_id, &key_id);
            let nothing = operator::nothing;
            operator::act(context, &directory, Some(&org_id), deed, delete, nothing).await?;
            context.print(|| key_id.clone(), json!({"deleted_key_id": key_id}));
            Ok(())
        }
    }
}

impl Create {
    /// Prints JSON with or without `--json`: it is read by programs (the wire contract, section 8).
    async fn run(self, context: &Context) -> Result<()> {
        let directory = open_directory(context).await?;
        let settings = &context.config.identity;
        let identity = Identity::open(directory.clone(), context.clock.clone(), settings).await?;
        let Self {
            org_id,
            role,
            days,
            name,
        } = self;
        let life = TimeDelta::days(days.into());
        let name = name.as_deref();
        let deed = Action::CreateApiKey
            .on(name.unwrap_or_default())
            .with(json!({"role": role, "days": days}));
        let create = identity.create_api_key(&org_id, &role, life, name, None);
        let made =
            |key: &NewKey| json!({"api_key_id": key.api_key_id, "expires_at": key.expires_at});
        let key = operator::act(context, &directory, Some(&org_id), deed, create, made).await?;
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
}

async fn list(org_id: &OrgId, context: &Context) -> Result<()> {
    known_organization(context, org_id).await?;
    let keys = open_directory(context).await?.api_keys(org_id).await?;
    let human = || {
        let rows = keys.iter().map(|key| {
            let name = key.name.clone().unwrap_or_default();
            let (role, expires) = (key.role.name.to_string(), iso(key.expires_at));
            [key.key_id.clone(), role, iso(key.created_at), expires, name]
        });
        aligned(["KEY_ID", "ROLE", "CREATED", "EXPIRES", "NAME"], rows)
    };
    let all: Vec<Value> = keys.iter().map(as_json).collect();
    context.print(human, json!({ "api_keys": all }));
    Ok(())
}

fn as_json(key: &ApiKey) -> Value {
    json!({
        "key_id": key.key_id,
        "name": key.name,
        "role": key.role.name,
        "creator": key.creator.as_ref().map(|(org, user)| json!({"org_id": org, "user_id": user})),
        "created_at": iso(key.created_at),
        "expires_at": iso(key.expires_at),
    })
}
