"""The parts of run.py that query: each answers with its table. `run` is run.py's Run."""

import contextlib
import json
import multiprocessing
import statistics
import time
import urllib.parse
from collections import Counter

import answers
import corpus as corpora
import load
import measure
import sides
from report import p50_p99, percentile, table

MESSAGE_COPIES = 20  # 5,108 real messages are too few to tell two engines apart
AGGREGATE = "SELECT sender, COUNT(*) AS n, AVG(LENGTH(content)) AS mean FROM messages GROUP BY sender ORDER BY sender"
JSON = [("Content-Type", "application/json")]
OURS, DATAFUSION, DUCKDB = "amigo-admin, at the endpoint", "datafusion package, in process", "DuckDB, in process"
ROWS_MAX = 1000  # the most one synchronous answer holds
KEYS = {"lineitem": "l_orderkey", "orders": "o_orderkey"}
GROUPS = """SELECT l_returnflag, l_linestatus, COUNT(*) AS n, SUM(l_quantity) AS quantity, AVG(l_extendedprice) AS price
FROM lineitem GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus"""
ASYNC_CHECK = "SELECT COUNT(*), SUM(id), SUM(quarter), MIN(name), MAX(name), COUNT(DISTINCT bucket) FROM read_{}('{}')"
FLOOD = "SELECT COUNT(DISTINCT value % 1000003) AS n FROM generate_series(1, {}) AS t(value)"


def body_of(sql, **more):
    return json.dumps({"sql_query": sql, "async_query": False} | more).encode()


class Endpoint:
    """One caller on a kept connection."""

    def __init__(self, run, org):
        self.client, self.path = run.client(org), path_of(org)

    def __call__(self, sql):
        """(seconds, rows) of one query."""
        seconds, answer = self.answer(sql)
        return seconds, answer["result"]

    def answer(self, sql):
        seconds, content = self.client("POST", self.path, body_of(sql))
        return seconds, json.loads(content)


def path_of(org):
    return f"/v1/{org}/admin/sql_query"


# One caller


def queries(run):
    """SELECT 1, then the aggregate, at the endpoint and in the process of the peer in turn."""
    corpus = run.corpus("agents")
    message_count = corpora.repeat_messages(corpus.messages, 2 if run.quick else MESSAGE_COPIES)
    run.imported(corpus)
    run.command("table", "import", corpus.org, "messages", corpus.messages)
    requests, rounds = (50, 5) if run.quick else (500, 30)
    sides.say(f"querying, {requests} times SELECT 1 and {rounds} aggregates …")
    with sides.Engine(run.python, "datafusion", {"messages": corpus.messages}) as engine:
        asked = {OURS: Endpoint(run, corpus.org), DATAFUSION: engine}
        warm = {name: (ask("SELECT 1"), ask(AGGREGATE)[1]) for name, ask in asked.items()}
        answers.compare(*[aggregate for _, aggregate in warm.values()])
        latency, aggregate = {name: [] for name in asked}, {name: [] for name in asked}
        for sql, times, count in (("SELECT 1", latency, requests), (AGGREGATE, aggregate, rounds)):
            for _ in range(count):
                for name, ask in asked.items():
                    times[name].append(ask(sql)[0])
    rows = [[name, *p50_p99(latency[name]), f"{min(aggregate[name]) * 1e3:.1f}",
             f"{statistics.median(aggregate[name]) * 1e3:.1f}"] for name in asked]
    return table("SQL, one caller", [
        "", "`SELECT 1`, p50, ms", "p99, ms", f"aggregate over {message_count:,} messages, best, ms",
        "median, ms"], rows)


def tpch(run):
    """The 22 queries over the lake's own files, from each side in turn, after one answer each that is compared."""
    scale, rounds = (0.01, 1) if run.quick else (1, 3)
    org, _, folders = tables_of_tpch(run, scale)
    queries = sides.tpch_queries(run.python)
    with (sides.Engine(run.python, "datafusion", folders) as datafusion,
          sides.Engine(run.python, "duckdb", folders) as duckdb):
        asked = {OURS: Endpoint(run, org), DATAFUSION: datafusion, DUCKDB: duckdb}
        results = [tpch_query(asked, number, sql, rounds) for number, sql in sorted(queries.items())]
    told, compared = [], [medians for _, medians, _ in results if medians]
    for number, medians, remark in results:
        cells = [f"{medians[name] * 1e3:.1f}" for name in asked] + ratios(medians) if medians else [""] * 5
        told.append([f"Q{number}", *cells, remark])
    header = ["", *(f"{name}, ms" for name in asked), "times datafusion", "times DuckDB", "answer"]
    total = {name: sum(medians[name] for medians in compared) for name in asked}
    if not compared:
        return table(f"TPC-H, scale {scale}", header, told)
    told.append([f"total of {len(compared)}", *(f"{total[name] * 1e3:.1f}" for name in asked), *ratios(total), ""])
    return table(f"TPC-H, scale {scale}, median of {rounds}", header, told)


