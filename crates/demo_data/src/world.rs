//! Radwerk, the invented bike-sharing and e-bike repair service of the invented town of Auenstadt: its services, agents,
//! plans, stations and tools. Facts only; who says what about them stands in `prompts` and `scenarios`.

use chrono::{DateTime, FixedOffset, Timelike, Utc};

/// Stations, all there are. The one an agent once invented is, of course, missing.
pub(crate) const STATIONS: [&str; 14] = [
    "Bahnhofsplatz",
    "Alter Hafen",
    "Marktgasse",
    "Weidenbrücke",
    "Universität",
    "Klinikum Süd",
    "Seepromenade",
    "Mühlenviertel",
    "Rosengarten",
    "Stadthalle",
    "Gaswerk",
    "Nordbad",
    "Lindenallee",
    "Zeughaus",
];

/// Auenstadt keeps UTC+1 all year: one rule less to get wrong in a made-up town.
pub(crate) fn local(at: DateTime<Utc>) -> DateTime<FixedOffset> {
    at.with_timezone(&FixedOffset::east_opt(3600).expect("one hour is a valid offset"))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Service {
    Support,
    Booking,
    Repairs,
}

impl Service {
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Support => "support",
            Self::Booking => "booking",
            Self::Repairs => "repairs",
        }
    }

    /// The model that writes to the customer.
    pub(crate) fn model(self) -> &'static str {
        match self {
            Self::Support | Self::Booking => "gpt-4o",
            Self::Repairs => "mistral-large",
        }
    }

    /// Support has a day and a night agent, changing at 22:00 and 06:00.
    pub(crate) fn agent(self, at: DateTime<Utc>) -> &'static Agent {
        let by_day = (6..22).contains(&local(at).hour());
        match self {
            Self::Support if by_day => &AGENTS[0],
            Self::Support => &AGENTS[1],
            Self::Booking => &AGENTS[2],
            Self::Repairs => &AGENTS[3],
        }
    }
}

/// The model behind the small internal prompts: choosing a tool, reviewing a draft, summarizing.
pub(crate) const SMALL_MODEL: &str = "gpt-4o-mini";

/// A version set of all prompts. Each of the two has flaws of its own, and conversations that show them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Release {
    Eleven,
    Twelve,
}

impl Release {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Eleven => 11,
            Self::Twelve => 12,
        }
    }

    pub(crate) fn version_set(self) -> &'static str {
        match self {
            Self::Eleven => "release-11",
            Self::Twelve => "release-12",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plan {
    PayAsYouGo,
    Monthly,
    Student,
    Day,
    Company,
}

impl Plan {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PayAsYouGo => "Pay as you go",
            Self::Monthly => "Monthly",
            Self::Student => "Student",
            Self::Day => "Day pass",
            Self::Company => "Company account",
        }
    }
}

pub(crate) struct Agent {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) initials: &'static str,
    pub(crate) role: &'static str,
    /// One paragraph of character, as it stands in the prompt.
    pub(crate) background: &'static str,
    pub(crate) manner: &'static str,
}

pub(crate) const AGENTS: [Agent; 4] = [
    Agent {
        id: "agent_mara",
        name: "Mara",
        initials: "MA",
        role: "support agent by day",
        background: "You know every station by its puddles. You would rather fix one thing properly than apologise for three.",
        manner: "Warm, brisk, concrete. A figure beats an adjective.",
    },
    Agent {
        id: "agent_iris",
        name: "Iris",
        initials: "IR",
        role: "support agent by night",
        background: "You keep the night shift. People who write to you are tired, cold or worried, so you answer the urgent half of a question first. No human colleague is reachable before 06:00.",
        manner: "Calm and short. No jokes before someone is safely home.",
    },
    Agent {
        id: "agent_jonas",
        name: "Jonas",
        initials: "JO",
        role: "booking agent",
        background: "You find people the right bike. You think in minutes on foot, not in kilometres, and you say the price before anyone has to ask.",
        manner: "Friendly and quick. Offers two options, recommends one.",
    },
    Agent {
        id: "agent_ada",
        name: "Ada",
        initials: "AD",
        role: "repair agent",
        background: "You speak for two workshops, Gaswerk and Alter Hafen. You listen for the noise behind the words and never guess at brakes or batteries.",
        manner: "Plain-spoken and patient. Explains one technical term at a time.",
    },
];

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static str,
    pub(crate) description: &'static str,
    pub(crate) services: &'static [Service],
    pub(crate) is_deprecated: bool,
    pub(crate) secret: Option<&'static str>,
}

const fn tool(
    name: &'static str,
    arguments: &'static str,
    description: &'static str,
    services: &'static [Service],
    secret: Option<&'static str>,
) -> Tool {
    Tool {
        name,
        arguments,
        description,
        services,
        is_deprecated: services.is_empty(),
        secret,
    }
}

use Service::{Booking, Repairs, Support};

#[rustfmt::skip]
pub(crate) const TOOLS: [Tool; 11] = [
    tool("lookup_booking", "user_id, limit", "Recent trips, reservations and repairs of a customer, newest first, with the events of the lock. Times are UTC.", &[Support, Booking, Repairs], None),
    tool("refund_payment", "trip_id, amount_eur, to", "Pays money back to the card or to the Radwerk balance. Cannot be undone.", &[Support], Some("PAYMENTS_KEY")),
    tool("end_trip", "trip_id, ended_at", "Ends a running trip from our side. Only when the bike stands still inside the zone.", &[Support], None),
    tool("send_invoice", "user_id, month", "Sends one collected invoice as PDF to the address in the profile.", &[Support], Some("MAILER_KEY")),
    tool("report_bike", "bike, fault, rideable", "Takes a bike out of service and puts it on the list of the next van.", &[Support, Booking, Repairs], None),
    tool("find_station", "near, kind", "Stations with free bikes, nearest first, at most three. Empty when none is within 1,500 m.", &[Booking, Repairs], Some("MAPS_KEY")),
    tool("reserve_bike", "station, kind, count, from, hours", "Holds bikes. Free until 10 minutes before the start.", &[Booking], None),
    tool("cancel_booking", "reservation_id", "Cancels a reservation and says what it cost.", &[Booking], None),
    tool("schedule_repair", "workshop, item, fault, slot", "Books a slot at a workshop, or a pick-up by van.", &[Repairs], None),
    tool("hand_over", "team, reason", "Passes the conversation to a person, with a one-sentence reason.", &[Support, Booking, Repairs], None),
    tool("refund_payment_v1", "trip_id", "The old refund, always the full amount. Replaced by refund_payment.", &[], Some("PAYMENTS_KEY")),
];
