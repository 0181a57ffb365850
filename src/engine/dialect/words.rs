//! The calls of the dialect that are no functions of the session.

/// What is rewritten and has no function of its own: name, usage, description.
pub(in super::super) const REWRITTEN: &[(&str, &str, &str)] = &[
    (
        "count_if",
        "count_if(condition)",
        "How often the condition is true.",
    ),
    (
        "dateadd",
        "dateadd(unit, count, instant)",
        "The instant that many units later; date_add and timestampadd with three arguments are the same.",
    ),
    (
        "datediff",
        "datediff(unit, start, end)",
        "The whole units between two instants; datediff(end, start) counts days.",
    ),
    ("day", "day(instant)", "The day of the month."),
    ("dayofmonth", "dayofmonth(instant)", "The day of the month."),
    (
        "dayofweek",
        "dayofweek(instant)",
        "The day of the week, Sunday being 1.",
    ),
    ("dayofyear", "dayofyear(instant)", "The day of the year."),
    (
        "explode",
        "explode(list)",
        "A row for each element; unnest is the same.",
    ),
    (
        "explode_outer",
        "explode_outer(list)",
        "The same, with a row for a list that is empty or NULL.",
    ),
    (
        "filter",
        "filter(list, x -> condition)",
        "The elements for which the condition is true.",
    ),
    (
        "from_unixtime",
        "from_unixtime(seconds, pattern)",
        "The instant of a Unix time as text, by default as yyyy-MM-dd HH:mm:ss.",
    ),
    (
        "isnotnull",
        "isnotnull(value)",
        "Whether the value is not NULL.",
    ),
    ("isnull", "isnull(value)", "Whether the value is NULL."),
    (
        "locate",
        "locate(part, text)",
        "Where the text holds the part, from 1; 0 where it does not.",
    ),
    (
        "max_by",
        "max_by(value, by)",
        "The value where the other is greatest.",
    ),
    (
        "min_by",
        "min_by(value, by)",
        "The value where the other is least.",
    ),
    (
        "mod",
        "mod(a, b)",
        "The remainder of a / b with the sign of a; the operator % is the same, and both fail where b is zero.",
    ),
    ("month", "month(instant)", "The month of the year."),
    ("quarter", "quarter(instant)", "The quarter of the year."),
    (
        "timestampadd",
        "timestampadd(unit, count, instant)",
        "The instant that many units later.",
    ),
    (
        "transform",
        "transform(list, x -> value)",
        "The list of the values made of each element.",
    ),
    (
        "unnest",
        "unnest(list)",
        "A row for each element; also in FROM.",
    ),
    (
        "weekofyear",
        "weekofyear(instant)",
        "The week of the year (ISO 8601).",
    ),
    ("year", "year(instant)", "The year."),
];

/// What to write in place of what is not there.
pub(super) const INSTEAD: &[(&str, &str)] = &[
    (
        "aggregate",
        "unnest(list) in a subquery, and aggregate its elements",
    ),
    ("element_at", "list[0], which counts from 0, or map['key']"),
    (
        "from_json",
        "get_json_object(column, '$.a') or column:a::INT",
    ),
    ("forall", "NOT any_match(list, x -> NOT …)"),
    ("inline", "unnest(list)"),
    (
        "json_tuple",
        "get_json_object(column, '$.a'), once for each field",
    ),
    ("parse_json", "get_json_object(column, '$.a') or column:a"),
    ("posexplode", "unnest(list)"),
    (
        "reduce",
        "unnest(list) in a subquery, and aggregate its elements",
    ),
    ("schema_of_json", "json_object_keys(column)"),
    ("stack", "VALUES or UNION ALL"),
    (
        "to_json",
        "the value itself: answers hold lists and structs as JSON",
    ),
    ("variant_get", "get_json_object(column, '$.a') or column:a"),
];
