//! From a found prompt to a draft: its key, its columns, and what else the span says in a few words.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::dialects::{Found, Prompt};
use super::key::KeyTemplate;
use super::model::{Item, Signal, hex};
use super::permissions::Permissions;
use super::resource::Resource;
use super::value::{Value, field, write_fields};
use crate::{Draft, Reason};

/// The most bytes of an id: it is repeated for each span of its resource.
const LABEL_BYTES_MAX: usize = 1024;
/// What is kept of the other attributes: this many, of this many bytes each.
const ATTRIBUTES_MAX: usize = 128;
const ATTRIBUTE_BYTES_MAX: usize = 1024;

/// What a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A call of a model, or something unknown that may be one.
    Call,
    /// Something that calls models and may repeat what they are told.
    Around,
    /// Something that tells no model anything.
    Other,
}

/// Operations and kinds of spans, in small letters.
const AROUND: [&str; 10] = [
    "invoke_agent",
    "create_agent",
    "invoke_workflow",
    "plan",
    "chain",
    "agent",
    "workflow",
    "task",
    "prompt",
    "unknown",
];
const OTHER: [&str; 9] = [
    "embeddings",
    "execute_tool",
    "retrieval",
    "tool",
    "retriever",
    "reranker",
    "embedding",
    "guardrail",
    "evaluator",
];

pub(super) fn scope(span: &Item<'_>) -> Scope {
    let said = [
        "gen_ai.operation.name",
        "openinference.span.kind",
        "traceloop.span.kind",
    ];
    for name in said {
        if let Some(kind) = span.event.get(name).and_then(Value::text) {
            let kind = kind.to_ascii_lowercase();
            if OTHER.contains(&kind.as_str()) {
                return Scope::Other;
            }
            if AROUND.contains(&kind.as_str()) {
                return Scope::Around;
            }
            return Scope::Call;
        }
    }
    // The AI SDK's `ai.generateText` is around `ai.generateText.doGenerate`.
    let operation = span.event.get("ai.operationId").and_then(Value::text);
    if operation.is_some_and(|operation| !operation.contains(".do")) {
        return Scope::Around;
    }
    // Names that no emitter of model calls uses without saying so in one of the ways above.
    let agent = ["pydantic_ai.all_messages", "all_messages_events"];
    if agent.iter().any(|name| span.event.get(name).is_some()) {
        return Scope::Around;
    }
    Scope::Call
}

/// Where a prompt was found.
pub(super) struct Source<'s, 'a> {
    pub(super) item: &'s Item<'a>,
    pub(super) resource: &'s Resource<'a>,
    pub(super) permissions: Permissions,
    pub(super) is_around: bool,
    pub(super) signal: Signal,
}

impl Source<'_, '_> {
    pub(super) fn draft(self, found: Found, template: &KeyTemplate) -> Result<Draft, Reason> {
        let prompt = found.prompt()?;
        let span_id = self.span_id(&prompt)?;
        let created_at = self.created_at()?;
        let attributes = self.attributes(&prompt, &span_id);
        Ok(Draft {
            created_at: Some(created_at),
            conversation_id: self.label(&["gen_ai.conversation.id", "session.id"])?,
            interaction_id: Some(self.item.trace_id.clone()).filter(|id| !id.is_empty()),
            user_id: self.label(&["user.id", "enduser.id"])?,
            service_id: self.label(&["service.name"])?,
            prompt_type: self.label(&[
                "gen_ai.operation.name",
                "llm.request.type",
                "ai.operationId",
                "openinference.span.kind",
            ])?,
            model: self.label(&[
                "gen_ai.request.model",
                "gen_ai.response.model",
                "llm.model_name",
                "ai.model.id",
            ])?,
            attributes: Some(attributes),
            // Behind the ids, which must not be too long.
            log_key: self.log_key(template, &span_id)?,
            required_permissions: self.permissions.into_list(),
            system: prompt.system,
            history: prompt.history,
        })
    }