def tpch_query(asked, number, sql, rounds):
    """(number, median seconds by side or None, what is to be said of the answer)."""
    sides.say(f"TPC-H Q{number} …")
    ours = asked[OURS]
    try:
        answer = ours.answer(sql)[1]
        text, remark = sql, f"{len(answer['result']):,} rows, equal"
        if answer["truncated"]:
            # The others stop where the endpoint stops, one row behind what it sends. No query of TPC-H with a LIMIT of
            # its own has as many rows.
            text = f"{sql} LIMIT {ROWS_MAX + 1}"
            count = f"SELECT COUNT(*) AS n FROM ({sql}) AS q"
            counts = [ask(count)[1] for ask in asked.values()]
            answers.compare(counts[0], counts[2])
            remark = f"first {ROWS_MAX:,} rows of {counts[0][0][0]:,}, equal"
        for name in (DATAFUSION, DUCKDB):
            answers.compare(answer["result"], asked[name](text)[1][:ROWS_MAX])
    except (OSError, ValueError) as error:
        return number, None, "failed: " + " ".join(str(error).split()).replace("|", "\\|")[:300]
    times = {name: [] for name in asked}
    for _ in range(rounds):
        for name, ask in asked.items():
            times[name].append(ask(sql if name == OURS else text)[0])
    return number, {name: statistics.median(taken) for name, taken in times.items()}, remark


def ratios(seconds):
    return [f"{seconds[OURS] / seconds[name]:.2f}" for name in (DATAFUSION, DUCKDB)]


def tables_of_tpch(run, scale, names=None):
    """(organization, the generator's files by table, the lake's folders by table), made once a scale."""
    org = f"tpch{str(scale).replace('.', '')}"
    if org not in run.made:
        sides.say(f"making TPC-H, scale {scale} …")
        folder = run.temp / org
        folder.mkdir()
        run.made[org] = corpora.tpch(run.python.parent / "tpchgen-cli", folder, scale)
        run.token(org)
    files, lake = run.made[org], run.temp / "data/lake" / org
    for name in names or files:
        if (org, name) not in run.here:
            run.command("table", "import", org, name, files[name])
            run.here.add((org, name))
    return org, files, {name: lake / name for name in names or files}


# Many callers


def latency(run):
    """Small queries from 1, 8 and 64 callers, and an aggregate, beside what serves the same rows over HTTP."""
    scale, seconds, rounds = (0.01, 0.3, 1) if run.quick else (0.1, 2, 3)
    org, files, _ = tables_of_tpch(run, scale, KEYS)
    files = {name: files[name] for name in KEYS}
    run.serve()
    with contextlib.ExitStack() as stack:
        ports = {"amigo-admin": run.server.port,
                 "roapi": stack.enter_context(sides.roapi(run.python, files, run.temp)).port,
                 "Datasette": stack.enter_context(sides.datasette(run.python, files, KEYS, run.temp)).port}
        ask = {"amigo-admin": lambda sql: load.http("POST", path_of(org), run.headers(org) + JSON, body_of(sql)),
               "roapi": lambda sql: load.http("POST", "/api/sql", body=sql.encode()),
               "Datasette": lambda sql: load.http("GET", "/tpch.json?" + urllib.parse.urlencode({"sql": sql}))}
        # Keys that exist: of 32, TPC-H uses the first 8.
        point = [f"SELECT * FROM orders WHERE o_orderkey = {32 * (place * 41 % 400) + 1}" for place in range(64)]
        texts = []
        for title, sqls, callers in (("`SELECT 1`", ["SELECT 1 AS one"], (1, 8, 64)),
                                     ("One row by its key", point, (1, 8, 64)),
                                     ("1,000 rows of 16 columns", ["SELECT * FROM lineitem LIMIT 1000"], (1, 8, 64)),
                                     ("Aggregate over lineitem", [GROUPS], (1, 8))):
            requests = {name: [make(sql) for sql in sqls] for name, make in ask.items()}
            same_rows(ports, requests, "LIMIT" in sqls[0])
            rows = [callers_row(ports, requests, count, seconds, rounds) for count in callers]
            header = ["callers", *(f"{name}: {what}" for name in ports for what in (
                "p50, ms", "p99, ms", "queries a second")), "generator, µs of CPU a request"]
            texts.append(table(f"{title} (TPC-H, scale {scale})", header, rows))
    return "\n\n".join(texts)


