//! Support: trips, payments, accounts, lost things.

use super::{Outcome, ended, settled};
use crate::chat::Chat;

pub(crate) fn failed_unlock(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "Hi. I paid to unlock {bike} at {from} {trip_when} and the lock just blinked red. Never opened. I'd like my money back please.",
        "bike {bike} at {from} took my money and stayed locked 🙄",
        "Good {daypart}, the app says I rode {bike} for {minutes} minutes. I did not. The lock at {from} never opened and I walked.",
    ]);
    let (opened, refunded) = (chat.chance.percent(25), chat.chance.percent(20));
    if opened {
        return unlock_did_open(chat);
    }
    if refunded {
        chat.call(
            "lookup_booking",
            r#"{"user_id": "{user_id}", "limit": 3}"#,
            r#"[{"trip_id": "{trip}", "bike": "{bike}", "station": "{from}", "started_at": "{trip_utc}", "fee_eur": {fee}, "events": ["unlock_requested", "bolt_jammed", "unlock_failed"], "refund": {"status": "done", "to": "card", "by": "nightly check"}}]"#,
        );
        chat.agent(&[
            "I see the trip, {first_name}: {bike} at {from}, {trip_time}. The lock reported a jammed bolt, and our nightly check has already sent the {fee} € back to your card. Banks take two to four working days to show it.",
            "Your money is already on its way. The lock of {bike} reported that it had failed, so the {fee} € went back to your card by itself. It should show within four working days.",
        ]);
        return settled(
            "Wanted: money back for {bike}, whose lock never opened.\nDone: nothing to do, the nightly check had refunded {fee} € to the card.\nRemember: nothing.",
        );
    }
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 3}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "station": "{from}", "started_at": "{trip_utc}", "fee_eur": {fee}, "events": ["unlock_requested", "unlock_failed", "unlock_failed"], "moved_m": 0, "refund": null}]"#,
    );
    chat.agent(&[
        "Found it: {bike} at {from}, {trip_when} at {trip_time}. The lock tried twice, failed twice, and the bike has not moved a metre. I'll refund the full {fee} €. To your card, or as Radwerk balance?",
        "You're right, {first_name}. Two failed attempts, no movement, and still {fee} € charged. That goes back to you in full. Card or balance?",
    ]);
    chat.step("refund");
    chat.user(&[
        "Card please.",
        "to the card",
        "Card. How long does that take?",
    ]);
    chat.call(
        "refund_payment",
        r#"{"trip_id": "{trip}", "amount_eur": {fee}, "to": "card"}"#,
        r#"{"status": "accepted", "trip_id": "{trip}", "amount_eur": {fee}, "expected": "2 to 4 working days"}"#,
    );
    chat.call(
        "report_bike",
        r#"{"bike": "{bike}", "fault": "lock does not open", "rideable": false}"#,
        r#"{"ticket": "V-{ticket}", "next_van": "{tomorrow_iso}"}"#,
    );
    chat.agent(&[
        "Done: {fee} € to your card, two to four working days. And {bike} is off the map until a mechanic has seen the lock, so the next person won't walk because of it.",
        "The {fee} € are on their way to your card and should arrive within four working days. I also took {bike} out of service. Thanks to you it won't happen to anybody else today.",
    ]);
    settled(
        "Wanted: money back for {bike}, whose lock never opened at {from}.\nDone: {fee} € refunded to the card; bike taken out of service.\nRemember: nothing.",
    )
}

