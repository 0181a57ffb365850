#!/usr/bin/env python3
"""Checks a running server, in which an organization's files were imported, against those very files.

    python check.py --base-url http://127.0.0.1:8080 --org airline --data DIR [--lesser-user ID] [--tables a,b]

Speaks through the platform's official SDK (its sign-in, token refresh and error classes), configured by its own
variables AMIGO_API_KEY, AMIGO_API_KEY_ID and AMIGO_USER_ID; the server's rate limits have to be off. One line a group;
the first difference ends it with exit code 1. What is asked is in queries.py, what is expected comes from data.py.
"""

import argparse
import datetime as dt
import io
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import zipfile
from collections import Counter

sys.dont_write_bytecode = True  # leaves the repository's folder as it is

import amigo_sdk
import queries
from amigo_sdk.http_client import AmigoHttpClient
from data import Data, at, column_types, entries, instant

LOGS_MAX = 1000
ROWS_MAX = 1000


class Difference(Exception):
    """What the server answered is not what the files say."""


class Server:
    """The two endpoints through the SDK's client; `statuses` are those of the latest call, retries included."""

    def __init__(self, base_url, org, **settings):
        config = amigo_sdk.AmigoConfig(
            base_url=base_url, organization_id=org,
            **({name: os.environ[f"AMIGO_{name.upper()}"] for name in ("api_key", "api_key_id", "user_id")} | settings))
        self.org, self.statuses = org, []
        self.client = AmigoHttpClient(
            config, timeout=60, trust_env=False,
            event_hooks={"response": [lambda response: self.statuses.append(response.status_code)]})

    def request(self, method, path, org=None, **options):
        self.statuses.clear()
        response = self.client.request(method, f"/v1/{org or self.org}/admin/{path}", **options)
        equal(f"X-Request-Id of {path}", bool(response.headers.get("x-request-id")), True)
        return response

    def logs(self, prefix, after=None, path="get_prompt_logs/"):
        """(response, zipfile) of one archive."""
        params = {"prompt_log_prefix": prefix} | ({} if after is None else {"after": after})
        response = self.request("GET", path, params=params)
        return response, zipfile.ZipFile(io.BytesIO(response.content))

    def sql(self, text):
        body = self.request("POST", "sql_query", json={"sql_query": text, "async_query": False}).json()
        missing = {"execution_time_ms", "result", "truncated", "columns"} - body.keys()
        equal(f"fields missing in the answer to {text}", sorted(missing), [])
        equal(f"execution_time_ms of {text}", type(body["execution_time_ms"]), int)
        return body


# Comparing


def equal(what, got, expected):
    if not same(got, expected):
        raise Difference(f"{what}\n  {first_difference(got, expected)}")


def same(got, expected):
    """Equal as JSON is: 1 is not true, lists in order; floats to 12 digits, since a sum may be taken in any order."""
    if isinstance(expected, float):
        return isinstance(got, int | float) and not isinstance(got, bool) and math.isclose(got, expected, rel_tol=1e-12)
    if type(got) is not type(expected):
        return False
    if isinstance(expected, list | tuple):
        return len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same(got[key], expected[key]) for key in expected)
    return got == expected


def first_difference(got, expected):
    """Where two values part, told in one place: the first item, byte or character that differs."""
    sequences = str, bytes, list, tuple
    if type(got) is not type(expected) or not isinstance(got, sequences):
        return f"got:      {got!r}\n  expected: {expected!r}"
    pairs = enumerate(zip(got, expected))
    place = next((index for index, (a, b) in pairs if not same(a, b)), min(len(got), len(expected)))
    width = 3 if isinstance(got, list | tuple) else 60
    return (f"lengths {len(got)} and {len(expected)}, first difference at {place}:\n"
            f"  got:      … {got[place:place + width]!r}\n  expected: … {expected[place:place + width]!r}")


