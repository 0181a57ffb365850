//! The customers: sixty invented people. Any likeness to a living rider is chance.

use crate::world::Plan::{self, Company, Day, Monthly, PayAsYouGo, Student};

/// The language a person writes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Language {
    Arabic,
    Chinese,
    English,
    French,
    German,
    Japanese,
    Spanish,
    Turkish,
}
use Language::{Arabic, Chinese, English, French, German, Japanese, Spanish, Turkish};

impl Language {
    /// What the profile says. Turkish speakers installed the app before it knew Turkish: their profile says German, and one
    /// of the instructive conversations comes from that.
    pub(crate) fn of_profile(self) -> (&'static str, &'static str) {
        match self {
            Arabic => ("Arabic", "ar"),
            Chinese => ("Chinese", "zh"),
            English => ("English", "en"),
            French => ("French", "fr"),
            German | Turkish => ("German", "de"),
            Japanese => ("Japanese", "ja"),
            Spanish => ("Spanish", "es"),
        }
    }
}

pub(crate) struct Person {
    pub(crate) user_id: &'static str,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) writes: Language,
    pub(crate) plan: Plan,
    pub(crate) home: &'static str,
    /// What earlier conversations taught the agents about this person; may be empty.
    pub(crate) note: &'static str,
}

const fn person(
    user_id: &'static str,
    (first_name, last_name): (&'static str, &'static str),
    writes: Language,
    plan: Plan,
    home: &'static str,
    note: &'static str,
) -> Person {
    Person {
        user_id,
        first_name,
        last_name,
        writes,
        plan,
        home,
        note,
    }
}

