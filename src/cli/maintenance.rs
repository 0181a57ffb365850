//! `amigo-admin maintenance`: turns the API off for a while, and on again.

use clap::ValueEnum;
use rules::Result;
use serde_json::json;

use super::org::{iso, open_directory};
use super::{Context, operator};
use crate::guard::Action;

/// Turn maintenance on or off, at once, also in a running server; or see which it is
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(value_enum)]
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// Answer every request 503 but pings and health checks; those under way finish
    On,
    /// Answer requests again
    Off,
    /// Say whether maintenance is on
    Status,
}

/// Runs `maintenance`.
pub(super) async fn run(args: Args, context: &Context) -> Result<()> {
    let directory = open_directory(context).await?;
    let nothing = operator::nothing;
    match args.what {
        What::On => {
            let deed = Action::BeginMaintenance.on_all();
            let begin = directory.begin_maintenance(context.clock.now());
            operator::act(context, &directory, None, deed, begin, nothing).await?;
        }
        What::Off => {
            let deed = Action::EndMaintenance.on_all();
            let end = directory.end_maintenance();
            operator::act(context, &directory, None, deed, end, nothing).await?;
        }
        What::Status => {}
    }
    let since = directory.maintenance().await?.map(iso);
    let human = || match &since {
        Some(since) => format!("on since {since}"),
        None => "off".to_owned(),
    };
    let value = json!({"in_maintenance_mode": since.is_some(), "since": since});
    context.print(human, value);
    Ok(())
}