fn unlock_did_open(chat: &mut Chat) -> Outcome {
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 3}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "station": "{from}", "started_at": "{trip_utc}", "fee_eur": {fee}, "events": ["unlock_requested", "unlock_failed", "unlocked", "locked"], "end_station": "{to}", "moved_m": 2140, "refund": null}]"#,
    );
    chat.agent(&[
        "I've looked at {bike}. The first attempt failed as you say, but the lock opened about forty seconds later, and the bike then travelled 2.1 km and was locked at {to}. Is it possible that you had already walked away when it opened?",
    ]);
    chat.user(&[
        "Yes!! I gave up after ten seconds and left. So somebody took it on my account??",
        "I was gone by then. I can prove I was in a meeting at {trip_time}.",
    ]);
    chat.agent(&[
        "That is what it looks like, and it should not cost you anything. {fee} € is within what I may refund myself. Shall I do that, to your card?",
        "Then someone rode off on a bike that opened late. Not your doing. I can return the {fee} € to your card right now. Shall I?",
    ]);
    chat.step("refund");
    chat.user(&["Yes please", "Please do. And fix those locks."]);
    chat.call(
        "refund_payment",
        r#"{"trip_id": "{trip}", "amount_eur": {fee}, "to": "card"}"#,
        r#"{"status": "accepted", "trip_id": "{trip}", "amount_eur": {fee}, "expected": "2 to 4 working days"}"#,
    );
    chat.call(
        "hand_over",
        r#"{"team": "fleet", "reason": "{bike} opened 40 s after the attempt and was ridden by someone else"}"#,
        r#"{"ticket": "F-{ticket}", "status": "queued"}"#,
    );
    chat.agent(&[
        "Refunded: {fee} €, within four working days. The fleet team has the late lock on its list as F-{ticket}. If a lock hesitates again, press Cancel before you leave; then it cannot open behind your back.",
    ]);
    settled(
        "Wanted: money back for a trip on {bike} they had not made.\nDone: {fee} € refunded to the card; late lock handed to the fleet team (F-{ticket}).\nRemember: nothing.",
    )
}

pub(crate) fn trip_does_not_end(chat: &mut Chat) -> Outcome {
    let minutes = chat.number_in("minutes");
    chat.slots.set("running", (minutes + 35).to_string());
    chat.trip_was(minutes + 35);
    chat.time("parked", "parked_utc", 35);
    chat.step("understand the problem");
    chat.user(&[
        "I parked {bike} at {to} and the app still counts!! {running} minutes now, make it stop",
        "Hello, my trip won't end. I locked the bike at {to}, it clicked, but the timer is still running.",
        "help, I'm sitting in a lecture already and {bike} thinks I'm still riding it",
    ]);
    chat.agent(&[
        "Don't worry, you'll only pay up to the minute the bike stood still. Is it in a dock or at the pole, and did the lock show green?",
        "I'll stop the clock. Two things first: is {bike} at a rack at {to}, and do you remember roughly when you locked it?",
    ]);
    chat.user(&[
        "At the pole, left side. Green, I think, around {parked}.",
        "In the rack. Locked it at {parked}, I looked at my watch because I was late.",
        "rack, around {parked}, no idea about the light sorry",
    ]);
    chat.step("end the trip");
    if chat.chance.percent(70) {
        chat.call(
            "lookup_booking",
            r#"{"user_id": "{user_id}", "limit": 1}"#,
            r#"[{"trip_id": "{trip}", "bike": "{bike}", "status": "running", "last_moved_at": "{parked_utc}", "position": {"station": "{to}", "distance_m": 6}, "lock": "closed", "network": "lost since {parked_utc}"}]"#,
        );
        chat.call(
            "end_trip",
            r#"{"trip_id": "{trip}", "ended_at": "{parked_utc}"}"#,
            r#"{"trip_id": "{trip}", "status": "ended", "minutes": {minutes}, "fee_eur": {fee}}"#,
        );
        chat.agent(&[
            "Stopped. {bike} last moved at {parked} and stands six metres from the rack, so the trip ends there: {minutes} minutes, {fee} €. The lock had lost its network; that was us, not you.",
            "Your trip is over, as of {parked}: {minutes} minutes, {fee} €. The bike was locked, it just couldn't tell anybody. The minutes after that are gone from your bill.",
        ]);
        return settled(
            "Wanted: a running trip ended after parking {bike} at {to}.\nDone: ended as of {parked}, {fee} € instead of {running} minutes.\nRemember: nothing.",
        );
    }
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 1}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "status": "running", "last_moved_at": "{parked_utc}", "position": {"station": "{to}", "distance_m": 240}, "lock": "open"}]"#,
    );
    chat.agent(&[
        "I can see the bike: it has not moved since {parked}, but it stands 240 m from {to}, and its lock is open. I can't end a trip with an open lock. Is anyone near who could push the bolt down?",
    ]);
    chat.user(&[
        "My flatmate is around there. One minute.",
        "I can go back, 3 min. Will I pay for that?",
    ]);
    chat.agent(&["You won't pay for the way back. Tell me when the bolt clicks and I'll end the trip as of {parked}."]);
    chat.user(&["clicked!", "Done, it went clunk and turned green."]);
    chat.call(
        "end_trip",
        r#"{"trip_id": "{trip}", "ended_at": "{parked_utc}"}"#,
        r#"{"trip_id": "{trip}", "status": "ended", "minutes": {minutes}, "fee_eur": {fee}, "parking": "inside the zone"}"#,
    );
    chat.agent(&["There it is. Trip ended as of {parked}, {minutes} minutes, {fee} €, and the spot is inside the zone, so no parking fee either."]);
    settled(
        "Wanted: a running trip ended; {bike} stood unlocked near {to}.\nDone: lock closed by hand, trip ended as of {parked}, {fee} €.\nRemember: nothing.",
    )
}

