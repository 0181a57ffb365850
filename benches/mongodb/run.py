#!/usr/bin/env python3
"""Measures collections as tables beside MongoDB's clients for Python, in turn, on one server; see ../README.md.

    python3 benches/mongodb/run.py [--out FILE.md] [--binary PATH] [--documents 1000000] [--quick]
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv

sys.dont_write_bytecode = True  # leaves the repository's folder as it is
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import measure
import sides
from report import p50_p99, table

USER, COLLECTION = "bench_admin", "orders"
SCAN = "SELECT * FROM orders"
# Something of every column, in expressions that no cluster is asked.
AGGREGATE = ("SELECT count(*), sum(n + 0), sum(amount + 0), max(concat(user_id, '')), count(DISTINCT status), "
             "count_if(NOT is_open), max(date_add(CAST(created_at AS DATE), 0)), sum(length(text)), sum(length(_id)), "
             "sum(length(address)), sum(length(tags)) FROM orders")
OURS, PROVIDERS = "amigo-admin", "datafusion-table-providers, batches that are dropped"
# It names no size of batches, so the server in memory sends it all documents in one message, which the driver refuses from
# 48 MB on.
ONE_MESSAGE = 150_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, help="also write the result to this file")
    parser.add_argument("--binary", type=pathlib.Path, help="measure this one instead of building a release")
    parser.add_argument("--documents", type=int, default=1_000_000, help="how many there are: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a look instead of a measurement")
    args = parser.parse_args()
    if args.quick:
        args.documents = min(args.documents, 20_000)
    load = os.getloadavg()[0]
    python, binary = environment(), (args.binary or sides.build()).resolve()
    with tempfile.TemporaryDirectory() as temp, contextlib.ExitStack() as stack:
        run = Run(python, binary, pathlib.Path(temp), stack, args.documents)
        rounds, lookups = (1, 50) if args.quick else (3, 100)
        texts = [heading(load, run)] + [part(run, count) for part, count in (
            (scans, rounds), (aggregates, rounds), (look_ups, lookups), (counts, 5 * rounds))]
    report = "\n\n".join(texts) + "\n"
    print(report)
    if args.out:
        args.out.write_text(report, encoding="utf-8")


def environment():
    """The interpreter of a virtual environment with MongoDB's clients in it."""
    folder = pathlib.Path(os.environ.get("BENCH_MONGODB_VENV", sides.REPOSITORY / "target/bench-mongodb-venv"))
    python = folder.absolute() / "bin/python"
    if not python.exists():
        sides.say("making the environment of MongoDB's clients …")
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
                    HERE / "requirements.txt"], check=True, timeout=900)
    return python


def mongodb(stack):
    """Where a MongoDB server answers, and its process: MONGODB_URI, or one that keeps everything in memory."""
    if uri := os.environ.get("MONGODB_URI"):
        return uri, None
    folder = sides.REPOSITORY / "target/bench-mongodb-server"
    sides.say("building a MongoDB server …")
    subprocess.run(["mvn", "--quiet", "--batch-mode", "--file", HERE / "server", f"-DbuildDirectory={folder}", "package",
                    "dependency:copy-dependencies"], check=True, timeout=900)
    command = ["java", "-cp", f"{folder}/classes:{folder}/dependency/*", "InMemory"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.stdin.close)  # with which it ends
    return process.stdout.readline().strip(), process.pid


