#!/usr/bin/env python3
"""Measures the server beside its peers, alternating in one run, on loopback; see README.md.

    python3 benches/run.py [--out FILE.md] [--binary PATH] [--rounds 30]
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import venv

sys.dont_write_bytecode = True  # leaves the repository's folder as it is

import measure
from corpus import Corpus

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
ORG, USER = "airline", "bench_admin"
MESSAGE_COPIES = 20  # 5,108 real messages are too few to tell two engines apart
AGGREGATE = "SELECT sender, COUNT(*) AS n, AVG(LENGTH(content)) AS mean FROM messages GROUP BY sender ORDER BY sender"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, help="also write the result to this file")
    parser.add_argument("--binary", type=pathlib.Path, help="measure this one instead of building a release")
    parser.add_argument("--rounds", type=int, default=30, help="downloads and aggregates of each side")
    parser.add_argument("--requests", type=int, default=500, help="requests of SELECT 1")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    python = peers_python()
    binary = (args.binary or build()).resolve()
    with tempfile.TemporaryDirectory() as temp, contextlib.ExitStack() as stack:
        corpus = Corpus(pathlib.Path(temp) / "corpus", MESSAGE_COPIES)
        token = fill(binary, pathlib.Path(temp) / "data", corpus)
        ours = stack.enter_context(serve(binary, pathlib.Path(temp)))
        headers = [("Authorization", f"Bearer {token}")]
        parts = [heading(python, corpus, load),
                 downloads(python, ours, headers, corpus, args.rounds, pathlib.Path(temp), stack),
                 queries(python, ours, headers, corpus, args, pathlib.Path(temp), stack)]
    report = "\n\n".join(parts) + "\n"
    print(report)
    if args.out:
        args.out.write_text(report, encoding="utf-8")


# Preparing


def say(text):
    print(text, file=sys.stderr, flush=True)


def peers_python():
    """The interpreter of a virtual environment with the peers in it, made once."""
    folder = REPOSITORY / "target/bench-venv"
    python = folder / "bin/python"
    if not python.exists():
        say("making the environment of the peers …")
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
                    HERE / "requirements.txt"], check=True, timeout=900)
    return python


def build():
    say("building the release …")
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=REPOSITORY, check=True, timeout=7200)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "release/amigo-admin"


def fill(binary, data, corpus):
    """Makes the data directory through the command line; returns a token for it."""
    commands = [["org", "create", ORG],
                ["user", "create", ORG, USER, "--role", "DefaultSuperAdministratorRole"],
                ["prompt-logs", "import", ORG, corpus.prompt_logs],
                ["table", "import", ORG, "messages", corpus.messages],
                ["token", ORG, USER]]
    for command in commands:
        say("amigo-admin " + " ".join(map(str, command)))
        done = subprocess.run([binary, "--data", data, *command], stdout=subprocess.PIPE, check=True, timeout=900)
    return json.loads(done.stdout)["id_token"]


@contextlib.contextmanager
def running(command, port, log, **environment):
    """A server that listens on the port, ended at the end; its last words are shown if something fails."""
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, env=os.environ | environment)
        try:
            measure.wait_for(process, port)
            process.port = port
            yield process
        except Exception:
            say("".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-20:]))
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serve(binary, temp):
    port = measure.free_port()
    command = [binary, "--data", temp / "data", "serve", "--listen", f"127.0.0.1:{port}"]
    return running(command, port, temp / "server.log", AMIGO_ADMIN_LIMITS__RATE_LIMITS="false")


def zipstream(python, folder, method, temp):
    port = measure.free_port()
    command = [python, "-m", "uvicorn", "zipstream_app:app", "--app-dir", HERE / "peers", "--host", "127.0.0.1",
               "--port", port, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return running(command, port, temp / f"{method}.log",
                   FOLDER=str(folder), METHOD=method, PYTHONDONTWRITEBYTECODE="1")


# Measuring


def downloads(python, ours, headers, corpus, rounds, temp, stack):
    """1,000 logs from each side in turn, after one download each that is checked byte by byte."""
    say(f"downloading, {rounds} rounds …")
    folder = temp / "entries"
    corpus.write_entries(folder)
    sides = {"amigo-admin": (ours, f"/v1/{ORG}/admin/get_prompt_logs/?prompt_log_prefix={corpus.prefix}", headers)}
    for method in ("store", "deflate"):
        peer = stack.enter_context(zipstream(python, folder, method, temp))
        sides[f"zipstream-ng, {method.upper()}"] = (peer, "/", [])
    for process, path, credentials in sides.values():
        measure.check_archive(process.port, path, credentials, corpus.entries)
        measure.reset_peak(process.pid)
    before = {name: (measure.memory_mb(side[0].pid, "VmRSS"), measure.cpu_seconds(side[0].pid))
              for name, side in sides.items()}
    taken = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (process, path, credentials) in sides.items():
            taken[name].append(measure.download(process.port, path, credentials))
    rows = [download_row(name, taken[name], corpus.size, sides[name][0].pid, before[name]) for name in sides]
    return table("1,000 prompt logs as one zip", [
        "", "GB/s of prompt text, best", "median", "MB on the wire", "first byte, ms, best", "median",
        "memory before, MB", "peak, MB", "CPU s a download"], rows)


def download_row(name, taken, size, pid, before):
    memory, cpu = before
    seconds, first = [one.seconds for one in taken], [one.first_byte * 1e3 for one in taken]
    return [name, f"{size / min(seconds) / 1e9:.3f}", f"{size / statistics.median(seconds) / 1e9:.3f}",
            f"{taken[0].wire_bytes / 1e6:.2f}", f"{min(first):.1f}", f"{statistics.median(first):.1f}",
            f"{memory:.0f}", f"{measure.memory_mb(pid, 'VmHWM'):.0f}",
            f"{(measure.cpu_seconds(pid) - cpu) / len(taken):.3f}"]


def queries(python, ours, headers, corpus, args, temp, stack):
    """SELECT 1, then the aggregate, at the endpoint and in the process of the peer in turn."""
    say(f"querying, {args.requests} times SELECT 1 and {args.rounds} aggregates …")
    post = measure.Post(ours.port, f"/v1/{ORG}/admin/sql_query", headers)
    command = [python, HERE / "peers/datafusion_loop.py", corpus.messages, temp / "messages.parquet"]
    peer = stack.enter_context(subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    stack.callback(peer.stdin.close)

    def at_endpoint(sql):
        seconds, content = post(json.dumps({"sql_query": sql, "async_query": False}))
        return seconds, json.loads(content)["result"]

    def in_process(sql=None):
        if sql:
            peer.stdin.write(sql + "\n")
            peer.stdin.flush()
        answer = json.loads(peer.stdout.readline())
        return answer["seconds"], answer["rows"]

    in_process()
    sides = {"amigo-admin, at the endpoint": at_endpoint, "datafusion package, in process": in_process}
    warm = {name: (ask("SELECT 1"), ask(AGGREGATE)[1]) for name, ask in sides.items()}
    compare(*[aggregate for _, aggregate in warm.values()])
    latency, aggregate = {name: [] for name in sides}, {name: [] for name in sides}
    for sql, times, count in (("SELECT 1", latency, args.requests), (AGGREGATE, aggregate, args.rounds)):
        for _ in range(count):
            for name, ask in sides.items():
                times[name].append(ask(sql)[0] * 1e3)
    rows = [[name, f"{statistics.median(latency[name]):.2f}", f"{percentile(latency[name], 99):.2f}",
             f"{min(aggregate[name]):.1f}", f"{statistics.median(aggregate[name]):.1f}"] for name in sides]
    return table("SQL, one caller", [
        "", "`SELECT 1`, p50, ms", "p99, ms", f"aggregate over {corpus.message_count:,} messages, best, ms",
        "median, ms"], rows)


def compare(ours, theirs):
    """Both sides have to answer the same before their speed means anything."""
    same = len(ours) == len(theirs) and all(
        a[:2] == b[:2] and math.isclose(a[2], b[2], rel_tol=1e-9) for a, b in zip(ours, theirs))
    if not same:
        raise ValueError(f"the answers differ: {ours} and {theirs}")


def percentile(values, percent):
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


# Telling


def heading(python, corpus, load):
    versions = subprocess.run([python, "-m", "pip", "freeze"], stdout=subprocess.PIPE, text=True, check=True).stdout
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    named = [line for line in versions.split() if line.split("==")[0] in
             ("zipstream-ng", "uvicorn", "uvloop", "httptools", "datafusion")]
    return (f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, load {load:.1f} at the start; "
            f"{', '.join(named)}, Python {platform.python_version()}.\n"
            f"{corpus.source}: 1,000 logs, {len(corpus.entries):,} entries, {corpus.size / 1e6:.1f} MB of prompt text.")


def table(title, header, rows):
    lines = [f"### {title}", "", "| " + " | ".join(header) + " |", "|---" + "|--:" * (len(header) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


if __name__ == "__main__":
    main()
