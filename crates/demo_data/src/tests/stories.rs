//! What the texts promise: filled slots, real tools, prompts that explain the mistakes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{demo, history, logs_of_type, rows, text, topics};
use crate::DemoData;
use crate::people::PEOPLE;
use crate::world::{STATIONS, TOOLS};

#[test]
fn a_guardrail_log_and_no_other_needs_a_permission_of_its_own() {
    let logs: Vec<Value> = demo().prompt_logs().collect();
    let guarded: Vec<&Value> = logs
        .iter()
        .filter(|log| log.get("required_permissions").is_some())
        .collect();
    let per_mille = guarded.len() * 1_000 / logs.len();
    assert!((5..=20).contains(&per_mille), "{per_mille} of 1,000 logs");
    assert_eq!(
        guarded.len(),
        logs.iter()
            .filter(|log| log["prompt_type"] == "guardrail")
            .count()
    );
    for log in guarded {
        let expected = serde_json::json!([{
            "permission_name": "Safety:ReviewGuardrail",
            "attributes": {"service_id": log["service_id"]},
        }]);
        assert_eq!(log["required_permissions"], expected);
    }
}

#[test]
fn no_slot_stays_empty() {
    let slot = |text: &str| {
        text.match_indices('{')
            .find_map(|(at, _)| crate::slots::slot_name(&text[at..]).map(str::to_owned))
    };
    let data = demo();
    let records = data
        .prompt_logs()
        .chain(DemoData::TABLES.iter().flat_map(|table| rows(&data, table)));
    for record in records {
        assert_eq!(slot(&record.to_string()), None, "{record}");
    }
}

#[test]
fn tool_calls_are_json_and_of_tools_the_service_has() {
    let mut used = BTreeSet::new();
    for log in logs_of_type("engage_user") {
        let documents = history(&log)
            .into_iter()
            .filter_map(|prompt| prompt.split_once('\n'))
            .map(|(_, text)| text);
        for document in documents.filter(|text| text.starts_with('{')) {
            let document: Value =
                serde_json::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}"));
            let Some(name) = document["tool_call"]["name"].as_str() else {
                continue;
            };
            let tool = TOOLS
                .iter()
                .find(|tool| tool.name == name)
                .unwrap_or_else(|| panic!("no tool {name}"));
            assert!(
                tool.services
                    .iter()
                    .any(|service| service.id() == log["service_id"]),
                "{name} in {}",
                log["log_key"]
            );
            used.insert(name.to_owned());
        }
    }
    let offered: BTreeSet<String> = TOOLS
        .iter()
        .filter(|t| !t.is_deprecated)
        .map(|t| t.name.to_owned())
        .collect();
    assert_eq!(used, offered);
}

#[test]
fn system_prompts_are_1_to_4_kilobytes_and_one_service_has_a_separator_line_in_its_own() {
    let mut with_line = BTreeSet::new();
    for log in logs_of_type("engage_user") {
        let system = text(&log, "system");
        assert!(
            (1_000..=4_096).contains(&system.len()),
            "{} bytes in {}",
            system.len(),
            log["log_key"]
        );
        if system.lines().any(|line| line == "---") {
            with_line.insert(text(&log, "service_id").to_owned());
        }
    }
    assert_eq!(with_line, BTreeSet::from(["repairs".to_owned()]));
}

/// In every conversation of the topic, some prompt of the type holds the reason, and some later history the consequence.
#[track_caller]
fn check_mistake(topic: &str, prompt_type: &str, reason: &str, consequence: &str) {
    let data = demo();
    let topics = topics(&data);
    let logs: Vec<Value> = data
        .prompt_logs()
        .filter(|log| topics[text(log, "conversation_id")] == topic)
        .collect();
    let ids: BTreeSet<&str> = logs
        .iter()
        .map(|log| text(log, "conversation_id"))
        .collect();
    assert!(!ids.is_empty(), "no conversation about {topic}");
    for id in ids {
        let of_conversation = || logs.iter().filter(|log| log["conversation_id"] == id);
        let has_reason = |log: &&Value| {
            log["prompt_type"] == prompt_type && text(log, "system").contains(reason)
        };
        assert!(
            of_conversation().any(|log| has_reason(&log)),
            "{id}: {reason}"
        );
        let shows = |log: &Value| {
            history(log)
                .iter()
                .any(|p| p.starts_with("assistant") && p.contains(consequence))
        };
        assert!(of_conversation().any(shows), "{id}: {consequence}");
    }
}

#[test]
fn what_the_agent_got_wrong_is_explained_by_its_prompt() {
    check_mistake(
        "wrong trip refunded",
        "select_tool",
        "take the first one returned",
        "I was wrong: two trips",
    );
    check_mistake(
        "old refund deadline",
        "engage_user",
        "within 24 hours of the attempt",
        "24 hours",
    );
    check_mistake(
        "station that does not exist",
        "engage_user",
        "Kastanienplatz",
        "Kastanienplatz",
    );
    check_mistake(
        "time of a trip, one hour off",
        "engage_user",
        "as the tool returns them",
        "is in UTC",
    );
    check_mistake(
        "answer in the wrong language",
        "engage_user",
        "Answer in the profile language",
        "Guten Tag",
    );
    assert!(!STATIONS.contains(&"Kastanienplatz"));
}

#[test]
fn people_have_valid_ids_names_of_many_scripts_and_a_home_that_exists() {
    let ids: BTreeSet<&str> = PEOPLE.iter().map(|person| person.user_id).collect();
    assert_eq!(ids.len(), PEOPLE.len());
    assert!(
        ids.iter()
            .all(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
    );
    assert!(PEOPLE.iter().all(|person| STATIONS.contains(&person.home)));
    let names: String = PEOPLE
        .iter()
        .flat_map(|person| [person.first_name, person.last_name])
        .collect();
    let messages: String = rows(&demo(), "messages")
        .iter()
        .map(|message| text(message, "content").to_owned())
        .collect();
    for (all, letter) in [
        (&names, 'ü'),
        (&names, '美'),
        (&names, 'ل'),
        (&messages, 'ğ'),
        (&messages, 'が'),
        (&messages, 'ك'),
        (&messages, '🙏'),
    ] {
        assert!(all.contains(letter), "no {letter}");
    }
}
