//! Repairs: shared bikes that fail on the road, and customers' own e-bikes. The only scenarios with a safety review.

use super::{Outcome, ended, settled};
use crate::chat::Chat;

pub(crate) fn flat_on_the_way(chat: &mut Chat) -> Outcome {
    let fell = chat.chance.percent(30);
    chat.step("is anybody hurt");
    chat.user(if fell {
        &[
            "front tyre of {bike} just blew and I went over on the tram rails near {from}",
            "I had a fall with {bike} by {from}, the tyre went flat in the bend. Bit shaky.",
        ]
    } else {
        &[
            "{bike} has a flat, I'm stranded somewhere between {from} and {to}",
            "Back tyre of {bike} is going pfffff. Halfway to {to}. What now?",
        ]
    });
    if fell {
        chat.review("I'm sorry to hear that. I'll take the bike out of service and find you another one. The nearest station is {from}.");
        chat.agent(&["First you, then the bike. Are you bleeding, is anything very painful, or did you hit your head? Sit down off the road if you can. If you feel dizzy or sick, please call 112, I'll wait."]);
        chat.user(&[
            "Knee is scraped, head is fine, I had a helmet. Just my pride.",
            "hands hurt a bit, nothing broken. sitting on a bench now",
        ]);
        chat.agent(&["Good that you're sitting. If your head starts to ache or you feel unwell in the next hours, see a doctor even if it seems small. Now the bike: leave it where it is, I'll take care of it. Do you want to go on by bike, or home by tram? Both at our cost."]);
    } else {
        chat.agent(&["Annoying, but quickly solved. Is everybody all right? Then lean {bike} against something off the path, no need to push it back. Shall I find you another bike?"]);
    }
    chat.step("replace the bike");
    chat.user(&[
        "Another bike please, I still have to get to {to}.",
        "yes another bike. and who pays for this one?",
    ]);
    chat.call(
        "report_bike",
        r#"{"bike": "{bike}", "fault": "flat tyre", "rideable": false}"#,
        r#"{"ticket": "V-{ticket}", "trip_id": "{trip}", "trip": "ended, 0.00 EUR from now", "next_van": "{today_iso}"}"#,
    );
    chat.call(
        "find_station",
        r#"{"near": "{from}", "kind": "any"}"#,
        r#"{"stations": [{"name": "{from}", "walk_min": 5, "City": 6, "E-City": 2}]}"#,
    );
    chat.agent(&["Your trip on {bike} is over and costs nothing. The nearest bikes are at {from}, five minutes on foot: six City, two E-City. The next one is on us for an hour; just unlock it. The van fetches {bike} today, number V-{ticket}."]);
    settled(
        "Wanted: help with a flat tyre between {from} and {to}.\nDone: {bike} reported (V-{ticket}), trip free, next ride free for an hour.\nRemember: nothing.",
    )
}

pub(crate) fn noise(chat: &mut Chat) -> Outcome {
    chat.choose(
        "sound",
        &[
            "clicks once per turn of the pedals",
            "makes a grinding noise uphill",
            "creaks like an old door",
            "squeaks, but only when it rains",
        ],
    );
    chat.step("listen");
    chat.user(&[
        "My {own_bike} {sound}. Is that bad?",
        "Hello Ada, the {own_bike} {sound} and my colleagues have started to comment.",
    ]);
    chat.agent(&["Thank you for describing it so well. Does it happen only while you pedal, or also when you roll?"]);
    chat.user(&[
        "Only when pedalling.",
        "Pedalling. Rolling is silent.",
        "Only when I push hard, standing up.",
    ]);
    chat.agent(&["And does it come from the middle, under your feet, or from the back wheel? You can ask someone to ride beside you for a hundred metres."]);
    chat.user(&[
        "The middle, definitely.",
        "My daughter listened from behind: under my feet, she says.",
        "Hard to say. Middle?",
    ]);
    chat.agent(&["Most likely the bottom bracket, the bearing between the pedals: it carries your whole weight and complains exactly like that. Less likely a loose chainring bolt, which is five minutes' work. Diagnosis is 25.00 €, counted towards the repair; a new bottom bracket fitted is 74.00 €. Gaswerk has time tomorrow at 08:30, Alter Hafen on {in_two_days} at 14:00. Which suits you?"]);
    chat.step("schedule");
    if chat.chance.percent(30) {
        chat.user(&[
            "Can I keep riding until then?",
            "Is it dangerous to ride in the meantime?",
        ]);
        chat.agent(&["Gently, yes, as long as the cranks have no play: hold both pedals and try to rock them sideways. If anything moves, walk it. It gets louder before it gets dangerous, but it doesn't get better."]);
        chat.user(&[
            "No play. Gaswerk tomorrow please.",
            "ok nothing moves. tomorrow 8:30 then",
        ]);
    } else {
        chat.user(&[
            "Gaswerk, tomorrow, 8:30.",
            "tomorrow please, early is good.",
        ]);
    }
    chat.call(
        "schedule_repair",
        r#"{"workshop": "Gaswerk", "item": "{own_bike}, {frame}", "fault": "noise under load, bottom bracket suspected", "slot": "{tomorrow_iso}T08:30"}"#,
        r#"{"repair_id": "W-{ticket}", "status": "booked", "ready": "same day, about 16:00"}"#,
    );
    chat.agent(&["Booked: tomorrow, 08:30, Gaswerk, W-{ticket}. Usually ready by 16:00. If they find more than 80.00 € of work, they'll ask you first. Bring the battery key, please; half of the city forgets it."]);
    settled(
        "Wanted: {own_bike} {sound}.\nDone: W-{ticket} at Gaswerk, {tomorrow_date} 08:30; bottom bracket suspected.\nRemember: owns a {own_bike}.",
    )
}

