//! Conversations that are not in English, with their greetings and goodbyes.

use super::{Outcome, settled};
use crate::chat::Chat;
use crate::people::Language::{
    self, Arabic, Chinese, English, French, German, Japanese, Spanish, Turkish,
};

/// In the language of the profile, the only one known before the customer writes. English greetings depend on the service
/// and stand elsewhere.
pub(crate) fn greetings(language: Language) -> &'static [&'static str] {
    match language {
        Arabic => &["مرحبًا {first_name}، معك {agent} من Radwerk. كيف أساعدك؟"],
        Chinese => &["{first_name}，您好！我是 Radwerk 的 {agent}，请问有什么可以帮您？"],
        English => &[],
        French => &["Bonjour {first_name}, ici {agent} de Radwerk. Que puis-je faire pour vous ?"],
        German | Turkish => {
            &["Guten Tag {first_name}, hier ist {agent} von Radwerk. Was kann ich für Sie tun?"]
        }
        Japanese => {
            &["{last_name}様、こんにちは。Radwerk の {agent} です。ご用件をお聞かせください。"]
        }
        Spanish => &["Hola {first_name}, soy {agent}, de Radwerk. ¿En qué puedo ayudarte?"],
    }
}

pub(crate) fn say_goodbye(chat: &mut Chat, language: Language) {
    let (thanks, goodbye): (&[&str], &[&str]) = match language {
        Arabic => (
            &["شكرًا جزيلًا 🌷", "شكرًا، هذا كل شيء."],
            &["على الرحب والسعة، {first_name}. رافقتك السلامة."],
        ),
        Chinese => (
            &["好的，谢谢！", "明白了，辛苦了。"],
            &["不客气，{first_name}。祝您骑行愉快！"],
        ),
        English => return,
        French => (
            &["Parfait, merci beaucoup !", "Merci, bonne journée !"],
            &["Avec plaisir, {first_name}. Bonne route !"],
        ),
        German => (
            &["Super, vielen Dank!", "Danke, das war's schon."],
            &["Gern geschehen, {first_name}. Gute Fahrt!"],
        ),
        Japanese => (
            &[
                "助かりました。ありがとうございます。",
                "了解です、ありがとう！",
            ],
            &["どういたしまして。お気をつけてお出かけください。"],
        ),
        Spanish => (
            &["¡Mil gracias!", "Perfecto, gracias 🙌"],
            &["A ti, {first_name}. ¡Buen camino!"],
        ),
        Turkish => (
            &["Çok teşekkürler!", "Teşekkürler, iyi günler."],
            &["Rica ederim, {first_name}. İyi yolculuklar!"],
        ),
    };
    chat.user(thanks);
    chat.agent(goodbye);
}

