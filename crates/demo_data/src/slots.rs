//! Texts with gaps: `{name}` stands for the slot of that name.
//!
//! One pass, so that a filled-in value is never searched again, and `{` that opens no slot (JSON) stays as it is.

use std::collections::BTreeMap;

#[derive(Clone, Default)]
pub(crate) struct Slots(BTreeMap<&'static str, String>);

impl Slots {
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The text with every known slot filled. An unknown one stays visible, and a test looks for those.
    pub(crate) fn fill(&self, template: &str) -> String {
        let mut filled = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            filled.push_str(before);
            match slot_name(from_brace).and_then(|name| Some((name, self.0.get(name)?))) {
                Some((name, value)) => {
                    filled.push_str(value);
                    rest = &from_brace[name.len() + 2..];
                }
                None => {
                    filled.push('{');
                    rest = &from_brace[1..];
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// `name` when the text starts with `{name}`, made of small letters, digits and `_`.
pub(crate) fn slot_name(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    is_name.then_some(name)
}
