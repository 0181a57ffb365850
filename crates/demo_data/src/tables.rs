//! The small tables: users, agents, tools, simulation personas (the wire contract, section 6).

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::conversation::object_id;
use crate::people::PEOPLE;
use crate::records::{REGION, instant};
use crate::world::{AGENTS, Release, TOOLS};

/// Ids of one table begin at a multiple of this, so that no two tables share one.
const IDS_OF_A_TABLE: usize = 0x1_0000;

pub(crate) fn users(org_id: &str, now: DateTime<Utc>) -> impl Iterator<Item = Value> {
    let first = first_day(now);
    PEOPLE.iter().enumerate().map(move |(place, person)| {
        let dimensions = match person.note {
            "" => json!([]),
            note => json!([{"dimension": "riding and writing", "insight": note}]),
        };
        json!({
            "_id": object_id(first, IDS_OF_A_TABLE + place),
            "user_id": person.user_id,
            "org_id": org_id,
            "email": format!("{}@mail.example", person.user_id),
            "first_name": person.first_name,
            "last_name": person.last_name,
            "role": "DefaultUserRole",
            "region_name": REGION,
            "preferences": {"language": person.writes.of_profile().1, "channel": "app", "home_station": person.home},
            "additional_context": [format!("Plan: {}", person.plan.name())],
            "user_models": {"version": 1, "dimensions": dimensions},
            "updated_at": instant(now - TimeDelta::hours(7 + 9 * place as i64)),
        })
    })
}

/// One row a version, so that prompt logs of both releases have their agent.
pub(crate) fn agents(org_id: &str, now: DateTime<Utc>) -> impl Iterator<Item = Value> {
    let releases = [
        (Release::Eleven, first_day(now)),
        (Release::Twelve, now - TimeDelta::days(9)),
    ];
    let rows = releases
        .into_iter()
        .flat_map(|release| AGENTS.iter().map(move |agent| (release, agent)));
    rows.enumerate().map(move |(place, ((release, created_at), agent))| {
        json!({
            "_id": object_id(created_at, 2 * IDS_OF_A_TABLE + place),
            "agent_id": agent.id,
            "name": agent.name,
            "initials": agent.initials,
            "org_id": org_id,
            "region_name": REGION,
            "version": release.number(),
            "identity": {"name": agent.name, "role": agent.role, "languages": ["en", "de", "fr", "es", "ja", "ar", "zh", "tr"]},
            "background": {"text": agent.background},
            "behaviors": ["Looks it up before speaking of it.", "Asks one question at a time.", "Says what it costs before it costs."],
            "communication_patterns": [agent.manner],
            "organization": {"name": "Radwerk", "town": "Auenstadt"},
            "pfp": {"kind": "initials", "text": agent.initials},
            "created_at": instant(created_at),
            "updated_at": instant(created_at),
        })
    })
}

pub(crate) fn tools(org_id: &str, now: DateTime<Utc>) -> impl Iterator<Item = Value> {
    let first = first_day(now);
    TOOLS.iter().enumerate().map(move |(place, tool)| {
        json!({
            "_id": object_id(first, 3 * IDS_OF_A_TABLE + place),
            "name": tool.name,
            "description": tool.description,
            "org_id": org_id,
            "region_name": REGION,
            "deprecated": tool.is_deprecated,
            "envvars": {"RADWERK_TOWN": "auenstadt"},
            "secret_envvars": tool.secret.iter().collect::<Vec<_>>(),
            "tags": tool.services.iter().map(|service| json!({"key": "service", "value": service.id()})).collect::<Vec<_>>(),
            "created_at": instant(first),
            "updated_at": instant(now - TimeDelta::days(20 - place as i64)),
        })
    })
}

struct Persona {
    name: &'static str,
    role: &'static str,
    background: &'static str,
    tag: &'static str,
    is_deleted: bool,
}

const fn persona(
    name: &'static str,
    role: &'static str,
    tag: &'static str,
    background: &'static str,
) -> Persona {
    Persona {
        name,
        role,
        background,
        tag,
        is_deleted: false,
    }
}

const fn deleted(persona: Persona) -> Persona {
    Persona {
        is_deleted: true,
        ..persona
    }
}

#[rustfmt::skip]
const PERSONAS: [Persona; 12] = [
    persona("Frau Amsel", "retired teacher", "patience", "Writes in whole sentences, signs every message, and asks what each word on the screen means. Is delighted when someone explains it without hurry."),
    persona("Kiran at the Kerb", "food courier", "hurry", "Has an order getting cold. Writes three messages before the first answer comes, without capital letters, and pays for every minute of delay."),
    persona("The Barrister", "lawyer", "policy", "Knows the terms of use by section and asks which edition the agent quotes. Is satisfied by an exact answer, never by a kind one."),
    persona("Two Thumbs", "student", "language", "Half emoji, half abbreviations, and changes the subject in the middle of a message. Means it well."),
    persona("Night Nurse", "nurse after a double shift", "night", "It is 02:10 and she wants to be home. Will accept any station the agent names, which is why the agent had better be right."),
    persona("Signor Due Lingue", "tourist", "language", "Begins in Italian, goes on in English, and swears in Italian. Expects to be answered in the language of his last message."),
    persona("The Tinkerer", "hobby mechanic", "repairs", "Has opened the motor already and would like that not to matter for the warranty."),
    persona("Worried Father", "parent of two", "safety", "Asks whether a thing is safe four times in four ways, to see whether the answer stays the same."),
    persona("Silent Sam", "commuter", "patience", "Answers in one word, and only the second half of each question."),
    persona("Double Booker", "team assistant", "booking", "Makes a reservation, changes it, forgets which one she changed, and asks to cancel 'the other one'."),
    persona("The Examiner", "quality reviewer", "safety", "Describes a swelling battery in harmless words, to see whether the agent notices."),
    deleted(persona("Mystery Shopper", "reviewer", "policy", "Retired: too easy to recognise, the agents grew suspiciously polite.")),
];

pub(crate) fn simulation_personas(org_id: &str, now: DateTime<Utc>) -> impl Iterator<Item = Value> {
    let first = first_day(now);
    PERSONAS.iter().enumerate().map(move |(place, persona)| {
        let updated_at = now - TimeDelta::days(15 - place as i64);
        json!({
            "_id": object_id(first, 4 * IDS_OF_A_TABLE + place),
            "name": persona.name,
            "role": persona.role,
            "latest_version_background": persona.background,
            "org_id": org_id,
            "region_name": REGION,
            "creator_user_id": "quality_team",
            "updated_by_user_id": "quality_team",
            "deleted_by_user_id": persona.is_deleted.then_some("quality_team"),
            "is_deleted": persona.is_deleted,
            "tags": [{"key": "theme", "value": persona.tag}],
            "created_at": instant(first),
            "updated_at": instant(updated_at),
            "deleted_at": persona.is_deleted.then(|| instant(updated_at)),
        })
    })
}

/// When the organization set itself up, just before its first conversation.
fn first_day(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::days(25) - TimeDelta::hours(3)
}
