//! What every record promises, and how the records fit together.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::Value;

use crate::DemoData;
use crate::scenarios::SCENARIOS;

mod stories;

/// The members of a record in the wire contract, section 7.
const MEMBERS: [&str; 12] = [
    "log_key",
    "created_at",
    "system",
    "history",
    "conversation_id",
    "interaction_id",
    "user_id",
    "service_id",
    "prompt_type",
    "model",
    "attributes",
    "required_permissions",
];

fn now() -> DateTime<Utc> {
    "2026-11-23T18:00:00.123Z".parse().expect("a valid instant")
}

fn demo() -> DemoData {
    DemoData::new("demo", now())
}

fn text<'a>(record: &'a Value, member: &str) -> &'a str {
    record[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} is text in {record}"))
}

fn instant(record: &Value, member: &str) -> DateTime<Utc> {
    text(record, member)
        .parse()
        .unwrap_or_else(|_| panic!("{member} is an instant in {record}"))
}

fn history(log: &Value) -> Vec<&str> {
    let prompts = log["history"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    prompts
        .iter()
        .map(|prompt| prompt.as_str().expect("a prompt is text"))
        .collect()
}

fn rows(data: &DemoData, table: &str) -> Vec<Value> {
    data.table(table)
        .unwrap_or_else(|| panic!("there is a table {table}"))
        .collect()
}

fn logs_of_type(prompt_type: &str) -> Vec<Value> {
    demo()
        .prompt_logs()
        .filter(|log| log["prompt_type"] == prompt_type)
        .collect()
}

/// Topic by conversation id, as the working memories tell it.
fn topics(data: &DemoData) -> BTreeMap<String, String> {
    let conversations = rows(data, "conversations");
    conversations
        .iter()
        .map(|c| {
            (
                text(c, "_id").to_owned(),
                text(&c["working_memories"][0], "text").to_owned(),
            )
        })
        .collect()
}

/// The rules of a log key in the wire contract, section 7, as far as letters of demo keys can break them.
fn is_log_key(key: &str) -> bool {
    let is_segment = |segment: &str| {
        let is_plain = segment
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (1..=240).contains(&segment.len()) && is_plain
    };
    key.len() <= 900 && key.split('/').all(is_segment)
}

#[test]
fn the_same_organization_and_instant_give_the_same_bytes() {
    let all = |data: DemoData| {
        let logs = data.prompt_logs().map(|log| log.to_string());
        let tables = DemoData::TABLES
            .iter()
            .flat_map(|table| rows(&data, table))
            .map(|row| row.to_string());
        logs.chain(tables).collect::<Vec<_>>()
    };
    assert_eq!(all(demo()), all(demo()));
}

#[test]
fn there_are_enough_conversations_and_logs() {
    let data = demo();
    assert_eq!(data.conversations_len(), 240);
    assert_eq!(rows(&data, "conversations").len(), 240);
    let logs = data.prompt_logs().count();
    assert!(logs >= 2_400, "only {logs} logs");
}

#[test]
fn every_scenario_is_played() {
    let data = demo();
    let topics = topics(&data);
    let services = rows(&data, "conversations").into_iter().map(|c| {
        (
            text(&c, "service_id").to_owned(),
            text(&c, "_id").to_owned(),
        )
    });
    let played: BTreeSet<_> = services
        .map(|(service, id)| (topics[&id].clone(), service))
        .collect();
    let written: BTreeSet<_> = SCENARIOS
        .iter()
        .map(|s| (s.topic.to_owned(), s.service.id().to_owned()))
        .collect();
    assert_eq!(played, written);
}

#[test]
fn log_keys_are_valid_made_of_their_parts_and_ascend() {
    let logs: Vec<Value> = demo().prompt_logs().collect();
    for log in &logs {
        let parts =
            ["conversation_id", "interaction_id", "prompt_type"].map(|part| text(log, part));
        assert_eq!(text(log, "log_key"), parts.join("/"));
        assert!(is_log_key(text(log, "log_key")), "{}", log["log_key"]);
    }
    assert!(logs.is_sorted_by(|a, b| text(a, "log_key") < text(b, "log_key")));
}

#[test]
fn every_log_has_a_part_and_only_members_of_a_record() {
    let (mut system_only, mut history_only) = (0, 0);
    for log in demo().prompt_logs() {
        let parts = (log.get("system").is_some(), log.get("history").is_some());
        assert_ne!(parts, (false, false), "{}", log["log_key"]);
        system_only += usize::from(parts == (true, false));
        history_only += usize::from(parts == (false, true));
        let members = log.as_object().expect("a record is an object").keys();
        let unknown: Vec<&String> = members
            .filter(|member| !MEMBERS.contains(&member.as_str()))
            .collect();
        assert_eq!(unknown, Vec::<&String>::new(), "{}", log["log_key"]);
    }
    assert!(
        system_only >= 100 && history_only >= 50,
        "{system_only} system only, {history_only} history only"
    );
}

#[test]
fn histories_of_a_conversation_extend_each_other() {
    let logs = logs_of_type("engage_user");
    for pair in logs
        .windows(2)
        .filter(|pair| pair[0]["conversation_id"] == pair[1]["conversation_id"])
    {
        let (earlier, later) = (history(&pair[0]), history(&pair[1]));
        assert!(
            later.len() > earlier.len() && later.starts_with(&earlier),
            "{}",
            pair[1]["log_key"]
        );
        assert!(instant(&pair[0], "created_at") < instant(&pair[1], "created_at"));
    }
}

#[test]
fn every_answer_of_an_agent_has_its_prompt() {
    let key = |conversation: &str, interaction: &str, at: &str| {
        format!("{conversation} {interaction} {at}")
    };
    let prompted: Vec<String> = logs_of_type("engage_user")
        .iter()
        .map(|log| {
            key(
                text(log, "conversation_id"),
                text(log, "interaction_id"),
                text(log, "created_at"),
            )
        })
        .collect();
    let answered: Vec<String> = rows(&demo(), "messages")
        .iter()
        .filter(|message| message["sender"] == "agent")
        .map(|message| {
            key(
                text(message, "conversation_id"),
                text(message, "interaction_id"),
                text(message, "created_at"),
            )
        })
        .collect();
    assert_eq!(prompted, answered);
}

#[test]
fn conversations_have_4_to_24_turns_seconds_apart() {
    let data = demo();
    let mut turns: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
    for message in rows(&data, "messages") {
        turns
            .entry(text(&message, "conversation_id").to_owned())
            .or_default()
            .push(instant(&message, "created_at"));
    }
    assert_eq!(turns.len(), data.conversations_len());
    for (id, times) in &turns {
        assert!(
            (4..=24).contains(&times.len()),
            "{} turns in {id}",
            times.len()
        );
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            gaps.into_iter()
                .all(|gap| TimeDelta::seconds(1) < gap && gap < TimeDelta::seconds(90)),
            "{id}"
        );
    }
    let lengths: BTreeSet<usize> = turns.values().map(Vec::len).collect();
    assert!(lengths.len() >= 12, "{lengths:?}");
}