pub(crate) fn german_unlock(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "Hallo, {bike} an der Station {from} ging nicht auf, abgebucht wurde trotzdem. {fee_comma} € für nichts.",
        "Guten Tag, das Schloss von {bike} hat nur rot geblinkt, die App sagt aber, ich sei {minutes} Minuten gefahren.",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 3}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "station": "{from}", "started_at": "{trip_utc}", "fee_eur": {fee}, "events": ["unlock_requested", "unlock_failed"], "moved_m": 0, "refund": null}]"#,
    );
    chat.agent(&["Das stimmt, {first_name}: Um {trip_time} Uhr hat das Schloss einen Fehler gemeldet, und das Rad hat sich keinen Meter bewegt. Ich erstatte Ihnen die {fee_comma} € vollständig. Auf die Karte oder als Guthaben?"]);
    chat.step("refund");
    chat.user(&[
        "Auf die Karte, bitte.",
        "Karte. Und bitte das Rad sperren, sonst passiert das dem Nächsten auch.",
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
    chat.agent(&["Erledigt: {fee_comma} € sind in zwei bis vier Werktagen auf Ihrer Karte, und {bike} ist gesperrt, bis es jemand repariert hat."]);
    settled(
        "Wanted: money back for {bike}, whose lock never opened (in German).\nDone: {fee} € refunded to the card; bike taken out of service.\nRemember: nothing.",
    )
}

pub(crate) fn german_brakes(chat: &mut Chat) -> Outcome {
    chat.step("listen");
    chat.user(&[
        "Mein {own_bike} quietscht beim Bremsen, dass sich die Leute umdrehen. Was kostet so etwas?",
        "Hallo Ada, die hintere Bremse am {own_bike} schleift seit dem Wochenende.",
    ]);
    chat.agent(&["Danke für die Beschreibung. Wird die Bremse dabei schwächer, oder lässt sich der Hebel bis zum Griff ziehen? Dann bitte nicht mehr fahren."]);
    chat.user(&[
        "Nein, sie bremst gut. Es ist nur das Geräusch.",
        "Sie zieht noch ordentlich, der Hebel ist fest.",
    ]);
    chat.agent(&["Gut. Am wahrscheinlichsten sind abgefahrene Beläge: 32,00 € je Rad mit Einbau. Die Werkstatt Gaswerk hätte morgen um 9:15 Uhr Zeit, Alter Hafen übermorgen um 13:00 Uhr. Was passt besser?"]);
    chat.step("schedule");
    chat.user(&["Gaswerk, 9:15 Uhr.", "Morgen um 9:15 bitte."]);
    chat.call(
        "schedule_repair",
        r#"{"workshop": "Gaswerk", "item": "{own_bike}, {frame}", "fault": "brake noise, pads suspected", "slot": "{tomorrow_iso}T09:15"}"#,
        r#"{"repair_id": "W-{ticket}", "status": "booked", "ready": "about one hour"}"#,
    );
    chat.agent(&["Gebucht: morgen, 9:15 Uhr, Gaswerk, W-{ticket}. Es dauert etwa eine Stunde, der Kaffee nebenan ist gut. Über 80 € hinaus fragen wir Sie vorher."]);
    settled(
        "Wanted: brake noise on the {own_bike} (in German).\nDone: W-{ticket} at Gaswerk, {tomorrow_date} 09:15.\nRemember: owns a {own_bike}.",
    )
}

pub(crate) fn french_day(chat: &mut Chat) -> Outcome {
    chat.step("understand the wish");
    chat.user(&[
        "Bonjour ! Nous sommes deux adultes et deux enfants de 6 et 9 ans, demain toute la journée. Que nous conseillez-vous ?",
        "Bonjour, est-ce que vous avez des vélos pour enfants ? Ma fille a 9 ans et son frère 6.",
    ]);
    chat.agent(&["Bonjour {first_name} ! Pour 9 ans, un Junior 24 convient très bien. À 6 ans, on ne roule pas encore seul chez nous : le plus jeune voyagerait dans la caisse d'un Cargo Duo (38,00 € la journée). Préférez-vous le lac, tout plat, ou la vieille ville ?"]);
    chat.user(&[
        "Le lac, c'est plus sûr. Et il va adorer la caisse 😄",
        "Le lac. Combien en tout ?",
    ]);
    chat.call(
        "find_station",
        r#"{"near": "Seepromenade", "kind": "Cargo Duo"}"#,
        r#"{"stations": [{"name": "Seepromenade", "walk_min": 1, "City": 7, "Junior 24": 3, "Cargo Duo": 1}], "for": "{tomorrow_iso}T10:00"}"#,
    );
    chat.agent(&["Tout est à Seepromenade : un Cargo Duo à 38,00 €, un vélo City avec la carte journée à 12,00 € et un Junior 24 à 0,08 € la minute, soit environ 65 € pour la journée. Les casques sont prêtés gratuitement sur place. Je réserve pour demain à 10 h ?"]);
    chat.step("reserve");
    chat.user(&["Oui, s'il vous plaît !", "Oui, à 10 h, c'est parfait."]);
    chat.call(
        "reserve_bike",
        r#"{"station": "Seepromenade", "kind": "Cargo Duo, City, Junior 24", "count": 3, "from": "{tomorrow_iso}T10:00", "hours": 7}"#,
        r#"{"status": "held", "reservation_id": "B-{ticket}", "free_until": "{tomorrow_iso}T09:50"}"#,
    );
    chat.agent(&["C'est réservé : B-{ticket}, demain à 10 h, Seepromenade. Annulation gratuite jusqu'à 9 h 50. Le bac sur le lac est gratuit avec les vélos, et les enfants saluent le capitaine : il répond toujours."]);
    settled(
        "Wanted: a day by the lake with children of 6 and 9 (in French).\nDone: B-{ticket}, {tomorrow_date} 10:00, Seepromenade.\nRemember: two children.",
    )
}

pub(crate) fn spanish_flat(chat: &mut Chat) -> Outcome {
    chat.step("is anybody hurt");
    chat.user(&[
        "Hola, se me ha pinchado la rueda de {bike} entre {from} y {to}. ¿Qué hago?",
        "He pinchado 😩 {bike}, cerca de {from}, y tengo una entrega en veinte minutos",
    ]);
    chat.agent(&["Vaya, lo siento. Lo primero: ¿estás bien, te has caído? Si no, apoya la bici fuera del carril; no hace falta que la lleves a ningún sitio."]);
    chat.user(&[
        "Estoy bien, gracias. Pero necesito otra bici ya.",
        "Bien, bien. ¿Hay otra bici cerca?",
    ]);
    chat.step("replace the bike");
    chat.call(
        "report_bike",
        r#"{"bike": "{bike}", "fault": "flat tyre", "rideable": false}"#,
        r#"{"ticket": "V-{ticket}", "trip_id": "{trip}", "trip": "ended, 0.00 EUR", "next_van": "{today_iso}"}"#,
    );
    chat.call(
        "find_station",
        r#"{"near": "{from}", "kind": "any"}"#,
        r#"{"stations": [{"name": "{from}", "walk_min": 3, "City": 4, "E-City": 2}]}"#,
    );
    chat.agent(&["Listo: el viaje está cerrado y no te cuesta nada. En {from}, a tres minutos a pie, hay dos E-City libres; la primera hora la pagamos nosotros. Llegas a tiempo."]);
    settled(
        "Wanted: help with a flat tyre near {from} (in Spanish).\nDone: {bike} reported (V-{ticket}), trip free, next hour free.\nRemember: nothing.",
    )
}

pub(crate) fn japanese_bike(chat: &mut Chat) -> Outcome {
    chat.step("understand the wish");
    chat.user(&[
        "すみません、今 {from} の近くにいます。{to} まで行きたいのですが、空いている自転車はありますか。",
        "{from} 付近で電動自転車を一台借りたいです。{to} まで何分くらいですか？",
    ]);
    chat.call(
        "find_station",
        r#"{"near": "{from}", "kind": "E-City"}"#,
        r#"{"stations": [{"name": "{from}", "walk_min": 4, "City": 5, "E-City": 2}]}"#,
    );
    chat.agent(&["{from} に E-City が2台、City が5台ございます。徒歩4分です。{to} までは E-City で約13分、料金は3.50ユーロほどです。1台お取り置きしましょうか。"]);
    chat.step("reserve");
    chat.user(&[
        "はい、E-City をお願いします。",
        "お願いします。ヘルメットは必要ですか？",
    ]);
    chat.call(
        "reserve_bike",
        r#"{"station": "{from}", "kind": "E-City", "count": 1, "from": "now", "hours": 1}"#,
        r#"{"status": "held", "reservation_id": "B-{ticket}", "bike": "E-2046", "battery_percent": 83, "until_min": 15}"#,
    );
    chat.agent(&["E-2046 を15分間お取り置きしました（バッテリー83％、予約番号 B-{ticket}）。ヘルメットは Bahnhofsplatz と Seepromenade で無料でお貸ししています。"]);
    settled(
        "Wanted: an E-City near {from}, to reach {to} (in Japanese).\nDone: E-2046 held, B-{ticket}.\nRemember: nothing.",
    )
}

pub(crate) fn arabic_lost_bag(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "السلام عليكم، نسيت حقيبتي في سلة الدراجة {bike} عند محطة {to}. هل يمكنكم المساعدة؟",
        "مرحبًا، تركت كيسًا فيه دواء في سلة الدراجة {bike}. أحتاجه الليلة.",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 1}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "end_station": "{to}", "status": "ended", "bike_now": {"station": "{to}", "status": "free"}}]"#,
    );
    chat.agent(&["وعليكم السلام {first_name}. الدراجة {bike} ما زالت في محطة {to} ولم يأخذها أحد. أستطيع حجزها لك نصف ساعة مجانًا إلى حين وصولك. هل يناسبك ذلك؟"]);
    chat.user(&["نعم، أصل بعد عشر دقائق. شكرًا!", "أنا قريب جدًا، خمس دقائق."]);
    chat.agent(&[
        "تم الحجز لمدة ثلاثين دقيقة. إن لم تكن الأغراض في السلة فأرجو مراسلتي من المحطة لنبحث معًا.",
    ]);
    chat.step("wait for news");
    chat.user(&[
        "وجدتها! كل شيء في مكانه، الحمد لله 🙏",
        "وصلت، والحقيبة هنا. الله يعطيكم العافية.",
    ]);
    chat.agent(&["الحمد لله! ألغيت الحجز، وعادت الدراجة متاحة للجميع."]);
    settled(
        "Wanted: a bag left in the basket of {bike} (in Arabic).\nDone: bike held at {to}; the customer fetched the bag.\nRemember: nothing.",
    )
}

