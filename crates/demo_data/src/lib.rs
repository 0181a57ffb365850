//! Believable data of a made-up organization: 240 conversations of Radwerk, a bike-sharing and e-bike repair service in a
//! town called Auenstadt, with every prompt that went to a model and the tables around them.
//!
//! For the demo and for tests. It promises that the same organization and instant give the same bytes, that nothing lies
//! after that instant or more than 26 days before it, and that some conversations go wrong for a reason one can find in
//! their prompt logs (`scenarios/mistakes.rs` says which).
//!
//! Conversations are written one at a time, when asked for. Not here: storage, clocks, users who can sign in.

mod chance;
mod chat;
mod conversation;
mod people;
mod prompts;
mod records;
mod scenarios;
mod scene;
mod slots;
mod tables;
#[cfg(test)]
mod tests;
mod world;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::conversation::Conversation;

/// All the data of one organization, ending at one instant.
#[derive(Debug)]
pub struct DemoData {
    org_id: String,
    /// When each conversation begins, ascending.
    starts: Vec<DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl DemoData {
    /// The tables `table` knows, by their names in the wire contract, section 6.
    pub const TABLES: [&str; 6] = [
        "conversations",
        "messages",
        "users",
        "agents",
        "tools",
        "simulation_personas",
    ];

    /// Data whose last prompt log is of `now`, cut to milliseconds. Writes no conversation but the last, whose length says
    /// when it began.
    pub fn new(org_id: &str, now: DateTime<Utc>) -> Self {
        let now = records::to_the_millisecond(now);
        Self {
            org_id: org_id.to_owned(),
            starts: conversation::starts(now),
            now,
        }
    }

    pub fn conversations_len(&self) -> usize {
        self.starts.len()
    }

    /// Every prompt log as a record of the wire contract, section 7; conversations oldest first, keys ascending in each.
    pub fn prompt_logs(&self) -> impl Iterator<Item = Value> + '_ {
        self.conversations()
            .flat_map(|conversation| records::prompt_logs(&conversation))
    }

    /// The rows of a table, with the columns of the wire contract, section 6: instants as ISO 8601 text, documents as nested
    /// JSON. None when there is no table of that name.
    pub fn table(&self, name: &str) -> Option<Box<dyn Iterator<Item = Value> + '_>> {
        let org = self.org_id.as_str();
        Some(match name {
            "conversations" => Box::new(
                self.conversations()
                    .map(move |c| records::conversation(&c, org)),
            ),
            "messages" => Box::new(
                self.conversations()
                    .flat_map(move |c| records::messages(&c, org)),
            ),
            "users" => Box::new(tables::users(org, self.now)),
            "agents" => Box::new(tables::agents(org, self.now)),
            "tools" => Box::new(tables::tools(org, self.now)),
            "simulation_personas" => Box::new(tables::simulation_personas(org, self.now)),
            _ => return None,
        })
    }

    fn conversations(&self) -> impl Iterator<Item = Conversation> + '_ {
        (0..self.starts.len()).map(|index| Conversation::write(index, self.starts[index], self.now))
    }
}
