//! Calls that the engine does not have, and that are made of others.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, DataType, DuplicateTreatment, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Interval, StructField,
    Subscript, UnaryOperator, Value,
};
use rules::{Error, Result};

use super::calls::{self, arguments, call, cases, cast, when};
use super::{literals, number, text};

/// The call made of others; `None` where it is none of these.
///
/// # Errors
/// `Invalid` for an element that may be a list's or a map's.
pub(super) fn composed(function: &mut Function, name: &str, count: usize) -> Result<Option<Expr>> {
    let Some(args) = arguments(function) else {
        let is_now =
            name == "current_timestamp" && matches!(function.args, FunctionArguments::None);
        return Ok(is_now.then(|| literals::instant(call("now", Vec::new()))));
    };
    let mut args = args.into_iter();
    let mut next = || args.next().unwrap_or_else(|| number("0"));
    Ok(Some(match (name, count) {
        ("mod", 2) => nested(binary(
            nested(next()),
            BinaryOperator::Modulo,
            nested(next()),
        )),
        // The engine's own gives its results the type of what it asks about.
        ("nvl2", 3) => {
            let is_there = Expr::IsNotNull(Box::new(nested(next())));
            when(is_there, next(), Some(next()))
        }
        ("isnull", 1) => Expr::IsNull(Box::new(nested(next()))),
        ("isnotnull", 1) => Expr::IsNotNull(Box::new(nested(next()))),
        ("equal_null", 2) => nested(Expr::IsNotDistinctFrom(
            Box::new(nested(next())),
            Box::new(nested(next())),
        )),
        ("zeroifnull", 1) => call("coalesce", vec![next(), number("0")]),
        ("nullifzero", 1) => call("nullif", vec![next(), number("0")]),
        ("positive", 1) => nested(next()),
        ("negative", 1) => nested(Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(nested(next())),
        }),
        ("isnan", 1) => call(
            "coalesce",
            vec![call("isnan", vec![next()]), boolean(false)],
        ),
        // Of an object it is none.
        ("json_array_length", 1) => {
            let json = next();
            let start = call("ltrim", vec![json.clone()]);
            let is_list = call("starts_with", vec![start, text("[")]);
            when(is_list, call("json_length", vec![json]), None)
        }
        ("map_contains_key", 2) => {
            let keys = call("map_keys", vec![next()]);
            call("array_contains", vec![keys, next()])
        }
        ("regexp_substr", 2) => {
            let found = call("regexp_extract", vec![next(), next(), number("0")]);
            call("nullif", vec![found, text("")])
        }
        ("count", 2..) => {
            count_of_several(function, args.collect());
            return Ok(None);
        }
        _ => match of_texts_and_lists(name, &mut next, count)? {
            Some(found) => found,
            None => return Ok(of_instants(name, &mut next, count)),
        },
    }))
}