pub(crate) fn chinese_invoice(chat: &mut Chat) -> Outcome {
    chat.number("trips", 12, 40);
    let total = chat.chance.between(5_200, 18_900);
    chat.euros("total", total);
    chat.step("understand the problem");
    chat.user(&[
        "你好，我需要上个月所有行程的一张汇总发票，不要一张一张的。",
        "您好，财务要一张总发票，抬头要写公司名称，可以吗？",
    ]);
    chat.agent(&["可以的。汇总发票会寄到您资料里的邮箱。需要注明订单号或成本中心吗？"]);
    chat.user(&["成本中心 4471，谢谢。", "不需要，写公司名称就好。"]);
    chat.step("send the invoice");
    chat.call(
        "send_invoice",
        r#"{"user_id": "{user_id}", "month": "{month}"}"#,
        r#"{"invoice": "RW-{month}-{ticket}", "trips": {trips}, "gross_eur": {total}, "sent_to": "{user_id}@mail.example"}"#,
    );
    chat.agent(&[
        "发票 RW-{month}-{ticket} 已发送：共 {trips} 次行程，合计 {total} 欧元，请查收邮箱。",
    ]);
    settled(
        "Wanted: one invoice for the month (in Chinese).\nDone: RW-{month}-{ticket} sent, {total} €.\nRemember: prefers one collected invoice a month.",
    )
}

