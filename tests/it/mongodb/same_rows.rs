//! Whatever is asked of the cluster, the rows are those that the engine would have found itself.
//!
//! Each case is one query twice: over the collection, and over a subquery that keeps every condition, order and limit
//! above it. The documents have values of all types in the place of each other, missing ones, nulls, lists and documents.
//! `AMIGO_MONGODB_CASES=100000` is the long form.

use mongodb::bson::{Document, doc};
use mongodb::{Collection, IndexModel};
use serde_json::Value;

use super::chance::{COLUMNS, Chance, KINDS, Kind};
use super::server::Mongodb;
use super::{Live, ORG, Set, cases, seed};

const DOCUMENTS: i32 = 60;
/// Cases of one request.
const AT_ONCE: u64 = 10;
/// Requests until there are other documents.
const REQUESTS: u64 = 20;
/// No condition goes below a limit, and no collection here has as many documents.
const ALL: i64 = 1_000_000;

/// A query of one text, over what stands for the table.
type Case = Box<dyn Fn(&str) -> String>;

#[expect(clippy::too_many_lines, reason = "a list")]
fn case(chance: &mut Chance) -> Case {
    let condition = match chance.one_in(12) {
        true => "true".to_owned(),
        false => chance.condition(3),
    };
    let (name, kind) = chance.of(&KINDS);
    let limit = chance.below(30);
    match chance.below(9) {
        // The first so many: rows with the same value in the order may be any of them.
        0 | 1 => {
            let by = chance.of(&[
                "",
                " ASC NULLS LAST",
                " ASC NULLS FIRST",
                " DESC",
                " DESC NULLS FIRST",
                " DESC NULLS LAST",
            ]);
            let offset = chance.of(&["", " OFFSET 3"]);
            let text = text(name, kind);
            Box::new(move |from| {
                format!(
                    "SELECT string_agg(v, ';' ORDER BY v) FROM (SELECT {text} AS v FROM (SELECT {name} FROM {from} \
                     WHERE {condition} ORDER BY {name}{by} LIMIT {limit}{offset}))"
                )
            })
        }
        2 => Box::new(move |from| {
            format!(
                "SELECT CAST(count(*) AS STRING) FROM (SELECT {name} FROM {from} WHERE {condition} LIMIT {limit})"
            )
        }),
        3 | 4 if kind != Kind::Binary => {
            let [low, high] = ["low", "high"].map(|name| text(name, kind));
            Box::new(move |from| {
                format!(
                    "SELECT concat_ws(',', CAST(n AS STRING), {low}, {high}) FROM (SELECT count(*) AS n, \
                     min({name}) AS low, max({name}) AS high FROM {from} WHERE {condition})"
                )
            })
        }
        5 => Box::new(move |from| {
            format!("SELECT CAST(count(*) AS STRING) FROM {from} WHERE {condition}")
        }),
        6 => {
            let (other, _) = chance.of(&KINDS);
            let distinct = chance.one_in(2);
            let text = text(name, kind);
            Box::new(move |from| match distinct {
                true => format!(
                    "SELECT string_agg({text}, ';' ORDER BY {text}) FROM (SELECT DISTINCT {name} FROM {from} WHERE {condition})"
                ),
                false => format!(
                    "SELECT string_agg(v, ';' ORDER BY v) FROM (SELECT concat({text}, '=', CAST(many AS STRING)) AS v FROM \
                     (SELECT {name}, {other} IS NULL AS u, count(*) AS many FROM {from} WHERE {condition} GROUP BY {name}, {other}))"
                ),
            })
        }
        _ => {
            let shown: Vec<String> = KINDS
                .iter()
                .filter(|_| chance.one_in(2))
                .map(|(name, kind)| text(name, *kind))
                .chain([text("k", Kind::Integer)])
                .collect();
            let shown = shown.join(", ',', ");
            Box::new(move |from| {
                format!(
                    "SELECT string_agg(v, ';' ORDER BY v) FROM (SELECT concat({shown}) AS v FROM {from} WHERE {condition})"
                )
            })
        }
    }
}