pub(crate) fn status(chat: &mut Chat) -> Outcome {
    chat.step("find the repair");
    chat.user(&[
        "Is my {own_bike} ready?",
        "W-{ticket}. You said three days. This is the fifth.",
        "Hi Ada, any news about my bike at Gaswerk? I miss it a bit.",
    ]);
    if chat.chance.percent(50) {
        chat.call(
            "lookup_booking",
            r#"{"user_id": "{user_id}", "limit": 1}"#,
            r#"[{"repair_id": "W-{ticket}", "item": "{own_bike}", "workshop": "Gaswerk", "status": "ready", "work": ["brake pads front", "wheel trued"], "total_eur": 57.00, "shelf": "C4"}]"#,
        );
        chat.agent(&["It is ready, since this morning: new front pads, and the rear wheel runs straight again. 57.00 €, shelf C4 at Gaswerk, until 18:00. They rode it around the block twice and say it brakes beautifully."]);
        chat.user(&[
            "Wheel trued? I didn't order that.",
            "Great! Why the wheel though?",
        ]);
        chat.agent(&["Fair question. The wheel rubbed against the new pads, so it had to run straight for the brake to work; that was 25.00 € and stays below the 80.00 € we ask about. If you'd rather have been asked, tell me and I'll note that we call before anything beyond the order."]);
        chat.user(&[
            "It's ok. But yes, ask me next time.",
            "No, makes sense. Thanks for explaining.",
        ]);
        chat.agent(&["Noted. Bring your app or an ID when you fetch it, please."]);
        return settled(
            "Wanted: to know whether the {own_bike} is ready (W-{ticket}).\nDone: ready at Gaswerk, 57.00 €; extra work explained.\nRemember: wants to be asked before work beyond the order.",
        );
    }
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 1}"#,
        r#"[{"repair_id": "W-{ticket}", "item": "{own_bike}", "workshop": "Gaswerk", "status": "waiting for part", "part": "display cable", "ordered": true, "expected": "{in_four_days_iso}", "delays": 1}]"#,
    );
    chat.agent(&["Not yet, and I'm sorry nobody told you. The mechanic has finished everything but the display cable, which the maker delivers late; it is now expected on {in_four_days_date}. Do you need a bike until then? A City bike is free for you while yours is with us."]);
    chat.user(&[
        "Yes please, that would help a lot.",
        "I do. And could someone write to me if it slips again?",
    ]);
    chat.call(
        "hand_over",
        r#"{"team": "Gaswerk workshop", "reason": "W-{ticket}: loan bike until the cable arrives; message the customer the day before if it slips"}"#,
        r#"{"ticket": "G-{ticket}", "status": "accepted", "loan": "City, free until W-{ticket} is ready"}"#,
    );
    chat.agent(&["Done: City trips are free for you until W-{ticket} is ready, starting now. And the workshop writes to you the day before, whether the cable has come or not."]);
    settled(
        "Wanted: to know whether the {own_bike} is ready (W-{ticket}).\nDone: waits for a display cable, expected {in_four_days_date}; free City trips meanwhile.\nRemember: wants to hear of delays unasked.",
    )
}

