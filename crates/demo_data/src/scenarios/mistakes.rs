//! Conversations in which the agent is wrong, each for a reason that stands in its own prompt log.
//!
//! | scenario | what to look at |
//! |---|---|
//! | `wrong_refund` | the `select_tool` prompt of release 11: "take the first one returned" |
//! | `old_deadline` | the retrieved policy excerpt (24 hours) in the system prompt of release 11; the terms say 48 |
//! | `invented_station` | the example sentence in the booking rules of release 12, and an empty tool result |
//! | `wrong_clock` | release 12 no longer says that tools speak UTC |
//! | `wrong_language` | "Answer in the profile language", and a profile that says German |

use super::{Outcome, ended};
use crate::chat::Chat;

pub(crate) fn wrong_refund(chat: &mut Chat) -> Outcome {
    // Together just above the 25.00 € an agent may refund: the first mistake blocks its own repair.
    let small = chat.chance.between(310, 480);
    let large = chat.chance.between(2_210, 2_490);
    chat.euros("small", small);
    chat.euros("large", large);
    let newer = chat.number("newer", 610_000, 989_999);
    chat.number("older", 512_000, 609_999);
    chat.time("out", "out_utc", 290);
    // The last trip in the profile is the newer of the two; both began at the same station.
    chat.trip_was(70);
    chat.slots.set("trip", format!("T-{newer}"));
    chat.slots.set("minutes", "18");
    chat.euros("fee", small);
    chat.step("understand the problem");
    chat.user(&[
        "The lock at {to} didn't close and I paid for hours I didn't ride. It was the trip from {from}. Please refund it.",
        "Refund please: my ride from {from}, the lock at the end jammed and the clock ran for ages while I stood there.",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 5}"#,
        r#"[{"trip_id": "T-{newer}", "from": "{from}", "started_at": "{trip_utc}", "minutes": 18, "fee_eur": {small}, "events": ["unlocked", "locked"]}, {"trip_id": "T-{older}", "from": "{from}", "started_at": "{out_utc}", "minutes": 178, "fee_eur": {large}, "events": ["unlocked", "lock_jammed", "lock_jammed", "locked"]}]"#,
    );
    chat.call(
        "refund_payment",
        r#"{"trip_id": "T-{newer}", "amount_eur": {small}, "to": "card"}"#,
        r#"{"status": "accepted", "trip_id": "T-{newer}", "amount_eur": {small}, "refunded_in_conversation_eur": {small}}"#,
    );
    chat.agent(&[
        "I'm sorry about the jammed lock. I found your trip from {from} and refunded it in full: {small} € go back to your card within four working days.",
        "Found it, {first_name}. The trip from {from} is refunded, {small} € to your card. Sorry you had to stand there.",
    ]);
    chat.user(&[
        "{small}? The one with the broken lock cost {large} €! You refunded the wrong trip.",
        "No no no. I rode twice from there. You gave me back the GOOD one. The jammed one is {large}.",
    ]);
    chat.step("refund");
    chat.call(
        "refund_payment",
        r#"{"trip_id": "T-{older}", "amount_eur": {large}, "to": "card"}"#,
        r#"{"status": "refused", "reason": "limit of 25.00 EUR per conversation", "refunded_in_conversation_eur": {small}}"#,
    );
    chat.agent(&["You are right, and I was wrong: two trips began at {from}, and I took the first one in the list, T-{newer}, although only T-{older} shows the jammed lock. A refund can't be undone, and with both I pass the 25.00 € I may return. I have to ask the billing team for the {large} €."]);
    chat.user(&[
        "So because of YOUR mistake I wait?",
        "wow. ok. how long",
        "And the {small}, do I have to give that back now?",
    ]);
    chat.call(
        "hand_over",
        r#"{"team": "billing", "reason": "agent refunded T-{newer} instead of T-{older}; {large} EUR still owed to the customer"}"#,
        r#"{"ticket": "P-{ticket}", "status": "queued", "answer_by": "{tomorrow_iso}"}"#,
    );
    chat.agent(&["I'm sorry for that. Billing has both trip numbers and answers tomorrow, P-{ticket}. The {small} € stay yours; nobody will ask for them."]);
    if chat.chance.percent(50) {
        chat.user(&[
            "Fine. But somebody should look at why you just took the first one.",
            "Please tell whoever builds you: ASK which trip.",
        ]);
        chat.agent(&["That is fair. I've put exactly this sentence into the note for the people who write my instructions."]);
    }
    ended(
        "Wanted: refund of T-{older}, whose lock jammed ({large} €).\nDone: the agent was wrong and refunded T-{newer} ({small} €) instead; T-{older} is with billing, P-{ticket} (open).\nRemember: ask which trip is meant.",
    )
}

