//! `amigo-admin role`: lists, makes and assigns the roles of an organization, and explains what they come to.

use std::path::PathBuf;

use clap::Subcommand;
use rules::{Error, Grant, OrgId, RequiredPermission, Result, Role, RoleName, UserId, why};
use serde_json::{Value, json};

use super::grant::attribute;
use super::org::{aligned, open_directory};
use super::{Context, known_organization, operator};
use crate::directory::{NewRole, StoredRole, no_user};
use crate::guard::Action;

/// List, make, assign and explain the roles of an organization
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the roles; with --json, with what they grant
    List {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
    },
    /// Make a role
    Create(Create),
    /// Give a user another role, which counts at once
    Assign {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
        /// The role
        #[arg(value_name = "ROLE", value_parser = RoleName::parse)]
        role: RoleName,
        /// The user
        #[arg(value_name = "USER_ID", value_parser = UserId::parse)]
        user_id: UserId,
    },
    /// Tell whether a user has a permission, and why
    Explain(Explain),
}

#[derive(Debug, clap::Args)]
struct Explain {
    /// The organization of the user
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: OrgId,
    /// The user
    #[arg(value_name = "USER_ID", value_parser = UserId::parse)]
    user_id: UserId,
    /// Family:Name
    #[arg(value_name = "PERMISSION", value_parser = permission)]
    permission: RequiredPermission,
    /// What is known of the thing it is about, as conditions see it; org_id is the user's organization unless given
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = attribute)]
    with: Vec<(String, String)>,
}

fn permission(name: &str) -> Result<RequiredPermission> {
    let permission = RequiredPermission::new(name);
    permission.validate().map(|()| permission)
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The organization
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: OrgId,
    /// The role's name
    #[arg(value_name = "ROLE", value_parser = RoleName::parse)]
    role: RoleName,
    /// What the role is for
    #[arg(long, value_name = "TEXT")]
    description: String,
    /// File with a JSON array of permission grants
    #[arg(long, value_name = "FILE")]
    grants: PathBuf,
    /// Which of the platform's user interfaces its users see
    #[arg(long, value_name = "VIEW", default_value = "admin", value_parser = ["client", "admin"])]
    view: String,
}

/// Runs `role`.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::List { org_id } => list(&org_id, context).await,
        Command::Create(create) => create.run(context).await,
        Command::Assign {
            org_id,
            role,
            user_id,
        } => {
            let directory = open_directory(context).await?;
            let stored = directory.known_role(&org_id, &role).await?;
            let deed = Action::AssignRole
                .on(&user_id)
                .with(json!({ "role": role }));
            let now = context.clock.now();
            let assign = directory.assign_role(&org_id, &user_id, None, &stored.role_id, now);
            let nothing = operator::nothing;
            operator::act(context, &directory, Some(&org_id), deed, assign, nothing).await?;
            let assigned = json!({"role_id": stored.role_id});
            context.print(|| format!("{user_id} has the role {role}"), assigned);
            Ok(())
        }
        Command::Explain(explain) => explain.run(context).await,
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<()> {
        let file = self.grants.display();
        let text = std::fs::read_to_string(&self.grants)
            .map_err(|error| Error::invalid(format!("{file} cannot be read: {error}")))?;
        let grants: Vec<Grant> = serde_json::from_str(&text).map_err(|error| {
            Error::invalid(format!("{file} is no array of permission grants: {error}"))
        })?;
        let new = NewRole {
            role: Role {
                name: self.role,
                grants,
            },
            description: self.description,
            frontend_view: self.view,
        };
        let directory = open_directory(context).await?;
        let deed = Action::CreateRole.on(&new.role.name).with(json!({
            "description": new.description,
            "permission_grants": new.role.grants,
            "frontend_view": new.frontend_view,
        }));
        let org = &self.org_id;
        let create = directory.create_role(org, &new, context.clock.now());
        let made = |role_id: &String| json!({ "role_id": role_id });
        let role_id = operator::act(context, &directory, Some(org), deed, create, made).await?;
        context.print(|| role_id.clone(), json!({ "role_id": role_id }));
        Ok(())
    }
}

impl Explain {
    async fn run(self, context: &Context) -> Result<()> {
        known_organization(context, &self.org_id).await?;
        let directory = open_directory(context).await?;
        let now = context.clock.now();
        let caller = directory.caller(&self.org_id, &self.user_id, now).await?;
        let caller = caller.ok_or_else(|| no_user(&self.org_id, &self.user_id))?;
        // As the server asks of everything in the organization.
        let own = self.permission.with("org_id", self.org_id.as_str());
        let asked = self
            .with
            .into_iter()
            .fold(own, |asked, (attribute, value)| {
                asked.with(attribute, value)
            });
        let why = why(&caller, &asked);
        let value = serde_json::to_value(&why)
            .map_err(|error| Error::internal("the reasons are no JSON").because(error))?;
        context.print(|| why.to_string(), value);
        Ok(())
    }
}

async fn list(org_id: &OrgId, context: &Context) -> Result<()> {
    known_organization(context, org_id).await?;
    let roles = open_directory(context).await?.roles(org_id).await?;
    let human = || {
        let rows = roles.iter().map(|stored| {
            let name = stored.role.name.to_string();
            [
                name,
                stored.frontend_view.clone(),
                stored.description.clone(),
            ]
        });
        aligned(["ROLE", "VIEW", "DESCRIPTION"], rows)
    };
    let all: Vec<Value> = roles.iter().map(as_json).collect();
    context.print(human, json!({ "roles": all }));
    Ok(())
}

fn as_json(stored: &StoredRole) -> Value {
    json!({
        "id": stored.role_id,
        "name": stored.role.name,
        "description": stored.description,
        "frontend_view": stored.frontend_view,
        "permission_grants": stored.role.grants,
    })
}
