//! Which documents match a query document: MongoDB's rules for the operators that questions use, written anew.
//!
//! A path goes through every array on its way, and takes a number for a place in one. A condition is met when any value
//! at the path meets it: the array itself, or one of its elements. Values compare with those of their own type only,
//! but numbers with all numbers, by what they are worth.

use std::cmp::Ordering;

use bson::{Bson, Document};

pub(super) fn matches(query: &Document, document: &Document) -> bool {
    query.iter().all(|(key, condition)| match key.as_str() {
        "$and" => all(condition).all(|query| matches(query, document)),
        "$or" => all(condition).any(|query| matches(query, document)),
        "$nor" => !all(condition).any(|query| matches(query, document)),
        key => {
            assert!(
                !key.starts_with('$'),
                "an operator that no question has: {key}"
            );
            let path: Vec<&str> = key.split('.').collect();
            let mut values = Vec::new();
            find(document, &path, &mut values);
            match condition {
                Bson::Document(operators) => operators
                    .iter()
                    .all(|(operator, operand)| holds(&values, operator, operand)),
                constant => holds(&values, "$eq", constant),
            }
        }
    })
}

/// A list of queries, which MongoDB refuses when it is empty.
fn all(queries: &Bson) -> impl Iterator<Item = &Document> {
    let queries = queries.as_array().expect("a list");
    assert!(!queries.is_empty());
    queries
        .iter()
        .map(|query| query.as_document().expect("a query"))
}

fn find<'a>(document: &'a Document, path: &[&str], found: &mut Vec<&'a Bson>) {
    let (field, rest) = path.split_first().expect("a field");
    if let Some(value) = document.get(field) {
        find_in(value, rest, found);
    }
}

fn find_in<'a>(value: &'a Bson, path: &[&str], found: &mut Vec<&'a Bson>) {
    match (value, path) {
        (value, []) => {
            found.push(value);
            found.extend(value.as_array().into_iter().flatten());
        }
        (Bson::Document(document), path) => find(document, path, found),
        (Bson::Array(elements), [field, rest @ ..]) => {
            let documents = elements.iter().filter_map(Bson::as_document);
            documents.for_each(|document| find(document, path, found));
            if let Some(element) = field
                .parse()
                .ok()
                .and_then(|place: usize| elements.get(place))
            {
                find_in(element, rest, found);
            }
        }
        _ => {}
    }
}

fn holds(values: &[&Bson], operator: &str, operand: &Bson) -> bool {
    let any = |test: &dyn Fn(&Bson) -> bool| values.iter().any(|value| test(value));
    let list = || operand.as_array().expect("a list");
    let is_one = |value: &Bson| {
        list()
            .iter()
            .any(|constant| compared(value, "$eq", constant))
    };
    match operator {
        "$eq" | "$lt" | "$lte" | "$gt" | "$gte" => any(&|value| compared(value, operator, operand)),
        "$ne" => !any(&|value| compared(value, "$eq", operand)),
        "$in" => any(&is_one),
        "$nin" => !any(&is_one),
        "$type" => any(&|value| match operand {
            Bson::Array(names) => names
                .iter()
                .any(|name| name.as_str() == Some(type_name(value))),
            name => name.as_str() == Some(type_name(value)),
        }),
        "$exists" => values.is_empty() != operand.as_bool().expect("true or false"),
        "$not" => {
            let operators = operand.as_document().expect("operators");
            !operators
                .iter()
                .all(|(operator, operand)| holds(values, operator, operand))
        }
        _ => panic!("an operator that no question has: {operator}"),
    }
}

