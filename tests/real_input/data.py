"""The organization as its files describe it: what every expectation of check.py is computed from.

Reads `<table>.ndjson` from one folder. Not here: anything about the server.
"""

import datetime as dt
import json
import pathlib
import re

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# Dates, and times without a zone: the wire contract names no column type for them.
NO_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?)?")


class Data:
    """The rows of every table as dictionaries, in the order of the file: `data.messages`, `data["messages"]`."""

    def __init__(self, folder, only=None):
        names = only or sorted(path.stem for path in pathlib.Path(folder).glob("*.ndjson"))
        self.tables = {name: read(pathlib.Path(folder) / f"{name}.ndjson") for name in names}

    def __getitem__(self, table):
        return self.tables[table]

    def __getattr__(self, table):
        try:
            return self.tables[table]
        except KeyError:
            raise AttributeError(table) from None

    def logs(self):
        """Every prompt log in the order the archive has: ascending bytes of the key."""
        return sorted(self.tables.get("prompt_logs", []), key=lambda log: log["log_key"].encode())


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def entries(log):
    """The entries of one log in an archive: (name, bytes), as section 1 of the wire contract has them."""
    key, found = log["log_key"], []
    if log.get("system") is not None:
        found.append((f"{key}-system", log["system"].encode()))
    if log.get("history") is not None:
        found.append((f"{key}-history", "\n---\n".join(log["history"]).encode()))
    return found


def at(text):
    """An ISO-8601 instant as a datetime in UTC."""
    return dt.datetime.fromisoformat(text).astimezone(dt.timezone.utc)


def today():
    return dt.datetime.now(dt.timezone.utc).date()


def instant(moment):
    """A TIMESTAMP as the wire writes it: UTC, and as many digits of fraction as are needed (none, 3 or 6)."""
    micros = moment.microsecond
    fraction = "" if micros == 0 else f".{micros // 1000:03d}" if micros % 1000 == 0 else f".{micros:06d}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def column_types(rows):
    """The types a column may have once imported, by name, judged from all of its values."""
    values = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return {name: column_type([value for value in column if value is not None]) for name, column in values.items()}


def column_type(values):
    if values and all(isinstance(value, bool) for value in values):
        return {"BOOLEAN"}
    if values and all(isinstance(value, int) for value in values):
        return {"BIGINT"}
    if values and all(isinstance(value, int | float) for value in values):
        return {"DOUBLE"}
    if values and all(isinstance(value, str) and INSTANT.fullmatch(value) for value in values):
        return {"TIMESTAMP"}
    if values and all(isinstance(value, str) and NO_INSTANT.fullmatch(value) for value in values):
        return {"STRING", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ"}
    return {"STRING"}
