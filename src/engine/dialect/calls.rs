//! Calls that the engine has in other words.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, DateTimeField, ExactNumberInfo, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments,
    Interval, NullTreatment, ObjectNamePart, OrderByExpr, OrderByOptions, TimezoneInfo, Value,
};
use rules::{Error, Result};

use super::composed::{composed, order_within};
use super::words::INSTEAD;
use super::{literals, number, object_name, take, text};

/// The call in the engine's words; `None` where it has the same.
pub(super) fn rewrite(function: &mut Function) -> Result<Option<Expr>> {
    let Some(name) = name(function) else {
        return Ok(None);
    };
    if let Some((_, instead)) = INSTEAD.iter().find(|(missing, _)| *missing == name) {
        return Err(Error::invalid(format!(
            "{name} is not there; write {instead}"
        )));
    }
    let count = arguments(function).map_or(usize::MAX, |arguments| arguments.len());
    if let Some(part) = part_of_date(&name).filter(|_| count == 1) {
        return Ok(Some(call_of(function, "date_part", |args| {
            // A text that names a day or an instant.
            if let Expr::Value(_) = &args[0] {
                args[0] = cast(
                    args[0].clone(),
                    DataType::Timestamp(None, TimezoneInfo::None),
                );
            }
            args.insert(0, text(part));
        })));
    }
    if let Some(data_type) = type_of_cast(&name).filter(|_| count == 1) {
        return Ok(Some(cast(first(function), data_type)));
    }
    check(function, &name, count)?;
    order_within(function);
    if let Some(expr) = composed(function, &name, count)? {
        return Ok(Some(expr));
    }
    Ok(match (name.as_str(), count) {
        ("space", 1) => in_arguments(function, |args| {
            let count = args.pop().map(|count| cast(count, DataType::Int(None)));
            args.extend(count);
        }),
        ("explode", 1) => renamed(function, "unnest"),
        ("explode_outer", 1) => renamed(function, "unnest_outer"),
        ("transform", 2) => renamed(function, "array_transform"),
        ("filter", 2) => renamed(function, "array_filter"),
        ("exists", 2) => renamed(function, "any_match"),
        ("regexp_replace", 3 | 4) => in_arguments(function, |args| {
            literals::replacement(&mut args[2]);
            if args.len() == 3 {
                args.push(text("g"));
            }
        }),
        // Spark has the text that is trimmed behind, and the list before its element.
        ("ltrim" | "rtrim", 2)
        | ("array_prepend" | "array_push_front" | "list_prepend" | "list_push_front", 2) => {
            in_arguments(function, |args| args.reverse())
        }
        ("percentile_approx" | "approx_percentile", 3) => in_arguments(function, |args| {
            args.truncate(2);
        }),
        // The engine's own is to base 10.
        ("log", 1) => renamed(function, "ln"),
        ("array_remove", 2) => renamed(function, "array_remove_all"),
        ("array_sort", 1) => in_arguments(function, |args| {
            args.extend([text("ASC"), text("NULLS LAST")]);
        }),
        _ => return of_instants(function, &name, count),
    })
}

/// Calls with dates and instants.
fn of_instants(function: &mut Function, name: &str, count: usize) -> Result<Option<Expr>> {
    Ok(match (name, count) {
        ("date_add" | "dateadd" | "date_sub" | "add_months", 2) => in_arguments(function, |args| {
            let count = args.pop().map(|count| cast(count, DataType::Int(None)));
            let day = args.pop().map(|day| call("date", vec![day]));
            args.extend(day.into_iter().chain(count));
        }),
        ("trunc", 2) => {
            let mut args = arguments(function).unwrap_or_default();
            args.reverse();
            full_unit(&mut args);
            args[1] = literals::instant(call("date", vec![args[1].clone()]));
            Some(cast(call("date_trunc", args), DataType::Date))
        }
        ("last_day", 1) | ("next_day", 2) => in_arguments(function, |args| {
            let day = call("date", vec![args.remove(0)]);
            args.insert(0, day);
        }),
        ("date_trunc", 2) => in_arguments(function, |args| full_unit(args)),
        ("to_timestamp", 2) => renamed(function, "parse_timestamp"),
        ("to_date" | "try_to_date" | "unix_timestamp" | "to_unix_timestamp", 2) => {
            let (of, read) = match name {
                "to_date" => ("date", "parse_timestamp"),
                "try_to_date" => ("date", "try_to_timestamp"),
                _ => ("unix_seconds", "parse_timestamp"),
            };
            let instant = call_of(function, read, |_| {});
            Some(call(of, vec![instant]))
        }
        ("try_to_timestamp", 1) => Some(literals::try_instant(first(function))),
        ("unix_timestamp", 0) => Some(call("unix_seconds", vec![call("now", Vec::new())])),
        ("from_unixtime", 1 | 2) => Some(from_unixtime(function)),
        ("datediff" | "date_diff" | "timestampdiff", 3) => {
            in_arguments(function, |args| unit_as_text(args));
            renamed(function, "timestampdiff")
        }
        ("dateadd" | "date_add" | "timestampadd", 3) => Some(date_add(function)?),
        _ => aggregate(function, name, count),
    })
}