pub(crate) fn turkish_glove(chat: &mut Chat) -> Outcome {
    chat.step("understand the problem");
    chat.user(&[
        "Merhaba, kızımın eldivenlerini {bike} sepetinde unuttum. {to} istasyonuna bırakmıştım.",
        "İyi günler, sepette bir çift kırmızı eldiven kaldı, bisiklet {bike}.",
    ]);
    chat.call(
        "lookup_booking",
        r#"{"user_id": "{user_id}", "limit": 1}"#,
        r#"[{"trip_id": "{trip}", "bike": "{bike}", "end_station": "{to}", "status": "ended", "bike_now": {"station": "{home}", "status": "free"}}]"#,
    );
    chat.agent(&["Merhaba {first_name}. Bisiklet şu anda {home} istasyonunda ve boşta. İsterseniz yarım saat ücretsiz ayırabilirim, kimse alamaz. Gelebilir misiniz?"]);
    chat.user(&["Evet, hemen çıkıyorum!", "On dakikaya oradayım."]);
    chat.agent(&["Ayırdım, otuz dakika sizin. Sepette yoksa bana yazın, önceki sürücüye soralım."]);
    settled(
        "Wanted: a child's gloves left in the basket of {bike} (in Turkish).\nDone: bike held at {home} for 30 minutes.\nRemember: writes Turkish, although the profile says German.",
    )
}
