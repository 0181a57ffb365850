//! OpenTelemetry exports as prompt logs (the wire contract, section 7).
//!
//! A request's bytes → spans or log records, one at a time (`protobuf`, `json`) → the prompt in each, whichever
//! convention wrote it (`dialects`, `vendors`) → rendered messages (`message`) → a draft with its key (`key`). The same
//! span makes the same draft, whenever and with whatever else it is sent. One that cannot be read is rejected alone.

mod dialects;
mod drafts;
mod json;
mod key;
mod message;
mod model;
mod protobuf;
mod response;
mod value;
mod vendors;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};

pub use key::KeyTemplate;
pub use model::Signal;
pub use response::{response, status};

use crate::{Draft, RECORD_BYTES_MAX, Reason};
use dialects::{DETAILS, Found, message_role};
use drafts::Source;
use message::Message;
use model::{Group, Item};
use value::{Fields, Value};

/// The most prompts of one request; emitters send some hundred spans at once.
const DRAFTS_MAX: usize = 10_000;
/// More reasons than these help nobody.
const REASONS_MAX: usize = 10;

/// How a request is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

/// What a request holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// In the order of their spans or log records.
    pub drafts: Vec<Draft>,
    pub rejected: Rejected,
    /// Spans and log records without a prompt.
    pub ignored: usize,
}

/// Spans or log records that cannot be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    pub count: usize,
    /// The reasons of the first ones, each once.
    pub reasons: Vec<Reason>,
}

impl Rejected {
    /// Counts rejections for one reason.
    pub fn add(&mut self, count: usize, reason: Reason) {
        self.count += count;
        if count > 0 && self.reasons.len() < REASONS_MAX && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

impl Encoding {
    fn groups(self, request: &[u8]) -> Result<Vec<Group<'_>>, Reason> {
        match self {
            Self::Protobuf => protobuf::groups(request),
            Self::Json => json::groups(request),
        }
    }

    fn resource(self, bytes: &[u8]) -> Result<Fields<'_>, Reason> {
        match self {
            Self::Protobuf => protobuf::resource(bytes),
            Self::Json => json::resource(bytes),
        }
    }

    fn item(self, signal: Signal, bytes: &[u8]) -> Result<Item<'_>, Reason> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(crate::record_too_large());
        }
        match self {
            Self::Protobuf => protobuf::item(signal, bytes),
            Self::Json => json::item(signal, bytes),
        }
    }
}

/// Calls `read` with each item and its resource; items that cannot be read, or that it rejects, are counted.
fn each<'a>(
    request: &'a [u8],
    encoding: Encoding,
    signal: Signal,
    rejected: &mut Rejected,
    mut read: impl FnMut(Item<'a>, usize, &Fields<'a>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    for (number, group) in encoding.groups(request)?.into_iter().enumerate() {
        let resource = group.resource.map(|bytes| encoding.resource(bytes));
        let resource = match resource.transpose() {
            Ok(resource) => resource.unwrap_or_default(),
            Err(reason) => {
                rejected.add(group.items.len(), reason);
                continue;
            }
        };
        for bytes in group.items {
            let item = encoding.item(signal, bytes);
            if let Err(reason) = item.and_then(|item| read(item, number, &resource)) {
                rejected.add(1, reason);
            }
        }
    }
    Ok(())
}

fn too_many() -> Reason {
    Reason::new(format!(
        "there are more than {DRAFTS_MAX} prompts in one request; send fewer at once"
    ))
}

/// Reads an `ExportTraceServiceRequest`.
///
/// A span around others (an agent's, a chain's) repeats their prompts: it counts only where no span of a model's call
/// in the same trace is in the request.
///
/// # Errors
/// The request as a whole cannot be decoded.
pub fn traces(
    request: &[u8],
    encoding: Encoding,
    template: &KeyTemplate,
) -> Result<Export, Reason> {
    let mut export = Export::default();
    // Each draft with its trace when it comes from a span around others.
    let mut drafts: Vec<(Draft, Option<String>)> = Vec::new();
    let mut traces_with_calls = HashSet::new();
    let (rejected, ignored) = (&mut export.rejected, &mut export.ignored);
    each(
        request,
        encoding,
        Signal::Traces,
        rejected,
        |span, _, resource| {
            let scope = drafts::scope(&span);
            let found = match scope {
                drafts::Scope::Other => None,
                drafts::Scope::Call | drafts::Scope::Around => dialects::of_span(&span)?,
            };
            let Some(found) = found else {
                *ignored += 1;
                return Ok(());
            };
            if drafts.len() == DRAFTS_MAX {
                return Err(too_many());
            }
            let is_around = scope == drafts::Scope::Around;
            let source = Source {
                item: &span,
                resource,
                is_around,
                signal: Signal::Traces,
            };
            let draft = source.draft(found, template)?;
            if !is_around {
                traces_with_calls.insert(span.trace_id.clone());
            }
            drafts.push((draft, is_around.then_some(span.trace_id)));
            Ok(())
        },
    )?;
    for (draft, around) in drafts {
        if around.is_some_and(|trace| traces_with_calls.contains(&trace)) {
            export.ignored += 1;
        } else {
            export.drafts.push(draft);
        }
    }
    Ok(export)
}

