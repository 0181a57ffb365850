//! The calls of the dialect that are no functions of the session.

/// What is rewritten and has no function of its own: name, usage, description.
pub(in super::super) const REWRITTEN: &[(&str, &str, &str)] = &[
    ("charindex", "charindex(part, text)", "The same as locate."),
    (
        "convert_timezone",
        "convert_timezone(from, to, instant)",
        "What clocks of the second zone show when those of the first, by default UTC, show the instant.",
    ),
    (
        "count_if",
        "count_if(condition)",
        "How often the condition is true.",
    ),
    (
        "current_database",
        "current_database()",
        "The schema that tables without one are looked for in: default; current_schema() is the same.",
    ),
    (
        "current_schema",
        "current_schema()",
        "The same as current_database.",
    ),
    (
        "current_timezone",
        "current_timezone()",
        "The zone of instants: UTC.",
    ),
    (
        "date_from_unix_date",
        "date_from_unix_date(days)",
        "The day so many days after 1970-01-01.",
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
    (
        "dayname",
        "dayname(instant)",
        "The day of the week: Mon to Sun.",
    ),
    ("dayofmonth", "dayofmonth(instant)", "The day of the month."),
    (
        "dayofweek",
        "dayofweek(instant)",
        "The day of the week, Sunday being 1.",
    ),
    ("dayofyear", "dayofyear(instant)", "The day of the year."),
    (
        "decode",
        "decode(value, key, result, ..., otherwise)",
        "The result of the first key that is the value, NULL included; decode(binary, 'utf-8') reads a text.",
    ),
    (
        "element_at",
        "element_at(list, place)",
        "The element at a place, from 1, and from -1 backwards; of a map the value of a key.",
    ),
    (
        "equal_null",
        "equal_null(a, b)",
        "Whether both are the same or both NULL; the operator <=> is the same.",
    ),
    (
        "exists",
        "exists(list, x -> condition)",
        "Whether the condition is true of an element.",
    ),
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
        "get",
        "get(list, index)",
        "The element at an index, from 0; NULL where there is none.",
    ),
    ("getdate", "getdate()", "The same as now."),
    (
        "isnotnull",
        "isnotnull(value)",
        "Whether the value is not NULL.",
    ),
    ("isnull", "isnull(value)", "Whether the value is NULL."),
    (
        "locate",
        "locate(part, text, from)",
        "Where the text holds the part, from 1, at the character from or behind it; 0 where it does not.",
    ),
    (
        "make_timestamp",
        "make_timestamp(year, month, day, hour, minute, second)",
        "The instant, in UTC.",
    ),
    (
        "map_contains_key",
        "map_contains_key(map, key)",
        "Whether the map has the key.",
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
    (
        "nullifzero",
        "nullifzero(number)",
        "The number, NULL where it is 0.",
    ),
    ("positive", "positive(number)", "The number as it is."),
    ("quarter", "quarter(instant)", "The quarter of the year."),
    (
        "regexp_substr",
        "regexp_substr(text, pattern)",
        "The first match, NULL where there is none.",
    ),
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
    (
        "zeroifnull",
        "zeroifnull(number)",
        "The number, 0 where it is NULL.",
    ),
];

/// What to write in place of what is not there.
pub(super) const INSTEAD: &[(&str, &str)] = &[
    (
        "aggregate",
        "unnest(list) in a subquery, and aggregate its elements",
    ),
    ("bround", "round(x, n), which rounds halves away from zero"),
    ("forall", "NOT any_match(list, x -> NOT …)"),
    (
        "from_json",
        "get_json_object(column, '$.a') or column:a::INT",
    ),
    ("hash", "xxhash64(x)"),
    (
        "histogram_numeric",
        "count(*) with GROUP BY width_bucket(x, low, high, n)",
    ),
    ("inline", "unnest(list)"),
    (
        "json_tuple",
        "get_json_object(column, '$.a'), once for each field",
    ),
    ("map_filter", "map_keys(map) and map_values(map)"),
    (
        "mode",
        "max_by(value, n) over a subquery that counts: SELECT value, count(*) AS n … GROUP BY value",
    ),
    ("parse_json", "get_json_object(column, '$.a') or column:a"),
    (
        "percentile_disc",
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY x), or percentile_approx(x, 0.5)",
    ),
    ("posexplode", "unnest(list)"),
    (
        "reduce",
        "unnest(list) in a subquery, and aggregate its elements",
    ),
    ("schema_of_json", "json_object_keys(column)"),
    ("stack", "VALUES or UNION ALL"),
    ("to_csv", "array_to_string(array(a, b), ',')"),
    (
        "to_json",
        "the value itself: answers hold lists and structs as JSON",
    ),
    ("to_number", "CAST(text AS DECIMAL(10, 2))"),
    (
        "to_varchar",
        "CAST(x AS STRING), date_format(instant, 'yyyy-MM-dd') or format_number(x, 2)",
    ),
    (
        "try_add",
        "TRY_CAST(CAST(a AS DECIMAL(38, 0)) + b AS BIGINT)",
    ),
    ("try_avg", "avg(x)"),
    (
        "try_multiply",
        "TRY_CAST(CAST(a AS DECIMAL(38, 0)) * b AS BIGINT)",
    ),
    (
        "try_subtract",
        "TRY_CAST(CAST(a AS DECIMAL(38, 0)) - b AS BIGINT)",
    ),
    ("try_to_number", "TRY_CAST(text AS DECIMAL(10, 2))"),
    ("variant_get", "get_json_object(column, '$.a') or column:a"),
    ("zip_with", "arrays_zip(a, b), and transform"),
];