def callers_row(ports, requests, callers, seconds, rounds):
    loads = {name: [] for name in ports}
    for _ in range(rounds):
        for name, port in ports.items():
            loads[name].append(load.closed_loop(port, requests[name], callers, seconds))
    cells, cost = [], []
    for name, taken in loads.items():
        every = [one for part in taken for one in part.seconds]
        failed = sum((one.statuses for one in taken), Counter())
        del failed[200]
        if not every:
            raise OSError(f"{name} answered {failed} to {callers} callers")
        rate = f"{len(every) / sum(one.elapsed for one in taken):,.0f}"
        remark = "".join(f", {count} answers {status}" for status, count in failed.items())
        cells += [*p50_p99(every), rate + remark]
        cost.append(f"{sum(one.cpu for one in taken) / len(every) * 1e6:.0f}")
    return [str(callers), *cells, " / ".join(cost)]


def same_rows(ports, requests, is_any):
    """All sides answer the same to the first request; where any rows will do, as many and as wide ones."""
    rows = {}
    for name, port in ports.items():
        one = load.closed_loop(port, requests[name][:1], 1, 0)
        if set(one.statuses) != {200}:
            raise OSError(f"{name}: {one.statuses}")
        content = json.loads(one.body)
        rows[name] = {"amigo-admin": lambda: content["result"], "Datasette": lambda: content["rows"],
                      "roapi": lambda: [list(row.values()) for row in content]}[name]()
    for name in ports:
        if is_any:
            answers.compare([[len(row)] for row in rows[name]], [[len(row)] for row in rows["amigo-admin"]])
        else:
            # Where a side has no decimals it answers with floats.
            answers.compare(rows["amigo-admin"], rows[name])


def fairness(run):
    """SELECT 1 of one organization, alone and while another floods."""
    callers, size, seconds, rounds = (32, 300_000, 1, 1) if run.quick else (32, 5_000_000, 5, 3)
    for org in ("calm", "flood"):
        run.token(org)
    port = run.serve().port
    calm = [load.http("POST", path_of("calm"), run.headers("calm") + JSON, body_of("SELECT 1"))]
    heavy = [load.http("POST", path_of("flood"), run.headers("flood") + JSON, body_of(FLOOD.format(size)))]
    load.closed_loop(port, calm, 1, 0.2)
    taken = {"alone": [], f"while {callers} callers of another flood": []}
    for _ in range(rounds):
        for name, times in taken.items():
            with contextlib.ExitStack() as stack:
                if name != "alone":
                    stack.enter_context(flood(port, heavy, callers, seconds + 1))
                    time.sleep(1)
                one = load.closed_loop(port, calm, 1, seconds)
                if set(one.statuses) != {200}:
                    raise OSError(f"{name}: {one.statuses}")
                times += one.seconds
            time.sleep(1)
    rows = [[name, *p50_p99(times), f"{len(times) / rounds / seconds:,.0f}"] for name, times in taken.items()]
    alone, beside = taken.values()
    rows.append(["ratio", f"{statistics.median(beside) / statistics.median(alone):.2f}",
                 f"{percentile(beside, 99) / percentile(alone, 99):.2f}", ""])
    told = table("`SELECT 1` of one organization", ["", "p50, ms", "p99, ms", "queries a second"], rows)
    ends = Endpoint(run, "flood")("SELECT status, COUNT(*) AS n FROM query_history GROUP BY status ORDER BY status")[1]
    return f"{told}\n\nThe queries of the flood: {', '.join(f'{count:,} {status}' for status, count in ends)}."


