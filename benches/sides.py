"""The programs that are measured, on loopback: the server and what stands beside it."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import venv

import measure

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
NGINX = """
daemon off; master_process off; worker_processes 1; pid {temp}/nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/zip;
  client_body_temp_path {temp}/nginx; proxy_temp_path {temp}/nginx; fastcgi_temp_path {temp}/nginx;
  uwsgi_temp_path {temp}/nginx; scgi_temp_path {temp}/nginx;
  server {{ listen 127.0.0.1:{port}; location = / {{ root {folder}; try_files /{file} =404; }} }}
}}
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def peers_python():
    """The interpreter of a virtual environment with the peers in it, made once."""
    folder = pathlib.Path(os.environ.get("BENCH_VENV", REPOSITORY / "target/bench-venv")).absolute()
    python = folder / "bin/python"
    if not python.exists():
        say("making the environment of the peers …")
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
                    HERE / "requirements.txt"], check=True, timeout=900)
    return python


def tpch_queries(python):
    """The text of TPC-H's queries by number, as DuckDB 1.1.3 carries them; later wheels would have to download them."""
    folder = python.parent.parent / "duckdb-1.1.3"
    if not folder.exists():
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder,
                        "duckdb==1.1.3"], check=True, timeout=300)
    code = ("import duckdb, json; duckdb.execute('LOAD tpch'); "
            "print(json.dumps(duckdb.execute('FROM tpch_queries()').fetchall()))")
    printed = subprocess.run([python, "-c", code], stdout=subprocess.PIPE, check=True, timeout=60,
                             env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}).stdout
    return {number: sql.strip().rstrip(";") for number, sql in json.loads(printed)}


def build():
    say("building the release …")
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=REPOSITORY, check=True, timeout=7200)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "release/amigo-admin"


def build_peer(name):
    """The program of a crate in peers/."""
    target = REPOSITORY / f"target/bench-{name}"
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=HERE / "peers" / name, check=True,
                   timeout=7200, env=os.environ | {"CARGO_TARGET_DIR": str(target)})
    return target / "release" / name


def nginx():
    """Its path, where it is installed."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def nginx_version():
    if not nginx():
        return None
    answer = subprocess.run([nginx(), "-v"], capture_output=True, text=True, check=True, timeout=10)
    return answer.stderr.strip().removeprefix("nginx version: ")


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


class Engine:
    """An engine in a process of its own, without HTTP: `datafusion` or `duckdb`, over tables by name."""

    SECONDS = 120  # the most one query may take

    def __init__(self, python, name, tables):
        command = [python, HERE / "peers/sql_loop.py", name, *(f"{table}={path}" for table, path in tables.items())]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid, self.name = self.process.pid, name
        self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def __call__(self, sql):
        """(seconds, rows) of one query."""
        self.process.stdin.write(json.dumps(sql).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.answer()
        if "error" in answer:
            raise OSError(f"{self.name}: {answer['error']}")
        return answer["seconds"], answer["rows"]

    def answer(self):
        # One line out for one in: what readline takes cannot be the beginning of another.
        if not select.select([self.process.stdout], [], [], self.SECONDS)[0]:
            self.process.kill()
            raise TimeoutError(f"{self.name} did not answer in {self.SECONDS} s")
        return json.loads(self.process.stdout.readline())


def roapi(python, tables, temp):
    """roapi over the same Parquet files, which it reads into memory at its start."""
    port = measure.free_port()
    named = [word for table, path in tables.items() for word in ("--table", f"{table}={path}")]
    others = [word for kind in ("postgres", "flight-sql")
              for word in (f"--addr-{kind}", f"127.0.0.1:{measure.free_port()}")]
    command = [python.parent / "roapi", "--addr-http", f"127.0.0.1:{port}", *others, *named]
    return running(command, port, temp / "roapi.log")


def datasette(python, tables, keys, temp):
    """Datasette over the same rows in SQLite, with an index on each table's key."""
    database = temp / "tpch.sqlite"
    subprocess.run([python, HERE / "peers/sqlite.py", database,
                    *(f"{table}={path}:{keys[table]}" for table, path in tables.items())], check=True, timeout=300)
    port = measure.free_port()
    command = [python, "-m", "datasette", "serve", "--immutable", database, "--port", port,
               "--setting", "sql_time_limit_ms", "30000", "--setting", "max_returned_rows", "1000"]
    return running(command, port, temp / "datasette.log")


def archives(python, folder, ready, temp, stack):
    """What serves the entries in the folder as a zip, by name; nginx serves the ready archive."""
    peers = {}
    for method in ("store", "deflate"):
        port = measure.free_port()
        command = [python, "-m", "uvicorn", "zipstream_app:app", "--app-dir", HERE / "peers", "--host", "127.0.0.1",
                   "--port", port, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        peers[f"zipstream-ng, {method.upper()}"] = stack.enter_context(running(
            command, port, temp / f"{method}.log", FOLDER=str(folder), METHOD=method, PYTHONDONTWRITEBYTECODE="1"))
    port = measure.free_port()
    peers["Rust's zip, DEFLATE"] = stack.enter_context(
        running([build_peer("zip_rs"), port, folder], port, temp / "zip_rs.log"))
    if nginx():
        port = measure.free_port()
        configuration = temp / "nginx.conf"
        configuration.write_text(NGINX.format(temp=temp, port=port, folder=ready.parent, file=ready.name))
        command = [nginx(), "-c", configuration, "-p", temp, "-e", "stderr"]
        peers["nginx, our archive as a ready file"] = stack.enter_context(running(command, port, temp / "nginx.log"))
    return peers