/// Calls that find something in a text, a list or a map, or make one of the other.
fn of_texts_and_lists(
    name: &str,
    next: &mut dyn FnMut() -> Expr,
    count: usize,
) -> Result<Option<Expr>> {
    Ok(Some(match (name, count) {
        ("locate" | "charindex" | "position", 2) => {
            let part = next();
            call("strpos", vec![next(), part])
        }
        ("locate" | "charindex" | "position", 3) => found_from(&next(), &next(), &next()),
        ("get", 2) => {
            let (list, index) = (next(), next());
            let is_there = binary(nested(index.clone()), BinaryOperator::GtEq, number("0"));
            when(is_there, element(list, index), None)
        }
        ("element_at", 2) => element_at(next(), next())?,
        ("decode", 3..) => case((0..count).map(|_| next()).collect()),
        ("decode" | "encode", 2) => {
            let (value, charset) = (next(), next());
            if !is_utf8(&charset) {
                return Ok(None);
            }
            match name {
                "decode" => cast(value, DataType::String(None)),
                _ => cast(value, DataType::Bytea),
            }
        }
        ("sort_array", 2) => {
            let list = next();
            match next() {
                Expr::Value(ascending) if ascending.value == Value::Boolean(false) => {
                    call("array_sort", vec![list, text("DESC"), text("NULLS LAST")])
                }
                Expr::Value(ascending) if ascending.value == Value::Boolean(true) => {
                    call("array_sort", vec![list, text("ASC"), text("NULLS FIRST")])
                }
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    }))
}

/// Calls with instants, zones and what the session says of itself.
fn of_instants(name: &str, next: &mut dyn FnMut() -> Expr, count: usize) -> Option<Expr> {
    Some(match (name, count) {
        ("getdate" | "now" | "current_timestamp", 0) => literals::instant(call("now", Vec::new())),
        // A text may name what no count of nanoseconds reaches; one with a fraction may have nanoseconds.
        ("to_timestamp", 1) => {
            let named = next();
            literals::text_of(&named).filter(|text| !text.contains('.'))?;
            literals::instant(named)
        }
        ("current_timezone", 0) => text("UTC"),
        ("current_database" | "current_schema", 0) => text("default"),
        ("dayname", 1) => call("date_format", vec![next(), text("E")]),
        ("date_from_unix_date", 1) => {
            let days = cast(next(), DataType::Int(None));
            call(
                "date_add",
                vec![call("date", vec![text("1970-01-01")]), days],
            )
        }
        ("make_timestamp", 6) => {
            let day = call("make_date", vec![next(), next(), next()]);
            let time = vec![number("0"), next(), next(), next()];
            let day = literals::instant(day);
            let time = call("make_dt_interval", time);
            nested(binary(day, BinaryOperator::Plus, time))
        }
        ("convert_timezone", 2) => {
            let zone = next();
            call("from_utc_timestamp", vec![next(), zone])
        }
        ("convert_timezone", 3) => {
            let (from, to) = (next(), next());
            let instant = call("to_utc_timestamp", vec![next(), from]);
            call("from_utc_timestamp", vec![instant, to])
        }
        _ => return None,
    })
}

fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).with_empty_span())
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

/// `list[index]`, which counts from 0, or `map[key]`.
pub(super) fn element(value: Expr, index: Expr) -> Expr {
    Expr::CompoundFieldAccess {
        root: Box::new(value),
        access_chain: vec![AccessExpr::Subscript(Subscript::Index { index })],
    }
}

/// Of a list by its place, from 1, or of a map by a text.
fn element_at(value: Expr, index: Expr) -> Result<Expr> {
    let place = match &index {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => expr.as_ref(),
        other => other,
    };
    match place {
        Expr::Value(place) if matches!(place.value, Value::Number(..)) => {
            Ok(call("array_element", vec![value, index]))
        }
        _ if literals::text_of(&index).is_some() => Ok(element(value, index)),
        _ => Err(Error::invalid(
            "element_at takes a number of a list or a text of a map here; write list[0], which counts from 0, or map[key]",
        )),
    }
}

/// The one charset of texts here, by its names; the engine's own functions know base64 and hex.
fn is_utf8(charset: &Expr) -> bool {
    literals::text_of(charset).is_some_and(|charset| {
        ["utf-8", "utf8", "us-ascii"].contains(&charset.to_ascii_lowercase().as_str())
    })
}

/// Where the text holds the part at that character or behind it; nowhere before the first character.
fn found_from(part: &Expr, whole: &Expr, from: &Expr) -> Expr {
    let from = &cast(from.clone(), DataType::BigInt(None));
    let rest = call("substring", vec![whole.clone(), from.clone()]);
    let found = call("strpos", vec![rest, part.clone()]);
    let is_there = binary(found.clone(), BinaryOperator::Gt, number("0"));
    let before = binary(nested(from.clone()), BinaryOperator::Minus, number("1"));
    let place = binary(found.clone(), BinaryOperator::Plus, before);
    let found = when(is_there, place, Some(found));
    let is_before = binary(nested(from.clone()), BinaryOperator::Lt, number("1"));
    when(is_before, number("0"), Some(found))
}

