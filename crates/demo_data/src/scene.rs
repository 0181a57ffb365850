//! The slots every conversation starts with: the customer, their last trip, the days around today.
//!
//! The prompts show them and the scenarios speak of them, so that the agent's context and the talk agree (except where a
//! scenario is about their not agreeing).

use chrono::{Datelike, TimeDelta, Timelike};

use crate::chat::Chat;
use crate::prompts;
use crate::world::{STATIONS, Service, local};

impl Chat {
    pub(crate) fn set_the_scene(&mut self) {
        self.set_customer();
        self.set_days();
        self.set_last_trip();
        self.set_own_bike();
        let (service, release) = (self.service, self.release);
        prompts::set_instructions(&mut self.slots, service, release);
        self.slots.set("service", service.id());
        self.slots.set("step", "welcome");
        self.slots.set("agent", self.agent.name);
        self.slots.set("agent_role", self.agent.role);
        self.slots.set("agent_background", self.agent.background);
        self.slots.set("agent_manner", self.agent.manner);
    }

    fn set_customer(&mut self) {
        let person = self.person;
        self.slots.set("user_id", person.user_id);
        self.slots.set("first_name", person.first_name);
        self.slots.set("last_name", person.last_name);
        self.slots.set(
            "full_name",
            format!("{} {}", person.first_name, person.last_name),
        );
        self.slots
            .set("profile_language", person.writes.of_profile().0);
        self.slots.set("plan", person.plan.name());
        self.slots.set("home", person.home);
        self.slots.set(
            "memory",
            if person.note.is_empty() {
                "nothing yet"
            } else {
                person.note
            },
        );
        let since = local(self.at) - TimeDelta::days(self.chance.between(60, 1_400));
        self.slots.set("since", since.format("%B %Y").to_string());
        let balance = *self.chance.one_of(&[0, 0, 0, 250, 400, 1_210]);
        self.euros("balance", balance);
    }

    fn set_days(&mut self) {
        let now = local(self.at);
        let daypart = match now.hour() {
            5..12 => "morning",
            12..18 => "afternoon",
            _ => "evening",
        };
        self.slots.set("daypart", daypart);
        // The last whole month: the one an invoice is asked for.
        let last_month = now - TimeDelta::days(i64::from(now.day()));
        self.slots
            .set("month", last_month.format("%Y-%m").to_string());
        self.slots
            .set("month_name", last_month.format("%B").to_string());
        let in_days = |days| now + TimeDelta::days(days);
        let weekday = |days| in_days(days).format("%A").to_string();
        self.slots.set("in_two_days", weekday(2));
        self.slots.set("in_four_days", weekday(4));
        for (name, days) in [
            ("tomorrow_date", 1),
            ("in_two_days_date", 2),
            ("in_four_days_date", 4),
        ] {
            self.slots
                .set(name, in_days(days).format("%A %-d %B").to_string());
        }
        for (name, days) in [
            ("four_days_ago_iso", -4),
            ("today_iso", 0),
            ("tomorrow_iso", 1),
            ("in_two_days_iso", 2),
            ("in_four_days_iso", 4),
        ] {
            self.slots
                .set(name, in_days(days).format("%Y-%m-%d").to_string());
        }
    }

    fn set_last_trip(&mut self) {
        let (kind, rate, prefix) =
            *self
                .chance
                .one_of(&[("City", 12, "R"), ("City", 12, "R"), ("E-City", 19, "E")]);
        let number = self.chance.between(1_012, 3_411);
        self.slots.set("bike", format!("{prefix}-{number}"));
        self.slots.set("kind", kind);
        let trip = self.chance.between(512_000, 989_999);
        self.slots.set("trip", format!("T-{trip}"));
        let from = self.chance.below(STATIONS.len());
        let to = (from + 1 + self.chance.below(STATIONS.len() - 2)) % STATIONS.len();
        self.slots.set("from", STATIONS[from]);
        self.slots.set("to", STATIONS[to]);
        self.slots.set("stations", STATIONS.join(", "));
        let minutes = self.number("minutes", 6, 44);
        self.euros("fee", 100 + rate * minutes);
        let fee = self.slots.fill("{fee}");
        self.slots.set("fee_comma", fee.replace('.', ","));
        let ago = self.chance.between(minutes + 10, 11 * 60);
        self.trip_was(ago);
    }

    /// Moves the start of the last trip to that many minutes ago.
    pub(crate) fn trip_was(&mut self, minutes_ago: i64) {
        self.time("trip_time", "trip_utc", minutes_ago);
        let then = local(self.at - TimeDelta::minutes(minutes_ago)).date_naive();
        let when = match (local(self.at).date_naive() - then).num_days() {
            0 => "today".to_owned(),
            1 => "yesterday".to_owned(),
            _ => format!("on {}", then.format("%A")),
        };
        self.slots.set("trip_when", when);
    }

    fn set_own_bike(&mut self) {
        self.choose(
            "own_bike",
            &["Lerche 500", "Habicht Tour", "Milan Cargo", "Sturmvogel E"],
        );
        let frame = self.chance.between(20_000, 99_999);
        self.slots.set("frame", format!("AU{frame}"));
        // One number for whatever this conversation books, reports or hands over; a letter before it says which.
        self.number("ticket", 10_304, 98_911);
        let months = self.number("bought_months", 3, 40);
        self.slots.set("bought", format!("{months} months ago"));
        // What the safety review is told: the shared bike, unless the service is about the customer's own.
        let item = if self.service == Service::Repairs {
            "own {own_bike}, or shared {bike}"
        } else {
            "shared {bike}"
        };
        self.slots.set("safety_item", self.slots.fill(item));
    }
}
