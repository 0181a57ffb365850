//! What conversations are about, how often, and how one runs from greeting to goodbye.
//!
//! Each file holds the scenarios of one service; `mistakes` those in which the agent is wrong in a way its prompt explains;
//! `languages` those not in English; `asides` the small questions that follow when a matter is settled.

mod asides;
mod booking;
mod languages;
mod mistakes;
mod repairs;
mod support;

use crate::chance::Chance;
use crate::chat::Chat;
use crate::people::Language::{
    self, Arabic, Chinese, English, French, German, Japanese, Spanish, Turkish,
};
use crate::world::Release::{self, Eleven, Twelve};
use crate::world::Service::{self, Booking, Repairs, Support};

/// How a conversation went.
pub(crate) struct Outcome {
    pub(crate) mood: Mood,
    /// "Wanted", "Done" and "Remember", with slots.
    pub(crate) summary: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// The matter is settled: small questions and a goodbye may follow.
    Settled,
    /// The scenario has said its last word itself.
    Ended,
}

pub(crate) fn settled(summary: &'static str) -> Outcome {
    Outcome {
        mood: Mood::Settled,
        summary,
    }
}

pub(crate) fn ended(summary: &'static str) -> Outcome {
    Outcome {
        mood: Mood::Ended,
        summary,
    }
}

pub(crate) struct Scenario {
    pub(crate) topic: &'static str,
    pub(crate) service: Service,
    pub(crate) language: Language,
    /// The only release that makes this happen; none when both do.
    only_in: Option<Release>,
    weight: usize,
    play: fn(&mut Chat) -> Outcome,
}

#[rustfmt::skip]
pub(crate) const SCENARIOS: [Scenario; 32] = [
    scenario("failed unlock", Support, English, None, 10, support::failed_unlock),
    scenario("trip does not end", Support, English, None, 9, support::trip_does_not_end),
    scenario("lost item", Support, English, None, 6, support::lost_item),
    scenario("collected invoice", Support, English, None, 5, support::collected_invoice),
    scenario("change of plan", Support, English, None, 5, support::change_of_plan),
    scenario("parking fee", Support, English, None, 6, support::parking_fee),
    scenario("suspicious payment message", Support, English, None, 4, support::suspicious_message),
    scenario("bike for now", Booking, English, None, 10, booking::bike_for_now),
    scenario("group at the weekend", Booking, English, None, 8, booking::group),
    scenario("change of reservation", Booking, English, None, 7, booking::change_of_reservation),
    scenario("day pass and a plan", Booking, English, None, 7, booking::day_plan),
    scenario("moving house by cargo bike", Booking, English, None, 5, booking::moving_house),
    scenario("flat tyre on the way", Repairs, English, None, 8, repairs::flat_on_the_way),
    scenario("noise on own bike", Repairs, English, None, 8, repairs::noise),
    scenario("status of a repair", Repairs, English, None, 7, repairs::status),
    scenario("battery range in the cold", Repairs, English, None, 5, repairs::battery_range),
    scenario("warranty", Repairs, English, None, 5, repairs::warranty),
    scenario("hot battery", Repairs, English, None, 7, repairs::hot_battery),
    scenario("fading brake", Repairs, English, None, 4, repairs::fading_brake),
    scenario("wrong trip refunded", Support, English, Some(Eleven), 16, mistakes::wrong_refund),
    scenario("old refund deadline", Support, English, Some(Eleven), 12, mistakes::old_deadline),
    scenario("station that does not exist", Booking, English, Some(Twelve), 9, mistakes::invented_station),
    scenario("time of a trip, one hour off", Support, English, Some(Twelve), 7, mistakes::wrong_clock),
    scenario("answer in the wrong language", Support, Turkish, Some(Twelve), 5, mistakes::wrong_language),
    scenario("failed unlock", Support, German, None, 4, languages::german_unlock),
    scenario("repair appointment", Repairs, German, None, 3, languages::german_brakes),
    scenario("day with children", Booking, French, None, 4, languages::french_day),
    scenario("flat tyre on the way", Repairs, Spanish, None, 4, languages::spanish_flat),
    scenario("bike for now", Booking, Japanese, None, 4, languages::japanese_bike),
    scenario("lost item", Support, Arabic, None, 4, languages::arabic_lost_bag),
    scenario("collected invoice", Support, Chinese, None, 3, languages::chinese_invoice),
    scenario("lost item", Support, Turkish, Some(Eleven), 4, languages::turkish_glove),
];

