//! Which conversations there are and when: the calendar, and one whole conversation from it.

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use crate::chance::Chance;
use crate::chat::{Chat, Log, Turn};
use crate::people::{PEOPLE, Person};
use crate::scenarios;
use crate::world::{Agent, Release, Service, local};

const CONVERSATIONS: usize = 240;

/// The stream of the calendar, far from those of the conversations, which have their index.
const CALENDAR: u64 = 1 << 32;

/// No conversation takes longer, so that one beginning that long ago is over.
const LONGEST: TimeDelta = TimeDelta::minutes(20);

/// Release 12 came that long before the end; conversations before it run under release 11.
const SINCE_RELEASE_TWELVE: TimeDelta = TimeDelta::days(9);

pub(crate) struct Conversation {
    pub(crate) id: String,
    pub(crate) index: usize,
    pub(crate) topic: &'static str,
    pub(crate) person: &'static Person,
    pub(crate) service: Service,
    pub(crate) release: Release,
    pub(crate) agent: &'static Agent,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) ended_at: DateTime<Utc>,
    pub(crate) is_finished: bool,
    pub(crate) turns: Vec<Turn>,
    pub(crate) logs: Vec<Log>,
    pub(crate) summary: String,
}

impl Conversation {
    /// The last one is still open at `now`, the others are finished.
    pub(crate) fn write(index: usize, started_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let mut chance = Chance::of_stream(index as u64);
        let is_finished = index + 1 < CONVERSATIONS;
        let release = if now - started_at > SINCE_RELEASE_TWELVE {
            Release::Eleven
        } else {
            Release::Twelve
        };
        let scenario = scenarios::draw(&mut chance, release);
        let speakers: Vec<&'static Person> = PEOPLE
            .iter()
            .filter(|p| p.writes == scenario.language)
            .collect();
        let person = *chance.one_of(&speakers);
        let mut chat = Chat::new(chance, person, scenario.service, release, started_at);
        let summary = scenarios::play(&mut chat, scenario, !is_finished);
        Self {
            id: object_id(started_at, index),
            index,
            topic: scenario.topic,
            person,
            service: scenario.service,
            release,
            agent: chat.agent,
            started_at,
            ended_at: chat.at,
            is_finished,
            turns: chat.turns,
            logs: chat.logs,
            summary,
        }
    }
}

/// 24 hex digits: the second, a constant, a counter. They ascend as time and counter do.
pub(crate) fn object_id(at: DateTime<Utc>, counter: usize) -> String {
    format!("{:08x}8c41d7a25e{counter:06x}", at.timestamp())
}

/// When the conversations begin, ascending: over 25 days, densest at the end, few of them at night.
pub(crate) fn starts(now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let mut chance = Chance::of_stream(CALENDAR);
    let others = CONVERSATIONS - 1;
    let span = TimeDelta::days(25) - LONGEST;
    let mut starts: Vec<DateTime<Utc>> = (0..others)
        .map(|place| {
            // A place and a random step to the next, in millionths of the whole, squared.
            let share = (place as i64 * 1_000_000 + chance.between(0, 999_999)) / others as i64;
            let age = LONGEST
                + TimeDelta::milliseconds(
                    span.num_milliseconds() * share / 1_000_000 * share / 1_000_000,
                );
            out_of_the_night(now - age, now - LONGEST, &mut chance)
        })
        .collect();
    // The last conversation ends at `now`, and takes as long whenever it begins.
    let trial = Conversation::write(others, now, now);
    starts.push(now - (trial.ended_at - trial.started_at));
    starts.sort_unstable();
    starts
}

/// Most people who would write between 1 and 6 in the morning sleep instead, and write some hours later.
fn out_of_the_night(
    at: DateTime<Utc>,
    latest: DateTime<Utc>,
    chance: &mut Chance,
) -> DateTime<Utc> {
    let later = at + TimeDelta::minutes(chance.between(300, 720));
    let would_sleep = chance.percent(75);
    let is_night = (1..6).contains(&local(at).hour());
    if is_night && would_sleep && later <= latest {
        later
    } else {
        at
    }
}
