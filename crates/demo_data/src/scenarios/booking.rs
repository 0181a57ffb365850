//! Booking: finding, holding and changing bikes.

use super::{Outcome, settled};
use crate::chat::Chat;

pub(crate) fn bike_for_now(chat: &mut Chat) -> Outcome {
    let walk = chat.number("walk", 2, 7);
    chat.slots.set("walk_far", (walk + 6).to_string());
    chat.number("free", 2, 9);
    chat.step("understand the wish");
    chat.user(&[
        "I'm at {from} and need a bike right now, {to} by half past",
        "Any bikes near {from}? The map shows zero and I don't believe it.",
        "Quickest way to get a bike near {from} please. I have 20 minutes to reach {to}.",
    ]);
    chat.call(
        "find_station",
        r#"{"near": "{from}", "kind": "any"}"#,
        r#"{"stations": [{"name": "{from}", "walk_min": {walk}, "City": {free}, "E-City": 1}, {"name": "{home}", "walk_min": {walk_far}, "City": 11, "E-City": 4}]}"#,
    );
    chat.agent(&[
        "Two choices: {from} itself, {walk} minutes on foot, {free} City and one E-City; or {home}, {walk_far} minutes, plenty of both. For {to} in that time I'd take the E-City at {from}: 1.00 € and 0.19 € a minute, so about 3.50 €. Shall I hold it?",
        "There are bikes, the map is just slow to admit it: {free} City and one E-City at {from}, {walk} minutes on foot. To {to} it's about 13 minutes by E-City, roughly 3.50 €. Hold it for you?",
    ]);
    chat.step("reserve");
    chat.user(&[
        "yes hold it",
        "Yes please, the E-City.",
        "Yes! Walking now.",
    ]);
    if chat.chance.percent(25) {
        chat.call(
            "reserve_bike",
            r#"{"station": "{from}", "kind": "E-City", "count": 1, "from": "now", "hours": 1}"#,
            r#"{"status": "failed", "reason": "bike was taken 9 seconds ago", "alternatives": [{"station": "{from}", "kind": "City", "count": {free}}]}"#,
        );
        chat.agent(&["Someone was nine seconds faster, sorry. A City bike from the same rack does it in 17 minutes and costs about 3.00 €. Shall I hold one of those instead?"]);
        chat.user(&["argh. ok City then", "Fine, City. My legs work."]);
        chat.call(
            "reserve_bike",
            r#"{"station": "{from}", "kind": "City", "count": 1, "from": "now", "hours": 1}"#,
            r#"{"status": "held", "reservation_id": "B-{ticket}", "bike": "R-2207", "until_min": 15}"#,
        );
        chat.agent(&["R-2207 is yours for 15 minutes, third from the left at {from}. If you leave now you'll make it."]);
    } else {
        chat.call(
            "reserve_bike",
            r#"{"station": "{from}", "kind": "E-City", "count": 1, "from": "now", "hours": 1}"#,
            r#"{"status": "held", "reservation_id": "B-{ticket}", "bike": "E-1934", "battery_percent": 71, "until_min": 15}"#,
        );
        chat.agent(&[
            "Held: E-1934 at {from}, battery 71 %, for 15 minutes. The riverside path is the fast one to {to}; the bridge has roadworks.",
            "E-1934 waits for you at {from} for the next 15 minutes, with 71 % battery. Unlock as usual, the reservation is B-{ticket}.",
        ]);
    }
    settled(
        "Wanted: a bike near {from} at once, to reach {to}.\nDone: one held at {from}, B-{ticket}.\nRemember: nothing.",
    )
}