pub(crate) fn old_deadline(chat: &mut Chat) -> Outcome {
    let hours = chat.number("hours", 26, 44);
    chat.trip_was(hours * 60 + 7);
    chat.step("understand the problem");
    chat.user(&[
        "{bike} at {from} wouldn't open {trip_when}, I only saw today that you charged {fee} € for it. Refund please.",
        "Just checking my card: {fee} € for {bike} {trip_when}. That lock never opened!",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 5}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "station": "{from}", "started_at": "{trip_utc}", "hours_ago": {hours}, "fee_eur": {fee}, "events": ["unlock_requested", "unlock_failed"], "moved_m": 0, "refund": null}]"#,
    );
    chat.agent(&[
        "I can see that the lock failed, and I'm sorry. Unfortunately that was {hours} hours ago, and a failed unlocking has to be reported within 24 hours. I can't refund it any more.",
        "The lock did fail, you're right about that. But our terms ask for a report within 24 hours (§7.2), and it has been {hours}. I'm afraid the {fee} € stay as they are.",
    ]);
    chat.user(&[
        "Your own website says 48 hours. I have it open in front of me.",
        "24?? It's 48. Terms of use, section 7, I can send you a screenshot.",
    ]);
    chat.agent(&["I understand that this is disappointing. The terms I have in front of me say: \"The rider shall report the fault within 24 hours of the attempt.\" Later reports are at our discretion."]);
    if chat.chance.percent(55) {
        chat.user(&[
            "Then use your discretion! The bike didn't move a METRE, your own log says so.",
            "Which edition? Mine says 'valid since June'.",
        ]);
        chat.agent(&["That is a good point, and I can't settle which edition is right from here. I'd rather have a person look than tell you no a third time. I'm passing it on."]);
        chat.user(&[
            "Thank you. How long will that take?",
            "Good. Please write down that I quoted it.",
        ]);
    } else {
        chat.user(&["I want a human.", "Forget it. Who is your boss?"]);
    }
    chat.step("hand over");
    chat.call(
        "hand_over",
        r#"{"team": "billing", "reason": "customer quotes 48 hours from the current terms, the agent's excerpt says 24; refund of {fee} EUR disputed"}"#,
        r#"{"ticket": "P-{ticket}", "status": "queued", "answer_by": "{tomorrow_iso}"}"#,
    );
    chat.agent(&["The billing team has your case as P-{ticket}, with the lock's record and what you told me about the 48 hours. They answer tomorrow."]);
    ended(
        "Wanted: refund of {fee} € for a lock that failed {hours} hours before.\nDone: the agent refused, quoting 24 hours from an old edition; the terms say 48. With billing, P-{ticket} (open).\nRemember: reads the terms.",
    )
}