const fn scenario(
    topic: &'static str,
    service: Service,
    language: Language,
    only_in: Option<Release>,
    weight: usize,
    play: fn(&mut Chat) -> Outcome,
) -> Scenario {
    Scenario {
        topic,
        service,
        language,
        only_in,
        weight,
        play,
    }
}

/// Draws a scenario that can happen under the release, by weight.
pub(crate) fn draw(chance: &mut Chance, release: Release) -> &'static Scenario {
    let possible = || {
        SCENARIOS
            .iter()
            .filter(|s| s.only_in.is_none_or(|only| only == release))
    };
    let mut ticket = chance.below(possible().map(|s| s.weight).sum());
    possible()
        .find(|scenario| {
            let is_drawn = ticket < scenario.weight;
            ticket = ticket.saturating_sub(scenario.weight);
            is_drawn
        })
        .expect("the ticket is less than the sum of the weights")
}

/// Plays a scenario into the chat. A conversation that is still open has no goodbye and no summary.
pub(crate) fn play(chat: &mut Chat, scenario: &Scenario, is_open: bool) -> String {
    let outcome = (scenario.play)(chat);
    let summary = chat.slots.fill(outcome.summary);
    if is_open {
        return summary;
    }
    if outcome.mood == Mood::Settled {
        if scenario.language == English {
            asides::ask(chat);
        }
        say_goodbye(chat, scenario.language);
    }
    if chat.chance.percent(70) {
        chat.summarize(&summary);
    }
    summary
}

impl Chat {
    pub(crate) fn greetings(&self) -> &'static [&'static str] {
        if self.person.writes != English {
            return languages::greetings(self.person.writes);
        }
        match self.service {
            Support => &[
                "Hello {first_name}, this is {agent} at Radwerk. What happened?",
                "Good {daypart} {first_name}, {agent} here. Tell me what went wrong and I'll look into it.",
                "Hi {first_name}, you've reached {agent} at Radwerk support. How can I help?",
            ],
            Booking => &[
                "Hi {first_name}, Jonas here. Where would you like to ride?",
                "Hello {first_name}! Where to, when, and how many of you?",
                "Good {daypart} {first_name}, this is Jonas at Radwerk. Which bike can I find for you?",
            ],
            Repairs => &[
                "Hello {first_name}, Ada from the Radwerk workshops. What is the bike doing, or not doing?",
                "Good {daypart} {first_name}, this is Ada. Is it about a shared bike or about your own?",
                "Hi {first_name}, Ada here. Tell me about the bike.",
            ],
        }
    }
}

fn say_goodbye(chat: &mut Chat, language: Language) {
    chat.step("goodbye");
    if language != English {
        return languages::say_goodbye(chat, language);
    }
    if chat.chance.percent(12) {
        return; // Some people just put the phone away.
    }
    chat.user(&[
        "That's all, thank you!",
        "Perfect, thanks {agent}.",
        "Great. Thanks for the quick help 🙏",
        "ok thanks bye",
        "No, that was everything. Have a good {daypart}.",
        "Brilliant, much appreciated.",
        "👍",
        "Thanks. Honestly easier than I expected.",
    ]);
    chat.agent(&[
        "Gladly, {first_name}. Ride safely.",
        "You're welcome. Have a good {daypart}, {first_name}.",
        "Any time. This chat stays open if something comes up.",
        "Thank you for writing, {first_name}. Take care on the road.",
        "Good. I've written a short note, so nobody has to ask you the same things again.",
    ]);
}
