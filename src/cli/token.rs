//! `amigo-admin token`: a token for a user, on the operator's own authority.

use rules::{OrgId, Result, UserId};
use serde_json::json;

use super::org::{iso, open_directory};
use super::{Context, operator};
use crate::guard::Action;
use crate::identity::{Identity, Token};

/// Make a token (a JWT) for a user
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The organization
    #[arg(value_name = "ORG", value_parser = OrgId::parse)]
    org_id: OrgId,
    /// The user
    #[arg(value_name = "USER_ID", value_parser = UserId::parse)]
    user_id: UserId,
}

/// Runs `token`. Prints JSON with or without `--json`: it is read by programs (the wire contract, section 8).
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    let directory = open_directory(context).await?;
    let settings = &context.config.identity;
    let identity = Identity::open(directory.clone(), context.clock.clone(), settings).await?;
    let (org, deed) = (&args.org_id, Action::IssueToken.on(&args.user_id));
    let issue = identity.issue(org, &args.user_id);
    let made = |token: &Token| json!({"expires_at": iso(token.expires_at)});
    let token = operator::act(context, &directory, Some(org), deed, issue, made).await?;
    let printed = json!({
        "id_token": token.id_token,
        "expires_at": iso(token.expires_at),
    });
    context.print(|| printed.to_string(), printed.clone());
    Ok(())
}
