//! `amigo-admin grant`: gives users one more permission for some time, lists these grants and ends them.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use clap::Subcommand;
use rules::{Condition, Error, Grant, OrgId, Result, UserId};
use serde_json::{Value, json};

use super::org::{aligned, iso, open_directory};
use super::{Context, known_organization, operator};
use crate::directory::{NewTemporaryGrant, TemporaryGrant, no_user};
use crate::guard::Action;

/// Hours in a year: a grant that lasts longer is a role.
const HOURS_MAX: i64 = 8_784;

/// Give users one more permission for some time
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give a user a permission
    Create(Create),
    /// List the temporary grants of an organization or of one of its users, expired ones too
    List {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
        /// Only the grants of this user
        #[arg(value_name = "USER_ID", value_parser = UserId::parse)]
        user_id: Option<UserId>,
    },
    /// End a grant at once, also for downloads under way
    Revoke {
        /// The organization
        #[arg(value_name = "ORG", value_parser = OrgId::parse)]
        org_id: OrgId,
        /// The grant's id, as `grant list` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The organization
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: OrgId,
    /// The user who gets the permission
    #[arg(value_name = "USER_ID", value_parser = UserId::parse)]
    user_id: UserId,
    /// Family:Name, Family:* or *
    #[arg(long, value_name = "NAME")]
    permission: String,
    /// Only where this attribute has this value; of several values of one attribute any will do
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = attribute)]
    when: Vec<(String, String)>,
    /// How long the grant lasts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=HOURS_MAX))]
    hours: i64,
    /// Why the user needs it, at least 10 characters
    #[arg(long, value_name = "TEXT")]
    justification: String,
}

/// `ATTRIBUTE=VALUE`.
pub(super) fn attribute(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((attribute, value)) if !attribute.is_empty() => {
            Ok((attribute.to_owned(), value.to_owned()))
        }
        _ => Err(Error::invalid(
            "a condition is of the form ATTRIBUTE=VALUE, such as user_id=mia",
        )),
    }
}

/// Runs `grant create`, `grant list` or `grant revoke`.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Create(create) => create.run(context).await,
        Command::List { org_id, user_id } => list(&org_id, user_id.as_ref(), context).await,
        Command::Revoke { org_id, id } => revoke(&org_id, &id, context).await,
    }
}

impl Create {
    async fn run(self, context: &Context) -> Result<()> {
        known_organization(context, &self.org_id).await?;
        let directory = open_directory(context).await?;
        let now = context.clock.now();
        let new = NewTemporaryGrant {
            grant: conditions(self.when)
                .into_iter()
                .fold(Grant::allow(self.permission), |grant, (attribute, one)| {
                    grant.when(attribute, one)
                }),
            org_id: self.org_id,
            user_id: self.user_id,
            justification: self.justification,
            tags: BTreeMap::new(),
            expires_at: now + TimeDelta::hours(self.hours),
            creator: None,
        };
        let deed = Action::CreateTemporaryGrant.on(&new.user_id).with(json!({
            "permission_grant": new.grant,
            "seconds": self.hours * 3600,
            "justification": new.justification,
            "tags": new.tags,
        }));
        let create = directory.create_temporary_grant(&new, now);
        let made = |id: &String| json!({ "temporary_permission_grant_id": id });
        let id = operator::act(context, &directory, Some(&new.org_id), deed, create, made).await?;
        let expires_at = iso(new.expires_at);
        let printed = json!({"temporary_permission_grant_id": id, "expires_at": expires_at});
        context.print(|| id.clone(), printed);
        eprintln!(
            "granted {} to user {} of organization {} until {expires_at}; to end it before: {}",
            new.grant.permission_name,
            new.user_id,
            new.org_id,
            context.command(format_args!("grant revoke {} {id}", new.org_id))
        );
        Ok(())
    }
}

/// One condition an attribute.
fn conditions(when: Vec<(String, String)>) -> BTreeMap<String, Condition> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (attribute, value) in when {
        values.entry(attribute).or_default().push(value);
    }
    let condition = |values: Vec<String>| match <[String; 1]>::try_from(values) {
        Ok([value]) => Condition::equals(value),
        Err(values) => Condition::In { values },
    };
    values
        .into_iter()
        .map(|(attribute, values)| (attribute, condition(values)))
        .collect()
}

async fn list(org_id: &OrgId, user_id: Option<&UserId>, context: &Context) -> Result<()> {
    known_organization(context, org_id).await?;
    let directory = open_directory(context).await?;
    let grants = directory.temporary_grants(org_id, user_id).await?;
    let now = context.clock.now();
    // Those of a user who is gone are listed.
    if let Some(user_id) = user_id.filter(|_| grants.is_empty())
        && directory.caller(org_id, user_id, now).await?.is_none()
    {
        return Err(no_user(org_id, user_id));
    }
    let human = || {
        let rows = grants.iter().map(|grant| {
            let expired = if grant.expires_at <= now {
                " (expired)"
            } else {
                ""
            };
            [
                grant.id.clone(),
                grant.user_id.to_string(),
                grant.grant.permission_name.clone(),
                format!("{}{expired}", iso(grant.expires_at)),
                grant.justification.replace('\n', " "),
            ]
        });
        aligned(
            ["ID", "USER_ID", "PERMISSION", "EXPIRES", "JUSTIFICATION"],
            rows,
        )
    };
    let all: Vec<Value> = grants.iter().map(as_json).collect();
    context.print(human, json!({ "temporary_permission_grants": all }));
    Ok(())
}

async fn revoke(org_id: &OrgId, id: &str, context: &Context) -> Result<()> {
    known_organization(context, org_id).await?;
    let directory = open_directory(context).await?;
    let deed = Action::RevokeTemporaryGrant.on(id);
    let revoke = directory.revoke_temporary_grant(org_id, id);
    let nothing = operator::nothing;
    operator::act(context, &directory, Some(org_id), deed, revoke, nothing).await?;
    context.print(
        || id.to_owned(),
        json!({"temporary_permission_grant_id": id}),
    );
    eprintln!("revoked grant {id} of organization {org_id}");
    Ok(())
}

fn as_json(grant: &TemporaryGrant) -> Value {
    let creator = grant.creator.as_ref();
    json!({
        "_id": grant.id,
        "org_id": grant.org_id,
        "user_id": grant.user_id,
        "permission_grant": grant.grant,
        "justification": grant.justification,
        "creator": creator.map(|(org_id, user_id)| json!({"org_id": org_id, "user_id": user_id})),
        "tags": grant.tags,
        "created_at": iso(grant.created_at),
        "updated_at": iso(grant.updated_at),
        "expires_at": iso(grant.expires_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_attribute_are_alternatives_and_attributes_all_hold() {
        let when = ["a=1", "b=x=y", "a=2"].map(|text| attribute(text).unwrap());
        let values = ["1", "2"].map(str::to_owned).to_vec();
        let expected = [
            ("a".to_owned(), Condition::In { values }),
            ("b".to_owned(), Condition::equals("x=y")),
        ];
        assert_eq!(conditions(when.into()), expected.into());
    }

    #[test]
    fn a_condition_without_attribute_or_value_is_refused() {
        for text in ["", "a", "=1"] {
            attribute(text).unwrap_err();
        }
        assert_eq!(attribute("a=").unwrap(), ("a".to_owned(), String::new()));
    }
}