fn compared(value: &Bson, operator: &str, constant: &Bson) -> bool {
    if is_nan(value) || is_nan(constant) {
        let includes_equal = matches!(operator, "$eq" | "$lte" | "$gte");
        return includes_equal && is_nan(value) && is_nan(constant);
    }
    let Some(ordering) = order(value, constant) else {
        return false;
    };
    match operator {
        "$eq" => ordering.is_eq(),
        "$lt" => ordering.is_lt(),
        "$lte" => ordering.is_le(),
        "$gt" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

/// None: they are of types that do not compare.
fn order(value: &Bson, constant: &Bson) -> Option<Ordering> {
    Some(match (value, constant) {
        (Bson::String(value) | Bson::Symbol(value), Bson::String(constant)) => {
            value.as_bytes().cmp(constant.as_bytes())
        }
        (Bson::ObjectId(value), Bson::ObjectId(constant)) => value.bytes().cmp(&constant.bytes()),
        (Bson::Boolean(value), Bson::Boolean(constant)) => value.cmp(constant),
        (Bson::DateTime(value), Bson::DateTime(constant)) => {
            value.timestamp_millis().cmp(&constant.timestamp_millis())
        }
        (value, constant) => Worth::of(value)?.cmp(&Worth::of(constant)?),
    })
}

fn is_nan(value: &Bson) -> bool {
    match value {
        Bson::Double(number) => number.is_nan(),
        Bson::Decimal128(number) => number.to_string() == "NaN",
        _ => false,
    }
}

/// What a number is worth, with all its digits. Every double is a number of at most 1,074 digits behind the point.
#[derive(PartialEq, Eq)]
struct Worth {
    /// -1, 0 or 1.
    sign: i8,
    is_infinite: bool,
    /// Of the first digit.
    exponent: i32,
    /// Without zeros at either end.
    digits: String,
}

impl Worth {
    fn of(number: &Bson) -> Option<Self> {
        let text = match number {
            Bson::Int32(number) => number.to_string(),
            Bson::Int64(number) => number.to_string(),
            Bson::Double(number) if number.fract() == 0.0 => format!("{number:.0}"),
            Bson::Double(number) if number.is_finite() => format!("{number:.1074}"),
            Bson::Double(number) if *number > 0.0 => "Infinity".into(),
            Bson::Double(_) => "-Infinity".into(),
            Bson::Decimal128(number) => number.to_string(),
            _ => return None,
        };
        let (sign, text) = text
            .strip_prefix('-')
            .map_or((1, text.as_str()), |text| (-1, text));
        if text == "Infinity" {
            return Some(Self {
                sign,
                is_infinite: true,
                exponent: 0,
                digits: String::new(),
            });
        }
        let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let leading = digits.len() - digits.trim_start_matches('0').len();
        let exponent = exponent.parse::<i32>().unwrap() + whole.len() as i32 - leading as i32;
        let digits = digits.trim_matches('0').to_owned();
        Some(match digits.is_empty() {
            true => Self {
                sign: 0,
                is_infinite: false,
                exponent: 0,
                digits,
            },
            false => Self {
                sign,
                is_infinite: false,
                exponent,
                digits,
            },
        })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = |worth: &Self| (worth.is_infinite, worth.exponent, worth.digits.clone());
        self.sign.cmp(&other.sign).then_with(|| match self.sign {
            -1 => magnitude(other).cmp(&magnitude(self)),
            _ => magnitude(self).cmp(&magnitude(other)),
        })
    }
}

fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Double(_) => "double",
        Bson::String(_) => "string",
        Bson::Array(_) => "array",
        Bson::Document(_) => "object",
        Bson::Boolean(_) => "bool",
        Bson::Null => "null",
        Bson::RegularExpression(_) => "regex",
        Bson::JavaScriptCode(_) => "javascript",
        Bson::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        Bson::Int32(_) => "int",
        Bson::Int64(_) => "long",
        Bson::Timestamp(_) => "timestamp",
        Bson::Binary(_) => "binData",
        Bson::ObjectId(_) => "objectId",
        Bson::DateTime(_) => "date",
        Bson::Symbol(_) => "symbol",
        Bson::Decimal128(_) => "decimal",
        Bson::Undefined => "undefined",
        Bson::MaxKey => "maxKey",
        Bson::MinKey => "minKey",
        Bson::DbPointer(_) => "dbPointer",
    }
}

/// What is known of MongoDB itself, so that the rules above are its own.
#[test]
fn the_rules_are_mongodbs() {
    use bson::doc;
    let is_match = |query: Document, document: Document| matches(&query, &document);
    // Arrays: any element, or the array itself.
    assert!(is_match(doc! {"a": {"$eq": 1}}, doc! {"a": [0, 1]}));
    assert!(is_match(doc! {"a": {"$type": "array"}}, doc! {"a": [0]}));
    assert!(is_match(
        doc! {"a": {"$gt": 3, "$lt": 2}},
        doc! {"a": [1, 4]}
    ));
    assert!(!is_match(doc! {"a": {"$ne": 1}}, doc! {"a": [0, 1]}));
    assert!(is_match(
        doc! {"a.b": {"$eq": 1}},
        doc! {"a": [{"b": 0}, {"b": [1]}]}
    ));
    assert!(is_match(doc! {"a.1": {"$eq": 2}}, doc! {"a": [1, 2]}));
    assert!(!is_match(
        doc! {"a.b": {"$eq": 1}},
        doc! {"a": [[{"b": 1}]]}
    ));
    assert!(!is_match(doc! {"a.b": {"$exists": true}}, doc! {"a": [1]}));
    // Missing and null.
    assert!(is_match(doc! {"a": {"$ne": 1}}, doc! {}));
    assert!(is_match(doc! {"a": {"$nin": [1]}}, doc! {"a": Bson::Null}));
    assert!(is_match(
        doc! {"a": {"$exists": true}},
        doc! {"a": Bson::Null}
    ));
    assert!(is_match(doc! {"a": {"$not": {"$gt": 1}}}, doc! {}));
    // Types.
    assert!(!is_match(doc! {"a": {"$lt": "5"}}, doc! {"a": 4}));
    assert!(is_match(doc! {"a": {"$eq": 5_i64}}, doc! {"a": 5.0}));
    assert!(is_match(
        doc! {"a": {"$gt": 9_007_199_254_740_992.0}},
        doc! {"a": 9_007_199_254_740_993_i64}
    ));
    let decimal: bson::Decimal128 = "5.0".parse().unwrap();
    assert!(is_match(doc! {"a": {"$eq": 5}}, doc! {"a": decimal}));
    assert!(is_match(doc! {"a": {"$eq": 0.0}}, doc! {"a": -0.0}));
    // Not-a-number.
    assert!(!is_match(doc! {"a": {"$lt": 5}}, doc! {"a": f64::NAN}));
    assert!(!is_match(doc! {"a": {"$gte": 5}}, doc! {"a": f64::NAN}));
    assert!(is_match(
        doc! {"a": {"$eq": f64::NAN}},
        doc! {"a": f64::NAN}
    ));
    assert!(is_match(
        doc! {"$nor": [{"a": {"$lte": 5}}]},
        doc! {"a": f64::NAN}
    ));
}