/// Refuses what the engine would fail at without a cure.
fn check(function: &Function, name: &str, count: usize) -> Result<()> {
    let args = arguments(function).unwrap_or_default();
    match (name, count) {
        ("date_part" | "datepart", 2) => literals::check_part(&args[0]),
        (
            "rlike" | "regexp" | "regexp_like" | "regexp_extract" | "regexp_replace"
            | "regexp_count" | "regexp_instr" | "regexp_match" | "split",
            2..=5,
        ) => literals::check_pattern(&args[1]),
        ("collect_list" | "collect_set", _) if is_ordered(function) => {
            Err(Error::invalid(format!(
                "{name} takes no ORDER BY; write array_agg(x ORDER BY y) FILTER (WHERE x IS NOT NULL), or \
                 array_sort({name}(x))"
            )))
        }
        _ => Ok(()),
    }
}

fn is_ordered(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    let is_order = |clause: &_| matches!(clause, FunctionArgumentClause::OrderBy(_));
    list.clauses.iter().any(is_order)
}

/// Calls of aggregate functions.
fn aggregate(function: &mut Function, name: &str, count: usize) -> Option<Expr> {
    match (name, count) {
        ("count_if", 1) => {
            in_arguments(function, |args| {
                let condition = std::mem::take(args).pop();
                args.extend(condition.map(|condition| when(condition, number("1"), None)));
            });
            renamed(function, "count")
        }
        ("max_by", 2) => Some(by(function, false)),
        ("min_by", 2) => Some(by(function, true)),
        ("first" | "last" | "first_value" | "last_value" | "any_value", 2) => {
            ignore_nulls(function)
        }
        _ => None,
    }
}

/// The function's name in lower case; `None` for one with a schema.
pub(super) fn name(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name.value.to_ascii_lowercase()),
        _ => None,
    }
}

/// The arguments, where all of them are plain expressions.
pub(super) fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(plain).collect()
}

/// A plain call.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: object_name(name),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn argument(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

/// Renames a call where it stands.
fn renamed(function: &mut Function, name: &str) -> Option<Expr> {
    function.name = object_name(name);
    None
}

/// Changes arguments where they stand.
fn in_arguments(function: &mut Function, change: impl FnOnce(&mut Vec<Expr>)) -> Option<Expr> {
    let mut args = arguments(function)?;
    if let FunctionArguments::List(list) = &mut function.args {
        change(&mut args);
        list.args = args.into_iter().map(argument).collect();
    }
    None
}

/// Another call of the same arguments, changed.
fn call_of(function: &Function, name: &str, change: impl FnOnce(&mut Vec<Expr>)) -> Expr {
    let mut args = arguments(function).unwrap_or_default();
    change(&mut args);
    call(name, args)
}

fn first(function: &Function) -> Expr {
    let mut args = arguments(function).unwrap_or_default();
    args.swap_remove(0)
}

fn part_of_date(name: &str) -> Option<&'static str> {
    Some(match name {
        "year" => "year",
        "quarter" => "quarter",
        "month" => "month",
        "weekofyear" => "week",
        "day" | "dayofmonth" => "day",
        "dayofweek" => "dow",
        "dayofyear" => "doy",
        _ => return None,
    })
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

/// Types whose names cast as functions.
fn type_of_cast(name: &str) -> Option<DataType> {
    Some(match name {
        "string" => DataType::String(None),
        "boolean" => DataType::Boolean,
        "tinyint" => DataType::TinyInt(None),
        "smallint" => DataType::SmallInt(None),
        "int" => DataType::Int(None),
        "bigint" => DataType::BigInt(None),
        "float" => DataType::Float(ExactNumberInfo::None),
        "double" => DataType::Double(ExactNumberInfo::None),
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        _ => return None,
    })
}

/// Spark's short names of units.
fn full_unit(args: &mut [Expr]) {
    let Some(unit) = literals::text_of(&args[0]) else {
        return;
    };
    let full = match unit.to_ascii_lowercase().as_str() {
        "yy" | "yyyy" => "year",
        "mm" | "mon" => "month",
        "dd" => "day",
        _ => return,
    };
    args[0] = text(full);
}

/// A bare `DAY` as the text of it.
fn unit_as_text(args: &mut [Expr]) {
    if let Expr::Identifier(unit) = &args[0] {
        args[0] = text(&unit.value);
    }
}

