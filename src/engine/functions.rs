//! The functions of the dialect: exactly those of [`list`], made of the engine's, of its Spark functions, of its JSON
//! functions and of ours.
//!
//! Nothing appears by itself: what a new version of the engine brings is absent until its name is on the list. Absent on
//! purpose is what tells of the engine or of the lake's files (`version`, `input_file_name`, `arrow_typeof`).

mod dates;
mod edges;
mod guard;
mod json;
mod json_path;
mod kernel;
mod list;
mod meaning;
mod numbers;
mod pattern;
mod texts;
mod zones;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::catalog::TableFunction;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use datafusion_functions_json::udfs as json_functions;

/// What operators and clauses call, `^`, `FLOOR`, `CEIL`, `TRIM`, `DISTINCT ON`, and what a second reading does.
const UNASKED: &[&str] = &[
    "as_text",
    "power",
    "floor",
    "ceil",
    "btrim",
    "ltrim",
    "rtrim",
    "first_value",
];

/// Functions of sessions.
#[derive(Debug, Clone, Default)]
pub(super) struct Functions {
    pub(super) scalar: Vec<Arc<ScalarUDF>>,
    pub(super) aggregate: Vec<Arc<AggregateUDF>>,
    pub(super) window: Vec<Arc<WindowUDF>>,
    pub(super) table: Vec<Arc<TableFunction>>,
    pub(super) higher_order: Vec<Arc<HigherOrderUDF>>,
    by_name: HashMap<String, Vec<Place>>,
}

/// Where a function is in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Scalar(usize),
    Aggregate(usize),
    Window(usize),
    HigherOrder(usize),
}

impl Functions {
    pub(super) fn all() -> Self {
        let aggregate = SessionStateDefaults::default_aggregate_functions();
        let spark = datafusion_spark::all_default_aggregate_functions();
        let aggregate = picked(aggregate, list::ENGINE_AGGREGATE, |f| f.name())
            .chain(picked(spark, list::SPARK_AGGREGATE, |f| f.name()))
            .map(|function| match list::aliases(function.name()) {
                [] => function,
                aliases => Arc::new(function.as_ref().clone().with_aliases(aliases.to_vec())),
            });
        let window = SessionStateDefaults::default_window_functions();
        let window =
            picked(window, list::WINDOW, |f| f.name()).map(|function| {
                match list::aliases(function.name()) {
                    [] => function,
                    aliases => Arc::new(function.as_ref().clone().with_aliases(aliases.to_vec())),
                }
            });
        let table = SessionStateDefaults::default_table_functions();
        let higher_order = SessionStateDefaults::default_higher_order_functions();
        Self {
            scalar: scalar(),
            aggregate: aggregate.collect(),
            window: window.collect(),
            table: picked(table, list::TABLE, |f| f.name()).collect(),
            higher_order: picked(higher_order, list::HIGHER_ORDER, |f| f.name()).collect(),
            by_name: HashMap::new(),
        }
        .with_names()
    }

    /// Those that the text of a statement may call: whose names are among its words, and what the planner calls unasked.
    pub(super) fn called_in(&self, sql: &str) -> Self {
        let sql = sql.to_lowercase();
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let words = sql.split(|letter| !is_part(letter));
        let named = words.chain(UNASKED.iter().copied());
        // In the order of the list, where later ones replace earlier ones of the same name.
        let places: BTreeSet<Place> = named
            .filter_map(|word| self.by_name.get(word))
            .flatten()
            .copied()
            .collect();
        let mut called = Self {
            table: self.table.clone(),
            ..Self::default()
        };
        for place in places {
            match place {
                Place::Scalar(n) => called.scalar.push(Arc::clone(&self.scalar[n])),
                Place::Aggregate(n) => called.aggregate.push(Arc::clone(&self.aggregate[n])),
                Place::Window(n) => called.window.push(Arc::clone(&self.window[n])),
                Place::HigherOrder(n) => {
                    called.higher_order.push(Arc::clone(&self.higher_order[n]))
                }
            }
        }
        called
    }

    fn with_names(mut self) -> Self {
        fn names<'a, F: ?Sized>(
            functions: &'a [Arc<F>],
            of: fn(&F) -> (&str, &[String]),
            place: fn(usize) -> Place,
        ) -> impl Iterator<Item = (String, Place)> + 'a {
            functions.iter().enumerate().flat_map(move |(n, function)| {
                let (name, aliases) = of(function);
                let names = std::iter::once(name.to_owned()).chain(aliases.iter().cloned());
                names.map(move |name| (name, place(n))).collect::<Vec<_>>()
            })
        }
        let all = names(&self.scalar, |f| (f.name(), f.aliases()), Place::Scalar)
            .chain(names(
                &self.aggregate,
                |f| (f.name(), f.aliases()),
                Place::Aggregate,
            ))
            .chain(names(
                &self.window,
                |f| (f.name(), f.aliases()),
                Place::Window,
            ))
            .chain(names(
                &self.higher_order,
                |f| (f.name(), f.aliases()),
                Place::HigherOrder,
            ));
        let mut by_name = HashMap::<String, Vec<Place>>::new();
        for (name, place) in all {
            by_name.entry(name).or_default().push(place);
        }
        self.by_name = by_name;
        self
    }

    /// The scalar function of that name, as calls of it find it.
    pub(super) fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let mut found = self.scalar.iter().rev();
        found.find(|f| f.name() == name).map(Arc::clone)
    }

    /// Every name a call can use, aliases and what the dialect rewrites included.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let table = self.table.iter().map(|f| f.name().to_owned());
        let rewritten = super::dialect::REWRITTEN.iter();
        let rewritten = rewritten.map(|(name, ..)| (*name).to_owned());
        self.by_name
            .keys()
            .cloned()
            .chain(table)
            .chain(rewritten)
            .collect()
    }
}

/// Those whose names are on the list.
fn picked<F>(functions: Vec<F>, list: &[&str], name: fn(&F) -> &str) -> impl Iterator<Item = F> {
    let is_listed = move |function: &F| list.contains(&name(function));
    functions.into_iter().filter(is_listed)
}

/// In the order in which later ones replace earlier ones of the same name.
fn scalar() -> Vec<Arc<ScalarUDF>> {
    let engine = SessionStateDefaults::default_scalar_functions();
    let spark = datafusion_spark::all_default_scalar_functions();
    let json = vec![
        json_functions::json_as_text_udf(),
        json_functions::json_contains_udf(),
        json_functions::json_get_array_udf(),
        json_functions::json_get_bool_udf(),
        json_functions::json_get_float_udf(),
        json_functions::json_get_int_udf(),
        json_functions::json_get_json_udf(),
        json_functions::json_get_str_udf(),
        json_functions::json_length_udf(),
        json_functions::json_object_keys_udf(),
    ];
    let ours = [
        dates::functions(),
        json::functions(),
        numbers::functions(),
        texts::functions(),
    ];
    let functions = picked(engine, list::ENGINE_SCALAR, |f| f.name())
        .chain(picked(spark, list::SPARK_SCALAR, |f| f.name()))
        .chain(picked(json, list::JSON_SCALAR, |f| f.name()))
        .chain(ours.into_iter().flatten().map(Arc::new))
        .map(|function| match list::aliases(function.name()) {
            [] => function,
            aliases => Arc::new(function.as_ref().clone().with_aliases(aliases.to_vec())),
        })
        .map(guard::guarded);
    meaning::with_meanings(functions.collect())
}

#[cfg(test)]
mod tests;
