//! The small questions that come when the matter is settled: most of what makes two conversations of one topic differ.

use crate::chat::Chat;
use crate::world::Service;

/// One question and what the agent says to it.
type Aside = (&'static [&'static str], &'static [&'static str]);

/// Asks up to five, none twice.
pub(crate) fn ask(chat: &mut Chat) {
    chat.step("further questions");
    let of_service = match chat.service {
        Service::Support => SUPPORT,
        Service::Booking => BOOKING,
        Service::Repairs => REPAIRS,
    };
    let mut open: Vec<&Aside> = of_service.iter().chain(ANYWHERE).collect();
    for _ in 0..*chat.chance.one_of(&[0, 1, 2, 2, 3, 3, 4, 5, 5]) {
        let (question, answer) = open.remove(chat.chance.below(open.len()));
        chat.user(question);
        chat.agent(answer);
    }
}

const ANYWHERE: &[Aside] = &[
    (
        &[
            "Btw {from} is always empty in the morning, can you tell someone?",
            "Feedback: more bikes at {from} before 8 please.",
        ],
        &[
            "Thank you, that helps: the van's plan for {from} is made from notes like yours. I've written one. I can't promise when it shows.",
        ],
    ),
    (
        &[
            "Where do old bikes go?",
            "What do you do with the bikes when they're worn out?",
        ],
        &[
            "Frames are straightened and repainted twice, then they go to the school workshop at Zeughaus. The bells are always taken first.",
        ],
    ),
    (
        &[
            "Is {home} closed during the market?",
            "Will {home} be open at the weekend?",
        ],
        &[
            "I have no closure for {home} on my list. Closures appear in the app two days before, as a grey station.",
        ],
    ),
    (
        &[
            "Are you a real person by the way?",
            "quick question, am I talking to a bot?",
        ],
        &[
            "I'm a program, {first_name}. What I do in your account is real, though, and a person can take over whenever you say so.",
            "A program with a name, {first_name}. If you'd rather talk to a person, say so and I'll hand you over with everything you've told me.",
        ],
    ),
    (
        &["Do you store what I write here?", "Who can read this chat?"],
        &[
            "The chat is kept with your account and can be read by the support team. You can have it deleted under Account, Privacy; that takes up to 30 days.",
        ],
    ),
    (
        &[
            "Is there a dark mode in the app? The map blinds me at night.",
            "can the app please have a dark mode",
        ],
        &["There is, a little hidden: Account, Display, Night. It also dims the lock screen."],
    ),
    (
        &[
            "How will the weather be tomorrow?",
            "Will it rain tomorrow?",
        ],
        &[
            "I don't know, and I'd rather not guess. The bikes have mudguards, if that helps you decide.",
            "I have no forecast here, sorry. Whatever comes: reservations are free to cancel until ten minutes before.",
        ],
    ),
    (
        &[
            "My friend wants to join. Does she get anything?",
            "Is there a referral thing?",
        ],
        &[
            "Yes: your code is under Account, Friends. She gets three free unlocks, and so do you after her first ride.",
        ],
    ),
    (
        &[
            "How old do you have to be to ride?",
            "Can my 14-year-old have an account?",
        ],
        &[
            "From 16 with an own account. Between 12 and 15 on yours, one bike more, and you are responsible for it.",
        ],
    ),
    (
        &[
            "Also, do the bikes have lights that stay on?",
            "Do the lights work when I stop?",
        ],
        &[
            "They do. Front and rear light glow for four minutes after you stop, fed by a small capacitor.",
        ],
    ),
];

const SUPPORT: &[Aside] = &[
    (
        &[
            "Why does the app want my location all the time?",
            "Do you track me when I'm not riding?",
        ],
        &[
            "During a trip the bike reports where it is, not your phone. The app asks for your location only to show the nearest station; \"while using\" is enough.",
        ],
    ),
    (
        &[
            "Which streets belong to the zone?",
            "Where is the parking zone exactly?",
        ],
        &[
            "Everything inside the ring road, plus 50 m around each station outside it. In the app it is the pale green area when you press Park.",
        ],
    ),
    (
        &[
            "Could I get a receipt for the last trip as well?",
            "And a receipt for that trip, please?",
        ],
        &[
            "It is under Trips, then the three dots, then Receipt. You can send it from there to any address.",
        ],
    ),
    (
        &[
            "One more thing: can I pay by invoice?",
            "While I have you, do you take direct debit?",
        ],
        &["Direct debit yes, under Account, Payment. Invoices only for company accounts."],
    ),
    (
        &[
            "And my balance, does it expire?",
            "How long does balance stay valid?",
        ],
        &["It doesn't expire as long as the account exists. You have {balance} € at the moment."],
    ),
    (
        &[
            "Can I change my email address here?",
            "I need to change my mail address, can you do it?",
        ],
        &[
            "For your safety you do that yourself: Account, Contact. You'll get a code at the old and at the new address.",
        ],
    ),
    (
        &[
            "What happens if someone steals a bike while I have it?",
            "If the bike gets stolen during my trip, do I pay for it?",
        ],
        &[
            "If it was locked: no, you report it within 24 hours and that's it. If it was left open, your share is at most 150.00 €.",
        ],
    ),
    (
        &[
            "Can two people be on one account?",
            "can my husband ride on my account too?",
        ],
        &[
            "Yes, up to four bikes at once. You see all the trips, and you pay for them, so choose well.",
        ],
    ),
    (
        &[
            "Why is unlocking 1 €? It used to be 0.80.",
            "Unlocking got more expensive, no?",
        ],
        &[
            "It did, on the first of January: from 0.80 € to 1.00 €. The minutes stayed the same. With Monthly there is no unlocking fee.",
        ],
    ),
];

