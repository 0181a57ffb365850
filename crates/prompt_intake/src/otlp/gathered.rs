//! Log records that hold one message each, put together by trace and span.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use super::dialects;
use super::drafts::Source;
use super::key::KeyTemplate;
use super::message::Message;
use super::model::{Item, Signal};
use super::permissions::Permissions;
use super::resource::Resource;
use super::value::{Budget, Value};
use super::{DRAFTS_MAX, Export, Quota, too_many};
use crate::{Draft, Reason};

/// What is held of each of many records must be little: the most attributes of one, and of all of a prompt.
const ATTRIBUTES_MAX: usize = 256;

pub(super) struct Gathered<'a> {
    by_span: BTreeMap<(String, String), Messages<'a>>,
    /// For the parts of all messages.
    budget: Budget,
}

/// The messages of one span.
struct Messages<'a> {
    records: usize,
    /// Why the prompt cannot be taken. It is rejected whole: what is wrong with one record may be whom it is for.
    refused: Option<Reason>,
    resource: Rc<Resource<'a>>,
    /// The earliest record without its message, and those attributes of the others that it has not.
    first: Item<'a>,
    permissions: Permissions,
    /// Each with its record's time.
    messages: Vec<(u64, Message)>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new() -> Self {
        Self {
            by_span: BTreeMap::new(),
            budget: Budget::new(),
        }
    }

    /// Takes a record with one message, or with none where its content was not captured.
    pub(super) fn take(
        &mut self,
        record: Item<'a>,
        resource: &Rc<Resource<'a>>,
    ) -> Result<(), Reason> {
        if record.trace_id.is_empty() || record.span_id.is_empty() {
            return Err(Reason::new(
                "a message without trace and span cannot be put together with the others of its prompt",
            ));
        }
        let id = (record.trace_id.clone(), record.span_id.clone());
        if self.by_span.len() == DRAFTS_MAX && !self.by_span.contains_key(&id) {
            return Err(too_many());
        }
        let part = Messages::of(record, resource, &mut self.budget);
        match self.by_span.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(part);
            }
            Entry::Occupied(mut entry) => entry.get_mut().add(part),
        }
        Ok(())
    }

    /// Adds the prompts in the order of their first messages; what begins at the same time, by trace and span.
    pub(super) fn finish(self, export: &mut Export, quota: &mut Quota, template: &KeyTemplate) {
        let mut prompts: Vec<Messages<'_>> = self.by_span.into_values().collect();
        prompts.sort_by_key(|messages| messages.first.event.time);
        for messages in prompts {
            let count = messages.records;
            match messages.draft(template) {
                Ok(None) => export.ignored += count,
                Ok(Some(draft)) => match quota.take(&draft) {
                    Ok(()) => export.drafts.push(draft),
                    Err(reason) => export.rejected.add(count, reason),
                },
                Err(reason) => export.rejected.add(count, reason),
            }
        }
    }
}

impl<'a> Messages<'a> {
    fn of(mut record: Item<'a>, resource: &Rc<Resource<'a>>, budget: &mut Budget) -> Self {
        let attributes = &record.event.attributes;
        let read = message(&record, budget)
            .and_then(|message| Ok((message, Permissions::of(attributes, resource)?)));
        let (message, permissions, refused) = match read {
            Ok((message, permissions)) => (message, permissions, None),
            Err(reason) => (None, Permissions::default(), Some(reason)),
        };
        record.event.body = Value::Null;
        record
            .event
            .attributes
            .retain(|(_, value)| *value != Value::Null);
        let time = record.event.time;
        let messages = message.into_iter().map(|message| (time, message));
        let mut messages = Self {
            records: 1,
            refused,
            resource: Rc::clone(resource),
            first: record,
            permissions,
            messages: messages.collect(),
        };
        messages.forget_if_refused();
        messages
    }

    fn add(&mut self, mut other: Self) {
        self.records += other.records;
        self.messages.append(&mut other.messages);
        let agreed = self.permissions.add(other.permissions);
        if other.first.event.time < self.first.event.time {
            std::mem::swap(&mut self.first, &mut other.first);
            self.resource = other.resource;
        }
        let event = &mut self.first.event;
        for (name, value) in other.first.event.attributes {
            if event.get(&name).is_none() {
                event.attributes.push((name, value));
            }
        }
        let fits = attributes_fit(event.attributes.len());
        let refused = self.refused.take().or(other.refused);
        self.refused = refused.or(agreed.and(fits).err());
        self.forget_if_refused();
    }

    fn forget_if_refused(&mut self) {
        if self.refused.is_some() {
            self.first.event.attributes = Vec::new();
            self.messages = Vec::new();
        }
    }

    /// `None`: no record has content.
    fn draft(mut self, template: &KeyTemplate) -> Result<Option<Draft>, Reason> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        if self.messages.is_empty() {
            return Ok(None);
        }
        // Records of one time stay in the order they came.
        self.messages.sort_by_key(|(time, _)| *time);
        let messages = self.messages.into_iter().map(|(_, message)| message);
        let found = dialects::found_events(messages.collect());
        let source = Source {
            item: &self.first,
            resource: &self.resource,
            permissions: self.permissions,
            is_around: false,
            signal: Signal::Logs,
        };
        source.draft(found, template).map(Some)
    }
}

fn message(record: &Item<'_>, budget: &mut Budget) -> Result<Option<Message>, Reason> {
    attributes_fit(record.event.attributes.len())?;
    let message = dialects::of_message_event(&record.event)?;
    for _ in message.iter().flat_map(|message| &message.parts) {
        budget.take()?;
    }
    Ok(message)
}

fn attributes_fit(count: usize) -> Result<(), Reason> {
    if count <= ATTRIBUTES_MAX {
        return Ok(());
    }
    Err(Reason::new(format!(
        "a prompt's messages have more than {ATTRIBUTES_MAX} attributes, the most that is accepted"
    )))
}