pub(crate) fn battery_range(chat: &mut Chat) -> Outcome {
    let capacity = chat.number("capacity", 61, 88);
    chat.step("listen");
    chat.user(&[
        "My {own_bike} used to do 90 km, now it's 50. Is the battery dying?",
        "Range is terrible since it got cold. Normal?",
    ]);
    chat.agent(&["Cold alone costs a fifth to a third: a battery at 2 °C gives less, and gives it back in spring. Where do you keep it overnight, and do you charge it straight after riding?"]);
    chat.user(&[
        "In the shed, and yes, straight away.",
        "Bike cellar, about 8 degrees. I charge when I come home.",
        "On the balcony 🥶",
    ]);
    chat.agent(&["Then two habits will help: let it warm up indoors for an hour before charging, and store it at room temperature, between 30 and 80 %. Whether it has aged as well we can measure. The display shows the capacity: hold *Set* for five seconds, page 3. What does it say?"]);
    chat.user(&["{capacity} %", "It says {capacity}."]);
    if capacity < 70 {
        chat.agent(&["{capacity} % is below the 70 % we guarantee. Your bike was bought {bought}, so let the workshop confirm it with a full cycle; if they find the same, the battery is replaced under warranty. Alter Hafen has a measuring place on {in_two_days} at 10:00. Shall I book it?"]);
        chat.step("schedule");
        chat.user(&["Oh! Yes please.", "Yes. Do I have to leave the whole bike?"]);
        chat.call(
            "schedule_repair",
            r#"{"workshop": "Alter Hafen", "item": "battery of {own_bike}, {frame}", "fault": "capacity {capacity} percent", "slot": "{in_two_days_iso}T10:00"}"#,
            r#"{"repair_id": "W-{ticket}", "status": "booked", "bring": "battery and charger"}"#,
        );
        chat.agent(&["Booked, {in_two_days_date} at 10:00, Alter Hafen, W-{ticket}. Battery and charger are enough. The measurement takes a day and costs nothing."]);
        return settled(
            "Wanted: to know why the range fell.\nDone: capacity {capacity} %, warranty measurement W-{ticket} booked.\nRemember: owns a {own_bike}.",
        );
    }
    chat.agent(&["{capacity} % is healthy for a battery that is {bought_months} months old; we replace below 70. So it is mostly the cold. With the two habits you should be back near 70 km now and at your old range in April."]);
    settled(
        "Wanted: to know why the range fell.\nDone: capacity {capacity} %, no defect; advice on storage and charging.\nRemember: owns a {own_bike}.",
    )
}

pub(crate) fn warranty(chat: &mut Chat) -> Outcome {
    chat.step("listen");
    chat.user(&[
        "The motor of my {own_bike} cuts out on every hill. It's {bought_months} months old. Warranty?",
        "Your workshop wants 89 € for a chain on a bike that is {bought_months} months old. Surely that's warranty.",
    ]);
    chat.agent(&["Let me separate two things. Frame and motor are covered for 24 months. Chains, pads and tyres wear with every kilometre and are not, however new the bike is. What does the bike do exactly, and does the display show a code?"]);
    chat.user(&[
        "Motor stops for a second, display shows E-14.",
        "It says E-14 on steep bits. And the chain skips.",
        "E-14, then it comes back after I stop pedalling.",
    ]);
    chat.agent(&["E-14 means that the torque sensor and the motor disagree for a moment. A chain that skips can be the cause; so can the sensor. The workshop reads that out in ten minutes, free of charge. If it is the sensor, and your bike is within 24 months, that is warranty. If it is the chain, it's 89.00 € and they ask before they fit it."]);
    chat.user(&[
        "And who decides which one it is?",
        "Sounds like you'll say chain. Convenient.",
    ]);
    chat.agent(&["The log of the motor decides, and they print it for you. If you disagree, a second workshop of your choice may read the same log. Gaswerk has ten minutes tomorrow at 12:15. Shall I put you down?"]);
    chat.step("schedule");
    chat.user(&["OK, that's fair. tomorrow 12:15.", "Fine. Yes."]);
    chat.call(
        "schedule_repair",
        r#"{"workshop": "Gaswerk", "item": "{own_bike}, {frame}", "fault": "E-14 under load, possible warranty on torque sensor", "slot": "{tomorrow_iso}T12:15"}"#,
        r#"{"repair_id": "W-{ticket}", "status": "booked", "cost_eur": 0.00}"#,
    );
    chat.agent(&["You're down for tomorrow, 12:15, W-{ticket}, no charge for reading it out. Please bring the proof of purchase; a photo of it will do."]);
    settled(
        "Wanted: E-14 on the {own_bike} under warranty.\nDone: free read-out W-{ticket}, {tomorrow_date} 12:15; decision open.\nRemember: wants decisions shown, not told.",
    )
}