fn from_unixtime(function: &Function) -> Expr {
    let mut args = arguments(function).unwrap_or_default();
    let pattern = match args.len() {
        1 => text("yyyy-MM-dd HH:mm:ss"),
        _ => args.swap_remove(1),
    };
    let instant = call("to_timestamp_seconds", args);
    call("date_format", vec![instant, pattern])
}

pub(super) fn when(condition: Expr, result: Expr, otherwise: Option<Expr>) -> Expr {
    cases(vec![CaseWhen { condition, result }], otherwise)
}

pub(super) fn cases(conditions: Vec<CaseWhen>, otherwise: Option<Expr>) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: otherwise.map(Box::new),
    }
}

/// `max_by(value, by)` is the first value in the order of `by`, of the rows that have one.
fn by(function: &Function, is_least: bool) -> Expr {
    let mut args = arguments(function).unwrap_or_default();
    let key = args.swap_remove(1);
    let is_there = Expr::IsNotNull(Box::new(key.clone()));
    let filter = match &function.filter {
        Some(filter) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(filter.clone())),
            op: BinaryOperator::And,
            right: Box::new(is_there),
        },
        None => is_there,
    };
    let order = OrderByExpr {
        expr: key,
        options: OrderByOptions {
            asc: Some(is_least),
            nulls_first: None,
        },
        with_fill: None,
    };
    let mut first = call("first_value", args);
    if let Expr::Function(first) = &mut first {
        first.filter = Some(Box::new(filter));
        first.over.clone_from(&function.over);
        if let FunctionArguments::List(list) = &mut first.args {
            list.clauses
                .push(FunctionArgumentClause::OrderBy(vec![order]));
        }
    }
    first
}

/// `first(value, true)` takes the first that is not NULL.
fn ignore_nulls(function: &mut Function) -> Option<Expr> {
    let args = arguments(function)?;
    let Expr::Value(ignores) = &args[1] else {
        return None;
    };
    let Value::Boolean(ignores) = ignores.value else {
        return None;
    };
    if ignores && name(function).as_deref() != Some("any_value") {
        function.null_treatment = Some(NullTreatment::IgnoreNulls);
    }
    in_arguments(function, |args| args.truncate(1))
}

/// `dateadd(unit, count, instant)` is a sum with an interval.
fn date_add(function: &Function) -> Result<Expr> {
    let args = arguments(function).unwrap_or_default();
    let [unit, count, instant] = args.as_slice() else {
        return Err(Error::invalid(
            "dateadd takes a unit, a count and an instant",
        ));
    };
    let unit = match unit {
        Expr::Identifier(unit) => unit.value.clone(),
        Expr::Value(value) => value.value.clone().into_string().unwrap_or_default(),
        other => other.to_string(),
    };
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(instant.clone()),
        op: BinaryOperator::Plus,
        right: Box::new(units(&unit, count.clone())?),
    })))
}

/// That many units as an interval.
pub(super) fn units(unit: &str, count: Expr) -> Result<Expr> {
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('s').unwrap_or(&unit);
    let times = |factor: &str| Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(count.clone()))),
        op: BinaryOperator::Multiply,
        right: Box::new(number(factor)),
    };
    let (place, count) = match unit {
        "year" => (0, count),
        "quarter" => (1, times("3")),
        "month" => (1, count),
        "week" => (2, count),
        "day" => (3, count),
        "hour" => (4, count),
        "minute" => (5, count),
        "second" => (6, count),
        "millisecond" => (6, times("0.001")),
        "microsecond" => (6, times("0.000001")),
        _ => {
            return Err(Error::invalid(format!(
                "{unit} is no unit of time; use MICROSECOND, MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER \
                 or YEAR"
            )));
        }
    };
    let mut args = vec![number("0"); place];
    args.push(count);
    Ok(call("make_interval", args))
}

/// `INTERVAL count DAY` where the count is no constant; the engine reads constants only.
pub(super) fn interval(interval: &mut Interval) -> Result<Option<Expr>> {
    let (Some(unit), None) = (&interval.leading_field, &interval.last_field) else {
        return match interval.last_field {
            Some(_) => Err(Error::invalid(
                "intervals of two units are not there; write their sum, such as INTERVAL '1' DAY + INTERVAL '2' HOUR",
            )),
            None => Ok(None),
        };
    };
    // Where a window begins the engine reads a text only.
    if let Expr::Value(value) = interval.value.as_mut()
        && let Value::Number(count, _) = &value.value
    {
        value.value = Value::SingleQuotedString(count.clone());
    }
    let is_constant = match interval.value.as_ref() {
        Expr::Value(_) => true,
        Expr::UnaryOp { expr, .. } => matches!(expr.as_ref(), Expr::Value(_)),
        _ => false,
    };
    if is_constant || matches!(unit, DateTimeField::Custom(_)) {
        return Ok(None);
    }
    let unit = unit.to_string();
    units(&unit, take(&mut interval.value)).map(Some)
}
