//! What an item's resource says: the same for many items, so that it is read once and held small.

use std::borrow::Cow;

use super::permissions;
use super::value::{Fields, Value};
use crate::Reason;

/// A resource as far as it matters for prompts.
#[derive(Debug)]
pub(super) struct Resource<'a> {
    /// Those with a name and a value, structures as their JSON.
    pub(super) attributes: Fields<'a>,
    /// An error only for an item that becomes a prompt log.
    pub(super) required_permissions: Result<Option<String>, Reason>,
}

impl<'a> Resource<'a> {
    pub(super) fn new(attributes: Fields<'a>) -> Self {
        let required_permissions = permissions::in_attributes(&attributes);
        let has_content =
            |(name, value): &(Cow<'_, str>, Value<'_>)| !name.is_empty() && *value != Value::Null;
        let attributes = attributes.into_iter().filter(has_content);
        let mut attributes: Fields<'a> = attributes
            .map(|(name, value)| match value {
                Value::List(_) | Value::Map(_) => (name, Value::Text(value.to_json().into())),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => (name, value),
            })
            .collect();
        attributes.shrink_to_fit();
        Self {
            attributes,
            required_permissions,
        }
    }
}
