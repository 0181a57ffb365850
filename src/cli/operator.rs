//! An operator's command in the audit log: opened before its work, completed after it.

use rules::{OrgId, Result};
use serde_json::Value;

use super::Context;
use crate::directory::Directory;
use crate::guard::{Actor, Audit, Deed, End, Opening, Outcome};

/// Does the work of a command between the two rows of the audit log, in the chain of the organization; in the server's own
/// where none is named or there is no such one. `made` says what came of it, null: nothing to tell.
///
/// # Errors
/// `Unavailable` when the act cannot be opened, and then the work was not begun; the work's own.
pub(super) async fn act<T>(
    context: &Context,
    directory: &Directory,
    org: Option<&OrgId>,
    deed: Deed,
    work: impl Future<Output = Result<T>>,
    made: impl FnOnce(&T) -> Value,
) -> Result<T> {
    let chain = match org {
        Some(org) => directory.organization(org).await?.map(|known| known.org_id),
        None => None,
    };
    let audit = Audit::of_command(directory.clone(), context.clock.clone());
    let mut act = audit.open(Opening {
        org_id: chain,
        actor: Actor::Operator(user_of_the_machine()),
        deed,
        request_id: None,
        client_address: None,
    })?;
    act.opened().await?;
    let done = work.await;
    let end = match &done {
        Ok(done) => End {
            detail: Some(made(done)).filter(|detail| !detail.is_null()),
            ..End::new(Outcome::Succeeded)
        },
        Err(error) => End::of_error(error),
    };
    if let Err(error) = act.completed(&end).await {
        eprintln!("warning: the audit log lacks how this command ended: {error}");
    }
    done
}

/// For acts that make nothing that has a name.
pub(super) fn nothing<T>(_: &T) -> Value {
    Value::Null
}

/// Who runs the command, as the machine knows them, which no variable of the environment changes: the name beside the
/// number of the process's user in `/etc/passwd`, or the number.
fn user_of_the_machine() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(&uid, &passwd).unwrap_or(format!("uid {uid}"))
}

/// passwd(5): name, password, number and more, between colons.
fn name_of(uid: &str, passwd: &str) -> Option<String> {
    let mut users = passwd.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_beside_their_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nmia:x:1000:1000::/home/mia:/bin/sh\n";
        assert_eq!(name_of("0", passwd).as_deref(), Some("root"));
        assert_eq!(name_of("1000", passwd).as_deref(), Some("mia"));
        assert_eq!(name_of("100", passwd), None);
        assert_eq!(name_of("x", passwd), None);
    }
}