@contextlib.contextmanager
def flood(port, requests, callers, seconds):
    """Another process that asks all the while."""
    process = multiprocessing.get_context("fork").Process(
        target=load.closed_loop, args=(port, requests, callers, seconds), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join(10)


# Much data


def asynchronous(run):
    """Millions of rows into a file, from the submission to the first byte that can be fetched."""
    count = 100_000 if run.quick else 10_000_000
    sql = ("SELECT value AS id, value % 1000 AS bucket, CAST(value AS DOUBLE) / 4 AS quarter, "
           f"concat('item ', CAST(value % 100000 AS VARCHAR)) AS name FROM generate_series(1, {count}) AS t(value)")
    run.token("async")
    port = run.serve().port
    client, rows = run.client("async"), []
    with sides.Engine(run.python, "duckdb", {}) as duckdb:
        for kind in ("csv", "parquet"):
            sides.say(f"{count:,} rows to {kind} …")
            made = {side: run.temp / f"{side}.{kind}" for side in ("ours", "theirs")}
            started = time.perf_counter()
            answer = json.loads(client("POST", path_of("async"), body_of(sql, async_query=True, result_format=kind))[1])
            seconds = until_ready(client, answer["signed_url"], started)
            fetched = save(port, answer["signed_url"], made["ours"])
            _, kept = Endpoint(run, "async")(
                f"SELECT rows, peak_memory_bytes, bytes FROM query_history WHERE query_id = '{answer['query_id']}'")
            if kept[0][0] != count or kept[0][2] != made["ours"].stat().st_size:
                raise ValueError(f"the history says {kept} of {count} rows")
            measure.reset_peak(duckdb.pid)
            copied = duckdb(f"COPY ({sql}) TO '{made['theirs']}' (FORMAT {kind})")[0]
            peak = measure.memory_mb(duckdb.pid, "VmHWM")
            answers.compare(*[duckdb(ASYNC_CHECK.format(kind, path))[1] for path in made.values()])
            sizes = [f"{path.stat().st_size / 1e6:.1f}" for path in made.values()]
            rows.append([f"amigo-admin, {kind}", f"{seconds:.2f}", sizes[0], f"{int(kept[0][1]) / 1e6:.0f}",
                         f"{fetched:.2f}"])
            rows.append([f"DuckDB, `COPY`, {kind}", f"{copied:.2f}", sizes[1], f"{peak:.0f}", ""])
    return table(f"{count:,} rows of 4 columns into a file", [
        "", "seconds until it can be fetched", "MB", "peak memory of the process that writes, MB",
        "seconds to fetch it"], rows)


def until_ready(client, url, started):
    """Seconds from `started` until the URL answers with the file."""
    path = local(url)
    while time.perf_counter() - started < 240:
        status = client.status(path)
        if status == 200:
            return time.perf_counter() - started
        if status != 202:
            raise OSError(f"the result answers {status}: {client('GET', path)}")
        time.sleep(0.05)
    raise TimeoutError("the query did not end in 240 s")


def save(port, url, target):
    """Fetches the result into the file; returns the seconds."""
    started = time.perf_counter()
    with measure.opened(port, local(url)) as response, open(target, "wb") as file:
        while part := response.read(1 << 20):
            file.write(part)
    return time.perf_counter() - started


def local(url):
    parsed = urllib.parse.urlsplit(url)
    return f"{parsed.path}?{parsed.query}"


def growth(run):
    """The same queries over more and more day partitions of the archive, with as many logs each."""
    each, rounds = (200, 5) if run.quick else (5000, 40)
    counts, asked, times = (1, 10, 100), {}, {}
    for count in counts:
        org = f"days{count}"
        run.token(org)
        run.command("org", "retention", org, str(count + 30))
        newest, key = corpora.days(run.temp / f"{org}.ndjson", count, each)
        run.command("prompt-logs", "import", org, run.temp / f"{org}.ndjson")
        run.command("prompt-logs", "compact", org)
    sqls = {
        "one log by key and day": "SELECT log_key, history FROM prompt_logs "
                                  f"WHERE day = DATE '{newest}' AND log_key = '{key}'",
        "one log by key": f"SELECT log_key, history FROM prompt_logs WHERE log_key = '{key}'",
        "aggregate of the newest day": "SELECT service_id, COUNT(*) AS n, MAX(log_key) AS last FROM prompt_logs "
                                       f"WHERE day = DATE '{newest}' GROUP BY service_id",
        "aggregate of all days": "SELECT service_id, COUNT(*) AS n, MAX(log_key) AS last FROM prompt_logs "
                                 "GROUP BY service_id"}
    asked = {count: Endpoint(run, f"days{count}") for count in counts}
    for count, ask in asked.items():
        found = {name: ask(sql)[1] for name, sql in sqls.items()}
        ok = (len(found["one log by key and day"]) == len(found["one log by key"]) == 1
              and sum(row[1] for row in found["aggregate of the newest day"]) == each
              and sum(row[1] for row in found["aggregate of all days"]) == each * count)
        if not ok:
            raise ValueError(f"the answers over {count} days are not what was written: {found}")
    for name, sql in sqls.items():
        for _ in range(rounds):
            for count, ask in asked.items():
                times.setdefault((name, count), []).append(ask(sql)[0])
    rows = [[name, *(cell for count in counts for cell in p50_p99(times[name, count])),
             f"{statistics.median(times[name, counts[-1]]) / statistics.median(times[name, counts[0]]):.2f}"]
            for name in sqls]
    header = ["", *(f"{count} day{'s' * (count > 1)}: {what}" for count in counts for what in ("p50, ms", "p99, ms")),
              "p50, 100 days to 1"]
    return table(f"`prompt_logs`, {each:,} logs a day, one caller", header, rows)


PARTS = {"sql": queries, "tpch": tpch, "latency": latency, "async": asynchronous, "growth": growth,
         "fairness": fairness}
