#!/usr/bin/env python3
"""Measures the server beside its peers, alternating in one run, on loopback; see README.md.

    python3 benches/run.py [--out FILE.md] [--binary PATH] [--parts downloads,choosing] [--quick]
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True  # leaves the repository's folder as it is

import corpus as corpora
import measure
import sides
import sql
from report import percentile, table

USER = "bench_admin"
PART_SECONDS = 600  # the most one part takes: nothing hangs
CORPORA = {"agents": corpora.agents, "talks": corpora.conversations, "documents": corpora.independent}


def main():
    parts = {"downloads": downloads, "choosing": choosing, "writing": writing, "storage": storage} | sql.PARTS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, help="also write the result to this file")
    parser.add_argument("--binary", type=pathlib.Path, help="measure this one instead of building a release")
    parser.add_argument("--parts", default=",".join(parts), help="which to run: %(default)s")
    parser.add_argument("--corpora", default=",".join(CORPORA), help="which to download: %(default)s")
    parser.add_argument("--copies", type=int, default=40, help="how often the agents' conversations are repeated")
    parser.add_argument("--seconds", type=float, default=6, help="the most each side downloads one corpus for")
    parser.add_argument("--quick", action="store_true", help="a look at each part instead of a measurement")
    args = parser.parse_args()
    if args.quick:
        args.copies, args.seconds = 1, 0.5
    load = os.getloadavg()[0]
    python, binary = sides.peers_python(), (args.binary or sides.build()).resolve()
    with tempfile.TemporaryDirectory() as temp, contextlib.ExitStack() as stack:
        run = Run(args, python, binary, pathlib.Path(temp), stack)
        texts, failed = [heading(python, load)], []
        for part in args.parts.split(","):
            began = time.monotonic()
            texts.append(attempt(part, parts[part], run, failed))
            sides.say(f"{part} took {time.monotonic() - began:.0f} s")
            print(texts[-1] + "\n", flush=True)
    report = "\n\n".join(texts) + "\n"
    if args.out:
        args.out.write_text(report, encoding="utf-8")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def attempt(name, part, run, failed):
    """One part's text. What fails or takes too long is told in its place, and the next part goes on."""
    def too_long(*_):
        raise TimeoutError(f"it took longer than {PART_SECONDS} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PART_SECONDS)
    try:
        return part(run)
    except Exception as error:
        traceback.print_exc()
        failed.append(name)
        return f"### {name}\n\nfailed: {error}"
    finally:
        signal.alarm(0)


class Run:
    """One data directory and one server over it, made as the parts need them."""

    def __init__(self, args, python, binary, temp, stack):
        self.args, self.python, self.binary, self.temp, self.stack = args, python, binary, temp, stack
        self.quick = args.quick
        self.made, self.orgs, self.here = {}, {}, set()
        self.server = None

    def command(self, *words):
        """One command of the command line; returns what it printed as JSON."""
        sides.say("amigo-admin " + " ".join(map(str, words)))
        done = subprocess.run([self.binary, "--data", self.temp / "data", "--json", *words], stdout=subprocess.PIPE,
                              check=True, timeout=1800)
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def token(self, org):
        if org not in self.orgs:
            self.command("org", "create", org)
            self.command("user", "create", org, USER, "--role", "DefaultSuperAdministratorRole")
            self.orgs[org] = self.command("token", org, USER)["id_token"]
        return self.orgs[org]

    def headers(self, org):
        return [("Authorization", f"Bearer {self.token(org)}")]

    def corpus(self, name):
        if name not in self.made:
            sides.say(f"making the corpus {name} …")
            copies = (self.args.copies,) if name == "agents" else ()
            self.made[name] = CORPORA[name](self.temp / name, *copies)
        return self.made[name]

    def imported(self, corpus):
        """Imports and compacts the corpus once, as the server itself would in time; returns the stored bytes."""
        if corpus.org not in self.here:
            self.token(corpus.org)
            self.command("prompt-logs", "import", corpus.org, corpus.prompt_logs)
            self.command("prompt-logs", "compact", corpus.org)
            self.here.add(corpus.org)
        return self.command("prompt-logs", "stats", corpus.org)

    def serve(self):
        if not self.server:
            self.server = self.stack.enter_context(sides.serve(self.binary, self.temp))
        return self.server

    def client(self, org):
        return measure.Client(self.serve().port, self.headers(org))


# Measuring


def downloads(run):
    """Each corpus from each side in turn, after one download each that is checked byte by byte."""
    texts = [download(run, run.corpus(name)) for name in run.args.corpora.split(",")]
    return "\n\n".join(texts)


def download(run, corpus):
    run.imported(corpus)
    folder = run.temp / f"{corpus.org}-entries"
    corpus.write_entries(folder)
    with contextlib.ExitStack() as stack:
        ours = run.serve()
        headers = run.headers(corpus.org)
        ready = run.temp / f"{corpus.org}.zip"
        ready.write_bytes(measure.check_archive(ours.port, corpus.path, headers, corpus.entries))
        asked = {"amigo-admin": (ours, corpus.path, headers)}
        for name, peer in sides.archives(run.python, folder, ready, run.temp, stack).items():
            asked[name] = (peer, "/", [])
            measure.check_archive(peer.port, "/", [], corpus.entries)
        for process, _, _ in asked.values():
            measure.reset_peak(process.pid)
        before = {name: (measure.memory_mb(side[0].pid, "VmRSS"), measure.cpu_seconds(side[0].pid))
                  for name, side in asked.items()}
        taken = {name: [] for name in asked}
        sides.say(f"downloading {corpus.title} …")
        for _ in range(30):
            for name, (process, path, credentials) in asked.items():
                if not taken[name] or sum(one.seconds for one in taken[name]) < run.args.seconds:
                    taken[name].append(measure.download(process.port, path, credentials))
        base = {name: statistics.median(one.seconds for one in taken[name]) for name in taken}
        wire = taken["zipstream-ng, DEFLATE"][0].wire_bytes
        rows = [download_row(name, taken[name], corpus.size, asked[name][0].pid, before[name], base, wire)
                for name in asked]
    title = f"{corpus.title}: {corpora.LOGS:,} of {corpus.count:,} logs, {corpus.size / 1e6:.1f} MB of prompt text"
    return table(title, [
        "", "GB/s of prompt text, best", "median", "times zipstream-ng STORE", "times its DEFLATE", "MB on the wire",
        "times its DEFLATE", "first byte, ms, median", "peak memory, MB", "of it before", "CPU s a download"], rows)


def download_row(name, taken, size, pid, before, base, wire):
    memory, cpu = before
    seconds, first = [one.seconds for one in taken], [one.first_byte * 1e3 for one in taken]
    median = statistics.median(seconds)
    return [name, f"{size / min(seconds) / 1e9:.3f}", f"{size / median / 1e9:.3f}",
            f"{base['zipstream-ng, STORE'] / median:.1f}", f"{base['zipstream-ng, DEFLATE'] / median:.1f}",
            f"{taken[0].wire_bytes / 1e6:.2f}", f"{taken[0].wire_bytes / wire:.2f}",
            f"{statistics.median(first):.1f}", f"{measure.memory_mb(pid, 'VmHWM'):.0f}", f"{memory:.0f}",
            f"{(measure.cpu_seconds(pid) - cpu) / len(taken):.3f}"]


def choosing(run):
    """A conversation of 20 logs among few and among many: HEAD, which only chooses, and the whole archive."""
    counts = {"few": 10_000, "many": 100_000 if run.quick else 1_000_000}
    prefixes = {}
    for org, count in counts.items():
        run.token(org)
        prefixes[org] = corpora.many(run.temp / f"{org}.ndjson", count)
        run.command("prompt-logs", "import", org, run.temp / f"{org}.ndjson")
        run.command("prompt-logs", "compact", org)
    clients = {org: run.client(org) for org in counts}
    heads, firsts = {org: [] for org in counts}, {org: [] for org in counts}
    rounds = 50 if run.quick else 300
    for number in range(-20, rounds):
        for org, prefix in prefixes.items():
            path = f"/v1/{org}/admin/get_prompt_logs/?prompt_log_prefix={prefix[number * 7919 % len(prefix)]}"
            head = clients[org]("HEAD", path)[0] * 1e3
            first = measure.download(run.server.port, path, run.headers(org)).first_byte * 1e3
            if number >= 0:  # the first warm up
                heads[org].append(head)
                firsts[org].append(first)
    rows = [[f"{count:,}", f"{statistics.median(heads[org]):.2f}", f"{percentile(heads[org], 99):.2f}",
             f"{statistics.median(firsts[org]):.2f}", f"{percentile(firsts[org], 99):.2f}"]
            for org, count in counts.items()]
    return table("Choosing the 20 logs of one conversation, warm", [
        "among logs", "`HEAD`, p50, ms", "p99, ms", "first byte of the archive, new connection, p50, ms", "p99, ms"], rows)


def writing(run):
    """Logs of 12 KB over HTTP: 16 writers, then one that writes one log at a time."""
    writers, requests, each = (16, 2, 25) if run.quick else (16, 12, 100)
    rows = []
    run.token("writers")
    run.serve()
    sides.say("writing …")
    for logs_each, count in ((1, requests * 4), (each, requests)):
        name = f"writers-{logs_each}"
        work = [list(corpora.bodies(f"{name}-{writer}", count, logs_each)) for writer in range(writers)]
        clients = [run.client("writers") for _ in work]
        post = lambda client, bodies: [post_logs(client, body, logs_each) for body in bodies]
        threads = [threading.Thread(target=post, args=pair) for pair in zip(clients, work)]
        cpu, started = measure.cpu_seconds(run.server.pid), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds, logs = time.perf_counter() - started, writers * count * logs_each
        megabytes = sum(len(body) for bodies in work for body in bodies) / 1e6
        rows.append([f"{writers} writers, {logs_each} logs a request", f"{logs / seconds:,.0f}",
                     f"{megabytes / seconds:.1f}", f"{(measure.cpu_seconds(run.server.pid) - cpu) / logs * 1e3:.2f}", "", ""])
    client = run.client("writers")
    alone = [post_logs(client, body, 1) * 1e3 for body in corpora.bodies("alone", 20 if run.quick else 200, 1)]
    rows.append(["one writer, 1 log a request", f"{1e3 / statistics.mean(alone):,.0f}", "", "",
                 f"{statistics.median(alone):.1f}", f"{percentile(alone, 99):.1f}"])
    return table("Writing logs of 12 KB, acknowledged when they are on disk", [
        "", "logs a second", "MB/s", "CPU ms a log", "p50, ms", "p99, ms"], rows)


def post_logs(client, body, count):
    seconds, answer = client("POST", "/v1/writers/admin/prompt_logs/", body, "application/x-ndjson")
    if json.loads(answer) != {"written": count, "rejected": []}:
        raise ValueError(f"not all was written: {answer[:300]!r}")
    return seconds


def storage(run):
    corpus = run.corpus("agents")
    rows = []
    stored = run.imported(corpus)
    rows.append([f"{corpus.title}, {stored['logs']:,} logs", f"{corpus.prompt_logs.stat().st_size / 1e6:.1f}",
                 f"{stored['bytes'] / 1e6:.2f}", f"{stored['bytes'] / corpus.prompt_logs.stat().st_size:.2%}",
                 str(stored["files"])])
    if run.args.copies > 1:
        one = corpora.agents(run.temp / "one", 1)
        one.org = "one"
        stored = run.imported(one)
        rows.append([f"one copy of it, {stored['logs']:,} logs", f"{one.prompt_logs.stat().st_size / 1e6:.1f}",
                     f"{stored['bytes'] / 1e6:.2f}", f"{stored['bytes'] / one.prompt_logs.stat().st_size:.2%}",
                     str(stored["files"])])
    return table("Storage, compacted", ["", "MB as NDJSON", "MB on disk", "share", "files"], rows)


# Telling


def heading(python, load):
    versions = subprocess.run([python, "-m", "pip", "freeze"], stdout=subprocess.PIPE, text=True, check=True).stdout
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    named = [line for line in versions.split() if line.split("==")[0] in
             ("zipstream-ng", "uvicorn", "uvloop", "httptools", "datafusion", "duckdb", "roapi", "datasette",
              "tpchgen-cli")]
    named += ["zip 9.8.1 (Rust)", sides.nginx_version() or "no nginx"]
    return (f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, load {load:.1f} at the start; "
            f"{', '.join(named)}, Python {platform.python_version()}.")


if __name__ == "__main__":
    main()