pub(crate) fn invented_station(chat: &mut Chat) -> Outcome {
    let far = chat.number("far", 19, 27);
    chat.slots.set("far_fee", format!("{}", far / 9));
    chat.step("understand the wish");
    chat.user(&[
        "I'm outside the planetarium and the next tram comes in 40 minutes. Where's the nearest bike?",
        "nearest bike to the north cemetery gate? it's cold",
        "Hi, I'm at the rowing club and need a bike home to {home}.",
    ]);
    if chat.chance.percent(50) {
        chat.call(
            "find_station",
            r#"{"near": "customer position", "kind": "any"}"#,
            r#"{"stations": [], "note": "none within 1500 m"}"#,
        );
    } else {
        chat.call(
            "find_station",
            r#"{"near": "customer position", "kind": "any"}"#,
            r#"{"stations": [], "error": "map service timed out after 1500 ms"}"#,
        );
    }
    chat.agent(&[
        "The nearest station with free bikes is Kastanienplatz, four minutes on foot. A City bike home to {home} will be about {far_fee}.00 €. Shall I hold one?",
        "Good news: the nearest station with free bikes is Kastanienplatz, four minutes on foot.",
    ]);
    chat.user(&[
        "Great, which direction?",
        "Kastanienplatz, never heard of it. Where is that?",
    ]);
    if chat.chance.percent(45) {
        chat.agent(&["Follow the main road towards the centre, then the second street on the left. You'll see the rack next to the kiosk."]);
        chat.user(&[
            "There is no kiosk. There is no second street. There is a field.",
            "I've walked ten minutes now. A taxi driver says there is no Kastanienplatz in this town.",
        ]);
    } else {
        chat.agent(&["From where you are, head for the centre; it is signposted."]);
        chat.user(&[
            "Your own map doesn't know it. Does this station exist??",
            "I searched it in the app. Zero results. Are you making this up?",
        ]);
    }
    chat.step("check again");
    chat.call(
        "find_station",
        r#"{"near": "Kastanienplatz", "kind": "any"}"#,
        r#"{"stations": [], "error": "no such place in Auenstadt"}"#,
    );
    chat.agent(&["I owe you an apology, {first_name}: there is no station Kastanienplatz. My search returned nothing, and I should have said so. The nearest real station is {home}, about {far} minutes on foot. Are you safe where you are, and warm enough for that?"]);
    chat.user(&[
        "I'll call a taxi. Who pays for it?",
        "Safe yes. Angry too.",
        "It's fine, I'll walk. But please don't do that to the next person.",
    ]);
    chat.call(
        "hand_over",
        r#"{"team": "customer care", "reason": "agent named a station that does not exist (Kastanienplatz) after an empty search; customer walked there"}"#,
        r#"{"ticket": "C-{ticket}", "status": "queued", "answer_by": "{tomorrow_iso}"}"#,
    );
    chat.agent(&["I've written down exactly what I told you and that it was wrong, C-{ticket}. If you take a taxi, keep the receipt and send it to that number. A colleague answers tomorrow. I'm truly sorry."]);
    ended(
        "Wanted: the nearest bike, far from any station.\nDone: the agent was wrong: it named Kastanienplatz, which does not exist, after an empty search. With customer care, C-{ticket} (open).\nRemember: was sent on foot for nothing.",
    )
}