    /// Log records need not belong to a span; their content then tells them apart.
    fn span_id(&self, prompt: &Prompt) -> Result<String, Reason> {
        let item = self.item;
        if !item.span_id.is_empty() {
            return Ok(item.span_id.clone());
        }
        if self.signal == Signal::Traces {
            return Err(Reason::new("the span has no id"));
        }
        let mut hash = Sha256::new();
        for text in prompt.system.iter().chain(prompt.history.iter().flatten()) {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        Ok(hex(&hash.finalize()[..8]))
    }

    fn created_at(&self) -> Result<DateTime<Utc>, Reason> {
        let time = i64::try_from(self.item.event.time).unwrap_or_default();
        if time == 0 {
            return Err(Reason::new("there is no time, or one after the year 2262"));
        }
        Ok(DateTime::from_timestamp_nanos(time))
    }

    /// What an attribute says, of the span or else of its resource.
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let own = self.item.event.get(name).and_then(said);
        own.or_else(|| field(&self.resource.attributes, name).and_then(said))
    }

    /// The first of these attributes that has a value, of the span or else of its resource.
    fn label(&self, names: &[&str]) -> Result<Option<String>, Reason> {
        let mut values = names
            .iter()
            .filter_map(|name| Some((name, self.value(name)?)));
        match values.next() {
            Some((name, value)) if value.len() > LABEL_BYTES_MAX => Err(Reason::new(format!(
                "`{name}` has {} bytes; at most {LABEL_BYTES_MAX} are accepted",
                value.len()
            ))),
            found => Ok(found.map(|(_, value)| value.into_owned())),
        }
    }

    fn log_key(&self, template: &KeyTemplate, span_id: &str) -> Result<String, Reason> {
        // As it is: whether it is a good one is not decided here.
        if let Some(key) = self.label(&["prompt_log.key"])? {
            return Ok(key);
        }
        Ok(template.key(|name| match name {
            "trace_id" => Some(self.item.trace_id.clone()),
            "span_id" => Some(span_id.to_owned()),
            "start_time" => Some(format!("{:020}", self.item.event.time)),
            name => self.value(name).map(Cow::into_owned),
        }))
    }

    fn attributes(&self, prompt: &Prompt, span_id: &str) -> String {
        let text = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
        let name = match self.signal {
            Signal::Traces => "span_name",
            Signal::Logs => "event_name",
        };
        let mut own = vec![
            ("trace_id", text(&self.item.trace_id)),
            ("span_id", text(span_id)),
            (name, text(self.item.event.event_name())),
            ("source_dialect", text(prompt.dialect)),
        ];
        if prompt.degraded {
            own.push(("degraded", Value::Bool(true)));
        }
        if self.is_around {
            own.push(("agent_scope", Value::Bool(true)));
        }
        let mut names: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
        let mut kept = Vec::new();
        for (name, value) in &self.item.event.attributes {
            if kept.len() < ATTRIBUTES_MAX
                && is_kept(name, value)
                && !names.contains(&name.as_ref())
            {
                names.push(name);
                kept.push((name.as_ref(), value));
            }
        }
        let own = own.iter().map(|(name, value)| (*name, value));
        let mut json = String::new();
        write_fields(own.chain(kept), &mut json);
        json
    }
}

/// A value as text, if there is any.
fn said<'v>(value: &'v Value<'_>) -> Option<Cow<'v, str>> {
    let text = match value {
        Value::Null => return None,
        Value::Text(text) => Cow::Borrowed(text.as_ref()),
        Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
            Cow::Owned(value.to_json())
        }
    };
    (!text.is_empty()).then_some(text)
}

/// Where emitters keep messages, prompts and answers.
const CONTENT: [&str; 24] = [
    "ai.prompt",
    "ai.response.object",
    "ai.response.text",
    "ai.response.toolCalls",
    "all_messages_events",
    "content",
    "events",
    "final_result",
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "input.value",
    "langfuse.observation.",
    "lk.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts",
    "output.value",
    "prompt_log.",
    "pydantic_ai.all_messages",
    "traceloop.entity.",
];

fn is_kept(name: &str, value: &Value<'_>) -> bool {
    let is_small = match value {
        Value::Bool(_) | Value::Number(_) => true,
        Value::Text(text) => text.len() <= ATTRIBUTE_BYTES_MAX,
        Value::Null | Value::List(_) | Value::Map(_) => false,
    };
    let is_content = CONTENT.iter().any(|prefix| name.starts_with(prefix))
        || name.starts_with("llm.tools.")
        || name.starts_with("llm.request.functions.");
    is_small && !is_content && name.len() <= ATTRIBUTE_BYTES_MAX
}