def check_archive(what, response, archive, logs, truncated):
    """An archive holds exactly these logs, and its headers and comment say so."""
    headers = response.headers
    equal(f"status of {what}", response.status_code, 200)
    equal(f"Content-Type of {what}", headers.get("content-type", ""), "application/zip")
    disposition = headers.get("content-disposition", "")
    equal(f"Content-Disposition of {what} ({disposition!r}) is an attachment named .zip",
          disposition.startswith("attachment; filename=") and disposition.rstrip('"').endswith(".zip"), True)
    equal(f"X-Prompt-Log-Count of {what}", headers.get("x-prompt-log-count"), str(len(logs)))
    equal(f"X-Prompt-Log-Truncated of {what}", headers.get("x-prompt-log-truncated"), "true" if truncated else "false")
    next_after = headers.get("x-prompt-log-next-after")
    if truncated:
        encoded = next_after or ""
        equal(f"X-Prompt-Log-Next-After of {what}", urllib.parse.unquote(encoded), logs[-1]["log_key"])
        equal(f"X-Prompt-Log-Next-After of {what} is percent-encoded, one way or the other with '/'",
              encoded in [urllib.parse.quote(logs[-1]["log_key"], safe=safe) for safe in ("", "/")], True)
        equal(f"zip comment of {what} says that it is cut", bool(archive.comment.decode().strip()), True)
    else:
        equal(f"X-Prompt-Log-Next-After of {what}", next_after, None)

    expected = [entry for log in logs for entry in entries(log)]
    equal(f"entries of {what}", archive.namelist(), [name for name, _ in expected])
    offsets = [info.header_offset for info in archive.infolist()]
    equal(f"places of the entries of {what}", offsets, sorted(offsets))
    equal(f"testzip of {what}", archive.testzip(), None)
    for name, content in expected:
        equal(f"bytes of {name} in {what}", archive.read(name), content)
    return len(expected)


def unzip_passes(what, content, folder):
    path = pathlib.Path(folder) / "archive.zip"
    path.write_bytes(content)
    done = subprocess.run(["unzip", "-tqq", path], capture_output=True, text=True, check=False, timeout=60)
    equal(f"unzip -t of {what} ({done.stdout}{done.stderr})", done.returncode, 0)


# The groups: each returns what it looked at, for the line it prints.


def conversations(server, data, _args):
    """Every conversation downloads on its own."""
    logs, seen, size = data.logs(), 0, 0
    prefixes = sorted({log["log_key"].split("/")[0] + "/" for log in logs})
    with tempfile.TemporaryDirectory() as folder:
        for prefix in prefixes:
            matching = [log for log in logs if log["log_key"].startswith(prefix)]
            response, archive = server.logs(prefix)
            what = f"prefix {prefix!r}"
            seen += check_archive(what, response, archive, matching[:LOGS_MAX], len(matching) > LOGS_MAX)
            size += sum(info.file_size for info in archive.infolist())
            unzip_passes(what, response.content, folder)
    prefix, log = logs[0]["log_key"], logs[0]
    check_archive("one whole key", *server.logs(prefix), [log], False)
    check_archive("no trailing slash", *server.logs(prefix, path="get_prompt_logs"), [log], False)
    return f"{len(prefixes)} downloads, {len(logs)} logs in {seen} entries, {size:,} bytes, each passes unzip -t"


def large_prefixes(server, data, _args):
    """More than 1,000 logs come in pages: the longest such prefix, and the widest of one character."""
    keys = [log["log_key"] for log in data.logs()]
    sizes = Counter(key[:length] for key in keys for length in range(1, len(key) + 1))
    large = sorted((prefix for prefix, size in sizes.items() if size > LOGS_MAX), key=lambda text: (len(text), text))
    if not large:
        return f"skipped: no prefix of more than {LOGS_MAX} logs in these files"
    chosen = sorted({large[0], large[-1]})
    told = [f"{prefix!r} has {sizes[prefix]} logs in {walk(server, data, prefix)} pages" for prefix in chosen]
    page_edges(server, data, chosen[0])
    return "; ".join(told) + "; exact at 999, 1000 and 1001 remaining"


def walk(server, data, prefix):
    """Follows Next-After to the end; the pages together must be all logs, once each."""
    remaining = [log for log in data.logs() if log["log_key"].startswith(prefix)]
    after, pages = None, 0
    while True:
        response, archive = server.logs(prefix, after)
        pages += 1
        page, remaining = remaining[:LOGS_MAX], remaining[LOGS_MAX:]
        check_archive(f"page {pages} of prefix {prefix!r}", response, archive, page, bool(remaining))
        if not remaining:
            return pages
        after = urllib.parse.unquote(response.headers["x-prompt-log-next-after"])