/// Log records that hold one message each, by trace and span.
#[derive(Default)]
struct Gathered<'a> {
    by_span: BTreeMap<(String, String), Messages<'a>>,
    /// Those resources whose records are here.
    resources: BTreeMap<usize, Fields<'a>>,
}

/// The messages of one span.
struct Messages<'a> {
    /// Number of the resource, and what the earliest record says beside its message.
    resource: usize,
    first: Item<'a>,
    /// Each with its record's time.
    messages: Vec<(u64, Message)>,
}

/// What is held of each of many records must be little.
const MESSAGE_ATTRIBUTES_MAX: usize = 256;

/// Reads an `ExportLogsServiceRequest`.
///
/// Records that hold one message each are put together where trace and span are the same; a prompt whose records were
/// sent in several requests cannot be.
///
/// # Errors
/// The request as a whole cannot be decoded.
pub fn logs(request: &[u8], encoding: Encoding, template: &KeyTemplate) -> Result<Export, Reason> {
    let mut export = Export::default();
    let mut gathered = Gathered::default();
    let (drafts, ignored) = (&mut export.drafts, &mut export.ignored);
    each(
        request,
        encoding,
        Signal::Logs,
        &mut export.rejected,
        |record, number, resource| {
            if message_role(record.event.event_name()).is_some() {
                return gathered.take(record, number, resource);
            }
            let found = match record.event.event_name() {
                DETAILS => dialects::of_details(&record.event)?,
                _ => Found::default(),
            };
            if found.is_empty() {
                *ignored += 1;
                return Ok(());
            }
            if drafts.len() == DRAFTS_MAX {
                return Err(too_many());
            }
            let source = Source {
                item: &record,
                resource,
                is_around: false,
                signal: Signal::Logs,
            };
            drafts.push(source.draft(found, template)?);
            Ok(())
        },
    )?;
    gathered.finish(&mut export, template);
    Ok(export)
}

/// Trace and span of a record with one message.
fn span_of_message(record: &Item<'_>) -> Result<(String, String), Reason> {
    if record.trace_id.is_empty() || record.span_id.is_empty() {
        return Err(Reason::new(
            "a message without trace and span cannot be put together with the others of its prompt",
        ));
    }
    if record.event.attributes.len() > MESSAGE_ATTRIBUTES_MAX {
        return Err(Reason::new(format!(
            "a message has more than {MESSAGE_ATTRIBUTES_MAX} attributes, the most that is accepted"
        )));
    }
    Ok((record.trace_id.clone(), record.span_id.clone()))
}

impl<'a> Gathered<'a> {
    fn take(
        &mut self,
        mut record: Item<'a>,
        number: usize,
        resource: &Fields<'a>,
    ) -> Result<(), Reason> {
        let messages = dialects::of_events(&[&record.event])?.messages;
        let id = span_of_message(&record)?;
        if self.by_span.len() == DRAFTS_MAX && !self.by_span.contains_key(&id) {
            return Err(too_many());
        }
        let resources = self.resources.entry(number);
        resources.or_insert_with(|| resource.clone());
        let time = record.event.time;
        let messages = messages.into_iter().map(|message| (time, message));
        record.event.body = Value::Null;
        match self.by_span.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(Messages {
                    resource: number,
                    first: record,
                    messages: messages.collect(),
                });
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.messages.extend(messages);
                if time < known.first.event.time {
                    known.first = record;
                }
            }
        }
        Ok(())
    }

    /// Adds the prompts in the order of their first messages; what begins at the same time, by trace and span.
    fn finish(self, export: &mut Export, template: &KeyTemplate) {
        let mut prompts: Vec<Messages<'_>> = self.by_span.into_values().collect();
        prompts.sort_by_key(|messages| messages.first.event.time);
        for messages in prompts {
            let count = messages.messages.len();
            let resource = self.resources.get(&messages.resource);
            match messages.draft(resource.unwrap_or(&Fields::new()), template) {
                Ok(draft) => export.drafts.push(draft),
                Err(reason) => export.rejected.add(count, reason),
            }
        }
    }
}

impl Messages<'_> {
    fn draft(mut self, resource: &Fields<'_>, template: &KeyTemplate) -> Result<Draft, Reason> {
        // Records of one time stay in the order they came.
        self.messages.sort_by_key(|(time, _)| *time);
        let messages = self.messages.into_iter().map(|(_, message)| message);
        let found = dialects::found_events(messages.collect());
        let source = Source {
            item: &self.first,
            resource,
            is_around: false,
            signal: Signal::Logs,
        };
        source.draft(found, template)
    }
}

#[cfg(test)]
mod tests;
