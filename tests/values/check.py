"""Decodes answers as a Python client would and compares them with values that Python computes itself.

Reads a JSON list of vectors (see vectors.json), each with the `body` of its answer as text; prints each difference.
"""

import base64
import datetime
import json
import math
import re
import struct
import sys
from decimal import Decimal

EPOCH = datetime.date(1970, 1, 1)


def single(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def nanos(moment):
    return (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1) * 1000


def days(text):
    """Days since 1970 of an ISO date, whose year may have a sign and six digits."""
    year, month, day = map(int, re.fullmatch(r"([+-]\d{6}|\d{4})-(\d\d)-(\d\d)", text).groups())
    # Python has the years 1 to 9999; the calendar repeats every 400 years, which are 146,097 days.
    cycles = (year - 2000) // 400
    return (datetime.date(year - 400 * cycles, month, day) - EPOCH).days + cycles * 146_097


def moment(text, zoned):
    pattern = r"(.+)T(\d\d):(\d\d):(\d\d)(?:\.(\d{3}|\d{6}|\d{9}))?" + ("Z" if zoned else "")
    day, hour, minute, second, fraction = re.fullmatch(pattern, text).groups()
    seconds = ((days(day) * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def split(text):
    """The parts of `a, b<c, d>` at its outermost commas."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def decode(value, kind, as_text):
    if value is None:
        return None
    name, _, inner = kind.partition("<")
    inner = inner[:-1]
    if name == "ARRAY":
        return [decode(item, inner, as_text) for item in value]
    if name == "STRUCT":
        fields = dict(field.split(": ", 1) for field in split(inner))
        assert list(value) == list(fields), value
        return {key: decode(value[key], fields[key], as_text) for key in fields}
    if name == "MAP":
        key_kind, value_kind = split(inner)
        entries = value.items() if key_kind == "STRING" else [(entry["key"], entry["value"]) for entry in value]
        return {decode(key, key_kind, as_text): decode(item, value_kind, as_text) for key, item in entries}
    if name == "BIGINT":
        assert type(value) is (str if as_text else int), value
        return int(value)
    if name in ("FLOAT", "DOUBLE"):
        assert not isinstance(value, str) or value in ("NaN", "Infinity", "-Infinity"), value
        return single(float(value)) if name == "FLOAT" else float(value)
    if name.startswith("DECIMAL"):
        scale = int(name[:-1].split(",")[1])
        assert Decimal(value).as_tuple().exponent == -scale, value
        return Decimal(value)
    if name == "BINARY":
        return base64.b64decode(value, validate=True)
    if name == "DATE":
        return days(value)
    if name in ("TIMESTAMP", "TIMESTAMP_NTZ"):
        return moment(value, name == "TIMESTAMP")
    return value


def same(one, other):
    """Equality to the bit: NaN is NaN, and -0.0 is not 0.0."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isnan(one) and math.isnan(other) or struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


wrong = 0
vectors = json.load(open(sys.argv[1], encoding="utf-8"))
for vector in vectors:
    if "python" not in vector:
        continue
    body = json.loads(vector["body"])
    column = body["columns"][0]
    expected = eval(vector["python"])
    found = decode(body["result"][0][0], column["type"], column.get("encoding") == "string")
    if not same(found, expected):
        wrong += 1
        print(f"{vector['sql']}: {found!r}, but Python computes {expected!r}")
sys.exit(wrong > 0)