def page_edges(server, data, prefix):
    """Cut exactly when there is one log more than fits; `after` need not be a key that exists."""
    logs = [log for log in data.logs() if log["log_key"].startswith(prefix)]
    for count in range(LOGS_MAX - 1, min(LOGS_MAX + 2, len(logs))):
        after = logs[-count - 1]["log_key"]
        check_archive(f"prefix {prefix!r} with {count} logs remaining", *server.logs(prefix, after),
                      logs[-count:][:LOGS_MAX], count > LOGS_MAX)
    check_archive("after a key that does not exist", *server.logs(prefix, logs[-3]["log_key"] + "!"), logs[-2:], False)


def check_query(server, data, query):
    """Asks until no midnight passed between computing the expectation and the answer."""
    while True:
        expected, answer = query.expect(data), server.sql(query.sql)
        if expected == query.expect(data):
            break
    what = f"{query.name}: {query.sql}"
    equal(f"truncated of {what}", answer["truncated"], len(expected) > ROWS_MAX)
    equal(f"rows of {what}", answer["result"], expected[:ROWS_MAX])
    if query.types:
        equal(f"types of {what}", [column["type"] for column in answer["columns"]], query.types)


def asks(table):
    def group(server, data, _args):
        possible = [query for query in table if queries.needs(query) <= data.tables.keys()]
        for query in possible:
            check_query(server, data, query)
        skipped = len(table) - len(possible)
        return f"{len(possible)} queries" + (f", {skipped} skipped (tables missing)" if skipped else "")
    return group


def contents(server, data, _args):
    """Every value of every table, read page by page, and the type of every column."""
    told = []
    for table in sorted(data.tables.keys() - {"prompt_logs"}):
        types, key = column_types(data[table]), next(iter(data[table][0]))
        columns, pages, last = list(types), 0, ""
        expected = sorted(data[table], key=lambda row: row[key])
        for start in range(0, len(expected) + 1, ROWS_MAX):
            page = expected[start:start + ROWS_MAX]
            answer = server.sql(f"SELECT {', '.join(columns)} FROM {table} WHERE {key} > '{last}' ORDER BY {key}")
            what = f"{table} from row {start}"
            equal(f"truncated of {what}", answer["truncated"], start + ROWS_MAX < len(expected))
            equal(f"columns of {what}", [column["name"] for column in answer["columns"]], columns)
            got = {column["name"]: column["type"] for column in answer["columns"]}
            wrong = {name: kind for name, kind in got.items() if kind not in types[name]}
            equal(f"types of {what} (one of {({name: types[name] for name in wrong})})", wrong, {})
            equal(f"number of rows of {what}", len(answer["result"]), len(page))
            for row, source in zip(answer["result"], page):
                check_row(table, row, source, got)
            pages, last = pages + 1, page[-1][key] if page else last
        told.append(f"{table} {len(expected)}")
    return "every value of " + ", ".join(told)


def check_row(table, row, source, types):
    for (name, kind), value in zip(types.items(), row):
        expected = source.get(name)
        if isinstance(expected, list | dict):
            expected, value = [expected], [json.loads(value)]
        elif kind == "TIMESTAMP" and expected is not None:
            # A time without a zone may have become an instant of UTC.
            moment = dt.datetime.fromisoformat(expected)
            expected = instant(at(expected) if moment.tzinfo else moment)
        elif kind == "TIMESTAMP_NTZ" and expected is not None:
            expected = instant(dt.datetime.fromisoformat(expected))[:-1]
        equal(f"{table}.{name} of {next(iter(source.values()))!r}", value, expected)


def row_limits(server, data, _args):
    """`truncated` is true exactly when there were more than 1,000 rows."""
    table = max(data.tables.keys() - {"prompt_logs"}, key=lambda name: len(data[name]))
    key = next(iter(data[table][0]))
    ids = sorted(row[key] for row in data[table])
    for limit in (0, 1, ROWS_MAX - 1, ROWS_MAX, ROWS_MAX + 1, 3 * ROWS_MAX, None):
        sql = f"SELECT {key} FROM {table} ORDER BY {key}" + (f" LIMIT {limit}" if limit is not None else "")
        found, answer = ids[:limit], server.sql(sql)
        equal(f"truncated of {sql}", answer["truncated"], len(found) > ROWS_MAX)
        equal(f"rows of {sql}", answer["result"], [[value] for value in found[:ROWS_MAX]])
    return f"LIMIT 0, 1, 999, 1000, 1001, 3000 and none over {len(ids)} rows of {table}"