#[test]
fn rows_join() {
    let data = demo();
    let ids = |table: &str, column: &str| -> BTreeSet<String> {
        rows(&data, table)
            .iter()
            .map(|row| text(row, column).to_owned())
            .collect()
    };
    assert!(ids("conversations", "user_id").is_subset(&ids("users", "user_id")));
    assert_eq!(
        ids("messages", "conversation_id"),
        ids("conversations", "_id")
    );
    let agents = ids("agents", "agent_id");
    let logs: Vec<Value> = data.prompt_logs().collect();
    assert!(
        logs.iter()
            .all(|log| agents.contains(text(&log["attributes"], "agent_id")))
    );
    let logged: BTreeSet<String> = logs
        .iter()
        .map(|log| text(log, "conversation_id").to_owned())
        .collect();
    assert_eq!(logged, ids("conversations", "_id"));
}

#[track_caller]
fn check_columns(table: &str, strings: &str, instants: &str, booleans: &str, json: &str) {
    let data = DemoData::new("acme", now());
    let rows = rows(&data, table);
    let columns = |list: &str| {
        list.split_whitespace()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let all: BTreeSet<String> = [strings, instants, booleans, json]
        .iter()
        .flat_map(|list| columns(list))
        .collect();
    let unique: BTreeSet<&str> = rows.iter().map(|row| text(row, "_id")).collect();
    assert_eq!(unique.len(), rows.len(), "ids of {table} are unique");
    for row in &rows {
        let keys: BTreeSet<String> = row
            .as_object()
            .expect("a row is an object")
            .keys()
            .cloned()
            .collect();
        assert_eq!(keys, all, "{table}");
        assert_eq!(row["org_id"], "acme");
        assert!(
            columns(strings)
                .iter()
                .all(|c| row[c].is_string() || c == "deleted_by_user_id"),
            "{row}"
        );
        assert!(
            columns(booleans).iter().all(|c| row[c].is_boolean()),
            "{row}"
        );
        assert!(
            columns(json)
                .iter()
                .all(|c| row[c].is_object() || row[c].is_array() || c == "version"),
            "{row}"
        );
        for column in columns(instants)
            .iter()
            .filter(|column| !row[*column].is_null())
        {
            assert!(instant(row, column) <= now());
            assert!(
                row[column]
                    .as_str()
                    .is_some_and(|text| text.len() == 24 && text.ends_with('Z')),
                "{row}"
            );
        }
    }
}

#[test]
fn tables_have_exactly_the_columns_of_the_wire_contract() {
    check_columns(
        "conversations",
        "_id org_id region_name user_id service_id",
        "created_at updated_at",
        "is_finished",
        "interactions completed_post_processings version_set_info working_memories",
    );
    check_columns(
        "messages",
        "_id conversation_id interaction_id org_id sender message_type content",
        "created_at",
        "",
        "",
    );
    check_columns(
        "users",
        "_id user_id org_id email first_name last_name role region_name",
        "updated_at",
        "",
        "preferences additional_context user_models",
    );
    check_columns(
        "agents",
        "_id agent_id name initials org_id region_name",
        "created_at updated_at",
        "",
        "version identity background behaviors communication_patterns organization pfp",
    );
    check_columns(
        "tools",
        "_id name description org_id region_name",
        "created_at updated_at",
        "deprecated",
        "envvars secret_envvars tags",
    );
    check_columns(
        "simulation_personas",
        "_id name role latest_version_background org_id region_name creator_user_id updated_by_user_id deleted_by_user_id",
        "created_at updated_at deleted_at",
        "is_deleted",
        "tags",
    );
}

#[test]
fn an_unknown_table_is_none() {
    assert!(demo().table("prompt_logs").is_none());
}

proptest! {
    // Each case writes everything once; the instants differ in hour, month and year.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whenever_it_ends_all_of_it_lies_within_26_days_and_the_last_log_is_now(
        millis in 1_577_836_800_000_i64..2_208_988_800_000,
        micros in 0_i64..1_000,
    ) {
        let now = DateTime::from_timestamp_millis(millis).expect("in range");
        let data = DemoData::new("demo", now + TimeDelta::microseconds(micros));
        let logs: Vec<Value> = data.prompt_logs().collect();
        prop_assert!(logs.len() >= 2_400, "{} logs", logs.len());
        prop_assert!(logs.is_sorted_by(|a, b| text(a, "log_key") < text(b, "log_key")));
        let times: Vec<DateTime<Utc>> = logs.iter().map(|log| instant(log, "created_at")).collect();
        prop_assert_eq!(times.iter().max(), Some(&now));
        prop_assert!(times.iter().all(|at| *at > now - TimeDelta::days(26)));
        let of_last_week = times.iter().filter(|at| **at > now - TimeDelta::days(7)).count();
        prop_assert!(of_last_week * 5 > times.len() * 2, "densest at the end");
        let rows = rows(&data, "conversations");
        let turns = |row: &Value| {
            let interactions = row["interactions"].as_array().map(Vec::as_slice).unwrap_or_default();
            interactions.iter().filter_map(|interaction| interaction["messages"].as_u64()).sum::<u64>()
        };
        prop_assert!(rows.iter().all(|row| (4..=24).contains(&turns(row))));
        let open: Vec<&Value> = rows.iter().filter(|row| row["is_finished"] == false).collect();
        prop_assert_eq!(open.len(), 1);
        prop_assert_eq!(instant(open[0], "updated_at"), now);
        let second = |row: &Value| format!("{:08x}", instant(row, "created_at").timestamp());
        let ids_tell_the_second = rows.iter().all(|row| text(row, "_id").starts_with(&second(row)));
        prop_assert!(ids_tell_the_second);
    }
}