pub(crate) fn lost_item(chat: &mut Chat) -> Outcome {
    chat.choose(
        "item",
        &[
            "a green cloth bag with library books",
            "a child's clarinet, in a black case",
            "a lunch box and, worse, a bunch of keys",
            "a grey umbrella, older than I am",
            "a laptop sleeve (with the laptop in it 😱)",
        ],
    );
    chat.step("understand the problem");
    chat.user(&[
        "I left something in the basket of {bike}: {item}. Can you see where the bike is?",
        "Oh no. I left {item} in the basket. Parked at {to} {trip_when}, around {trip_time}.",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 1}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "end_station": "{to}", "status": "ended", "bike_now": {"station": "{to}", "status": "free"}}]"#,
    );
    if chat.chance.percent(55) {
        chat.agent(&[
            "Good news first: {bike} has not been taken since. It still stands at {to}. I can hold it for 30 minutes so that nobody rides off with your things. Can you get there in that time?",
            "{bike} is still at {to}, and free. I've nothing to lock the basket with, but I can lock the bike for half an hour. Are you on your way?",
        ]);
        chat.user(&["YES. Running.", "Yes, 12 minutes by tram. Please hold it!"]);
        chat.agent(&["Held for 30 minutes, at no cost. If your things are not there, write to me from the station and we'll look further together."]);
        chat.step("wait for news");
        chat.user(&[
            "Got it!!! Everything still there. Thank you thank you",
            "I have it. Someone had even put it under the seat so it wouldn't get wet ❤️",
        ]);
        chat.agent(&[
            "What a relief. I've released the bike. There are kind people in Auenstadt 🙂",
            "Wonderful. The bike is back on the map, and you can breathe again.",
        ]);
        return settled(
            "Wanted: {item}, left in the basket of {bike}.\nDone: bike held at {to}; the customer fetched it.\nRemember: nothing.",
        );
    }
    chat.agent(&["The bike is at {to} now, but it was ridden twice in between. I'll ask the two riders for you, without names on either side, and put it on the list of the lost-property shelf at Bahnhofsplatz. Could you tell me one detail only the owner knows?"]);
    chat.user(&[
        "There's a blue ribbon tied around it.",
        "It has a postcard from Trieste with it.",
        "My name is on it, in pencil, very small.",
    ]);
    chat.call(
        "hand_over",
        r#"{"team": "lost property", "reason": "left in basket of {bike}: {item}; owner can describe it"}"#,
        r#"{"ticket": "L-{ticket}", "status": "queued", "riders_asked": 2}"#,
    );
    chat.agent(&["Thank you, that will do. Both riders have been asked, your number is L-{ticket}, and the shelf is checked every day at 17:00. You'll hear from us tomorrow in either case."]);
    settled(
        "Wanted: {item}, left in the basket of {bike}.\nDone: two later riders asked, lost property L-{ticket}; answer promised for {tomorrow_date} (open).\nRemember: nothing.",
    )
}