def encodings(server, _data, _args):
    for expression, kind, value in queries.ENCODINGS:
        answer = server.sql(f"SELECT {expression} AS value")
        equal(f"value of {expression}", answer["result"], [[value]])
        equal(f"name of {expression}", answer["columns"][0]["name"], "value")
        got = answer["columns"][0]["type"]
        equal(f"type of {expression}: {got}", got.startswith(kind) if kind.endswith("<") else got == kind, True)
    for values, strings in queries.BIG_INTEGERS:
        rows = ", ".join(f"({place}, CAST('{value}' AS BIGINT))" for place, value in enumerate(values))
        answer = server.sql(f"SELECT big, place FROM (VALUES {rows}) AS numbers(place, big) ORDER BY place")
        equal(f"values of {values}", answer["result"],
              [[str(value) if strings else value, place] for place, value in enumerate(values)])
        equal(f"encodings of {values}", [column.get("encoding") for column in answer["columns"]],
              ["string" if strings else None, None])
    return f"{len(queries.ENCODINGS)} types and values, {len(queries.BIG_INTEGERS)} columns of large integers"


def statements(server, data, _args):
    """The read-only statements beside SELECT."""
    table = sorted(data.tables)[0]
    equal("VALUES", server.sql("VALUES (1, 'a'), (2, 'b')")["result"], [[1, "a"], [2, "b"]])
    equal("EXPLAIN has rows", bool(server.sql(f"EXPLAIN SELECT COUNT(*) FROM {table}")["result"]), True)
    shown = {value for row in server.sql("SHOW TABLES")["result"] for value in row if isinstance(value, str)}
    equal("tables missing in SHOW TABLES", sorted(data.tables.keys() - shown), [])
    for sql in (f"DESCRIBE {table}", f"SHOW COLUMNS FROM {table}"):
        shown = {value for row in server.sql(sql)["result"] for value in row if isinstance(value, str)}
        equal(f"columns missing in {sql}", sorted(data[table][0].keys() - shown), [])
    return "VALUES, EXPLAIN, SHOW TABLES, SHOW COLUMNS, DESCRIBE"


# Errors and sign-in


def fails(what, kind, status, act):
    """The SDK raises exactly this class, and the body is the contract's error envelope."""
    try:
        act()
    except amigo_sdk.AmigoError as error:
        equal(f"error class of {what} ({error})", type(error).__name__, kind.__name__)
        equal(f"status of {what}", error.status_code, status)
        detail = error.response_body.get("detail") if isinstance(error.response_body, dict) else error.response_body
        if status == 422:
            equal(f"detail of {what} is a list of loc, msg and type: {detail!r}",
                  isinstance(detail, list) and all({"loc", "msg", "type"} <= item.keys() for item in detail), True)
        else:
            equal(f"detail of {what} is a sentence: {detail!r}", isinstance(detail, str) and bool(detail.strip()), True)
        return detail
    raise Difference(f"{what}\n  got:      success\n  expected: {kind.__name__}")


def errors(server, data, _args):
    key = data.logs()[0]["log_key"]
    absent = ["no-such-conversation/", f"{key}/more", f"{key[:6]}%", f"{key[:6]}*", "/"]
    absent += [key.upper()] if key.upper() != key else []
    for prefix in absent:
        fails(f"prefix {prefix!r}", amigo_sdk.NotFoundError, 404, lambda prefix=prefix: server.logs(prefix))
    for params in ({}, {"prompt_log_prefix": ""}):
        detail = fails(f"parameters {params}", amigo_sdk.ValidationError, 422,
                       lambda params=params: server.request("GET", "get_prompt_logs/", params=params))
        equal("loc of the parameter", detail[0]["loc"], ["query", "prompt_log_prefix"])
    tables = sorted(server.sql("SHOW TABLES")["result"])
    for sql in queries.REFUSED:
        fails(sql, amigo_sdk.BadRequestError, 400, lambda sql=sql: server.sql(sql))
    equal("tables after the refused statements", sorted(server.sql("SHOW TABLES")["result"]), tables)
    bodies = [({"async_query": False}, "sql_query"), ({"sql_query": "SELECT 1"}, "async_query"),
              ({"sql_query": "", "async_query": False}, "sql_query"),
              ({"sql_query": " \n", "async_query": False}, "sql_query"),
              ({"sql_query": f"SELECT '{'x' * 100_000}'", "async_query": False}, "sql_query")]
    for body, field in bodies:
        detail = fails(f"body {str(body)[:80]}", amigo_sdk.ValidationError, 422,
                       lambda body=body: server.request("POST", "sql_query", json=body))
        equal(f"loc of {field}", detail[0]["loc"], ["body", field])
    body = {"sql_query": " SELECT 1 ", "async_query": False, "extra": 1}
    equal("an unknown extra field", server.request("POST", "sql_query", json=body).json()["result"], [[1]])
    return (f"{len(absent)} prefixes without logs, {len(queries.REFUSED)} statements refused, "
            f"{len(bodies) + 2} invalid requests")


