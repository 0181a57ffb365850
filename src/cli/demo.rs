//! `amigo-admin demo`: a server with data in it, and the commands to try on it.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use demo_data::DemoData;
use rules::{
    ClusterName, DEFAULT_ADMINISTRATOR_ROLE, DEFAULT_AMIGO_ADMINISTRATOR_ROLE,
    DEFAULT_SUPER_ADMINISTRATOR_ROLE, DEFAULT_USER_ROLE, Error, OrgId, Result, RoleName, TableName,
    UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::progress::Progress;
use super::prompt_logs::Import;
use super::serve::{serve, start_logging};
use super::{Context, operator, table};
use crate::directory::{Directory, NewUser, Organization};
use crate::guard::Action;
use crate::identity::Identity;
use crate::lake::Lake;
use crate::lake::append::Target;
use crate::prompt_logs::Record;

const ORGANIZATION: &str = "demo";
/// One user for each default role.
const USERS: [(&str, &str); 4] = [
    ("user", DEFAULT_USER_ROLE),
    ("administrator", DEFAULT_ADMINISTRATOR_ROLE),
    ("amigo-administrator", DEFAULT_AMIGO_ADMINISTRATOR_ROLE),
    ("super-administrator", DEFAULT_SUPER_ADMINISTRATOR_ROLE),
];
/// May download prompt logs and query.
const TRIES_WITH: &str = "amigo-administrator";
const KEY_DAYS: i64 = 90;

/// Make a data directory with an organization, users, a key and believable data, then serve it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port to listen on [default: the setting server.listen, 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// What the demo remembers: the key in the clear, which only this demonstration keeps, and that it is complete.
#[derive(Debug, Serialize, Deserialize)]
struct Credentials {
    api_key_id: String,
    api_key: String,
    expires_at: DateTime<Utc>,
    conversation_id: String,
}

pub(super) async fn run(args: Args, context: Context) -> Result<()> {
    let traces = start_logging(&context.config)?;
    let credentials = prepare(&context).await?;
    let address = args.listen.unwrap_or(context.config.server.listen);
    let served = serve(address, &context, |base_url| {
        let human = what_to_try(base_url, &credentials, &context.config.data_dir);
        let value = json!({
            "base_url": base_url, "organization_id": ORGANIZATION, "user_id": TRIES_WITH,
            "api_key_id": credentials.api_key_id, "api_key": credentials.api_key,
            "conversation_id": credentials.conversation_id,
        });
        (human, value)
    });
    let served = served.await;
    if let Some(traces) = traces {
        traces.close().await;
    }
    served
}

/// Makes what is missing of the demo; a demo that was cut off in the making goes on where it was.
async fn prepare(context: &Context) -> Result<Credentials> {
    let file = context.config.data_dir.join("demo.json");
    let known: Option<Credentials> = std::fs::read(&file)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok());
    let now = context.clock.now();
    if let Some(known) = known {
        if known.expires_at > now {
            return Ok(known);
        }
        let directory = open(context).await?;
        let (deed, make) = (
            Action::PrepareDemo.on(ORGANIZATION),
            new_key(&directory, context),
        );
        let made = |key: &Credentials| json!({"api_key_id": key.api_key_id});
        let key = operator::act(context, &directory, None, deed, make, made).await?;
        return remember(
            &file,
            Credentials {
                conversation_id: known.conversation_id,
                ..key
            },
        );
    }
    let directory = open(context).await?;
    let org = OrgId::parse(ORGANIZATION)?;
    only_the_demo(&directory, &org, context).await?;
    eprintln!(
        "making the demo in {} (once)",
        context.config.data_dir.display()
    );
    let make = async {
        make_organization(&directory, &org, now).await?;
        let data = DemoData::new(ORGANIZATION, now);
        let conversation_id = import_logs(&data, &org, context).await?;
        import_tables(&data, &org, context).await?;
        let key = new_key(&directory, context).await?;
        Ok(Credentials {
            conversation_id,
            ..key
        })
    };
    let deed = Action::PrepareDemo.on(&org);
    let made = |key: &Credentials| json!({"api_key_id": key.api_key_id});
    // On the heap: making data is a large future.
    let make = Box::pin(make);
    let credentials = operator::act(context, &directory, None, deed, make, made).await?;
    remember(&file, credentials)
}

async fn open(context: &Context) -> Result<Directory> {
    Directory::open(&context.config.directory_file()).await
}

/// Refuses a data directory that is somebody's: the demo makes a user and a key there that may do everything, and keeps
/// the key in the clear.
async fn only_the_demo(directory: &Directory, org: &OrgId, context: &Context) -> Result<()> {
    let organizations = directory.organizations().await?;
    let other = organizations.iter().find(|known| known.org_id != *org);
    other.map_or(Ok(()), |other| {
        Err(Error::conflict(format!(
            "{} holds the organization {}, and the demo only works on data of its own; give it another folder with --data",
            context.config.data_dir.display(),
            other.org_id
        )))
    })
}

