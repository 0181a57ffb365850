//! Which permissions a prompt log asks of its readers.
//!
//! A list that is not seen is a log that too many may read: whatever cannot be understood, or has two meanings, is an
//! error here and the log is rejected. Not here: whether the permissions of a list are good ones.

use super::resource::Resource;
use super::value::{Fields, Value, document};
use crate::Reason;

const NAME: &str = "prompt_log.required_permissions";
/// The most bytes of a list: a resource's is repeated for each of its spans.
const LIST_BYTES_MAX: usize = 4096;

/// The lists that were found for one prompt log, as JSON.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    own: Option<String>,
    of_resource: Option<String>,
}

impl Permissions {
    pub(super) fn of(attributes: &Fields<'_>, resource: &Resource<'_>) -> Result<Self, Reason> {
        Ok(Self {
            own: in_attributes(attributes)?,
            of_resource: resource.required_permissions.clone()?,
        })
    }

    /// Takes in what another record of the same log says.
    pub(super) fn add(&mut self, other: Self) -> Result<(), Reason> {
        self.own = agreed(self.own.take(), other.own)?;
        self.of_resource = agreed(self.of_resource.take(), other.of_resource)?;
        Ok(())
    }

    /// The list that counts.
    pub(super) fn into_list(self) -> Option<String> {
        self.own.or(self.of_resource)
    }
}

/// The list in some attributes. An empty one is none, as in every other form of a prompt log.
pub(super) fn in_attributes(attributes: &Fields<'_>) -> Result<Option<String>, Reason> {
    let mut found = None;
    for (name, value) in attributes {
        if name == NAME {
            found = agreed(found, list(value)?)?;
        }
    }
    Ok(found)
}

fn agreed(one: Option<String>, other: Option<String>) -> Result<Option<String>, Reason> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Reason::new(format!(
            "`{NAME}` has different values for one prompt log"
        ))),
        (one, other) => Ok(one.or(other)),
    }
}

/// A list of permissions: a structure, or JSON in a text.
fn list(value: &Value<'_>) -> Result<Option<String>, Reason> {
    let too_large = || {
        Reason::new(format!(
            "`{NAME}` has more than {LIST_BYTES_MAX} bytes, the most that is accepted"
        ))
    };
    let parsed = match value.text() {
        Some(text) if text.len() > LIST_BYTES_MAX => return Err(too_large()),
        Some(text) => document(text)?,
        None => None,
    };
    let value = parsed.as_ref().unwrap_or(value);
    let is_permission = |value: &Value<'_>| value.get("permission_name").is_some();
    let Some(values) = value
        .list()
        .filter(|values| values.iter().all(is_permission))
    else {
        return Err(Reason::new(format!("`{NAME}` is no list of permissions")));
    };
    let json = value.to_json();
    if json.len() > LIST_BYTES_MAX {
        return Err(too_large());
    }
    Ok((!values.is_empty()).then_some(json))
}