/// `decode(value, key, result, …, otherwise)`, in which NULL is a key.
fn case(mut args: Vec<Expr>) -> Expr {
    let value = args.remove(0);
    let mut pairs = args.chunks_exact(2);
    let conditions = pairs.by_ref().map(|pair| CaseWhen {
        condition: Expr::IsNotDistinctFrom(
            Box::new(nested(value.clone())),
            Box::new(nested(pair[0].clone())),
        ),
        result: pair[1].clone(),
    });
    let conditions = conditions.collect();
    let otherwise = pairs.remainder().first().cloned();
    cases(conditions, otherwise)
}

/// `struct(a, t.b, 1)` with the names of its columns, and `col3`; the engine numbers them from 0.
pub(super) fn named_struct(values: &[Expr], declared: &[StructField]) -> Option<Expr> {
    if !declared.is_empty() {
        return None;
    }
    let name = |value: &Expr| match value {
        Expr::Identifier(name) | Expr::Named { name, .. } => Some(name.value.clone()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        _ => None,
    };
    let names: Vec<_> = values.iter().map(name).collect();
    let named = values.iter().zip(names).enumerate();
    let named = named.flat_map(|(at, (value, name))| {
        let value = match value {
            Expr::Named { expr, .. } => expr.as_ref(),
            value => value,
        };
        let name = name.unwrap_or_else(|| format!("col{}", at + 1));
        [text(&name), value.clone()]
    });
    Some(call("named_struct", named.collect()))
}

/// `count(DISTINCT a, b)` counts the different rows in which none is NULL, `count(a, b)` all of these.
fn count_of_several(function: &mut Function, args: Vec<Expr>) {
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let are_there = args
        .iter()
        .map(|value| Expr::IsNotNull(Box::new(nested(value.clone()))))
        .reduce(|all, one| binary(all, BinaryOperator::And, one));
    let Some(are_there) = are_there else {
        return;
    };
    let counted = match is_distinct {
        true => call("struct", args),
        false => number("1"),
    };
    let counted = when(are_there, counted, None);
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(counted))];
}

/// `listagg(x, ',') WITHIN GROUP (ORDER BY y)` with its order where the engine looks for it.
pub(super) fn order_within(function: &mut Function) {
    let is_joined =
        calls::name(function).is_some_and(|name| matches!(name.as_str(), "listagg" | "string_agg"));
    if let FunctionArguments::List(list) = &mut function.args
        && is_joined
        && !function.within_group.is_empty()
    {
        let order = std::mem::take(&mut function.within_group);
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
}

/// `n * INTERVAL '1' DAY`, in either order, as an interval of so many; `None` where the interval is none of one unit.
///
/// # Errors
/// `Invalid` for a fraction of a unit.
pub(super) fn times(left: &Expr, right: &Expr) -> Result<Option<Expr>> {
    let (interval, factor) = match (left, right) {
        (Expr::Interval(_), Expr::Interval(_)) => return Ok(None),
        (Expr::Interval(interval), factor) | (factor, Expr::Interval(interval)) => {
            (interval, factor)
        }
        _ => return Ok(None),
    };
    let Some((count, unit)) = of_one_unit(interval) else {
        return Ok(None);
    };
    if let Expr::Value(value) = factor
        && let Value::Number(factor, _) = &value.value
        && factor.parse::<i64>().is_err()
    {
        return Err(Error::invalid(format!(
            "{factor} times an interval is no whole number of its units; write it in a smaller unit, such as 90 * INTERVAL '1' \
             MINUTE"
        )));
    }
    let count = binary(
        nested(factor.clone()),
        BinaryOperator::Multiply,
        number(&count),
    );
    calls::units(&unit, count).map(Some)
}

/// How many of which unit.
fn of_one_unit(interval: &Interval) -> Option<(String, String)> {
    let written = literals::text_of(&interval.value)?;
    let (count, unit) = match &interval.leading_field {
        Some(unit) => (written.trim().to_owned(), unit.to_string()),
        None => {
            let (count, unit) = written.trim().split_once(' ')?;
            (count.to_owned(), unit.trim().to_owned())
        }
    };
    count.parse::<i64>().ok()?;
    Some((count, unit))
}