/// A column as a text that is never null.
fn text(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Binary => format!("coalesce(hex({name}), '∅')"),
        _ => format!("coalesce(CAST({name} AS STRING), '∅')"),
    }
}

/// Fills the collection with other documents; its indexes stay.
async fn fill(live: &Live, chance: &mut Chance) {
    let things = live.mongodb.database(ORG).await.collection("things");
    things.delete_many(doc! {}).await.unwrap();
    let documents: Vec<_> = (0..DOCUMENTS).map(|id| chance.document(id)).collect();
    things.insert_many(documents).await.unwrap();
}

async fn index(things: &Collection<Document>) {
    for path in ["n", "s", "t", "o", "d", "b", "p.n"] {
        let index = IndexModel::builder().keys(doc! {path: 1}).build();
        things.create_index(index).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_down_has_the_rows_of_what_is_not() {
    let Some(mongodb) = Mongodb::start() else {
        return;
    };
    let mut chance = Chance::new(seed());
    let things = mongodb.load(ORG, "things", [chance.document(0)]).await;
    index(&things).await;
    let declared = format!("[clusters.main.collections.things]\n{COLUMNS}");
    let set = Set {
        cluster: &declared,
        is_patient: true,
        ..Set::default()
    };
    let live = Live::start(mongodb, set).await;
    let mut token = live.token(ORG);
    let above = format!("(SELECT * FROM things LIMIT {ALL})");
    let (mut conditions, mut aggregates) = (0, 0);
    let requests = cases(200).div_ceil(AT_ONCE);
    for request in 0..requests {
        if request % REQUESTS == 0 {
            fill(&live, &mut chance).await;
            // The long form takes longer than a token lasts.
            token = live.token(ORG);
            eprintln!("{} cases", request * AT_ONCE);
        }
        let cases: Vec<Case> = (0..AT_ONCE).map(|_| case(&mut chance)).collect();
        let both = cases.iter().enumerate().map(|(index, case)| {
            let (pushed, above) = (case("things"), case(&above));
            format!("SELECT {index} AS i, ({pushed}) AS pushed, ({above}) AS above")
        });
        let sql: Vec<String> = both.collect();
        live.proxy.forget_commands();
        let rows = live
            .server
            .rows(&token, ORG, &sql.join(" UNION ALL "))
            .await;
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), cases.len());
        for row in rows {
            let index = usize::try_from(row[0].as_u64().unwrap()).unwrap();
            if row[1] != row[2] {
                failed(&live, &token, &cases[index], &above, row).await;
            }
        }
        aggregates += live.proxy.named("aggregate").len();
        let finds = live.proxy.named("find");
        // Over the subquery, nothing of the conditions is asked.
        let is_above = |limit: &i64| *limit == ALL;
        let (above, pushed): (Vec<_>, Vec<_>) = finds
            .iter()
            .partition(|find| find.get_i64("limit").ok().as_ref().is_some_and(is_above));
        assert!(above.iter().all(|find| {
            find.get_document("filter")
                .is_ok_and(|filter| filter.is_empty())
        }));
        assert!(above.len() as u64 >= AT_ONCE / 2, "{}", above.len());
        let has_filter = |find: &&&Document| {
            find.get_document("filter")
                .is_ok_and(|filter| !filter.is_empty())
        };
        conditions += pushed.iter().filter(has_filter).count();
    }
    let asked = usize::try_from(requests * AT_ONCE).unwrap();
    assert!(
        conditions > asked / 4,
        "{conditions} of {asked} had something of their condition pushed"
    );
    assert!(
        aggregates > asked / 20,
        "{aggregates} of {asked} were aggregated"
    );
}

/// Tells of a case whose rows differ.
async fn failed(live: &Live, token: &str, case: &Case, above: &str, row: &Value) {
    let pushed = case("things");
    let explained = live.explained(ORG, &pushed).await;
    let documents = live
        .server
        .rows(token, ORG, "SELECT * FROM things ORDER BY k")
        .await;
    panic!(
        "{pushed}\n\nand over {above} differ:\n{}\n{}\n\n{explained}\n\n{documents}",
        row[1], row[2]
    );
}
