//! Usage and description of functions whose own documentation is empty.

pub(super) const UNDOCUMENTED: &[(&str, &str)] = &[
    (
        "add_months(date, count)",
        "The date that many months later.",
    ),
    ("array(value, …)", "The list of the values."),
    (
        "array_contains(list, value)",
        "Whether the list holds the value.",
    ),
    (
        "array_position(array, element)",
        "Where the list holds the element first, from 1; 0 where it does not.",
    ),
    (
        "array_prepend(array, element)",
        "The list with the element in front.",
    ),
    (
        "arrays_overlap(list, list)",
        "Whether the lists share an element; NULL where they share none and one of them holds NULL.",
    ),
    (
        "array_repeat(value, count)",
        "The list that holds the value so often.",
    ),
    ("base64(bytes)", "The bytes as Base64."),
    ("bin(number)", "The whole number in binary digits."),
    ("bit_count(number)", "How many bits of the number are set."),
    (
        "bit_get(number, position)",
        "The bit at a position from 0, 0 or 1.",
    ),
    ("bitwise_not(number)", "The number with every bit turned."),
    ("ceil(number)", "The least whole number that is not less."),
    ("char(code)", "The ASCII character of a code."),
    (
        "collect_list(value)",
        "The list of the values that are not NULL.",
    ),
    (
        "collect_set(value)",
        "The list of the different values that are not NULL.",
    ),
    (
        "concat(text, …)",
        "The texts one after the other; NULL where one of them is.",
    ),
    (
        "concat_ws(separator, text, …)",
        "The texts, or those in lists, with the separator between them; NULLs are left out.",
    ),
    ("crc32(bytes)", "The CRC-32 of the bytes."),
    ("csc(number)", "The cosecant."),
    ("date_add(date, days)", "The date that many days later."),
    ("date_diff(end, start)", "The days between two dates."),
    (
        "date_part(part, instant)",
        "A part of an instant, such as 'year', 'week' or 'hour'; 'dow' counts Sunday as 1.",
    ),
    ("date_sub(date, days)", "The date that many days earlier."),
    ("elt(number, value, …)", "The value of that number, from 1."),
    ("expm1(number)", "exp(number) - 1."),
    (
        "floor(number)",
        "The greatest whole number that is not greater.",
    ),
    (
        "format_string(format, value, …)",
        "The values in a format of printf.",
    ),
    (
        "from_utc_timestamp(instant, zone)",
        "The time that the clocks of a zone show at an instant of UTC.",
    ),
    (
        "hex(value)",
        "A whole number, text or bytes in hexadecimal digits.",
    ),
    ("hour(instant)", "The hour of the day."),
    ("hypot(a, b)", "sqrt(a² + b²)."),
    (
        "if(condition, value, otherwise)",
        "The value where the condition is true, the other one elsewhere.",
    ),
    ("is_valid_utf8(bytes)", "Whether the bytes are UTF-8."),
    (
        "json_as_text(json, key, …)",
        "What lies at the keys and positions of a JSON text, a text bare, else as JSON; the operator ->> is the same.",
    ),
    (
        "json_contains(json, key, …)",
        "Whether there is something at the keys.",
    ),
    (
        "json_get_array(json, key, …)",
        "The list at the keys, its elements as JSON.",
    ),
    (
        "json_get_bool(json, key, …)",
        "The truth value at the keys.",
    ),
    (
        "json_get_float(json, key, …)",
        "The number at the keys as DOUBLE.",
    ),
    (
        "json_get_int(json, key, …)",
        "The whole number at the keys.",
    ),
    (
        "json_get_json(json, key, …)",
        "What lies at the keys as JSON; the operator -> is the same.",
    ),
    ("json_get_str(json, key, …)", "The text at the keys."),
    (
        "json_length(json, key, …)",
        "How many elements the list or object at the keys has.",
    ),
    (
        "json_object_keys(json, key, …)",
        "The names of the fields of the object at the keys.",
    ),
    ("last_day(date)", "The last day of the date's month."),
    (
        "length(value)",
        "The characters of a text, the bytes of bytes.",
    ),
    (
        "luhn_check(digits)",
        "Whether the digits have a right check digit of Luhn.",
    ),
    (
        "make_dt_interval(days, hours, minutes, seconds)",
        "An interval of days and less.",
    ),
    (
        "make_interval(years, months, weeks, days, hours, minutes, seconds)",
        "An interval; what is left out is 0.",
    ),
    (
        "make_valid_utf8(bytes)",
        "The text with U+FFFD where the bytes are not UTF-8.",
    ),
    (
        "map_from_arrays(keys, values)",
        "The map of two lists of one length.",
    ),
    (
        "map_from_entries(entries)",
        "The map of a list of structs of key and value.",
    ),
    ("minute(instant)", "The minute of the hour."),
    ("monthname(date)", "The short English name of the month."),
    ("negative(number)", "-number."),
    (
        "next_day(date, weekday)",
        "The first such weekday after the date.",
    ),
    (
        "parse_url(url, part, key)",
        "A part of a URL: 'HOST', 'PATH', 'QUERY', 'REF', 'PROTOCOL', …, or a key of its query.",
    ),
    (
        "pmod(a, b)",
        "The remainder of a / b that is not negative; NULL where b is zero.",
    ),
    ("quote(text)", "The text in single quotes."),
    (
        "rint(number)",
        "The nearest whole number as DOUBLE, of two the even one.",
    ),
    (
        "round(number, digits)",
        "The number rounded to that many digits behind the point, by default 0; a half goes away from zero.",
    ),
    ("sec(number)", "The secant."),
    ("second(instant)", "The second of the minute."),
    ("sha1(bytes)", "The SHA-1 in hexadecimal digits."),
    (
        "sha2(bytes, bits)",
        "The SHA-2 of 224, 256, 384 or 512 bits in hexadecimal digits.",
    ),
    (
        "sequence(start, stop, step)",
        "The list of whole numbers or instants from start to stop, both included; whole numbers go downwards where stop is \
         less; dates want a step, such as INTERVAL 1 DAY.",
    ),
    ("shiftleft(number, bits)", "The number shifted to the left."),
    (
        "shiftright(number, bits)",
        "The number shifted to the right, keeping its sign.",
    ),
    (
        "shiftrightunsigned(number, bits)",
        "The number shifted to the right, zeros coming in.",
    ),
    (
        "size(list)",
        "How many elements a list or map has; -1 for NULL.",
    ),
    (
        "slice(list, start, length)",
        "That many elements from a position, which counts from 1, or from -1 backwards.",
    ),
    ("soundex(text)", "The Soundex code."),
    ("space(count)", "That many spaces."),
    (
        "str_to_map(text, pair_separator, value_separator)",
        "The map of the pairs in a text, by default of a:1,b:2.",
    ),
    (
        "substring(text, start, length)",
        "The part from a position, which counts from 1, or from -1 backwards.",
    ),
    (
        "to_utc_timestamp(instant, zone)",
        "The instant of UTC at which the clocks of a zone show that time.",
    ),
    (
        "trunc(date, unit)",
        "The first day of the date's 'YEAR', 'QUARTER', 'MONTH' or 'WEEK'.",
    ),
    (
        "try_parse_url(url, part, key)",
        "The same as parse_url, NULL where the text is no URL.",
    ),
    (
        "try_sum(number)",
        "The sum, NULL where it is too large for its type.",
    ),
    (
        "try_url_decode(text)",
        "The same as url_decode, NULL where the text is not encoded so.",
    ),
    ("unbase64(text)", "The bytes of a Base64 text."),
    ("unhex(text)", "The bytes of hexadecimal digits."),
    ("unix_date(date)", "The days since 1970-01-01."),
    (
        "unix_micros(instant)",
        "The microseconds since 1970-01-01 00:00:00 UTC.",
    ),
    (
        "url_decode(text)",
        "The text of application/x-www-form-urlencoded.",
    ),
    (
        "url_encode(text)",
        "The text as application/x-www-form-urlencoded.",
    ),
    ("weekday(date)", "The day of the week, Monday being 0."),
    (
        "width_bucket(value, min, max, count)",
        "The number of the bucket, of that many between min and max, the value falls in.",
    ),
    ("xxhash64(value, …)", "A 64-bit hash of the values."),
    (
        "bool_or(expression)",
        "Returns true if any non-null input value is true, otherwise false.",
    ),
    (
        "covar_pop(expression1, expression2)",
        "Returns the population covariance of a set of number pairs.",
    ),
    ("empty(array)", "Whether the array has no elements."),
    (
        "map(keys, values)",
        "The map of a list of keys and the list of their values, of one key and one value, or map {key: value}.",
    ),
    (
        "named_struct(name, value, …)",
        "The struct of fields with these names and values.",
    ),
    ("now()", "The instant at which the query began, in UTC."),
    (
        "nullif(expression1, expression2)",
        "NULL where the two are equal, else the first one.",
    ),
    (
        "struct(value, …)",
        "The struct of the values, whose fields have the names that AS gives them, or are c0, c1, …",
    ),
];
