//! `amigo-admin prompt-logs stats`, `compact` and `expire`: what an archive holds, and putting it in order by hand.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use chrono::TimeDelta;
use indicatif::HumanBytes;
use rules::{OrgId, Result};
use serde_json::json;

use super::org::{iso, open_directory};
use super::progress::Progress;
use super::{Context, known_organization, operator};
use crate::guard::Action;
use crate::lake::clean::clean;
use crate::lake::{Lake, prompt_log_table};
use crate::prompt_logs::keeping;

/// How long a command waits for a server that merges or cleans, which is done soon.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn stats(org: &OrgId, context: &Context) -> Result<()> {
    known_organization(context, org).await?;
    let lake = Lake::local(&context.config.lake_dir())?;
    let stats = keeping::stats(&lake, org).await?;
    let human = || {
        let instant = |instant: Option<_>| instant.map_or("none".to_owned(), iso);
        format!(
            "logs    {}\nstored  {}\ndays    {}\nfiles   {}\noldest  {}\nnewest  {}",
            stats.logs,
            HumanBytes(stats.bytes),
            stats.days,
            stats.files,
            instant(stats.oldest),
            instant(stats.newest)
        )
    };
    let value = json!({
        "logs": stats.logs, "bytes": stats.bytes, "days": stats.days, "files": stats.files,
        "oldest": stats.oldest, "newest": stats.newest,
    });
    context.print(human, value);
    Ok(())
}

pub(super) async fn compact(org: &OrgId, context: &Context) -> Result<()> {
    known_organization(context, org).await?;
    let lake = Lake::local(&context.config.lake_dir())?;
    let name = prompt_log_table::name();
    let _locked = lake.lock_within(org, &name, PATIENCE).await?;
    let before = keeping::stats(&lake, org).await?;
    let progress = Progress::count(format!("merging files of {org}, logs"), before.logs);
    let progress = Mutex::new(progress);
    let report = |logs| {
        if let Ok(mut progress) = progress.lock() {
            progress.set(logs);
        }
        ControlFlow::Continue(())
    };
    let directory = open_directory(context).await?;
    let deed = Action::CompactPromptLogs.on_all();
    let compact = keeping::compact_all(&lake, org, context.clock.now(), &report);
    let nothing = operator::nothing;
    let merged = operator::act(context, &directory, Some(org), deed, compact, nothing).await?;
    if let Ok(progress) = progress.into_inner() {
        progress.finish();
    }
    let after = keeping::stats(&lake, org).await?;
    let human = || {
        format!(
            "{} files ({}) merged into {} ({}); the archive has {} files now",
            merged.merged_files,
            HumanBytes(merged.merged_bytes),
            merged.new_files,
            HumanBytes(merged.new_bytes),
            after.files
        )
    };
    let value = json!({
        "merged_files": merged.merged_files, "merged_bytes": merged.merged_bytes,
        "new_files": merged.new_files, "new_bytes": merged.new_bytes, "files": after.files,
    });
    context.print(human, value);
    Ok(())
}

pub(super) async fn expire(org: &OrgId, context: &Context) -> Result<()> {
    let organization = known_organization(context, org).await?;
    let lake = Lake::local(&context.config.lake_dir())?;
    let directory = open_directory(context).await?;
    let now = context.clock.now();
    let days = directory
        .retention(context.config.retention.days, now)
        .await?;
    let days = organization.retention_days_or(days);
    let work = async {
        eprintln!("dropping the days of {org} that are older than {days} days");
        let expired = keeping::expire(&lake, org, prompt_log_table::oldest(now, days)).await?;
        eprintln!("deleting files that nobody can need any more");
        let name = prompt_log_table::name();
        let _locked = lake.lock_within(org, &name, PATIENCE).await?;
        let keep = TimeDelta::seconds(context.config.keeping.unused_seconds.into());
        let cleaned = clean(&lake, org, &name, now, keep).await?;
        Ok((expired, cleaned))
    };
    let deed = Action::ExpirePromptLogs
        .on_all()
        .with(json!({ "days": days }));
    let made = |(expired, _): &(keeping::Expired, _)| json!({"logs": expired.logs});
    let done = operator::act(context, &directory, Some(org), deed, work, made).await?;
    let (expired, cleaned) = done;
    let human = || {
        format!(
            "dropped {} days: {} logs in {} files ({}); deleted {} unused files ({}) and {} of the table's log",
            expired.days,
            expired.logs,
            expired.files,
            HumanBytes(expired.bytes),
            cleaned.files,
            HumanBytes(cleaned.bytes),
            cleaned.log_files
        )
    };
    let value = json!({
        "days": expired.days, "logs": expired.logs, "files": expired.files, "bytes": expired.bytes,
        "deleted": {"files": cleaned.files, "bytes": cleaned.bytes, "log_files": cleaned.log_files},
    });
    context.print(human, value);
    Ok(())
}