pub(crate) fn group(chat: &mut Chat) -> Outcome {
    let adults = chat.number("adults", 3, 6);
    chat.slots.set("bikes_eur", (adults * 12).to_string());
    chat.slots.set("group_eur", (adults * 12 + 38).to_string());
    chat.choose(
        "occasion",
        &[
            "my sister's birthday",
            "our choir",
            "a team afternoon",
            "my parents' fiftieth anniversary",
            "a school reunion (one of us is scared of trams)",
        ],
    );
    chat.step("understand the wish");
    chat.user(&[
        "Hi! We'd like bikes for {occasion} on {in_four_days}. {adults} adults and two small children. Possible?",
        "I'm planning a ride for {occasion}: {adults} grown-ups, two kids aged 3 and 5, on {in_four_days} from 10 to 16h.",
    ]);
    chat.agent(&["Lovely. The 3-year-old and the 5-year-old ride best together in the box of a Cargo Duo; the adults on City bikes. Where would you like to start, and does anyone mind hills?"]);
    chat.user(&[
        "Start at {from}. Flat please, grandma is coming.",
        "From {from}, along the lake, ice cream included 🍦",
        "{from}. No hills, one of us has a new hip.",
    ]);
    chat.call(
        "find_station",
        r#"{"near": "{from}", "kind": "Cargo Duo"}"#,
        r#"{"stations": [{"name": "{from}", "walk_min": 1, "City": 14, "Cargo Duo": 1}], "for": "{in_four_days_iso}T10:00"}"#,
    );
    chat.agent(&["{from} can do it: {adults} City bikes with a Day pass each, {bikes_eur}.00 €, and one Cargo Duo for the day, 38.00 €. That is {group_eur}.00 € in all, from 10:00 to 16:00 on {in_four_days_date}. Free to cancel until 09:50. Shall I reserve?"]);
    chat.step("reserve");
    if chat.chance.percent(35) {
        chat.user(&[
            "Is there a way to make that cheaper?",
            "Hm, that's more than I thought. Do all of us need a Day pass?",
        ]);
        chat.agent(&["Yes: anyone on a Monthly or Student plan has 30 minutes of City per trip included, so with a stop at least every half hour they need no Day pass. How many of you have a plan?"]);
        chat.user(&["Two of us!", "Me and my brother do."]);
        chat.agent(&["Then it's 24.00 € less. Only rule: lock the bikes at a station within 30 minutes. Along the lake there is one every ten. Reserve it like that?"]);
    }
    chat.user(&[
        "Yes, please book it!",
        "Yes please. On my name.",
        "do it 👍",
    ]);
    chat.call(
        "reserve_bike",
        r#"{"station": "{from}", "kind": "City", "count": {adults}, "from": "{in_four_days_iso}T10:00", "hours": 6}"#,
        r#"{"status": "held", "reservation_id": "B-{ticket}", "free_until": "{in_four_days_iso}T09:50"}"#,
    );
    chat.call(
        "reserve_bike",
        r#"{"station": "{from}", "kind": "Cargo Duo", "count": 1, "from": "{in_four_days_iso}T10:00", "hours": 6}"#,
        r#"{"status": "held", "reservation_id": "C-{ticket}", "straps": "two, three-point"}"#,
    );
    chat.agent(&["Booked, {first_name}:\n\n- **{adults} City bikes**, B-{ticket}\n- **1 Cargo Duo** with two three-point straps, C-{ticket}\n- {in_four_days_date}, 10:00, {from}\n\nThe box has a rain cover under the bench. Have a wonderful day."]);
    settled(
        "Wanted: bikes for {occasion}, {adults} adults and two small children.\nDone: B-{ticket} and C-{ticket} reserved for {in_four_days_date}, 10:00, {from}.\nRemember: two children, 3 and 5.",
    )
}

pub(crate) fn change_of_reservation(chat: &mut Chat) -> Outcome {
    chat.step("understand the wish");
    let is_off = chat.chance.percent(45);
    chat.user(if is_off {
        &[
            "it's going to pour tomorrow, I don't think we want the bikes anymore",
            "What does it cost to cancel the bikes for tomorrow?",
        ]
    } else {
        &[
            "Can I move my booking from tomorrow to {in_two_days}? Same time.",
            "Hello, reservation B-{ticket}: we're four now, not three. And the day may change.",
        ]
    });
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 3}"#,
        r#"[{"reservation_id": "B-{ticket}", "station": "{from}", "kind": "City", "count": 3, "from": "{tomorrow_iso}T09:30", "hours": 4, "free_until": "{tomorrow_iso}T09:20"}]"#,
    );
    chat.agent(&["I have it here: B-{ticket}, three City bikes, {from}, tomorrow at 09:30. It is free to change until 09:20. Shall I move it to {in_two_days}, change the number, or cancel it?"]);
    chat.step("change the reservation");
    if is_off {
        chat.user(&[
            "Cancel please. We'll take the museum instead.",
            "cancel, thx",
        ]);
        chat.call(
            "cancel_booking",
            r#"{"reservation_id": "B-{ticket}"}"#,
            r#"{"status": "cancelled", "cost_eur": 0.00}"#,
        );
        chat.agent(&["Cancelled, and it cost you nothing. If the sky changes its mind, {from} usually has bikes until about eleven.", "Done. B-{ticket} is cancelled, 0.00 €. Enjoy the dry."]);
        return settled(
            "Wanted: reservation B-{ticket} changed or gone.\nDone: cancelled free of charge.\nRemember: nothing.",
        );
    }
    chat.user(&[
        "Move it to {in_two_days}, and make it four bikes.",
        "{in_two_days}, four bikes, same hour. Thanks!",
    ]);
    chat.call(
        "reserve_bike",
        r#"{"station": "{from}", "kind": "City", "count": 4, "from": "{in_two_days_iso}T09:30", "hours": 4}"#,
        r#"{"status": "held", "reservation_id": "B-{ticket}-2", "free_until": "{in_two_days_iso}T09:20"}"#,
    );
    chat.call(
        "cancel_booking",
        r#"{"reservation_id": "B-{ticket}"}"#,
        r#"{"status": "cancelled", "cost_eur": 0.00}"#,
    );
    chat.agent(&["New: B-{ticket}-2, four City bikes, {from}, {in_two_days_date} at 09:30. The old one is cancelled, no charge. I made the new one first, so you were never without bikes."]);
    settled(
        "Wanted: reservation moved and one bike more.\nDone: B-{ticket}-2 for {in_two_days_date}, four bikes; B-{ticket} cancelled, 0.00 €.\nRemember: nothing.",
    )
}

