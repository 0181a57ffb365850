//! OpenTelemetry exports as prompt logs (the wire contract, section 7).
//!
//! A request's bytes → spans or log records, one at a time (`protobuf`, `json`) → the prompt in each, whichever
//! convention wrote it (`dialects`, `vendors`) → rendered messages (`message`) → a draft with its key (`key`). The same
//! span makes the same draft, whenever and with whatever else it is sent. One that cannot be read is rejected alone.

mod dialects;
mod drafts;
mod gathered;
mod json;
mod key;
mod message;
mod model;
mod parts;
mod permissions;
mod protobuf;
mod resource;
mod response;
mod value;
mod vendors;

use std::collections::HashSet;
use std::rc::Rc;

pub use key::KeyTemplate;
pub use model::Signal;
pub use response::{response, status};

use crate::{Draft, RECORD_BYTES_MAX, Reason};
use dialects::{DETAILS, Found, message_role};
use drafts::Source;
use gathered::Gathered;
use model::Item;
use permissions::Permissions;
use resource::Resource;
use value::Fields;

/// The most prompts of one request; emitters send some hundred spans at once.
const DRAFTS_MAX: usize = 10_000;
/// The most messages of all its prompts: one takes many times its two bytes of input.
const MESSAGES_MAX: usize = 1_000_000;
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
    /// Calls `visit` with each resource and its items, still encoded together.
    fn groups<'a>(
        self,
        request: &'a [u8],
        visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        match self {
            Self::Protobuf => protobuf::groups(request, visit),
            Self::Json => json::groups(request, visit),
        }
    }

    fn resource_of(self, group: &[u8]) -> Result<Option<&[u8]>, Reason> {
        match self {
            Self::Protobuf => protobuf::resource_of(group),
            Self::Json => json::resource_of(group),
        }
    }

    fn items<'a>(
        self,
        group: &'a [u8],
        visit: &mut dyn FnMut(&'a [u8]) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        match self {
            Self::Protobuf => protobuf::items(group, visit),
            Self::Json => json::items(group, visit),
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
///
/// # Errors
/// The request as a whole cannot be decoded. What was read until then is of no use: it would be acknowledged in part.
fn each<'a>(
    request: &'a [u8],
    encoding: Encoding,
    signal: Signal,
    rejected: &mut Rejected,
    mut read: impl FnMut(Item<'a>, &Rc<Resource<'a>>) -> Result<(), Reason>,
) -> Result<(), Reason> {
    encoding.groups(request, &mut |group| {
        let bytes = encoding.resource_of(group)?;
        let fields = bytes.map(|bytes| encoding.resource(bytes)).transpose();
        let resource = fields.map(|fields| Rc::new(Resource::new(fields.unwrap_or_default())));
        encoding.items(group, &mut |bytes| {
            let resource = match &resource {
                Ok(resource) => resource,
                Err(reason) => {
                    rejected.add(1, reason.clone());
                    return Ok(());
                }
            };
            let item = encoding.item(signal, bytes);
            if let Err(reason) = item.and_then(|item| read(item, resource)) {
                rejected.add(1, reason);
            }
            Ok(())
        })
    })
}

/// What the prompts of one request are until now, together.
#[derive(Debug, Default)]
struct Quota {
    drafts: usize,
    messages: usize,
}

impl Quota {
    fn take(&mut self, draft: &Draft) -> Result<(), Reason> {
        if self.drafts == DRAFTS_MAX {
            return Err(too_many());
        }
        let messages = self.messages + draft.history.as_ref().map_or(0, Vec::len);
        if messages > MESSAGES_MAX {
            return Err(Reason::new(format!(
                "there are more than {MESSAGES_MAX} messages in one request; send fewer at once"
            )));
        }
        self.drafts += 1;
        self.messages = messages;
        Ok(())
    }
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
    let mut quota = Quota::default();
    let (rejected, ignored) = (&mut export.rejected, &mut export.ignored);
    each(
        request,
        encoding,
        Signal::Traces,
        rejected,
        |span, resource| {
            let scope = drafts::scope(&span);
            let found = match scope {
                drafts::Scope::Other => None,
                drafts::Scope::Call | drafts::Scope::Around => dialects::of_span(&span)?,
            };
            let Some(found) = found else {
                *ignored += 1;
                return Ok(());
            };
            let is_around = scope == drafts::Scope::Around;
            let source = Source {
                item: &span,
                resource,
                permissions: Permissions::of(&span.event.attributes, resource)?,
                is_around,
                signal: Signal::Traces,
            };
            let draft = source.draft(found, template)?;
            quota.take(&draft)?;
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

/// Reads an `ExportLogsServiceRequest`.
///
/// Records that hold one message each are put together where trace and span are the same; a prompt whose records were
/// sent in several requests cannot be.
///
/// # Errors
/// The request as a whole cannot be decoded.
pub fn logs(request: &[u8], encoding: Encoding, template: &KeyTemplate) -> Result<Export, Reason> {
    let mut export = Export::default();
    let (mut gathered, mut quota) = (Gathered::new(), Quota::default());
    let (drafts, ignored) = (&mut export.drafts, &mut export.ignored);
    each(
        request,
        encoding,
        Signal::Logs,
        &mut export.rejected,
        |record, resource| {
            if message_role(record.event.event_name()).is_some() {
                return gathered.take(record, resource);
            }
            let found = match record.event.event_name() {
                DETAILS => dialects::of_details(&record.event)?,
                _ => Found::default(),
            };
            if found.is_empty() {
                *ignored += 1;
                return Ok(());
            }
            let source = Source {
                item: &record,
                resource,
                permissions: Permissions::of(&record.event.attributes, resource)?,
                is_around: false,
                signal: Signal::Logs,
            };
            let draft = source.draft(found, template)?;
            quota.take(&draft)?;
            drafts.push(draft);
            Ok(())
        },
    )?;
    gathered.finish(&mut export, &mut quota, template);
    Ok(export)
}

#[cfg(test)]
mod tests;