pub(crate) fn hot_battery(chat: &mut Chat) -> Outcome {
    chat.step("is anybody in danger");
    chat.user(&[
        "The battery of my {own_bike} is warm and looks a bit round on one side. It's charging in the hallway. Should I bring it to Gaswerk?",
        "my battery fell down the stairs yesterday and now it smells sweet?? it's under my desk",
        "Quick one: after the rain the battery hisses when I plug it in. Normal?",
    ]);
    chat.review("That can happen. Unplug it, let it cool down, and bring it to the Gaswerk workshop on the tram when you have time.");
    chat.agent(&[
        "Please stop reading after this sentence and do it: unplug it at the wall, and if you see smoke, leave and call 112.\n\nIf there is no smoke: carry it outdoors only if it is not hot to the touch, put it on stone or sand, five metres from anything that burns, and keep away. Do not bring it to us and do not take it on the tram. Are you safe?",
    ]);
    chat.user(&[
        "ok unplugged. It's on the terrace on tiles. No smoke.",
        "Done!! It's in the yard on the concrete. I'm inside.",
        "outside now. hands shaking a bit",
    ]);
    chat.step("send the safety team");
    chat.call(
        "schedule_repair",
        r#"{"workshop": "safety team", "item": "battery of {own_bike}", "fault": "swollen, hissing or smelling; outdoors", "slot": "as soon as possible"}"#,
        r#"{"repair_id": "S-{ticket}", "status": "van on its way", "minutes": 45}"#,
    );
    chat.agent(&["Well done. The safety van is on its way with a fireproof box, about 45 minutes, S-{ticket}. Keep children and animals inside, and don't pour water on it. You did the right thing by asking."]);
    chat.user(&[
        "Thank you. Do I get a new one?",
        "How will I get to work tomorrow...",
    ]);
    chat.agent(&["They'll write down what they find, and the workshop tells you tomorrow whether it is covered. Until that is settled, E-City trips are free for you. And please don't borrow a charger for the old one, whatever anybody says."]);
    ended(
        "Wanted: asked whether a battery with signs of damage can be brought in.\nDone: battery outdoors, safety van S-{ticket}; free E-City trips until settled.\nRemember: nothing.",
    )
}

pub(crate) fn fading_brake(chat: &mut Chat) -> Outcome {
    chat.step("is anybody in danger");
    chat.user(&[
        "The front brake of {bike} goes almost to the handle. It's downhill to {to}, I can just be careful, no?",
        "brake lever of {bike} touches the grip, rear one still works. 10 min ride left. ok?",
    ]);
    chat.review(
        "If the rear brake works you can ride on slowly and report the bike when you arrive.",
    );
    chat.agent(&["Please don't ride it, not even slowly. A lever that reaches the grip has no reserve, and one brake alone can fail on a hill. Get off here and I'll sort out the rest. Where are you, roughly?"]);
    chat.user(&[
        "Close to {from}.",
        "2 minutes from {from}, in front of the pharmacy",
    ]);
    chat.step("replace the bike");
    chat.call(
        "report_bike",
        r#"{"bike": "{bike}", "fault": "front brake without pressure", "rideable": false}"#,
        r#"{"ticket": "V-{ticket}", "trip": "ended, 0.00 EUR", "priority": "high"}"#,
    );
    chat.call(
        "find_station",
        r#"{"near": "{from}", "kind": "City"}"#,
        r#"{"stations": [{"name": "{from}", "walk_min": 2, "City": 8, "E-City": 0}]}"#,
    );
    chat.agent(&["Thank you. The trip is ended and free, {bike} is blocked for everybody, V-{ticket}. Eight City bikes wait at {from}, two minutes on foot; the first hour is on us. Please squeeze both brakes once before you roll."]);
    settled(
        "Wanted: to ride on with a fading front brake.\nDone: did not; {bike} blocked (V-{ticket}), replacement at {from}.\nRemember: nothing.",
    )
}