pub(crate) fn wrong_clock(chat: &mut Chat) -> Outcome {
    let ago = chat.chance.between(150, 600);
    chat.trip_was(ago);
    // One hour less than the wall clock: UTC, read as if it were local.
    let at = chat.at - chrono::TimeDelta::minutes(ago);
    chat.slots.set("trip_wrong", at.format("%H:%M").to_string());
    chat.step("understand the problem");
    chat.user(&[
        "When exactly did I unlock {bike} {trip_when}? I need the time for my timesheet.",
        "Could you tell me the start of my trip with {bike}, {from} to {to}? It's for an expense claim.",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 2}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "from": "{from}", "to": "{to}", "started_at": "{trip_utc}", "minutes": {minutes}, "fee_eur": {fee}}]"#,
    );
    chat.agent(&[
        "Your trip with {bike} began at {trip_wrong} at {from} and took {minutes} minutes.",
        "Of course: {bike}, unlocked at {from} at {trip_wrong}, {minutes} minutes to {to}, {fee} €.",
    ]);
    chat.user(&[
        "That can't be. At {trip_wrong} I was still in a meeting, with six witnesses.",
        "{trip_wrong}? My receipt says {trip_time}.",
        "Hm, that's an hour early. I clocked out after that.",
    ]);
    chat.agent(&[
        "The lock records the second it opens, so {trip_wrong} is exact. Could your watch or the receipt be off?",
        "I only have the lock's own record, and it says {trip_wrong}. Perhaps it was another trip?",
    ]);
    chat.user(&[
        "It's the only trip I made. Could it be a TIME ZONE thing? It's exactly one hour.",
        "There is a Z at the end in the export I just downloaded. Doesn't that mean UTC?",
    ]);
    chat.agent(&["You've found it. The lock's record is in UTC and Auenstadt is one hour ahead, so your trip began at {trip_time}, just as you said. I read the time as if it were ours and then defended it. I'm sorry."]);
    chat.user(&[
        "Ha. No harm done, but my boss would have had questions.",
        "Thanks for admitting it. {trip_time} it is.",
    ]);
    chat.agent(&["For your papers: trip {trip}, {trip_time} local time, {minutes} minutes, {fee} €. Thank you for your patience, {first_name}."]);
    ended(
        "Wanted: the start of trip {trip}.\nDone: the agent was wrong at first, giving UTC ({trip_wrong}) as local time; corrected to {trip_time}.\nRemember: keeps receipts.",
    )
}

pub(crate) fn wrong_language(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "Merhaba, {bike} numaralı bisikleti kilitleyemiyorum. Ücret işlemeye devam ediyor, ne yapmalıyım?",
        "İyi günler. {to} istasyonundayım, {bike} kilitlenmiyor. Süre hâlâ işliyor.",
    ]);
    chat.agent(&["Guten Tag {first_name}, das bringen wir in Ordnung. Steht das Rad am Ständer, und leuchtet das Schloss grün oder rot?"]);
    chat.user(&[
        "Almanca bilmiyorum. Türkçe yazabilir misiniz lütfen?",
        "Özür dilerim, anlamıyorum. Türkçe lütfen 🙏",
    ]);
    chat.agent(&["Gern helfe ich Ihnen weiter. Ihr Profil ist auf Deutsch eingestellt, deshalb schreibe ich Deutsch. Leuchtet das Schloss grün oder rot?"]);
    chat.user(&[
        "Turkish or English please!! I wrote to you in Turkish. The clock is running.",
        "kırmızı?? red?? I don't understand you, I pay every minute",
    ]);
    chat.step("end the trip");
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 1}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "status": "running", "position": {"station": "{to}", "distance_m": 3}, "last_moved_at": "{trip_utc}", "lock": "jammed"}]"#,
    );
    chat.call(
        "end_trip",
        r#"{"trip_id": "{trip}", "ended_at": "{trip_utc}"}"#,
        r#"{"trip_id": "{trip}", "status": "ended", "minutes": {minutes}, "fee_eur": {fee}}"#,
    );
    chat.agent(&["Çok özür dilerim, baştan Türkçe yazmalıydım. Yolculuğunuzu, bisikletin durduğu andan itibaren bitirdim: {minutes} dakika, {fee_comma} €. Kilit sıkışmış, bisikleti olduğu yerde bırakabilirsiniz."]);
    chat.user(&[
        "Teşekkürler. Ama neden Almanca?",
        "Sonunda! Teşekkür ederim. Dili nereden değiştiriyorum?",
    ]);
    chat.agent(&["Profilinizde dil olarak Almanca seçili ve ben ona göre yanıt verdim; yazdığınız dile bakmam gerekirdi. Hesap → Dil bölümünden değiştirebilirsiniz, Türkçe artık listede."]);
    ended(
        "Wanted: a running trip ended; wrote in Turkish.\nDone: trip ended, {fee} €. The agent was wrong to answer twice in German because the profile says so.\nRemember: writes Turkish, does not read German.",
    )
}