#[rustfmt::skip]
pub(crate) const PEOPLE: [Person; 60] = [
    person("mia_li_3668", ("Mia", "Li"), English, Monthly, "Universität", "Rides to the early lecture; likes answers in one or two sentences."),
    person("jurgen_weiss_1204", ("Jürgen", "Weiß"), German, Monthly, "Weidenbrücke", "Schreibt lieber, als zu telefonieren."),
    person("soren_oestergaard_7710", ("Søren", "Østergård"), English, PayAsYouGo, "Alter Hafen", "Visits every second month for work and rents near the station."),
    person("zoe_bruckner_0951", ("Zoë", "Brückner"), German, Student, "Universität", "Fragt oft nach Lastenrädern für die Theatergruppe."),
    person("haruto_sakamoto_4482", ("陽翔", "坂本"), Japanese, Monthly, "Bahnhofsplatz", "出張が多く、朝六時台に利用。"),
    person("misaki_onodera_2097", ("美咲", "小野寺"), Japanese, Day, "Seepromenade", ""),
    person("layla_haddadin_5316", ("ليلى", "حدادين"), Arabic, Monthly, "Klinikum Süd", "ممرضة بنظام المناوبات، تستخدم الدراجة بعد منتصف الليل."),
    person("omar_benyahia_8843", ("عمر", "بن يحيى"), Arabic, Student, "Universität", ""),
    person("elif_karaca_6125", ("Elif", "Karaca"), Turkish, Monthly, "Nordbad", "Uses the Junior bikes with her daughter at weekends."),
    person("emre_yildirimli_3071", ("Emre", "Yıldırımlı"), Turkish, PayAsYouGo, "Gaswerk", ""),
    person("xiaowen_ouyang_9238", ("晓雯", "欧阳"), Chinese, Company, "Stadthalle", "公司账户，每月需要发票。"),
    person("zihan_gu_1549", ("子涵", "顾"), Chinese, Student, "Universität", ""),
    person("camille_lefaucheux_7402", ("Camille", "Lefaucheux"), French, Day, "Alter Hafen", ""),
    person("theo_vandamme_2886", ("Théo", "Van Damme"), French, PayAsYouGo, "Rosengarten", "Voyage avec deux enfants, demande des vélos Junior."),
    person("ines_barragan_5560", ("Inés", "Barragán"), Spanish, Monthly, "Mühlenviertel", ""),
    person("joaquin_etxeberri_8019", ("Joaquín", "Etxeberri"), Spanish, PayAsYouGo, "Lindenallee", "Es mensajero; el tiempo le cuesta dinero."),
    person("priya_raghunathan_4127", ("Priya", "Raghunathan"), English, Company, "Gaswerk", "Books for her whole team; wants one invoice, never five."),
    person("oluwaseun_adeyinka_6640", ("Oluwaseun", "Adéyínká"), English, Monthly, "Klinikum Süd", "Junior doctor on rotating shifts, often awake at 2 a.m."),
    person("aoife_ni_dhalaigh_3395", ("Aoife", "Ní Dhálaigh"), English, Student, "Universität", "Left-handed; asked twice about brake levers."),
    person("bjorn_thorvaldsson_0178", ("Björn", "Þorvaldsson"), English, PayAsYouGo, "Nordbad", "Swims before work and leaves the bike wet. Apologises for it."),
    person("katarzyna_wisniowska_7253", ("Katarzyna", "Wiśniowska"), English, Monthly, "Marktgasse", "Keeps screenshots of everything."),
    person("dmytro_holovchenko_9914", ("Dmytro", "Holovchenko"), English, PayAsYouGo, "Gaswerk", "Was a bicycle mechanic; skip the basics with him."),
    person("ngoc_anh_tran_2631", ("Ngọc Anh", "Trần"), English, Student, "Weidenbrücke", ""),
    person("sipho_mthethwa_5087", ("Sipho", "Mthethwa"), English, Monthly, "Stadthalle", "Plays in the orchestra; cargo bike for the double bass."),
    person("leila_farrokhzadeh_8476", ("Leila", "Farrokhzadeh"), English, Monthly, "Rosengarten", ""),
    person("mateus_conceicao_1362", ("Mateus", "Conceição"), English, PayAsYouGo, "Alter Hafen", "New in town since spring, still learning the street names."),
    person("agnes_horvath_kiss_6908", ("Ágnes", "Horváth-Kiss"), English, Monthly, "Zeughaus", "Seventy-four, rides every day, prefers step-through frames."),
    person("tomasz_brzezicki_4753", ("Tomasz", "Brzezicki"), English, Company, "Bahnhofsplatz", ""),
    person("fatou_diabate_cisse_3240", ("Fatou", "Diabaté"), English, Student, "Mühlenviertel", "Asks for the price before anything else."),
    person("rowan_blackthorn_0586", ("Rowan", "Blackthorn"), English, Monthly, "Lindenallee", "Pronouns they/them."),
    person("hye_jin_namgung_7831", ("혜진", "남궁"), English, Monthly, "Seepromenade", "Writes in English; name in Hangul on the invoice, please."),
    person("giulia_morandini_2149", ("Giulia", "Morandini"), English, PayAsYouGo, "Alter Hafen", ""),
    person("nikos_papadimas_5927", ("Νίκος", "Παπαδήμας"), English, Monthly, "Marktgasse", "Runs the café at Marktgasse; deliveries by cargo bike at dawn."),
    person("ruth_oppenfeld_8305", ("Ruth", "Oppenfeld"), English, Monthly, "Rosengarten", "Hard of hearing: never suggest a phone call."),
    person("arjun_deshpandey_1073", ("Arjun", "Deshpandey"), English, Student, "Universität", ""),
    person("sinead_mcgonagall_6419", ("Sinéad", "MacGonigal"), English, PayAsYouGo, "Nordbad", ""),
    person("pavel_hrdlicka_4960", ("Pavel", "Hrdlička"), English, Monthly, "Gaswerk", "Owns a Habicht Tour, does his own tyres."),
    person("amara_okonjo_3782", ("Amara", "Okonjo"), English, Company, "Stadthalle", ""),
    person("lars_fredriksen_9051", ("Lars", "Fredriksen"), English, Monthly, "Seepromenade", "Owns a Milan Cargo; two small children in the box."),
    person("yusuf_abdirahman_2518", ("Yusuf", "Abdirahman"), English, Student, "Weidenbrücke", "Delivers food in the evening, mostly by E-City."),
    person("chiara_zanolli_7696", ("Chiara", "Zanolli"), English, Day, "Bahnhofsplatz", ""),
    person("daniel_achterberg_5234", ("Daniël", "Achterberg"), English, Monthly, "Zeughaus", "Knows the rules better than we do and quotes them."),
    person("thandiwe_nkosana_0847", ("Thandiwe", "Nkosana"), English, PayAsYouGo, "Lindenallee", ""),
    person("ilse_vandenheuvel_6153", ("Ilse", "van den Heuvel"), English, Monthly, "Mühlenviertel", "Commutes with a child seat, right side."),
    person("marek_dvoracek_8920", ("Marek", "Dvořáček"), English, PayAsYouGo, "Gaswerk", ""),
    person("noa_benshalom_3417", ("נועה", "בן שלום"), English, Student, "Universität", "Writes in English; keep the spelling of the name."),
    person("victor_anghelescu_1685", ("Victor", "Anghelescu"), English, Monthly, "Klinikum Süd", ""),
    person("samira_elkhatibi_5702", ("Samira", "El Khatibi"), English, Monthly, "Marktgasse", "Owns a Lerche 500, bought second-hand."),
    person("grace_whitlocke_7348", ("Grace", "Whitlocke"), English, Day, "Seepromenade", ""),
    person("kwabena_asantewaa_4096", ("Kwabena", "Asantewaa"), English, Company, "Bahnhofsplatz", "Signs off trips for the planning department."),
    person("anouk_delacourt_2973", ("Anouk", "Delacourt"), English, Student, "Universität", ""),
    person("henrik_lindqvister_6831", ("Henrik", "Lindqvister"), English, PayAsYouGo, "Alter Hafen", "Comes by sailing boat each summer."),
    person("maria_jose_quintanilla_0264", ("María José", "Quintanilla"), English, Monthly, "Weidenbrücke", "Two first names; never shorten to María."),
    person("rashid_qasimov_9570", ("Rashid", "Qasımov"), English, Monthly, "Gaswerk", ""),
    person("emily_hartnoll_3159", ("Emily", "Hartnoll"), English, PayAsYouGo, "Rosengarten", "Nervous rider; likes to hear that a question is not silly."),
    person("bao_nguyen_phuc_8684", ("Bảo", "Nguyễn Phúc"), English, Student, "Mühlenviertel", ""),
    person("ludmila_stojanova_5041", ("Людмила", "Стоянова"), English, Monthly, "Nordbad", "Writes in English; name in Cyrillic on the membership card."),
    person("connor_fitzwilliams_1926", ("Connor", "Fitzwilliams"), English, PayAsYouGo, "Marktgasse", ""),
    person("tiril_haugsvaer_7587", ("Tiril", "Haugsvær"), English, Monthly, "Zeughaus", "Owns a Sturmvogel E and rides it all winter."),
    person("gabriel_montenegrino_4375", ("Gabriel", "Montenegrino"), English, Student, "Lindenallee", ""),
];