async fn make_organization(directory: &Directory, org: &OrgId, now: DateTime<Utc>) -> Result<()> {
    if directory.organization(org).await?.is_none() {
        let demo = Organization {
            org_id: org.clone(),
            name: "Demo".to_owned(),
            cluster: ClusterName::parse("default")?,
            created_at: now,
            retention_days: None,
        };
        directory.create_organization(&demo).await?;
    }
    for (user, role) in USERS {
        let user_id = UserId::parse(user)?;
        if directory.caller(org, &user_id, now).await?.is_none() {
            let role = RoleName::parse(role)?;
            let (email, first_name, last_name) = (Some(format!("{user}@demo.invalid")), None, None);
            let new = NewUser {
                org_id: org.clone(),
                user_id,
                role,
                email,
                first_name,
                last_name,
            };
            directory.create_user(&new, now).await?;
        }
    }
    Ok(())
}

/// Returns a conversation worth looking at: the last one.
async fn import_logs(data: &DemoData, org: &OrgId, context: &Context) -> Result<String> {
    let lake = Lake::local(&context.config.lake_dir())?;
    let mut import = Import::new(&lake, org, context);
    let mut progress = Progress::count("prompt logs", data.prompt_logs().count() as u64);
    let mut conversation = String::new();
    for (index, log) in data.prompt_logs().enumerate() {
        if let Some(id) = log["conversation_id"].as_str() {
            id.clone_into(&mut conversation);
        }
        import
            .push(Record::parse(log.to_string().as_bytes())?)
            .await?;
        progress.set(index as u64 + 1);
    }
    import.write().await?;
    progress.finish();
    Ok(conversation)
}

async fn import_tables(data: &DemoData, org: &OrgId, context: &Context) -> Result<()> {
    let lake = Lake::local(&context.config.lake_dir())?;
    for name in DemoData::TABLES {
        let file = context.config.data_dir.join(format!("demo-{name}.ndjson"));
        let unwritable =
            |error| Error::invalid(format!("{} cannot be written: {error}", file.display()));
        let mut rows = BufWriter::new(File::create(&file).map_err(unwritable)?);
        for row in data.table(name).into_iter().flatten() {
            writeln!(rows, "{row}").map_err(unwritable)?;
        }
        rows.into_inner()
            .map_err(|error| unwritable(error.into_error()))?;
        // Replacing, so that a demo cut off after this table does not have its rows twice.
        let target = Target {
            org,
            table: &TableName::parse(name)?,
            replace: true,
        };
        table::import(&lake, target, &file, context).await?;
        std::fs::remove_file(&file).map_err(unwritable)?;
    }
    Ok(())
}

async fn new_key(directory: &Directory, context: &Context) -> Result<Credentials> {
    let identity = Identity::open(
        directory.clone(),
        context.clock.clone(),
        &context.config.identity,
    )
    .await?;
    let org = OrgId::parse(ORGANIZATION)?;
    let role = RoleName::parse(DEFAULT_SUPER_ADMINISTRATOR_ROLE)?;
    let key = identity
        .create_api_key(&org, &role, TimeDelta::days(KEY_DAYS), Some("demo"), None)
        .await?;
    let conversation_id = String::new();
    Ok(Credentials {
        api_key_id: key.api_key_id,
        api_key: key.api_key,
        expires_at: key.expires_at,
        conversation_id,
    })
}

fn remember(file: &PathBuf, credentials: Credentials) -> Result<Credentials> {
    let unwritable = |error: std::io::Error| {
        Error::invalid(format!("{} cannot be written: {error}", file.display()))
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let json = serde_json::to_vec_pretty(&credentials).map_err(|error| unwritable(error.into()))?;
    options
        .open(file)
        .and_then(|mut file| file.write_all(&json))
        .map_err(unwritable)?;
    Ok(credentials)
}

fn what_to_try(base_url: &str, credentials: &Credentials, data: &Path) -> String {
    let Credentials {
        api_key_id,
        api_key,
        conversation_id,
        ..
    } = credentials;
    let base = format!("{base_url}/v1/{ORGANIZATION}");
    let users: Vec<&str> = USERS.iter().map(|(user, _)| *user).collect();
    format!(
        r#"
amigo-admin serves the organization "{ORGANIZATION}" at {base_url}; its data lies in {data}.
In a browser: {base_url}/console/#logs={conversation_id}/
  organization {ORGANIZATION}, user {TRIES_WITH}, API key id {api_key_id}, API key {api_key}
Try, in another terminal:

# sign in as {TRIES_WITH}
TOKEN=$(curl -s -X POST {base}/user/signin_with_api_key \
  -H 'x-api-key: {api_key}' -H 'x-api-key-id: {api_key_id}' \
  -H 'x-user-id: {TRIES_WITH}' | sed -E 's/.*"id_token":"([^"]+)".*/\1/')

# what exactly did the model see? every prompt of one conversation
curl -s -H "Authorization: Bearer $TOKEN" -o prompts.zip \
  '{base}/admin/get_prompt_logs/?prompt_log_prefix={conversation_id}/' && unzip -l prompts.zip

# what does our data say?
curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  {base}/admin/sql_query -d @- <<'END'
{{"async_query": false, "sql_query": "SELECT service_id, count(*) AS conversations, count(DISTINCT user_id) AS users FROM conversations WHERE created_at >= CURRENT_DATE - INTERVAL '7 days' GROUP BY service_id ORDER BY conversations DESC"}}
END

Other users, with the same key: {others}. Ctrl-C stops the server; started again it serves the same data."#,
        data = data.display(),
        others = users
            .iter()
            .filter(|user| **user != TRIES_WITH)
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
    )
}
