//! `amigo-admin user`: makes, lists and deletes the users of an organization.

use clap::Subcommand;
use rules::{DEFAULT_ADMINISTRATOR_ROLE, Error, OrgId, Result, RoleName, UserId};
use serde_json::{Value, json};

use super::org::{aligned, iso, open_directory};
use super::{Context, operator};
use crate::directory::{NewUser, User};
use crate::guard::Action;

const ROLE_HELP: &str = "The user's role: DefaultUserRole, DefaultAdministratorRole, \
    DefaultAmigoAdministratorRole, DefaultSuperAdministratorRole or another one of the organization";

/// Make, list and delete the users of an organization
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a user
    Create(Create),
    /// List the users of an organization
    List {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
    },
    /// Delete a user; their tokens end at once
    Delete {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
        /// The user
        #[arg(value_name = "USER_ID", value_parser = UserId::parse)]
        user_id: UserId,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The organization
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: OrgId,
    /// The user's id: letters, digits and _ . @ + : -
    #[arg(value_name = "USER_ID", value_parser = UserId::parse)]
    user_id: UserId,
    #[arg(long, value_name = "ROLE", value_parser = RoleName::parse, help = ROLE_HELP)]
    role: RoleName,
    /// E-mail address, which no other user of the organization may have
    #[arg(long, value_name = "E")]
    email: Option<String>,
    /// First name
    #[arg(long, value_name = "F")]
    first_name: Option<String>,
    /// Last name
    #[arg(long, value_name = "L")]
    last_name: Option<String>,
}

/// Runs `user`.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Create(create) => create.run(context).await,
        Command::List { org_id } => list(&org_id, context).await,
        Command::Delete { org_id, user_id } => {
            let directory = open_directory(context).await?;
            let deed = Action::DeleteUser.on(&user_id);
            let delete = directory.delete_user(&org_id, &user_id, None);
            let nothing = operator::nothing;
            operator::act(context, &directory, Some(&org_id), deed, delete, nothing).await?;
            let deleted = json!({"deleted_user_id": user_id});
            context.print(|| user_id.to_string(), deleted);
            Ok(())
        }
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<()> {
        let directory = open_directory(context).await?;
        let new = NewUser {
            org_id: self.org_id,
            user_id: self.user_id,
            role: self.role,
            email: self.email,
            first_name: self.first_name,
            last_name: self.last_name,
        };
        let now = context.clock.now();
        let NewUser {
            org_id, user_id, ..
        } = &new;
        let deed = Action::InviteUser
            .on(user_id)
            .with(json!({"role": new.role, "email": new.email}));
        let create = directory.create_user(&new, now);
        let nothing = operator::nothing;
        operator::act(context, &directory, Some(org_id), deed, create, nothing).await?;
        let users = directory.users(org_id).await?;
        let made = users.iter().find(|user| user.user_id == *user_id);
        let made = made.ok_or_else(|| Error::internal("the new user is not there"))?;
        context.print(|| user_id.to_string(), as_json(made));
        // A key signs in whom its role covers.
        let role = match new.role.as_str() {
            DEFAULT_ADMINISTRATOR_ROLE => String::new(),
            role => format!(" --role {role}"),
        };
        eprintln!(
            "created user {user_id} of organization {org_id}; next: {}, or {}",
            context.command(format_args!("token {org_id} {user_id}")),
            context.command(format_args!("api-key create {org_id}{role}"))
        );
        Ok(())
    }
}

async fn list(org_id: &OrgId, context: &Context) -> Result<()> {
    let directory = open_directory(context).await?;
    if directory.organization(org_id).await?.is_none() {
        return Err(Error::not_found(format!(
            "there is no organization {org_id}; {} shows all",
            context.command("org list")
        )));
    }
    let users = directory.users(org_id).await?;
    let human = || {
        let rows = users.iter().map(|user| {
            let names = [user.first_name.as_deref(), user.last_name.as_deref()];
            [
                user.user_id.to_string(),
                user.role.to_string(),
                names.into_iter().flatten().collect::<Vec<_>>().join(" "),
                user.email.clone().unwrap_or_default(),
                iso(user.created_at),
            ]
        });
        aligned(["USER_ID", "ROLE", "NAME", "EMAIL", "CREATED"], rows)
    };
    let all: Vec<Value> = users.iter().map(as_json).collect();
    context.print(human, json!({ "users": all }));
    Ok(())
}

fn as_json(user: &User) -> Value {
    json!({
        "org_id": user.org_id,
        "user_id": user.user_id,
        "role": user.role,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "created_at": iso(user.created_at),
        "updated_at": iso(user.updated_at),
    })
}