class Peer:
    """A program that does what a line says and answers with a line of JSON."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
        self.pid = self.process.pid
        self.process.stdout.readline()

    def __call__(self, *words):
        """(seconds, answer)."""
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise OSError(f"the peer ended over {words}")
        answer = json.loads(line)
        return answer["seconds"], answer["answer"]

    def close(self):
        self.process.kill()
        self.process.wait()


class Run:
    """One MongoDB server with the documents, and one server of ours over it."""

    def __init__(self, python, binary, temp, stack, count):
        self.python, self.binary, self.temp, self.stack, self.count = python, binary, temp, stack, count
        self.uri, self.mongodb_pid = mongodb(stack)
        self.database = f"bench{os.getpid()}"
        sides.say(f"making {count:,} documents …")
        fill = ("import sys, pymongo, itertools, documents\n"
                "found = pymongo.MongoClient(sys.argv[1])[sys.argv[2]][sys.argv[3]]\n"
                "made = documents.make(int(sys.argv[4]))\n"
                "while some := list(itertools.islice(made, 5000)): found.insert_many(some, ordered=False)\n")
        self.python_run("-c", fill, self.uri, self.database, COLLECTION, str(count))
        stack.callback(self.drop)
        self.config = temp / "settings.toml"
        # Our connection waits while the others have their turn.
        self.config.write_text(f'data_dir = "{temp}/data"\n[server]\nheader_seconds = 3600\n'
                               f'[limits]\nrate_limits = false\nsql_seconds = 600\n'
                               f'[clusters.main]\nmongodb = "{self.uri}"\n')
        self.serve()

    def serve(self):
        # An organization's database has its name.
        self.org = self.database
        self.command("org", "create", self.org, "--cluster", "main")
        self.command("user", "create", self.org, USER, "--role", "DefaultSuperAdministratorRole")
        token = self.command("token", self.org, USER)["id_token"]
        self.port = measure.free_port()
        command = [self.binary, "--config", self.config, "serve", "--listen", f"127.0.0.1:{self.port}"]
        self.server = self.stack.enter_context(sides.running(command, self.port, self.temp / "server.log"))
        self.client = measure.Client(self.port, [("Authorization", f"Bearer {token}")])
        self.path = f"/v1/{self.org}/admin/sql_query"
        where = (self.uri, self.database, COLLECTION)
        self.peer = Peer(self.python, HERE / "peer.py", *where)
        self.providers = Peer(sides.build_peer("table_providers"), *where)
        for peer in (self.peer, self.providers):
            self.stack.callback(peer.close)

    def python_run(self, *words):
        environment = os.environ | {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([self.python, *words], check=True, timeout=3600, env=environment)

    def drop(self):
        code = "import sys, pymongo; pymongo.MongoClient(sys.argv[1]).drop_database(sys.argv[2])"
        self.python_run("-c", code, self.uri, self.database)

    def command(self, *words):
        done = subprocess.run([self.binary, "--config", self.config, "--json", *words], stdout=subprocess.PIPE,
                              check=True, timeout=600)
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def sql(self, sql, **more):
        """(seconds, the answer)."""
        body = json.dumps({"sql_query": sql, "async_query": False} | more).encode()
        seconds, content = self.client("POST", self.path, body)
        return seconds, json.loads(content)

    def into_file(self, sql):
        """(seconds until it can be fetched, bytes, peak memory of the worker in MB) of an asynchronous query."""
        started = time.perf_counter()
        handle = self.sql(sql, async_query=True, result_format="arrow")[1]
        path = handle["signed_url"].split(f":{self.port}", 1)[1]
        while (status := self.client.status(path)) == 202:
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        if status != 200:
            raise OSError(f"the result answers {status}")
        kept = self.sql("SELECT rows, bytes, peak_memory_bytes FROM query_history "
                        f"WHERE query_id = '{handle['query_id']}'")[1]["result"][0]
        if kept[0] != self.count:
            raise ValueError(f"{kept[0]} rows instead of {self.count}")
        return seconds, kept[1], int(kept[2]) / 1e6


def heading(load, run):
    return (f"{run.count:,} documents of ten fields; {platform.machine()}, {os.cpu_count()} cores; load before the run "
            f"{load:.1f}; MongoDB server: {'MONGODB_URI' if run.mongodb_pid is None else 'mongo-java-server 1.47.0, in memory'}")


def scans(run, rounds):
    """Every document into Arrow."""
    def ours():
        measure.reset_peak(run.server.pid)
        seconds, _, worker = run.into_file(SCAN)
        return seconds, f"{worker:.0f} (worker), {measure.memory_mb(run.server.pid, 'VmHWM'):.0f} (server)"

    def peer(process, *words):
        measure.reset_peak(process.pid)
        seconds, answer = process(*words)
        if words != ("raw",) and answer != [run.count, run.count * (run.count - 1) // 2]:
            raise ValueError(f"{words}: {answer}")
        return seconds, f"{measure.memory_mb(process.pid, 'VmHWM'):.0f}"

    acts = {
        f"{OURS}, asynchronous, an Arrow file": ours,
        "pymongoarrow, `find_arrow_all`, in memory": lambda: peer(run.peer, "arrow"),
        PROVIDERS: lambda: peer(run.providers, "scan"),
        "pymongo, dictionaries": lambda: peer(run.peer, "dictionaries"),
        "pymongo, raw batches that nobody looks at": lambda: peer(run.peer, "raw"),
    }
    if run.mongodb_pid and run.count > ONE_MESSAGE:
        del acts[PROVIDERS]
    run.sql("SELECT count(*) FROM orders")
    taken, memory = {name: [] for name in acts}, {}
    for _ in range(rounds):
        for name, act in acts.items():
            seconds, memory[name] = act()
            taken[name].append(seconds)
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    first = medians[next(iter(taken))]
    rows = [[name, f"{seconds:.2f}", f"{run.count / seconds:,.0f}", f"{seconds / first:.2f}", memory[name]]
            for name, seconds in medians.items()]
    header = ["", "seconds, median", "documents a second", "times ours", "peak memory, MB"]
    return table("All documents to Arrow", header, rows)


def aggregates(run, rounds):
    """All columns through an aggregate that the cluster is not asked."""
    taken = []
    for _ in range(rounds):
        seconds, answer = run.sql(AGGREGATE)
        if answer["result"][0][0] != run.count:
            raise ValueError(f"{answer['result']}")
        taken.append(seconds)
    seconds = statistics.median(taken)
    rows = [[f"{OURS}, synchronous", f"{seconds:.2f}", f"{run.count / seconds:,.0f}"]]
    return table("An aggregate over all columns, evaluated here", ["", "seconds, median", "documents a second"], rows)


def look_ups(run, count):
    """One document by its `_id`."""
    taken = {OURS: [], "pymongo, `find_one`": []}
    for place in range(-20, count):
        number = place * 7919 % run.count
        digits = f"{number:024x}"
        seconds, answer = run.sql(f"SELECT n FROM orders WHERE _id = '{digits}'")
        other, found = run.peer("one", digits)
        if answer["result"] != [[number]] or found != number:
            raise ValueError(f"{digits}: {answer['result']}, {found}")
        if place >= 0:
            taken[OURS].append(seconds)
            taken["pymongo, `find_one`"].append(other)
    rows = [[name, *p50_p99(seconds)] for name, seconds in taken.items()]
    ours, theirs = (statistics.median(seconds) * 1e3 for seconds in taken.values())
    rows.append(["difference", f"{ours - theirs:.2f}", ""])
    return table("One document by its `_id`", ["", "p50, ms", "p99, ms"], rows)


def counts(run, rounds):
    taken = {OURS: [], "pymongo, `count_documents`": []}
    for _ in range(rounds):
        seconds, answer = run.sql("SELECT count(*) FROM orders")
        other, found = run.peer("count")
        if answer["result"] != [[run.count]] or found != run.count:
            raise ValueError(f"{answer['result']}, {found}")
        taken[OURS].append(seconds)
        taken["pymongo, `count_documents`"].append(other)
    rows = [[name, *p50_p99(seconds)] for name, seconds in taken.items()]
    return table("`count(*)`", ["", "p50, ms", "p99, ms"], rows)


if __name__ == "__main__":
    main()