pub(crate) fn collected_invoice(chat: &mut Chat) -> Outcome {
    chat.number("trips", 9, 63);
    let net = chat.chance.between(4_800, 31_500);
    chat.euros("total", net);
    chat.step("understand the problem");
    chat.user(&[
        "Hi, I need ONE invoice for {month_name}, not {trips} separate ones. Our accounting refuses to open them all.",
        "Good {daypart}. Could I have the trips of {month_name} on a single invoice, with our VAT number on it?",
    ]);
    chat.agent(&["Of course. Shall it go to the address in your profile, and does it need an order number or cost centre?"]);
    chat.user(&[
        "Cost centre 4471, and yes, the profile address.",
        "Order number PO-88213 please. Address is right.",
        "No order number. Just please one page.",
    ]);
    chat.step("send the invoice");
    chat.call(
        "send_invoice",
        r#"{"user_id": "{user_id}", "month": "{month}"}"#,
        r#"{"invoice": "RW-{month}-{ticket}", "trips": {trips}, "gross_eur": {total}, "sent_to": "{user_id}@mail.example"}"#,
    );
    chat.agent(&[
        "Sent: RW-{month}-{ticket}, {trips} trips, {total} € gross, one page and a list. It is on its way to {user_id}@mail.example, with your VAT number at the top.",
        "Your invoice RW-{month}-{ticket} is in your mailbox: {trips} trips, {total} €. Shall I make one collected invoice a month the rule for your account?",
    ]);
    chat.user(&[
        "Yes, every month please.",
        "Could you do that automatically from now on?",
    ]);
    chat.agent(&["From the first of next month it comes by itself. You can switch it off under Account, Invoices."]);
    settled(
        "Wanted: one invoice for all trips of {month_name}.\nDone: RW-{month}-{ticket} sent, {total} €; monthly invoice switched on.\nRemember: prefers one collected invoice a month.",
    )
}

pub(crate) fn change_of_plan(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "I ride maybe twice a week. Am I on the right plan?",
        "Could you check which plan is cheapest for me?",
        "Hey, is Monthly worth it or are you just saying that",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 30}"#,
        r#"{"trips_30_days": 9, "minutes": 171, "if_paid_singly_eur": 29.52, "plan": "{plan}"}"#,
    );
    chat.agent(&[
        "I've added up your last 30 days: nine trips, 171 minutes, 29.52 € if each is paid on its own. Monthly is 19.00 € and your trips are all under 30 minutes, so the same rides would be about ten euros less. Below six trips a month, pay as you go is cheaper.",
    ]);
    chat.user(&[
        "And in winter? I hardly ride from November to February.",
        "ok and can I pause it when I'm away?",
        "Fair. What about the months when I travel?",
    ]);
    chat.agent(&[
        "Then pause it. Pausing is free, for up to four months a year, and your price stays the same. So Monthly from March to October is a good bargain for you.",
        "Any plan can be paused, free of charge, for up to four months a year. With proof of enrolment the Student plan is 9.00 €, same rides.",
    ]);
    chat.step("change the plan");
    chat.user(&[
        "Good. Leave everything as it is for now, I'll think about it.",
        "Thanks, that's clearer than your website. I'll decide at the weekend.",
    ]);
    chat.agent(&[
        "All right. I've left a note with these figures, so nobody has to add them up again. You can change plans yourself under Account, Plan; it takes effect on the first.",
    ]);
    settled(
        "Wanted: advice on the right plan.\nDone: nothing changed; figures of the last 30 days given (9 trips, 29.52 €).\nRemember: rides little in winter.",
    )
}