def credentials(server, data, args):
    """Wrong keys, another organization's address, and a user who may not query."""
    for name in ("api_key", "api_key_id", "user_id"):
        wrong = Server(args.base_url, args.org, **{name: "wrong"})
        try:
            wrong.sql("SELECT 1")
        except amigo_sdk.AuthenticationError:
            continue
        raise Difference(f"a wrong {name}\n  got:      success\n  expected: AuthenticationError")
    fails("a token of another organization", amigo_sdk.AuthenticationError, 401, lambda: server.request(
        "POST", "sql_query", org=f"{args.org}-elsewhere", json={"sql_query": "SELECT 1", "async_query": False}))
    if not args.lesser_user:
        return "3 wrong sign-ins, 1 foreign organization (no --lesser-user: 403 not looked at)"
    lesser = Server(args.base_url, args.org, user_id=args.lesser_user)
    fails(f"a query of {args.lesser_user}", amigo_sdk.ForbiddenError, 403, lambda: lesser.sql("SELECT 1"))
    return "3 wrong sign-ins, 1 foreign organization, 1 user without the privilege"


def token_refresh(server, data, _args):
    """The SDK signs in again after a 401, and before a token ends; both ways the call succeeds."""
    key, client = data.logs()[0]["log_key"], server.client
    good = client._ensure_token()
    head, body, signature = good.split(".")
    forged = f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for broken in ("no token at all", forged, f"{head}.{body}."):
        client._token = client._token.model_copy(update={"id_token": broken})
        check_archive("after a broken token", *server.logs(key), data.logs()[:1], False)
        equal(f"statuses with the token {broken[:12]}…", server.statuses, [401, 200])
        equal("the broken token is gone", client._token.id_token != broken, True)
    now = dt.datetime.now(dt.timezone.utc)
    client._token = client._token.model_copy(update={"expires_at": now})
    equal("a query when the token has ended", server.sql("SELECT 1")["result"], [[1]])
    equal("statuses when the token has ended", server.statuses, [200])
    equal("the new token lives on", client._token.expires_at > now + dt.timedelta(minutes=5), True)
    return "3 broken tokens replaced after a 401, 1 ended token before its use"


GROUPS = [
    ("conversations", conversations),
    ("large prefixes", large_prefixes),
    ("counts", asks(queries.COUNTS)),
    ("contents", contents),
    ("aggregates", asks(queries.AGGREGATES)),
    ("joins", asks(queries.JOINS)),
    ("dates", asks(queries.DATES)),
    ("json", asks(queries.JSON)),
    ("prompt logs in SQL", asks(queries.PROMPT_LOGS)),
    ("row limits", row_limits),
    ("encodings", encodings),
    ("statements", statements),
    ("errors", errors),
    ("credentials", credentials),
    ("token refresh", token_refresh),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--org", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="the folder of <table>.ndjson files")
    parser.add_argument("--tables", type=lambda text: text.split(","), help="only these (default: every file there is)")
    parser.add_argument("--lesser-user", help="a user who may not use sql_query, whom the API key may sign in")
    args = parser.parse_args()
    if shutil.which("unzip") is None:
        parser.error("unzip is not installed")
    args.base_url = args.base_url.rstrip("/")
    server, data = Server(args.base_url, args.org), Data(args.data, args.tables)
    for name, group in GROUPS:
        try:
            print(f"ok: {name}: {group(server, data, args)}", flush=True)
        except Difference as difference:
            sys.exit(f"FAILED: {name}: {difference}")
        except amigo_sdk.AmigoError as error:
            sys.exit(f"FAILED: {name}: the server answered {server.statuses}: {error}")


if __name__ == "__main__":
    main()
