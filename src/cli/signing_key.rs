//! `amigo-admin signing-key`: rotates the keys that tokens are signed with.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use rules::Result;
use serde_json::{Value, json};

use super::org::{aligned, iso, open_directory};
use super::{Context, operator};
use crate::guard::Action;
use crate::identity::{Identity, PublicKey};

/// Rotate and list the keys that tokens are signed with
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key that signs from now on; tokens signed before stay good until they expire
    Rotate,
    /// List the keys, newest first
    List,
}

/// Runs `signing-key rotate` or `signing-key list`.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    let directory = open_directory(context).await?;
    let settings = &context.config.identity;
    let identity = Identity::open(directory.clone(), context.clock.clone(), settings).await?;
    let now = context.clock.now();
    match args.command {
        Command::Rotate => {
            let (deed, rotate) = (
                Action::RotateSigningKey.on_all(),
                identity.rotate_signing_key(),
            );
            let made = |key: &PublicKey| json!({"kid": key.kid});
            let key = operator::act(context, &directory, None, deed, rotate, made).await?;
            context.print(|| key.kid.clone(), as_json(&key, now));
            eprintln!(
                "this key signs from now on; the one before verifies until its last token has expired"
            );
        }
        Command::List => list(&identity.public_keys().await?, now, context),
    }
    Ok(())
}

fn list(keys: &[PublicKey], now: DateTime<Utc>, context: &Context) {
    let human = || {
        let rows = keys.iter().map(|key| {
            let until = key.retires_at.map(iso).unwrap_or_default();
            [
                key.kid.clone(),
                state(key, now).to_owned(),
                iso(key.created_at),
                until,
            ]
        });
        aligned(["KID", "STATE", "CREATED", "UNTIL"], rows)
    };
    let all: Vec<Value> = keys.iter().map(|key| as_json(key, now)).collect();
    context.print(human, json!({ "signing_keys": all }));
}

fn state(key: &PublicKey, now: DateTime<Utc>) -> &'static str {
    match key.retires_at {
        None => "signs",
        Some(_) if key.verifies(now) => "verifies",
        Some(_) => "retired",
    }
}

fn as_json(key: &PublicKey, now: DateTime<Utc>) -> Value {
    json!({
        "kid": key.kid,
        "state": state(key, now),
        "created_at": iso(key.created_at),
        "retires_at": key.retires_at.map(iso),
    })
}