pub(crate) fn day_plan(chat: &mut Chat) -> Outcome {
    chat.step("understand the wish");
    chat.user(&[
        "First time in Auenstadt, one day, no plan. What would you do with a bike? 😊",
        "Is the Day pass worth it if we just want to potter along the lake?",
        "We arrive tomorrow at 10 by train and leave at 18. Ideas? My friend hates hills.",
    ]);
    chat.agent(&[
        "With one day and a Day pass (12.00 €, trips up to 60 minutes each), I'd do this:\n\n1. **Bahnhofsplatz → Seepromenade**, 15 min, flat, all along the water\n2. Swim or coffee at **Nordbad**, 10 min further\n3. Back through the **Rosengarten**, lunch at **Marktgasse**\n4. **Weidenbrücke** at sunset: the herons come back around then\n\nNo hill anywhere. Do you need a helmet?",
        "A Day pass pays off from the fourth short trip. For the lake: **Alter Hafen → Seepromenade → Nordbad**, about 35 minutes with stops, then the free ferry back, bikes included. Would you like bikes held at the station when you arrive?",
    ]);
    chat.user(&[
        "That sounds perfect. Is the ferry really free with bikes?",
        "Love the herons. Can we get helmets?",
        "And if it rains?",
    ]);
    chat.agent(&[
        "Ferry: yes, always free for bikes. Helmets: free too, at Bahnhofsplatz and Seepromenade, you sign in the app. Rain I can't promise either way, but a Day pass is refundable until the first ride, so decide at breakfast.",
    ]);
    chat.step("reserve");
    chat.user(&[
        "Then two bikes tomorrow at 10, Bahnhofsplatz please.",
        "ok hold two for us tomorrow 10:00",
    ]);
    chat.call(
        "reserve_bike",
        r#"{"station": "Bahnhofsplatz", "kind": "City", "count": 2, "from": "{tomorrow_iso}T10:00", "hours": 1}"#,
        r#"{"status": "held", "reservation_id": "B-{ticket}", "free_until": "{tomorrow_iso}T09:50"}"#,
    );
    chat.agent(&["Two City bikes, Bahnhofsplatz, tomorrow at 10:00, reservation B-{ticket}. Leave the station by the east door and they are straight ahead. Buy the Day pass at the first unlock, not before: the 24 hours start then."]);
    settled(
        "Wanted: a day in Auenstadt by bike.\nDone: route suggested; B-{ticket} for two, {tomorrow_date} 10:00, Bahnhofsplatz.\nRemember: likes it flat.",
    )
}

pub(crate) fn moving_house(chat: &mut Chat) -> Outcome {
    chat.choose(
        "cargo",
        &[
            "a sofa (small one!)",
            "eleven boxes of books",
            "a washing machine",
            "two rubber trees and an aquarium, empty",
        ],
    );
    chat.step("understand the wish");
    chat.user(&[
        "Serious question: can I move {cargo} with a cargo bike?",
        "I'm moving from {from} to {to} on {in_two_days}. No car. Does {cargo} fit on a Cargo Duo?",
    ]);
    chat.agent(&["The Cargo Duo takes 100 kg; its box is 115 × 62 cm inside and open at the top. What does it weigh, roughly, and what is the longest side?"]);
    chat.user(&[
        "Heavy. Perhaps 70 kg? 130 cm long.",
        "Each piece about 20 kg, none longer than a metre. Just many.",
        "I measured: 95 cm, 64 kg with everything.",
    ]);
    chat.agent(&["That goes, with the load low, toward the front wheel, and two straps. Longer than the box is fine if it doesn't hide the front light. A whole day is 38.00 €; by the minute you'd pass that after about two and a half hours. Shall I take the day?"]);
    chat.step("reserve");
    chat.user(&[
        "The day, starting at 8. And are there straps?",
        "Day please. I'll bring a friend who pretends to be strong.",
    ]);
    chat.call(
        "reserve_bike",
        r#"{"station": "{from}", "kind": "Cargo Duo", "count": 1, "from": "{in_two_days_iso}T08:00", "hours": 10}"#,
        r#"{"status": "held", "reservation_id": "C-{ticket}", "straps": "two in the box", "battery_percent_expected": 95}"#,
    );
    chat.agent(&["Reserved: Cargo Duo at {from}, {in_two_days_date}, 08:00, C-{ticket}, 38.00 €. Two straps are in the box. Try it empty around one corner first; it turns like a small ship. And take the ramp at {to}, not the kerb."]);
    settled(
        "Wanted: to move {cargo} from {from} to {to} by cargo bike.\nDone: Cargo Duo C-{ticket} for {in_two_days_date}, 08:00, 38.00 €.\nRemember: moves to near {to}.",
    )
}