pub(crate) fn parking_fee(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "15 euros for parking?? I put the bike where I ALWAYS put it. This is a joke.",
        "I've been charged 15.00 € for leaving {bike} outside the zone at {to}. There was no sign anywhere.",
        "Could you explain the 15 € charge on my account? I left {bike} in front of my door as usual.",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 5}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "end": {"nearest_station": "{to}", "outside_zone_m": 38}, "fees": [{"kind": "parking", "eur": 15.00}], "zone_changed_at": "{four_days_ago_iso}", "waivers_used": 0}]"#,
    );
    chat.agent(&[
        "I understand the surprise. {bike} stood 38 m outside the zone near {to}, and that edge was moved only a few days ago, so your usual spot was fine until then. You have never had a fee waived, so I may take this one back. Shall I?",
        "Here is what happened: the zone near {to} got smaller, and your usual place is now 38 m outside. Nobody told you at the kerb. You have one waiver and I'd use it for this. All right?",
    ]);
    chat.step("refund");
    if chat.chance.percent(30) {
        chat.user(&["No. I want to talk to a person. This is the third time something goes wrong.", "I don't want a waiver, I want to know why you change zones without telling anyone. Give me a human."]);
        chat.call(
            "hand_over",
            r#"{"team": "customer care", "reason": "parking fee after the zone at {to} changed; asks for a person and for an explanation"}"#,
            r#"{"ticket": "C-{ticket}", "status": "queued", "first_answer_by": "{tomorrow_iso}T09:00"}"#,
        );
        chat.agent(&["I've passed it on, with the whole story, so you need not tell it again. A colleague answers by 09:00 tomorrow; your number is C-{ticket}. Nothing is collected from your card until then."]);
        return ended(
            "Wanted: a person, about a parking fee after the zone at {to} moved.\nDone: handed to customer care, C-{ticket}; the fee is on hold.\nRemember: had trouble before; start with an apology, not with a form.",
        );
    }
    chat.user(&[
        "Yes please, thank you",
        "ok. yes. And where exactly is the edge now?",
    ]);
    chat.call(
        "refund_payment",
        r#"{"trip_id": "{trip}", "amount_eur": 15.00, "to": "card"}"#,
        r#"{"status": "accepted", "trip_id": "{trip}", "amount_eur": 15.00, "expected": "2 to 4 working days"}"#,
    );
    chat.agent(&["The 15.00 € go back to your card. The edge now follows the tram line: everything on the station's side of the rails is inside. In the app, the zone shows as a pale green area when you press Park."]);
    settled(
        "Wanted: a 15.00 € parking fee explained and gone.\nDone: waived once, refunded to the card; the zone at {to} had moved.\nRemember: the one waiver is used.",
    )
}

pub(crate) fn suspicious_message(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "I got a text that my Radwerk account is blocked and I have to confirm my card at some link. Is that you?",
        "Is radwerk-pay-secure.example yours?? It asks for my card number and PIN",
    ]);
    chat.agent(&["That is not us. We never ask for a card number or a PIN by text or chat. Please don't open the link. Have you entered anything there?"]);
    if chat.chance.percent(60) {
        chat.user(&[
            "No, I got suspicious at 'PIN'.",
            "no no. just clicked, then closed it",
        ]);
        chat.agent(&["Well spotted. Your account is active and there is no unpaid trip. Could you send a screenshot to abuse@radwerk.example? Then the page is usually gone within a day."]);
        return settled(
            "Wanted: to know whether a payment text was real.\nDone: told that it was not; no data entered.\nRemember: nothing.",
        );
    }
    chat.user(&[
        "I put in the card number but not the PIN. Stupid I know",
        "Yes. Card and date. I was in a hurry.",
    ]);
    chat.agent(&["Not stupid; these pages are made by people who do nothing else. First, call your bank and have the card blocked, now, before you read on. I'll remove the card from your account meanwhile, so that nothing can be charged through us. All right?"]);
    chat.user(&[
        "Bank called, card blocked. Yes please remove it.",
        "done, they were nice. ok remove",
    ]);
    chat.call(
        "hand_over",
        r#"{"team": "payments", "reason": "customer entered card on a phishing page; remove the stored card, watch the account"}"#,
        r#"{"ticket": "P-{ticket}", "status": "in work"}"#,
    );
    chat.agent(&["The payments team has it as P-{ticket} and removes the card within minutes. You can add the new one when it arrives; until then your balance of {balance} € still works."]);
    settled(
        "Wanted: to know whether a payment text was real; had entered the card number.\nDone: bank blocked the card; removal with the payments team, P-{ticket} (open).\nRemember: nothing.",
    )
}
