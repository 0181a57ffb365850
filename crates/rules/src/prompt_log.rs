//! What a prompt log requires of its reader.
//!
//! Both readers of the archive, the zip and SQL, ask here, so that they show exactly the same logs.

use crate::permissions::GET_MESSAGE;
use crate::{Error, OrgId, RequiredPermission, Result};

/// The permissions a stored log requires (the wire contract, section 5): the list it was written with (`stored`, JSON),
/// else the default with the log's own ids.
///
/// A listed permission that names no `org_id` is about the organization the log lies in; without this the grants of
/// every role that is bound to its own organization would not match.
///
/// # Errors
/// `Internal` when `stored` is no such list; the log is then nobody's to read.
pub fn required_for_log(
    org_id: &OrgId,
    stored: Option<&str>,
    user_id: Option<&str>,
    service_id: Option<&str>,
    conversation_id: Option<&str>,
) -> Result<Vec<RequiredPermission>> {
    let mut required: Vec<RequiredPermission> = match stored {
        Some(stored) => serde_json::from_str(stored).map_err(|error| {
            Error::internal("the permissions a log requires cannot be read").because(error)
        })?,
        None => Vec::new(),
    };
    if required.is_empty() {
        let ids = [
            ("user_id", user_id),
            ("service_id", service_id),
            ("conversation_id", conversation_id),
        ];
        let default = RequiredPermission::new(GET_MESSAGE);
        let known = ids.into_iter().filter_map(|(name, id)| Some((name, id?)));
        required.push(known.fold(default, |required, (name, id)| required.with(name, id)));
    }
    for permission in &mut required {
        permission
            .attributes
            .entry("org_id".to_owned())
            .or_insert_with(|| org_id.to_string());
    }
    Ok(required)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org() -> OrgId {
        OrgId::parse("acme").unwrap()
    }

    #[test]
    fn without_a_list_the_default_names_the_ids_the_log_has() {
        let required = required_for_log(&org(), None, Some("mia"), None, Some("c1")).unwrap();
        let expected = RequiredPermission::new("Conversation:GetMessage")
            .with("user_id", "mia")
            .with("conversation_id", "c1")
            .with("org_id", "acme");
        assert_eq!(required, std::slice::from_ref(&expected));
        assert_eq!(
            required_for_log(&org(), Some("[]"), Some("mia"), None, Some("c1")).unwrap(),
            [expected]
        );
    }

    #[test]
    fn a_list_stands_as_written_within_its_organization() {
        let stored = r#"[{"permission_name":"A:B","attributes":{"x":"1"}},{"permission_name":"C:D","attributes":{"org_id":"other"}}]"#;
        let required = required_for_log(&org(), Some(stored), Some("mia"), None, None).unwrap();
        assert_eq!(
            required[0],
            RequiredPermission::new("A:B")
                .with("x", "1")
                .with("org_id", "acme")
        );
        assert_eq!(
            required[1],
            RequiredPermission::new("C:D").with("org_id", "other")
        );
    }

    #[test]
    fn an_unreadable_list_opens_nothing() {
        assert!(required_for_log(&org(), Some("nonsense"), None, None, None).is_err());
    }
}