const BOOKING: &[Aside] = &[
    (
        &[
            "How far does an E-City get on one charge?",
            "What if the battery runs out on the way?",
        ],
        &[
            "About 60 km when full; I only hold ones with more than 40 %. Should it run empty it still rides, just heavier, and you can swap it at any station.",
        ],
    ),
    (
        &[
            "Can I keep the bike overnight?",
            "What if I want it until tomorrow morning?",
        ],
        &[
            "You can, but the minutes go on. Cheaper: lock it at a station in the evening and reserve another for the morning, free of charge.",
        ],
    ),
    (
        &[
            "I'm 1.96 m, will I look ridiculous? 😅",
            "My mother is 1.52 m, is there a bike for her?",
        ],
        &[
            "The saddle of the City bike fits from 1.50 to 2.00 m; there are numbers on the seat post. E-City goes up to 1.95 m.",
        ],
    ),
    (
        &[
            "Can I take the bike on the tram if I get tired?",
            "Are bikes allowed on trams?",
        ],
        &["Outside 06:30 to 09:00, with a bicycle ticket. On the lake ferry always, and free."],
    ),
    (
        &["Where can I get a helmet?", "helmets?"],
        &[
            "Free, at Bahnhofsplatz and Seepromenade; you sign in the app and bring it back to either.",
        ],
    ),
    (
        &[
            "What if we come back late?",
            "And if I'm half an hour late returning it?",
        ],
        &[
            "Nothing dramatic: the minutes simply go on at the normal price. Only a reserved bike that someone waits for costs 5.00 €.",
        ],
    ),
    (
        &[
            "Is there a child seat?",
            "Do any of the bikes have a child seat?",
        ],
        &[
            "Every tenth City bike has one, up to 22 kg. In the app it's the small seat symbol; shall I watch out for it next time?",
        ],
    ),
    (
        &[
            "Which way is nicer, river or old town?",
            "Prettiest route to {to}?",
        ],
        &[
            "The river, before ten or after six. In between, the old town, because everyone else is at the river.",
        ],
    ),
    (
        &[
            "Can I bring my dog 🐕",
            "Is a dog allowed in the cargo box?",
        ],
        &[
            "In the Cargo Duo, yes, up to 30 kg, sitting or lying, on a short leash. A blanket helps; the floor is slippery for paws.",
        ],
    ),
];

const REPAIRS: &[Aside] = &[
    (
        &[
            "What does winter storage cost?",
            "Could you keep my bike over the winter?",
        ],
        &[
            "45.00 € from November to March at Gaswerk, battery stored apart at 15 °C, and it comes back with air in the tyres.",
        ],
    ),
    (
        &[
            "Do you have second-hand batteries?",
            "Is a used battery a good idea?",
        ],
        &[
            "We don't sell them, and I'd advise against it: nobody can tell you what a stranger's cellar did to it.",
        ],
    ),
    (
        &[
            "My display is in Danish for some reason",
            "How do I change the language of the display?",
        ],
        &[
            "Hold *Set* for five seconds, then the fourth symbol, a little flag. It forgets the choice when the battery is out for a week; that's a known whim.",
        ],
    ),
    (
        &[
            "How often should the bike be serviced?",
            "When is the next service due?",
        ],
        &[
            "Once a year or every 2,000 km, whichever comes first. The display reminds you a month before.",
        ],
    ),
    (
        &["What tyre pressure should I ride?", "how much air goes in?"],
        &[
            "3.5 bar in front, 4 at the back for most riders; half a bar less in winter. The range stands on the side of the tyre and always wins.",
        ],
    ),
    (
        &[
            "Can I watch while you repair it?",
            "May my son watch? He's bike-mad.",
        ],
        &["Gladly, on Thursdays from 16:00 at Gaswerk. There is a second apron."],
    ),
    (
        &[
            "Do you also repair bikes bought somewhere else?",
            "Would you take my neighbour's bike too?",
        ],
        &[
            "Yes, everything with standard parts. For motors of other makers we can read the errors but not open them.",
        ],
    ),
    (
        &[
            "Is chain oil from the kitchen ok? 😅",
            "Can I use olive oil on the chain",
        ],
        &[
            "Please don't, it turns into glue. Any bicycle oil, one drop per link, wipe, done. Your salad will thank you too.",
        ],
    ),
    (
        &[
            "Should I lock the battery when I park?",
            "Do people steal batteries here?",
        ],
        &[
            "Sometimes, mostly at Bahnhofsplatz. Lock it always, and take it with you overnight if you can.",
        ],
    ),
];
