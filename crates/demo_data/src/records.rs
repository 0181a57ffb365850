//! Conversations as records: prompt logs (the wire contract, section 7) and rows (section 6).

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::chat::{Log, Speaker, Turn};
use crate::conversation::{Conversation, object_id};
use crate::world::SMALL_MODEL;

pub(crate) const REGION: &str = "eu-central-1";

pub(crate) fn prompt_logs(conversation: &Conversation) -> Vec<Value> {
    let mut logs: Vec<(String, Value)> = conversation
        .logs
        .iter()
        .map(|log| {
            let key = format!(
                "{}/{:03}/{}",
                conversation.id, log.interaction, log.prompt_type
            );
            let record = prompt_log(conversation, log, &key);
            (key, record)
        })
        .collect();
    logs.sort_by(|(a, _), (b, _)| a.cmp(b));
    logs.into_iter().map(|(_, record)| record).collect()
}

fn prompt_log(conversation: &Conversation, log: &Log, key: &str) -> Value {
    let mut record = json!({
        "log_key": key,
        "created_at": instant(log.at),
        "conversation_id": conversation.id,
        "interaction_id": interaction_id(log.interaction),
        "user_id": conversation.person.user_id,
        "service_id": conversation.service.id(),
        "prompt_type": log.prompt_type,
        "model": log.model,
        "attributes": {
            "agent_id": conversation.agent.id,
            "latency_ms": log.latency.num_milliseconds(),
            "temperature": if log.prompt_type == "engage_user" { 0.4 } else { 0.0 },
            "tokens": {"prompt": tokens(prompt_chars(log)), "completion": tokens(log.completion_chars)},
            "version_set": conversation.release.version_set(),
        },
    });
    // An absent part has no member at all: that is what "does not exist" means in the record.
    if let Some(system) = &log.system {
        record["system"] = json!(system);
    }
    if let Some(history) = &log.history {
        record["history"] = json!(history);
    }
    if log.prompt_type == "guardrail" {
        let attributes = json!({"service_id": conversation.service.id()});
        record["required_permissions"] =
            json!([{"permission_name": "Safety:ReviewGuardrail", "attributes": attributes}]);
    }
    record
}

fn prompt_chars(log: &Log) -> usize {
    let texts = log.system.iter().chain(log.history.iter().flatten());
    texts.map(|text| text.chars().count()).sum()
}

/// About four letters make a token.
fn tokens(chars: usize) -> usize {
    chars / 4 + 3
}

pub(crate) fn conversation(conversation: &Conversation, org_id: &str) -> Value {
    let c = conversation;
    let was_summarized = c.logs.iter().any(|log| log.prompt_type == "summarize");
    let mut memories = vec![json!({"kind": "topic", "text": c.topic})];
    let mut post_processings = Vec::new();
    if was_summarized {
        memories.push(json!({"kind": "summary", "text": c.summary}));
        post_processings = vec!["summarize", "update_user_model"];
    }
    json!({
        "_id": c.id,
        "created_at": instant(c.started_at),
        "updated_at": instant(c.ended_at),
        "org_id": org_id,
        "region_name": REGION,
        "user_id": c.person.user_id,
        "service_id": c.service.id(),
        "is_finished": c.is_finished,
        "interactions": interactions(&c.turns),
        "completed_post_processings": post_processings,
        "version_set_info": {
            "version_set": c.release.version_set(),
            "agent_id": c.agent.id,
            "agent_version": c.release.number(),
            "models": {"engage_user": c.service.model(), "others": SMALL_MODEL},
        },
        "working_memories": memories,
    })
}

/// One document per interaction: its times, how much was said, and the tools it took.
fn interactions(turns: &[Turn]) -> Vec<Value> {
    let mut by_interaction: BTreeMap<usize, Vec<&Turn>> = BTreeMap::new();
    for turn in turns {
        by_interaction
            .entry(turn.interaction)
            .or_default()
            .push(turn);
    }
    by_interaction
        .into_iter()
        .map(|(interaction, turns)| {
            let times = turns.iter().map(|turn| turn.at);
            json!({
                "interaction_id": interaction_id(interaction),
                "started_at": times.clone().min().map(instant),
                "ended_at": times.max().map(instant),
                "messages": turns.iter().filter(|turn| turn.is_spoken()).count(),
                "tools": turns.iter().filter_map(|turn| turn.tool).collect::<Vec<_>>(),
            })
        })
        .collect()
}

/// What customer and agent said; tool calls are in the prompt logs only.
pub(crate) fn messages(conversation: &Conversation, org_id: &str) -> Vec<Value> {
    let spoken = conversation
        .turns
        .iter()
        .enumerate()
        .filter(|(_, turn)| turn.is_spoken());
    spoken
        .map(|(place, turn)| {
            let (sender, message_type) = match turn.speaker {
                Speaker::User => ("user", "user-message"),
                _ => ("agent", "agent-message"),
            };
            json!({
                "_id": object_id(turn.at, conversation.index * 128 + place),
                "conversation_id": conversation.id,
                "interaction_id": interaction_id(turn.interaction),
                "org_id": org_id,
                "sender": sender,
                "message_type": message_type,
                "content": turn.text,
                "created_at": instant(turn.at),
            })
        })
        .collect()
}

fn interaction_id(interaction: usize) -> String {
    format!("{interaction:03}")
}

/// ISO 8601 with milliseconds and `Z`.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn to_the_millisecond(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(at)
}
